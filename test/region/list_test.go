package region_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// pages walks through a list by the links to the next page and returns what shows
// of each row.
func (c *client) pages(path, links string, show func(row) string) (rows []string, away string) {
	c.t.Helper()
	for range 20 {
		got := c.do("GET", path, nil).want(c.t, 200)
		if h := got.header.Get("X-Tricircle-Unreachable-Pods"); h != "" {
			away = h
		}
		for _, item := range got.get("servers").Array() {
			rows = append(rows, show(row{item.Get("id").Str, item.Get("name").Str, item.Get("status").Str}))
		}
		next, err := url.Parse(got.get(links + ".0.href").Str)
		must(c.t, err)
		if next.Path == "" {
			return rows, away
		}
		path = next.RequestURI()
	}
	c.t.Fatalf("the list at %s has no end", path)
	return nil, ""
}

type row struct{ id, name, status string }

// TestListsWhileAPodIsAway: the order is one, pages lose and repeat nothing, what
// the pod has is listed as UNKNOWN where the version can say that.
func TestListsWhileAPodIsAway(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := newRegion(t, setup{config: brisk, clouds: podtest.Options{Now: clock.now}})
	demo := r.as("demo")
	names := map[string]string{}
	var newestFirst []string
	for i := range 7 {
		clock.tick(time.Hour)
		name := fmt.Sprint("s", i)
		id := demo.boot(m{"name": name, "availability_zone": fmt.Sprint("az", i%2+1)})
		names[id] = name
		newestFirst = append([]string{name}, newestFirst...)
	}
	byName := func(o row) string {
		if o.status == "UNKNOWN" && o.name == "" {
			return names[o.id] + "?"
		}
		return names[o.id]
	}
	unknown := func(all []string) []string { // pod2 has those with odd numbers
		var out []string
		for _, name := range all {
			if strings.ContainsAny(name, "135") {
				name += "?"
			}
			out = append(out, name)
		}
		return out
	}
	check := func(what string, c *client, query string, want []string, wantAway string) {
		t.Helper()
		for _, path := range []string{"/servers", "/servers/detail"} {
			got, away := c.pages(compute+path+query, "servers_links", byName)
			if diff := cmp.Diff(want, got); diff != "" || away != wantAway {
				t.Errorf("%s: %s%s, away %q, want %q (-want +got):\n%s", what, path, query, away, wantAway, diff)
			}
		}
	}
	oldestFirst := []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6"}
	check("all well", demo, "", newestFirst, "")
	check("all well", demo, "?limit=2", newestFirst, "")

	lost := demo.do("GET", compute+"/servers?name=s3", nil).get("servers.0.id").Str
	eventually(t, "the index has learnt the pods' own times", func() string {
		defer r.pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Status: 500})()
		got, _ := demo.pages(compute+"/servers", "servers_links", byName)
		return cmp.Diff(unknown(newestFirst), got)
	})
	for _, trouble := range []struct {
		name  string
		spoil func() (repair func())
	}{
		{"garbage", func() func() { return r.pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Garbage: true}) }},
		{"500", func() func() { return r.pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Status: 500}) }},
		{"hangs", func() func() { return r.pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Hang: true}) }},
		{"refuses", func() func() { r.pod("pod2").Down(); return r.pod("pod2").Up }},
	} {
		repair := trouble.spoil()
		check(trouble.name, demo, "", unknown(newestFirst), "pod2")
		check(trouble.name, demo, "?limit=3", unknown(newestFirst), "pod2")
		check(trouble.name, demo, "?limit=2&sort_key=display_name&sort_dir=asc", unknown(oldestFirst), "pod2")
		check(trouble.name, demo, "?marker="+lost, unknown([]string{"s2", "s1", "s0"}), "pod2")
		check(trouble.name, demo.with("OpenStack-API-Version", "compute 2.68"), "?limit=2", []string{"s6", "s4", "s2", "s0"}, "pod2")
		got := demo.do("GET", compute+"/servers/"+lost, nil)
		if got.status != 503 && got.status != 504 || !strings.Contains(got.message(), "pod2") {
			t.Errorf("%s: the lost server: %d %s, want 503 or 504 that names pod2", trouble.name, got.status, got.body)
		}
		repair()
		eventually(t, "pod2 is back after "+trouble.name, func() string {
			return demo.do("GET", compute+"/servers", nil).header.Get("X-Tricircle-Unreachable-Pods")
		})
	}
	check("all well again", demo, "?limit=2", newestFirst, "")
}

