package reconcile

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// The region decides about quotas. A pod counts for itself what is in it, and
// must not refuse what the region admitted: it gets the region's limits, which
// what is in one pod never exceeds.

// The kinds of targets that are quotas of Compute: a project's, and a class.
const (
	kindQuota      = quota.Compute + "_quota"
	kindQuotaClass = quota.Compute + "_quota_class"
)

// podLimits are the region's limits in the pod's terms: our mark is one more item
// of metadata. What only nova-network counted stays as it is.
func podLimits(region quota.Amounts) map[string]any {
	limits := map[string]any{}
	for name, n := range region {
		switch name {
		case "fixed_ips", "floating_ips", "security_groups", "security_group_rules":
			continue
		case "metadata_items":
			if n >= 0 {
				n++
			}
		}
		limits[name] = n
	}
	return limits
}

// regionLimits are a pod's limits in the region's terms, less what is no limit.
func regionLimits(in map[string]any) quota.Amounts {
	limits := quota.Amounts{}
	for _, name := range quota.Resources(quota.Compute) {
		n, ok := in[name].(float64)
		if !ok {
			continue
		}
		if name == "metadata_items" && n > 0 {
			n--
		}
		limits[name] = int64(n)
	}
	return limits
}

// quota brings a project's limits into the pod, or takes them back, so that the
// pod's defaults hold there.
func (r *Reconciler) quota(ctx context.Context, c *pod.Client, m store.Mapping) error {
	path := "/os-quota-sets/" + url.PathEscape(m.ID)
	if !m.Wanted {
		err := c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodDelete, Path: path, Op: "delete quota"}, nil, nil)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		return r.store.Forget(ctx, m.Target)
	}
	limits, err := r.store.Limits(ctx, store.QuotaOf{Service: quota.Compute, ProjectID: m.ID})
	if err != nil {
		return err
	}
	body := podLimits(limits)
	body["force"] = true // below what is in use there, if the operator said so
	err = c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodPut, Path: path, Op: "set quota"}, map[string]any{"quota_set": body}, nil)
	if fault.Is(err, fault.Invalid) && strings.Contains(err.Error(), "not a valid project") {
		return nil // the project is gone, and nobody can use its quota
	}
	return err
}

// quotaClass brings a class of quotas into the pod. Nova cannot delete one.
func (r *Reconciler) quotaClass(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		return r.store.Forget(ctx, m.Target)
	}
	limits, err := r.store.QuotaClass(ctx, quota.Compute, m.ID)
	if err != nil {
		return err
	}
	return c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodPut, Path: "/os-quota-class-sets/" + url.PathEscape(m.ID),
		Op: "set quota class"}, // in version 2.1, which takes all that a class has
		map[string]any{"quota_class_set": podLimits(limits)}, nil)
}

// LearnDefaults remembers what the pod gives projects of which nobody said
// anything. Version 2.50 shows all of it; to 2.1 server groups are unknown.
func (r *Reconciler) LearnDefaults(ctx context.Context, podName string) error {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return err
	}
	var out struct {
		Set map[string]any `json:"quota_class_set"`
	}
	show := pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "/os-quota-class-sets/default", Op: "show default quotas",
		Header: http.Header{"Openstack-Api-Version": {"compute 2.50"}, "X-Openstack-Nova-Api-Version": {"2.50"}}}
	err = c.JSON(ctx, show, nil, &out)
	if fault.Is(err, fault.NotAcceptable) {
		show.Header = nil
		err = c.JSON(ctx, show, nil, &out)
	}
	if err != nil {
		return err
	}
	return r.store.SetPodDefaults(ctx, quota.Compute, podName, regionLimits(out.Set))
}

// CureQuota gives the pod the region's limits of the project if it has lower
// ones. It reports whether it had: then what it refused is worth another try.
func (r *Reconciler) CureQuota(ctx context.Context, project, podName string) (bool, error) {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return false, err
	}
	var out struct {
		Set map[string]any `json:"quota_set"`
	}
	err = c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "/os-quota-sets/" + url.PathEscape(project), Op: "show quota"}, nil, &out)
	if err != nil {
		return false, err
	}
	has := regionLimits(out.Set)
	want, err := r.store.Limits(ctx, store.QuotaOf{Service: quota.Compute, ProjectID: project})
	if err != nil {
		return false, err
	}
	lower := false
	for name := range podLimits(want) {
		n, ok := has[name]
		lower = lower || ok && quota.Less(n, want[name])
	}
	if !lower {
		return false, nil
	}
	if err := r.store.LiftQuota(ctx, quota.Compute, project, podName); err != nil {
		return false, err
	}
	return true, r.Ensure(ctx, store.QuotaTarget(quota.Compute, project, podName), nil)
}
