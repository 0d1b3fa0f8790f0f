package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestPod(t *testing.T) {
	t.Parallel()
	now := newClock()
	storetest.EachAt(t, now.Now, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		in := store.Pod{Name: "eu-2", Region: "EU2", Zone: "az1", PodZone: "nova", Cloud: "eu", Interface: "internal", DHCPPorts: 2, Cordoned: true, Drift: store.DriftRepair}
		want := in
		want.CreatedAt, want.UpdatedAt = now.Now(), now.Now()
		made, err := s.CreatePod(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.FindPod(ctx, "eu-2")
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]store.Pod{"CreatePod": made, "FindPod": found} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if _, err := s.CreatePod(ctx, in); !fault.Is(err, fault.Conflict) {
			t.Errorf("CreatePod of a name taken: %v, want Conflict", err)
		}
		if _, err := s.CreatePod(ctx, store.Pod{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("CreatePod without a name: %v, want Invalid", err)
		}
		updated, err := s.UpdatePod(ctx, "eu-2", func(p *store.Pod) error { p.Cordoned, p.Name = false, "renamed"; return nil })
		if err != nil || updated.Cordoned || updated.Name != "eu-2" {
			t.Errorf("UpdatePod = %+v, %v; want it uncordoned, its name kept", updated, err)
		}
		if _, err := s.UpdatePod(ctx, "no", func(*store.Pod) error { return nil }); !fault.Is(err, fault.NotFound) {
			t.Errorf("UpdatePod of none: %v, want NotFound", err)
		}
		plain, err := s.CreatePod(ctx, store.Pod{Name: "a"})
		if err != nil || plain.Interface != "public" || plain.DHCPPorts != 1 {
			t.Errorf("CreatePod = %+v, %v; want the defaults", plain, err)
		}
	})
}

func TestDeletePod(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		if _, err := s.Want(ctx, "project", netIn1, store.Target{Kind: store.KindSecurityGroup, ID: "g", Pod: "pod1"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Record(ctx, store.Entry{Kind: store.KindServer, ID: "s1", Pod: "pod1"}, store.Entry{Kind: store.KindServer, ID: "s2", Pod: "pod1"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Begin(ctx, store.Intent{ID: "i", Kind: store.KindServer, Pod: "pod1"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Bind(ctx, "project", "az1", "pod1"); err != nil {
			t.Fatal(err)
		}
		err := s.DeletePod(ctx, "pod1")
		const want = "pod pod1 still has 1 unfinished creation, 1 network, 1 security group, 2 servers"
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), want) {
			t.Errorf("DeletePod = %v, want Conflict: %s", err, want)
		}
		for _, kind := range []string{store.KindNetwork, store.KindSecurityGroup} {
			id := map[string]string{store.KindNetwork: "n", store.KindSecurityGroup: "g"}[kind]
			if err := s.Unwant(ctx, kind, id); err != nil {
				t.Fatal(err)
			}
			if err := s.Forget(ctx, store.Target{Kind: kind, ID: id, Pod: "pod1"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"s1", "s2"} {
			if err := s.DropEntry(ctx, store.KindServer, id); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Abandon(ctx, "i"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeletePod(ctx, "pod1"); err != nil {
			t.Errorf("DeletePod of an empty one: %v", err)
		}
		if err := s.DeletePod(ctx, "pod1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("DeletePod of none: %v, want NotFound", err)
		}
		if _, err := s.FindBinding(ctx, "project", "az1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("its binding: %v, want NotFound", err)
		}
	})
}

func TestBinding(t *testing.T) {
	t.Parallel()
	now := newClock()
	storetest.EachAt(t, now.Now, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		if _, err := s.FindBinding(ctx, "p", "az1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindBinding before: %v, want NotFound", err)
		}
		for _, pod := range []string{"pod1", "pod2", "pod2"} {
			if err := s.Bind(ctx, "p", "az1", pod); err != nil {
				t.Fatal(err)
			}
			now.Advance(time.Second)
		}
		if err := s.Bind(ctx, "p", "az1", "pod9"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Bind to no pod: %v, want NotFound", err)
		}
		if b, err := s.FindBinding(ctx, "p", "az1"); err != nil || b.Pod != "pod2" {
			t.Errorf("FindBinding = %+v, %v; want the last", b, err)
		}
		want := []store.Binding{{ProjectID: "p", Zone: "az1", Pod: "pod2"}, {ProjectID: "p", Zone: "az1", Pod: "pod1"}}
		for _, project := range []string{"p", ""} {
			if got, err := s.ListBindings(ctx, project); err != nil || !cmp.Equal(want, got, cmpopts.IgnoreFields(store.Binding{}, "BoundAt")) {
				t.Errorf("ListBindings(%q) = %v, %v; want %v", project, got, err, want)
			}
		}
	})
}
