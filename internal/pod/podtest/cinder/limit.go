package cinder

import (
	"net/http"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) used(project string) (volumes, gigabytes, snapshots int) {
	for _, v := range s.volumes {
		if v.project == project {
			volumes, gigabytes = volumes+1, gigabytes+v.size
		}
	}
	for _, n := range s.snapshots {
		if n.project == project {
			snapshots++
		}
	}
	return volumes, gigabytes, snapshots
}

func (s *Server) showLimits(r *rest.Request) (*rest.Reply, error) {
	volumes, gigabytes, snapshots := s.used(r.Caller.ProjectID)
	return rest.OK(rest.Doc{"limits": rest.Doc{"rate": []any{}, "absolute": rest.Doc{
		"maxTotalVolumes": 10, "maxTotalSnapshots": 10, "maxTotalVolumeGigabytes": s.gigabytes, "maxTotalBackups": 10,
		"maxTotalBackupGigabytes": 1000, "totalVolumesUsed": volumes, "totalGigabytesUsed": gigabytes, "totalSnapshotsUsed": snapshots,
		"totalBackupsUsed": 0, "totalBackupGigabytesUsed": 0,
	}}})
}

func (s *Server) showQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Sees(r.Param("project")) {
		return nil, fail(http.StatusForbidden, "Policy doesn't allow volume_extension:quotas:show to be performed.")
	}
	d := rest.Doc{
		"id": r.Param("project"), "volumes": 10, "per_volume_gigabytes": -1, "snapshots": 10, "gigabytes": s.gigabytes, "backups": 10,
		"backup_gigabytes": 1000, "groups": 10,
	}
	for _, t := range s.types {
		for _, what := range []string{"volumes", "gigabytes", "snapshots"} {
			d[what+"_"+rest.Str(t, "name")] = -1
		}
	}
	return rest.OK(rest.Doc{"quota_set": d})
}

func (s *Server) listZones(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"availabilityZoneInfo": []rest.Doc{{"zoneName": s.Zone, "zoneState": rest.Doc{"available": true}}}})
}

func (s *Server) listServices(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "Policy doesn't allow volume_extension:services:index to be performed.")
	}
	out := []rest.Doc{}
	for _, binary := range []string{"cinder-scheduler", "cinder-volume"} {
		out = append(out, rest.Doc{"binary": binary, "host": "simulated", "zone": s.Zone, "status": "enabled", "state": "up", "updated_at": micros(s.Now()), "disabled_reason": nil})
	}
	return rest.OK(rest.Doc{"services": out})
}
