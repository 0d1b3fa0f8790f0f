package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// What outdoors looks like with a in pod1, b in pod2, and a third network in both,
// where IPv4 and IPv6 have a port each.
const (
	pod1Routing = "router r on a both both outside tricircle-bridge routes 1"
	pod2Routing = "router r on b both both tricircle-bridge routes 2"
)

// steps draw and place what pod1Routing and pod2Routing show.
func (w *outdoors) steps(both topology.Network) []func() {
	want := func(n topology.Network, pod string) func() {
		return func() {
			if _, err := w.store.Want(w.t.Context(), w.project, store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: pod}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return []func(){
		func() { w.attach(w.a) }, func() { w.attach(w.b) }, func() { w.attach(both) },
		want(w.a, "pod1"), want(w.b, "pod2"), want(both, "pod1"), want(both, "pod2"),
		func() { w.setGateway(w.external.ID) },
	}
}

// blank is an outdoors where nothing is attached yet, and a network for both pods.
func blank(t *testing.T, s *store.Store) (*outdoors, topology.Network) {
	t.Helper()
	w := newOutdoors(t, s)
	both := w.network("both", "10.0.3.0/24")
	w.subnet(both.ID, "fd00:3::/64")
	w.setGateway("")
	w.detach(w.a)
	w.detach(w.b)
	w.settle()
	return w, both
}

func (w *outdoors) undraw(both topology.Network) {
	w.t.Helper()
	w.setGateway("")
	for _, n := range []topology.Network{w.a, w.b, both} {
		w.detach(n)
	}
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	must(w.store.DeleteRouter(w.t.Context(), w.router.ID, nil))
	for _, n := range []topology.Network{w.a, w.b, both, w.external} {
		must(w.store.DeleteNetwork(w.t.Context(), n.ID, nil))
	}
}

// empty checks that no pod has anything of ours.
func (w *outdoors) empty() {
	w.t.Helper()
	for _, p := range w.cloud.Pods() {
		p.Settle()
		for _, kind := range []string{"network", "subnet", "port", "router"} {
			for _, o := range p.Objects(kind) {
				if d, _ := o["description"].(string); strings.HasPrefix(d, "tricircle:") {
					w.t.Errorf("%s is left: %s %v %s", kind, o["id"], o["name"], d)
				}
			}
		}
	}
	for _, kind := range []string{store.KindNetwork, store.KindSubnet, store.KindPort, store.KindRouter} {
		if left, err := w.store.ListMappings(w.t.Context(), store.MappingQuery{Kind: kind}); err != nil || len(left) > 0 {
			w.t.Errorf("mappings are left: %v, %v", left, err)
		}
	}
}

// In whatever order it is drawn, with jobs done between the steps or not, the pods
// come to have the same.
func TestRouter_anyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w, both := blank(t, storetest.New(t))
			dice := rand.New(rand.NewPCG(seed, 1))
			steps := w.steps(both)
			dice.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			for _, do := range steps {
				do()
				if dice.IntN(2) == 0 {
					w.settle()
				}
			}
			w.settle()
			w.routed.check("pod1", pod1Routing)
			w.routed.check("pod2", pod2Routing)
			w.undraw(both)
			w.settle()
			w.empty()
		})
	}
}

// Whichever call to a pod goes wrong, the next process brings it to the same end;
// and away again.
func TestRouter_anyCallMayFail(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]podtest.Fault{
		"reply lost": {DropReply: true}, "request lost": {DropRequest: true}, "500": {Status: 500, Body: "oops"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for nth := 1; nth < 80; nth += 6 {
				w, both := blank(t, storetest.New(t))
				fail := func() func() {
					var all []func()
					for _, p := range []string{"pod1", "pod2"} {
						one := failure
						one.Path, one.Nth, one.Times = "^/network/", nth, 1
						all = append(all, w.cloud.Pod(p).Fault(one))
					}
					return func() {
						for _, restore := range all {
							restore()
						}
					}
				}
				for _, do := range w.steps(both) {
					do()
				}
				restore := fail()
				w.settle()
				restore()
				w.restart()
				w.routed.check("pod1", pod1Routing)
				w.routed.check("pod2", pod2Routing)
				w.undraw(both)
				restore = fail()
				w.settle()
				restore()
				w.empty()
				if t.Failed() {
					t.Fatalf("with call %d failing", nth)
				}
			}
		})
	}
}

// A pod that is away all the time comes to have the same when it is back.
func TestRouter_podAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for _, away := range []string{"pod1", "pod2"} {
			if away == "pod2" {
				s = storetest.New(t)
			}
			w, both := blank(t, s)
			w.cloud.Pod(away).Down()
			for _, do := range w.steps(both) {
				do()
				w.attempt()
			}
			w.cloud.Pod(away).Up()
			w.settle()
			w.routed.check("pod1", pod1Routing)
			w.routed.check("pod2", pod2Routing)
			w.cloud.Pod(away).Down()
			w.undraw(both)
			w.attempt()
			w.cloud.Pod(away).Up()
			w.settle()
			w.empty()
		}
	})
}

// attempt does the work of all jobs once, as far as it goes.
func (w *world) attempt() {
	w.t.Helper()
	pending, err := w.store.ListMappings(w.t.Context(), store.MappingQuery{Pending: true})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range pending {
		_ = w.Ensure(w.t.Context(), m.Target, nil)
	}
}

