package store_test

import (
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// A policy that is named and deleted at the same moment is either there or not
// named.
func TestQoSPolicyNamedAndDeletedAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		nets, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: "p", Type: topology.TypeLocal}})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			made, err := s.QoSPolicies().Create(ctx, []topology.QoSPolicy{{Standard: topology.Standard{ProjectID: "p"}}})
			if err != nil {
				t.Fatal(err)
			}
			id := made[0].ID
			var wg sync.WaitGroup
			var named, deleted error
			wg.Go(func() {
				_, named = s.UpdateNetwork(ctx, nets[0].ID, func(n *topology.Network) error { n.QoSPolicyID = id; return nil })
			})
			wg.Go(func() { deleted = s.QoSPolicies().Delete(ctx, id, nil) })
			wg.Wait()
			switch {
			case named == nil && fault.Is(deleted, fault.Conflict), deleted == nil && fault.Is(named, fault.NotFound):
			default:
				t.Errorf("named: %v, deleted: %v, want just one", named, deleted)
			}
			if _, err := s.UpdateNetwork(ctx, nets[0].ID, func(n *topology.Network) error { n.QoSPolicyID = ""; return nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// One default per project, and one rule per type and direction, whoever is first.
func TestQoSAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		const n = 8
		var wg sync.WaitGroup
		errs := make([]error, 2*n)
		policy, err := s.QoSPolicies().Create(ctx, []topology.QoSPolicy{{Standard: topology.Standard{ProjectID: "other"}}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			wg.Go(func() {
				_, errs[i] = s.QoSPolicies().Create(ctx, []topology.QoSPolicy{{Standard: topology.Standard{ProjectID: "p"}, IsDefault: true}})
			})
			wg.Go(func() {
				_, errs[n+i] = s.CreateQoSRules(ctx, policy[0].ID, []topology.QoSRule{{Type: topology.QoSBandwidthLimit, Direction: topology.Egress, Value: i}})
			})
		}
		wg.Wait()
		for _, part := range [][]error{errs[:n], errs[n:]} {
			won := 0
			for _, err := range part {
				if err == nil {
					won++
				} else if !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			}
			if won != 1 {
				t.Errorf("%d of %d came through, want one", won, n)
			}
		}
	})
}
