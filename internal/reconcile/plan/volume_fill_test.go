package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

func TestVolumeLooks(t *testing.T) {
	t.Parallel()
	yes := true
	asked := plan.Looks{Name: "mine", Metadata: map[string]string{"k": "v"}, Bootable: true, Image: map[string]string{"image_id": "i", "os": "x"}}
	for _, c := range []struct {
		name        string
		want, found plan.Looks
		change      plan.LooksChange
	}{
		{"as asked", asked, asked, plan.LooksChange{Fields: map[string]string{}}},
		{"a restored backup", asked,
			plan.Looks{Name: "source", Description: "d", Metadata: map[string]string{"src_backup_id": "b"}, Bootable: true, Image: asked.Image},
			plan.LooksChange{Fields: map[string]string{"name": "mine", "description": ""}, Metadata: asked.Metadata}},
		{"imaged anew", asked,
			plan.Looks{Name: "mine", Metadata: asked.Metadata, Image: map[string]string{"image_id": "other", "size": "1", "os": "x"}},
			plan.LooksChange{Fields: map[string]string{}, Bootable: &yes, ImageSet: map[string]string{"image_id": "i"}, ImageUnset: []string{"size"}}},
		{"what the image says stays", plan.Looks{Name: "mine"}, plan.Looks{Name: "mine", Image: map[string]string{"image_id": "i", "os_glance_failed_import": ""}},
			plan.LooksChange{Fields: map[string]string{}, ImageUnset: []string{"os_glance_failed_import"}}},
		{"no metadata of the source's", plan.Looks{}, plan.Looks{Image: map[string]string{"image_id": "i"}}, plan.LooksChange{Fields: map[string]string{}}},
	} {
		if diff := cmp.Diff(c.change, plan.VolumeLooks(c.want, c.found)); diff != "" {
			t.Errorf("VolumeLooks, %s (-want +got):\n%s", c.name, diff)
		}
	}
}
