package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/tricircle/tricircle/internal/store"
)

// sweepPage bounds how long one transaction of the sweep lasts.
const sweepPage = 200

// decisionsFor is how long it is remembered why servers are where they are.
const decisionsFor = 7 * 24 * time.Hour

// every calls f at the interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(ctx)
		}
	}
}

// watch shows that this runner lives, makes queues for pods that were added
// elsewhere, and takes over the jobs of runners that died.
func (r *Runner) watch(ctx context.Context) {
	err := r.live(ctx)
	if err == nil {
		err = errors.Join(r.addPods(ctx), r.rescue(ctx))
	}
	if err != nil && ctx.Err() == nil {
		r.o.Log.ErrorContext(ctx, "job runner cannot reach its database", "error", err)
	}
}

// live takes or renews the lease that says so.
func (r *Runner) live(ctx context.Context) error {
	_, err := r.o.Store.Acquire(ctx, runnerLease+r.id, r.id, r.o.LeaseFor)
	return err
}

func (r *Runner) addPods(ctx context.Context) error {
	pods, err := r.o.Store.ListPods(ctx)
	for _, p := range pods {
		err = errors.Join(err, r.AddPod(p.Name))
	}
	return err
}

func (r *Runner) rescue(ctx context.Context) error {
	n, err := r.o.Store.RescueJobs(ctx, runnerLease)
	if n > 0 {
		r.o.Log.WarnContext(ctx, "took over jobs of a replica that died", "jobs", n)
	}
	return err
}

// sweepInTurn sweeps, unless another replica does in this period.
func (r *Runner) sweepInTurn(ctx context.Context) {
	mine, err := r.o.Store.Acquire(ctx, sweepLease, r.id, r.o.SweepEvery*3/4)
	if err == nil && mine {
		err = r.Sweep(ctx)
	}
	if err != nil && ctx.Err() == nil {
		r.o.Log.ErrorContext(ctx, "cannot sweep for lost jobs", "error", err)
	}
}

// Sweep makes the jobs that are missing: for mappings whose pod is behind, and
// for creations that nobody has ended in time. It also forgets old decisions.
func (r *Runner) Sweep(ctx context.Context) error {
	q := store.MappingQuery{Pending: true, Limit: sweepPage}
	for {
		page, err := r.o.Store.ListMappings(ctx, q)
		if err != nil {
			return err
		}
		var targets []store.Target
		for _, m := range page {
			targets = append(targets, m.Target)
		}
		if err := r.add(ctx, targets); err != nil {
			return err
		}
		if len(page) < sweepPage {
			break
		}
		q.After = page[len(page)-1].Target
	}
	if err := r.o.Store.PruneDecisions(ctx, r.o.Now().Add(-decisionsFor)); err != nil {
		return err
	}
	intents, err := r.o.Store.ListIntents(ctx, r.o.Now().Add(-r.o.IntentDelay))
	if err != nil {
		return err
	}
	var targets []store.Target
	for _, in := range intents {
		targets = append(targets, in.Target())
	}
	return r.add(ctx, targets)
}

// add makes jobs that are due now.
func (r *Runner) add(ctx context.Context, targets []store.Target) error {
	if len(targets) == 0 {
		return nil
	}
	return r.o.Store.Write(ctx, func(tx *store.Tx) error { return r.enqueue(ctx, tx, 0, targets) })
}
