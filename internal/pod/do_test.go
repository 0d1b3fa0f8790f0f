package pod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
)

// mustDo returns status and body.
func mustDo(t *testing.T, c *Client, r Request) (int, string) {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestDoFindsThePlace(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method, " ", r.RequestURI)
	}, nil)
	demo := &identity.Caller{ProjectID: "demo", Token: "t"}
	system := &identity.Caller{Token: "t"}
	for _, tt := range []struct {
		r    Request
		want string
	}{
		{Request{Service: Compute, Path: "/servers/1"}, "/compute/v2.1/servers/1"},
		{Request{Service: Compute, Path: "/"}, "/compute/v2.1/"},
		{Request{Service: Compute, Path: "//"}, "/compute/"},
		{Request{Service: Compute, Path: "//v2.1"}, "/compute/v2.1"},
		{Request{Service: Network, Path: "/ports", Query: url.Values{"a": {"1", "2"}}}, "/network/v2.0/ports?a=1&a=2"},
		{Request{Service: Network, Path: "/ports", RawQuery: "b=2&a=1;x&&"}, "/network/v2.0/ports?b=2&a=1;x&&"},
		{Request{Service: Volume, Path: "/volumes"}, "/volume/v3/service-project/volumes"},
		{Request{Service: Volume, Path: "/volumes", As: demo}, "/volume/v3/demo/volumes"},
		{Request{Service: Volume, Path: "/volumes", As: system}, "/volume/v3/volumes"},
		{Request{Service: Volume, Path: "//v3/demo/volumes", As: system}, "/volume/v3/demo/volumes"},
		{Request{Service: Image, Path: "/images/a%2Fb%20c"}, "/image/v2/images/a%2Fb%20c"},
	} {
		tt.r.Method = http.MethodGet
		if _, got := mustDo(t, c, tt.r); got != "GET "+tt.want {
			t.Errorf("Do(%s %s) went to %s, want %s", tt.r.Service, tt.r.Path, got, tt.want)
		}
	}
}

func TestDoRefusesCrookedPaths(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c, _ := newClient(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) }, nil)
	for _, path := range []string{"", "servers", "/servers/../flavors", "/a/%2e%2E/b", "/a/.", "/a?x", "/a#x", "/%zz", "//../x"} {
		if err := try(t.Context(), c, get(Compute, path)); !fault.Is(err, fault.Invalid) {
			t.Errorf("Do(%q) = %v, want Invalid", path, err)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls, want 0", n)
	}
	if err := try(t.Context(), c, get("dns", "/")); err == nil {
		t.Error("Do of an unknown service = nil")
	}
}

func TestDoPassesHeaders(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	c, k := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		w.Header().Set("Connection", "X-Mine")
		w.Header().Set("X-Mine", "1")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header()["Vary"] = []string{"A", "B"}
		fmt.Fprint(w, "not really gzip")
	}, nil)
	in := http.Header{
		"Connection":            {"keep-alive, X-Hop"},
		"X-Hop":                 {"1"},
		"Te":                    {"trailers"},
		"Upgrade":               {"h2c"},
		"Expect":                {"100-continue"},
		"X-Auth-Token":          {"not this"},
		"Accept-Encoding":       {"gzip"},
		"Openstack-Api-Version": {"compute 2.93"},
		"X-Many":                {"1", "2"},
	}
	by := &identity.Caller{Token: "caller's", RequestID: "req-1"}
	r := get(Compute, "/servers")
	r.Header, r.As = in, by
	resp, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "not really gzip" {
		t.Errorf("body = %q, want it as it came", body)
	}
	want := http.Header{
		"Accept-Encoding":        {"gzip"},
		"Openstack-Api-Version":  {"compute 2.93"},
		"X-Many":                 {"1", "2"},
		"X-Auth-Token":           {"caller's"},
		"X-Openstack-Request-Id": {"req-1"},
		"User-Agent":             {"tricircle"},
	}
	if diff := cmp.Diff(want, <-seen); diff != "" {
		t.Errorf("the pod's view (-want +got):\n%s", diff)
	}
	for _, name := range []string{"Connection", "X-Mine", "Keep-Alive"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("the answer has %s", name)
		}
	}
	if got := resp.Header["Vary"]; !cmp.Equal(got, []string{"A", "B"}) || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the answer lost headers: %v", resp.Header)
	}
	if in.Get("X-Hop") == "" || in.Get("X-Auth-Token") != "not this" {
		t.Errorf("Do changed the request's header: %v", in)
	}
	if k.logins.Load() != 1 { // for the catalog
		t.Errorf("%d logins, want 1", k.logins.Load())
	}
}

