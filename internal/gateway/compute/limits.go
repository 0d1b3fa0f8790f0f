package compute

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// limitNames are what "GET /limits" calls a resource's limit.
var limitNames = map[string][]string{
	"ram": {"maxTotalRAMSize"}, "instances": {"maxTotalInstances"}, "cores": {"maxTotalCores"}, "key_pairs": {"maxTotalKeypairs"},
	"floating_ips": {"maxTotalFloatingIps"}, "metadata_items": {"maxServerMeta", "maxImageMeta"}, "injected_files": {"maxPersonality"},
	"injected_file_content_bytes": {"maxPersonalitySize"}, "security_groups": {"maxSecurityGroups"},
	"security_group_rules": {"maxSecurityGroupRules"}, "server_groups": {"maxServerGroups"}, "server_group_members": {"maxServerGroupMembers"},
}

// usedNames are what it calls the use of one.
var usedNames = map[string]string{
	"ram": "totalRAMUsed", "cores": "totalCoresUsed", "instances": "totalInstancesUsed", "floating_ips": "totalFloatingIpsUsed",
	"security_groups": "totalSecurityGroupsUsed", "server_groups": "totalServerGroupsUsed",
}

// limits is "GET /limits": what the project may have and has in the region, by the
// region's own count.
func (a *api) limits(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := checkParameters(r, "tenant_id"); err != nil {
		return nil, err
	}
	of := store.QuotaOf{Service: quota.Compute, ProjectID: by.ProjectID}
	if query := r.URL.Query(); query.Has("tenant_id") {
		if !by.IsAdmin() {
			return nil, denied("os_compute_api:limits:other_project")
		}
		of.ProjectID = query.Get("tenant_id")
	}
	a.learnDefaults(ctx)
	limits, err := a.Store.Limits(ctx, of)
	if err != nil {
		return nil, err
	}
	used, err := a.used(ctx, of)
	if err != nil {
		return nil, err
	}
	v := versionOf(r)
	absolute := map[string]int64{}
	for _, name := range quotaNames(v, 36) {
		for _, shown := range limitNames[name] {
			if shown != "maxImageMeta" || !v.AtLeast(2, 39) {
				absolute[shown] = limits[name]
			}
		}
		if shown := usedNames[name]; shown != "" {
			absolute[shown] = used[name]
		}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": absolute}}), nil
}

// used is what the project, or the user in it, has in the region of what is counted.
func (a *api) used(ctx context.Context, of store.QuotaOf) (quota.Amounts, error) {
	used, err := a.Store.ServersUsed(ctx, of.ProjectID, of.UserID)
	if err != nil {
		return nil, err
	}
	n, err := a.Store.CountServerGroups(ctx, of.ProjectID, of.UserID)
	used["server_groups"] = n
	return used, err
}
