package network

import (
	"fmt"
	"strings"
	"testing"
)

// routed is a region with an external network, and alice's network, subnet and
// router with a gateway.
type routed struct {
	*region
	external, network, subnet, router string
}

func newRouted(t *testing.T) *routed {
	t.Helper()
	r := &routed{region: newRegion(t)}
	r.external = r.make("admin", "network", `"name":"public","router:external":true`)["id"].(string)
	r.make("admin", "subnet", `"network_id":"`+r.external+`","ip_version":4,"cidr":"203.0.113.0/24","enable_dhcp":false`)
	r.network, r.subnet = r.ground("")
	r.router = r.make("alice", "router", `"name":"r","external_gateway_info":{"network_id":"`+r.external+`"}`)["id"].(string)
	return r
}

func (r *routed) put(user, act, body string) map[string]any {
	r.t.Helper()
	status, reply := r.do(user, "PUT", "/routers/"+r.router+act, body)
	if status != 200 {
		r.t.Fatalf("PUT %s %s = %d %v, want 200", act, body, status, reply)
	}
	return reply
}

func (r *routed) attach() {
	r.t.Helper()
	r.put("alice", "/add_router_interface", `{"subnet_id":"`+r.subnet+`"}`)
}

func TestRouterInterfaces(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	bySubnet := `{"subnet_id":"` + r.subnet + `"}`
	made := r.put("alice", "/add_router_interface", bySubnet)
	if made["id"] != r.router || made["network_id"] != r.network || fmt.Sprint(made["subnet_ids"]) != "["+r.subnet+"]" {
		t.Errorf("add_router_interface = %v", made)
	}
	port := made["port_id"].(string)
	_, shown := r.do("alice", "GET", "/ports/"+port, "")
	p := shown["port"].(map[string]any)
	if p["device_owner"] != "network:router_interface" || !strings.Contains(fmt.Sprint(p["fixed_ips"]), "10.0.0.1") {
		t.Errorf("the interface's port is %v", p)
	}
	add, remove := "/routers/"+r.router+"/add_router_interface", "/routers/"+r.router+"/remove_router_interface"
	overlap := r.make("alice", "network", `"name":"o"`)["id"].(string)
	over := r.make("alice", "subnet", `"network_id":"`+overlap+`","ip_version":4,"cidr":"10.0.0.0/16"`)["id"].(string)
	bare := r.make("alice", "subnet", `"network_id":"`+overlap+`","ip_version":4,"cidr":"10.9.0.0/16","gateway_ip":null`)["id"].(string)
	for _, c := range []refusal{
		{"alice", "PUT", add, bySubnet, 400, "BadRequest", "Bad router request: Router already has a port on subnet " + r.subnet + "."},
		{"alice", "PUT", add, `{}`, 400, "BadRequest", "Bad router request: Either subnet_id or port_id must be specified."},
		{"alice", "PUT", add, `{"subnet_id":"` + r.subnet + `","port_id":"` + port + `"}`, 400, "BadRequest", "Bad router request: Cannot specify both subnet-id and port-id."},
		{"alice", "PUT", add, `{"subnet_id":"` + over + `"}`, 400, "BadRequest", "Bad router request: Cidr 10.0.0.0/16 of subnet " + over + " overlaps with cidr 10.0.0.0/24 of subnet " + r.subnet + "."},
		{"alice", "PUT", add, `{"subnet_id":"` + bare + `"}`, 400, "BadRequest", "Bad router request: Subnet for router interface must have a gateway IP."},
		{"alice", "PUT", add, `{"subnet_id":"` + nowhere + `"}`, 404, "SubnetNotFound", "Subnet " + nowhere + " could not be found."},
		{"alice", "PUT", add, `{"port_id":"` + port + `"}`, 409, "PortInUse", "Unable to complete operation on port " + port + " for network " + r.network + ". Port already has an attached device " + r.router + "."},
		{"bob", "PUT", add, bySubnet, 404, "RouterNotFound", "Router " + r.router + " could not be found"},
		{"alice", "PUT", remove, `{"subnet_id":"` + over + `"}`, 404, "RouterInterfaceNotFoundForSubnet", "Router " + r.router + " has no interface on subnet " + over},
		{"alice", "PUT", remove, `{"port_id":"` + nowhere + `"}`, 404, "RouterInterfaceNotFound", "Router " + r.router + " does not have an interface with id " + nowhere},
		{"alice", "DELETE", "/routers/" + r.router, "", 409, "RouterInUse", "Router " + r.router + " has ports still attached: " + port},
		{"alice", "DELETE", "/ports/" + port, "", 409, "ServicePortInUse", "Port " + port + " cannot be deleted directly via the port API: has device owner network:router_interface."},
		{"alice", "DELETE", "/subnets/" + r.subnet, "", 409, "SubnetInUse", "Unable to complete operation on subnet " + r.subnet + ": One or more ports have an IP allocation from this subnet."},
		{"alice", "PUT", "/subnets/" + r.subnet, `{"subnet":{"gateway_ip":"10.0.0.254","allocation_pools":[]}}`, 409, "GatewayIpInUse", "Current gateway ip 10.0.0.1 already in use by port " + port + ". Unable to update."},
		{"bob", "GET", "/routers/" + r.router, "", 404, "RouterNotFound", "Router " + r.router + " could not be found"},
	} {
		r.refused(c)
	}
	r.put("alice", "/remove_router_interface", bySubnet)
	if status, _ := r.do("alice", "GET", "/ports/"+port, ""); status != 404 {
		t.Errorf("the interface's port is still there: %d", status)
	}
	own := r.make("alice", "port", `"network_id":"`+r.network+`"`)["id"].(string)
	r.put("alice", "/add_router_interface", `{"port_id":"`+own+`"}`)
	r.put("alice", "/remove_router_interface", `{"port_id":"`+own+`"}`)
	if status, _ := r.do("alice", "DELETE", "/routers/"+r.router, ""); status != 204 {
		t.Errorf("DELETE router = %d", status)
	}
	r.refused(refusal{"alice", "GET", "/routers/" + r.router, "", 404, "RouterNotFound", "Router " + r.router + " could not be found"})
	_, left := r.do("admin", "GET", "/ports?device_id="+r.router, "")
	if ports := left["ports"].([]any); len(ports) != 0 {
		t.Errorf("left of the router: %v", ports)
	}
}

