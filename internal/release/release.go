// Package release lets pods of different OpenStack releases answer in one version
// of the Compute API.
//
// A Book knows which versions each pod speaks. A request in a version that is too
// new for a pod is sent in the newest that the pod knows, if what the versions
// between changed in this operation allows that (history.go is the table), and
// the answer is brought to the version asked. What an old pod cannot do is
// refused, by its name; what it cannot tell is null, and a header says so.
package release

import (
	"fmt"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/pod"
)

// The two headers that name a version of the Compute API.
const (
	versionHeader = "Openstack-Api-Version"
	legacyHeader  = "X-Openstack-Nova-Api-Version"
)

// UntoldHeader names, in an answer, the members that a pod of an old release
// could not fill: "pod2: OS-EXT-SRV-ATTR:hostname".
const UntoldHeader = "X-Tricircle-Untold"

// Known is the latest version whose changes are in the table.
var Known = microversion.Version{Major: 2, Minor: 100}

// Call is a request as far as versions can matter to it.
type Call struct {
	Method string
	Path   string // below the version root
	Query  url.Values
	Body   []byte
	Admin  bool
}

// Plan is what must be done with the answer to a call that is sent in an older
// version than asked.
type Plan struct {
	rules []rule
}

// Lower finds out whether the call means the same in version to, which the pod
// speaks, as in version from, which the client asks for. The error says what the
// pod cannot do; it does not name the pod.
func Lower(c Call, from, to microversion.Version) (Plan, error) {
	if Known.Less(from) {
		return Plan{}, fault.New(fault.NotAcceptable, "", "it does not speak %s, and what that changed since %s is not known here", from, Known)
	}
	var p Plan
	for _, r := range rulesOf(c, from, to) {
		if err := r.check(c); err != nil {
			return Plan{}, err
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

// rulesOf are the changes of the call's operation in (to, from], oldest first.
func rulesOf(c Call, from, to microversion.Version) []rule {
	var rules []rule
	for _, ch := range history {
		v := microversion.Version{Major: 2, Minor: ch.minor}
		if !to.Less(v) || from.Less(v) {
			continue
		}
		for _, op := range ch.ops {
			if op.matches(c) && (c.Admin || !ch.rule.admins) {
				r := ch.rule
				r.since = v
				rules = append(rules, r)
				break
			}
		}
	}
	return rules
}

// check refuses a call that the older version cannot carry.
func (r rule) check(c Call) error {
	if r.ends {
		return fault.New(fault.NotFound, "", "The resource could not be found.")
	}
	if r.born {
		return r.refuse("this operation")
	}
	if r.unlike != "" {
		return r.refuse(r.unlike)
	}
	for _, name := range r.query {
		if c.Query.Has(name) {
			return r.refuse("the query parameter " + name)
		}
	}
	for _, name := range r.users {
		if c.Query.Has(name) && !c.Admin {
			return r.refuse("the query parameter " + name)
		}
	}
	return r.checkBody(c.Body)
}

func (r rule) checkBody(body []byte) error {
	for _, path := range r.fields {
		if has(body, path) {
			return r.refuse(path)
		}
	}
	for _, path := range r.bans {
		if has(body, path) {
			return fault.New(fault.Invalid, "", "Invalid input: additional properties are not allowed ('%s' was unexpected)", lastOf(path))
		}
	}
	for _, path := range r.needs {
		if !has(body, path) {
			return fault.New(fault.Invalid, "", "Invalid input: '%s' is a required property", lastOf(path))
		}
	}
	if r.words != "" && gjson.GetBytes(body, r.words).Type == gjson.String {
		return r.refuse(r.words + " as a word")
	}
	return nil
}

// has reports whether the body has the member. A path through a list has it when
// any element has.
func has(body []byte, path string) bool {
	found := gjson.GetBytes(body, path)
	return found.Exists() && (!found.IsArray() || len(found.Array()) > 0)
}

func (r rule) refuse(what string) error {
	return fault.New(fault.NotAcceptable, "", "%s needs version %s", what, r.since)
}

// refusal puts a pod's range before the reason.
func refusal(name string, speaks microversion.Window, err error) error {
	f := fault.Error{Kind: fault.KindOf(err), Message: err.Error()}
	if f.Kind == fault.NotAcceptable { // else the version's own rule, as any pod would say it
		f.Pod, f.Message = name, fmt.Sprintf("it speaks the Compute API in versions %s: %s", speaks, err)
	}
	return pod.Refused(f)
}
