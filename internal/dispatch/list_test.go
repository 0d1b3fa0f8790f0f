package dispatch

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

func drawServers(t *rapid.T, podName string) []server {
	var rows []server
	for i := range rapid.IntRange(0, 25).Draw(t, podName) {
		s := server{
			ID:     fmt.Sprintf("%x%s-%d", rapid.IntRange(0, 15).Draw(t, "id"), podName, i),
			Name:   rapid.SampledFrom([]string{"a", "B", "b", "Web", "web", "c", ""}).Draw(t, "name"),
			Status: "ACTIVE", Project: "demo",
			Created: time.Unix(int64(1e9+rapid.IntRange(0, 600).Draw(t, "created")), 0).UTC().Format(time.RFC3339),
		}
		if n := rapid.IntRange(-1, 3).Draw(t, "size"); n >= 0 {
			s.Size = &n
		}
		rows = append(rows, s)
	}
	return rows
}

func drawOrder(t *rapid.T, names []string) []Key {
	var keys []Key
	for _, name := range append(rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 2, rapid.ID[string]).Draw(t, "keys"), "uuid") {
		k := testKeys[name]
		k.Desc = rapid.Bool().Draw(t, "desc")
		keys = append(keys, k)
	}
	return keys
}

// union is what one cloud with all these servers would list.
func union(pods []*fakePod, keys []Key) []string {
	var rows []server
	for _, p := range pods {
		rows = append(rows, p.servers...)
	}
	query := novaSort(keys)
	sortServers(rows, query["sort_key"], query["sort_dir"])
	want := []string{}
	for _, s := range rows {
		want = append(want, s.ID)
	}
	return want
}

func drawPods(t *rapid.T) []*fakePod {
	var pods []*fakePod
	for i := range rapid.IntRange(1, 4).Draw(t, "pods") {
		name := fmt.Sprintf("pod%d", i+1)
		pods = append(pods, &fakePod{name: name, cap: rapid.IntRange(1, 30).Draw(t, "cap"), servers: drawServers(t, name)})
	}
	return pods
}

// walk reads all pages, as a client does that passes on the last ID it saw. Between
// them the dispatcher may be exchanged: another replica answers.
func walk(t *rapid.T, d **Dispatcher, l List, between func()) []string {
	all := []string{}
	for range 1000 {
		page, _, err := ids(t, *d, l)
		if err != nil {
			t.Fatalf("List(marker %q) = %v", l.Marker, err)
		}
		all = append(all, page...)
		if len(page) < l.Limit || l.Limit == 0 {
			return all
		}
		l.Marker = strings.TrimSuffix(page[len(page)-1], "?")
		if between != nil {
			between()
		}
	}
	t.Fatalf("the list does not end")
	return nil
}

func fresh(index Index, pods ...*fakePod) **Dispatcher {
	d := newTest(index, pods...)
	return &d
}

func TestPagesAreTheSortedUnion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		index := &fakeIndex{}
		d := newTest(index, pods...)
		l := serverList(drawOrder(t, []string{"created_at", "display_name", "size"})...)
		l.Limit = rapid.IntRange(0, 10).Draw(t, "limit")
		l.PageSize = rapid.IntRange(1, 12).Draw(t, "page")
		known := rapid.Bool().Draw(t, "indexed")
		if known {
			for _, p := range pods {
				for _, s := range p.servers {
					index.entries = append(index.entries, s.entry(p.name))
				}
			}
		}
		otherReplica := rapid.Bool().Draw(t, "another replica answers each page")
		got := walk(t, &d, l, func() {
			if otherReplica {
				d = newTest(index, pods...)
			}
		})
		if diff := cmp.Diff(union(pods, l.Sort), got); diff != "" {
			t.Fatalf("pages differ from the sorted union (-want +got):\n%s", diff)
		}
	})
}

