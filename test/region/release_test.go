package region_test

import (
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// train is a region whose pod2 is of the release Train; pod1 is Zed.
func train(t *testing.T, max string) *region {
	t.Helper()
	return newRegion(t, setup{
		clouds: podtest.Options{PodMicroversion: map[string]int{"pod2": 79}},
		config: func(c *config.Config) { c.Compute.MaxMicroversion = max },
	})
}

func (c *client) version(v string) *client { return c.with("OpenStack-API-Version", "compute "+v) }

// TestTheWindowIsWhatAllPodsSpeak: nothing newer than the oldest pod is offered.
func TestTheWindowIsWhatAllPodsSpeak(t *testing.T) {
	t.Parallel()
	r := train(t, "")
	demo := r.as("demo")
	doc := demo.do("GET", "/compute/", nil).want(t, 200)
	if got := doc.get("versions.1.version").Str + " " + doc.get("versions.1.min_version").Str; got != "2.79 2.1" {
		t.Errorf("the document says %s", got)
	}
	refused := demo.do("GET", compute+"/servers", nil).want(t, 406)
	if got := refused.get("computeFault.message").Str; got != "Version 2.93 is not supported by the API. Minimum is 2.1 and maximum is 2.79." {
		t.Errorf("406 says %s", got)
	}
	if h := refused.header; h.Get("OpenStack-API-Version") != "compute 2.93" || h.Get("X-OpenStack-Nova-API-Version") != "2.93" || len(h["Vary"]) != 2 {
		t.Errorf("406 has the header %v", h)
	}
	demo.do("GET", compute+"/", nil).want(t, 406)
	newest := demo.version("latest")
	one, two := newest.boot(m{"availability_zone": "az1"}), newest.boot(m{"availability_zone": "az2"})
	list := newest.do("GET", compute+"/servers/detail", nil).want(t, 200)
	if got := list.header.Get("OpenStack-API-Version"); got != "compute 2.79" || list.get("servers.#").Int() != 2 {
		t.Errorf("latest is %s: %s", got, list.body)
	}
	if list.get("servers.0.OS-EXT-SRV-ATTR:hostname").Exists() || !list.get("servers.0.locked_reason").Exists() {
		t.Errorf("not as in 2.79: %s", list.body)
	}
	newest.remove(one, two)
	r.clean()
}

// TestNewerThanTheOldestPod: the operator offers what only some pods speak. The
// others are spoken to in what they know: what can be told is told, and what
// cannot is said, or refused by the pod's name.
func TestNewerThanTheOldestPod(t *testing.T) {
	t.Parallel()
	r := train(t, "2.93")
	demo := r.as("demo")
	if got := demo.do("GET", "/compute/", nil).want(t, 200).get("versions.1.version").Str; got != "2.93" {
		t.Fatalf("offered is %s", got)
	}
	one, two := demo.boot(m{"availability_zone": "az1"}), demo.boot(m{"availability_zone": "az2", "tags": []string{"x"}})
	const hostname = `OS-EXT-SRV-ATTR:hostname`

	show := demo.do("GET", compute+"/servers/"+two, nil).want(t, 200)
	if h := show.header; h.Get("OpenStack-API-Version") != "compute 2.93" || h.Get("X-Tricircle-Untold") != "pod2: "+hostname {
		t.Errorf("header: %v", h)
	}
	if name := show.get("server." + hostname); !name.Exists() || name.Value() != nil || show.get("server.tags.0").Str != "x" {
		t.Errorf("server: %s", show.body)
	}
	list := demo.do("GET", compute+"/servers/detail?tags=x,y&tags-any=x", nil).want(t, 200)
	if list.get("servers.#").Int() != 0 {
		t.Errorf("filtered: %s", list.body)
	}
	list = demo.do("GET", compute+"/servers/detail", nil).want(t, 200)
	for _, s := range list.get("servers").Array() {
		told := s.Get(hostname).Str != ""
		if told != (s.Get("id").Str == one) {
			t.Errorf("server %s has the host name %s", s.Get("id"), s.Get(hostname).Raw)
		}
	}
	if got := list.header.Get("X-Tricircle-Untold"); got != "pod2: "+hostname || list.header.Get("X-Tricircle-Unreachable-Pods") != "" {
		t.Errorf("the list's header: %v", list.header)
	}
	// A filter that the old pod would ignore: its servers are left out, and it is named.
	list = demo.do("GET", compute+"/servers/detail?availability_zone=az1", nil).want(t, 200)
	if list.get("servers.#").Int() != 1 {
		t.Errorf("by zone, which is ours: %s", list.body)
	}
	list = demo.do("GET", compute+"/servers/detail?vm_state=active", nil).want(t, 200)
	if list.get("servers.#").Int() != 1 || list.header.Get("X-Tricircle-Unreachable-Pods") != "pod2" {
		t.Errorf("by state: %v %s", list.header, list.body)
	}

	for _, c := range []struct {
		method, path string
		body         m
	}{
		{"PUT", "", m{"server": m{"hostname": "web"}}},
		{"POST", "/action", m{"unshelve": m{"host": "h"}}},
		{"POST", "/action", m{"rebuild": m{"imageRef": imageID, "hostname": "web"}}},
	} {
		got := demo.do(c.method, compute+"/servers/"+two+c.path, c.body)
		if got.status != 406 || !strings.Contains(got.message(), "pod pod2") || !strings.Contains(got.message(), "2.79") {
			t.Errorf("%s %s %v: %d %s, want 406 that names pod2", c.method, c.path, c.body, got.status, got.body)
		}
	}
	demo.do("PUT", compute+"/servers/"+one, m{"server": m{"hostname": "web"}}).want(t, 200)
	demo.do("POST", compute+"/servers/"+two+"/action", m{"lock": m{"locked_reason": "mine"}}).want(t, 202)
	demo.do("POST", compute+"/servers/"+two+"/action", m{"unlock": nil}).want(t, 202)
	demo.do("GET", compute+"/servers/"+two+"/os-volume_attachments", nil).want(t, 200)

	three := demo.boot(m{"hostname": "db"}) // without a zone: where it can be
	if zone := demo.do("GET", compute+"/servers/"+three, nil).get("server.OS-EXT-AZ:availability_zone").Str; zone != "az1" {
		t.Errorf("a server with a host name is in %s", zone)
	}
	got := demo.create(m{"hostname": "db", "availability_zone": "az2"})
	if got.status != 400 || !strings.Contains(got.message(), "pod pod2: it speaks the Compute API in versions 2.1 to 2.79: server.hostname needs version 2.90") {
		t.Errorf("creation in the old pod: %d %s", got.status, got.body)
	}
	demo.remove(one, two, three)
	r.clean()
}

// TestAPodWithoutOldVersions: a pod that dropped early versions narrows the window
// from below; the operator may leave it out of requests in them instead.
func TestAPodWithoutOldVersions(t *testing.T) {
	t.Parallel()
	for _, low := range []string{"", "2.1"} {
		t.Run("minimum "+low, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, setup{config: func(c *config.Config) { c.Compute.MinMicroversion = low }})
			r.pod("pod2").Compute.SetVersions(60, 93)
			demo := r.as("demo")
			old, two := demo.version("2.1"), demo.boot(m{"availability_zone": "az2"})
			if low == "" {
				old.do("GET", compute+"/servers", nil).want(t, 406)
				list := old.with("OpenStack-API-Version", "volume 3.0").do("GET", compute+"/servers", nil).want(t, 200)
				if got := list.header.Get("OpenStack-API-Version"); got != "compute 2.60" || list.get("servers.0.id").Str != two {
					t.Errorf("without a version: %s %s", got, list.body)
				}
				return
			}
			if got := old.do("GET", compute+"/servers/"+two, nil).want(t, 406); !strings.Contains(got.message(), "pod pod2") {
				t.Errorf("show: %s", got.body)
			}
			list := old.do("GET", compute+"/servers", nil).want(t, 200)
			if list.get("servers.#").Int() != 0 || list.header.Get("X-Tricircle-Unreachable-Pods") != "pod2" {
				t.Errorf("list: %v %s", list.header, list.body)
			}
			blue, _ := demo.network("blue", "10.1.0.0/24")
			one := old.create(on(blue)).want(t, 202).get("server.id").Str
			if zone := demo.do("GET", compute+"/servers/"+one, nil).get("server.OS-EXT-AZ:availability_zone").Str; zone != "az1" {
				t.Errorf("an old client's server is in %s", zone)
			}
		})
	}
}

// TestAPodIsDowngraded: the first refusal makes us ask the pod again.
func TestAPodIsDowngraded(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo")
	two := demo.boot(m{"availability_zone": "az2"})
	r.pod("pod2").Compute.SetVersions(1, 87)
	demo.do("GET", compute+"/servers/"+two, nil).want(t, 406)
	latest := demo.version("latest").do("GET", compute+"/servers/"+two, nil).want(t, 200)
	if got := latest.header.Get("OpenStack-API-Version"); got != "compute 2.87" {
		t.Errorf("latest is %s", got)
	}
}
