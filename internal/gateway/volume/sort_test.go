package volume

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/gateway"
)

// TestPaging is about what the pods are asked for: Cinder ends every order by time
// and ID in the direction of the first key, and not every list has pages.
func TestPaging(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		of      resource
		version string
		query   string
		sort    string
		limit   int
		whole   bool
	}{
		{"no order", volumes, "3.0", "", "created_at:desc,id:desc", 1000, false},
		{"one key", volumes, "3.0", "sort=name:asc", "name:asc,created_at:asc,id:asc", 1000, false},
		{"two keys", volumes, "3.0", "sort=size:desc,name:asc&limit=2", "size:desc,name:asc,created_at:desc,id:desc", 2, false},
		{"old form", volumes, "3.0", "sort_key=id&sort_dir=asc", "id:asc", 1000, false},
		{"only a direction", volumes, "3.0", "sort_dir=asc", "created_at:asc,id:asc", 1000, false},
		{"too many", volumes, "3.0", "limit=5000", "created_at:desc,id:desc", 1000, false},
		{"messages of old", messages, "3.4", "limit=1&sort=id:asc", "created_at:desc,id:desc", 0, true},
		{"messages", messages, "3.5", "limit=1&sort=id:asc", "id:asc", 1, false},
		{"transfers of old", transfers, "3.58", "limit=1", "created_at:asc,id:asc", 1, true},
		{"transfers", transfers, "3.59", "limit=1", "created_at:desc,id:desc", 1, false},
		{"the old path of transfers", oldTransfers, "3.70", "limit=0", "created_at:asc,id:asc", 1000, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			version, _ := gateway.ParseMicroversion(test.version)
			list := dispatch.List{Sort: test.of.own}
			if err := test.of.paging(&list, version, query); err != nil {
				t.Fatal(err)
			}
			got := []any{sortQuery(list.Sort).Get("sort"), list.Limit, list.Whole, len(query)}
			if diff := cmp.Diff([]any{test.sort, test.limit, test.whole, 0}, got); diff != "" {
				t.Errorf("order, limit, whole, what is left of the query (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOrdersThatRowsShow: only by what rows show the pods' rows can be mixed.
func TestOrdersThatRowsShow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		of    resource
		sort  string
		shown bool
	}{
		{volumes, "name:asc", true}, {volumes, "host:asc", false}, {attachments, "created_at:desc", false}, {attachments, "id:asc", true},
	} {
		order, err := test.of.order(url.Values{"sort": {test.sort}})
		if err != nil {
			t.Fatal(err)
		}
		shown := true
		for _, k := range order {
			shown = shown && k.Path != ""
		}
		if shown != test.shown {
			t.Errorf("%s by %s: rows show all keys: %v, want %v", test.of.field, test.sort, shown, test.shown)
		}
	}
}
