package topology

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// AddressGroup is a set of addresses that rules of security groups name as one.
type AddressGroup struct {
	Standard
	Name      string         `db:"name"`
	Shared    bool           `db:"shared"`    // by RBAC policy alone
	Addresses []netip.Prefix `db:"addresses"` // sorted, without host bits
}

// Add puts the addresses into the group, of which it may have none.
func (g *AddressGroup) Add(addresses []netip.Prefix) error {
	addresses = masked(addresses)
	if known, _ := g.split(addresses); len(known) > 0 {
		return fault.New(fault.Invalid, "AddressesAlreadyExist",
			"Addresses %s already exist in the address group %s.", listed(known), g.ID)
	}
	g.Addresses = masked(append(slices.Clone(g.Addresses), addresses...))
	return nil
}

// Remove takes the addresses out of the group, which must have them all.
func (g *AddressGroup) Remove(addresses []netip.Prefix) error {
	addresses = masked(addresses)
	if _, unknown := g.split(addresses); len(unknown) > 0 {
		return fault.New(fault.NotFound, "AddressesNotFound",
			"Addresses %s not found in the address group %s.", listed(unknown), g.ID)
	}
	g.Addresses = slices.DeleteFunc(slices.Clone(g.Addresses), func(p netip.Prefix) bool { return slices.Contains(addresses, p) })
	return nil
}

func (g *AddressGroup) split(addresses []netip.Prefix) (known, unknown []netip.Prefix) {
	for _, p := range addresses {
		if slices.Contains(g.Addresses, p) {
			known = append(known, p)
		} else {
			unknown = append(unknown, p)
		}
	}
	return known, unknown
}

// masked sorts the addresses and drops host bits and doubles.
func masked(addresses []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(addresses))
	for i, p := range addresses {
		out[i] = p.Masked()
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// listed shows the addresses as Python shows a list of strings.
func listed(addresses []netip.Prefix) string {
	texts := make([]string, len(addresses))
	for i, p := range addresses {
		texts[i] = "'" + p.String() + "'"
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// AddressGroupInUse is the refusal to delete a group that rules name.
func AddressGroupInUse(id string) error {
	return fault.New(fault.Conflict, "AddressGroupInUse", "Address group %s is in use on one or more security group rules.", id)
}

// NoAddressGroup is the answer about a group that is not there for the caller.
func NoAddressGroup(id string) error {
	return fault.New(fault.NotFound, "AddressGroupNotFound", "Address group %s could not be found.", id)
}
