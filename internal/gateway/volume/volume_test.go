package volume

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// cloud is a pod with a small Cinder behind real HTTP.
type cloud struct {
	row    store.Pod
	server *httptest.Server

	mu      sync.Mutex
	volumes []map[string]any
	snaps   []map[string]any
	bodies  []string // of creations
	status  int      // answered to everything, if set
	down    bool
}

func newCloud(t *testing.T, name, zone, podZone string) *cloud {
	t.Helper()
	c := &cloud{row: store.Pod{Name: name, Region: name, Zone: zone, PodZone: podZone}}
	c.server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.server.Close)
	return c
}

func (c *cloud) Name() string { return c.row.Name }

func (c *cloud) Do(ctx context.Context, r pod.Request) (*http.Response, error) {
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	if down {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: c.row.Name, Message: "cannot " + r.Op + ": no answer"}
	}
	project := "abc"
	if r.As != nil {
		project = r.As.ProjectID
	}
	path := "/v3/" + project + r.Path
	if strings.HasPrefix(r.Path, "//") {
		path = r.Path[1:]
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.server.URL+path, r.Body)
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = r.RawQuery
	if r.Query != nil {
		req.URL.RawQuery = r.Query.Encode()
	}
	if r.Header != nil {
		req.Header = r.Header
	}
	return podtest.HTTP.Transport.RoundTrip(req)
}

