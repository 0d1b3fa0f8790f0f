package plan_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/topology"
)

func ptr[T any](v T) *T { return &v }

func addrs(ss ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range ss {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	vlan := topology.Network{ID: "n1", ProjectID: "p1", Name: "blue", AdminStateUp: true, MTU: 1500,
		PortSecurityEnabled: true, Type: topology.TypeVLAN, PhysicalNetwork: "bridge", SegmentationID: 101}
	local := vlan
	local.Type, local.PhysicalNetwork, local.SegmentationID = topology.TypeLocal, "", 0
	flat := vlan
	flat.Type, flat.SegmentationID = topology.TypeFlat, 0
	vxlan := vlan
	vxlan.Type, vxlan.PhysicalNetwork, vxlan.SegmentationID, vxlan.MTU = topology.TypeVXLAN, "", 1901, 1450

	common := func(extra map[string]any) map[string]any {
		m := map[string]any{"name": "blue", "description": "tricircle:network:n1", "project_id": "p1",
			"admin_state_up": true, "shared": false, "port_security_enabled": true}
		for k, v := range extra {
			m[k] = v
		}
		return m
	}
	for _, tc := range []struct {
		name string
		in   topology.Network
		want map[string]any
	}{
		{"vlan names its segment", vlan, common(map[string]any{"provider:network_type": "vlan",
			"provider:physical_network": "bridge", "provider:segmentation_id": 101, "mtu": 1500})},
		{"flat has no segment ID", flat, common(map[string]any{"provider:network_type": "flat",
			"provider:physical_network": "bridge", "mtu": 1500})},
		{"vxlan has no physical network", vxlan, common(map[string]any{"provider:network_type": "vxlan",
			"provider:segmentation_id": 1901, "mtu": 1450})},
		{"local leaves it all to the pod", local, common(nil)},
	} {
		if diff := cmp.Diff(tc.want, plan.NewNetwork(tc.in)); diff != "" {
			t.Errorf("%s: NewNetwork (-want +got):\n%s", tc.name, diff)
		}
	}

	found := plan.Network{ID: "x", Name: "blue", Description: "tricircle:network:n1", AdminStateUp: true, MTU: 1500, PortSecurity: true}
	if c := plan.UpdateNetwork(vlan, found); len(c) != 0 {
		t.Errorf("UpdateNetwork of a network that is right = %v, want none", c)
	}
	found.Name, found.MTU = "red", 1450
	if diff := cmp.Diff(plan.Changes{"name": "blue", "mtu": 1500}, plan.UpdateNetwork(vlan, found)); diff != "" {
		t.Errorf("UpdateNetwork (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(plan.Changes{"name": "blue"}, plan.UpdateNetwork(local, found)); diff != "" {
		t.Errorf("UpdateNetwork of a local network leaves the pod's MTU (-want +got):\n%s", diff)
	}
}

func TestSubnet(t *testing.T) {
	t.Parallel()
	s := topology.Subnet{ID: "s1", ProjectID: "p1", Name: "sub", IPVersion: 4, CIDR: netip.MustParsePrefix("10.0.0.0/24"),
		GatewayIP: netip.MustParseAddr("10.0.0.1"), EnableDHCP: true, DNSNameservers: []string{"9.9.9.9"},
		HostRoutes: []topology.HostRoute{{Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: netip.MustParseAddr("10.0.0.9")}}}
	want := map[string]any{"name": "sub", "description": "tricircle:subnet:s1", "project_id": "p1", "network_id": "pn",
		"ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "enable_dhcp": false,
		"dns_nameservers": []string{"9.9.9.9"}, "host_routes": []plan.Route{{Destination: "10.9.0.0/16", NextHop: "10.0.0.9"}},
		"allocation_pools": []plan.Range{{Start: "10.0.0.2", End: "10.0.0.2"}, {Start: "10.0.0.3", End: "10.0.0.3"}}}
	if diff := cmp.Diff(want, plan.NewSubnet(s, "pn", addrs("10.0.0.3", "10.0.0.2"))); diff != "" {
		t.Errorf("NewSubnet (-want +got):\n%s", diff)
	}
	found := plan.Subnet{ID: "x", Name: "sub", Description: "tricircle:subnet:s1", GatewayIP: ptr("10.0.0.1"),
		DNS: []string{"9.9.9.9"}, HostRoutes: []plan.Route{{Destination: "10.9.0.0/16", NextHop: "10.0.0.9"}},
		Pools: []plan.Range{{Start: "10.0.0.2", End: "10.0.0.3"}}}
	if diff := cmp.Diff(plan.Changes{"enable_dhcp": true}, plan.UpdateSubnet(s, found, addrs("10.0.0.2", "10.0.0.3"))); diff != "" {
		t.Errorf("UpdateSubnet of a fresh subnet only switches DHCP on, joined pools are the same pools (-want +got):\n%s", diff)
	}
	found.EnableDHCP = true
	if c := plan.UpdateSubnet(s, found, addrs("10.0.0.2", "10.0.0.3")); len(c) != 0 {
		t.Errorf("UpdateSubnet of a subnet that is right = %v, want none", c)
	}
	s.GatewayIP, s.EnableDHCP, s.DNSNameservers, s.HostRoutes = netip.Addr{}, false, nil, nil
	wantChanges := plan.Changes{"gateway_ip": nil, "enable_dhcp": false, "dns_nameservers": []string{},
		"host_routes": []plan.Route{}, "allocation_pools": []plan.Range{}}
	if diff := cmp.Diff(wantChanges, plan.UpdateSubnet(s, found, nil)); diff != "" {
		t.Errorf("UpdateSubnet to nothing (-want +got):\n%s", diff)
	}
	if _, ok := plan.NewSubnet(s, "pn", nil)["allocation_pools"]; ok {
		t.Error("NewSubnet without DHCP names empty pools, which Neutron takes for its default pools")
	}
	found.Pools = []plan.Range{{Start: "10.0.0.2", End: "10.0.0.254"}}
	if _, ok := plan.UpdateSubnet(s, found, nil)["allocation_pools"]; !ok {
		t.Error("UpdateSubnet leaves the default pools in a subnet without DHCP")
	}
}

func TestPort(t *testing.T) {
	t.Parallel()
	refs := plan.Refs{Network: "pn", Subnets: map[string]string{"s1": "ps", "s2": "ps2"}, Groups: map[string]string{"g1": "pg1", "g2": "pg2"}}
	p := topology.Port{ID: "p", ProjectID: "pr", Name: "nic", AdminStateUp: true, MACAddress: "fa:16:3e:00:00:01",
		FixedIPs:       []topology.FixedIP{{SubnetID: "s1", Address: netip.MustParseAddr("10.0.0.7")}, {SubnetID: "s2", Address: netip.MustParseAddr("fd00::7")}},
		SecurityGroups: []string{"g1", "g2"}, PortSecurityEnabled: true, AllowedAddressPairs: []topology.AddressPair{{IPAddress: "10.0.0.99"}}}
	want := map[string]any{"name": "nic", "description": "tricircle:port:p", "project_id": "pr", "network_id": "pn",
		"mac_address": "fa:16:3e:00:00:01", "admin_state_up": true, "port_security_enabled": true,
		"fixed_ips":             []plan.FixedIP{{SubnetID: "ps", Address: "10.0.0.7"}, {SubnetID: "ps2", Address: "fd00::7"}},
		"security_groups":       []string{"pg1", "pg2"},
		"allowed_address_pairs": []plan.Pair{{IP: "10.0.0.99"}}}
	if diff := cmp.Diff(want, plan.NewPort(p, refs)); diff != "" {
		t.Errorf("NewPort (-want +got):\n%s", diff)
	}
	found := plan.Port{ID: "x", Name: "nic", Description: "tricircle:port:p", AdminStateUp: true, MACAddress: "fa:16:3e:00:00:01",
		FixedIPs: []plan.FixedIP{{SubnetID: "ps2", Address: "fd00::7"}, {SubnetID: "ps", Address: "10.0.0.7"}},
		DeviceID: "vm", DeviceOwner: "compute:nova", Groups: []string{"pg2", "pg1"}, PortSecurity: true,
		Pairs: []plan.Pair{{MAC: "fa:16:3e:00:00:01", IP: "10.0.0.99"}}}
	if c := plan.UpdatePort(p, found, refs); len(c) != 0 {
		t.Errorf("UpdatePort of a port that is right = %v, want none", c)
	}
	p.SecurityGroups, p.Name, p.AllowedAddressPairs = []string{"g1"}, "nic2", nil
	if diff := cmp.Diff(plan.Changes{"name": "nic2", "security_groups": []string{"pg1"}, "allowed_address_pairs": []plan.Pair{}},
		plan.UpdatePort(p, found, refs)); diff != "" {
		t.Errorf("UpdatePort (-want +got):\n%s", diff)
	}

	dhcp := topology.Port{ID: "d", ProjectID: "pr", AdminStateUp: true, MACAddress: "fa:16:3e:00:00:02", DeviceOwner: topology.OwnerDHCP,
		FixedIPs: []topology.FixedIP{{SubnetID: "s1", Address: netip.MustParseAddr("10.0.0.2")}}}
	if b := plan.NewPort(dhcp, refs); b["device_id"] != "reserved_dhcp_port" || b["device_owner"] != "network:dhcp" || b["security_groups"] != nil {
		t.Errorf("NewPort of a DHCP port = %v, want one that the agent takes", b)
	}
	taken := plan.Port{ID: "x", Description: "tricircle:port:d", AdminStateUp: true, FixedIPs: []plan.FixedIP{{SubnetID: "ps", Address: "10.0.0.2"}},
		DeviceID: "dhcp1234", DeviceOwner: topology.OwnerDHCP, Name: "whatever the agent likes"}
	if c := plan.UpdatePort(dhcp, taken, refs); len(c) != 0 {
		t.Errorf("UpdatePort of a DHCP port that the agent took = %v, want none", c)
	}
}
