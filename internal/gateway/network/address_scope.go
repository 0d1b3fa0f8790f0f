package network

import (
	"context"

	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/topology"
)

var scopeAttributes = identified(
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "shared", read: readFlag, fallback: false, post: true, put: true, guard: true, filter: filterFlag, sort: true},
	attribute{name: "ip_version", read: readOneOf(readNumber, 4, 6), required: true, post: true, filter: filterNumber, sort: true},
)

func (a *api) addressScopes() *resource[topology.AddressScope] {
	all := a.Store.AddressScopes()
	return &resource[topology.AddressScope]{
		one: "address_scope", many: "address_scopes", attributes: scopeAttributes, missing: topology.NoAddressScope,
		list: all.List, find: all.Find, store: a.Store,
		shared: func(s *topology.AddressScope) (string, *bool) { return s.ID, &s.Shared },
		facts: func(s *topology.AddressScope) map[string]any {
			return map[string]any{"project_id": s.ProjectID, "shared": s.Shared}
		},
		view: viewScopes, create: a.createScopes, update: a.updateScope,
		remove: func(ctx context.Context, _ identity.Caller, old *topology.AddressScope, match revision) error {
			return all.Delete(ctx, old.ID, func(s *topology.AddressScope) error { return check(match, s.Revision) })
		},
	}
}

func (a *api) createScopes(ctx context.Context, _ identity.Caller, all []values) ([]topology.AddressScope, error) {
	made := make([]topology.AddressScope, len(all))
	for i, v := range all {
		s := &made[i]
		set(v, "project_id", &s.ProjectID)
		set(v, "name", &s.Name)
		set(v, "shared", &s.Shared)
		set(v, "ip_version", &s.IPVersion)
	}
	return a.Store.AddressScopes().Create(ctx, made)
}

func (a *api) updateScope(ctx context.Context, _ identity.Caller, old *topology.AddressScope, v values, match revision) (topology.AddressScope, error) {
	return a.Store.AddressScopes().Update(ctx, old.ID, func(s *topology.AddressScope) error {
		set(v, "name", &s.Name)
		set(v, "shared", &s.Shared)
		return check(match, s.Revision)
	})
}

func viewScopes(_ context.Context, _ identity.Caller, all []topology.AddressScope) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, s := range all {
		shown[i] = map[string]any{
			"id": s.ID, "project_id": s.ProjectID, "tenant_id": s.ProjectID,
			"name": s.Name, "shared": s.Shared, "ip_version": s.IPVersion,
		}
	}
	return shown, nil
}
