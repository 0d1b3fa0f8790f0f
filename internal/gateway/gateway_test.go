package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// verifier knows tokens by name.
type verifier struct{}

func (verifier) Verify(_ context.Context, token string) (identity.Caller, error) {
	switch token {
	case "demo":
		return identity.Caller{UserID: "u1", ProjectID: "abc123", Roles: []string{"member"}}, nil
	case "admin":
		return identity.Caller{UserID: "u2", ProjectID: "def456", Roles: []string{"admin"}}, nil
	case "unscoped":
		return identity.Caller{UserID: "u1"}, nil
	case "away":
		return identity.Caller{}, fault.New(fault.Unavailable, "", "Keystone does not answer")
	}
	return identity.Caller{}, fault.New(fault.Unauthenticated, "", "no such token")
}

func echo(_ context.Context, by identity.Caller, r *Request) (*Reply, error) {
	return JSON(http.StatusOK, map[string]string{
		"project": by.ProjectID, "id": r.Param("id"), "rest": r.Param("*"), "path": r.Path(), "root": r.RootURL(),
	}), nil
}

func failing(err error) Handler {
	return func(context.Context, identity.Caller, *Request) (*Reply, error) { return nil, err }
}

func testRoutes() []Route {
	return []Route{
		{Method: "GET", Pattern: "//", Strategy: Public, Handle: echo},
		{Method: "GET", Pattern: "/servers", Handle: echo},
		{Method: "GET", Pattern: "/servers/{id}", Handle: echo},
		{Method: "GET", Pattern: "/servers/{id}/*", Handle: echo},
		{Method: "GET", Pattern: "/servers/detail", Handle: echo},
		{Method: "GET", Pattern: "/os-services", Admin: true, Policy: "os_compute_api:os-services:list", Handle: echo},
		{Method: "POST", Pattern: "/servers", Handle: func(_ context.Context, _ identity.Caller, r *Request) (*Reply, error) {
			var body map[string]any
			if err := r.JSON(&body); err != nil {
				return nil, err
			}
			return JSON(http.StatusAccepted, body), nil
		}},
		{Method: "PUT", Pattern: "/file", MaxBody: Unlimited, Handle: func(_ context.Context, _ identity.Caller, r *Request) (*Reply, error) {
			n, err := io.Copy(io.Discard, r.Body)
			return JSON(http.StatusOK, n), err
		}},
		{Method: "GET", Pattern: "/panic", Handle: func(context.Context, identity.Caller, *Request) (*Reply, error) { panic("oops") }},
		{Method: "GET", Pattern: "/bug", Handle: failing(errors.New("secret detail"))},
		{Method: "GET", Pattern: "/away", Handle: failing(&fault.Error{Kind: fault.Unavailable, Pod: "pod2", Message: "cannot show server: refused"})},
		{Method: "GET", Pattern: "/stream", Handle: func(context.Context, identity.Caller, *Request) (*Reply, error) {
			return &Reply{Stream: strings.NewReader("data"), Length: 4}, nil
		}},
		{Method: "GET", Pattern: "/empty", Handle: func(context.Context, identity.Caller, *Request) (*Reply, error) { return Empty(204), nil }},
	}
}

func testHandler(t *testing.T) http.Handler {
	t.Helper()
	return New(Options{
		Services: []Service{
			{Name: "compute", Prefix: "/compute", Version: "/v2.1", ProjectInPath: true, Routes: testRoutes(), Error: NovaError},
			{Name: "network", Prefix: "/network", Version: "/v2.0", Suffix: ".json", Routes: testRoutes(), Error: NeutronError},
			{Name: "image", Prefix: "/image", Version: "/v2", Routes: testRoutes(), Error: GlanceError},
			{Name: "strict", Prefix: "/strict", Version: "/v3", Strict: true, Routes: testRoutes(), Error: CinderError},
		},
		Verifier: verifier{}, AuthURL: "http://keystone:5000", PublicURL: "https://cloud.example.org/", Metrics: prometheus.NewRegistry(),
	})
}

// answered is a reply whose body has been read.
type answered struct {
	StatusCode int
	Header     http.Header
}

