package store_test

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

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

// A port that comes into a pod, changes its address there, or leaves changes what
// the other pods know of its group's members.
func TestMembersElsewhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		sub := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		p := addPort(t, s, portSpec(n.ID))
		group := p.SecurityGroups[0] // the default one: its members let each other in
		here := store.Target{Kind: store.KindGroupMembers, ID: group, Pod: "pod1"}
		there := store.Target{Kind: store.KindGroupMembers, ID: group, Pod: "pod2"}
		if _, err := s.Want(ctx, "", here, there); err != nil {
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
			if diff := gocmp.Diff(want, got); diff != "" {
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
		_, err = s.UpdatePort(ctx, p.ID, func(spec *topology.PortSpec) error {
			spec.AllowedAddressPairs = []topology.AddressPair{{IPAddress: "192.0.2.1"}, {IPAddress: "198.51.100.7/24"}, {IPAddress: "0.0.0.0/0"}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		check("address pairs", 1, 4)
		for pod, want := range map[string]int{"pod1": 0, "pod2": 4} { // not the pair that would let everybody in
			if got, err := s.MembersElsewhere(ctx, group, pod); err != nil || len(got) != want {
				t.Errorf("elsewhere than in %s = %v, %v, want %d", pod, got, err, want)
			}
		}
		refused(t, s.DeleteSecurityGroup(ctx, group, nil), "SecurityGroupInUse")
		if err := s.DeletePort(ctx, p.ID, nil); err != nil {
			t.Fatal(err)
		}
		check("gone", 1, 5)
	})
}

// The members of a group are wanted in a pod while a group there names it.
func TestMembersGoWithTheLastRule(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		groups, err := s.CreateSecurityGroups(ctx, []topology.SecurityGroup{
			{ProjectID: alice, Name: "web", Stateful: true}, {ProjectID: alice, Name: "db", Stateful: true}, {ProjectID: alice, Name: "ops", Stateful: true}})
		if err != nil {
			t.Fatal(err)
		}
		web, db, ops := groups[0].ID, groups[1].ID, groups[2].ID
		name := func(group, remote, ethertype string) topology.Rule {
			t.Helper()
			made, err := s.CreateRules(ctx, []topology.Rule{{GroupID: group, ProjectID: alice, Direction: topology.Ingress, EtherType: ethertype, RemoteGroupID: remote}})
			if err != nil {
				t.Fatal(err)
			}
			return made[0]
		}
		four, six := name(db, web, topology.IPv4), name(db, web, topology.IPv6)
		name(db, ops, topology.IPv4)
		name(ops, web, topology.IPv4)
		at := func(kind, id, pod string) store.Target { return store.Target{Kind: kind, ID: id, Pod: pod} }
		_, err = s.Want(ctx, alice, at(store.KindSecurityGroup, db, "pod1"), at(store.KindSecurityGroup, ops, "pod2"),
			at(store.KindGroupMembers, web, "pod1"), at(store.KindGroupMembers, ops, "pod1"), at(store.KindGroupMembers, web, "pod2"))
		if err != nil {
			t.Fatal(err)
		}
		check := func(step string, want ...store.Target) {
			t.Helper()
			all, err := s.ListMappings(ctx, store.MappingQuery{Kind: store.KindGroupMembers})
			if err != nil {
				t.Fatal(err)
			}
			var got []store.Target
			for _, m := range all {
				if m.Wanted {
					got = append(got, m.Target)
				}
			}
			byID := func(a, b store.Target) int { return cmp.Compare(a.ID+a.Pod, b.ID+b.Pod) }
			slices.SortFunc(got, byID)
			slices.SortFunc(want, byID)
			if !slices.Equal(got, want) {
				t.Errorf("%s: members wanted = %v, want %v", step, got, want)
			}
		}
		drop := func(r topology.Rule) {
			t.Helper()
			if err := s.DeleteRule(ctx, r.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		webIn1, opsIn1, webIn2 := at(store.KindGroupMembers, web, "pod1"), at(store.KindGroupMembers, ops, "pod1"), at(store.KindGroupMembers, web, "pod2")
		check("all", webIn1, opsIn1, webIn2)
		drop(four)
		check("one of two rules", webIn1, opsIn1, webIn2)
		drop(six)
		check("the last rule", opsIn1, webIn2)
		if err := s.DeleteSecurityGroup(ctx, db, nil); err != nil {
			t.Fatal(err)
		}
		check("the group that names", webIn2)
		if err := s.DeleteSecurityGroup(ctx, web, nil); err != nil {
			t.Fatal(err)
		}
		check("the group named")
	})
}
