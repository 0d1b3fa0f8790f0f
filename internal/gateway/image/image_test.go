package image

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// cloud is a pod with a small Glance behind real HTTP.
type cloud struct {
	name   string
	server *httptest.Server

	mu      sync.Mutex
	images  map[string]map[string]any
	data    map[string][]byte
	fault   func(w http.ResponseWriter, r *http.Request) bool // true: answered
	down    bool
	deleted []string
}

func newCloud(t *testing.T, name string) *cloud {
	t.Helper()
	c := &cloud{name: name, images: map[string]map[string]any{}, data: map[string][]byte{}}
	c.server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.server.Close)
	return c
}

func (c *cloud) Name() string { return c.name }

func (c *cloud) Do(ctx context.Context, r pod.Request) (*http.Response, error) {
	away := func(err error) error {
		return &fault.Error{Kind: fault.Unavailable, Pod: c.name, Message: "cannot " + r.Op + ": no answer", Err: err}
	}
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	if down {
		return nil, away(nil)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.server.URL+"/v2"+r.Path, r.Body)
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
	if r.Length > 0 {
		req.ContentLength = r.Length
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, away(err)
	}
	return resp, nil
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	broken := c.fault
	c.mu.Unlock()
	if broken != nil && broken(w, r) {
		return
	}
	rest := strings.TrimPrefix(r.URL.Path, "/v2/images")
	id, sub, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	if r.Method == http.MethodPut && sub == "file" {
		c.receive(w, r, id)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && id == "":
		var image map[string]any
		_ = json.NewDecoder(r.Body).Decode(&image)
		id := image["id"].(string)
		if c.images[id] != nil || slices.Contains(c.deleted, id) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		image["status"], image["created_at"], image["owner"] = "queued", "2026-11-22T10:00:00Z", "demo"
		c.images[id] = image
		w.Header().Set("Location", c.server.URL+"/v2/images/"+id)
		answer(w, http.StatusCreated, image)
	case id == "":
		rows := []any{}
		for _, k := range slices.Sorted(maps.Keys(c.images)) {
			rows = append(rows, c.images[k])
		}
		answer(w, http.StatusOK, map[string]any{"images": rows})
	case c.images[id] == nil:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete:
		delete(c.images, id)
		c.deleted = append(c.deleted, id)
		w.WriteHeader(http.StatusNoContent)
	case sub == "file":
		_, _ = w.Write(c.data[id])
	case r.Method == http.MethodPatch:
		body, _ := io.ReadAll(r.Body)
		c.images[id]["patched"] = string(body)
		answer(w, http.StatusOK, c.images[id])
	default:
		answer(w, http.StatusOK, c.images[id])
	}
}

// receive takes the data as Glance does: all of it, or the image is queued again.
func (c *cloud) receive(w http.ResponseWriter, r *http.Request, id string) {
	c.mu.Lock()
	image := c.images[id]
	busy := image == nil || image["status"] != "queued"
	c.mu.Unlock()
	if busy {
		w.WriteHeader(http.StatusConflict)
		return
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	sum := sha512.Sum512(data)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data[id] = data
	image["status"], image["os_hash_algo"], image["os_hash_value"] = "active", "sha512", hex.EncodeToString(sum[:])
	w.WriteHeader(http.StatusNoContent)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (c *cloud) set(fault func(w http.ResponseWriter, r *http.Request) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

// statuses are the cloud's images by ID.
func (c *cloud) statuses() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]string{}
	for id, image := range c.images {
		all[id] = image["status"].(string)
	}
	return all
}

type everybody struct{}

func (everybody) Verify(context.Context, string) (identity.Caller, error) {
	return identity.Caller{ProjectID: "demo", Roles: []string{"member"}}, nil
}

// region is the Image API over the clouds.
func region(t *testing.T, clouds ...*cloud) *httptest.Server {
	t.Helper()
	s := storetest.New(t)
	for _, c := range clouds {
		if _, err := s.CreatePod(t.Context(), store.Pod{Name: c.name, Region: c.name, Zone: "az-" + c.name}); err != nil {
			t.Fatal(err)
		}
	}
	d := dispatch.New(dispatch.Options{
		Pods: s.ListPods, Index: s,
		Client: func(_ context.Context, name string) (dispatch.Pod, error) {
			for _, c := range clouds {
				if c.name == name {
					return c, nil
				}
			}
			return nil, fault.New(fault.NotFound, "", "no pod %s", name)
		},
	})
	gw := httptest.NewServer(gateway.New(gateway.Options{
		Services: []gateway.Service{Service(Deps{Dispatch: d})}, Verifier: everybody{}, MaxBody: 1000,
	}))
	t.Cleanup(gw.Close)
	return gw
}

// answered is a reply whose body has been read.
type answered struct {
	StatusCode int
	Header     http.Header
}

func send(t *testing.T, gw *httptest.Server, method, path string, body io.Reader) (answered, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, gw.URL+"/image/v2"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "t")
	resp, err := http.DefaultClient.Do(r)
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

// made creates an image and returns its ID.
func made(t *testing.T, gw *httptest.Server) string {
	t.Helper()
	resp, body := send(t, gw, "POST", "/images", strings.NewReader(`{"name": "i"}`))
	var image struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(body), &image); err != nil || resp.StatusCode != 201 || image.ID == "" {
		t.Fatalf("POST /images = %d %s", resp.StatusCode, body)
	}
	if got, want := resp.Header.Get("Location"), gw.URL+"/image/v2/images/"+image.ID; got != want {
		t.Errorf("Location = %s, want %s", got, want)
	}
	return image.ID
}

