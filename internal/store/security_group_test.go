package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestDefaultGroup(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		got, failed := inParallel(32, func(int) (string, error) {
			g, err := s.EnsureDefaultGroup(ctx, alice)
			return g.ID, err
		})
		if len(failed) > 0 {
			t.Fatal(failed)
		}
		for _, id := range got {
			if id != got[0] {
				t.Fatalf("two default groups: %v", got)
			}
		}
		g, err := s.FindSecurityGroup(ctx, got[0])
		if err != nil || len(g.Rules) != 4 || g.Name != "default" {
			t.Errorf("group = %+v, %v, want 4 rules", g, err)
		}
		_, err = s.CreateSecurityGroups(ctx, []topology.SecurityGroup{{ProjectID: alice, Name: "default"}})
		refused(t, err, "SecurityGroupDefaultAlreadyExists")
	})
}

func TestRules(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		made, err := s.CreateSecurityGroups(ctx, []topology.SecurityGroup{{ProjectID: alice, Name: "a"}, {ProjectID: alice, Name: "b"}})
		if err != nil {
			t.Fatal(err)
		}
		a, b := made[0], made[1]
		ssh := 22
		rule := topology.Rule{GroupID: a.ID, ProjectID: alice, Direction: "ingress", EtherType: "IPv4", Protocol: "tcp", PortMin: &ssh, PortMax: &ssh}
		if _, err := s.CreateRules(ctx, []topology.Rule{rule}); err != nil {
			t.Fatal(err)
		}
		same := rule
		same.Protocol = "6"
		_, err = s.CreateRules(ctx, []topology.Rule{same})
		refused(t, err, "SecurityGroupRuleExists")
		other := rule
		other.Protocol = "udp"
		_, err = s.CreateRules(ctx, []topology.Rule{other, other})
		refused(t, err, "DuplicateSecurityGroupRuleInPost")
		other.RemoteGroupID = "none"
		_, err = s.CreateRules(ctx, []topology.Rule{other})
		refused(t, err, "SecurityGroupNotFound")
		other.RemoteGroupID = b.ID
		if _, err := s.CreateRules(ctx, []topology.Rule{other}); err != nil {
			t.Fatal(err)
		}
		// The rule that names a group goes with it.
		if err := s.DeleteSecurityGroup(ctx, b.ID, nil); err != nil {
			t.Fatal(err)
		}
		g, err := s.FindSecurityGroup(ctx, a.ID)
		if err != nil || len(g.Rules) != 3 {
			t.Errorf("group = %+v, %v, want 3 rules left", g, err)
		}
		if err := s.DeleteRule(ctx, g.Rules[0].ID, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, s.DeleteRule(ctx, g.Rules[0].ID, nil), "SecurityGroupRuleNotFound")
	})
}

// A port that comes into a pod, changes its address there, or leaves changes the
// groups elsewhere that let it in.
func TestRemoteMembersTouchGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		sub := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		p := addPort(t, s, portSpec(n.ID))
		group := p.SecurityGroups[0] // the default one: its members let each other in
		here := store.Target{Kind: store.KindSecurityGroup, ID: group, Pod: "pod1"}
		there := store.Target{Kind: store.KindSecurityGroup, ID: group, Pod: "pod2"}
		if _, err := s.Want(ctx, alice, here, there); err != nil {
			t.Fatal(err)
		}
		check := func(step string, want ...int64) {
			t.Helper()
			var got []int64
			for _, at := range []store.Target{here, there} {
				m, err := s.FindMapping(ctx, at)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, m.Generation)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: generations here and there (-want +got):\n%s", step, diff)
			}
		}
		check("before", 1, 1)
		if _, err := s.Want(ctx, alice, store.Target{Kind: store.KindPort, ID: p.ID, Pod: "pod1"}); err != nil {
			t.Fatal(err)
		}
		check("placed", 1, 2)
		_, err := s.UpdatePort(ctx, p.ID, func(spec *topology.PortSpec) error {
			spec.WantIPs = []topology.WantIP{{SubnetID: sub.ID}, {SubnetID: sub.ID}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		check("second address", 1, 3)
		members, err := s.GroupMembers(ctx, group)
		if err != nil || len(members) != 1 || len(members[0].Addresses) != 2 || members[0].Pods[0] != "pod1" {
			t.Errorf("members = %+v, %v", members, err)
		}
		refused(t, s.DeleteSecurityGroup(ctx, group, nil), "SecurityGroupInUse")
		if err := s.DeletePort(ctx, p.ID, nil); err != nil {
			t.Fatal(err)
		}
		check("gone", 1, 4)
	})
}
