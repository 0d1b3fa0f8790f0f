package network

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/policy"
	"github.com/tricircle/tricircle/internal/topology"
)

// The rules are Neutron's. A rule asks about the thing by its attributes, as
// clients know them, and about what the thing belongs to.

// underPolicy has the caller's request decided by the rules as they stand now.
func (a *api) underPolicy(h gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		by.Rules = a.Policy.Rules()
		return h(ctx, by, r)
	}
}

// parents finds what rules ask about the thing that another belongs to, such as
// "network:tenant_id". It remembers what it has found.
type parents func(name string, of map[string]any) (v any, ok bool, err error)

// about is the thing as the rules see it.
func about(of map[string]any, look parents) policy.Target {
	return func(name string) (any, bool, error) {
		if name == "tenant_id" {
			name = "project_id"
		}
		if v, ok := of[name]; ok || look == nil {
			return v, ok, nil
		}
		return look(name, of)
	}
}

// parentsOf serves resources on a network or in a security group.
func (a *api) parentsOf(ctx context.Context, by identity.Caller) parents {
	known := map[string]map[string]any{}
	return func(name string, of map[string]any) (any, bool, error) {
		parent, field, _ := strings.Cut(name, ":")
		id, _ := of[parent+"_id"].(string)
		if id == "" || parent != "network" && parent != "security_group" {
			return nil, false, nil
		}
		if known[id] == nil {
			_, exists := of["id"]
			facts, err := a.parent(ctx, by, parent, id, exists)
			if err != nil {
				return nil, false, err
			}
			known[id] = facts
		}
		v, ok := known[id][field]
		return v, ok, nil
	}
}

// parent are the facts of the network or the group. Who makes something in one
// that he does not see is told that it is not there.
func (a *api) parent(ctx context.Context, by identity.Caller, kind, id string, exists bool) (map[string]any, error) {
	if kind == "security_group" {
		g, err := a.Store.FindSecurityGroup(ctx, id)
		return map[string]any{"tenant_id": g.ProjectID, "project_id": g.ProjectID}, err
	}
	n, err := a.networks().get(ctx, by, id)
	if exists && fault.Is(err, fault.NotFound) {
		return map[string]any{}, nil
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"tenant_id": n.ProjectID, "project_id": n.ProjectID, "shared": n.Shared}, nil
}

// reading is the rule about who sees a thing.
func (res *resource[T]) reading() string { return "get_" + res.name() }

// lookup is the resource's way to what its things belong to; may be nil.
func (res *resource[T]) lookup(ctx context.Context, by identity.Caller) parents {
	if res.belongs == nil {
		return nil
	}
	return res.belongs(ctx, by)
}

// factsOf are what rules may ask about a thing that is there.
func (res *resource[T]) factsOf(v *T) map[string]any {
	of := map[string]any{"id": nil}
	if s, ok := any(v).(interface{ Std() *topology.Standard }); ok {
		of["project_id"] = s.Std().ProjectID
	}
	if res.facts != nil {
		maps.Copy(of, res.facts(v))
	}
	return of
}

// authorise asks the rules that an action needs: its own, and those of the
// attributes that are sent. item is what the client sent, and v what was read.
// The refusal names them all, in Neutron's words.
func (res *resource[T]) authorise(by identity.Caller, action string, item map[string]any, v values, target policy.Target) error {
	rules, text := []string{action}, "rule:"+action
	create := strings.HasPrefix(action, "create_") // then what is not sent is the fallback
	for _, a := range res.attributes {
		value, given := v[a.name]
		if !a.guard || !given || create && same(value, a.fallback) {
			continue
		}
		name := action + ":" + a.name
		parts := partsOf(a, item[a.name])
		for i := range parts {
			parts[i] = name + ":" + parts[i]
		}
		rules = append(append(rules, name), parts...)
		text = "(" + text + " and " + conjunction(name, parts) + ")"
	}
	for _, rule := range rules {
		ok, err := by.May(rule, target)
		if err != nil {
			return err
		}
		if !ok {
			return forbidden(text)
		}
	}
	return nil
}

// partsOf are the names inside a value that have rules of their own.
func partsOf(a attribute, sent any) []string {
	if a.parts == nil {
		return nil
	}
	var names []string
	all, isList := sent.([]any)
	if !isList {
		all = []any{sent}
	}
	for _, e := range all {
		m, _ := e.(map[string]any)
		for _, name := range a.parts {
			if _, ok := m[name]; ok {
				names = append(names, name)
			}
		}
	}
	return names
}

func conjunction(name string, parts []string) string {
	if len(parts) == 0 {
		return "rule:" + name
	}
	return "(rule:" + name + " and (rule:" + strings.Join(parts, " and rule:") + "))"
}

func forbidden(rule string) error {
	return fault.New(fault.Forbidden, "PolicyNotAuthorized", "%s is disallowed by policy", rule)
}

// hidden is what those are told who must not know that there is such a thing.
func hidden() error {
	return fault.New(fault.NotFound, "HTTPNotFound", "The resource could not be found.")
}

func same(a, b any) bool {
	switch a.(type) {
	case string, bool, int, nil:
		return a == b
	}
	return false
}

// permitted keeps those things that the policy lets the caller see. All that come
// here are his to see as far as the model goes, and what is below a thing that he
// sees is not asked about again.
func (res *resource[T]) permitted(ctx context.Context, by identity.Caller, shown []map[string]any) ([]map[string]any, error) {
	if by.IsAdmin() || res.below != nil {
		return shown, nil
	}
	look := res.lookup(ctx, by)
	var failed error
	shown = slices.DeleteFunc(shown, func(m map[string]any) bool {
		ok, err := by.May(res.reading(), about(m, look))
		if err != nil {
			failed = err
		}
		return !ok
	})
	return shown, failed
}

// trim keeps of the things what the caller may see and, where he named fields,
// wants to.
func (res *resource[T]) trim(ctx context.Context, by identity.Caller, shown []map[string]any, fields []string) error {
	look := res.lookup(ctx, by)
	for _, m := range shown {
		if err := trim(by, res.reading(), res.attributes, m, look, fields); err != nil {
			return err
		}
	}
	return nil
}

func trim(by identity.Caller, reading string, attributes []attribute, shown map[string]any, look parents, fields []string) error {
	var unseen []string
	for _, a := range attributes {
		if _, has := shown[a.name]; !has {
			continue
		}
		seen := a.see != nobody
		if rule := reading + ":" + a.name; a.see != nobody && by.Rules.Has(rule) {
			var err error
			if seen, err = by.May(rule, about(shown, look)); err != nil {
				return err
			}
		}
		if !seen {
			unseen = append(unseen, a.name)
		}
	}
	for _, name := range unseen { // not before: rules ask about what is not shown too
		delete(shown, name)
	}
	if len(fields) > 0 {
		maps.DeleteFunc(shown, func(name string, _ any) bool { return !slices.Contains(fields, name) })
	}
	return nil
}

// allow is for the routes that have no resource of the engine.
func allow(by identity.Caller, r *gateway.Request) error {
	ok, err := by.May(r.Route.Policy, policy.Attributes(map[string]any{"project_id": by.ProjectID, "tenant_id": by.ProjectID}))
	if err == nil && !ok {
		err = forbidden("rule:" + r.Route.Policy)
	}
	return err
}
