package release

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/microversion"
)

// change is what one version changed in some operations.
type change struct {
	minor int
	ops   []operation
	rule  rule
}

// operation is a method and a path with {} for what varies; of a server's
// actions, after a blank, the action.
type operation string

// matches reports whether the call is such an operation.
func (op operation) matches(c Call) bool {
	parts := strings.Fields(string(op))
	if parts[0] != c.Method || !alike(parts[1], c.Path) {
		return false
	}
	return len(parts) < 3 || gjson.GetBytes(c.Body, gjsonName(parts[2])).Exists()
}

func alike(pattern, path string) bool {
	path = strings.TrimSuffix(path, "/")
	for {
		p, rest, more := strings.Cut(pattern, "/")
		s, left, further := strings.Cut(path, "/")
		if p != s && p != "{}" || more != further {
			return false
		}
		if p == "{}" && slices.Contains(fixed, s) {
			return false
		}
		if !more {
			return true
		}
		pattern, path = rest, left
	}
}

// fixed are words that stand where other paths have an ID.
var fixed = []string{"detail", "statistics"}

// rule is how an answer, or a request, of a later version relates to that of an
// earlier one. The zero rule changes nothing.
type rule struct {
	since microversion.Version // set when the rule is found

	// Of the operation:
	born   bool   // it came with the version
	ends   bool   // it left with the version: 404
	unlike string // it changed in a way that cannot be bridged: how

	// Of the request, what the old version would refuse, or worse, ignore:
	query  []string // query parameters that came
	users  []string // query parameters that came for users; admins had them
	fields []string // members that came (gjson paths)
	words  string   // a member that may be a word since then
	bans   []string // members that left
	needs  []string // members that are required since then

	// Of the answer:
	admins bool     // only admins see a difference
	at     []string // where the things are: "server", "servers.#"
	shows  []member // members that came, with the value that all old things have
	untold []member // members that came, whose value the old version does not tell
	drops  []string // members that left
	status map[int]int
	edit   func(thing []byte) []byte // whatever else, to each thing
	whole  func(a *Answer)           // whatever else, to the answer
}

// member is a name with its value in JSON.
type member struct{ name, value string }

func null(names ...string) []member {
	members := make([]member, len(names))
	for i, name := range names {
		members[i] = member{name, "null"}
	}
	return members
}

// Answer is a pod's answer on its way to the version asked.
type Answer struct {
	Status   int
	Location string
	Body     []byte
	Untold   []string // members that the pod could not tell
}

// Raise brings the answer to the version asked.
func (p Plan) Raise(a *Answer) {
	for _, r := range p.rules {
		if to, ok := r.status[a.Status]; ok {
			a.Status = to
		}
		if r.whole != nil {
			r.whole(a)
		}
		for _, at := range r.at {
			a.Body = each(a.Body, at, func(thing []byte) []byte { return r.raise(thing, a) })
		}
	}
}

// Changes reports whether Raise may do anything.
func (p Plan) Changes() bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool { return len(r.at) > 0 || r.whole != nil || r.status != nil })
}

func (r rule) raise(thing []byte, a *Answer) []byte {
	for _, m := range r.shows {
		thing, _ = with(thing, m)
	}
	for _, m := range r.untold {
		var added bool
		if thing, added = with(thing, m); added && !slices.Contains(a.Untold, m.name) {
			a.Untold = append(a.Untold, m.name)
		}
	}
	for _, name := range r.drops {
		thing = without(thing, name)
	}
	if r.edit != nil {
		thing = r.edit(thing)
	}
	return thing
}

// each changes the objects at the path; "#" stands for the elements of a list.
// Every other byte stays.
func each(doc []byte, path string, change func([]byte) []byte) []byte {
	name, rest, deeper := strings.Cut(path, ".")
	if name == "#" {
		var out []byte
		at := 0
		gjson.ParseBytes(doc).ForEach(func(_, v gjson.Result) bool {
			out = append(out, doc[at:v.Index]...)
			out = append(out, below(doc[v.Index:v.Index+len(v.Raw)], rest, deeper, change)...)
			at = v.Index + len(v.Raw)
			return true
		})
		return append(out, doc[at:]...)
	}
	v := gjson.GetBytes(doc, gjsonName(name))
	if !v.IsObject() && !v.IsArray() {
		return doc
	}
	out := append([]byte{}, doc[:v.Index]...)
	out = append(out, below(doc[v.Index:v.Index+len(v.Raw)], rest, deeper, change)...)
	return append(out, doc[v.Index+len(v.Raw):]...)
}

func below(doc []byte, rest string, deeper bool, change func([]byte) []byte) []byte {
	if deeper {
		return each(doc, rest, change)
	}
	if !gjson.ParseBytes(doc).IsObject() {
		return doc
	}
	return change(doc)
}

// with adds the member to an object that lacks it.
func with(object []byte, m member) ([]byte, bool) {
	if gjson.GetBytes(object, gjsonName(m.name)).Exists() {
		return object, false
	}
	end := len(object) - 1 // the closing brace
	out := append([]byte{}, object[:end]...)
	if len(strings.TrimSpace(string(object[1:end]))) > 0 {
		out = append(out, ", "...)
	}
	out = append(out, `"`+m.name+`": `+m.value...)
	return append(out, '}'), true
}

// without leaves the member out.
func without(object []byte, name string) []byte {
	out := []byte{'{'}
	gjson.ParseBytes(object).ForEach(func(k, v gjson.Result) bool {
		if k.Str == name {
			return true
		}
		if len(out) > 1 {
			out = append(out, ", "...)
		}
		out = append(append(append(out, k.Raw...), ": "...), v.Raw...)
		return true
	})
	return append(out, '}')
}

// gjsonName makes a name of it where gjson would see more in a dot.
func gjsonName(name string) string { return strings.ReplaceAll(name, ".", `\.`) }

func lastOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
