package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// An image has one home, the pod whose copy users change; jobs make the copies in
// other pods like it. A Glance never takes an ID again that it has deleted: the record
// of a copy is made once and taken up again by every later try, and while the image
// lives nothing deletes it. It is private until its data is there and proven.

// How long a copy that cannot be waits for the next try: as long as it has been tried
// already, within these bounds.
const (
	failedShort = 5 * time.Second
	failedLong  = 10 * time.Minute
)

// imageWork is one run of a copy's job.
type imageWork struct {
	m     store.Mapping
	image store.Image
	copy  store.ImageCopy // as it was before
	to    *pod.Client
	from  []*pod.Client // pods with the data, the home first
	home  plan.Image    // what the copy is to be
}

// imageCopy makes a copy in a pod like its home.
func (r *Reconciler) imageCopy(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		if err := removeImage(ctx, c, m.ID); err != nil {
			return r.soon(m, err)
		}
		return r.store.Forget(ctx, m.Target)
	}
	image, err := r.store.FindImage(ctx, m.ID)
	if fault.Is(err, fault.NotFound) || err == nil && image.Deleted {
		return nil // the mapping has changed with it
	}
	if err != nil || image.Home == m.Pod {
		return err
	}
	w := &imageWork{m: m, image: image, to: c}
	if w.copy, err = r.store.FindImageCopy(ctx, m.ID, m.Pod); err != nil {
		return err
	}
	err = r.bringImage(ctx, w)
	if errors.Is(err, errNotWanted) {
		return nil // the next round removes it
	}
	return r.noteFailure(ctx, w, err)
}

// bringImage does what is left to do. Every step looks at what is there: whoever comes
// after a crash goes on.
func (r *Reconciler) bringImage(ctx context.Context, w *imageWork) error {
	if err := r.lookHome(ctx, w); err != nil {
		return err
	}
	found, err := showImage(ctx, w.to, w.m.ID)
	if err != nil {
		return err
	}
	if found == nil {
		if found, err = r.createImage(ctx, w); err != nil {
			return err
		}
	}
	if w.m.PodID == "" {
		if err := r.store.Place(ctx, w.m.Target, w.m.ID, w.home.Text("owner")); err != nil {
			return err
		}
	}
	if !found.Whole() {
		if found, err = r.bringData(ctx, w, found); err != nil {
			return err
		}
	}
	if err := r.proveImage(ctx, w, found); err != nil {
		return err
	}
	if err := r.bringNeeds(ctx, w); err != nil {
		return err
	}
	if err := r.dressImage(ctx, w, found); err != nil {
		return err
	}
	size, _ := found.Size()
	w.copy.Size, w.copy.Hash = size, found.Text("os_hash_value")
	return r.note(ctx, w, store.CopyActive, w.copy.Means, size, "")
}

