package compute_test

import (
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// TestUnversioned: /v2 is the same API in which no microversion counts.
func TestUnversioned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	list := demo.do("GET", "//", nil)
	if ids := list.get("versions.#.id").String(); ids != `["v2.0","v2.1"]` {
		t.Errorf("versions are %s, want v2.0 first", ids)
	}
	if doc := demo.do("GET", "//v2/", nil); doc.get("version.id").Str != "v2.0" || doc.get("version.version").Str != "" {
		t.Errorf("GET /v2/ = %s", doc.body)
	}
	demo.version = "2.93" // ignored: the flavors of 2.93 have a description
	r := demo.do("GET", "//v2/flavors/detail", nil)
	if r.status != 200 || r.get("flavors.0.description").Exists() || r.get("flavors.0.id").Str == "" {
		t.Errorf("GET /v2/flavors/detail = %d %s", r.status, r.body)
	}
	for _, name := range []string{"Openstack-Api-Version", "X-Openstack-Nova-Api-Version", "Vary"} {
		if v := r.header.Get(name); v != "" {
			t.Errorf("header %s is %q, want none", name, v)
		}
	}
	demo.version = "9.99"
	if r := demo.do("GET", "//v2/servers", nil); r.status != 200 {
		t.Errorf("GET /v2/servers in 9.99 = %d %s", r.status, r.body)
	}
}
