package nova

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Hypervisor is the one host of a pod.
type Hypervisor struct {
	VCPUs, RAM, Disk int // MiB, GiB
	Down             bool
	Disabled         bool
}

// SetHypervisor changes the host. A flavor larger than it finds no host. Mu must
// not be held.
func (s *Server) SetHypervisor(h Hypervisor) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.host = h
}

// SetHosts gives the pod other hosts. Mu must not be held.
func (s *Server) SetHosts(names ...string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.hosts = slices.Clone(names)
}

// ident is a number before 2.53 and a UUID since.
func (s *Server) ident(r *rest.Request, n int, name string) any {
	if r.Minor >= 53 {
		return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(s.salt+name)).String()
	}
	return n
}

func (s *Server) hypervisor(r *rest.Request, i int, detail bool) rest.Doc {
	host := s.hosts[i]
	state, status := "up", "enabled"
	if s.host.Down {
		state = "down"
	}
	if s.host.Disabled || s.service(host).disabled {
		status = "disabled"
	}
	d := rest.Doc{"id": s.ident(r, i+1, host), "hypervisor_hostname": host, "state": state, "status": status}
	if !detail {
		return d
	}
	d["hypervisor_type"], d["hypervisor_version"], d["host_ip"] = "fake", 1000, "127.0.0.1"
	d["service"] = rest.Doc{"id": s.ident(r, i+3, host+"/nova-compute"), "host": host, "disabled_reason": s.service(host).reason}
	if r.Minor >= 88 {
		d["uptime"] = nil
		return d
	}
	numbers := s.statistics()
	if i > 0 {
		numbers = s.idle()
	}
	for k, v := range numbers {
		if k != "count" {
			d[k] = v
		}
	}
	return d
}

// withServers adds the servers on the host.
func (s *Server) withServers(r *rest.Request, d rest.Doc) {
	list := []rest.Doc{}
	for _, v := range s.servers {
		if v.placed && v.host == d["hypervisor_hostname"] {
			list = append(list, rest.Doc{"uuid": v.id, "name": v.name})
		}
	}
	if len(list) > 0 || r.Minor >= 75 {
		d["servers"] = list
	}
}

// matching are the hosts whose name has the pattern in it.
func (s *Server) matching(r *rest.Request, pattern string, detail, servers bool) (*rest.Reply, error) {
	out := []rest.Doc{}
	for i, host := range s.hosts {
		if strings.Contains(host, pattern) {
			d := s.hypervisor(r, i, detail)
			if servers {
				s.withServers(r, d)
			}
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		return nil, fail(http.StatusNotFound, "No hypervisor matching '%s' could be found.", pattern)
	}
	return rest.OK(rest.Doc{"hypervisors": out})
}

func (s *Server) searchHypervisors(servers bool) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		if r.Minor >= 53 {
			return nil, fail(http.StatusNotFound, "The resource could not be found.")
		}
		return s.matching(r, r.Param("id"), false, servers)
	}
}

func (s *Server) listHypervisors(detail bool) rest.Handler {
	path := "os-hypervisors"
	if detail {
		path += "/detail"
	}
	return func(r *rest.Request) (*rest.Reply, error) {
		q := r.URL.Query()
		servers := r.Minor >= 53 && truthy(q, "with_servers")
		if pattern := q.Get("hypervisor_hostname_pattern"); pattern != "" && r.Minor >= 53 {
			if q.Has("limit") || q.Has("marker") {
				return nil, badRequest("The server could not comply with the request since it is either malformed or otherwise incorrect.")
			}
			return s.matching(r, pattern, detail, servers)
		}
		all := []rest.Doc{}
		for i := range s.hosts {
			d := s.hypervisor(r, i, detail)
			if servers {
				s.withServers(r, d)
			}
			all = append(all, d)
		}
		if r.Minor < 33 {
			return rest.OK(rest.Doc{"hypervisors": all})
		}
		return onePage(r, "hypervisors", path, all, "id", func(marker string) error { return badRequest("marker [%s] not found", marker) })
	}
}

