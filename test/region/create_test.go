package region_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// brisk gives pods little time.
func brisk(c *config.Config) {
	c.Pods.Timeout, c.Pods.ListTimeout = 500*time.Millisecond, 500*time.Millisecond
}

// ways are how a pod spoils a call.
var ways = map[string]podtest.Fault{
	"hangs": {Hang: true}, "answers 500": {Status: 500}, "answers garbage": {Garbage: true}, "loses the reply": {DropReply: true},
	"refuses connections": {DropRequest: true}, // from then on: see createSpoilt
}

// TestEachCallOfACreationFails spoils, in each way, each call that the first
// server on a network costs its pod. The client reads which pod failed at what;
// in the end pod and region agree on one server or none, nothing is doubled and
// nothing left behind.
func TestEachCallOfACreationFails(t *testing.T) {
	t.Parallel()
	calls := createSpoilt(t, podtest.Fault{Nth: -1})
	if calls < 9 {
		t.Fatalf("a creation costs %d calls, want at least 9: image, flavor, network, subnet, ports, DHCP, group, server", calls)
	}
	// The cases mostly wait, so more of them run at once than there are processors.
	slots := make(chan struct{}, spoiltAtOnce)
	var wg sync.WaitGroup
	for i, way := range slices.Sorted(maps.Keys(ways)) {
		for nth := range calls {
			if !everyWay && nth%len(ways) != i {
				continue
			}
			fault := ways[way]
			fault.Nth = nth + 1
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				t.Run(fmt.Sprint(way, " at call ", fault.Nth), func(t *testing.T) { createSpoilt(t, fault) })
			})
		}
	}
	wg.Wait()
}

// createSpoilt tells how many calls the creation took.
func createSpoilt(t *testing.T, fault podtest.Fault) (calls int) {
	t.Helper()
	r := newRegion(t, setup{config: brisk, clouds: podtest.Options{Pods: []string{"pod1"}}})
	demo, pod1 := r.as("demo"), r.pod("pod1")
	blue, _ := demo.network("blue", "10.1.0.0/24")
	demo.create(on("nowhere")).want(t, 400) // warms what is asked once in a while
	pod1.ResetCalls()
	var down sync.WaitGroup // the call is cut before all services are down
	if fault.DropRequest {
		down.Add(1)
		fault.Before = func(*http.Request) { defer down.Done(); pod1.Down() }
	}
	if fault.Nth > 0 {
		pod1.Fault(fault) // to stay: a call that hangs would do its work after all when it is lifted
	}
	got := demo.create(on(blue))
	calls = len(pod1.Calls())
	down.Wait()
	pod1.Up()
	switch got.status {
	case 202:
	case 503, 504:
		checkFailure(t, got)
		if said := got.message(); fault.Hang && !strings.Contains(said, "no answer within 500ms") {
			t.Errorf("message %q, want pods.timeout in it", said)
		}
	default:
		t.Errorf("%d %s, want 202, 503 or 504", got.status, got.body)
	}
	r.settled()
	inPod, known := pod1.Inventory()["server"], demo.servers()
	if !slices.Equal(inPod, known) || len(known) > 1 || got.status == 202 && len(known) != 1 {
		t.Errorf("answer %d; servers in the pod %v, in the region %v, want the same one or none", got.status, inPod, known)
	}
	demo.remove(known...)
	demo.drop(blue)
	r.clean()
	return calls
}

// checkFailure holds an error to Nova's shape and to what a user needs of it:
// the pod, the operation, a request ID to ask the operator about.
func checkFailure(t *testing.T, got reply) {
	t.Helper()
	name := map[int]string{503: "serviceUnavailable", 504: "computeFault"}[got.status]
	said := got.get(name + ".message").Str
	if !strings.HasPrefix(said, "pod pod1: ") && !strings.Contains(said, "pod1") || !strings.Contains(said, "cannot ") && !strings.Contains(said, "create server") {
		t.Errorf("message %q of %s, want pod and operation", said, got.body)
	}
	if got.get(name+".code").Int() != int64(got.status) || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
		t.Errorf("%s %s, want Nova's shape for %d", got.header.Get("Content-Type"), got.body, got.status)
	}
	checkRequestID(t, got)
}

