package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// A volume that is made from something in another pod is made empty, then filled by
// this job, with the pods' service accounts: by a backup, where both pods' backup
// services have one store, else by an image. What is made on the way carries the
// fill's mark as its name, so that it is found again after a crash and always removed.

const (
	fillPoll = 2 * time.Second
	// fillStall is how long a write that nobody knows of may go on before it is taken
	// for one that the pod has dropped.
	fillStall = 30 * time.Minute
	// fillPatience is how long a quota of the service account's project may be full of
	// other volumes' backups and images before the fill gives up.
	fillPatience = time.Hour
)

// fill is one run of the job.
type fill struct {
	store.VolumeFill
	r  *Reconciler
	to *pod.Client
}

// mark is the name of what is made on the way.
func (f *fill) mark() string { return "tricircle-fill-" + f.ID }

// volumeFill fills a volume, or clears away after one that is being deleted.
func (r *Reconciler) volumeFill(ctx context.Context, c *pod.Client, m store.Mapping) error {
	row, err := r.store.FindVolumeFill(ctx, m.ID)
	if fault.Is(err, fault.NotFound) {
		return r.store.Forget(ctx, m.Target)
	}
	if err != nil {
		return err
	}
	f := &fill{VolumeFill: row, r: r, to: c}
	if !m.Wanted {
		return f.leave(ctx)
	}
	v, err := showVolume(ctx, c, f.VolumeID)
	if err != nil {
		return err
	}
	if v == nil { // somebody deleted it in its pod: the next round clears away
		return r.store.Unwant(ctx, store.KindVolumeFill, f.VolumeID)
	}
	if f.State == store.Filling {
		if err := f.work(ctx, v); err != nil {
			return err
		}
	}
	if err := f.clearAway(ctx); err != nil {
		return err
	}
	f.Step = ""
	return r.store.EndVolumeFill(ctx, f.VolumeFill)
}

// work ends with the volume filled, or failed.
func (f *fill) work(ctx context.Context, v *stored) error {
	if f.Work.Doom == "" {
		err := f.pour(ctx, v)
		if d, ok := errors.AsType[*doom](err); ok {
			f.Work.Doom = d.why
			err = f.save(ctx)
		}
		if err != nil {
			return err
		}
	}
	if f.Work.Doom != "" {
		if err := resetVolume(ctx, f.to, f.VolumeID, "error"); err != nil {
			return err
		}
		f.State, f.Reason = store.FillFailed, f.Work.Doom
		return f.save(ctx)
	}
	f.State = store.Filled
	return f.save(ctx)
}

// doom is an error after which there is no way left.
type doom struct{ why string }

func (d *doom) Error() string { return d.why }

func doomed(format string, args ...any) error { return &doom{fmt.Sprintf(format, args...)} }

// pour tries the means one after the other until one has done it.
func (f *fill) pour(ctx context.Context, v *stored) error {
	for {
		if len(f.Work.Refused) > 0 && !f.Work.Written {
			var err error
			if v, err = f.usable(ctx); err != nil {
				return err
			}
		}
		means := f.means()
		if means == "" {
			return doomed("%s", f.refusals())
		}
		f.Means = means
		err := f.by(ctx, means, v)
		switch {
		case err == nil:
			return f.dress(ctx)
		case f.waits(err):
			return err
		}
		if fault.Is(err, fault.OverQuota) && f.r.now().Before(f.CreatedAt.Add(fillPatience)) {
			return f.wait(ctx, 15*time.Second, err.Error())
		}
		if f.Work.Refused == nil {
			f.Work.Refused = map[store.FillMeans]string{}
		}
		f.Work.Refused[means], f.Work.Written = err.Error(), false
		delete(f.Work.Asked, "write")
		delete(f.Work.Taken, "write")
		if err := f.save(ctx); err != nil {
			return err
		}
	}
}

// waits is true of errors that say nothing about the means: it is being worked on, a
// pod is away, or there is no hope for any means.
func (f *fill) waits(err error) bool {
	if _, ok := errors.AsType[*jobs.Again](err); ok {
		return true
	}
	if _, ok := errors.AsType[*doom](err); ok {
		return true
	}
	return passing(err) || fault.KindOf(err) == fault.Internal
}

// usable makes the volume what the next means can write into.
func (f *fill) usable(ctx context.Context) (*stored, error) {
	v, err := showVolume(ctx, f.to, f.VolumeID)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, f.wait(ctx, fillPoll, "the volume has gone")
	}
	if strings.HasPrefix(v.Status, "error") {
		if err := resetVolume(ctx, f.to, f.VolumeID, "available"); err != nil {
			return nil, err
		}
		v.Status = "available"
	}
	return v, nil
}

// means is the first one that has not been refused yet.
func (f *fill) means() store.FillMeans {
	order := []store.FillMeans{store.FillByBackup, store.FillByImage}
	if f.Source.Kind == store.KindImage {
		order = order[1:]
	}
	for _, m := range order {
		if f.Work.Refused[m] == "" {
			return m
		}
	}
	return ""
}

func (f *fill) refusals() string {
	var said []string
	for _, m := range []store.FillMeans{store.FillByBackup, store.FillByImage} {
		if why := f.Work.Refused[m]; why != "" {
			said = append(said, fmt.Sprintf("by %s: %s", m, why))
		}
	}
	return fmt.Sprintf("cannot be copied from %s %s of pod %s: %s", f.Source.Kind, f.Source.ID, f.Source.Pod, strings.Join(said, "; "))
}

func (f *fill) by(ctx context.Context, means store.FillMeans, v *stored) error {
	if means == store.FillByBackup {
		return f.byBackup(ctx, v)
	}
	return f.byImage(ctx, v)
}

