package contract

import (
	"slices"
	"testing"
)

// six is what makes a subnet with an IPv6 mode.
func six(cidr, mode string, more doc) doc {
	return with(doc{"ip_version": 6, "cidr": cidr, "ipv6_ra_mode": mode, "ipv6_address_mode": mode, "enable_dhcp": true}, more)
}

var addressChecks = []check{
	{"an address that follows from the MAC comes by itself and cannot be named", func(t *testing.T, w *world) {
		for _, mode := range []string{"slaac", "dhcpv6-stateless"} {
			n := makeNetwork(t, w.demo, nil)
			before := makePort(t, w.admin, n, doc{"mac_address": "fa:16:3e:00:11:22", "fixed_ips": []doc{}})
			sub := makeSubnet(t, w.demo, n, six("fd00:77::/64", mode, doc{"allocation_pools": pools("fd00:77::5", "fd00:77::5")}))
			if sub["gateway_ip"] != "fd00:77::" {
				t.Errorf("%s: gateway = %v", mode, sub["gateway_ip"])
			}
			path := "/ports/" + before["id"].(string)
			if got := addresses(w.admin.network(t, "GET", path, nil).want(t, 200).body["port"].(doc)); !slices.Equal(got, []string{"fd00:77::f816:3eff:fe00:1122"}) {
				t.Errorf("%s: the port that was there has %v", mode, got)
			}
			bySubnet := makePort(t, w.admin, n, doc{"mac_address": "fa:16:3e:00:11:33", "fixed_ips": []doc{{"subnet_id": sub["id"]}}})
			if got := addresses(bySubnet); !slices.Equal(got, []string{"fd00:77::f816:3eff:fe00:1133"}) {
				t.Errorf("%s: a new port has %v", mode, got)
			}
			w.admin.network(t, "PUT", path, doc{"port": doc{"fixed_ips": []doc{{"subnet_id": sub["id"]}}}}).want(t, 200)
			w.admin.network(t, "POST", "/ports", doc{"port": doc{"network_id": n["id"], "fixed_ips": at(sub, "fd00:77::9")}}).
				fails(t, 400, "AllocationOnAutoAddressSubnet", "IPv6 address fd00:77::9 cannot be directly assigned to a port on subnet "+
					sub["id"].(string)+" as the subnet is configured for automatic addresses")
		}
	}},
	{"a subnet with a mode cannot be without DHCP", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		in := six("fd00:77::/64", "slaac", doc{"network_id": n["id"], "enable_dhcp": false})
		w.demo.network(t, "POST", "/subnets", doc{"subnet": in}).fails(t, 400, "InvalidInput",
			"Invalid input for operation: ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.")
	}},
	{"an agent takes what is in the pool of a stateful subnet, for the reserved port", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		in := doc{"network_id": n["id"], "project_id": n["project_id"], "device_owner": "network:dhcp", "device_id": "reserved_dhcp_port", "fixed_ips": []doc{}}
		reserved := w.admin.network(t, "POST", "/ports", doc{"port": in}).want(t, 201).body["port"].(doc)
		makeSubnet(t, w.admin, n, six("fd00:77::/64", "dhcpv6-stateful",
			doc{"project_id": w.demo.project, "allocation_pools": pools("fd00:77::5", "fd00:77::5")}))
		eventually(t, "the port is claimed and has the address", func() bool {
			list := w.dhcpPorts(t, n)
			if len(list) != 1 || list[0]["id"] != reserved["id"] {
				t.Fatalf("DHCP ports = %v, want just %v", list, reserved["id"])
			}
			return claimed(list[0], n) && slices.Equal(addresses(list[0]), []string{"fd00:77::5"})
		})
	}},
	{"an admin's address group in a rule of another project", func(t *testing.T, w *world) {
		w.admin.network(t, "GET", "/extensions/security-groups-remote-address-group", nil).want(t, 200)
		mark := "tricircle:group_members:" + random(8)
		g := w.admin.network(t, "POST", "/address-groups", doc{"address_group": doc{"name": "contract", "description": mark}}).want(t, 201).body["address_group"].(doc)
		path := "/address-groups/" + g["id"].(string)
		purge(t, w.admin, path)
		if list, ok := g["addresses"].([]any); !ok || len(list) != 0 || g["project_id"] != w.admin.project {
			t.Errorf("address group = %v", g)
		}
		group := makeGroup(t, w.demo)
		rule := w.admin.network(t, "POST", "/security-group-rules", doc{"security_group_rules": []doc{{"security_group_id": group["id"],
			"project_id": w.demo.project, "direction": "ingress", "ethertype": "IPv6", "remote_address_group_id": g["id"]}}}).want(t, 201).docs("security_group_rules")
		w.demo.network(t, "GET", path, nil).want(t, 404)
		w.admin.network(t, "PUT", path+"/add_addresses", doc{"addresses": []string{"192.0.2.7/32", "fd00::7/128"}}).want(t, 200)
		w.admin.network(t, "PUT", path+"/add_addresses", doc{"addresses": []string{"fd00::7/128", "fd00::8/128"}}).want(t, 400, "AddressesAlreadyExist")
		w.admin.network(t, "DELETE", path, nil).want(t, 409, "AddressGroupInUse")
		w.admin.network(t, "DELETE", "/security-group-rules/"+rule[0]["id"].(string), nil).want(t, 204)
		w.admin.network(t, "DELETE", path, nil).want(t, 204)
	}},
	{"address groups", func(t *testing.T, w *world) {
		mark := "tricircle:address_group:" + random(8)
		g := w.admin.network(t, "POST", "/address-groups", doc{"address_group": doc{"name": "contract", "project_id": w.demo.project,
			"description": mark, "addresses": []string{"192.0.2.0/24"}}}).want(t, 201).body["address_group"].(doc)
		path := "/address-groups/" + g["id"].(string)
		purge(t, w.admin, path)
		found := w.admin.network(t, "GET", "/address-groups?description="+mark, nil).want(t, 200).docs("address_groups")
		if len(found) != 1 || found[0]["id"] != g["id"] || found[0]["project_id"] != w.demo.project {
			t.Errorf("found by description: %v", found)
		}
		w.admin.network(t, "PUT", path+"/add_addresses", doc{"addresses": []string{"198.51.100.7/32"}}).want(t, 200)
		w.admin.network(t, "PUT", path+"/remove_addresses", doc{"addresses": []string{"192.0.2.0/24"}}).want(t, 200)
		r := w.admin.network(t, "PUT", path, doc{"address_group": doc{"name": "other"}}).want(t, 200)
		left := r.body["address_group"].(doc)["addresses"].([]any)
		if len(left) != 1 || left[0] != "198.51.100.7/32" || r.text("address_group", "name") != "other" {
			t.Errorf("address group = %s", r.raw)
		}
		w.admin.network(t, "PUT", path+"/remove_addresses", doc{"addresses": []string{"192.0.2.0/24"}}).want(t, 404, "AddressesNotFound")
		group := makeGroup(t, w.demo)
		rule := w.admin.network(t, "POST", "/security-group-rules", doc{"security_group_rule": doc{"security_group_id": group["id"],
			"project_id": w.demo.project, "direction": "ingress", "ethertype": "IPv4", "remote_address_group_id": g["id"]}}).want(t, 201)
		w.admin.network(t, "DELETE", path, nil).want(t, 409, "AddressGroupInUse")
		w.admin.network(t, "DELETE", "/security-group-rules/"+rule.text("security_group_rule", "id"), nil).want(t, 204)
	}},
}
