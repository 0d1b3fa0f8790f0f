package gateway

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// Edit replaces body[start:end].
type Edit struct {
	start, end int
	with       string
}

// Instead puts a text in the place of a value. The value must come of the document
// that is edited, for its index counts from there.
func Instead(value gjson.Result, with string) Edit {
	return Edit{value.Index, value.Index + len(value.Raw), with}
}

// Insert puts a text at a place.
func Insert(at int, text string) Edit { return Edit{at, at, text} }

// Renamed replaces a name by what the region calls it. Null and empty stay: no
// host yet, no zone yet.
func Renamed(edits []Edit, value gjson.Result, name func(string) string) []Edit {
	if value.Type != gjson.String || value.Str == "" {
		return edits
	}
	ours := name(value.Str)
	if ours == value.Str {
		return edits
	}
	return append(edits, Instead(value, string(Quote(ours))))
}

// Splice applies the edits, which must not overlap. Every other byte stays.
func Splice(body []byte, edits []Edit) []byte {
	if len(edits) == 0 {
		return body
	}
	slices.SortFunc(edits, func(a, b Edit) int { return a.start - b.start })
	size := len(body)
	for _, e := range edits {
		size += len(e.with) - (e.end - e.start)
	}
	out := make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(out, body[at:e.start]...)
		out = append(out, e.with...)
		at = e.end
	}
	return append(out, body[at:]...)
}

// WithoutMember is an object less the member of a name.
func WithoutMember(object gjson.Result, name string) string {
	var b strings.Builder
	b.WriteByte('{')
	object.ForEach(func(k, value gjson.Result) bool {
		if k.Str == name {
			return true
		}
		if b.Len() > 1 {
			b.WriteString(", ")
		}
		b.WriteString(k.Raw)
		b.WriteString(": ")
		b.WriteString(value.Raw)
		return true
	})
	b.WriteByte('}')
	return b.String()
}
