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
	OwnerRouterInterface      = "network:router_interface"
	OwnerDistributedInterface = "network:router_interface_distributed"
	OwnerHAInterface          = "network:ha_router_replicated_interface"
	OwnerRouterGateway        = "network:router_gateway"
	OwnerFloatingIP           = "network:floatingip"
	// OwnerPodRouter has what a router needs in one pod beside its interfaces: its
	// own address there, and its place on the bridge. Neutron has no such ports.
	OwnerPodRouter = "network:pod_router"
)

// NoAutoTopology is the refusal of a network for a project that gets one by itself.
func NoAutoTopology(reason string) error {
	return fault.New(fault.Conflict, "AutoAllocationFailure", "Deployment error: %s.", reason)
}

// IsRouterInterface says that a port with this owner is a router's place on a
// subnet; its gateway is none.
func IsRouterInterface(owner string) bool {
	return owner == OwnerRouterInterface || owner == OwnerDistributedInterface || owner == OwnerHAInterface
}

// maxRoutes is how many extra routes a router may have, as in Neutron by default.
const maxRoutes = 30

// IsRouterPort says that a port with this owner is a router's interface or gateway.
func IsRouterPort(owner string) bool {
	return IsRouterInterface(owner) || owner == OwnerRouterGateway
}

// Router is a central router. Its interfaces are the ports whose device it is.
type Router struct {
	ID           string
	ProjectID    string
	Name         string
	Description  string
	AdminStateUp bool
	Distributed  bool
	HA           bool
	FlavorID     string // empty: none
	ZoneHints    []string
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

// InterfaceOwner is the owner of the router's interfaces: it tells of what kind
// the router is.
func (r *Router) InterfaceOwner() string {
	switch {
	case r.Distributed:
		return OwnerDistributedInterface
	case r.HA:
		return OwnerHAInterface
	}
	return OwnerRouterInterface
}

// CheckKind refuses to make another kind of router of one that is at work.
func (r *Router) CheckKind(before *Router) error {
	if r.Distributed != before.Distributed && (r.AdminStateUp || before.AdminStateUp) {
		return BadRouter("Cannot change the 'distributed' attribute of active routers. " +
			"Please set router admin_state_up to False prior to upgrade")
	}
	if r.HA != before.HA && r.AdminStateUp {
		return BadRouter("Cannot change HA attribute of active routers. Please set router admin_state_up to False prior to upgrade")
	}
	return nil
}

// CheckInterfacePort refuses to change the IPv4 addresses of a port under the
// router that has it as an interface.
func CheckInterfacePort(before, after *Port) error {
	if before.DeviceID == "" || !IsRouterInterface(before.DeviceOwner) || slices.Equal(fours(before), fours(after)) {
		return nil
	}
	return fault.New(fault.Invalid, "IPAddressChangeNotAllowed", "IP updates for port %s are not allowed", before.ID)
}

func fours(p *Port) []netip.Addr {
	all := slices.DeleteFunc(p.Addresses(), netip.Addr.Is6)
	slices.SortFunc(all, netip.Addr.Compare)
	return all
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

// CheckRouted refuses a subnet whose servers another router tells their addresses.
func CheckRouted(s *Subnet) error {
	if s.IPv6RAMode == "" && s.IPv6AddressMode != "" {
		return BadRouter("IPv6 subnet %s configured to receive RAs from an external router cannot be added to Neutron Router.", s.ID)
	}
	return nil
}

// CheckInterfaceSubnets refuses a port with these subnets as a router's interface.
func CheckInterfaceSubnets(subnets []Subnet) error {
	fours := 0
	for i := range subnets {
		if err := CheckRouted(&subnets[i]); err != nil {
			return err
		}
		if subnets[i].IPVersion == 4 {
			fours++
		}
	}
	switch {
	case len(subnets) == 0:
		return BadRouter("Router port must have at least one fixed IP")
	case fours > 1:
		return BadRouter("Cannot have multiple IPv4 subnets on router port")
	}
	return nil
}

// CheckBeside refuses a second port of the router on one network where both have
// IPv6 prefixes: one source announces them all.
func (p *Port) CheckBeside(others []Port) error {
	for i := range others {
		if o := &others[i]; o.NetworkID == p.NetworkID && o.hasSix() && p.hasSix() {
			return BadRouter("Cannot have multiple router ports with the same network id if both contain IPv6 subnets. "+
				"Existing port %s has IPv6 subnet(s) and network id %s", o.ID, o.NetworkID)
		}
	}
	return nil
}

func (p *Port) hasSix() bool { return slices.ContainsFunc(p.Addresses(), netip.Addr.Is6) }

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
	Status       string // what its pod said last; DOWN while it leads nowhere
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
	switch {
	case p.DeviceOwner == OwnerDHCP:
		return FixedIP{}, BadFloatingIP("Port %s is unable to be assigned a floating IP", p.ID)
	case wanted.Is6():
		return FixedIP{}, BadFloatingIP("Cannot process floating IP association with %s, since that is not an IPv4 address", wanted)
	}
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
