package network

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// maxQuota is what fits into Neutron's column.
const maxQuota = 1<<31 - 1

func (a *api) quotas() []gateway.Route {
	one := "/quotas/{project}"
	routes := []gateway.Route{
		{Method: http.MethodGet, Pattern: "/quotas", Policy: "get_quota", Handle: a.listQuotas},
		{Method: http.MethodPost, Pattern: "/quotas", Strategy: gateway.Refused, Handle: noQuotaCreation, Note: "as in Neutron: quotas are set, not made"},
		{Method: http.MethodGet, Pattern: "/quotas/tenant", Handle: ownProject("tenant")},
		{Method: http.MethodGet, Pattern: "/quotas/project", Handle: ownProject("project")},
		{Method: http.MethodGet, Pattern: one, Policy: "get_quota", Handle: ofProject(a.showQuota)},
		{Method: http.MethodGet, Pattern: one + "/default", Policy: "get_quota", Handle: ofProject(a.showDefaultQuota)},
		{Method: http.MethodGet, Pattern: one + "/details", Policy: "get_quota", Handle: a.showQuotaDetails},
		{Method: http.MethodGet, Pattern: one + "/details.json", Policy: "get_quota", Handle: a.showQuotaDetails},
		{Method: http.MethodPut, Pattern: one, Policy: "update_quota", Handle: a.updateQuota},
		{Method: http.MethodDelete, Pattern: one, Policy: "delete_quota", Handle: a.deleteQuota},
	}
	for i := range routes {
		if routes[i].Strategy == "" {
			routes[i].Strategy = gateway.Central
		}
	}
	return routes
}

func noQuotaCreation(context.Context, identity.Caller, *gateway.Request) (*gateway.Reply, error) {
	return nil, fault.New(fault.Refused, "HTTPNotImplemented", "POST requests are not supported on this resource.")
}

// ownProject tells the caller which project he is in.
func ownProject(word string) gateway.Handler {
	return func(_ context.Context, by identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
		return gateway.JSON(http.StatusOK, map[string]any{word: map[string]any{word + "_id": by.ProjectID}}), nil
	}
}

// ofProject lets the project's own callers pass, and who may by the policy.
func ofProject(h gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if r.Param("project") != by.ProjectID {
			if err := allow(by, r); err != nil {
				return nil, err
			}
		}
		return h(ctx, by, r)
	}
}

func quotaOf(project string) store.QuotaOf {
	return store.QuotaOf{Service: quota.Network, ProjectID: project}
}

// listQuotas lists the quotas that are not the default.
func (a *api) listQuotas(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := allow(by, r); err != nil {
		return nil, err
	}
	sets, err := a.Store.QuotaSets(ctx, quota.Network)
	if err != nil {
		return nil, err
	}
	defaults, err := a.Store.Defaults(ctx, quota.Network)
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, project := range slices.Sorted(maps.Keys(sets)) {
		m := map[string]any{"project_id": project, "tenant_id": project}
		for name, limit := range defaults.With(sets[project]) {
			m[name] = limit
		}
		all = append(all, m)
	}
	return gateway.JSON(http.StatusOK, map[string]any{"quotas": all}), nil
}

func (a *api) showQuota(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	limits, err := a.Store.Limits(ctx, quotaOf(r.Param("project")))
	return gateway.JSON(http.StatusOK, map[string]any{"quota": limits}), err
}

func (a *api) showDefaultQuota(ctx context.Context, _ identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	limits, err := a.Store.Defaults(ctx, quota.Network)
	return gateway.JSON(http.StatusOK, map[string]any{"quota": limits}), err
}

// showQuotaDetails shows what is used too. Nothing is ever reserved: what is
// admitted is there when it is.
func (a *api) showQuotaDetails(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	project := r.Param("project")
	if !mine(by, project) {
		return nil, fault.New(fault.Forbidden, "AdminRequired",
			"User does not have admin privileges: Only admin is authorized to access quotas for another project.")
	}
	limits, err := a.Store.Limits(ctx, quotaOf(project))
	if err != nil {
		return nil, err
	}
	used, err := a.Store.NetworkUsed(ctx, project)
	if err != nil {
		return nil, err
	}
	details := map[string]any{}
	for name, limit := range limits {
		details[name] = map[string]int64{"limit": limit, "used": used[name], "reserved": 0}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"quota": details}), nil
}

func (a *api) updateQuota(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := allow(by, r); err != nil {
		return nil, err
	}
	f, err := decode(r, "quota", "quotas", false)
	if err != nil {
		return nil, err
	}
	body, project := f.items[0], r.Param("project")
	checked := body["check_limit"] != nil && body["check_limit"] != false
	delete(body, "check_limit")
	delete(body, "force")
	limits, err := readLimits(body)
	if err != nil {
		return nil, err
	}
	if checked {
		if err := a.checkUsed(ctx, project, limits); err != nil {
			return nil, err
		}
	}
	if err := a.Store.SetQuota(ctx, quotaOf(project), limits); err != nil {
		return nil, err
	}
	return a.showQuota(ctx, by, r)
}

func readLimits(body map[string]any) (quota.Amounts, error) {
	known := quota.Resources(quota.Network)
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, badRequest("Unrecognized attribute(s) '%s'", strings.Join(unknown, ", "))
	}
	limits := quota.Amounts{}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		v, err := readNumber(name, body[name])
		if err != nil {
			return nil, err
		}
		switch n := v.(int); {
		case n < quota.Unlimited:
			return nil, unfit(name, "'%d' is too small - must be at least '-1'", n)
		case n > maxQuota:
			return nil, unfit(name, "'%d' is too large - must be no larger than '%d'", n, maxQuota)
		default:
			limits[name] = int64(n)
		}
	}
	return limits, nil
}

// checkUsed refuses limits below what the project has already.
func (a *api) checkUsed(ctx context.Context, project string, limits quota.Amounts) error {
	used, err := a.Store.NetworkUsed(ctx, project)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		if used[name] > limits[name] {
			return badRequest("Quota limit %d for %s must be greater than or equal to already used %d", limits[name], name, used[name])
		}
	}
	return nil
}

func (a *api) deleteQuota(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := allow(by, r); err != nil {
		return nil, err
	}
	project := r.Param("project")
	set, err := a.Store.QuotaSet(ctx, quota.Network, project)
	if err != nil {
		return nil, err
	}
	if len(set) == 0 {
		return nil, fault.New(fault.NotFound, "TenantQuotaNotFound", "Quota for tenant %s could not be found.", project)
	}
	if err := a.Store.DropQuota(ctx, quotaOf(project)); err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), nil
}
