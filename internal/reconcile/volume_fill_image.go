package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// byImage: an image with the data, its copy in the volume's pod, and the empty volume
// imaged anew with it.
func (f *fill) byImage(ctx context.Context, v *stored) error {
	busy := "downloading"
	if f.Work.Written || v.Status == busy {
		return f.write(ctx, v, busy, nil)
	}
	if err := f.image(ctx); err != nil {
		return err
	}
	err := f.r.EnsureImage(ctx, f.Work.Image, f.Pod)
	if again, ok := errors.AsType[*jobs.Again](err); ok {
		return f.wait(ctx, again.After, again.Reason)
	}
	if fault.Is(err, fault.NotFound) && f.Source.Kind == store.KindImage {
		return doomed("image %s has been deleted", f.Source.ID)
	}
	if err != nil {
		return err
	}
	return f.write(ctx, v, busy, f.reimage)
}

// reimage asks for it. Cinder marks the volume before it looks at the image, and
// leaves it so when it refuses.
func (f *fill) reimage(ctx context.Context) error {
	err := cinderAs(ctx, f.to, pod.Request{Method: http.MethodPost, Path: "/volumes/" + f.VolumeID + "/action", Header: reimageVersion, Op: "reimage volume"},
		map[string]any{"os-reimage": map[string]any{"image_id": f.Work.Image}}, nil)
	if err != nil && pod.NotDone(err) {
		err = errors.Join(err, resetVolume(ctx, f.to, f.VolumeID, "available"))
	}
	return err
}

// image settles which image has the data: the source itself, or one made of it.
func (f *fill) image(ctx context.Context) error {
	if f.Work.Image != "" {
		return nil
	}
	if f.Source.Kind == store.KindImage {
		f.Work.Image = f.Source.ID
		return f.save(ctx)
	}
	from, err := f.source(ctx)
	if err != nil {
		return err
	}
	i, err := f.findImage(ctx, from)
	switch {
	case err != nil:
		return err
	case i == nil:
		return f.upload(ctx, from)
	case i.Status == "queued" || i.Status == "saving":
		return f.uploading(ctx, from)
	case i.Status != store.ImageActive:
		return &fault.Error{Kind: fault.Conflict, Pod: f.Source.Pod, Message: fmt.Sprintf("image %s: its status is %s", i.ID, i.Status)}
	}
	// The region must know of it before it can be copied.
	err = f.r.store.KeepImage(ctx, store.Image{ID: i.ID, ProjectID: i.Owner, Home: f.Source.Pod, Status: i.Status, Mode: store.ImageFirstUse})
	if err != nil {
		return err
	}
	f.Work.Image = i.ID
	return f.save(ctx)
}

// podImage is an image as its pod shows it.
type podImage struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Owner  string `json:"owner"`
}

func (f *fill) findImage(ctx context.Context, from *pod.Client) (*podImage, error) {
	if _, ok := f.Work.Asked["image"]; !ok {
		return nil, nil
	}
	var out struct {
		Images []podImage `json:"images"`
	}
	err := from.JSON(ctx, pod.Request{Service: pod.Image, Method: http.MethodGet, Path: "/images", Query: url.Values{"name": {f.mark()}}, Op: "list images"}, nil, &out)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(out.Images, func(i podImage) bool { return i.Name == f.mark() })
	if at < 0 {
		return nil, nil
	}
	return &out.Images[at], nil
}

// upload makes an image of the data. Only of a volume that nobody uses can one be
// made: for others a volume is made beside.
func (f *fill) upload(ctx context.Context, from *pod.Client) error {
	if err := f.missing(ctx, "image"); err != nil {
		return err
	}
	id, err := f.uploadable(ctx, from)
	if err != nil {
		return err
	}
	if err := f.asking(ctx, "image"); err != nil {
		return err
	}
	err = cinderAct(ctx, from, "/volumes/"+id, "os-volume_upload_image",
		map[string]any{"image_name": f.mark(), "container_format": "bare", "disk_format": "raw"})
	if err = f.asked(ctx, "image", err); err != nil {
		return err
	}
	return f.wait(ctx, fillPoll, "making an image in pod "+f.Source.Pod)
}

