package compute

import (
	"context"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// tied finds the pod in which the server must be, because something that the
// request names lives there; empty if nothing does.
func (a *api) tied(ctx context.Context, j *job) (podName, why string, err error) {
	bind := func(other, what string) error {
		if podName != "" && other != podName {
			return elsewhere(why, what)
		}
		podName, why = other, what
		return nil
	}
	for _, v := range j.wish.Volumes {
		if v.Kind == "image" {
			if j.wish.ImageID == "" {
				j.wish.ImageID = v.ID // the pod must have it as much as one to boot from
			}
			continue
		}
		at, err := a.volumePod(ctx, j.by, v)
		if err != nil {
			return "", "", err
		}
		if err := bind(at, v.Kind+" "+v.ID+" is in pod "+at); err != nil {
			return "", "", err
		}
	}
	if err := a.tieToGroup(ctx, j, bind); err != nil {
		return "", "", err
	}
	for _, id := range sameHosts(j.wish.document) {
		at, err := a.serverPod(ctx, j.by, id)
		if err != nil {
			return "", "", fault.New(fault.Invalid, "", "Instance %s of the hint same_host could not be found.", id)
		}
		if err := bind(at, "server "+id+" of the hint same_host is in pod "+at); err != nil {
			return "", "", err
		}
	}
	return podName, why, nil
}

// elsewhere is the error for a request that names things of two pods.
func elsewhere(why, what string) error {
	return fault.New(fault.Invalid, "", "%s, but %s: a server can only use what is in its own pod", why, what)
}

// locateVolume finds the pod of a volume or a snapshot. The index knows those of
// all projects; where another's is, is no stranger's business.
func (a *api) locateVolume(ctx context.Context, by identity.Caller, kind, id string) (string, error) {
	at, err := a.Dispatch.Locate(ctx, by, kind, id)
	if err != nil {
		return at, err
	}
	// A volume that gets its data from another pod is there, and empty.
	if f, err := a.Store.FindVolumeFill(ctx, id); err == nil && f.Status() != "" && (by.IsAdmin() || f.ProjectID == by.ProjectID) {
		return "", fault.New(fault.Invalid, "", "Invalid volume: volume '%s' status must be 'available'. Currently in '%s'", id, f.Status())
	}
	if by.IsAdmin() {
		return at, nil
	}
	if e, err := a.Store.FindEntry(ctx, kind, id); err == nil && e.ProjectID != "" && e.ProjectID != by.ProjectID {
		return "", fault.New(fault.NotFound, "", "Volume %s could not be found.", id)
	}
	return at, nil
}

// volumePod finds the pod of a volume or a snapshot of the caller's.
func (a *api) volumePod(ctx context.Context, by identity.Caller, v volumeWish) (string, error) {
	if v.Kind == "volume" {
		at, err := a.locateVolume(ctx, by, store.KindVolume, v.ID)
		if fault.Is(err, fault.NotFound) {
			return "", fault.New(fault.Invalid, "", "Volume %s could not be found.", v.ID)
		}
		return at, err
	}
	at, err := a.locateVolume(ctx, by, dispatch.KindSnapshot, v.ID)
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.Invalid, "", "Block Device Mapping is Invalid: failed to get snapshot %s.", v.ID)
	}
	return at, err
}

// attachVolume is "POST /servers/{id}/os-volume_attachments": both must be in one
// pod, which has no way to the storage of another.
func (a *api) attachVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	return a.withVolume(ctx, by, r, gjson.GetBytes(body, "volumeAttachment.volumeId").Str)
}

// withVolume passes the request on if the server and the volume are in one pod.
// A volume that cannot be found is for the server's pod to miss.
func (a *api) withVolume(ctx context.Context, by identity.Caller, r *gateway.Request, volumeID string) (*gateway.Reply, error) {
	id := r.Param("id")
	at, err := a.serverPod(ctx, by, id)
	if err != nil {
		return nil, err
	}
	if volumeID == "" {
		return a.pass(ctx, by, r, at)
	}
	volumeAt, err := a.locateVolume(ctx, by, store.KindVolume, volumeID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err == nil && volumeAt != at {
		return nil, fault.New(fault.Invalid, "",
			"Invalid volume: volume %s is in zone %s (pod %s) and server %s in zone %s (pod %s): a server can only use volumes of its own pod",
			volumeID, a.Fleet.ZoneOf(volumeAt), volumeAt, id, a.Fleet.ZoneOf(at), at)
	}
	return a.pass(ctx, by, r, at)
}

// swapVolume is "PUT /servers/{id}/os-volume_attachments/{volume}".
func (a *api) swapVolume(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	return a.withVolume(ctx, by, r, gjson.GetBytes(body, "volumeAttachment.volumeId").Str)
}
