package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// server is a pod behind real HTTP, its service at a path like devstack's.
type server struct{ url string }

func (s server) Name() string { return "pod1" }

func (s server) Do(ctx context.Context, r pod.Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, s.url+"/nova/v2.1"+r.Path, r.Body)
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = r.RawQuery
	req.Header = r.Header
	req.Header.Set("X-Auth-Token", r.As.Token)
	if r.Length > 0 {
		req.ContentLength = r.Length
	}
	return podtest.HTTP.Transport.RoundTrip(req)
}

type deadPod struct{}

func (deadPod) Name() string { return "pod9" }
func (deadPod) Do(context.Context, pod.Request) (*http.Response, error) {
	return nil, &fault.Error{Kind: fault.Unavailable, Pod: "pod9", Message: "cannot GET /servers: connection refused"}
}

// through is a gateway that forwards everything to the pod.
func through(t *testing.T, p Pod, rewrite bool) *httptest.Server {
	t.Helper()
	handle := func(ctx context.Context, by identity.Caller, r *Request) (*Reply, error) {
		if rewrite {
			return ForwardJSON(ctx, by, r, p, pod.Compute, nil)
		}
		return Forward(ctx, by, r, p, pod.Compute)
	}
	var routes []Route
	for _, method := range []string{"GET", "POST", "HEAD", "DELETE"} {
		routes = append(routes, Route{Method: method, Pattern: "/*", Handle: handle})
	}
	h := New(Options{Verifier: verifier{}, Services: []Service{{
		Name: "compute", Prefix: "/compute", Version: "/v2.1", Error: NovaError, Routes: routes,
	}}})
	gw := httptest.NewServer(h)
	t.Cleanup(gw.Close)
	return gw
}

