package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/admin/client"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// region is a Tricircle in front of clouds; its jobs are not run.
type region struct {
	cloud   *podtest.Cloud
	store   *store.Store
	account *pod.Account
	service gateway.Service
	api     *httptest.Server
}

func newRegion(t *testing.T, s *store.Store) *region {
	t.Helper()
	r := &region{cloud: podtest.New(t, podtest.Options{}), store: s}
	r.account = pod.NewAccount(pod.AccountOptions{
		AuthURL: r.cloud.AuthURL(), Username: "admin", Password: podtest.Password, ProjectName: "admin",
	})
	runner, err := jobs.New(jobs.Options{Store: s, Ensure: func(context.Context, store.Target, func(context.Context, *store.Tx) error) error {
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	f := fleet.New(fleet.Options{Store: s, Own: r.account, Client: pod.Options{Timeout: 5 * time.Second}})
	r.service = admin.New(admin.Options{
		HTTP:  podtest.HTTP,
		Store: s, Fleet: f, Jobs: runner, Account: r.account, Region: podtest.RegionOne,
		PublicURL: "https://cloud.example.org", PhysicalNetworks: []string{"bridge"}, Version: "1.2.3",
	}).Service()
	r.api = httptest.NewServer(gateway.New(gateway.Options{
		Services: []gateway.Service{r.service},
		Verifier: identity.NewVerifier(identity.Options{AuthURL: r.cloud.AuthURL(), Service: r.account}),
	}))
	t.Cleanup(r.api.Close)
	return r
}

func (r *region) as(user string) *client.Client {
	return &client.Client{HTTP: podtest.HTTP, Endpoint: r.api.URL + "/admin", Token: r.cloud.Token(user, user)}
}

// call sends a request without the client's help.
func (r *region) call(t *testing.T, method, path, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, r.api.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(reply)
}

// TestOnlyAdminsMay asks every route as a member, and as nobody. The answer does
// not depend on whether the thing exists.
func TestOnlyAdminsMay(t *testing.T) {
	t.Parallel()
	r := newRegion(t, storetest.New(t))
	if _, _, err := r.as("admin").AddPod(context.Background(), admin.PodSpec{Name: "pod1", Region: "Pod1", Zone: "az1"}, false); err != nil {
		t.Fatal(err)
	}
	member := r.cloud.Token("demo", "demo")
	for _, route := range r.service.Routes {
		if route.Strategy == gateway.Public {
			continue
		}
		for _, name := range []string{"pod1", "nope"} {
			path := "/admin/v1" + strings.NewReplacer("{name}", name, "{id}", name).Replace(route.Pattern)
			if status, body := r.call(t, route.Method, path, member, "{}"); status != http.StatusForbidden || strings.Contains(body, name+" ") {
				t.Errorf("%s %s as a member = %d %s, want 403", route.Method, path, status, body)
			}
			if status, _ := r.call(t, route.Method, path, "", "{}"); status != http.StatusUnauthorized {
				t.Errorf("%s %s without a token = %d, want 401", route.Method, path, status)
			}
		}
	}
	if status, body := r.call(t, http.MethodGet, "/admin", "", ""); status != http.StatusOK || !strings.Contains(body, `"v1"`) {
		t.Errorf("GET /admin = %d %s, want the versions", status, body)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	r := newRegion(t, storetest.New(t))
	token := r.cloud.Token("admin", "admin")
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"malformed JSON", "POST", "/pods", `{"pod": `, 400, "Malformed request body"},
		{"wrong type", "POST", "/pods", `{"pod": {"name": 7}}`, 400, "Malformed request body"},
		{"no pod", "POST", "/pods", `{}`, 400, `pod name \"\" is not valid`},
		{"no region", "POST", "/pods", `{"pod": {"name": "p", "zone": "z"}}`, 400, "pod p needs a region"},
		{"no zone", "POST", "/pods", `{"pod": {"name": "p", "region": "r"}}`, 400, "pod p needs a zone"},
		{"odd check", "POST", "/pods?check=perhaps", `{}`, 400, "check must be true or false"},
		{"huge", "POST", "/pods", `{"pod": "` + strings.Repeat("x", 200_000) + `"}`, 413, "too large"},
		{"no such pod", "GET", "/pods/nope", "", 404, "Pod nope could not be found"},
		{"no such pod to change", "PATCH", "/pods/nope", `{"pod": {"cordoned": true}}`, 404, "nope"},
		{"no such job", "GET", "/jobs/9", "", 404, "no job 9"},
		{"odd job state", "GET", "/jobs?state=lost", "", 400, "lost"},
		{"odd limit", "GET", "/jobs?limit=-1", "", 400, "limit must be a number above 0"},
		{"no such path", "GET", "/nothing", "", 404, ""},
		{"wrong method", "PUT", "/pods", "", 405, ""},
	}
	for _, tt := range tests {
		status, body := r.call(t, tt.method, "/admin/v1"+tt.path, token, tt.body)
		var shape struct {
			Error struct {
				Code      int
				Message   string
				RequestID string `json:"request_id"`
			}
		}
		if err := json.Unmarshal([]byte(body), &shape); err != nil || shape.Error.Code != tt.status || shape.Error.RequestID == "" {
			t.Errorf("%s: error body %s is not in shape (%v)", tt.name, body, err)
		}
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, body, tt.status, tt.want)
		}
	}
}

