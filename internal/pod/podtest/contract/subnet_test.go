package contract

import (
	"fmt"
	"testing"
)

var subnetChecks = []check{
	{"attributes of a new subnet", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		d := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		has(t, d, "id", "name", "network_id", "cidr", "gateway_ip", "enable_dhcp", "allocation_pools", "dns_nameservers", "host_routes", "ip_version",
			"ipv6_ra_mode", "ipv6_address_mode", "subnetpool_id", "service_types", "project_id", "tenant_id", "description", "revision_number", "tags")
		want := fmt.Sprint(docs(doc{"p": []any{doc{"start": w.ip(1, 2), "end": w.ip(1, 254)}}}, "p"))
		if d["gateway_ip"] != w.ip(1, 1) || fmt.Sprint(docs(d, "allocation_pools")) != want {
			t.Errorf("subnet = %v", d)
		}
	}},
	{"no gateway", func(t *testing.T, w *world) {
		d := makeSubnet(t, w.demo, makeNetwork(t, w.demo, nil), doc{"cidr": w.net(1), "gateway_ip": nil})
		if d["gateway_ip"] != nil || docs(d, "allocation_pools")[0]["start"] != w.ip(1, 1) {
			t.Errorf("subnet = %v", d)
		}
	}},
	{"gateway outside of the subnet", func(t *testing.T, w *world) {
		d := makeSubnet(t, w.demo, makeNetwork(t, w.demo, nil), doc{"cidr": w.net(1), "gateway_ip": w.ip(2, 1)})
		if d["gateway_ip"] != w.ip(2, 1) || docs(d, "allocation_pools")[0]["start"] != w.ip(1, 1) {
			t.Errorf("subnet = %v", d)
		}
	}},
	{"overlap", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		cidr := w.ip(1, 0) + "/25"
		w.demo.network(t, "POST", "/subnets", doc{"subnet": doc{"network_id": n["id"], "ip_version": 4, "cidr": cidr}}).fails(t, 400, "InvalidInput", fmt.Sprintf(
			"Invalid input for operation: Requested subnet with cidr: %s for network: %s overlaps with another subnet.", cidr, n["id"]))
	}},
	{"refused", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		for _, c := range []struct {
			in            doc
			status        int
			kind, message string
		}{
			{doc{"cidr": "bogus"}, 400, "InvalidInput", "Invalid input for operation: bogus is not in a CIDR format."},
			{doc{}, 400, "BadRequest", "Bad subnets request: a subnetpool must be specified in the absence of a cidr."},
			{doc{"cidr": w.net(1), "ip_version": 6}, 400, "InvalidInput", "Invalid input for operation: cidr '" + w.net(1) + "' does not match the ip_version '6'."},
			{doc{"cidr": w.net(1), "ip_version": 5}, 400, "HTTPBadRequest", "Invalid input for ip_version. Reason: 5 is not in valid_values."},
			{doc{"cidr": w.net(1), "network_id": nobody}, 404, "NetworkNotFound", "Network " + nobody + " could not be found."},
			{doc{"cidr": w.net(1), "network_id": "zz"}, 400, "HTTPBadRequest", "Invalid input for network_id. Reason: 'zz' is not a valid UUID."},
			{doc{"cidr": w.net(1), "allocation_pools": pools(w.ip(2, 1), w.ip(2, 5))}, 400, "OutOfBoundsAllocationPool",
				fmt.Sprintf("The allocation pool %s-%s spans beyond the subnet cidr %s.", w.ip(2, 1), w.ip(2, 5), w.net(1))},
			{doc{"cidr": w.net(1), "allocation_pools": pools(w.ip(1, 1), w.ip(1, 5))}, 409, "GatewayConflictWithAllocationPools",
				fmt.Sprintf("Gateway ip %s conflicts with allocation pool %s-%s.", w.ip(1, 1), w.ip(1, 1), w.ip(1, 5))},
			{doc{"cidr": w.net(1), "allocation_pools": append(pools(w.ip(1, 2), w.ip(1, 5)), pools(w.ip(1, 4), w.ip(1, 9))...)}, 409, "OverlappingAllocationPools",
				fmt.Sprintf("Found overlapping allocation pools: %s-%s %s-%s for subnet %s.", w.ip(1, 2), w.ip(1, 5), w.ip(1, 4), w.ip(1, 9), w.net(1))},
			{doc{"cidr": w.net(1), "dns_nameservers": []string{"x"}}, 400, "HTTPBadRequest",
				"Invalid input for dns_nameservers. Reason: 'x' is not a valid nameserver. 'x' is not a valid IP address."},
		} {
			in := doc{"network_id": n["id"], "ip_version": 4}
			for k, v := range c.in {
				in[k] = v
			}
			w.demo.network(t, "POST", "/subnets", doc{"subnet": in}).fails(t, c.status, c.kind, c.message)
		}
		backwards := doc{"network_id": n["id"], "ip_version": 4, "cidr": w.net(1), "allocation_pools": pools(w.ip(1, 9), w.ip(1, 5))}
		w.demo.network(t, "POST", "/subnets", doc{"subnet": backwards}).want(t, 400, "InvalidAllocationPool", "is not valid.")
		w.demo.network(t, "POST", "/subnets", doc{"subnet": doc{"network_id": n["id"], "cidr": w.net(1)}}).
			fails(t, 400, "HTTPBadRequest", "Failed to parse request. Required attribute 'ip_version' not specified")
	}},
	{"changes", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		d := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1), "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		path := "/subnets/" + d["id"].(string)
		r := w.demo.network(t, "PUT", path, doc{"subnet": doc{
			"dns_nameservers": []string{"192.0.2.1"}, "host_routes": []doc{{"destination": "192.0.2.0/24", "nexthop": w.ip(1, 9)}},
			"allocation_pools": pools(w.ip(1, 2), w.ip(1, 20)), "name": "x", "description": "tricircle:subnet:1",
		}}).want(t, 200)
		if r.text("subnet", "name") != "x" || r.docs("subnet", "allocation_pools")[0]["end"] != w.ip(1, 20) || r.docs("subnet", "host_routes")[0]["nexthop"] != w.ip(1, 9) {
			t.Errorf("subnet = %s", r.raw)
		}
		w.demo.network(t, "PUT", path, doc{"subnet": doc{"cidr": w.net(2)}}).fails(t, 400, "HTTPBadRequest", "Cannot update read-only attribute cidr")
		w.demo.network(t, "PUT", path, doc{"subnet": doc{"gateway_ip": w.ip(1, 2)}}).fails(t, 409, "GatewayConflictWithAllocationPools",
			fmt.Sprintf("Gateway ip %s conflicts with allocation pool %s-%s.", w.ip(1, 2), w.ip(1, 2), w.ip(1, 20)))
	}},
	{"in use", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		d := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		makePort(t, w.demo, n, nil)
		w.demo.network(t, "DELETE", "/subnets/"+d["id"].(string), nil).fails(t, 409, "SubnetInUse", fmt.Sprintf(
			"Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", d["id"]))
	}},
	{"deleted under a DHCP port", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		d := makeSubnet(t, w.demo, n, doc{"cidr": w.net(1)})
		p := makePort(t, w.demo, n, doc{"device_owner": "network:dhcp", "device_id": "reserved_dhcp_port"})
		w.demo.network(t, "DELETE", "/subnets/"+d["id"].(string), nil).want(t, 204)
		if list := w.demo.network(t, "GET", "/ports/"+p["id"].(string), nil).want(t, 200).docs("port", "fixed_ips"); len(list) != 0 {
			t.Errorf("the port still has %v", list)
		}
	}},
	{"an admin's subnet without project is the admin's", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		d := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1)})
		purge(t, w.admin, "/subnets/"+d["id"].(string)) // the tenant cannot delete his own network with it: 500
		if d["project_id"] != w.admin.project {
			t.Errorf("subnet = %v", d)
		}
		if p := makePort(t, w.demo, n, nil); len(docs(p, "fixed_ips")) != 0 {
			t.Errorf("port = %v, want no address: its project does not see the subnet", p)
		}
	}},
}
