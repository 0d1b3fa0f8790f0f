package network

import (
	"context"
	"net/netip"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var ipv6Modes = readOneOf(nil, topology.ModeStateful, topology.ModeStateless, topology.ModeSLAAC)

var subnetAttributes = tagged(
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "ip_version", read: readOneOf(readNumber, 4, 6), required: true, post: true, filter: filterNumber, sort: true},
	attribute{name: "network_id", read: readUUID, required: true, post: true, filter: asIs, sort: true},
	attribute{name: "subnetpool_id", read: readPoolID, post: true, filter: asIs, sort: true},
	attribute{name: "prefixlen", read: readNonNegative, post: true, see: nobody},
	attribute{name: "cidr", read: readCIDR, post: true, filter: filterCIDR, sort: true},
	attribute{name: "gateway_ip", read: readIP, post: true, put: true, filter: filterIP, sort: true},
	attribute{name: "allocation_pools", read: readPools, post: true, put: true},
	attribute{name: "dns_nameservers", read: readNameservers, post: true, put: true},
	attribute{name: "host_routes", read: readRoutes, post: true, put: true},
	attribute{name: "enable_dhcp", read: readFlag, fallback: true, post: true, put: true, filter: filterFlag, sort: true},
	attribute{name: "ipv6_ra_mode", read: ipv6Modes, post: true, filter: asIs, sort: true},
	attribute{name: "ipv6_address_mode", read: ipv6Modes, post: true, filter: asIs, sort: true},
	attribute{name: "shared", see: nobody, filter: filterFlag},
)

// readPoolID: there are no subnet pools, so none can be found.
func readPoolID(name string, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	id, err := readUUID(name, v)
	if err == nil {
		err = fault.New(fault.NotFound, "SubnetPoolNotFound", "Subnet pool %s could not be found.", id)
	}
	return nil, err
}

func readPools(name string, v any) (any, error) {
	elements, ok := v.([]any)
	if !ok {
		return nil, unfit(name, "Invalid data format for IP pool: '%s'", python(v))
	}
	pools := []topology.Pool{}
	for _, e := range elements {
		m, reason := keysOf(e, "start", "end")
		var p topology.Pool
		if reason == "" {
			p.Start, reason = parseIP(m["start"])
		}
		if reason == "" {
			p.End, reason = parseIP(m["end"])
		}
		if reason != "" {
			return nil, unfit(name, "%s", reason)
		}
		pools = append(pools, p)
	}
	return pools, nil
}

func readNameservers(name string, v any) (any, error) {
	if v == nil {
		return []string{}, nil
	}
	elements, ok := v.([]any)
	if !ok {
		return nil, unfit(name, "Invalid data format for nameserver: '%s'", python(v))
	}
	all := []string{}
	seen := map[netip.Addr]bool{}
	for _, e := range elements {
		a, reason := parseIP(e)
		if reason != "" {
			return nil, unfit(name, "'%s' is not a valid nameserver. %s", python(e), reason)
		}
		if seen[a] {
			return nil, unfit(name, "Duplicate nameserver '%s'", python(e))
		}
		seen[a] = true
		all = append(all, a.String())
	}
	return all, nil
}

func readRoutes(name string, v any) (any, error) {
	if v == nil {
		return []topology.HostRoute{}, nil
	}
	elements, ok := v.([]any)
	if !ok {
		return nil, unfit(name, "Invalid data format for hostroute: '%s'", python(v))
	}
	routes := []topology.HostRoute{}
	seen := map[topology.HostRoute]bool{}
	for _, e := range elements {
		r, reason := readRoute(e)
		if reason == "" && seen[r] {
			reason = "Duplicate hostroute '" + python(e) + "'"
		}
		if reason != "" {
			return nil, unfit(name, "%s", reason)
		}
		seen[r] = true
		routes = append(routes, r)
	}
	return routes, nil
}

func readRoute(v any) (r topology.HostRoute, reason string) {
	m, reason := keysOf(v, "destination", "nexthop")
	if reason != "" {
		return r, reason
	}
	shown := python(m["destination"])
	p, err := topology.ParsePrefix(shown)
	switch {
	case err != nil:
		return r, "'" + shown + "' is not a valid CIDR"
	case p != p.Masked() || p.String() != shown && p.Addr().Is4():
		return r, "'" + shown + "' is not a recognized CIDR, '" + p.Masked().String() + "' is recommended"
	case p.Addr().IsLoopback():
		return r, "'" + shown + "' is not a routable CIDR"
	}
	r.Destination = p
	r.NextHop, reason = parseIP(m["nexthop"])
	return r, reason
}

