package network

import (
	"context"
	"net/http"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

var qosPolicyAttributes = tagged(
	attribute{name: "name", read: readText(255), fallback: "", post: true, put: true, filter: asIs, sort: true},
	attribute{name: "shared", read: readFlag, fallback: false, post: true, put: true, filter: filterFlag},
	attribute{name: "is_default", read: readFlag, fallback: false, post: true, put: true, filter: filterFlag},
	attribute{name: "rules"},
)

// The attribute by which things name their policy. Null is none.
var qosAttribute = attribute{name: "qos_policy_id", read: orNothing(readUUID), fallback: "", post: true, put: true, guard: true}

func (a *api) qosPolicies() *resource[topology.QoSPolicy] {
	policies := a.Store.QoSPolicies()
	return &resource[topology.QoSPolicy]{
		one: "policy", many: "policies", path: "qos/policies", attributes: qosPolicyAttributes, missing: topology.NoQoSPolicy,
		list: policies.List, find: policies.Find,
		shared: func(p *topology.QoSPolicy) (string, *bool) { return p.ID, &p.Shared },
		tags:   store.TaggedQoSPolicies, store: a.Store, tagsBySight: true, view: viewQoSPolicies, create: a.createQoSPolicies,
		update: func(ctx context.Context, _ identity.Caller, old *topology.QoSPolicy, v values, match revision) (topology.QoSPolicy, error) {
			return policies.Update(ctx, old.ID, func(p *topology.QoSPolicy) error {
				setQoSPolicy(p, v)
				return check(match, p.Revision)
			})
		},
		remove: func(ctx context.Context, _ identity.Caller, old *topology.QoSPolicy, match revision) error {
			return policies.Delete(ctx, old.ID, func(p *topology.QoSPolicy) error { return check(match, p.Revision) })
		},
	}
}

func (a *api) createQoSPolicies(ctx context.Context, _ identity.Caller, all []values) ([]topology.QoSPolicy, error) {
	made := make([]topology.QoSPolicy, len(all))
	for i, v := range all {
		set(v, "project_id", &made[i].ProjectID)
		setQoSPolicy(&made[i], v)
	}
	return a.Store.QoSPolicies().Create(ctx, made)
}

// setQoSPolicy takes over what may also be changed later.
func setQoSPolicy(p *topology.QoSPolicy, v values) {
	set(v, "name", &p.Name)
	set(v, "description", &p.Description)
	set(v, "shared", &p.Shared)
	set(v, "is_default", &p.IsDefault)
}

func viewQoSPolicies(_ context.Context, _ identity.Caller, all []topology.QoSPolicy) ([]map[string]any, error) {
	types := map[string]topology.QoSRuleType{}
	for _, t := range topology.QoSRuleTypes() {
		types[t.Name] = t
	}
	shown := make([]map[string]any, len(all))
	for i, p := range all {
		rules := make([]map[string]any, len(p.Rules))
		for j := range p.Rules {
			r := &p.Rules[j]
			rules[j] = viewQoSRule(types[r.Type], r)
			rules[j]["type"], rules[j]["qos_policy_id"] = r.Type, r.PolicyID
		}
		m := owned(p.ID, p.ProjectID, p.Description, p.CreatedAt, p.UpdatedAt, p.Revision)
		m["name"], m["shared"], m["is_default"], m["rules"] = p.Name, p.Shared, p.IsDefault, rules
		shown[i] = m
	}
	return shown, nil
}

// seesQoS hides the policies that the caller does not see.
func (a *api) seesQoS(ctx context.Context, by identity.Caller, id string) error {
	_, err := a.qosPolicies().get(ctx, by, id)
	return err
}

// checkQoS refuses to name a policy that the caller does not see, and to take one
// off that somebody else put there. has is what the thing names now.
func (a *api) checkQoS(ctx context.Context, by identity.Caller, v values, has string) error {
	wanted, sent := v["qos_policy_id"].(string)
	if !sent {
		return nil
	}
	if has != "" {
		err := a.seesQoS(ctx, by, has)
		if fault.Is(err, fault.NotFound) {
			err = topology.KeptQoSPolicy(has)
		}
		if err != nil {
			return err
		}
	}
	if wanted == "" {
		return nil
	}
	return a.seesQoS(ctx, by, wanted)
}

// qosRoutes are the policies, their rules under both paths that Neutron has for
// them, and the types of rules.
func (a *api) qosRoutes() []gateway.Route {
	routes := a.qosPolicies().routes()
	for _, t := range topology.QoSRuleTypes() {
		routes = append(routes, a.qosRules(t).routes()...)
		if t.Name == topology.QoSPacketRateLimit { // Neutron has these here too
			besides := a.qosRules(t)
			besides.path = strings.TrimPrefix(besides.path, "qos/")
			routes = append(routes, besides.routes()...)
		}
		if t.Alias {
			path := "/qos/alias-" + strings.ReplaceAll(t.Name, "_", "-") + "-rules"
			routes = append(routes, a.qosRuleAliases(t).routes()...)
			routes = append(routes, refused("an internal error of Neutron: it needs the policy", "GET "+path, "POST "+path)...)
		}
	}
	const types = "/qos/rule-types"
	routes = append(routes, refused("an internal error of Neutron: types are part of it", "POST "+types, "PUT "+types+"/{type}", "DELETE "+types+"/{type}")...)
	return append(routes,
		gateway.Route{Method: http.MethodGet, Pattern: types, Strategy: gateway.Central, Policy: "get_rule_type", Handle: listQoSRuleTypes},
		gateway.Route{Method: http.MethodGet, Pattern: types + "/{type}", Strategy: gateway.Central, Policy: "get_rule_type", Handle: showQoSRuleType},
	)
}

// Rules of all types go to the pods, so all are there, whatever is asked for.
var qosTypeAttributes = []attribute{{name: "all_rules", filter: filterFlag}, {name: "all_supported", filter: filterFlag}}

func listQoSRuleTypes(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := allow(by, r); err != nil {
		return nil, err
	}
	if _, _, err := readQuery(by, qosTypeAttributes, r.URL.RawQuery); err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, t := range topology.QoSRuleTypes() {
		all = append(all, map[string]any{"type": t.Name})
	}
	return gateway.JSON(http.StatusOK, map[string]any{"rule_types": all}), nil
}

func showQoSRuleType(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if !by.IsAdmin() {
		return nil, fault.New(fault.Forbidden, "NotAuthorized", "Not authorized.")
	}
	for _, t := range topology.QoSRuleTypes() {
		if t.Name == r.Param("type") {
			driver := map[string]any{"name": "tricircle", "supported_parameters": parametersOf(t)}
			shown := map[string]any{"type": t.Name, "drivers": []map[string]any{driver}}
			err := trim(by, r.Route.Policy, nil, shown, nil, readFields(r.URL.Query()))
			return gateway.JSON(http.StatusOK, map[string]any{"rule_type": shown}), err
		}
	}
	return nil, fault.New(fault.NotFound, "HTTPNotFound", "The resource could not be found.")
}

// parametersOf says what the attributes of a type's rules may be.
func parametersOf(t topology.QoSRuleType) []map[string]any {
	one := func(name, kind string, values any) map[string]any {
		return map[string]any{"parameter_name": name, "parameter_type": kind, "parameter_values": values}
	}
	rates := map[string]any{"start": 0, "end": topology.MaxQoSValue}
	all := []map[string]any{one(t.Value, "range", rates)}
	if t.Values != nil {
		all[0] = one(t.Value, "choices", t.Values)
	}
	if t.Burst != "" {
		all = append(all, one(t.Burst, "range", rates))
	}
	if t.Directions != nil {
		all = append(all, one("direction", "choices", t.Directions))
	}
	return all
}
