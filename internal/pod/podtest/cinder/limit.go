package cinder

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// standard is what a project may have unless somebody says otherwise.
var standard = map[string]int{
	"volumes": 10, "per_volume_gigabytes": -1, "snapshots": 10, "gigabytes": 1000, "backups": 10, "backup_gigabytes": 1000, "groups": 10,
}

// quotas are what was set for classes and projects.
type quotas struct{ classes, projects map[string]map[string]int }

func newQuotas() quotas {
	return quotas{classes: map[string]map[string]int{}, projects: map[string]map[string]int{}}
}

// SetQuota says how many volumes and snapshots each project may have by default;
// negative: no limit. Mu must not be held.
func (s *Server) SetQuota(n int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.quotas.classes["default"] = map[string]int{"volumes": n, "snapshots": n, "gigabytes": max(100*n, -1)}
}

// Quota is one of a project's limits. Mu must not be held.
func (s *Server) Quota(project, resource string) int {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.limitsOf(project)[resource]
}

func (s *Server) limitsOf(project string) map[string]int {
	all := s.classOf("default")
	maps.Copy(all, s.quotas.projects[project])
	return all
}

func (s *Server) classOf(name string) map[string]int {
	all := maps.Clone(standard)
	for _, t := range s.types {
		for _, what := range []string{"volumes", "gigabytes", "snapshots"} {
			all[what+"_"+rest.Str(t, "name")] = -1
		}
	}
	for _, class := range []string{"default", name} {
		maps.Copy(all, s.quotas.classes[class])
	}
	return all
}

// used is what the project has.
func (s *Server) used(project string) map[string]int {
	used := map[string]int{}
	typeOf := map[string]string{}
	for _, v := range s.volumes {
		typeOf[v.id] = v.kind
		if v.project == project {
			s.add(used, v.kind, map[string]int{"volumes": 1, "gigabytes": v.size})
		}
	}
	for _, n := range s.snapshots {
		if n.project == project {
			s.add(used, typeOf[n.volume], map[string]int{"snapshots": 1, "gigabytes": n.size})
		}
	}
	return used
}

func (s *Server) add(used map[string]int, kind string, more map[string]int) {
	for name, n := range more {
		used[name] += n
		used[name+"_"+kind] += n
	}
}

// fits refuses more than the quota has room for.
func (s *Server) fits(project, kind, what string, size int) error {
	limits, used := s.limitsOf(project), s.used(project)
	over := func(name string, n int) bool { return limits[name] >= 0 && used[name]+n > limits[name] }
	if limit := limits["per_volume_gigabytes"]; what == "volumes" && limit >= 0 && size > limit {
		return overLimit("VolumeSizeExceedsLimit: Requested volume size %dG is larger than maximum allowed limit %dG.", size, limit)
	}
	for _, name := range []string{"gigabytes", "gigabytes_" + kind} {
		if over(name, size) {
			return overLimit("VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed %s quota. Requested %dG, quota is %dG and %dG has been consumed.",
				name, size, limits[name], used[name])
		}
	}
	for _, name := range []string{what, what + "_" + kind} {
		switch {
		case what == "" || !over(name, 1):
		case what == "volumes":
			return overLimit("VolumeLimitExceeded: Maximum number of volumes allowed (%d) exceeded for quota '%s'.", limits[name], name)
		default:
			return overLimit("SnapshotLimitExceeded: Maximum number of snapshots allowed (%d) exceeded", limits[name])
		}
	}
	return nil
}

func overLimit(format string, args ...any) error {
	e := fail(http.StatusRequestEntityTooLarge, format, args...)
	e.Header = http.Header{"Retry-After": {"0"}}
	return e
}

func (s *Server) showLimits(r *rest.Request) (*rest.Reply, error) {
	limits, used := s.limitsOf(r.Caller.ProjectID), s.used(r.Caller.ProjectID)
	return rest.OK(rest.Doc{"limits": rest.Doc{"rate": []any{}, "absolute": rest.Doc{
		"maxTotalVolumes": limits["volumes"], "maxTotalSnapshots": limits["snapshots"], "maxTotalVolumeGigabytes": limits["gigabytes"],
		"maxTotalBackups": limits["backups"], "maxTotalBackupGigabytes": limits["backup_gigabytes"],
		"totalVolumesUsed": used["volumes"], "totalGigabytesUsed": used["gigabytes"], "totalSnapshotsUsed": used["snapshots"],
		"totalBackupsUsed": 0, "totalBackupGigabytesUsed": 0,
	}}})
}

