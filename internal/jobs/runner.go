// Package jobs is the durable queue of states to reach.
//
// A job names a store.Target and nothing else: running it twice, late or for
// nothing does no harm. It is inserted in the transaction that makes it
// necessary. While a job for a target waits or runs no second one is made, so a
// change that arrives during a run would be lost; therefore a run ends by
// store.Observe, which completes the job only if nothing has changed meanwhile.
//
// Each pod has its own queue and workers: one that is away holds up no other.
// A run that fails is not an error to the queue: the job waits, longer each
// time, and says why.
package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/tricircle/tricircle/internal/store"
)

// Ensure makes the target right. It must end a successful run by
// store.Observe(…, complete); if it returns nil without, the job is completed
// all the same, but unguarded. It returns *Again to be called later without that
// counting as a failure.
type Ensure func(ctx context.Context, t store.Target, complete func(context.Context, *store.Tx) error) error

// Again says "not yet": look again after a while, because of something that is
// under way as it should be.
type Again struct {
	After  time.Duration // 0 means a second
	Reason string
}

func (a *Again) Error() string { return a.Reason }

// Options configure a Runner. Store and Ensure are needed.
type Options struct {
	Store  *store.Store
	Ensure Ensure
	Now    func() time.Time
	Log    *slog.Logger
	// Metrics takes the counters; nil keeps them to the runner.
	Metrics prometheus.Registerer

	WorkersPerPod int           // jobs that one replica runs at once for one pod; default 16
	MaxWait       time.Duration // between two runs that fail; default 30 s
	Timeout       time.Duration // of one run; default 5 minutes
	IntentDelay   time.Duration // before a creation that was begun is looked after; default 2 minutes
	SweepEvery    time.Duration // how often what fell through is sought; default 30 s
	LeaseFor      time.Duration // how long after a replica's death its jobs are taken over; default 20 s
}

func (o *Options) defaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.WorkersPerPod = cmp.Or(o.WorkersPerPod, 16)
	o.MaxWait = cmp.Or(o.MaxWait, longWait)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Minute)
	o.IntentDelay = cmp.Or(o.IntentDelay, 2*time.Minute)
	o.SweepEvery = cmp.Or(o.SweepEvery, 30*time.Second)
	o.LeaseFor = cmp.Or(o.LeaseFor, 20*time.Second)
}

const (
	// fetchCooldown bounds throughput: at most WorkersPerPod jobs per cooldown.
	fetchCooldown = 10 * time.Millisecond
	// fetchPoll finds what no notification announced, such as a wait that ended.
	fetchPoll = time.Second
	// runnerLease begins the key of the lease by which a runner shows it lives.
	runnerLease = "runner:"
	// sweepLease lets one replica sweep per period.
	sweepLease = "sweep"
	// rescueMargin is added to the timeout of a run before River itself gives it
	// up: the last resort behind the leases.
	rescueMargin = time.Minute
)

// Runner runs the jobs of all pods. It implements store.Enqueuer.
type Runner struct {
	o       Options
	id      string // this replica's
	queue   queue
	metrics *metrics

	mu     sync.Mutex
	queues map[string]bool // River queues that have workers here

	cancel context.CancelFunc
	done   sync.WaitGroup
}

var _ store.Enqueuer = (*Runner)(nil)

// New makes a runner and becomes the store's enqueuer: from then on changes make
// jobs, and Start works them.
func New(o Options) (*Runner, error) {
	o.defaults()
	r := &Runner{o: o, id: uuid.NewString(), metrics: newMetrics(), queues: map[string]bool{queueName(""): true}}
	if o.Metrics != nil {
		if err := r.metrics.register(o.Metrics); err != nil {
			return nil, fmt.Errorf("cannot register job metrics: %w", err)
		}
	}
	var err error
	if r.queue, err = openQueue(o.Store, r.config()); err != nil {
		return nil, fmt.Errorf("cannot open job queue: %w", err)
	}
	o.Store.SetEnqueuer(r)
	return r, nil
}

func (r *Runner) config() *river.Config {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{r: r})
	return &river.Config{
		ID:                   r.id,
		Workers:              workers,
		Queues:               map[string]river.QueueConfig{queueName(""): {MaxWorkers: r.o.WorkersPerPod}},
		FetchCooldown:        fetchCooldown,
		FetchPollInterval:    fetchPoll,
		JobTimeout:           r.o.Timeout,
		RescueStuckJobsAfter: r.o.Timeout + rescueMargin,
		RetryPolicy:          panicRetry{},
		MaxAttempts:          maxAttempts,
		Logger:               slog.New(quiet{r.o.Log.Handler()}),
		// Done jobs are of interest for a day; there are many.
		CompletedJobRetentionPeriod: 24 * time.Hour,
	}
}

// Start begins to work jobs of all pods; Stop ends that.
func (r *Runner) Start(ctx context.Context) error {
	if err := errors.Join(r.live(ctx), r.addPods(ctx), r.rescue(ctx)); err != nil {
		return fmt.Errorf("cannot start jobs: %w", err)
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if err := r.queue.Start(background); err != nil {
		cancel()
		return fmt.Errorf("cannot start jobs: %w", err)
	}
	r.cancel = cancel
	r.done.Go(func() { every(background, r.o.LeaseFor/3, r.watch) })
	r.done.Go(func() {
		r.sweepInTurn(background)
		every(background, r.o.SweepEvery, r.sweepInTurn)
	})
	return nil
}

// Stop fetches no more jobs and waits for those running until ctx ends; then it
// cancels them. They are run again, here or elsewhere.
func (r *Runner) Stop(ctx context.Context) error {
	if r.cancel == nil {
		return nil
	}
	err := r.queue.Stop(ctx)
	if err != nil && ctx.Err() != nil {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = r.queue.StopAndCancel(hard)
	}
	r.cancel()
	r.done.Wait()
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, r.o.Store.Release(release, runnerLease+r.id, r.id))
}

// AddPod gives the pod a queue and workers here. Other replicas notice the pod
// within seconds by themselves.
func (r *Runner) AddPod(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := queueName(name)
	if r.queues[q] {
		return nil
	}
	if err := r.queue.Queues().Add(q, river.QueueConfig{MaxWorkers: r.o.WorkersPerPod}); err != nil {
		return fmt.Errorf("cannot make queue for pod %s: %w", name, err)
	}
	r.queues[q] = true
	return nil
}

// Enqueue inserts the jobs in the transaction. One that waits already is left to
// its time. A job for an intent or attempt comes late: its maker is at work.
func (r *Runner) Enqueue(ctx context.Context, tx *store.Tx, targets ...store.Target) error {
	return r.enqueue(ctx, tx, r.o.IntentDelay, targets)
}

func (r *Runner) enqueue(ctx context.Context, tx *store.Tx, intentDelay time.Duration, targets []store.Target) error {
	params := make([]river.InsertManyParams, len(targets))
	for i, t := range targets {
		opts := &river.InsertOpts{Queue: queueName(t.Pod), UniqueOpts: onePerTarget}
		if store.Journal(t.Kind) && intentDelay > 0 {
			opts.ScheduledAt = r.o.Now().Add(intentDelay)
		}
		params[i] = river.InsertManyParams{Args: args{t}, InsertOpts: opts}
	}
	if err := r.queue.insert(ctx, tx, params); err != nil {
		return fmt.Errorf("cannot make jobs: %w", err)
	}
	return nil
}
