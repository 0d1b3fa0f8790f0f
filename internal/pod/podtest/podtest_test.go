package podtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// user speaks to one pod, one connection per request.
type user struct {
	t     *testing.T
	pod   *Pod
	token string
}

func (u user) try(method, service, path string, body any) (int, rest.Doc, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		u.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(u.t.Context(), method, u.pod.URL(service)+path, bytes.NewReader(raw))
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", u.token)
	req.Header.Set("X-OpenStack-Nova-API-Version", "2.93")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err
	}
	var doc rest.Doc
	_ = json.Unmarshal(text, &doc) // garbage is what some tests ask for
	return res.StatusCode, doc, nil
}

func (u user) want(status int, method, service, path string, body any) rest.Doc {
	u.t.Helper()
	got, doc, err := u.try(method, service, path, body)
	if err != nil || got != status {
		u.t.Fatalf("%s %s%s = %d %v %v, want %d", method, service, path, got, doc, err, status)
	}
	return doc
}

func (u user) id(service, path, kind string, in rest.Doc) string {
	u.t.Helper()
	status, doc, err := u.try("POST", service, path, rest.Doc{kind: in})
	if err != nil || status > 202 {
		u.t.Fatalf("POST %s%s = %d %v %v", service, path, status, doc, err)
	}
	return rest.Str(doc[kind].(rest.Doc), "id")
}

func start(t *testing.T, o Options) (*Cloud, user) {
	t.Helper()
	c := New(t, o)
	return c, user{t, c.Pod("pod1"), c.Token("demo", "demo")}
}

const networks = "/v2.0/networks"

func (u user) server(more rest.Doc) rest.Doc {
	in := rest.Doc{"name": "s", "flavorRef": "1", "imageRef": u.pod.AddImage(glance.Image{Name: "tiny"}), "networks": "none"}
	for k, v := range more {
		in[k] = v
	}
	return in
}

func TestFault(t *testing.T) {
	t.Parallel()
	post := Fault{Method: "POST", Path: "^/network/v2.0/networks$"}
	for _, c := range []struct {
		name   string
		fault  func(Fault) Fault
		status int // 0: the connection is cut
		made   int
	}{
		{"status", func(f Fault) Fault { f.Status = 503; return f }, 503, 0},
		{"own body", func(f Fault) Fault { f.Status, f.Body = 418, `{"a":1}`; return f }, 418, 0},
		{"dropped request", func(f Fault) Fault { f.DropRequest = true; return f }, 0, 0},
		{"dropped reply", func(f Fault) Fault { f.DropReply = true; return f }, 0, 1},
		{"garbage", func(f Fault) Fault { f.Garbage = true; return f }, 200, 0},
		{"delay", func(f Fault) Fault { f.Delay = time.Millisecond; return f }, 201, 1},
		{"another service", func(f Fault) Fault { f.Service, f.Status = Compute, 500; return f }, 201, 1},
		{"another method", func(f Fault) Fault { f.Method, f.Status = "GET", 500; return f }, 201, 1},
		{"second request only", func(f Fault) Fault { f.Nth, f.Status = 2, 500; return f }, 201, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, u := start(t, Options{})
			remove := u.pod.Fault(c.fault(post))
			status, _, err := u.try("POST", Network, networks, rest.Doc{"network": rest.Doc{"name": "n"}})
			remove()
			if status != c.status || (err != nil) != (c.status == 0) {
				t.Errorf("POST = %d %v, want %d", status, err, c.status)
			}
			if made := u.pod.Inventory()["network"]; len(made) != c.made {
				t.Errorf("networks made = %d, want %d", len(made), c.made)
			}
			u.want(201, "POST", Network, networks, rest.Doc{"network": rest.Doc{}})
		})
	}
}

func TestFaultTimesAndHooks(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{})
	var before, after, seen int
	u.pod.Fault(Fault{
		Method: "POST", Times: 2,
		Before: func(*http.Request) { before++; seen = len(u.pod.Inventory()["network"]) },
		After:  func(*http.Request) { after = len(u.pod.Inventory()["network"]) },
	})
	for range 3 {
		u.want(201, "POST", Network, networks, rest.Doc{"network": rest.Doc{}})
	}
	if before != 2 || seen != 1 || after != 2 {
		t.Errorf("before ran %d times and saw %d, after saw %d; want 2, 1, 2", before, seen, after)
	}
}

func TestFaultHangs(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{})
	entered := make(chan struct{})
	remove := u.pod.Fault(Fault{Hang: true, Times: 1, Before: func(*http.Request) { close(entered) }})
	done := make(chan int)
	go func() {
		status, _, _ := u.try("GET", Network, networks, nil)
		done <- status
	}()
	<-entered
	select {
	case status := <-done:
		t.Fatalf("answered %d while it should hang", status)
	default:
	}
	remove()
	if status := <-done; status != 200 {
		t.Errorf("after the fault was removed: %d", status)
	}
}

