package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

var (
	netIn1 = store.Target{Kind: store.KindNetwork, ID: "n", Pod: "pod1"}
	netIn2 = store.Target{Kind: store.KindNetwork, ID: "n", Pod: "pod2"}
)

// recorder is an enqueuer that remembers.
type recorder struct {
	mu  sync.Mutex
	got []store.Target
}

func (r *recorder) Enqueue(_ context.Context, _ *store.Tx, targets ...store.Target) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, targets...)
	return nil
}

// take returns what was enqueued since the last call.
func (r *recorder) take() []store.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// mappingStep is one act on the mappings, and what is to come of it.
type mappingStep struct {
	name string
	act  func() error
	jobs []store.Target
	want store.Mapping // of netIn1; zero: there is none
}

// TestMappingLife leads a mapping through all its states.
func TestMappingLife(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1", "pod2")
		jobs := &recorder{}
		s.SetEnqueuer(jobs)
		for _, step := range mappingLife(t, s) {
			if err := step.act(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if diff := cmp.Diff(step.jobs, jobs.take()); diff != "" {
				t.Errorf("%s: jobs (-want +got):\n%s", step.name, diff)
			}
			got, err := s.FindMapping(t.Context(), netIn1)
			if gone := step.want.Generation == 0; gone != fault.Is(err, fault.NotFound) || !gone && err != nil {
				t.Fatalf("%s: FindMapping: %v", step.name, err)
			}
			if step.want.Generation != 0 {
				step.want.Target, step.want.ProjectID = netIn1, "project"
			} else {
				step.want.Target, step.want.ProjectID = got.Target, got.ProjectID
			}
			if diff := cmp.Diff(step.want, got, cmpopts.IgnoreFields(store.Mapping{}, "UpdatedAt")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
		}
	})
}

