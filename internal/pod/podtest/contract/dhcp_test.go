package contract

import (
	"strings"
	"testing"
)

// dhcpPorts lists the DHCP ports of a network.
func (w *world) dhcpPorts(t *testing.T, network doc) []doc {
	t.Helper()
	return w.admin.network(t, "GET", "/ports?device_owner=network:dhcp&network_id="+network["id"].(string), nil).want(t, 200).docs("ports")
}

// claimed says whether an agent has the port.
func claimed(p doc, network doc) bool {
	device, _ := p["device_id"].(string)
	return strings.HasPrefix(device, "dhcp") && strings.HasSuffix(device, "-"+network["id"].(string))
}

// reserve makes a reserved DHCP port with the address.
func (w *world) reserve(t *testing.T, network, subnet doc, ip string) doc {
	t.Helper()
	return w.admin.network(t, "POST", "/ports", doc{"port": doc{
		"network_id": network["id"], "project_id": network["project_id"], "device_owner": "network:dhcp", "device_id": "reserved_dhcp_port",
		"fixed_ips": at(subnet, ip), "description": "tricircle:port:" + random(8),
	}}).want(t, 201).body["port"].(doc)
}

func (w *world) setDHCP(t *testing.T, subnet doc, on bool) {
	t.Helper()
	w.admin.network(t, "PUT", "/subnets/"+subnet["id"].(string), doc{"subnet": doc{"enable_dhcp": on}}).want(t, 200)
}

var dhcpChecks = []check{
	{"an agent claims the reserved port, with a pool of one", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		want := w.reserve(t, n, sub, w.ip(1, 2))
		w.setDHCP(t, sub, true)
		eventually(t, "the port is claimed", func() bool {
			list := w.dhcpPorts(t, n)
			if len(list) != 1 || list[0]["id"] != want["id"] {
				t.Fatalf("DHCP ports = %v, want just %v", list, want["id"])
			}
			return claimed(list[0], n)
		})
		got := w.dhcpPorts(t, n)[0]
		if addresses(got)[0] != w.ip(1, 2) || got["mac_address"] != want["mac_address"] || got["description"] != want["description"] {
			t.Errorf("claimed port = %v, was %v", got, want)
		}
		w.stays(t, "one DHCP port", func() bool { return len(w.dhcpPorts(t, n)) == 1 })
	}},
	{"the reserved port's address may be outside of the pools", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 9), w.ip(1, 9))})
		w.reserve(t, n, sub, w.ip(1, 200))
		w.setDHCP(t, sub, true)
		eventually(t, "the port is claimed", func() bool { list := w.dhcpPorts(t, n); return len(list) == 1 && claimed(list[0], n) })
		if got := addresses(w.dhcpPorts(t, n)[0]); len(got) != 1 || got[0] != w.ip(1, 200) {
			t.Errorf("address = %v", got)
		}
	}},
	{"without a reserved port the agent makes its own, out of the pools", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "enable_dhcp": true, "allocation_pools": pools(w.ip(1, 9), w.ip(1, 9))})
		eventually(t, "the agent has a port", func() bool { list := w.dhcpPorts(t, n); return len(list) == 1 && claimed(list[0], n) })
		got := w.dhcpPorts(t, n)[0]
		if addresses(got)[0] != w.ip(1, 9) || got["project_id"] != w.demo.project {
			t.Errorf("port = %v", got)
		}
	}},
	{"without DHCP nobody claims anything", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project})
		w.reserve(t, n, sub, w.ip(1, 2))
		w.stays(t, "reserved", func() bool { return w.dhcpPorts(t, n)[0]["device_id"] == "reserved_dhcp_port" })
	}},
	{"a claimed port covers a second subnet too", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		one := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		w.reserve(t, n, one, w.ip(1, 2))
		w.setDHCP(t, one, true)
		eventually(t, "claimed", func() bool { return claimed(w.dhcpPorts(t, n)[0], n) })
		two := makeSubnet(t, w.admin, n, doc{"cidr": w.net(2), "project_id": w.demo.project, "allocation_pools": pools(w.ip(2, 2), w.ip(2, 2))})
		id := w.dhcpPorts(t, n)[0]["id"].(string)
		both := append(at(one, w.ip(1, 2)), at(two, w.ip(2, 3))...)
		w.admin.network(t, "PUT", "/ports/"+id, doc{"port": doc{"fixed_ips": both}}).want(t, 200)
		w.setDHCP(t, two, true)
		covered := func() bool {
			list := w.dhcpPorts(t, n)
			return len(list) == 1 && len(addresses(list[0])) == 2
		}
		eventually(t, "both subnets", covered) // the agent may have acted in between
		w.stays(t, "both subnets", covered)
		if got := addresses(w.dhcpPorts(t, n)[0]); got[0] != w.ip(1, 2) && got[1] != w.ip(1, 2) {
			t.Errorf("addresses = %v", got)
		}
	}},
	{"DHCP off: the agent gives its port back", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project})
		w.reserve(t, n, sub, w.ip(1, 2))
		w.setDHCP(t, sub, true)
		eventually(t, "claimed", func() bool { return claimed(w.dhcpPorts(t, n)[0], n) })
		w.setDHCP(t, sub, false)
		eventually(t, "gone", func() bool { return len(w.dhcpPorts(t, n)) == 0 })
	}},
	{"a deleted port is made again", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		old := w.reserve(t, n, sub, w.ip(1, 2))
		w.setDHCP(t, sub, true)
		eventually(t, "claimed", func() bool { return claimed(w.dhcpPorts(t, n)[0], n) })
		w.admin.network(t, "DELETE", "/ports/"+old["id"].(string), nil).want(t, 204)
		eventually(t, "another", func() bool {
			list := w.dhcpPorts(t, n)
			return len(list) == 1 && list[0]["id"] != old["id"] && claimed(list[0], n)
		})
	}},
	{"the network's agents", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project})
		w.reserve(t, n, sub, w.ip(1, 2))
		w.setDHCP(t, sub, true)
		eventually(t, "claimed", func() bool { return claimed(w.dhcpPorts(t, n)[0], n) })
		list := w.admin.network(t, "GET", "/networks/"+n["id"].(string)+"/dhcp-agents", nil).want(t, 200).docs("agents")
		if len(list) != 1 || list[0]["agent_type"] != "DHCP agent" {
			t.Errorf("agents = %v", list)
		}
	}},
}
