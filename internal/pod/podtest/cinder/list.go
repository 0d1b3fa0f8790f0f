package cinder

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// row is a thing in a list: what it is sorted and filtered by, and how it looks.
type row struct {
	id, project string
	key         rest.Doc
	show        func() rest.Doc
}

// listing is a list on its way.
type listing struct {
	rows  []row
	field string
	links string // empty: the list has no links
	path  string // of the list
	count bool   // it tells how many there are, if asked
}

// stamp is a time as the database keeps it: by the second.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// page is a list in order, filtered, from the marker on.
func (s *Server) page(r *rest.Request, l listing, marker func(id string) error) (*rest.Reply, error) {
	q := r.URL.Query()
	limit, err := readLimit(q)
	if err != nil {
		return nil, err
	}
	offset, err := readOffset(q)
	if err != nil {
		return nil, err
	}
	keys, err := order(q)
	if err != nil {
		return nil, err
	}
	rows := slices.DeleteFunc(l.rows, func(x row) bool { return !seen(r, q, x) })
	slices.SortStableFunc(rows, func(a, b row) int { return compare(a.key, b.key, keys) })
	total := len(rows)
	if id := q.Get("marker"); id != "" {
		if err := marker(id); err != nil {
			return nil, err
		}
		rows = rows[slices.IndexFunc(rows, func(x row) bool { return x.id == id })+1:]
	}
	rows = rows[min(offset, len(rows)):]
	out := rest.Doc{}
	if limit > 0 && len(rows) >= limit {
		rows = rows[:limit]
		if l.links != "" {
			out[l.links] = []rest.Doc{{"rel": "next", "href": base(r) + "/" + l.path + "?" + nextQuery(q, rows[limit-1].id)}}
		}
	}
	docs := []rest.Doc{}
	for _, x := range rows[:min(limit, len(rows))] {
		docs = append(docs, x.show())
	}
	out[l.field] = docs
	if l.count && r.Minor >= 45 && truth(q.Get("with_count")) {
		out["count"] = total
	}
	return rest.OK(out)
}

func truth(text string) bool { return text == "1" || strings.EqualFold(text, "true") }

// seen says whether the caller's list has the row.
func seen(r *rest.Request, q url.Values, x row) bool {
	if x.project != r.Caller.ProjectID && (!truth(q.Get("all_tenants")) || !r.Caller.Admin()) {
		return false
	}
	for name, value := range x.key {
		if want, ok := q[name]; ok && !rest.Matches(value, want[0]) {
			return false
		}
	}
	return true
}

func compare(a, b rest.Doc, keys []rest.SortKey) int {
	for _, k := range keys {
		c := rest.Compare(a[k.Name], b[k.Name])
		if k.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func readOffset(q url.Values) (int, error) {
	text := q.Get("offset")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, badRequest("offset must be an integer")
	case n < 0:
		return 0, badRequest("offset must be >= 0")
	}
	return n, nil
}

var sortable = []string{"id", "name", "display_name", "size", "status", "created_at", "updated_at", "volume_id", "user_id", "project_id", "host", "expires_at"}

func nextQuery(q url.Values, marker string) string {
	other := url.Values{}
	for k, v := range q {
		other[k] = v
	}
	other.Set("marker", marker)
	return other.Encode()
}

func readLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return 1000, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, badRequest("limit param must be an integer")
	}
	if n < 0 {
		return 0, badRequest("limit param must be positive")
	}
	return min(n, 1000), nil
}

// order is by default the newest first, the ID downwards within a second.
func order(q url.Values) ([]rest.SortKey, error) {
	parts := []string{"created_at:desc"}
	switch {
	case q.Get("sort") != "":
		parts = strings.Split(q.Get("sort"), ",")
	case q.Get("sort_key") != "":
		dir := q.Get("sort_dir")
		if dir == "" {
			dir = "desc"
		}
		parts = []string{q.Get("sort_key") + ":" + dir}
	}
	keys := []rest.SortKey{}
	last := "desc"
	for _, p := range parts {
		name, dir, ok := strings.Cut(strings.TrimSpace(p), ":")
		if !ok {
			dir = "desc"
		}
		if !slices.Contains(sortable, name) {
			return nil, badRequest("Invalid input received: Invalid sort key: %s", name)
		}
		if dir != "asc" && dir != "desc" {
			return nil, badRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
		}
		keys, last = append(keys, rest.SortKey{Name: name, Desc: dir == "desc"}), dir
	}
	return append(keys, rest.SortKey{Name: "id", Desc: last == "desc"}), nil
}
