package topology

import (
	"net/netip"
	"time"
)

// Subnet is a central subnet. Addresses in it are given by us alone.
type Subnet struct {
	ID              string       `json:"id"`
	NetworkID       string       `json:"network_id"`
	ProjectID       string       `json:"project_id"`
	Name            string       `json:"name"`
	Description     string       `json:"description"`
	IPVersion       int          `json:"ip_version"`
	CIDR            netip.Prefix `json:"cidr"`
	GatewayIP       netip.Addr   `json:"gateway_ip"` // zero: no gateway
	EnableDHCP      bool         `json:"enable_dhcp"`
	AllocationPools []Pool       `json:"allocation_pools"`
	DNSNameservers  []string     `json:"dns_nameservers"`
	HostRoutes      []HostRoute  `json:"host_routes"`
	IPv6RAMode      string       `json:"ipv6_ra_mode"`
	IPv6AddressMode string       `json:"ipv6_address_mode"`
	CreatedAt       time.Time    `json:"created_at"`
	UpdatedAt       time.Time    `json:"updated_at"`
	Revision        int64        `json:"revision_number"`
}

// Pool is a range of addresses, both ends included.
type Pool struct {
	Start netip.Addr `json:"start"`
	End   netip.Addr `json:"end"`
}

// HostRoute is a route that DHCP hands to the servers of a subnet.
type HostRoute struct {
	Destination netip.Prefix `json:"destination"`
	NextHop     netip.Addr   `json:"nexthop"`
}
