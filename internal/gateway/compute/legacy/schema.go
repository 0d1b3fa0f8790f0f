package legacy

import (
	"bytes"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
)

// schema is as much of JSON Schema as Nova's old bodies need. What is wrong first
// is told, in the words of Python's jsonschema; the order of the checks is that
// of the fields here.
type schema struct {
	types      []string // "object", "string", "integer", "boolean", "array", "number"
	properties []property
	required   []string
	closed     bool // no other properties
	keys       *regexp.Regexp
	value      *schema // of each property, where keys is given
	pattern    *regexp.Regexp
	enum       []string // JSON values
	format     string   // "ip"
	minimum    *int
	shortest   int
	longest    int // 0: any
	fewest     int
	most       int // 0: any
}

type property struct {
	name string
	of   schema
}

func objectOf(required []string, properties ...property) schema {
	return schema{types: []string{"object"}, properties: properties, required: required, closed: true}
}

var text = schema{types: []string{"string"}}

// document reads a body: one JSON value, or nothing at all.
func document(r *gateway.Request) (gjson.Result, error) {
	body, err := r.Bytes()
	if err != nil || len(body) == 0 {
		return gjson.Result{}, err
	}
	if !gjson.ValidBytes(body) {
		return gjson.Result{}, fault.New(fault.Invalid, gateway.CodeMalformedBody, "Malformed request body")
	}
	return gjson.ParseBytes(bytes.TrimSpace(body)), nil
}

// Read is a body that the schema allows.
func read(r *gateway.Request, s schema) (gjson.Result, error) {
	doc, err := document(r)
	if err != nil {
		return doc, err
	}
	return doc, s.check(doc)
}

// flaw is what is wrong with a value, and where.
type flaw struct {
	path  string // the nearest name; empty at the top
	value gjson.Result
	what  string
}

func (s schema) check(doc gjson.Result) error {
	f := s.flaw("", doc)
	switch {
	case f == nil:
		return nil
	case f.path == "":
		return badRequest("%s", f.what)
	}
	return badRequest("Invalid input for field/attribute %s. Value: %s. %s", f.path, gateway.Str(f.value), f.what)
}

func (s schema) flaw(path string, v gjson.Result) *flaw {
	is := func(what string) *flaw { return &flaw{path, v, what} }
	if len(s.types) > 0 && !slices.ContainsFunc(s.types, func(t string) bool { return hasType(v, t) }) {
		return is(gateway.Repr(v) + " is not of type '" + strings.Join(s.types, "', '") + "'")
	}
	if v.IsObject() {
		if f := s.objectFlaw(path, v); f != nil {
			return f
		}
	}
	return s.scalarFlaw(v, is)
}

func (s schema) objectFlaw(path string, v gjson.Result) *flaw {
	is := func(what string) *flaw { return &flaw{path, v, what} }
	for _, p := range s.properties {
		if value := v.Get(escaped(p.name)); value.Exists() {
			if f := p.of.flaw(p.name, value); f != nil {
				return f
			}
		}
	}
	for _, name := range s.required {
		if !v.Get(escaped(name)).Exists() {
			return is(gateway.Quoted(name) + " is a required property")
		}
	}
	if s.keys != nil {
		return s.patternFlaw(is, v)
	}
	var extra []string
	v.ForEach(func(key, _ gjson.Result) bool {
		if !slices.ContainsFunc(s.properties, func(p property) bool { return p.name == key.Str }) {
			extra = append(extra, gateway.Quoted(key.Str))
		}
		return true
	})
	switch {
	case !s.closed || len(extra) == 0:
		return nil
	case len(extra) == 1:
		return is("Additional properties are not allowed (" + extra[0] + " was unexpected)")
	}
	return is("Additional properties are not allowed (" + strings.Join(extra, ", ") + " were unexpected)")
}

