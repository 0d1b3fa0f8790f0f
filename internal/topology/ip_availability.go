package topology

import (
	"math/big"

	"go4.org/netipx"
)

// IPAvailability is how many addresses a network has to give, and how many of them
// it has given. Numbers of IPv6 addresses need more than 64 bits.
type IPAvailability struct {
	Network Network
	Subnets []SubnetAvailability
	Used    int64
	Total   *big.Int
}

// SubnetAvailability is one subnet's part in it.
type SubnetAvailability struct {
	Subnet Subnet
	Used   int64
	Total  *big.Int
}

// Count adds a subnet of which so many addresses are taken.
func (a *IPAvailability) Count(s *Subnet, used int64) {
	total := s.addresses()
	a.Subnets = append(a.Subnets, SubnetAvailability{*s, used, total})
	a.Used += used
	if a.Total == nil {
		a.Total = new(big.Int)
	}
	a.Total.Add(a.Total, total)
}

// addresses is how many the subnet has to give: those in its pools, or as in
// Neutron all of it if it has none.
func (s *Subnet) addresses() *big.Int {
	pools := s.AllocationPools
	if len(pools) == 0 {
		pools = []Pool{{s.CIDR.Masked().Addr(), netipx.PrefixLastIP(s.CIDR)}}
	}
	sum := new(big.Int)
	for _, p := range pools {
		first, last := p.Start.As16(), p.End.As16()
		n := new(big.Int).SetBytes(last[:])
		sum.Add(sum, n.Sub(n, new(big.Int).SetBytes(first[:])))
		sum.Add(sum, big.NewInt(1))
	}
	return sum
}
