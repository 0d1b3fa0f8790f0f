package reconcile_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestCensus: what is made, resized and deleted in a pod past the region counts,
// also in a pod that shows no sizes in its lists.
func TestCensus(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]podtest.Options{"shows sizes": {}, "shows none": {Microversion: 40}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.New(t), o)
			ctx, project := t.Context(), w.cloud.ProjectID("admin")
			image := "84181aed-ab10-46f3-8dc5-4832dc2fc220"
			w.cloud.Pod("pod1").AddImage(glance.Image{ID: image, Name: "tiny"})
			c, err := w.fleet.Client(ctx, "pod1")
			if err != nil {
				t.Fatal(err)
			}
			direct := func(method, path string, in, out any) {
				t.Helper()
				err := c.JSON(ctx, pod.Request{Service: pod.Compute, Method: method, Path: path, Op: "test",
					Header: http.Header{"Openstack-Api-Version": {"compute 2.37"}}}, in, out)
				if err != nil {
					t.Fatal(err)
				}
			}
			used := func(when string, want quota.Amounts) {
				t.Helper()
				if err := w.Census(ctx, "pod1"); err != nil {
					t.Fatalf("census %s: %v", when, err)
				}
				got, err := w.store.ServersUsed(ctx, project, "")
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("used %s: %v (-want +got):\n%s", when, err, diff)
				}
			}
			used("at first", quota.Amounts{"instances": 0, "cores": 0, "ram": 0})
			var made struct {
				Server struct{ ID string }
			}
			direct("POST", "/servers", map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": image, "networks": "none"}}, &made)
			used("after a creation", quota.Amounts{"instances": 1, "cores": 1, "ram": 64})
			path := "/servers/" + made.Server.ID
			direct("POST", path+"/action", map[string]any{"resize": map[string]any{"flavorRef": "2"}}, nil)
			direct("POST", path+"/action", map[string]any{"confirmResize": nil}, nil)
			used("after a resize", quota.Amounts{"instances": 1, "cores": 1, "ram": 512})
			direct("DELETE", path, nil, nil)
			used("after a deletion", quota.Amounts{"instances": 0, "cores": 0, "ram": 0})
			limits, err := w.store.Defaults(ctx, quota.Compute)
			if err != nil || limits["metadata_items"] != 127 {
				t.Errorf("defaults = %v, %v; want room for the mark", limits, err)
			}
		})
	}
}
