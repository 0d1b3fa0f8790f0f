package jobs_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/store"
)

type complete = func(context.Context, *store.Tx) error

// start runs jobs until the test ends.
func start(t testing.TB, o jobs.Options) *jobs.Runner {
	t.Helper()
	r := prepare(t, o)
	if err := r.Start(t.Context()); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { stop(t, r) })
	return r
}

func prepare(t testing.TB, o jobs.Options) *jobs.Runner {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	r, err := jobs.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

func stop(t testing.TB, r *jobs.Runner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// unswept keeps the runner from sweeping, for tests that count jobs: a sweep that
// reads the mappings just before a job ends makes one more, for nothing.
func unswept(t testing.TB, s *store.Store) {
	t.Helper()
	if mine, err := s.Acquire(t.Context(), "sweep", t.Name(), time.Hour); err != nil || !mine {
		t.Fatalf("Acquire = %v, %v", mine, err)
	}
}

// eventually asks until it holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("%s: not after 2 minutes", what)
		case <-tick.C:
		}
	}
}

// world is what the pods have: the generation of each target. It plays
// reconcile, the way that Observe asks for.
type world struct {
	store *store.Store

	mu    sync.Mutex
	has   map[store.Target]int64
	runs  int
	apply func(t store.Target, run int) error // called for each try; may wait
}

func newWorld(s *store.Store) *world {
	return &world{store: s, has: map[store.Target]int64{}, apply: func(store.Target, int) error { return nil }}
}

func (w *world) Ensure(ctx context.Context, t store.Target, done complete) error {
	for {
		m, err := w.store.FindMapping(ctx, t)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		w.mu.Lock()
		w.runs++
		run := w.runs
		w.mu.Unlock()
		if err := w.apply(t, run); err != nil {
			return err
		}
		if err := w.set(ctx, t, &m); err != nil {
			return err
		}
		current, err := w.store.Observe(ctx, t, m.Generation, func(tx *store.Tx) error { return done(ctx, tx) })
		if err != nil || current {
			return err
		}
	}
}

// set does in the pod what the mapping wants.
func (w *world) set(ctx context.Context, t store.Target, m *store.Mapping) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Wanted {
		w.has[t] = m.Generation
		return nil
	}
	delete(w.has, t)
	m.Generation = 0
	return w.store.Forget(ctx, t)
}

func (w *world) Runs() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs
}

// stale counts the targets whose pod is behind.
func (w *world) stale(t testing.TB) int {
	t.Helper()
	all, err := w.store.ListMappings(context.Background(), store.MappingQuery{})
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, m := range all {
		if m.Pending() || w.has[m.Target] != m.Generation {
			n++
		}
	}
	return n
}

func (w *world) want(t testing.TB, targets ...store.Target) {
	t.Helper()
	if _, err := w.store.Want(context.Background(), "project", targets...); err != nil {
		t.Fatalf("Want: %v", err)
	}
}
