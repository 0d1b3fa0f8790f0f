package plan

import (
	"net/netip"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// AddressGroup is a pod's address group, as far as we care.
type AddressGroup struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Addresses   []string `json:"addresses"`
}

// PodID is its ID in the pod.
func (g AddressGroup) PodID() string { return g.ID }

// NewAddressGroup is the body that creates the group in a pod.
func NewAddressGroup(g topology.AddressGroup) map[string]any {
	return map[string]any{
		"name": g.Name, "description": Mark("address_group", g.ID), "project_id": g.ProjectID, "addresses": texts(g.Addresses),
	}
}

// UpdateAddressGroup is what to change in the pod's group but its addresses.
func UpdateAddressGroup(want topology.AddressGroup, found AddressGroup) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("address_group", want.ID))
	return c
}

// Addresses says which addresses to add to the pod's group and which to remove.
func Addresses(wanted []netip.Prefix, found AddressGroup) (add, remove []string) {
	has := make(map[string]bool, len(found.Addresses))
	for _, a := range found.Addresses {
		has[a] = true
	}
	for _, a := range texts(wanted) {
		if !has[a] {
			add = append(add, a)
		}
		delete(has, a)
	}
	for _, a := range found.Addresses {
		if has[a] {
			remove = append(remove, a)
		}
	}
	return add, remove
}

func texts(prefixes []netip.Prefix) []string {
	out := make([]string, len(prefixes))
	for i, p := range prefixes {
		out[i] = p.String()
	}
	return out
}

// membersName is what operators of a pod see of it.
const membersName = "members in other pods"

// NewMembers is the body that creates the address group of a security group's
// members in other pods. It is the service account's: tenants do not see it.
func NewMembers(group string) map[string]any {
	return map[string]any{"name": membersName, "description": Mark(store.KindGroupMembers, group)}
}