// unmark is a creation's body without the mark, which is another one each time.
func unmark(body []byte) string {
	text, _, marked := strings.Cut(string(body), `,"metadata":{"tricircle":"`)
	if !marked {
		text, _, _ = strings.Cut(text, `"metadata":{"tricircle":"`)
	}
	return text + "}}"
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if c.status != 0 {
		w.WriteHeader(c.status)
		_, _ = io.WriteString(w, `{"badRequest": {"code": 400, "message": "Invalid input received: Invalid sort key"}}`)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v3/abc")
	reply := func(status int, body any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	switch {
	case r.Method == http.MethodPost && path == "/volumes":
		body, _ := io.ReadAll(r.Body)
		if !gjson.GetBytes(body, "volume").IsObject() {
			reply(http.StatusBadRequest, map[string]any{"badRequest": map[string]any{"code": 400, "message": "'volume' is a required property"}})
			return
		}
		c.bodies = append(c.bodies, unmark(body))
		reply(http.StatusAccepted, map[string]any{"volume": c.add(gjson.GetBytes(body, "volume.name").String())})
	case r.Method == http.MethodPost && path == "/snapshots":
		if body, _ := io.ReadAll(r.Body); !gjson.GetBytes(body, "snapshot.volume_id").Exists() {
			reply(http.StatusBadRequest, map[string]any{"badRequest": map[string]any{"code": 400, "message": "'volume_id' is a required property"}})
			return
		}
		snap := map[string]any{"id": c.row.Name + "-snap", "volume_id": "x", "created_at": "2026-11-22T10:00:00.000000"}
		c.snaps = append(c.snaps, snap)
		reply(http.StatusAccepted, map[string]any{"snapshot": snap})
	case path == "/volumes":
		reply(http.StatusOK, map[string]any{"volumes": []any{}, "count": len(c.volumes)})
	case path == "/volumes/detail":
		reply(http.StatusOK, map[string]any{"volumes": newest(c.volumes), "count": len(c.volumes)})
	case path == "/snapshots/detail":
		reply(http.StatusOK, map[string]any{"snapshots": newest(c.snaps)})
	case path == "/volumes/summary":
		reply(http.StatusOK, map[string]any{"volume-summary": map[string]any{"total_count": 2, "total_size": 3, "metadata": map[string]any{"tricircle": []string{c.row.Name}, "a": []string{"1"}}}})
	case strings.HasPrefix(path, "/volumes/"):
		c.one(w, r, reply, strings.TrimPrefix(path, "/volumes/"))
	case path == "/types/11111111-1111-1111-1111-111111111111" && c.row.Name == "pod1":
		reply(http.StatusOK, map[string]any{"volume_type": map[string]any{"name": "gold"}})
	case path == "/os-services":
		reply(http.StatusOK, map[string]any{"services": []any{map[string]any{"host": c.row.Name, "zone": "nova"}}})
	case path == "/":
		reply(http.StatusMultipleChoices, map[string]any{"versions": []any{map[string]any{"id": "v3.0", "version": map[string]string{"pod1": "3.70", "pod2": "3.60"}[c.row.Name]}}})
	default:
		reply(http.StatusNotFound, map[string]any{"itemNotFound": map[string]any{"code": 404, "message": "no"}})
	}
}

func (c *cloud) one(w http.ResponseWriter, r *http.Request, reply func(int, any), rest string) {
	id, _, _ := strings.Cut(rest, "/")
	i := slices.IndexFunc(c.volumes, func(v map[string]any) bool { return v["id"] == id })
	switch {
	case i < 0:
		reply(http.StatusNotFound, map[string]any{"itemNotFound": map[string]any{"code": 404, "message": "Volume " + id + " could not be found."}})
	case r.Method == http.MethodDelete:
		c.volumes = slices.Delete(c.volumes, i, i+1)
		w.WriteHeader(http.StatusAccepted)
	default:
		reply(http.StatusOK, map[string]any{"volume": c.volumes[i]})
	}
}

func newest(rows []map[string]any) []map[string]any {
	rows = slices.Clone(rows)
	slices.Reverse(rows)
	if rows == nil {
		return []map[string]any{}
	}
	return rows
}

func (c *cloud) add(name string) map[string]any {
	id := fmt.Sprintf("%s-%d", c.row.Name, len(c.volumes)+1)
	v := map[string]any{
		"id": id, "name": name, "availability_zone": "nova", "status": "available", "os-vol-tenant-attr:tenant_id": "abc",
		"created_at": fmt.Sprintf("2026-11-22T10:00:%02d.000000", len(c.volumes)),
		"links":      []any{map[string]string{"rel": "self", "href": c.server.URL + "/v3/abc/volumes/" + id}},
	}
	c.volumes = append(c.volumes, v)
	return v
}

// nobody works beside the requests.
type nobody struct{ Reconciler }

func (nobody) Hold(context.Context, string, string) (func(), error) { return func() {}, nil }

func (nobody) LearnDefaults(context.Context, string)   {}
func (nobody) RefreshDefaults(context.Context, string) {}

func (nobody) CountAnew(context.Context, string) bool                          { return false }
func (nobody) CureQuota(context.Context, string, string, string) (bool, error) { return false, nil }
func (nobody) CanFill(context.Context, store.FillSource, string) error         { return nil }

type everybody struct{}

func (everybody) Verify(_ context.Context, token string) (identity.Caller, error) {
	return identity.Caller{ProjectID: "abc", Roles: []string{token}}, nil
}

// fleetOf is a fleet of the clouds that takes the first that fits.
type fleetOf []*cloud

func (f fleetOf) Pods(context.Context) ([]store.Pod, error) {
	var rows []store.Pod
	for _, c := range f {
		rows = append(rows, c.row)
	}
	return rows, nil
}

func (f fleetOf) Zones(context.Context) ([]fleet.Zone, error) {
	var zones []fleet.Zone
	for _, c := range f {
		zones = append(zones, fleet.Zone{Name: c.row.Zone, Pods: []string{c.row.Name}, Available: !c.down})
	}
	return zones, nil
}

func (f fleetOf) Choose(_ context.Context, _ identity.Caller, need fleet.Need) (store.Pod, error) {
	for _, c := range f {
		if need.Zone == "" || c.row.Zone == need.Zone {
			return c.row, nil
		}
	}
	return store.Pod{}, fault.New(fault.Invalid, "", "no pod")
}

// Hosts are called as in their pods, with the pod's name behind.
func (f fleetOf) StorageHostName(_ context.Context, podName, host string) string {
	if podName == f[0].row.Name {
		return host
	}
	return host + "@" + podName
}

func (f fleetOf) FindStorageHost(_ context.Context, name string) (podName, host string, err error) {
	for _, c := range f {
		if host, ok := strings.CutSuffix(name, "@"+c.row.Name); ok {
			return c.row.Name, host, nil
		}
	}
	if strings.HasPrefix(name, "node") {
		return f[0].row.Name, name, nil
	}
	return "", "", fault.New(fault.NotFound, "", "Host %s could not be found.", name)
}

func (f fleetOf) RegionNumber(podName string, id int64) int64 {
	return id + 1000*int64(slices.IndexFunc(f, func(c *cloud) bool { return c.row.Name == podName }))
}

func (f fleetOf) PodNumber(_ context.Context, n int64) (string, int64, error) {
	if int(n/1000) >= len(f) {
		return "", 0, fault.New(fault.NotFound, "", "no pod has number %d", n)
	}
	return f[n/1000].row.Name, n % 1000, nil
}

func region(t *testing.T, clouds ...*cloud) *httptest.Server {
	t.Helper()
	s := storetest.New(t)
	for _, c := range clouds {
		if _, err := s.CreatePod(t.Context(), c.row); err != nil {
			t.Fatal(err)
		}
	}
	d := dispatch.New(dispatch.Options{
		Pods: s.ListPods, Index: s,
		Client: func(_ context.Context, name string) (dispatch.Pod, error) {
			for _, c := range clouds {
				if c.row.Name == name {
					return c, nil
				}
			}
			return nil, fault.New(fault.NotFound, "", "no pod %s", name)
		},
	})
	gw := httptest.NewServer(gateway.New(gateway.Options{
		Services: []gateway.Service{Service(Deps{Store: s, Fleet: fleetOf(clouds), Dispatch: d, Reconciler: nobody{}})}, Verifier: everybody{},
	}))
	t.Cleanup(gw.Close)
	return gw
}

func two(t *testing.T) (gw *httptest.Server, one, other *cloud) {
	t.Helper()
	one, other = newCloud(t, "pod1", "az1", "nova"), newCloud(t, "pod2", "az2", "")
	return region(t, one, other), one, other
}

// answered is a reply whose body has been read.
type answered struct {
	StatusCode int
	Header     http.Header
}

func send(t *testing.T, gw *httptest.Server, method, path, body string, header ...string) (answered, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, gw.URL+"/volume"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "member")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := podtest.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header}, string(text)
}

