package store_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// begun is a creation in pod1 with one port of its own and one of the
// user's, both wanted there with all they stand on.
func begun(t *testing.T, s *store.Store) (in store.Intent, network, group string, ports []string) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{"pod1", "pod2"} {
		_, err := s.CreatePod(ctx, store.Pod{Name: name, Region: name, Zone: "az1"})
		ok(t, err)
	}
	n, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: "demo", Name: "blue", AdminStateUp: true, PortSecurityEnabled: true, Type: topology.TypeLocal}})
	ok(t, err)
	_, err = s.CreateSubnets(ctx, []topology.SubnetSpec{{Subnet: topology.Subnet{NetworkID: n[0].ID, ProjectID: "demo", IPVersion: 4,
		CIDR: netip.MustParsePrefix("10.1.0.0/24"), EnableDHCP: true}}})
	ok(t, err)
	g, err := s.CreateSecurityGroups(ctx, []topology.SecurityGroup{{ProjectID: "demo", Name: "web", Stateful: true}})
	ok(t, err)
	spec := topology.PortSpec{Port: topology.Port{NetworkID: n[0].ID, ProjectID: "demo", AdminStateUp: true}, WantGroups: []string{g[0].ID}}
	own, err := s.CreatePorts(ctx, []topology.PortSpec{spec})
	ok(t, err)
	spec.Auto = true
	in = store.Intent{ID: "i1", Kind: store.KindServer, Pod: "pod1", ProjectID: "demo", Name: "s", Zone: "az1", Ports: []string{own[0].ID}}
	made, err := s.Begin(ctx, in, spec)
	ok(t, err)
	ports = []string{own[0].ID, made[0].ID}
	for _, id := range ports {
		want(t, s, store.KindPort, id)
	}
	want(t, s, store.KindNetwork, n[0].ID)
	want(t, s, store.KindSecurityGroup, g[0].ID)
	return in, n[0].ID, g[0].ID, ports
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s *store.Store, kind, id string) {
	t.Helper()
	_, err := s.Want(t.Context(), "demo", store.Target{Kind: kind, ID: id, Pod: "pod1"})
	ok(t, err)
}

// wanted lists the kinds of what is wanted in pod1.
func wanted(t *testing.T, s *store.Store) []string {
	t.Helper()
	all, err := s.ListMappings(t.Context(), store.MappingQuery{Pod: "pod1"})
	ok(t, err)
	kinds := []string{}
	for _, m := range all {
		if m.Wanted {
			kinds = append(kinds, m.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func TestMoveIntent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		in, _, _, ports := begun(t, s)
		before, err := s.FindPort(t.Context(), ports[1])
		ok(t, err)
		ok(t, s.MoveIntent(t.Context(), in.ID, "pod2", "az1"))
		moved, err := s.FindIntent(t.Context(), in.ID)
		ok(t, err)
		if moved.Pod != "pod2" || !cmp.Equal(moved.Ports, ports) {
			t.Errorf("moved intent = %+v, want pod2 with ports %v", moved, ports)
		}
		if left := wanted(t, s); len(left) > 0 {
			t.Errorf("still wanted in pod1: %v", left)
		}
		after, err := s.FindPort(t.Context(), ports[1])
		ok(t, err)
		if !cmp.Equal(before.FixedIPs, after.FixedIPs, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) || before.MACAddress != after.MACAddress {
			t.Errorf("the port was %v, is %v", before, after)
		}
		if err := s.MoveIntent(t.Context(), "nope", "pod2", "az1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("moving what is gone: %v", err)
		}
		if err := s.MoveIntent(t.Context(), in.ID, "pod9", "az1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("moving to no pod: %v", err)
		}
	})
}

func TestRetreat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		in, _, _, ports := begun(t, s)
		ok(t, s.Retreat(t.Context(), in.ID))
		ok(t, s.Retreat(t.Context(), in.ID)) // gone is no error
		if left := wanted(t, s); len(left) > 0 {
			t.Errorf("still wanted in pod1: %v", left)
		}
		if _, err := s.FindPort(t.Context(), ports[0]); err != nil {
			t.Errorf("the user's own port: %v", err)
		}
		if _, err := s.FindPort(t.Context(), ports[1]); !fault.Is(err, fault.NotFound) {
			t.Errorf("the port made for the server: %v, want that it is gone", err)
		}
	})
}

// TestRetreatLeavesWhatOthersNeed also holds that what was to be removed is kept
// when somebody comes to need it before it is.
func TestRetreatLeavesWhatOthersNeed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		in, network, group, _ := begun(t, s)
		spec := topology.PortSpec{Port: topology.Port{NetworkID: network, ProjectID: "demo", AdminStateUp: true}, WantGroups: []string{group}}
		other, err := s.CreatePorts(t.Context(), []topology.PortSpec{spec})
		ok(t, err)
		want(t, s, store.KindPort, other[0].ID)
		ok(t, s.Retreat(t.Context(), in.ID))
		if diff := cmp.Diff([]string{"network", "port", "security_group"}, wanted(t, s)); diff != "" {
			t.Errorf("wanted in pod1 (-want +got):\n%s", diff)
		}

		ok(t, s.Unwant(t.Context(), store.KindPort, other[0].ID))
		for _, target := range []store.Target{{Kind: store.KindNetwork, ID: network, Pod: "pod1"}, {Kind: store.KindSecurityGroup, ID: group, Pod: "pod1"}} {
			ok(t, s.Unwant(t.Context(), target.Kind, target.ID))
			m, err := s.FindMapping(t.Context(), target)
			ok(t, err)
			if needed, err := s.StillNeeded(t.Context(), m); err != nil || needed {
				t.Errorf("StillNeeded(%s) = %v, %v without a port", target.Kind, needed, err)
			}
			want(t, s, store.KindPort, other[0].ID)
			if needed, err := s.StillNeeded(t.Context(), m); err != nil || !needed {
				t.Errorf("StillNeeded(%s) = %v, %v with a port", target.Kind, needed, err)
			}
			ok(t, s.Unwant(t.Context(), store.KindPort, other[0].ID))
		}
		if diff := cmp.Diff([]string{"network", "security_group"}, wanted(t, s)); diff != "" {
			t.Errorf("wanted again (-want +got):\n%s", diff)
		}
	})
}

