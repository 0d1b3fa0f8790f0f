package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func server(id, pod, project string, age time.Duration) store.Entry {
	return store.Entry{
		Kind: store.KindServer, ID: id, Pod: pod, ProjectID: project, UserID: "u", Name: "name of " + id, Zone: "az1",
		Status: "ACTIVE", CreatedAt: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).Add(-age),
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		old, mid, young := server("old", "pod1", "p", 3*time.Hour), server("mid", "pod2", "q", 2*time.Hour), server("young", "pod1", "p", time.Hour)
		image1 := store.Entry{Kind: store.KindImage, ID: "i", Pod: "pod1", Name: "cirros"}
		image2 := image1
		image2.Pod = "pod2"
		if err := s.Record(ctx, mid, old, young, image2, image1); err != nil {
			t.Fatal(err)
		}
		mid.Status = "SHUTOFF"
		if err := s.Record(ctx, mid, old); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			q    store.EntryQuery
			want []store.Entry
		}{
			{store.EntryQuery{Kind: store.KindServer}, []store.Entry{young, mid, old}},
			{store.EntryQuery{Kind: store.KindServer, Limit: 1}, []store.Entry{young}},
			{store.EntryQuery{Kind: store.KindServer, Pod: "pod1"}, []store.Entry{young, old}},
			{store.EntryQuery{Kind: store.KindServer, To: mid.CreatedAt}, []store.Entry{mid, old}},
			{store.EntryQuery{Kind: store.KindServer, From: mid.CreatedAt, Ascending: true}, []store.Entry{mid, young}},
			{store.EntryQuery{Kind: store.KindServer, From: mid.CreatedAt, To: mid.CreatedAt}, []store.Entry{mid}},
			{store.EntryQuery{Kind: store.KindServer, Ascending: true, Limit: 2}, []store.Entry{old, mid}},
			{store.EntryQuery{Kind: store.KindServer, ProjectID: "q"}, []store.Entry{mid}},
			{store.EntryQuery{Kind: store.KindImage}, []store.Entry{image1, image2}},
			{store.EntryQuery{Kind: store.KindVolume}, nil},
		} {
			got, err := s.ListEntries(ctx, c.q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ListEntries(%+v) (-want +got):\n%s", c.q, diff)
			}
		}
		if e, err := s.FindEntry(ctx, store.KindImage, "i"); err != nil || e != image1 {
			t.Errorf("FindEntry = %+v, %v; want %+v", e, err, image1)
		}
		if m, err := s.FindMapping(ctx, mid.Target()); err != nil || m.PodID != "mid" || m.Pending() || m.ProjectID != "q" {
			t.Errorf("mapping = %+v, %v; want one that is observed", m, err)
		}
		if err := s.DropEntry(ctx, store.KindServer, "mid"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindEntry(ctx, store.KindServer, "mid"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindEntry after DropEntry: %v, want NotFound", err)
		}
		if _, err := s.FindMapping(ctx, mid.Target()); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindMapping after DropEntry: %v, want NotFound", err)
		}
		if err := s.Record(ctx, server("x", "pod9", "p", 0)); !fault.Is(err, fault.NotFound) {
			t.Errorf("Record in no pod: %v, want NotFound", err)
		}
	})
}

// TestRecordMany is a list as long as pods make them.
func TestRecordMany(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		var all []store.Entry
		for i := range 700 {
			all = append(all, server(fmt.Sprint("s", i), "pod1", "p", time.Duration(i)*time.Second))
		}
		for range 2 {
			if err := s.Record(t.Context(), all...); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.ListEntries(t.Context(), store.EntryQuery{Kind: store.KindServer})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("ListEntries (-want +got):\n%s", diff)
		}
	})
}

// TestForgetDropsEntry: a server that is gone in the pod leaves the index.
func TestForgetDropsEntry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		e := server("s", "pod1", "p", 0)
		if err := s.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if err := s.Unwant(t.Context(), store.KindServer, "s"); err != nil {
			t.Fatal(err)
		}
		if err := s.Forget(t.Context(), e.Target()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindEntry(t.Context(), store.KindServer, "s"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindEntry: %v, want NotFound", err)
		}
	})
}

// A list that was read before a server was forgotten does not bring it back.
func TestForgottenStaysForgotten(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		gone, other := server("gone", "pod1", "p", time.Hour), server("other", "pod1", "p", time.Hour)
		if err := s.Record(ctx, gone); err != nil {
			t.Fatal(err)
		}
		if err := s.Unwant(ctx, store.KindServer, "gone"); err != nil {
			t.Fatal(err)
		}
		if err := s.Forget(ctx, gone.Target()); err != nil {
			t.Fatal(err)
		}
		if err := s.Record(ctx, gone, other); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindEntry(ctx, store.KindServer, "gone"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindEntry = %v, want NotFound", err)
		}
		if _, err := s.FindEntry(ctx, store.KindServer, "other"); err != nil {
			t.Errorf("FindEntry of one beside it: %v", err)
		}
	})
}
