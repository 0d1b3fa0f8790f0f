package network

import (
	"context"

	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// qosRuleAttributes are those of one type. Rules are made below their policy; by
// their other path they are only shown, changed and deleted.
func qosRuleAttributes(t topology.QoSRuleType, post bool) []attribute {
	value := readRate
	if t.Values != nil {
		value = readOneOf(readNumber, t.Values...)
	}
	all := []attribute{
		{name: "id", filter: asIs, sort: true},
		{name: "project_id", read: readText(255), post: post},
		{name: t.Value, read: value, required: post, post: post, put: true, filter: filterNumber, sort: true},
	}
	if t.Burst != "" {
		all = append(all, attribute{name: t.Burst, read: readRate, fallback: 0, post: post, put: true, filter: filterNumber, sort: true})
	}
	if t.Directions != nil {
		all = append(all, attribute{name: "direction", read: readOneOf(nil, t.Directions...), fallback: topology.Egress, post: post, put: true,
			filter: asIs, sort: true})
	}
	return all
}

// readRate reads a number that fits a column of Neutron's.
func readRate(name string, v any) (any, error) {
	n, err := readNumber(name, v)
	if err != nil {
		return nil, err
	}
	switch rate := n.(int); {
	case rate < 0:
		return nil, unfit(name, "'%d' is too small - must be at least '0'", rate)
	case rate > topology.MaxQoSValue:
		return nil, unfit(name, "'%d' is too large - must be no larger than '%d'", rate, topology.MaxQoSValue)
	}
	return n, nil
}

// qosRules are the rules of one type, below their policy.
func (a *api) qosRules(t topology.QoSRuleType) *resource[topology.QoSRule] {
	res := a.qosRulesBy(t, t.Name+"_rule", true)
	res.path = "qos/policies/{policy_id}/" + res.many
	res.below = &below[topology.QoSRule]{owner: "policy_id", sees: a.seesQoS, missing: topology.NoQoSRule,
		of: func(r *topology.QoSRule) string { return r.PolicyID }}
	res.list = func(ctx context.Context, q store.Query) ([]topology.QoSRule, error) {
		q.Filters["type"] = []string{t.Name}
		return a.Store.ListQoSRules(ctx, q)
	}
	res.create = func(ctx context.Context, _ identity.Caller, all []values) ([]topology.QoSRule, error) {
		return a.createQoSRules(ctx, t, all)
	}
	return res
}

// qosRuleAliases are the same rules without their policy in the path.
func (a *api) qosRuleAliases(t topology.QoSRuleType) *resource[topology.QoSRule] {
	res := a.qosRulesBy(t, "alias_"+t.Name+"_rule", false)
	res.path = "qos/" + res.many
	res.sees = func(ctx context.Context, by identity.Caller, r *topology.QoSRule) error {
		return a.seesQoS(ctx, by, r.PolicyID)
	}
	return res
}

func (a *api) qosRulesBy(t topology.QoSRuleType, one string, post bool) *resource[topology.QoSRule] {
	return &resource[topology.QoSRule]{
		one: one, many: one + "s", attributes: qosRuleAttributes(t, post), missing: func(id string) error { return topology.NoQoSRule("", id) },
		find: func(ctx context.Context, id string) (topology.QoSRule, error) {
			r, err := a.Store.FindQoSRule(ctx, id)
			if err == nil && r.Type != t.Name {
				err = topology.NoQoSRule("", id)
			}
			return r, err
		},
		view: func(_ context.Context, _ identity.Caller, all []topology.QoSRule) ([]map[string]any, error) {
			shown := make([]map[string]any, len(all))
			for i := range all {
				shown[i] = viewQoSRule(t, &all[i])
			}
			return shown, nil
		},
		update: func(ctx context.Context, _ identity.Caller, old *topology.QoSRule, v values, _ revision) (topology.QoSRule, error) {
			return a.Store.UpdateQoSRule(ctx, old.ID, func(r *topology.QoSRule) error {
				setQoSRule(t, r, v)
				return nil
			})
		},
		remove: func(ctx context.Context, _ identity.Caller, old *topology.QoSRule, _ revision) error {
			return a.Store.DeleteQoSRule(ctx, old.ID)
		},
	}
}

func (a *api) createQoSRules(ctx context.Context, t topology.QoSRuleType, all []values) ([]topology.QoSRule, error) {
	rules := make([]topology.QoSRule, len(all))
	for i, v := range all {
		rules[i].Type = t.Name
		setQoSRule(t, &rules[i], v)
	}
	policy, _ := all[0]["policy_id"].(string)
	return a.Store.CreateQoSRules(ctx, policy, rules)
}

func setQoSRule(t topology.QoSRuleType, r *topology.QoSRule, v values) {
	set(v, t.Value, &r.Value)
	set(v, t.Burst, &r.Burst)
	set(v, "direction", &r.Direction)
}

func viewQoSRule(t topology.QoSRuleType, r *topology.QoSRule) map[string]any {
	m := map[string]any{"id": r.ID, t.Value: r.Value}
	if t.Burst != "" {
		m[t.Burst] = r.Burst
	}
	if t.Directions != nil {
		m["direction"] = r.Direction
	}
	return m
}
