package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// cloud is one Keystone and any number of pods that have things or have not:
// all that placement asks.
type cloud struct {
	server *httptest.Server

	mu    sync.Mutex
	has   map[string][]string // pod to what it has: "images/i1"
	down  map[string]int      // pod to the status it answers with
	said  map[string]string   // pod and thing to its document
	since map[string]string   // and the version that it must be asked in
	calls []string            // "pod1 GET images/i1 token"
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{has: map[string][]string{}, down: map[string]int{}, said: map[string]string{}, since: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v3/auth/tokens", c.login)
	mux.HandleFunc("GET /{region}/{rest...}", c.answer)
	c.server = httptest.NewServer(mux)
	t.Cleanup(c.server.Close)
	return c
}

func (c *cloud) login(w http.ResponseWriter, _ *http.Request) {
	type object map[string]any
	var catalog []object
	for _, service := range pod.Services() {
		var endpoints []object
		for _, region := range []string{"Pod1", "Pod2", "Pod3", "New"} {
			endpoints = append(endpoints, object{"interface": "public", "region_id": region, "url": c.server.URL + "/" + region})
		}
		catalog = append(catalog, object{"type": service, "endpoints": endpoints})
	}
	w.Header().Set("X-Subject-Token", "service-token")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(object{"token": object{
		"expires_at": time.Now().Add(time.Hour), "project": object{"id": "service"}, "catalog": catalog,
	}})
}

// answer is a pod: 200 for what it has, 404 for what it has not.
func (c *cloud) answer(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	region := r.PathValue("region")
	parts := strings.Split(r.PathValue("rest"), "/")
	what := strings.Join(parts[max(0, len(parts)-2):], "/")
	c.calls = append(c.calls, fmt.Sprintf("%s %s %s", region, what, r.Header.Get("X-Auth-Token")))
	switch {
	case c.down[region] != 0:
		w.WriteHeader(c.down[region])
	case c.since[region+what] != "" && r.Header.Get("Openstack-Api-Version") != c.since[region+what]:
		w.WriteHeader(http.StatusNotAcceptable)
	case c.said[region+what] != "":
		fmt.Fprint(w, c.said[region+what])
	case !slices.Contains(c.has[region], what):
		w.WriteHeader(http.StatusNotFound)
	default:
		fmt.Fprint(w, "{}")
	}
}

func (c *cloud) give(region string, what ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.has[region] = append(c.has[region], what...)
}

// say has the pod answer with the document.
func (c *cloud) say(region, what, document string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said[region+what] = document
}

// sayFrom is say for those who ask in the version only.
func (c *cloud) sayFrom(region, what, version, document string) {
	c.say(region, what, document)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since[region+what] = version
}

func (c *cloud) fail(region string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down[region] = status
}

// asked returns the calls since the last time, sorted: pods are asked in parallel.
func (c *cloud) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	slices.Sort(calls)
	return calls
}

// clock is a clock that tests turn.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newFleet(s *store.Store, c *cloud, k *clock) *fleet.Fleet {
	account := func(user string) pod.AccountOptions {
		return pod.AccountOptions{AuthURL: c.server.URL, Username: user, Password: "secret", ProjectName: "service"}
	}
	return fleet.New(fleet.Options{
		Store: s, Own: pod.NewAccount(account("tricircle")), Now: k.Now,
		Credentials: func(ref string) (pod.AccountOptions, error) {
			if ref == "missing" {
				return pod.AccountOptions{}, fmt.Errorf("no cloud %s", ref)
			}
			return account(ref), nil
		},
		Client: pod.Options{Timeout: 5 * time.Second},
	})
}

var demo = identity.Caller{ProjectID: "demo", Token: "demo-token", RequestID: "req-1"}

func addPod(t *testing.T, s *store.Store, f *fleet.Fleet, name, region, zone string) {
	t.Helper()
	if _, err := s.CreatePod(context.Background(), store.Pod{Name: name, Region: region, Zone: zone}); err != nil {
		t.Fatal(err)
	}
	f.Changed()
}

func changePod(t *testing.T, s *store.Store, f *fleet.Fleet, name string, change func(*store.Pod)) {
	t.Helper()
	_, err := s.UpdatePod(context.Background(), name, func(p *store.Pod) error { change(p); return nil })
	if err != nil {
		t.Fatal(err)
	}
	f.Changed()
}
