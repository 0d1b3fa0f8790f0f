package topology

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/tricircle/tricircle/internal/fault"
	"go4.org/netipx"
)

// SubnetPool is a set of prefixes out of which subnets are cut.
type SubnetPool struct {
	Standard
	Name             string         `db:"name"`
	Prefixes         []netip.Prefix `db:"prefixes"` // as few as can be, sorted
	IPVersion        int            `db:"ip_version"`
	MinPrefixLen     int            `db:"min_prefixlen"` // -1 in a new pool: chosen by us; so for the next two
	MaxPrefixLen     int            `db:"max_prefixlen"`
	DefaultPrefixLen int            `db:"default_prefixlen"`
	// DefaultQuota bounds what one project may take: IPv4 addresses, IPv6 /64s.
	DefaultQuota   *int   `db:"default_quota"`
	Shared         bool   `db:"shared"`
	IsDefault      bool   `db:"is_default"`
	AddressScopeID string `db:"address_scope_id"` // empty: none
}

// Complete fills in IP version and bounds and checks them.
func (p *SubnetPool) Complete() error {
	if len(p.Prefixes) == 0 {
		return fault.New(fault.Invalid, "EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
	}
	p.IPVersion = versionOf(p.Prefixes[0])
	for _, q := range p.Prefixes {
		if versionOf(q) != p.IPVersion {
			return fault.New(fault.Invalid, "PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
		}
	}
	p.Prefixes = prefixSet(p.Prefixes).Prefixes()
	least, most := 8, 32
	if p.IPVersion == 6 {
		least, most = 64, 128
	}
	choose(&p.MinPrefixLen, least)
	choose(&p.MaxPrefixLen, most)
	choose(&p.DefaultPrefixLen, p.MinPrefixLen)
	switch {
	case p.MinPrefixLen > p.MaxPrefixLen:
		return badBounds("min_prefixlen", p.MinPrefixLen, "max_prefixlen", p.MaxPrefixLen)
	case p.MaxPrefixLen > most:
		return badBounds("max_prefixlen", p.MaxPrefixLen, "ip_version_max", most)
	case p.DefaultPrefixLen < p.MinPrefixLen:
		return badBounds("default_prefixlen", p.DefaultPrefixLen, "min_prefixlen", p.MinPrefixLen)
	case p.DefaultPrefixLen > p.MaxPrefixLen:
		return badBounds("default_prefixlen", p.DefaultPrefixLen, "max_prefixlen", p.MaxPrefixLen)
	}
	return nil
}

func versionOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 4
	}
	return 6
}

func choose(n *int, fallback int) {
	if *n < 0 {
		*n = fallback
	}
}

func badBounds(name string, n int, other string, bound int) error {
	return fault.New(fault.Invalid, "IllegalSubnetPoolPrefixBounds", "Illegal prefix bounds: %s=%d, %s=%d.", name, n, other, bound)
}

// prefixSet joins prefixes. It cannot fail for prefixes that were parsed.
func prefixSet(prefixes []netip.Prefix) *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, p := range prefixes {
		b.AddPrefix(p)
	}
	set, _ := b.IPSet()
	return set
}

// without is what of the prefixes is not taken.
func without(prefixes, taken []netip.Prefix) *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, p := range prefixes {
		b.AddPrefix(p)
	}
	for _, p := range taken {
		b.RemovePrefix(p)
	}
	set, _ := b.IPSet()
	return set
}

// SetPrefixes changes the prefixes to others that hold them all.
func (p *SubnetPool) SetPrefixes(prefixes []netip.Prefix) error {
	if len(without(p.Prefixes, prefixes).Ranges()) > 0 {
		return BadPrefixUpdate("Existing prefixes must be a subset of the new prefixes")
	}
	p.Prefixes = prefixes
	return nil
}

// RemovePrefixes takes prefixes out of the pool in which no subnet is.
func (p *SubnetPool) RemovePrefixes(gone, taken []netip.Prefix) error {
	set := prefixSet(gone)
	if !set.Overlaps(prefixSet(p.Prefixes)) {
		return nil
	}
	if set.Overlaps(prefixSet(taken)) {
		return BadPrefixUpdate("One or more the prefixes to be removed is in use by a subnet.")
	}
	p.Prefixes = without(p.Prefixes, gone).Prefixes()
	return nil
}

