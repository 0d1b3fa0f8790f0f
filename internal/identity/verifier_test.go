package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
)

// keystone validates the tokens it was told of; it is also the service account's
// TokenSource.
type keystone struct {
	*httptest.Server
	mu     sync.Mutex
	now    time.Time
	tokens map[string]time.Time // and when they expire
	own    string               // the service account's current token
	serial int
	answer http.HandlerFunc // instead of the right one
	calls  atomic.Int32
}

func newKeystone(t testing.TB) *keystone {
	k := &keystone{
		now:    time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		tokens: make(map[string]time.Time),
		own:    "own-0",
	}
	k.Server = httptest.NewServer(http.HandlerFunc(k.validate))
	t.Cleanup(k.Close)
	return k
}

func (k *keystone) validate(w http.ResponseWriter, r *http.Request) {
	k.calls.Add(1)
	k.mu.Lock()
	answer, now, own := k.answer, k.now, k.own
	subject := r.Header.Get("X-Subject-Token")
	expires, ok := k.tokens[subject]
	k.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.Method != http.MethodGet || r.URL.RequestURI() != "/v3/auth/tokens?nocatalog":
		w.WriteHeader(http.StatusTeapot)
	case r.Header.Get("X-Auth-Token") != own:
		w.WriteHeader(http.StatusUnauthorized)
	case !ok || !now.Before(expires):
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"code":404,"message":"Could not recognize Fernet token","title":"Not Found"}}`)
	default:
		fmt.Fprintf(w, `{"token": {"methods": ["password"], "user": {"domain": {"id": "default", "name": "Default"}, "id": "u-%s", "name": "demo"},
			"expires_at": %q, "project": {"domain": {"id": "d2", "name": "D2"}, "id": "p1", "name": "demo"}, "is_domain": false,
			"roles": [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}]}}`, subject, expires.Format("2006-01-02T15:04:05.000000Z"))
	}
}

func (k *keystone) Token(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprintf("own-%d", k.serial), nil
}

func (k *keystone) Invalidate(string) {
	k.set(func() { k.serial++ })
}

func (k *keystone) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

func (k *keystone) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *keystone) wait(d time.Duration) { k.set(func() { k.now = k.now.Add(d) }) }

func (k *keystone) issue(token string, lifetime time.Duration) {
	k.set(func() { k.tokens[token] = k.now.Add(lifetime) })
}

func (k *keystone) verifier() *Verifier {
	return NewVerifier(Options{AuthURL: k.URL + "/v3/", Service: k, Now: k.clock})
}

// expect verifies the token, and counts the calls so far.
func expect(t *testing.T, v *Verifier, k *keystone, token string, kind fault.Kind, calls int32) {
	t.Helper()
	c, err := v.Verify(t.Context(), token)
	got := fault.Kind(-1)
	if err != nil {
		got = fault.KindOf(err)
	}
	if got != kind || kind == valid && c.Token != token {
		t.Errorf("Verify(%.20q) = %v, %v, want kind %d", token, c.UserID, err, kind)
	}
	if n := k.calls.Load(); n != calls {
		t.Errorf("%d calls of Keystone, want %d", n, calls)
	}
}

const valid = fault.Kind(-1)

func TestVerify(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	k.issue("a", time.Hour)
	got, err := k.verifier().Verify(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	want := Caller{
		UserID: "u-a", UserName: "demo", UserDomainID: "default",
		ProjectID: "p1", ProjectName: "demo", ProjectDomainID: "d2",
		Roles: []string{"member", "reader"}, Token: "a", ExpiresAt: k.now.Add(time.Hour),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Verify (-want +got):\n%s", diff)
	}
	if got.IsAdmin() || !got.HasRole("reader") {
		t.Errorf("roles are wrong: %v", got.Roles)
	}
}

func TestVerifyRemembersUntilTheTokenEnds(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	k.issue("short", 3*time.Minute)
	expect(t, v, k, "short", valid, 1)
	k.wait(3*time.Minute - time.Second)
	expect(t, v, k, "short", valid, 1)
	k.wait(time.Second)
	expect(t, v, k, "short", fault.Unauthenticated, 2)
}

func TestVerifyTrustsARevokedTokenNoLongerThanTheTTL(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	k.issue("a", 24*time.Hour)
	expect(t, v, k, "a", valid, 1)
	k.set(func() { delete(k.tokens, "a") })
	k.wait(DefaultTTL - time.Second)
	expect(t, v, k, "a", valid, 1)
	k.wait(time.Second)
	expect(t, v, k, "a", fault.Unauthenticated, 2)
	k.issue("b", time.Hour)
	expect(t, v, k, "b", valid, 3)
	k.set(func() { delete(k.tokens, "b") })
	v.Forget("b")
	expect(t, v, k, "b", fault.Unauthenticated, 4)
}

func TestVerifyRemembersRefusals(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	for range 100 {
		expect(t, v, k, "foreign", fault.Unauthenticated, 1)
	}
	k.wait(refusalTTL)
	expect(t, v, k, "foreign", fault.Unauthenticated, 2)
	k.issue("foreign", time.Hour)
	k.wait(refusalTTL)
	expect(t, v, k, "foreign", valid, 3)
}

func TestVerifyRefusesWhatIsNoToken(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	for _, token := range []string{"", " ", "a b", "a\r\nX-Auth-Token: own", "ä", "a\x00", strings.Repeat("a", maxToken+1)} {
		expect(t, v, k, token, fault.Unauthenticated, 0)
	}
}

// 200 requests with one fresh token are one call.
func TestVerifyCollapsesCalls(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	k.issue("a", time.Hour)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for range 200 {
		wait.Go(func() {
			<-start
			if c, err := v.Verify(t.Context(), "a"); err != nil || c.UserID != "u-a" || c.Token != "a" {
				t.Errorf("Verify = %v, %v", c, err)
			}
		})
	}
	close(start)
	wait.Wait()
	if n := k.calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestVerifyOutlivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	k.issue("a", time.Hour)
	arrived, release := make(chan struct{}), make(chan struct{})
	k.answer = func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		k.set(func() { k.answer = nil })
		k.calls.Add(-1)
		k.validate(w, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := v.Verify(ctx, "a")
		first <- err
	}()
	<-arrived
	second := make(chan error, 1)
	go func() {
		_, err := v.Verify(t.Context(), "a")
		second <- err
	}()
	cancel()
	if err := <-first; !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the first = %v, want canceled", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Errorf("the second = %v", err)
	}
	expect(t, v, k, "a", valid, 1)
}

func TestVerifyRenewsItsOwnToken(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	k.issue("a", time.Hour)
	k.own = "own-1" // own-0 was revoked
	expect(t, v, k, "a", valid, 2)
	k.set(func() { k.own = "nobody's" })
	expect(t, v, k, "b", fault.Unavailable, 4)
	k.set(func() { k.own = fmt.Sprintf("own-%d", k.serial) })
	k.issue("b", time.Hour)
	expect(t, v, k, "b", valid, 5) // a failure is not remembered
}

// What is wrong with Keystone never becomes a verdict about the token.
func TestVerifyWithABrokenKeystone(t *testing.T) {
	t.Parallel()
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"500":           say(500, ""),
		"503":           say(503, "<html>"),
		"403":           say(403, `{"error": {}}`),
		"garbage":       say(200, "<html>"),
		"empty":         say(200, ""),
		"no user":       say(200, `{"token": {"expires_at": "2030-01-01T00:00:00Z"}}`),
		"no end":        say(200, `{"token": {"user": {"id": "u"}}}`),
		"another JSON":  say(200, `[]`),
		"cut":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirection": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeystone(t)
			k.answer = answer
			_, err := k.verifier().Verify(t.Context(), "a")
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("Verify = %v, want Unavailable", err)
			}
		})
	}
}

func TestVerifyWithoutKeystone(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := k.verifier()
	k.issue("known", time.Hour)
	expect(t, v, k, "known", valid, 1)
	k.Close()
	expect(t, v, k, "known", valid, 1)
	expect(t, v, k, "new", fault.Unavailable, 1)
	k.wait(DefaultTTL)
	expect(t, v, k, "known", fault.Unavailable, 1)
}

func TestVerifyDoesNotBelieveKeystonesOldTokens(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	k.answer = func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"token": {"user": {"id": "u"}, "expires_at": "2026-11-22T09:59:59Z"}}`)
	}
	expect(t, k.verifier(), k, "a", fault.Unauthenticated, 1)
}

func TestVerifyRemembersABoundedNumber(t *testing.T) {
	t.Parallel()
	k := newKeystone(t)
	v := NewVerifier(Options{AuthURL: k.URL, Service: k, Now: k.clock, Size: 100})
	for i := range 1000 {
		if _, err := v.Verify(t.Context(), fmt.Sprint("foreign-", i)); !fault.Is(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
	}
	v.known.CleanUp()
	if n := v.known.EstimatedSize(); n > 100 {
		t.Errorf("%d tokens remembered, want at most 100", n)
	}
}

func BenchmarkVerifyKnown(b *testing.B) {
	k := newKeystone(b)
	v := NewVerifier(Options{AuthURL: k.URL, Service: k, Now: time.Now})
	token := strings.Repeat("gAAAAABrAyJH", 15)
	k.set(func() { k.now = time.Now() })
	k.issue(token, time.Hour)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
