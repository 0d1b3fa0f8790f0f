package network

import (
	"fmt"
	"testing"
)

// TestRouterKind: what kind of router it is, only admins see and choose, and only
// while it is down; its interfaces tell.
func TestRouterKind(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	r.put("alice", "/add_router_interface", `{"subnet_id":"`+r.subnet+`"}`)
	path := "/routers/" + r.router
	_, mine := r.do("alice", "GET", path, "")
	if m := mine["router"].(map[string]any); m["ha"] != nil || m["distributed"] != nil || fmt.Sprint(m["availability_zone_hints"]) != "[]" {
		t.Errorf("alice sees %v", m)
	}
	kind := func(what string) string { return `{"router":{` + what + `}}` }
	for _, c := range []refusal{
		{"alice", "POST", "/routers", kind(`"distributed":true`), 403, "PolicyNotAuthorized", "(rule:create_router and rule:create_router:distributed) is disallowed by policy"},
		{"alice", "POST", "/routers", kind(`"ha":true`), 403, "PolicyNotAuthorized", "(rule:create_router and rule:create_router:ha) is disallowed by policy"},
		{"alice", "PUT", path, kind(`"ha":true`), 403, "PolicyNotAuthorized", "(rule:update_router and rule:update_router:ha) is disallowed by policy"},
		{"alice", "POST", "/routers", kind(`"availability_zone_hints":["nowhere"]`), 404, "AvailabilityZoneNotFound", "AvailabilityZone nowhere could not be found."},
		{"alice", "PUT", path, kind(`"availability_zone_hints":["az1"]`), 400, "HTTPBadRequest", "Cannot update read-only attribute availability_zone_hints"},
		{"admin", "PUT", path, kind(`"distributed":true`), 400, "BadRequest", "Bad router request: Cannot change the 'distributed' attribute of active routers. Please set router admin_state_up to False prior to upgrade."},
		{"admin", "PUT", path, kind(`"distributed":true,"admin_state_up":false`), 400, "BadRequest", "Bad router request: Cannot change the 'distributed' attribute of active routers. Please set router admin_state_up to False prior to upgrade."},
		{"admin", "PUT", path, kind(`"ha":true`), 400, "BadRequest", "Bad router request: Cannot change HA attribute of active routers. Please set router admin_state_up to False prior to upgrade."},
	} {
		r.refused(c)
	}
	r.put("admin", "", kind(`"admin_state_up":false`))
	for _, step := range []struct{ change, owner string }{
		{`"distributed":true`, "network:router_interface_distributed"},
		{`"ha":true`, "network:router_interface_distributed"},
		{`"distributed":false`, "network:ha_router_replicated_interface"},
		{`"ha":false`, "network:router_interface"},
	} {
		r.put("admin", "", kind(step.change))
		_, ports := r.do("admin", "GET", "/ports?device_id="+r.router+"&device_owner="+step.owner+"&status=ACTIVE", "")
		if n := len(ports["ports"].([]any)); n != 1 {
			t.Errorf("after %s: %d ports of %s", step.change, n, step.owner)
		}
	}
	made := r.make("admin", "router", `"ha":true,"distributed":true,"availability_zone_hints":["az2"]`)
	if made["ha"] != true || made["distributed"] != true || fmt.Sprint(made["availability_zone_hints"]) != "[az2]" {
		t.Errorf("made %v", made)
	}
}

// TestInterfacePort: a router's interface keeps its IPv4 address, and one port
// announces all IPv6 prefixes of a network.
func TestInterfacePort(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	port := r.put("alice", "/add_router_interface", `{"subnet_id":"`+r.subnet+`"}`)["port_id"].(string)
	same := `{"port":{"name":"gate","fixed_ips":[{"subnet_id":"` + r.subnet + `"}]}}`
	if status, reply := r.do("alice", "PUT", "/ports/"+port, same); status != 200 {
		t.Errorf("the same subnet: %d %v", status, reply)
	}
	r.refused(refusal{"alice", "PUT", "/ports/" + port, `{"port":{"fixed_ips":[{"ip_address":"10.0.0.77"}]}}`, 400,
		"IPAddressChangeNotAllowed", "IP updates for port " + port + " are not allowed"})

	var six []string
	for _, cidr := range []string{"2001:db8:1::/64", "2001:db8:2::/64"} {
		sub := r.make("alice", "subnet", `"network_id":"`+r.network+`","ip_version":6,"cidr":"`+cidr+`"`)["id"].(string)
		six = append(six, r.make("alice", "port", `"network_id":"`+r.network+`","fixed_ips":[{"subnet_id":"`+sub+`"}]`)["id"].(string))
	}
	r.put("alice", "/add_router_interface", `{"port_id":"`+six[0]+`"}`)
	r.refused(refusal{"alice", "PUT", "/routers/" + r.router + "/add_router_interface", `{"port_id":"` + six[1] + `"}`, 400, "BadRequest",
		"Bad router request: Cannot have multiple router ports with the same network id if both contain IPv6 subnets. " +
			"Existing port " + six[0] + " has IPv6 subnet(s) and network id " + r.network + "."})
}

// TestForeignPort: a floating IP serves ports of its own project, which those who
// see the port are told.
func TestForeignPort(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	r.attach()
	f := r.make("alice", "floatingip", `"floating_network_id":"`+r.external+`"`)["id"].(string)
	on := r.make("admin", "port", `"network_id":"`+r.network+`","project_id":"project-bob"`)["id"].(string)
	other := r.make("bob", "network", `"name":"n"`)["id"].(string)
	away := r.make("bob", "port", `"network_id":"`+other+`"`)["id"].(string)
	serve := func(id string) string { return `{"floatingip":{"port_id":"` + id + `"}}` }
	r.refused(refusal{"alice", "PUT", "/floatingips/" + f, serve(on), 400, "BadRequest",
		"Bad floatingip request: Cannot process floating IP association with Port " + on + ", since that port is owned by a different tenant."})
	r.refused(refusal{"alice", "PUT", "/floatingips/" + f, serve(away), 404, "PortNotFound", "Port " + away + " could not be found."})
}

// TestFloatingIPBlank: an update of nothing ends what a floating IP serves.
func TestFloatingIPBlank(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	r.put("alice", "/add_router_interface", `{"subnet_id":"`+r.subnet+`"}`)
	port := r.make("alice", "port", `"network_id":"`+r.network+`"`)["id"].(string)
	f := r.make("alice", "floatingip", `"floating_network_id":"`+r.external+`","port_id":"`+port+`"`)["id"].(string)
	if _, reply := r.do("alice", "PUT", "/floatingips/"+f, `{"floatingip":{"description":"d"}}`); reply["floatingip"].(map[string]any)["port_id"] != port {
		t.Errorf("description: %v", reply)
	}
	if _, reply := r.do("alice", "PUT", "/floatingips/"+f, `{"floatingip":{}}`); reply["floatingip"].(map[string]any)["port_id"] != nil {
		t.Errorf("blank: %v", reply)
	}
}
