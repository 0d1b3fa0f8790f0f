package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

func shownImage(more map[string]any) plan.Image {
	i := plan.Image{
		"id": "i", "name": "cirros", "owner": "p", "visibility": "shared", "protected": true, "os_hidden": false, "min_disk": float64(1), "min_ram": float64(0),
		"disk_format": "qcow2", "container_format": "bare", "tags": []any{"b", "a"}, "hw_x": "1", "status": "active", "size": float64(5),
		"os_hash_algo": "sha512", "os_hash_value": "aa", "checksum": "cc", "locations": []any{}, "self": "/v2/images/i", "virtual_size": nil,
		"os_glance_failed_import": "", "created_at": "2026-01-01T00:00:00Z",
	}
	for name, v := range more {
		if i[name] = v; v == nil {
			delete(i, name)
		}
	}
	return i
}

func TestNewImage(t *testing.T) {
	t.Parallel()
	want := map[string]any{
		"id": "i", "name": "cirros", "owner": "p", "visibility": "private", "protected": false, "os_hidden": false, "min_disk": float64(1), "min_ram": float64(0),
		"disk_format": "qcow2", "container_format": "bare", "tags": []string{"a", "b"}, "hw_x": "1",
	}
	if diff := cmp.Diff(want, plan.NewImage(shownImage(nil))); diff != "" {
		t.Errorf("NewImage (-want +got):\n%s", diff)
	}
	if body := plan.NewImage(plan.Image{"id": "i", "name": nil, "tags": []any{}}); body["name"] != nil {
		t.Errorf("NewImage without a name = %v", body)
	}
}

func TestImageChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		found map[string]any
		want  []plan.ImageChange
	}{
		{"alike", map[string]any{"tags": []any{"a", "b"}, "os_glance_importing_to_stores": "", "locations": []any{"x"}, "status": "deactivated"}, nil},
		{"a new copy", map[string]any{"visibility": "private", "protected": false}, []plan.ImageChange{
			{Op: "replace", Path: "/protected", Value: true}, {Op: "replace", Path: "/visibility", Value: "shared"}}},
		{"another name and no property", map[string]any{"name": "x", "hw_x": nil}, []plan.ImageChange{
			{Op: "add", Path: "/hw_x", Value: "1"}, {Op: "replace", Path: "/name", Value: "cirros"}}},
		{"a property too many", map[string]any{"a/b~c": "1"}, []plan.ImageChange{{Op: "remove", Path: "/a~1b~0c"}}},
		{"other tags", map[string]any{"tags": []any{"a"}}, []plan.ImageChange{{Op: "replace", Path: "/tags", Value: []string{"a", "b"}}}},
		{"a format before the data", map[string]any{"disk_format": "raw", "status": "queued"}, []plan.ImageChange{{Op: "replace", Path: "/disk_format", Value: "qcow2"}}},
		{"a format with data", map[string]any{"disk_format": "raw"}, nil},
	} {
		if diff := cmp.Diff(c.want, plan.ImageChanges(shownImage(nil), shownImage(c.found))); diff != "" {
			t.Errorf("%s: ImageChanges (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestSameData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		found map[string]any
		want  string
	}{
		{"same", nil, ""},
		{"size", map[string]any{"size": float64(6)}, "its size is not the home's"},
		{"hash", map[string]any{"os_hash_value": "bb"}, "its sha512 is not the home's"},
		{"hash of another kind", map[string]any{"os_hash_algo": "sha256", "os_hash_value": "bb"}, ""},
		{"checksum", map[string]any{"os_hash_algo": "sha256", "os_hash_value": "bb", "checksum": "dd"}, "its checksum is not the home's"},
		{"nothing known", map[string]any{"os_hash_value": nil, "checksum": nil, "size": nil}, ""},
	} {
		if got := plan.SameData(shownImage(nil), shownImage(c.found)); got != c.want {
			t.Errorf("%s: SameData = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMemberChanges(t *testing.T) {
	t.Parallel()
	got := plan.MemberChanges(plan.Members{"a": "accepted", "b": "pending", "c": "rejected", "d": "accepted"},
		plan.Members{"b": "accepted", "c": "rejected", "x": "pending"})
	want := plan.MemberSteps{Add: []string{"a", "d"}, Drop: []string{"x"}, Set: plan.Members{"a": "accepted", "b": "pending", "d": "accepted"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("MemberChanges (-want +got):\n%s", diff)
	}
	if !plan.MemberChanges(plan.Members{"a": "pending"}, plan.Members{"a": "pending"}).Empty() {
		t.Error("the same members make steps")
	}
}

func TestImageBound(t *testing.T) {
	t.Parallel()
	snapshot := shownImage(map[string]any{"size": float64(0), "block_device_mapping": "[{}]"})
	if snapshot.Bound() == "" || shownImage(nil).Bound() != "" {
		t.Error("Bound does not tell a snapshot of volumes")
	}
	if diff := cmp.Diff([]string{"k", "r"}, shownImage(map[string]any{"kernel_id": "k", "ramdisk_id": "r"}).Needs()); diff != "" {
		t.Errorf("Needs (-want +got):\n%s", diff)
	}
}