func TestPodsOnBothDatabases(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		r := newRegion(t, s)
		c := r.as("admin")
		none := 0
		made, findings, err := c.AddPod(ctx, admin.PodSpec{Name: "pod1", Region: "Pod1", Zone: "az1", PodZone: "nova", DHCPPorts: &none}, true)
		if err != nil {
			t.Fatal(err)
		}
		want := store.Pod{Name: "pod1", Region: "Pod1", Zone: "az1", PodZone: "nova", Interface: "public", Drift: "report"}
		got := made.Pod
		got.CreatedAt, got.UpdatedAt = time.Time{}, time.Time{}
		if diff := cmp.Diff(want, got); diff != "" || made.State != pod.Up {
			t.Errorf("AddPod: state %s (-want +got):\n%s", made.State, diff)
		}
		if !slices.ContainsFunc(findings, func(f admin.Finding) bool { return f.Level == admin.LevelError && f.What == "DHCP agents" }) {
			t.Errorf("AddPod without DHCP ports found only %+v", findings)
		}
		cordoned := true
		if _, err := c.ChangePod(ctx, "pod1", admin.PodChange{Cordoned: &cordoned}); err != nil {
			t.Fatal(err)
		}
		pods, err := c.Pods(ctx)
		if err != nil || len(pods) != 1 || !pods[0].Cordoned || pods[0].DHCPPorts != 0 {
			t.Errorf("Pods = %+v, %v, want pod1, cordoned", pods, err)
		}
		if err := s.Bind(ctx, "p1", "az1", "pod1"); err != nil {
			t.Fatal(err)
		}
		bindings, err := c.Bindings(ctx)
		if diff := cmp.Diff([]store.Binding{{ProjectID: "p1", Zone: "az1", Pod: "pod1"}}, bindings); diff != "" || err != nil {
			t.Errorf("Bindings: %v (-want +got):\n%s", err, diff)
		}
		if err := c.RemovePod(ctx, "pod1"); err != nil {
			t.Fatal(err)
		}
		if pods, err := c.Pods(ctx); err != nil || len(pods) > 0 {
			t.Errorf("Pods = %+v, %v after the removal", pods, err)
		}
	})
}

func TestWhoamiAndVersion(t *testing.T) {
	t.Parallel()
	r := newRegion(t, storetest.New(t))
	status, body := r.call(t, http.MethodGet, "/admin/v1/whoami", r.cloud.Token("admin", "admin"), "")
	if status != http.StatusOK || !strings.Contains(body, `"user_name":"admin"`) {
		t.Errorf("whoami = %d %s", status, body)
	}
	if v, err := r.as("admin").Version(context.Background()); err != nil || v != "1.2.3" {
		t.Errorf("Version = %q, %v, want 1.2.3", v, err)
	}
}

// TestWhereShowsPlaces is about a network that one pod has and another is losing.
func TestWhereShowsPlaces(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRegion(t, storetest.New(t))
	c := r.as("admin")
	for _, name := range []string{"pod1", "pod2"} {
		if _, _, err := c.AddPod(ctx, admin.PodSpec{Name: name, Region: podtest.Region(name), Zone: "az1"}, false); err != nil {
			t.Fatal(err)
		}
	}
	one, two := store.Target{Kind: store.KindPort, ID: "p1", Pod: "pod1"}, store.Target{Kind: store.KindPort, ID: "p1", Pod: "pod2"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.store.Want(ctx, "demo", one, two)
	must(err)
	must(r.store.Place(ctx, one, "theirs", "demo"))
	_, err = r.store.Observe(ctx, one, 1, nil)
	must(err)
	must(r.store.Fail(ctx, two, "pod pod2 is away"))

	got, err := c.Where(ctx, "p1")
	must(err)
	for i := range got.Places {
		got.Places[i].UpdatedAt = time.Time{}
	}
	want := admin.Resource{ID: "p1", Found: []admin.Thing{}, Places: []admin.Place{
		{Kind: "port", Pod: "pod1", Zone: "az1", PodID: "theirs", Wanted: true, Current: true},
		{Kind: "port", Pod: "pod2", Zone: "az1", Wanted: true, Reason: "pod pod2 is away"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Where (-want +got):\n%s", diff)
	}
}

// TestDocs holds docs/admin-api.md to the table of routes.
func TestDocs(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "admin-api.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range newRegion(t, storetest.New(t)).service.Routes {
		if route.Strategy == gateway.Public {
			continue
		}
		if line := "`" + route.Method + " /admin/v1" + route.Pattern + "`"; !strings.Contains(string(docs), line) {
			t.Errorf("docs/admin-api.md does not have %s", line)
		}
	}
}