func TestLifeOfAnImage(t *testing.T) {
	t.Parallel()
	one, two := newCloud(t, "pod1"), newCloud(t, "pod2")
	gw := region(t, one, two)
	id := made(t, gw)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if resp, body := send(t, gw, "PUT", "/images/"+id+"/file", bytes.NewReader(data)); resp.StatusCode != 204 {
		t.Fatalf("upload = %d %s", resp.StatusCode, body)
	}
	for _, c := range []*cloud{one, two} {
		if diff := cmp.Diff(map[string]string{id: "active"}, c.statuses()); diff != "" || !bytes.Equal(c.data[id], data) {
			t.Errorf("%s after the upload (-want +got):\n%s", c.name, diff)
		}
	}
	resp, body := send(t, gw, "GET", "/images", nil)
	if n := strings.Count(body, id); resp.StatusCode != 200 || n != 1 || !strings.Contains(body, `"first": "/v2/images", "schema": "/v2/schemas/images"`) {
		t.Errorf("GET /images = %d, the image is there %d times: %s", resp.StatusCode, n, body)
	}
	if _, body := send(t, gw, "GET", "/images/"+id+"/file", nil); body != string(data) {
		t.Errorf("download gives %d bytes, want %d", len(body), len(data))
	}
	if resp, body := send(t, gw, "PATCH", "/images/"+id, strings.NewReader("[1]")); resp.StatusCode != 200 {
		t.Errorf("PATCH = %d %s", resp.StatusCode, body)
	}
	if one.images[id]["patched"] != "[1]" || two.images[id]["patched"] != "[1]" {
		t.Errorf("not both copies are patched")
	}
	one.down = true // any copy will do for reading, all are needed for changing
	if resp, body := send(t, gw, "GET", "/images/"+id, nil); resp.StatusCode != 200 || resp.Header.Get("X-Tricircle-Pod") != "pod2" {
		t.Errorf("GET with pod1 away = %d %s", resp.StatusCode, body)
	}
	if resp, body := send(t, gw, "DELETE", "/images/"+id, nil); resp.StatusCode != 503 || !strings.Contains(body, "pod1") {
		t.Errorf("DELETE with pod1 away = %d %s, want 503 that names it", resp.StatusCode, body)
	}
	one.down = false
	if resp, body := send(t, gw, "DELETE", "/images/"+id, nil); resp.StatusCode != 204 {
		t.Errorf("DELETE = %d %s", resp.StatusCode, body)
	}
	if len(one.statuses())+len(two.statuses()) != 0 {
		t.Errorf("left: %v %v", one.statuses(), two.statuses())
	}
	if resp, _ := send(t, gw, "GET", "/images/"+id, nil); resp.StatusCode != 404 {
		t.Errorf("GET after DELETE = %d, want 404", resp.StatusCode)
	}
}

func TestCreationThatFailsSomewhereIsNowhere(t *testing.T) {
	t.Parallel()
	post := func(status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				w.WriteHeader(status)
			}
			return r.Method == http.MethodPost
		}
	}
	for _, test := range []struct {
		name   string
		break_ func(*cloud)
		status int
	}{
		{"away", func(c *cloud) { c.down = true }, 503},
		{"refuses", func(c *cloud) { c.set(post(http.StatusForbidden)) }, 403},
		{"fails", func(c *cloud) { c.set(post(http.StatusInternalServerError)) }, 503},
		{"made it, reply lost", func(c *cloud) {
			c.set(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				c.set(nil)
				c.serve(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			})
		}, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			one, two := newCloud(t, "pod1"), newCloud(t, "pod2")
			gw := region(t, one, two)
			test.break_(two)
			if resp, body := send(t, gw, "POST", "/images", strings.NewReader(`{"name": "i"}`)); resp.StatusCode != test.status {
				t.Errorf("POST = %d %s, want %d", resp.StatusCode, body, test.status)
			}
			if len(one.statuses())+len(two.statuses()) != 0 {
				t.Errorf("left: %v %v", one.statuses(), two.statuses())
			}
		})
	}
}

