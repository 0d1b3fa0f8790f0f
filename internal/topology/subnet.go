package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"go4.org/netipx"
)

// How many name servers and routes a subnet may have, as in Neutron by default.
const (
	maxNameservers = 5
	maxHostRoutes  = 20
)

// IPv6 modes: who tells a server its address and the rest.
const (
	ModeSLAAC     = "slaac"
	ModeStateful  = "dhcpv6-stateful"
	ModeStateless = "dhcpv6-stateless"
)

// Subnet is a central subnet. Addresses in it are given by us alone.
type Subnet struct {
	ID              string       `json:"id"`
	NetworkID       string       `json:"network_id"`
	ProjectID       string       `json:"project_id"`
	Name            string       `json:"name"`
	Description     string       `json:"description"`
	IPVersion       int          `json:"ip_version"`
	CIDR            netip.Prefix `json:"cidr"`
	GatewayIP       netip.Addr   `json:"gateway_ip"` // zero: no gateway
	EnableDHCP      bool         `json:"enable_dhcp"`
	AllocationPools []Pool       `json:"allocation_pools"`
	DNSNameservers  []string     `json:"dns_nameservers"`
	HostRoutes      []HostRoute  `json:"host_routes"`
	IPv6RAMode      string       `json:"ipv6_ra_mode"`
	IPv6AddressMode string       `json:"ipv6_address_mode"`
	SubnetPoolID    string       `json:"subnetpool_id"` // empty: not out of a pool
	ServiceTypes    []string     `json:"service_types"` // device owners; empty: all
	CreatedAt       time.Time    `json:"created_at"`
	UpdatedAt       time.Time    `json:"updated_at"`
	Revision        int64        `json:"revision_number"`
}

// Pool is a range of addresses, both ends included.
type Pool struct {
	Start netip.Addr `json:"start"`
	End   netip.Addr `json:"end"`
}

// HostRoute is a route that DHCP hands to the servers of a subnet.
type HostRoute struct {
	Destination netip.Prefix `json:"destination"`
	NextHop     netip.Addr   `json:"nexthop"`
}

// SubnetSpec is a subnet somebody asks for. A zero GatewayIP and nil
// AllocationPools are chosen by us.
type SubnetSpec struct {
	Subnet
	NoGateway bool
	PrefixLen *int // of a subnet out of a pool; nil: the pool's
}

// Complete fills in gateway and pools and checks the whole.
func (spec SubnetSpec) Complete() (Subnet, error) {
	s := spec.Subnet
	s.CIDR = s.CIDR.Masked()
	if err := s.check(true); err != nil {
		return Subnet{}, err
	}
	if !s.GatewayIP.IsValid() && !spec.NoGateway {
		s.GatewayIP = s.defaultGateway()
	}
	if s.AllocationPools == nil {
		s.AllocationPools = s.defaultPools()
	}
	if err := s.checkPools(); err != nil {
		return Subnet{}, err
	}
	return s, nil
}

// CheckUpdate refuses a change from was to s. Name servers, routes, pools and
// gateway are checked anew; DHCP only when it is switched.
func (s *Subnet) CheckUpdate(was *Subnet) error {
	if was.EnableDHCP && !s.EnableDHCP && s.HasMode() {
		return invalidInput("Cannot disable enable_dhcp with ipv6 attributes set")
	}
	if err := s.check(s.EnableDHCP && !was.EnableDHCP); err != nil {
		return err
	}
	return s.checkPools()
}

func (s *Subnet) check(newDHCP bool) error {
	if err := s.checkVersion("cidr", s.CIDR.Addr(), s.CIDR.String()); err != nil {
		return err
	}
	if s.EnableDHCP && newDHCP {
		if err := s.checkDHCP(); err != nil {
			return err
		}
	}
	if s.CIDR.Bits() == 0 {
		return invalidInput("0 is not allowed as CIDR prefix length")
	}
	if err := s.checkGateway(); err != nil {
		return err
	}
	if err := s.checkLists(); err != nil {
		return err
	}
	return s.checkModes()
}

func (s *Subnet) checkVersion(name string, a netip.Addr, shown string) error {
	if a.Is4() != (s.IPVersion == 4) {
		return invalidInput("%s '%s' does not match the ip_version '%d'", name, shown, s.IPVersion)
	}
	return nil
}

func (s *Subnet) checkDHCP() error {
	a := s.CIDR.Addr()
	switch {
	case a.Is4() && s.CIDR.Bits() > 30, a.Is6() && s.CIDR.Bits() > 126:
		return invalidInput("Subnet has a prefix length that is incompatible with DHCP service enabled")
	case a.IsMulticast():
		return invalidInput("Multicast IP subnet is not supported if enable_dhcp is True")
	case a.IsLoopback():
		return invalidInput("Loopback IP subnet is not supported if enable_dhcp is True")
	case a.Is4() && a.IsUnspecified():
		return fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: "+
			"First IP '0.0.0.0' of network is not supported if enable_dhcp is True..")
	}
	return nil
}

// checkGateway allows a gateway outside the subnet, as Neutron does.
func (s *Subnet) checkGateway() error {
	g := s.GatewayIP
	if !g.IsValid() {
		return nil
	}
	if err := s.checkVersion("gateway_ip", g, g.String()); err != nil {
		return err
	}
	if g.Is4() && s.CIDR.Contains(g) && (g == s.CIDR.Addr() || g == netipx.PrefixLastIP(s.CIDR)) {
		return invalidInput("Gateway is not valid on subnet")
	}
	return nil
}

