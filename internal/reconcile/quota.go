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

// counter is a service of the pods that counts: the targets of its quotas are
// NAME_quota, a project's, and NAME_quota_class.
type counter struct {
	name    string
	service pod.Service
	// limits are the region's limits in the pod's terms, as far as they are for pods;
	// read is the way back.
	limits, read func(quota.Amounts) quota.Amounts
	// set writes a project's limits. A service may have conditions.
	set func(ctx context.Context, c *pod.Client, project string, limits quota.Amounts) error
	// version shows all of a class.
	version http.Header
}

func (of counter) project() string { return of.name + "_quota" }
func (of counter) class() string   { return of.name + "_quota_class" }

var counters = []counter{
	{name: quota.Compute, service: pod.Compute, limits: novaLimits, read: fromNova, set: setNovaQuota,
		version: http.Header{"Openstack-Api-Version": {"compute 2.50"}, "X-Openstack-Nova-Api-Version": {"2.50"}}},
	{name: quota.Volume, service: pod.Volume, limits: same, read: same, set: setCinderQuota},
}

// counterOf is the counter of the name; the names are ours.
func counterOf(name string) counter {
	for _, of := range counters {
		if of.name == name {
			return of
		}
	}
	return counter{name: name}
}

func same(limits quota.Amounts) quota.Amounts { return limits }

// novaLimits: our mark is one more item of metadata. What only nova-network counted
// stays as it is.
func novaLimits(region quota.Amounts) quota.Amounts {
	limits := quota.Amounts{}
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

func fromNova(limits quota.Amounts) quota.Amounts {
	if limits["metadata_items"] > 0 {
		limits["metadata_items"]--
	}
	return limits
}

// known are the numbers of a pod's set that the region knows of, in its terms.
func (of counter) known(set map[string]any) quota.Amounts {
	limits := quota.Amounts{}
	for name, value := range set {
		if n, ok := value.(float64); ok && quota.Is(of.name, name) {
			limits[name] = int64(n)
		}
	}
	return of.read(limits)
}

func quotaPath(project string) string { return "/os-quota-sets/" + url.PathEscape(project) }

// quota brings a project's limits into the pod, or takes them back, so that the
// pod's defaults hold there.
func (r *Reconciler) quota(of counter) actor {
	return func(ctx context.Context, c *pod.Client, m store.Mapping) error {
		if !m.Wanted {
			err := c.JSON(ctx, pod.Request{Service: of.service, Method: http.MethodDelete, Path: quotaPath(m.ID), Op: "delete quota"}, nil, nil)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			return r.store.Forget(ctx, m.Target)
		}
		limits, err := r.store.Limits(ctx, store.QuotaOf{Service: of.name, ProjectID: m.ID})
		if err != nil {
			return err
		}
		err = of.set(ctx, c, m.ID, of.limits(limits))
		if fault.Is(err, fault.Invalid) && strings.Contains(err.Error(), "not a valid project") {
			return nil // the project is gone, and nobody can use its quota
		}
		return err
	}
}

func setNovaQuota(ctx context.Context, c *pod.Client, project string, limits quota.Amounts) error {
	body := map[string]any{"force": true} // below what is in use there, if the operator said so
	for name, n := range limits {
		body[name] = n
	}
	return c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodPut, Path: quotaPath(project), Op: "set quota"}, map[string]any{"quota_set": body}, nil)
}

// setCinderQuota sets what the pod counts: it may lack a volume type, and refuses
// limits below what is in use there. Then what is in use is the limit.
func setCinderQuota(ctx context.Context, c *pod.Client, project string, limits quota.Amounts) error {
	var out struct {
		Set map[string]any `json:"quota_set"`
	}
	show := pod.Request{Service: pod.Volume, Method: http.MethodGet, Path: quotaPath(project), Query: url.Values{"usage": {"true"}}, Op: "show quota"}
	if err := c.JSON(ctx, show, nil, &out); err != nil {
		return err
	}
	body := quota.Amounts{}
	for name, n := range limits {
		has, ok := out.Set[name].(map[string]any)
		if !ok {
			continue
		}
		inUse, _ := has["in_use"].(float64)
		reserved, _ := has["reserved"].(float64)
		if n >= 0 {
			n = max(n, int64(inUse+reserved))
		}
		body[name] = n
	}
	return c.JSON(ctx, pod.Request{Service: pod.Volume, Method: http.MethodPut, Path: quotaPath(project), Op: "set quota"}, map[string]any{"quota_set": body}, nil)
}

// quotaClass brings a class of quotas into the pod. No service can delete one.
func (r *Reconciler) quotaClass(of counter) actor {
	return func(ctx context.Context, c *pod.Client, m store.Mapping) error {
		if !m.Wanted {
			return r.store.Forget(ctx, m.Target)
		}
		limits, err := r.store.QuotaClass(ctx, of.name, m.ID)
		if err != nil {
			return err
		}
		limits = of.limits(limits)
		if of.name == quota.Volume {
			has, err := of.showClass(ctx, c, m.ID)
			if err != nil {
				return err
			}
			for name := range limits {
				if _, ok := has[name]; !ok {
					delete(limits, name) // of a volume type that the pod lacks
				}
			}
		}
		return c.JSON(ctx, pod.Request{Service: of.service, Method: http.MethodPut, Path: "/os-quota-class-sets/" + url.PathEscape(m.ID),
			Op: "set quota class"}, // Compute's in version 2.1, which takes all that a class has
			map[string]any{"quota_class_set": limits}, nil)
	}
}

// showClass is what a class has in the pod.
func (of counter) showClass(ctx context.Context, c *pod.Client, class string) (quota.Amounts, error) {
	var out struct {
		Set map[string]any `json:"quota_class_set"`
	}
	show := pod.Request{Service: of.service, Method: http.MethodGet, Path: "/os-quota-class-sets/" + url.PathEscape(class), Op: "show default quotas",
		Header: of.version}
	err := c.JSON(ctx, show, nil, &out)
	if fault.Is(err, fault.NotAcceptable) {
		show.Header = nil
		err = c.JSON(ctx, show, nil, &out)
	}
	if err != nil {
		return nil, err
	}
	return of.known(out.Set), nil
}

// CureQuota gives the pod the region's limits of the project if it has lower
// ones. It reports whether it had: then what it refused is worth another try.
func (r *Reconciler) CureQuota(ctx context.Context, service, project, podName string) (bool, error) {
	of := counterOf(service)
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return false, err
	}
	var out struct {
		Set map[string]any `json:"quota_set"`
	}
	err = c.JSON(ctx, pod.Request{Service: of.service, Method: http.MethodGet, Path: quotaPath(project), Op: "show quota"}, nil, &out)
	if err != nil {
		return false, err
	}
	has := of.known(out.Set)
	want, err := r.store.Limits(ctx, store.QuotaOf{Service: service, ProjectID: project})
	if err != nil {
		return false, err
	}
	lower := false
	for name := range of.limits(want) {
		n, ok := has[name]
		lower = lower || ok && quota.Less(n, want[name])
	}
	if !lower {
		return false, nil
	}
	if err := r.store.LiftQuota(ctx, service, project, podName); err != nil {
		return false, err
	}
	return true, r.Ensure(ctx, store.QuotaTarget(service, project, podName), nil)
}
