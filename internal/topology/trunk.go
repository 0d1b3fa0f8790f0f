package topology

import (
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Trunk brings the traffic of several networks to one port: each subport's under
// a segmentation ID of its own.
type Trunk struct {
	Standard
	Name         string `db:"name"`
	AdminStateUp bool   `db:"admin_state_up"`
	PortID       string `db:"port_id"` // the parent
	Status       string // ACTIVE while its parent serves a server
	Subports     []Subport
}

// Subport is a port whose traffic comes with the parent's.
type Subport struct {
	PortID           string `json:"port_id"`
	SegmentationType string `json:"segmentation_type"`
	SegmentationID   int    `json:"segmentation_id"`
	MACAddress       string `json:"mac_address,omitempty"`
}

// SegmentationInherit has the subport's own network say how it is tagged.
const SegmentationInherit = "inherit"

// TrunkPort is a port as trunks see it.
type TrunkPort struct {
	ID, DeviceID, DeviceOwner string
	NetworkID                 string
	NetworkType               string
	SegmentationID            int
	MTU                       int
	SubportOf, ParentOf       string // trunks; empty: none
}

// CheckParent refuses a parent that is in another trunk, or that a server has: the
// pods cannot make a trunk of a port that is plugged in.
func (p *TrunkPort) CheckParent() error {
	if p.SubportOf != "" {
		return portInOtherTrunk(p.ID)
	}
	if p.ParentOf != "" || p.plugged() {
		return notAParent(p.ID)
	}
	return nil
}

func (p *TrunkPort) plugged() bool {
	return p.DeviceID != "" && strings.HasPrefix(p.DeviceOwner, OwnerCompute)
}

// CheckRemovable refuses to end a trunk while a server has its parent.
func (t *Trunk) CheckRemovable(parent *TrunkPort) error {
	if err := t.CheckManaged(); err != nil || !parent.plugged() {
		return err
	}
	return fault.New(fault.Conflict, "TrunkInUse", "Trunk %s is currently in use.", t.ID)
}

// CheckManaged refuses to change what a trunk consists of while it is down.
func (t *Trunk) CheckManaged() error {
	if t.AdminStateUp {
		return nil
	}
	return fault.New(fault.Conflict, "TrunkDisabled", "Trunk %s is currently disabled.", t.ID)
}

// Admit checks a new subport, in Neutron's order, and settles how it is tagged.
func (t *Trunk) Admit(s Subport, parent, port *TrunkPort) (Subport, error) {
	if s.PortID == t.PortID {
		return s, notAParent(s.PortID)
	}
	if parent.MTU != 0 && port.MTU > parent.MTU {
		return s, fault.New(fault.Conflict, "SubPortMtuGreaterThanTrunkPortMtu",
			"MTU %d of subport %s cannot be greater than MTU %d of trunk %s.", port.MTU, s.PortID, parent.MTU, t.PortID)
	}
	if s.SegmentationType == SegmentationInherit {
		s.SegmentationType, s.SegmentationID = port.NetworkType, port.SegmentationID
	}
	if s.SegmentationType != TypeVLAN {
		return s, badSubport("Unknown segmentation_type '%s'", s.SegmentationType)
	}
	if s.SegmentationID < MinVLAN || s.SegmentationID > MaxVLAN {
		return s, badSubport("Segmentation ID '%d' is not in range", s.SegmentationID)
	}
	switch {
	case port.SubportOf != "":
		return s, portInOtherTrunk(s.PortID)
	case port.ParentOf != "":
		return s, notAParent(s.PortID)
	case port.DeviceID != "":
		return s, fault.New(fault.Conflict, "PortInUse", "Unable to complete operation on port %s for network %s. "+
			"Port already has an attached device %s.", s.PortID, port.NetworkID, port.DeviceID)
	}
	for _, other := range t.Subports {
		if other.SegmentationType == s.SegmentationType && other.SegmentationID == s.SegmentationID {
			return s, fault.New(fault.Conflict, "DuplicateSubPort", "segmentation_type %s and segmentation_id %d already in use on trunk %s.",
				s.SegmentationType, s.SegmentationID, t.ID)
		}
	}
	return s, nil
}

// CheckDeletable refuses to delete a port that is in a trunk.
func (p *TrunkPort) CheckDeletable() error {
	if p.SubportOf != "" {
		return fault.New(fault.Conflict, "PortInUseAsSubPort", "Port %s is currently a subport for trunk %s.", p.ID, p.SubportOf)
	}
	if p.ParentOf != "" {
		return fault.New(fault.Conflict, "PortInUseAsTrunkParent", "Port %s is currently a parent port for trunk %s.", p.ID, p.ParentOf)
	}
	return nil
}

func portInOtherTrunk(id string) error {
	return fault.New(fault.Conflict, "TrunkPortInUse", "Port %s is in use by another trunk.", id)
}

func notAParent(id string) error {
	return fault.New(fault.Conflict, "ParentPortInUse", "Port %s is currently in use and is not eligible for use as a parent port.", id)
}

func badSubport(format string, args ...any) error {
	return fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: "+format+".", args...)
}

// NoTrunk is the answer about a trunk that is not there for the caller.
func NoTrunk(id string) error {
	return fault.New(fault.NotFound, "TrunkNotFound", "Trunk %s could not be found.", id)
}

// NoSubport is the answer about a port that is not in the trunk.
func NoSubport(trunk, id string) error {
	return fault.New(fault.NotFound, "SubPortNotFound", "SubPort %s on trunk %s could not be found.", id, trunk)
}
