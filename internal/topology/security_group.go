package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Directions and families of rules.
const (
	Ingress = "ingress"
	Egress  = "egress"
	IPv4    = "IPv4"
	IPv6    = "IPv6"
)

// legacyICMPv6 is a second name for ipv6-icmp.
const (
	protoICMP    = "icmp"
	protoICMPv6  = "ipv6-icmp"
	legacyICMPv6 = "icmpv6"
)

// protocols are the names that rules may use, in Neutron's order.
var protocols = []struct {
	name   string
	number int
}{
	{"ah", 51}, {"dccp", 33}, {"egp", 8}, {"esp", 50}, {"gre", 47}, {"hopopt", 0},
	{protoICMP, 1}, {"igmp", 2}, {"ip", 0}, {"ipip", 4}, {"ipv6-encap", 41},
	{"ipv6-frag", 44}, {protoICMPv6, 58}, {legacyICMPv6, 58}, {"ipv6-nonxt", 59},
	{"ipv6-opts", 60}, {"ipv6-route", 43}, {"ospf", 89}, {"pgm", 113}, {"rsvp", 46},
	{"sctp", 132}, {"tcp", 6}, {"udp", 17}, {"udplite", 136}, {"vrrp", 112},
}

// Protocols whose traffic has ports.
var portProtocols = []string{"dccp", "sctp", "tcp", "udp", "udplite"}

// Names and numbers that only IPv6 has.
var ipv6Protocols = []string{
	"ipv6-encap", "ipv6-frag", protoICMPv6, legacyICMPv6, "ipv6-nonxt", "ipv6-opts", "ipv6-route",
	"41", "44", "58", "59", "60", "43",
}

// DefaultGroup is the name of the group that each project has from the start.
const DefaultGroup = "default"

// SecurityGroup is a central security group with its rules.
type SecurityGroup struct {
	ID          string    `json:"id"`
	ProjectID   string    `json:"project_id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Stateful    bool      `json:"stateful"`
	Shared      bool      // with all projects
	Rules       []Rule    `json:"security_group_rules"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Revision    int64     `json:"revision_number"`
}