// Onboard says which of a network's subnets come into the pool, and the prefixes
// that it gets with them. taken are those of its subnets already.
func (p *SubnetPool) Onboard(all []Subnet, taken []netip.Prefix) (added []netip.Prefix, subnets []Subnet, err error) {
	has := prefixSet(taken)
	for _, n := range all {
		if n.IPVersion != p.IPVersion {
			continue
		}
		if has.OverlapsPrefix(n.CIDR) {
			return nil, nil, BadPoolUpdate("Onboarding subnet %s: %s conflicts with allocated prefixes in subnet pool %s", n.ID, n.CIDR, p.ID)
		}
		added, subnets = append(added, n.CIDR), append(subnets, n)
	}
	return added, subnets, nil
}

// Overlaps says that the pools share addresses.
func (p *SubnetPool) Overlaps(other *SubnetPool) bool {
	return prefixSet(p.Prefixes).Overlaps(prefixSet(other.Prefixes))
}

// CheckScope refuses a scope of the other IP version, and one in which other
// pools have the same addresses.
func (p *SubnetPool) CheckScope(scope *AddressScope, others []SubnetPool) error {
	if scope.IPVersion != p.IPVersion {
		return fault.New(fault.Invalid, "IllegalSubnetPoolIpVersionAssociationToAddressScope",
			"Illegal subnetpool association: subnetpool %s cannot associate with address scope %s because subnetpool ip_version is not %d.",
			p.ID, scope.ID, scope.IPVersion)
	}
	for i := range others {
		if others[i].ID != p.ID && others[i].Overlaps(p) {
			return fault.New(fault.Conflict, "AddressScopePrefixConflict",
				"Failed to associate address scope: subnetpools within an address scope must have unique prefixes.")
		}
	}
	return nil
}

// Cut gives the subnet its prefix out of the pool: the one it names, else one of
// the length it names, else one of the pool's own length. taken are the prefixes
// of the pool's subnets, used those that count against the quota.
func (p *SubnetPool) Cut(spec *SubnetSpec, taken, used []netip.Prefix) error {
	if spec.IPVersion != p.IPVersion {
		return fault.New(fault.Invalid, "BadRequest", "Bad subnets request: Cannot allocate IPv%d subnet from IPv%d subnet pool.",
			spec.IPVersion, p.IPVersion)
	}
	bits := p.DefaultPrefixLen
	if spec.PrefixLen != nil {
		bits = *spec.PrefixLen
	}
	if !spec.CIDR.IsValid() && spec.GatewayIP.IsValid() {
		spec.CIDR = netip.PrefixFrom(spec.GatewayIP, bits) // where the gateway is
		if !spec.CIDR.IsValid() {
			bits = max(bits, p.MaxPrefixLen+1)
		}
	}
	if spec.CIDR.IsValid() {
		spec.CIDR = spec.CIDR.Masked()
		bits = spec.CIDR.Bits()
	}
	if err := p.checkLength(bits, used); err != nil {
		return err
	}
	if spec.CIDR.IsValid() {
		return p.claim(spec.CIDR, taken)
	}
	return p.cutAny(spec, bits, taken)
}

func (p *SubnetPool) checkLength(bits int, used []netip.Prefix) error {
	if bits > p.MaxPrefixLen {
		return fault.New(fault.Invalid, "MaxPrefixSubnetAllocationError",
			"Unable to allocate subnet with prefix length %d, maximum allowed prefix is %d.", bits, p.MaxPrefixLen)
	}
	if bits < p.MinPrefixLen {
		return fault.New(fault.Invalid, "MinPrefixSubnetAllocationError",
			"Unable to allocate subnet with prefix length %d, minimum allowed prefix is %d.", bits, p.MinPrefixLen)
	}
	if p.DefaultQuota == nil || *p.DefaultQuota == 0 {
		return nil
	}
	sum := p.units(bits)
	for _, u := range used {
		sum += p.units(u.Bits())
	}
	if sum > float64(*p.DefaultQuota) {
		return fault.New(fault.Conflict, "SubnetPoolQuotaExceeded", "Per-tenant subnet pool prefix quota exceeded.")
	}
	return nil
}

