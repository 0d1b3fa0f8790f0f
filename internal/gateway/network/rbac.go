package network

import (
	"context"
	"strings"

	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var rbacAttributes = []attribute{
	{name: "id", filter: asIs},
	{name: "object_type", read: readObjectType, required: true, post: true, guard: true, filter: asIs},
	{name: "object_id", read: readUUID, required: true, post: true, guard: true, filter: asIs},
	{name: "target_tenant", read: readText(255), required: true, post: true, put: true, guard: true, filter: asIs},
	{name: "project_id", read: readText(255), post: true, filter: asIs},
	{name: "action", read: readText(255), required: true, post: true, guard: true, filter: asIs},
}

func readObjectType(_ string, v any) (any, error) {
	kind := strings.ToLower(strings.TrimSpace(python(v)))
	if !store.CanShare(kind) {
		return nil, invalidInput("'%s' is not a valid RBAC object type", python(v))
	}
	return kind, nil
}

func (a *api) rbacPolicies() *resource[topology.RBACPolicy] {
	return &resource[topology.RBACPolicy]{
		one: "rbac_policy", many: "rbac_policies", attributes: rbacAttributes, missing: topology.NoRBACPolicy,
		list: a.Store.ListRBACPolicies, find: a.Store.FindRBACPolicy,
		facts: func(p *topology.RBACPolicy) map[string]any {
			return map[string]any{"project_id": p.ProjectID, "target_tenant": p.Target}
		},
		view: viewRBACPolicies, create: a.createRBACPolicies,
		update: func(ctx context.Context, by identity.Caller, old *topology.RBACPolicy, v values, _ revision) (topology.RBACPolicy, error) {
			target := old.Target
			set(v, "target_tenant", &target)
			return a.Store.UpdateRBACPolicy(ctx, old.ID, target, ownsShared(by))
		},
		remove: func(ctx context.Context, _ identity.Caller, old *topology.RBACPolicy, _ revision) error {
			return a.Store.DeleteRBACPolicy(ctx, old.ID)
		},
	}
}

// ownsShared refuses policies about what belongs to others.
func ownsShared(by identity.Caller) func(owner string) error {
	return func(owner string) error {
		if !mine(by, owner) {
			return invalidInput("Only admins can manipulate policies on objects they do not own")
		}
		return nil
	}
}

func (a *api) createRBACPolicies(ctx context.Context, by identity.Caller, all []values) ([]topology.RBACPolicy, error) {
	made := make([]topology.RBACPolicy, len(all))
	for i, v := range all {
		p := &made[i]
		set(v, "project_id", &p.ProjectID)
		set(v, "object_type", &p.ObjectType)
		set(v, "object_id", &p.ObjectID)
		set(v, "action", &p.Action)
		set(v, "target_tenant", &p.Target)
		if err := p.CheckAction(); err != nil {
			return nil, err
		}
	}
	return a.Store.CreateRBACPolicies(ctx, made, ownsShared(by))
}

func viewRBACPolicies(_ context.Context, _ identity.Caller, all []topology.RBACPolicy) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, p := range all {
		shown[i] = map[string]any{
			"id": p.ID, "project_id": p.ProjectID, "tenant_id": p.ProjectID, "object_type": p.ObjectType, "object_id": p.ObjectID,
			"action": p.Action, "target_tenant": p.Target,
		}
	}
	return shown, nil
}

// markShared sets "shared" on what is shared with just the caller's project. That
// it is shared with all is in the thing's own row.
func (res *resource[T]) markShared(ctx context.Context, by identity.Caller, all []T) error {
	if res.shared == nil || len(all) == 0 {
		return nil
	}
	ids := make([]string, len(all))
	flags := map[string]*bool{}
	for i := range all {
		id, flag := res.shared(&all[i])
		ids[i], flags[id] = id, flag
	}
	with, err := res.store.SharedWith(ctx, by.ProjectID, ids...)
	for id := range with {
		*flags[id] = true
	}
	return err
}
