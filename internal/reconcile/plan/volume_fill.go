package plan

import (
	"maps"
	"slices"
	"strings"
)

// Looks is how a volume looks, but for its data.
type Looks struct {
	Name, Description string
	Metadata          map[string]string
	Bootable          bool
	// Image is what it says of the image it came from; wanted nil: whatever it says, but
	// for what its Glance notes of an import: Cinder then makes no image of it.
	Image map[string]string
}

// LooksChange is what to change of a volume.
type LooksChange struct {
	Fields     map[string]string // name, description
	Metadata   map[string]string // all of it; nil: as it is
	Bootable   *bool
	ImageSet   map[string]string
	ImageUnset []string
}

// VolumeLooks compares how a volume is to look with how it does.
func VolumeLooks(want, found Looks) LooksChange {
	ch := LooksChange{Fields: map[string]string{}}
	if want.Name != found.Name {
		ch.Fields["name"] = want.Name
	}
	if want.Description != found.Description {
		ch.Fields["description"] = want.Description
	}
	if !maps.Equal(want.Metadata, found.Metadata) {
		ch.Metadata = want.Metadata
	}
	if want.Bootable != found.Bootable {
		ch.Bootable = &want.Bootable
	}
	for _, key := range slices.Sorted(maps.Keys(found.Image)) {
		_, wanted := want.Image[key]
		if !wanted && (want.Image != nil || strings.HasPrefix(key, "os_glance_")) {
			ch.ImageUnset = append(ch.ImageUnset, key)
		}
	}
	for key, value := range want.Image {
		if old, ok := found.Image[key]; !ok || old != value {
			if ch.ImageSet == nil {
				ch.ImageSet = map[string]string{}
			}
			ch.ImageSet[key] = value
		}
	}
	return ch
}