// TestForeignRouterPort: no port passes for an interface of somebody else's router.
func TestForeignRouterPort(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	n := r.make("bob", "network", `"name":"b"`)["id"].(string)
	message := "The following device_id " + r.router + " is not owned by your tenant or matches another tenants router."
	r.refused(refusal{"bob", "POST", "/ports", `{"port":{"network_id":"` + n + `","device_id":"` + r.router + `","device_owner":"network:router_interface"}}`,
		409, "DeviceIDNotOwnedByTenant", message})
	p := r.make("bob", "port", `"network_id":"`+n+`"`)["id"].(string)
	r.refused(refusal{"bob", "PUT", "/ports/" + p, `{"port":{"device_id":"` + r.router + `"}}`, 409, "DeviceIDNotOwnedByTenant", message})
}

func TestRouterGateway(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	_, reply := r.do("alice", "GET", "/routers/"+r.router, "")
	info := reply["router"].(map[string]any)["external_gateway_info"].(map[string]any)
	if info["network_id"] != r.external || info["enable_snat"] != true || len(info["external_fixed_ips"].([]any)) != 1 {
		t.Errorf("gateway is %v", info)
	}
	gateway := func(inner string) string { return `{"router":{"external_gateway_info":{` + inner + `}}}` }
	outer := `"network_id":"` + r.external + `"`
	policy := "(rule:update_router and (rule:update_router:external_gateway_info and (rule:update_router:external_gateway_info:network_id" +
		" and rule:update_router:external_gateway_info:%s))) is disallowed by policy"
	for _, c := range []refusal{
		{"alice", "PUT", "/routers/" + r.router, gateway(`"network_id":"` + r.network + `"`), 400, "BadRequest", "Bad router request: Network " + r.network + " is not an external network."},
		{"alice", "PUT", "/routers/" + r.router, gateway(outer + `,"enable_snat":false`), 403, "PolicyNotAuthorized", fmt.Sprintf(policy, "enable_snat")},
		{"alice", "PUT", "/routers/" + r.router, gateway(outer + `,"external_fixed_ips":[{"ip_address":"203.0.113.9"}]`), 403, "PolicyNotAuthorized", fmt.Sprintf(policy, "external_fixed_ips")},
		{"admin", "PUT", "/routers/" + r.router, gateway(outer + `,"external_fixed_ips":[{"ip_address":"203.0.113.1"}]`), 400, "BadRequest", "Bad router request: External IP 203.0.113.1 is the same as the gateway IP."},
		{"admin", "PUT", "/networks/" + r.external, `{"network":{"router:external":false}}`, 409, "ExternalNetworkInUse", "External network " + r.external + " cannot be updated to be made non-external, since it has existing gateway ports."},
		{"alice", "PUT", "/routers/" + r.router, `{"router":{"routes":[{"destination":"10.10.0.0/16","nexthop":"10.0.0.9"}]}}`, 400, "InvalidRoutes",
			"Invalid format for routes: [{'destination': '10.10.0.0/16', 'nexthop': '10.0.0.9'}], the nexthop is not connected with router"},
	} {
		r.refused(c)
	}
	moved := r.put("admin", "", gateway(outer+`,"enable_snat":false,"external_fixed_ips":[{"ip_address":"203.0.113.9"}]`))
	if text := fmt.Sprint(moved["router"]); !strings.Contains(text, "enable_snat:false") || !strings.Contains(text, "203.0.113.9") {
		t.Errorf("changed gateway: %s", text)
	}
	cleared := r.put("alice", "", gateway(""))
	if cleared["router"].(map[string]any)["external_gateway_info"] != nil {
		t.Errorf("cleared gateway: %v", cleared)
	}
	_, left := r.do("admin", "GET", "/ports?network_id="+r.external, "")
	if ports := left["ports"].([]any); len(ports) != 0 {
		t.Errorf("left on the external network: %v", ports)
	}
}

