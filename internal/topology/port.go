package topology

import (
	"net/netip"
	"time"
)

// Device owners and IDs that carry meaning, as Neutron writes them.
const (
	OwnerDHCP      = "network:dhcp"
	OwnerCompute   = "compute:" // prefix; the zone follows
	ReservedDHCPID = "reserved_dhcp_port"
)

// Port is a central port: one address of one network, wherever its server runs.
type Port struct {
	ID                  string        `json:"id"`
	NetworkID           string        `json:"network_id"`
	ProjectID           string        `json:"project_id"`
	Name                string        `json:"name"`
	Description         string        `json:"description"`
	AdminStateUp        bool          `json:"admin_state_up"`
	MACAddress          string        `json:"mac_address"`
	FixedIPs            []FixedIP     `json:"fixed_ips"`
	DeviceID            string        `json:"device_id"`
	DeviceOwner         string        `json:"device_owner"`
	SecurityGroups      []string      `json:"security_groups"` // IDs
	PortSecurityEnabled bool          `json:"port_security_enabled"`
	AllowedAddressPairs []AddressPair `json:"allowed_address_pairs"`
	VNICType            string        `json:"binding:vnic_type"`
	CreatedAt           time.Time     `json:"created_at"`
	UpdatedAt           time.Time     `json:"updated_at"`
	Revision            int64         `json:"revision_number"`

	// Auto marks a port made for one server and deleted with it.
	Auto bool `json:"-"`
	// Pod is set for a port that exists for one pod only: its reserved DHCP port.
	Pod string `json:"-"`
}

// FixedIP is an address given out of a subnet.
type FixedIP struct {
	SubnetID string     `json:"subnet_id"`
	Address  netip.Addr `json:"ip_address"`
}

// AddressPair is a further address that the port may send from.
type AddressPair struct {
	MACAddress string `json:"mac_address,omitempty"`
	IPAddress  string `json:"ip_address"`
}

// PortSpec is a port somebody asks for. Zero MAC and addresses are chosen by us.
type PortSpec struct {
	Port
	// WantIPs holds, per wanted address, a subnet, an address, or both. Nil: one
	// address per IP version of the network, as Neutron does; empty: none.
	WantIPs []WantIP
	// WantGroups: nil means the project's default group, unless the port or its
	// network has port security off.
	WantGroups []string
}

// WantIP asks for an address: by subnet, by address, or by both.
type WantIP struct {
	SubnetID string
	Address  netip.Addr
}
