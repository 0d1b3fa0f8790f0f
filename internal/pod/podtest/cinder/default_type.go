package cinder

import (
	"maps"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// mountDefaults is not under a project's path.
func (s *Server) mountDefaults(on verbs) {
	on.get("/default-types", s.listDefaults)
	on.get("/default-types/{id}", s.showDefault)
	on.put("/default-types/{id}", s.setDefault)
	on.del("/default-types/{id}", s.unsetDefault)
}

func (s *Server) mayDefault(r *rest.Request) error {
	if r.Minor < 62 {
		return rest.Errorf(http.StatusNotFound, "", "The resource could not be found.")
	}
	return admin(r, "volume_extension:default_get_all")
}

func (s *Server) listDefaults(r *rest.Request) (*rest.Reply, error) {
	if err := s.mayDefault(r); err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, p := range slices.Sorted(maps.Keys(s.defaults)) {
		out = append(out, rest.Doc{"project_id": p, "volume_type_id": s.defaults[p]})
	}
	return rest.OK(rest.Doc{"default_types": out})
}

func (s *Server) showDefault(r *rest.Request) (*rest.Reply, error) {
	if err := s.mayDefault(r); err != nil {
		return nil, err
	}
	id, ok := s.defaults[r.Param("id")]
	if !ok {
		return nil, fail(http.StatusNotFound, "Default type for project %s not found.", r.Param("id"))
	}
	return rest.OK(rest.Doc{"default_type": rest.Doc{"project_id": r.Param("id"), "volume_type_id": id}})
}

func (s *Server) setDefault(r *rest.Request) (*rest.Reply, error) {
	if err := s.mayDefault(r); err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	ref := rest.Str(specsOf(body, "default_type"), "volume_type")
	t := s.volumeType(ref)
	if t == nil {
		return nil, badRequest("Volume type with name %s could not be found.", ref)
	}
	s.defaults[r.Param("id")] = rest.Str(t, "id")
	return s.showDefault(r)
}

func (s *Server) unsetDefault(r *rest.Request) (*rest.Reply, error) {
	if err := s.mayDefault(r); err != nil {
		return nil, err
	}
	delete(s.defaults, r.Param("id"))
	return rest.NoContent()
}
