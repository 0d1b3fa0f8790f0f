package dispatch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// The benchmarks list servers of synthetic pods: real HTTP, no OpenStack. Beside
// time and memory they report how much longer a merged list takes than reading the
// same bytes, without looking at them, from one pod that would have them all.

// BenchmarkFirstPage is the page that most clients ask for: 1,000 of a million
// servers in 100 pods.
func BenchmarkFirstPage(b *testing.B) { benchmarkList(b, 100, 10_000, 1000) }

// BenchmarkNextPage is the page after it, as the replica that gave the first one
// gives it.
func BenchmarkNextPage(b *testing.B) {
	pods := syntheticPods(b, 100, 10_000)
	d, l := pods.dispatcher(), benchList(1000)
	result, err := d.List(context.Background(), l)
	if err != nil {
		b.Fatal(err)
	}
	var first bytes.Buffer
	if _, err := result.WriteTo(&first); err != nil {
		b.Fatal(err)
	}
	l.Marker = result.listing.merge.place.id
	pods.measure(b, d, l)
}

// BenchmarkWhole is a list without a limit: 10,000 servers of 10 pods.
func BenchmarkWhole(b *testing.B) { benchmarkList(b, 10, 1000, 0) }

// BenchmarkFirstPageOfVolumes and BenchmarkWholeVolumes are the same of volumes, whose
// rows are a third of the size.
func BenchmarkFirstPageOfVolumes(b *testing.B) { benchmarkVolumes(b, 100, 10_000, 1000) }

func BenchmarkWholeVolumes(b *testing.B) { benchmarkVolumes(b, 10, 1000, 0) }

func benchmarkList(b *testing.B, pods, servers, limit int) {
	all := syntheticPods(b, pods, servers)
	all.measure(b, all.dispatcher(), benchList(limit))
}

func benchmarkVolumes(b *testing.B, pods, volumes, limit int) {
	all := syntheticPods(b, pods, volumes)
	all.field, all.row = "volumes", cinderVolume
	l := benchList(limit)
	l.Service, l.Path, l.Kind, l.Field, l.Next = pod.Volume, "/volumes/detail", store.KindVolume, "volumes", "volumes_links"
	l.Sort[0].Path = "created_at"
	all.measure(b, all.dispatcher(), l)
}

func benchList(limit int) List {
	l := serverList(newestFirst()...)
	l.Limit = limit
	l.Rewrite = func(dst []byte, row Row) []byte { return append(dst, row.Raw...) }
	return l
}

// synthetic are pods with servers made up in order: server n of the region is
// server n/pods of pod n%pods.
type synthetic struct {
	pods, servers int
	field         string // of the list
	row           func(int) string
	url           string
	client        *http.Client

	mu    sync.Mutex
	pages map[string][]byte
}

func syntheticPods(b *testing.B, pods, servers int) *synthetic {
	b.Helper()
	s := &synthetic{
		pods: pods, servers: servers, field: "servers", row: novaServer, pages: map[string][]byte{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 1000}},
	}
	server := httptest.NewServer(s)
	b.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// ServeHTTP answers with a page that was made when it was asked for first: what
// pods take to think is not measured.
func (s *synthetic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	page, ok := s.pages[r.URL.String()]
	if !ok {
		page = s.page(r.URL)
		s.pages[r.URL.String()] = page
	}
	s.mu.Unlock()
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	_, _ = w.Write(page)
}

// page is /POD?limit=&marker=, or /all?limit= with the first servers of all pods.
func (s *synthetic) page(u *url.URL) []byte {
	pods, which, first := s.pods, 0, 0
	if u.Path == "/all" {
		pods = 1
	} else {
		which, _ = strconv.Atoi(strings.Trim(u.Path, "/"))
	}
	total := s.servers * s.pods / pods
	if marker := u.Query().Get("marker"); marker != "" {
		last, _ := strconv.Atoi(strings.TrimLeft(marker[24:], "0"))
		first = last/s.pods + 1
	}
	end := total
	if limit, err := strconv.Atoi(u.Query().Get("limit")); err == nil {
		end = min(total, first+limit)
	}
	var rows []string
	for i := first; i < end; i++ {
		rows = append(rows, s.row(i*pods+which))
	}
	next := ""
	if end < total {
		next = `, "` + s.field + `_links": [{"rel": "next", "href": "http://pod/next"}]`
	}
	return []byte(`{"` + s.field + `": [` + strings.Join(rows, ", ") + `]` + next + `}`)
}

// novaServer is a detailed server of the usual size, 2.8 KB; each is a second
// older than the one before.
func novaServer(n int) string {
	id := fmt.Sprintf("%08x-0000-0000-0000-%012d", uint32(n)*2654435761, n)
	created := time.Unix(int64(2e9-n), 0).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"id": %q, "name": "web-%d", "status": "ACTIVE", "tenant_id": "7aeefa8396ee41dea3fc98c14f983113", `+
		`"user_id": "a5bfd592e39d40b7bccbb4a28918aae2", "metadata": {"filler": %q}, "hostId": "%056d", "image": {"id": "84181aed", `+
		`"links": [{"rel": "bookmark", "href": "http://10.0.0.1:8774/images/84181aed"}]}, "created": %q, "updated": %q, `+
		`"links": [{"rel": "self", "href": "http://10.0.0.1:8774/v2.1/servers/%s"}, {"rel": "bookmark", "href": "http://10.0.0.1:8774/servers/%s"}], `+
		`"OS-EXT-STS:task_state": null, "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1}`,
		id, n, strings.Repeat("x", 2000), n, created, created, id, id)
}

