package pod

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
)

func TestRootsOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		service  Service
		endpoint string
		want     roots
	}{
		{Compute, "http://h:8774/v2.1", roots{"http://h:8774", "http://h:8774/v2.1"}},
		{Compute, "http://h:8774/v2.1/", roots{"http://h:8774", "http://h:8774/v2.1"}},
		{Compute, "http://h:8774/v2.1/6f70656e", roots{"http://h:8774", "http://h:8774/v2.1"}},
		{Compute, "http://h:8774/v2/6f70656e", roots{"http://h:8774", "http://h:8774/v2.1"}},
		{Compute, "http://h:8774", roots{"http://h:8774", "http://h:8774/v2.1"}},
		{Compute, "https://h/compute/v2.1", roots{"https://h/compute", "https://h/compute/v2.1"}},
		{Compute, "https://h/cloud/v1/compute/v2.1", roots{"https://h/cloud/v1/compute", "https://h/cloud/v1/compute/v2.1"}},
		{Network, "http://h:9696", roots{"http://h:9696", "http://h:9696/v2.0"}},
		{Network, "http://h:9696/", roots{"http://h:9696", "http://h:9696/v2.0"}},
		{Network, "http://h:9696/v2.0", roots{"http://h:9696", "http://h:9696/v2.0"}},
		{Network, "http://h/networking", roots{"http://h/networking", "http://h/networking/v2.0"}},
		{Volume, "http://h:8776/v3/6f70656e", roots{"http://h:8776", "http://h:8776/v3"}},
		{Volume, "http://h/volume/v3", roots{"http://h/volume", "http://h/volume/v3"}},
		{Volume, "http://h/volume/v3/%24(project_id)s", roots{"http://h/volume", "http://h/volume/v3"}},
		{Image, "http://h:9292", roots{"http://h:9292", "http://h:9292/v2"}},
		{Image, "http://h:9292/v2", roots{"http://h:9292", "http://h:9292/v2"}},
		{Image, "http://h:9292/v2/", roots{"http://h:9292", "http://h:9292/v2"}},
		{Image, "https://[2001:db8::1]:9292/image", roots{"https://[2001:db8::1]:9292/image", "https://[2001:db8::1]:9292/image/v2"}},
	} {
		got, err := rootsOf(tt.service, tt.endpoint)
		if err != nil || got != tt.want {
			t.Errorf("rootsOf(%s, %s) = %v, %v, want %v", tt.service, tt.endpoint, got, err, tt.want)
		}
	}
	for _, endpoint := range []string{"", "h:8774", "/v2.1", "ftp://h/", "http://%zz/"} {
		if _, err := rootsOf(Compute, endpoint); !fault.Is(err, fault.Unavailable) {
			t.Errorf("rootsOf(%q) = %v, want Unavailable", endpoint, err)
		}
	}
}

func TestVolumeEndpointUnderItsOtherNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"volumev3", "block-storage", "block-store", "volume"} {
		k := newFakeKeystone(t)
		k.offer(name, "http://h/v3")
		if got, err := k.account().Endpoint(t.Context(), Volume, "Pod1", "public"); err != nil || got != "http://h/v3" {
			t.Errorf("Endpoint of %s = %q, %v", name, got, err)
		}
	}
}

func TestMissingEndpoint(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	c := New(Options{Name: "eu-2", Region: "Pod1", Account: k.account()})
	err := try(t.Context(), c, get(Network, "/ports"))
	const want = "pod eu-2: cannot list things: the catalog has no public endpoint for network in region Pod1"
	if !fault.Is(err, fault.Unavailable) || !strings.HasPrefix(err.Error(), want) || !NotSent(err) {
		t.Errorf("Do = %v, want %q", err, want)
	}
	// An operator adds it: found without a restart, but not with a login per request.
	k.offer("network", "http://127.0.0.1:1")
	for range 10 {
		if _, err := c.Account.Endpoint(t.Context(), Network, "Pod1", "public"); err == nil {
			t.Fatal("Endpoint looked again at once")
		}
	}
	k.clock.Add(catalogMin)
	if _, err := c.Account.Endpoint(t.Context(), Network, "Pod1", "public"); err != nil {
		t.Errorf("Endpoint = %v, want it to look again", err)
	}
	if n := k.logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

// A pod that was moved is found at its new address once the old one fails.
func TestMovedEndpoint(t *testing.T) {
	t.Parallel()
	c, k := clientOf(t, closedPort(t), func(o *Options) { o.Breaker.Failures = 1 })
	if err := try(t.Context(), c, get(Compute, "/servers")); err == nil {
		t.Fatal("Do at a closed port = nil")
	}
	moved, _ := newClient(t, func(http.ResponseWriter, *http.Request) {}, nil)
	at, err := moved.Account.Endpoint(t.Context(), Compute, "Pod1", "public")
	if err != nil {
		t.Fatal(err)
	}
	k.set(func() { k.catalog = nil })
	k.offer("compute", at)
	k.clock.Add(time.Minute)
	if err := c.Probe(t.Context()); err != nil {
		t.Errorf("Probe = %v, want the new address asked", err)
	}
	if state, _, _ := c.State(); state != Up {
		t.Errorf("State = %s", state)
	}
}

func TestCatalogIsReadOnce(t *testing.T) {
	t.Parallel()
	k := newFakeKeystone(t)
	k.offer("compute", "http://h")
	a := k.account()
	for range 100 {
		if _, err := a.Endpoint(t.Context(), Compute, "Pod1", "public"); err != nil {
			t.Fatal(err)
		}
		k.clock.Add(time.Second)
	}
	if diff := cmp.Diff(int32(1), k.logins.Load()); diff != "" {
		t.Errorf("logins: %s", diff)
	}
}
