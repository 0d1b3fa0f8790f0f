package neutron

import (
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

const gatewayOwner = "network:router_gateway"

func (s *Server) gatewayOf(router string) rest.Doc {
	for _, p := range s.ports.All() {
		if p["device_owner"] == gatewayOwner && p["device_id"] == router {
			return p
		}
	}
	return nil
}

// setGateway brings the router's gateway port to what the body says, if it says
// anything.
func (s *Server) setGateway(c rest.Caller, router, in rest.Doc) error {
	given, ok := in["external_gateway_info"]
	if !ok {
		return nil
	}
	info, _ := given.(rest.Doc)
	if err := s.mayGateway(c, info, in); err != nil {
		return err
	}
	network, err := s.gatewayNetwork(c, info)
	if err != nil {
		return err
	}
	have := s.gatewayOf(rest.Str(router, "id"))
	if err := s.gatewayRoutes(router, network); err != nil {
		return err
	}
	if err := s.placeGateway(router, have, network, info); err != nil {
		return err
	}
	router["enable_snat"] = either(info, "enable_snat", true)
	if v, ok := info["qos_policy_id"]; ok || network == nil {
		router["qos_policy_id"] = v
	}
	return nil
}

// mayGateway refuses what only admins may say of a gateway.
func (s *Server) mayGateway(c rest.Caller, info, in rest.Doc) error {
	verb := "update"
	if _, create := in["project_id"]; create {
		verb = "create"
	}
	for _, name := range []string{"enable_snat", "external_fixed_ips"} {
		if _, ok := info[name]; ok && !c.Admin() {
			rule := "rule:" + verb + "_router"
			return denied("(" + rule + " and (" + rule + ":external_gateway_info and (" + rule + ":external_gateway_info:network_id and " + rule + ":external_gateway_info:" + name + ")))")
		}
	}
	return s.namesPolicy(c, info)
}

func (s *Server) gatewayNetwork(c rest.Caller, info rest.Doc) (rest.Doc, error) {
	if info == nil {
		return nil, nil
	}
	id := rest.Str(info, "network_id")
	network := s.networks.Find(id)
	if network == nil || !s.seesNetwork(c, network) {
		return nil, missing("Network", id)
	}
	if !rest.Bool(network, "router:external") {
		return nil, badRouter("Network %s is not an external network", id)
	}
	for _, ip := range rest.Docs(info, "external_fixed_ips") {
		for _, sub := range s.subnetsOf(id) {
			if gw := rest.Str(sub, "gateway_ip"); gw != "" && rest.Str(ip, "ip_address") == gw {
				return nil, badRouter("External IP %s is the same as the gateway IP", gw)
			}
		}
	}
	return network, nil
}

func badRouter(format string, args ...any) error {
	return rest.Errorf(400, "BadRequest", "Bad router request: "+format+".", args...)
}

// gatewayRoutes holds the router's routes against what it will be connected to.
func (s *Server) gatewayRoutes(router, network rest.Doc) error {
	routes := rest.Docs(router, "routes")
	if len(routes) == 0 {
		return nil
	}
	ports := slices.DeleteFunc(s.routerPorts(rest.Str(router, "id")), func(p rest.Doc) bool { return p["device_owner"] == gatewayOwner })
	next := rest.Doc{}
	for _, sub := range s.subnetsOf(rest.Str(network, "id")) {
		next["fixed_ips"] = append(rest.Docs(next, "fixed_ips"), rest.Doc{"subnet_id": sub["id"]})
	}
	return s.checkRoutes(router, routes, append(ports, next))
}

func (s *Server) placeGateway(router, have, network, info rest.Doc) error {
	want, named := info["external_fixed_ips"]
	if have != nil && network != nil && have["network_id"] == network["id"] {
		if list := rest.Docs(rest.Doc{"l": want}, "l"); named && len(list) > 0 && !sameAddresses(list, rest.Docs(have, "fixed_ips")) {
			ips, err := s.allocate(request{network: network, keep: rest.Docs(have, "fixed_ips"), mac: rest.Str(have, "mac_address")}, list)
			if err != nil {
				return err
			}
			have["fixed_ips"] = ips
		}
		return nil
	}
	if have != nil {
		if len(s.floats.Where(func(f rest.Doc) bool { return f["router_id"] == router["id"] })) > 0 {
			return conflict("RouterExternalGatewayInUseByFloatingIp",
				"Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.",
				router["id"], have["network_id"])
		}
		s.ports.Delete(rest.Str(have, "id"))
	}
	if network == nil {
		return nil
	}
	if err := s.checkOverlap(rest.Str(router, "id"), s.subnetsOf(rest.Str(network, "id"))); err != nil {
		return err
	}
	in := rest.Doc{"network_id": network["id"], "device_owner": gatewayOwner, "device_id": router["id"], "project_id": ""}
	if list := rest.Docs(rest.Doc{"l": want}, "l"); len(list) > 0 {
		in["fixed_ips"] = want
	}
	port, err := s.servicePort(in)
	if err != nil {
		return err
	}
	s.bind(port, s.Host)
	return nil
}

// sameAddresses says whether a wanted list asks for what is there.
func sameAddresses(want, have []rest.Doc) bool {
	return len(want) == len(have) && !slices.ContainsFunc(want, func(w rest.Doc) bool {
		return !slices.ContainsFunc(have, func(h rest.Doc) bool {
			sub, ip := rest.Str(w, "subnet_id"), rest.Str(w, "ip_address")
			return (sub == "" || h["subnet_id"] == sub) && (ip == "" || parse(h, "ip_address") == parse(w, "ip_address"))
		})
	})
}

// checkOverlap refuses subnets that overlap one the router is in.
func (s *Server) checkOverlap(router string, subnets []rest.Doc) error {
	for _, p := range s.routerPorts(router) {
		for _, ip := range rest.Docs(p, "fixed_ips") {
			for _, sub := range subnets {
				if sub["id"] == ip["subnet_id"] {
					return badRouter("Router already has a port on subnet %s", sub["id"])
				}
			}
			have := s.cidr(ip)
			for _, sub := range subnets {
				if netip.MustParsePrefix(rest.Str(sub, "cidr")).Overlaps(have) {
					return badRouter("Cidr %s of subnet %s overlaps with cidr %s of subnet %s", sub["cidr"], sub["id"], have, ip["subnet_id"])
				}
			}
		}
	}
	return nil
}

// servicePort makes a port as Neutron makes one for itself: it may belong to
// nobody, and it is not asked who may do that.
func (s *Server) servicePort(in rest.Doc) (rest.Doc, error) {
	d, err := s.makePort(rest.Caller{Roles: []string{"admin"}}, in)
	if err != nil {
		return nil, err
	}
	d["project_id"], d["tags"], d["revision_number"] = in["project_id"], []string{}, 1
	d["created_at"], d["updated_at"] = s.stamp(), s.stamp()
	s.ports.Put(rest.Str(d, "id"), d)
	return d, nil
}
