package compute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute"
	"github.com/tricircle/tricircle/internal/gateway/image"
	"github.com/tricircle/tricircle/internal/gateway/network"
	"github.com/tricircle/tricircle/internal/gateway/volume"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// setup is what a region is made of.
type setup struct {
	authURL     string
	pods        []store.Pod
	podTimeout  time.Duration // of one call to a pod
	intentDelay time.Duration
	intentGrace time.Duration
}

// region is the Compute API over real parts: SQLite, jobs, and clouds over HTTP.
type region struct {
	t     testing.TB
	url   string
	store *store.Store
	fleet *fleet.Fleet
}

func newRegion(t testing.TB, o setup) *region {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := store.Open(t.Context(), store.Options{URL: storetest.SQLiteURL(t), Log: log})
	must(t, err)
	t.Cleanup(s.Close)
	must(t, s.SetFabric(topology.Fabric{Physical: []topology.PhysicalNetwork{{Name: "bridge", VLANs: []topology.SegmentRange{{Min: 101, Max: 400}}}}}))
	own := pod.NewAccount(pod.AccountOptions{
		AuthURL: o.authURL, Username: "admin", Password: "secret", ProjectName: "admin", UserDomainID: "default", ProjectDomainID: "default",
	})
	f := fleet.New(fleet.Options{Store: s, Own: own, Log: log, Client: pod.Options{Timeout: o.podTimeout, Log: log,
		Breaker: pod.BreakerOptions{Failures: 1000}}}) // what is up again is asked at once
	r := reconcile.New(reconcile.Options{Store: s, Pods: f, Holder: t.Name(), Grace: o.intentGrace, Log: log})
	runner, err := jobs.New(jobs.Options{Store: s, Ensure: r.Ensure, IntentDelay: o.intentDelay, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, runner.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := runner.Stop(ctx); err != nil {
			t.Errorf("cannot stop the jobs: %v", err)
		}
	})
	for _, p := range o.pods {
		_, err := s.CreatePod(t.Context(), p)
		must(t, err)
		must(t, runner.AddPod(p.Name))
	}
	d := dispatch.OfFleet(f, s)
	d.Log = log
	if o.podTimeout > 0 {
		d.Timeout = o.podTimeout
	}
	inside, asked := &gateway.Inside{}, dispatch.New(d)
	handler := gateway.New(gateway.Options{
		Services: []gateway.Service{
			compute.Service(compute.Deps{Store: s, Fleet: f, Dispatch: asked, Reconciler: r, Region: inside, Log: log}),
			compute.Unversioned(compute.Deps{Store: s, Fleet: f, Dispatch: asked, Reconciler: r, Region: inside, Log: log}),
			network.Service(network.Deps{Store: s, Zones: f, Pods: r}), volume.Service(volume.Deps{Store: s, Fleet: f, Dispatch: asked, Reconciler: r}), image.Service(image.Deps{Store: s, Fleet: f, Dispatch: asked, Reconciler: r}),
		},
		Verifier: identity.NewVerifier(identity.Options{AuthURL: o.authURL, Service: own}), AuthURL: o.authURL, Log: log,
	})
	inside.Open(handler)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	return &region{t: t, url: web.URL + "/compute", store: s, fleet: f}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client speaks to the region as one user.
type client struct {
	*region
	token   string
	project string
	version string // microversion; empty: none
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) get(path string) gjson.Result { return gjson.GetBytes(r.body, path) }

// message is what an error says.
func (r reply) message() string { return r.get("*.message").Str }

func (c *client) do(method, path string, body any) reply {
	c.t.Helper()
	r, err := c.try(c.t.Context(), method, path, body)
	must(c.t, err)
	return r
}

// typed is do with a body of another type than JSON.
func (c *client) typed(kind, method, path, body string) reply {
	c.t.Helper()
	r, err := c.send(c.t.Context(), kind, method, path, body)
	must(c.t, err)
	return r
}

func (c *client) try(ctx context.Context, method, path string, body any) (reply, error) {
	return c.send(ctx, "application/json", method, path, body)
}

func (c *client) send(ctx context.Context, kind, method, path string, body any) (reply, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		content = bytes.NewReader(raw)
	}
	url := c.url + "/v2.1" + path
	if strings.HasPrefix(path, "//") {
		url = c.url + path[1:]
	}
	req, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("X-Auth-Token", c.token)
	if content != nil {
		req.Header.Set("Content-Type", kind)
	}
	if c.version != "" {
		req.Header.Set("OpenStack-API-Version", "compute "+c.version)
	}
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, raw}, err
}

// want fails the test unless the status is as said.
func (r reply) want(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// network makes a central network with one DHCP subnet. Out of the pools, if any,
// addresses are given that nobody asked for.
func (c *client) network(name, cidr string, pools ...topology.Pool) topology.Network {
	c.t.Helper()
	made, err := c.store.CreateNetworks(c.t.Context(), []topology.Network{{
		ProjectID: c.project, Name: name, AdminStateUp: true, PortSecurityEnabled: true,
	}})
	must(c.t, err)
	_, err = c.store.CreateSubnets(c.t.Context(), []topology.SubnetSpec{{Subnet: topology.Subnet{
		NetworkID: made[0].ID, ProjectID: c.project, Name: name + "-subnet", IPVersion: 4, CIDR: netip.MustParsePrefix(cidr), EnableDHCP: true,
		AllocationPools: pools,
	}}})
	must(c.t, err)
	n, err := c.store.FindNetwork(c.t.Context(), made[0].ID)
	must(c.t, err)
	return n
}

func pool(first, last string) topology.Pool {
	return topology.Pool{Start: netip.MustParseAddr(first), End: netip.MustParseAddr(last)}
}

// eventually waits for what others do in the background.
func eventually(t testing.TB, what string, holds func() bool, instead ...func() string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			for _, say := range instead {
				t.Log(say())
			}
			t.Fatalf("%s: not after 30 s", what)
		case <-tick.C:
		}
	}
}
