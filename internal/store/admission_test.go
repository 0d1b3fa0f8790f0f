package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

var (
	small = quota.Size{VCPUs: 1, RAM: 512}
	large = quota.Size{VCPUs: 4, RAM: 4096}
)

func sizedIntent(id string, size quota.Size) store.Intent {
	in := creation
	in.ID, in.Size = id, size
	return in
}

func sizedServer(id string, size quota.Size) store.Entry {
	e := server(id, "pod1", "p", 0)
	e.Size = size
	return e
}

func setQuota(t *testing.T, s *store.Store, user string, limits quota.Amounts) {
	t.Helper()
	if err := s.SetQuota(t.Context(), store.QuotaOf{Service: quota.Compute, ProjectID: "p", UserID: user}, limits); err != nil {
		t.Fatal(err)
	}
}

func wantUsed(t *testing.T, s *store.Store, when string, instances, cores, ram int64) {
	t.Helper()
	got, err := s.ServersUsed(t.Context(), "p", "")
	if diff := cmp.Diff(quota.Amounts{"instances": instances, "cores": cores, "ram": ram}, got); err != nil || diff != "" {
		t.Errorf("used %s: %v (-want +got):\n%s", when, err, diff)
	}
}

// TestAdmissionIsExact: of many creations at once just as many begin as the
// quota has room for, whatever the database and however many replicas.
func TestAdmissionIsExact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) { race(t, s) })
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		var replicas []*store.Store
		for range 4 {
			replicas = append(replicas, storetest.Open(t, store.Options{URL: url}))
		}
		race(t, replicas...)
	})
}

func race(t *testing.T, replicas ...*store.Store) {
	t.Helper()
	const creators, limit = 64, 10
	storetest.Pods(t, replicas[0], "pod1")
	setQuota(t, replicas[0], "", quota.Amounts{"instances": limit, "cores": -1, "ram": -1})
	var begun atomic.Int64
	var wg sync.WaitGroup
	for i := range creators {
		wg.Go(func() {
			_, err := replicas[i%len(replicas)].Begin(t.Context(), sizedIntent(fmt.Sprint("i", i), small))
			switch {
			case err == nil:
				begun.Add(1)
			case !fault.Is(err, fault.OverQuota):
				t.Errorf("Begin: %v, want OverQuota", err)
			}
		})
	}
	wg.Wait()
	if begun.Load() != limit {
		t.Errorf("%d of %d creations began, want %d", begun.Load(), creators, limit)
	}
	wantUsed(t, replicas[0], "after the race", limit, limit, limit*small.RAM)
}

// TestGrantsAreExact is the race for several servers per request.
func TestGrantsAreExact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		setQuota(t, s, "", quota.Amounts{"instances": 10, "cores": -1, "ram": -1})
		var granted atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				g, err := s.GrantServers(t.Context(), store.QuotaOf{ProjectID: "p", UserID: "u"}, small, 2, 4, time.Hour)
				if err != nil {
					if !fault.Is(err, fault.OverQuota) {
						t.Errorf("GrantServers: %v", err)
					}
					return
				}
				granted.Add(int64(g.Servers))
				for n := range g.Servers {
					in := sizedIntent(fmt.Sprint("i", i, "-", n), small)
					in.Grant = g.ID
					if _, err := s.Begin(t.Context(), in); err != nil {
						t.Errorf("Begin out of the grant: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if granted.Load() != 10 {
			t.Errorf("%d servers granted, want 10", granted.Load())
		}
		wantUsed(t, s, "after the race", 10, 10, 5120)
	})
}

