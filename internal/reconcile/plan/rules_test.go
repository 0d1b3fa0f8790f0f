package plan_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/topology"
)

func defaultGroup(rules ...topology.Rule) topology.SecurityGroup {
	return topology.SecurityGroup{ID: "g", ProjectID: "p", Name: "default", Rules: append([]topology.Rule{
		{Direction: "egress", EtherType: "IPv4"},
		{Direction: "egress", EtherType: "IPv6"},
		{Direction: "ingress", EtherType: "IPv4", RemoteGroupID: "g"},
		{Direction: "ingress", EtherType: "IPv6", RemoteGroupID: "g"},
	}, rules...)}
}

func podDefaultGroup(extra ...plan.Rule) plan.Group {
	return plan.Group{ID: "pg", Name: "default", Rules: append([]plan.Rule{
		{ID: "1", Direction: "egress", EtherType: "IPv4"},
		{ID: "2", Direction: "egress", EtherType: "IPv6"},
		{ID: "3", Direction: "ingress", EtherType: "IPv4", RemoteGroupID: ptr("pg")},
		{ID: "4", Direction: "ingress", EtherType: "IPv6", RemoteGroupID: ptr("pg")},
	}, extra...)}
}

func hosts(texts ...string) (out []netip.Prefix) {
	for _, a := range addrs(texts...) {
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

func TestRules(t *testing.T) {
	t.Parallel()
	ssh := topology.Rule{Direction: "ingress", EtherType: "IPv4", Protocol: "tcp", PortMin: ptr(22), PortMax: ptr(22), RemoteIPPrefix: "192.0.2.5/24"}
	podSSH := plan.Rule{GroupID: "pg", ProjectID: "p", Description: "tricircle", Direction: "ingress", EtherType: "IPv4", Protocol: ptr("tcp"),
		PortMin: ptr(22), PortMax: ptr(22), RemotePrefix: ptr("192.0.2.5/24")}
	member := func(etherType, prefix string) plan.Rule {
		return plan.Rule{GroupID: "pg", ProjectID: "p", Description: "tricircle", Direction: "ingress", EtherType: etherType, RemotePrefix: ptr(prefix)}
	}
	membersOf := func(etherType string) plan.Rule {
		return plan.Rule{GroupID: "pg", ProjectID: "p", Description: "tricircle", Direction: "ingress", EtherType: etherType, AddressGroup: ptr("pm")}
	}
	named := topology.Rule{Direction: "ingress", EtherType: "IPv4", AddressGroupID: "a"}
	here := map[string]plan.Remote{"g": {PodGroupID: "pg"}}
	both := map[string]plan.Remote{"g": {PodGroupID: "pg", Elsewhere: hosts("10.0.0.9", "fd00::9")}}

	for _, tc := range []struct {
		name    string
		want    topology.SecurityGroup
		found   plan.Group
		remotes map[string]plan.Remote
		add     []plan.Rule
		remove  []string
	}{
		{"the pod's fresh default group is right", defaultGroup(), podDefaultGroup(), here, nil, nil},
		{"a rule is added", defaultGroup(ssh), podDefaultGroup(), here, []plan.Rule{podSSH}, nil},
		{"it is known again by number and masked prefix", defaultGroup(ssh), podDefaultGroup(plan.Rule{ID: "9", Direction: "ingress",
			EtherType: "IPv4", Protocol: ptr("6"), PortMin: ptr(22), PortMax: ptr(22), RemotePrefix: ptr("192.0.2.0/24")}), here, nil, nil},
		{"all addresses and no prefix are the same", defaultGroup(topology.Rule{Direction: "egress", EtherType: "IPv4", RemoteIPPrefix: "0.0.0.0/0"}),
			podDefaultGroup(), here, nil, nil},
		{"a rule nobody asked for goes", defaultGroup(), podDefaultGroup(plan.Rule{ID: "9", Direction: "ingress", EtherType: "IPv4"}), here, nil, []string{"9"}},
		{"members elsewhere are let in by address, each in its family", defaultGroup(), podDefaultGroup(), both,
			[]plan.Rule{member("IPv4", "10.0.0.9/32"), member("IPv6", "fd00::9/128")}, nil},
		{"and shut out when they leave", defaultGroup(), podDefaultGroup(plan.Rule{ID: "9", Direction: "ingress", EtherType: "IPv4",
			RemotePrefix: ptr("10.0.0.9/32")}), here, nil, []string{"9"}},
		{"or by the address group that they are in", defaultGroup(ssh), podDefaultGroup(), map[string]plan.Remote{"g": {PodGroupID: "pg", PodMembersID: "pm"}},
			[]plan.Rule{membersOf("IPv4"), membersOf("IPv6"), podSSH}, nil},
		{"nobody lets everybody in", defaultGroup(), podDefaultGroup(), map[string]plan.Remote{"g": {PodGroupID: "pg",
			Elsewhere: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}}, nil, nil},
		{"the same rule twice is one rule in the pod", defaultGroup(ssh, ssh), podDefaultGroup(), here, []plan.Rule{podSSH}, nil},
		{"a remote group without members here allows no one here",
			topology.SecurityGroup{ID: "g", ProjectID: "p", Rules: []topology.Rule{{Direction: "ingress", EtherType: "IPv4", RemoteGroupID: "h"}}},
			plan.Group{ID: "pg"}, map[string]plan.Remote{"h": {}}, nil, nil},
		{"an address group is the pod's", defaultGroup(named), podDefaultGroup(),
			map[string]plan.Remote{"g": {PodGroupID: "pg"}, "a": {PodAddressGroupID: "pa"}},
			[]plan.Rule{{GroupID: "pg", ProjectID: "p", Description: "tricircle", Direction: "ingress", EtherType: "IPv4", AddressGroup: ptr("pa")}}, nil},
		{"and is known again", defaultGroup(named), podDefaultGroup(plan.Rule{ID: "9", Direction: "ingress", EtherType: "IPv4", AddressGroup: ptr("pa")}),
			map[string]plan.Remote{"g": {PodGroupID: "pg"}, "a": {PodAddressGroupID: "pa"}}, nil, nil},
		{"without it nobody is let in", defaultGroup(named), podDefaultGroup(), here, nil, nil},
	} {
		add, remove := plan.Rules(tc.want, tc.found, tc.remotes)
		if diff := cmp.Diff(tc.add, add); diff != "" {
			t.Errorf("%s: add (-want +got):\n%s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.remove, remove); diff != "" {
			t.Errorf("%s: remove (-want +got):\n%s", tc.name, diff)
		}
	}
}

// Applying a plan leaves nothing to plan.
func TestRulesSettle(t *testing.T) {
	t.Parallel()
	want := defaultGroup(topology.Rule{Direction: "ingress", EtherType: "IPv4", Protocol: "icmp"})
	found := podDefaultGroup(plan.Rule{ID: "9", Direction: "ingress", EtherType: "IPv4", Protocol: ptr("udp")})
	remotes := map[string]plan.Remote{"g": {PodGroupID: "pg", Elsewhere: hosts("10.0.0.9")}}
	add, remove := plan.Rules(want, found, remotes)
	var rules []plan.Rule
	for _, r := range found.Rules {
		if len(remove) != 1 || r.ID != remove[0] {
			rules = append(rules, r)
		}
	}
	found.Rules = append(rules, add...)
	if add, remove := plan.Rules(want, found, remotes); len(add)+len(remove) != 0 {
		t.Errorf("second plan: add %v, remove %v, want nothing", add, remove)
	}
}
