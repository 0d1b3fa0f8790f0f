package nova

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// period is the time that a report of usage is about.
type period struct{ start, end time.Time }

const usageTime = "2006-01-02T15:04:05.000000"

func (s *Server) askedPeriod(r *rest.Request) (p period, err error) {
	now := s.Now().UTC()
	p = period{now, now}
	for name, t := range map[string]*time.Time{"start": &p.start, "end": &p.end} {
		text := r.Query(name)
		if text == "" {
			continue
		}
		ok := false
		for _, layout := range []string{"2006-01-02T15:04:05", usageTime, "2006-01-02 15:04:05.000000"} {
			if read, err := time.Parse(layout, text); err == nil {
				*t, ok = read, true
			}
		}
		if !ok {
			return p, badRequest("Invalid datetime string: Datetime is in invalid format")
		}
	}
	if !p.start.Before(p.end) {
		return p, badRequest("Invalid start time. The start time cannot occur after the end time.")
	}
	if p.end.After(now) {
		p.end = now
	}
	return p, nil
}

// ran are the servers that ran in the period, in order of project and ID.
func (s *Server) ran(p period, project string) []*server {
	found := slices.DeleteFunc(slices.Concat(s.servers, s.deleted), func(v *server) bool {
		return v.launched.IsZero() || v.launched.After(p.end) || project != "" && v.project != project ||
			v.status == "DELETED" && !v.updated.After(p.start)
	})
	slices.SortFunc(found, func(a, b *server) int { return cmp.Or(cmp.Compare(a.project, b.project), cmp.Compare(a.id, b.id)) })
	return found
}

func (s *Server) usageOf(v *server, p period) rest.Doc {
	end, state, ended := p.end, v.vmState, any(nil)
	until := s.Now()
	if v.status == "DELETED" {
		until, state, ended = v.updated, "terminated", v.updated.UTC().Format(usageTime)
		if until.Before(end) {
			end = until
		}
	}
	start := v.launched
	if p.start.After(start) {
		start = p.start
	}
	return rest.Doc{
		"hours": max(0, end.Sub(start).Hours()), "flavor": v.flavor.Name, "instance_id": v.id, "name": v.name, "tenant_id": v.project,
		"memory_mb": v.flavor.RAM, "local_gb": v.flavor.Disk + v.flavor.Ephemeral, "vcpus": v.flavor.VCPUs,
		"started_at": v.launched.UTC().Format(usageTime), "ended_at": ended, "state": state, "uptime": int(until.Sub(v.launched).Seconds()),
	}
}

// usages are the projects' sums over one page of servers, and the link to the next.
func (s *Server) usages(r *rest.Request, project, path string, detailed bool) ([]rest.Doc, []rest.Doc, error) {
	p, err := s.askedPeriod(r)
	if err != nil {
		return nil, nil, err
	}
	found, limit := s.ran(p, project), 1000
	q := r.URL.Query()
	if r.Minor >= 40 {
		if limit, err = readLimit(q); err != nil {
			return nil, nil, err
		}
		if marker := q.Get("marker"); marker != "" {
			at := slices.IndexFunc(found, func(v *server) bool { return v.id == marker })
			if at < 0 {
				return nil, nil, badRequest("marker [%s] not found", marker)
			}
			found = found[at+1:]
		}
	}
	var links []rest.Doc
	if limit > 0 && len(found) >= limit {
		found = found[:limit]
		links = next(r, path, q, found[limit-1].id)
	}
	out := []rest.Doc{}
	for _, v := range found {
		if len(out) == 0 || out[len(out)-1]["tenant_id"] != v.project {
			sum := rest.Doc{
				"tenant_id": v.project, "total_local_gb_usage": 0.0, "total_vcpus_usage": 0.0, "total_memory_mb_usage": 0.0, "total_hours": 0.0,
				"start": p.start.Format(usageTime), "stop": p.end.Format(usageTime),
			}
			if detailed {
				sum["server_usages"] = []rest.Doc{}
			}
			out = append(out, sum)
		}
		sum, u := out[len(out)-1], s.usageOf(v, p)
		hours, _ := u["hours"].(float64)
		for total, per := range map[string]int{
			"total_local_gb_usage": v.flavor.Disk + v.flavor.Ephemeral, "total_vcpus_usage": v.flavor.VCPUs, "total_memory_mb_usage": v.flavor.RAM, "total_hours": 1,
		} {
			sum[total] = sum[total].(float64) + hours*float64(per)
		}
		if detailed {
			sum["server_usages"] = append(sum["server_usages"].([]rest.Doc), u)
		}
	}
	return out, links, nil
}

func (s *Server) listUsage(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-simple-tenant-usage:list")
	}
	all, links, err := s.usages(r, "", "os-simple-tenant-usage", r.Query("detailed") == "1")
	if err != nil {
		return nil, err
	}
	out := rest.Doc{"tenant_usages": all}
	if links != nil && r.Minor >= 40 {
		out["tenant_usages_links"] = links
	}
	return rest.OK(out)
}

func (s *Server) showUsage(r *rest.Request) (*rest.Reply, error) {
	project := r.Param("project")
	if !r.Caller.Sees(project) {
		return nil, fail(http.StatusForbidden, "Policy doesn't allow os_compute_api:os-simple-tenant-usage:show to be performed.")
	}
	all, links, err := s.usages(r, project, "os-simple-tenant-usage/"+project, true)
	if err != nil {
		return nil, err
	}
	out := rest.Doc{"tenant_usage": rest.Doc{}}
	if len(all) > 0 {
		out["tenant_usage"] = all[0]
	}
	if links != nil && r.Minor >= 40 {
		out["tenant_usage_links"] = links
	}
	return rest.OK(out)
}
