package reconcile

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// kindNetworkQuota is the quota of a project in a pod's own Neutron. What the region
// has admitted must find room there, with what the region needs beside it, such as
// DHCP ports. So a pod has no limit for a project that comes to it.
const kindNetworkQuota = quota.Network + "_quota"

// serviceProject is the target of the service account's own project, which may be
// another in each pod.
const serviceProject = "service"

// liftQuota has the project's quota in the pod lifted before the first thing of the
// project is made there. If the pod refuses there may be room all the same, and the
// job goes on trying.
func (r *Reconciler) liftQuota(ctx context.Context, project, podName string) error {
	if r.keep {
		return nil
	}
	t := store.QuotaTarget(quota.Network, cmp.Or(project, serviceProject), podName)
	pending, err := r.store.Want(ctx, project, t)
	if err == nil && len(pending) > 0 {
		err = r.Ensure(ctx, t, nil)
	}
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Invalid) {
		r.log.WarnContext(ctx, "cannot lift a project's quota in a pod", "project", t.ID, "pod", podName, "error", err)
		return nil
	}
	return err
}

// networkQuota sets all limits of the project in the pod to unlimited, or takes that
// back, so that the pod's defaults hold there.
func (r *Reconciler) networkQuota(ctx context.Context, c *pod.Client, m store.Mapping) error {
	project := m.ID
	if project == serviceProject {
		var err error
		if project, err = c.Account.ProjectID(ctx); err != nil {
			return err
		}
	}
	call := func(method, op string, in, out any) error {
		return c.JSON(ctx, pod.Request{Service: pod.Network, Method: method, Path: "/quotas/" + url.PathEscape(project), Op: op}, in, out)
	}
	if !m.Wanted {
		if err := call(http.MethodDelete, "delete quota", nil, nil); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		return r.store.Forget(ctx, m.Target)
	}
	var has struct {
		Quota map[string]int64 `json:"quota"`
	}
	err := call(http.MethodGet, "show quota", nil, &has)
	if fault.Is(err, fault.NotFound) {
		return nil // a pod without quotas
	}
	if err != nil {
		return err
	}
	unlimited := map[string]int64{}
	for name, n := range has.Quota {
		if n >= 0 {
			unlimited[name] = quota.Unlimited
		}
	}
	if len(unlimited) == 0 {
		return nil
	}
	return call(http.MethodPut, "set quota", map[string]any{"quota": unlimited}, nil)
}
