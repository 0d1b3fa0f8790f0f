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
	"github.com/tricircle/tricircle/internal/topology"
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

// TestIntentPorts: a creation makes its own ports and takes the user's, each for
// itself alone, and gives them up when it comes to nothing.
func TestIntentPorts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		users := addPort(t, s, portSpec(n.ID))
		auto := portSpec(n.ID)
		auto.Auto = true
		in := creation
		in.Ports = []string{users.ID}
		start := func(id string, port topology.PortSpec) ([]topology.Port, error) {
			in := in
			in.ID = id
			return s.Begin(ctx, in, port)
		}
		made, err := start("i1", auto)
		if err != nil || len(made) != 1 {
			t.Fatalf("Begin = %v, %v; want one port", made, err)
		}
		if got, err := s.FindIntent(ctx, "i1"); err != nil || !cmp.Equal([]string{users.ID, made[0].ID}, got.Ports) {
			t.Errorf("ports of the intent = %v, %v; want the user's, then its own", got.Ports, err)
		}
		if _, err := start("i2", auto); !fault.Is(err, fault.Conflict) {
			t.Errorf("Begin with a port in use by a creation: %v, want Conflict", err)
		}
		if all, err := s.ListPorts(ctx, store.Query{}); err != nil || len(all) != 2 {
			t.Errorf("%d ports after a Begin that failed, %v; want 2", len(all), err)
		}
		if err := s.Abandon(ctx, "i1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindPort(ctx, made[0].ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("its own port after Abandon: %v, want NotFound", err)
		}
		if made, err = start("i3", auto); err != nil {
			t.Fatalf("Begin with a port that was given up: %v", err)
		}
		if err := s.Settle(ctx, "i3", server("s", "pod1", "p", 0)); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{users.ID, made[0].ID} {
			if p, err := s.FindPort(ctx, id); err != nil || p.DeviceID != "s" || p.DeviceOwner != "compute:az1" {
				t.Errorf("port of the server = %+v, %v; want the server's ID in it", p, err)
			}
		}
		if _, err := start("i4", auto); !fault.Is(err, fault.Conflict) {
			t.Errorf("Begin with a port in use by a server: %v, want Conflict", err)
		}
	})
}
