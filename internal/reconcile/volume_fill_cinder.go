package reconcile

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

// reimageVersion is the first that images a volume anew; forceVersion deletes one
// whatever its status.
var (
	reimageVersion = http.Header{"Openstack-Api-Version": {"volume 3.68"}}
	forceVersion   = http.Header{"Openstack-Api-Version": {"volume 3.23"}}
)

// cinderAs asks the pod's Block Storage, by default with GET, as its service account.
func cinderAs(ctx context.Context, c *pod.Client, r pod.Request, in, out any) error {
	r.Service = pod.Volume
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	return c.JSON(ctx, r, in, out)
}

func cinderAct(ctx context.Context, c *pod.Client, path, action string, body any) error {
	return cinderAs(ctx, c, pod.Request{Method: http.MethodPost, Path: path + "/action", Op: action}, map[string]any{action: body}, nil)
}

// cinderGone deletes; what is gone already is as well.
func cinderGone(ctx context.Context, c *pod.Client, path, op string, query ...string) error {
	r := pod.Request{Method: http.MethodDelete, Path: path, Op: op}
	if len(query) > 0 {
		r.Query, r.Header = url.Values{query[0]: {"true"}}, forceVersion
	}
	err := cinderAs(ctx, c, r, nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func glanceGone(ctx context.Context, c *pod.Client, id string) error {
	err := c.JSON(ctx, pod.Request{Service: pod.Image, Method: http.MethodDelete, Path: "/images/" + id, Op: "delete image"}, nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// showVolume is nil when the pod has none.
func showVolume(ctx context.Context, c *pod.Client, id string) (*stored, error) {
	var out struct {
		Volume stored `json:"volume"`
	}
	err := cinderAs(ctx, c, pod.Request{Path: "/volumes/" + url.PathEscape(id), Op: "show volume"}, nil, &out)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.Volume, nil
}

func resetVolume(ctx context.Context, c *pod.Client, id, status string) error {
	return cinderAct(ctx, c, "/volumes/"+id, "os-reset_status", map[string]string{"status": status})
}

// podSnapshot is a snapshot as its pod shows it.
type podSnapshot struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	VolumeID string `json:"volume_id"`
	Size     int64  `json:"size"`
}

// sourceSnapshot is the snapshot that the volume is filled from, fit to be read.
func (f *fill) sourceSnapshot(ctx context.Context, from *pod.Client) (podSnapshot, error) {
	var out struct {
		Snapshot podSnapshot `json:"snapshot"`
	}
	err := cinderAs(ctx, from, pod.Request{Path: "/snapshots/" + f.Source.ID, Op: "show snapshot"}, nil, &out)
	switch {
	case fault.Is(err, fault.NotFound):
		return podSnapshot{}, doomed("snapshot %s of pod %s has been deleted", f.Source.ID, f.Source.Pod)
	case err != nil:
		return podSnapshot{}, err
	case out.Snapshot.Status == "available":
		return out.Snapshot, nil
	case out.Snapshot.Status == "deleting" || out.Snapshot.Status == "error":
		return podSnapshot{}, doomed("snapshot %s of pod %s has status %s", f.Source.ID, f.Source.Pod, out.Snapshot.Status)
	}
	return podSnapshot{}, f.wait(ctx, fillPoll, "snapshot "+f.Source.ID+" is busy: "+out.Snapshot.Status)
}

// dress makes the volume look as its user asked: backups and images bring what their
// source looked like.
func (f *fill) dress(ctx context.Context) error {
	v, err := showVolume(ctx, f.to, f.VolumeID)
	if err != nil || v == nil {
		return err
	}
	want := plan.Looks{Name: f.Looks.Name, Description: f.Looks.Description, Metadata: map[string]string{MarkKey: f.ID},
		Bootable: f.Looks.Bootable, Image: f.Looks.Image}
	for k, value := range f.Looks.Metadata {
		want.Metadata[k] = value
	}
	ch := plan.VolumeLooks(want, plan.Looks{Name: v.Name, Description: v.Description, Metadata: v.Metadata, Bootable: v.Bootable == "true", Image: v.Image})
	path := "/volumes/" + f.VolumeID
	if len(ch.Fields) > 0 {
		if err := cinderAs(ctx, f.to, pod.Request{Method: http.MethodPut, Path: path, Op: "update volume"}, map[string]any{"volume": ch.Fields}, nil); err != nil {
			return err
		}
	}
	if ch.Metadata != nil {
		err := cinderAs(ctx, f.to, pod.Request{Method: http.MethodPut, Path: path + "/metadata", Op: "update volume metadata"}, map[string]any{"metadata": ch.Metadata}, nil)
		if err != nil {
			return err
		}
	}
	if ch.Bootable != nil {
		if err := cinderAct(ctx, f.to, path, "os-set_bootable", map[string]bool{"bootable": *ch.Bootable}); err != nil {
			return err
		}
	}
	return f.dressImage(ctx, ch)
}

// dressImage changes what the volume says of the image it came from.
func (f *fill) dressImage(ctx context.Context, ch plan.LooksChange) error {
	path := "/volumes/" + f.VolumeID
	for _, key := range ch.ImageUnset {
		if err := cinderAct(ctx, f.to, path, "os-unset_image_metadata", map[string]string{"key": key}); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if len(ch.ImageSet) == 0 {
		return nil
	}
	return cinderAct(ctx, f.to, path, "os-set_image_metadata", map[string]any{"metadata": ch.ImageSet})
}

// leftIn is the client of the source's pod if something of the sort may be left there.
// With a pod that has left the region goes what was made in it.
func (f *fill) leftIn(ctx context.Context, what string) (*pod.Client, error) {
	if _, ok := f.Work.Asked[what]; !ok {
		return nil, nil
	}
	from, err := f.source(ctx)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return from, err
}

// clearAway removes what was made on the way.
func (f *fill) clearAway(ctx context.Context) error {
	for _, drop := range []func(context.Context) error{f.dropBackups, f.dropImage, f.dropTemporary} {
		if err := drop(ctx); err != nil {
			return err
		}
	}
	return nil
}
