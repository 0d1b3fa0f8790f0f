package compute_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// watchCreations keeps the bodies of the POSTs of servers that a pod gets.
func watchCreations(p *podtest.Pod) (bodies func() []string) {
	var mu sync.Mutex
	var seen []string
	p.Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/servers$`, Before: func(r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(raw))
	}})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func TestCreateServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	bodies := watchCreations(w.cloud.Pod("pod2"))
	n := demo.network("blue", "10.1.0.0/24")
	made := demo.do("POST", "/servers", server(m{
		"networks": []m{{"uuid": n.ID}}, "availability_zone": "az2", "metadata": m{"a": "b"}, "user_data": "eHg=",
		"config_drive": true, "description": "d", "tags": []string{"t"},
	})).want(t, 202)
	id := made.get("server.id").Str
	if got, want := made.header.Get("Location"), w.url+"/v2.1/servers/"+id; got != want {
		t.Errorf("Location = %s, want %s", got, want)
	}
	if made.get("server.adminPass").Str == "" {
		t.Errorf("no adminPass in %s", made.body)
	}
	shown := demo.do("GET", "/servers/"+id, nil).want(t, 200)
	for path, want := range map[string]string{
		"server.status": "ACTIVE", "server.metadata": `{"a": "b"}`, `server.OS-EXT-AZ:availability_zone`: "az2",
		"server.links.0.href": w.url + "/v2.1/servers/" + id, "server.links.1.href": w.url + "/servers/" + id, "server.addresses.blue.#": "1",
		"server.tags.0": "t", "server.description": "d",
	} {
		if got := shown.get(path).String(); got != want && strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s = %s, want %s", path, got, want)
		}
	}
	sent := gjson.Parse(bodies()[0]).Get("server")
	if sent.Get("availability_zone").Str != "nova" || sent.Get("networks.0.port").Str == "" || sent.Get("user_data").Str != "eHg=" || sent.Get("metadata.tricircle").Str == "" {
		t.Errorf("the pod was sent %s", sent.Raw)
	}
	ports, err := w.store.PortsByDevice(t.Context(), id)
	must(t, err)
	if len(ports) != 1 || ports[0].DeviceOwner != "compute:az2" || shown.get("server.addresses.blue.0.addr").Str != ports[0].FixedIPs[0].Address.String() {
		t.Errorf("ports = %+v, server has %s", ports, shown.get("server.addresses").Raw)
	}
	if got := w.cloud.Pod("pod1").Inventory()["network"]; len(got) != 0 {
		t.Errorf("pod1, which has no server of it, has networks %v", got)
	}
	demo.remove(t, id)
	if ports, _ := w.store.PortsByDevice(t.Context(), id); len(ports) != 0 {
		t.Errorf("after the 404 there are still ports %+v", ports)
	}
	w.drop(t, n.ID)
	w.clean(t)
}

// TestCreateForms makes a server in each way to say what it is attached to.
func TestCreateForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24", pool("10.1.0.100", "10.1.0.200"))
	port := demo.port(n.ID)
	group := demo.group("web")
	tests := []struct {
		name, version string
		fields        m
		nics          int
		address       string
	}{
		{"none", "2.93", m{}, 0, ""},
		{"auto takes the only one", "2.93", m{"networks": "auto"}, 1, ""},
		{"nothing said takes the only one", "2.1", m{"networks": nil}, 1, ""},
		{"an empty list takes the only one", "2.93", m{"networks": []m{}}, 1, ""},
		{"a network", "2.93", on(m{"uuid": n.ID}), 1, ""},
		{"the same network twice", "2.93", on(m{"uuid": n.ID}, m{"uuid": n.ID}), 2, ""},
		{"an address", "2.93", on(m{"uuid": n.ID, "fixed_ip": "10.1.0.77"}), 1, "10.1.0.77"},
		{"a port", "2.93", on(m{"port": port.ID}), 1, port.FixedIPs[0].Address.String()},
		{"a port and a tagged network", "2.93", on(m{"port": port.ID}, m{"uuid": n.ID, "tag": "x"}), 2, ""},
		{"a group by name", "2.93", m{"networks": []m{{"uuid": n.ID}}, "security_groups": []m{{"name": "web"}}}, 1, ""},
		{"a group by ID", "2.93", m{"networks": []m{{"uuid": n.ID}}, "security_groups": []m{{"name": group.ID}, {"name": "default"}}}, 1, ""},
		{"a reservation", "2.93", m{"networks": []m{{"uuid": n.ID}}, "return_reservation_id": true, "name": "a(b"}, 1, ""},
		{"a zone and a host's form of it", "2.93", m{"availability_zone": "az1"}, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := demo.at(tt.version)
			made := c.do("POST", "/servers", server(tt.fields)).want(t, 202)
			if made.get("reservation_id").Str == "" && made.get("server.id").Str == "" {
				t.Fatalf("neither server nor reservation in %s", made.body)
			}
			list := demo.do("GET", "/servers", nil).want(t, 200).get("servers").Array()
			if len(list) != 1 {
				t.Fatalf("%d servers, want 1: %v", len(list), list)
			}
			id := list[0].Get("id").Str
			ports, err := w.store.PortsByDevice(t.Context(), id)
			must(t, err)
			if len(ports) != tt.nics {
				t.Fatalf("%d ports, want %d: %+v", len(ports), tt.nics, ports)
			}
			if tt.address != "" && ports[0].FixedIPs[0].Address != netip.MustParseAddr(tt.address) {
				t.Errorf("address %v, want %s", ports[0].FixedIPs, tt.address)
			}
			if want, ok := tt.fields["security_groups"]; ok {
				if !slices.Contains(ports[0].SecurityGroups, group.ID) || len(ports[0].SecurityGroups) != len(want.([]m)) {
					t.Errorf("groups %v, want %v", ports[0].SecurityGroups, want)
				}
			}
			demo.remove(t, id)
		})
	}
	kept, err := w.store.FindPort(t.Context(), port.ID)
	must(t, err)
	if kept.DeviceID != "" {
		t.Errorf("the user's port still serves %s", kept.DeviceID)
	}
	must(t, w.store.DeletePort(t.Context(), port.ID, nil))
	w.drop(t, n.ID)
	must(t, w.store.DeleteSecurityGroup(t.Context(), group.ID, nil))
	w.clean(t)
}

// port makes a central port of the client's.
func (c *client) port(networkID string) topology.Port {
	c.t.Helper()
	made, err := c.store.CreatePorts(c.t.Context(), []topology.PortSpec{{Port: topology.Port{NetworkID: networkID, ProjectID: c.project, AdminStateUp: true}}})
	must(c.t, err)
	return made[0]
}

// group makes a security group of the client's.
func (c *client) group(name string) topology.SecurityGroup {
	c.t.Helper()
	made, err := c.store.CreateSecurityGroups(c.t.Context(), []topology.SecurityGroup{{ProjectID: c.project, Name: name, Stateful: true}})
	must(c.t, err)
	return made[0]
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt := w.as("demo"), w.as("alt")
	n := demo.network("blue", "10.1.0.0/24")
	demo.network("green", "10.2.0.0/24")
	foreign := alt.network("theirs", "10.3.0.0/24")
	foreignPort := alt.port(foreign.ID)
	bare, err := w.store.CreateNetworks(t.Context(), []topology.Network{{ProjectID: demo.project, Name: "bare", AdminStateUp: true}})
	must(t, err)
	taken := demo.port(n.ID)
	tiny := demo.network("tiny", "10.4.0.0/30") // one address beside the gateway
	tinyPort := demo.port(tiny.ID)
	used := demo.port(n.ID)
	_, err = w.store.UpdatePort(t.Context(), used.ID, func(p *topology.PortSpec) error { p.DeviceID = "something"; return nil })
	must(t, err)
	onlyInOne := w.cloud.Pod("pod1").AddImage(glance.Image{Name: "only", Properties: map[string]string{store.ImageModeProperty: "home-only"}})
	nowhere := uuid.NewString()
	demo.group("twin")
	demo.group("twin")

	tests := []struct {
		name   string
		body   any
		status int
		want   string
	}{
		{"malformed", `{`, 400, "Malformed request body"},
		{"a list", `[]`, 400, "is not of type 'object'"},
		{"no zone of that name", server(m{"availability_zone": "az9"}), 400, "The requested availability zone is not available"},
		{"a host for a plain user", server(m{"availability_zone": "az1:h"}), 403, "create:forced_host"},
		{"no such network", server(on(m{"uuid": nowhere})), 400, "Network " + nowhere + " could not be found."},
		{"a foreign network", server(on(m{"uuid": foreign.ID})), 400, "Network " + foreign.ID + " could not be found."},
		{"no such port", server(on(m{"port": nowhere})), 400, "Port id " + nowhere + " could not be found."},
		{"a foreign port", server(on(m{"port": foreignPort.ID})), 400, "Port id " + foreignPort.ID + " could not be found."},
		{"a port in use", server(on(m{"port": used.ID})), 409, "Port " + used.ID + " is still in use."},
		{"a network without a subnet", server(on(m{"uuid": bare[0].ID})), 400, "requires a subnet in order to boot instances on."},
		{"several networks and none named", server(m{"networks": "auto"}), 409, "Multiple possible networks found"},
		{"an address in use", server(on(m{"uuid": n.ID, "fixed_ip": taken.FixedIPs[0].Address.String()})), 400, "Fixed IP address " + taken.FixedIPs[0].Address.String() + " is already in use on instance"},
		{"an address of another network", server(on(m{"uuid": n.ID, "fixed_ip": "10.99.0.1"})), 400, "10.99.0.1"},
		{"no address left", server(on(m{"uuid": tiny.ID})), 400, "No fixed IP addresses available for network: " + tiny.ID},
		{"no such group", server(m{"security_groups": []m{{"name": "nope"}}}), 400, "Unable to find security_group with name or id 'nope'"},
		{"two groups of that name", server(m{"security_groups": []m{{"name": "twin"}}}), 409, "Multiple security_group matches found"},
		{"no such image", server(m{"imageRef": nowhere}), 400, nowhere},
		{"an image of the other pod", server(m{"imageRef": onlyInOne, "availability_zone": "az2"}), 400, onlyInOne},
		{"no such flavor", server(m{"flavorRef": "zz"}), 400, "zz"},
		{"no such volume", server(m{"imageRef": nil, "block_device_mapping_v2": []m{{"uuid": nowhere, "source_type": "volume", "destination_type": "volume", "boot_index": 0}}}), 400, "Volume " + nowhere + " could not be found."},
		{"no such snapshot", server(m{"imageRef": nil, "block_device_mapping_v2": []m{{"uuid": nowhere, "source_type": "snapshot", "destination_type": "volume", "boot_index": 0}}}), 400, "failed to get snapshot " + nowhere},
		{"what the pod refuses", server(m{"networks": []m{{"uuid": n.ID}}, "bogus": 1}), 400, "pod "},
		{"a key that nobody has", server(m{"networks": []m{{"uuid": n.ID}}, "key_name": "nokey"}), 400, "Invalid key_name provided."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := demo.do("POST", "/servers", tt.body)
			if got.status != tt.status || !strings.Contains(got.message(), tt.want) {
				t.Errorf("%d %s, want %d and %q", got.status, got.body, tt.status, tt.want)
			}
			if len(w.inventory()["pod1"]["server"])+len(w.inventory()["pod2"]["server"]) > 0 {
				t.Errorf("a server was made: %v", w.inventory())
			}
			auto, err := w.store.ListPorts(t.Context(), store.Query{ProjectID: demo.project})
			must(t, err)
			auto = slices.DeleteFunc(auto, func(p topology.Port) bool { return !p.Auto })
			if len(auto) > 0 {
				t.Errorf("ports are left: %+v", auto)
			}
		})
	}
	must(t, w.store.DeletePort(t.Context(), tinyPort.ID, nil))
}

func TestCreateSeveral(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}, "min_count": 3, "availability_zone": "az1"})).want(t, 202)
	list := demo.do("GET", "/servers?sort_key=display_name&sort_dir=asc", nil).want(t, 200)
	var names, ids []string
	for _, s := range list.get("servers").Array() {
		names, ids = append(names, s.Get("name").Str), append(ids, s.Get("id").Str)
	}
	if diff := cmp.Diff([]string{"web-1", "web-2", "web-3"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	demo.remove(t, ids...)

	refuse := podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/servers$`, Nth: 3, Status: 400, Body: `{"badRequest": {"code": 400, "message": "No more."}}`}
	heal := w.cloud.Pod("pod1").Fault(refuse)
	few := demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}, "min_count": 3, "availability_zone": "az1"}))
	if few.status != 400 || !strings.Contains(few.message(), "pod1") {
		t.Errorf("min_count that the pod refuses: %d %s, want 400 that names pod1", few.status, few.body)
	}
	heal()
	w.cloud.Pod("pod1").Fault(refuse)
	eventually(t, "what was made is gone", func() bool { return len(w.inventory()["pod1"]["server"]) == 0 })
	demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}, "min_count": 1, "max_count": 3, "availability_zone": "az1"})).want(t, 202)
	ids = nil
	for _, s := range demo.do("GET", "/servers", nil).want(t, 200).get("servers").Array() {
		ids = append(ids, s.Get("id").Str)
	}
	if len(ids) != 2 {
		t.Errorf("%d servers, want the 2 that the pod allows", len(ids))
	}
	demo.remove(t, ids...)
	w.drop(t, n.ID)
	w.clean(t)
}

