package topology

import (
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"go4.org/netipx"
)

// hugePool bounds the arithmetic on IPv6 pools. A pool with more addresses is
// used from its beginning.
const hugePool = 1 << 62

// size is the number of addresses, at most hugePool.
func (p Pool) size() uint64 {
	start, end := p.Start.As16(), p.End.As16()
	var n uint64
	for i := range 16 {
		// Subtract byte by byte from the top; whatever exceeds the bound is cut.
		if n >= hugePool>>8 {
			return hugePool
		}
		n = n<<8 + uint64(end[i]) - uint64(start[i])
	}
	return min(n+1, hugePool)
}

// contains reports whether the address is in the pool.
func (p Pool) contains(a netip.Addr) bool {
	return p.Start.Compare(a) <= 0 && a.Compare(p.End) <= 0
}

// plus is the address n after a.
func plus(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	for i := 15; i >= 0 && n > 0; i-- {
		n += uint64(b[i])
		b[i] = byte(n)
		n >>= 8
	}
	sum := netip.AddrFrom16(b)
	if a.Is4() {
		return sum.Unmap()
	}
	return sum
}

// RandomAddress picks any address of the pools, free or not. It is the quick
// first try; below picks a number from 0 up to its argument, exclusive.
func RandomAddress(pools []Pool, below func(uint64) uint64) (netip.Addr, bool) {
	var all uint64
	for _, p := range pools {
		all = min(all+p.size(), hugePool)
	}
	if all == 0 {
		return netip.Addr{}, false
	}
	n := below(all)
	for _, p := range pools {
		if size := p.size(); n >= size {
			n -= size
			continue
		}
		return plus(p.Start, n), true
	}
	return netip.Addr{}, false
}

// FreeAddress picks an address of the pools that is not taken: exact, but it has
// to be told all that are. It is false when none is free.
func FreeAddress(pools []Pool, taken []netip.Addr, below func(uint64) uint64) (netip.Addr, bool) {
	gaps := freeRanges(pools, taken)
	return RandomAddress(gaps, below)
}

// freeRanges is what of the pools is not taken, in the order of the pools.
func freeRanges(pools []Pool, taken []netip.Addr) []Pool {
	taken = slices.Clone(taken)
	slices.SortFunc(taken, netip.Addr.Compare)
	var gaps []Pool
	for _, p := range pools {
		next := p.Start
		from, _ := slices.BinarySearchFunc(taken, p.Start, netip.Addr.Compare)
		for _, a := range taken[from:] {
			if a.Compare(p.End) > 0 || !next.IsValid() {
				break
			}
			if a.Compare(next) < 0 { // a duplicate
				continue
			}
			if next.Compare(a) < 0 {
				gaps = append(gaps, Pool{next, a.Prev()})
			}
			next = a.Next()
		}
		if next.IsValid() && next.Compare(p.End) <= 0 {
			gaps = append(gaps, Pool{next, p.End})
		}
	}
	return gaps
}

// Lowest is a choice for FreeAddress: always the first one.
func Lowest(uint64) uint64 { return 0 }

// holds reports whether a port may have the address in the subnet.
func (s *Subnet) holds(a netip.Addr, deviceOwner string) bool {
	if !s.CIDR.Contains(a) {
		return false
	}
	network := s.CIDR.Masked().Addr()
	if a.Is4() {
		return a != network && a != netipx.PrefixLastIP(s.CIDR)
	}
	// An IPv6 subnet's first address means "any router": a router may have it, and
	// does where nobody names another.
	return a != network || deviceOwner == "" || IsRouterPort(deviceOwner) || deviceOwner == OwnerPodRouter
}

// Serving are the subnets whose addresses are meant for ports of the device
// owner, those that name it first. DHCP ports stand in every subnet with DHCP.
func Serving(subnets []Subnet, deviceOwner string) []Subnet {
	var named, open []Subnet
	for _, s := range subnets {
		switch {
		case len(s.ServiceTypes) == 0:
			open = append(open, s)
		case slices.Contains(s.ServiceTypes, deviceOwner), s.EnableDHCP && deviceOwner == OwnerDHCP:
			named = append(named, s)
		}
	}
	return append(named, open...)
}

// NoneServing is the refusal of a port for which the network has no subnet.
func NoneServing(networkID, deviceOwner string) error {
	return fault.New(fault.Conflict, "IpAddressGenerationFailureNoMatchingSubnet",
		"No valid service subnet for the given device owner, network %s, service type %s.", networkID, deviceOwner)
}

// CheckAddress refuses an address that a port may not have in this subnet.
func (s *Subnet) CheckAddress(a netip.Addr, deviceOwner string) error {
	if s.holds(a, deviceOwner) {
		return nil
	}
	return fault.New(fault.Invalid, "InvalidIpForSubnet",
		"IP address %s is not a valid IP for the specified subnet.", a)
}

// SubnetFor finds the subnet that the address belongs to.
func SubnetFor(subnets []Subnet, a netip.Addr, deviceOwner string) (*Subnet, error) {
	for i := range subnets {
		if subnets[i].holds(a, deviceOwner) {
			return &subnets[i], nil
		}
	}
	return nil, fault.New(fault.Invalid, "InvalidIpForNetwork",
		"IP address %s is not a valid IP for any of the subnets on the specified network.", a)
}

// AddressTaken is the refusal of an address that another port has.
func AddressTaken(a netip.Addr, subnetID string) error {
	return fault.New(fault.Conflict, "IpAddressAlreadyAllocated",
		"IP address %s already allocated in subnet %s", a, subnetID)
}
