package pod

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
)

// newKeystone plays the rest of Keystone in front of the login.
func newKeystone(t *testing.T) *fakeKeystone {
	t.Helper()
	k := newFakeKeystone(t)
	login := k.Config.Handler
	k.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v3/auth/tokens":
			login.ServeHTTP(w, r)
		case !k.knows(r.Header.Get("X-Auth-Token")):
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v3/endpoints":
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, `{"method": %q, "query": %q, "body": %q}`, r.Method, r.URL.RawQuery, body)
		case r.URL.Path == "/v3/garbage":
			fmt.Fprint(w, "<html>")
		case r.URL.Path == "/v3/moved":
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":404,"message":"Could not find region: x.","title":"Not Found"}}`)
		}
	})
	return k
}

func TestKeystone(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	a := k.account()
	type echo struct{ Method, Query, Body string }
	for _, want := range []echo{
		{Method: http.MethodGet, Query: "region_id=RegionOne&service_id=s"},
		{Method: http.MethodPost, Body: `{"endpoint":{"url":"http://x"}}`},
	} {
		var (
			in    any
			query url.Values
			got   echo
		)
		if want.Body != "" {
			in = object{"endpoint": object{"url": "http://x"}}
		} else {
			query = url.Values{"region_id": {"RegionOne"}, "service_id": {"s"}}
		}
		k.revoke() // a refused token is renewed, and the body sent again
		if err := a.Keystone(t.Context(), want.Method, "/endpoints", query, in, &got); err != nil || got != want {
			t.Errorf("Keystone = %v, %v, want %v", got, err, want)
		}
	}
	for path, want := range map[string]struct {
		kind fault.Kind
		text string
	}{
		"/regions/x": {fault.NotFound, "Could not find region: x."},
		"/garbage":   {fault.Unavailable, "Keystone's answer to GET /garbage is not the JSON that was expected"},
		"/moved":     {fault.Unavailable, "302 Found"},
	} {
		var out any
		err := a.Keystone(t.Context(), http.MethodGet, path, nil, nil, &out)
		if !fault.Is(err, want.kind) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("Keystone(%s) = %v, want %q", path, err, want.text)
		}
	}
	k.Close()
	err := a.Keystone(t.Context(), http.MethodGet, "/endpoints", nil, nil, nil)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "cannot reach Keystone: connection") {
		t.Errorf("Keystone = %v, want Unavailable", err)
	}
}
