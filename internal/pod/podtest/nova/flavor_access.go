package nova

import (
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) updateExtraSpec(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-flavor-extra-specs:update")
	}
	value, ok := in[r.Param("key")]
	if !ok {
		return nil, badRequest("Request body and URI mismatch")
	}
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	f.ExtraSpecs[r.Param("key")] = rest.Text(value)
	return rest.OK(in)
}

func (s *Server) deleteExtraSpec(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-flavor-extra-specs:delete")
	}
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	if _, ok := f.ExtraSpecs[r.Param("key")]; !ok {
		return nil, fail(http.StatusNotFound, "Flavor %s has no extra specs with key %s.", f.ID, r.Param("key"))
	}
	delete(f.ExtraSpecs, r.Param("key"))
	return &rest.Reply{Status: http.StatusOK}, nil
}

func (s *Server) listFlavorAccess(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-flavor-access")
	}
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	if !f.Private {
		return nil, fail(http.StatusNotFound, "Access list not available for public flavors.")
	}
	return flavorAccess(f)
}

func flavorAccess(f *Flavor) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, p := range f.Projects {
		out = append(out, rest.Doc{"flavor_id": f.ID, "tenant_id": p})
	}
	return rest.OK(rest.Doc{"flavor_access": out})
}

// flavorAction adds a project to those that see the flavor, or removes it. That
// the project exists is not checked.
func (s *Server) flavorAction(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	add, adds := in["addTenantAccess"].(rest.Doc)
	remove, removes := in["removeTenantAccess"].(rest.Doc)
	switch {
	case adds && !r.Caller.Admin():
		return nil, denied("os_compute_api:os-flavor-access:add_tenant_access")
	case removes && !r.Caller.Admin():
		return nil, denied("os_compute_api:os-flavor-access:remove_tenant_access")
	case !adds && !removes:
		return nil, badRequest("There is no such action: %s", firstKey(in))
	}
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	project := rest.Str(add, "tenant") + rest.Str(remove, "tenant")
	has := slices.Contains(f.Projects, project)
	switch {
	case adds && !f.Private && r.Minor >= 7:
		return nil, fail(http.StatusConflict, "Can not add access to a public flavor.")
	case adds && has:
		return nil, fail(http.StatusConflict, "Flavor access already exists for flavor %d and project %s combination.", f.number, project)
	case adds:
		f.Projects = append(f.Projects, project)
	case !has:
		return nil, fail(http.StatusNotFound, "Flavor access not found for %d / %s combination.", f.number, project)
	default:
		f.Projects = slices.DeleteFunc(f.Projects, func(p string) bool { return p == project })
	}
	return flavorAccess(f)
}

func firstKey(d rest.Doc) string {
	for k := range d {
		return k
	}
	return ""
}