func TestUploadThatFailsInOnePod(t *testing.T) {
	t.Parallel()
	one, two := newCloud(t, "pod1"), newCloud(t, "pod2")
	gw := region(t, one, two)
	id := made(t, gw)
	two.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		}
		return false
	})
	data := bytes.Repeat([]byte("x"), 8<<20)
	resp, body := send(t, gw, "PUT", "/images/"+id+"/file", bytes.NewReader(data))
	if resp.StatusCode != 503 || !strings.Contains(body, "pod2") {
		t.Errorf("upload = %d %s, want 503 that names pod2", resp.StatusCode, body)
	}
	for _, c := range []*cloud{one, two} {
		if diff := cmp.Diff(map[string]string{id: "queued"}, c.statuses()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	two.set(nil)
	if resp, body := send(t, gw, "PUT", "/images/"+id+"/file", bytes.NewReader(data)); resp.StatusCode != 204 {
		t.Errorf("the second try = %d %s", resp.StatusCode, body)
	}
}

// A pod may have taken all the data before the other failed.
func TestUploadAgainBringsTheSameData(t *testing.T) {
	t.Parallel()
	one, two := newCloud(t, "pod1"), newCloud(t, "pod2")
	gw := region(t, one, two)
	id := made(t, gw)
	sum := sha512.Sum512([]byte("right"))
	one.images[id]["status"], one.images[id]["os_hash_algo"], one.images[id]["os_hash_value"] = "active", "sha512", hex.EncodeToString(sum[:])
	if resp, body := send(t, gw, "PUT", "/images/"+id+"/file", strings.NewReader("wrong")); resp.StatusCode != 409 || !strings.Contains(body, "pod pod1 has other data") {
		t.Errorf("other data = %d %s, want 409", resp.StatusCode, body)
	}
	if got := two.statuses()[id]; got != "queued" {
		t.Errorf("pod2's copy is %s, want queued", got)
	}
	if resp, body := send(t, gw, "PUT", "/images/"+id+"/file", strings.NewReader("right")); resp.StatusCode != 204 {
		t.Errorf("the same data = %d %s", resp.StatusCode, body)
	}
	if got := two.statuses()[id]; got != "active" {
		t.Errorf("pod2's copy is %s, want active", got)
	}
	if resp, _ := send(t, gw, "PUT", "/images/"+id+"/file", strings.NewReader("right")); resp.StatusCode != 409 {
		t.Errorf("upload of an active image = %d, want 409 as from Glance", resp.StatusCode)
	}
}

// brokenOff is a body that ends before its time.
type brokenOff struct{ left int }

func (b *brokenOff) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("the client went away")
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}

func TestUploadThatTheClientBreaksOff(t *testing.T) {
	t.Parallel()
	one, two := newCloud(t, "pod1"), newCloud(t, "pod2")
	gw := region(t, one, two)
	id := made(t, gw)
	r, _ := http.NewRequestWithContext(t.Context(), "PUT", gw.URL+"/image/v2/images/"+id+"/file", &brokenOff{left: 1 << 20})
	r.Header.Set("X-Auth-Token", "t")
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
		t.Errorf("the upload ended with %d", resp.StatusCode)
	}
	// Nothing tells the client when the gateway is through with it; the next upload
	// succeeds only if no pod took the half for the whole.
	if resp, body := send(t, gw, "PUT", "/images/"+id+"/file", strings.NewReader("all of it")); resp.StatusCode != 204 {
		t.Errorf("the next upload = %d %s", resp.StatusCode, body)
	}
	if string(one.data[id]) != "all of it" || string(two.data[id]) != "all of it" {
		t.Errorf("a pod took half an image")
	}
}

func TestListIsPagedAsGlancesIs(t *testing.T) {
	t.Parallel()
	one, two := newCloud(t, "pod1"), newCloud(t, "pod2")
	for i := range 3 {
		id := fmt.Sprintf("i%d", i)
		image := map[string]any{"id": id, "name": "n", "status": "active", "owner": "demo", "created_at": fmt.Sprintf("2026-11-22T10:00:0%dZ", i)}
		one.images[id], two.images[id] = image, image
	}
	gw := region(t, one, two)
	for _, test := range []struct {
		path   string
		status int
		want   []string
		next   string
	}{
		{"/images?limit=2", 200, []string{"i2", "i1"}, "/v2/images?limit=2&marker=i1"},
		{"/images?limit=2&marker=i1", 200, []string{"i0"}, ""},
		{"/images?sort=created_at:asc", 200, []string{"i0", "i1", "i2"}, ""},
		{"/images?limit=0", 200, nil, ""},
		{"/images?marker=x", 400, nil, ""},
		{"/images?sort=x", 400, nil, ""},
		{"/images?limit=x", 400, nil, ""},
		{"/images?sort=name&sort_key=name", 400, nil, ""},
	} {
		resp, body := send(t, gw, "GET", test.path, nil)
		if resp.StatusCode != test.status {
			t.Errorf("GET %s = %d %s, want %d", test.path, resp.StatusCode, body, test.status)
			continue
		}
		var list struct {
			Images []struct {
				ID string `json:"id"`
			} `json:"images"`
			Next string `json:"next"`
		}
		if test.status == 200 {
			if err := json.Unmarshal([]byte(body), &list); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, image := range list.Images {
			got = append(got, image.ID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || list.Next != test.next {
			t.Errorf("GET %s: next %q, want %q (-want +got):\n%s", test.path, list.Next, test.next, diff)
		}
	}
}