// TestCreateAtOnce holds that many creations at once on a fresh network in one
// pod make one network, one subnet and one DHCP port there.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	const count = atOnce
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/16")
	ids := make([]string, count)
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			r, err := demo.try(t.Context(), "POST", "/servers", server(m{"name": fmt.Sprint("s", i), "networks": []m{{"uuid": n.ID}}, "availability_zone": "az1"}))
			if err != nil || r.status != 202 {
				t.Errorf("creation %d: %d %s %v", i, r.status, r.body, err)
				return
			}
			ids[i] = r.get("server.id").Str
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	w.cloud.Pod("pod1").Settle()
	got := w.inventory()["pod1"]
	counts := map[string]int{"network": len(got["network"]), "subnet": len(got["subnet"]), "server": len(got["server"]), "dhcp": 0, "port": 0}
	addresses := map[string]bool{}
	for _, p := range w.cloud.Pod("pod1").Objects("port") {
		kind := "port"
		if p["device_owner"] == "network:dhcp" {
			kind = "dhcp"
		}
		counts[kind]++
		addresses[fmt.Sprint(p["fixed_ips"])] = true
	}
	want := map[string]int{"network": 1, "subnet": 1, "dhcp": 1, "server": count, "port": count}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("in pod1 (-want +got):\n%s", diff)
	}
	if len(addresses) != count+1 {
		t.Errorf("%d different addresses, want %d", len(addresses), count+1)
	}
	demo.remove(t, ids...)
	w.drop(t, n.ID)
	w.clean(t)
}

