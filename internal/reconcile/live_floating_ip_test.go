package reconcile_test

import (
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// TestFreshenFloatingIPs: the status is what the pod says, and what it said last
// while it is away.
func TestFreshenFloatingIPs(t *testing.T) {
	t.Parallel()
	w := newOutdoors(t, storetest.New(t))
	near := w.ports(w.a.ID, 1)[0]
	w.mustWant(portIn(near, "pod1"))
	f, idle := w.float(near.ID), w.float("")
	w.settle()
	status := func(f topology.FloatingIP) string {
		t.Helper()
		now, err := w.store.FindFloatingIP(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		one := []topology.FloatingIP{now}
		if err := w.FreshenFloatingIPs(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		return one[0].Status
	}
	if a, b := status(f), status(idle); a != topology.StatusActive || b != topology.StatusDown {
		t.Errorf("status %s and %s, want ACTIVE and DOWN", a, b)
	}
	w.restart() // forgets when it asked
	w.cloud.Pod("pod1").Fault(podtest.Fault{Path: "/floatingips", Delay: time.Millisecond, Status: 503})
	if got := status(f); got != topology.StatusActive {
		t.Errorf("with the pod away: %s", got)
	}
	w.lead(f, "")
	if got := status(f); got != topology.StatusDown {
		t.Errorf("leading nowhere: %s", got)
	}
}
