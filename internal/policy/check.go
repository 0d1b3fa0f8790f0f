package policy

import (
	"regexp"
	"slices"
	"strings"
)

// check is one rule, read.
type check interface {
	holds(q *question) (bool, error)
	// refers calls f with the names of the rules that it builds on.
	refers(f func(rule string))
}

// question is what a rule is asked.
type question struct {
	rules *Rules
	creds Creds
	about Target
}

type always bool

func (c always) holds(*question) (bool, error) { return bool(c), nil }
func (always) refers(func(string))             {}

type not struct{ inner check }

func (c not) holds(q *question) (bool, error) {
	ok, err := c.inner.holds(q)
	return !ok && err == nil, err
}
func (c not) refers(f func(string)) { c.inner.refers(f) }

type and []check

func (all and) holds(q *question) (bool, error) {
	for _, c := range all {
		if ok, err := c.holds(q); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (all and) refers(f func(string)) {
	for _, c := range all {
		c.refers(f)
	}
}

type or []check

func (all or) holds(q *question) (bool, error) {
	for _, c := range all {
		if ok, err := c.holds(q); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (all or) refers(f func(string)) { and(all).refers(f) }

// rule is another rule by name. One that nobody has written is the rule "default".
type rule string

func (c rule) holds(q *question) (bool, error) {
	if q.rules.Has(string(c)) {
		return q.rules.checks[string(c)].holds(q)
	}
	if q.rules.Has(defaultRule) {
		return q.rules.checks[defaultRule].holds(q)
	}
	return false, nil
}

func (c rule) refers(f func(string)) { f(string(c)) }

// leaf is a check that builds on no other.
type leaf func(q *question) (bool, error)

func (c leaf) holds(q *question) (bool, error) { return c(q) }
func (leaf) refers(func(string))               {}

var placeholder = regexp.MustCompile(`%\(([^)]*)\)s`)

// fill puts the target's values into text; false if it lacks one.
func (q *question) fill(text string) (string, bool, error) {
	if !strings.Contains(text, "%(") {
		return text, true, nil
	}
	complete, failed := true, error(nil)
	filled := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		v, ok, err := q.about.value(match[2 : len(match)-2])
		complete = complete && ok
		if err != nil {
			failed = err
		}
		return shown(v)
	})
	return filled, complete, failed
}

// role holds for callers with the role; names are the same in any case.
func role(name string) check {
	return leaf(func(q *question) (bool, error) {
		wanted, ok, err := q.fill(name)
		has := slices.ContainsFunc(q.creds.Roles, func(r string) bool { return strings.EqualFold(r, wanted) })
		return ok && has && err == nil, err
	})
}

// same compares a value of the caller's, or one written in quotes, with text that
// may name values of the target's.
func same(mine, text string) check {
	fixed, isFixed := literal(mine)
	return leaf(func(q *question) (bool, error) {
		wanted, ok, err := q.fill(text)
		if !ok || err != nil {
			return false, err
		}
		if isFixed {
			return fixed == wanted, nil
		}
		has, ok := q.creds.value(mine)
		return ok && has == wanted, nil
	})
}

func literal(word string) (string, bool) {
	switch word {
	case "True", "False", "None":
		return word, true
	}
	if n := len(word); n >= 2 && (word[0] == '\'' || word[0] == '"') && word[n-1] == word[0] {
		return word[1 : n-1], true
	}
	return word, word != "" && strings.Trim(word, "0123456789") == ""
}

// field compares an attribute of the target: field:networks:shared=True, or with
// a tilde a regular expression for its beginning. Whatever is on a network can be
// asked for being shared: the network is.
func field(text string) (check, bool) {
	resource, rest, ok := strings.Cut(text, ":")
	name, wanted, valued := strings.Cut(rest, "=")
	if !ok || !valued {
		return nil, false
	}
	matches := func(has string) bool { return has == wanted }
	if pattern, ok := strings.CutPrefix(wanted, "~"); ok {
		re, err := regexp.Compile(`\A(?:` + pattern + `)`)
		if err != nil {
			return nil, false
		}
		matches = re.MatchString
	}
	return leaf(func(q *question) (bool, error) {
		v, ok, err := q.about.value(name)
		if !ok && err == nil && resource == "networks" && name == "shared" {
			v, ok, err = q.about.value("network:shared")
		}
		return ok && v != nil && err == nil && matches(shown(v)), err
	}), true
}
