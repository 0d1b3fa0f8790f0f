package network

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var groupAttributes = tagged(
	attribute{name: "name", read: readGroupName, fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "stateful", read: readFlag, fallback: true, post: true, put: true, sort: true},
	attribute{name: "shared", filter: filterFlag},
	attribute{name: "security_group_rules"},
)

// readGroupName: each project has its default group from the start.
func readGroupName(name string, v any) (any, error) {
	s, err := readText(255)(name, v)
	if s == topology.DefaultGroup {
		err = fault.New(fault.Conflict, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
	}
	return s, err
}

func (a *api) securityGroups() *resource[topology.SecurityGroup] {
	return &resource[topology.SecurityGroup]{
		tags: store.TaggedSecurityGroups, store: a.Store,
		one: "security_group", many: "security_groups", attributes: groupAttributes, missing: topology.NoSecurityGroup,
		list:    a.Store.ListSecurityGroups,
		find:    a.Store.FindSecurityGroup,
		shared:  func(g *topology.SecurityGroup) (string, *bool) { return g.ID, &g.Shared },
		facts:   func(g *topology.SecurityGroup) map[string]any { return map[string]any{"project_id": g.ProjectID} },
		prepare: a.ensureDefaultGroup,
		view:    viewGroups, create: a.createGroups, update: a.updateGroup, remove: a.deleteGroup,
	}
}

// ensureDefaultGroup makes the caller's default group on first use.
func (a *api) ensureDefaultGroup(ctx context.Context, by identity.Caller) error {
	if by.ProjectID == "" {
		return nil
	}
	_, err := a.Store.EnsureDefaultGroup(ctx, by.ProjectID)
	return err
}

func (a *api) createGroups(ctx context.Context, by identity.Caller, all []values) ([]topology.SecurityGroup, error) {
	if err := a.ensureDefaultGroup(ctx, by); err != nil {
		return nil, err
	}
	groups := make([]topology.SecurityGroup, len(all))
	for i, v := range all {
		set(v, "project_id", &groups[i].ProjectID)
		setGroup(&groups[i], v)
	}
	return a.Store.CreateSecurityGroups(ctx, groups)
}

func setGroup(g *topology.SecurityGroup, v values) {
	set(v, "name", &g.Name)
	set(v, "description", &g.Description)
	set(v, "stateful", &g.Stateful)
}

func (a *api) updateGroup(ctx context.Context, _ identity.Caller, old *topology.SecurityGroup, v values, match revision) (topology.SecurityGroup, error) {
	return a.Store.UpdateSecurityGroup(ctx, old.ID, func(g *topology.SecurityGroup) error {
		if err := check(match, g.Revision); err != nil {
			return err
		}
		if _, named := v["name"]; named && g.Name == topology.DefaultGroup {
			return fault.New(fault.Conflict, "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
		}
		setGroup(g, v)
		return nil
	})
}

func (a *api) deleteGroup(ctx context.Context, by identity.Caller, old *topology.SecurityGroup, match revision) error {
	ports := store.Query{Filters: map[string][]string{"security_groups": {old.ID}}}
	return a.settled(ctx, ports, func() error {
		return a.Store.DeleteSecurityGroup(ctx, old.ID, func(g *topology.SecurityGroup) error {
			if g.Name == topology.DefaultGroup && !by.IsAdmin() {
				return fault.New(fault.Conflict, "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
			}
			return check(match, g.Revision)
		})
	})
}

func viewGroups(ctx context.Context, by identity.Caller, all []topology.SecurityGroup) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, g := range all {
		rules, err := viewRules(ctx, by, g.Rules)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			r["tags"] = []string{} // within a group Neutron shows them like this
		}
		m := owned(g.ID, g.ProjectID, g.Description, g.CreatedAt, g.UpdatedAt, g.Revision)
		m["name"], m["stateful"], m["shared"], m["security_group_rules"] = g.Name, g.Stateful, g.Shared, rules
		shown[i] = m
	}
	return shown, nil
}
