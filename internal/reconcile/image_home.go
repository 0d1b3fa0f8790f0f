package reconcile

import (
	"context"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

const (
	// imageAttemptTime is how long a request that changes an image may take before
	// the job concludes that nobody is working on it any more.
	imageAttemptTime = 15 * time.Second
	// imageWatch is how long an image's data may be on its way to its home.
	imageWatch = 24 * time.Hour
)

// image does what is to be done about an image in a pod.
func (r *Reconciler) image(ctx context.Context, c *pod.Client, m store.Mapping) error {
	i, err := r.store.FindImage(ctx, m.ID)
	switch {
	case err == nil && i.Home == m.Pod && !i.Deleted && m.Wanted:
		return r.imageHome(ctx, c, i)
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	}
	return r.imageCopy(ctx, c, m)
}

// imageHome looks at an image's home for what was begun there: a change whose
// end nobody has noted, a deletion, data that is on its way (an import, Nova's
// snapshot of a server). What it finds is the truth for all copies.
func (r *Reconciler) imageHome(ctx context.Context, c *pod.Client, i store.Image) error {
	if wait := i.AttemptedAt.Add(imageAttemptTime).Sub(r.now()); i.Attempt != "" && wait > 0 {
		return &jobs.Again{After: wait, Reason: "a change of the image is under way"}
	}
	found, err := showImage(ctx, c, i.ID)
	switch {
	case err != nil:
		return err
	case found == nil && i.Attempt == store.ActDelete:
		return r.store.DeleteImage(ctx, i.ID)
	case found == nil:
		_, _, err := r.store.RehomeImage(ctx, i.ID, c.Name())
		return err
	}
	if i.Attempt != "" {
		if err := r.store.TouchImage(ctx, i.ID); err != nil {
			return err
		}
	}
	status := found.Text("status")
	mode, _ := store.ParseImageMode(found.Text(store.ImageModeProperty)) // nonsense: the region's
	if err := r.store.SeeImage(ctx, i.ID, status, mode); err != nil || i.WatchedAt.IsZero() {
		return err
	}
	return r.watchImage(ctx, i, status)
}

// watchImage comes back until the data is there: at first soon, since somebody
// may wait for a copy, later less often.
func (r *Reconciler) watchImage(ctx context.Context, i store.Image, status string) error {
	age := r.now().Sub(i.WatchedAt)
	under := status == "queued" || status == "saving" || status == "uploading" || status == "importing"
	if !under || age > imageWatch {
		return r.store.StopWatchingImage(ctx, i.ID)
	}
	return &jobs.Again{After: min(max(age/4, time.Second), 5*time.Minute), Reason: "its data is on the way to its home: " + status}
}
