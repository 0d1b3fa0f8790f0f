// Package policy decides by rules in the language of oslo.policy who may do what.
//
// The rules of the Network API are Neutron's own, in neutron.yaml. An operator's
// file replaces single ones of them.
package policy

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed neutron.yaml
var neutron []byte

// Admin is the rule that says who is an admin: all is allowed to him.
const Admin = "context_is_admin"

// defaultRule is for actions without a rule of their own.
const defaultRule = "default"

// Rules are a set of rules, each ready to be asked. They never change.
type Rules struct{ checks map[string]check }

// Creds is what rules may know of the caller.
type Creds struct {
	UserID, UserName, UserDomainID          string
	ProjectID, ProjectName, ProjectDomainID string
	Roles                                   []string
}

func (c *Creds) value(name string) (string, bool) {
	switch name {
	case "user_id", "user":
		return c.UserID, true
	case "user_name":
		return c.UserName, true
	case "user_domain_id", "user_domain":
		return c.UserDomainID, true
	case "project_id", "tenant_id", "tenant":
		return c.ProjectID, true
	case "project_name", "tenant_name":
		return c.ProjectName, true
	case "project_domain_id", "project_domain":
		return c.ProjectDomainID, true
	}
	return "", false
}

// Target finds an attribute of what the action is done to; false if there is none
// of the name. "network:project_id" is the network's that it is on.
type Target func(name string) (v any, ok bool, err error)

func (t Target) value(name string) (any, bool, error) {
	if t == nil {
		return nil, false, nil
	}
	return t(name)
}

// Attributes is the target that has just these.
func Attributes(all map[string]any) Target {
	return func(name string) (any, bool, error) {
		v, ok := all[name]
		return v, ok, nil
	}
}

// shown is a value in Python's words, as rules are written.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int:
		return strconv.Itoa(v)
	}
	return fmt.Sprint(v)
}

// Neutron is the rules of Neutron.
func Neutron() *Rules {
	r, err := (&Rules{}).With(neutron)
	if err != nil {
		panic(err) // a mistake in our own file
	}
	return r
}

// With is the rules, those in the file replaced. The file is YAML or JSON, as for
// the service itself.
func (r *Rules) With(file []byte) (*Rules, error) {
	texts := map[string]*string{}
	if err := yaml.Unmarshal(file, &texts); err != nil {
		return nil, errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	all := maps.Clone(r.checks)
	if all == nil {
		all = map[string]check{}
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := ""
		if texts[name] != nil {
			text = *texts[name]
		}
		c, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", name, err)
		}
		all[name] = c
	}
	out := &Rules{all}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if out.circular(name, map[string]bool{}) {
			return nil, fmt.Errorf("rule %s builds on itself", name)
		}
	}
	return out, nil
}

// circular reports whether the rule comes back to itself; above are those that
// led to it.
func (r *Rules) circular(name string, above map[string]bool) bool {
	c, ok := r.checks[name]
	if !ok {
		return false
	}
	above[name] = true
	found := false
	c.refers(func(next string) { found = found || above[next] || r.circular(next, above) })
	delete(above, name)
	return found
}

// Has reports whether there is a rule of the name.
func (r *Rules) Has(name string) bool { return r != nil && r.checks[name] != nil }

// Allows reports whether the rule holds; without rules nothing does. An error is
// the target's.
func (r *Rules) Allows(by Creds, name string, about Target) (bool, error) {
	return rule(name).holds(&question{rules: r, creds: by, about: about})
}
