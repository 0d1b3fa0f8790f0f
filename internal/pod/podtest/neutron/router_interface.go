package neutron

import (
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// interfaceRequest is the body of add_router_interface and its opposite, with
// the router of the path.
func (s *Server) interfaceRequest(r *rest.Request) (router rest.Doc, port, subnet string, err error) {
	if router, err = s.routerKind().find(r.Caller, r.Param("id")); err != nil {
		return nil, "", "", err
	}
	in, err := r.JSON()
	if err != nil {
		return nil, "", "", badRequest("Body contains invalid data")
	}
	port, subnet = rest.Str(in, "port_id"), rest.Str(in, "subnet_id")
	if in["port_id"] == nil && in["subnet_id"] == nil {
		return nil, "", "", badRouter("Either subnet_id or port_id must be specified")
	}
	for _, id := range []string{port, subnet} {
		if id != "" && !isUUID(id) {
			return nil, "", "", badRouter("'%s' is not a valid UUID", id)
		}
	}
	return router, port, subnet, nil
}

// addInterface puts a router into a subnet at its gateway address, or takes a
// port that is there.
func (s *Server) addInterface(r *rest.Request) (*rest.Reply, error) {
	router, portID, subnetID, err := s.interfaceRequest(r)
	if err != nil {
		return nil, err
	}
	if portID != "" && subnetID != "" {
		return nil, badRouter("Cannot specify both subnet-id and port-id")
	}
	var port rest.Doc
	var subnets []string
	if subnetID != "" {
		port, err = s.interfaceBySubnet(r.Caller, router, subnetID)
		subnets = []string{subnetID}
	} else {
		port, subnets, err = s.interfaceByPort(r.Caller, router, portID)
	}
	if err != nil {
		return nil, err
	}
	s.bind(port, s.Host)
	s.touch(port)
	return rest.OK(interfaceDoc(router, port, subnets))
}

func (s *Server) interfaceByPort(c rest.Caller, router rest.Doc, id string) (rest.Doc, []string, error) {
	port, err := s.portKind().find(c, id)
	if err != nil {
		return nil, nil, err
	}
	if device := rest.Str(port, "device_id"); device != "" {
		return nil, nil, conflict("PortInUse", "Unable to complete operation on port %s for network %s. Port already has an attached device %s.",
			id, port["network_id"], device)
	}
	subnets, ids, v4 := []rest.Doc{}, []string{}, 0
	for _, ip := range rest.Docs(port, "fixed_ips") {
		sub := s.subnets.Find(rest.Str(ip, "subnet_id"))
		if s.cidr(ip).Addr().Is4() {
			v4++
		}
		subnets, ids = append(subnets, sub), append(ids, rest.Str(sub, "id"))
	}
	if len(subnets) == 0 {
		return nil, nil, badRouter("Router port must have at least one fixed IP")
	}
	if other := s.v6Interface(router, port); other != nil && len(subnets) > v4 {
		return nil, nil, badRouter("Cannot have multiple router ports with the same network id if both contain IPv6 subnets. "+
			"Existing port %s has IPv6 subnet(s) and network id %s", other["id"], other["network_id"])
	}
	if err := s.checkOverlap(rest.Str(router, "id"), subnets); err != nil {
		return nil, nil, err
	}
	if v4 > 1 {
		return nil, nil, badRouter("Cannot have multiple IPv4 subnets on router port")
	}
	port["device_id"], port["device_owner"] = router["id"], routerOwner
	return port, ids, nil
}

// v6Interface is the router's port with IPv6 on the network of the given one.
func (s *Server) v6Interface(router, port rest.Doc) rest.Doc {
	for _, p := range s.routerPorts(rest.Str(router, "id")) {
		if p["network_id"] == port["network_id"] && p["device_owner"] == routerOwner && slices.ContainsFunc(rest.Docs(p, "fixed_ips"), func(ip rest.Doc) bool {
			return parse(ip, "ip_address").Is6()
		}) {
			return p
		}
	}
	return nil
}

func (s *Server) interfaceBySubnet(c rest.Caller, router rest.Doc, id string) (rest.Doc, error) {
	subnet, err := s.subnetKind().find(c, id)
	if err != nil {
		return nil, err
	}
	if rest.Str(subnet, "gateway_ip") == "" {
		return nil, badRouter("Subnet for router interface must have a gateway IP")
	}
	if err := s.checkOverlap(rest.Str(router, "id"), []rest.Doc{subnet}); err != nil {
		return nil, err
	}
	ip := rest.Doc{"subnet_id": id, "ip_address": subnet["gateway_ip"]}
	network := s.networks.Find(rest.Str(subnet, "network_id"))
	if port := s.v6Interface(router, subnet); port != nil && parse(subnet, "gateway_ip").Is6() {
		have := rest.Docs(port, "fixed_ips")
		ips, err := s.allocate(request{network: network, keep: have, mac: rest.Str(port, "mac_address"), owner: routerOwner}, append(slices.Clone(have), ip))
		if err != nil {
			return nil, err
		}
		port["fixed_ips"] = ips
		return port, nil
	}
	return s.servicePort(rest.Doc{
		"network_id": subnet["network_id"], "device_owner": routerOwner, "device_id": router["id"], "project_id": router["project_id"],
		"fixed_ips": []any{ip},
	})
}

func interfaceDoc(router, port rest.Doc, subnets []string) rest.Doc {
	return rest.Doc{
		"id": router["id"], "tenant_id": port["project_id"], "project_id": port["project_id"], "port_id": port["id"],
		"network_id": port["network_id"], "subnet_ids": subnets, "subnet_id": subnets[len(subnets)-1], "tags": []string{},
	}
}

func (s *Server) removeInterface(r *rest.Request) (*rest.Reply, error) {
	router, portID, subnetID, err := s.interfaceRequest(r)
	if err != nil {
		return nil, err
	}
	if subnetID != "" && s.subnets.Find(subnetID) == nil {
		return nil, missing("Subnet", subnetID)
	}
	port, err := s.interfaceOf(router, portID, subnetID)
	if err != nil {
		return nil, err
	}
	leaving := []string{}
	kept := []rest.Doc{}
	for _, ip := range rest.Docs(port, "fixed_ips") {
		if sub := rest.Str(ip, "subnet_id"); portID != "" || sub == subnetID {
			leaving = append(leaving, sub)
		} else {
			kept = append(kept, ip)
		}
	}
	for _, sub := range leaving {
		if err := s.interfaceUsed(router, sub); err != nil {
			return nil, err
		}
	}
	if len(kept) > 0 {
		port["fixed_ips"] = kept
		s.touch(port)
	} else {
		s.forgetPort(port)
		s.ports.Delete(rest.Str(port, "id"))
	}
	return rest.OK(interfaceDoc(router, port, leaving))
}

// interfaceOf finds the router's port that a removal names.
func (s *Server) interfaceOf(router rest.Doc, port, subnet string) (rest.Doc, error) {
	for _, p := range s.routerPorts(rest.Str(router, "id")) {
		if p["device_owner"] != routerOwner {
			continue
		}
		switch {
		case port != "" && p["id"] == port && subnet != "" && !hasSubnet(p, subnet):
			return nil, rest.Errorf(400, "SubnetMismatchForPort", "Subnet on port %s does not match the requested subnet %s.", port, subnet)
		case port != "" && p["id"] == port, port == "" && hasSubnet(p, subnet):
			return p, nil
		}
	}
	if port != "" {
		return nil, rest.Errorf(404, "RouterInterfaceNotFound", "Router %s does not have an interface with id %s", router["id"], port)
	}
	return nil, rest.Errorf(404, "RouterInterfaceNotFoundForSubnet", "Router %s has no interface on subnet %s", router["id"], subnet)
}

// interfaceUsed refuses to take away what routes or floating IPs go through.
func (s *Server) interfaceUsed(router rest.Doc, subnet string) error {
	cidr := netip.MustParsePrefix(rest.Str(s.subnets.Find(subnet), "cidr"))
	const words = "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more %s."
	for _, f := range s.floats.All() {
		if f["router_id"] != router["id"] {
			continue
		}
		inside := []rest.Doc{{"port": f["port_id"], "ip": f["fixed_ip_address"]}}
		for _, fwd := range s.forwardingsOf(rest.Str(f, "id")) {
			inside = append(inside, rest.Doc{"port": fwd["internal_port_id"], "ip": fwd["internal_ip_address"]})
		}
		for _, in := range inside {
			if cidr.Contains(parse(in, "ip")) && hasSubnet(s.ports.Find(rest.Str(in, "port")), subnet) {
				return conflict("RouterInterfaceInUseByFloatingIP", words, subnet, router["id"], "floating IPs")
			}
		}
	}
	for _, r := range rest.Docs(router, "routes") {
		if cidr.Contains(parse(r, "nexthop")) {
			return conflict("RouterInterfaceInUseByRoute", words, subnet, router["id"], "routes")
		}
	}
	return nil
}
