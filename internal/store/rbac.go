package store

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// shareable is a kind of thing that RBAC policies can be about. Its table has the
// columns project_id and shared.
type shareable struct {
	table string
	// users selects the projects of what uses the thing ?. Networks have their own
	// rules.
	users string
}

// shareables are the kinds, by Neutron's names.
var shareables = map[string]shareable{
	"network": {table: "networks"},
	"qos_policy": {"qos_policies", `
		SELECT project_id FROM (
			SELECT project_id, id FROM networks UNION ALL SELECT project_id, id FROM ports
			UNION ALL SELECT project_id, id FROM floating_ips UNION ALL SELECT project_id, id FROM routers
		) AS users
		WHERE id IN (SELECT id FROM qos_uses WHERE policy_id = ?)`},
	"security_group": {"security_groups", `
		SELECT p.project_id FROM ports p JOIN port_groups g ON g.port_id = p.id
		WHERE g.group_id = ?`},
	"address_scope": {"address_scopes", `SELECT project_id FROM subnetpools WHERE address_scope_id = ?`},
	"subnetpool":    {"subnetpools", `SELECT project_id FROM subnets WHERE subnetpool_id = ?`},
	"address_group": {"address_groups", `SELECT project_id FROM security_group_rules WHERE remote_address_group_id = ?`},
}

// CanShare reports whether RBAC policies can be about things of the kind.
func CanShare(kind string) bool { return shareables[kind].table != "" }

// targeted are the things that policies let the project ? use as the action says.
const targeted = `SELECT r.object_id FROM rbac_policies r WHERE r.action = 'access_as_shared' AND r.target = ?`

// ownOrShared are the project's things and those shared with it.
func ownOrShared(project string) []arm {
	return []arm{
		own(project),
		{"t.shared = 1 AND t.project_id <> ?", []any{project}},
		{"t.shared = 0 AND t.project_id <> ? AND t.id IN (" + targeted + ")", []any{project, project}},
	}
}

// sharedField filters by whether a thing is shared with who asks. id and flag are
// expressions.
func sharedField(id, flag string) field {
	return field{expr: flag, asked: func(project string, values []string) (string, []any) {
		yes, no := slices.Contains(values, "true"), slices.Contains(values, "false")
		condition := "(" + flag + " = 1 OR " + id + " IN (" + targeted + "))"
		switch {
		case yes && no:
			return "1 = 1", nil
		case no:
			condition = "NOT " + condition
		}
		return condition, []any{project}
	}}
}

var rbacShape = &shape{
	table:   "rbac_policies",
	columns: []string{"t.id", "t.project_id", "t.object_type", "t.object_id", "t.action", "t.target"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "object_type": {expr: "t.object_type"},
		"object_id": {expr: "t.object_id"}, "action": {expr: "t.action"}, "target_tenant": {expr: "t.target"},
	},
	visible: func(project string) []arm { return []arm{own(project)} },
	missing: topology.NoRBACPolicy,
}

func scanRBAC(row scanner) (p topology.RBACPolicy, err error) {
	err = row.Scan(&p.ID, &p.ProjectID, &p.ObjectType, &p.ObjectID, &p.Action, &p.Target)
	return p, err
}

// ListRBACPolicies lists policies.
func (s *Store) ListRBACPolicies(ctx context.Context, q Query) (all []topology.RBACPolicy, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		all, err = query(ctx, tx, rbacShape, q, scanRBAC)
		return err
	})
	return all, err
}

// FindRBACPolicy returns the policy, whoever owns it, or fault.NotFound.
func (s *Store) FindRBACPolicy(ctx context.Context, id string) (topology.RBACPolicy, error) {
	return byID(ctx, s.reader(), rbacShape, id, scanRBAC, "")
}

