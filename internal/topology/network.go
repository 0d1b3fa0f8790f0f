// Package topology is the network model that users see, and its rules.
//
// It is pure: no SQL, no HTTP, no clock. The store keeps these values, the
// Network API shows them, reconcile makes them real in the pods.
package topology

import (
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Network types: see Interconnect. A vlan, flat or vxlan network is the same segment
// in every pod; a local network lives in one pod, which picks how to build it.
const (
	TypeVLAN  = "vlan"
	TypeVXLAN = "vxlan"
	TypeFlat  = "flat"
	TypeLocal = "local"
)

// Network is a central network. The JSON names are Neutron's.
type Network struct {
	ID           string `json:"id"`
	ProjectID    string `json:"project_id"`
	Name         string `json:"name"`
	Description  string `json:"description"`
	AdminStateUp bool   `json:"admin_state_up"`
	Shared       bool   `json:"shared"`
	External     bool   `json:"router:external"`
	IsDefault    bool   `json:"is_default"` // of the external ones
	// Pod is where an external network is the way out; empty: not settled yet.
	Pod                 string   `json:"-"`
	MTU                 int      `json:"mtu"`
	PortSecurityEnabled bool     `json:"port_security_enabled"`
	Type                string   `json:"provider:network_type"`
	PhysicalNetwork     string   `json:"provider:physical_network"`
	SegmentationID      int      `json:"provider:segmentation_id"`
	ZoneHints           []string `json:"availability_zone_hints"`
	// Segments is set where there is more than one; the fields above then hold the
	// first.
	Segments []NetworkSegment `json:"segments,omitempty"`
	Subnets  []string         `json:"subnets"` // IDs
	// The address scopes that its subnets are in, through their pools.
	IPv4Scope   string    `json:"ipv4_address_scope"`
	IPv6Scope   string    `json:"ipv6_address_scope"`
	QoSPolicyID string    `json:"qos_policy_id"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Revision    int64     `json:"revision_number"`
}

// NetworkSegment is one of several segments that are one network: a host is on the
// one that reaches it.
type NetworkSegment struct {
	Type            string `json:"provider:network_type"`
	PhysicalNetwork string `json:"provider:physical_network"`
	SegmentationID  int    `json:"provider:segmentation_id"`
}

// Segment is what the network occupies; false for a local network and for one
// that has none yet.
func (n *Network) Segment() (Segment, bool) {
	switch {
	case n.Type == TypeFlat, (n.Type == TypeVLAN || n.Type == TypeVXLAN) && n.SegmentationID != 0:
		return Segment{n.PhysicalNetwork, n.SegmentationID}, true
	}
	return Segment{}, false
}

// AllSegments are the network's segments, also if there is only one.
func (n *Network) AllSegments() []NetworkSegment {
	if len(n.Segments) > 0 {
		return n.Segments
	}
	return []NetworkSegment{{Type: n.Type, PhysicalNetwork: n.PhysicalNetwork, SegmentationID: n.SegmentationID}}
}

// Alone says that the network lives in one pod. Where a vxlan network may be, the
// pods' message buses say: see the store's Reach.
func (n *Network) Alone() bool { return n.Type == TypeLocal }

// NoNetwork is the answer about a network that is not there for the caller.
func NoNetwork(id string) error {
	return fault.New(fault.NotFound, "NetworkNotFound", "Network %s could not be found.", id)
}

// NoSubnet is the answer about a subnet that is not there for the caller.
func NoSubnet(id string) error {
	return fault.New(fault.NotFound, "SubnetNotFound", "Subnet %s could not be found.", id)
}

// NoPort is the answer about a port that is not there for the caller.
func NoPort(id string) error {
	return fault.New(fault.NotFound, "PortNotFound", "Port %s could not be found.", id)
}

// NoSecurityGroup is the answer about a group that is not there for the caller.
func NoSecurityGroup(id string) error {
	return fault.New(fault.NotFound, "SecurityGroupNotFound", "Security group %s does not exist", id)
}

// NoRule is the answer about a rule that is not there for the caller.
func NoRule(id string) error {
	return fault.New(fault.NotFound, "SecurityGroupRuleNotFound", "Security group rule %s does not exist", id)
}