func TestRouterRoutes(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	r.attach()
	routes := func(second string) string {
		return `{"router":{"routes":[{"destination":"10.10.0.0/16","nexthop":"10.0.0.9"}` + second + `]}}`
	}
	r.put("alice", "/add_extraroutes", routes(""))
	both := r.put("alice", "/add_extraroutes", routes(`,{"destination":"10.11.0.0/16","nexthop":"10.0.0.9"}`))
	if n := len(both["router"].(map[string]any)["routes"].([]any)); n != 2 {
		t.Errorf("%d routes, want 2: %v", n, both)
	}
	r.refused(refusal{"alice", "PUT", "/routers/" + r.router + "/remove_router_interface", `{"subnet_id":"` + r.subnet + `"}`, 409, "RouterInterfaceInUseByRoute",
		"Router interface for subnet " + r.subnet + " on router " + r.router + " cannot be deleted, as it is required by one or more routes."})
	r.refused(refusal{"alice", "PUT", "/routers/" + r.router, `{"router":{"routes":[{"destination":"10.10.0.0/16","nexthop":"10.0.0.1"}]}}`, 400, "InvalidRoutes",
		"Invalid format for routes: [{'destination': '10.10.0.0/16', 'nexthop': '10.0.0.1'}], the nexthop is used by router"})
	one := r.put("alice", "/remove_extraroutes", routes(""))
	if text := fmt.Sprint(one["router"].(map[string]any)["routes"]); !strings.Contains(text, "10.11.0.0/16") || strings.Contains(text, "10.10.0.0/16") {
		t.Errorf("left after remove_extraroutes: %s", text)
	}
}

