package volume

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/quota"
)

// limitNames are what "GET /limits" calls a resource's limit and its use.
var limitNames = map[string][2]string{
	"volumes": {"maxTotalVolumes", "totalVolumesUsed"}, "gigabytes": {"maxTotalVolumeGigabytes", "totalGigabytesUsed"},
	"snapshots": {"maxTotalSnapshots", "totalSnapshotsUsed"}, "backups": {"maxTotalBackups", "totalBackupsUsed"},
	"backup_gigabytes": {"maxTotalBackupGigabytes", "totalBackupGigabytesUsed"},
}

// limits is "GET /limits": what the project may have and has in the region. Admins
// may name another project since 3.39.
func (a *api) limits(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	project := by.ProjectID
	if by.IsAdmin() && r.Version.AtLeast(3, 39) {
		query := r.URL.Query()
		for _, name := range []string{"tenant_id", "project_id"} {
			if query.Has(name) {
				project = query.Get(name)
			}
		}
	}
	a.Reconciler.LearnDefaults(ctx, quota.Volume)
	limits, err := a.Store.Limits(ctx, quotaOf(project))
	if err != nil {
		return nil, err
	}
	used, err := a.volumesUsed(ctx, project)
	if err != nil {
		return nil, err
	}
	absolute := map[string]int64{}
	for name, shown := range limitNames {
		absolute[shown[0]], absolute[shown[1]] = limits[name], used.InUse[name]
	}
	return gateway.JSON(http.StatusOK, map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": absolute}}), nil
}
