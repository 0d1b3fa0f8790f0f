package network

import (
	"fmt"
	"testing"
)

// forwarded is a routed region with a floating IP and two ports.
func newForwarded(t *testing.T) (r *routed, floating string, ports []string) {
	t.Helper()
	r = newRouted(t)
	r.attach()
	for _, address := range []string{"10.0.0.41", "10.0.0.42"} {
		p := r.make("alice", "port", `"network_id":"`+r.network+`","fixed_ips":[{"ip_address":"`+address+`"}]`)
		ports = append(ports, p["id"].(string))
	}
	return r, r.make("alice", "floatingip", `"floating_network_id":"`+r.external+`"`)["id"].(string), ports
}

func forwarding(port, address, more string) string {
	return `{"port_forwarding":{"protocol":"tcp","internal_port_id":"` + port + `","internal_ip_address":"` + address + `",` + more + `}}`
}

func TestPortForwarding(t *testing.T) {
	t.Parallel()
	r, floating, ports := newForwarded(t)
	path := "/floatingips/" + floating + "/port_forwardings"
	body := forwarding(ports[0], "10.0.0.41", `"external_port":2222,"internal_port":22`)
	status, reply := r.do("alice", "POST", path, body)
	if status != 201 {
		t.Fatalf("POST = %d %v", status, reply)
	}
	made := reply["port_forwarding"].(map[string]any)
	id := made["id"].(string)
	if made["external_port"] != 2222.0 || made["internal_port_range"] != "22:22" || made["internal_ip_address"] != "10.0.0.41" || made["project_id"] != nil {
		t.Errorf("made %v", made)
	}
	_, shown := r.do("alice", "GET", "/floatingips/"+floating, "")
	f := shown["floatingip"].(map[string]any)
	if f["router_id"] != r.router || len(f["port_forwardings"].([]any)) != 1 || f["port_id"] != nil {
		t.Errorf("floating IP %v", f)
	}
	if ids := r.ids("alice", path+"?protocol=tcp&external_port=2222", "port_forwardings"); len(ids) != 1 || ids[0] != id {
		t.Errorf("listed %v", ids)
	}
	one := path + "/" + id
	for _, c := range []refusal{
		{"bob", "GET", path, "", 404, "FloatingIPNotFound", "Floating IP " + floating + " could not be found"},
		{"bob", "POST", path, body, 404, "FloatingIPNotFound", "Floating IP " + floating + " could not be found"},
		{"alice", "GET", path + "/" + nowhere, "", 404, "PortForwardingNotFound", "Port Forwarding " + nowhere + " could not be found."},
		{"alice", "POST", path, forwarding(ports[1], "10.0.0.42", `"external_port":2222,"internal_port":22`), 400, "BadRequest",
			"Bad port_forwarding request: There is a port collision with the external_port_range. The following ranges collides: 2222:2222 and 2222:2222."},
		{"alice", "POST", path, forwarding(ports[0], "10.0.0.41", `"external_port":2223,"internal_port":22`), 400, "BadRequest",
			"Bad port_forwarding request: There is a port collision with the internal_port_range. The following ranges collides: 22:22 and 22:22."},
		{"alice", "POST", path, forwarding(ports[1], "10.0.0.42", `"external_port_range":"80:82","internal_port_range":"80:81"`), 400, "BadRequest",
			"Bad port_forwarding request: Invalid ranges of internal and/or external ports. The relation between internal and external ports must be N-N or 1-N."},
		{"alice", "POST", path, forwarding(ports[1], "10.0.0.42", `"external_port":65536,"internal_port":22`), 400, "HTTPBadRequest",
			"Invalid input for external_port. Reason: '65536' is too large - must be no larger than '65535'."},
		{"alice", "POST", path, forwarding(ports[1], "10.0.0.41", `"external_port":80,"internal_port":80`), 400, "BadRequest",
			"Bad port_forwarding request: Requested internal IP address 10.0.0.41 is not suitable for internal neutron port " + ports[1] + ", as its fixed_ips are [10.0.0.42]."},
		{"alice", "DELETE", "/floatingips/" + floating, "", 409, "FipInUseByPortForwarding", "Floating IP " + floating + " in use by Port Forwarding resources."},
		{"alice", "PUT", "/floatingips/" + floating, `{"floatingip":{"port_id":"` + ports[1] + `"}}`, 409, "FipInUseByPortForwarding", "Floating IP " + floating + " in use by Port Forwarding resources."},
		{"alice", "PUT", "/routers/" + r.router + "/remove_router_interface", `{"subnet_id":"` + r.subnet + `"}`, 409, "RouterInterfaceInUseByFloatingIP",
			"Router interface for subnet " + r.subnet + " on router " + r.router + " cannot be deleted, as it is required by one or more floating IPs."},
	} {
		r.refused(c)
	}
	status, reply = r.do("alice", "PUT", one, `{"port_forwarding":{"external_port_range":"8000:8003","internal_port":80,"description":"web"}}`)
	if m, _ := reply["port_forwarding"].(map[string]any); status != 200 || m["external_port_range"] != "8000:8003" || m["external_port"] != nil || m["description"] != "web" {
		t.Errorf("PUT = %d %v", status, reply)
	}
	if status, reply := r.do("alice", "PUT", "/floatingips/"+floating, `{"floatingip":{"description":"d","port_id":null}}`); status != 200 ||
		reply["floatingip"].(map[string]any)["router_id"] != r.router {
		t.Errorf("PUT floating IP = %d %v", status, reply)
	}
	if status, _ := r.do("alice", "DELETE", one, ""); status != 204 {
		t.Errorf("DELETE = %d", status)
	}
	if _, reply := r.do("alice", "GET", "/floatingips/"+floating, ""); reply["floatingip"].(map[string]any)["router_id"] != nil {
		t.Errorf("without forwardings: %v", reply)
	}
}

