package network

import (
	"context"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var routerAttributes = tagged(
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "admin_state_up", read: readFlag, fallback: true, post: true, put: true, filter: filterFlag, sort: true},
	attribute{name: "status", sort: true},
	attribute{name: "distributed", read: orUnset(readFlag), post: true, put: true, guard: true},
	attribute{name: "ha", read: orUnset(readFlag), post: true, put: true, guard: true},
	attribute{name: "flavor_id", read: readFlavor, post: true, guard: true, sort: true},
	attribute{name: "availability_zone_hints", read: readTexts, post: true},
	attribute{name: "availability_zones"},
	attribute{name: "external_gateway_info", read: readGateway, post: true, put: true, guard: true,
		parts: []string{"network_id", "enable_snat", "external_fixed_ips", "qos_policy_id"}},
	attribute{name: "routes", read: readRoutes, put: true},
)

// readFlavor takes anything: a flavor of that ID there is, or not.
func readFlavor(_ string, v any) (any, error) { return python(v), nil }

// orUnset takes null for an attribute that is not sent.
func orUnset(read reader) reader {
	return func(name string, v any) (any, error) {
		if v == nil {
			return nil, nil
		}
		return read(name, v)
	}
}

// readGateway turns the object into what is wanted; null and {} are no gateway.
func readGateway(name string, v any) (any, error) {
	var want topology.WantGateway
	if v == nil {
		return want, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, unfit(name, "'%s' is not a dictionary", python(v))
	}
	if len(m) == 0 {
		return want, nil
	}
	for key := range m {
		if !slices.Contains([]string{"network_id", "enable_snat", "external_fixed_ips", "qos_policy_id"}, key) {
			return nil, unfit(name, "Unexpected keys supplied: %s", key)
		}
	}
	id, err := readUUID("network_id", m["network_id"])
	if err != nil {
		return nil, err
	}
	want.NetworkID = id.(string)
	if snat, given := m["enable_snat"]; given && snat != nil {
		on, err := readFlag("enable_snat", snat)
		if err != nil {
			return nil, err
		}
		flag := on.(bool)
		want.SNAT = &flag
	}
	if ips, given := m["external_fixed_ips"]; given && ips != nil {
		fixed, err := readFixedIPs("external_fixed_ips", ips)
		if err != nil {
			return nil, err
		}
		want.WantIPs = fixed.([]topology.WantIP)
	}
	if policy, given := m["qos_policy_id"]; given {
		id, err := orNothing(readUUID)("qos_policy_id", policy)
		if err != nil {
			return nil, err
		}
		text := id.(string)
		want.QoSPolicy = &text
	}
	return want, nil
}

func (a *api) routers() *resource[topology.Router] {
	return &resource[topology.Router]{
		tags: store.TaggedRouters, store: a.Store,
		one: "router", many: "routers", attributes: routerAttributes, missing: topology.NoRouter,
		list: a.Store.ListRouters, find: a.Store.FindRouter,
		facts: func(r *topology.Router) map[string]any { return map[string]any{"project_id": r.ProjectID} },
		view:  a.viewRouters, create: a.createRouters, update: a.updateRouter,
		remove: func(ctx context.Context, _ identity.Caller, old *topology.Router, match revision) error {
			return a.Store.DeleteRouter(ctx, old.ID, func(r *topology.Router) error { return check(match, r.Revision) })
		},
	}
}

// routerRoutes are what is done with a router besides.
func (a *api) routerRoutes() []gateway.Route {
	line := func(act string, h gateway.Handler) gateway.Route {
		return gateway.Route{Method: http.MethodPut, Pattern: "/routers/{id}/" + act, Strategy: gateway.Central, Policy: act, Handle: h}
	}
	return []gateway.Route{
		line("add_router_interface", a.addInterface), line("remove_router_interface", a.removeInterface),
		line("add_extraroutes", a.changeRoutes(addRoutes)), line("remove_extraroutes", a.changeRoutes(removeRoutes)),
	}
}

func (a *api) createRouters(ctx context.Context, by identity.Caller, all []values) ([]topology.Router, error) {
	specs := make([]store.RouterSpec, len(all))
	for i, v := range all {
		set(v, "project_id", &specs[i].ProjectID)
		if err := a.checkGateway(ctx, by, v); err != nil {
			return nil, err
		}
		setRouter(&specs[i], v)
		set(v, "flavor_id", &specs[i].FlavorID)
		if specs[i].FlavorID != "" {
			if err := a.checkFlavor(ctx, specs[i].FlavorID, v); err != nil {
				return nil, err
			}
		}
		set(v, "availability_zone_hints", &specs[i].ZoneHints)
		if err := a.checkHints(ctx, specs[i].ZoneHints); err != nil {
			return nil, err
		}
	}
	return a.Store.CreateRouters(ctx, specs)
}