func (a *api) subnets() *resource[topology.Subnet] {
	return &resource[topology.Subnet]{
		tags: store.TaggedSubnets, store: a.Store,
		one: "subnet", many: "subnets", attributes: subnetAttributes, missing: topology.NoSubnet,
		list: a.Store.ListSubnets,
		find: a.Store.FindSubnet,
		facts: func(s *topology.Subnet) map[string]any {
			return map[string]any{"project_id": s.ProjectID, "network_id": s.NetworkID}
		},
		belongs: a.parentsOf,
		view:    viewSubnets, create: a.createSubnets, update: a.updateSubnet, remove: a.deleteSubnet,
	}
}

// errNoModes: a pod's subnet with a mode cannot be made with DHCP off, which is
// how its agents are kept from choosing addresses.
var errNoModes = fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: "+
	"ipv6_ra_mode and ipv6_address_mode are not offered in this region: IPv6 subnets are static.")

func (a *api) createSubnets(ctx context.Context, by identity.Caller, all []values) ([]topology.Subnet, error) {
	specs := make([]topology.SubnetSpec, len(all))
	for i, v := range all {
		s := &specs[i]
		set(v, "project_id", &s.ProjectID)
		set(v, "network_id", &s.NetworkID)
		set(v, "ip_version", &s.IPVersion)
		set(v, "ipv6_ra_mode", &s.IPv6RAMode)
		set(v, "ipv6_address_mode", &s.IPv6AddressMode)
		if s.IPv6RAMode != "" || s.IPv6AddressMode != "" {
			return nil, errNoModes
		}
		setSubnet(&s.Subnet, v)
		if gateway, sent := v["gateway_ip"].(netip.Addr); sent {
			s.NoGateway = !gateway.IsValid()
		}
		if err := setPrefix(&s.Subnet, v); err != nil {
			return nil, err
		}
		if _, err := a.networks().get(ctx, by, s.NetworkID); err != nil {
			return nil, err
		}
	}
	return a.Store.CreateSubnets(ctx, specs)
}

// onNetwork finds a network that the caller may use, and asks may about it.
func (a *api) onNetwork(ctx context.Context, by identity.Caller, id string, may func(*topology.Network) error) error {
	n, err := a.networks().get(ctx, by, id)
	if err != nil {
		return err
	}
	return may(n)
}

func setPrefix(s *topology.Subnet, v values) error {
	_, byLength := v["prefixlen"]
	prefix, named := v["cidr"].(netip.Prefix)
	switch {
	case named && byLength:
		return badResource("subnets", "cidr and prefixlen must not be supplied together")
	case !named:
		return badResource("subnets", "a subnetpool must be specified in the absence of a cidr")
	}
	s.CIDR = prefix
	return nil
}

// setSubnet takes over what may also be changed later.
func setSubnet(s *topology.Subnet, v values) {
	set(v, "name", &s.Name)
	set(v, "description", &s.Description)
	set(v, "gateway_ip", &s.GatewayIP)
	set(v, "allocation_pools", &s.AllocationPools)
	set(v, "dns_nameservers", &s.DNSNameservers)
	set(v, "host_routes", &s.HostRoutes)
	set(v, "enable_dhcp", &s.EnableDHCP)
}

func (a *api) updateSubnet(ctx context.Context, _ identity.Caller, old *topology.Subnet, v values, match revision) (topology.Subnet, error) {
	return a.Store.UpdateSubnet(ctx, old.ID, func(s *topology.Subnet) error {
		if err := check(match, s.Revision); err != nil {
			return err
		}
		setSubnet(s, v)
		return nil
	})
}

func (a *api) deleteSubnet(ctx context.Context, _ identity.Caller, old *topology.Subnet, match revision) error {
	ports := store.Query{Filters: map[string][]string{"fixed_ips.subnet_id": {old.ID}}}
	return a.settled(ctx, ports, func() error {
		return a.Store.DeleteSubnet(ctx, old.ID, func(s *topology.Subnet) error { return check(match, s.Revision) })
	})
}

func viewSubnets(_ context.Context, _ identity.Caller, all []topology.Subnet) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, s := range all {
		m := owned(s.ID, s.ProjectID, s.Description, s.CreatedAt, s.UpdatedAt, s.Revision)
		m["name"], m["network_id"], m["ip_version"], m["cidr"] = s.Name, s.NetworkID, s.IPVersion, s.CIDR
		m["gateway_ip"], m["subnetpool_id"] = nil, nil
		if s.GatewayIP.IsValid() {
			m["gateway_ip"] = s.GatewayIP
		}
		m["enable_dhcp"], m["allocation_pools"] = s.EnableDHCP, s.AllocationPools
		m["dns_nameservers"], m["host_routes"] = s.DNSNameservers, s.HostRoutes
		m["ipv6_ra_mode"], m["ipv6_address_mode"] = orNull(s.IPv6RAMode), orNull(s.IPv6AddressMode)
		shown[i] = m
	}
	return shown, nil
}
