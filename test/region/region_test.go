// Package region_test tells stories about the whole program, over simulated
// clouds and as a user sees it: tokens in, statuses, bodies and headers out.
//
// What one package does alone is tested there. Here all parts run as they do in
// production, put together by package app.
package region_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/app"
	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Stories mostly wait, for time limits and pauses: more of them can be told at
	// once than there are processors.
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err)
	}
	storetest.Main(m)
}

// imageID is an image that all pods have.
const imageID = "84181aed-ab10-46f3-8dc5-4832dc2fc220"

// setup is what a story changes of the usual.
type setup struct {
	clouds    podtest.Options
	database  string // default: SQLite
	dhcpPorts int    // per network in each pod; default 1
	config    func(*config.Config)
}

// region is a running program over simulated clouds: pod1 is zone az1, pod2 az2.
type region struct {
	t      testing.TB
	cloud  *podtest.Cloud
	url    string
	ops    string
	log    *logBook
	stop   func() error // as SIGTERM does; returns what Run returned
	cut    bool         // stop may fail
	before map[string]map[string][]string
}

func newRegion(t testing.TB, s setup) *region {
	t.Helper()
	r := &region{t: t, cloud: podtest.New(t, s.clouds), log: &logBook{}}
	for _, p := range r.cloud.Pods() {
		p.AddImage(glance.Image{ID: imageID, Name: "tiny"})
		p.Compute.SetQuota(1000)
		p.Volume.SetQuota(1000)
	}
	r.start(s)
	for i, p := range r.cloud.Pods() {
		r.as("admin").do("POST", "/admin/v1/pods?check=false", m{"pod": m{"name": p.Name, "region": p.Region, "zone": fmt.Sprintf("az%d", i+1),
			"pod_zone": "nova", "dhcp_ports": max(s.dhcpPorts, 1)}}).want(t, 201)
	}
	r.before = r.inventory()
	return r
}

// start runs the program until the test ends or stop is called.
func (r *region) start(s setup) {
	r.t.Helper()
	dir := r.t.TempDir()
	clouds := filepath.Join(dir, "clouds.yaml")
	must(r.t, r.cloud.WriteClouds(clouds))
	if s.database == "" {
		s.database = storetest.SQLiteURL(r.t)
	}
	c := config.Config{
		Listen: "127.0.0.1:0", OperationsListen: "127.0.0.1:0", DataDir: dir, Database: s.database,
		Keystone: config.Keystone{Cloud: "admin-top", CloudsFile: clouds},
		Jobs:     config.Jobs{MaxBackoff: 200 * time.Millisecond},
		Pods:     config.Pods{Grace: 500 * time.Millisecond, Census: 24 * time.Hour},
		Networks: config.Networks{PhysicalNetworks: map[string]config.PhysicalNetwork{
			"bridge": {VLAN: []config.Range{{First: 101, Last: 400}}}}},
		PublicURL: "http://cloud.example.org",
	}
	if s.config != nil {
		s.config(&c)
	}
	c = c.WithDefaults() // not validated: stories are less patient than operators may be
	a, err := app.New(r.t.Context(), app.Options{
		Config: c, IntentDelay: 50 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	must(r.t, err)
	r.url, r.ops = a.URL(), a.OperationsURL()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.t.Cleanup(func() {
		if err := r.stop(); err != nil && !r.cut {
			r.t.Errorf("the program ended with: %v", err)
		}
		if r.t.Failed() {
			r.t.Logf("the program's log:\n%s", r.log)
		}
	})
}

// logBook is the program's log.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (r *region) pod(name string) *podtest.Pod { return r.cloud.Pod(name) }

// inventory is what the pods hold, by pod and kind.
func (r *region) inventory() map[string]map[string][]string {
	all := map[string]map[string][]string{}
	for _, p := range r.cloud.Pods() {
		p.Settle()
		all[p.Name] = p.Inventory()
	}
	return all
}

// settled waits until no job is left to be done.
func (r *region) settled() {
	r.t.Helper()
	eventually(r.t, "no work is left", func() string {
		var left []string
		for _, j := range r.jobs("") {
			if j.Get("state").Str != "done" {
				left = append(left, j.Raw)
			}
		}
		if len(left) == 0 {
			return ""
		}
		return fmt.Sprint(left)
	})
}

func (r *region) jobs(query string) []gjson.Result {
	r.t.Helper()
	return r.as("admin").do("GET", "/admin/v1/jobs?limit=1000&"+query, nil).want(r.t, 200).get("jobs").Array()
}

// clean waits until the pods hold what they did when the story began.
func (r *region) clean() {
	r.t.Helper()
	r.settled()
	eventually(r.t, "the pods are as before", func() string { return cmp.Diff(r.before, r.inventory()) })
}

// eventually waits for what goes on in the background; missing says what is not
// there yet.
func eventually(t testing.TB, what string, missing func() string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		lacks := missing()
		if lacks == "" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within 30 s: %s", what, lacks)
		case <-tick.C:
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
