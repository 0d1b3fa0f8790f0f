package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// routed is a world with a router.
type routed struct {
	*world
	router topology.Router
}

func newRouted(t *testing.T, s *store.Store) *routed {
	t.Helper()
	w := &routed{world: newWorld(t, s, podtest.Options{Pods: []string{"pod1", "pod2", "pod3"}})}
	made, err := s.CreateRouters(t.Context(), []store.RouterSpec{{Router: topology.Router{ProjectID: w.project, Name: "r", AdminStateUp: true}}})
	if err != nil {
		t.Fatal(err)
	}
	w.router = made[0]
	return w
}

func (w *routed) attach(n topology.Network) {
	w.t.Helper()
	subnets, err := w.store.SubnetsOf(w.t.Context(), n.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, sub := range subnets {
		if _, err := w.store.AddSubnetInterface(w.t.Context(), w.router.ID, sub.ID); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *routed) detach(n topology.Network) {
	w.t.Helper()
	subnets, err := w.store.SubnetsOf(w.t.Context(), n.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, sub := range subnets {
		if _, err := w.store.RemoveInterface(w.t.Context(), w.router.ID, "", sub.ID); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *routed) bring(n topology.Network, pods ...string) {
	w.t.Helper()
	for _, p := range pods {
		w.mustWant(store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: p})
	}
}

// has tells what routing a pod has, by name where addresses are chosen by us.
func (w *routed) has(podName string) string {
	w.t.Helper()
	p := w.cloud.Pod(podName)
	names := map[string]string{}
	for _, n := range p.Objects("network") {
		names[n["id"].(string)], _ = n["name"].(string)
	}
	var lines []string
	for _, r := range p.Objects("router") {
		line := fmt.Sprintf("router %v", r["name"])
		var on []string
		for _, port := range p.Objects("port") {
			if port["device_id"] == r["id"] {
				on = append(on, names[port["network_id"].(string)])
			}
		}
		slices.Sort(on)
		lines = append(lines, line+" on "+strings.Join(on, " ")+fmt.Sprintf(" routes %d", len(w.routesOf(podName))))
	}
	return strings.Join(lines, "\n")
}

func (w *routed) routesOf(podName string) []string {
	var out []string
	for _, r := range w.cloud.Pod(podName).Objects("router") {
		switch all := r["routes"].(type) {
		case []any:
			for _, x := range all {
				m := x.(map[string]any)
				out = append(out, fmt.Sprint(m["destination"]))
			}
		case []map[string]any:
			for _, m := range all {
				out = append(out, fmt.Sprint(m["destination"]))
			}
		}
	}
	slices.Sort(out)
	return out
}

func (w *routed) check(podName, want string) {
	w.t.Helper()
	if got := w.has(podName); got != want {
		w.t.Errorf("%s has %q, want %q", podName, got, want)
	}
}

func TestRouter_onePod(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRouted(t, s)
		a, b := w.network("a", "10.0.1.0/24"), w.network("b", "10.0.2.0/24")
		w.attach(a)
		w.attach(b)
		w.check("pod1", "")
		w.bring(a, "pod1")
		w.bring(b, "pod1")
		w.settle()
		w.check("pod1", "router r on a b routes 0")
		w.check("pod2", "")
		w.detach(a)
		w.settle()
		w.check("pod1", "router r on b routes 0")
		w.detach(b)
		w.settle()
		w.check("pod1", "")
	})
}

func TestRouter_bridge(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRouted(t, s)
		a, b, both := w.network("a", "10.0.1.0/24"), w.network("b", "10.0.2.0/24"), w.network("both", "10.0.3.0/24")
		w.bring(a, "pod1")
		w.bring(b, "pod2")
		w.bring(both, "pod1", "pod2")
		w.attach(a)
		w.attach(b)
		w.attach(both)
		w.settle()
		w.check("pod1", "router r on a both tricircle-bridge routes 1")
		w.check("pod2", "router r on b both tricircle-bridge routes 1")
		if got := fmt.Sprint(w.routesOf("pod1"), w.routesOf("pod2")); got != "[10.0.2.0/24] [10.0.1.0/24]" {
			t.Errorf("routes are %s", got)
		}
		w.detach(b)
		w.settle()
		w.check("pod2", "router r on both tricircle-bridge routes 1")
		w.detach(both)
		w.settle()
		w.check("pod1", "router r on a routes 0")
		w.check("pod2", "")
		for _, p := range []string{"pod1", "pod2"} {
			for _, n := range w.cloud.Pod(p).Objects("network") {
				if n["name"] == topology.BridgeName {
					t.Errorf("%s has the bridge still", p)
				}
			}
		}
	})
}
