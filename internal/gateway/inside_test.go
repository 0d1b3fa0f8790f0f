package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
)

// TestInside holds that a service can ask another in the caller's name.
func TestInside(t *testing.T) {
	t.Parallel()
	inside := &Inside{}
	var got Answer
	h := New(Options{Verifier: verifier{}, Services: []Service{
		{Name: "asks", Prefix: "/asks", Error: NovaError, Routes: []Route{{Method: "GET", Pattern: "/it", Handle: func(ctx context.Context, by identity.Caller, _ *Request) (*Reply, error) {
			var err error
			got, err = inside.Do(ctx, by, Question{
				Method: "POST", Path: "/answers/v1/a%2Fb", Query: url.Values{"q": {"x y"}}, Body: []byte(`{"a":1}`),
			})
			return Empty(204), err
		}}}},
		{Name: "answers", Prefix: "/answers", Version: "/v1", Error: NeutronError, Routes: []Route{{Method: "POST", Pattern: "/{id}", Handle: func(_ context.Context, by identity.Caller, r *Request) (*Reply, error) {
			body, err := r.Bytes()
			return JSON(http.StatusAccepted, []string{r.Param("id"), r.URL.Query().Get("q"), string(body), by.UserID, r.Header.Get("Content-Type")}), err
		}}}},
	}})
	inside.Open(h)
	resp, body := do(t, h, "GET", "/asks/it", "demo", "")
	if resp.StatusCode != 204 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	if diff := cmp.Diff(`["a/b","x y","{\"a\":1}","u1","application/json"]`, string(got.Body)); diff != "" || got.Status != 202 {
		t.Errorf("status %d, body (-want +got):\n%s", got.Status, diff)
	}
	if outer, inner := resp.Header.Get("X-Openstack-Request-Id"), got.Header.Get("X-Openstack-Request-Id"); outer != inner {
		t.Errorf("request IDs %s and %s, want the same", outer, inner)
	}
}

// TestInsideRefusals: the checks are those of a request from outside, and half an
// answer is none.
func TestInsideRefusals(t *testing.T) {
	t.Parallel()
	inside := &Inside{}
	inside.Open(New(Options{Verifier: verifier{}, Services: []Service{{Name: "answers", Prefix: "/answers", Error: NeutronError, Routes: []Route{
		{Method: "GET", Pattern: "/admins", Admin: true, Handle: echo},
		{Method: "GET", Pattern: "/broken", Handle: func(context.Context, identity.Caller, *Request) (*Reply, error) {
			return &Reply{Stream: &brokenReader{left: "half"}}, nil
		}},
		{Method: "GET", Pattern: "/huge", Handle: func(context.Context, identity.Caller, *Request) (*Reply, error) {
			return &Reply{Stream: strings.NewReader(strings.Repeat("x", MaxRewrite+2))}, nil
		}},
	}}}}))
	for _, test := range []struct {
		path, token string
		status      int
	}{{"/answers/admins", "demo", 403}, {"/answers/admins", "admin", 200}, {"/answers/admins", "none", 401}, {"/answers/other", "demo", 404}} {
		a, err := inside.Do(t.Context(), identity.Caller{Token: test.token}, Question{Method: "GET", Path: test.path})
		if a.Status != test.status || err != nil {
			t.Errorf("Do(%s) as %s = %d, %v, want %d", test.path, test.token, a.Status, err, test.status)
		}
	}
	for _, path := range []string{"/answers/broken", "/answers/huge"} {
		if a, err := inside.Do(t.Context(), identity.Caller{Token: "demo"}, Question{Method: "GET", Path: path}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Do(%s) = %d, %v, want an error", path, a.Status, err)
		}
	}
}

// brokenReader ends in an error.
type brokenReader struct{ left string }

func (b *brokenReader) Read(p []byte) (int, error) {
	if b.left == "" {
		return 0, http.ErrBodyReadAfterClose
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}
