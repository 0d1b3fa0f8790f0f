package region_test

import (
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestDrift: what a pod has missed is shown as waiting and goes by itself; what an
// operator changes stays until it is repaired.
func TestDrift(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		r := newRegion(t, setup{database: url, config: brisk})
		admin := r.as("admin")
		drift := func() string {
			t.Helper()
			return admin.do("GET", "/admin/v1/drift?kind=flavor", nil).want(t, 200).get("drift.differences").Raw
		}
		r.settled()
		if got := drift(); got != "[]" {
			t.Errorf("drift at first = %s", got)
		}
		r.pod("pod2").Down()
		admin.do("POST", compute+"/flavors", m{"flavor": m{"id": "f", "name": "f", "ram": 64, "vcpus": 1, "disk": 1}}).want(t, 200)
		away := admin.do("GET", "/admin/v1/drift", nil).want(t, 200)
		if got := away.get("drift.away.0.pod").Str; got != "pod2" {
			t.Errorf("not looked at: %s", away.body)
		}
		r.pod("pod2").Up()
		eventually(t, "pod2 has the flavor", func() string { return strings.Trim(drift(), "[]") })
		r.settled()

		past := admin.holding(admin.token)
		region := *r
		region.url = r.pod("pod2").URL("compute")
		past.region = &region
		past.do("POST", "/v2.1/flavors/f/os-extra_specs", m{"extra_specs": m{"own": "x"}}).want(t, 200)
		report := admin.do("GET", "/admin/v1/drift", nil).want(t, 200)
		if got := report.get("drift.differences.0.fields").Raw; got != `[{"field":"extra_specs.own","values":{"pod2":"x"}}]` {
			t.Errorf("drift = %s", report.body)
		}
		done := admin.do("POST", "/admin/v1/drift/repair", m{"repair": m{"kind": "flavor", "name": "f", "like": "pod2"}}).want(t, 200)
		if got := done.get("repair.steps.0"); got.Get("pod").Str != "pod1" || got.Get("state").Str != "done" || got.Get("actions.0").Str != "set own=x" {
			t.Errorf("repair = %s", done.body)
		}
		if got := drift(); got != "[]" {
			t.Errorf("drift after the repair = %s", got)
		}
		r.as("demo").do("GET", "/admin/v1/drift", nil).want(t, 403)
		admin.do("GET", "/admin/v1/drift?kind=servers", nil).want(t, 400)
		admin.do("DELETE", compute+"/flavors/f", nil).want(t, 202)
		r.clean()
	})
}
