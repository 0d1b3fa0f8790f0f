package reconcile_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/nova"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM+A7y+JsE1QcuLOITPpsD5/s+VJFPyqDx0PeCarcuqw me"

// made is a flavor that the region made.
func made() plan.Flavor {
	return plan.Flavor{ID: "f", Name: "f", RAM: 64, VCPUs: 1, Disk: 1, RxTx: 1, ExtraSpecs: map[string]string{"a": "1"}, Projects: []string{"p1", "p2"}}
}

func (w *world) keep(kind, id, name string, content json.RawMessage) {
	w.t.Helper()
	if err := w.store.KeepReplica(w.t.Context(), store.Replica{Kind: kind, ID: id, Name: name, Content: content, Everywhere: true}); err != nil {
		w.t.Fatal(err)
	}
}

// has is what the pod has of a kind, by ID.
func (w *world) has(kind, podName string) map[string]plan.Replica {
	w.t.Helper()
	all, err := w.ReplicasIn(w.t.Context(), kind, podName)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]plan.Replica{}
	for _, r := range all {
		out[r.ID] = r
	}
	return out
}

func (w *world) flavorIn(podName, id string) store.Target {
	return store.Target{Kind: store.KindFlavor, ID: id, Pod: podName}
}

// empty takes all flavors from a pod, as one that was just installed has none.
func (w *world) empty(podName string) {
	w.t.Helper()
	for _, id := range w.cloud.Pod(podName).Inventory()["flavor"] {
		w.operator(podName, http.MethodDelete, "/flavors/"+id, "")
	}
}

// operator does something in a pod, past the region.
func (w *world) operator(podName, method, path, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.cloud.Pod(podName).URL(podtest.Compute)+"/v2.1"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", w.cloud.Token("admin", "admin"))
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}

func (w *world) addThirdPod() {
	w.t.Helper()
	if _, err := w.store.AddPod(w.t.Context(), store.Pod{Name: "pod3", Region: podtest.Region("pod3"), Zone: "az3"}); err != nil {
		w.t.Fatal(err)
	}
	w.fleet.Changed()
}

// TestNewPodGetsWhatExists: an empty pod gets what the region made, with extra
// specs and access, what all pods have alike, and key pairs.
func TestNewPodGetsWhatExists(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := worldOf(t, s, podtest.Options{Pods: []string{"pod1", "pod2", "pod3"}}, "pod1", "pod2")
		w.empty("pod3")
		w.keep(store.KindFlavor, "f", "f", made().Content())
		key := plan.Keypair{UserID: "someone", Name: "k", Type: "ssh", PublicKey: publicKey}
		w.keep(store.KindKeypair, "someone/k", "k", key.Content())
		w.settle()
		w.operator("pod1", http.MethodPost, "/os-keypairs", `{"keypair": {"name": "ignored", "public_key": "`+publicKey+`"}}`)
		w.cloud.Pod("pod1").AddFlavor(nova.Flavor{ID: "gpu", Name: "gpu", RAM: 64, VCPUs: 8, Disk: 1})
		common := w.has(store.KindFlavor, "pod2")

		w.addThirdPod()
		w.settle()
		if diff := cmp.Diff(common, w.has(store.KindFlavor, "pod3")); diff != "" {
			t.Errorf("flavors of the new pod (-want +got):\n%s", diff)
		}
		if _, ok := w.has(store.KindKeypair, "pod3")["someone/k"]; !ok {
			t.Error("the new pod has not the key pair")
		}
	})
}

// TestNewPodWithFlavorsOfItsOwn keeps to them, but gets what the region made.
func TestNewPodWithFlavorsOfItsOwn(t *testing.T) {
	t.Parallel()
	w := worldOf(t, storetest.New(t), podtest.Options{Pods: []string{"pod1", "pod2", "pod3"}}, "pod1", "pod2")
	want := w.has(store.KindFlavor, "pod1")
	for _, name := range []string{"pod1", "pod2"} {
		w.cloud.Pod(name).AddFlavor(nova.Flavor{ID: "x", Name: "x", RAM: 64, VCPUs: 8, Disk: 1})
	}
	w.keep(store.KindFlavor, "f", "f", made().Content())
	w.settle()
	w.addThirdPod()
	w.settle()
	want["f"] = made().Replica()
	if diff := cmp.Diff(want, w.has(store.KindFlavor, "pod3")); diff != "" {
		t.Errorf("flavors of the new pod (-want +got):\n%s", diff)
	}
}

// TestNewPodWaitsForTheOthers: what all have is known only when all are there.
// What the region made comes at once.
func TestNewPodWaitsForTheOthers(t *testing.T) {
	t.Parallel()
	w := worldOf(t, storetest.New(t), podtest.Options{Pods: []string{"pod1", "pod2", "pod3"}}, "pod1", "pod2")
	w.empty("pod3")
	w.keep(store.KindFlavor, "f", "f", made().Content())
	w.settle()
	w.cloud.Pod("pod2").Down()
	w.addThirdPod()
	catalog := store.Target{Kind: store.KindCatalog, ID: "pod3", Pod: "pod3"}
	if err := w.Ensure(t.Context(), catalog, nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the catalog with pod2 away: %v", err)
	}
	if err := w.Ensure(t.Context(), w.flavorIn("pod3", "f"), nil); err != nil {
		t.Error(err)
	}
	if has := w.has(store.KindFlavor, "pod3"); len(has) != 1 {
		t.Errorf("pod3 has %v, want f alone", has)
	}
	w.cloud.Pod("pod2").Up()
	w.settle()
	if diff := cmp.Diff(w.has(store.KindFlavor, "pod1"), w.has(store.KindFlavor, "pod3")); diff != "" {
		t.Errorf("flavors of the new pod (-want +got):\n%s", diff)
	}
}