func (s *Subnet) checkLists() error {
	shown := s.ID
	if shown == "" {
		shown = "new subnet"
	}
	if len(s.DNSNameservers) > maxNameservers {
		return fault.New(fault.Invalid, "DNSNameServersExhausted",
			"Unable to complete operation for %s. The number of DNS nameservers exceeds the limit %d.", shown, maxNameservers)
	}
	for _, server := range s.DNSNameservers {
		a, err := netip.ParseAddr(server)
		if err != nil {
			return invalidInput("Error parsing dns address %s", server)
		}
		if err := s.checkVersion("dns_nameserver", a, server); err != nil {
			return err
		}
	}
	if len(s.HostRoutes) > maxHostRoutes {
		return fault.New(fault.Invalid, "HostRoutesExhausted",
			"Unable to complete operation for %s. The number of host routes exceeds the limit %d.", shown, maxHostRoutes)
	}
	for _, r := range s.HostRoutes {
		if err := s.checkVersion("nexthop", r.NextHop, r.NextHop.String()); err != nil {
			return err
		}
		if err := s.checkVersion("destination", r.Destination.Addr(), r.Destination.String()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Subnet) checkModes() error {
	ra, address := s.IPv6RAMode, s.IPv6AddressMode
	if s.IPVersion == 4 {
		if ra != "" {
			return invalidInput("ipv6_ra_mode is not valid when ip_version is 4")
		}
		if address != "" {
			return invalidInput("ipv6_address_mode is not valid when ip_version is 4")
		}
		return nil
	}
	if (ra != "" || address != "") && !s.EnableDHCP {
		return invalidInput("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
	}
	if ra != "" && address != "" && ra != address {
		return invalidInput("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. "+
			"If both attributes are set, they must be the same value", ra, address)
	}
	if s.AutoAddress() && s.CIDR.Bits() != 64 {
		return invalidInput("Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, "+
			"which requires the prefix to be /64", s.CIDR)
	}
	return nil
}

// HasMode says that an IPv6 mode is set. Such a subnet always has DHCP.
func (s *Subnet) HasMode() bool { return s.IPv6RAMode != "" || s.IPv6AddressMode != "" }

// AutoAddress says that servers give themselves the address: it follows from
// the MAC address, and every port of the network has one.
func (s *Subnet) AutoAddress() bool {
	auto := []string{ModeSLAAC, ModeStateless}
	return slices.Contains(auto, s.IPv6AddressMode) || slices.Contains(auto, s.IPv6RAMode)
}

func (s *Subnet) defaultGateway() netip.Addr {
	if s.IPVersion == 6 {
		return s.CIDR.Addr() // the subnet-router anycast address, as in Neutron
	}
	return s.CIDR.Addr().Next()
}

// usable is the range that pools may lie in: IPv4 has no host at either end of
// a prefix that has a broadcast address, IPv6 none at the beginning.
func (s *Subnet) usable() Pool {
	first, last := s.CIDR.Addr(), netipx.PrefixLastIP(s.CIDR)
	switch {
	case first == last:
	case first.Is4() && s.CIDR.Bits() <= 30:
		first, last = first.Next(), last.Prev()
	case first.Is6():
		first = first.Next()
	}
	return Pool{first, last}
}

func (s *Subnet) defaultPools() []Pool {
	all := s.usable()
	if !s.GatewayIP.IsValid() || all.Start == all.End {
		return []Pool{all}
	}
	return freeRanges([]Pool{all}, []netip.Addr{s.GatewayIP})
}

func (s *Subnet) checkPools() error {
	all := s.usable()
	for i, p := range s.AllocationPools {
		if p.Start.Is4() != p.End.Is4() || p.Start.Compare(p.End) > 0 {
			return fault.New(fault.Invalid, "InvalidAllocationPool",
				"The allocation pool {'start': '%s', 'end': '%s'} is not valid.", p.Start, p.End)
		}
		if p.Start.Is4() != (s.IPVersion == 4) {
			return fault.New(fault.Invalid, "InvalidAllocationPool", "The allocation pool %s is not valid.", p)
		}
		if p.Start.Compare(all.Start) < 0 || p.End.Compare(all.End) > 0 {
			return fault.New(fault.Invalid, "OutOfBoundsAllocationPool",
				"The allocation pool %s spans beyond the subnet cidr %s.", p, s.CIDR)
		}
		for _, q := range s.AllocationPools[:i] {
			if p.Start.Compare(q.End) <= 0 && q.Start.Compare(p.End) <= 0 {
				return fault.New(fault.Conflict, "OverlappingAllocationPools",
					"Found overlapping allocation pools: %s %s for subnet %s.", q, p, s.CIDR)
			}
		}
	}
	for _, p := range s.AllocationPools {
		if s.GatewayIP.IsValid() && p.contains(s.GatewayIP) {
			return fault.New(fault.Conflict, "GatewayConflictWithAllocationPools",
				"Gateway ip %s conflicts with allocation pool %s.", s.GatewayIP, p)
		}
	}
	return nil
}

func (p Pool) String() string { return p.Start.String() + "-" + p.End.String() }

// CheckOverlap refuses a subnet that shares addresses with another one of its
// network.
func (s *Subnet) CheckOverlap(others []Subnet) error {
	for _, other := range others {
		if other.ID != s.ID && other.CIDR.Overlaps(s.CIDR) {
			return invalidInput("Requested subnet with cidr: %s for network: %s overlaps with another subnet",
				s.CIDR, s.NetworkID)
		}
	}
	return nil
}

// ParsePrefix reads an address or a prefix and keeps the host bits.
func ParsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not an address", text)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}