// setRouter takes over what may also be changed later.
func setRouter(spec *store.RouterSpec, v values) {
	set(v, "name", &spec.Name)
	set(v, "description", &spec.Description)
	set(v, "admin_state_up", &spec.AdminStateUp)
	set(v, "distributed", &spec.Distributed)
	set(v, "ha", &spec.HA)
	set(v, "routes", &spec.Routes)
	if want, sent := v["external_gateway_info"].(topology.WantGateway); sent {
		spec.WantGateway = &want
	}
}

// checkGateway hides networks that the caller does not see.
func (a *api) checkGateway(ctx context.Context, by identity.Caller, v values) error {
	want, _ := v["external_gateway_info"].(topology.WantGateway)
	if want.NetworkID == "" {
		return nil
	}
	if want.QoSPolicy != nil && *want.QoSPolicy != "" {
		if err := a.seesQoS(ctx, by, *want.QoSPolicy); err != nil {
			return err
		}
	}
	return a.onNetwork(ctx, by, want.NetworkID, func(*topology.Network) error { return nil })
}

func (a *api) updateRouter(ctx context.Context, by identity.Caller, old *topology.Router, v values, match revision) (topology.Router, error) {
	if err := a.checkGateway(ctx, by, v); err != nil {
		return topology.Router{}, err
	}
	return a.Store.UpdateRouter(ctx, old.ID, func(spec *store.RouterSpec) error {
		if err := check(match, spec.Revision); err != nil {
			return err
		}
		before := spec.Router
		setRouter(spec, v)
		if before.FlavorID != "" && (before.Distributed != spec.Distributed || before.HA != spec.HA) {
			return topology.FlavorKept()
		}
		return nil
	})
}

func (a *api) viewRouters(ctx context.Context, _ identity.Caller, all []topology.Router) ([]map[string]any, error) {
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	seats, err := a.Store.SeatsOfRouters(ctx, ids...)
	if err != nil {
		return nil, err
	}
	pods := map[string][]string{}
	for _, seat := range seats {
		pods[seat.RouterID] = append(pods[seat.RouterID], seat.Pod)
	}
	shown := make([]map[string]any, len(all))
	for i, r := range all {
		m := owned(r.ID, r.ProjectID, r.Description, r.CreatedAt, r.UpdatedAt, r.Revision)
		m["name"], m["admin_state_up"], m["status"], m["routes"] = r.Name, r.AdminStateUp, topology.StatusActive, r.Routes
		m["distributed"], m["ha"], m["flavor_id"] = r.Distributed, r.HA, orNull(r.FlavorID)
		m["availability_zone_hints"], m["availability_zones"] = r.ZoneHints, a.zonesOf(pods[r.ID])
		m["external_gateway_info"] = nil
		if g := r.Gateway; g != nil {
			m["external_gateway_info"] = viewGateway(g)
		}
		shown[i] = m
	}
	return shown, nil
}

func viewGateway(g *topology.Gateway) map[string]any {
	m := map[string]any{"network_id": g.NetworkID, "external_fixed_ips": g.FixedIPs, "enable_snat": g.EnableSNAT}
	if g.QoSPolicyID != "" || g.QoSNetworkPolicyID != "" { // as in Neutron: others have no such field
		m["qos_policy_id"] = orNull(g.QoSPolicyID)
	}
	return m
}

// changeRoutes adds or removes routes; two clients who do so at once do not lose
// each other's.
func (a *api) changeRoutes(change func(has, named []topology.HostRoute) []topology.HostRoute) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		routers := a.routers()
		f, err := decode(r, "router", "routers", false)
		if err != nil {
			return nil, err
		}
		named, err := readRoutes("routes", f.items[0]["routes"])
		if err != nil {
			return nil, err
		}
		old, match, err := routers.toChange(ctx, by, r)
		if err != nil {
			return nil, err
		}
		made, err := a.Store.UpdateRouter(ctx, old.ID, func(spec *store.RouterSpec) error {
			spec.Routes = change(spec.Routes, named.([]topology.HostRoute))
			return check(match, spec.Revision)
		})
		if err != nil {
			return nil, err
		}
		return routers.reply(ctx, by, http.StatusOK, made, nil)
	}
}

func addRoutes(has, named []topology.HostRoute) []topology.HostRoute {
	for _, r := range named {
		if !slices.Contains(has, r) {
			has = append(has, r)
		}
	}
	return has
}

func removeRoutes(has, named []topology.HostRoute) []topology.HostRoute {
	return slices.DeleteFunc(has, func(r topology.HostRoute) bool { return slices.Contains(named, r) })
}