// TestPortForwardingEnds: what leads to an address ends with it, and a port does
// not have both a floating IP and forwardings.
func TestPortForwardingEnds(t *testing.T) {
	t.Parallel()
	r, floating, ports := newForwarded(t)
	path := "/floatingips/" + floating + "/port_forwardings"
	for i, p := range ports {
		body := forwarding(p, fmt.Sprintf("10.0.0.4%d", i+1), fmt.Sprintf(`"external_port":%d,"internal_port":22`, 2222+i))
		if status, reply := r.do("alice", "POST", path, body); status != 201 {
			t.Fatalf("POST = %d %v", status, reply)
		}
	}
	if status, reply := r.do("alice", "PUT", "/ports/"+ports[0], `{"port":{"fixed_ips":[{"ip_address":"10.0.0.77"}]}}`); status != 200 {
		t.Fatalf("PUT port = %d %v", status, reply)
	}
	if ids := r.ids("alice", path, "port_forwardings"); len(ids) != 1 {
		t.Errorf("after the address: %v", ids)
	}
	if status, _ := r.do("alice", "DELETE", "/ports/"+ports[1], ""); status != 204 {
		t.Errorf("DELETE port = %d", status)
	}
	_, reply := r.do("alice", "GET", "/floatingips/"+floating, "")
	if f := reply["floatingip"].(map[string]any); f["router_id"] != nil || len(f["port_forwardings"].([]any)) != 0 {
		t.Errorf("after the port: %v", f)
	}
	other := r.make("alice", "floatingip", `"floating_network_id":"`+r.external+`","port_id":"`+ports[0]+`"`)
	r.refused(refusal{"alice", "POST", path, forwarding(ports[0], "10.0.0.77", `"external_port":1,"internal_port":1`), 409, "PortHasBindingFloatingIP",
		fmt.Sprintf("Cannot create port forwarding to floating IP %s (%s) with port %s using fixed IP 10.0.0.77, as that port already has a binding floating IP.",
			other["floating_ip_address"], other["id"], ports[0])})
	third := r.make("alice", "port", `"network_id":"`+r.network+`","fixed_ips":[{"ip_address":"10.0.0.50"}]`)["id"].(string)
	status, reply := r.do("alice", "POST", "/floatingips/"+other["id"].(string)+"/port_forwardings", forwarding(third, "10.0.0.50", `"external_port":1,"internal_port":1`))
	if status != 409 || reply["NeutronError"].(map[string]any)["type"] != "FloatingIPPortAlreadyAssociated" {
		t.Errorf("a floating IP that serves: %d %v", status, reply)
	}
}
