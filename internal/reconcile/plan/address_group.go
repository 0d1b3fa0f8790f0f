package plan

import (
	"slices"

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
		"name": g.Name, "description": Mark("address_group", g.ID), "project_id": g.ProjectID, "addresses": texts(g),
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
func Addresses(want topology.AddressGroup, found AddressGroup) (add, remove []string) {
	wanted := texts(want)
	for _, a := range wanted {
		if !slices.Contains(found.Addresses, a) {
			add = append(add, a)
		}
	}
	for _, a := range found.Addresses {
		if !slices.Contains(wanted, a) {
			remove = append(remove, a)
		}
	}
	return add, remove
}

func texts(g topology.AddressGroup) []string {
	out := make([]string, len(g.Addresses))
	for i, p := range g.Addresses {
		out[i] = p.String()
	}
	return out
}
