package compute_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/nova"
)

const publicKey = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDNLLunFHSGsSn408EjlSvLFBeGMfLPTvO9gSW+7Hy73FumwNSFNemprGj0xh5kM3aBCcvOdglzt8vAYQM+EvN80rypfdP2EBexPrpK me@here"

func TestKeypairs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	made := demo.at("2.1").do("POST", "/os-keypairs", m{"keypair": m{"name": "k"}}).want(t, 200)
	if made.get("keypair.private_key").Str == "" {
		t.Errorf("no private key in %s", made.body)
	}
	inv := w.inventory()
	if len(inv["pod1"]["keypair"]) != 1 || len(inv["pod2"]["keypair"]) != 1 {
		t.Errorf("key pairs: %v and %v, want one each", inv["pod1"]["keypair"], inv["pod2"]["keypair"])
	}
	demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "k", "public_key": publicKey}}).want(t, 409)
	demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "j", "public_key": publicKey, "type": "ssh"}}).want(t, 201)
	list := demo.do("GET", "/os-keypairs", nil).want(t, 200)
	if got := list.get("keypairs.#.keypair.name").Raw; got != `["j","k"]` {
		t.Errorf("names = %s", got)
	}
	page := demo.do("GET", "/os-keypairs?limit=1", nil).want(t, 200)
	if page.get("keypairs.#").Int() != 1 || !strings.Contains(page.get("keypairs_links.0.href").Str, "marker=j") {
		t.Errorf("page: %s", page.body)
	}
	if got := demo.do("GET", "/os-keypairs/k", nil).want(t, 200).get("keypair.public_key").Str; got != made.get("keypair.public_key").Str {
		t.Errorf("public key = %s", got)
	}
	for _, zone := range []string{"az1", "az2"} {
		demo.boot(zone, m{"key_name": "k"})
	}
	for _, name := range []string{"j", "k"} {
		demo.do("DELETE", "/os-keypairs/"+name, nil).want(t, 204)
	}
	demo.do("DELETE", "/os-keypairs/k", nil).want(t, 404)
	for name, inv := range w.inventory() {
		if len(inv["keypair"]) != 0 {
			t.Errorf("left in %s: %v", name, inv["keypair"])
		}
	}
}

