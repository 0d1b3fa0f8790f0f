// Package podtest runs small OpenStack clouds in memory behind real HTTP: one
// Keystone and some pods, each with Nova, Neutron, Cinder and Glance, and
// faults on demand.
//
// They answer as a stock Zed does for all that Tricircle and its tests use; the
// suite in podtest/contract holds them to that, as it runs against real clouds
// too. A pod's services listen on ports of their own, as on a real
// controller; users are admin, demo and alt, each with a project of that name,
// the password "secret".
package podtest

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/tricircle/tricircle/internal/pod/podtest/keystone"
)

// Password is everybody's.
const Password = "secret"

// RegionOne is the region that is no pod's: the one to register Tricircle in.
const RegionOne = "RegionOne"

// Options say what the clouds are like. The zero value is two pods, pod1 and
// pod2, whose servers are ACTIVE and gone at once.
type Options struct {
	Pods []string
	// DHCPAgents serve each network of a pod. 0: one; negative: none.
	DHCPAgents int
	// BuildGets is how many reads a new server stays in BUILD for; DeleteGets
	// how many reads a deleted one is still there for.
	BuildGets, DeleteGets int
	// Microversion is the second number of Nova's highest; 0: 93. A pod's own
	// may differ: see PodMicroversion.
	Microversion    int
	PodMicroversion map[string]int
	// Zone is what pods call their availability zone; empty: nova.
	Zone string
	// ImportMethods are those that the pods' Glances offer. Nil: all.
	ImportMethods []string
	// Now is the clock of tokens and timestamps; nil: time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if len(o.Pods) == 0 {
		o.Pods = []string{"pod1", "pod2"}
	}
	if o.DHCPAgents == 0 {
		o.DHCPAgents = 1
	}
	if o.Microversion == 0 {
		o.Microversion = 93
	}
	if o.Zone == "" {
		o.Zone = "nova"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Cloud is one Keystone and its pods.
type Cloud struct {
	options  Options
	Keystone *keystone.Server
	front    *front
	pods     map[string]*Pod
	quit     chan struct{}
	once     sync.Once
}

// New starts clouds that stop with the test.
func New(t testing.TB, o Options) *Cloud {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatalf("podtest: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// Start starts clouds; Close stops them.
func Start(o Options) (*Cloud, error) {
	o = o.withDefaults()
	c := &Cloud{options: o, Keystone: keystone.New(o.Now), pods: map[string]*Pod{}, quit: make(chan struct{})}
	var err error
	if c.front, err = newFront(Identity, c.Keystone, c.quit); err != nil {
		return nil, fmt.Errorf("cannot start keystone: %w", err)
	}
	c.Keystone.SetURL(c.AuthURL())
	c.seed()
	services := map[string]string{}
	for _, s := range catalog {
		services[s.kind] = c.Keystone.AddService(s.kind, s.name)
	}
	c.Keystone.AddRegion(RegionOne, "")
	c.Keystone.AddEndpoint(services["identity"], RegionOne, c.AuthURL())
	for _, name := range o.Pods {
		p, err := c.startPod(name, services)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("cannot start pod %s: %w", name, err)
		}
		c.pods[name] = p
	}
	return c, nil
}

// catalog is what Keystone lists for each pod.
var catalog = []struct{ kind, name, service, path string }{
	{"compute", "nova", Compute, "/v2.1"},
	{"network", "neutron", Network, ""},
	{"volumev3", "cinderv3", Volume, "/v3/$(project_id)s"},
	{"image", "glance", Image, ""},
	{"identity", "keystone", Identity, ""},
}

func (c *Cloud) seed() {
	for _, name := range []string{"admin", "demo", "alt", "service"} {
		c.Keystone.AddProject(name)
	}
	for _, name := range []string{"admin", "demo", "alt"} {
		c.Keystone.AddUser(name, Password, name)
	}
	for _, project := range []string{"admin", "demo", "alt"} {
		c.Keystone.Grant("admin", project, "admin")
	}
	c.Keystone.Grant("demo", "demo", "member")
	c.Keystone.Grant("alt", "alt", "member")
}

// Close stops all and waits for it.
func (c *Cloud) Close() {
	c.once.Do(func() { close(c.quit) })
	c.front.down()
	for _, p := range c.pods {
		p.Down()
		p.Settle()
	}
}

// AuthURL is Keystone's URL, ending in /v3.
func (c *Cloud) AuthURL() string { return c.front.url() + "/v3" }

// Pod finds a pod by its name; it panics when there is none, which is a mistake
// in the test.
func (c *Cloud) Pod(name string) *Pod {
	p := c.pods[name]
	if p == nil {
		panic("podtest: no pod " + name)
	}
	return p
}

// Pods lists the pods, in the order of the options.
func (c *Cloud) Pods() []*Pod {
	out := make([]*Pod, 0, len(c.pods))
	for _, name := range c.options.Pods {
		out = append(out, c.pods[name])
	}
	return out
}

// Token logs a user in, without HTTP.
func (c *Cloud) Token(user, project string) string { return c.Keystone.Token(user, project) }

// ProjectID is the ID of a project by its name.
func (c *Cloud) ProjectID(name string) string { return c.Keystone.ProjectID(name) }

// UserID is the ID of a user by its name.
func (c *Cloud) UserID(name string) string { return c.Keystone.UserID(name) }

// ExpireToken makes a token one that has expired; RevokeToken one that was
// revoked.
func (c *Cloud) ExpireToken(token string) { c.Keystone.Expire(token) }

// RevokeToken makes a token one that was revoked.
func (c *Cloud) RevokeToken(token string) { c.Keystone.Revoke(token) }

// Validations counts how often Keystone was asked about a token.
func (c *Cloud) Validations() int { return c.Keystone.Validations() }

// KeystoneDown makes Keystone refuse connections. Pods go on knowing tokens, as
// they would out of their caches.
func (c *Cloud) KeystoneDown() { c.front.down() }

// KeystoneUp takes KeystoneDown back.
func (c *Cloud) KeystoneUp() { c.front.mustUp() }

// Fault makes Keystone misbehave; see Pod.Fault.
func (c *Cloud) Fault(f Fault) (remove func()) { return c.front.faults.add(f) }

// Calls lists the requests to Keystone so far.
func (c *Cloud) Calls() []Call { return c.front.faults.list() }

// ResetCalls forgets the requests so far.
func (c *Cloud) ResetCalls() { c.front.faults.reset() }

// Region is the name of a pod's region in Keystone.
func Region(pod string) string { return strings.ToUpper(pod[:1]) + pod[1:] }

// WriteClouds writes a clouds.yaml with {admin,demo,alt}-{each pod,top}.
func (c *Cloud) WriteClouds(path string) error {
	regions := map[string]string{"top": RegionOne}
	for _, name := range c.options.Pods {
		regions[name] = Region(name)
	}
	clouds := map[string]any{}
	for short, region := range regions {
		for _, user := range []string{"admin", "demo", "alt"} {
			clouds[user+"-"+short] = map[string]any{
				"region_name":          region,
				"identity_api_version": 3,
				"auth": map[string]any{
					"auth_url": c.AuthURL(), "username": user, "password": Password, "project_name": user,
					"user_domain_id": "default", "project_domain_id": "default",
				},
			}
		}
	}
	raw, err := yaml.Marshal(map[string]any{"clouds": clouds})
	if err != nil {
		return fmt.Errorf("cannot encode clouds.yaml: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot write clouds.yaml: %w", err)
	}
	return os.WriteFile(path, raw, 0o600)
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