func TestDoPassesEveryStatus(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/compute/v2.1/%d", &status)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}, func(o *Options) { o.Breaker.Failures = 1000 })
	for _, status := range []int{200, 201, 202, 204, 300, 301, 302, 304, 400, 401, 403, 404, 409, 413, 429, 500, 501, 502, 503, 504} {
		r := get(Compute, fmt.Sprint("/", status))
		r.As = &identity.Caller{Token: "t"}
		if got, _ := mustDo(t, c, r); got != status {
			t.Errorf("Do = %d, want %d", got, status)
		}
	}
}

func TestDoRenewsARevokedToken(t *testing.T) {
	t.Parallel()
	var k *fakeKeystone
	var calls atomic.Int32
	c, k := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if !k.knows(r.Header.Get("X-Auth-Token")) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}, nil)
	post := func(body io.Reader, length int64) (int, string) {
		t.Helper()
		return mustDo(t, c, Request{Service: Network, Method: http.MethodPost, Path: "/ports", Body: body, Length: length})
	}
	for name, body := range map[string]io.Reader{
		"none":    nil,
		"bytes":   bytes.NewReader([]byte("hello")),
		"text":    strings.NewReader("hello"),
		"buffer":  bytes.NewBufferString("hello"),
		"no body": http.NoBody,
	} {
		post(nil, 0) // has a token
		k.revoke()
		k.clock.Add(time.Minute)
		calls.Store(0)
		status, got := post(body, 0)
		want := "hello"
		if body == nil || body == http.NoBody {
			want = ""
		}
		if status != 200 || got != want || calls.Load() != 2 {
			t.Errorf("%s: %d %q after %d calls, want 200 %q after 2", name, status, got, calls.Load(), want)
		}
	}
	k.revoke()
	if status, _ := post(io.MultiReader(strings.NewReader("hello")), 5); status != http.StatusUnauthorized {
		t.Errorf("a stream that cannot be sent again = %d, want 401", status)
	}
	if status, _ := post(nil, 0); status != 200 {
		t.Errorf("the next = %d, want 200", status)
	}
}

func TestDoPassesTheCallersUnauthorized(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c, k := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}, nil)
	r := get(Compute, "/servers")
	r.As = &identity.Caller{Token: "expired"}
	if status, _ := mustDo(t, c, r); status != 401 || calls.Load() != 1 || k.logins.Load() != 1 {
		t.Errorf("Do = %d after %d calls and %d logins, want 401, 1, 1", status, calls.Load(), k.logins.Load())
	}
}

func TestDoStreamsBothWays(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != -1 {
			t.Errorf("ContentLength = %d, want it unknown", r.ContentLength)
		}
		first := make([]byte, 1)
		_, _ = io.ReadFull(r.Body, first)
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = w.Write(first)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, " end")
	}, nil)
	body, feed := io.Pipe()
	go func() { _, _ = feed.Write([]byte("a")) }()
	resp, err := c.Do(t.Context(), Request{Service: Image, Method: http.MethodPut, Path: "/images/1/file", Body: body})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "a" {
		t.Fatalf("the first byte = %q, %v: a body was buffered", first, err)
	}
	_, _ = feed.Write([]byte("b"))
	_ = feed.Close()
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(rest) != " end" {
		t.Errorf("the rest = %q, %v", rest, err)
	}
}

