package plan_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestUpdateFloatingIP(t *testing.T) {
	t.Parallel()
	inside := netip.MustParseAddr("10.0.0.5")
	serves := topology.FloatingIP{ID: "f", PortID: "p", FixedAddress: inside}
	mark := plan.Mark("floating_ip", "f")
	refs := plan.Outside{Ports: map[string]string{"p": "pod-p"}}
	policed := refs
	policed.QoSPolicy = "pod-q"
	for name, c := range map[string]struct {
		want  topology.FloatingIP
		found plan.FloatingIP
		refs  plan.Outside
		out   plan.Changes
	}{
		"right":   {serves, plan.FloatingIP{Description: mark, PortID: "pod-p", FixedIP: "10.0.0.5"}, refs, plan.Changes{}},
		"moves":   {serves, plan.FloatingIP{Description: mark, PortID: "other", FixedIP: "10.0.0.5"}, refs, plan.Changes{"port_id": "pod-p", "fixed_ip_address": inside}},
		"address": {serves, plan.FloatingIP{Description: mark, PortID: "pod-p", FixedIP: "10.0.0.6"}, refs, plan.Changes{"port_id": "pod-p", "fixed_ip_address": inside}},
		"ends":    {topology.FloatingIP{ID: "f"}, plan.FloatingIP{Description: mark, PortID: "pod-p"}, refs, plan.Changes{"port_id": nil}},
		"a move repeats the policy": {serves, plan.FloatingIP{Description: mark, PortID: "other", FixedIP: "10.0.0.5", QoSPolicyID: "pod-q"}, policed,
			plan.Changes{"port_id": "pod-p", "fixed_ip_address": inside, "qos_policy_id": "pod-q"}},
		"policy":    {serves, plan.FloatingIP{Description: mark, PortID: "pod-p", FixedIP: "10.0.0.5"}, policed, plan.Changes{"qos_policy_id": "pod-q"}},
		"no policy": {serves, plan.FloatingIP{Description: mark, PortID: "pod-p", FixedIP: "10.0.0.5", QoSPolicyID: "pod-q"}, refs, plan.Changes{"qos_policy_id": nil}},
	} {
		if diff := cmp.Diff(c.out, plan.UpdateFloatingIP(c.want, c.found, c.refs), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: UpdateFloatingIP (-want +got):\n%s", name, diff)
		}
	}
}

func TestForwardings(t *testing.T) {
	t.Parallel()
	inside := netip.MustParseAddr("10.0.0.5")
	forward := func(outer, inner, n int) topology.PortForwarding {
		return topology.PortForwarding{PortID: "p", Address: inside, Protocol: "tcp", ExternalFirst: outer, ExternalLast: outer + n,
			InternalFirst: inner, InternalLast: inner + n}
	}
	refs := plan.Outside{Ports: map[string]string{"p": "pod-p"}}
	body := func(more map[string]any) map[string]any {
		m := map[string]any{"protocol": "tcp", "internal_port_id": "pod-p", "internal_ip_address": "10.0.0.5"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	old := plan.Forwarding{ID: "1", Protocol: "tcp", PortID: "pod-p", Address: "10.0.0.5", Internal: 22, External: 2222} // knows no ranges
	span := plan.Forwarding{ID: "2", Protocol: "tcp", PortID: "pod-p", Address: "10.0.0.5", InternalRange: "80:82", ExternalRange: "8080:8082"}
	twin := span
	twin.ID = "3"
	for name, c := range map[string]struct {
		want  []topology.PortForwarding
		found []plan.Forwarding
		add   []map[string]any
		gone  []string
	}{
		"right":   {[]topology.PortForwarding{forward(2222, 22, 0), forward(8080, 80, 2)}, []plan.Forwarding{span, old}, nil, nil},
		"new":     {[]topology.PortForwarding{forward(2222, 22, 0), forward(8080, 80, 2)}, nil, []map[string]any{body(map[string]any{"internal_port": 22, "external_port": 2222}), body(map[string]any{"internal_port_range": "80:82", "external_port_range": "8080:8082"})}, nil},
		"gone":    {nil, []plan.Forwarding{old, span}, nil, []string{"1", "2"}},
		"changed": {[]topology.PortForwarding{forward(2222, 23, 0)}, []plan.Forwarding{old}, []map[string]any{body(map[string]any{"internal_port": 23, "external_port": 2222})}, []string{"1"}},
		"twice":   {[]topology.PortForwarding{forward(8080, 80, 2)}, []plan.Forwarding{span, twin}, nil, []string{"3"}},
	} {
		add, gone := plan.Forwardings(c.want, c.found, refs)
		if diff := cmp.Diff(c.add, add) + cmp.Diff(c.gone, gone); diff != "" {
			t.Errorf("%s: Forwardings (-want +got):\n%s", name, diff)
		}
	}
}

func TestShadow(t *testing.T) {
	t.Parallel()
	p := topology.Port{ID: "p", Name: "web", ProjectID: "demo", MACAddress: "fa:16:3e:00:00:01", FixedIPs: []topology.FixedIP{
		{SubnetID: "four", Address: netip.MustParseAddr("10.0.0.5")}, {SubnetID: "six", Address: netip.MustParseAddr("fd00::5")}}}
	refs := plan.Refs{Network: "pod-n", Subnets: map[string]string{"four": "pod-four", "six": "pod-six"}}
	at := []plan.FixedIP{{SubnetID: "pod-four", Address: "10.0.0.5"}}
	want := map[string]any{"name": "web", "description": plan.Mark("shadow_port", "p"), "project_id": "demo", "network_id": "pod-n",
		"mac_address": "f2:16:3e:00:00:01", "fixed_ips": at, "port_security_enabled": false, "security_groups": []string{}}
	if diff := cmp.Diff(want, plan.NewShadow(p, refs)); diff != "" {
		t.Errorf("NewShadow (-want +got):\n%s", diff)
	}
	found := plan.Port{Name: "web", Description: plan.Mark("shadow_port", "p"), FixedIPs: append(at, plan.FixedIP{SubnetID: "pod-auto", Address: "fd00::f016:3eff:fe00:1"})}
	if c := plan.UpdateShadow(p, found, refs); len(c) > 0 {
		t.Errorf("UpdateShadow of what is right = %v", c)
	}
	found.FixedIPs = nil
	if diff := cmp.Diff(plan.Changes{"fixed_ips": at}, plan.UpdateShadow(p, found, refs)); diff != "" {
		t.Errorf("UpdateShadow (-want +got):\n%s", diff)
	}
}
