package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// firstMember makes a group whose first server is being created in pod1.
func (w *world) firstMember() (store.Target, store.Intent) {
	w.t.Helper()
	g, err := w.store.CreateServerGroup(w.t.Context(), store.ServerGroup{ProjectID: w.project, UserID: "u", Name: "g", Policy: "soft-affinity"})
	if err != nil {
		w.t.Fatal(err)
	}
	in := store.Intent{ID: uuid.NewString(), Kind: store.KindServer, Pod: "pod1", ProjectID: w.project, ServerGroup: g.ID}
	if _, err := w.store.Begin(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
	return store.Target{Kind: store.KindServerGroup, ID: g.ID, Pod: "pod1"}, in
}

func (w *world) demo() identity.Caller {
	return identity.Caller{ProjectID: w.project, Token: w.cloud.Token("demo", "demo")}
}

func (w *world) serverGroups() []string { return w.cloud.Pod("pod1").Inventory()["server_group"] }

// TestServerGroupMadeOnce: many users of two replicas wait for one group.
func TestServerGroupMadeOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		target, in := w.firstMember()
		replicas := []*reconcile.Reconciler{w.Reconciler}
		w.restart()
		replicas = append(replicas, w.Reconciler)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if err := replicas[i%2].EnsureAs(context.Background(), w.demo(), target); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		m, err := s.FindMapping(t.Context(), target)
		if err != nil || !slices.Equal(w.serverGroups(), []string{m.PodID}) {
			t.Errorf("groups in the pod %v, mapping %+v, %v", w.serverGroups(), m, err)
		}
		if err := s.Abandon(t.Context(), in.ID); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if got := w.serverGroups(); len(got) != 0 {
			t.Errorf("groups left: %v", got)
		}
	})
}

// TestServerGroupJobWaits: a job cannot make a group, since it would be in the
// wrong project, but takes over one that was made.
func TestServerGroupJobWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	target, in := w.firstMember()
	if _, ok := errors.AsType[*jobs.Again](w.Ensure(t.Context(), target, nil)); !ok || len(w.serverGroups()) != 0 {
		t.Fatalf("a job made %v", w.serverGroups())
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/os-server-groups$`, Times: 1,
		After: func(*http.Request) { cancel() }})
	if err := w.EnsureAs(ctx, w.demo(), target); err == nil {
		t.Fatal("the user got an answer that was lost")
	}
	w.cloud.Pod("pod1").Settle()
	made := w.serverGroups()
	if err := w.Ensure(t.Context(), target, nil); err != nil {
		t.Fatal(err)
	}
	m, err := w.store.FindMapping(t.Context(), target)
	if err != nil || len(made) != 1 || m.PodID != made[0] {
		t.Errorf("mapping %+v, %v; want group %v", m, err, made)
	}
	if err := w.EnsureAs(t.Context(), w.demo(), target); err != nil || len(w.serverGroups()) != 1 {
		t.Errorf("%v, groups %v", err, w.serverGroups())
	}
	if err := w.store.Abandon(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	w.settle()
}

// TestServerGroupDoubles: of the groups that lost replies left, one stays; those
// of others that happen to have its name are not touched.
func TestServerGroupDoubles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	target, in := w.firstMember()
	name := "tricircle:server_group:" + target.ID
	first, _, strangers := w.podGroup("demo", name), w.podGroup("demo", name), w.podGroup("alt", name)
	other := w.podGroup("demo", "mine")
	if err := w.store.Try(t.Context(), target, w.project); err != nil {
		t.Fatal(err)
	}
	if err := w.EnsureAs(t.Context(), w.demo(), target); err != nil {
		t.Fatal(err)
	}
	want := []string{first, strangers, other}
	slices.Sort(want)
	if got := w.serverGroups(); !slices.Equal(got, want) {
		t.Errorf("groups = %v, want %v", got, want)
	}
	if err := w.store.Abandon(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.serverGroups(); len(got) != 2 || slices.Contains(got, first) {
		t.Errorf("groups in the end = %v", got)
	}
}

// TestServerGroupRefused: a pod that refuses has nothing to be looked for in.
func TestServerGroupRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	target, in := w.firstMember()
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/os-server-groups$`, Status: 403,
		Body: `{"forbidden": {"code": 403, "message": "Quota exceeded, too many server groups."}}`})
	err := w.EnsureAs(t.Context(), w.demo(), target)
	if !fault.Is(err, fault.OverQuota) && !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), "too many server groups") {
		t.Errorf("EnsureAs: %v", err)
	}
	if m, err := w.store.FindMapping(t.Context(), target); err != nil || m.Tried {
		t.Errorf("mapping %+v, %v; want it untried", m, err)
	}
	if err := w.store.Abandon(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Ensure(t.Context(), target, nil); err != nil {
		t.Errorf("giving up what never was: %v", err)
	}
}

// podGroup makes a group in pod1 directly.
func (w *world) podGroup(user, name string) string {
	w.t.Helper()
	before := w.serverGroups()
	body := strings.NewReader(`{"server_group": {"name": "` + name + `", "policies": ["affinity"]}}`)
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.cloud.Pod("pod1").URL(podtest.Compute)+"/v2.1/os-server-groups", body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", w.cloud.Token(user, user))
	req.Header.Set("Content-Type", "application/json")
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for _, id := range w.serverGroups() {
		if !slices.Contains(before, id) {
			return id
		}
	}
	w.t.Fatalf("no group made: %s", resp.Status)
	return ""
}
