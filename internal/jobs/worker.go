package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

const (
	firstWait = time.Second
	longWait  = 30 * time.Second // the default of Options.MaxWait
	// maxAttempts is what River's column holds. Only panics count.
	maxAttempts = 32767
	// recordTimeout bounds what is written after a run whose own time is up.
	recordTimeout = 10 * time.Second
)

// worker runs one job for River.
type worker struct {
	river.WorkerDefaults[args]
	r *Runner
}

// note is what we keep in the job's metadata between runs.
type note struct {
	Failures int    `json:"failures"` // in a row
	Reason   string `json:"reason"`
	Failed   bool   `json:"failed"` // the pod answered, and refused
}

func readNote(job *rivertype.JobRow) (n note) {
	_ = json.Unmarshal(job.Metadata, &n) // none yet, or another version's: begin anew
	return n
}

func (n note) write(ctx context.Context) error {
	return errors.Join(
		river.MetadataSet(ctx, "failures", n.Failures),
		river.MetadataSet(ctx, "reason", n.Reason),
		river.MetadataSet(ctx, "failed", n.Failed))
}

// longRun bounds jobs that move an image's data: their own waits end them long before,
// unless bytes keep coming.
const longRun = 24 * time.Hour

// Timeout is how long one run may take; 0 means as the runner's options say.
func (w *worker) Timeout(job *river.Job[args]) time.Duration {
	if job.Args.Target.Kind == store.KindImage {
		return longRun
	}
	return 0
}

// Work runs the job. Whatever goes wrong it waits and is run again: by River's
// snooze, because River would keep every error of a job in its row, and a pod
// may be away for weeks.
func (w *worker) Work(ctx context.Context, job *river.Job[args]) error {
	began := time.Now()
	err := w.r.o.Ensure(ctx, job.Args.Target, func(_ context.Context, tx *store.Tx) error {
		return w.r.queue.complete(ctx, tx, job)
	})
	w.r.metrics.ran(job.Args.Pod, outcome(err), time.Since(began))
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		// Shutting down: River makes the job available at once, uncounted.
		return errors.Join(ctx.Err(), err)
	}
	return w.wait(ctx, job, err)
}

// wait records why the run did not finish, and says when to run again.
func (w *worker) wait(ctx context.Context, job *river.Job[args], err error) error {
	n, pause := next(readNote(job.JobRow), err, w.r.o.MaxWait)
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	log := w.r.o.Log.With("job", job.ID, "kind", job.Args.Target.Kind, "resource", job.Args.ID, "pod", job.Args.Pod)
	if err := w.r.o.Store.Fail(record, job.Args.Target, n.Reason); err != nil {
		log.ErrorContext(record, "cannot record why a job waits", "error", err)
	}
	if err := n.write(ctx); err != nil {
		log.ErrorContext(record, "cannot record why a job waits", "error", err)
	}
	level := slog.LevelInfo
	if n.Failed {
		level = slog.LevelWarn
	}
	log.Log(record, level, "job waits", "reason", n.Reason, "failures", n.Failures, "again_in", pause)
	return river.JobSnooze(pause)
}

// next is what to note of the run that ended with err, and how long to wait.
func next(n note, err error, longest time.Duration) (note, time.Duration) {
	if again, ok := errors.AsType[*Again](err); ok {
		return note{Reason: again.Reason}, cmp.Or(again.After, firstWait)
	}
	n.Failures++
	n.Reason = err.Error()
	n.Failed = !passes(err)
	return n, backoff(n.Failures, longest)
}

// passes says that nobody needs to do anything but wait.
func passes(err error) bool {
	return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout) ||
		errors.Is(err, context.DeadlineExceeded)
}

// backoff doubles from a second to the longest wait, give or take a fifth, so
// that the jobs of a pod that was away do not come back all at once.
func backoff(failures int, longest time.Duration) time.Duration {
	wait := longest
	if doubled := failures - 1; doubled < 16 {
		wait = min(firstWait<<doubled, longest)
	}
	fifth := int64(wait / 5)
	return wait - time.Duration(fifth) + time.Duration(rand.Int64N(2*fifth+1))
}

// panicRetry is River's policy for runs that did not end by themselves.
type panicRetry struct{}

// NextRetry waits as after other failures.
func (panicRetry) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(backoff(job.Attempt, longWait))
}
