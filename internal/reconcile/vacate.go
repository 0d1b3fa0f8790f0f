package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/store"
)

// vacatePoll is how often Vacate looks again at a port that something else holds up:
// a router's gateway goes by the router's own job.
const vacatePoll = 300 * time.Millisecond

// Vacate returns when no pod has the deleted port any more, and its addresses are
// free again, or with the reason why that is not so when ctx ends.
func (r *Reconciler) Vacate(ctx context.Context, portID string) error {
	left, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: store.KindPort, ID: portID})
	if err != nil {
		return err
	}
	for _, m := range left {
		if m.Wanted {
			return fault.New(fault.Conflict, "", "port %s is wanted in pod %s", portID, m.Pod)
		}
		if err := r.vacate(ctx, m.Target); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) vacate(ctx context.Context, t store.Target) error {
	tick := time.NewTicker(vacatePoll)
	defer tick.Stop()
	for {
		err := r.Ensure(ctx, t, nil)
		if _, later := errors.AsType[*jobs.Again](err); !later {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