func do(t *testing.T, h http.Handler, method, path, token, body string) (answered, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Accept", "*/*")
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answered{w.Code, w.Header()}, w.Body.String()
}

const webob404 = "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n" +
	"  The resource could not be found.<br /><br />\n\n\n\n </body>\n</html>"

func TestAnswers(t *testing.T) {
	t.Parallel()
	h := testHandler(t)
	keystone401 := `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`
	for _, test := range []struct {
		name, method, path, token, body string
		status                          int
		want                            string // a regular expression if it begins with ^
	}{
		{"both URL forms", "GET", "/compute/v2.1/servers/x", "demo", "", 200, `{"id":"x","path":"/servers/x","project":"abc123","rest":"","root":"https://cloud.example.org/compute/v2.1"}`},
		{"with the project", "GET", "/compute/v2.1/abc123/servers/x", "demo", "", 200, `{"id":"x","path":"/servers/x","project":"abc123","rest":"","root":"https://cloud.example.org/compute/v2.1/abc123"}`},
		{"a fixed path before an ID", "GET", "/compute/v2.1/servers/detail", "demo", "", 200, `^"id":""`},
		{"an ID escaped", "GET", "/compute/v2.1/servers/a%2Fb/ips/n", "demo", "", 200, `^"id":"a/b","path":"/servers/a%2Fb/ips/n".*"rest":"ips/n"`},
		{"a slash at the end", "GET", "/compute/v2.1/servers/", "demo", "", 200, `^"project":"abc123"`},
		{"a slash at the end, strict", "GET", "/strict/v3/servers/", "demo", "", 404, `^could not be found`},
		{"a slash at the end of the root, strict", "GET", "/strict/", "", "", 200, `^"project":""`},
		{"another project", "GET", "/compute/v2.1/fff/servers", "demo", "", 400,
			`{"badRequest":{"code":400,"message":"Malformed request URL: URL's project_id 'fff' doesn't match Context's project_id 'abc123'"}}`},
		{"another project, admin", "GET", "/compute/v2.1/fff/servers", "admin", "", 400, `^doesn't match Context's project_id 'def456'`},
		{"no token", "GET", "/compute/v2.1/servers", "", "", 401, keystone401},
		{"bad token", "GET", "/network/v2.0/servers", "bad", "", 401, keystone401},
		{"no token at Glance's", "GET", "/image/v2/servers", "", "", 401, `^<h1>401 Unauthorized</h1>\n  This server could not verify`},
		{"no token, no such path", "GET", "/compute/v2.1/nosuch", "", "", 401, keystone401},
		{"Keystone away", "GET", "/compute/v2.1/servers", "away", "", 503,
			`{"serviceUnavailable":{"code":503,"message":"The Keystone service is temporarily unavailable."}}`},
		{"no project in the token", "GET", "/compute/v2.1/servers", "unscoped", "", 403, `^"message":"Policy doesn't allow`},
		{"admin only", "GET", "/compute/v2.1/os-services", "demo", "", 403,
			`{"forbidden":{"code":403,"message":"Policy doesn't allow os_compute_api:os-services:list to be performed."}}`},
		{"admin", "GET", "/compute/v2.1/os-services", "admin", "", 200, `^"project":"def456"`},
		{"Nova's 404", "GET", "/compute/v2.1/nosuch", "demo", "", 404, webob404},
		{"Nova's wrong method", "PUT", "/compute/v2.1/servers", "demo", "", 404, webob404},
		{"Neutron's 404", "GET", "/network/v2.0/nosuch", "demo", "", 404,
			`{"NeutronError":{"detail":"","message":"The resource could not be found.","type":"HTTPNotFound"}}`},
		{"Neutron's wrong method", "PATCH", "/network/v2.0/servers/x", "demo", "", 405,
			`{"NeutronError":{"detail":"","message":"The server could not comply with the request since it is either malformed or otherwise incorrect.","type":"HTTPMethodNotAllowed"}}`},
		{"Neutron's change of a list", "PUT", "/network/v2.0/servers", "demo", "", 404, `^"type":"HTTPNotFound"`},
		{"a format in the path", "GET", "/network/v2.0/servers/x.json", "demo", "", 200, `^"id":"x"`},
		{"a format in the path, of others", "GET", "/compute/v2.1/servers/x.json", "demo", "", 200, `^"id":"x.json"`},
		{"Glance's 404", "GET", "/image/v2/nosuch", "demo", "", 404, webob404},
		{"Glance's 405", "PUT", "/image/v2/servers", "demo", "", 405, `^The method PUT is not allowed for this resource.`},
		{"no service's path", "GET", "/nosuch", "demo", "", 404, `^{"error":{"code":404,"message":"The resource could not be found.","request_id":"req-`},
		{"public", "GET", "/compute/", "", "", 200, `^"project":""`},
		{"malformed JSON", "POST", "/compute/v2.1/servers", "demo", "{x", 400, `{"badRequest":{"code":400,"message":"Malformed request body"}}`},
		{"malformed JSON, Neutron", "POST", "/network/v2.0/servers", "demo", "{x", 400,
			`{"NeutronError":{"detail":"","message":"Body contains invalid data","type":"HTTPBadRequest"}}`},
		{"malformed JSON, Glance", "POST", "/image/v2/servers", "demo", "{x", 400, `^Malformed JSON in request body.`},
		{"two values", "POST", "/compute/v2.1/servers", "demo", "{} {}", 400, `^Malformed request body`},
		{"a body over the limit", "POST", "/compute/v2.1/servers", "demo", strings.Repeat(" ", DefaultMaxBody+1), 413,
			`^Request is too large. Larger than max_request_body_size \(114688\).`},
		{"a stream has no limit", "PUT", "/compute/v2.1/file", "demo", strings.Repeat(" ", DefaultMaxBody+1), 200, `114689`},
		{"panic", "GET", "/compute/v2.1/panic", "demo", "", 500, `^{"computeFault":{"code":500,"message":"Unexpected error in Tricircle; .* as req-[0-9a-f-]{36}`},
		{"our own mistake", "GET", "/compute/v2.1/bug", "demo", "", 500, `^Unexpected error`},
		{"a pod away", "GET", "/compute/v2.1/away", "demo", "", 503,
			`{"serviceUnavailable":{"code":503,"message":"pod pod2: cannot show server: refused"}}`},
		{"stream", "GET", "/compute/v2.1/stream", "demo", "", 200, "data"},
		{"empty", "GET", "/compute/v2.1/empty", "demo", "", 204, ""},
		{"HEAD", "HEAD", "/compute/v2.1/servers", "demo", "", 200, `^"project"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			resp, body := do(t, h, test.method, test.path, test.token, test.body)
			if resp.StatusCode != test.status {
				t.Fatalf("status = %d, want %d; body %s", resp.StatusCode, test.status, body)
			}
			if pattern, ok := strings.CutPrefix(test.want, "^"); ok {
				if !regexp.MustCompile(pattern).MatchString(body) {
					t.Errorf("body = %s, want %s", body, pattern)
				}
			} else if diff := cmp.Diff(test.want, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if id := resp.Header.Get("X-Openstack-Request-Id"); !regexp.MustCompile(`^req-[0-9a-f-]{36}$`).MatchString(id) {
				t.Errorf("X-Openstack-Request-Id = %q", id)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("body shows an internal error: %s", body)
			}
		})
	}
}

func TestHeadersOfErrors(t *testing.T) {
	t.Parallel()
	h := testHandler(t)
	resp, _ := do(t, h, "GET", "/compute/v2.1/servers", "", "")
	if got, want := resp.Header.Get("Www-Authenticate"), `Keystone uri="http://keystone:5000"`; got != want {
		t.Errorf("Www-Authenticate = %q, want %q", got, want)
	}
	resp, _ = do(t, h, "GET", "/compute/v2.1/away", "demo", "")
	if got := resp.Header.Get("X-Tricircle-Pod"); got != "pod2" {
		t.Errorf("X-Tricircle-Pod = %q, want pod2", got)
	}
	resp, _ = do(t, h, "PUT", "/image/v2/servers", "demo", "")
	if diff := cmp.Diff([]string{"GET", "POST"}, resp.Header["Allow"]); diff != "" {
		t.Errorf("Allow (-want +got):\n%s", diff)
	}
	resp, _ = do(t, h, "PUT", "/compute/v2.1/servers", "demo", "")
	if got, there := resp.Header["Allow"]; there {
		t.Errorf("Allow = %q with Nova's 404, want none", got)
	}
}

// endless is a body whose reader counts what is taken from it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestHugeBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	h := testHandler(t)
	for _, test := range []struct {
		name   string
		length int64
		most   int
	}{{"length told", 100 << 20, 0}, {"length not told", -1, 2 * DefaultMaxBody}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			body := &endless{}
			r := httptest.NewRequest("POST", "/compute/v2.1/servers", body)
			r.ContentLength = test.length
			r.Header.Set("X-Auth-Token", "demo")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusRequestEntityTooLarge || body.read > test.most {
				t.Errorf("status = %d after %d bytes, want 413 after at most %d", w.Code, body.read, test.most)
			}
		})
	}
}

func TestABodyThatStallsIsGivenUp(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(New(Options{Verifier: verifier{}, BodyTime: 50 * time.Millisecond, Services: []Service{
		{Name: "compute", Prefix: "/compute", Version: "/v2.1", Routes: testRoutes(), Error: NovaError}}}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /compute/v2.1/servers HTTP/1.1\r\nHost: x\r\nX-Auth-Token: demo\r\nContent-Length: 10\r\n\r\n{")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status = %d, want 400", resp.StatusCode)
	}
}

// The time for the body is not the time for the answer.
func TestASlowAnswerToAFastBody(t *testing.T) {
	t.Parallel()
	const bodyTime = 20 * time.Millisecond
	slow := func(ctx context.Context, _ identity.Caller, r *Request) (*Reply, error) {
		if _, err := r.Bytes(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * bodyTime):
			return Empty(http.StatusAccepted), nil
		}
	}
	srv := httptest.NewServer(New(Options{Verifier: verifier{}, BodyTime: bodyTime, Services: []Service{{
		Name: "compute", Prefix: "/compute", Error: NovaError, Routes: []Route{{Method: "POST", Pattern: "/slow", Handle: slow}}}}}))
	defer srv.Close()
	r, err := http.NewRequest(http.MethodPost, srv.URL+"/compute/slow", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "demo")
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("status = %d, want 202", resp.StatusCode)
	}
}

func TestABrokenBodyCutsTheConnection(t *testing.T) {
	t.Parallel()
	h := New(Options{Verifier: verifier{}, Services: []Service{{
		Name: "compute", Prefix: "/compute", Version: "/v2.1", Error: NovaError,
		Routes: []Route{{Method: "GET", Pattern: "/list", Handle: func(context.Context, identity.Caller, *Request) (*Reply, error) {
			return &Reply{Write: func(w io.Writer) error {
				_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
				return errors.New("a pod died")
			}}, nil
		}}},
	}}})
	server := httptest.NewServer(h)
	defer server.Close()
	r, _ := http.NewRequest("GET", server.URL+"/compute/v2.1/list", nil)
	r.Header.Set("X-Auth-Token", "demo")
	resp, err := podtest.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the body looks complete, want an error")
	}
}

func TestLogAndMetrics(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	registry := prometheus.NewRegistry()
	h := New(Options{
		Verifier: verifier{}, Metrics: registry, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Services: []Service{{Name: "compute", Prefix: "/compute", Version: "/v2.1", Error: NovaError, Routes: []Route{
			{Method: "GET", Pattern: "/servers/{id}", Handle: func(ctx context.Context, _ identity.Caller, _ *Request) (*Reply, error) {
				pods := ctx.Value(recordKey{}).(carried).pods // a pod's client does so by WithTrace
				pods.add("pod1", "req-1")
				pods.add("pod2", "req-2")
				return JSON(200, "ok"), nil
			}},
		}}},
	})
	resp, _ := do(t, h, "GET", "/compute/v2.1/servers/x", "demo", "")
	if got, want := resp.Header.Get("X-Tricircle-Pod-Request-Ids"), "pod1=req-1, pod2=req-2"; got != want {
		t.Errorf("X-Tricircle-Pod-Request-Ids = %q, want %q", got, want)
	}
	for _, want := range []string{
		"method=GET", "path=/compute/v2.1/servers/x", "route=/servers/{id}", "status=200", "project=abc123", "user=u1",
		`pods="pod1=req-1, pod2=req-2"`, "bytes=4",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "demo") {
		t.Errorf("the log shows the token: %s", log.String())
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Fatalf("Gather() = %d families, %v", len(families), err)
	}
	labels := map[string]string{}
	for _, l := range families[1].GetMetric()[0].GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	want := map[string]string{"service": "compute", "method": "GET", "route": "/servers/{id}", "status": "200"}
	if diff := cmp.Diff(want, labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

func TestARouteServedTwicePanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("New took two routes for one path")
		}
	}()
	New(Options{Services: []Service{{Prefix: "/x", Routes: []Route{{Method: "GET", Pattern: "/a"}, {Method: "GET", Pattern: "/a"}}}}})
}

// TestWebobAccepts holds errors before the service's own code to the forms that
// webob has for them.
func TestWebobAccepts(t *testing.T) {
	t.Parallel()
	const page = "text/html; charset=UTF-8"
	for accept, want := range map[string]string{
		"*/*": page, "text/*": page, "application/json, text/html": page, "application/json;q=0.5, */*": page,
		"application/json": "application/json", "text/html;q=0.2, application/*": "application/json",
		"": "text/plain; charset=UTF-8", "application/xml": "text/plain; charset=UTF-8", "*/*;q=0": "text/plain; charset=UTF-8",
	} {
		r := httptest.NewRequest("GET", "/compute/v2.1/nosuch", nil)
		r.Header.Set("X-Auth-Token", "demo")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		testHandler(t).ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); w.Code != 404 || got != want {
			t.Errorf("Accept %q: %d %s, want 404 %s", accept, w.Code, got, want)
		}
	}
}

