package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

var waiting = store.WaitingServer{ID: "i", Images: []string{"image1", "image2"}, Document: `{"name": "web"}`, Sealed: "seal"}

// wait begins a creation that waits.
func wait(t *testing.T, s *store.Store, id string) {
	t.Helper()
	in := creation
	in.ID, in.Size = id, quota.Size{VCPUs: 1, RAM: 64}
	begin(t, s, in)
	w := waiting
	w.ID = id
	if err := s.Wait(t.Context(), w); err != nil {
		t.Fatalf("Wait: %v", err)
	}
}

// servers is how many count against the quota of project "p".
func servers(t *testing.T, s *store.Store) int64 {
	t.Helper()
	used, err := s.ServersUsed(t.Context(), "p", "")
	if err != nil {
		t.Fatal(err)
	}
	return used["instances"]
}

func TestWaitingServerSettles(t *testing.T) {
	t.Parallel()
	now := newClock()
	storetest.EachAt(t, now.Now, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		jobs := &recorder{}
		wait(t, s, "i")
		s.SetEnqueuer(jobs)
		want := waiting
		want.Pod, want.ProjectID, want.State, want.CreatedAt, want.UpdatedAt = "pod1", "p", store.ServerWaits, now.Now(), now.Now()
		if got, err := s.FindWaiting(ctx, "i"); err != nil || !cmp.Equal(want, got) {
			t.Errorf("FindWaiting: %v (-want +got):\n%s", err, cmp.Diff(want, got))
		}
		for project, n := range map[string]int{"p": 1, "": 1, "q": 0} {
			if got, err := s.ListWaiting(ctx, project); err != nil || len(got) != n {
				t.Errorf("ListWaiting(%q) = %v, %v; want %d", project, got, err, n)
			}
		}
		if n := servers(t, s); n != 1 {
			t.Errorf("%d servers count while one waits, want 1", n)
		}
		for i, want := range []bool{true, false} {
			if ok, err := s.AskFor(ctx, "i"); ok != want || err != nil {
				t.Errorf("AskFor the %d. time = %v, %v; want %v", i+1, ok, err, want)
			}
		}
		// A list and the census see the pod's server before its ID is known here.
		seen := server("theirs", "pod1", "p", 0)
		seen.Mark = "i"
		if err := s.Record(ctx, seen); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindEntry(ctx, store.KindServer, "theirs"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the pod's server is in the index under the pod's ID: %v", err)
		}
		ours := seen
		ours.ID = "i"
		for i, want := range []bool{true, false} {
			if ok, err := s.SettleWaiting(ctx, ours, "theirs"); ok != want || err != nil {
				t.Errorf("SettleWaiting the %d. time = %v, %v; want %v", i+1, ok, err, want)
			}
		}
		if err := s.Record(ctx, seen); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindEntry(ctx, store.KindServer, "theirs"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a late list brought the server in under the pod's ID: %v", err)
		}
		if n := servers(t, s); n != 1 {
			t.Errorf("%d servers count once it is made, want 1", n)
		}
		m, err := s.FindMapping(ctx, store.Target{Kind: store.KindServer, ID: "i", Pod: "pod1"})
		if err != nil || m.PodID != "i" || !m.Wanted {
			t.Errorf("mapping = %+v, %v; want our ID as the pod's", m, err)
		}
		alias := []store.Alias{{Target: m.Target, PodID: "theirs", Seq: 1}}
		if got, err := s.AliasesAfter(ctx, "pod1", 0); err != nil || !cmp.Equal(alias, got) {
			t.Errorf("AliasesAfter = %v, %v; want %v", got, err, alias)
		}
		if got, err := s.AliasesAfter(ctx, "pod1", 1); err != nil || len(got) != 0 {
			t.Errorf("AliasesAfter the last = %v, %v; want none", got, err)
		}
		if removed, err := s.RemoveWaiting(ctx, "i"); removed || err != nil {
			t.Errorf("RemoveWaiting of a server that was made = %v, %v; want false", removed, err)
		}
		if _, err := s.FindIntent(ctx, "i"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the intent is left: %v", err)
		}
	})
}

