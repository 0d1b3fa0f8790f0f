package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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
	early   string // the ID of a server that comes first in any order: Nova has not scheduled it
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
	case "slow":
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
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
	slices.SortStableFunc(rows, func(a, b server) int { return rank(a.ID == f.early) - rank(b.ID == f.early) })
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

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
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
	read     int // entries that lists took out
	images   map[string]store.Image
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
		if e.Kind == q.Kind && (q.Pod == "" || e.Pod == q.Pod) && (q.ProjectID == "" || e.ProjectID == q.ProjectID) &&
			(q.From.IsZero() || !e.CreatedAt.Before(q.From)) && (q.To.IsZero() || !e.CreatedAt.After(q.To)) {
			found = append(found, e)
		}
	}
	x.read += len(found)
	slices.SortFunc(found, func(a, b store.Entry) int {
		if q.Ascending {
			a, b = b, a
		}
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	if q.Limit > 0 && len(found) > q.Limit {
		x.read -= len(found) - q.Limit
		found = found[:q.Limit]
	}
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

func (x *fakeIndex) FindImage(_ context.Context, id string) (store.Image, error) {
	return store.Image{}, fault.New(fault.NotFound, "", "no image %s", id)
}

func (x *fakeIndex) AdoptImage(ctx context.Context, id string) (store.Image, error) {
	e, err := x.FindEntry(ctx, store.KindImage, id)
	return store.Image{ID: id, Home: e.Pod}, err
}

func (x *fakeIndex) FindImages(context.Context, []string) (map[string]store.Image, error) {
	return x.images, nil
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
