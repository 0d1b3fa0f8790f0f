package volume

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// A volume that is wanted in another zone than what it is made from is made empty
// there, and filled by a job (package reconcile). Until then it is "creating".

// copied are the things in a creation's body whose data a job brings to another pod.
var copied = []struct{ path, kind string }{
	{"volume.snapshot_id", dispatch.KindSnapshot},
	{"volume.source_volid", store.KindVolume},
}

// sourceOf is the volume or snapshot that a volume is to be made from; nil: none.
func (a *api) sourceOf(ctx context.Context, by identity.Caller, body []byte) (*store.FillSource, error) {
	for _, c := range copied {
		id := gjson.GetBytes(body, c.path).String()
		if id == "" {
			continue
		}
		name, err := a.Dispatch.Locate(ctx, by, c.kind, id)
		if err != nil {
			return nil, err
		}
		return &store.FillSource{Kind: c.kind, ID: id, Pod: name}, nil
	}
	return nil, nil
}

// placeCopy chooses the pod of a volume that is made from another one or from a
// snapshot: beside it, unless something else says where. fill is the source if its
// data must be brought there.
func (a *api) placeCopy(ctx context.Context, by identity.Caller, need fleet.Need, from store.FillSource) (chosen store.Pod, fill *store.FillSource, err error) {
	beside := need
	beside.PodOnly = from.Pod
	if need.PodOnly != "" {
		chosen, err = a.placeAt(ctx, need, "volume")
	} else {
		if chosen, err = a.placeAt(ctx, beside, "volume"); err == nil || !fault.Is(err, fault.Invalid) {
			return chosen, nil, err
		}
		chosen, err = a.Fleet.Choose(ctx, by, need)
	}
	if err != nil || chosen.Name == from.Pod {
		return chosen, nil, err
	}
	return chosen, &from, nil
}

// placeImage chooses the pod of a volume that may be made from an image: one with
// the image; if there is none where the volume is wanted, the image is brought there.
func (a *api) placeImage(ctx context.Context, by identity.Caller, need fleet.Need, image string) (chosen store.Pod, fill *store.FillSource, err error) {
	if need.PodOnly != "" {
		chosen, err = a.placeAt(ctx, need, "volume")
	} else {
		need.ImageID = image
		if chosen, err = a.Fleet.Choose(ctx, by, need); err == nil || image == "" {
			return chosen, nil, err
		}
	}
	if image == "" || err != nil && !fault.Is(err, fault.Invalid) {
		return chosen, nil, err
	}
	holders, _, ferr := a.Dispatch.Holders(ctx, by, store.KindImage, image)
	if fault.Is(ferr, fault.NotFound) {
		return chosen, nil, fault.New(fault.Invalid, "", "Invalid image identifier or unable to access requested image.")
	}
	if ferr != nil {
		return chosen, nil, ferr
	}
	if need.PodOnly == "" {
		need.ImageID = ""
		if chosen, err = a.Fleet.Choose(ctx, by, need); err != nil {
			return chosen, nil, err
		}
	}
	if slices.Contains(holders, chosen.Name) {
		return chosen, nil, nil
	}
	return chosen, &store.FillSource{Kind: store.KindImage, ID: image, Pod: holders[0]}, nil
}

// origin is what a volume is made from, as the caller sees it.
type origin struct {
	size      int64
	kind      string // its volume type
	bootable  bool
	image     map[string]string // its image metadata; nil: it is an image
	encrypted bool
}