// checkRequestID wants our own request ID, under both names that Nova gives it.
func checkRequestID(t *testing.T, got reply) {
	t.Helper()
	// Nova's own header may name the request in the pod that answered.
	for _, name := range []string{"X-Openstack-Request-Id", "X-Compute-Request-Id"} {
		id := got.header.Get(name)
		if len(id) != len("req-84181aed-ab10-46f3-8dc5-4832dc2fc220") || !strings.HasPrefix(id, "req-") {
			t.Errorf("%s = %q, want req- and a UUID", name, id)
		}
	}
}

// TestTwoHundredAtOnce: two hundred creations at once on a fresh network in one
// pod share what is made for the network there.
func TestTwoHundredAtOnce(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{clouds: podtest.Options{Pods: []string{"pod1"}}, config: func(c *config.Config) { c.Pods.Concurrency = 256 }})
	demo := r.as("demo")
	blue, _ := demo.network("blue", "10.1.0.0/16")
	replies := make([]reply, crowd)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() {
			var err error
			if replies[i], err = demo.try(t.Context(), "POST", compute+"/servers", server(on(blue))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ids, addresses := map[string]bool{}, map[string]bool{}
	for _, a := range replies {
		ids[a.want(t, 202).get("server.id").Str] = true
	}
	// A server whose record came too late is recorded by its intent's job.
	eventually(t, "all servers have their ports", func() string {
		ports := demo.do("GET", network+"/ports?device_owner=compute:az1&network_id="+blue, nil).want(t, 200).get("ports").Array()
		for _, p := range ports {
			addresses[p.Get("fixed_ips.0.ip_address").Str] = true
		}
		if len(ports) < crowd {
			return fmt.Sprintf("%d of %d", len(ports), crowd)
		}
		return ""
	})
	inPod := r.inventory()["pod1"]
	reserved := 0
	for _, p := range r.pod("pod1").Objects("port") {
		if p["device_owner"] == "network:dhcp" {
			reserved++
		}
	}
	got := m{"servers": len(ids), "listed": len(demo.servers()), "addresses": len(addresses), "pod's servers": len(inPod["server"]),
		"pod's networks": len(inPod["network"]), "pod's subnets": len(inPod["subnet"]), "pod's ports": len(inPod["port"]), "of DHCP": reserved}
	want := m{"servers": crowd, "listed": crowd, "addresses": crowd, "pod's servers": crowd,
		"pod's networks": 1, "pod's subnets": 1, "pod's ports": crowd + 1, "of DHCP": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	for id := range ids {
		wg.Go(func() {
			if got, err := demo.try(t.Context(), "DELETE", compute+"/servers/"+id, nil); err != nil || got.status != 204 {
				t.Errorf("deletion: %d %s %v", got.status, got.body, err)
			}
		})
	}
	wg.Wait()
	eventually(t, "all servers are gone", func() string { return strings.Join(demo.servers(), " ") })
	demo.drop(blue)
	r.clean()
}

// podNetwork is a pod's ID of a network.
func (r *region) podNetwork(pod, id string) any {
	r.t.Helper()
	return r.as("admin").do("GET", "/admin/v1/resources/"+id, nil).want(r.t, 200).get(`resource.places.#(pod=="` + pod + `")`).Get("pod_id").Str
}

// TestDHCPPortsAreOurs: however fast a pod's agents are, a network has one DHCP
// port per agent there, at the addresses that the region has reserved.
func TestDHCPPortsAreOurs(t *testing.T) {
	t.Parallel()
	for _, greedy := range []bool{false, true} {
		t.Run(fmt.Sprint("greedy ", greedy), func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, setup{clouds: podtest.Options{DHCPAgents: 2}, dhcpPorts: 2})
			r.pod("pod1").GreedyDHCP(greedy)
			demo := r.as("demo")
			for i := range 5 {
				blue, _ := demo.network("blue", "10.1.0.0/24")
				id := demo.boot(on(blue))
				r.pod("pod1").Settle()
				want := demo.addresses(blue, "network:dhcp")
				var got []string
				for _, p := range r.pod("pod1").Objects("port") {
					if p["network_id"] == r.podNetwork("pod1", blue) && p["device_owner"] == "network:dhcp" {
						got = append(got, gjson.Get(mustJSON(t, p), "fixed_ips.0.ip_address").Str)
					}
				}
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" || len(got) != 2 {
					t.Fatalf("round %d: DHCP ports in the pod (-reserved +there):\n%s", i, diff)
				}
				demo.remove(id)
				demo.drop(blue)
			}
			r.clean()
		})
	}
}
