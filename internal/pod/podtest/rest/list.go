package rest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Store keeps documents by ID, in the order in which they came.
type Store struct {
	docs  map[string]Doc
	order []string
}

// Put adds or replaces a document.
func (s *Store) Put(id string, doc Doc) {
	if s.docs == nil {
		s.docs = map[string]Doc{}
	}
	if _, ok := s.docs[id]; !ok {
		s.order = append(s.order, id)
	}
	s.docs[id] = doc
}

// Find returns a document, or nil.
func (s *Store) Find(id string) Doc { return s.docs[id] }

// Delete forgets a document.
func (s *Store) Delete(id string) {
	if _, ok := s.docs[id]; !ok {
		return
	}
	delete(s.docs, id)
	s.order = slices.DeleteFunc(s.order, func(o string) bool { return o == id })
}

// All lists the documents, oldest first.
func (s *Store) All() []Doc {
	out := make([]Doc, 0, len(s.order))
	for _, id := range s.order {
		out = append(out, s.docs[id])
	}
	return out
}

// Where lists the documents for which keep is true, oldest first.
func (s *Store) Where(keep func(Doc) bool) []Doc {
	return slices.DeleteFunc(s.All(), func(d Doc) bool { return !keep(d) })
}

// SortKey is one key of an order.
type SortKey struct {
	Name string
	Desc bool
}

// Sort orders documents by keys, the first the most important.
func Sort(docs []Doc, keys []SortKey) {
	slices.SortStableFunc(docs, func(a, b Doc) int {
		for _, k := range keys {
			c := Compare(a[k.Name], b[k.Name])
			if k.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// Compare orders two JSON values as a database does: null first, numbers by
// size, all else by text.
func Compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(rank(a), rank(b))
	}
	x, okX := Number(a)
	y, okY := Number(b)
	if okX && okY {
		return cmp.Compare(x, y)
	}
	return strings.Compare(Text(a), Text(b))
}

func rank(v any) int {
	if v == nil {
		return 0
	}
	return 1
}

// Number reads a number out of a decoded or stored JSON value.
func Number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	}
	return 0, false
}

// Text is how a value looks in a query string.
func Text(v any) string {
	switch t := v.(type) {
	case nil:
		return ""
	case string:
		return t
	case bool:
		if t {
			return "True"
		}
		return "False"
	case float64:
		if t == float64(int64(t)) {
			return fmt.Sprint(int64(t))
		}
	case Doc:
		return python(t)
	}
	return fmt.Sprint(v)
}

// python writes an object as Nova's messages do.
func python(d Doc) string {
	parts := []string{}
	for k, v := range d {
		text := Text(v)
		if s, ok := v.(string); ok {
			text = "'" + s + "'"
		}
		parts = append(parts, "'"+k+"': "+text)
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}

// Matches says whether a value is what a query asks for. Booleans may be
// written in any case.
func Matches(v any, want string) bool {
	if b, ok := v.(bool); ok {
		w := strings.ToLower(want)
		return b == (w == "true" || w == "1" || w == "yes")
	}
	return Text(v) == want
}

// Str is a document's text, or "".
func Str(d Doc, key string) string {
	s, _ := d[key].(string)
	return s
}

// Bool is a document's boolean, or false.
func Bool(d Doc, key string) bool {
	b, _ := d[key].(bool)
	return b
}

// Docs is a document's list of objects. It reads both what was decoded and
// what a handler stored.
func Docs(d Doc, key string) []Doc {
	switch list := d[key].(type) {
	case []Doc:
		return list
	case []any:
		out := make([]Doc, 0, len(list))
		for _, v := range list {
			if doc, ok := v.(Doc); ok {
				out = append(out, doc)
			}
		}
		return out
	}
	return nil
}

// Strings is a document's list of texts.
func Strings(d Doc, key string) []string {
	switch list := d[key].(type) {
	case []string:
		return list
	case []any:
		out := make([]string, 0, len(list))
		for _, v := range list {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}
