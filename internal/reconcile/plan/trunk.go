package plan

import (
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// Trunk is a pod's trunk, as far as we care.
type Trunk struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Description  string    `json:"description"`
	AdminStateUp bool      `json:"admin_state_up"`
	Subports     []Subport `json:"sub_ports"`
}

// PodID is its ID in the pod.
func (t Trunk) PodID() string { return t.ID }

// Subport is a subport of a pod's trunk; the port is the pod's.
type Subport struct {
	PortID           string `json:"port_id"`
	SegmentationType string `json:"segmentation_type"`
	SegmentationID   int    `json:"segmentation_id"`
}

// NewTrunk is the body that creates the trunk in a pod. ports are the pod's IDs of
// the parent and the subports.
func NewTrunk(t topology.Trunk, ports map[string]string) map[string]any {
	return map[string]any{
		"name": t.Name, "description": Mark("trunk", t.ID), "project_id": t.ProjectID, "admin_state_up": t.AdminStateUp,
		"port_id": ports[t.PortID], "sub_ports": subports(t, ports),
	}
}

// UpdateTrunk is what to change in the pod's trunk itself.
func UpdateTrunk(want topology.Trunk, found Trunk) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("trunk", want.ID))
	set(c, "admin_state_up", found.AdminStateUp, want.AdminStateUp)
	return c
}

// Subports says which subports to take out of the pod's trunk and which to add
// then. One that is tagged otherwise goes and comes.
func Subports(want topology.Trunk, found Trunk, ports map[string]string) (add, remove []Subport) {
	wanted := subports(want, ports)
	for _, s := range found.Subports {
		if !slices.Contains(wanted, s) {
			remove = append(remove, s)
		}
	}
	for _, s := range wanted {
		if !slices.Contains(found.Subports, s) {
			add = append(add, s)
		}
	}
	return add, remove
}

func subports(t topology.Trunk, ports map[string]string) []Subport {
	out := make([]Subport, len(t.Subports))
	for i, s := range t.Subports {
		out[i] = Subport{ports[s.PortID], s.SegmentationType, s.SegmentationID}
	}
	return out
}