// When the pod leaves that has the interface's own address, another takes it.
func TestRouter_homeMoves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRouted(t, s)
		both := w.network("both", "10.0.3.0/24")
		w.bring(both, "pod1", "pod2")
		w.attach(both)
		w.settle()
		if got := w.addressIn("pod1"); got != "10.0.3.1" {
			t.Errorf("pod1's router has %s, want the gateway address", got)
		}
		if got := w.addressIn("pod2"); got == "10.0.3.1" || got == "" {
			t.Errorf("pod2's router has %q, want an address of its own", got)
		}
		_, err := s.UpdatePod(t.Context(), "pod1", func(p *store.Pod) error { p.Cordoned = true; return nil })
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err = s.DeletePod(t.Context(), "pod1"); err == nil {
				break
			}
			w.attempt()
		}
		if err != nil {
			t.Fatalf("pod1 is not cleared: %v", err)
		}
		w.fleet.Changed()
		w.settle()
		w.check("pod2", "router r on both routes 0")
		if got := w.addressIn("pod2"); got != "10.0.3.1" {
			t.Errorf("pod2's router has %s, want the gateway address", got)
		}
	})
}

// addressIn is the IPv4 address of the pod's router on the network "both".
func (w *routed) addressIn(podName string) string {
	w.t.Helper()
	at := ""
	for _, p := range w.cloud.Pod(podName).Objects("port") {
		for _, ip := range fixedIPs(p["fixed_ips"]) {
			if a, _ := ip["ip_address"].(string); p["device_owner"] == topology.OwnerRouterInterface && strings.HasPrefix(a, "10.0.3.") {
				at = a
			}
		}
	}
	return at
}

// What a pod's router needs besides is no tenant's, and nothing meets the bridge.
func TestBridge_isHidden(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRouted(t, s)
		both := w.network("both", "10.0.3.0/24")
		w.bring(both, "pod1", "pod2")
		w.attach(both)
		w.settle()
		ports, err := s.ListPorts(t.Context(), store.Query{ProjectID: w.project})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(ports, func(p topology.Port) bool { return p.DeviceOwner == topology.OwnerPodRouter }) {
			t.Errorf("the tenant sees %v", ports)
		}
		nets, err := s.ListNetworks(t.Context(), store.Query{ProjectID: w.project})
		if err != nil || len(nets) != 1 {
			t.Errorf("the tenant sees %v, %v", nets, err)
		}
		if used, err := s.NetworkUsed(t.Context(), w.project); err != nil || used["network"] != 1 || used["subnet"] != 1 {
			t.Errorf("the quota counts %v, %v", used, err)
		}
		bad := w.network("bad", "100.64.3.0/24")
		subnets, err := s.SubnetsOf(t.Context(), bad.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddSubnetInterface(t.Context(), w.router.ID, subnets[0].ID); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "overlaps with cidr 100.64.0.0/20") {
			t.Errorf("a subnet that meets the bridge's is answered with %v", err)
		}
	})
}

// A change to a router with 50 networks costs a pod as much as one with two.
func TestRouter_workIsThatOfTheChange(t *testing.T) {
	t.Parallel()
	calls := func(networks int) int {
		w := newRouted(t, storetest.New(t))
		for i := range networks {
			n := w.network(fmt.Sprint("n", i), fmt.Sprintf("10.1.%d.0/24", i))
			w.attach(n)
			w.bring(n, "pod1")
		}
		one := w.network("one", "10.2.0.0/24")
		w.bring(one, "pod1", "pod2")
		w.settle()
		before := len(w.cloud.Pod("pod1").Calls()) + len(w.cloud.Pod("pod2").Calls())
		w.attach(one)
		w.settle()
		return len(w.cloud.Pod("pod1").Calls()) + len(w.cloud.Pod("pod2").Calls()) - before
	}
	few, many := calls(2), calls(50)
	if many > few+20 { // further routes on the other side go in the same call
		t.Errorf("an interface more takes %d calls with 50 networks, %d with 2", many, few)
	}
}

// An interface is taken away while its job is under way, and the process dies when
// the pod has made the port: nothing knows of that port but its mark.
func TestRouter_interfaceGoesMeanwhile(t *testing.T) {
	t.Parallel()
	w, both := blank(t, storetest.New(t))
	w.bring(w.b, "pod2")
	w.settle()
	pod2 := w.cloud.Pod("pod2")
	before := len(pod2.Objects("port"))
	pod2.Fault(podtest.Fault{Service: podtest.Network, Method: http.MethodPost, Path: `/routers$`, Times: 1,
		Before: func(*http.Request) { w.detach(w.b) }})
	pod2.Fault(podtest.Fault{Service: podtest.Network, Method: http.MethodPost, Path: `/ports$`, Times: 1, DropReply: true})
	w.attach(w.b)
	w.settle()
	w.restart()
	w.settle()
	if n := len(pod2.Objects("port")); n != before {
		t.Errorf("pod2 has %d ports, want the %d that it had: %v", n, before, pod2.Objects("port"))
	}
	for _, n := range []topology.Network{w.a, w.b, both} {
		w.attach(n)
	}
	w.undraw(both)
	w.settle()
	w.empty()
}
