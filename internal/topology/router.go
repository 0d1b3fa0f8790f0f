package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Device owners of the ports by which routers and floating IPs hold addresses.
const (
	OwnerRouterInterface = "network:router_interface"
	OwnerRouterGateway   = "network:router_gateway"
	OwnerFloatingIP      = "network:floatingip"
)

// maxRoutes is how many extra routes a router may have, as in Neutron by default.
const maxRoutes = 30

// Router is a central router. Its interfaces are the ports whose device it is.
type Router struct {
	ID           string
	ProjectID    string
	Name         string
	Description  string
	AdminStateUp bool
	Gateway      *Gateway // nil: none
	Routes       []HostRoute
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Revision     int64
}

// Gateway is a router's way out.
type Gateway struct {
	NetworkID  string
	PortID     string
	FixedIPs   []FixedIP
	EnableSNAT bool
	// The router's own QoS policy, and that of the network.
	QoSPolicyID        string
	QoSNetworkPolicyID string
}

// WantGateway is a gateway somebody asks for. An empty NetworkID is none; nil
// WantIPs and SNAT stay as they are, or are chosen by us.
type WantGateway struct {
	NetworkID string
	WantIPs   []WantIP
	SNAT      *bool
	QoSPolicy *string // empty: none
}

// NoRouter is the answer about a router that is not there for the caller.
func NoRouter(id string) error {
	return fault.New(fault.NotFound, "RouterNotFound", "Router %s could not be found", id)
}

// BadRouter is Neutron's refusal of what is asked of a router.
func BadRouter(format string, args ...any) error {
	return fault.New(fault.Invalid, "BadRequest", "Bad router request: %s.", fmt.Sprintf(format, args...))
}

// CheckInterface refuses a new interface on the subnets beside those on which
// the router is already: routers cannot tell overlapping prefixes apart.
func CheckInterface(has, added []Subnet) error {
	for _, s := range added {
		for _, other := range has {
			if other.ID == s.ID {
				return BadRouter("Router already has a port on subnet %s", s.ID)
			}
			if other.CIDR.Overlaps(s.CIDR) {
				return BadRouter("Cidr %s of subnet %s overlaps with cidr %s of subnet %s", s.CIDR, s.ID, other.CIDR, other.ID)
			}
		}
	}
	return nil
}

// CheckRoutes refuses routes whose next hop no interface reaches, or that are too
// many. subnets and own are where the router is, and its addresses there.
func (r *Router) CheckRoutes(subnets []Subnet, own []netip.Addr) error {
	if len(r.Routes) > maxRoutes {
		return fault.New(fault.Invalid, "RoutesExhausted",
			"Unable to complete operation for %s. The number of routes exceeds the maximum %d.", r.ID, maxRoutes)
	}
	for _, route := range r.Routes {
		if !slices.ContainsFunc(subnets, func(s Subnet) bool { return s.CIDR.Contains(route.NextHop) }) {
			return invalidRoutes(r.Routes, "the nexthop is not connected with router")
		}
		if slices.Contains(own, route.NextHop) {
			return invalidRoutes(r.Routes, "the nexthop is used by router")
		}
	}
	return nil
}

func invalidRoutes(routes []HostRoute, reason string) error {
	shown := make([]string, len(routes))
	for i, r := range routes {
		shown[i] = fmt.Sprintf("{'destination': '%s', 'nexthop': '%s'}", r.Destination, r.NextHop)
	}
	return fault.New(fault.Invalid, "InvalidRoutes", "Invalid format for routes: [%s], %s", strings.Join(shown, ", "), reason)
}

// Needs reports whether a route of the router leads through the prefix.
func (r *Router) Needs(prefix netip.Prefix) bool {
	return slices.ContainsFunc(r.Routes, func(route HostRoute) bool { return prefix.Contains(route.NextHop) })
}

// FloatingIP is an address of an external network that serves a port's own.
type FloatingIP struct {
	ID           string
	ProjectID    string
	Description  string
	NetworkID    string // the external one
	OuterPort    string // the port that holds Address
	Address      netip.Addr
	PortID       string // empty: serves no port
	FixedAddress netip.Addr
	RouterID     string
	QoSPolicyID  string
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Revision     int64
}

// NoFloatingIP is the answer about one that is not there for the caller.
func NoFloatingIP(id string) error {
	return fault.New(fault.NotFound, "FloatingIPNotFound", "Floating IP %s could not be found", id)
}

// BadFloatingIP is Neutron's refusal of what is asked of a floating IP.
func BadFloatingIP(format string, args ...any) error {
	return fault.New(fault.Invalid, "BadRequest", "Bad floatingip request: %s.", fmt.Sprintf(format, args...))
}

// ServedAddress is which of the port's addresses a floating IP serves. wanted may
// be zero where the port has one only.
func (p *Port) ServedAddress(wanted netip.Addr) (FixedIP, error) {
	var fixed []FixedIP
	for _, ip := range p.FixedIPs {
		if ip.Address.Is4() && (!wanted.IsValid() || ip.Address == wanted) {
			fixed = append(fixed, ip)
		}
	}
	switch {
	case len(fixed) == 1:
		return fixed[0], nil
	case wanted.IsValid():
		return FixedIP{}, BadFloatingIP("Port %s does not have fixed ip %s", p.ID, wanted)
	case len(fixed) == 0:
		return FixedIP{}, BadFloatingIP("Cannot add floating IP to port %s that has no fixed IPv4 addresses", p.ID)
	}
	return FixedIP{}, BadFloatingIP("Port %s has multiple fixed IPv4 addresses.  "+
		"Must provide a specific IPv4 address when assigning a floating IP", p.ID)
}
