package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	version "github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/release"
)

// publicKey is one half of a key pair that nobody uses.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM+A7y+JsE1QcuLOITPpsD5/s+VJFPyqDx0PeCarcuqw contract"

// older are versions before which something changed in what is asked below.
var older = []int{1, 46, 52, 56, 60, 63, 69, 74, 78, 87, 89}

// releaseChecks hold package release to the truth: an answer in an old version,
// brought to the newest, has the shape of the answer in the newest.
var releaseChecks = []check{
	{"old answers brought to the newest version", func(t *testing.T, w *world) {
		key := "key-" + random(8)
		w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{"name": key, "public_key": publicKey}}, latest).want(t, 201)
		defer func() { w.demo.compute(t, "DELETE", "/os-keypairs/"+key, nil, latest).want(t, 204) }()
		id := w.boot(t, w.demo, doc{"key_name": key})
		request := w.demo.compute(t, "GET", "/servers/"+id+"/os-instance-actions", nil, latest).want(t, 200).docs("instanceActions")[0]["request_id"].(string)
		server := "/servers/" + id
		for _, c := range []struct {
			who  *client
			path string
		}{
			{w.demo, "/servers/detail"}, {w.demo, server}, {w.admin, "/servers/detail"}, {w.admin, server},
			{w.demo, "/flavors"}, {w.demo, "/flavors/detail"}, {w.demo, "/os-keypairs"}, {w.demo, "/os-keypairs/" + key},
			{w.demo, server + "/os-interface"}, {w.demo, server + "/os-volume_attachments"}, {w.demo, server + "/os-instance-actions"},
			{w.demo, server + "/os-instance-actions/" + request}, {w.demo, "/os-server-groups"}, {w.demo, "/limits"},
			{w.demo, "/os-quota-sets/" + w.demo.project}, {w.admin, "/os-hypervisors/detail"}, {w.demo, "/os-hypervisors"},
		} {
			w.raised(t, c.who, c.path)
		}
	}},
}

func (w *world) raised(t *testing.T, who *client, path string) {
	t.Helper()
	newest := version.Version{Major: 2, Minor: 93}
	want := who.compute(t, "GET", path, nil, latest)
	for _, minor := range older {
		v := version.Version{Major: 2, Minor: minor}
		plan, err := release.Lower(release.Call{Method: "GET", Path: path, Query: url.Values{}, Admin: who == w.admin}, newest, v)
		if err != nil {
			continue // refused: nothing to hold
		}
		got := who.compute(t, "GET", path, nil, http.Header{"OpenStack-API-Version": {"compute " + v.String()}})
		if got.status != want.status {
			t.Errorf("GET %s in %s: %d, in %s: %d", path, v, got.status, newest, want.status)
		}
		if got.status != 200 {
			continue
		}
		a := &release.Answer{Status: got.status, Body: got.raw}
		plan.Raise(a)
		if diff := cmp.Diff(shape(t, want.raw), shape(t, a.Body)); diff != "" {
			t.Errorf("GET %s as %s, raised from %s (-want +got):\n%s", path, who.user, v, diff)
			return
		}
	}
}

// shape is the set of paths in a document, with the elements of a list as one.
func shape(t *testing.T, raw []byte) []string {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	paths := map[string]bool{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, child := range v {
				if strings.HasSuffix(at, ".addresses") || strings.HasSuffix(at, ".extra_specs") {
					k = "*" // names that somebody gave
				}
				paths[at+"."+k] = true
				walk(at+"."+k, child)
			}
		case []any:
			for _, child := range v {
				walk(at+".#", child)
			}
		case float64:
			paths[fmt.Sprintf("%s: number", at)] = strings.HasSuffix(at, ".swap")
		}
	}
	walk("", value)
	maps.DeleteFunc(paths, func(_ string, keep bool) bool { return !keep })
	return slices.Sorted(maps.Keys(paths))
}
