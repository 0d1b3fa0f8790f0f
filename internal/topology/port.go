package topology

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Device owners and IDs that carry meaning, as Neutron writes them.
const (
	OwnerNetwork   = "network:" // prefix: the port belongs to the network itself
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
	DHCPOptions         []DHCPOption  `json:"extra_dhcp_opts"`
	NUMAPolicy          string        `json:"numa_affinity_policy"`
	DeviceProfile       string        `json:"device_profile"`
	Binding
	QoSPolicyID        string    `json:"qos_policy_id"`
	QoSNetworkPolicyID string    `json:"qos_network_policy_id"` // its network's
	CreatedAt          time.Time `json:"created_at"`
	UpdatedAt          time.Time `json:"updated_at"`
	Revision           int64     `json:"revision_number"`

	// WantHost and WantProfile are what an admin asked for; nil leaves it to the pod.
	WantHost    *string        `json:"-"`
	WantProfile map[string]any `json:"-"`

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

// Prefix is what the pair's address stands for; false if it is none.
func (p AddressPair) Prefix() (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(p.IPAddress); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(p.IPAddress)
	return prefix.Masked(), err == nil
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
	// WantSecurity is the port security that somebody chose. Nil: as the network
	// has it.
	WantSecurity *bool
	Tags         []string
	// WantOptions changes DHCPOptions.
	WantOptions []WantDHCPOption
	// Near is the pod where the port is going to be; empty: not known.
	Near string
}

// WantIP asks for an address: by subnet, by address, or by both.
type WantIP struct {
	SubnetID string
	Address  netip.Addr
}

// Port states.
const (
	StatusActive = "ACTIVE"
	StatusDown   = "DOWN"
)

// VNICNormal is a port that any host can serve.
const VNICNormal = "normal"

// trusted says that the port is the network's own: no group filters it.
func trusted(deviceOwner string) bool { return strings.HasPrefix(deviceOwner, OwnerNetwork) }

// Complete fills in what follows from the network and checks what does not
// depend on other ports.
func (spec *PortSpec) Complete(n *Network) error {
	spec.PortSecurityEnabled = n.PortSecurityEnabled
	if spec.WantSecurity != nil {
		spec.PortSecurityEnabled = *spec.WantSecurity
	}
	if trusted(spec.DeviceOwner) {
		// The network's own ports serve and forward for others.
		spec.PortSecurityEnabled = false
	}
	if spec.VNICType == "" {
		spec.VNICType = VNICNormal
	}
	if len(spec.WantGroups) > 0 && !spec.PortSecurityEnabled {
		return fault.New(fault.Invalid, "PortSecurityAndIPRequiredForSecurityGroups",
			"Port security must be enabled and port must have an IP address in order to use security groups.")
	}
	return spec.checkPairs()
}

// CheckUpdate refuses a port that has groups or pairs without port security.
func (p *Port) CheckUpdate() error {
	if len(p.SecurityGroups) > 0 && !p.PortSecurityEnabled {
		return fault.New(fault.Conflict, "PortSecurityPortHasSecurityGroup",
			"Port has security group associated. Cannot disable port security or IP address until security group is removed.")
	}
	return p.checkPairs()
}

func (p *Port) checkPairs() error {
	if len(p.AllowedAddressPairs) > 0 && !p.PortSecurityEnabled {
		return fault.New(fault.Conflict, "AddressPairAndPortSecurityRequired",
			"Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	return nil
}

// FillPairs gives the pairs without a MAC address the port's own, and sorts them.
func (p *Port) FillPairs() {
	for i := range p.AllowedAddressPairs {
		if p.AllowedAddressPairs[i].MACAddress == "" {
			p.AllowedAddressPairs[i].MACAddress = p.MACAddress
		}
	}
	slices.SortFunc(p.AllowedAddressPairs, func(a, b AddressPair) int {
		return cmp.Or(cmp.Compare(a.MACAddress, b.MACAddress), cmp.Compare(a.IPAddress, b.IPAddress))
	})
}

// Addresses are the port's addresses without their subnets.
func (p *Port) Addresses() []netip.Addr {
	addrs := make([]netip.Addr, 0, len(p.FixedIPs))
	for _, ip := range p.FixedIPs {
		addrs = append(addrs, ip.Address)
	}
	return addrs
}

// MACTaken is the refusal of a MAC address that another port of the network has.
func MACTaken(networkID, mac string) error {
	return fault.New(fault.Conflict, "MacAddressInUse",
		"Unable to complete operation for network %s. The mac address %s is in use.", networkID, mac)
}
