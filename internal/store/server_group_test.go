package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func addServerGroup(t *testing.T, s *store.Store, name string) store.ServerGroup {
	t.Helper()
	g, err := s.CreateServerGroup(t.Context(), store.ServerGroup{ProjectID: "p", UserID: "u", Name: name, Policy: "anti-affinity", MaxPerHost: 2})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// member begins the creation of a server in the group.
func member(t *testing.T, s *store.Store, intent, group, pod string) error {
	t.Helper()
	in := creation
	in.ID, in.Pod, in.ServerGroup = intent, pod, group
	_, err := s.Begin(t.Context(), in)
	return err
}

func TestServerGroups(t *testing.T) {
	t.Parallel()
	now := newClock()
	storetest.EachAt(t, now.Now, func(t *testing.T, s *store.Store) {
		a, b := addServerGroup(t, s, "a"), addServerGroup(t, s, "b")
		other, err := s.CreateServerGroup(t.Context(), store.ServerGroup{ProjectID: "q", UserID: "v", Name: "c", Policy: "affinity"})
		if err != nil {
			t.Fatal(err)
		}
		want := []store.ServerGroup{a, b}
		if a.ID > b.ID {
			want = []store.ServerGroup{b, a} // made at the same time
		}
		if got, err := s.ListServerGroups(t.Context(), "p"); err != nil || !cmp.Equal(want, got) {
			t.Errorf("ListServerGroups(p) = %+v, %v; want %+v", got, err, want)
		}
		if got, err := s.ListServerGroups(t.Context(), ""); err != nil || len(got) != 3 {
			t.Errorf("ListServerGroups of all = %+v, %v; want 3", got, err)
		}
		if got, err := s.FindServerGroup(t.Context(), other.ID); err != nil || !cmp.Equal(other, got) {
			t.Errorf("FindServerGroup = %+v, %v; want %+v", got, err, other)
		}
		if err := s.DeleteServerGroup(t.Context(), other.ID); err != nil {
			t.Error(err)
		}
		for _, err := range []error{s.DeleteServerGroup(t.Context(), other.ID), notFound(s.FindServerGroup(t.Context(), other.ID))} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("a deleted group: %v, want NotFound", err)
			}
		}
		if n, err := s.CountServerGroups(t.Context(), "p", ""); n != 2 || err != nil {
			t.Errorf("CountServerGroups = %d, %v; want 2", n, err)
		}
	})
}

func notFound(_ store.ServerGroup, err error) error { return err }

// TestServerGroupQuota: of many at once as many are made as there may be, of the
// project and of the user.
func TestServerGroupQuota(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		setQuota(t, s, "", quota.Amounts{"server_groups": 7})
		setQuota(t, s, "u", quota.Amounts{"server_groups": 5})
		for _, user := range []string{"u", "v"} {
			want := map[string]int{"u": 5, "v": 2}[user]
			made, failed := inParallel(16, func(int) (store.ServerGroup, error) {
				return s.CreateServerGroup(t.Context(), store.ServerGroup{ProjectID: "p", UserID: user, Name: "g", Policy: "affinity"})
			})
			for _, err := range failed {
				if !fault.Is(err, fault.OverQuota) {
					t.Errorf("%v, want OverQuota", err)
				}
			}
			if n, err := s.CountServerGroups(t.Context(), "p", user); len(made) != want || n != int64(want) || err != nil {
				t.Errorf("user %s has %d groups, %d were made (%v), want %d", user, n, len(made), err, want)
			}
		}
	})
}

