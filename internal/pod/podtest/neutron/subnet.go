package neutron

import (
	"net/netip"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) subnetKind() *resource {
	modes := []string{"slaac", "dhcpv6-stateful", "dhcpv6-stateless"}
	return &resource{
		server: s, path: "subnets", single: "subnet", plural: "subnets", store: &s.subnets,
		attrs: standard(map[string]attribute{
			"name":              {post: true, put: true, kind: "string"},
			"network_id":        {post: true, required: true, kind: "uuid"},
			"ip_version":        {post: true, required: true, values: []string{"4", "6"}},
			"cidr":              {post: true},
			"gateway_ip":        {post: true, put: true, kind: "ip", null: true},
			"allocation_pools":  {post: true, put: true, kind: "list"},
			"enable_dhcp":       {post: true, put: true, kind: "bool"},
			"dns_nameservers":   {post: true, put: true, kind: "list"},
			"host_routes":       {post: true, put: true, kind: "list"},
			"ipv6_ra_mode":      {post: true, values: modes, null: true},
			"ipv6_address_mode": {post: true, values: modes, null: true},
			"subnetpool_id":     {post: true},
			"prefixlen":         {post: true},
			"use_default_subnetpool": {
				post: true, kind: "bool",
			},
			"service_types": {post: true, put: true, kind: "list"},
			"segment_id":    {post: true, put: true},
		}),
		visible: s.seesSubnet,
		missing: func(id string) error { return missing("Subnet", id) },
		make:    s.makeSubnet, change: s.changeSubnet, drop: s.dropSubnet,
	}
}

func (s *Server) seesSubnet(c rest.Caller, d rest.Doc) bool {
	return c.Sees(d["project_id"]) || rest.Bool(s.networks.Find(rest.Str(d, "network_id")), "shared")
}

func (s *Server) makeSubnet(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	network := s.networks.Find(rest.Str(in, "network_id"))
	if network == nil || !s.seesNetwork(c, network) {
		return nil, missing("Network", rest.Str(in, "network_id"))
	}
	if !c.Sees(network["project_id"]) {
		return nil, denied("rule:create_subnet")
	}
	version, _ := rest.Number(in["ip_version"])
	if version == 0 {
		version = map[string]float64{"4": 4, "6": 6}[rest.Text(in["ip_version"])]
	}
	cidr, err := s.prefix(rest.Str(network, "id"), in, int(version))
	if err != nil {
		return nil, err
	}
	d := rest.Doc{
		"id": uuid.NewString(), "name": "", "network_id": network["id"], "ip_version": int(version), "cidr": cidr.String(), "enable_dhcp": true,
		"dns_nameservers": []string{}, "host_routes": []rest.Doc{}, "ipv6_ra_mode": nil, "ipv6_address_mode": nil,
		"subnetpool_id": nil, "service_types": []string{}, "description": "",
	}
	gateway, ok := in["gateway_ip"]
	if !ok {
		gateway = cidr.Addr().Next().String()
		if version == 6 {
			gateway = cidr.Addr().String()
		}
	}
	d["gateway_ip"] = gateway
	copyIn(d, in, "name", "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode", "service_types", "description")
	if err := checkModes(d, cidr); err != nil {
		return nil, err
	}
	if err := options(d, in); err != nil {
		return nil, err
	}
	pools, given := in["allocation_pools"]
	if !given {
		d["allocation_pools"] = defaultPools(cidr, rest.Str(d, "gateway_ip"))
	} else if d["allocation_pools"], err = checkPools(cidr, rest.Docs(rest.Doc{"p": pools}, "p")); err != nil {
		return nil, err
	}
	if err := gatewayOutside(d); given && err != nil {
		return nil, err
	}
	s.touch(network)
	s.deriveAll(network, d)
	return d, nil
}

// checkModes: both modes are the same, need DHCP, and those whose addresses
// follow from the MAC a /64.
func checkModes(d rest.Doc, cidr netip.Prefix) error {
	ra, address := rest.Str(d, "ipv6_ra_mode"), rest.Str(d, "ipv6_address_mode")
	switch {
	case ra == "" && address == "":
		return nil
	case cidr.Addr().Is4() && ra != "":
		return invalid("ipv6_ra_mode is not valid when ip_version is 4.")
	case cidr.Addr().Is4():
		return invalid("ipv6_address_mode is not valid when ip_version is 4.")
	case !rest.Bool(d, "enable_dhcp"):
		return invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.")
	case ra != "" && address != "" && ra != address:
		return invalid("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. "+
			"If both attributes are set, they must be the same value.", ra, address)
	case derived(d) && cidr.Bits() != 64:
		return invalid("Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64.", cidr)
	}
	return nil
}

