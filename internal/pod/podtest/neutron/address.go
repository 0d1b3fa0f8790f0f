package neutron

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// window is how many free addresses Neutron looks at before it picks one at
// random, so that two creations at once seldom want the same.
const window = 10

// addresses settles fixed_ips of a new port.
func (s *Server) addresses(c rest.Caller, network, in rest.Doc, mac string) ([]rest.Doc, error) {
	if list, given := in["fixed_ips"]; given {
		return s.allocate(request{network: network, mac: mac, owner: rest.Str(in, "device_owner")}, rest.Docs(rest.Doc{"l": list}, "l"))
	}
	out := []rest.Doc{}
	for _, version := range []int{4, 6} {
		var subnets []rest.Doc
		for _, sub := range s.subnetsOf(rest.Str(network, "id")) {
			if n, _ := rest.Number(sub["ip_version"]); int(n) == version && s.seesSubnet(c, sub) {
				subnets = append(subnets, sub)
			}
		}
		ips, err := s.automatic(network, subnets, out, mac)
		if err != nil {
			return nil, err
		}
		out = append(out, ips...)
	}
	return out, nil
}

// automatic gives one address of one IP version, and one of each subnet whose
// addresses are made out of the MAC.
func (s *Server) automatic(network rest.Doc, subnets, taken []rest.Doc, mac string) ([]rest.Doc, error) {
	out := []rest.Doc{}
	tried := false
	given := false
	for _, sub := range subnets {
		if derived(sub) {
			out = append(out, fromMAC(sub, mac))
			continue
		}
		if given {
			continue
		}
		tried = true
		if ip, ok := s.free(sub, taken); ok {
			out = append(out, fixed(sub, ip))
			given = true
		}
	}
	if tried && !given {
		return nil, exhausted(network)
	}
	return out, nil
}

func exhausted(network rest.Doc) error {
	return conflict("IpAddressGenerationFailure", "No more IP addresses available on network %s.", network["id"])
}

func fixed(subnet rest.Doc, ip netip.Addr) rest.Doc {
	return rest.Doc{"subnet_id": subnet["id"], "ip_address": ip.String()}
}

func derived(subnet rest.Doc) bool {
	for _, name := range []string{"ipv6_address_mode", "ipv6_ra_mode"} {
		if mode := rest.Str(subnet, name); mode == "slaac" || mode == "dhcpv6-stateless" {
			return true
		}
	}
	return false
}

// fromMAC is the EUI-64 address.
func fromMAC(subnet rest.Doc, mac string) rest.Doc {
	hw, _ := net.ParseMAC(mac)
	b := netip.MustParsePrefix(rest.Str(subnet, "cidr")).Addr().As16()
	copy(b[8:], []byte{hw[0] ^ 2, hw[1], hw[2], 0xff, 0xfe, hw[3], hw[4], hw[5]})
	return fixed(subnet, netip.AddrFrom16(b))
}

// request is what a port needs addresses for. Those in keep stay as they are.
type request struct {
	network    rest.Doc
	keep       []rest.Doc
	mac, owner string
}

// allocate settles a list that says subnet, address, or both. A router's port
// has no address made out of its MAC, and may name any.
func (s *Server) allocate(r request, want []rest.Doc) ([]rest.Doc, error) {
	network, keep, mac, router := r.network, r.keep, r.mac, r.owner == routerOwner
	out := []rest.Doc{}
	for _, w := range want {
		sub, err := s.subnetFor(network, w, router)
		if err != nil {
			return nil, err
		}
		text := rest.Str(w, "ip_address")
		if derived(sub) && !router {
			named, _ := netip.ParseAddr(text)
			kept := slices.ContainsFunc(keep, func(k rest.Doc) bool { return parse(k, "ip_address") == named })
			if text != "" && !kept {
				return nil, rest.Errorf(400, "AllocationOnAutoAddressSubnet",
					"IPv6 address %s cannot be directly assigned to a port on subnet %s as the subnet is configured for automatic addresses", text, sub["id"])
			}
			continue // comes below
		}
		if text == "" {
			ip, ok := s.free(sub, append(slices.Clone(out), keep...))
			if !ok {
				return nil, exhausted(network)
			}
			out = append(out, fixed(sub, ip))
			continue
		}
		ip, _ := netip.ParseAddr(text)
		mine := slices.ContainsFunc(keep, func(k rest.Doc) bool { return parse(k, "ip_address") == ip })
		if !mine && s.taken(sub, ip, out) {
			return nil, conflict("IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s", ip, sub["id"])
		}
		out = append(out, fixed(sub, ip))
	}
	for _, sub := range s.subnetsOf(rest.Str(network, "id")) {
		if derived(sub) && !router {
			out = append(out, fromMAC(sub, mac))
		}
	}
	return out, nil
}

