package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// clock is a clock that only moves when told.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) Now() time.Time           { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) Advance(by time.Duration) { c.micros.Add(by.Microseconds()) }

func TestLease(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		now := newClock()
		s := storetest.Open(t, store.Options{URL: url, Now: now.Now})
		ctx := t.Context()
		acquire := func(holder string) (bool, error) { return s.Acquire(ctx, "k", holder, time.Minute) }
		renew := func(holder string) (bool, error) { return s.Renew(ctx, "k", holder, time.Minute) }
		release := func(holder string) (bool, error) { return true, s.Release(ctx, "k", holder) }
		for i, step := range []struct {
			after  time.Duration
			name   string
			act    func(string) (bool, error)
			holder string
			want   bool
		}{
			{0, "renew a free one", renew, "a", false},
			{0, "acquire a free one", acquire, "a", true},
			{0, "acquire a taken one", acquire, "b", false},
			{0, "renew another's", renew, "b", false},
			{30 * time.Second, "renew", renew, "a", true},
			{45 * time.Second, "acquire a renewed one", acquire, "b", false},
			{0, "acquire one's own", acquire, "a", true},
			{60 * time.Second, "acquire one that has run out", acquire, "b", true},
			{0, "renew one that was lost", renew, "a", false},
			{0, "release one that was lost", release, "a", true},
			{0, "which leaves it taken", acquire, "a", false},
			{0, "release", release, "b", true},
			{0, "which leaves it free", acquire, "a", true},
		} {
			now.Advance(step.after)
			if got, err := step.act(step.holder); err != nil || got != step.want {
				t.Fatalf("step %d, %s by %s = %v, %v; want %v", i, step.name, step.holder, got, err, step.want)
			}
		}
	})
}

// TestLeaseHasOneHolder: of many who want it at once, one gets it.
func TestLeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for round := range 5 {
			var got atomic.Int64
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					ok, err := s.Acquire(context.Background(), fmt.Sprint("round ", round), fmt.Sprint("holder ", i), time.Minute)
					if err != nil {
						t.Errorf("Acquire: %v", err)
					}
					if ok {
						got.Add(1)
					}
				})
			}
			wg.Wait()
			if got.Load() != 1 {
				t.Errorf("round %d: %d holders, want 1", round, got.Load())
			}
		}
	})
}

// TestLeasesEndWithTheProcess: on SQLite a restart need not wait for them.
func TestLeasesEndWithTheProcess(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	s, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Acquire(t.Context(), "k", "dead", time.Hour); err != nil || !ok {
		t.Fatalf("Acquire = %v, %v", ok, err)
	}
	s.Close()
	s = storetest.Open(t, store.Options{URL: url})
	if ok, err := s.Acquire(t.Context(), "k", "next", time.Hour); err != nil || !ok {
		t.Errorf("Acquire after a restart = %v, %v; want true", ok, err)
	}
}
