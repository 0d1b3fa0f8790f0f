package cinder

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// All simulated clouds call their nodes alike, as those do that are made by one recipe.
const (
	node    = "simulated"
	service = node + "@fake"
	backend = service + "#fake"
)

// mountOperators serves what admins see and do.
func (s *Server) mountOperators(v verbs) {
	admin := func(policy string, h rest.Handler) rest.Handler {
		return func(r *rest.Request) (*rest.Reply, error) {
			if !r.Caller.Admin() {
				return nil, fail(http.StatusForbidden, "Policy doesn't allow %s to be performed.", policy)
			}
			return h(r)
		}
	}
	v.get("/os-services", admin("volume_extension:services:index", s.listServices))
	v.put("/os-services/{action}", admin("volume_extension:services:update", s.updateService))
	v.get("/os-hosts", admin("volume_extension:hosts", s.listHosts))
	v.get("/os-hosts/{host}", admin("volume_extension:hosts", s.showHost))
	v.get("/scheduler-stats/get_pools", admin("scheduler_extension:scheduler_stats:get_pools", s.listPools))
	v.get("/capabilities/{host}", admin("volume_extension:capabilities", s.showCapabilities))
	v.get("/clusters", admin("clusters:get_all", since(7, noClusters)))
	v.get("/clusters/detail", admin("clusters:get_all", since(7, noClusters)))
	v.post("/workers/cleanup", admin("workers:cleanup", since(24, s.cleanup)))
	v.get("/resource_filters", since(33, func(*rest.Request) (*rest.Reply, error) {
		return rest.OK(rest.Doc{"resource_filters": []rest.Doc{{"resource": "volume", "filters": []string{"name", "status", "metadata"}}}})
	}))
	for _, base := range []string{"/os-volume-manage", "/manageable_volumes"} {
		v.get(base, admin("volume_extension:list_manageable", s.listManageable))
		v.get(base+"/detail", admin("volume_extension:list_manageable", s.listManageable))
		v.post(base, admin("volume_extension:volume_manage", s.manage))
	}
}

func (s *Server) updateService(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	action, host := r.Param("action"), rest.Str(in, "host")
	switch action {
	case "get-log":
		levels := []rest.Doc{{"host": node, "binary": "cinder-scheduler", "levels": rest.Doc{"cinder": "DEBUG"}}}
		return rest.OK(rest.Doc{"log_levels": levels})
	case "set-log":
		return &rest.Reply{Status: http.StatusAccepted}, nil
	case "enable", "disable":
	default:
		return nil, badRequest("Invalid input received: Unknown action")
	}
	if host != service || rest.Str(in, "binary") != "cinder-volume" {
		return nil, fail(http.StatusNotFound, "Service %s could not be found on host %s.", rest.Str(in, "binary"), host)
	}
	s.disabled = action == "disable"
	return rest.OK(rest.Doc{"host": host, "service": "", "binary": rest.Str(in, "binary"), "disabled": s.disabled, "status": action + "d"})
}

func (s *Server) listServices(r *rest.Request) (*rest.Reply, error) {
	q, out := r.URL.Query(), []rest.Doc{}
	for _, binary := range []string{"cinder-scheduler", "cinder-volume", "cinder-backup"} {
		host, status := node, "enabled"
		if binary == "cinder-volume" {
			host = service
			if s.disabled {
				status = "disabled"
			}
		}
		if q.Has("host") && q.Get("host") != host && !strings.HasPrefix(host, q.Get("host")+"@") || q.Has("binary") && q.Get("binary") != binary {
			continue
		}
		out = append(out, rest.Doc{"binary": binary, "host": host, "zone": s.Zone, "status": status, "state": "up", "updated_at": micros(s.Now()), "disabled_reason": nil})
	}
	return rest.OK(rest.Doc{"services": out})
}

func (s *Server) listHosts(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"hosts": []rest.Doc{{
		"host_name": service, "service": "cinder-volume", "zone": s.Zone, "service-status": "available", "service-state": "enabled", "last-update": micros(s.Now()),
	}}})
}