func mappingLife(t *testing.T, s *store.Store) []mappingStep {
	ctx := t.Context()
	want := func(pending ...store.Target) func() error {
		return func() error {
			got, err := s.Want(ctx, "project", netIn1, netIn2, netIn1)
			if diff := cmp.Diff(pending, got); diff != "" {
				t.Errorf("pending (-want +got):\n%s", diff)
			}
			return err
		}
	}
	observe := func(t1 store.Target, generation int64, current bool) func() error {
		return func() error {
			ran := false
			got, err := s.Observe(ctx, t1, generation, func(*store.Tx) error { ran = true; return nil })
			if got != current || ran != current {
				t.Errorf("Observe(%v, %d) = %v, ran %v; want %v", t1, generation, got, ran, current)
			}
			return err
		}
	}
	both := []store.Target{netIn1, netIn2}
	return []mappingStep{
		{"want", want(both...), both, store.Mapping{Wanted: true, Generation: 1}},
		{"want again", want(both...), nil, store.Mapping{Wanted: true, Generation: 1}},
		{"try", func() error { return s.Try(ctx, netIn1, "ignored") }, nil, store.Mapping{Wanted: true, Tried: true, Generation: 1}},
		{"fail", func() error { return s.Fail(ctx, netIn1, "no") }, nil, store.Mapping{Wanted: true, Tried: true, Generation: 1, Reason: "no"}},
		{"place", func() error { return s.Place(ctx, netIn1, "p", "ignored") }, nil, store.Mapping{Wanted: true, Tried: true, PodID: "p", Generation: 1, Reason: "no"}},
		{"change meanwhile", func() error { return s.Touch(ctx, "network", "n") }, both, store.Mapping{Wanted: true, Tried: true, PodID: "p", Generation: 2, Reason: "no"}},
		{"observe too old", observe(netIn1, 1, false), nil, store.Mapping{Wanted: true, Tried: true, PodID: "p", Generation: 2, Reason: "no"}},
		{"observe", observe(netIn1, 2, true), nil, store.Mapping{Wanted: true, Tried: true, PodID: "p", Generation: 2, Observed: 2}},
		{"want, one ready", want(netIn2), nil, store.Mapping{Wanted: true, Tried: true, PodID: "p", Generation: 2, Observed: 2}},
		{"observe the other", observe(netIn2, 2, true), nil, store.Mapping{Wanted: true, Tried: true, PodID: "p", Generation: 2, Observed: 2}},
		{"want, all ready", want(), nil, store.Mapping{Wanted: true, Tried: true, PodID: "p", Generation: 2, Observed: 2}},
		{"lost in the pod", func() error { return s.Forget(ctx, netIn1) }, []store.Target{netIn1}, store.Mapping{Wanted: true, Generation: 3, Observed: 2}},
		{"made anew", func() error { return s.Place(ctx, netIn1, "q", "") }, nil, store.Mapping{Wanted: true, Tried: true, PodID: "q", Generation: 3, Observed: 2}},
		{"unwant", func() error { return s.Unwant(ctx, "network", "n") }, both, store.Mapping{Tried: true, PodID: "q", Generation: 4, Observed: 2}},
		{"unwant again", func() error { return s.Unwant(ctx, "network", "n") }, nil, store.Mapping{Tried: true, PodID: "q", Generation: 4, Observed: 2}},
		{"touch unwanted", func() error { return s.Touch(ctx, "network", "n") }, nil, store.Mapping{Tried: true, PodID: "q", Generation: 4, Observed: 2}},
		{"unwanted is never observed", observe(netIn1, 4, false), nil, store.Mapping{Tried: true, PodID: "q", Generation: 4, Observed: 2}},
		{"revive", want(both...), both, store.Mapping{Wanted: true, Tried: true, PodID: "q", Generation: 5, Observed: 2}},
		{"unwant", func() error { return s.Unwant(ctx, "network", "n") }, both, store.Mapping{Tried: true, PodID: "q", Generation: 6, Observed: 2}},
		{"forget", func() error { return s.Forget(ctx, netIn1) }, nil, store.Mapping{}},
		{"forget again", func() error { return s.Forget(ctx, netIn1) }, nil, store.Mapping{}},
		{"gone is current", observe(netIn1, 0, true), nil, store.Mapping{}},
		{"fail of what is gone", func() error { return s.Fail(ctx, netIn1, "no") }, nil, store.Mapping{}},
		{"tried with another's job", func() error { return s.Try(ctx, netIn1, "project") }, nil, store.Mapping{Wanted: true, Tried: true, Generation: 1, Observed: 1}},
		{"found in the pod", func() error { return s.Place(ctx, netIn1, "r", "project") }, nil, store.Mapping{Wanted: true, Tried: true, PodID: "r", Generation: 1, Observed: 1}},
	}
}

func TestMappingErrors(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		ctx := t.Context()
		if _, err := s.Want(ctx, "project", netIn1, netIn2); !fault.Is(err, fault.NotFound) {
			t.Errorf("Want in a pod that is not there: %v, want NotFound", err)
		}
		if _, err := s.FindMapping(ctx, netIn1); !fault.Is(err, fault.NotFound) {
			t.Errorf("the Want that failed left something: %v, want NotFound", err)
		}
		if err := s.Try(ctx, netIn2, "project"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Try in a pod that is not there: %v, want NotFound", err)
		}
		if err := s.Place(ctx, netIn2, "p", "project"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Place in a pod that is not there: %v, want NotFound", err)
		}
		if pending, err := s.Want(ctx, "project"); pending != nil || err != nil {
			t.Errorf("Want of nothing = %v, %v", pending, err)
		}
	})
}

// TestWantAtOnce: two hundred callers want the same; there is one row, one job.
func TestWantAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1", "pod2")
		jobs := &recorder{}
		s.SetEnqueuer(jobs)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if _, err := s.Want(context.Background(), "project", netIn2, netIn1); err != nil {
					t.Errorf("Want: %v", err)
				}
			})
		}
		wg.Wait()
		got := jobs.take()
		slices.SortFunc(got, func(a, b store.Target) int { return len(a.Pod) - len(b.Pod) })
		if diff := cmp.Diff([]store.Target{netIn1, netIn2}, got); diff != "" {
			t.Errorf("jobs (-want +got):\n%s", diff)
		}
	})
}

