package plan

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// Subnet is a pod's subnet, as far as we care.
type Subnet struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	GatewayIP   *string  `json:"gateway_ip"`
	EnableDHCP  bool     `json:"enable_dhcp"`
	Pools       []Range  `json:"allocation_pools"`
	DNS         []string `json:"dns_nameservers"`
	HostRoutes  []Route  `json:"host_routes"`
}

// PodID is its ID in the pod.
func (s Subnet) PodID() string { return s.ID }

// Range is an allocation pool in a pod.
type Range struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// Route is a host route in a pod.
type Route struct {
	Destination string `json:"destination"`
	NextHop     string `json:"nexthop"`
}

// NewSubnet is the body that creates the subnet in a pod. DHCP stays off until
// the reserved ports exist: with it on, the pod's agent would make a port of its
// own first, at an address of its choice. The pools hold the reserved addresses
// and no other, so that nothing a pod allocates by itself can be an address that
// we give to somebody else. With an IPv6 mode DHCP cannot be off: then the ports
// are there first.
func NewSubnet(s topology.Subnet, podNetworkID string, reserved []netip.Addr) map[string]any {
	body := map[string]any{
		"name":            s.Name,
		"description":     Mark("subnet", s.ID),
		"network_id":      podNetworkID,
		"ip_version":      s.IPVersion,
		"cidr":            s.CIDR.String(),
		"gateway_ip":      gateway(s),
		"enable_dhcp":     s.HasMode(),
		"dns_nameservers": orEmpty(s.DNSNameservers),
		"host_routes":     routes(s.HostRoutes),
	}
	setProject(body, s.ProjectID)
	if s.IPv6RAMode != "" {
		body["ipv6_ra_mode"] = s.IPv6RAMode
	}
	if s.IPv6AddressMode != "" {
		body["ipv6_address_mode"] = s.IPv6AddressMode
	}
	// Neutron takes an empty list on creation for "the default pools".
	if pools := pools(reserved); len(pools) > 0 {
		body["allocation_pools"] = pools
	}
	return body
}

// UpdateSubnet is what to change in the pod's subnet. DHCP is switched on only
// when the reserved ports are there.
func UpdateSubnet(want topology.Subnet, found Subnet, reserved []netip.Addr) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("subnet", want.ID))
	set(c, "enable_dhcp", found.EnableDHCP, want.EnableDHCP)
	if a, b := deref(found.GatewayIP), addr(want.GatewayIP); a != b {
		c["gateway_ip"] = gateway(want)
	}
	if !slices.Equal(found.DNS, want.DNSNameservers) {
		c["dns_nameservers"] = orEmpty(want.DNSNameservers)
	}
	byDestination := func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.NextHop, b.NextHop))
	}
	wanted := routes(want.HostRoutes)
	if !slices.Equal(slices.SortedFunc(slices.Values(found.HostRoutes), byDestination),
		slices.SortedFunc(slices.Values(wanted), byDestination)) {
		c["host_routes"] = wanted
	}
	if pools := pools(reserved); !slices.Equal(expand(found.Pools), expand(pools)) {
		c["allocation_pools"] = pools
	}
	return c
}

func gateway(s topology.Subnet) any {
	if !s.GatewayIP.IsValid() {
		return nil
	}
	return s.GatewayIP.String()
}

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func routes(rs []topology.HostRoute) []Route {
	out := make([]Route, 0, len(rs))
	for _, r := range rs {
		out = append(out, Route{Destination: r.Destination.String(), NextHop: r.NextHop.String()})
	}
	return out
}

// pools makes a pool of each address.
func pools(reserved []netip.Addr) []Range {
	sorted := slices.SortedFunc(slices.Values(reserved), netip.Addr.Compare)
	out := make([]Range, 0, len(sorted))
	for _, a := range sorted {
		out = append(out, Range{Start: a.String(), End: a.String()})
	}
	return out
}

// expand brings pools into one form: Neutron joins neighbouring ones. Pools over
// maxPool addresses are kept as they are; ours never get there.
func expand(rs []Range) []string {
	const maxPool = 64
	var out []string
	for _, r := range rs {
		a, err1 := netip.ParseAddr(r.Start)
		b, err2 := netip.ParseAddr(r.End)
		if err1 != nil || err2 != nil {
			out = append(out, r.Start+"-"+r.End)
			continue
		}
		n := 0
		for ; a.IsValid() && a.Compare(b) <= 0 && n < maxPool; a = a.Next() {
			out = append(out, a.String())
			n++
		}
		if n == maxPool {
			out = append(out, "..."+r.End)
		}
	}
	slices.Sort(out)
	return out
}
