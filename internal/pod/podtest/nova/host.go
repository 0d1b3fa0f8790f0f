package nova

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// gone since 2.43.
func hostsClosed(r *rest.Request) error {
	if r.Minor >= 43 {
		return fail(http.StatusNotFound, "The resource could not be found.")
	}
	return nil
}

func (s *Server) listHosts(r *rest.Request) (*rest.Reply, error) {
	if err := hostsClosed(r); err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, d := range s.allServices(r) {
		if zone := r.Query("zone"); zone == "" || d["zone"] == zone {
			out = append(out, rest.Doc{"host_name": d["host"], "service": strings.TrimPrefix(rest.Str(d, "binary"), "nova-"), "zone": d["zone"]})
		}
	}
	return rest.OK(rest.Doc{"hosts": out})
}

func (s *Server) knownHost(r *rest.Request) error {
	if err := hostsClosed(r); err != nil {
		return err
	}
	if !slices.Contains(s.hosts, r.Param("id")) {
		return fail(http.StatusNotFound, "Host '%s' is not mapped to any cell", r.Param("id"))
	}
	return nil
}

func (s *Server) showHost(r *rest.Request) (*rest.Reply, error) {
	if err := s.knownHost(r); err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, project := range []string{"(total)", "(used_now)", "(used_max)"} {
		out = append(out, rest.Doc{"resource": rest.Doc{"host": r.Param("id"), "project": project, "cpu": 0, "memory_mb": 0, "disk_gb": 0}})
	}
	return rest.OK(rest.Doc{"host": out})
}

func (s *Server) powerHost(r *rest.Request) (*rest.Reply, error) {
	if err := s.knownHost(r); err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"host": r.Param("id"), "power_action": r.Param("action")})
}

func (s *Server) showAudit(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"instance_usage_audit_logs": rest.Doc{
		"period_beginning": "2026-10-01 00:00:00", "period_ending": "2026-11-01 00:00:00", "num_hosts": len(s.hosts), "num_hosts_done": 0,
		"num_hosts_running": 0, "num_hosts_not_run": len(s.hosts), "hosts_not_run": s.hosts, "total_instances": 0, "total_errors": 0,
		"overall_status": fmt.Sprintf("0 of %d hosts done. 0 errors.", len(s.hosts)), "log": rest.Doc{},
	}})
}

// Events are the external events that the pod has taken, as "name server". Mu must
// not be held.
func (s *Server) Events() []string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	out := []string{}
	for _, e := range s.events {
		out = append(out, rest.Str(e, "name")+" "+rest.Str(e, "server_uuid"))
	}
	return out
}

func (s *Server) createEvents(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	list := rest.Docs(in, "events")
	if len(list) == 0 {
		return nil, badRequest("Invalid input for field/attribute events. Value: []. [] is too short")
	}
	status := http.StatusOK
	for _, e := range list {
		if _, ok := e["name"]; !ok {
			return nil, badRequest("Invalid input for field/attribute 0. Value: %s. 'name' is a required property", rest.Text(e))
		}
	}
	for _, e := range list {
		i := slices.IndexFunc(s.servers, func(v *server) bool { return v.id == e["server_uuid"] })
		switch {
		case i < 0:
			e["status"], e["code"], status = "failed", http.StatusNotFound, http.StatusMultiStatus
		case !s.servers[i].placed:
			e["status"], e["code"], status = "failed", http.StatusUnprocessableEntity, http.StatusMultiStatus
		default:
			e["status"], e["code"] = "completed", http.StatusOK
			s.events = append(s.events, e)
		}
	}
	return &rest.Reply{Status: status, Body: rest.Doc{"events": list}}, nil
}
