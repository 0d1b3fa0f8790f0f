package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// The means by which an image's data comes to a pod. Its own ones come first: they
// spare this process the traffic. What they have done must be proven afterwards; a
// stream is proven before it ends.
const (
	meansGlance = "glance-download" // the pod's Glance asks the other's
	meansWeb    = "web-download"    // the pod's Glance asks where the operator said
	meansStream = "stream"          // through this process
)

// bringData has the data come, and returns the image with it.
func (r *Reconciler) bringData(ctx context.Context, w *imageWork, found plan.Image) (plan.Image, error) {
	switch status := found.Text("status"); {
	case found.Importing():
		return nil, r.importing(ctx, w, found)
	case status == "saving" || status == "uploading":
		return nil, r.saving(w, found)
	case status != plan.ImageQueued:
		return nil, fault.New(fault.Conflict, "", "pod %s has image %s as %q: it gets no data any more", w.to.Name(), w.m.ID, status)
	}
	if err := patchImage(ctx, w.to, w.m.ID, formatsOf(plan.ImageChanges(w.home, found))); err != nil {
		return nil, err
	}
	own, err := r.ownMeans(ctx, w)
	if err != nil {
		return nil, err
	}
	if own != nil {
		return nil, r.startImport(ctx, w, own)
	}
	if err := r.stream(ctx, w); err != nil {
		return nil, err
	}
	if found, err = showImage(ctx, w.to, w.m.ID); err == nil && !found.Whole() {
		err = &fault.Error{Kind: fault.Unavailable, Pod: w.to.Name(), Message: "it took the data of image " + w.m.ID + ", but does not have it"}
	}
	return found, err
}

// formatsOf are the changes that must be made before the data comes.
func formatsOf(all []plan.ImageChange) []plan.ImageChange {
	return slices.DeleteFunc(all, func(c plan.ImageChange) bool { return c.Name() != "disk_format" && c.Name() != "container_format" })
}

// ownMeans is how the pod itself can get the data; nil when it cannot. One that was
// begun and left the image without data has failed: then the data streams.
func (r *Reconciler) ownMeans(ctx context.Context, w *imageWork) (map[string]any, error) {
	if w.copy.State == store.CopyCopying && w.copy.Means != "" && w.copy.Means != meansStream {
		r.noteImportFailure(ctx, w)
		return nil, nil
	}
	// A stream that was begun goes on as one; a bound on bandwidth binds streams alone.
	_, sized := w.home.Size()
	if w.copy.Means == meansStream || r.lines.rate > 0 || !sized || w.home.Text("status") != plan.ImageActive {
		return nil, nil
	}
	offered, err := importMethods(ctx, w.to)
	if err != nil {
		return nil, err
	}
	source, err := r.pods.Pod(ctx, w.from[0].Name())
	if err != nil {
		return nil, err
	}
	if base := r.web[source.Name]; base != "" && slices.Contains(offered, meansWeb) {
		return map[string]any{"name": meansWeb, "uri": strings.TrimSuffix(base, "/") + "/" + w.m.ID}, nil
	}
	if slices.Contains(offered, meansGlance) && source.Region != "" {
		return map[string]any{"name": meansGlance, "glance_region": source.Region, "glance_image_id": w.m.ID}, nil
	}
	return nil, nil
}

func (r *Reconciler) startImport(ctx context.Context, w *imageWork, method map[string]any) error {
	// Before the pod is asked: whoever finds the image without data afterwards knows
	// that this was tried.
	if err := r.note(ctx, w, store.CopyCopying, fmt.Sprint(method["name"]), 0, ""); err != nil {
		return err
	}
	if err := importImage(ctx, w.to, w.m.ID, method); err != nil && !passing(err) {
		r.log.WarnContext(ctx, "a pod does not bring an image by itself: it is streamed", "image", w.m.ID, "pod", w.to.Name(), "means", w.copy.Means, "error", err)
		return &jobs.Again{After: time.Millisecond, Reason: err.Error()}
	} else if err != nil {
		return err
	}
	return &jobs.Again{After: time.Second, Reason: "pod " + w.to.Name() + " downloads the image"}
}

// importing follows an import that is under way.
func (r *Reconciler) importing(ctx context.Context, w *imageWork, found plan.Image) error {
	task, err := lastImport(ctx, w.to, w.m.ID)
	if err != nil {
		return err
	}
	if task.Status == "success" || task.Status == "failure" {
		// It has ended, or its Glance died at it and holds the image for an hour more.
		if at := changedAt(found); !at.IsZero() && r.now().Sub(at) > r.grace {
			return fault.New(fault.Conflict, "", "pod %s holds image %s for an import that has ended", w.to.Name(), w.m.ID)
		}
	}
	means := w.copy.Means
	if means == "" {
		means = meansGlance
	}
	if err := r.note(ctx, w, store.CopyCopying, means, copied(task.Message), ""); err != nil {
		return err
	}
	return &jobs.Again{After: r.patience(w, time.Second, 5*time.Second), Reason: "pod " + w.to.Name() + " downloads the image"}
}

// copied reads how far an import is out of what Glance says: "Copied 15 MiB".
func copied(message string) int64 {
	var n int64
	if _, err := fmt.Sscanf(message, "Copied %d MiB", &n); err != nil {
		return 0
	}
	return n << 20
}

func (r *Reconciler) noteImportFailure(ctx context.Context, w *imageWork) {
	task, err := lastImport(ctx, w.to, w.m.ID)
	if err != nil {
		task.Message = err.Error()
	}
	r.log.WarnContext(ctx, "a pod could not download an image by itself: it is streamed", "image", w.m.ID, "pod", w.to.Name(),
		"means", w.copy.Means, "said", task.Message)
}

// saving waits for an upload that is not ours, or not any more: a process of ours was
// killed at it, and Glance has not noticed yet. One that lasts has lost its Glance.
func (r *Reconciler) saving(w *imageWork, found plan.Image) error {
	status := found.Text("status")
	if at := changedAt(found); !at.IsZero() && r.now().Sub(at) > max(r.grace, uploadPatience) {
		return fault.New(fault.Conflict, "", "pod %s has image %s as %q since %s, and only its operator can end that", w.to.Name(), w.m.ID, status, found.Text("updated_at"))
	}
	return &jobs.Again{After: r.patience(w, time.Second, 15*time.Second), Reason: fmt.Sprintf("pod %s still has the image as %q", w.to.Name(), status)}
}
