package store_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func anybody(string) error { return nil }

// TestRBAC walks the policies of a network and of a group through their lives, on
// both databases.
func TestRBAC(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		nets, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice, Type: topology.TypeLocal}, {ProjectID: alice, External: true, Shared: true, Type: topology.TypeLocal}})
		if err != nil {
			t.Fatal(err)
		}
		groups, err := s.CreateSecurityGroups(ctx, []topology.SecurityGroup{{ProjectID: alice, Name: "g"}})
		if err != nil {
			t.Fatal(err)
		}
		sees := func(want ...string) {
			t.Helper()
			all, err := s.ListNetworks(ctx, store.Query{ProjectID: bob, Asker: bob})
			if err != nil || len(all) != len(want) {
				t.Fatalf("bob sees %v, %v, want %v", all, err, want)
			}
		}
		sees(nets[1].ID) // once, though it is both shared and external
		made, err := s.CreateRBACPolicies(ctx, []topology.RBACPolicy{
			{ProjectID: alice, ObjectType: "network", ObjectID: nets[0].ID, Action: topology.AccessAsShared, Target: bob},
			{ProjectID: alice, ObjectType: "network", ObjectID: nets[0].ID, Action: topology.AccessAsExternal, Target: bob},
			{ProjectID: alice, ObjectType: "security_group", ObjectID: groups[0].ID, Action: topology.AccessAsShared, Target: bob},
		}, anybody)
		if err != nil {
			t.Fatal(err)
		}
		sees(nets[0].ID, nets[1].ID)
		for filter, want := range map[string]int{"true": 2, "false": 0} {
			all, err := s.ListNetworks(ctx, store.Query{ProjectID: bob, Asker: bob, Filters: map[string][]string{"shared": {filter}}})
			if err != nil || len(all) != want {
				t.Errorf("shared=%s: %v, %v", filter, all, err)
			}
		}
		if _, err := s.UpdateRBACPolicy(ctx, made[2].ID, topology.Everyone, anybody); err != nil {
			t.Fatal(err)
		}
		if g, err := s.FindSecurityGroup(ctx, groups[0].ID); err != nil || !g.Shared {
			t.Errorf("the group is %v, %v", g, err)
		}
		for _, p := range made {
			if err := s.DeleteRBACPolicy(ctx, p.ID); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteRBACPolicy(ctx, p.ID); !fault.Is(err, fault.NotFound) {
				t.Errorf("twice deleted: %v", err)
			}
		}
		sees(nets[1].ID)
		if err := s.DeleteNetwork(ctx, nets[1].ID, nil); err != nil {
			t.Fatal(err)
		}
		if left, err := s.ListRBACPolicies(ctx, store.Query{}); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// TestRBACTogether: the same policy is made once, and flag and policies agree
// whatever comes first.
func TestRBACTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		nets, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice, Type: topology.TypeLocal}})
		if err != nil {
			t.Fatal(err)
		}
		var made atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				got, err := s.CreateRBACPolicies(ctx, []topology.RBACPolicy{{ProjectID: alice, ObjectType: "network", ObjectID: nets[0].ID,
					Action: topology.AccessAsShared, Target: topology.Everyone}}, anybody)
				if fault.Is(err, fault.Conflict) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				made.Add(1)
				if err := s.DeleteRBACPolicy(ctx, got[0].ID); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				_, err := s.UpdateNetwork(ctx, nets[0].ID, func(n *topology.Network) error {
					n.Name += "x"
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n, err := s.FindNetwork(ctx, nets[0].ID); err != nil || n.Shared || made.Load() == 0 {
			t.Errorf("after %d policies, all gone: %+v, %v", made.Load(), n, err)
		}
	})
}
