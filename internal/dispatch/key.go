package dispatch

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tidwall/gjson"
	"golang.org/x/text/unicode/norm"

	"github.com/tricircle/tricircle/internal/store"
)

// Type says how a key's values compare.
type Type int

// The types.
const (
	Plain Type = iota // numbers as numbers, text byte by byte
	Text              // as MySQL's general_ci: case and accents do not count
	Time
)

// Key is one key of a list's order.
type Key struct {
	Name string // as the service's query calls it
	Desc bool
	// Path is where a row has the value (gjson). Empty: rows do not show it; then
	// the list is in order within each pod, and pods follow each other by name.
	Path  string
	Type  Type
	Field func(store.Entry) any // the same out of the index: string, int or time.Time; nil: unknown there
}

// value is a key's value, ready to compare. The order of ranks is that of MySQL:
// null comes first.
type value struct {
	rank byte // 0 null, 1 number or time, 2 text
	num  float64
	text string
}

func (v value) compare(o value) int {
	if c := cmp.Compare(v.rank, o.rank); c != 0 {
		return c
	}
	if v.rank == 1 {
		return cmp.Compare(v.num, o.num)
	}
	return strings.Compare(v.text, o.text)
}

func (k Key) ofJSON(r gjson.Result) value {
	switch r.Type {
	case gjson.Null:
		return value{}
	case gjson.Number:
		return value{rank: 1, num: r.Num}
	case gjson.String:
		return k.ofString(r.Str)
	case gjson.True:
		return value{rank: 1, num: 1}
	case gjson.False:
		return value{rank: 1}
	}
	return value{rank: 2, text: r.Raw}
}

func (k Key) ofString(s string) value {
	switch k.Type {
	case Time:
		if t, ok := ParseTime(s); ok {
			return value{rank: 1, num: float64(t.UnixMicro())}
		}
	case Text:
		return value{rank: 2, text: fold(s)}
	}
	return value{rank: 2, text: s}
}

// ofEntry reads the key's value from the index.
func (k Key) ofEntry(e store.Entry) value {
	if k.Field == nil {
		return value{}
	}
	switch v := k.Field(e).(type) {
	case string:
		return k.ofString(v)
	case int:
		return value{rank: 1, num: float64(v)}
	case time.Time:
		return value{rank: 1, num: float64(v.UnixMicro())}
	}
	return value{}
}

// ParseTime reads the forms in which OpenStack writes times; all are UTC.
func ParseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// fold brings a text near to what MySQL's general_ci compares: upper case,
// without accents, without blanks at the end.
func fold(s string) string {
	s = strings.TrimRight(s, " ")
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToUpper(s)
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, norm.NFD.String(s))
}

// order compares rows by the keys; equal rows are ordered by ID in the direction
// of the last key.
type order struct {
	keys    []Key
	grouped bool // some key is not shown by rows: pod first, then the pod's own order
}

func newOrder(keys []Key) order {
	o := order{keys: keys}
	for _, k := range keys {
		o.grouped = o.grouped || k.Path == ""
	}
	return o
}

func (o order) compare(a, b []value) int {
	for i, k := range o.keys {
		c := a[i].compare(b[i])
		if c == 0 {
			continue
		}
		if k.Desc {
			return -c
		}
		return c
	}
	return 0
}

// reader reads ID and keys of a list's rows.
type reader struct {
	order order
	id    field
	keys  []field
	names []string // the members to look for
	found [][]byte
}

// field is where a row has a value: in a member, and deeper in it.
type field struct {
	member int // of reader.names; -1: nowhere
	rest   string
}

func newReader(o order, idPath string) *reader {
	r := &reader{order: o}
	r.id = r.field(idPath)
	for _, k := range o.keys {
		r.keys = append(r.keys, r.field(k.Path))
	}
	r.found = make([][]byte, len(r.names))
	return r
}

func (r *reader) field(path string) field {
	if path == "" {
		return field{member: -1}
	}
	name, rest, _ := strings.Cut(path, ".")
	i := slices.Index(r.names, name)
	if i < 0 {
		r.names = append(r.names, name)
		i = len(r.names) - 1
	}
	return field{i, rest}
}

// read fills in the keys, one per key of the order, of the row whose members have
// been found, and returns the ID.
func (r *reader) read(keys []value) (id string) {
	for i, k := range r.order.keys {
		keys[i] = k.ofJSON(r.get(r.keys[i]))
	}
	return r.get(r.id).String()
}

func (r *reader) get(f field) gjson.Result {
	if f.member < 0 || r.found[f.member] == nil {
		return gjson.Result{}
	}
	if f.rest != "" {
		return gjson.GetBytes(r.found[f.member], f.rest)
	}
	return gjson.ParseBytes(r.found[f.member])
}
func (o order) ofEntry(e store.Entry) []value {
	values := make([]value, len(o.keys))
	for i, k := range o.keys {
		values[i] = k.ofEntry(e)
	}
	return values
}

// indexed reports whether the index knows all keys.
func (o order) indexed() bool {
	for _, k := range o.keys {
		if k.Field == nil {
			return false
		}
	}
	return true
}

// The fields that the index knows, for Key.Field.

// ByID is the ID.
func ByID(e store.Entry) any { return e.ID }

// ByName is the name.
func ByName(e store.Entry) any { return e.Name }

// ByCreated is the time of creation.
func ByCreated(e store.Entry) any { return e.CreatedAt }

// ByProject is the project.
func ByProject(e store.Entry) any { return e.ProjectID }