// Whatever fails and whenever: each ID once, in order, since the index knows them.
func TestFailingPodsLoseNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		index := &fakeIndex{}
		for _, p := range pods {
			for _, s := range p.servers {
				index.entries = append(index.entries, s.entry(p.name))
			}
			faults := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "down", "error", "garbage", "cut"}), 8, 8).Draw(t, "faults")
			p.fault = func(call int) string { return faults[call%len(faults)] }
		}
		l := serverList(drawOrder(t, []string{"created_at", "display_name"})...)
		l.Limit = rapid.IntRange(0, 10).Draw(t, "limit")
		l.PageSize = rapid.IntRange(1, 12).Draw(t, "page")
		got := walk(t, fresh(index, pods...), l, nil)
		for i := range got {
			got[i] = strings.TrimSuffix(got[i], "?")
		}
		if diff := cmp.Diff(union(pods, l.Sort), got); diff != "" {
			t.Fatalf("pages differ from the sorted union (-want +got):\n%s", diff)
		}
	})
}

// Rows that come between pages appear if their place is still ahead; those that
// stay appear exactly once. A deleted marker does no harm.
func TestChangesBetweenPages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		index := &fakeIndex{}
		d := newTest(index, pods...)
		l := serverList(drawOrder(t, []string{"created_at", "size"})...)
		l.Limit = rapid.IntRange(1, 6).Draw(t, "limit")
		l.PageSize = rapid.IntRange(1, 12).Draw(t, "page")
		stay := map[string]bool{}
		for _, id := range union(pods, l.Sort) {
			stay[id] = true
		}
		round, rows := 0, map[string]server{}
		note := func() {
			for _, p := range pods {
				for _, s := range p.servers {
					rows[s.ID] = s
				}
			}
		}
		note()
		got := walk(t, &d, l, func() {
			defer note()
			p := pods[rapid.IntRange(0, len(pods)-1).Draw(t, "which")]
			round++
			if len(p.servers) > 0 && rapid.Bool().Draw(t, "delete") {
				i := rapid.IntRange(0, len(p.servers)-1).Draw(t, "gone")
				delete(stay, p.servers[i].ID)
				p.servers = slices.Delete(slices.Clone(p.servers), i, i+1)
				return
			}
			if round < 20 {
				p.servers = append(slices.Clone(p.servers), drawServers(t, fmt.Sprintf("new%d", round))...)
			}
		})
		times := map[string]int{}
		for _, id := range got {
			times[id]++
			if times[id] > 1 {
				t.Fatalf("%s is listed twice: %v", id, got)
			}
		}
		for id := range stay {
			if times[id] == 0 {
				t.Fatalf("%s is missing: %v", id, got)
			}
		}
		var listed []server
		for _, id := range got {
			listed = append(listed, rows[id])
		}
		inOrder := slices.Clone(listed)
		sortServers(inOrder, novaSort(l.Sort)["sort_key"], novaSort(l.Sort)["sort_dir"])
		if diff := cmp.Diff(inOrder, listed); diff != "" {
			t.Fatalf("not in order (-want +got):\n%s", diff)
		}
	})
}