func TestLifeOfAVolume(t *testing.T) {
	t.Parallel()
	gw, one, other := two(t)
	other.add("there before us")
	resp, body := send(t, gw, "POST", "/v3/abc/volumes", `{"volume": {"name": "v", "size": 1, "availability_zone": "az1", "unknown": 1.50}}`)
	if resp.StatusCode != 202 || gjson.Get(body, "volume.availability_zone").String() != "az1" {
		t.Fatalf("POST = %d %s", resp.StatusCode, body)
	}
	if want := `{"volume": {"name": "v", "size": 1, "availability_zone": "nova", "unknown": 1.50}}`; one.bodies[0] != want {
		t.Errorf("the pod got %s, want %s", one.bodies[0], want)
	}
	if resp, body = send(t, gw, "POST", "/v3/volumes", `{"volume": {"size": 1, "availability_zone": "az2"}}`); resp.StatusCode != 202 {
		t.Fatalf("POST = %d %s", resp.StatusCode, body)
	}
	if want := `{"volume": {"size": 1}}`; other.bodies[0] != want {
		t.Errorf("the pod without a zone of its own got %s, want %s", other.bodies[0], want)
	}
	_, body = send(t, gw, "GET", "/v3/abc/volumes/detail?with_count=true", "")
	want := []string{"pod2-2 az2", "pod2-1 az2", "pod1-1 az1"}
	var got []string
	for _, v := range gjson.Get(body, "volumes").Array() {
		got = append(got, v.Get("id").String()+" "+v.Get("availability_zone").String())
	}
	if diff := cmp.Diff(want, got); diff != "" || gjson.Get(body, "count").Int() != 3 {
		t.Errorf("list (-want +got):\n%s\n%s", diff, body)
	}
	_, body = send(t, gw, "GET", "/v3/abc/volumes?limit=1", "")
	next := gjson.Get(body, "volumes_links.0.href").String()
	if want := gw.URL + "/volume/v3/abc/volumes?limit=1&marker=pod2-2"; next != want {
		t.Errorf("next = %s, want %s", next, want)
	}
	if want := `{"id": "pod2-2", "name": "", "links": [{"href":"` + gw.URL + `/volume/v3/abc/volumes/pod2-2","rel":"self"}]}`; gjson.Get(body, "volumes.0").Raw != want {
		t.Errorf("brief row = %s, want %s", gjson.Get(body, "volumes.0").Raw, want)
	}
	resp, body = send(t, gw, "GET", "/v3/volumes/pod2-1", "")
	if resp.StatusCode != 200 || gjson.Get(body, "volume.availability_zone").String() != "az2" || resp.Header.Get("X-Tricircle-Pod") != "pod2" {
		t.Errorf("GET = %d %s", resp.StatusCode, body)
	}
	if resp, _ = send(t, gw, "DELETE", "/v3/volumes/pod2-1", ""); resp.StatusCode != 202 {
		t.Errorf("DELETE = %d", resp.StatusCode)
	}
	if resp, body = send(t, gw, "GET", "/v3/volumes/pod2-1", ""); resp.StatusCode != 404 || !strings.Contains(body, `"Volume pod2-1 could not be found."`) {
		t.Errorf("GET after DELETE = %d %s", resp.StatusCode, body)
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		pod        string
		status     int
		message    string
	}{
		{"no zone", `{"volume": {"size": 1}}`, "pod1", 202, ""},
		{"zone", `{"volume": {"size": 1, "availability_zone": "az2"}}`, "pod2", 202, ""},
		{"source", `{"volume": {"source_volid": "pod2-1"}}`, "pod2", 202, ""},
		{"source and its zone", `{"volume": {"source_volid": "pod2-1", "availability_zone": "az2"}}`, "pod2", 202, ""},
		{"source in another zone", `{"volume": {"source_volid": "pod2-1", "availability_zone": "az1"}}`, "pod1", 202, ""},
		{"near another volume", `{"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"same_host": ["pod2-1"]}}`, "pod2", 202, ""},
		{"unknown source", `{"volume": {"source_volid": "zz"}}`, "", 404, "Volume zz could not be found."},
		{"unknown zone", `{"volume": {"availability_zone": "nova"}}`, "", 400, "Availability zone 'nova' is invalid."},
		{"no volume", `{"x": 1}`, "", 400, ""},
		{"malformed", `{"volume": `, "", 400, "Malformed request body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			gw, one, other := two(t)
			other.add("source")
			resp, body := send(t, gw, "POST", "/v3/abc/volumes", test.body)
			if resp.StatusCode != test.status || !strings.Contains(body, test.message) {
				t.Fatalf("POST = %d %s, want %d %s", resp.StatusCode, body, test.status, test.message)
			}
			for _, c := range []*cloud{one, other} {
				if got, want := len(c.bodies) > 0, c.row.Name == test.pod; got != want {
					t.Errorf("%s was asked to create: %v, want %v", c.row.Name, got, want)
				}
			}
		})
	}
}

