package network

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var networkAttributes = tagged(
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "admin_state_up", read: readFlag, fallback: true, post: true, put: true, filter: filterFlag, sort: true},
	attribute{name: "status", filter: asIs, sort: true},
	attribute{name: "subnets"},
	attribute{name: "shared", read: readFlag, fallback: false, post: true, put: true, guard: true, filter: filterFlag},
	attribute{name: "router:external", read: readFlag, fallback: false, post: true, put: true, guard: true, filter: filterFlag},
	attribute{name: "is_default", read: readFlag, fallback: false, post: true, put: true, guard: true},
	attribute{name: "mtu", read: readNonNegative, post: true, put: true, guard: true, filter: filterNumber, sort: true},
	attribute{name: "port_security_enabled", read: readFlag, fallback: true, post: true, put: true, guard: true, filter: filterFlag},
	qosAttribute,
	attribute{name: "ipv4_address_scope"},
	attribute{name: "ipv6_address_scope"},
	attribute{name: "availability_zone_hints", read: readTexts, post: true},
	attribute{name: "availability_zones"},
	attribute{name: providerType, read: readText(32), post: true, put: true, guard: true, filter: asIs},
	attribute{name: providerPhysical, read: readText(64), post: true, put: true, guard: true, filter: asIs},
	attribute{name: providerSegment, read: readNumber, post: true, put: true, guard: true, filter: filterNumber},
	attribute{name: "segments", read: readSegments, post: true, put: true, guard: true},
)

func (a *api) networks() *resource[topology.Network] {
	return &resource[topology.Network]{
		tags: store.TaggedNetworks, store: a.Store,
		one: "network", many: "networks", attributes: networkAttributes, missing: topology.NoNetwork,
		list:   a.Store.ListNetworks,
		find:   a.Store.FindNetwork,
		shared: func(n *topology.Network) (string, *bool) { return n.ID, &n.Shared },
		facts: func(n *topology.Network) map[string]any {
			return map[string]any{"project_id": n.ProjectID, "shared": n.Shared, "router:external": n.External}
		},
		view: a.viewNetworks, create: a.createNetworks, update: a.updateNetwork, remove: a.deleteNetwork,
	}
}

func (a *api) createNetworks(ctx context.Context, by identity.Caller, all []values) ([]topology.Network, error) {
	made := make([]topology.Network, len(all))
	for i, v := range all {
		n := &made[i]
		set(v, "project_id", &n.ProjectID)
		setNetwork(n, v)
		set(v, "availability_zone_hints", &n.ZoneHints)
		set(v, providerType, &n.Type)
		set(v, providerPhysical, &n.PhysicalNetwork)
		set(v, providerSegment, &n.SegmentationID)
		set(v, "segments", &n.Segments)
		if id, sent := v[providerSegment]; sent && id == 0 {
			return nil, invalidInput("segmentation_id out of range (%d through %d)", topology.MinVLAN, topology.MaxVLAN)
		}
		if err := a.checkPlace(ctx, n); err != nil {
			return nil, err
		}
		if err := a.checkQoS(ctx, by, v, ""); err != nil {
			return nil, err
		}
	}
	return a.Store.CreateNetworks(ctx, made)
}

// setNetwork takes over what may also be changed later.
func setNetwork(n *topology.Network, v values) {
	set(v, "name", &n.Name)
	set(v, "description", &n.Description)
	set(v, "admin_state_up", &n.AdminStateUp)
	set(v, "shared", &n.Shared)
	set(v, "router:external", &n.External)
	set(v, "is_default", &n.IsDefault)
	set(v, "mtu", &n.MTU)
	set(v, "port_security_enabled", &n.PortSecurityEnabled)
	set(v, "qos_policy_id", &n.QoSPolicyID)
}

// checkPlace holds a network's hints to what there is. An external network belongs to
// one pod, which may be called by its name.
func (a *api) checkPlace(ctx context.Context, n *topology.Network) error {
	hints := n.ZoneHints
	if n.External {
		hints = slices.DeleteFunc(slices.Clone(hints), func(hint string) bool { return a.Zones.ZoneOf(hint) != "" })
	}
	return a.checkHints(ctx, hints)
}

func (a *api) checkHints(ctx context.Context, hints []string) error {
	if len(hints) == 0 {
		return nil
	}
	zones, err := a.Zones.Zones(ctx)
	if err != nil {
		return err
	}
	for _, hint := range hints {
		if !slices.ContainsFunc(zones, func(z fleet.Zone) bool { return z.Name == hint }) {
			return fault.New(fault.NotFound, "AvailabilityZoneNotFound", "AvailabilityZone %s could not be found.", hint)
		}
	}
	return nil
}

func (a *api) updateNetwork(ctx context.Context, by identity.Caller, old *topology.Network, v values, match revision) (topology.Network, error) {
	if err := a.checkQoS(ctx, by, v, old.QoSPolicyID); err != nil {
		return topology.Network{}, err
	}
	return a.Store.UpdateNetwork(ctx, old.ID, func(n *topology.Network) error {
		if err := check(match, n.Revision); err != nil {
			return err
		}
		if err := movedSegment(n, v); err != nil {
			return err
		}
		setNetwork(n, v)
		return nil
	})
}

func (a *api) deleteNetwork(ctx context.Context, _ identity.Caller, old *topology.Network, match revision) error {
	ports := store.Query{Filters: map[string][]string{"network_id": {old.ID}}}
	return a.settled(ctx, ports, func() error {
		return a.Store.DeleteNetwork(ctx, old.ID, func(n *topology.Network) error { return check(match, n.Revision) })
	})
}

func (a *api) viewNetworks(ctx context.Context, _ identity.Caller, all []topology.Network) ([]map[string]any, error) {
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	pods, err := a.Store.PodsOf(ctx, store.KindNetwork, ids...)
	if err != nil {
		return nil, err
	}
	shown := make([]map[string]any, len(all))
	for i, n := range all {
		m := owned(n.ID, n.ProjectID, n.Description, n.CreatedAt, n.UpdatedAt, n.Revision)
		m["name"], m["admin_state_up"], m["status"], m["subnets"] = n.Name, n.AdminStateUp, topology.StatusActive, n.Subnets
		m["ipv4_address_scope"], m["ipv6_address_scope"] = orNull(n.IPv4Scope), orNull(n.IPv6Scope)
		m["shared"], m["router:external"], m["mtu"] = n.Shared, n.External, n.MTU
		if n.External { // as in Neutron: others have no such field
			m["is_default"] = n.IsDefault
		}
		m["port_security_enabled"], m["availability_zone_hints"] = n.PortSecurityEnabled, n.ZoneHints
		m["qos_policy_id"] = orNull(n.QoSPolicyID)
		at := pods[n.ID]
		if n.External && n.Pod != "" && !slices.Contains(at, n.Pod) {
			at = append(at, n.Pod) // chosen, and brought there with its first user
		}
		m["availability_zones"] = a.zonesOf(at)
		viewSegment(m, &n)
		shown[i] = m
	}
	return shown, nil
}

func (a *api) zonesOf(pods []string) []string {
	zones := []string{}
	for _, pod := range pods {
		if zone := a.Zones.ZoneOf(pod); zone != "" && !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	slices.Sort(zones)
	return zones
}

// inUse says that the deletion failed because of something that may be about to go.
func inUse(err error) bool { return fault.Is(err, fault.Conflict) }