// subnetFor finds and checks the subnet of one wanted address; router says that it
// is for a router's interface.
func (s *Server) subnetFor(network, want rest.Doc, router bool) (rest.Doc, error) {
	id, text := rest.Str(want, "subnet_id"), rest.Str(want, "ip_address")
	if text != "" && !isIP(text) {
		return nil, badRequest("Invalid input for fixed_ips. Reason: '%s' is not a valid IP address.", text)
	}
	if id != "" && !isUUID(id) {
		return nil, badRequest("Invalid input for fixed_ips. Reason: '%s' is not a valid UUID.", id)
	}
	ip, _ := netip.ParseAddr(text)
	if id == "" {
		for _, sub := range s.subnetsOf(rest.Str(network, "id")) {
			if usable(sub, ip, router) {
				return sub, nil
			}
		}
		return nil, rest.Errorf(400, "InvalidIpForNetwork", "IP address %s is not a valid IP for any of the subnets on the specified network.", text)
	}
	sub := s.subnets.Find(id)
	if sub == nil {
		return nil, missing("Subnet", id)
	}
	if sub["network_id"] != network["id"] {
		return nil, invalid("Failed to create port on network %s, because fixed_ips included invalid subnet %s.", network["id"], id)
	}
	if text != "" && !usable(sub, ip, router) {
		return nil, rest.Errorf(400, "InvalidIpForSubnet", "IP address %s is not a valid IP for the specified subnet.", text)
	}
	return sub, nil
}

// usable says whether a host, or a router, may have the address: pools do not matter.
// The first IPv6 address is for routers.
func usable(subnet rest.Doc, ip netip.Addr, router bool) bool {
	cidr := netip.MustParsePrefix(rest.Str(subnet, "cidr"))
	if !cidr.Contains(ip) {
		return false
	}
	if router && ip.Is6() && ip == cidr.Masked().Addr() {
		return true
	}
	first, last := bounds(cidr)
	return ip.Compare(first) >= 0 && ip.Compare(last) <= 0
}

func (s *Server) taken(subnet rest.Doc, ip netip.Addr, also []rest.Doc) bool {
	has := func(list []rest.Doc) bool {
		return slices.ContainsFunc(list, func(f rest.Doc) bool {
			return f["subnet_id"] == subnet["id"] && parse(f, "ip_address") == ip
		})
	}
	return has(also) || slices.ContainsFunc(s.portsOf(rest.Str(subnet, "network_id")), func(p rest.Doc) bool {
		return has(rest.Docs(p, "fixed_ips"))
	})
}

// free picks one of the first free addresses in the pools.
func (s *Server) free(subnet rest.Doc, also []rest.Doc) (netip.Addr, bool) {
	used := map[netip.Addr]bool{}
	for _, p := range s.portsOf(rest.Str(subnet, "network_id")) {
		for _, f := range rest.Docs(p, "fixed_ips") {
			used[parse(f, "ip_address")] = true
		}
	}
	for _, f := range also {
		used[parse(f, "ip_address")] = true
	}
	var found []netip.Addr
	for _, p := range rest.Docs(subnet, "allocation_pools") {
		end := parse(p, "end")
		for ip := parse(p, "start"); ip.Compare(end) <= 0 && len(found) < window; ip = ip.Next() {
			if !used[ip] {
				found = append(found, ip)
			}
		}
	}
	if len(found) == 0 {
		return netip.Addr{}, false
	}
	return found[rand.IntN(len(found))], true
}

// readdress settles fixed_ips of a port that is there.
func (s *Server) readdress(c rest.Caller, network, port rest.Doc, list any) ([]rest.Doc, error) {
	want := rest.Docs(rest.Doc{"l": list}, "l")
	if !c.Sees(network["project_id"]) && slices.ContainsFunc(want, func(w rest.Doc) bool { return rest.Str(w, "ip_address") != "" }) {
		return nil, denied("(rule:update_port and (rule:update_port:fixed_ips and rule:update_port:fixed_ips:ip_address))")
	}
	r := request{network: network, keep: rest.Docs(port, "fixed_ips"), mac: rest.Str(port, "mac_address"), owner: rest.Str(port, "device_owner")}
	next, err := s.allocate(r, want)
	if err == nil && r.owner == routerOwner && rest.Text(v4(next)) != rest.Text(v4(r.keep)) && s.routers.Find(rest.Str(port, "device_id")) != nil {
		return nil, rest.Errorf(400, "BadRequest", "Bad ports request: IP updates for port %s are not allowed.", port["id"])
	}
	return next, err
}

// v4 lists the IPv4 addresses, ordered.
func v4(ips []rest.Doc) []string {
	out := []string{}
	for _, ip := range ips {
		if parse(ip, "ip_address").Is4() {
			out = append(out, rest.Str(ip, "ip_address"))
		}
	}
	slices.Sort(out)
	return out
}