// empty turns a creation into that of an empty volume, and says what it is filled
// with. What Cinder would refuse is refused here, with its words.
func (a *api) empty(ctx context.Context, by identity.Caller, body []byte, from store.FillSource, chosen store.Pod) ([]byte, *store.VolumeFill, error) {
	s, err := a.originOf(ctx, by, from, gjson.GetBytes(body, "volume.size").Int())
	if err != nil {
		return nil, nil, err
	}
	if s.encrypted {
		return nil, nil, fault.New(fault.Invalid, "", "Invalid input received: %s %s is encrypted, and its key is in pod %s only: its data cannot be copied to zone %s",
			from.Kind, from.ID, from.Pod, chosen.Zone)
	}
	if err := a.Reconciler.CanFill(ctx, from, chosen.Name); err != nil {
		return nil, nil, err
	}
	fields := map[string]any{}
	if !gjson.GetBytes(body, "volume.size").Exists() || gjson.GetBytes(body, "volume.size").Type == gjson.Null {
		fields["volume.size"] = s.size
	}
	if s.kind != "" && gjson.GetBytes(body, "volume.volume_type").String() == "" {
		fields["volume.volume_type"] = s.kind
	}
	for _, path := range []string{"volume.source_volid", "volume.snapshot_id", "volume.imageRef"} {
		if body, err = sjson.DeleteBytes(body, path); err != nil {
			return nil, nil, fmt.Errorf("cannot write the creation: %w", err)
		}
	}
	for path, value := range fields {
		if body, err = sjson.SetBytes(body, path, value); err != nil {
			return nil, nil, fmt.Errorf("cannot write the creation: %w", err)
		}
	}
	in := gjson.GetBytes(body, "volume")
	looks := store.VolumeLooks{Name: in.Get("name").String(), Description: in.Get("description").String(), Metadata: texts(in.Get("metadata")),
		Bootable: s.bootable, Image: s.image}
	return body, &store.VolumeFill{Source: from, Looks: looks}, nil
}

func texts(object gjson.Result) map[string]string {
	out := map[string]string{}
	object.ForEach(func(k, v gjson.Result) bool {
		out[k.Str] = v.String()
		return true
	})
	return out
}

// originOf reads the source with the caller's own token: what he may not see he may not
// copy.
func (a *api) originOf(ctx context.Context, by identity.Caller, from store.FillSource, size int64) (origin, error) {
	if from.Kind == store.KindImage {
		return a.lookAtImage(ctx, by, from, size)
	}
	if from.Kind == store.KindVolume {
		v, err := a.showIn(ctx, by, from.Pod, "/volumes/"+from.ID, "volume")
		if err != nil {
			return origin{}, err
		}
		if err := a.filling(ctx, from.ID); err != nil || !slices.Contains([]string{"available", "in-use"}, v.Get("status").Str) {
			return origin{}, fault.New(fault.Invalid, "", "Invalid volume: Originating source volume status must be one of 'available, in-use' values")
		}
		s := sourceVolume(v)
		if size != 0 && size < s.size {
			return s, fault.New(fault.Invalid, "", "Invalid input received: Volume size '%d'GB cannot be smaller than original volume size  %dGB. They must be >= original volume size.", size, s.size)
		}
		return s, nil
	}
	snapshot, err := a.showIn(ctx, by, from.Pod, "/snapshots/"+from.ID, "snapshot")
	if err != nil {
		return origin{}, err
	}
	if snapshot.Get("status").Str != "available" {
		return origin{}, fault.New(fault.Invalid, "", "Invalid snapshot: Originating snapshot status must be one of 'available' values")
	}
	v, err := a.showIn(ctx, by, from.Pod, "/volumes/"+snapshot.Get("volume_id").Str, "volume")
	if err != nil {
		return origin{}, err
	}
	s := sourceVolume(v)
	if s.size = snapshot.Get("size").Int(); size != 0 && size < s.size {
		return s, fault.New(fault.Invalid, "", "Invalid input received: Volume size '%d'GB cannot be smaller than the snapshot size %dGB. They must be >= original snapshot size.", size, s.size)
	}
	return s, nil
}

func sourceVolume(v gjson.Result) origin {
	return origin{size: v.Get("size").Int(), kind: v.Get("volume_type").String(), bootable: v.Get("bootable").String() == "true",
		image: texts(v.Get("volume_image_metadata")), encrypted: v.Get("encrypted").Bool()}
}

