package reconcile_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// partners are the projects with which the pod shares the network by name.
func (w *world) partners(podName string) []string {
	all := []string{}
	for _, o := range w.cloud.Pod(podName).Objects("rbac_policy") {
		all = append(all, o["target_tenant"].(string))
	}
	slices.Sort(all)
	return all
}

// TestSharingReachesThePods: who the region shares a network with may use it in
// the pods too, and no longer when that ends.
func TestSharingReachesThePods(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/24")
		share := func(target string) string {
			t.Helper()
			made, err := s.CreateRBACPolicies(t.Context(), []topology.RBACPolicy{{ProjectID: w.project, ObjectType: "network", ObjectID: net.ID,
				Action: topology.AccessAsShared, Target: target}}, func(string) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			return made[0].ID
		}
		first := share("one")
		w.mustWant(portIn(w.ports(net.ID, 1)[0], "pod1"))
		if diff := cmp.Diff([]string{"one"}, w.partners("pod1")); diff != "" {
			t.Errorf("a new network: %s", diff)
		}
		share("two")
		if err := s.DeleteRBACPolicy(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.settle() // once more changes nothing
		if diff := cmp.Diff([]string{"two"}, w.partners("pod1")); diff != "" {
			t.Errorf("after a change: %s", diff)
		}
		if got := w.partners("pod2"); len(got) != 0 {
			t.Errorf("a pod without the network shares it: %v", got)
		}
	})
}

func TestAccesses(t *testing.T) {
	t.Parallel()
	give, gone := plan.Accesses([]string{"a", "b"}, []plan.Access{{ID: "1", Target: "*"}, {ID: "2", Target: "b"}, {ID: "3", Target: "c"}})
	if diff := cmp.Diff([]string{"a"}, give); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]plan.Access{{ID: "3", Target: "c"}}, gone); diff != "" {
		t.Error(diff)
	}
}
