package image_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/image"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// world is the Image API of a region over simulated clouds. Its clock and its jobs
// stand still until a test moves them.
type world struct {
	t     testing.TB
	cloud *podtest.Cloud
	store *store.Store
	pods  *fleet.Fleet
	jobs  *reconcile.Reconciler
	url   string
	now   time.Time
}

type m = map[string]any

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, cloud: podtest.New(t, podtest.Options{}), now: time.Now()}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	w.store = storetest.Open(t, store.Options{URL: storetest.SQLiteURL(t), Now: func() time.Time { return w.now }, Log: log})
	for _, p := range w.cloud.Pods() {
		if _, err := w.store.CreatePod(t.Context(), store.Pod{Name: p.Name, Region: p.Region, Zone: "az-" + p.Name}); err != nil {
			t.Fatal(err)
		}
	}
	own := pod.NewAccount(pod.AccountOptions{AuthURL: w.cloud.AuthURL(), Username: "admin", Password: podtest.Password,
		ProjectName: "admin", UserDomainID: "default", ProjectDomainID: "default"})
	w.pods = fleet.New(fleet.Options{Store: w.store, Own: own, Log: log, Client: pod.Options{Timeout: 5 * time.Second, Log: log,
		Breaker: pod.BreakerOptions{Failures: 1000}}}) // what is up again is asked at once
	w.jobs = reconcile.New(reconcile.Options{Store: w.store, Pods: w.pods, Holder: t.Name(), Log: log, Now: func() time.Time { return w.now }})
	d := dispatch.New(dispatch.OfFleet(w.pods, w.store))
	gw := httptest.NewServer(gateway.New(gateway.Options{
		Services: []gateway.Service{image.Service(image.Deps{Store: w.store, Fleet: w.pods, Dispatch: d, Reconciler: w.jobs, Log: log})},
		Verifier: identity.NewVerifier(identity.Options{AuthURL: w.cloud.AuthURL(), Service: own}), AuthURL: w.cloud.AuthURL(), MaxBody: 10_000,
	}))
	t.Cleanup(gw.Close)
	w.url = gw.URL + "/image/v2"
	// The project's pod is settled before the tests.
	for _, project := range []string{"demo", "alt", "admin"} {
		if err := w.store.Bind(t.Context(), w.cloud.ProjectID(project), "az-pod1", "pod1"); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// user is a client of the region, or of a pod itself.
type user struct {
	t          testing.TB
	url, token string
}

func (w *world) as(name string) user { return user{w.t, w.url, w.cloud.Token(name, name)} }

// past asks a pod itself.
func (u user) past(p *podtest.Pod) user {
	u.url = p.URL(podtest.Image) + "/v2"
	return u
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) get(path string) string { return gjson.GetBytes(r.body, path).String() }

func (r reply) want(t testing.TB, status int, words ...string) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	for _, word := range words {
		if !strings.Contains(string(r.body), word) {
			t.Errorf("answer %s, want it to have %q", r.body, word)
		}
	}
	return r
}

// do sends a body: a reader as it is, else JSON; nil: none.
func (u user) do(method, path string, body any) reply {
	u.t.Helper()
	kind, from := "application/json", io.Reader(nil)
	switch b := body.(type) {
	case nil:
	case io.Reader:
		kind, from = "application/octet-stream", b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			u.t.Fatal(err)
		}
		from = bytes.NewReader(text)
		if method == http.MethodPatch {
			kind = "application/openstack-images-v2.1-json-patch"
		}
	}
	r, err := http.NewRequestWithContext(u.t.Context(), method, u.url+path, from)
	if err != nil {
		u.t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", u.token)
	r.Header.Set("Accept", "application/json")
	if from != nil {
		r.Header.Set("Content-Type", kind)
	}
	resp, err := podtest.HTTP.Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, text}
}

// image makes one, with data.
func (u user) image(fields m) string {
	u.t.Helper()
	id := u.empty(fields)
	u.do("PUT", "/images/"+id+"/file", strings.NewReader("data")).want(u.t, 204)
	return id
}

// empty makes an image without data.
func (u user) empty(fields m) string {
	u.t.Helper()
	body := m{"name": "i", "disk_format": "raw", "container_format": "bare"}
	for k, v := range fields {
		body[k] = v
	}
	return u.do("POST", "/images", body).want(u.t, 201).get("id")
}

// ids are those of a list.
func (r reply) ids(t testing.TB) []string {
	t.Helper()
	r.want(t, 200)
	ids := []string{}
	for _, id := range gjson.GetBytes(r.body, "images.#.id").Array() {
		ids = append(ids, id.Str)
	}
	return ids
}

// status is what the pod shows of the image to its admin; empty: nothing.
func (w *world) status(p *podtest.Pod, id string) string {
	w.t.Helper()
	r := w.as("admin").past(p).do("GET", "/images/"+id, nil)
	if r.status == http.StatusNotFound {
		return ""
	}
	return r.want(w.t, 200).get("status")
}

// copy gives pod2 a copy, as a job would.
func (w *world) copy(id string) {
	const name = "pod2"
	w.t.Helper()
	ctx := context.Background()
	if err := w.store.WantImageCopy(ctx, id, name); err != nil {
		w.t.Fatal(err)
	}
	i, err := w.store.FindImage(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	admin, from, to := w.as("admin"), w.cloud.Pod(i.Home), w.cloud.Pod(name)
	var doc m
	if err := json.Unmarshal(admin.past(from).do("GET", "/images/"+id, nil).want(w.t, 200).body, &doc); err != nil {
		w.t.Fatal(err)
	}
	body := m{}
	for _, field := range []string{"id", "name", "owner", "visibility", "disk_format", "container_format"} {
		body[field] = doc[field]
	}
	admin.past(to).do("POST", "/images", body).want(w.t, 201)
	admin.past(to).do("PUT", "/images/"+id+"/file", strings.NewReader("data")).want(w.t, 204)
	target := store.Target{Kind: store.KindImage, ID: id, Pod: name}
	if err := w.store.Place(ctx, target, id, i.ProjectID); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.SetImageCopy(ctx, store.ImageCopy{ID: id, Pod: name, State: store.CopyActive}); err != nil {
		w.t.Fatal(err)
	}
	found, err := w.store.FindMapping(ctx, target)
	if err == nil {
		_, err = w.store.Observe(ctx, target, found.Generation, nil)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// pending are the pods whose copies have work left; the home's job only looks.
func (w *world) pending(id string) []string {
	w.t.Helper()
	all, err := w.store.ListMappings(context.Background(), store.MappingQuery{Kind: store.KindImage, ID: id, Pending: true})
	if err != nil {
		w.t.Fatal(err)
	}
	names := []string{}
	for _, mapping := range all {
		if i, err := w.store.FindImage(context.Background(), id); err != nil || i.Deleted || i.Home != mapping.Pod {
			names = append(names, mapping.Pod)
		}
	}
	return names
}

// eventually waits for a pod that has just come back to be believed.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 200 {
		if done() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("it does not come about")
}