// lookAtImage checks what Cinder checks before it makes a volume from an image.
func (a *api) lookAtImage(ctx context.Context, by identity.Caller, from store.FillSource, size int64) (origin, error) {
	answer := a.Dispatch.One(ctx, from.Pod, pod.Request{Service: pod.Image, Method: http.MethodGet, Path: "/images/" + url.PathEscape(from.ID), As: &by, Op: "show image"})
	if answer.Err != nil {
		return origin{}, answer.Err
	}
	image := gjson.ParseBytes(answer.Body)
	gigabytes := (image.Get("size").Int() + 1<<30 - 1) >> 30
	switch {
	case image.Get("status").Str != store.ImageActive:
		return origin{}, fault.New(fault.Invalid, "", "Invalid input received: Image %s is not active.", from.ID)
	case gigabytes > size:
		return origin{}, fault.New(fault.Invalid, "", "Invalid input received: Size of specified image %dGB is larger than volume size %dGB.", gigabytes, size)
	case image.Get("min_disk").Int() > size:
		return origin{}, fault.New(fault.Invalid, "", "Invalid input received: Volume size %dGB cannot be smaller than the image minDisk size %dGB.", size, image.Get("min_disk").Int())
	}
	kept, err := a.Store.AdoptImage(ctx, from.ID)
	if err == nil && kept.Mode == store.ImageHomeOnly {
		return origin{}, fault.New(fault.Invalid, "", "Invalid input received: image %s stays in pod %s (%s is %s)", from.ID, kept.Home, store.ImageModeProperty, kept.Mode)
	}
	return origin{bootable: true}, err
}

// showIn is a thing as a pod shows it to the caller.
func (a *api) showIn(ctx context.Context, by identity.Caller, podName, path, item string) (gjson.Result, error) {
	answer := a.Dispatch.One(ctx, podName, pod.Request{Service: pod.Volume, Method: http.MethodGet, Path: path, As: &by, Op: "show " + item})
	if answer.Err != nil {
		return gjson.Result{}, answer.Err
	}
	return gjson.GetBytes(answer.Body, item), nil
}

// filling is an error while the volume has not its data yet.
func (a *api) filling(ctx context.Context, id string) error {
	f, err := a.Store.FindVolumeFill(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	}
	if status := f.Status(); status != "" {
		return fault.New(fault.Invalid, "", "Invalid volume: Volume %s status must be available or in-use, but current status is: %s.", id, status)
	}
	return nil
}

// progressKey and reasonKey are the metadata that tell users of a volume that is
// being filled, or could not be. No pod has them.
const (
	progressKey = "tricircle_progress"
	reasonKey   = "tricircle_reason"
)

// asFilled shows a volume with how far its fill is.
func asFilled(raw []byte, path string, f store.VolumeFill) []byte {
	status := f.Status()
	notes := map[string]string{}
	if status != "" && f.Step != "" {
		notes[progressKey] = f.Step
	}
	if f.State == store.FillFailed {
		notes[reasonKey] = f.Reason
	}
	if gjson.GetBytes(raw, path+"status").Exists() && status != "" {
		raw, _ = sjson.SetBytes(raw, path+"status", status)
	}
	if !gjson.GetBytes(raw, path+"metadata").IsObject() {
		return raw
	}
	for _, key := range slices.Sorted(maps.Keys(notes)) {
		if out, err := sjson.SetBytes(raw, path+"metadata."+key, notes[key]); err == nil {
			raw = out
		}
	}
	return raw
}

// withFill shows a volume in an answer with how far its fill is.
func (a *api) withFill(ctx context.Context, of resource, id string, body []byte) ([]byte, error) {
	if of.kind != store.KindVolume || !gjson.GetBytes(body, "volume.status").Exists() {
		return body, nil
	}
	f, err := a.Store.FindVolumeFill(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return body, nil
	}
	if err != nil {
		return nil, err
	}
	return asFilled(body, "volume.", f), nil
}

// fills are the volumes that lists must show otherwise than their pods.
func (a *api) fills(ctx context.Context, of resource) (map[string]store.VolumeFill, error) {
	if of.kind != store.KindVolume {
		return nil, nil
	}
	all, err := a.Store.ListVolumeFills(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	byID := make(map[string]store.VolumeFill, len(all))
	for _, f := range all {
		byID[f.VolumeID] = f
	}
	return byID, nil
}
