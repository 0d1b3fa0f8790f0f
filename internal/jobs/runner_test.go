package jobs_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

var net1 = store.Target{Kind: store.KindNetwork, ID: "net-1", Pod: "pod1"}

func TestJobRunsAndEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		unswept(t, s)
		w := newWorld(s)
		r := start(t, jobs.Options{Store: s, Ensure: w.Ensure})
		w.want(t, net1)
		eventually(t, "observed", func() bool { return w.stale(t) == 0 })
		want := []jobs.Job{{Kind: "network", Resource: "net-1", Pod: "pod1", State: jobs.Done, Attempts: 1}}
		var got []jobs.Job
		eventually(t, "done", func() bool { got = list(t, r, jobs.Query{}); return len(got) == 1 && got[0].State == jobs.Done })
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(jobs.Job{}, "ID", "CreatedAt")); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
		if n := w.Runs(); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
	})
}

// TestJobStartsSoon holds the promise that a change reaches an idle queue fast,
// on SQLite too, which cannot notify.
func TestJobStartsSoon(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		began := make(chan time.Time, 1)
		w := newWorld(s)
		w.apply = func(store.Target, int) error { began <- time.Now(); return nil }
		start(t, jobs.Options{Store: s, Ensure: w.Ensure})
		best := time.Hour
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			asked := time.Now()
			w.want(t, store.Target{Kind: store.KindNetwork, ID: id, Pod: "pod1"})
			best = min(best, (<-began).Sub(asked))
			eventually(t, "observed", func() bool { return w.stale(t) == 0 })
		}
		// The machine that runs tests may be busy: one start well before the next
		// poll, a second later, is proof.
		if best > 500*time.Millisecond && !detecting {
			t.Errorf("the quickest job began after %v", best)
		}
	})
}

func TestFailureWaitsAndSaysWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		err   error
		state string
	}{
		{"pod away", &fault.Error{Kind: fault.Unavailable, Pod: "pod1", Message: "connection refused"}, jobs.Waiting},
		{"pod refuses", &fault.Error{Kind: fault.Invalid, Pod: "pod1", Message: "no such physical network"}, jobs.Failed},
		{"not yet", &jobs.Again{After: 2 * time.Second, Reason: "server is still being deleted"}, jobs.Waiting},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				storetest.Pods(t, s, "pod1")
				var fixed atomic.Bool
				w := newWorld(s)
				w.apply = func(store.Target, int) error {
					if fixed.Load() {
						return nil
					}
					return c.err
				}
				r := start(t, jobs.Options{Store: s, Ensure: w.Ensure})
				w.want(t, net1)
				var job jobs.Job
				eventually(t, "waits", func() bool {
					found := list(t, r, jobs.Query{State: c.state})
					if len(found) == 1 {
						job = found[0]
					}
					return len(found) == 1
				})
				if job.Reason != c.err.Error() || job.NextAt == nil || job.Attempts == 0 {
					t.Errorf("job = %+v, want reason %q, a next time, attempts", job, c.err)
				}
				m, err := s.FindMapping(t.Context(), net1)
				if err != nil || m.Reason != c.err.Error() {
					t.Errorf("mapping's reason = %q, %v; want %q", m.Reason, err, c.err)
				}
				fixed.Store(true)
				retried, err := r.Retry(t.Context(), job.ID)
				if err != nil || retried.ID != job.ID {
					t.Errorf("Retry = %+v, %v", retried, err)
				}
				eventually(t, "observed", func() bool { return w.stale(t) == 0 })
				if m, err := s.FindMapping(t.Context(), net1); err != nil || m.Reason != "" {
					t.Errorf("mapping's reason after success = %q, %v; want none", m.Reason, err)
				}
			})
		})
	}
}

func TestPanicIsRetried(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		w := newWorld(s)
		w.apply = func(_ store.Target, run int) error {
			if run == 1 {
				panic("boom")
			}
			return nil
		}
		start(t, jobs.Options{Store: s, Ensure: w.Ensure})
		w.want(t, net1)
		eventually(t, "observed", func() bool { return w.stale(t) == 0 })
	})
}

// TestPodsDoNotStarveEachOther has one pod hang with more jobs than it has
// workers; the other goes on.
func TestPodsDoNotStarveEachOther(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1", "pod2")
		hang := make(chan struct{})
		w := newWorld(s)
		w.apply = func(t store.Target, _ int) error {
			if t.Pod == "pod1" {
				<-hang
			}
			return nil
		}
		start(t, jobs.Options{Store: s, Ensure: w.Ensure, WorkersPerPod: 2})
		for _, id := range []string{"a", "b", "c", "d"} {
			w.want(t, store.Target{Kind: store.KindNetwork, ID: id, Pod: "pod1"})
		}
		other := store.Target{Kind: store.KindNetwork, ID: "a", Pod: "pod2"}
		w.want(t, other)
		eventually(t, "pod2 is done", func() bool {
			m, err := s.FindMapping(t.Context(), other)
			return err == nil && !m.Pending()
		})
		close(hang)
		eventually(t, "pod1 is done", func() bool { return w.stale(t) == 0 })
	})
}

// TestPodAddedLater adds pods after the start, by this replica and by another,
// with names that River would not take for a queue.
func TestPodAddedLater(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(s)
		r := start(t, jobs.Options{Store: s, Ensure: w.Ensure, LeaseFor: 300 * time.Millisecond})
		storetest.Pods(t, s, "Edge 1/Köln", "pod--x_")
		if err := r.AddPod("Edge 1/Köln"); err != nil {
			t.Fatal(err)
		}
		w.want(t, store.Target{Kind: store.KindNetwork, ID: "n", Pod: "Edge 1/Köln"},
			store.Target{Kind: store.KindNetwork, ID: "n", Pod: "pod--x_"})
		eventually(t, "observed", func() bool { return w.stale(t) == 0 })
	})
}

