package topology

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"go4.org/netipx"
)

// Bridges says what the networks are made of that join a router's pods. The zero
// value takes a VLAN where tenants' come from, and the default prefixes.
type Bridges struct {
	Type     string // empty: vlan
	Physical string // empty: any that has VLANs
	VLANs    []SegmentRange
	Prefix   netip.Prefix // IPv4; each bridge has a /20 of it, or all
	Prefix6  netip.Prefix // each has a /64 of it
}

// What bridges have by default: the addresses that RFC 6598 keeps for such
// purposes, and a prefix of our own of those that RFC 4193 lets anybody make.
var (
	DefaultBridgePrefix  = netip.MustParsePrefix("100.64.0.0/10")
	DefaultBridgePrefix6 = netip.MustParsePrefix("fd3a:9c14:72e6::/48")
)

const (
	bridgeBits  = 20
	bridgeBits6 = 64
)

// BridgeName is what operators see in the pods.
const BridgeName = "tricircle-bridge"

// BridgeNetwork is a bridge that has no segment yet.
func (f Fabric) BridgeNetwork() Network {
	if f.Bridge.Type == TypeVXLAN {
		return Network{Name: BridgeName, AdminStateUp: true, Type: TypeVXLAN}
	}
	return Network{Name: BridgeName, AdminStateUp: true, Type: TypeVLAN, PhysicalNetwork: f.Bridge.Physical}
}

// ForBridges is the fabric as bridges see it: their segments come from their own
// ranges, if there are any.
func (f Fabric) ForBridges() Fabric {
	if len(f.Bridge.VLANs) == 0 {
		return f
	}
	f.Physical = []PhysicalNetwork{{Name: f.Bridge.Physical, VLANs: f.Bridge.VLANs}}
	return f
}

func (b Bridges) prefixes() []netip.Prefix {
	v4, v6 := b.Prefix, b.Prefix6
	if !v4.IsValid() {
		v4 = DefaultBridgePrefix
	}
	if !v6.IsValid() {
		v6 = DefaultBridgePrefix6
	}
	return []netip.Prefix{v4.Masked(), v6.Masked()}
}

func (b Bridges) check(f Fabric) error {
	if b.Prefix.IsValid() && (!b.Prefix.Addr().Is4() || b.Prefix.Bits() > 28) {
		return fmt.Errorf("bridges cannot have addresses of %s: that is no IPv4 prefix of up to 28 bits", b.Prefix)
	}
	if b.Prefix6.IsValid() && (!b.Prefix6.Addr().Is6() || b.Prefix6.Bits() > bridgeBits6) {
		return fmt.Errorf("bridges cannot have addresses of %s: that is no IPv6 prefix of up to %d bits", b.Prefix6, bridgeBits6)
	}
	if _, known := f.physical(b.Physical); b.Physical != "" && !known {
		return fmt.Errorf("bridges cannot be on physical network %s: there is none", b.Physical)
	}
	if len(b.VLANs) > 0 && b.Physical == "" {
		return fmt.Errorf("bridges with VLANs of their own need a physical network")
	}
	return nil
}

// BridgePrefixes are those of a new bridge, one per IP version: the first that
// overlap none of the taken ones.
func (f Fabric) BridgePrefixes(taken []netip.Prefix) ([]netip.Prefix, error) {
	bits := []int{bridgeBits, bridgeBits6}
	var out []netip.Prefix
	for i, all := range f.Bridge.prefixes() {
		p, ok := firstFree(all, max(bits[i], all.Bits()), taken)
		if !ok {
			return nil, fault.New(fault.Unavailable, "", "the router's pods cannot be joined: all of %s overlaps subnets of the project", all)
		}
		out = append(out, p)
	}
	return out, nil
}

// firstFree is the first slice of the prefix that overlaps none of the others. It
// jumps over what is taken, so that a large prefix costs no more than a small one.
func firstFree(all netip.Prefix, bits int, taken []netip.Prefix) (netip.Prefix, bool) {
	p := netip.PrefixFrom(all.Addr(), bits)
	for {
		i := slices.IndexFunc(taken, p.Overlaps)
		if i < 0 {
			return p, true
		}
		last := netipx.PrefixLastIP(p)
		if t := netipx.PrefixLastIP(taken[i]); last.Less(t) {
			last = t
		}
		next := last.Next()
		if !next.IsValid() || !all.Contains(next) {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(next, bits)
	}
}
