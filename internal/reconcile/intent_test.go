package reconcile_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
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
