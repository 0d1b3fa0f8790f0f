package pod

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeKeystone logs in with the password "secret" and knows which tokens it gave.
type fakeKeystone struct {
	*httptest.Server
	clock *fakeClock

	mu       sync.Mutex
	catalog  catalog
	valid    map[string]bool
	lifetime time.Duration
	before   func(http.ResponseWriter) bool // true: it has answered
	logins   atomic.Int32
	seen     []json.RawMessage
}

func newFakeKeystone(t testing.TB) *fakeKeystone {
	k := &fakeKeystone{clock: newClock(), valid: make(map[string]bool), lifetime: time.Hour}
	k.Server = httptest.NewServer(http.HandlerFunc(k.login))
	t.Cleanup(k.Close)
	return k
}

func (k *fakeKeystone) login(w http.ResponseWriter, r *http.Request) {
	n := k.logins.Add(1)
	k.mu.Lock()
	before := k.before
	k.mu.Unlock()
	if before != nil && before(w) {
		return
	}
	body, _ := io.ReadAll(r.Body)
	var in struct {
		Auth struct {
			Identity struct {
				Password struct{ User struct{ Password string } }
			}
		}
	}
	_ = json.Unmarshal(body, &in)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, body)
	if r.URL.Path != "/v3/auth/tokens" || in.Auth.Identity.Password.User.Password == "wrong" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error": {"code": 401, "message": "The request you have made requires authentication."}}`)
		return
	}
	token := fmt.Sprintf("token-%d", n)
	k.valid[token] = true
	w.Header().Set("X-Subject-Token", token)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(object{"token": object{
		"expires_at": k.clock.Now().Add(k.lifetime).Format(time.RFC3339Nano),
		"project":    object{"id": "service-project"},
		"roles":      []object{{"name": "admin"}},
		"catalog":    k.catalog,
	}})
}

func (k *fakeKeystone) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// revoke ends all tokens.
func (k *fakeKeystone) revoke() { k.set(func() { clear(k.valid) }) }

func (k *fakeKeystone) knows(token string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.valid[token]
}

// offer puts an endpoint of region Pod1 into the catalog.
func (k *fakeKeystone) offer(service, url string) {
	var entry catalog
	_ = json.Unmarshal(fmt.Appendf(nil, `[{"type": %q, "endpoints": [
		{"interface": "public", "region": "Pod9", "region_id": "Pod9", "url": "http://wrong"},
		{"interface": "internal", "region": "Pod1", "region_id": "Pod1", "url": "http://wrong"},
		{"interface": "public", "region": "Pod1", "region_id": "Pod1", "url": %q}]}]`, service, url), &entry)
	k.set(func() { k.catalog = append(k.catalog, entry...) })
}

func (k *fakeKeystone) account() *Account {
	return NewAccount(AccountOptions{
		AuthURL:     k.URL,
		Username:    "tricircle",
		Password:    "secret",
		ProjectName: "service",
		Now:         k.clock.Now,
	})
}

// newClient is a client of one server that plays all services of a pod.
func newClient(t testing.TB, handle http.HandlerFunc, change func(*Options)) (*Client, *fakeKeystone) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return clientOf(t, server.URL, change)
}

func clientOf(t testing.TB, url string, change func(*Options)) (*Client, *fakeKeystone) {
	t.Helper()
	k := newFakeKeystone(t)
	k.offer("compute", url+"/compute/v2.1")
	k.offer("network", url+"/network")
	k.offer("volumev3", url+"/volume/v3/service-project")
	k.offer("image", url+"/image")
	o := Options{Name: "eu-2", Region: "Pod1", Account: k.account(), Timeout: 20 * time.Second, Now: k.clock.Now}
	if change != nil {
		change(&o)
	}
	c := New(o)
	t.Cleanup(c.Close)
	return c, k
}

func get(service Service, path string) Request {
	return Request{Service: service, Method: http.MethodGet, Path: path, Op: "list things"}
}

// closedPort is an address where nothing listens.
func closedPort(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

// try makes a request that should fail.
func try(ctx context.Context, c *Client, r Request) error {
	resp, err := c.Do(ctx, r)
	if err == nil {
		discard(resp)
	}
	return err
}