// uploading looks after an image that has no data yet. When the volume that it is
// made of is at rest, nobody brings it any.
func (f *fill) uploading(ctx context.Context, from *pod.Client) error {
	id := f.Source.ID
	if t, err := f.findTemporary(ctx, from); err != nil {
		return err
	} else if t != nil {
		id = t.ID
	}
	v, err := showVolume(ctx, from, id)
	if err != nil {
		return err
	}
	if (v == nil || v.Status != "uploading") && !f.lately("image") {
		return &fault.Error{Kind: fault.Conflict, Pod: f.Source.Pod, Message: "the image of volume " + id + " got no data"}
	}
	return f.wait(ctx, fillPoll, "making an image in pod "+f.Source.Pod)
}

// uploadable is the volume of which an image can be made.
func (f *fill) uploadable(ctx context.Context, from *pod.Client) (string, error) {
	body := map[string]any{"name": f.mark(), "description": "for volume " + f.VolumeID + " of pod " + f.Pod}
	if f.Source.Kind == store.KindVolume {
		v, err := f.readable(ctx, from, f.Source.ID)
		if err != nil || v.Status == "available" {
			return f.Source.ID, err
		}
		body["source_volid"], body["size"] = f.Source.ID, v.Size
	} else {
		s, err := f.sourceSnapshot(ctx, from)
		if err != nil {
			return "", err
		}
		body["snapshot_id"], body["size"] = s.ID, s.Size
	}
	return f.temporary(ctx, from, body)
}

// temporary is the volume made beside one that is in use, or of a snapshot.
func (f *fill) temporary(ctx context.Context, from *pod.Client, body map[string]any) (string, error) {
	making := "making a volume in pod " + f.Source.Pod
	v, err := f.findTemporary(ctx, from)
	switch {
	case err != nil:
		return "", err
	case v != nil && v.Status == "available":
		return v.ID, nil
	case v != nil && v.Status == "creating":
		return "", f.wait(ctx, fillPoll, making)
	case v != nil:
		return "", &fault.Error{Kind: fault.Conflict, Pod: f.Source.Pod, Message: fmt.Sprintf("volume %s of the data: its status is %s", v.ID, v.Status)}
	}
	if err := f.missing(ctx, "volume"); err != nil {
		return "", err
	}
	if err := f.asking(ctx, "volume"); err != nil {
		return "", err
	}
	err = cinderAs(ctx, from, pod.Request{Method: http.MethodPost, Path: "/volumes", Op: "create volume"}, map[string]any{"volume": body}, nil)
	if err = f.asked(ctx, "volume", err); err != nil {
		return "", err
	}
	return "", f.wait(ctx, fillPoll, making)
}

func (f *fill) findTemporary(ctx context.Context, from *pod.Client) (*stored, error) {
	if _, ok := f.Work.Asked["volume"]; !ok {
		return nil, nil
	}
	var out struct {
		Volumes []stored `json:"volumes"`
	}
	err := cinderAs(ctx, from, pod.Request{Path: "/volumes/detail", Query: url.Values{"name": {f.mark()}, "all_tenants": {"1"}}, Op: "list volumes"}, nil, &out)
	if err != nil {
		return nil, err
	}
	for _, v := range out.Volumes {
		if v.Name == f.mark() {
			return &v, nil
		}
	}
	return nil, nil
}

// dropImage removes the image that was made, everywhere.
func (f *fill) dropImage(ctx context.Context) error {
	from, err := f.leftIn(ctx, "image")
	if err != nil || from == nil {
		return err
	}
	i, err := f.findImage(ctx, from)
	if err != nil {
		return err
	}
	if i == nil && !f.Work.Taken["image"] {
		return f.missing(ctx, "image")
	}
	if i != nil {
		if err := glanceGone(ctx, from, i.ID); err != nil {
			return err
		}
	}
	if f.Work.Image == "" {
		return nil
	}
	if err := f.r.store.DeleteImage(ctx, f.Work.Image); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

func (f *fill) dropTemporary(ctx context.Context) error {
	from, err := f.leftIn(ctx, "volume")
	if err != nil || from == nil {
		return err
	}
	v, err := f.findTemporary(ctx, from)
	switch {
	case err != nil:
		return err
	case v == nil && f.Work.Taken["volume"]:
		return nil
	case v == nil:
		return f.missing(ctx, "volume")
	}
	if v.Status != "deleting" && v.Status != "creating" && v.Status != "uploading" {
		if err := cinderGone(ctx, from, "/volumes/"+v.ID, "delete volume"); err != nil {
			return err
		}
	}
	return f.wait(ctx, fillPoll, "removing the volume from pod "+f.Source.Pod)
}