// lookHome reads what the copy is to be. While the home is away, a copy that is known
// to be like it stands in, so that a pod without the image can still get it.
func (r *Reconciler) lookHome(ctx context.Context, w *imageWork) error {
	names, err := r.sourcesOf(ctx, w)
	if err != nil {
		return err
	}
	var failed error
	for _, name := range names {
		c, err := r.pods.Client(ctx, name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		// The home's state is what counts; others are asked when it cannot tell.
		if w.home == nil {
			if w.home, err = r.lookAt(ctx, c, w); err != nil && !passing(err) {
				return err
			}
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
		}
		w.from = append(w.from, c)
	}
	if w.home == nil {
		return failed
	}
	return nil
}

// sourcesOf are the pods with the data: the home, and copies that nothing is left to
// be done for. A copy that is there already has only the home to be like.
func (r *Reconciler) sourcesOf(ctx context.Context, w *imageWork) ([]string, error) {
	names := []string{w.image.Home}
	if w.copy.State == store.CopyActive {
		return names, nil
	}
	all, err := r.store.ListImageCopies(ctx, w.m.ID)
	if err != nil {
		return nil, err
	}
	for _, other := range all {
		if other.Home || other.Pod == w.m.Pod || other.State != store.CopyActive || other.Hash == "" {
			continue
		}
		m, err := r.store.FindMapping(ctx, store.Target{Kind: store.KindImage, ID: w.m.ID, Pod: other.Pod})
		if err == nil && !m.Pending() {
			names = append(names, other.Pod)
		}
	}
	return names, nil
}

func (r *Reconciler) lookAt(ctx context.Context, c *pod.Client, w *imageWork) (plan.Image, error) {
	home, err := showImage(ctx, c, w.m.ID)
	if err != nil {
		return nil, err
	}
	if home == nil {
		// Its home's own job finds out what that means.
		return nil, errors.Join(r.store.TouchIn(ctx, store.Target{Kind: store.KindImage, ID: w.m.ID, Pod: c.Name()}),
			&fault.Error{Kind: fault.Unavailable, Pod: c.Name(), Message: "it has no image " + w.m.ID})
	}
	if why := home.Bound(); why != "" {
		return nil, fault.New(fault.Refused, "", "image %s cannot be copied: %s, %s", w.m.ID, why, c.Name())
	}
	if !home.Whole() {
		return nil, &jobs.Again{After: r.patience(w, time.Second, 30*time.Second),
			Reason: fmt.Sprintf("pod %s, its home, does not have its data yet: it is %s there", c.Name(), home.Text("status"))}
	}
	return home, nil
}

// createImage makes the record.
func (r *Reconciler) createImage(ctx context.Context, w *imageWork) (plan.Image, error) {
	if w.copy.State == store.CopyActive { // its pod has lost it
		w.copy.StartedAt = time.Time{}
		if err := r.note(ctx, w, store.CopyQueued, "", 0, ""); err != nil {
			return nil, err
		}
	}
	if err := r.store.Try(ctx, w.m.Target, w.m.ProjectID); err != nil {
		return nil, err
	}
	var made plan.Image
	err := glance(ctx, w.to, "POST", "create image", "/images", plan.NewImage(w.home), &made)
	if fault.Is(err, fault.Conflict) {
		if again, serr := showImage(ctx, w.to, w.m.ID); serr != nil || again != nil {
			return again, serr
		}
		return nil, fault.New(fault.Conflict, "", "pod %s has had image %s, and its Glance gives no ID twice: its operator must purge the deleted record (glance-manage db purge_images_table)",
			w.to.Name(), w.m.ID)
	}
	if err == nil && made.Text("id") != w.m.ID {
		err = unintelligible(w.to, pod.Request{Op: "create image"}, "image")
	}
	return made, err
}

// bringNeeds has the images come that a boot from this one needs beside it.
func (r *Reconciler) bringNeeds(ctx context.Context, w *imageWork) error {
	for _, id := range w.home.Needs() {
		err := r.EnsureImage(ctx, id, w.m.Pod)
		if fault.Is(err, fault.NotFound) {
			continue // a reference to nothing, at home too
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// proveImage holds the data in the pod against the home's. What is there and is not
// the same is put out of use; it is not ours to delete, and could not be made again.
func (r *Reconciler) proveImage(ctx context.Context, w *imageWork, found plan.Image) error {
	problem := plan.SameData(w.home, found)
	if problem == "" {
		return nil
	}
	if w.copy.State != store.CopyActive && w.copy.Means != "" && found.Text("status") == plan.ImageActive {
		if err := actOnImage(ctx, w.to, w.m.ID, "deactivate"); err != nil {
			return err
		}
	}
	return fault.New(fault.Conflict, "", "pod %s has other data for image %s: %s; its operator must remove it there and purge the record", w.to.Name(), w.m.ID, problem)
}

// dressImage gives a copy with its data all that the home's has beside it.
func (r *Reconciler) dressImage(ctx context.Context, w *imageWork, found plan.Image) error {
	members, err := membersOf(ctx, w.from[0], w.home)
	if err != nil {
		return err
	}
	closing := w.home.Text("status") == plan.ImageDeactivated && found.Text("status") == plan.ImageActive
	if closing { // before others may see it
		if err := actOnImage(ctx, w.to, w.m.ID, "deactivate"); err != nil {
			return err
		}
	}
	if err := patchImage(ctx, w.to, w.m.ID, plan.ImageChanges(w.home, found)); err != nil {
		return err
	}
	if w.home.Text("visibility") == "shared" {
		has, err := membersOf(ctx, w.to, w.home)
		if err != nil {
			return err
		}
		if err := changeMembers(ctx, w.to, w.m.ID, plan.MemberChanges(members, has)); err != nil {
			return err
		}
	}
	if w.home.Text("status") == plan.ImageActive && found.Text("status") == plan.ImageDeactivated {
		return actOnImage(ctx, w.to, w.m.ID, "reactivate")
	}
	return nil
}

// note records how far the copy is.
func (r *Reconciler) note(ctx context.Context, w *imageWork, state store.CopyState, means string, done int64, reason string) error {
	c := w.copy
	c.State, c.Means, c.Done, c.Reason = state, means, done, reason
	if size, known := w.home.Size(); known {
		c.Size = size
	}
	if c.StartedAt.IsZero() || c.StartedAt.Unix() <= 0 {
		c.StartedAt = r.now()
	}
	if c == w.copy {
		return nil
	}
	if err := r.store.SetImageCopy(ctx, c); err != nil {
		return err
	}
	w.copy = c
	return nil
}

// noteFailure records why a copy is not there, and says when to try again. A copy that
// is in use stays so whatever cannot be changed about it now.
func (r *Reconciler) noteFailure(ctx context.Context, w *imageWork, err error) error {
	if err == nil || w.copy.State == store.CopyActive {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if again, ok := errors.AsType[*jobs.Again](err); ok {
		state := store.CopyQueued
		if w.copy.State == store.CopyCopying {
			state = store.CopyCopying
		}
		return errors.Join(again, r.note(ctx, w, state, w.copy.Means, w.copy.Done, again.Reason))
	}
	if passing(err) {
		return errors.Join(err, r.note(ctx, w, store.CopyQueued, w.copy.Means, 0, err.Error()))
	}
	// Not a failure for the queue, whose own waits are too short to move gigabytes again.
	if nerr := r.note(ctx, w, store.CopyFailed, w.copy.Means, 0, err.Error()); nerr != nil {
		return errors.Join(err, nerr)
	}
	r.log.WarnContext(ctx, "an image cannot be copied", "image", w.m.ID, "pod", w.m.Pod, "error", err)
	return &jobs.Again{After: r.patience(w, failedShort, failedLong), Reason: err.Error()}
}

// patience is as long as the copy has been tried already, within bounds.
func (r *Reconciler) patience(w *imageWork, short, long time.Duration) time.Duration {
	if w.copy.StartedAt.Unix() <= 0 {
		return short
	}
	return min(max(r.now().Sub(w.copy.StartedAt), short), long)
}

// EnsureImage is for jobs that need an image in a pod: nil when its copy is in use
// there, a *jobs.Again while it is on the way, and the reason when there will be none.
// It does not wait: many who did would take the pod's workers from the copy itself.
func (r *Reconciler) EnsureImage(ctx context.Context, image, podName string) error {
	if err := r.store.WantImageCopy(ctx, image, podName); err != nil {
		return err
	}
	c, err := r.store.FindImageCopy(ctx, image, podName)
	switch {
	case err != nil:
		return err
	case c.State == store.CopyActive:
		return nil
	case c.State == store.CopyFailed:
		return &fault.Error{Kind: fault.Conflict, Pod: podName, Message: "image " + image + " cannot be copied to pod " + podName + ": " + c.Reason}
	}
	reason := fmt.Sprintf("image %s is on the way to pod %s", image, podName)
	if c.Size > 0 && c.State == store.CopyCopying {
		reason += fmt.Sprintf(": %d of %d bytes", c.Done, c.Size)
	} else if c.Reason != "" {
		reason += ": " + c.Reason
	}
	return &jobs.Again{After: time.Second, Reason: reason}
}