// A key that rows do not show: each pod's own order, pods by name.
func TestKeysThatRowsDoNotShow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		l := serverList(testKeys["host"], testKeys["uuid"])
		l.Limit = rapid.IntRange(0, 7).Draw(t, "limit")
		var want []string
		for _, p := range pods {
			want = append(want, union([]*fakePod{p}, l.Sort)...)
		}
		got := walk(t, fresh(&fakeIndex{}, pods...), l, nil)
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestUniqueListsShowAnIDOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		copied := append(slices.Clone(pods[len(pods)-1].servers), pods[0].servers...)
		for i := range copied {
			copied[i].Created = time.Unix(int64(1e9+rapid.IntRange(0, 600).Draw(t, "created")), 0).UTC().Format(time.RFC3339)
		}
		extra := &fakePod{name: "podx", cap: 5, servers: slices.CompactFunc(copied, func(a, b server) bool { return a.ID == b.ID })}
		l := serverList(drawOrder(t, []string{"created_at", "display_name"})...)
		l.Unique, l.Limit = true, rapid.IntRange(0, 7).Draw(t, "limit")
		if len(pods) == 1 {
			extra.servers = extra.servers[:len(pods[0].servers)]
		}
		want := union(pods, l.Sort)
		got := walk(t, fresh(&fakeIndex{}, append(slices.Clone(pods), extra)...), l, nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// two are two pods with two servers each, created in turn.
func two() []*fakePod {
	at := func(n int) string { return time.Unix(1e9+int64(n), 0).UTC().Format(time.RFC3339) }
	return []*fakePod{
		{name: "pod1", cap: 1000, servers: []server{
			{ID: "a1", Created: at(1), Project: "demo"}, {ID: "a3", Created: at(3), Project: "demo"}}},
		{name: "pod2", cap: 1000, servers: []server{
			{ID: "b2", Created: at(2), Project: "demo"}, {ID: "b4", Created: at(4), Project: "demo"}}},
	}
}

func indexOf(pods []*fakePod) *fakeIndex {
	index := &fakeIndex{}
	for _, p := range pods {
		for _, s := range p.servers {
			index.entries = append(index.entries, s.entry(p.name))
		}
	}
	return index
}

func always(what string) func(int) string { return func(int) string { return what } }

func TestListWithAPodInTrouble(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		faults [2]string
		change func(*List)
		want   []string
		away   string
		kind   fault.Kind
	}{
		{name: "all well", want: []string{"b4", "a3", "b2", "a1"}},
		{name: "refuses connections", faults: [2]string{"", "down"}, want: []string{"b4?", "a3", "b2?", "a1"}, away: "pod2"},
		{name: "hangs", faults: [2]string{"", "hang"}, want: []string{"b4?", "a3", "b2?", "a1"}, away: "pod2"},
		{name: "answers 500", faults: [2]string{"error", ""}, want: []string{"b4", "a3?", "b2", "a1?"}, away: "pod1"},
		{name: "answers garbage", faults: [2]string{"", "garbage"}, want: []string{"b4?", "a3", "b2?", "a1"}, away: "pod2"},
		{name: "cuts its body", faults: [2]string{"", "cut"}, want: []string{"b4?", "a3", "b2?", "a1"}, away: "pod2"},
		{name: "one refuses what the other takes", faults: [2]string{"", "refuse"}, want: []string{"b4?", "a3", "b2?", "a1"}, away: "pod2"},
		{name: "no placeholders", faults: [2]string{"", "down"}, change: func(l *List) { l.Placeholder = nil },
			want: []string{"a3", "a1"}, away: "pod2"},
		{name: "strict", faults: [2]string{"", "down"}, change: func(l *List) { l.Strict = true }, kind: fault.Unavailable},
		{name: "all refuse", faults: [2]string{"refuse", "refuse"}, kind: fault.Invalid},
		{name: "all away", faults: [2]string{"down", "error"}, want: []string{"b4?", "a3?", "b2?", "a1?"}, away: "pod1, pod2"},
		{name: "all away, no placeholders", faults: [2]string{"down", "error"},
			change: func(l *List) { l.Placeholder = nil }, kind: fault.Unavailable},
		{name: "another project's rows stay hidden", faults: [2]string{"", "down"},
			change: func(l *List) { l.By.ProjectID = "alt" }, want: []string{"a3", "a1"}, away: "pod2"},
		{name: "limit", faults: [2]string{"", "down"}, change: func(l *List) { l.Limit = 3 }, want: []string{"b4?", "a3", "b2?"}, away: "pod2"},
		{name: "marker in the pod that is away", faults: [2]string{"", "down"},
			change: func(l *List) { l.Marker = "b4" }, want: []string{"a3", "b2?", "a1"}, away: "pod2"},
		{name: "unknown marker", change: func(l *List) { l.Marker = "zz" }, kind: fault.Invalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pods := two()
			index := indexOf(pods)
			for i, what := range test.faults {
				pods[i].fault = always(what)
			}
			l := serverList(newestFirst()...)
			if test.change != nil {
				test.change(&l)
			}
			got, result, err := ids(t, newTest(index, pods...), l)
			if test.kind != 0 {
				if !fault.Is(err, test.kind) {
					t.Fatalf("List() = %v, want kind %v", err, test.kind)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := strings.Join(result.Unreachable(), ", "); got != test.away {
				t.Errorf("Unreachable() = %q, want %q", got, test.away)
			}
		})
	}
}

func TestMarkerIsFoundWithoutIndexOrCursor(t *testing.T) {
	t.Parallel()
	l := serverList(newestFirst()...)
	l.Marker = "b4"
	got, _, err := ids(t, newTest(&fakeIndex{}, two()...), l)
	if diff := cmp.Diff([]string{"a3", "b2", "a1"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestTailSeesCountAndMembers(t *testing.T) {
	t.Parallel()
	l := serverList(newestFirst()...)
	l.Limit = 2
	var got Summary
	l.Tail = func(dst []byte, s Summary) []byte {
		got = s
		return append(dst, `, "servers_links": []`...)
	}
	if _, _, err := ids(t, newTest(&fakeIndex{}, two()...), l); err != nil {
		t.Fatal(err)
	}
	if got.Count != 2 || got.LastID != "a3" || !got.Full {
		t.Errorf("Summary = %+v, want 2 rows, last a3, full", got)
	}
}

func TestRowsReachTheIndex(t *testing.T) {
	t.Parallel()
	index := &fakeIndex{}
	pods := two()
	d := newTest(index, pods...)
	ctx, cancel := context.WithCancel(context.Background())
	for range 2 { // what was seen already is not recorded again
		if _, _, err := ids(t, d, serverList(newestFirst()...)); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	d.Run(ctx)
	if index.recorded != 4 {
		t.Errorf("%d entries were recorded, want 4", index.recorded)
	}
	e, err := index.FindEntry(ctx, store.KindServer, "b2")
	if err != nil || e.Pod != "pod2" || e.Zone != "zone-pod2" || e.ProjectID != "demo" || e.CreatedAt.Unix() != 1e9+2 {
		t.Errorf("entry of b2 = %+v, %v", e, err)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		faults [2]string
		id     string
		want   string
		kind   fault.Kind
	}{
		{name: "asks all", id: "b2", want: "pod2"},
		{name: "nobody has it", id: "zz", kind: fault.NotFound},
		{name: "found although a pod is away", faults: [2]string{"down", ""}, id: "b2", want: "pod2"},
		{name: "the pod that is away may have it", faults: [2]string{"down", ""}, id: "zz", kind: fault.Unavailable},
		{name: "a pod hangs", faults: [2]string{"hang", ""}, id: "zz", kind: fault.Unavailable},
		{name: "path in the ID", id: "../x", kind: fault.NotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pods := two()
			for i, what := range test.faults {
				pods[i].fault = always(what)
			}
			index := &fakeIndex{}
			d := newTest(index, pods...)
			got, err := d.Locate(context.Background(), demo, store.KindServer, test.id)
			if got != test.want || test.kind == 0 && err != nil || test.kind != 0 && !fault.Is(err, test.kind) {
				t.Errorf("Locate(%s) = %q, %v; want %q, kind %v", test.id, got, err, test.want, test.kind)
			}
			calls := len(pods[1].calls)
			_, _ = d.Locate(context.Background(), demo, store.KindServer, test.id)
			if test.kind != fault.Unavailable && len(pods[1].calls) != calls {
				t.Errorf("the second question went to the pods, want it remembered")
			}
		})
	}
}

func TestHeaderAndQueryReachThePods(t *testing.T) {
	t.Parallel()
	pods := two()[:1]
	l := serverList(newestFirst()...)
	l.Query = url.Values{"name": {"web"}}
	l.Limit = 7
	if _, _, err := ids(t, newTest(&fakeIndex{}, pods...), l); err != nil {
		t.Fatal(err)
	}
	want := []string{"/servers/detail?limit=7&name=web&sort_dir=desc&sort_dir=desc&sort_key=created_at&sort_key=uuid"}
	if diff := cmp.Diff(want, pods[0].calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Nova lists servers that it has not scheduled yet before all others, whatever the
// order. That must not make others vanish.
func TestServersThatAreNotScheduledYet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := drawPods(t)
		for _, p := range pods {
			if len(p.servers) > 0 && rapid.Bool().Draw(t, "early") {
				p.early = p.servers[rapid.IntRange(0, len(p.servers)-1).Draw(t, "which")].ID
			}
		}
		l := serverList(drawOrder(t, []string{"created_at", "display_name", "size"})...)
		l.Limit = rapid.IntRange(0, 10).Draw(t, "limit")
		l.PageSize = rapid.IntRange(1, 12).Draw(t, "page")
		got, want := walk(t, fresh(&fakeIndex{}, pods...), l, nil), union(pods, l.Sort)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// TestMarkersCostLittle: a replica that has not given out the page before finds the
// place in the index by a few rows per pod, not by all.
func TestMarkersCostLittle(t *testing.T) {
	t.Parallel()
	for _, desc := range []bool{true, false} {
		var pods []*fakePod
		for i := range 3 {
			p := &fakePod{name: fmt.Sprintf("pod%d", i+1), cap: 1000}
			for n := range 500 {
				p.servers = append(p.servers, server{ID: fmt.Sprintf("%s-%03d", p.name, n), Project: "demo",
					Created: time.Unix(int64(1e9+n*600), 0).UTC().Format(time.RFC3339)})
			}
			pods = append(pods, p)
		}
		index := indexOf(pods)
		l := serverList(newestFirst()...)
		l.Sort[0].Desc, l.Sort[1].Desc = desc, desc
		l.Limit, l.Marker = 10, "pod2-250"
		got, _, err := ids(t, newTest(index, pods...), l)
		if err != nil || len(got) != 10 {
			t.Fatalf("%v, %v", got, err)
		}
		want := union(pods, l.Sort)
		if at := slices.Index(want, l.Marker); cmp.Diff(want[at+1:at+11], got) != "" {
			t.Errorf("after the marker: %v, want %v", got, want[at+1:at+11])
		}
		if index.read > 3*nearby {
			t.Errorf("%d entries were read from the index", index.read)
		}
		for _, p := range pods {
			if calls := len(p.calls); calls > 2 {
				t.Errorf("%s was asked %d times", p.name, calls)
			}
		}
	}
}

// TestAPodThatIsAwayCostsAPage: of the index as much is read as the page needs, also
// when many servers were created at one moment.
func TestAPodThatIsAwayCostsAPage(t *testing.T) {
	t.Parallel()
	p := &fakePod{name: "pod1", cap: 1000, fault: always("down")}
	for n := range 5000 {
		created := 1e9 + n
		if n >= 1500 && n < 4000 {
			created = 1e9 + 1500
		}
		p.servers = append(p.servers, server{ID: fmt.Sprintf("%04d", n), Project: "demo", Created: time.Unix(int64(created), 0).UTC().Format(time.RFC3339)})
	}
	index := indexOf([]*fakePod{p})
	l := serverList(newestFirst()...)
	l.Limit = 700
	want := union([]*fakePod{p}, l.Sort)
	got := []string{}
	for range 8 {
		index.read = 0
		page, _, err := ids(t, newTest(index, p), l)
		if err != nil {
			t.Fatal(err)
		}
		if l.Marker = strings.TrimSuffix(page[len(page)-1], "?"); index.read > 2*knownAtOnce && len(got) < 500 {
			t.Errorf("a page of %d took %d entries", l.Limit, index.read)
		}
		for _, id := range page {
			got = append(got, strings.TrimSuffix(id, "?"))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
