package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// server is a row of a fake pod.
type server struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Created string `json:"created"`
	Size    *int   `json:"size"`
	Status  string `json:"status"`
	Project string `json:"tenant_id"`
}

func (s server) entry(podName string) store.Entry {
	created, _ := ParseTime(s.Created)
	return store.Entry{
		Kind: store.KindServer, ID: s.ID, Pod: podName, ProjectID: s.Project, Name: s.Name, Status: s.Status, CreatedAt: created,
	}
}

// fakePod lists servers like Nova does, with the faults of a test.
type fakePod struct {
	name string
	cap  int // rows it gives at most, whatever is asked

	mu      sync.Mutex
	servers []server
	calls   []string
	fault   func(call int) string // "", down, hang, error, garbage, cut, refuse
}

func (f *fakePod) Name() string { return f.name }

func (f *fakePod) Do(ctx context.Context, r pod.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Path+"?"+r.Query.Encode())
	what := ""
	if f.fault != nil {
		what = f.fault(len(f.calls))
	}
	switch what {
	case "hang":
		<-ctx.Done()
		return nil, &fault.Error{Kind: fault.Timeout, Pod: f.name, Message: "no answer in time", Err: ctx.Err()}
	case "down":
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: f.name, Message: "connection refused"}
	case "error":
		return reply(r, 500, `{"computeFault": {"code": 500, "message": "Unexpected API Error."}}`), nil
	case "refuse":
		return reply(r, 400, `{"badRequest": {"code": 400, "message": "Invalid filter"}}`), nil
	case "garbage":
		return reply(r, 200, `{"servers": [{"id": "a", "cre`+"\x00"), nil
	}
	status, body := f.answer(r)
	if what == "cut" {
		resp := reply(r, status, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:len(body)/2]), broken{}))
		return resp, nil
	}
	return reply(r, status, body), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func reply(r pod.Request, status int, body string) *http.Response {
	u, _ := url.Parse("http://pod" + r.Path)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: &http.Request{URL: u},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func (f *fakePod) answer(r pod.Request) (int, string) {
	if id, ok := strings.CutPrefix(r.Path, "/servers/"); ok && id != "detail" {
		i := slices.IndexFunc(f.servers, func(s server) bool { return s.ID == id })
		if i < 0 {
			return 404, `{"itemNotFound": {"code": 404, "message": "Instance could not be found."}}`
		}
		return 200, `{"server": ` + encoded(f.servers[i]) + `}`
	}
	rows := slices.Clone(f.servers)
	sortServers(rows, r.Query["sort_key"], r.Query["sort_dir"])
	if marker := r.Query.Get("marker"); marker != "" {
		i := slices.IndexFunc(rows, func(s server) bool { return s.ID == marker })
		if i < 0 {
			return 400, `{"badRequest": {"code": 400, "message": "marker [` + marker + `] not found"}}`
		}
		rows = rows[i+1:]
	}
	limit := f.cap
	if n, err := strconv.Atoi(r.Query.Get("limit")); err == nil {
		limit = min(limit, n)
	}
	next := ""
	if len(rows) >= limit {
		rows = rows[:limit]
		next = `, "servers_links": [{"rel": "next", "href": "http://pod/next"}]`
	}
	texts := make([]string, len(rows))
	for i, s := range rows {
		texts[i] = encoded(s)
	}
	return 200, `{"servers": [` + strings.Join(texts, ", ") + `]` + next + `}`
}

func encoded(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// sortServers is an implementation of the order that owes nothing to ours.
func sortServers(rows []server, keys, dirs []string) {
	slices.SortFunc(rows, func(a, b server) int {
		for i, k := range keys {
			c := 0
			switch k {
			case "created_at":
				c = strings.Compare(a.Created, b.Created)
			case "display_name":
				c = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
			case "size":
				c = compareSizes(a.Size, b.Size)
			case "uuid":
				c = strings.Compare(a.ID, b.ID)
			case "host": // no row shows it
				c = strings.Compare(a.ID[1:], b.ID[1:])
			}
			if c != 0 && dirs[i] == "desc" {
				return -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

func compareSizes(a, b *int) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return *a - *b
}

var testKeys = map[string]Key{
	"created_at":   {Name: "created_at", Path: "created", Type: Time, Field: ByCreated},
	"display_name": {Name: "display_name", Path: "name", Type: Text, Field: ByName},
	"size":         {Name: "size", Path: "size"},
	"uuid":         {Name: "uuid", Path: "id", Field: ByID},
	"host":         {Name: "host"},
}

func novaSort(keys []Key) url.Values {
	query := url.Values{}
	for _, k := range keys {
		query.Add("sort_key", k.Name)
		dir := "asc"
		if k.Desc {
			dir = "desc"
		}
		query.Add("sort_dir", dir)
	}
	return query
}

// fakeIndex is an index in memory.
type fakeIndex struct {
	mu       sync.Mutex
	entries  []store.Entry
	recorded int
}

func (x *fakeIndex) Record(_ context.Context, entries ...store.Entry) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range entries {
		x.recorded++
		x.entries = slices.DeleteFunc(x.entries, func(o store.Entry) bool { return o.Target() == e.Target() })
		x.entries = append(x.entries, e)
	}
	return nil
}

func (x *fakeIndex) FindEntry(_ context.Context, kind, id string) (store.Entry, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.entries {
		if e.Kind == kind && e.ID == id {
			return e, nil
		}
	}
	return store.Entry{}, fault.New(fault.NotFound, "", "no %s %s", kind, id)
}

func (x *fakeIndex) ListEntries(_ context.Context, q store.EntryQuery) ([]store.Entry, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var found []store.Entry
	for _, e := range x.entries {
		if e.Kind == q.Kind && (q.Pod == "" || e.Pod == q.Pod) && (q.ProjectID == "" || e.ProjectID == q.ProjectID) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b store.Entry) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return found, nil
}

func (x *fakeIndex) ListMappings(_ context.Context, q store.MappingQuery) ([]store.Mapping, error) {
	e, err := x.FindEntry(context.Background(), q.Kind, q.ID)
	if err != nil {
		return nil, nil
	}
	return []store.Mapping{{Target: e.Target(), PodID: e.ID}}, nil
}

func (x *fakeIndex) DropEntry(_ context.Context, kind, id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.entries = slices.DeleteFunc(x.entries, func(o store.Entry) bool { return o.Kind == kind && o.ID == id })
	return nil
}

func newTest(index Index, pods ...*fakePod) *Dispatcher {
	return New(Options{
		Pods: func(context.Context) ([]store.Pod, error) {
			var rows []store.Pod
			for _, p := range pods {
				rows = append(rows, store.Pod{Name: p.name, Zone: "zone-" + p.name})
			}
			return rows, nil
		},
		Client: func(_ context.Context, name string) (Pod, error) {
			for _, p := range pods {
				if p.name == name {
					return p, nil
				}
			}
			return nil, fault.New(fault.NotFound, "", "no pod %s", name)
		},
		Index: index, Timeout: 100 * time.Millisecond,
	})
}

var demo = identity.Caller{ProjectID: "demo", Token: "t"}

// serverList is a list as the Compute service asks for it.
func serverList(keys ...Key) List {
	return List{
		By: demo, Service: pod.Compute, Path: "/servers/detail", Kind: store.KindServer, Field: "servers", Next: "servers_links",
		Sort: keys, SortQuery: novaSort,
		Placeholder: func(e store.Entry) []byte { return []byte(encoded(map[string]string{"id": e.ID, "status": "UNKNOWN"})) },
	}
}

func newestFirst() []Key {
	created, id := testKeys["created_at"], testKeys["uuid"]
	created.Desc, id.Desc = true, true
	return []Key{created, id}
}

// ids reads a list to its end and returns its rows' IDs; UNKNOWN ones have "?"
// behind them.
func ids(t interface{ Fatalf(string, ...any) }, d *Dispatcher, l List) ([]string, *Result, error) {
	result, err := d.List(context.Background(), l)
	if err != nil {
		return nil, nil, err
	}
	var buf bytes.Buffer
	if _, err := result.WriteTo(&buf); err != nil {
		return nil, nil, err
	}
	var body struct {
		Servers []server `json:"servers"`
	}
	if err := json.Unmarshal(buf.Bytes(), &body); err != nil {
		t.Fatalf("the list is no JSON: %v\n%s", err, buf.Bytes())
	}
	found := []string{}
	for _, s := range body.Servers {
		if s.Status == "UNKNOWN" {
			s.ID += "?"
		}
		found = append(found, s.ID)
	}
	return found, result, nil
}

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

// walk reads all pages, as a client does that passes on the last ID it saw.
func walk(t *rapid.T, d *Dispatcher, l List, between func()) []string {
	all := []string{}
	for range 1000 {
		page, _, err := ids(t, d, l)
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
		got := walk(t, d, l, func() {
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
		got := walk(t, newTest(index, pods...), l, nil)
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
		d := newTest(&fakeIndex{}, pods...)
		l := serverList(drawOrder(t, []string{"created_at", "size"})...)
		l.Limit = rapid.IntRange(1, 6).Draw(t, "limit")
		l.PageSize = rapid.IntRange(1, 12).Draw(t, "page")
		stay := map[string]bool{}
		for _, id := range union(pods, l.Sort) {
			stay[id] = true
		}
		round := 0
		got := walk(t, d, l, func() {
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
		got := walk(t, newTest(&fakeIndex{}, pods...), l, nil)
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
		got := walk(t, newTest(&fakeIndex{}, append(slices.Clone(pods), extra)...), l, nil)
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
			if result.Unreachable() != test.away {
				t.Errorf("Unreachable() = %q, want %q", result.Unreachable(), test.away)
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

func TestFirstTakesTheNextPod(t *testing.T) {
	t.Parallel()
	pods := two()
	pods[0].fault = always("down")
	d := newTest(&fakeIndex{}, pods...)
	a, err := d.First(context.Background(), nil, pod.Request{Path: "/servers/b2", Op: "show"})
	if err != nil || a.Pod != "pod2" {
		t.Errorf("First() = %v, %v, want pod2's answer", a, err)
	}
	pods[1].fault = always("error")
	if _, err = d.First(context.Background(), nil, pod.Request{Path: "/servers/b2", Op: "show"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("First() = %v, want Unavailable", err)
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