// TestGrantEnds: what is left of a grant comes back, with its end or with time.
func TestGrantEnds(t *testing.T) {
	t.Parallel()
	now := newClock()
	storetest.EachAt(t, now.Now, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		setQuota(t, s, "", quota.Amounts{"instances": 3, "cores": -1, "ram": -1})
		by := store.QuotaOf{ProjectID: "p", UserID: "u"}
		g, err := s.GrantServers(ctx, by, small, 1, 5, time.Minute)
		if err != nil || g.Servers != 3 {
			t.Fatalf("GrantServers = %+v, %v; want 3", g, err)
		}
		in := sizedIntent("i1", small)
		in.Grant = g.ID
		begin(t, s, in)
		wantUsed(t, s, "one begun", 3, 3, 1536)
		if _, err := s.Begin(ctx, sizedIntent("other", small)); !fault.Is(err, fault.OverQuota) {
			t.Errorf("Begin beside the grant: %v, want OverQuota", err)
		}
		if err := s.EndGrant(ctx, g.ID); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "the grant ended", 1, 1, 512)
		if g, err = s.GrantServers(ctx, by, small, 2, 2, -time.Second); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "a grant ran out", 1, 1, 512)
		in = sizedIntent("i2", small)
		in.Grant = g.ID
		begin(t, s, in) // admitted by itself
		wantUsed(t, s, "begun after the grant", 2, 2, 1024)
	})
}

// TestUsageFollowsAServer: it counts once at any time, from before the pod is
// asked until the pod no longer has it.
func TestUsageFollowsAServer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		begin(t, s, sizedIntent("lost", large))
		wantUsed(t, s, "begun", 1, 4, 4096)
		if err := s.Abandon(ctx, "lost"); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "abandoned", 0, 0, 0)

		begin(t, s, sizedIntent("i", large))
		seen := sizedServer("s", large)
		seen.Mark = "i"
		for range 2 { // a list shows it while the reply to its creation is on its way
			if err := s.Record(ctx, seen); err != nil {
				t.Fatal(err)
			}
		}
		wantUsed(t, s, "seen before it was settled", 1, 4, 4096)
		e := sizedServer("s", quota.Size{})
		if err := s.Settle(ctx, "i", e); err != nil {
			t.Fatal(err)
		}
		if err := s.Record(ctx, e); err != nil { // by a list that shows no sizes
			t.Fatal(err)
		}
		wantUsed(t, s, "settled", 1, 4, 4096)

		if err := s.SetStatus(ctx, e.Target(), "SOFT_DELETED"); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "kept back after its deletion", 0, 0, 0)
		setQuota(t, s, "", quota.Amounts{"instances": 0})
		if err := s.AdmitRestore(ctx, e.Target()); !fault.Is(err, fault.OverQuota) {
			t.Errorf("AdmitRestore: %v, want OverQuota", err)
		}
		setQuota(t, s, "", quota.Amounts{"instances": 1})
		for range 2 {
			if err := s.AdmitRestore(ctx, e.Target()); err != nil {
				t.Errorf("AdmitRestore: %v", err)
			}
		}
		wantUsed(t, s, "restored", 1, 4, 4096)

		if err := s.Unwant(ctx, store.KindServer, "s"); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "being deleted", 1, 4, 4096)
		if err := s.Forget(ctx, e.Target()); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "gone", 0, 0, 0)
	})
}

