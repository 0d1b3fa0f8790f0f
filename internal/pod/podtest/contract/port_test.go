package contract

import (
	"fmt"
	"testing"
)

// addresses lists a port's addresses.
func addresses(p doc) []string { return ids(docs(p, "fixed_ips"), "ip_address") }

// at is what a port is to have: an address of a subnet.
func at(subnet doc, ip string) []doc {
	return []doc{{"subnet_id": subnet["id"], "ip_address": ip}}
}

var portChecks = []check{
	{"attributes of a new port", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		sub := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		p := makePort(t, w.demo, n, nil)
		has(t, p, "id", "name", "network_id", "mac_address", "fixed_ips", "device_id", "device_owner", "status", "admin_state_up", "security_groups",
			"port_security_enabled", "allowed_address_pairs", "extra_dhcp_opts", "binding:vnic_type", "project_id", "tenant_id", "description", "tags",
			"created_at", "updated_at", "revision_number")
		hasNot(t, p, "binding:host_id", "binding:vif_type", "binding:profile", "binding:vif_details")
		if p["status"] != "DOWN" || p["device_id"] != "" || docs(p, "fixed_ips")[0]["subnet_id"] != sub["id"] || len(p["security_groups"].([]any)) != 1 {
			t.Errorf("port = %v", p)
		}
		seen := w.admin.network(t, "GET", "/ports/"+p["id"].(string), nil).want(t, 200).body["port"].(doc)
		if seen["binding:vif_type"] != "unbound" || seen["binding:host_id"] != "" {
			t.Errorf("an admin sees %v", seen)
		}
	}},
	{"MAC and address as asked, by an admin for a tenant", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		p := makePort(t, w.admin, n, doc{"project_id": w.demo.project, "mac_address": "fa:16:3e:00:11:22", "fixed_ips": at(sub, w.ip(1, 77))})
		if p["mac_address"] != "fa:16:3e:00:11:22" || addresses(p)[0] != w.ip(1, 77) {
			t.Errorf("port = %v, want an address outside of the pools", p)
		}
		mine := w.demo.network(t, "GET", "/ports/"+p["id"].(string), nil).want(t, 200).body["port"].(doc)
		group := w.demo.network(t, "GET", "/security-groups?name=default", nil).want(t, 200).docs("security_groups")[0]["id"]
		if mine["project_id"] != w.demo.project || mine["security_groups"].([]any)[0] != group {
			t.Errorf("the tenant's port %v is not in the tenant's default group %v", mine, group)
		}
	}},
	{"pool of one", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		makeSubnet(t, w.demo, n, doc{"cidr": w.net(1), "allocation_pools": pools(w.ip(1, 9), w.ip(1, 9))})
		if p := makePort(t, w.demo, n, nil); addresses(p)[0] != w.ip(1, 9) {
			t.Errorf("port = %v", p)
		}
		w.demo.network(t, "POST", "/ports", doc{"port": doc{"network_id": n["id"]}}).
			fails(t, 409, "IpAddressGenerationFailure", fmt.Sprintf("No more IP addresses available on network %s.", n["id"]))
	}},
	{"duplicate address", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		sub := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		makePort(t, w.demo, n, doc{"fixed_ips": at(sub, w.ip(1, 7))})
		w.demo.network(t, "POST", "/ports", doc{"port": doc{"network_id": n["id"], "fixed_ips": at(sub, w.ip(1, 7))}}).
			fails(t, 409, "IpAddressAlreadyAllocated", fmt.Sprintf("IP address %s already allocated in subnet %s", w.ip(1, 7), sub["id"]))
	}},
	{"duplicate MAC", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		p := makePort(t, w.demo, n, nil)
		w.demo.network(t, "POST", "/ports", doc{"port": doc{"network_id": n["id"], "mac_address": p["mac_address"]}}).fails(t, 409, "MacAddressInUse",
			fmt.Sprintf("Unable to complete operation for network %s. The mac address %s is in use.", n["id"], p["mac_address"]))
	}},
	{"refused", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		sub := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		for _, c := range []struct {
			in            doc
			status        int
			kind, message string
		}{
			{doc{"fixed_ips": at(sub, w.ip(2, 7))}, 400, "InvalidIpForSubnet", "IP address " + w.ip(2, 7) + " is not a valid IP for the specified subnet."},
			{doc{"fixed_ips": at(sub, w.ip(1, 255))}, 400, "InvalidIpForSubnet", "IP address " + w.ip(1, 255) + " is not a valid IP for the specified subnet."},
			{doc{"fixed_ips": []doc{{"ip_address": w.ip(2, 7)}}}, 400, "InvalidIpForNetwork", "IP address " + w.ip(2, 7) + " is not a valid IP for any of the subnets on the specified network."},
			{doc{"fixed_ips": []doc{{"subnet_id": nobody}}}, 404, "SubnetNotFound", "Subnet " + nobody + " could not be found."},
			{doc{"fixed_ips": []doc{{"ip_address": "bogus"}}}, 400, "HTTPBadRequest", "Invalid input for fixed_ips. Reason: 'bogus' is not a valid IP address."},
			{doc{"network_id": nobody}, 404, "NetworkNotFound", "Network " + nobody + " could not be found."},
			{doc{"mac_address": "zz"}, 400, "HTTPBadRequest", "Invalid input for mac_address. Reason: 'zz' is not a valid MAC address."},
			{doc{"security_groups": []string{nobody}}, 404, "SecurityGroupNotFound", "Security group " + nobody + " does not exist"},
			{doc{"security_groups": []string{"zz"}}, 400, "HTTPBadRequest", "Invalid input for security_groups. Reason: 'zz' is not a valid UUID."},
			{doc{"binding:vnic_type": "zz"}, 400, "HTTPBadRequest", "Invalid input for binding:vnic_type. Reason: zz is not in valid_values."},
		} {
			in := doc{"network_id": n["id"]}
			for k, v := range c.in {
				in[k] = v
			}
			w.demo.network(t, "POST", "/ports", doc{"port": in}).fails(t, c.status, c.kind, c.message)
		}
		w.demo.network(t, "POST", "/ports", doc{"port": doc{}}).
			fails(t, 400, "HTTPBadRequest", "Failed to parse request. Required attribute 'network_id' not specified")
		w.demo.network(t, "POST", "/ports", doc{"port": doc{"network_id": n["id"], "binding:host_id": "h"}}).want(t, 403, "PolicyNotAuthorized")
	}},
	{"no addresses at all", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		if p := makePort(t, w.demo, n, doc{"fixed_ips": []doc{}}); len(addresses(p)) != 0 {
			t.Errorf("port = %v", p)
		}
	}},
	{"Neutron's own devices have no port security", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		p := makePort(t, w.demo, n, doc{"device_owner": "network:dhcp"})
		if p["port_security_enabled"] != false || len(p["security_groups"].([]any)) != 0 {
			t.Errorf("port = %v", p)
		}
	}},
	{"port security and groups exclude each other", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		p := makePort(t, w.demo, n, nil)
		path := "/ports/" + p["id"].(string)
		w.demo.network(t, "PUT", path, doc{"port": doc{"port_security_enabled": false}}).fails(t, 409, "PortSecurityPortHasSecurityGroup",
			"Port has security group associated. Cannot disable port security or IP address until security group is removed.")
		r := w.demo.network(t, "PUT", path, doc{"port": doc{"port_security_enabled": false, "security_groups": []string{}}}).want(t, 200)
		if r.at("port", "port_security_enabled") != false {
			t.Errorf("port = %s", r.raw)
		}
	}},
	{"address pairs take the port's MAC", func(t *testing.T, w *world) {
		p := makePort(t, w.demo, makeNetwork(t, w.demo, nil), nil)
		r := w.demo.network(t, "PUT", "/ports/"+p["id"].(string), doc{"port": doc{"allowed_address_pairs": []doc{{"ip_address": "192.0.2.5"}}}}).want(t, 200)
		if pair := r.docs("port", "allowed_address_pairs")[0]; pair["mac_address"] != p["mac_address"] || pair["ip_address"] != "192.0.2.5" {
			t.Errorf("pair = %v", pair)
		}
	}},
	{"only admins change a MAC", func(t *testing.T, w *world) {
		p := makePort(t, w.demo, makeNetwork(t, w.demo, nil), nil)
		path, in := "/ports/"+p["id"].(string), doc{"port": doc{"mac_address": "fa:16:3e:00:00:99"}}
		w.demo.network(t, "PUT", path, in).fails(t, 403, "PolicyNotAuthorized", "(rule:update_port and rule:update_port:mac_address) is disallowed by policy")
		if r := w.admin.network(t, "PUT", path, in).want(t, 200); r.text("port", "mac_address") != "fa:16:3e:00:00:99" {
			t.Errorf("port = %s", r.raw)
		}
		w.demo.network(t, "PUT", path, doc{"port": doc{"network_id": nobody}}).fails(t, 400, "HTTPBadRequest", "Cannot update read-only attribute network_id")
	}},
	{"addresses can be changed", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		sub := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		p := makePort(t, w.demo, n, doc{"fixed_ips": at(sub, w.ip(1, 7))})
		r := w.demo.network(t, "PUT", "/ports/"+p["id"].(string), doc{"port": doc{"fixed_ips": append(at(sub, w.ip(1, 7)), at(sub, w.ip(1, 8))...)}}).want(t, 200)
		if got := r.docs("port", "fixed_ips"); len(got) != 2 {
			t.Errorf("addresses = %v", got)
		}
	}},
	{"found by address and device", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		sub := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		p := makePort(t, w.demo, n, doc{"fixed_ips": at(sub, w.ip(1, 7)), "device_id": "some-device", "device_owner": "some:owner"})
		for _, query := range []string{"fixed_ips=ip_address=" + w.ip(1, 7), "fixed_ips=subnet_id=" + sub["id"].(string), "device_id=some-device",
			"device_owner=some:owner&device_owner=other", "mac_address=" + p["mac_address"].(string), "description=&name="} {
			list := w.demo.network(t, "GET", fmt.Sprintf("/ports?network_id=%s&%s", n["id"], query), nil).want(t, 200).docs("ports")
			if len(list) != 1 || list[0]["id"] != p["id"] {
				t.Errorf("ports by %s = %v", query, list)
			}
		}
	}},
	{"the network's owner sees others' ports there", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		p := makePort(t, w.admin, n, nil)
		w.demo.network(t, "GET", "/ports/"+p["id"].(string), nil).want(t, 200)
		w.alt.network(t, "GET", "/ports/"+p["id"].(string), nil).want(t, 404)
	}},
	{"the mark is found", func(t *testing.T, w *world) {
		mark := "tricircle:port:" + random(8)
		p := makePort(t, w.demo, makeNetwork(t, w.demo, nil), doc{"description": mark})
		list := w.admin.network(t, "GET", "/ports?description="+mark, nil).want(t, 200).docs("ports")
		if len(list) != 1 || list[0]["id"] != p["id"] {
			t.Errorf("ports with the mark = %v", list)
		}
	}},
	{"DHCP options change one by one", func(t *testing.T, w *world) {
		p := makePort(t, w.demo, makeNetwork(t, w.demo, nil), doc{"extra_dhcp_opts": []doc{
			{"opt_name": "bootfile-name", "opt_value": "a"}, {"opt_name": "server-ip-address", "opt_value": "10.0.0.9"}}})
		options := func(p doc) map[string]any {
			t.Helper()
			all := map[string]any{}
			for _, o := range docs(p, "extra_dhcp_opts") {
				all[o["opt_name"].(string)] = o["opt_value"]
				if o["ip_version"] != float64(4) {
					t.Errorf("option %v, want IP version 4 unless asked otherwise", o)
				}
			}
			return all
		}
		if got := options(p); len(got) != 2 || got["bootfile-name"] != "a" {
			t.Errorf("options of the new port = %v", got)
		}
		changed := w.demo.network(t, "PUT", "/ports/"+p["id"].(string), doc{"port": doc{"extra_dhcp_opts": []doc{
			{"opt_name": "bootfile-name", "opt_value": nil}, {"opt_name": "tftp-server", "opt_value": "b"}}}}).want(t, 200).body["port"].(doc)
		if got := options(changed); len(got) != 2 || got["server-ip-address"] != "10.0.0.9" || got["tftp-server"] != "b" {
			t.Errorf("options = %v, want the one without a value gone, and those not named kept", got)
		}
	}},
}
