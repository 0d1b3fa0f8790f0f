package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

// States of a job as operators see them.
const (
	Pending = "pending" // to be run as soon as a worker is free
	Running = "running"
	Waiting = "waiting" // to be run later; the reason says why
	Done    = "done"
	Failed  = "failed" // a pod refused, or it is our mistake; run again later all the same
)

// Job is one job as operators see it.
type Job struct {
	ID        int64      `json:"id"`
	Kind      string     `json:"kind"`
	Resource  string     `json:"resource"`
	Pod       string     `json:"pod"`
	State     string     `json:"state"`
	Reason    string     `json:"reason"`
	Attempts  int        `json:"attempts"`
	NextAt    *time.Time `json:"next_at"` // null when it does not wait
	CreatedAt time.Time  `json:"created_at"`
}

// Query selects jobs; empty fields select all.
type Query struct {
	Pod, Kind, Resource, State string
	Limit                      int // default 100
}

const listPage = 500

// List lists jobs, the newest first. Jobs that are done are kept for a day.
func (r *Runner) List(ctx context.Context, q Query) ([]Job, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	params, err := q.params(min(listPage, max(limit, 1)))
	if err != nil {
		return nil, err
	}
	found := []Job{}
	for {
		page, err := r.queue.JobList(ctx, params)
		if err != nil {
			return nil, fmt.Errorf("cannot list jobs: %w", err)
		}
		for _, row := range page.Jobs {
			if job := r.job(row); q.matches(job) && len(found) < limit {
				found = append(found, job)
			}
		}
		if len(found) == limit || page.LastCursor == nil {
			return found, nil
		}
		params = params.After(page.LastCursor)
	}
}

// params is what the database can select; matches does the rest.
func (q Query) params(page int) (*river.JobListParams, error) {
	p := river.NewJobListParams().OrderBy(river.JobListOrderByID, river.SortOrderDesc).
		Kinds(args{}.Kind()).First(page)
	if q.Pod != "" {
		p = p.Queues(queueName(q.Pod))
	}
	if q.Resource != "" {
		p = p.Where("args ->> 'id' = @resource", river.NamedArgs{"resource": q.Resource})
	}
	switch q.State {
	case "":
	case Pending, Waiting:
		p = p.States(waitingStates...)
	case Running:
		p = p.States(rivertype.JobStateRunning)
	case Done:
		p = p.States(rivertype.JobStateCompleted)
	case Failed:
		p = p.States(append([]rivertype.JobState{rivertype.JobStateDiscarded, rivertype.JobStateCancelled}, waitingStates...)...)
	default:
		return nil, fault.New(fault.Invalid, "", "no job state is called %q", q.State)
	}
	return p, nil
}

var waitingStates = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRetryable,
}

func (q Query) matches(j Job) bool {
	return (q.Pod == "" || q.Pod == j.Pod) && (q.Kind == "" || q.Kind == j.Kind) &&
		(q.Resource == "" || q.Resource == j.Resource) && (q.State == "" || q.State == j.State)
}

// Show returns the job, or fault.NotFound.
func (r *Runner) Show(ctx context.Context, id int64) (Job, error) {
	row, err := r.find(ctx, id)
	if err != nil {
		return Job{}, err
	}
	return r.job(row), nil
}

// Retry has the job run now. For one that is done, its target gets a new job.
func (r *Runner) Retry(ctx context.Context, id int64) (Job, error) {
	row, err := r.find(ctx, id)
	if err != nil {
		return Job{}, err
	}
	if row.FinalizedAt != nil {
		var a args
		if err := json.Unmarshal(row.EncodedArgs, &a); err != nil {
			return Job{}, fmt.Errorf("cannot read job %d: %w", id, err)
		}
		if err := r.add(ctx, []store.Target{a.Target}); err != nil {
			return Job{}, err
		}
		newest, err := r.List(ctx, Query{Pod: a.Pod, Kind: a.Target.Kind, Resource: a.ID, Limit: 1})
		if err != nil || len(newest) == 0 {
			return r.job(row), err
		}
		return newest[0], nil
	}
	row, err = r.queue.JobRetry(ctx, id)
	if err != nil {
		return Job{}, fmt.Errorf("cannot retry job %d: %w", id, err)
	}
	return r.job(row), nil
}

func (r *Runner) find(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	row, err := r.queue.JobGet(ctx, id)
	if isGone(err) {
		return nil, fault.New(fault.NotFound, "", "no job %d", id)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find job %d: %w", id, err)
	}
	return row, nil
}

func isGone(err error) bool { return errors.Is(err, rivertype.ErrNotFound) }

func (r *Runner) job(row *rivertype.JobRow) Job {
	var a args
	_ = json.Unmarshal(row.EncodedArgs, &a) // another version's: shown without its target
	n := readNote(row)
	j := Job{
		ID: row.ID, Kind: a.Target.Kind, Resource: a.ID, Pod: a.Pod, Reason: n.Reason,
		Attempts: row.Attempt + snoozes(row), CreatedAt: row.CreatedAt.UTC(),
	}
	if n.Reason == "" && len(row.Errors) > 0 {
		j.Reason = row.Errors[len(row.Errors)-1].Error // it panicked
	}
	j.State = state(row, n, r.o.Now())
	switch j.State {
	case Done:
		j.Reason = ""
	case Waiting, Failed:
		if row.FinalizedAt == nil {
			at := row.ScheduledAt.UTC()
			j.NextAt = &at
		}
	}
	return j
}

// snoozes counts the runs that ended in waiting; River takes them off Attempt.
func snoozes(row *rivertype.JobRow) int {
	var m struct {
		Snoozes int `json:"snoozes"`
	}
	_ = json.Unmarshal(row.Metadata, &m)
	return m.Snoozes
}

func state(row *rivertype.JobRow, n note, now time.Time) string {
	switch row.State {
	case rivertype.JobStateRunning:
		return Running
	case rivertype.JobStateCompleted:
		return Done
	case rivertype.JobStateDiscarded, rivertype.JobStateCancelled:
		return Failed
	}
	switch {
	case n.Failed || len(row.Errors) > 0:
		return Failed
	case row.ScheduledAt.After(now):
		return Waiting
	}
	return Pending
}
