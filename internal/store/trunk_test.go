package store_test

import (
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// A port that is to be a parent, twice, and somebody's subport at the same moment
// becomes one of the three, and cannot be deleted beside it.
func TestOnePortManyTrunks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		nets, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: "p", Type: topology.TypeLocal}})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			spec := topology.PortSpec{Port: topology.Port{ProjectID: "p", NetworkID: nets[0].ID}}
			ports, err := s.CreatePorts(ctx, []topology.PortSpec{spec, spec})
			if err != nil {
				t.Fatal(err)
			}
			wanted, other := ports[0].ID, ports[1].ID
			trunk := func(parent string, subports ...topology.Subport) error {
				_, err := s.Trunks().Create(ctx, []topology.Trunk{{Standard: topology.Standard{ProjectID: "p"}, AdminStateUp: true,
					PortID: parent, Subports: subports}})
				return err
			}
			errs := make([]error, 4)
			var wg sync.WaitGroup
			wg.Go(func() { errs[0] = trunk(wanted) })
			wg.Go(func() { errs[1] = trunk(wanted) })
			wg.Go(func() {
				errs[2] = trunk(other, topology.Subport{PortID: wanted, SegmentationType: topology.TypeVLAN, SegmentationID: 7})
			})
			wg.Go(func() { errs[3] = s.DeletePort(ctx, wanted, nil) })
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) {
					t.Errorf("neither made nor refused: %v", err)
				}
			}
			if won != 1 {
				t.Errorf("%d of 4 came through, want one: %v", won, errs)
			}
		}
	})
}
