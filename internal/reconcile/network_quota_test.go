package reconcile_test

import (
	"net/http"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// A project that comes to a pod has no limits of the pod's own in its way, from the
// first thing on, and the pod is told once. An operator's later word there stays.
func TestQuotaInAPodIsLifted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		pod1 := w.cloud.Pod("pod1")
		for _, resource := range []string{"network", "port", "security_group"} {
			pod1.Network.SetQuota(resource, 0)
		}
		net := w.network("blue", "10.0.0.0/24")
		ports := w.ports(net.ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		w.settle()
		for name, n := range pod1.Network.Quota(w.project) {
			if n != -1 {
				t.Errorf("%s = %v, want -1", name, n)
			}
		}
		if n := pod1.Network.Quota(w.cloud.ProjectID("alt"))["network"]; n != 0 {
			t.Errorf("another project's networks = %v, want 0: it has not come", n)
		}
		told := w.askedQuota(http.MethodPut, "pod1")
		w.mustWant(portIn(ports[1], "pod1"))
		w.settle()
		if got := w.askedQuota(http.MethodPut, "pod1"); told != 1 || got != told {
			t.Errorf("quota set %d times, then %d, want once", told, got)
		}
		// What is taken back gives the pod's defaults again.
		if err := s.Unwant(t.Context(), quota.Network+"_quota", w.project); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if n := pod1.Network.Quota(w.project)["network"]; n != 0 {
			t.Errorf("networks = %v after all, want 0", n)
		}
	})
}

// askedQuota counts the requests about quotas in the pod.
func (w *world) askedQuota(method, podName string) (n int) {
	for _, c := range w.cloud.Pod(podName).Calls() {
		if c.Service == podtest.Network && c.Method == method && len(c.Path) > 12 && c.Path[:12] == "/v2.0/quotas" {
			n++
		}
	}
	return n
}

// What refuses to be lifted keeps nobody from a pod that has room, and is tried again.
func TestQuotaThatCannotBeLifted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		pod1 := w.cloud.Pod("pod1")
		repair := pod1.Fault(podtest.Fault{Method: http.MethodPut, Path: "/quotas/", Status: http.StatusForbidden})
		net := w.network("blue", "10.0.0.0/24")
		w.mustWant(portIn(w.ports(net.ID, 1)[0], "pod1"))
		repair()
		w.settle()
		if n := pod1.Network.Quota(w.project)["rbac_policy"]; n != -1 {
			t.Errorf("limit = %v, want -1 once the pod allows it", n)
		}
	})
}

// An operator may want the pods' quotas to stay; and what belongs to no project of the
// region is the service account's.
func TestQuotaKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		pod1 := w.cloud.Pod("pod1")
		service := w.cloud.ProjectID("admin")
		w.mustWant(store.QuotaTarget(quota.Network, "service", "pod1"))
		if n := pod1.Network.Quota(service)["rbac_policy"]; n != -1 {
			t.Errorf("the service account's limit = %v, want -1", n)
		}
		w.Reconciler = reconcile.New(reconcile.Options{Store: s, Pods: w.fleet, KeepQuotas: true})
		net := w.network("blue", "10.0.0.0/24")
		w.mustWant(portIn(w.ports(net.ID, 1)[0], "pod1"))
		w.settle()
		if n := pod1.Network.Quota(w.project)["rbac_policy"]; n != 10 {
			t.Errorf("limit = %v, want the pod's own 10", n)
		}
	})
}