func TestFloatingIPs(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	port := r.make("alice", "port", `"network_id":"`+r.network+`","fixed_ips":[{"ip_address":"10.0.0.41"}]`)["id"].(string)
	outer := `"floating_network_id":"` + r.external + `"`
	body := func(more string) string { return `{"floatingip":{` + outer + more + `}}` }
	r.refused(refusal{"alice", "POST", "/floatingips", body(`,"port_id":"` + port + `"`), 404, "ExternalGatewayForFloatingIPNotFound",
		"External network " + r.external + " is not reachable from subnet " + r.subnet + ".  Therefore, cannot associate Port " + port + " with a Floating IP."})
	r.attach()
	status, reply := r.do("alice", "POST", "/floatingips", body(`,"port_id":"`+port+`"`))
	if status != 201 {
		t.Fatalf("POST floatingips = %d %v", status, reply)
	}
	f := reply["floatingip"].(map[string]any)
	id := f["id"].(string)
	if f["router_id"] != r.router || f["fixed_ip_address"] != "10.0.0.41" || f["port_details"].(map[string]any)["network_id"] != r.network {
		t.Errorf("floating IP is %v", f)
	}
	second := r.make("alice", "floatingip", outer)["id"].(string)
	_, reply = r.do("alice", "GET", "/floatingips/"+second, "")
	address := reply["floatingip"].(map[string]any)["floating_ip_address"].(string)
	for _, c := range []refusal{
		{"alice", "PUT", "/floatingips/" + second, `{"floatingip":{"port_id":"` + port + `"}}`, 409, "FloatingIPPortAlreadyAssociated",
			"Cannot associate floating IP " + address + " (" + second + ") with port " + port + " using fixed IP 10.0.0.41, as that fixed IP already has a floating IP on external network " + r.external + "."},
		{"alice", "POST", "/floatingips", `{"floatingip":{"floating_network_id":"` + r.network + `"}}`, 400, "BadRequest", "Bad floatingip request: Network " + r.network + " is not a valid external network."},
		{"alice", "POST", "/floatingips", body(`,"fixed_ip_address":"10.0.0.41"`), 400, "BadRequest", "Bad floatingip request: fixed_ip_address cannot be specified without a port_id."},
		{"alice", "POST", "/floatingips", body(`,"floating_ip_address":"203.0.113.77"`), 403, "PolicyNotAuthorized", "(rule:create_floatingip and rule:create_floatingip:floating_ip_address) is disallowed by policy"},
		{"alice", "POST", "/floatingips", body(`,"port_id":"` + port + `","fixed_ip_address":"10.0.0.9"`), 400, "BadRequest", "Bad floatingip request: Port " + port + " does not have fixed ip 10.0.0.9."},
		{"alice", "PUT", "/routers/" + r.router, `{"router":{"external_gateway_info":null}}`, 409, "RouterExternalGatewayInUseByFloatingIp",
			"Gateway cannot be updated for router " + r.router + ", since a gateway to external network " + r.external + " is required by one or more floating IPs."},
		{"alice", "PUT", "/routers/" + r.router + "/remove_router_interface", `{"subnet_id":"` + r.subnet + `"}`, 409, "RouterInterfaceInUseByFloatingIP",
			"Router interface for subnet " + r.subnet + " on router " + r.router + " cannot be deleted, as it is required by one or more floating IPs."},
		{"bob", "GET", "/floatingips/" + id, "", 404, "FloatingIPNotFound", "Floating IP " + id + " could not be found"},
		{"bob", "POST", "/floatingips", body(`,"port_id":"` + port + `"`), 404, "PortNotFound", "Port " + port + " could not be found."},
	} {
		r.refused(c)
	}
	// What a PUT does not name stays; a port that goes takes the service with it.
	_, reply = r.do("alice", "PUT", "/floatingips/"+id, `{"floatingip":{"description":"web"}}`)
	if f := reply["floatingip"].(map[string]any); f["port_id"] != port || f["description"] != "web" {
		t.Errorf("after a new description: %v", f)
	}
	if status, _ := r.do("alice", "DELETE", "/ports/"+port, ""); status != 204 {
		t.Fatalf("DELETE port = %d", status)
	}
	_, reply = r.do("alice", "GET", "/floatingips/"+id, "")
	if f := reply["floatingip"].(map[string]any); f["port_id"] != nil || f["router_id"] != nil || f["fixed_ip_address"] != nil {
		t.Errorf("after the port has gone: %v", f)
	}
	for _, id := range []string{id, second} {
		if status, _ := r.do("alice", "DELETE", "/floatingips/"+id, ""); status != 204 {
			t.Errorf("DELETE floatingip = %d", status)
		}
	}
	_, left := r.do("admin", "GET", "/ports?device_owner=network:floatingip", "")
	if ports := left["ports"].([]any); len(ports) != 0 {
		t.Errorf("left of the floating IPs: %v", ports)
	}
}