// CreateRBACPolicies makes the policies, all or none. allow is asked about each,
// with the owner of its object.
func (s *Store) CreateRBACPolicies(ctx context.Context, all []topology.RBACPolicy, allow func(owner string) error) (made []topology.RBACPolicy, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if err := admit(ctx, tx, "rbac_policy", perProject(all, func(p *topology.RBACPolicy) string { return p.ProjectID })); err != nil {
			return err
		}
		made = slices.Clone(all)
		for i := range made {
			p := &made[i]
			owner, err := lockShared(ctx, tx, p)
			if err != nil {
				return err
			}
			if err := allow(owner); err != nil {
				return err
			}
			if err := checkScopeShared(ctx, tx, p); err != nil {
				return err
			}
			got, err := grantTx(ctx, tx, p)
			if err != nil {
				return err
			}
			if !got {
				return fault.New(fault.Conflict, "DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
			}
			if err := followAccess(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

// UpdateRBACPolicy gives what the policy allows to another target.
func (s *Store) UpdateRBACPolicy(ctx context.Context, id, target string, allow func(owner string) error) (p topology.RBACPolicy, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		var owner string
		if p, owner, err = lockPolicy(ctx, tx, id); err != nil {
			return err
		}
		if err := allow(owner); err != nil || target == p.Target {
			return err
		}
		if target != topology.Everyone || p.ObjectType == "network" {
			if err := checkLoss(ctx, tx, p, owner, target); err != nil {
				return err
			}
		}
		p.Target = target
		_, err := tx.Exec(ctx, `UPDATE rbac_policies SET target = ? WHERE id = ?`, target, id)
		if duplicate(err) {
			return fault.New(fault.Conflict, "DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
		}
		if err != nil {
			return err
		}
		return followAccess(ctx, tx, &p)
	})
	return p, err
}

// DeleteRBACPolicy takes away what the policy allows, unless somebody needs it.
func (s *Store) DeleteRBACPolicy(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		p, owner, err := lockPolicy(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := checkLoss(ctx, tx, p, owner, ""); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM rbac_policies WHERE id = ?`, id); err != nil {
			return err
		}
		return followAccess(ctx, tx, &p)
	})
}

// lockPolicy finds a policy, with its object locked: the object's row comes first
// in every transaction.
func lockPolicy(ctx context.Context, tx *Tx, id string) (p topology.RBACPolicy, owner string, err error) {
	if p, err = byID(ctx, tx, rbacShape, id, scanRBAC, ""); err != nil {
		return p, "", err
	}
	if owner, err = lockShared(ctx, tx, &p); err != nil {
		return p, "", err
	}
	p, err = byID(ctx, tx, rbacShape, id, scanRBAC, tx.forUpdate())
	return p, owner, err
}

// lockShared locks the policy's object and returns its owner.
func lockShared(ctx context.Context, tx *Tx, p *topology.RBACPolicy) (owner string, err error) {
	missing := fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: %s %s could not be found.", p.ObjectType, p.ObjectID)
	return find(ctx, tx, missing, scanString, `
		SELECT project_id FROM `+shareables[p.ObjectType].table+`
		WHERE id = ?`+tx.forChange(), p.ObjectID)
}

// checkScopeShared refuses to share a pool with somebody who has no access to its
// address scope.
func checkScopeShared(ctx context.Context, tx *Tx, p *topology.RBACPolicy) error {
	if p.ObjectType != "subnetpool" {
		return nil
	}
	closed, err := list(ctx, tx, scanString, `
		SELECT id FROM subnetpools
		WHERE id = ? AND address_scope_id <> '' AND NOT EXISTS (
			SELECT 1 FROM rbac_policies r WHERE r.object_id = address_scope_id AND r.target IN ('*', ?))`, p.ObjectID, p.Target)
	if err == nil && len(closed) > 0 {
		err = fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: Failed to create RBAC policy on object %s because "+
			"target project doesn't have access to associated address scope.", p.ObjectID)
	}
	return err
}

func grantTx(ctx context.Context, tx *Tx, p *topology.RBACPolicy) (bool, error) {
	p.ID = uuid.NewString()
	return affected(tx.Exec(ctx, `
		INSERT INTO rbac_policies (`+bare(rbacShape)+`)
		VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, p.ID, p.ProjectID, p.ObjectType, p.ObjectID, p.Action, p.Target))
}

// followAccess brings the object's flags up to date with its policies.
func followAccess(ctx context.Context, tx *Tx, p *topology.RBACPolicy) error {
	table := shareables[p.ObjectType].table
	_, err := tx.Exec(ctx, `
		UPDATE `+table+`
		SET shared = (SELECT count(*) FROM rbac_policies r WHERE r.object_id = ? AND r.action = 'access_as_shared' AND r.target = '*'),
			revision = revision + 1, updated_at = ?
		WHERE id = ?`, p.ObjectID, tx.now(), p.ObjectID)
	if err != nil || p.ObjectType != "network" {
		return err
	}
	if p.Action == topology.AccessAsExternal {
		_, err = tx.Exec(ctx, `
			UPDATE networks
			SET external = CASE WHEN EXISTS (
				SELECT 1 FROM rbac_policies r WHERE r.object_id = ? AND r.action = 'access_as_external') THEN 1 ELSE 0 END
			WHERE id = ?`, p.ObjectID, p.ObjectID)
		if err != nil {
			return err
		}
	}
	return touchTx(ctx, tx, KindNetwork, p.ObjectID)
}

// openToAll writes the policy that a thing's own flag stands for, or takes it
// away: with it the network's other ways out.
func openToAll(ctx context.Context, tx *Tx, p topology.RBACPolicy, open bool) error {
	p.Target = topology.Everyone
	if open {
		_, err := grantTx(ctx, tx, &p)
		return err
	}
	_, err := tx.Exec(ctx, `
		DELETE FROM rbac_policies
		WHERE object_id = ? AND action = ? AND (target = '*' OR action = 'access_as_external')`, p.ObjectID, p.Action)
	return err
}

// dropAccess forgets the policies of a thing that is being deleted.
func dropAccess(ctx context.Context, tx *Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM rbac_policies WHERE object_id = ?`, id)
	return err
}

// SharedWith reports which of the things are shared with just the project.
func (s *Store) SharedWith(ctx context.Context, project string, things ...string) (map[string]bool, error) {
	with := map[string]bool{}
	for part := range slices.Chunk(things, chunk) {
		all, err := list(ctx, s.reader(), scanString, targeted+` AND r.object_id IN (`+marks(len(part))+`)`,
			append([]any{project}, anyOf(part)...)...)
		if err != nil {
			return nil, err
		}
		for _, id := range all {
			with[id] = true
		}
	}
	return with, nil
}

func canBeShared(table string) bool {
	for _, s := range shareables {
		if s.table == table {
			return true
		}
	}
	return false
}

// PartnersOf are the projects that the network is shared with by name.
func (s *Store) PartnersOf(ctx context.Context, network string) ([]string, error) {
	return list(ctx, s.reader(), scanString, partners+` ORDER BY r.target`, network)
}
