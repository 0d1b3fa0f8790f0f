package reconcile_test

import (
	"fmt"
	"testing"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// TestBlocksAreRoutes: a pod without a network is told the blocks of those that
// have it, as they come and go.
func TestBlocksAreRoutes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRouted(t, s)
		a, both := w.network("a", "10.0.1.0/24"), w.network("both", "10.0.3.0/24")
		w.bring(both, "pod2", "pod3")
		w.bring(a, "pod1")
		w.attach(a)
		w.attach(both)
		w.settle()
		check := func(want string) {
			t.Helper()
			if got := fmt.Sprint(w.routesOf("pod1")); got != want {
				t.Errorf("pod1's routes are %s, want %s", got, want)
			}
		}
		check("[10.0.3.0/24]")
		port := func(pod string) topology.Port {
			made, err := s.CreatePorts(t.Context(), []topology.PortSpec{{Near: pod, Port: topology.Port{NetworkID: both.ID, ProjectID: w.project}}})
			if err != nil {
				t.Fatal(err)
			}
			return made[0]
		}
		p := port("pod3")
		w.settle()
		check("[10.0.3.0/24 10.0.3.0/28]")
		port("pod2") // its home has the route to all
		w.settle()
		check("[10.0.3.0/24 10.0.3.0/28]")
		if err := s.DeletePort(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReleaseBlocks(t.Context(), "pod3"); err != nil {
			t.Fatal(err)
		}
		w.settle()
		check("[10.0.3.0/24]")
	})
}
