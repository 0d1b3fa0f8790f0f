package contract

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
)

type doc = map[string]any

// patience bounds how long a real cloud may take for anything.
const patience = 90 * time.Second

// world is one pod as its users see it.
type world struct {
	admin, demo, alt *client
	image            string
	cidr             string        // a /16 that nobody else uses
	pause            time.Duration // between looks at something that must stay
}

// check is one thing that must hold.
type check struct {
	name string
	run  func(t *testing.T, w *world)
}

// latest is Zed's highest microversion.
var latest = http.Header{"OpenStack-API-Version": {"compute 2.93"}}

func TestSimulatedCloud(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]podtest.Options{
		"at once": {Pods: []string{"pod1"}},
		"slowly":  {Pods: []string{"pod1"}, BuildGets: 2, DeleteGets: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := podtest.New(t, o)
			cloud.Pod("pod1").AddImage(glance.Image{Name: "tiny"})
			file := filepath.Join(t.TempDir(), "clouds.yaml")
			if err := cloud.WriteClouds(file); err != nil {
				t.Fatal(err)
			}
			before := cloud.Pod("pod1").Inventory()
			t.Run("checks", func(t *testing.T) { runAll(t, file, "pod1", 5*time.Millisecond) })
			cloud.Pod("pod1").Settle()
			if after := cloud.Pod("pod1").Inventory(); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("the checks left something behind:\nbefore %v\nafter  %v", before, after)
			}
		})
	}
}

func TestRealCloud(t *testing.T) {
	t.Parallel()
	file := os.Getenv("TRICIRCLE_CONTRACT_CLOUDS")
	if file == "" {
		t.Log("TRICIRCLE_CONTRACT_CLOUDS names no clouds.yaml: nothing to do")
		return
	}
	// The pods of a testbed are alike: one is asked. TRICIRCLE_CONTRACT_POD is
	// for those that are not.
	runAll(t, file, cmp.Or(os.Getenv("TRICIRCLE_CONTRACT_POD"), "pod1"), 150*time.Millisecond)
}

func runAll(t *testing.T, file, pod string, pause time.Duration) {
	w := &world{
		admin: login(t, file, "admin-"+pod), demo: login(t, file, "demo-"+pod), alt: login(t, file, "alt-"+pod),
		cidr: fmt.Sprintf("10.%d", 200+rand.IntN(50)), pause: pause,
	}
	w.image = w.findImage(t)
	for _, group := range []struct {
		name   string
		checks []check
	}{
		{"identity", identityChecks}, {"network", networkChecks}, {"subnet", subnetChecks}, {"port", portChecks}, {"dhcp", dhcpChecks},
		{"agent", agentChecks}, {"address", addressChecks}, {"router", routerChecks}, {"floating ip", floatingChecks},
		{"security group", groupChecks}, {"qos", qosChecks}, {"rbac", rbacChecks}, {"trunk", trunkChecks}, {"network list", listChecks}, {"compute", computeChecks}, {"server", serverChecks},
		{"server group", serverGroupChecks},
		{"server list", serverListChecks}, {"release", releaseChecks}, {"flavor", flavorChecks}, {"image", imageChecks}, {"image data", imageDataChecks}, {"metadef", metadefChecks}, {"volume", volumeChecks}, {"things of volumes", thingChecks},
		{"volume type", typeChecks}, {"imaging", imagingChecks}, {"operate", operateChecks},
		{"flavor changes", flavorChangeChecks}, {"key pair", keypairChecks},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.checks {
				t.Run(c.name, func(t *testing.T) { c.run(t, w) })
			}
		})
	}
}

// client speaks to one pod as one user.
type client struct {
	authURL, user, password, region string
	token, project, userID          string
	endpoints                       map[string]string
}

func login(t *testing.T, file, name string) *client {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Clouds map[string]struct {
			Region string `yaml:"region_name"`
			Auth   struct {
				URL      string `yaml:"auth_url"`
				User     string `yaml:"username"`
				Password string `yaml:"password"`
				Project  string `yaml:"project_name"`
			} `yaml:"auth"`
		} `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	cloud, ok := all.Clouds[name]
	if !ok {
		t.Fatalf("%s has no cloud %s", file, name)
	}
	c := &client{authURL: cloud.Auth.URL, user: cloud.Auth.User, password: cloud.Auth.Password, region: cloud.Region, endpoints: map[string]string{}}
	r := c.authenticate(t, c.password, doc{"project": doc{"name": cloud.Auth.Project, "domain": doc{"id": "default"}}})
	r.want(t, 201)
	c.token = r.header.Get("X-Subject-Token")
	c.project = r.text("token", "project", "id")
	c.userID = r.text("token", "user", "id")
	for _, s := range r.docs("token", "catalog") {
		for _, e := range docs(s, "endpoints") {
			if e["interface"] == "public" && e["region_id"] == c.region {
				c.endpoints[s["type"].(string)] = e["url"].(string)
			}
		}
	}
	return c
}

// authenticate asks Keystone for a token. A nil scope is left out.
func (c *client) authenticate(t *testing.T, password string, scope any) *reply {
	t.Helper()
	auth := doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{
		"name": c.user, "domain": doc{"id": "default"}, "password": password,
	}}}}
	if scope != nil {
		auth["scope"] = scope
	}
	return send(t, "POST", c.authURL+"/auth/tokens", doc{"auth": auth}, nil)
}

// The services, with their version roots.
func (c *client) compute(t *testing.T, method, path string, body any, header ...http.Header) *reply {
	t.Helper()
	return c.call(t, method, c.endpoints["compute"]+path, body, header...)
}

func (c *client) network(t *testing.T, method, path string, body any) *reply {
	t.Helper()
	return c.call(t, method, c.endpoints["network"]+"/v2.0"+path, body)
}

func (c *client) volume(t *testing.T, method, path string, body any, header ...http.Header) *reply {
	t.Helper()
	return c.call(t, method, c.endpoints["volumev3"]+path, body, header...)
}

func (c *client) glance(t *testing.T, method, path string, body any, header ...http.Header) *reply {
	t.Helper()
	return c.call(t, method, c.endpoints["image"]+"/v2"+path, body, header...)
}

func (c *client) identity(t *testing.T, method, path string, body any, header ...http.Header) *reply {
	t.Helper()
	return c.call(t, method, c.authURL+path, body, header...)
}

// root is a service's address without any path.
func (c *client) root(service string) string {
	return regexp.MustCompile(`^https?://[^/]+`).FindString(c.endpoints[service])
}