// TestFlavorIsMadeInPieces: whatever call fails, the next run finishes it, and
// the flavor is made once.
func TestFlavorIsMadeInPieces(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]podtest.Fault{
		"reply lost":        {Method: http.MethodPost, Path: "/flavors$", DropReply: true},
		"request lost":      {Method: http.MethodPost, Path: "/flavors$", DropRequest: true},
		"specs fail":        {Method: http.MethodPost, Path: "/os-extra_specs$", Status: 500},
		"specs' reply lost": {Method: http.MethodPost, Path: "/os-extra_specs$", DropReply: true},
		"second access":     {Method: http.MethodPost, Path: "/action$", Nth: 2, Status: 503},
		"access reply lost": {Method: http.MethodPost, Path: "/action$", DropReply: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.New(t), podtest.Options{})
			f.Service, f.Times = podtest.Compute, 1
			w.cloud.Pod("pod1").Fault(f)
			w.keep(store.KindFlavor, "f", "f", made().Content())
			if err := w.Ensure(t.Context(), w.flavorIn("pod1", "f"), nil); err == nil {
				t.Fatal("the first run succeeded")
			}
			w.restart()
			w.settle()
			for _, p := range []string{"pod1", "pod2"} {
				if diff := cmp.Diff(made().Replica(), w.has(store.KindFlavor, p)["f"]); diff != "" {
					t.Errorf("in %s (-want +got):\n%s", p, diff)
				}
			}
		})
	}
}

// TestTwoReplicasBringAFlavor: of many who want it in the pod, in two processes,
// one makes it.
func TestTwoReplicasBringAFlavor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		first := w.Reconciler
		w.restart()
		w.keep(store.KindFlavor, "f", "f", made().Content())
		var wg sync.WaitGroup
		for _, r := range []*reconcile.Reconciler{first, w.Reconciler} {
			for range 5 {
				wg.Go(func() {
					if err := r.Ensure(context.WithoutCancel(t.Context()), w.flavorIn("pod1", "f"), nil); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		calls := w.cloud.Pod("pod1").Calls()
		calls = slices.DeleteFunc(calls, func(c podtest.Call) bool {
			return c.Method != http.MethodPost || !strings.HasSuffix(c.Path, "/flavors")
		})
		if len(calls) != 1 {
			t.Errorf("%d creations, want 1", len(calls))
		}
	})
}

// TestDriftIsLeftAlone: no run touches what an operator changed, until a repair.
func TestDriftIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	w.keep(store.KindFlavor, "f", "f", made().Content())
	w.settle()
	w.operator("pod2", http.MethodDelete, "/flavors/f", "")
	w.operator("pod2", http.MethodPost, "/flavors", `{"flavor": {"id": "f", "name": "f", "ram": 64, "vcpus": 4, "disk": 1}}`)
	if err := w.store.Touch(t.Context(), store.KindFlavor, "f"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.has(store.KindFlavor, "pod2")["f"].Fields["vcpus"]; got != "4" {
		t.Errorf("pod2 has %s vcpus, want the operator's 4", got)
	}
	if _, err := w.Repair(t.Context(), reconcile.Repair{Kind: store.KindFlavor, Name: "f"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("repair without leave to replace: %v", err)
	}
	// pod1's word is the record's; the reply to the creation is lost on the way.
	w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Method: http.MethodPost, Path: "/flavors$", Times: 1, DropReply: true})
	done, err := w.Repair(t.Context(), reconcile.Repair{Kind: store.KindFlavor, Name: "f", Like: "pod1", Replace: true})
	if err != nil || len(done.Steps) != 1 || done.Steps[0].State != reconcile.RepairLater {
		t.Errorf("repair = %+v, %v, want that pod2 gets it later", done, err)
	}
	w.settle()
	if diff := cmp.Diff(made().Replica(), w.has(store.KindFlavor, "pod2")["f"]); diff != "" {
		t.Errorf("after the repair (-want +got):\n%s", diff)
	}
	// And the other way round, only a field.
	w.operator("pod2", http.MethodPost, "/flavors/f/os-extra_specs", `{"extra_specs": {"a": "2", "b": "3"}}`)
	if _, err := w.Repair(t.Context(), reconcile.Repair{Kind: store.KindFlavor, Name: "f", Like: "pod2"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.has(store.KindFlavor, "pod2")["f"], w.has(store.KindFlavor, "pod1")["f"]); diff != "" {
		t.Errorf("after the second repair (-want +got):\n%s", diff)
	}
}

// TestRepairOneKeyPair: key pairs of the same name in two pods.
func TestRepairOneKeyPair(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	for _, p := range []string{"pod1", "pod2"} {
		w.operator(p, http.MethodPost, "/os-keypairs", `{"keypair": {"name": "k"}}`)
	}
	user := w.cloud.UserID("admin")
	order := reconcile.Repair{Kind: store.KindKeypair, Name: "k", User: user, Like: "pod2", Replace: true, DryRun: true}
	plan, err := w.Repair(t.Context(), order)
	if err != nil || len(plan.Steps) != 1 || plan.Steps[0].State != reconcile.RepairPlanned {
		t.Fatalf("dry run = %+v, %v", plan, err)
	}
	order.DryRun = false
	for _, want := range []string{reconcile.RepairDone, reconcile.RepairNothing} { // twice
		done, err := w.Repair(t.Context(), order)
		if err != nil || done.Steps[0].State != want {
			t.Errorf("repair = %+v, %v, want %s", done, err, want)
		}
	}
	if diff := cmp.Diff(w.has(store.KindKeypair, "pod2"), w.has(store.KindKeypair, "pod1")); diff != "" {
		t.Errorf("key pairs (-pod2 +pod1):\n%s", diff)
	}
}