// deriveAll gives the ports that are there their address in a new subnet.
func (s *Server) deriveAll(network, subnet rest.Doc) {
	if !derived(subnet) {
		return
	}
	for _, p := range s.portsOf(rest.Str(network, "id")) {
		if p["device_owner"] == routerOwner {
			continue
		}
		p["fixed_ips"] = append(rest.Docs(p, "fixed_ips"), fromMAC(subnet, rest.Str(p, "mac_address")))
		s.touch(p)
	}
}

// prefix checks the CIDR of a new subnet.
func (s *Server) prefix(network string, in rest.Doc, version int) (netip.Prefix, error) {
	text := rest.Str(in, "cidr")
	if text == "" {
		return netip.Prefix{}, rest.Errorf(400, "BadRequest", "Bad subnets request: a subnetpool must be specified in the absence of a cidr.")
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return p, invalid("%s is not in a CIDR format.", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	p = p.Masked()
	if p.Addr().Is4() != (version == 4) {
		return p, invalid("cidr '%s' does not match the ip_version '%d'.", text, version)
	}
	for _, other := range s.subnetsOf(network) {
		if netip.MustParsePrefix(rest.Str(other, "cidr")).Overlaps(p) {
			return p, invalid("Requested subnet with cidr: %s for network: %s overlaps with another subnet.", p, network)
		}
	}
	return p, nil
}

// options takes name servers and routes.
func options(d, in rest.Doc) error {
	if list, ok := in["dns_nameservers"]; ok {
		servers := rest.Strings(rest.Doc{"l": list}, "l")
		for _, ip := range servers {
			if !isIP(ip) {
				return badRequest("Invalid input for dns_nameservers. Reason: '%s' is not a valid nameserver. '%s' is not a valid IP address.", ip, ip)
			}
		}
		d["dns_nameservers"] = servers
	}
	if list, ok := in["host_routes"]; ok {
		routes := rest.Docs(rest.Doc{"l": list}, "l")
		for _, r := range routes {
			if _, err := netip.ParsePrefix(rest.Str(r, "destination")); err != nil || !isIP(rest.Str(r, "nexthop")) {
				return badRequest("Invalid input for host_routes. Reason: '%s' is not a valid IP subnet.", r["destination"])
			}
		}
		d["host_routes"] = routes
	}
	return nil
}

// defaultPools is all of the subnet but the gateway.
func defaultPools(cidr netip.Prefix, gateway string) []rest.Doc {
	first, last := bounds(cidr)
	gw, err := netip.ParseAddr(gateway)
	if err != nil || gw.Compare(first) < 0 || gw.Compare(last) > 0 {
		return []rest.Doc{pool(first, last)}
	}
	out := []rest.Doc{}
	if first.Compare(gw) < 0 {
		out = append(out, pool(first, gw.Prev()))
	}
	if gw.Compare(last) < 0 {
		out = append(out, pool(gw.Next(), last))
	}
	return out
}

func pool(start, end netip.Addr) rest.Doc {
	return rest.Doc{"start": start.String(), "end": end.String()}
}

// bounds are the first and last address for hosts.
func bounds(cidr netip.Prefix) (first, last netip.Addr) {
	first = cidr.Addr()
	last = lastAddr(cidr)
	small := cidr.Bits() >= cidr.Addr().BitLen()-1
	if small {
		return first, last
	}
	first = first.Next()
	if cidr.Addr().Is4() {
		last = last.Prev()
	}
	return first, last
}

func lastAddr(cidr netip.Prefix) netip.Addr {
	b := cidr.Addr().AsSlice()
	for i := cidr.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func checkPools(cidr netip.Prefix, pools []rest.Doc) ([]rest.Doc, error) {
	first, last := bounds(cidr)
	out := []rest.Doc{}
	for _, p := range pools {
		start, err1 := netip.ParseAddr(rest.Str(p, "start"))
		end, err2 := netip.ParseAddr(rest.Str(p, "end"))
		if err1 != nil || err2 != nil || start.Compare(end) > 0 {
			return nil, rest.Errorf(400, "InvalidAllocationPool", "The allocation pool {'start': '%v', 'end': '%v'} is not valid.", p["start"], p["end"])
		}
		if start.Compare(first) < 0 || end.Compare(last) > 0 {
			return nil, rest.Errorf(400, "OutOfBoundsAllocationPool", "The allocation pool %s-%s spans beyond the subnet cidr %s.", start, end, cidr)
		}
		for _, o := range out {
			if start.Compare(parse(o, "end")) <= 0 && end.Compare(parse(o, "start")) >= 0 {
				return nil, conflict("OverlappingAllocationPools", "Found overlapping allocation pools: %s-%s %s-%s for subnet %s.", o["start"], o["end"], start, end, cidr)
			}
		}
		out = append(out, pool(start, end))
	}
	return out, nil
}

func parse(d rest.Doc, key string) netip.Addr {
	a, _ := netip.ParseAddr(rest.Str(d, key))
	return a
}

func gatewayOutside(d rest.Doc) error {
	gw, err := netip.ParseAddr(rest.Str(d, "gateway_ip"))
	if err != nil {
		return nil
	}
	for _, p := range rest.Docs(d, "allocation_pools") {
		if gw.Compare(parse(p, "start")) >= 0 && gw.Compare(parse(p, "end")) <= 0 {
			return conflict("GatewayConflictWithAllocationPools", "Gateway ip %s conflicts with allocation pool %s-%s.", gw, p["start"], p["end"])
		}
	}
	return nil
}

// gatewayFree refuses another gateway while a router is at the one there is.
func (s *Server) gatewayFree(d, next rest.Doc) error {
	old := parse(d, "gateway_ip")
	if rest.Str(next, "gateway_ip") == "" || old == parse(next, "gateway_ip") {
		return nil
	}
	for _, p := range s.portsOf(rest.Str(d, "network_id")) {
		for _, ip := range rest.Docs(p, "fixed_ips") {
			if p["device_owner"] == routerOwner && ip["subnet_id"] == d["id"] && parse(ip, "ip_address") == old {
				return conflict("GatewayIpInUse", "Current gateway ip %s already in use by port %s. Unable to update.", old, p["id"])
			}
		}
	}
	return nil
}

func (s *Server) changeSubnet(_ rest.Caller, d, in rest.Doc) error {
	next := rest.Doc{}
	for k, v := range d {
		next[k] = v
	}
	copyIn(next, in, "name", "enable_dhcp", "service_types", "description", "gateway_ip")
	if err := s.gatewayFree(d, next); err != nil {
		return err
	}
	if err := options(next, in); err != nil {
		return err
	}
	if pools, ok := in["allocation_pools"]; ok {
		checked, err := checkPools(netip.MustParsePrefix(rest.Str(d, "cidr")), rest.Docs(rest.Doc{"p": pools}, "p"))
		if err != nil {
			return err
		}
		next["allocation_pools"] = checked
	}
	if err := gatewayOutside(next); err != nil {
		return err
	}
	for k, v := range next {
		d[k] = v
	}
	s.touch(s.networks.Find(rest.Str(d, "network_id")))
	return nil
}

// dropSubnet takes the subnet's addresses off the agents' ports; any other port
// keeps it.
func (s *Server) dropSubnet(_ rest.Caller, d rest.Doc) error {
	id := rest.Str(d, "id")
	ports := s.portsOf(rest.Str(d, "network_id"))
	for _, p := range ports {
		if p["device_owner"] != ownerDHCP && hasSubnet(p, id) && (!derived(d) || p["device_owner"] == routerOwner) {
			return conflict("SubnetInUse", "Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", id)
		}
	}
	for _, p := range ports {
		kept := []rest.Doc{}
		for _, ip := range rest.Docs(p, "fixed_ips") {
			if ip["subnet_id"] != id {
				kept = append(kept, ip)
			}
		}
		p["fixed_ips"] = kept
	}
	s.touch(s.networks.Find(rest.Str(d, "network_id")))
	return nil
}

func hasSubnet(port rest.Doc, subnet string) bool {
	for _, ip := range rest.Docs(port, "fixed_ips") {
		if ip["subnet_id"] == subnet {
			return true
		}
	}
	return false
}
