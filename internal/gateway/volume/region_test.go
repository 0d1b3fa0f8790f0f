package volume_test

import (
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
	"github.com/tricircle/tricircle/internal/gateway/volume"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
)

// region is the Block Storage API over real parts: a database, jobs, and clouds
// over HTTP.
type region struct {
	*reconcile.Reconciler
	t     testing.TB
	url   string
	store *store.Store
	cloud *podtest.Cloud
	jobs  *jobs.Runner
}

// newRegion has the pods, which are in zones az1, az2 and so on.
func newRegion(t testing.TB, s *store.Store, pods ...string) *region {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	cloud := podtest.New(t, podtest.Options{Pods: append(pods, "spare")})
	own := pod.NewAccount(pod.AccountOptions{AuthURL: cloud.AuthURL(), Username: "admin", Password: "secret", ProjectName: "admin",
		UserDomainID: "default", ProjectDomainID: "default"})
	f := fleet.New(fleet.Options{Store: s, Own: own, Log: log, Client: pod.Options{Timeout: 5 * time.Second, Log: log,
		Breaker: pod.BreakerOptions{Failures: 1000}}}) // what is up again is asked at once
	r := reconcile.New(reconcile.Options{Store: s, Pods: f, Holder: t.Name(), Grace: 300 * time.Millisecond, Log: log})
	runner, err := jobs.New(jobs.Options{Store: s, Ensure: r.Ensure, IntentDelay: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, runner.Start(t.Context()))
	t.Cleanup(func() {
		if err := runner.Stop(t.Context()); err != nil {
			t.Logf("cannot stop the jobs: %v", err)
		}
	})
	d := dispatch.OfFleet(f, s)
	d.Log = log
	web := httptest.NewServer(gateway.New(gateway.Options{
		Services: []gateway.Service{volume.Service(volume.Deps{Store: s, Fleet: f, Dispatch: dispatch.New(d), Reconciler: r, Log: log})},
		Verifier: identity.NewVerifier(identity.Options{AuthURL: cloud.AuthURL(), Service: own}), AuthURL: cloud.AuthURL(), Log: log,
	}))
	t.Cleanup(web.Close)
	w := &region{Reconciler: r, t: t, url: web.URL + "/volume/v3", store: s, cloud: cloud, jobs: runner}
	for i, name := range pods {
		w.add(name, "az"+string(rune('1'+i)))
	}
	return w
}

func (w *region) add(name, zone string) {
	w.t.Helper()
	_, err := w.store.AddPod(w.t.Context(), store.Pod{Name: name, Region: podtest.Region(name), Zone: zone, PodZone: "nova"})
	must(w.t, err)
	must(w.t, w.jobs.AddPod(name))
	time.Sleep(0)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) get(path string) gjson.Result { return gjson.GetBytes(r.body, path) }

// want fails the test unless the status is as said.
func (r reply) want(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// do asks the region as an admin.
func (w *region) do(method, path, body string) reply {
	w.t.Helper()
	return w.ask("admin", w.url, method, path, body)
}

// in asks a pod as its operator, past the region.
func (w *region) in(podName, method, path, body string) reply {
	w.t.Helper()
	return w.ask("admin", w.cloud.Pod(podName).URL(podtest.Volume)+"/v3", method, path, body)
}

func (w *region) ask(user, base, method, path, body string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, base+path, strings.NewReader(body))
	must(w.t, err)
	req.Header.Set("X-Auth-Token", w.cloud.Token(user, user))
	req.Header.Set("OpenStack-API-Version", "volume 3.70")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := podtest.HTTP.Do(req)
	must(w.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	must(w.t, err)
	return reply{resp.StatusCode, resp.Header, raw}
}

// eventually waits for what jobs do.
func (w *region) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			w.t.Fatalf("%s: not after 20 s", what)
		case <-tick.C:
		}
	}
}
