package region_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/config"
)

// TestBadTokens: each API tells whoever comes without a good token so, in its
// own shape, and where Keystone is.
func TestBadTokens(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	r.settled() // the region itself asks the pods at first
	before := len(r.pod("pod1").Calls())
	expired, revoked := r.cloud.Token("demo", "demo"), r.cloud.Token("demo", "demo")
	r.cloud.ExpireToken(expired)
	r.cloud.RevokeToken(revoked)
	tokens := map[string]struct {
		token  string
		status int
	}{
		"none": {"", 401}, "expired": {expired, 401}, "revoked": {revoked, 401}, "unscoped": {r.cloud.Token("demo", ""), 403},
		"garbage": {"\"><script>" + strings.Repeat("A", 300), 401}, "another cloud's": {"gAAAAAB" + strings.Repeat("x", 180), 401},
	}
	paths := []struct{ path, shape string }{
		{compute + "/servers", "error.message"}, {compute + "/servers/detail?all_tenants=1", "error.message"},
		{volume + "/volumes", "error.message"}, {network + "/networks", "error.message"}, {image + "/images", ""},
		{"/admin/v1/pods", "error.message"}, {compute + "/no/such/path", "error.message"},
	}
	for name, token := range tokens {
		for _, p := range paths {
			got := demo.holding(token.token).do("GET", p.path, nil)
			want := token.status
			if want == 403 && strings.HasSuffix(p.path, "/no/such/path") {
				want = 404
			}
			if got.status != want {
				t.Errorf("%s token, %s: %d %s, want %d", name, p.path, got.status, got.body, want)
				continue
			}
			if want == 401 && (got.header.Get("Www-Authenticate") != `Keystone uri="`+r.cloud.AuthURL()+`"` ||
				p.shape != "" && got.get(p.shape).Str != "The request you have made requires authentication.") {
				t.Errorf("%s token, %s: %v %s, want Keystone's address and words", name, p.path, got.header, got.body)
			}
			if !strings.HasPrefix(got.header.Get("X-Openstack-Request-Id"), "req-") {
				t.Errorf("%s token, %s: no request ID", name, p.path)
			}
		}
	}
	for _, c := range r.pod("pod1").Calls()[before:] {
		if c.Path != "/" {
			t.Errorf("a pod was asked: %v", c)
		}
	}
}

// TestTokenOfAnotherProject: the path names demo's project, the token is alt's.
func TestTokenOfAnotherProject(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo, alt := r.as("demo"), r.as("alt")
	for _, path := range []string{compute + "/" + demo.project + "/servers", volume + "/" + demo.project + "/volumes"} {
		demo.do("GET", path, nil).want(t, 200)
		if got := alt.do("GET", path, nil); got.status != 400 || !strings.Contains(got.message(), "alformed") {
			t.Errorf("GET %s: %d %s, want 400", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/admin/v1/pods", "/admin/v1/jobs"} {
		if got := demo.do("GET", path, nil); got.status != 403 {
			t.Errorf("GET %s as a member: %d, want 403", path, got.status)
		}
	}
}

// TestRevokedTokenWorksNoLongerThanItsBound: within tokens.max_staleness Keystone
// is not asked again; a pod that is asked knows better at once.
func TestRevokedTokenWorksNoLongerThanItsBound(t *testing.T) {
	t.Parallel()
	patient := newRegion(t, setup{config: func(c *config.Config) { c.Tokens.MaxStaleness = time.Hour }})
	demo := patient.as("demo")
	demo.do("GET", network+"/networks", nil).want(t, 200)
	asked := patient.cloud.Validations()
	patient.cloud.RevokeToken(demo.token)
	demo.do("GET", network+"/networks", nil).want(t, 200)
	if again := patient.cloud.Validations(); again != asked {
		t.Errorf("Keystone was asked %d times about a token it had confirmed", again-asked)
	}
	for _, path := range []string{compute + "/servers", compute + "/servers/" + uuid.NewString(), volume + "/volumes/detail", image + "/images"} {
		if got := demo.do("GET", path, nil); got.status != 401 {
			t.Errorf("GET %s, whose pods know that the token is revoked: %d %s, want 401", path, got.status, got.body)
		}
	}
	if got := demo.create(nil); got.status != 401 {
		t.Errorf("creation: %d %s, want 401", got.status, got.body)
	}

	strict := newRegion(t, setup{config: func(c *config.Config) { c.Tokens.MaxStaleness = 100 * time.Millisecond }})
	demo = strict.as("demo")
	demo.do("GET", network+"/networks", nil).want(t, 200)
	strict.cloud.RevokeToken(demo.token)
	eventually(t, "the revoked token is refused", func() string {
		if got := demo.do("GET", network+"/networks", nil); got.status != 401 {
			return string(got.body)
		}
		return ""
	})
}

// TestKeystoneAway: who is known goes on working, others are told to come back.
func TestKeystoneAway(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo, late := r.as("demo"), r.as("alt")
	demo.do("GET", network+"/networks", nil).want(t, 200)
	r.cloud.KeystoneDown()
	demo.do("GET", network+"/networks", nil).want(t, 200)
	for _, path := range []string{compute + "/servers", network + "/networks"} {
		if got := late.do("GET", path, nil); got.status != 503 || !strings.Contains(got.message(), "Keystone") {
			t.Errorf("GET %s: %d %s, want 503 that names Keystone", path, got.status, got.body)
		}
	}
	r.cloud.KeystoneUp()
	late.do("GET", network+"/networks", nil).want(t, 200)
}
