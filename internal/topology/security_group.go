package topology

import "time"

// DefaultGroup is the name of the group that each project has from the start.
const DefaultGroup = "default"

// SecurityGroup is a central security group with its rules.
type SecurityGroup struct {
	ID          string    `json:"id"`
	ProjectID   string    `json:"project_id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Stateful    bool      `json:"stateful"`
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
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	Revision       int64     `json:"revision_number"`
}
