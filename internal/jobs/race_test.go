package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestNoChangeIsLost writes at random to a hundred resources while jobs apply
// them. With one job per target and no guard, more than half of the resources
// end up with an old state for ever.
func TestNoChangeIsLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fails  int // one run of so many; 0 for none
		writes int
	}{
		{"all runs succeed", 0, 600},
		{"some runs fail", 20, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				storetest.Pods(t, s, "pod1", "pod2")
				w := newWorld(s)
				w.apply = func(_ store.Target, run int) error {
					<-time.After(time.Duration(rand.Int64N(int64(4 * time.Millisecond))))
					if c.fails > 0 && run%c.fails == 0 {
						return errors.New("the pod stumbled")
					}
					return nil
				}
				// No sweep: the guard alone has to do.
				start(t, jobs.Options{Store: s, Ensure: w.Ensure, SweepEvery: time.Hour})
				writes, resources := c.writes, 100
				if detecting { // SQLite is written in Go: the race detector slows it, too
					writes, resources = writes/5, resources/5
				}
				writeAtRandom(t, s, w, writes, resources)
				eventually(t, "all are up to date", func() bool { return w.stale(t) == 0 })
				t.Logf("%d writes, %d runs", writes, w.Runs())
			})
		})
	}
}

func writeAtRandom(t *testing.T, s *store.Store, w *world, writes, resources int) {
	targets := make([]store.Target, resources)
	for i := range targets {
		targets[i] = store.Target{Kind: store.KindNetwork, ID: fmt.Sprintf("net-%d", i), Pod: fmt.Sprintf("pod%d", i%2+1)}
		w.want(t, targets[i])
	}
	const writers = 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range writes / writers {
				if err := s.Touch(context.Background(), store.KindNetwork, targets[rand.IntN(len(targets))].ID); err != nil {
					t.Errorf("Touch: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