// TestCreateClientLeaves holds that a creation goes on when its client does not
// wait for it.
func TestCreateClientLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	ctx, leave := context.WithCancel(t.Context())
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Network, Method: "POST", Path: `/networks$`, Times: 1, Before: func(*http.Request) { leave() }})
	if _, err := demo.try(ctx, "POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}, "availability_zone": "az1"})); err == nil {
		t.Fatal("the client waited")
	}
	eventually(t, "the server is there", func() bool {
		return demo.do("GET", "/servers", nil).get("servers.#").Int() == 1 && w.idle(t)
	})
	demo.remove(t, demo.do("GET", "/servers", nil).get("servers.0.id").Str)
	w.drop(t, n.ID)
	w.clean(t)
}

// TestCreateWarm counts what a server on a network that its pod has already costs
// in calls to the pod: its port, and itself.
func TestCreateWarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	demo.boot("az1", on(m{"uuid": n.ID}))
	w.cloud.Pod("pod1").Settle()
	w.cloud.Pod("pod1").ResetCalls()
	demo.boot("az1", on(m{"uuid": n.ID}))
	var got []string
	for _, c := range w.cloud.Pod("pod1").Calls() {
		got = append(got, c.Method+" "+c.Service+c.Path)
	}
	want := []string{"POST network/v2.0/ports", "POST compute/v2.1/servers"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
