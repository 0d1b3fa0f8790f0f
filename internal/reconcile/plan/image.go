package plan

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Image is an image as a Glance shows it: its own JSON.
type Image map[string]any

// Glance's states of an image that matter to a copy.
const (
	ImageQueued      = "queued"
	ImageActive      = "active"
	ImageDeactivated = "deactivated"
)

// imageShown are the attributes that Glance sets, or that are the pod's own.
var imageShown = []string{
	"id", "status", "checksum", "os_hash_algo", "os_hash_value", "size", "virtual_size", "created_at", "updated_at",
	"self", "file", "schema", "direct_url", "locations", "stores",
}

// imageNative are the attributes that every image has and users set; all others are
// properties.
var imageNative = []string{
	"name", "owner", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "disk_format", "container_format", "tags",
}

// imageFormats can be changed only before the data is there.
var imageFormats = []string{"disk_format", "container_format"}

// Text is an attribute that is a text; empty if it has none.
func (i Image) Text(name string) string {
	s, _ := i[name].(string)
	return s
}

// Size is the length of the data; known is false before it is there, and for images
// that Glance does not hold itself.
func (i Image) Size() (n int64, known bool) {
	switch v := i["size"].(type) {
	case float64:
		return int64(v), true
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	}
	return 0, false
}

// Whole says that the data is there.
func (i Image) Whole() bool {
	return i.Text("status") == ImageActive || i.Text("status") == ImageDeactivated
}

// Importing says that an import works on it.
func (i Image) Importing() bool {
	return i.Text("status") == "importing" || i.Text("os_glance_import_task") != ""
}

// Needs are the images that a boot from this one needs beside it.
func (i Image) Needs() []string {
	var ids []string
	for _, name := range []string{"kernel_id", "ramdisk_id"} {
		if id := i.Text(name); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// Bound says why the image means nothing in another pod; empty if it does. One that
// Nova made of a server that boots from volumes is a list of snapshots there.
func (i Image) Bound() string {
	size, known := i.Size()
	if i.Text("block_device_mapping") != "" && (size == 0 || !known) {
		return "it has no data of its own, but names snapshots of volumes in its pod"
	}
	return ""
}

// wanted are the attributes that a copy has in common with its home.
func (i Image) wanted() map[string]any {
	out := map[string]any{}
	for name, v := range i {
		_, text := v.(string)
		switch {
		case slices.Contains(imageNative, name):
			out[name] = v
		case slices.Contains(imageShown, name) || strings.HasPrefix(name, "os_glance_") || !text:
		default:
			out[name] = v
		}
	}
	out["tags"] = sortedTexts(i["tags"])
	return out
}

func sortedTexts(v any) []string {
	out := []string{}
	all, _ := v.([]any)
	for _, t := range all {
		if s, ok := t.(string); ok {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// NewImage is the body that makes the record of a copy: nobody but its owner sees it,
// and everybody who may can delete it, until its data is there and proven.
func NewImage(home Image) map[string]any {
	body := home.wanted()
	body["id"] = home.Text("id")
	body["visibility"], body["protected"] = "private", false
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	return body
}

// ImageChange is one step of a JSON patch.
type ImageChange struct {
	Op, Path string
	Value    any // not of a removal
}

// MarshalJSON writes a null that is a value.
func (c ImageChange) MarshalJSON() ([]byte, error) {
	step := map[string]any{"op": c.Op, "path": c.Path}
	if c.Op != "remove" {
		step["value"] = c.Value
	}
	return json.Marshal(step)
}

// ImageChanges makes a copy like its home. Formats are left alone once the data is
// there: Glance does not change them any more.
func ImageChanges(home, found Image) []ImageChange {
	want, has := home.wanted(), found.wanted()
	var out []ImageChange
	for _, name := range slices.Sorted(maps.Keys(has)) {
		if _, ok := want[name]; !ok && !slices.Contains(imageNative, name) {
			out = append(out, ImageChange{Op: "remove", Path: "/" + escape(name)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		v, ok := has[name]
		switch {
		case ok && reflect.DeepEqual(v, want[name]):
		case slices.Contains(imageFormats, name) && found.Text("status") != ImageQueued:
		case ok:
			out = append(out, ImageChange{Op: "replace", Path: "/" + escape(name), Value: want[name]})
		default:
			out = append(out, ImageChange{Op: "add", Path: "/" + escape(name), Value: want[name]})
		}
	}
	return out
}

// escape writes a name as a JSON pointer has it.
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// Name is the attribute that the step changes.
func (c ImageChange) Name() string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(strings.TrimPrefix(c.Path, "/"))
}

// SameData says whether the pod's data is the home's: by their hashes, if both know
// one of the same kind; else by what both know. Empty means yes.
func SameData(home, found Image) (problem string) {
	a, aKnown := home.Size()
	b, bKnown := found.Size()
	switch {
	case aKnown && bKnown && a != b:
		return "its size is not the home's"
	case home.Text("os_hash_algo") == found.Text("os_hash_algo") && differ(home, found, "os_hash_value"):
		return "its " + home.Text("os_hash_algo") + " is not the home's"
	case differ(home, found, "checksum"):
		return "its checksum is not the home's"
	}
	return ""
}

func differ(a, b Image, name string) bool {
	return a.Text(name) != "" && b.Text(name) != "" && a.Text(name) != b.Text(name)
}

// Members are those with whom an image is shared: project to state of the offer.
type Members map[string]string

// MemberSteps are what makes a copy's members those of the home.
type MemberSteps struct {
	Add, Drop []string
	Set       Members // states to set, after Add
}

// Empty says that there is nothing to do.
func (s MemberSteps) Empty() bool { return len(s.Add)+len(s.Drop)+len(s.Set) == 0 }

// newMember is the state of an offer that was just made.
const newMember = "pending"

// MemberChanges compares the members.
func MemberChanges(want, has Members) MemberSteps {
	s := MemberSteps{Set: Members{}}
	for _, project := range slices.Sorted(maps.Keys(want)) {
		state, ok := has[project]
		if !ok {
			s.Add, state = append(s.Add, project), newMember
		}
		if state != want[project] {
			s.Set[project] = want[project]
		}
	}
	for _, project := range slices.Sorted(maps.Keys(has)) {
		if _, ok := want[project]; !ok {
			s.Drop = append(s.Drop, project)
		}
	}
	return s
}
