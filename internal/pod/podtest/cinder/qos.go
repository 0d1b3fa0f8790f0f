package cinder

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func (s *Server) mountQoS(on verbs) {
	on.get("/qos-specs", s.listQoS)
	on.post("/qos-specs", s.createQoS)
	on.get("/qos-specs/{id}", s.showQoS)
	on.put("/qos-specs/{id}", s.updateQoS)
	on.del("/qos-specs/{id}", s.deleteQoS)
	on.put("/qos-specs/{id}/delete_keys", s.dropQoSKeys)
	on.get("/qos-specs/{id}/associations", s.listAssociations)
	on.get("/qos-specs/{id}/associate", s.associate)
	on.get("/qos-specs/{id}/disassociate", s.disassociate)
	on.get("/qos-specs/{id}/disassociate_all", s.disassociateAll)
}

func (s *Server) findQoS(r *rest.Request) (rest.Doc, error) {
	if err := admin(r, "volume_extension:qos_specs_manage:get"); err != nil {
		return nil, err
	}
	for _, q := range s.qos {
		if q["id"] == r.Param("id") {
			return q, nil
		}
	}
	return nil, fail(http.StatusNotFound, "No such QoS spec %s.", r.Param("id"))
}

func (s *Server) listQoS(r *rest.Request) (*rest.Reply, error) {
	if err := admin(r, "volume_extension:qos_specs_manage:get_all"); err != nil {
		return nil, err
	}
	out := slices.Clone(s.qos)
	slices.Reverse(out)
	if out == nil {
		out = []rest.Doc{}
	}
	return rest.OK(rest.Doc{"qos_specs": out})
}

func qosReply(r *rest.Request, q rest.Doc) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"qos_specs": q, "links": []rest.Doc{{"rel": "self", "href": r.Root() + "/v3/" + r.Caller.ProjectID + "/qos-specs/" + rest.Str(q, "id")}}})
}

func (s *Server) createQoS(r *rest.Request) (*rest.Reply, error) {
	if err := admin(r, "volume_extension:qos_specs_manage:create"); err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	specs := specsOf(body, "qos_specs")
	name := specs["name"]
	for _, q := range s.qos {
		if q["name"] == name {
			return nil, fail(http.StatusConflict, "QoS Specs %s already exists.", name)
		}
	}
	consumer := specs["consumer"]
	if consumer == nil {
		consumer = "back-end"
	}
	delete(specs, "name")
	delete(specs, "consumer")
	q := rest.Doc{"id": uuid.NewString(), "name": name, "consumer": consumer, "specs": specs}
	s.qos = append(s.qos, q)
	return qosReply(r, q)
}

func (s *Server) showQoS(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	return qosReply(r, q)
}

func (s *Server) updateQoS(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	for k, v := range specsOf(body, "qos_specs") {
		if k == "consumer" {
			q["consumer"] = v
			continue
		}
		specsOf(q, "specs")[k] = v
	}
	return rest.OK(body)
}

func (s *Server) dropQoSKeys(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	for _, key := range rest.Strings(body, "keys") {
		if _, ok := specsOf(q, "specs")[key]; !ok {
			return nil, fail(http.StatusNotFound, "QoS spec %s has no spec with key %s.", r.Param("id"), key)
		}
		delete(specsOf(q, "specs"), key)
	}
	return rest.Accepted(nil)
}

func (s *Server) typesWith(q rest.Doc) []rest.Doc {
	return slices.DeleteFunc(slices.Clone(s.types), func(t rest.Doc) bool { return t["qos_specs_id"] != q["id"] })
}

func (s *Server) deleteQoS(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	if force := r.Query("force"); force != "true" && force != "True" && len(s.typesWith(q)) > 0 {
		return nil, badRequest("Qos specs still in use.")
	}
	for _, t := range s.typesWith(q) {
		t["qos_specs_id"] = nil
	}
	s.qos = slices.DeleteFunc(s.qos, func(o rest.Doc) bool { return o["id"] == q["id"] })
	return rest.Accepted(nil)
}

func (s *Server) listAssociations(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, t := range s.typesWith(q) {
		out = append(out, rest.Doc{"association_type": "volume_type", "name": t["name"], "id": t["id"]})
	}
	return rest.OK(rest.Doc{"qos_associations": out})
}

func (s *Server) typeToAssociate(r *rest.Request) (rest.Doc, error) {
	id := r.Query("vol_type_id")
	if id == "" {
		return nil, badRequest("Volume Type id must not be None.")
	}
	for _, t := range s.types {
		if t["id"] == id {
			return t, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Volume type %s could not be found.", id)
}

func (s *Server) associate(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	t, err := s.typeToAssociate(r)
	if err != nil {
		return nil, err
	}
	if has := t["qos_specs_id"]; has != nil && has != q["id"] {
		return nil, badRequest("Invalid volume type: Type %s is already associated with another qos specs: %s", t["id"], has)
	}
	t["qos_specs_id"] = q["id"]
	return rest.Accepted(nil)
}

func (s *Server) disassociate(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	t, err := s.typeToAssociate(r)
	if err != nil {
		return nil, err
	}
	if t["qos_specs_id"] == q["id"] {
		t["qos_specs_id"] = nil
	}
	return rest.Accepted(nil)
}

func (s *Server) disassociateAll(r *rest.Request) (*rest.Reply, error) {
	q, err := s.findQoS(r)
	if err != nil {
		return nil, err
	}
	for _, t := range s.typesWith(q) {
		t["qos_specs_id"] = nil
	}
	return rest.Accepted(nil)
}