func TestListMappings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1", "pod2")
		portIn1 := store.Target{Kind: store.KindPort, ID: "p", Pod: "pod1"}
		if _, err := s.Want(t.Context(), "project", netIn1, netIn2, portIn1); err != nil {
			t.Fatal(err)
		}
		if err := s.Place(t.Context(), netIn2, "pods-id", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Observe(t.Context(), netIn2, 1, nil); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			q    store.MappingQuery
			want []store.Target
		}{
			{store.MappingQuery{}, []store.Target{netIn1, netIn2, portIn1}},
			{store.MappingQuery{Limit: 2}, []store.Target{netIn1, netIn2}},
			{store.MappingQuery{Limit: 2, After: netIn2}, []store.Target{portIn1}},
			{store.MappingQuery{Pending: true}, []store.Target{netIn1, portIn1}},
			{store.MappingQuery{Pending: true, After: netIn1}, []store.Target{portIn1}},
			{store.MappingQuery{Kind: "network", ID: "n"}, []store.Target{netIn1, netIn2}},
			{store.MappingQuery{Pod: "pod1"}, []store.Target{netIn1, portIn1}},
			{store.MappingQuery{Pod: "pod2", PodID: "pods-id"}, []store.Target{netIn2}},
			{store.MappingQuery{Pod: "pod3"}, nil},
		} {
			found, err := s.ListMappings(t.Context(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []store.Target
			for _, m := range found {
				got = append(got, m.Target)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ListMappings(%+v) (-want +got):\n%s", c.q, diff)
			}
		}
	})
}

// TestObserveKeepsThenTogether: when what comes with it fails, nothing is observed.
func TestObserveKeepsThenTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		if _, err := s.Want(t.Context(), "project", netIn1); err != nil {
			t.Fatal(err)
		}
		current, err := s.Observe(t.Context(), netIn1, 1, func(*store.Tx) error { return fmt.Errorf("no") })
		if current || err == nil {
			t.Errorf("Observe = %v, %v; want false and the error", current, err)
		}
		if m, err := s.FindMapping(t.Context(), netIn1); err != nil || !m.Pending() {
			t.Errorf("mapping = %+v, %v; want it pending", m, err)
		}
	})
}

// TestNothingComesForWhatIsGone: what comes with another one's job is neither begun
// after its deletion, nor kept.
func TestNothingComesForWhatIsGone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		made, err := s.CreatePorts(ctx, []topology.PortSpec{{Port: topology.Port{ProjectID: alice, NetworkID: n.ID}}})
		if err != nil {
			t.Fatal(err)
		}
		there := store.Target{Kind: store.KindPort, ID: made[0].ID, Pod: "pod1"}
		if err := s.Try(ctx, there, alice); err != nil {
			t.Errorf("a port that is there: %v", err)
		}
		for _, kind := range []string{store.KindPort, store.KindSubnet} {
			gone := store.Target{Kind: kind, ID: "f8b2b1a0-0000-4000-8000-000000000001", Pod: "pod1"}
			if err := s.Try(ctx, gone, alice); !errors.Is(err, store.ErrGone) {
				t.Errorf("a %s that is gone is tried: %v", kind, err)
			}
			if _, err := s.FindMapping(ctx, gone); !fault.Is(err, fault.NotFound) {
				t.Errorf("its mapping: %v", err)
			}
			if err := s.Place(ctx, gone, "there", alice); err != nil {
				t.Fatal(err)
			}
			m, err := s.FindMapping(ctx, gone)
			if err != nil || m.Wanted || m.PodID != "there" || !m.Pending() {
				t.Errorf("a %s that was made for nothing: %+v, %v, want that a job removes it", kind, m, err)
			}
		}
	})
}