func TestForwardIsFaithful(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var gotBody string
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, gotBody = r, string(body)
		w.Header().Set("Openstack-Api-Version", "compute 2.93")
		w.Header().Add("Vary", "OpenStack-API-Version")
		w.Header().Add("Vary", "X-OpenStack-Nova-API-Version")
		w.Header().Set("X-Openstack-Request-Id", "req-pod")
		w.Header().Set("X-Compute-Request-Id", "req-pod")
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"conflictingRequest": {"code": 409, "message": "é <b>"}}`)
	}))
	defer cloud.Close()
	gw := through(t, server{cloud.URL}, false)

	req, _ := http.NewRequest("POST", gw.URL+"/compute/v2.1/servers/a%2Fb/action?x=1&x=2&empty", strings.NewReader(`{"os-start": null}`))
	req.Header.Set("X-Auth-Token", "demo")
	req.Header.Set("Openstack-Api-Version", "compute 2.93")
	req.Header.Set("X-Custom", "kept")
	req.Header.Set("Proxy-Authorization", "dropped")
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)

	type seen struct{ URI, Version, Custom, Proxy, Token, Body string }
	want := seen{"/nova/v2.1/servers/a%2Fb/action?x=1&x=2&empty", "compute 2.93", "kept", "", "demo", `{"os-start": null}`}
	if diff := cmp.Diff(want, seen{
		got.RequestURI, got.Header.Get("Openstack-Api-Version"), got.Header.Get("X-Custom"), got.Header.Get("Proxy-Authorization"),
		got.Header.Get("X-Auth-Token"), gotBody,
	}); diff != "" {
		t.Errorf("the pod's request (-want +got):\n%s", diff)
	}
	if resp.StatusCode != http.StatusConflict || string(body) != `{"conflictingRequest": {"code": 409, "message": "é <b>"}}` {
		t.Errorf("reply = %d %s", resp.StatusCode, body)
	}
	ours := resp.Header.Get("X-Openstack-Request-Id")
	if ours == "req-pod" || resp.Header.Get("X-Compute-Request-Id") != "req-pod" || resp.Header.Get("X-Hop") != "" ||
		resp.Header.Get("X-Tricircle-Pod") != "pod1" || len(resp.Header.Values("Vary")) != 2 {
		t.Errorf("header = %v", resp.Header)
	}
}

func TestForwardToADeadPod(t *testing.T) {
	t.Parallel()
	gw := through(t, deadPod{}, false)
	req, _ := http.NewRequest("GET", gw.URL+"/compute/v2.1/servers", nil)
	req.Header.Set("X-Auth-Token", "demo")
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	want := `{"serviceUnavailable":{"code":503,"message":"pod pod9: cannot GET /servers: connection refused"}}`
	if resp.StatusCode != 503 || string(body) != want {
		t.Errorf("reply = %d %s, want 503 %s", resp.StatusCode, body, want)
	}
}

func TestForwardJSONMakesLinksOurs(t *testing.T) {
	t.Parallel()
	cut := false
	var cloud *httptest.Server
	cloud = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", cloud.URL+"/nova/v2.1/servers/s1")
		if cut {
			w.Header().Set("Content-Length", "1000")
		}
		_, _ = io.WriteString(w, `{"server": {"links": [{"rel": "self", "href": "`+cloud.URL+`/nova/v2.1/servers/s1"}]}}`)
	}))
	defer cloud.Close()
	gw := through(t, server{cloud.URL}, true)
	ask := func() (answered, string) {
		req, _ := http.NewRequest("GET", gw.URL+"/compute/v2.1/servers/s1", nil)
		req.Header.Set("X-Auth-Token", "demo")
		resp, err := podtest.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return answered{resp.StatusCode, resp.Header}, string(body)
	}
	resp, body := ask()
	want := `{"server": {"links": [{"rel": "self", "href": "` + gw.URL + `/compute/v2.1/servers/s1"}]}}`
	if body != want || resp.Header.Get("Location") != gw.URL+"/compute/v2.1/servers/s1" {
		t.Errorf("body = %s, Location = %s", body, resp.Header.Get("Location"))
	}
	cut = true
	if resp, body = ask(); resp.StatusCode != 503 || !strings.Contains(body, "pod pod1: GET /*: the answer broke off") {
		t.Errorf("a cut answer: %d %s", resp.StatusCode, body)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	plain := Links{from: "http://10.0.0.1:8774", to: "https://us/compute", version: "/v2.1"}
	project := plain
	project.project = "abc"
	for _, test := range []struct {
		name       string
		links      Links
		body, want string
	}{
		{"self and bookmark", plain,
			`{"links": [{"rel": "self", "href": "http://10.0.0.1:8774/v2.1/servers/1"}, {"rel": "bookmark", "href": "http://10.0.0.1:8774/servers/1"}]}`,
			`{"links": [{"rel": "self", "href": "https://us/compute/v2.1/servers/1"}, {"rel": "bookmark", "href": "https://us/compute/servers/1"}]}`},
		{"href first", plain, `{"servers_links":[{"href":"http://10.0.0.1:8774/v2.1/servers?marker=1","rel":"next"}]}`,
			`{"servers_links":[{"href":"https://us/compute/v2.1/servers?marker=1","rel":"next"}]}`},
		{"more members", plain, `[{"rel": "alternate", "type": "x", "href": "http://10.0.0.1:8774/images/1"}]`,
			`[{"rel": "alternate", "type": "x", "href": "https://us/compute/images/1"}]`},
		{"a user's text", plain, `{"name": "http://10.0.0.1:8774/x", "metadata": {"href": "http://10.0.0.1:8774/x", "a": "b"}}`, ""},
		{"a user's quotes", plain, `{"name": "\"href\": \"http://10.0.0.1:8774/x"}`, ""},
		{"another host with our beginning", plain, `[{"href": "http://10.0.0.1:87745/x"}]`, ""},
		{"another host", plain, `[{"href": "http://10.0.0.2:8774/x"}]`, ""},
		{"not JSON", plain, `"http://10.0.0.1:8774`, ""},
		{"with the client's project", project,
			`[{"href": "http://10.0.0.1:8774/v2.1/servers/1"}, {"href": "http://10.0.0.1:8774/servers/1"}, {"href": "http://10.0.0.1:8774/v2.1/abc/servers/1"}, {"href": "http://10.0.0.1:8774/abc/servers/1"}]`,
			`[{"href": "https://us/compute/v2.1/abc/servers/1"}, {"href": "https://us/compute/abc/servers/1"}, {"href": "https://us/compute/v2.1/abc/servers/1"}, {"href": "https://us/compute/abc/servers/1"}]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := test.want
			if want == "" {
				want = test.body
			}
			if diff := cmp.Diff(want, string(test.links.Append(nil, []byte(test.body)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinksFrom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ asked, url, version, want string }{
		{"/servers/1", "http://pod:8774/v2.1/servers/1", "/v2.1", "http://pod:8774"},
		{"/servers/1", "http://pod/compute/v2.1/servers/1", "/v2.1", "http://pod/compute"},
		{"/volumes/detail", "http://pod:8776/v3/abc/volumes/detail", "/v3", "http://pod:8776"},
		{"/volumes/v3/x", "http://pod/volume/v3/abc/volumes/v3/x", "/v3", "http://pod/volume"},
		{"//", "http://pod:8774/", "/v2.1", "http://pod:8774"},
	} {
		u, _ := url.Parse(test.url)
		r := &Request{Request: httptest.NewRequest("GET", "/", nil), Service: &Service{Prefix: "/x", Version: test.version}}
		if got := LinksFrom(r, u, test.asked).from; got != test.want {
			t.Errorf("LinksFrom(%s, asked %s) = %s, want %s", test.url, test.asked, got, test.want)
		}
	}
}

func TestSetField(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ doc, want string }{
		{`{"volume": {"a": 1, "zone": "nova", "b":  2}}`, `{"volume": {"a": 1, "zone": "az\"1", "b":  2}}`},
		{`{"volume": {"zone": null}}`, `{"volume": {"zone": null}}`},
		{`{"volume": {}}`, `{"volume": {}}`},
	} {
		if got := string(SetField([]byte(test.doc), "volume.zone", `az"1`)); got != test.want {
			t.Errorf("SetField(%s) = %s, want %s", test.doc, got, test.want)
		}
	}
}

func TestFaultOfForeignErrors(t *testing.T) {
	t.Parallel()
	if got := faultOf(errors.New("x")).Kind; got != fault.Internal {
		t.Errorf("kind = %v, want Internal", got)
	}
	if got := faultOf(&http.MaxBytesError{Limit: 5}); got.Kind != fault.TooLarge {
		t.Errorf("kind = %v, want TooLarge", got.Kind)
	}
}
