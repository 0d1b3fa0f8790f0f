package network

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var subnetPoolAttributes = tagged(
	attribute{name: "name", read: readFilled(0), required: true, post: true, put: true, filter: asIs, sort: true},
	attribute{name: "prefixes", read: readPrefixes, required: true, post: true, put: true},
	attribute{name: "default_quota", read: readNonNegative, post: true, put: true, filter: filterNumber, sort: true},
	attribute{name: "ip_version", filter: filterNumber, sort: true},
	attribute{name: "default_prefixlen", read: readNonNegative, post: true, put: true, filter: filterNumber, sort: true},
	attribute{name: "min_prefixlen", read: readNonNegative, post: true, put: true, filter: filterNumber, sort: true},
	attribute{name: "max_prefixlen", read: readNonNegative, post: true, put: true, filter: filterNumber, sort: true},
	attribute{name: "is_default", read: readFlag, fallback: false, post: true, put: true, guard: true, filter: filterFlag, sort: true},
	attribute{name: "shared", read: readFlag, fallback: false, post: true, guard: true, filter: filterFlag, sort: true},
	attribute{name: "address_scope_id", read: readUUIDOrNull, post: true, put: true, filter: asIs, sort: true},
)

// readFilled reads a string that is not blank.
func readFilled(limit int) reader {
	return func(name string, v any) (any, error) {
		s, err := readText(cmp.Or(limit, 1<<20))(name, v)
		if err == nil && strings.TrimSpace(s.(string)) == "" {
			err = unfit(name, "'%s' Blank strings are not permitted", s)
		}
		return s, err
	}
}

func readUUIDOrNull(name string, v any) (any, error) {
	if v == nil {
		return "", nil
	}
	return readUUID(name, v)
}

func (a *api) subnetPools() *resource[topology.SubnetPool] {
	all := a.Store.SubnetPools()
	return &resource[topology.SubnetPool]{
		tags: store.TaggedSubnetPools, store: a.Store,
		one: "subnetpool", many: "subnetpools", attributes: subnetPoolAttributes, missing: topology.NoSubnetPool,
		list: all.List, find: all.Find,
		shared: func(p *topology.SubnetPool) (string, *bool) { return p.ID, &p.Shared },
		facts: func(p *topology.SubnetPool) map[string]any {
			return map[string]any{"project_id": p.ProjectID, "shared": p.Shared}
		},
		view: viewPools, create: a.createPools, update: a.updatePool,
		remove: func(ctx context.Context, _ identity.Caller, old *topology.SubnetPool, match revision) error {
			return all.Delete(ctx, old.ID, func(p *topology.SubnetPool) error { return check(match, p.Revision) })
		},
	}
}

// subnetPoolRoutes are the pools' actions.
func (a *api) subnetPoolRoutes() []gateway.Route {
	line := func(action string, h gateway.Handler) gateway.Route {
		return gateway.Route{Method: http.MethodPut, Pattern: "/subnetpools/{id}/" + action, Strategy: gateway.Central, Policy: action, Handle: h}
	}
	return []gateway.Route{
		line("add_prefixes", a.addPrefixes),
		line("remove_prefixes", a.removePrefixes),
		line("onboard_network_subnets", a.onboard),
	}
}

func (a *api) createPools(ctx context.Context, by identity.Caller, all []values) ([]topology.SubnetPool, error) {
	made := make([]topology.SubnetPool, len(all))
	for i, v := range all {
		p := &made[i]
		p.MinPrefixLen, p.MaxPrefixLen, p.DefaultPrefixLen = -1, -1, -1
		set(v, "project_id", &p.ProjectID)
		set(v, "shared", &p.Shared)
		set(v, "prefixes", &p.Prefixes)
		setPool(p, v)
		if err := a.seesScope(ctx, by, p.AddressScopeID); err != nil {
			return nil, err
		}
	}
	return a.Store.SubnetPools().Create(ctx, made)
}

// setPool takes over what may also be changed later.
func setPool(p *topology.SubnetPool, v values) {
	set(v, "name", &p.Name)
	set(v, "description", &p.Description)
	set(v, "min_prefixlen", &p.MinPrefixLen)
	set(v, "max_prefixlen", &p.MaxPrefixLen)
	set(v, "default_prefixlen", &p.DefaultPrefixLen)
	set(v, "is_default", &p.IsDefault)
	set(v, "address_scope_id", &p.AddressScopeID)
	if quota, sent := v["default_quota"].(int); sent {
		p.DefaultQuota = &quota
	}
}

// seesScope refuses an address scope that the caller does not see.
func (a *api) seesScope(ctx context.Context, by identity.Caller, id string) error {
	if id == "" {
		return nil
	}
	_, err := a.addressScopes().get(ctx, by, id)
	return err
}

