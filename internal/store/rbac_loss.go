package store

import (
	"context"
	"reflect"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// checkLoss refuses to take the policy from its target, or to give it to another
// one, as long as somebody who would be left without needs it.
func checkLoss(ctx context.Context, tx *Tx, p topology.RBACPolicy, owner, target string) error {
	if p.Target == owner && p.Action == topology.AccessAsShared {
		return nil
	}
	targets, err := list(ctx, tx, scanString, `
		SELECT target FROM rbac_policies
		WHERE object_id = ? AND action = ? AND id <> ?`, p.ObjectID, p.Action, p.ID)
	if err != nil || slices.Contains(targets, topology.Everyone) {
		return err
	}
	if p.Action == topology.AccessAsExternal {
		if err := checkDefaultStays(ctx, tx, p); err != nil {
			return err
		}
		targets = append(targets, target)
	}
	users, err := usersOf(ctx, tx, p)
	if err != nil {
		return err
	}
	keeps := targets
	if p.ObjectType == "network" && p.Action == topology.AccessAsShared {
		keeps = append(keeps, owner) // of other things Neutron counts the owner's uses too
	}
	for _, user := range users {
		if (p.Target == topology.Everyone || p.Target == user) && !slices.Contains(keeps, user) {
			return topology.RBACPolicyInUse(p.ObjectID, lossOf(p))
		}
	}
	return nil
}

func lossOf(p topology.RBACPolicy) string {
	switch {
	case p.Action == topology.AccessAsExternal:
		return "There are routers attached to this network that depend on this policy for access."
	case p.ObjectType == "network":
		return "Unable to reconfigure sharing settings for network " + p.ObjectID + ". Multiple tenants are using it."
	}
	return "project_id=" + p.Target
}

// usersOf are the projects that use the policy's object in the way it allows.
func usersOf(ctx context.Context, tx *Tx, p topology.RBACPolicy) ([]string, error) {
	users := shareables[p.ObjectType].users
	switch {
	case p.Action == topology.AccessAsExternal:
		users = `SELECT project_id FROM routers WHERE gateway_network = ?`
	case p.ObjectType == "network":
		users = `SELECT project_id FROM ports WHERE device_owner NOT LIKE 'network:%' AND network_id = ?`
	}
	return list(ctx, tx, scanString, `SELECT DISTINCT project_id FROM (`+users+`) AS projects`, p.ObjectID)
}

// checkDefaultStays keeps the default external network everybody's.
func checkDefaultStays(ctx context.Context, tx *Tx, p topology.RBACPolicy) error {
	if p.Target != topology.Everyone {
		return nil
	}
	found, err := list(ctx, tx, scanString, `SELECT id FROM networks WHERE id = ? AND is_default = 1`, p.ObjectID)
	if err == nil && len(found) > 0 {
		err = topology.RBACPolicyInUse(p.ObjectID, "Default external networks must be shared to everyone.")
	}
	return err
}

// checkPrivate refuses to close a thing to all while others than its owner and
// the targets of policies use it.
func checkPrivate(ctx context.Context, tx *Tx, kind, id, owner string) error {
	p := topology.RBACPolicy{ObjectType: kind, ObjectID: id, Action: topology.AccessAsShared, Target: topology.Everyone}
	found, err := list(ctx, tx, scanRBAC, `
		SELECT `+bare(rbacShape)+` FROM rbac_policies
		WHERE object_id = ? AND action = ? AND target = ?`, id, p.Action, p.Target)
	if err != nil || len(found) == 0 {
		return err
	}
	return checkLoss(ctx, tx, found[0], owner, "")
}

// share has the policies say what the thing's flag does.
func (r *record[T]) share(ctx context.Context, tx *Tx, before, after *T) error {
	if r.shares == "" || after == nil || r.sharesAll(before) == r.sharesAll(after) {
		return nil
	}
	s := standardOf(after)
	if !r.sharesAll(after) {
		if err := checkPrivate(ctx, tx, r.shares, s.ID, s.ProjectID); err != nil {
			return err
		}
	}
	return openToAll(ctx, tx, topology.RBACPolicy{
		ProjectID: s.ProjectID, ObjectType: r.shares, ObjectID: s.ID, Action: topology.AccessAsShared,
	}, r.sharesAll(after))
}

func (r *record[T]) sharesAll(v *T) bool {
	if v == nil {
		return false
	}
	i := slices.IndexFunc(r.columns, func(c recordColumn) bool { return c.name == "shared" })
	return reflect.ValueOf(v).Elem().FieldByIndex(r.columns[i].index).Bool()
}