func TestDownAndUp(t *testing.T) {
	t.Parallel()
	c, u := start(t, Options{})
	u.want(201, "POST", Network, networks, rest.Doc{"network": rest.Doc{}})
	u.pod.Down()
	if _, _, err := u.try("GET", Network, networks, nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a pod that is down: %v", err)
	}
	user{t, c.Pod("pod2"), u.token}.want(200, "GET", Network, networks, nil)
	u.pod.Up()
	if got := u.want(200, "GET", Network, networks, nil); len(rest.Docs(got, "networks")) != 1 {
		t.Errorf("a pod that is back forgot its networks: %v", got)
	}
	c.KeystoneDown()
	if res, err := http.Get(c.AuthURL()); err == nil {
		_ = res.Body.Close()
		t.Error("a Keystone that is down answers")
	}
	u.want(200, "GET", Network, networks, nil)
	c.KeystoneUp()
}

func TestCalls(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{})
	u.want(200, "GET", Network, networks, nil)
	u.want(200, "GET", Compute, "/v2.1/servers", nil)
	want := []Call{{Network, "GET", networks}, {Compute, "GET", "/v2.1/servers"}}
	if diff := cmp.Diff(want, u.pod.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	u.pod.ResetCalls()
	if got := u.pod.Calls(); len(got) != 0 {
		t.Errorf("calls after a reset = %v", got)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Now()
	c, u := start(t, Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	for name, spoil := range map[string]func(string){
		"expired": c.ExpireToken, "revoked": c.RevokeToken,
		"old": func(string) { mu.Lock(); defer mu.Unlock(); now = now.Add(25 * time.Hour) },
	} {
		u.token = c.Token("demo", "demo")
		u.want(200, "GET", Compute, "/v2.1/servers", nil)
		spoil(u.token)
		if status, _, _ := u.try("GET", Compute, "/v2.1/servers", nil); status != 401 {
			t.Errorf("%s token: %d, want 401", name, status)
		}
	}
	if n := c.Validations(); n != 0 {
		t.Errorf("validations = %d: pods do not count", n)
	}
}

// lan makes a network and a subnet without DHCP.
func (u user) lan(pools any) (network, subnet string) {
	network = u.id(Network, networks, "network", rest.Doc{})
	in := rest.Doc{"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24", "enable_dhcp": false}
	if pools != nil {
		in["allocation_pools"] = pools
	}
	return network, u.id(Network, "/v2.0/subnets", "subnet", in)
}

func (u user) dhcpPorts(network string) (claimed, all int) {
	for _, p := range u.pod.Objects("port") {
		if p["network_id"] == network && p["device_owner"] == "network:dhcp" {
			all++
			if strings.HasPrefix(rest.Str(p, "device_id"), "dhcp") {
				claimed++
			}
		}
	}
	return claimed, all
}

func TestDHCPAgents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		agents, reserved int
		greedy           bool
		claimed, all     int
	}{
		{"one claims the one", 1, 1, false, 1, 1},
		{"one takes its own", 1, 0, false, 1, 1},
		{"two claim two", 2, 2, false, 2, 2},
		{"two, one reserved", 2, 1, false, 2, 2},
		{"one, two reserved", 1, 2, false, 1, 2},
		{"none", -1, 1, false, 0, 1},
		{"at once", 1, 1, true, 1, 1},
		{"at once, nothing reserved", 1, 0, true, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, u := start(t, Options{DHCPAgents: c.agents})
			u.pod.GreedyDHCP(c.greedy)
			network, subnet := u.lan(nil)
			for range c.reserved {
				u.id(Network, "/v2.0/ports", "port", rest.Doc{"network_id": network, "device_owner": "network:dhcp", "device_id": "reserved_dhcp_port"})
			}
			u.want(200, "PUT", Network, "/v2.0/subnets/"+subnet, rest.Doc{"subnet": rest.Doc{"enable_dhcp": true}})
			if !c.greedy {
				u.pod.Settle()
			}
			if claimed, all := u.dhcpPorts(network); claimed != c.claimed || all != c.all {
				t.Errorf("%d of %d DHCP ports claimed, want %d of %d", claimed, all, c.claimed, c.all)
			}
		})
	}
}