// patternFlaw checks an object whose names must fit a pattern.
func (s schema) patternFlaw(is func(string) *flaw, v gjson.Result) (f *flaw) {
	var odd []string
	count := 0
	v.ForEach(func(key, value gjson.Result) bool {
		count++
		if !s.keys.MatchString(key.Str) {
			odd = append(odd, gateway.Quoted(key.Str))
		} else if f == nil {
			f = s.value.flaw(key.Str, value)
		}
		return true
	})
	slices.Sort(odd)
	switch {
	case f != nil:
		return f
	case len(odd) == 1:
		return is(odd[0] + " does not match any of the regexes: " + gateway.Quoted(s.keys.String()))
	case len(odd) > 1:
		return is(strings.Join(odd, ", ") + " do not match any of the regexes: " + gateway.Quoted(s.keys.String()))
	case count < s.fewest:
		return is(gateway.Repr(v) + " does not have enough properties")
	case s.most > 0 && count > s.most:
		return is(gateway.Repr(v) + " has too many properties")
	}
	return nil
}

func (s schema) scalarFlaw(v gjson.Result, is func(string) *flaw) *flaw {
	word := v.Type == gjson.String
	switch {
	case word && s.pattern != nil && !s.pattern.MatchString(v.Str):
		return is(gateway.Repr(v) + " does not match " + gateway.Quoted(s.pattern.String()))
	case word && utf8.RuneCountInString(v.Str) < s.shortest:
		return is(gateway.Repr(v) + " is too short")
	case word && s.longest > 0 && utf8.RuneCountInString(v.Str) > s.longest:
		return is(gateway.Repr(v) + " is too long")
	case len(s.enum) > 0 && !slices.Contains(s.enum, v.Raw):
		list := gjson.Parse("[" + strings.Join(s.enum, ",") + "]")
		return is(gateway.Repr(v) + " is not one of " + gateway.Repr(list))
	case s.format == "ip" && word && !isIP(v.Str):
		return is(gateway.Repr(v) + " is not valid under any of the given schemas")
	case s.minimum != nil && belowMinimum(v, *s.minimum):
		return is(gateway.Str(v) + " is less than the minimum of " + strconv.Itoa(*s.minimum))
	}
	return nil
}

// belowMinimum counts numbers and Nova's numbers in strings.
func belowMinimum(v gjson.Result, minimum int) bool {
	n, err := strconv.ParseFloat(strings.TrimSpace(gateway.Str(v)), 64)
	return err == nil && n < float64(minimum)
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func hasType(v gjson.Result, kind string) bool {
	switch kind {
	case "object":
		return v.IsObject()
	case "array":
		return v.IsArray()
	case "string":
		return v.Type == gjson.String
	case "boolean":
		return v.Type == gjson.True || v.Type == gjson.False
	case "number":
		return v.Type == gjson.Number
	case "integer":
		return v.Type == gjson.Number && v.Num == math.Trunc(v.Num) && !strings.ContainsAny(v.Raw, ".eE")
	}
	return false
}

// escaped is a name as a path of gjson.
func escaped(name string) string {
	return strings.NewReplacer(".", `\.`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`, "!", `\!`).Replace(name)
}

// maxLimit is Nova's and the other services' longest page.
const maxLimit = 1000

var digits = regexp.MustCompile(`^[0-9]*$`)

// slicing reads offset and limit of Nova's lists that have no markers.
func slicing(query url.Values) (offset, limit int, err error) {
	if offset, err = count(query, "offset", 0); err != nil {
		return 0, 0, err
	}
	if limit, err = count(query, "limit", maxLimit); err != nil {
		return 0, 0, err
	}
	if limit == 0 || limit > maxLimit {
		limit = maxLimit
	}
	return offset, limit, nil
}

// count is the last of a parameter's values.
func count(query url.Values, name string, absent int) (int, error) {
	n := absent
	for _, value := range query[name] {
		wrong := ""
		switch {
		case !digits.MatchString(value):
			wrong = gateway.Quoted(value) + " does not match '^[0-9]*$'"
		case value == "":
			wrong = "'' is too short"
		}
		if wrong != "" {
			return 0, badRequest("Invalid input for query parameters %s. Value: %s. %s", name, value, wrong)
		}
		var err error
		if n, err = strconv.Atoi(value); err != nil {
			n = math.MaxInt32 // more than there is
		}
	}
	return n, nil
}

// part is the slice of a list that the client asked for.
func part[T any](list []T, offset, limit int) []T {
	offset = min(offset, len(list))
	return list[offset:min(offset+limit, len(list))]
}