// cinderVolume is a detailed volume of the usual size, 1.1 KB.
func cinderVolume(n int) string {
	id := fmt.Sprintf("%08x-0000-0000-0000-%012d", uint32(n)*2654435761, n)
	created := time.Unix(int64(2e9-n), 0).UTC().Format("2006-01-02T15:04:05.000000")
	return fmt.Sprintf(`{"id": %q, "status": "available", "size": 1, "availability_zone": "nova", "created_at": %q, "updated_at": %q, `+
		`"name": "data-%d", "description": null, "volume_type": "fast", "volume_type_id": "feb5f498-dfb0-4c86-a4f7-fc005d9f2733", `+
		`"snapshot_id": null, "source_volid": null, "metadata": {"filler": %q}, "links": [{"rel": "self", "href": `+
		`"http://10.0.0.1:8776/v3/7aeefa8396ee41dea3fc98c14f983113/volumes/%s"}, {"rel": "bookmark", "href": "http://10.0.0.1:8776/volumes/%s"}], `+
		`"user_id": "a5bfd592e39d40b7bccbb4a28918aae2", "bootable": "false", "encrypted": false, "replication_status": null, `+
		`"consistencygroup_id": null, "multiattach": false, "attachments": [], "group_id": null, "shared_targets": true, `+
		`"os-vol-tenant-attr:tenant_id": "7aeefa8396ee41dea3fc98c14f983113"}`,
		id, created, created, n, strings.Repeat("x", 200), id, id)
}

func (s *synthetic) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := s.url + "/" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	return s.client.Do(req)
}

// member is one of the pods.
type member struct {
	*synthetic
	name string
}

func (m member) Name() string { return m.name }

func (m member) Do(ctx context.Context, r pod.Request) (*http.Response, error) {
	query := url.Values{}
	for _, name := range []string{"limit", "marker"} {
		if v := r.Query.Get(name); v != "" {
			query.Set(name, v)
		}
	}
	return m.get(ctx, m.name, query)
}

func (s *synthetic) dispatcher() *Dispatcher {
	return New(Options{
		Pods: func(context.Context) ([]store.Pod, error) {
			rows := make([]store.Pod, s.pods)
			for i := range rows {
				rows[i].Name = fmt.Sprintf("%03d", i)
			}
			return rows, nil
		},
		Client: func(_ context.Context, name string) (Pod, error) {
			if _, err := strconv.Atoi(name); err != nil {
				return nil, fault.New(fault.NotFound, "", "no pod %s", name)
			}
			return member{s, name}, nil
		},
		Index: &fakeIndex{},
	})
}

func (s *synthetic) merged(b *testing.B, d *Dispatcher, l List) int64 {
	result, err := d.List(context.Background(), l)
	if err != nil {
		b.Fatal(err)
	}
	n, err := result.WriteTo(io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func (s *synthetic) direct(b *testing.B, limit int) int64 {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	resp, err := s.get(context.Background(), "all", query)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// measure lists, and reads the same bytes directly, in turn.
func (s *synthetic) measure(b *testing.B, d *Dispatcher, l List) {
	b.Helper()
	size, plain := s.merged(b, d, l), s.direct(b, l.Limit)
	if diff := size - plain; diff < -2000 || diff > 2000 {
		b.Fatalf("merged are %d bytes, direct are %d", size, plain)
	}
	peak := watchHeap()
	var merged, direct time.Duration
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		begun := time.Now()
		s.merged(b, d, l)
		merged += time.Since(begun)
		b.StopTimer()
		begun = time.Now()
		s.direct(b, l.Limit)
		direct += time.Since(begun)
		b.StartTimer()
	}
	b.ReportMetric(merged.Seconds()/direct.Seconds(), "x-direct")
	b.ReportMetric(peak(), "peak-MB")
}

// watchHeap samples the heap until peak is called, which returns by how much it
// grew at most, collected or not.
func watchHeap() (peak func() float64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	start := read()
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		highest := start
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				done <- float64(highest-start) / 1e6
				return
			case <-tick.C:
				highest = max(highest, read())
			}
		}
	}()
	return func() float64 { close(stop); return <-done }
}

// BenchmarkParse is a page of 1,000 servers being read, without the network.
func BenchmarkParse(b *testing.B) {
	s := &synthetic{pods: 1, servers: 1000}
	body := s.page(&url.URL{Path: "/all"})
	l := &listing{List: serverList(newestFirst()...), order: newOrder(newestFirst())}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		pg := &page{members: map[string][]byte{}}
		if err := l.parse(pg, body); err != nil || len(pg.rows) != 1000 {
			b.Fatal(err)
		}
	}
}