// TestKeypairConflict holds that a key which one pod refuses is nowhere.
func TestKeypairConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/os-keypairs$`, Status: 403,
		Body: `{"forbidden": {"code": 403, "message": "Quota exceeded, too many key pairs."}}`})
	got := demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "k", "public_key": publicKey, "type": "ssh"}})
	if got.status != 403 || !strings.Contains(got.message(), "pod2") {
		t.Errorf("%d %s, want 403 that names pod2", got.status, got.body)
	}
	if diff := cmp.Diff(w.before, w.inventory()); diff != "" {
		t.Errorf("left behind (-before +now):\n%s", diff)
	}
}

// TestKeypairPodAway holds that a key made while a pod is away gets there with
// the first server that needs it.
func TestKeypairPodAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	w.cloud.Pod("pod2").Down()
	made := demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "k", "public_key": publicKey, "type": "ssh"}}).want(t, 201)
	if got := made.header.Get("X-Tricircle-Unreachable-Pods"); got != "pod2" {
		t.Errorf("unreachable pods = %q, want pod2", got)
	}
	if got := demo.do("DELETE", "/os-keypairs/other", nil); got.status != 503 || !strings.Contains(got.message(), "pod2") {
		t.Errorf("deletion: %d %s, want 503 that names pod2", got.status, got.body)
	}
	w.cloud.Pod("pod2").Up()
	eventually(t, "pod2 takes servers", func() bool {
		return demo.do("POST", "/servers", server(m{"availability_zone": "az2", "key_name": "k"})).status == 202
	})
	if got := len(w.inventory()["pod2"]["keypair"]); got != 1 {
		t.Errorf("pod2 has %d key pairs, want 1", got)
	}
}

func TestFlavors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, admin := w.as("demo"), w.as("admin")
	w.cloud.Pod("pod2").AddFlavor(nova.Flavor{ID: "9", Name: "m1.special", RAM: 64, VCPUs: 1, Disk: 1})
	list := demo.do("GET", "/flavors/detail", nil).want(t, 200)
	if got := list.get("flavors.#.id").Raw; got != `["1","2","9"]` {
		t.Errorf("flavors = %s", got)
	}
	if got := list.get("flavors.0.links.0.href").Str; got != w.url+"/v2.1/flavors/1" {
		t.Errorf("link = %s", got)
	}
	if got := demo.do("GET", "/flavors?sort_key=name&sort_dir=asc&limit=2", nil).want(t, 200).get("flavors.#.name").Raw; got != `["m1.small","m1.special"]` {
		t.Errorf("sorted page = %s", got)
	}
	demo.do("GET", "/flavors/9", nil).want(t, 200)
	demo.do("GET", "/flavors/m1.tiny", nil).want(t, 404)
	if id := demo.boot("", m{"flavorRef": "9"}); demo.do("GET", "/servers/"+id, nil).get(`server.OS-EXT-AZ:availability_zone`).Str != "az2" {
		t.Error("a flavor of pod2 only did not lead there")
	}

	demo.do("POST", "/flavors", m{"flavor": m{"name": "f", "ram": 64, "vcpus": 1, "disk": 1}}).want(t, 403)
	made := admin.do("POST", "/flavors", m{"flavor": m{"name": "f", "ram": 64, "vcpus": 1, "disk": 1}}).want(t, 200)
	id := made.get("flavor.id").Str
	admin.do("POST", "/flavors/"+id+"/os-extra_specs", m{"extra_specs": m{"hw:cpu_policy": "shared"}}).want(t, 200)
	for _, p := range []string{"pod1", "pod2"} {
		got := demo.direct(w, p, "GET", "/flavors/"+id+"/os-extra_specs").want(t, 200)
		if !strings.Contains(string(got.body), "shared") {
			t.Errorf("extra specs in %s: %s", p, got.body)
		}
	}
	admin.do("DELETE", "/flavors/"+id, nil).want(t, 202)
	admin.do("DELETE", "/flavors/"+id, nil).want(t, 404)
	taken := admin.do("POST", "/flavors", m{"flavor": m{"id": "9", "name": "g", "ram": 64, "vcpus": 1, "disk": 1}})
	if taken.status != 409 || !strings.Contains(taken.message(), "pod2") {
		t.Errorf("an ID that pod2 has: %d %s, want 409 that names it", taken.status, taken.body)
	}
	demo.direct(w, "pod1", "GET", "/flavors/9").want(t, 404)
}

func TestZonesAndLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, admin := w.as("demo"), w.as("admin")
	zones := demo.do("GET", "/os-availability-zone", nil).want(t, 200)
	if got := zones.get("availabilityZoneInfo.#.zoneName").Raw; got != `["az1","az2"]` {
		t.Errorf("zones = %s", got)
	}
	demo.do("GET", "/os-availability-zone/detail", nil).want(t, 403)
	detail := admin.do("GET", "/os-availability-zone/detail", nil).want(t, 200)
	if got := detail.get(`availabilityZoneInfo.#(zoneName=="az1").hosts`); !got.Get("pod1-node1").Exists() || got.Get("pod2-node1").Exists() {
		t.Errorf("hosts of az1 = %s", got.Raw)
	}
	before := demo.do("GET", "/limits", nil).want(t, 200)
	demo.boot("az1", nil)
	demo.boot("az2", nil)
	after := demo.do("GET", "/limits", nil).want(t, 200)
	if got, want := after.get("limits.absolute.totalInstancesUsed").Int(), before.get("limits.absolute.totalInstancesUsed").Int()+2; got != want {
		t.Errorf("instances used = %d, want %d", got, want)
	}
	demo.do("GET", "/os-quota-sets/"+demo.project, nil).want(t, 200)
	w.cloud.Pod("pod2").Down()
	one := demo.do("GET", "/limits", nil).want(t, 200)
	if string(one.body) != string(after.body) {
		t.Errorf("limits while pod2 is away: %s, want %s", one.body, after.body)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{PodMicroversion: map[string]int{"pod2": 90}})
	demo := w.as("demo")
	stranger := &client{region: w.region}
	if got := stranger.do("GET", "//", nil).want(t, 200).get("versions.1.version").Str; got != "2.90" {
		t.Errorf("version = %s, want the lowest of the pods, 2.90", got)
	}
	if got := stranger.do("GET", "/", nil).want(t, 200).get("version.links.0.href").Str; got != w.url+"/v2.1/" {
		t.Errorf("link = %s", got)
	}
	for version, want := range map[string]struct {
		status int
		header string
	}{
		"": {200, "compute 2.1"}, "2.12": {200, "compute 2.12"}, "latest": {200, "compute 2.90"}, "2.91": {406, "compute 2.91"}, "2.x": {400, ""},
	} {
		got := demo.at(version).do("GET", "/servers", nil)
		if got.status != want.status || got.header.Get("OpenStack-API-Version") != want.header {
			t.Errorf("version %q: %d %q, want %d %q", version, got.status, got.header.Get("OpenStack-API-Version"), want.status, want.header)
		}
		if want.header != "" && !cmp.Equal(got.header["Vary"], []string{"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"}) {
			t.Errorf("Vary = %q", got.header["Vary"])
		}
	}
	if got := demo.at("2.91").do("GET", "/servers", nil).get("computeFault.message").Str; got != "Version 2.91 is not supported by the API. Minimum is 2.1 and maximum is 2.90." {
		t.Errorf("message = %s", got)
	}
}

func TestClosedRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	for _, tt := range []struct {
		version, method, path string
		status                int
	}{
		{"2.1", "GET", "/os-cells", 410}, {"2.93", "GET", "/os-fixed-ips/1", 410},
		{"2.35", "GET", "/os-networks", 200}, {"2.36", "GET", "/os-networks", 404},
		{"2.1", "GET", "/images/detail", 200}, {"2.93", "GET", "/images/detail", 404},
		{"2.93", "GET", "/os-server-groups", 200},
		{"2.93", "GET", "/os-hypervisors", 403}, {"2.93", "GET", "/nosuch", 404}, {"2.93", "DELETE", "/servers", 404},
		{"2.93", "GET", "/extensions", 200},
	} {
		if got := demo.at(tt.version).do(tt.method, tt.path, nil); got.status != tt.status {
			t.Errorf("%s %s at %s: %d %s, want %d", tt.method, tt.path, tt.version, got.status, got.body, tt.status)
		}
	}
	admin := w.as("admin")
	if got := admin.do("GET", "/os-services", nil).get(`services.#(binary=="nova-compute")#.zone`).Raw; got != `["az1","az2"]` {
		t.Errorf("zones of the compute services = %s", got)
	}
	for path, field := range map[string]string{"/os-hypervisors": "hypervisors", "/os-services": "services"} {
		if got := admin.do("GET", path, nil).want(t, 200).get(field + ".#").Int(); got < 2 {
			t.Errorf("%s shows %d, want those of both pods", path, got)
		}
	}
}