// TestStrictLists: where the operator wants no partial lists they are errors.
func TestStrictLists(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: func(c *config.Config) { brisk(c); c.Pods.Unreachable = config.UnreachableError }})
	demo := r.as("demo")
	r.pod("pod2").Down()
	for _, path := range []string{compute + "/servers", volume + "/volumes", image + "/images"} {
		if got := demo.do("GET", path, nil); got.status != 503 || !strings.Contains(got.message(), "pod2") {
			t.Errorf("GET %s: %d %s, want 503 that names pod2", path, got.status, got.body)
		}
	}
	demo.do("GET", network+"/networks", nil).want(t, 200)
}

// TestOtherListsWhileAPodIsAway: volumes, images, flavors and zones do without the
// pod; one that only it could show is 503 or 504, never a bare 502.
func TestOtherListsWhileAPodIsAway(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: brisk})
	demo := r.as("demo")
	volumes := volume + "/" + demo.project + "/volumes"
	here := demo.do("POST", volumes, m{"volume": m{"size": 1, "availability_zone": "az1"}}).want(t, 202).get("volume.id").Str
	lost := demo.do("POST", volumes, m{"volume": m{"size": 1, "availability_zone": "az2"}}).want(t, 202).get("volume.id").Str
	for name, spoil := range map[string]func() func(){
		"refuses": func() func() { r.pod("pod2").Down(); return r.pod("pod2").Up },
		"hangs":   func() func() { return r.pod("pod2").Fault(podtest.Fault{Hang: true}) },
		"garbage": func() func() { return r.pod("pod2").Fault(podtest.Fault{Garbage: true}) },
		"500":     func() func() { return r.pod("pod2").Fault(podtest.Fault{Status: 500}) },
		"502":     func() func() { return r.pod("pod2").Fault(podtest.Fault{Status: 502}) },
	} {
		repair := spoil()
		for _, list := range []struct{ path, want string }{
			{volumes, "volumes.#.id"}, {volumes + "/detail", "volumes.#.id"}, {image + "/images", "images.#.id"},
			{compute + "/flavors", "flavors.#.id"}, {compute + "/os-availability-zone", "availabilityZoneInfo.#.zoneName"},
		} {
			got := demo.do("GET", list.path, nil)
			if got.status != 200 || len(got.get(list.want).Array()) == 0 {
				t.Errorf("%s: GET %s: %d %s, want what the other pod has", name, list.path, got.status, got.body)
			}
		}
		if got := demo.do("GET", volumes, nil).get("volumes.#.id").String(); !strings.Contains(got, here) || strings.Contains(got, lost) {
			t.Errorf("%s: volumes %s, want %s and not %s", name, got, here, lost)
		}
		for _, method := range []string{"GET", "DELETE"} {
			if method == "DELETE" && (name == "garbage" || name == "hangs") {
				continue // a 200 is a 200; and what hangs is done once the pod is well
			}
			got := demo.do(method, volumes+"/"+lost, nil)
			if got.status != 503 && got.status != 504 || !strings.Contains(got.get("*.message").Str, "pod2") {
				t.Errorf("%s: %s volume: %d %s, want 503 or 504 that names pod2", name, method, got.status, got.body)
			}
		}
		repair()
		eventually(t, "pod2 is back after "+name, func() string {
			if got := demo.do("GET", volumes+"/"+lost, nil); got.status != 200 {
				return string(got.body)
			}
			return demo.do("GET", image+"/images", nil).header.Get("X-Tricircle-Unreachable-Pods")
		})
	}
}
