package dispatch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestListsWithoutLinks is about lists of which pods do not say whether there is
// more, and those that pods give whole.
func TestListsWithoutLinks(t *testing.T) {
	t.Parallel()
	newPods := func() []*fakePod {
		one, other := &fakePod{name: "pod1", cap: 100}, &fakePod{name: "pod2", cap: 100}
		for i, created := range []string{"2026-11-22T10:00:01Z", "2026-11-22T10:00:02Z", "2026-11-22T10:00:03Z", "2026-11-22T10:00:04Z", "2026-11-22T10:00:05Z"} {
			p := []*fakePod{one, other}[i%2]
			p.servers = append(p.servers, server{ID: string(rune('a' + i)), Created: created, Project: "demo"})
		}
		return []*fakePod{one, other}
	}
	for _, test := range []struct {
		name   string
		change func(*List)
		want   []string
	}{
		{"a full page means more", func(l *List) { l.Next, l.PageSize = "", 2 }, []string{"e", "d", "c", "b", "a"}},
		{"whole", func(l *List) { l.Whole, l.PageSize, l.SortQuery = true, 2, nil }, []string{"e", "d", "c", "b", "a"}},
		{"part of a whole", func(l *List) { l.Whole, l.Limit, l.Skip = true, 2, 1 }, []string{"d", "c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pods := newPods()
			if test.name == "whole" { // in the pod's own order, which is ours
				for _, p := range pods {
					sortServers(p.servers, []string{"created_at"}, []string{"desc"})
				}
			}
			l := serverList(newestFirst()...)
			test.change(&l)
			got, _, err := ids(t, newTest(&fakeIndex{}, pods...), l)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if l.Whole && len(pods[0].calls) != 1 {
				t.Errorf("pod1 was asked %q, want it once", pods[0].calls)
			}
		})
	}
}