// Rule allows some traffic. Empty and nil fields allow any value.
type Rule struct {
	ID             string    `json:"id"`
	GroupID        string    `json:"security_group_id"`
	ProjectID      string    `json:"project_id"`
	Description    string    `json:"description"`
	Direction      string    `json:"direction"` // ingress, egress
	EtherType      string    `json:"ethertype"` // IPv4, IPv6
	Protocol       string    `json:"protocol"`
	PortMin        *int      `json:"port_range_min"`
	PortMax        *int      `json:"port_range_max"`
	RemoteIPPrefix string    `json:"remote_ip_prefix"`
	RemoteGroupID  string    `json:"remote_group_id"`
	AddressGroupID string    `json:"remote_address_group_id"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	Revision       int64     `json:"revision_number"`
}

// ParseProtocol reads a protocol by name or number. Empty is any.
func ParseProtocol(text string) (string, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n >= 0 && n <= 255 {
			return text, nil
		}
	} else if name := strings.ToLower(text); protocolNumber(name) >= 0 {
		return name, nil
	}
	return "", fault.New(fault.Invalid, "SecurityGroupRuleInvalidProtocol",
		"Security group rule protocol %s not supported. Only protocol values [None, %s] "+
			"and integer representations [0 to 255] are supported.", text, protocolNames())
}

func protocolNames() string {
	names := make([]string, 0, len(protocols))
	for _, p := range protocols {
		names = append(names, "'"+p.name+"'")
	}
	return strings.Join(names, ", ")
}

// protocolNumber is the number of a name or of a number as text; -1 is unknown.
func protocolNumber(text string) int {
	for _, p := range protocols {
		if p.name == text {
			return p.number
		}
	}
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return -1
}

// Normalize brings the rule into the one form that equal rules share, and
// refuses what makes no sense.
func (r *Rule) Normalize() error {
	if r.EtherType == IPv6 {
		switch r.Protocol {
		case protoICMP, legacyICMPv6:
			r.Protocol = protoICMPv6
		case "1":
			r.Protocol = "58"
		}
	}
	if r.PortMin != nil && r.PortMax != nil && *r.PortMin == 1 && *r.PortMax == 65535 {
		r.PortMin, r.PortMax = nil, nil // the whole range is no limit
	}
	if err := r.checkPorts(); err != nil {
		return err
	}
	if err := r.checkPrefix(); err != nil {
		return err
	}
	if r.EtherType == IPv4 && slices.Contains(ipv6Protocols, r.Protocol) {
		return fault.New(fault.Invalid, "SecurityGroupEthertypeConflictWithProtocol",
			"Invalid ethertype %s for protocol %s.", r.EtherType, r.Protocol)
	}
	if remotes(r.RemoteIPPrefix, r.RemoteGroupID, r.AddressGroupID) > 1 {
		return fault.New(fault.Invalid, "SecurityGroupMultipleRemoteEntites",
			"Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.")
	}
	return nil
}

func remotes(given ...string) int {
	return len(slices.DeleteFunc(given, func(s string) bool { return s == "" }))
}

func (r *Rule) checkPrefix() error {
	if r.RemoteIPPrefix == "" {
		return nil
	}
	p, err := ParsePrefix(r.RemoteIPPrefix)
	if err != nil {
		return fault.New(fault.Invalid, "InvalidCIDR", "Invalid CIDR %s given as IP prefix.", r.RemoteIPPrefix)
	}
	r.RemoteIPPrefix = p.String()
	if p.Addr().Is4() != (r.EtherType == IPv4) {
		return fault.New(fault.Invalid, "SecurityGroupRuleParameterConflict",
			"Conflicting value ethertype %s for CIDR %s", r.EtherType, r.RemoteIPPrefix)
	}
	return nil
}

func (r *Rule) checkPorts() error {
	if r.PortMin == nil && r.PortMax == nil {
		return nil
	}
	number := protocolNumber(r.Protocol)
	switch {
	case r.Protocol == "":
		return fault.New(fault.Invalid, "SecurityGroupProtocolRequiredWithPorts",
			"Must also specify protocol if port range is given.")
	case slices.ContainsFunc(portProtocols, func(name string) bool { return protocolNumber(name) == number }):
		return r.checkPortRange()
	case number == protocolNumber(protoICMP), number == protocolNumber(protoICMPv6):
		return r.checkICMP()
	}
	return fault.New(fault.Invalid, "SecurityGroupInvalidProtocolForPort",
		"Ports cannot be specified for protocol %d. Ports are only supported for %s.",
		number, strings.ToUpper(strings.Join(portProtocols, ", ")))
}

func (r *Rule) checkPortRange() error {
	if r.PortMin != nil && *r.PortMin == 0 || r.PortMax != nil && *r.PortMax == 0 {
		return BadPort("0")
	}
	if r.PortMin == nil || r.PortMax == nil || *r.PortMin > *r.PortMax {
		return fault.New(fault.Invalid, "SecurityGroupInvalidPortRange",
			"For TCP/UDP protocols, port_range_min must be <= port_range_max")
	}
	return nil
}

// BadPort is the refusal of a value that is no port.
func BadPort(shown string) error {
	return fault.New(fault.Invalid, "SecurityGroupInvalidPortValue", "Invalid value for port %s", shown)
}

// checkICMP: the fields hold type and code.
func (r *Rule) checkICMP() error {
	for _, f := range []struct {
		field, attr string
		value       *int
	}{{"type", "port_range_min", r.PortMin}, {"code", "port_range_max", r.PortMax}} {
		if f.value != nil && (*f.value < 0 || *f.value > 255) {
			return fault.New(fault.Invalid, "SecurityGroupInvalidIcmpValue",
				"Invalid value for ICMP %s (%s) %d. It must be 0 to 255.", f.field, f.attr, *f.value)
		}
	}
	if r.PortMin == nil {
		return fault.New(fault.Invalid, "SecurityGroupMissingIcmpType",
			"ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", *r.PortMax)
	}
	return nil
}

// Key is equal for rules that allow the same traffic; a group has each once.
func (r *Rule) Key() string {
	number := func(n *int) string {
		if n == nil {
			return "+"
		}
		return strconv.Itoa(*n)
	}
	protocol := "+"
	if r.Protocol != "" {
		protocol = strconv.Itoa(protocolNumber(r.Protocol))
	}
	prefix := r.RemoteIPPrefix
	if prefix == "0.0.0.0/0" || prefix == "::/0" {
		prefix = ""
	}
	key := strings.Join([]string{r.Direction, r.EtherType, protocol, number(r.PortMin), number(r.PortMax),
		r.RemoteGroupID, prefix}, "_")
	if r.AddressGroupID != "" {
		key += "_" + r.AddressGroupID
	}
	return key
}

// NormalizedCIDR is the remote prefix without host bits; empty if there is none.
func (r *Rule) NormalizedCIDR() string {
	p, err := ParsePrefix(r.RemoteIPPrefix)
	if err != nil {
		return ""
	}
	return p.Masked().String()
}

// DefaultRules are those of a new group: everything out. A project's default
// group also lets its members in to each other.
func DefaultRules(groupID, projectID string, isDefault bool) []Rule {
	var rules []Rule
	for _, family := range []string{IPv4, IPv6} {
		if isDefault {
			rules = append(rules, Rule{GroupID: groupID, ProjectID: projectID, Direction: Ingress,
				EtherType: family, RemoteGroupID: groupID})
		}
		rules = append(rules, Rule{GroupID: groupID, ProjectID: projectID, Direction: Egress, EtherType: family})
	}
	return rules
}

// RuleExists is the refusal of a rule that the group has already.
func RuleExists(id string) error {
	return fault.New(fault.Conflict, "SecurityGroupRuleExists",
		"Security group rule already exists. Rule id is %s.", id)
}

func (r Rule) String() string {
	return fmt.Sprintf("%s %s %s %s%s", r.Direction, r.EtherType, r.Protocol, r.RemoteIPPrefix, r.RemoteGroupID)
}

// ProtocolNumber is the number of a protocol by name or number; -1 is unknown.
func ProtocolNumber(text string) int { return protocolNumber(text) }