// TestResizeCountsTheLarger: until the server is seen to be settled.
func TestResizeCountsTheLarger(t *testing.T) {
	t.Parallel()
	now := newClock()
	storetest.EachAt(t, now.Now, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		setQuota(t, s, "", quota.Amounts{"instances": 2, "cores": 5, "ram": -1})
		a, b := sizedServer("a", small), sizedServer("b", small)
		record := func(e store.Entry, status string, size quota.Size) {
			t.Helper()
			e.Status, e.Size = status, size
			if err := s.Record(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		record(a, "ACTIVE", small)
		record(b, "ACTIVE", small)
		grown, err := s.AdmitResize(ctx, a.Target(), small, large)
		if err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "admitted", 2, 5, 4608)
		want := "Quota exceeded for cores: Requested 3, but already used 5 of 5 cores"
		if _, err := s.AdmitResize(ctx, b.Target(), small, large); err == nil || err.Error() != want {
			t.Errorf("AdmitResize of the other = %v, want %s", err, want)
		}
		record(a, "ACTIVE", small) // a list that was read before the pod was asked
		record(a, "RESIZE", small)
		wantUsed(t, s, "on its way", 2, 5, 4608)
		if err := s.UndoResize(ctx, grown); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "refused by the pod", 2, 2, 1024)

		now.Advance(time.Second)
		if _, err := s.AdmitResize(ctx, a.Target(), small, large); err != nil {
			t.Fatal(err)
		}
		if err := s.UndoResize(ctx, grown); err != nil { // late: it is another one
			t.Fatal(err)
		}
		record(a, "VERIFY_RESIZE", large)
		now.Advance(time.Hour)
		record(a, "VERIFY_RESIZE", small)
		wantUsed(t, s, "not confirmed", 2, 5, 4608)
		record(a, "ACTIVE", small)
		wantUsed(t, s, "reverted", 2, 2, 1024)
		record(a, "ACTIVE", large)
		wantUsed(t, s, "resized behind our back", 2, 5, 4608)

		if _, err := s.AdmitResize(ctx, a.Target(), large, small); err != nil {
			t.Errorf("AdmitResize to less: %v", err)
		}
		wantUsed(t, s, "on its way to less", 2, 5, 4608)
		now.Advance(time.Hour)
		record(a, "ACTIVE", small)
		wantUsed(t, s, "smaller", 2, 2, 1024)
		if _, err := s.AdmitResize(ctx, store.Target{Kind: store.KindServer, ID: "c", Pod: "pod1"}, small, large); !fault.Is(err, fault.NotFound) {
			t.Errorf("AdmitResize of what is not known: %v, want NotFound", err)
		}
	})
}

// TestUsersHaveLimitsOfTheirOwn within those of the project.
func TestUsersHaveLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		setQuota(t, s, "", quota.Amounts{"instances": 3, "cores": -1, "ram": -1})
		setQuota(t, s, "u", quota.Amounts{"instances": 1})
		try := func(id, user string) error {
			in := sizedIntent(id, small)
			in.UserID = user
			_, err := s.Begin(t.Context(), in)
			return err
		}
		for i, c := range []struct {
			user string
			ok   bool
		}{{"u", true}, {"u", false}, {"v", true}, {"v", true}, {"v", false}} {
			if err := try(fmt.Sprint(i), c.user); (err == nil) != c.ok {
				t.Errorf("creation %d by %s: %v", i, c.user, err)
			}
		}
		of := store.QuotaOf{Service: quota.Compute, ProjectID: "p", UserID: "u"}
		if err := s.DropQuota(t.Context(), of); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Limits(t.Context(), of); err != nil || got["instances"] != 3 {
			t.Errorf("limits of the user afterwards: %v, %v; want the project's", got, err)
		}
	})
}

// BenchmarkAdmission is one more server of a project that has ten thousand.
func BenchmarkAdmission(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLiteURL, "postgres": storetest.PostgresURL} {
		b.Run(name, func(b *testing.B) {
			s := storetest.Open(b, store.Options{URL: url(b)})
			storetest.Pods(b, s, "pod1")
			of := store.QuotaOf{Service: quota.Compute, ProjectID: "p"}
			if err := s.SetQuota(b.Context(), of, quota.Amounts{"instances": -1, "cores": 1 << 30, "ram": -1}); err != nil {
				b.Fatal(err)
			}
			for i := range 10 {
				var entries []store.Entry
				for n := range 1000 {
					entries = append(entries, sizedServer(fmt.Sprint(i, "-", n), small))
				}
				if err := s.Record(b.Context(), entries...); err != nil {
					b.Fatal(err)
				}
			}
			for i := 0; b.Loop(); i++ {
				id := fmt.Sprint("i", i)
				if _, err := s.Begin(b.Context(), sizedIntent(id, small)); err != nil {
					b.Fatal(err)
				}
				if err := s.Abandon(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