// source is the client of the pod that has what the volume is filled from.
func (f *fill) source(ctx context.Context) (*pod.Client, error) {
	return f.r.pods.Client(ctx, f.Source.Pod)
}

// save records how far it is.
func (f *fill) save(ctx context.Context) error { return f.r.store.SaveVolumeFill(ctx, f.VolumeFill) }

// wait says what is being done, and to look again later.
func (f *fill) wait(ctx context.Context, after time.Duration, step string) error {
	if f.Step != step {
		f.Step = step
		if err := f.save(ctx); err != nil {
			return err
		}
	}
	return &jobs.Again{After: after, Reason: fmt.Sprintf("filling volume %s: %s", f.VolumeID, step)}
}

// asking notes that a pod is about to be asked for a thing. What it makes it may
// make late: it is looked for, and for a while not asked for again.
func (f *fill) asking(ctx context.Context, what string) error {
	if f.Work.Asked == nil {
		f.Work.Asked = map[string]time.Time{}
	}
	f.Work.Asked[what] = f.r.now().UTC()
	return f.save(ctx)
}

// lately says that the pod may still be making what it was asked for.
func (f *fill) lately(what string) bool {
	at, ok := f.Work.Asked[what]
	return ok && f.r.now().Before(at.Add(f.r.grace))
}

// asked takes note of the pod's answer: one that says no has made nothing; what it
// has said yes to must be there from then on.
func (f *fill) asked(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		if f.Work.Taken == nil {
			f.Work.Taken = map[string]bool{}
		}
		f.Work.Taken[what] = true
		return f.save(ctx)
	case pod.NotDone(err):
		f.Work.Asked[what] = time.Time{}
		return errors.Join(err, f.save(ctx))
	}
	return err
}

// missing is for a thing that the source's pod does not have: nil if it is to be
// asked for it.
func (f *fill) missing(ctx context.Context, what string) error {
	switch {
	case f.Work.Taken[what]:
		return &fault.Error{Kind: fault.Conflict, Pod: f.Source.Pod, Message: "the " + what + " of the data has gone again: the pod could not make it"}
	case f.lately(what):
		return f.wait(ctx, fillPoll, "looking for the "+what+" in pod "+f.Source.Pod)
	}
	return nil
}

// write has the pod write the data into the volume. While it does, the volume's
// status is busy.
func (f *fill) write(ctx context.Context, v *stored, busy string, ask func(context.Context) error) error {
	switch {
	case v.Status == busy && f.lost(): // the pod was asked, and never began
		if err := resetVolume(ctx, f.to, f.VolumeID, "available"); err != nil {
			return err
		}
		f.Work.Written = false
		delete(f.Work.Asked, "write")
		return errors.Join(f.save(ctx), f.wait(ctx, fillPoll, "writing the data again"))
	case v.Status == busy:
		return f.writing(ctx)
	case f.Work.Written && v.Status == "available":
		return nil
	case f.Work.Written:
		return &fault.Error{Kind: fault.Conflict, Pod: f.Pod, Message: "the volume's status is " + v.Status + " after the data was to be written"}
	case v.Status == "creating":
		return f.wait(ctx, fillPoll, "the volume is being made")
	case v.Status != "available":
		return doomed("pod %s could not make the volume: its status is %s", f.Pod, v.Status)
	}
	if err := f.asking(ctx, "write"); err != nil {
		return err
	}
	if err := f.asked(ctx, "write", ask(ctx)); err != nil {
		return err
	}
	return f.writing(ctx)
}

// writing is once the pod has begun: what comes after is the end of it.
func (f *fill) writing(ctx context.Context) error {
	if !f.Work.Written {
		f.Work.Written = true
		if err := f.save(ctx); err != nil {
			return err
		}
	}
	return f.wait(ctx, fillPoll, "the data is being written")
}

// lost says that a write which the pod has never confirmed has gone on for too long.
func (f *fill) lost() bool {
	at, ok := f.Work.Asked["write"]
	return ok && !f.Work.Taken["write"] && f.r.now().After(at.Add(fillStall))
}

// leave clears away after a volume that its user deletes: the volume first. What the
// pod is doing with it is waited for: it would write into nothing.
func (f *fill) leave(ctx context.Context) error {
	v, err := showVolume(ctx, f.to, f.VolumeID)
	if err != nil {
		return err
	}
	if v != nil {
		if slices.Contains([]string{"creating", "restoring-backup", "downloading"}, v.Status) && !f.lost() {
			return f.wait(ctx, fillPoll, "deleting the volume as soon as the pod has done with it")
		}
		if v.Status != "deleting" {
			if err := cinderGone(ctx, f.to, "/volumes/"+f.VolumeID, "delete volume", "force"); err != nil {
				return err
			}
		}
		return f.wait(ctx, fillPoll, "deleting the volume")
	}
	if err := f.clearAway(ctx); err != nil {
		return err
	}
	if err := f.r.store.DropEntry(ctx, store.KindVolume, f.VolumeID); err != nil {
		return err
	}
	return f.r.store.Forget(ctx, f.Target())
}

// readable says whether the source volume can be read now. What else is done with it
// is waited for.
func (f *fill) readable(ctx context.Context, from *pod.Client, id string) (*stored, error) {
	v, err := showVolume(ctx, from, id)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, doomed("volume %s of pod %s has been deleted", id, f.Source.Pod)
	case slices.Contains([]string{"available", "in-use"}, v.Status):
		return v, nil
	case v.Status == "deleting" || strings.HasPrefix(v.Status, "error"):
		return nil, doomed("volume %s of pod %s has status %s", id, f.Source.Pod, v.Status)
	}
	return nil, f.wait(ctx, fillPoll, fmt.Sprintf("volume %s is busy: %s", id, cmp.Or(v.Status, "unknown")))
}