func (s *Server) showHost(r *rest.Request) (*rest.Reply, error) {
	host := r.Param("host")
	if host != service {
		return nil, fail(http.StatusNotFound, "Service cinder-volume could not be found on host %s.", host)
	}
	return rest.OK(rest.Doc{"host": []rest.Doc{{"resource": rest.Doc{
		"host": host, "project": "(total)", "volume_count": "0", "total_volume_gb": "0", "snapshot_count": "0", "total_snapshot_gb": "0",
	}}}})
}

func (s *Server) listPools(r *rest.Request) (*rest.Reply, error) {
	pool := rest.Doc{"name": backend}
	if truth(r.URL.Query().Get("detail")) {
		pool["capabilities"] = rest.Doc{"pool_name": "fake", "free_capacity_gb": "infinite", "total_capacity_gb": "infinite", "volume_backend_name": "fake"}
	}
	return rest.OK(rest.Doc{"pools": []rest.Doc{pool}})
}

func (s *Server) showCapabilities(r *rest.Request) (*rest.Reply, error) {
	host := r.Param("host")
	if host != service {
		return nil, fail(http.StatusNotFound, "Can't find service: %s", host)
	}
	return rest.OK(rest.Doc{"namespace": "OS::Storage::Capabilities::" + host, "vendor_name": "Open Source", "volume_backend_name": "fake", "properties": rest.Doc{}})
}

func noClusters(*rest.Request) (*rest.Reply, error) { return rest.OK(rest.Doc{"clusters": []any{}}) }

// cleanup has something to clean on the service with number 2.
func (s *Server) cleanup(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	if rest.Str(in, "resource_id") != "" {
		return nil, badRequest("Invalid input received: There is no resource with UUID %s pending cleanup.", rest.Str(in, "resource_id"))
	}
	cleaning := []rest.Doc{{"id": 2, "host": service, "binary": "cinder-volume", "cluster_name": nil}}
	if n, given := rest.Number(in["service_id"]); given && n != 2 {
		cleaning = []rest.Doc{}
	}
	return rest.Accepted(rest.Doc{"cleaning": cleaning, "unavailable": []any{}})
}

// listManageable is what was unmanaged and still lies there.
func (s *Server) listManageable(r *rest.Request) (*rest.Reply, error) {
	q := r.URL.Query()
	if !q.Has("host") && !q.Has("cluster") {
		return nil, badRequest("Invalid input received: One and only one of cluster and host must be set.")
	}
	if host := q.Get("host"); host != backend {
		return nil, fail(http.StatusNotFound, "Service cinder-volume could not be found on host %s.", host)
	}
	out := []rest.Doc{}
	for _, v := range s.unmanaged {
		out = append(out, rest.Doc{"reference": rest.Doc{"source-name": v.id}, "size": v.size, "safe_to_manage": true})
	}
	return rest.OK(rest.Doc{"manageable-volumes": out})
}

func (s *Server) manage(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "volume")
	if err != nil {
		return nil, err
	}
	if host := rest.Str(in, "host"); host != backend {
		return nil, fail(http.StatusServiceUnavailable, "Host '%s' not found", host)
	}
	if zone := rest.Str(in, "availability_zone"); zone != "" && zone != s.Zone {
		return nil, badRequest("Availability zone '%s' is invalid.", zone)
	}
	ref, _ := in["ref"].(rest.Doc)
	i := slices.IndexFunc(s.unmanaged, func(v *volume) bool { return v.id == rest.Str(ref, "source-name") })
	v := &volume{
		id: uuid.NewString(), project: r.Caller.ProjectID, user: r.Caller.UserID, name: in["name"], description: in["description"], status: "available",
		kind: "fake", created: s.Now(), updated: s.Now(), metadata: map[string]string{}, size: 1,
	}
	if i >= 0 {
		v.size, v.data = s.unmanaged[i].size, s.unmanaged[i].data
		s.unmanaged = slices.Delete(s.unmanaged, i, i+1)
	}
	s.volumes = append(s.volumes, v)
	return rest.Accepted(rest.Doc{"volume": s.view(r, v)})
}