// Errors of Do name pod and operation, and say whether the pod got the request.
func TestDoFails(t *testing.T) {
	t.Parallel()
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	garbage := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_, _ = conn.Write([]byte("SSH-2.0-OpenSSH\r\n\r\n"))
		_ = conn.Close()
	}
	for _, tt := range []struct {
		name    string
		url     string
		handle  http.HandlerFunc
		timeout time.Duration
		want    string
		kind    fault.Kind
		notSent bool
	}{
		{"refused", closedPort(t), nil, 0, "cannot create port: connection refused", fault.Unavailable, true},
		{"unknown name", "http://no-such-host.invalid", nil, 0, "cannot create port: its name no-such-host.invalid is not known", fault.Unavailable, true},
		{"hangs", "", hang, 50 * time.Millisecond, "cannot create port: no answer within 50ms", fault.Timeout, false},
		{"cuts", "", abort, 0, "cannot create port: connection closed before the answer was complete", fault.Unavailable, false},
		{"garbage", "", garbage, 0, "cannot create port: ", fault.Unavailable, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := tt.url
			if tt.handle != nil {
				s := httptest.NewServer(tt.handle)
				t.Cleanup(s.Close)
				at = s.URL
			}
			var metrics []string
			c, _ := clientOf(t, at, func(o *Options) {
				o.Metrics = func(pod, service, op string, status int, _ time.Duration) {
					metrics = append(metrics, fmt.Sprint(pod, " ", service, " ", op, " ", status))
				}
			})
			r := Request{Service: Network, Method: http.MethodPost, Path: "/ports", Op: "create port", Timeout: tt.timeout, Body: strings.NewReader("{}")}
			err := try(t.Context(), c, r)
			if !fault.Is(err, tt.kind) || !strings.HasPrefix(err.Error(), "pod eu-2: "+tt.want) {
				t.Errorf("Do = %v, want %q", err, tt.want)
			}
			if NotSent(err) != tt.notSent || NotDone(err) != tt.notSent {
				t.Errorf("NotSent, NotDone = %t, %t, want %t", NotSent(err), NotDone(err), tt.notSent)
			}
			if diff := cmp.Diff([]string{"eu-2 network create port 0"}, metrics); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}

// hang answers nothing while the client is there.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestDoWithoutKeystone(t *testing.T) {
	t.Parallel()
	c, k := newClient(t, func(http.ResponseWriter, *http.Request) {}, nil)
	k.Close()
	for range 10 {
		err := try(t.Context(), c, get(Compute, "/servers"))
		if !fault.Is(err, fault.Unavailable) || !NotSent(err) ||
			!strings.HasPrefix(err.Error(), "pod eu-2: cannot list things: cannot log in at Keystone: connection refused") {
			t.Fatalf("Do = %v", err)
		}
	}
	if state, _, _ := c.State(); state != Up {
		t.Errorf("State = %s: Keystone's failures are not the pod's", state)
	}
}

func TestDoWithABrokenClientBody(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, hang, func(o *Options) { o.Breaker.Failures = 1 })
	put := Request{Service: Image, Method: http.MethodPut, Path: "/images/1/file", Op: "upload image"}
	put.Body = io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errors.New("the client is gone")))
	err := try(t.Context(), c, put)
	if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "eu-2") {
		t.Errorf("Do = %v, want Invalid without the pod", err)
	}
	stalled, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	put.Body, put.Timeout = stalled, 50*time.Millisecond
	err = try(t.Context(), c, put)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "the request's body broke off") {
		t.Errorf("Do = %v, want Invalid", err)
	}
	if state, _, _ := c.ServiceState(Image); state != Up {
		t.Errorf("State = %s: the client's failures are not the pod's", state)
	}
}

// A transfer may last longer than any timeout as long as bytes move.
func TestDoTakesItsTimeWhileBytesMove(t *testing.T) {
	t.Parallel()
	const step = 20 * time.Millisecond
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		tick := time.NewTicker(step)
		defer tick.Stop()
		for range n {
			<-tick.C
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
	}, func(o *Options) { o.Timeout = 10 * step })
	body, feed := io.Pipe()
	go func() {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for range 20 {
			<-tick.C
			_, _ = feed.Write([]byte("x"))
		}
		_ = feed.Close()
	}()
	_, got := mustDo(t, c, Request{Service: Image, Method: http.MethodPut, Path: "/images/1/file", Body: body})
	if len(got) != 20 {
		t.Errorf("%d bytes came back, want 20", len(got))
	}
}

