package nova

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// control is the host of the services that are not nova-compute. All pods call it
// the same, as many do.
const control = "controller"

// serviceState is what admins may change of a host's nova-compute.
type serviceState struct {
	disabled, forced bool
	reason           any
}

func (s *Server) service(host string) *serviceState {
	if s.services[host] == nil {
		s.services[host] = &serviceState{}
	}
	return s.services[host]
}

func (s *Server) allServices(r *rest.Request) []rest.Doc {
	out := []rest.Doc{}
	add := func(binary, host, zone string) {
		state := s.service(host)
		d := rest.Doc{
			"binary": binary, "host": host, "id": s.ident(r, len(out)+1, host+"/"+binary), "zone": zone, "status": "enabled", "state": "up",
			"updated_at": micros(s.Now()), "disabled_reason": state.reason,
		}
		if state.disabled {
			d["status"] = "disabled"
		}
		if state.forced {
			d["state"] = "down"
		}
		if r.Minor >= 11 {
			d["forced_down"] = state.forced
		}
		out = append(out, d)
	}
	add("nova-scheduler", control, "internal")
	add("nova-conductor", control, "internal")
	for _, host := range s.hosts {
		add("nova-compute", host, s.zoneOf(host))
	}
	return out
}

func (s *Server) listServices(r *rest.Request) (*rest.Reply, error) {
	q := r.URL.Query()
	out := slices.DeleteFunc(s.allServices(r), func(d rest.Doc) bool {
		return q.Get("host") != "" && d["host"] != q.Get("host") || q.Get("binary") != "" && d["binary"] != q.Get("binary")
	})
	return rest.OK(rest.Doc{"services": out})
}

// findService finds the service of the path.
func (s *Server) findService(r *rest.Request, missing string) (rest.Doc, error) {
	id := r.Param("id")
	if r.Minor >= 53 && uuid.Validate(id) != nil {
		return nil, badRequest("Invalid uuid %s", id)
	}
	for _, d := range s.allServices(r) {
		if rest.Text(d["id"]) == id {
			return d, nil
		}
	}
	return nil, fail(http.StatusNotFound, missing, id)
}

func onlyCompute(binary any) error {
	if binary == "nova-compute" {
		return nil
	}
	return badRequest("Updating a %s service is not supported. Only nova-compute services can be updated.", rest.Text(binary))
}

func (s *Server) updateService(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	if r.Minor < 53 {
		return s.updateByHost(r, in)
	}
	d, err := s.findService(r, "Service %s could not be found.")
	if err == nil {
		err = onlyCompute(d["binary"])
	}
	if err != nil {
		return nil, err
	}
	state := s.service(rest.Str(d, "host"))
	if status, ok := in["status"]; ok {
		state.disabled, state.reason = status == "disabled", in["disabled_reason"]
	}
	if forced, ok := in["forced_down"]; ok {
		state.forced = forced == true
	}
	d, _ = s.findService(r, "")
	return rest.OK(rest.Doc{"service": d})
}

// updateByHost is "PUT /os-services/{action}".
func (s *Server) updateByHost(r *rest.Request, in rest.Doc) (*rest.Reply, error) {
	host, binary := rest.Str(in, "host"), rest.Str(in, "binary")
	out := rest.Doc{"host": host, "binary": binary}
	if err := onlyCompute(binary); err != nil {
		return nil, err
	}
	if !slices.Contains(s.hosts, host) {
		return nil, fail(http.StatusNotFound, "Host '%s' is not mapped to any cell", host)
	}
	state := s.service(host)
	switch r.Param("id") {
	case "enable":
		state.disabled, state.reason, out["status"] = false, nil, "enabled"
	case "disable":
		state.disabled, state.reason, out["status"] = true, nil, "disabled"
	case "disable-log-reason":
		state.disabled, state.reason = true, in["disabled_reason"]
		out["status"], out["disabled_reason"] = "disabled", in["disabled_reason"]
	case "force-down":
		state.forced = in["forced_down"] == true
		out["forced_down"] = state.forced
	default:
		return nil, fail(http.StatusNotFound, "Unknown action")
	}
	return rest.OK(rest.Doc{"service": out})
}

func (s *Server) deleteService(r *rest.Request) (*rest.Reply, error) {
	d, err := s.findService(r, "Service %s not found.")
	if err != nil {
		return nil, err
	}
	for _, v := range s.servers {
		if v.placed && v.host == d["host"] {
			return nil, fail(http.StatusConflict, "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.")
		}
	}
	s.hosts = slices.DeleteFunc(s.hosts, func(host string) bool { return host == d["host"] })
	return rest.NoContent()
}