// TestNothingIsWantedForWhatLeaves: a port's job that has read the port before a
// retreat does not bring its network back for it.
func TestNothingIsWantedForWhatLeaves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		in, network, _, ports := begun(t, s)
		by := store.Target{Kind: store.KindPort, ID: ports[0], Pod: "pod1"}
		needed := store.Target{Kind: store.KindNetwork, ID: network, Pod: "pod1"}
		if pending, err := s.WantFor(t.Context(), by, "demo", needed); err != nil || len(pending) != 1 {
			t.Errorf("before the retreat: %v, %v, want that the network is pending", pending, err)
		}
		ok(t, s.Retreat(t.Context(), in.ID))
		for _, by := range []store.Target{by, {Kind: store.KindPort, ID: ports[1], Pod: "pod1"}, {Kind: store.KindPort, ID: "nope", Pod: "pod1"}} {
			if pending, err := s.WantFor(t.Context(), by, "demo", needed); !errors.Is(err, store.ErrGone) {
				t.Errorf("for %s: %v, %v, want ErrGone", by, pending, err)
			}
		}
		if left := wanted(t, s); len(left) > 0 {
			t.Errorf("still wanted in pod1: %v", left)
		}
	})
}

// TestForgetNetworkForgetsWhatStoodOnIt: Neutron deletes them with the network.
func TestForgetNetworkForgetsWhatStoodOnIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		in, network, _, _ := begun(t, s)
		dhcp, err := s.EnsureDHCPPorts(t.Context(), network, "pod1", 1)
		ok(t, err)
		subnets, err := s.SubnetsOf(t.Context(), network)
		ok(t, err)
		ok(t, s.Place(t.Context(), store.Target{Kind: store.KindSubnet, ID: subnets[0].ID, Pod: "pod1"}, "x", "demo"))
		ok(t, s.Place(t.Context(), store.Target{Kind: store.KindPort, ID: dhcp[0].ID, Pod: "pod1"}, "y", "demo"))
		ok(t, s.Retreat(t.Context(), in.ID))
		ok(t, s.Forget(t.Context(), store.Target{Kind: store.KindNetwork, ID: network, Pod: "pod1"}))
		for _, kind := range []string{store.KindNetwork, store.KindSubnet} {
			if left, err := s.ListMappings(t.Context(), store.MappingQuery{Kind: kind}); err != nil || len(left) > 0 {
				t.Errorf("mappings left: %v, %v", left, err)
			}
		}
		if _, err := s.FindPort(t.Context(), dhcp[0].ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the reserved port: %v, want that it is gone", err)
		}
	})
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		_, err := s.CreatePod(ctx, store.Pod{Name: "pod1", Region: "Pod1", Zone: "az1"})
		ok(t, err)
		d := store.Decision{ID: "d1", RequestID: "req-1", ProjectID: "demo", Document: []byte(`{"a":1}`)}
		ok(t, s.RecordDecision(ctx, d))
		_, err = s.Begin(ctx, store.Intent{ID: "i1", Kind: store.KindServer, Pod: "pod1", ProjectID: "demo", Zone: "az1", DecisionID: "d1"})
		ok(t, err)
		ok(t, s.Settle(ctx, "i1", store.Entry{Kind: store.KindServer, ID: "s1", Pod: "pod1", ProjectID: "demo", Zone: "az1"}))
		d.Document = []byte(`{"a":2}`)
		ok(t, s.RecordDecision(ctx, d))
		for _, id := range []string{"s1", "req-1"} {
			got, err := s.FindDecision(ctx, id)
			if err != nil || got.ID != "d1" || string(got.Document) != `{"a":2}` || !cmp.Equal(got.Servers, []string{"s1"}) {
				t.Errorf("FindDecision(%s) = %+v, %v", id, got, err)
			}
		}
		ok(t, s.PruneDecisions(ctx, time.Now().Add(time.Hour)))
		if _, err := s.FindDecision(ctx, "s1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("after pruning: %v", err)
		}
		// A creation that outlives its decision settles all the same.
		_, err = s.Begin(ctx, store.Intent{ID: "i2", Kind: store.KindServer, Pod: "pod1", ProjectID: "demo", Zone: "az1", DecisionID: "d1"})
		ok(t, err)
		ok(t, s.Settle(ctx, "i2", store.Entry{Kind: store.KindServer, ID: "s2", Pod: "pod1", ProjectID: "demo", Zone: "az1"}))
	})
}