func TestDoEndsAStalledAnswer(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"servers": [`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(o *Options) { o.IdleTimeout = 50 * time.Millisecond })
	var out any
	err := c.JSON(t.Context(), get(Compute, "/servers"), nil, &out)
	if !fault.Is(err, fault.Timeout) || err.Error() != "pod eu-2: cannot list things: the answer stalled for 50ms: the answer stalled" {
		t.Errorf("JSON = %v, want Timeout", err)
	}
}

func TestDoHoldsToTheCallersDeadline(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, hang, func(o *Options) { o.Breaker.Failures = 1; o.ConnectTimeout = 40 * time.Millisecond })
	short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	err := try(short, c, get(Compute, "/servers"))
	if err == nil {
		t.Fatal("Do = nil")
	}
	if state, _, reason := c.State(); state != Up {
		t.Errorf("State = %s (%s) after a deadline that no pod can meet", state, reason)
	}
	fair, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	err = try(fair, c, get(Compute, "/servers"))
	if !fault.Is(err, fault.Timeout) || !strings.Contains(err.Error(), "no answer before the deadline") {
		t.Errorf("Do = %v, want Timeout", err)
	}
	if state, _, reason := c.State(); state != Away || reason != "compute: no answer before the deadline" {
		t.Errorf("State = %s, %s", state, reason)
	}
}

func TestDoForCallersWhoGo(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		hang(w, r)
	}, func(o *Options) { o.Breaker.Failures = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	err := try(ctx, c, get(Compute, "/servers"))
	if !errors.Is(err, context.Canceled) || NotSent(err) {
		t.Errorf("Do = %v, want canceled, and sent", err)
	}
	if state, _, _ := c.State(); state != Up {
		t.Errorf("State = %s", state)
	}
}

func TestDoLimitsRequestsInFlight(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	release := make(chan struct{})
	full := make(chan struct{})
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/network") || r.Method == http.MethodPut {
			return
		}
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 3 {
			close(full)
		}
		<-release
	}, func(o *Options) { o.MaxConcurrent = 3 })
	var wait sync.WaitGroup
	for range 12 {
		wait.Go(func() { mustDo(t, c, get(Image, "/images")) })
	}
	<-full
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := try(short, c, get(Image, "/images"))
	if !fault.Is(err, fault.Unavailable) || !NotSent(err) || !strings.Contains(err.Error(), "too many requests in flight") {
		t.Errorf("Do = %v, want Unavailable", err)
	}
	mustDo(t, c, get(Network, "/ports")) // another service has its own limit,
	mustDo(t, c, Request{Service: Image, Method: http.MethodPut, Path: "/images/1/file", Body: io.MultiReader()})
	close(release)
	wait.Wait()
	if n := most.Load(); n != 3 {
		t.Errorf("%d requests at a time, want 3", n)
	}
}

// Open bodies hold no slot: slow readers of images do not block the pod.
func TestDoFreesItsSlotWithTheHeader(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 1<<20))
	}, func(o *Options) { o.MaxConcurrent = 1 })
	for range 5 {
		resp, err := c.Do(t.Context(), get(Image, "/images/1/file"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
}

func TestDoStopsAskingAPodThatIsAway(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	var calls atomic.Int32
	c, k := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(int(status.Load()))
	}, nil)
	status.Store(502)
	for range 5 {
		mustDo(t, c, get(Compute, "/servers"))
	}
	since := k.clock.Now()
	k.clock.Add(time.Second)
	err := try(t.Context(), c, get(Compute, "/servers"))
	const want = "pod eu-2: cannot list things: it is away since 2026-11-22T10:00:00Z: it answers 502"
	if !fault.Is(err, fault.Unavailable) || !strings.HasPrefix(err.Error(), want) || !NotSent(err) || calls.Load() != 5 {
		t.Errorf("Do = %v after %d calls, want %q after 5", err, calls.Load(), want)
	}
	state, at, reason := c.State()
	if state != Away || !at.Equal(since) || reason != "compute: it answers 502" {
		t.Errorf("State = %s %v %q", state, at, reason)
	}
	status.Store(200)
	mustDo(t, c, get(Network, "/ports")) // the other services are there
	if err := c.Probe(t.Context()); err == nil {
		t.Error("Probe before its time = nil")
	}
	k.clock.Add(time.Second)
	if err := c.Probe(t.Context()); err != nil {
		t.Errorf("Probe = %v", err)
	}
	if state, _, _ := c.State(); state != Up {
		t.Errorf("State = %s", state)
	}
}

func TestVerdictOfAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		method      string
		status      int
		contentType string
		want        string
	}{
		{"haproxy's 503", "POST", 503, "text/html", Away},
		{"a service's 503 to a GET", "GET", 503, "application/json", Away},
		{"a service that cannot serve one creation", "POST", 503, "application/json", Up},
		{"504", "POST", 504, "", Away},
		{"500", "GET", 500, "", Up},
		{"404", "GET", 404, "", Up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				w.WriteHeader(tt.status)
			}, nil)
			for range 5 {
				mustDo(t, c, Request{Service: Network, Method: tt.method, Path: "/networks"})
			}
			if state, _, _ := c.ServiceState(Network); state != tt.want {
				t.Errorf("state = %s, want %s", state, tt.want)
			}
		})
	}
}

// A pod that never takes a connection costs the dialer's time, or the request's if
// that is shorter; nothing was sent either way.
func TestDoGivesUpConnecting(t *testing.T) {
	t.Parallel()
	c, _ := clientOf(t, "http://pod.example.org", nil)
	c.transport.Proxy = nil
	late := &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, late }
	err := try(t.Context(), c, Request{Service: Compute, Method: "GET", Path: "/"})
	if !NotSent(err) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("Do = %v, want Unavailable before anything was sent", err)
	}
	// By now it is logged in, so that the short time is all the connection's.
	c.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, late
	}
	err = try(t.Context(), c, Request{Service: Compute, Method: "GET", Path: "/", Timeout: 50 * time.Millisecond})
	if !NotSent(err) || !fault.Is(err, fault.Timeout) {
		t.Errorf("Do = %v, want Timeout before anything was sent", err)
	}
}
