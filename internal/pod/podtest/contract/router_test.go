package contract

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// makeRouter makes a router as Tricircle does: with the service account, for a
// project. After the check it is taken away with all that it is connected to.
func (w *world) makeRouter(t *testing.T) doc {
	t.Helper()
	in := doc{"name": "contract-" + random(8), "project_id": w.demo.project, "description": "tricircle:router:" + random(8), "distributed": false, "ha": false}
	d := w.admin.network(t, "POST", "/routers", doc{"router": in}).want(t, 201).body["router"].(doc)
	at := "/routers/" + d["id"].(string)
	purge(t, w.admin, at)
	admin := *w.admin
	t.Cleanup(func() { detach(t, &admin, at) })
	return d
}

// detach frees a router of routes, gateway and interfaces.
func detach(t *testing.T, c *client, at string) {
	ask := plain{t: t, c: c}
	ask.do("PUT", at, doc{"router": doc{"routes": []doc{}, "external_gateway_info": nil}})
	for _, p := range docs(ask.do("GET", "/ports?device_owner=network:router_interface&device_id="+at[len("/routers/"):], nil), "ports") {
		ask.do("PUT", at+"/remove_router_interface", doc{"port_id": p["id"]})
	}
}

// makeExternal makes an external network with a subnet without DHCP whose pool
// is one address.
func (w *world) makeExternal(t *testing.T) (network, subnet doc) {
	t.Helper()
	for range 20 {
		r := w.admin.network(t, "POST", "/networks", doc{"network": doc{
			"name": "contract-" + random(8), "router:external": true,
			"provider:network_type": "vlan", "provider:physical_network": "extern", "provider:segmentation_id": 2000 + rand.IntN(2000),
		}})
		if r.status == 409 {
			continue
		}
		network = r.want(t, 201).body["network"].(doc)
		purge(t, w.admin, "/networks/"+network["id"].(string))
		return network, makeSubnet(t, w.admin, network, doc{"cidr": w.net(1), "gateway_ip": w.ip(1, 1), "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
	}
	t.Fatal("no free VLAN")
	return nil, nil
}

// freePort is a port that a router is to take: nobody's device.
func (w *world) freePort(t *testing.T, network doc, ips ...doc) doc {
	t.Helper()
	return makePort(t, w.admin, network, doc{"project_id": w.demo.project, "device_owner": "network:router_interface", "fixed_ips": ips})
}

func routerAt(d doc) string { return "/routers/" + d["id"].(string) }

var routerChecks = []check{
	{"attributes of a new router", func(t *testing.T, w *world) {
		d := w.makeRouter(t)
		has(t, d, "id", "name", "status", "admin_state_up", "external_gateway_info", "routes", "distributed", "ha", "project_id", "tenant_id",
			"description", "flavor_id", "availability_zones", "availability_zone_hints", "tags", "revision_number", "created_at", "updated_at")
		if d["status"] != "ACTIVE" || d["external_gateway_info"] != nil || d["project_id"] != w.demo.project || d["ha"] != false {
			t.Errorf("router = %v", d)
		}
		mine := w.demo.network(t, "GET", routerAt(d), nil).want(t, 200).body["router"].(doc)
		hasNot(t, mine, "distributed", "ha")
		found := w.admin.network(t, "GET", "/routers?description="+d["description"].(string), nil).want(t, 200).docs("routers")
		if len(found) != 1 || found[0]["id"] != d["id"] {
			t.Errorf("found by its mark: %v", found)
		}
	}},
	{"a router takes a port", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		s := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "gateway_ip": w.ip(1, 7), "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		p, d := w.freePort(t, n, doc{"ip_address": w.ip(1, 9)}), w.makeRouter(t)
		add := func() *reply {
			return w.admin.network(t, "PUT", routerAt(d)+"/add_router_interface", doc{"port_id": p["id"]})
		}
		got := add().want(t, 200).body
		if got["port_id"] != p["id"] || got["subnet_id"] != s["id"] || got["id"] != d["id"] {
			t.Errorf("interface = %v", got)
		}
		is := w.admin.network(t, "GET", "/ports/"+p["id"].(string), nil).want(t, 200).body["port"].(doc)
		if is["device_id"] != d["id"] || is["device_owner"] != "network:router_interface" {
			t.Errorf("port = %v", is)
		}
		add().fails(t, 409, "PortInUse", fmt.Sprintf("Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p["id"], n["id"], d["id"]))
		w.admin.network(t, "DELETE", "/ports/"+p["id"].(string), nil).
			fails(t, 409, "ServicePortInUse", fmt.Sprintf("Port %s cannot be deleted directly via the port API: has device owner network:router_interface.", p["id"]))
		w.admin.network(t, "PUT", "/ports/"+p["id"].(string), doc{"port": doc{"fixed_ips": []doc{{"ip_address": w.ip(1, 10)}}}}).
			fails(t, 400, "BadRequest", fmt.Sprintf("Bad ports request: IP updates for port %s are not allowed.", p["id"]))
		w.admin.network(t, "DELETE", routerAt(d), nil).fails(t, 409, "RouterInUse", fmt.Sprintf("Router %s has ports still attached: %s", d["id"], p["id"]))
		w.admin.network(t, "DELETE", "/subnets/"+s["id"].(string), nil).want(t, 409, "SubnetInUse")
		w.admin.network(t, "PUT", routerAt(d)+"/remove_router_interface", doc{"port_id": p["id"]}).want(t, 200)
		w.admin.network(t, "GET", "/ports/"+p["id"].(string), nil).want(t, 404)
		w.admin.network(t, "PUT", routerAt(d)+"/remove_router_interface", doc{"port_id": p["id"]}).
			fails(t, 404, "RouterInterfaceNotFound", fmt.Sprintf("Router %s does not have an interface with id %s", d["id"], p["id"]))
		w.admin.network(t, "DELETE", routerAt(d), nil).want(t, 204)
		add().fails(t, 404, "RouterNotFound", fmt.Sprintf("Router %s could not be found", d["id"]))
	}},
	{"the gateway of a subnet stays while a router is there", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		s := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		p, d := w.freePort(t, n, doc{"ip_address": w.ip(1, 1)}), w.makeRouter(t)
		w.admin.network(t, "PUT", routerAt(d)+"/add_router_interface", doc{"port_id": p["id"]}).want(t, 200)
		move := func(to any) *reply {
			return w.admin.network(t, "PUT", "/subnets/"+s["id"].(string), doc{"subnet": doc{"gateway_ip": to}})
		}
		move(w.ip(1, 9)).fails(t, 409, "GatewayIpInUse", fmt.Sprintf("Current gateway ip %s already in use by port %s. Unable to update.", w.ip(1, 1), p["id"]))
		move(nil).want(t, 200)
		move(w.ip(1, 9)).want(t, 200)
		w.admin.network(t, "PUT", routerAt(d)+"/remove_router_interface", doc{"subnet_id": s["id"]}).want(t, 200)
		w.admin.network(t, "PUT", routerAt(d)+"/remove_router_interface", doc{"subnet_id": s["id"]}).
			fails(t, 404, "RouterInterfaceNotFoundForSubnet", fmt.Sprintf("Router %s has no interface on subnet %s", d["id"], s["id"]))
	}},
	{"a port of two IP versions, and of a subnet with a mode", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		prefix := fmt.Sprintf("fd00:%x:%x::", rand.IntN(1<<16), rand.IntN(1<<16))
		makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 2), w.ip(1, 2))})
		v6 := makeSubnet(t, w.admin, n, doc{"cidr": prefix + "/64", "ip_version": 6, "project_id": w.demo.project, "enable_dhcp": true, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"})
		p := w.freePort(t, n, doc{"ip_address": w.ip(1, 9)}, doc{"subnet_id": v6["id"], "ip_address": prefix + "9"})
		d := w.makeRouter(t)
		if ips := docs(p, "fixed_ips"); len(ips) != 2 || ips[1]["ip_address"] != prefix+"9" {
			t.Errorf("port = %v", p)
		}
		got := w.admin.network(t, "PUT", routerAt(d)+"/add_router_interface", doc{"port_id": p["id"]}).want(t, 200)
		if list, _ := got.at("subnet_ids").([]any); len(list) != 2 {
			t.Errorf("interface = %s", got.raw)
		}
	}},
	{"refused interfaces", func(t *testing.T, w *world) {
		n, other := w.makeVLAN(t, w.demo.project), w.makeVLAN(t, w.demo.project)
		s := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project})
		o := makeSubnet(t, w.admin, other, doc{"cidr": w.net(1), "project_id": w.demo.project})
		d := w.makeRouter(t)
		add := func(in doc) *reply { return w.admin.network(t, "PUT", routerAt(d)+"/add_router_interface", in) }
		add(doc{"subnet_id": s["id"]}).want(t, 200)
		add(doc{"subnet_id": s["id"]}).fails(t, 400, "BadRequest", fmt.Sprintf("Bad router request: Router already has a port on subnet %s.", s["id"]))
		add(doc{"subnet_id": o["id"]}).fails(t, 400, "BadRequest", fmt.Sprintf("Bad router request: Cidr %s of subnet %s overlaps with cidr %s of subnet %s.", w.net(1), o["id"], w.net(1), s["id"]))
		add(doc{}).fails(t, 400, "BadRequest", "Bad router request: Either subnet_id or port_id must be specified.")
		add(doc{"port_id": nobody}).fails(t, 404, "PortNotFound", "Port "+nobody+" could not be found.")
		bare := makePort(t, w.admin, other, doc{"fixed_ips": []doc{}})
		add(doc{"port_id": bare["id"]}).fails(t, 400, "BadRequest", "Bad router request: Router port must have at least one fixed IP.")
	}},
	{"routes", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		s := makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project})
		d := w.makeRouter(t)
		set := func(routes ...doc) *reply {
			return w.admin.network(t, "PUT", routerAt(d), doc{"router": doc{"routes": append([]doc{}, routes...)}})
		}
		w.admin.network(t, "PUT", routerAt(d)+"/add_router_interface", doc{"subnet_id": s["id"]}).want(t, 200)
		route := func(i int, via string) doc {
			return doc{"destination": fmt.Sprintf("192.0.2.%d/32", i), "nexthop": via}
		}
		set(route(1, w.ip(2, 9))).want(t, 400, "InvalidRoutes", "the nexthop is not connected with router")
		set(route(1, w.ip(1, 1))).want(t, 400, "InvalidRoutes", "the nexthop is used by router")
		var many []doc
		for i := range 31 {
			many = append(many, route(i, w.ip(1, 9)))
		}
		set(many...).fails(t, 400, "RoutesExhausted", fmt.Sprintf("Unable to complete operation for %s. The number of routes exceeds the maximum 30.", d["id"]))
		if got := set(append(many[:29], doc{"destination": "0.0.0.0/0", "nexthop": w.ip(1, 9)})...).want(t, 200).docs("router", "routes"); len(got) != 30 {
			t.Errorf("routes = %v", got)
		}
		w.admin.network(t, "PUT", routerAt(d)+"/remove_router_interface", doc{"subnet_id": s["id"]}).fails(t, 409, "RouterInterfaceInUseByRoute", fmt.Sprintf(
			"Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.", s["id"], d["id"]))
		if got := set().want(t, 200).docs("router", "routes"); len(got) != 0 {
			t.Errorf("routes = %v", got)
		}
	}},
	{"a gateway at a given address", func(t *testing.T, w *world) {
		n, s := w.makeExternal(t)
		d := w.makeRouter(t)
		set := func(info any) *reply {
			return w.admin.network(t, "PUT", routerAt(d), doc{"router": doc{"external_gateway_info": info}})
		}
		ip := func(host int) []doc { return []doc{{"subnet_id": s["id"], "ip_address": w.ip(1, host)}} }
		is := func(r *reply, address string, snat bool) {
			t.Helper()
			r.want(t, 200)
			ips := r.docs("router", "external_gateway_info", "external_fixed_ips")
			if len(ips) != 1 || ips[0]["ip_address"] != address || r.at("router", "external_gateway_info", "enable_snat") != snat ||
				r.at("router", "external_gateway_info", "network_id") != n["id"] {
				t.Errorf("gateway = %s, want %s snat %v", r.raw, address, snat)
			}
		}
		is(set(doc{"network_id": n["id"], "external_fixed_ips": ip(20), "enable_snat": false}), w.ip(1, 20), false)
		is(set(doc{"network_id": n["id"], "external_fixed_ips": ip(21), "enable_snat": true}), w.ip(1, 21), true)
		ports := w.admin.network(t, "GET", "/ports?device_id="+d["id"].(string), nil).want(t, 200).docs("ports")
		if len(ports) != 1 || ports[0]["device_owner"] != "network:router_gateway" || ports[0]["project_id"] != "" {
			t.Errorf("ports = %v", ports)
		}
		w.admin.network(t, "DELETE", "/ports/"+ports[0]["id"].(string), nil).want(t, 409, "ServicePortInUse")
		w.admin.network(t, "PUT", "/networks/"+n["id"].(string), doc{"network": doc{"router:external": false}}).
			fails(t, 409, "ExternalNetworkInUse", fmt.Sprintf("External network %s cannot be updated to be made non-external, since it has existing gateway ports.", n["id"]))
		set(doc{"network_id": n["id"], "external_fixed_ips": ip(1)}).
			fails(t, 400, "BadRequest", fmt.Sprintf("Bad router request: External IP %s is the same as the gateway IP.", w.ip(1, 1)))
		if r := set(nil).want(t, 200); r.at("router", "external_gateway_info") != nil {
			t.Errorf("router = %s", r.raw)
		}
		set(doc{"network_id": n["id"]}).want(t, 200)
		w.admin.network(t, "DELETE", routerAt(d), nil).want(t, 204) // the gateway goes along
	}},
	{"refused gateways", func(t *testing.T, w *world) {
		inside, d := w.makeVLAN(t, w.demo.project), w.makeRouter(t)
		s := makeSubnet(t, w.admin, inside, doc{"cidr": w.net(1), "project_id": w.demo.project})
		set := func(info any) *reply {
			return w.admin.network(t, "PUT", routerAt(d), doc{"router": doc{"external_gateway_info": info}})
		}
		set(doc{"network_id": nobody}).fails(t, 404, "NetworkNotFound", "Network "+nobody+" could not be found.")
		set(doc{"network_id": inside["id"]}).fails(t, 400, "BadRequest", fmt.Sprintf("Bad router request: Network %s is not an external network.", inside["id"]))
		w.admin.network(t, "PUT", routerAt(d)+"/add_router_interface", doc{"subnet_id": s["id"]}).want(t, 200)
		n, out := w.makeExternal(t)
		set(doc{"network_id": n["id"]}).fails(t, 400, "BadRequest", fmt.Sprintf(
			"Bad router request: Cidr %s of subnet %s overlaps with cidr %s of subnet %s.", w.net(1), out["id"], w.net(1), s["id"]))
	}},
}
