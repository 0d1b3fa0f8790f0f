package region_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// operations is a client of the other port, which needs no token.
func (r *region) operations() *client {
	inside := *r
	inside.url = r.ops
	return &client{region: &inside}
}

// TestHealth: alive is not ready, and a pod that is away is neither's matter.
func TestHealth(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	ops := r.operations()
	check := func(when, path string, status int, said string) {
		t.Helper()
		if got := ops.do("GET", path, nil); got.status != status || !strings.Contains(string(got.body), said) {
			t.Errorf("%s: %s: %d %s, want %d with %q", when, path, got.status, got.body, status, said)
		}
	}
	check("all well", "/healthz", 200, "ok")
	check("all well", "/readyz", 200, "ready")
	r.pod("pod1").Down()
	check("a pod away", "/readyz", 200, "ready")
	check("all well", "/debug/pprof/", 200, "goroutine")
	if got := ops.do("GET", compute+"/servers", nil); got.status != 404 {
		t.Errorf("the API on the operations port: %d, want 404", got.status)
	}
	if got := r.as("demo").do("GET", "/metrics", nil); got.status != 404 {
		t.Errorf("metrics on the API's port: %d, want 404", got.status)
	}
}

// TestNotReadyWithoutKeystone: the program starts, is alive, and says what it
// waits for.
func TestNotReadyWithoutKeystone(t *testing.T) {
	t.Parallel()
	r := &region{t: t, cloud: podtest.New(t, podtest.Options{}), log: &logBook{}}
	r.cloud.KeystoneDown()
	r.start(setup{})
	ops := r.operations()
	ops.do("GET", "/healthz", nil).want(t, 200)
	if got := ops.do("GET", "/readyz", nil); got.status != 503 || !strings.HasPrefix(string(got.body), "keystone: ") {
		t.Errorf("/readyz: %d %s, want 503 that names Keystone", got.status, got.body)
	}
	r.cloud.KeystoneUp()
	eventually(t, "ready", func() string {
		if got := ops.do("GET", "/readyz", nil); got.status != 200 {
			return string(got.body)
		}
		return ""
	})
}

var (
	metricName = regexp.MustCompile("`(tricircle_[a-z_]+)(?:\\{([a-z,]+)\\})?`")
	sample     = regexp.MustCompile(`(?m)^(tricircle_[a-z_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+)="`)
)

// TestMetricsAreAsDocumented: docs/operate.md and /metrics have the same names,
// each with the same labels.
func TestMetricsAreAsDocumented(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: brisk})
	demo := r.as("demo")
	blue, _ := demo.network("blue", "10.1.0.0/24")
	demo.remove(demo.boot(on(blue)))
	demo.drop(blue)
	r.settled()
	r.pod("pod2").Down()
	demo.servers()

	text := string(r.operations().do("GET", "/metrics", nil).want(t, 200).body)
	served := map[string]string{}
	for _, match := range sample.FindAllStringSubmatch(text, -1) {
		name := match[1]
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		var labels []string
		for _, l := range labelName.FindAllStringSubmatch(match[2], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		slices.Sort(labels)
		served[name] = strings.Join(labels, ",")
	}
	page, err := os.ReadFile("../../docs/operate.md")
	must(t, err)
	documented := map[string]string{}
	for _, match := range metricName.FindAllStringSubmatch(string(page), -1) {
		labels := strings.Split(match[2], ",")
		slices.Sort(labels)
		documented[match[1]] = strings.Join(labels, ",")
	}
	for name, labels := range served {
		if got, ok := documented[name]; !ok || got != labels {
			t.Errorf("docs/operate.md has %s{%s}, served is %s{%s}", name, got, name, labels)
		}
	}
	delete(documented, "tricircle_copy") // a property of images
	for name := range documented {
		if _, ok := served[name]; !ok {
			t.Errorf("docs/operate.md has %s, which is not served", name)
		}
	}
	for _, want := range []string{
		`tricircle_requests_total{method="POST",route="/servers",service="compute",status="202"} 1`,
		`tricircle_requests_total{method="POST",route="/networks",service="network",status="201"} 1`,
		`tricircle_pod_requests_total{op="create server",pod="pod1",service="compute",status="202"} 1`,
		`tricircle_pod_requests_total{op="list servers",pod="pod2",service="compute",status="0"}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, id := range []string{blue, demo.project} {
		if strings.Contains(text, id) {
			t.Errorf("/metrics has the ID %s: one series per thing is too many", id)
		}
	}
}
