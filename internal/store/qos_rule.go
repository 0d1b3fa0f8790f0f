package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

var qosRuleShape = &shape{
	table:   "qos_rules",
	columns: []string{"t.id", "t.policy_id", "t.type", "t.direction", "t.value", "t.burst"},
	fields:  qosRuleFields(),
	missing: func(id string) error { return topology.NoQoSRule("", id) },
}

// qosRuleFields: each type calls the value and the burst by names of its own.
func qosRuleFields() map[string]field {
	fields := map[string]field{
		"id": {expr: "t.id"}, "policy_id": {expr: "t.policy_id"}, "type": {expr: "t.type"}, "direction": {expr: "t.direction"},
	}
	for _, kind := range topology.QoSRuleTypes() {
		fields[kind.Value] = field{expr: "t.value", kind: number}
		if kind.Burst != "" {
			fields[kind.Burst] = field{expr: "t.burst", kind: number}
		}
	}
	return fields
}

func scanQoSRule(row scanner) (r topology.QoSRule, err error) {
	err = row.Scan(&r.ID, &r.PolicyID, &r.Type, &r.Direction, &r.Value, &r.Burst)
	return r, err
}

// loadQoSRules adds the rules to their policies.
func loadQoSRules(ctx context.Context, tx *Tx, policies []topology.QoSPolicy) error {
	names, where := ids(policies, func(p *topology.QoSPolicy) string {
		p.Rules = []topology.QoSRule{}
		return p.ID
	})
	return details(ctx, tx, names, `SELECT id, policy_id, type, direction, value, burst FROM qos_rules WHERE policy_id`,
		`ORDER BY policy_id, type, direction`, func(row scanner) error {
			r, err := scanQoSRule(row)
			if err == nil {
				where[r.PolicyID].Rules = append(where[r.PolicyID].Rules, r)
			}
			return err
		})
}

// FindQoSRule returns the rule, whoever owns its policy, or fault.NotFound.
func (s *Store) FindQoSRule(ctx context.Context, id string) (topology.QoSRule, error) {
	return byID(ctx, s.reader(), qosRuleShape, id, scanQoSRule, "")
}

// ListQoSRules lists rules. The query names their policy.
func (s *Store) ListQoSRules(ctx context.Context, q Query) (all []topology.QoSRule, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		all, err = query(ctx, tx, qosRuleShape, q, scanQoSRule)
		return err
	})
	return all, err
}

// CreateQoSRules adds rules to the policy, all or none.
func (s *Store) CreateQoSRules(ctx context.Context, policy string, rules []topology.QoSRule) (made []topology.QoSRule, err error) {
	err = s.changeQoS(ctx, policy, func(tx *Tx, p *topology.QoSPolicy) error {
		made = slices.Clone(rules)
		for i := range made {
			r := &made[i]
			r.ID, r.PolicyID = uuid.NewString(), policy
			if err := admitQoSRule(ctx, tx, p, r); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `
				INSERT INTO qos_rules (`+bare(qosRuleShape)+`)
				VALUES (`+marks(len(qosRuleShape.columns))+`)`, r.ID, r.PolicyID, r.Type, r.Direction, r.Value, r.Burst)
			if err != nil {
				return fmt.Errorf("cannot create QoS rule: %w", err)
			}
			p.Rules = append(p.Rules, *r)
		}
		return nil
	})
	return made, err
}

// UpdateQoSRule changes direction, value and burst.
func (s *Store) UpdateQoSRule(ctx context.Context, id string, change func(*topology.QoSRule) error) (r topology.QoSRule, err error) {
	if r, err = s.FindQoSRule(ctx, id); err != nil {
		return r, err
	}
	err = s.changeQoS(ctx, r.PolicyID, func(tx *Tx, p *topology.QoSPolicy) error {
		i := slices.IndexFunc(p.Rules, func(r topology.QoSRule) bool { return r.ID == id })
		if i < 0 {
			return topology.NoQoSRule(p.ID, id)
		}
		r = p.Rules[i]
		if err := change(&r); err != nil {
			return err
		}
		if r == p.Rules[i] {
			return errUnchanged
		}
		if err := admitQoSRule(ctx, tx, p, &r); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE qos_rules SET direction = ?, value = ?, burst = ? WHERE id = ?`, r.Direction, r.Value, r.Burst, id)
		return err
	})
	return r, err
}

// DeleteQoSRule deletes the rule.
func (s *Store) DeleteQoSRule(ctx context.Context, id string) error {
	r, err := s.FindQoSRule(ctx, id)
	if err != nil {
		return err
	}
	return s.changeQoS(ctx, r.PolicyID, func(tx *Tx, p *topology.QoSPolicy) error {
		served, err := servedByQoS(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		if err := r.CheckBound(served.server != ""); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM qos_rules WHERE id = ?`, id)
		return err
	})
}

// errUnchanged ends a change that changes nothing; it never leaves the package.
var errUnchanged = errors.New("nothing has changed")

// changeQoS changes the rules of a policy, one change after the other, and tells
// the pods.
func (s *Store) changeQoS(ctx context.Context, policy string, change func(*Tx, *topology.QoSPolicy) error) error {
	err := s.write(ctx, func(tx *Tx) error {
		p, err := qosPolicies.find(ctx, tx, policy, tx.forUpdate())
		if err != nil {
			return err
		}
		if err := change(tx, &p); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE qos_policies SET revision = revision + 1, updated_at = ? WHERE id = ?`, tx.now(), policy)
		if err != nil {
			return err
		}
		return touchTx(ctx, tx, KindQoSPolicy, policy)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// admitQoSRule refuses a rule that goes neither with the policy's others nor with
// what the policy holds for.
func admitQoSRule(ctx context.Context, tx *Tx, p *topology.QoSPolicy, r *topology.QoSRule) error {
	if err := p.CheckRule(r); err != nil {
		return err
	}
	served, err := servedByQoS(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	if served.unsuited != "" && r.Type == topology.QoSMinimumBandwidth {
		return fault.New(fault.Conflict, "QosRuleNotSupported", "Rule %s is not supported by port %s", r.Type, served.unsuited)
	}
	return r.CheckBound(served.server != "")
}
