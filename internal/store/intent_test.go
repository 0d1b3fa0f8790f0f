package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

var creation = store.Intent{ID: "i", Kind: store.KindServer, Pod: "pod1", ProjectID: "p", UserID: "u", Name: "web", Zone: "az1"}

func TestIntentSettles(t *testing.T) {
	t.Parallel()
	now := newClock()
	storetest.EachAt(t, now.Now, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		jobs := &recorder{}
		s.SetEnqueuer(jobs)
		begin(t, s, creation)
		if diff := cmp.Diff([]store.Target{{Kind: store.KindIntent, ID: "i", Pod: "pod1"}}, jobs.take()); diff != "" {
			t.Errorf("jobs of Begin (-want +got):\n%s", diff)
		}
		want := creation
		want.CreatedAt = now.Now()
		if got, err := s.FindIntent(ctx, "i"); err != nil || !cmp.Equal(want, got) {
			t.Errorf("FindIntent = %+v, %v; want %+v", got, err, want)
		}
		if got, err := s.ListIntents(ctx, now.Now()); err != nil || len(got) != 0 {
			t.Errorf("ListIntents before its time = %v, %v", got, err)
		}
		if got, err := s.ListIntents(ctx, now.Now().Add(time.Second)); err != nil || !cmp.Equal([]store.Intent{want}, got) {
			t.Errorf("ListIntents = %v, %v; want %v", got, err, want)
		}
		e := server("s", "pod1", "p", 0)
		for range 2 { // the second finds it settled
			if err := s.Settle(ctx, "i", e); err != nil {
				t.Errorf("Settle: %v", err)
			}
		}
		if _, err := s.FindIntent(ctx, "i"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindIntent after Settle: %v, want NotFound", err)
		}
		if got, err := s.FindEntry(ctx, store.KindServer, "s"); err != nil || got != e {
			t.Errorf("FindEntry = %+v, %v; want %+v", got, err, e)
		}
		if err := s.Abandon(ctx, "i"); err != nil {
			t.Errorf("Abandon after Settle: %v", err)
		}
		if _, err := s.FindEntry(ctx, store.KindServer, "s"); err != nil {
			t.Errorf("FindEntry after a late Abandon: %v", err)
		}
	})
}

func TestIntentAbandoned(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		begin(t, s, creation)
		if err := s.Abandon(t.Context(), "i"); err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), "i", server("s", "pod1", "p", 0)); !fault.Is(err, fault.NotFound) {
			t.Errorf("Settle after Abandon: %v, want NotFound", err)
		}
		if _, err := s.FindEntry(t.Context(), store.KindServer, "s"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindEntry: %v, want NotFound", err)
		}
		elsewhere := creation
		elsewhere.Pod = "pod9"
		if _, err := s.Begin(t.Context(), elsewhere); !fault.Is(err, fault.NotFound) {
			t.Errorf("Begin in no pod: %v, want NotFound", err)
		}
	})
}

// TestIntentEndsOneWay: the maker settles while the job abandons; whoever comes
// second learns of the first.
func TestIntentEndsOneWay(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		for range 20 {
			begin(t, s, creation)
			var settled, abandoned error
			var wg sync.WaitGroup
			wg.Go(func() { settled = s.Settle(t.Context(), "i", server("s", "pod1", "p", 0)) })
			wg.Go(func() { abandoned = s.Abandon(t.Context(), "i") })
			wg.Wait()
			_, found := s.FindEntry(t.Context(), store.KindServer, "s")
			if abandoned != nil || (settled == nil) != (found == nil) || settled != nil && !fault.Is(settled, fault.NotFound) {
				t.Fatalf("Settle: %v, Abandon: %v, entry: %v", settled, abandoned, found)
			}
			if err := s.DropEntry(t.Context(), store.KindServer, "s"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func begin(t *testing.T, s *store.Store, in store.Intent) {
	t.Helper()
	if _, err := s.Begin(t.Context(), in); err != nil {
		t.Fatal(errors.Join(errors.New("Begin"), err))
	}
}
