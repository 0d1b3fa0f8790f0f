package network

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

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
	attribute{name: "use_default_subnetpool", read: readFlag, fallback: false, post: true, see: nobody},
	attribute{name: "prefixlen", read: readNonNegative, post: true, see: nobody},
	attribute{name: "cidr", read: readCIDR, post: true, filter: filterCIDR, sort: true},
	attribute{name: "gateway_ip", read: readIP, post: true, put: true, filter: filterIP, sort: true},
	attribute{name: "allocation_pools", read: readPools, post: true, put: true},
	attribute{name: "dns_nameservers", read: readNameservers, post: true, put: true},
	attribute{name: "host_routes", read: readRoutes, post: true, put: true},
	attribute{name: "enable_dhcp", read: readFlag, fallback: true, post: true, put: true, filter: filterFlag, sort: true},
	attribute{name: "ipv6_ra_mode", read: ipv6Modes, post: true, filter: asIs, sort: true},
	attribute{name: "ipv6_address_mode", read: ipv6Modes, post: true, filter: asIs, sort: true},
	attribute{name: "service_types", read: readServiceTypes, post: true, put: true},
	attribute{name: "shared", see: nobody, filter: filterFlag},
)

// readPoolID: null is no pool. Prefix delegation, Neutron's pool without an ID,
// needs a router of the pods' own.
func readPoolID(name string, v any) (any, error) {
	if v == nil {
		return "", nil
	}
	return readUUID(name, v)
}

// readServiceTypes reads device owners. Neutron's check of them is meant to ask
// for one of three prefixes, and takes whatever begins with a letter of the last.
func readServiceTypes(_ string, v any) (any, error) {
	elements, ok := v.([]any)
	switch {
	case v == nil:
		return []string{}, nil
	case !ok:
		return nil, badRequest("Subnet service types must be a list.")
	}
	types := []string{}
	for _, e := range elements {
		s, ok := e.(string)
		if !ok {
			return nil, fault.New(fault.Invalid, "InvalidInputSubnetServiceType",
				"Subnet service type %s is not a string.", python(e))
		}
		if !strings.HasPrefix(s, "network:") && !strings.HasPrefix(s, "neutron:") && (s == "" || !strings.Contains(topology.OwnerCompute, s[:1])) {
			return nil, fault.New(fault.Invalid, "InvalidSubnetServiceType",
				"Subnet service type %s does not correspond to a valid device owner.", s)
		}
		types = append(types, s)
	}
	return types, nil
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

func (a *api) createSubnets(ctx context.Context, by identity.Caller, all []values) ([]topology.Subnet, error) {
	specs := make([]topology.SubnetSpec, len(all))
	for i, v := range all {
		s := &specs[i]
		set(v, "project_id", &s.ProjectID)
		set(v, "network_id", &s.NetworkID)
		set(v, "ip_version", &s.IPVersion)
		set(v, "ipv6_ra_mode", &s.IPv6RAMode)
		set(v, "ipv6_address_mode", &s.IPv6AddressMode)
		setSubnet(&s.Subnet, v)
		if gateway, sent := v["gateway_ip"].(netip.Addr); sent {
			s.NoGateway = !gateway.IsValid()
		}
		if err := a.setPrefix(ctx, by, s, v); err != nil {
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

// setPrefix takes over what says where the subnet's addresses come from.
func (a *api) setPrefix(ctx context.Context, by identity.Caller, s *topology.SubnetSpec, v values) error {
	length, byLength := v["prefixlen"].(int)
	prefix, named := v["cidr"].(netip.Prefix)
	if named && byLength {
		return badResource("subnets", "cidr and prefixlen must not be supplied together")
	}
	if named {
		s.CIDR = prefix
	}
	if byLength {
		s.PrefixLen = &length
	}
	var err error
	if s.SubnetPoolID, err = a.poolFor(ctx, by, s.IPVersion, v); err != nil {
		return err
	}
	switch {
	case !named && s.SubnetPoolID == "":
		return badResource("subnets", "a subnetpool must be specified in the absence of a cidr")
	case !named && s.AllocationPools != nil:
		return badResource("subnets", "allocation_pools allowed only for specific subnet requests.")
	}
	return nil
}

// poolFor is the pool that the subnet is cut out of; empty if none.
func (a *api) poolFor(ctx context.Context, by identity.Caller, version int, v values) (string, error) {
	id, _ := v["subnetpool_id"].(string)
	byDefault, _ := v["use_default_subnetpool"].(bool)
	switch {
	case id != "" && byDefault:
		return "", badResource("subnets", "subnetpool_id and use_default_subnetpool cannot both be specified")
	case id != "":
		_, err := a.subnetPools().get(ctx, by, id)
		return id, err
	case !byDefault:
		return "", nil
	}
	p, err := a.defaultPool(ctx, by, version)
	return p.ID, err
}

// defaultPool is the default pool of the IP version, if the caller sees it.
func (a *api) defaultPool(ctx context.Context, by identity.Caller, version int) (topology.SubnetPool, error) {
	all, err := a.Store.SubnetPools().List(ctx, store.Query{ProjectID: scopeOf(by),
		Filters: map[string][]string{"is_default": {"true"}, "ip_version": {strconv.Itoa(version)}}})
	if err != nil {
		return topology.SubnetPool{}, err
	}
	if len(all) == 0 {
		return topology.SubnetPool{}, topology.NoDefaultPool(version)
	}
	return all[0], nil
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
	set(v, "service_types", &s.ServiceTypes)
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
		m["gateway_ip"], m["subnetpool_id"], m["service_types"] = nil, orNull(s.SubnetPoolID), s.ServiceTypes
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
