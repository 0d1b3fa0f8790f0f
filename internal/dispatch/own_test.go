package dispatch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// ownRows makes the servers rows of the region itself.
func ownRows(servers []server) []Own {
	var rows []Own
	for _, s := range servers {
		rows = append(rows, Own{ID: s.ID, Raw: []byte(encoded(s)), Shown: []byte(`{"id": "` + s.ID + `"}`)})
	}
	return rows
}

// TestOwnRowsTakeTheirPlace: a list with rows that no pod has is the sorted union,
// page by page, whichever row ends a page.
func TestOwnRowsTakeTheirPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		own := &fakePod{name: "own", servers: drawServers(t, "own")}
		l := serverList(drawOrder(t, []string{"created_at", "display_name", "size"})...)
		l.Own = ownRows(own.servers)
		l.Limit = rapid.IntRange(0, 10).Draw(t, "limit")
		l.PageSize = rapid.IntRange(1, 12).Draw(t, "page")
		d := newTest(&fakeIndex{}, pods...)
		otherReplica := rapid.Bool().Draw(t, "another replica answers each page")
		got := walk(t, &d, l, func() {
			if otherReplica {
				d = newTest(&fakeIndex{}, pods...)
			}
		})
		if diff := cmp.Diff(union(append(pods, own), l.Sort), got); diff != "" {
			t.Fatalf("pages differ from the sorted union (-want +got):\n%s", diff)
		}
	})
}

// Where only the pods know the order the region's own rows come first, as they are.
func TestOwnRowsComeFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		own := drawServers(t, "own")
		l := serverList(testKeys["host"], testKeys["uuid"])
		l.Own = ownRows(own)
		l.Limit = rapid.IntRange(0, 7).Draw(t, "limit")
		want := []string{}
		for _, s := range own {
			want = append(want, s.ID)
		}
		for _, p := range pods {
			want = append(want, union([]*fakePod{p}, l.Sort)...)
		}
		if diff := cmp.Diff(want, walk(t, fresh(&fakeIndex{}, pods...), l, nil)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// What the pods show again is left out, and does not end the list.
func TestHiddenRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		l := serverList(testKeys["created_at"], testKeys["uuid"])
		l.Limit = rapid.IntRange(1, 7).Draw(t, "limit")
		l.PageSize = rapid.IntRange(1, 12).Draw(t, "page")
		hidden := map[string]bool{}
		var want []string
		for _, id := range union(pods, l.Sort) {
			if rapid.Bool().Draw(t, "hidden") {
				hidden[id] = true
				continue
			}
			want = append(want, id)
		}
		l.Hide = func(raw []byte) bool { return hidden[gjson.GetBytes(raw, "id").Str] }
		if diff := cmp.Diff(append([]string{}, want...), walk(t, fresh(&fakeIndex{}, pods...), l, nil)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