func TestSnapshotsAreWhereTheirVolumeIs(t *testing.T) {
	t.Parallel()
	gw, _, other := two(t)
	other.add("v")
	if resp, body := send(t, gw, "POST", "/v3/abc/snapshots", `{"snapshot": {"volume_id": "pod2-1"}}`); resp.StatusCode != 202 {
		t.Fatalf("POST = %d %s", resp.StatusCode, body)
	}
	if resp, body := send(t, gw, "POST", "/v3/abc/snapshots", `{"snapshot": {"volume_id": "pod2-1", "availability_zone": "az1"}}`); resp.StatusCode != 400 ||
		!strings.Contains(body, "the snapshot cannot be in zone az1") {
		t.Errorf("in another zone = %d %s, want 400", resp.StatusCode, body)
	}
	if _, body := send(t, gw, "GET", "/v3/abc/snapshots", ""); gjson.Get(body, "snapshots.0.id").String() != "pod2-snap" {
		t.Errorf("list = %s", body)
	}
	if resp, body := send(t, gw, "POST", "/v3/abc/snapshots", `{"snapshot": {}}`); resp.StatusCode != 400 {
		t.Errorf("without a volume = %d %s, want 400", resp.StatusCode, body)
	}
}

func TestAPodAway(t *testing.T) {
	t.Parallel()
	gw, one, other := two(t)
	one.add("a")
	other.add("b")
	send(t, gw, "GET", "/v3/volumes/pod2-1", "") // makes it known
	other.down = true
	for _, test := range []struct {
		method, path string
		status       int
		away         string
		body         string
	}{
		{"GET", "/v3/volumes", 200, "pod2", `"pod1-1"`},
		{"GET", "/v3/limits", 200, "", `"maxTotalVolumes":10`},
		{"GET", "/v3/volumes/summary", 200, "pod2", `"total_count"`},
		{"GET", "/v3/volumes/pod1-1", 200, "", `"pod1-1"`},
		{"GET", "/v3/volumes/pod2-1", 503, "", `pod pod2: cannot GET /volumes/{id}: no answer`},
		{"GET", "/v3/volumes/zz", 503, "", `cannot find volume zz: pod pod2: cannot look for volume: no answer`},
	} {
		resp, body := send(t, gw, test.method, test.path, "")
		if resp.StatusCode != test.status || resp.Header.Get(gateway.UnreachableHeader) != test.away || !strings.Contains(body, test.body) {
			t.Errorf("%s %s = %d %q %s, want %d %q %s", test.method, test.path, resp.StatusCode,
				resp.Header.Get(gateway.UnreachableHeader), body, test.status, test.away, test.body)
		}
	}
}