// TestServerGroupHasOnePod follows a group through its pods: the first member
// decides, the last one frees it.
func TestServerGroupHasOnePod(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		jobs := &recorder{}
		s.SetEnqueuer(jobs)
		g := addServerGroup(t, s, "g")
		in1, in2 := store.Target{Kind: store.KindServerGroup, ID: g.ID, Pod: "pod1"}, store.Target{Kind: store.KindServerGroup, ID: g.ID, Pod: "pod2"}
		state := func(what, pod string, members ...string) {
			t.Helper()
			got, err := s.FindServerGroup(ctx, g.ID)
			if err != nil || got.Pod != pod || !slices.Equal(got.Members, members) {
				t.Errorf("%s: the group is in pod %q with members %v (%v), want %q, %v", what, got.Pod, got.Members, err, pod, members)
			}
		}
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		state("new", "")
		ok(member(t, s, "i1", g.ID, "pod1"))
		state("a first member is on its way", "pod1")
		if got := jobs.take(); !slices.Contains(got, in1) {
			t.Errorf("jobs = %v, want one for %v", got, in1)
		}
		err := member(t, s, "i2", g.ID, "pod2")
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != store.GroupElsewhere {
			t.Errorf("a second in another pod: %v, want %s", err, store.GroupElsewhere)
		}
		ok(s.Abandon(ctx, "i1"))
		state("the first failed", "")
		if m, err := s.FindMapping(ctx, in1); err != nil || m.Wanted {
			t.Errorf("mapping = %+v, %v; want it unwanted", m, err)
		}
		ok(member(t, s, "i2", g.ID, "pod2"))
		ok(member(t, s, "i3", g.ID, "pod2"))
		ok(s.Settle(ctx, "i2", server("s2", "pod2", "p", 0)))
		ok(s.Settle(ctx, "i2", server("s2", "pod2", "p", 0)))
		ok(s.Abandon(ctx, "i3"))
		state("one of two failed", "pod2", "s2")
		ok(member(t, s, "i4", g.ID, "pod2"))
		ok(s.Unwant(ctx, store.KindServer, "s2"))
		state("a member is being deleted", "pod2", "s2")
		ok(s.Forget(ctx, store.Target{Kind: store.KindServer, ID: "s2", Pod: "pod2"}))
		state("a member is gone, another on its way", "pod2")
		ok(s.Settle(ctx, "i4", server("s4", "pod2", "p", 0)))
		state("a new member", "pod2", "s4")
		jobs.take()
		ok(s.DropEntry(ctx, store.KindServer, "s4"))
		state("the last member is gone", "")
		if got := jobs.take(); !slices.Contains(got, in2) {
			t.Errorf("jobs = %v, want one for %v", got, in2)
		}
	})
}

func TestServerGroupDeleted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1")
		g := addServerGroup(t, s, "g")
		if err := member(t, s, "i1", g.ID, "pod1"); err != nil {
			t.Fatal(err)
		}
		if err := member(t, s, "i2", g.ID, "pod1"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteServerGroup(ctx, g.ID); err != nil {
			t.Fatal(err)
		}
		if m, err := s.FindMapping(ctx, store.Target{Kind: store.KindServerGroup, ID: g.ID, Pod: "pod1"}); err != nil || m.Wanted {
			t.Errorf("mapping = %+v, %v; want it unwanted", m, err)
		}
		// What was under way ends as it would without a group.
		if err := s.Settle(ctx, "i1", server("s1", "pod1", "p", 0)); err != nil {
			t.Errorf("Settle: %v", err)
		}
		if err := s.Abandon(ctx, "i2"); err != nil {
			t.Errorf("Abandon: %v", err)
		}
		if err := member(t, s, "i3", g.ID, "pod1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Begin in a deleted group: %v, want NotFound", err)
		}
		if err := s.DropEntry(ctx, store.KindServer, "s1"); err != nil {
			t.Error(err)
		}
	})
}

// TestServerGroupCrowd: of many first members that were to go to two pods all
// that get in are in one, while others of them fail and free it again.
func TestServerGroupCrowd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		setQuota(t, s, "", quota.Amounts{"instances": -1})
		for round := range 5 {
			g := addServerGroup(t, s, fmt.Sprint("g", round))
			in, failed := inParallel(64, func(i int) (string, error) {
				pod := fmt.Sprint("pod", i%2+1)
				id := fmt.Sprint("i", round, "-", i)
				err := member(t, s, id, g.ID, pod)
				if err == nil && i%5 == 0 {
					return "", s.Abandon(ctx, id)
				}
				if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == store.GroupElsewhere {
					return "", nil
				}
				return pod, err
			})
			if len(failed) > 0 {
				t.Fatal(failed)
			}
			pods := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(in))), func(p string) bool { return p == "" })
			now, err := s.FindServerGroup(ctx, g.ID)
			if err != nil || len(pods) > 1 || len(pods) == 1 && pods[0] != now.Pod {
				t.Fatalf("members in pods %v, the group in %q (%v)", pods, now.Pod, err)
			}
			wanted := 0
			mappings, err := s.ListMappings(ctx, store.MappingQuery{Kind: store.KindServerGroup, ID: g.ID})
			for _, m := range mappings {
				if m.Wanted {
					wanted++
				}
			}
			if err != nil || len(pods) == 1 && wanted != 1 {
				t.Fatalf("mappings %+v (%v), want one wanted", mappings, err)
			}
		}
	})
}
