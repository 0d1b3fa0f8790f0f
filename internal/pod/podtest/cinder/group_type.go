package cinder

import (
	"maps"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) mountGroupTypes(on verbs) {
	on.get("/group_types", s.listGroupTypes)
	on.post("/group_types", s.createGroupType)
	on.get("/group_types/{id}", s.showGroupType)
	on.put("/group_types/{id}", s.updateGroupType)
	on.del("/group_types/{id}", s.deleteGroupType)
	on.get("/group_types/{id}/group_specs", s.listGroupSpecs)
	on.post("/group_types/{id}/group_specs", s.setGroupSpecs)
	on.get("/group_types/{id}/group_specs/{key}", s.showGroupSpec)
	on.put("/group_types/{id}/group_specs/{key}", s.setGroupSpec)
	on.del("/group_types/{id}/group_specs/{key}", s.dropGroupSpec)
}

func (s *Server) findGroupType(r *rest.Request) (rest.Doc, error) {
	if r.Minor < 11 {
		return nil, rest.Errorf(http.StatusNotFound, "", "The resource could not be found.")
	}
	for _, t := range s.groupTypes {
		if t["id"] == r.Param("id") || r.Param("id") == "default" {
			return t, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Group type %s could not be found.", r.Param("id"))
}

func (s *Server) managedGroupType(r *rest.Request) (rest.Doc, error) {
	if err := admin(r, "group:group_types_manage"); err != nil {
		return nil, err
	}
	return s.findGroupType(r)
}

func groupTypeDoc(r *rest.Request, t rest.Doc) rest.Doc {
	d := maps.Clone(t)
	if !r.Caller.Admin() {
		delete(d, "group_specs")
	}
	return d
}

func (s *Server) listGroupTypes(r *rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, t := range slices.Backward(s.groupTypes) {
		if rest.Bool(t, "is_public") || r.Caller.Admin() && r.Query("is_public") == "None" {
			out = append(out, groupTypeDoc(r, t))
		}
	}
	return rest.OK(rest.Doc{"group_types": out})
}

func (s *Server) showGroupType(r *rest.Request) (*rest.Reply, error) {
	t, err := s.findGroupType(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"group_type": groupTypeDoc(r, t)})
}

func (s *Server) createGroupType(r *rest.Request) (*rest.Reply, error) {
	if err := admin(r, "group:group_types_manage"); err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	in := specsOf(body, "group_type")
	for _, t := range s.groupTypes {
		if t["name"] == in["name"] {
			return nil, fail(http.StatusConflict, "Group Type %s already exists.", in["name"])
		}
	}
	specs := specsOf(in, "group_specs")
	if specs == nil {
		specs = rest.Doc{}
	}
	t := rest.Doc{"id": uuid.NewString(), "name": in["name"], "description": in["description"], "is_public": in["is_public"] != false, "group_specs": specs}
	s.groupTypes = append(s.groupTypes, t)
	return rest.Accepted(rest.Doc{"group_type": t})
}

func (s *Server) updateGroupType(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managedGroupType(r)
	if err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"name", "description", "is_public"} {
		if v := specsOf(body, "group_type")[key]; v != nil {
			t[key] = v
		}
	}
	return rest.OK(rest.Doc{"group_type": t})
}

func (s *Server) deleteGroupType(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managedGroupType(r)
	if err != nil {
		return nil, err
	}
	s.groupTypes = slices.DeleteFunc(s.groupTypes, func(o rest.Doc) bool { return o["id"] == t["id"] })
	return rest.Accepted(nil)
}

func (s *Server) listGroupSpecs(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managedGroupType(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"group_specs": t["group_specs"]})
}

func (s *Server) showGroupSpec(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managedGroupType(r)
	if err != nil {
		return nil, err
	}
	value, ok := specsOf(t, "group_specs")[r.Param("key")]
	if !ok {
		return nil, fail(http.StatusNotFound, "Group Type %s has no extra spec with key %s.", r.Param("id"), r.Param("key"))
	}
	return rest.OK(rest.Doc{r.Param("key"): value})
}

func (s *Server) setGroupSpecs(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managedGroupType(r)
	if err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	maps.Copy(specsOf(t, "group_specs"), specsOf(body, "group_specs"))
	return rest.Accepted(body)
}

func (s *Server) setGroupSpec(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managedGroupType(r)
	if err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	if _, ok := body[r.Param("key")]; !ok {
		return nil, badRequest("Request body and URI mismatch")
	}
	maps.Copy(specsOf(t, "group_specs"), body)
	return rest.OK(body)
}

func (s *Server) dropGroupSpec(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managedGroupType(r)
	if err != nil {
		return nil, err
	}
	if _, ok := specsOf(t, "group_specs")[r.Param("key")]; !ok {
		return nil, fail(http.StatusNotFound, "Group Type %s has no specs with key %s.", r.Param("id"), r.Param("key"))
	}
	delete(specsOf(t, "group_specs"), r.Param("key"))
	return rest.Accepted(nil)
}