func (a *api) updatePool(ctx context.Context, by identity.Caller, old *topology.SubnetPool, v values, match revision) (topology.SubnetPool, error) {
	prefixes, _ := v["prefixes"].([]netip.Prefix)
	return a.changePool(ctx, by, old, match, func(p *topology.SubnetPool) error {
		setPool(p, v)
		if prefixes == nil {
			return nil
		}
		return p.SetPrefixes(prefixes)
	})
}

// changePool changes a pool. While it is in somebody else's address scope, that
// one's owner relies on its prefixes.
func (a *api) changePool(ctx context.Context, by identity.Caller, old *topology.SubnetPool, match revision,
	change func(*topology.SubnetPool) error) (topology.SubnetPool, error) {
	after := *old
	if err := change(&after); err != nil {
		return after, err
	}
	if old.AddressScopeID != "" {
		scope, err := a.addressScopes().get(ctx, by, old.AddressScopeID)
		if err != nil {
			return after, err
		}
		if !mine(by, scope.ProjectID) {
			return after, topology.BadPoolUpdate("subnetpool %s cannot be updated when associated with shared address scope %s", old.ID, scope.ID)
		}
	}
	if err := a.seesScope(ctx, by, after.AddressScopeID); err != nil {
		return after, err
	}
	return a.Store.SubnetPools().Update(ctx, old.ID, func(p *topology.SubnetPool) error {
		if err := check(match, p.Revision); err != nil {
			return err
		}
		return change(p)
	})
}

// readOperation is the body of an action on prefixes.
func readOperation(r *gateway.Request) ([]netip.Prefix, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if list, ok := body["prefixes"].([]any); !ok || len(list) == 0 {
		return nil, badRequest("Request body contains invalid data")
	}
	return readLoosely("prefixes", body["prefixes"])
}

// readLoosely reads the prefixes of an action, which Neutron checks less than an
// attribute: single addresses will do.
func readLoosely(name string, v any) ([]netip.Prefix, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, unfit(name, "'%s' is not a list", python(v))
	}
	prefixes := make([]netip.Prefix, len(list))
	for i, v := range list {
		p, err := topology.ParsePrefix(python(v))
		if err != nil {
			return nil, fault.New(fault.Invalid, "AddrFormatError", "invalid IPNetwork %s", python(v))
		}
		prefixes[i] = p.Masked()
	}
	return prefixes, nil
}

func (a *api) addPrefixes(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	old, match, err := a.subnetPools().toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	added, err := readOperation(r)
	if err != nil {
		return nil, err
	}
	p, err := a.changePool(ctx, by, old, match, func(p *topology.SubnetPool) error {
		return p.SetPrefixes(append(slices.Clone(p.Prefixes), added...))
	})
	return gateway.JSON(http.StatusOK, map[string]any{"prefixes": p.Prefixes}), err
}

func (a *api) removePrefixes(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	old, _, err := a.subnetPools().toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	gone, err := readOperation(r)
	if err != nil {
		return nil, err
	}
	p, err := a.Store.RemovePrefixes(ctx, old.ID, gone)
	return gateway.JSON(http.StatusOK, map[string]any{"prefixes": p.Prefixes}), err
}

func (a *api) onboard(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	old, _, err := a.subnetPools().toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	id, _ := body["network_id"].(string)
	if id == "" {
		return nil, invalidInput("network_id must be specified.")
	}
	n, err := a.networks().get(ctx, by, id)
	if err != nil {
		return nil, err
	}
	if !mine(by, n.ProjectID) {
		return nil, fault.New(fault.Forbidden, "NotAuthorized", "Not authorized.")
	}
	taken, err := a.Store.Onboard(ctx, old.ID, id)
	if err != nil {
		return nil, err
	}
	shown := make([]map[string]any, len(taken))
	for i, s := range taken {
		shown[i] = map[string]any{"id": s.ID, "cidr": s.CIDR}
	}
	return gateway.JSON(http.StatusOK, shown), nil
}

func viewPools(_ context.Context, _ identity.Caller, all []topology.SubnetPool) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, p := range all {
		m := owned(p.ID, p.ProjectID, p.Description, p.CreatedAt, p.UpdatedAt, p.Revision)
		m["name"], m["prefixes"], m["ip_version"] = p.Name, p.Prefixes, p.IPVersion
		m["default_quota"], m["shared"], m["is_default"] = p.DefaultQuota, p.Shared, p.IsDefault
		m["address_scope_id"] = orNull(p.AddressScopeID)
		// Neutron shows these as text.
		m["min_prefixlen"], m["max_prefixlen"] = strconv.Itoa(p.MinPrefixLen), strconv.Itoa(p.MaxPrefixLen)
		m["default_prefixlen"] = strconv.Itoa(p.DefaultPrefixLen)
		shown[i] = m
	}
	return shown, nil
}
