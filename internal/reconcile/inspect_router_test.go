package reconcile_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestRoutersByHand: what an operator did by hand to routers and floating IPs is
// found, by looking alone, and put right.
func TestRoutersByHand(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newOutdoors(t, s)
		here, there := w.ports(w.a.ID, 1)[0], w.ports(w.b.ID, 1)[0]
		w.mustWant(portIn(here, "pod1"))
		w.mustWant(portIn(there, "pod2"))
		w.bring(w.network("c", "10.0.3.0/24"), "pod2")
		c := w.network("d", "10.0.4.0/24")
		w.attach(c)
		w.bring(c, "pod2")
		near, far, lost := w.float(here.ID), w.float(there.ID), w.float(w.ports(w.a.ID, 1)[0].ID)
		third := w.ports(w.a.ID, 1)[0]
		w.mustWant(portIn(third, "pod1"))
		w.lead(lost, third.ID)
		w.settle()
		w.inspects()

		in := func(kind, id string) string { return w.podIDOf(store.Target{Kind: kind, ID: id, Pod: "pod1"}) }
		router := in(store.KindRouter, w.router.ID)
		w.byHand("PUT", "/routers/"+router, map[string]any{"router": map[string]any{"routes": []any{}, "name": "x"}})
		w.byHand("PUT", "/floatingips/"+in(store.KindFloatingIP, far.ID), map[string]any{"floatingip": map[string]any{"port_id": nil}})
		w.byHand("DELETE", "/floatingips/"+in(store.KindFloatingIP, lost.ID), nil)
		w.byHand("PUT", "/ports/"+in(store.KindShadowPort, there.ID), map[string]any{"port": map[string]any{"name": "y"}})
		w.inspects(
			"floating_ip "+far.Address.String()+" different: fixed_ip_address port_id",
			"floating_ip "+lost.Address.String()+" missing:",
			"router x different: name routes",
			"shadow_port y different: name",
		)
		w.putRight()

		// An interface that was taken off and deleted, past the region.
		w.byHand("PUT", "/floatingips/"+in(store.KindFloatingIP, near.ID), map[string]any{"floatingip": map[string]any{"port_id": nil}})
		w.byHand("PUT", "/floatingips/"+in(store.KindFloatingIP, lost.ID), map[string]any{"floatingip": map[string]any{"port_id": nil}})
		for _, p := range w.cloud.Pod("pod1").Objects("port") {
			if p["device_id"] == router && p["network_id"] == in(store.KindNetwork, w.a.ID) {
				w.byHand("PUT", "/routers/"+router+"/remove_router_interface", map[string]any{"port_id": p["id"]})
			}
		}
		w.inspects(
			"floating_ip "+near.Address.String()+" different: fixed_ip_address port_id",
			"floating_ip "+lost.Address.String()+" different: fixed_ip_address port_id",
			"router r different: port",
		)
		w.putRight()
	})
}

// inspects compares what is found in pod1 by looking alone.
func (w *world) inspects(want ...string) {
	w.t.Helper()
	before := len(w.cloud.Pod("pod1").Calls())
	all, err := w.Inspect(w.t.Context(), "pod1")
	if err != nil {
		w.t.Fatal(err)
	}
	var found []string
	for _, d := range all {
		text := d.Kind + " " + d.Name + " " + string(d.Problem) + ":"
		for _, f := range d.Fields {
			text += " " + f.Field
		}
		found = append(found, text)
	}
	slices.Sort(found)
	slices.Sort(want)
	if diff := cmp.Diff(want, found); diff != "" {
		w.t.Errorf("found (-want +got):\n%s", diff)
	}
	for _, c := range w.cloud.Pod("pod1").Calls()[before:] {
		if c.Method != http.MethodGet {
			w.t.Errorf("to look is no change: %v", c)
		}
	}
}

// putRight has jobs put right what is found in pod1, after which nothing is.
func (w *world) putRight() {
	w.t.Helper()
	all, err := w.Inspect(w.t.Context(), "pod1")
	if err != nil {
		w.t.Fatal(err)
	}
	if n, err := w.PutRight(w.t.Context(), "pod1", all); err != nil || n != len(all) {
		w.t.Fatal(fmt.Errorf("put right %d of %d: %w", n, len(all), err))
	}
	w.settle()
	w.inspects()
}