// TestHeadersOfRefusals holds what a refusal tells of the service: to strangers
// nothing, to callers the version, and Allow only with a 405.
func TestHeadersOfRefusals(t *testing.T) {
	t.Parallel()
	h := New(Options{
		Services: []Service{{
			Name: "compute", Prefix: "/compute", Version: "/v2.1", ProjectInPath: true, Routes: testRoutes(), Error: NovaError,
			Before: func(_ context.Context, _ identity.Caller, r *Request) error {
				r.Header.Set("Version", "settled")
				return nil
			},
			After: func(r *Request, h http.Header) {
				h.Set("Seen", r.Header.Get("Version")+" "+strconv.FormatBool(r.Known)+" "+strconv.FormatBool(r.Route != nil))
			},
		}, {Name: "image", Prefix: "/image", Version: "/v2", Routes: testRoutes(), Error: GlanceError}},
		Verifier: verifier{}, Metrics: prometheus.NewRegistry(),
	})
	for _, test := range []struct {
		method, path, token string
		status              int
		seen, content       string
		allow               bool
	}{
		{"GET", "/compute/v2.1/servers", "", 401, " false true", "application/json", false},
		{"GET", "/compute/v2.1/os-services", "demo", 403, "settled true true", "application/json; charset=UTF-8", false},
		{"GET", "/compute/v2.1/fff/servers", "demo", 400, "settled true true", "application/json; charset=UTF-8", false},
		{"GET", "/compute/v2.1/nosuch", "demo", 404, " true false", "text/html; charset=UTF-8", false},
		{"PUT", "/compute/v2.1/servers", "demo", 404, " true false", "text/html; charset=UTF-8", false},
		{"PUT", "/image/v2/servers", "demo", 405, "", "text/html; charset=UTF-8", true},
	} {
		a, _ := do(t, h, test.method, test.path, test.token, "")
		got := []any{a.StatusCode, a.Header.Get("Seen"), a.Header.Get("Content-Type"), a.Header.Get("Allow") != ""}
		if diff := cmp.Diff([]any{test.status, test.seen, test.content, test.allow}, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, diff)
		}
	}
}