func (c *client) call(t *testing.T, method, url string, body any, header ...http.Header) *reply {
	t.Helper()
	all := http.Header{"X-Auth-Token": {c.token}}
	for _, h := range header {
		for k, v := range h {
			all[http.CanonicalHeaderKey(k)] = v
		}
	}
	return send(t, method, url, body, all)
}

// reply is what came back.
type reply struct {
	what   string
	status int
	header http.Header
	raw    []byte
	body   doc
}

func send(t *testing.T, method, url string, body any, header http.Header) *reply {
	t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, in)
	if err != nil {
		t.Fatal(err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{what: method + " " + url, status: res.StatusCode, header: res.Header, raw: raw}
	_ = json.Unmarshal(raw, &r.body) // some replies are HTML: then body stays nil
	return r
}

// want stops the test unless the status is as wanted and all texts are in the
// body.
func (r *reply) want(t *testing.T, status int, texts ...string) *reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("%s = %d %s, want %d", r.what, r.status, r.raw, status)
	}
	for _, text := range texts {
		if !strings.Contains(string(r.raw), text) {
			t.Fatalf("%s = %s, want it to hold %q", r.what, r.raw, text)
		}
	}
	return r
}

// fails checks a Neutron error.
func (r *reply) fails(t *testing.T, status int, kind, message string) {
	t.Helper()
	r.want(t, status)
	e, _ := r.body["NeutronError"].(doc)
	if e == nil || e["type"] != kind || e["message"] != message {
		t.Fatalf("%s = %v, want type %q message %q", r.what, e, kind, message)
	}
	if _, ok := e["detail"].(string); !ok {
		t.Fatalf("%s: no detail in %v", r.what, e)
	}
}

// refuses checks a Nova or Cinder error.
func (r *reply) refuses(t *testing.T, status int, kind, message string) {
	t.Helper()
	r.want(t, status)
	e, _ := r.body[kind].(doc)
	if e == nil || e["code"] != float64(status) || e["message"] != message {
		t.Fatalf("%s = %s, want %s with code %d and message %q", r.what, r.raw, kind, status, message)
	}
}

// at walks into a reply.
func (r *reply) at(path ...string) any {
	var v any = r.body
	for _, key := range path {
		d, _ := v.(doc)
		v = d[key]
	}
	return v
}

func (r *reply) text(path ...string) string {
	s, _ := r.at(path...).(string)
	return s
}

func (r *reply) docs(path ...string) []doc {
	parent := r.body
	for _, key := range path[:len(path)-1] {
		parent, _ = parent[key].(doc)
	}
	return docs(parent, path[len(path)-1])
}

func docs(d doc, key string) []doc {
	list, _ := d[key].([]any)
	out := []doc{}
	for _, v := range list {
		if d, ok := v.(doc); ok {
			out = append(out, d)
		}
	}
	return out
}

// ids lists one field of a list of objects.
func ids(list []doc, field string) []string {
	out := []string{}
	for _, d := range list {
		out = append(out, fmt.Sprint(d[field]))
	}
	return out
}

// has checks that an object has the fields; hasNot that it has none of them.
func has(t *testing.T, d doc, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, ok := d[name]; !ok {
			t.Errorf("no %s in %v", name, d)
		}
	}
}

func hasNot(t *testing.T, d doc, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, ok := d[name]; ok {
			t.Errorf("unexpected %s in %v", name, d)
		}
	}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	pause := 10 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !ask() {
		if pause < time.Second/2 {
			pause *= 2 // a real cloud takes seconds, a simulated one none
			tick.Reset(pause)
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// stays asks for a while: the answer must always be yes.
func (w *world) stays(t *testing.T, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(w.pause)
	defer tick.Stop()
	for range 10 {
		if !ask() {
			t.Fatalf("%s: not any more", what)
		}
		<-tick.C
	}
}

func random(n int) string {
	const letters = "abcdef0123456789"
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[rand.IntN(len(letters))]
	}
	return string(out)
}

const nobody = "11111111-2222-4333-8444-555555555555"