// onePage is the part of a list that limit and marker ask for.
func onePage(r *rest.Request, field, path string, all []rest.Doc, id string, unknown func(marker string) error) (*rest.Reply, error) {
	q := r.URL.Query()
	limit, err := readLimit(q)
	if err != nil {
		return nil, err
	}
	if marker := q.Get("marker"); marker != "" {
		at := slices.IndexFunc(all, func(d rest.Doc) bool { return rest.Text(d[id]) == marker })
		if at < 0 {
			return nil, unknown(marker)
		}
		all = all[at+1:]
	}
	out := rest.Doc{}
	if len(all) >= limit && limit > 0 {
		all = all[:limit]
		out[field+"_links"] = next(r, path, q, rest.Text(all[limit-1][id]))
	}
	if limit == 0 {
		all = []rest.Doc{}
	}
	out[field] = all
	return rest.OK(out)
}

// find finds the hypervisor of the path.
func (s *Server) findHypervisor(r *rest.Request) (int, error) {
	id := r.Param("id")
	if r.Minor >= 53 && uuid.Validate(id) != nil {
		return 0, badRequest("Invalid uuid %s", id)
	}
	for i, host := range s.hosts {
		if rest.Text(s.ident(r, i+1, host)) == id {
			return i, nil
		}
	}
	return 0, fail(http.StatusNotFound, "Hypervisor with ID '%s' could not be found.", id)
}

func (s *Server) showHypervisor(r *rest.Request) (*rest.Reply, error) {
	i, err := s.findHypervisor(r)
	if err != nil {
		return nil, err
	}
	d := s.hypervisor(r, i, true)
	if r.Minor >= 53 && truthy(r.URL.Query(), "with_servers") {
		s.withServers(r, d)
	}
	return rest.OK(rest.Doc{"hypervisor": d})
}

func (s *Server) showUptime(r *rest.Request) (*rest.Reply, error) {
	if r.Minor >= 88 {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	if _, err := s.findHypervisor(r); err != nil {
		return nil, err
	}
	return nil, fail(http.StatusNotImplemented, "The requested functionality is not supported.")
}

// idle are the numbers of a host without servers.
func (s *Server) idle() rest.Doc {
	h := s.host
	return rest.Doc{
		"vcpus": h.VCPUs, "memory_mb": h.RAM, "local_gb": h.Disk, "vcpus_used": 0, "memory_mb_used": 512, "local_gb_used": 0,
		"free_ram_mb": h.RAM - 512, "free_disk_gb": h.Disk, "current_workload": 0, "running_vms": 0, "disk_available_least": 0,
	}
}

func (s *Server) statistics() rest.Doc {
	u, h := s.used(""), s.host
	ram, disk := 512+u.ram, u.servers
	return rest.Doc{
		"count": 1, "vcpus": h.VCPUs, "memory_mb": h.RAM, "local_gb": h.Disk, "vcpus_used": u.cores, "memory_mb_used": ram,
		"local_gb_used": disk, "free_ram_mb": h.RAM - ram, "free_disk_gb": h.Disk - disk, "current_workload": 0,
		"running_vms": u.servers, "disk_available_least": 0,
	}
}

// fits reports whether the host takes servers of the flavor at all. It has no
// resources of a custom class.
func (h Hypervisor) fits(f Flavor) bool {
	for key := range f.ExtraSpecs {
		if strings.HasPrefix(key, "resources:CUSTOM_") {
			return false
		}
	}
	return !h.Down && !h.Disabled && f.VCPUs <= h.VCPUs && f.RAM <= h.RAM
}

func (s *Server) showStatistics(r *rest.Request) (*rest.Reply, error) {
	if r.Minor >= 88 {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	sum := s.statistics()
	for range s.hosts[1:] {
		sum["count"] = sum["count"].(int) + 1
		for k, v := range s.idle() {
			sum[k] = sum[k].(int) + v.(int)
		}
	}
	return rest.OK(rest.Doc{"hypervisor_statistics": sum})
}
