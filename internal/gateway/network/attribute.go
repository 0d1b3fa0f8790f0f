package network

import (
	"maps"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
)

// values are the attributes of one request, read and checked.
type values map[string]any

// attribute declares one attribute of a resource: what clients may send, who may
// send and see it, and how lists use it.
type attribute struct {
	name string
	read reader // turns what the client sent into ours; nil takes it as it is

	required bool // on POST
	fallback any  // what POST takes when it is not sent; nil: it stays unset
	post     bool
	put      bool
	guard    guard // who may set it to anything but the fallback
	guardPut guard // the same for PUT, where that differs

	see    audience
	filter filterValue // nil: no filter
	sort   bool
}

// audience is who sees an attribute.
type audience int

const (
	everyone audience = iota
	admins
	nobody
)

// guard is who may set an attribute, besides the resource's owner's own right to
// change it at all. parts are the policy's names for what is inside the value.
type guard func(v any) (who setter, parts []string)

type setter int

const (
	anySetter setter = iota
	networkOwner
	adminOnly
)

func onlyAdmin(any) (setter, []string)        { return adminOnly, nil }
func onlyNetworkOwner(any) (setter, []string) { return networkOwner, nil }

// standing is what the caller is to the thing that he changes.
type standing struct {
	admin        bool
	networkOwner bool
}

func (s standing) may(who setter) bool {
	return s.admin || who == anySetter || who == networkOwner && s.networkOwner
}

// authorise refuses values that the caller may not set, in Neutron's words: they
// name all rules that had to hold.
func authorise(attributes []attribute, action string, sent values, as standing) error {
	rule, refused := "rule:"+action, false
	create := strings.HasPrefix(action, "create_") // then what is not sent is the fallback
	for _, a := range attributes {
		v, given := sent[a.name]
		if a.guard == nil || !given || create && same(v, a.fallback) {
			continue
		}
		who, parts := a.guard(v)
		if !create && a.guardPut != nil {
			who, parts = a.guardPut(v)
		}
		if who == anySetter && parts == nil {
			continue
		}
		refused = refused || !as.may(who)
		rule = "(" + rule + " and " + ruleOf(action+":"+a.name, parts) + ")"
	}
	if !refused {
		return nil
	}
	return forbidden(rule)
}

func ruleOf(name string, parts []string) string {
	if parts == nil {
		return "rule:" + name
	}
	inner := make([]string, len(parts))
	for i, p := range parts {
		inner[i] = "rule:" + name + ":" + p
	}
	return "(rule:" + name + " and (" + strings.Join(inner, " and ") + "))"
}

func forbidden(rule string) error {
	return fault.New(fault.Forbidden, "PolicyNotAuthorized", "%s is disallowed by policy", rule)
}

func same(a, b any) bool {
	switch a.(type) {
	case string, bool, int, nil:
		return a == b
	}
	return false
}

// visible keeps what the caller may see and, where he named fields, wants to.
func visible(by identity.Caller, attributes []attribute, shown map[string]any, fields []string) map[string]any {
	for _, a := range attributes {
		if a.see == nobody || a.see == admins && !by.IsAdmin() {
			delete(shown, a.name)
		}
	}
	if len(fields) > 0 {
		maps.DeleteFunc(shown, func(name string, _ any) bool { return !slices.Contains(fields, name) })
	}
	return shown
}

// badRequest is Neutron's HTTPBadRequest.
func badRequest(format string, args ...any) error {
	return fault.New(fault.Invalid, "HTTPBadRequest", format, args...)
}

// badResource is Neutron's BadRequest.
func badResource(resource, format string, args ...any) error {
	return fault.New(fault.Invalid, "BadRequest", "Bad "+resource+" request: "+format+".", args...)
}

// invalidInput is Neutron's InvalidInput.
func invalidInput(format string, args ...any) error {
	return fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: "+format+".", args...)
}
