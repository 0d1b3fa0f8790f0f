package neutron

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

const floatingOwner = "network:floatingip"

func (s *Server) floatingKind() *resource {
	return &resource{
		server: s, path: "floatingips", single: "floatingip", plural: "floatingips", store: &s.floats,
		attrs: standard(map[string]attribute{
			"floating_network_id": {post: true, required: true, kind: "uuid"},
			"floating_ip_address": {post: true, admin: true, kind: "ip", null: true},
			"subnet_id":           {post: true, kind: "uuid", null: true},
			"port_id":             {post: true, put: true, kind: "uuid", null: true},
			"fixed_ip_address":    {post: true, put: true, kind: "ip", null: true},
			"qos_policy_id":       {post: true, put: true},
			"router_id":           {}, "port_details": {}, "port_forwardings": {}, "qos_network_policy_id": {},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: floatingMissing,
		make:    s.makeFloating, change: s.changeFloating, drop: s.dropFloating, render: s.renderFloating,
	}
}

func floatingMissing(id string) error {
	return rest.Errorf(http.StatusNotFound, "FloatingIPNotFound", "Floating IP %s could not be found", id)
}

func badFloating(format string, args ...any) error {
	return rest.Errorf(400, "BadRequest", "Bad floatingip request: "+format+".", args...)
}

func (s *Server) renderFloating(d rest.Doc) rest.Doc {
	d["port_details"] = nil
	if p := s.ports.Find(rest.Str(d, "port_id")); p != nil {
		details := rest.Doc{}
		copyIn(details, p, "name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")
		d["port_details"] = details
	}
	list := []rest.Doc{}
	for _, f := range s.forwardingsOf(rest.Str(d, "id")) {
		short := rest.Doc{}
		copyIn(short, f, "id", "protocol", "internal_ip_address", "internal_port", "external_port", "internal_port_id")
		list = append(list, short)
	}
	d["port_forwardings"] = list
	return d
}

func (s *Server) makeFloating(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	network := s.networks.Find(rest.Str(in, "floating_network_id"))
	if network == nil || !s.seesNetwork(c, network) {
		return nil, missing("Network", rest.Str(in, "floating_network_id"))
	}
	if !rest.Bool(network, "router:external") {
		return nil, badFloating("Network %s is not a valid external network", network["id"])
	}
	if err := s.namesPolicy(c, in); err != nil {
		return nil, err
	}
	if err := s.within("floatingip", rest.Str(in, "project_id")); err != nil {
		return nil, err
	}
	d := rest.Doc{
		"id": uuid.NewString(), "floating_network_id": network["id"], "port_id": nil, "fixed_ip_address": nil, "router_id": nil,
		"status": statusDown, "qos_policy_id": in["qos_policy_id"], "qos_network_policy_id": nil, "project_id": in["project_id"],
	}
	// Where it goes is checked first: nothing is taken back below.
	if err := s.associate(c, d, in); err != nil {
		return nil, err
	}
	port := rest.Doc{"network_id": network["id"], "device_owner": floatingOwner, "device_id": d["id"], "project_id": ""}
	want := rest.Doc{}
	if ip := rest.Str(in, "floating_ip_address"); ip != "" {
		want["ip_address"] = ip
	}
	if sub := rest.Str(in, "subnet_id"); sub != "" {
		want["subnet_id"] = sub
	}
	if len(want) > 0 {
		port["fixed_ips"] = []any{want}
	}
	made, err := s.servicePort(port)
	if err != nil {
		return nil, err
	}
	made["status"] = "N/A"
	addresses := v4(rest.Docs(made, "fixed_ips"))
	if len(addresses) == 0 {
		s.ports.Delete(rest.Str(made, "id"))
		return nil, badFloating("Network %s does not contain any IPv4 subnet", network["id"])
	}
	d["floating_ip_address"] = addresses[0]
	return d, nil
}

func (s *Server) changeFloating(c rest.Caller, d, in rest.Doc) error {
	if err := s.namesPolicy(c, in); err != nil {
		return err
	}
	if rest.Str(in, "port_id") != "" && len(s.forwardingsOf(rest.Str(d, "id"))) > 0 {
		return conflict("FipInUseByPortForwarding", "Floating IP %s in use by Port Forwarding resources.", d["id"])
	}
	if err := s.associate(c, d, in); err != nil {
		return err
	}
	d["qos_policy_id"] = in["qos_policy_id"] // Neutron forgets a policy that a change does not repeat
	copyIn(d, in, "description")
	return nil
}

// associate settles the port that a floating IP leads to. Without port_id it
// stays as it is.
func (s *Server) associate(c rest.Caller, d, in rest.Doc) error {
	id, fixed := rest.Str(in, "port_id"), rest.Str(in, "fixed_ip_address")
	if fixed != "" && id == "" {
		return badFloating("fixed_ip_address cannot be specified without a port_id")
	}
	if _, given := in["port_id"]; !given {
		return nil
	}
	if id == "" {
		d["port_id"], d["fixed_ip_address"] = nil, nil
		if len(s.forwardingsOf(rest.Str(d, "id"))) == 0 {
			d["router_id"] = nil
		}
		s.floatStatus(d)
		return nil
	}
	port, err := s.portKind().find(c, id)
	if err != nil {
		return err
	}
	ip, err := inside(port, fixed)
	if err != nil {
		return err
	}
	router := s.routerFor(port, rest.Str(ip, "subnet_id"), rest.Str(d, "floating_network_id"))
	if router == "" {
		return rest.Errorf(http.StatusNotFound, "ExternalGatewayForFloatingIPNotFound",
			"External network %s is not reachable from subnet %s.  Therefore, cannot associate Port %s with a Floating IP.",
			d["floating_network_id"], ip["subnet_id"], id)
	}
	for _, o := range s.floats.All() {
		if o["id"] != d["id"] && o["port_id"] == id && o["fixed_ip_address"] == ip["ip_address"] && o["floating_network_id"] == d["floating_network_id"] {
			return conflict("FloatingIPPortAlreadyAssociated",
				"Cannot associate floating IP %v (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
				d["floating_ip_address"], d["id"], id, ip["ip_address"], d["floating_network_id"])
		}
	}
	d["port_id"], d["fixed_ip_address"], d["router_id"] = id, ip["ip_address"], router
	s.floatStatus(d)
	return nil
}

// inside is the address of the port that a floating IP leads to.
func inside(port rest.Doc, want string) (rest.Doc, error) {
	var four []rest.Doc
	for _, ip := range rest.Docs(port, "fixed_ips") {
		if want != "" && ip["ip_address"] == want {
			return ip, nil
		}
		if parse(ip, "ip_address").Is4() {
			four = append(four, ip)
		}
	}
	switch {
	case want != "":
		return nil, badFloating("Port %s does not have fixed ip %s", port["id"], want)
	case len(four) == 0:
		return nil, badFloating("Cannot add floating IP to port %s that has no fixed IPv4 addresses", port["id"])
	case len(four) > 1:
		return nil, badFloating("Port %s has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP", port["id"])
	}
	return four[0], nil
}

// routerFor finds a router that is in the subnet and has its gateway on the
// external network: that at the subnet's gateway address, or any.
func (s *Server) routerFor(port rest.Doc, subnet, external string) string {
	first := ""
	gateway := s.subnets.Find(subnet)["gateway_ip"]
	for _, p := range s.portsOf(rest.Str(port, "network_id")) {
		router := rest.Str(p, "device_id")
		if p["device_owner"] != routerOwner || !hasSubnet(p, subnet) || s.gatewayOf(router)["network_id"] != external {
			continue
		}
		for _, ip := range rest.Docs(p, "fixed_ips") {
			if ip["ip_address"] == gateway {
				return router
			}
		}
		if first == "" {
			first = router
		}
	}
	return first
}

// floatStatus is what the L3 agent reports: a floating IP that a router serves is up.
func (s *Server) floatStatus(d rest.Doc) {
	d["status"] = statusDown
	if rest.Str(d, "router_id") != "" {
		d["status"] = statusActive
	}
}

func (s *Server) dropFloating(_ rest.Caller, d rest.Doc) error {
	if len(s.forwardingsOf(rest.Str(d, "id"))) > 0 {
		return conflict("FipInUseByPortForwarding", "Floating IP %s in use by Port Forwarding resources.", d["id"])
	}
	for _, p := range s.ports.All() {
		if p["device_owner"] == floatingOwner && p["device_id"] == d["id"] {
			s.ports.Delete(rest.Str(p, "id"))
		}
	}
	return nil
}

// forgetPort takes floating IPs and forwardings off a port that goes.
func (s *Server) forgetPort(p rest.Doc) {
	for _, f := range s.forwards.All() {
		if f["internal_port_id"] == p["id"] {
			s.removeForwarding(f)
		}
	}
	for _, f := range s.floats.All() {
		if f["port_id"] == p["id"] {
			f["port_id"], f["fixed_ip_address"], f["router_id"] = nil, nil, nil
			s.floatStatus(f)
			s.touch(f)
		}
	}
}

func (s *Server) hasGateway(network string) bool {
	for _, p := range s.portsOf(network) {
		if p["device_owner"] == gatewayOwner {
			return true
		}
	}
	return false
}