// TestGoneMappingEndsJob: the thing went away between change and run.
func TestGoneMappingEndsJob(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		w := newWorld(s)
		r := prepare(t, jobs.Options{Store: s, Ensure: w.Ensure})
		w.want(t, net1)
		if err := s.Unwant(t.Context(), net1.Kind, net1.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.Forget(t.Context(), net1); err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer stop(t, r)
		eventually(t, "done", func() bool { return len(list(t, r, jobs.Query{State: jobs.Done})) == 1 })
	})
}

// TestSweepFindsLostWork loses jobs (nobody took them when the change was made)
// and intents, and has the sweep find both.
func TestSweepFindsLostWork(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		w := newWorld(s)
		w.want(t, net1) // there is no enqueuer yet
		if _, err := s.Begin(t.Context(), store.Intent{ID: "int-1", Kind: store.KindServer, Pod: "pod1"}); err != nil {
			t.Fatal(err)
		}
		looked := make(chan store.Target, 10)
		ensure := func(ctx context.Context, t store.Target, done complete) error {
			if t.Kind == store.KindIntent {
				looked <- t
				return errors.Join(s.Abandon(ctx, t.ID), s.Write(ctx, func(tx *store.Tx) error { return done(ctx, tx) }))
			}
			return w.Ensure(ctx, t, done)
		}
		start(t, jobs.Options{Store: s, Ensure: ensure, IntentDelay: time.Millisecond, SweepEvery: 100 * time.Millisecond})
		eventually(t, "observed", func() bool { return w.stale(t) == 0 })
		if got := <-looked; got.ID != "int-1" {
			t.Errorf("looked after %v, want int-1", got)
		}
	})
}

// TestIntentIsLeftInPeace: its maker is at work, the job comes later.
func TestIntentIsLeftInPeace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		r := start(t, jobs.Options{Store: s, Ensure: newWorld(s).Ensure, IntentDelay: time.Minute})
		if _, err := s.Begin(t.Context(), store.Intent{ID: "int-1", Kind: store.KindServer, Pod: "pod1"}); err != nil {
			t.Fatal(err)
		}
		got := list(t, r, jobs.Query{Kind: store.KindIntent})
		if len(got) != 1 || got[0].State != jobs.Waiting || time.Until(*got[0].NextAt) < 30*time.Second {
			t.Errorf("jobs = %+v, want one that waits about a minute", got)
		}
	})
}

// TestTwoReplicas share the work; when one dies in the middle the other takes
// over.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		one, two := storetest.Open(t, store.Options{URL: url}), storetest.Open(t, store.Options{URL: url})
		storetest.Pods(t, one, "pod1")
		began, never := make(chan struct{}), make(chan struct{})
		dying := newWorld(one)
		dying.apply = func(store.Target, int) error { began <- struct{}{}; <-never; return errors.New("dead") }
		// Its only worker hangs and nobody renews its lease: as good as dead.
		r1 := prepare(t, jobs.Options{Store: one, Ensure: dying.Ensure, WorkersPerPod: 1, LeaseFor: time.Hour, SweepEvery: time.Hour})
		if err := r1.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		dying.want(t, net1)
		<-began
		if _, err := one.WriteDB().Exec("UPDATE leases SET expires_at = 0"); err != nil {
			t.Fatal(err)
		}
		w := newWorld(two)
		start(t, jobs.Options{Store: two, Ensure: w.Ensure, LeaseFor: 300 * time.Millisecond})
		eventually(t, "the other replica did it", func() bool { return w.stale(t) == 0 })
		close(never)
		stop(t, r1)
	})
}

// TestRestart stops a runner hard in the middle of a job; the next process on the
// same database does it at once.
func TestRestart(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		s, err := store.Open(t.Context(), store.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		storetest.Pods(t, s, "pod1")
		began := make(chan struct{})
		r := prepare(t, jobs.Options{Store: s, Ensure: func(ctx context.Context, _ store.Target, _ complete) error {
			close(began)
			<-ctx.Done() // an Ensure that is stopped returns
			return ctx.Err()
		}})
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		newWorld(s).want(t, net1)
		<-began
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
		s.Close()
		s = storetest.Open(t, store.Options{URL: url})
		w := newWorld(s)
		start(t, jobs.Options{Store: s, Ensure: w.Ensure})
		eventually(t, "observed", func() bool { return w.stale(t) == 0 })
	})
}

// TestKilledOnSQLite leaves a job that seems to run in the file, as kill -9 does.
func TestKilledOnSQLite(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "tricircle.db")
	s, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Pods(t, s, "pod1")
	prepare(t, jobs.Options{Store: s, Ensure: newWorld(s).Ensure})
	newWorld(s).want(t, net1)
	if _, err := s.WriteDB().Exec(`UPDATE river_job SET state = 'running', attempt = 1, attempted_at = CURRENT_TIMESTAMP`); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = storetest.Open(t, store.Options{URL: url})
	w := newWorld(s)
	start(t, jobs.Options{Store: s, Ensure: w.Ensure})
	eventually(t, "observed", func() bool { return w.stale(t) == 0 })
}

func list(t testing.TB, r *jobs.Runner, q jobs.Query) []jobs.Job {
	t.Helper()
	found, err := r.List(context.Background(), q)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return found
}
