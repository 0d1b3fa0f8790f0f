package nova

import (
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

// ident is a number before 2.53 and a UUID since.
func ident(r *rest.Request, n int, name string) any {
	if r.Minor >= 53 {
		return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)).String()
	}
	return n
}

func (s *Server) hypervisor(r *rest.Request) rest.Doc {
	state, status := "up", "enabled"
	if s.host.Down {
		state = "down"
	}
	if s.host.Disabled {
		status = "disabled"
	}
	return rest.Doc{"id": ident(r, 1, s.Host), "hypervisor_hostname": s.Host, "state": state, "status": status}
}

func (s *Server) listHypervisors(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-hypervisors:list")
	}
	return rest.OK(rest.Doc{"hypervisors": []rest.Doc{s.hypervisor(r)}})
}

func (s *Server) listHypervisorsDetail(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-hypervisors:list-detail")
	}
	d := s.hypervisor(r)
	d["hypervisor_type"], d["hypervisor_version"], d["host_ip"] = "fake", 1000, "127.0.0.1"
	d["service"] = rest.Doc{"id": ident(r, 3, s.Host+"/nova-compute"), "host": s.Host, "disabled_reason": nil}
	if r.Minor >= 88 {
		d["uptime"] = nil
	} else {
		for k, v := range s.statistics() {
			if k != "count" {
				d[k] = v
			}
		}
	}
	return rest.OK(rest.Doc{"hypervisors": []rest.Doc{d}})
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
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-hypervisors:statistics")
	}
	return rest.OK(rest.Doc{"hypervisor_statistics": s.statistics()})
}

func (s *Server) listServices(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-services:list")
	}
	out := []rest.Doc{}
	for i, binary := range []string{"nova-scheduler", "nova-conductor", "nova-compute"} {
		zone := "internal"
		if binary == "nova-compute" {
			zone = s.Zone
		}
		d := rest.Doc{
			"binary": binary, "host": s.Host, "id": ident(r, i+1, s.Host+"/"+binary), "zone": zone, "status": "enabled", "state": "up",
			"updated_at": micros(s.Now()), "disabled_reason": nil,
		}
		if r.Minor >= 11 {
			d["forced_down"] = false
		}
		out = append(out, d)
	}
	return rest.OK(rest.Doc{"services": out})
}
