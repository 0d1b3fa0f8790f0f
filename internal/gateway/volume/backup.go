package volume

import (
	"context"
	"encoding/base64"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// restore writes a backup to a volume of its pod, or to a new one.
func (a *api) restore(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	id, err := named(r, "restore.volume_id")
	if err != nil {
		return nil, err
	}
	if id != "" {
		if err := a.sameZone(ctx, by, podName, "backup "+r.Param("id"), store.KindVolume, id); err != nil {
			return nil, err
		}
		return a.pass(ctx, by, r, podName, backups)
	}
	return a.restoreNew(ctx, by, r, podName)
}

// importRecord makes a backup known that lies in a store already. The record names
// the host that wrote it: its pod is the first to know the store. Records of hosts
// that the region does not have go where the project's volumes go.
func (a *api) importRecord(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	record, err := named(r, "backup-record.backup_url")
	if err != nil {
		return nil, err
	}
	if record == "" {
		return a.somePod(ctx, by, r)
	}
	podName, err := a.podOfRecord(ctx, by, record)
	if err != nil {
		return nil, err
	}
	return a.createAt(ctx, by, r, backups, podName)
}

func (a *api) podOfRecord(ctx context.Context, by identity.Caller, record string) (string, error) {
	if text, err := base64.StdEncoding.DecodeString(record); err == nil {
		id := gjson.GetBytes(text, "id").Str
		// The backup's own row may still be there: Cinder says so best itself.
		if podName, err := a.Dispatch.Locate(ctx, by, dispatch.KindBackup, id); err == nil {
			return podName, nil
		}
		if host := gjson.GetBytes(text, "host").Str; host != "" {
			podName, _, err := a.Fleet.FindStorageHost(ctx, host)
			if err == nil || !fault.Is(err, fault.NotFound) {
				return podName, err
			}
		}
	}
	chosen, err := a.Fleet.Choose(ctx, by, fleet.Need{ProjectID: by.ProjectID})
	return chosen.Name, err
}