func TestErrorsOfAllPodsPass(t *testing.T) {
	t.Parallel()
	gw, one, other := two(t)
	one.status, other.status = 400, 400
	resp, body := send(t, gw, "GET", "/v3/volumes?sort=foo", "")
	if want := `{"badRequest":{"code":400,"message":"Invalid input received: Invalid sort key"}}`; resp.StatusCode != 400 || body != want {
		t.Errorf("reply = %d %s, want 400 %s", resp.StatusCode, body, want)
	}
}

func TestSums(t *testing.T) {
	t.Parallel()
	gw, _, _ := two(t)
	_, body := send(t, gw, "GET", "/v3/abc/volumes/summary", "")
	want := `{"volume-summary":{"metadata":{"a":["1"]},"total_count":4,"total_size":6}}`
	if body != want {
		t.Errorf("summary = %s, want %s", body, want)
	}
	total := map[string]any{"a": 1.0, "m": map[string]any{"x": []any{"1"}}}
	add(total, map[string]any{"a": 2.0, "b": "text", "m": map[string]any{"x": []any{"1", "2"}}})
	if diff := cmp.Diff(map[string]any{"a": 3.0, "b": "text", "m": map[string]any{"x": []any{"1", "2"}}}, total); diff != "" {
		t.Errorf("add (-want +got):\n%s", diff)
	}
}

func TestZonesAndVersions(t *testing.T) {
	t.Parallel()
	gw, _, _ := two(t)
	for _, test := range []struct {
		path   string
		header []string
		status int
		want   string
	}{
		{"/v3/abc/os-availability-zone", nil, 200, `{"availabilityZoneInfo":[{"zoneName":"az1","zoneState":{"available":true}},{"zoneName":"az2","zoneState":{"available":true}}]}`},
		{"/v3/abc/os-services", []string{"X-Auth-Token", "admin"}, 200, `{"services":[{"host":"pod1","zone":"az1"},{"host":"pod2@pod2","zone":"az2"}]}`},
		{"/v3/abc/os-services", nil, 403, "volume_extension:services:index"},
		{"/", nil, 300, `"version":"3.60"`},
		{"/v3/", nil, 200, `"min_version":"3.0"`},
		{"/v3/volumes", []string{versionHeader, "volume 3.60"}, 200, ""},
		{"/v3/volumes", []string{versionHeader, "volume 3.61"}, 406, "Version 3.61 is not supported by the API. Minimum is 3.0 and maximum is 3.60."},
		{"/v3/fff/volumes", nil, 400, "Malformed request url"},
		{"/v3/volumes?limit=-1", nil, 400, "limit param must be positive"},
		{"/v3/volumes?limit=0", nil, 200, `{"count":0,"volumes":[]}`},
		{"/v3/volumes?offset=-1", nil, 400, "offset must be >= 0"},
		{"/v3/volumes?offset=a", nil, 400, "offset must be an integer"},
		{"/v3/volumes?sort=name:up", nil, 400, "Unknown sort direction, must be 'desc' or 'asc'."},
		{"/v3/volumes?marker=zz", nil, 404, "Volume zz could not be found."},
		{"/v3/volumes?sort=name&sort_key=name", nil, 400, "deprecated"},
	} {
		resp, body := send(t, gw, "GET", test.path, "", test.header...)
		if resp.StatusCode != test.status || !strings.Contains(body, test.want) {
			t.Errorf("GET %s = %d %s, want %d %s", test.path, resp.StatusCode, body, test.status, test.want)
		}
	}
	for asked, want := range map[string]string{
		"volume latest": "volume 3.60", "volumev3 3.42": "volume 3.42", "compute 2.1, volumev3 3.42, volume 3.50": "volume 3.42", "volume  3.5": "volume 3.5",
		"block-storage 3.42": "", "compute 2.1": "", "Volume 3.42": "", "volume": "", "volume 3.42 x": "",
	} {
		resp, body := send(t, gw, "GET", "/v3/abc/limits", "", versionHeader, asked)
		if got := resp.Header.Get(versionHeader); got != want {
			t.Errorf("asked for %q: %q, want %q", asked, got, want)
		}
		if want == "" && (resp.StatusCode != 400 || !strings.Contains(body, `"badRequest"`)) {
			t.Errorf("asked for %q: %d %s, want 400", asked, resp.StatusCode, body)
		}
	}
}