// units is a prefix's size as quotas count it.
func (p *SubnetPool) units(bits int) float64 {
	unit := 32
	if p.IPVersion == 6 {
		unit = 64
	}
	n := 1.0
	for ; unit > bits; unit-- {
		n *= 2
	}
	for ; unit < bits; unit++ {
		n /= 2
	}
	return n
}

// available is what is free, the smallest pieces first: large ones are kept for
// large subnets.
func (p *SubnetPool) available(taken []netip.Prefix) []netip.Prefix {
	free := without(p.Prefixes, taken).Prefixes()
	slices.SortStableFunc(free, func(a, b netip.Prefix) int { return cmp.Compare(b.Bits(), a.Bits()) })
	return free
}

func (p *SubnetPool) claim(cidr netip.Prefix, taken []netip.Prefix) error {
	for _, free := range p.available(taken) {
		if free.Bits() <= cidr.Bits() && free.Contains(cidr.Addr()) {
			return nil
		}
	}
	return noneAllocated("Cannot allocate requested subnet from the available set of prefixes")
}

// cutAny also chooses the gateway, the first address for IPv6 too, as Neutron
// does for a subnet that names neither.
func (p *SubnetPool) cutAny(spec *SubnetSpec, bits int, taken []netip.Prefix) error {
	for _, free := range p.available(taken) {
		if free.Bits() <= bits {
			spec.CIDR = netip.PrefixFrom(free.Addr(), bits)
			spec.GatewayIP, spec.NoGateway = free.Addr().Next(), false
			return nil
		}
	}
	return noneAllocated("Insufficient prefix space to allocate subnet size /" + strconv.Itoa(bits))
}

// noneAllocated is a conflict; a Neutron that has no prefix left answers 500.
func noneAllocated(reason string) error {
	return fault.New(fault.Conflict, "SubnetAllocationError", "Failed to allocate subnet: %s.", reason)
}

// BadPrefixUpdate is the refusal of other prefixes.
func BadPrefixUpdate(reason string) error {
	return fault.New(fault.Invalid, "IllegalSubnetPoolPrefixUpdate", "Illegal update to prefixes: %s.", reason)
}

// BadPoolUpdate is the refusal of another change of a pool.
func BadPoolUpdate(format string, args ...any) error {
	return fault.New(fault.Invalid, "IllegalSubnetPoolUpdate", "Illegal subnetpool update : %s.", fmt.Sprintf(format, args...))
}

// CheckAffinity refuses a subnet next to those of its network that come out of
// another pool, or another address scope if they have one. pool is nil for a
// subnet out of none.
func (s *Subnet) CheckAffinity(others []Subnet, pool *SubnetPool, networkScope string) error {
	if networkScope != "" && pool != nil && pool.AddressScopeID != networkScope {
		return ScopeAffinity()
	}
	for _, other := range others {
		if other.IPVersion != s.IPVersion || other.SubnetPoolID == s.SubnetPoolID || pool != nil && networkScope != "" {
			continue
		}
		return fault.New(fault.Invalid, "NetworkSubnetPoolAffinityError",
			"Subnets hosted on the same network must be allocated from the same subnet pool.")
	}
	return nil
}

// ScopeAffinity is the refusal of subnets of one network in several scopes.
func ScopeAffinity() error {
	return fault.New(fault.Invalid, "NetworkAddressScopeAffinityError",
		"Subnets of the same address family hosted on the same network must all participate in the same address scope.")
}

// NoDefaultPool is the refusal to cut a subnet out of a default pool that is not
// there.
func NoDefaultPool(version int) error {
	return fault.New(fault.Invalid, "BadRequest", "Bad subnets request: No default subnetpool found for IPv%d.", version)
}

// DefaultPoolExists is the refusal of a second default pool.
func DefaultPoolExists() error {
	return invalidInput("A default subnetpool for this IP family has already been set. Only one default may exist per IP family")
}

// NoSubnetPool is the answer about a pool that is not there for the caller.
func NoSubnetPool(id string) error {
	return fault.New(fault.NotFound, "SubnetPoolNotFound", "Subnet pool %s could not be found.", id)
}
