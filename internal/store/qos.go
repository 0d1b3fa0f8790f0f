package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/topology"
)

var qosPolicies = newRecord(record[topology.QoSPolicy]{
	shape: shape{
		table:   "qos_policies",
		missing: topology.NoQoSPolicy, anyMarker: true,
	},
	shares: "qos_policy",
	check:  checkQoSPolicy,
	saved: func(ctx context.Context, tx *Tx, before, after *topology.QoSPolicy) error {
		switch {
		case after == nil:
			return unwantOrRelease(ctx, tx, KindQoSPolicy, before.ID)
		case before != nil:
			return touchTx(ctx, tx, KindQoSPolicy, after.ID)
		}
		after.Rules = []topology.QoSRule{}
		return nil
	},
	load: loadQoSRules,
})

// TaggedQoSPolicies are the policies as things with tags.
var TaggedQoSPolicies = &Tagged{&qosPolicies.shape}

// QoSPolicies are the policies of all projects. The rules come with them; they are
// changed by CreateQoSRules and the like.
func (s *Store) QoSPolicies() QoSPolicies {
	return QoSPolicies{Records[topology.QoSPolicy]{s, qosPolicies}}
}

// QoSPolicies are Records whose constraints have Neutron's words.
type QoSPolicies struct{ Records[topology.QoSPolicy] }

// Create makes the policies, all or none.
func (r QoSPolicies) Create(ctx context.Context, all []topology.QoSPolicy) ([]topology.QoSPolicy, error) {
	made, err := r.Records.Create(ctx, all)
	if duplicate(err) { // made at this moment
		err = topology.SecondDefaultQoS(all[0].ProjectID)
	}
	return made, err
}

// Update changes a policy.
func (r QoSPolicies) Update(ctx context.Context, id string, change func(*topology.QoSPolicy) error) (topology.QoSPolicy, error) {
	p, err := r.Records.Update(ctx, id, change)
	if duplicate(err) {
		err = topology.SecondDefaultQoS(p.ProjectID)
	}
	return p, err
}

// Delete deletes a policy that nothing names.
func (r QoSPolicies) Delete(ctx context.Context, id string, allow func(*topology.QoSPolicy) error) error {
	err := r.Records.Delete(ctx, id, allow)
	if dangling(err) { // named at this moment
		if used := checkQoSUnused(ctx, r.store.reader(), id); used != nil {
			return used
		}
	}
	return err
}

func checkQoSPolicy(ctx context.Context, tx *Tx, before, after *topology.QoSPolicy) error {
	if after == nil {
		return checkQoSUnused(ctx, tx, before.ID)
	}
	if !after.IsDefault || before != nil && before.IsDefault {
		return nil
	}
	id, err := defaultQoS(ctx, tx, after.ProjectID)
	if err == nil && id != "" {
		err = topology.SecondDefaultQoS(after.ProjectID)
	}
	return err
}

func checkQoSUnused(ctx context.Context, tx *Tx, id string) error {
	type user struct{ kind, id string }
	using, err := list(ctx, tx, func(row scanner) (u user, err error) {
		err = row.Scan(&u.kind, &u.id)
		return u, err
	}, `SELECT kind, id FROM qos_uses WHERE policy_id = ? ORDER BY kind DESC, id LIMIT 1`, id)
	if err != nil || len(using) == 0 {
		return err
	}
	return topology.QoSPolicyInUse(id, qosUsers[using[0].kind], using[0].id)
}

// defaultQoS is the policy that new networks of the project get; empty for none.
func defaultQoS(ctx context.Context, tx *Tx, project string) (string, error) {
	all, err := list(ctx, tx, scanString, `SELECT id FROM qos_policies WHERE project_id = ? AND is_default = 1`, project)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0], nil
}