// TestWaitingServerRemoved: what its pod was not asked for is gone at once, with
// its ports.
func TestWaitingServerRemoved(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		auto := portSpec(n.ID)
		auto.Auto = true
		in := creation
		made, err := s.Begin(ctx, in, auto)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(ctx, waiting); err != nil {
			t.Fatal(err)
		}
		if ok, err := s.ChangeWaiting(ctx, waiting, `{"name": "new"}`, "other"); !ok || err != nil {
			t.Errorf("ChangeWaiting = %v, %v", ok, err)
		}
		if ok, err := s.ChangeWaiting(ctx, waiting, `{"name": "late"}`, "other"); ok || err != nil {
			t.Errorf("ChangeWaiting of what was read before another change = %v, %v; want false", ok, err)
		}
		for i, want := range []bool{true, false} {
			if ok, err := s.RemoveWaiting(ctx, "i"); ok != want || err != nil {
				t.Errorf("RemoveWaiting the %d. time = %v, %v; want %v", i+1, ok, err, want)
			}
		}
		if _, err := s.FindPort(ctx, made[0].ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("its port: %v, want NotFound", err)
		}
		if ok, err := s.AskFor(ctx, "i"); ok || err != nil {
			t.Errorf("AskFor a deleted server = %v, %v; want false", ok, err)
		}
		if all, err := s.ListMappings(ctx, store.MappingQuery{Kind: store.KindServer}); err != nil || len(all) != 0 {
			t.Errorf("mappings left: %v, %v", all, err)
		}
	})
}

// TestWaitingServerRemovedWhileAsked: only the job can tell what the pod made.
func TestWaitingServerRemovedWhileAsked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		wait(t, s, "i")
		if _, err := s.AskFor(ctx, "i"); err != nil {
			t.Fatal(err)
		}
		jobs := &recorder{}
		s.SetEnqueuer(jobs)
		if ok, err := s.RemoveWaiting(ctx, "i"); !ok || err != nil {
			t.Fatalf("RemoveWaiting = %v, %v", ok, err)
		}
		if diff := cmp.Diff([]store.Target{{Kind: store.KindServer, ID: "i", Pod: "pod1"}}, jobs.take()); diff != "" {
			t.Errorf("jobs (-want +got):\n%s", diff)
		}
		if w, err := s.FindWaiting(ctx, "i"); err != nil || !w.Deleting {
			t.Errorf("FindWaiting = %+v, %v; want it to be deleting", w, err)
		}
		if ok, err := s.SettleWaiting(ctx, server("i", "pod1", "p", 0), "theirs"); ok || err != nil {
			t.Errorf("SettleWaiting of a server to be deleted = %v, %v; want false", ok, err)
		}
		for range 2 {
			if err := s.DropWaiting(ctx, "i"); err != nil {
				t.Fatal(err)
			}
		}
		if n := servers(t, s); n != 0 {
			t.Errorf("%d servers count, want 0", n)
		}
	})
}

func TestWaitingServerFails(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		wait(t, s, "i")
		for i, want := range []bool{true, false} {
			if ok, err := s.FailWaiting(ctx, "i", "the token has ended"); ok != want || err != nil {
				t.Errorf("FailWaiting the %d. time = %v, %v; want %v", i+1, ok, err, want)
			}
		}
		want := waiting
		want.Pod, want.ProjectID, want.State, want.Sealed, want.Fault = "pod1", "p", store.ServerFailed, "", "the token has ended"
		got, err := s.FindWaiting(ctx, "i")
		if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(time.Time{})); diff != "" || err != nil {
			t.Errorf("FindWaiting: %v (-want +got):\n%s", err, diff)
		}
		if n := servers(t, s); n != 1 {
			t.Errorf("%d servers count, want 1: it is there until it is deleted", n)
		}
		if ok, err := s.RemoveWaiting(ctx, "i"); !ok || err != nil {
			t.Errorf("RemoveWaiting = %v, %v", ok, err)
		}
	})
}

// TestAliasesMissNone: whoever reads while others write reads each alias, though
// he asks only for those behind the last.
func TestAliasesMissNone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Pods(t, s, "pod1")
		const n = 9
		var writing sync.WaitGroup
		for i := range n {
			id := fmt.Sprint(i)
			wait(t, s, id)
			writing.Go(func() {
				if _, err := s.SettleWaiting(t.Context(), server(id, "pod1", "p", 0), uuid.NewString()); err != nil {
					t.Error(err)
				}
			})
		}
		done := make(chan struct{})
		go func() { writing.Wait(); close(done) }()
		seen := map[string]bool{}
		var last int64
		read := func() {
			all, err := s.AliasesAfter(context.WithoutCancel(t.Context()), "pod1", last)
			if err != nil {
				t.Error(err)
			}
			for _, a := range all {
				seen[a.ID], last = true, a.Seq
			}
		}
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			read()
		}
		if len(seen) != n {
			t.Errorf("%d aliases were read, want %d", len(seen), n)
		}
	})
}