// A subnet that is born with DHCP has its agent's port before anybody can
// reserve one: the race that Tricircle must not run.
func TestGreedyAgentTakesThePool(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{})
	u.pod.GreedyDHCP(true)
	network := u.id(Network, networks, "network", rest.Doc{})
	u.id(Network, "/v2.0/subnets", "subnet", rest.Doc{
		"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24", "allocation_pools": []rest.Doc{{"start": "10.0.0.9", "end": "10.0.0.9"}},
	})
	if claimed, _ := u.dhcpPorts(network); claimed != 1 {
		t.Fatalf("%d ports claimed, want 1", claimed)
	}
	u.want(409, "POST", Network, "/v2.0/ports", rest.Doc{"port": rest.Doc{"network_id": network}})
}

func TestBuildAndDeleteTakeReads(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{BuildGets: 2, DeleteGets: 1})
	id := u.id(Compute, "/v2.1/servers", "server", u.server(nil))
	var got []string
	for range 4 {
		got = append(got, rest.Str(u.want(200, "GET", Compute, "/v2.1/servers/"+id, nil)["server"].(rest.Doc), "status"))
	}
	if diff := cmp.Diff([]string{"BUILD", "BUILD", "ACTIVE", "ACTIVE"}, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	u.want(204, "DELETE", Compute, "/v2.1/servers/"+id, nil)
	u.want(200, "GET", Compute, "/v2.1/servers/"+id, nil)
	u.want(404, "GET", Compute, "/v2.1/servers/"+id, nil)
}

func TestCapacityAndQuota(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{})
	u.pod.SetCapacity(1)
	var states []string
	for range 2 {
		id := u.id(Compute, "/v2.1/servers", "server", u.server(nil))
		d := u.want(200, "GET", Compute, "/v2.1/servers/"+id, nil)["server"].(rest.Doc)
		states = append(states, rest.Str(d, "status"))
		if f, ok := d["fault"].(rest.Doc); ok && !strings.HasPrefix(rest.Str(f, "message"), "No valid host was found.") {
			t.Errorf("fault = %v", f)
		}
	}
	if diff := cmp.Diff([]string{"ACTIVE", "ERROR"}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	u.pod.SetQuota(2)
	doc := u.want(403, "POST", Compute, "/v2.1/servers", rest.Doc{"server": u.server(nil)})
	want := "Quota exceeded for instances: Requested 1, but already used 2 of 2 instances"
	if got := rest.Str(doc["forbidden"].(rest.Doc), "message"); got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
	u.pod.Network.SetQuota("network", 0)
	over := u.want(409, "POST", Network, networks, rest.Doc{"network": rest.Doc{}})
	if got := over["NeutronError"].(rest.Doc)["type"]; got != "OverQuota" {
		t.Errorf("type = %v", got)
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{})
	before := u.pod.Inventory()
	network, _ := u.lan(nil)
	port := u.id(Network, "/v2.0/ports", "port", rest.Doc{"network_id": network})
	got := u.pod.Inventory()
	if diff := cmp.Diff([]string{network}, got["network"]); diff != "" {
		t.Errorf("networks (-want +got):\n%s", diff)
	}
	if len(got["security_group"]) != 0 || len(got["security_group_rule"]) != 0 {
		t.Errorf("what Neutron makes by itself is counted: %v", got)
	}
	u.want(204, "DELETE", Network, "/v2.0/ports/"+port, nil)
	u.want(204, "DELETE", Network, networks+"/"+network, nil)
	if diff := cmp.Diff(before, u.pod.Inventory()); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
}

// Many at once: for the race detector, and for addresses that must not double.
func TestConcurrentPorts(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{})
	network, _ := u.lan(nil)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if status, doc, err := u.try("POST", Network, "/v2.0/ports", rest.Doc{"port": rest.Doc{"network_id": network}}); status != 201 {
				t.Errorf("POST = %d %v %v", status, doc, err)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, p := range u.pod.Objects("port") {
		for _, ip := range rest.Docs(p, "fixed_ips") {
			if seen[rest.Str(ip, "ip_address")] {
				t.Errorf("%v is used twice", ip["ip_address"])
			}
			seen[rest.Str(ip, "ip_address")] = true
		}
	}
}

func TestMicroversionPerPod(t *testing.T) {
	t.Parallel()
	_, u := start(t, Options{PodMicroversion: map[string]int{"pod1": 60}})
	if status, _, _ := u.try("GET", Compute, "/v2.1/servers", nil); status != http.StatusNotAcceptable {
		t.Errorf("2.93 on a pod with 2.60 = %d", status)
	}
}

func TestWriteCloudsAndClose(t *testing.T) {
	t.Parallel()
	c, err := Start(Options{Pods: []string{"north"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteClouds(filepath.Join(t.TempDir(), "sub", "clouds.yaml")); err != nil {
		t.Error(err)
	}
	if got := c.Pod("north").Region; got != "North" {
		t.Errorf("region = %q", got)
	}
	c.Pod("north").Fault(Fault{Hang: true})
	c.Close()
	c.Close()
}
