package jobs_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestList(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1", "pod2")
		r := prepare(t, jobs.Options{Store: s, Ensure: newWorld(s).Ensure})
		w := newWorld(s)
		for _, target := range []store.Target{
			{Kind: store.KindNetwork, ID: "a", Pod: "pod1"},
			{Kind: store.KindNetwork, ID: "a", Pod: "pod2"},
			{Kind: store.KindPort, ID: "b", Pod: "pod1"},
		} {
			w.want(t, target)
		}
		for _, c := range []struct {
			name string
			q    jobs.Query
			want []string
		}{
			{"all, newest first", jobs.Query{}, []string{"port b pod1", "network a pod2", "network a pod1"}},
			{"limit", jobs.Query{Limit: 1}, []string{"port b pod1"}},
			{"pod", jobs.Query{Pod: "pod1"}, []string{"port b pod1", "network a pod1"}},
			{"kind", jobs.Query{Kind: store.KindNetwork}, []string{"network a pod2", "network a pod1"}},
			{"kind, over pages", jobs.Query{Kind: store.KindNetwork, Limit: 1}, []string{"network a pod2"}},
			{"resource", jobs.Query{Resource: "a", Pod: "pod2"}, []string{"network a pod2"}},
			{"pending", jobs.Query{State: jobs.Pending, Resource: "b"}, []string{"port b pod1"}},
			{"waiting", jobs.Query{State: jobs.Waiting}, nil},
			{"no such pod", jobs.Query{Pod: "pod9"}, nil},
		} {
			var got []string
			for _, j := range list(t, r, c.q) {
				got = append(got, j.Kind+" "+j.Resource+" "+j.Pod)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: List(%+v) (-want +got):\n%s", c.name, c.q, diff)
			}
		}
		if _, err := r.List(t.Context(), jobs.Query{State: "lost"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("List of an unknown state: %v, want Invalid", err)
		}
		if _, err := r.Show(t.Context(), 4711); !fault.Is(err, fault.NotFound) {
			t.Errorf("Show of an unknown job: %v, want NotFound", err)
		}
		if _, err := r.Retry(t.Context(), 4711); !fault.Is(err, fault.NotFound) {
			t.Errorf("Retry of an unknown job: %v, want NotFound", err)
		}
	})
}

// TestRetryOfDoneJob makes a new one.
func TestRetryOfDoneJob(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		unswept(t, s)
		w := newWorld(s)
		r := start(t, jobs.Options{Store: s, Ensure: w.Ensure})
		w.want(t, net1)
		var done []jobs.Job
		eventually(t, "done", func() bool { done = list(t, r, jobs.Query{State: jobs.Done}); return len(done) == 1 })
		again, err := r.Retry(t.Context(), done[0].ID)
		if err != nil || again.ID == done[0].ID {
			t.Fatalf("Retry = %+v, %v; want another job", again, err)
		}
		eventually(t, "done again", func() bool { j, err := r.Show(t.Context(), again.ID); return err == nil && j.State == jobs.Done })
		if n := w.Runs(); n != 2 {
			t.Errorf("%d runs, want 2", n)
		}
	})
}

// TestJobsShareTheTransaction: no change without its job, no job without its
// change.
func TestJobsShareTheTransaction(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		r := prepare(t, jobs.Options{Store: s, Ensure: newWorld(s).Ensure})
		broken := errors.New("changed my mind")
		err := s.Write(t.Context(), func(tx *store.Tx) error {
			return errors.Join(r.Enqueue(t.Context(), tx, net1), broken)
		})
		if !errors.Is(err, broken) {
			t.Fatalf("Write = %v, want %v", err, broken)
		}
		if got := list(t, r, jobs.Query{}); len(got) != 0 {
			t.Errorf("after a rollback there are jobs: %+v", got)
		}
		for range 2 { // the second is the same job
			err := s.Write(t.Context(), func(tx *store.Tx) error { return r.Enqueue(t.Context(), tx, net1) })
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := list(t, r, jobs.Query{}); len(got) != 1 || got[0].State != jobs.Pending {
			t.Errorf("after commits there is not one pending job: %+v", got)
		}
	})
}
