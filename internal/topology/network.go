// Package topology is the network model that users see, and its rules.
//
// It is pure: no SQL, no HTTP, no clock. The store keeps these values, the
// Network API shows them, reconcile makes them real in the pods.
package topology

import "time"

// Network types. A vlan or flat network is the same segment in every pod; a
// local network lives in one pod, which picks how to build it.
const (
	TypeVLAN  = "vlan"
	TypeFlat  = "flat"
	TypeLocal = "local"
)

// Network is a central network. The JSON names are Neutron's.
type Network struct {
	ID                  string    `json:"id"`
	ProjectID           string    `json:"project_id"`
	Name                string    `json:"name"`
	Description         string    `json:"description"`
	AdminStateUp        bool      `json:"admin_state_up"`
	Shared              bool      `json:"shared"`
	External            bool      `json:"router:external"`
	MTU                 int       `json:"mtu"`
	PortSecurityEnabled bool      `json:"port_security_enabled"`
	Type                string    `json:"provider:network_type"`
	PhysicalNetwork     string    `json:"provider:physical_network"`
	SegmentationID      int       `json:"provider:segmentation_id"`
	ZoneHints           []string  `json:"availability_zone_hints"`
	CreatedAt           time.Time `json:"created_at"`
	UpdatedAt           time.Time `json:"updated_at"`
	Revision            int64     `json:"revision_number"`
}
