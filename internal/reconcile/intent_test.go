package reconcile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestCrashAfterMove: pod1 refused, the creation was moved to pod2, pod2 made the
// server, and the process died. The job of pod1, which still waits, must neither
// end the creation nor look for the server in the wrong pod; that of pod2 finds it.
func TestCrashAfterMove(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		in := store.Intent{ID: uuid.NewString(), Kind: store.KindServer, Pod: "pod1", ProjectID: w.project, Name: "web", Zone: "az1"}
		if _, err := s.Begin(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		if err := s.MoveIntent(t.Context(), in.ID, "pod2", "az2"); err != nil {
			t.Fatal(err)
		}
		id := w.serverWithMark("pod2", in.ID)
		w.restart()
		first, second := in.Target(), in.Target()
		second.Pod = "pod2"
		if err := w.Ensure(t.Context(), first, nil); err != nil {
			t.Errorf("the first pod's job: %v", err)
		}
		if got, err := s.FindIntent(t.Context(), in.ID); err != nil || got.Pod != "pod2" {
			t.Errorf("after the first pod's job: %+v, %v", got, err)
		}
		if err := w.Ensure(t.Context(), second, nil); err != nil {
			t.Errorf("the second pod's job: %v", err)
		}
		e, err := s.FindEntry(t.Context(), store.KindServer, id)
		if err != nil || e.Pod != "pod2" || e.Zone != "az2" {
			t.Errorf("the index has %+v, %v", e, err)
		}
		if _, err := s.FindIntent(t.Context(), in.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("the intent: %v, want that it is settled", err)
		}
	})
}

// interrupted does something once, when a job of the pod has read what is wanted and
// is about to act.
type interrupted struct {
	*fleet.Fleet
	pod  string
	once *sync.Once
	do   func()
}

func (p interrupted) Client(ctx context.Context, name string) (*pod.Client, error) {
	if name == p.pod {
		p.once.Do(p.do)
	}
	return p.Fleet.Client(ctx, name)
}

// TestRetreatMeetsAJob: while a port's job begins, the pod refuses its server, and the
// creation moves on. The job must not bring the port's network back: it would be
// tried for ever, or stay.
func TestRetreatMeetsAJob(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		n := w.network("blue", "10.1.0.0/24")
		before := w.cloud.Pod("pod1").Inventory()
		in := store.Intent{ID: uuid.NewString(), Kind: store.KindServer, Pod: "pod1", ProjectID: w.project, Name: "web", Zone: "az1"}
		p := w.ports(n.ID, 1)[0]
		in.Ports = []string{p.ID}
		if _, err := s.Begin(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		there := portIn(p, "pod1")
		if _, err := s.Want(t.Context(), w.project, there, store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: "pod1"}); err != nil {
			t.Fatal(err)
		}
		w.Reconciler = reconcile.New(reconcile.Options{Store: s, Holder: uuid.NewString(), Pods: interrupted{w.fleet, "pod1", new(sync.Once), func() {
			if err := s.MoveIntent(t.Context(), in.ID, "pod2", "az2"); err != nil {
				t.Error(err)
			}
		}}})
		if err := w.Ensure(t.Context(), there, nil); err != nil {
			t.Errorf("the port's job: %v", err)
		}
		w.settle()
		left, err := s.ListMappings(t.Context(), store.MappingQuery{Pod: "pod1"})
		if err != nil || len(left) > 0 {
			t.Errorf("of the creation %v is left, %v", left, err)
		}
		if diff := cmp.Diff(before, w.cloud.Pod("pod1").Inventory()); diff != "" {
			t.Errorf("pod1 has (-before +after):\n%s", diff)
		}
	})
}

// serverWithMark makes a server in the pod as a creation does.
func (w *world) serverWithMark(podName, mark string) string {
	w.t.Helper()
	image := w.cloud.Pod(podName).AddImage(glance.Image{Name: "tiny"})
	body, err := json.Marshal(map[string]any{"server": map[string]any{"name": "web", "flavorRef": "1", "imageRef": image,
		"metadata": map[string]string{reconcile.MarkKey: mark}}})
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := w.fleet.Client(w.t.Context(), podName)
	if err != nil {
		w.t.Fatal(err)
	}
	by := w.demo()
	var out struct{ Server struct{ ID string } }
	err = client.JSON(w.t.Context(), pod.Request{Service: pod.Compute, Method: http.MethodPost, Path: "/servers", As: &by,
		Body: bytes.NewReader(body), Length: int64(len(body)), Header: http.Header{"Content-Type": {"application/json"}}, Op: "create server"}, nil, &out)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Server.ID
}