func denied(policy string) error {
	return fail(http.StatusForbidden, "Policy doesn't allow %s to be performed.", policy)
}

func (s *Server) showQuota(r *rest.Request) (*rest.Reply, error) {
	project := r.Param("project")
	if !r.Caller.Sees(project) {
		return nil, denied("volume_extension:quotas:show")
	}
	limits, used := s.limitsOf(project), s.used(project)
	usage, _ := strconv.ParseBool(r.URL.Query().Get("usage"))
	d := rest.Doc{"id": project}
	for name, n := range limits {
		d[name] = n
		if usage {
			d[name] = rest.Doc{"limit": n, "in_use": used[name], "reserved": 0}
		}
	}
	return rest.OK(rest.Doc{"quota_set": d})
}

func (s *Server) showQuotaDefaults(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Sees(r.Param("project")) {
		return nil, denied("volume_extension:quotas:show")
	}
	return rest.OK(rest.Doc{"quota_set": docOf(r.Param("project"), s.classOf("default"))})
}

func docOf(id string, limits map[string]int) rest.Doc {
	d := rest.Doc{}
	for name, n := range limits {
		d[name] = n
	}
	if id != "" {
		d["id"] = id
	}
	return d
}

// readQuotas reads limits; the words are those for a project's.
func (s *Server) readQuotas(r *rest.Request, key, what string) (map[string]int, error) {
	in, err := body(r, key)
	if err != nil {
		return nil, err
	}
	limits, known, bad := map[string]int{}, s.classOf(""), []string{}
	for name, value := range in {
		if _, ok := known[name]; !ok {
			bad = append(bad, name)
			continue
		}
		n, err := strconv.Atoi(rest.Text(value))
		if err != nil {
			return nil, badRequest("%s must be an integer", name)
		}
		if n < -1 {
			return nil, badRequest("%s must be >= -1", name)
		}
		limits[name] = n
	}
	if slices.Sort(bad); len(bad) > 0 {
		return nil, badRequest("Invalid input received: Bad key(s) in %s: %s", what, strings.Join(bad, ", "))
	}
	return limits, nil
}

func (s *Server) updateQuota(r *rest.Request) (*rest.Reply, error) {
	project := r.Param("project")
	limits, err := s.readQuotas(r, "quota_set", "quota set")
	if err != nil {
		return nil, err
	}
	if !r.Caller.Admin() {
		return nil, denied("volume_extension:quotas:update")
	}
	used := s.used(project)
	for name, n := range limits {
		if _, given := s.quotas.projects[project][name]; given && n >= 0 && n < used[name] {
			return nil, badRequest("Quota %s limit must be equal or greater than existing resources. Current usage is %d and the requested limit is %d.", name, used[name], n)
		}
	}
	if s.quotas.projects[project] == nil {
		s.quotas.projects[project] = map[string]int{}
	}
	maps.Copy(s.quotas.projects[project], limits)
	return rest.OK(rest.Doc{"quota_set": docOf("", s.limitsOf(project))})
}

func (s *Server) deleteQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("volume_extension:quotas:delete")
	}
	delete(s.quotas.projects, r.Param("project"))
	return &rest.Reply{Status: http.StatusOK}, nil
}

func (s *Server) showClass(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("volume_extension:quota_classes:get")
	}
	return rest.OK(rest.Doc{"quota_class_set": docOf(r.Param("class"), s.classOf(r.Param("class")))})
}

func (s *Server) updateClass(r *rest.Request) (*rest.Reply, error) {
	limits, err := s.readQuotas(r, "quota_class_set", "quota class set")
	if err != nil {
		return nil, err
	}
	if !r.Caller.Admin() {
		return nil, denied("volume_extension:quota_classes:update")
	}
	class := r.Param("class")
	if s.quotas.classes[class] == nil {
		s.quotas.classes[class] = map[string]int{}
	}
	maps.Copy(s.quotas.classes[class], limits)
	return rest.OK(rest.Doc{"quota_class_set": docOf("", s.classOf(class))})
}

func (s *Server) listZones(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"availabilityZoneInfo": []rest.Doc{{"zoneName": s.Zone, "zoneState": rest.Doc{"available": true}}}})
}
