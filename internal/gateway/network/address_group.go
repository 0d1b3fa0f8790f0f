package network

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/topology"
)

var addressGroupAttributes = standard(
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "addresses", read: readPrefixesOrNull, post: true},
	attribute{name: "shared", filter: filterFlag, sort: true},
)

// readPrefixes reads a list of prefixes that differ, written in the usual way.
func readPrefixes(name string, v any) (any, error) {
	texts, err := readList(name, v, readPrefix)
	if err != nil {
		return nil, err
	}
	prefixes := []netip.Prefix{}
	for _, text := range texts.([]string) {
		p, _ := topology.ParsePrefix(text) // readPrefix has done it before
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

func readPrefixesOrNull(name string, v any) (any, error) {
	if v == nil {
		return []netip.Prefix{}, nil
	}
	return readPrefixes(name, v)
}

func readPrefix(name string, v any) (any, error) {
	shown := python(v)
	p, err := topology.ParsePrefix(shown)
	if err != nil {
		return nil, unfit(name, "'%s' is not a valid IP subnet", shown)
	}
	if p.Addr().Is4() && p.String() != shown || p.Addr().Is6() && p.Addr().String() == shown {
		return nil, unfit(name, "'%s' isn't a recognized IP subnet cidr, '%s' is recommended", shown, p.Masked())
	}
	return shown, nil
}

func (a *api) addressGroups() *resource[topology.AddressGroup] {
	all := a.Store.AddressGroups()
	return &resource[topology.AddressGroup]{
		one: "address_group", many: "address_groups", attributes: addressGroupAttributes, missing: topology.NoAddressGroup,
		list: all.List, find: all.Find, store: a.Store,
		shared: func(g *topology.AddressGroup) (string, *bool) { return g.ID, &g.Shared },
		view:   viewAddressGroups, create: a.createAddressGroups, update: a.updateAddressGroup,
		remove: func(ctx context.Context, _ identity.Caller, old *topology.AddressGroup, match revision) error {
			return a.Store.DeleteAddressGroup(ctx, old.ID, func(g *topology.AddressGroup) error { return check(match, g.Revision) })
		},
	}
}

// addressGroupRoutes change the addresses alone: not by the attribute, so that
// two clients who each add one do not undo each other's.
func (a *api) addressGroupRoutes() []gateway.Route {
	line := func(action string, change func(*topology.AddressGroup, []netip.Prefix) error) gateway.Route {
		return gateway.Route{Method: http.MethodPut, Pattern: "/address-groups/{id}/" + action, Strategy: gateway.Central,
			Policy: action, Handle: a.changeAddresses(change)}
	}
	return []gateway.Route{
		line("add_addresses", (*topology.AddressGroup).Add),
		line("remove_addresses", (*topology.AddressGroup).Remove),
	}
}

func (a *api) changeAddresses(change func(*topology.AddressGroup, []netip.Prefix) error) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		old, match, err := a.addressGroups().toChange(ctx, by, r)
		if err != nil {
			return nil, err
		}
		body, err := readBody(r)
		if err != nil {
			return nil, err
		}
		addresses, err := readLoosely("addresses", body["addresses"])
		if err != nil {
			return nil, err
		}
		g, err := a.Store.AddressGroups().Update(ctx, old.ID, func(g *topology.AddressGroup) error {
			if err := check(match, g.Revision); err != nil {
				return err
			}
			return change(g, addresses)
		})
		if err != nil {
			return nil, err
		}
		return a.addressGroups().reply(ctx, by, http.StatusOK, g, nil)
	}
}

// readBody is the body of an action.
func readBody(r *gateway.Request) (map[string]any, error) {
	raw, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	return parse(raw)
}

func (a *api) createAddressGroups(ctx context.Context, _ identity.Caller, all []values) ([]topology.AddressGroup, error) {
	made := make([]topology.AddressGroup, len(all))
	for i, v := range all {
		g := &made[i]
		set(v, "project_id", &g.ProjectID)
		set(v, "name", &g.Name)
		set(v, "description", &g.Description)
		g.Addresses = []netip.Prefix{}
		if addresses, sent := v["addresses"].([]netip.Prefix); sent {
			if err := g.Add(addresses); err != nil {
				return nil, err
			}
		}
	}
	return a.Store.AddressGroups().Create(ctx, made)
}

func (a *api) updateAddressGroup(ctx context.Context, _ identity.Caller, old *topology.AddressGroup, v values, match revision) (topology.AddressGroup, error) {
	return a.Store.AddressGroups().Update(ctx, old.ID, func(g *topology.AddressGroup) error {
		set(v, "name", &g.Name)
		set(v, "description", &g.Description)
		return check(match, g.Revision)
	})
}

func viewAddressGroups(_ context.Context, _ identity.Caller, all []topology.AddressGroup) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, g := range all {
		m := owned(g.ID, g.ProjectID, g.Description, g.CreatedAt, g.UpdatedAt, g.Revision)
		m["name"], m["addresses"], m["shared"] = g.Name, g.Addresses, g.Shared
		shown[i] = m
	}
	return shown, nil
}
