package cinder

import (
	"maps"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// kinds of volumes: what the types' own resources keep.
type typing struct {
	access      map[string][]string // projects by type
	encryption  map[string]rest.Doc // by type
	qos         []rest.Doc
	groupTypes  []rest.Doc
	defaults    map[string]string // type by project
	defaultType string            // name; of the configuration
}

func newTyping() typing {
	return typing{
		access: map[string][]string{}, encryption: map[string]rest.Doc{}, defaults: map[string]string{}, defaultType: "fake",
		groupTypes: []rest.Doc{{"id": uuid.NewString(), "name": "default_cgsnapshot_type", "is_public": true,
			"description": "Default group type for migrating cgsnapshot", "group_specs": rest.Doc{"consistent_group_snapshot_enabled": "<is> True"}}},
	}
}

func (s *Server) mountTypes(on verbs) {
	on.get("/types", s.listTypes)
	on.post("/types", s.createType)
	on.get("/types/{id}", s.showType)
	on.put("/types/{id}", s.updateType)
	on.del("/types/{id}", s.deleteType)
	on.post("/types/{id}/action", s.actOnType)
	on.get("/types/{id}/os-volume-type-access", s.listAccess)
	on.get("/types/{id}/extra_specs", s.listSpecs)
	on.post("/types/{id}/extra_specs", s.setSpecs)
	on.get("/types/{id}/extra_specs/{key}", s.showSpec)
	on.put("/types/{id}/extra_specs/{key}", s.setSpec)
	on.del("/types/{id}/extra_specs/{key}", s.dropSpec)
	on.get("/types/{id}/encryption", s.showEncryption)
	on.post("/types/{id}/encryption", s.createEncryption)
	on.get("/types/{id}/encryption/{key}", s.showEncryptionKey)
	on.put("/types/{id}/encryption/{key}", s.updateEncryption)
	on.del("/types/{id}/encryption/{key}", s.deleteEncryption)
	s.mountQoS(on)
	s.mountGroupTypes(on)
}

// volumeType finds by ID or name; nil when there is none.
func (s *Server) volumeType(ref string) rest.Doc {
	for _, t := range s.types {
		if t["id"] == ref || t["name"] == ref {
			return t
		}
	}
	return nil
}

func (s *Server) typeID(name string) any { return s.volumeType(name)["id"] }

// seenType is a type by its ID, if the caller sees it.
func (s *Server) seenType(r *rest.Request) (rest.Doc, error) {
	id := r.Param("id")
	for _, t := range s.types {
		if t["id"] == id && (rest.Bool(t, "is_public") || r.Caller.Admin() || slices.Contains(s.access[id], r.Caller.ProjectID)) {
			return t, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Volume type %s could not be found.", id)
}

// managed is a type that the caller may change.
func (s *Server) managed(r *rest.Request, policy string) (rest.Doc, error) {
	if err := admin(r, policy); err != nil {
		return nil, err
	}
	return s.seenType(r)
}

func admin(r *rest.Request, policy string) error {
	if !r.Caller.Admin() {
		return fail(http.StatusForbidden, "Policy doesn't allow %s to be performed.", policy)
	}
	return nil
}

func (s *Server) inUse(t rest.Doc) bool {
	return slices.ContainsFunc(s.volumes, func(v *volume) bool { return v.kind == t["name"] })
}

func typeDoc(r *rest.Request, t rest.Doc) rest.Doc {
	d := maps.Clone(t)
	d["extra_specs"] = maps.Clone(specsOf(t, "extra_specs"))
	if r.Caller.Admin() {
		return d
	}
	delete(d, "qos_specs_id")
	for k := range specsOf(d, "extra_specs") {
		if k != "RESKEY:availability_zones" && k != "multiattach" && k != "replication_enabled" {
			delete(specsOf(d, "extra_specs"), k)
		}
	}
	return d
}

func specsOf(t rest.Doc, key string) rest.Doc {
	d, _ := t[key].(rest.Doc)
	return d
}

func (s *Server) listTypes(r *rest.Request) (*rest.Reply, error) {
	public := r.Query("is_public")
	out := []rest.Doc{}
	for _, t := range s.types {
		switch {
		case !r.Caller.Admin() && !rest.Bool(t, "is_public") && !slices.Contains(s.access[rest.Str(t, "id")], r.Caller.ProjectID):
		case r.Caller.Admin() && (public == "" || strings.EqualFold(public, "true")) && !rest.Bool(t, "is_public"):
		case r.Caller.Admin() && strings.EqualFold(public, "false") && rest.Bool(t, "is_public"):
		default:
			out = append(out, typeDoc(r, t))
		}
	}
	sort.Slice(out, func(i, j int) bool { return rest.Str(out[i], "id") < rest.Str(out[j], "id") })
	return rest.OK(rest.Doc{"volume_types": out})
}

func (s *Server) showType(r *rest.Request) (*rest.Reply, error) {
	if r.Param("id") == "default" {
		name := s.defaultType
		if id, ok := s.defaults[r.Caller.ProjectID]; ok {
			name = id
		}
		return rest.OK(rest.Doc{"volume_type": typeDoc(r, s.volumeType(name))})
	}
	t, err := s.seenType(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"volume_type": typeDoc(r, t)})
}

func (s *Server) createType(r *rest.Request) (*rest.Reply, error) {
	if err := admin(r, "volume_extension:type_create"); err != nil {
		return nil, err
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	in := specsOf(body, "volume_type")
	name := strings.TrimSpace(rest.Str(in, "name"))
	if name == "" {
		return nil, badRequest("Invalid input for field/attribute name. Value: %s. '%s' is too short", name, name)
	}
	if s.named(name) {
		return nil, fail(http.StatusConflict, "Volume Type %s already exists.", name)
	}
	public := in["os-volume-type-access:is_public"] != false
	specs := specsOf(in, "extra_specs")
	if specs == nil {
		specs = rest.Doc{}
	}
	t := rest.Doc{"id": uuid.NewString(), "name": name, "is_public": public, "description": in["description"], "extra_specs": specs,
		"os-volume-type-access:is_public": public, "qos_specs_id": nil}
	s.types = append(s.types, t)
	d := typeDoc(r, t)
	delete(d, "qos_specs_id")
	return rest.OK(rest.Doc{"volume_type": d})
}

func (s *Server) named(name string) bool {
	return slices.ContainsFunc(s.types, func(t rest.Doc) bool { return t["name"] == name })
}

func (s *Server) updateType(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	t, err := s.managed(r, "volume_extension:type_update")
	if err != nil {
		return nil, err
	}
	in := specsOf(body, "volume_type")
	if in["name"] == nil && in["description"] == nil && in["is_public"] == nil {
		return nil, badRequest("Specify volume type name, description, is_public or a combination thereof.")
	}
	if name, ok := in["name"].(string); ok {
		if name != t["name"] && s.named(name) {
			return nil, fail(http.StatusConflict, "Volume Type %s already exists.", name)
		}
		for _, v := range s.volumes {
			if v.kind == t["name"] {
				v.kind = name
			}
		}
		t["name"] = name
	}
	if in["description"] != nil {
		t["description"] = in["description"]
	}
	if public, ok := in["is_public"].(bool); ok {
		t["is_public"], t["os-volume-type-access:is_public"] = public, public
	}
	d := typeDoc(r, t)
	delete(d, "os-volume-type-access:is_public")
	return rest.OK(rest.Doc{"volume_type": d})
}

func (s *Server) deleteType(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managed(r, "volume_extension:type_delete")
	if err != nil {
		return nil, err
	}
	id := rest.Str(t, "id")
	isDefault := t["name"] == s.defaultType
	for _, of := range s.defaults {
		isDefault = isDefault || of == id
	}
	switch {
	case isDefault:
		return nil, badRequest("The volume type %s is a default volume type and cannot be deleted.", id)
	case s.inUse(t):
		return nil, badRequest("Target volume type is still in use.")
	}
	s.types = slices.DeleteFunc(s.types, func(o rest.Doc) bool { return o["id"] == id })
	delete(s.access, id)
	delete(s.encryption, id)
	return rest.Accepted(nil)
}

func (s *Server) actOnType(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	t, err := s.managed(r, "volume_extension:volume_type_access:addProjectAccess")
	if err != nil {
		return nil, err
	}
	id := rest.Str(t, "id")
	add, remove := rest.Str(specsOf(body, "addProjectAccess"), "project"), rest.Str(specsOf(body, "removeProjectAccess"), "project")
	has := slices.Contains(s.access[id], add+remove)
	switch {
	case add == "" && remove == "":
		return nil, badRequest("There is no such action: %s", slices.Collect(maps.Keys(body)))
	case rest.Bool(t, "is_public"):
		return nil, badRequest("Type access modification is not applicable to public volume type.")
	case add != "" && has:
		return nil, fail(http.StatusConflict, "Volume type access for %s / %s combination already exists.", id, add)
	case add != "":
		s.access[id] = append(s.access[id], add)
	case !has:
		return nil, fail(http.StatusNotFound, "Volume type access not found for %s / %s combination.", id, remove)
	default:
		s.access[id] = slices.DeleteFunc(s.access[id], func(p string) bool { return p == remove })
	}
	return rest.Accepted(nil)
}

func (s *Server) listAccess(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managed(r, "volume_extension:volume_type_access:get_all_for_type")
	if err != nil {
		return nil, err
	}
	if rest.Bool(t, "is_public") {
		return nil, fail(http.StatusNotFound, "Access list not available for public volume types.")
	}
	out := []rest.Doc{}
	for _, p := range s.access[rest.Str(t, "id")] {
		out = append(out, rest.Doc{"volume_type_id": t["id"], "project_id": p})
	}
	return rest.OK(rest.Doc{"volume_type_access": out})
}

func (s *Server) listSpecs(r *rest.Request) (*rest.Reply, error) {
	t, err := s.seenType(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"extra_specs": typeDoc(r, t)["extra_specs"]})
}

func (s *Server) showSpec(r *rest.Request) (*rest.Reply, error) {
	t, err := s.seenType(r)
	if err != nil {
		return nil, err
	}
	key := r.Param("key")
	value, ok := specsOf(typeDoc(r, t), "extra_specs")[key]
	if !ok {
		return nil, fail(http.StatusNotFound, "Volume Type %s has no extra specs with key %s.", r.Param("id"), key)
	}
	return rest.OK(rest.Doc{key: value})
}

// changeable is a type whose extra specs the caller may change: of one that has
// volumes nobody may.
func (s *Server) changeable(r *rest.Request) (rest.Doc, error) {
	t, err := s.managed(r, "volume_extension:types_extra_specs:create")
	if err == nil && s.inUse(t) {
		err = badRequest("Volume Type is currently in use.")
	}
	return t, err
}

func (s *Server) setSpecs(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	t, err := s.changeable(r)
	if err != nil {
		return nil, err
	}
	maps.Copy(specsOf(t, "extra_specs"), specsOf(body, "extra_specs"))
	return rest.OK(body)
}

func (s *Server) setSpec(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	t, err := s.changeable(r)
	if err != nil {
		return nil, err
	}
	if _, ok := body[r.Param("key")]; !ok {
		return nil, badRequest("Request body and URI mismatch")
	}
	maps.Copy(specsOf(t, "extra_specs"), body)
	return rest.OK(body)
}

func (s *Server) dropSpec(r *rest.Request) (*rest.Reply, error) {
	t, err := s.changeable(r)
	if err != nil {
		return nil, err
	}
	key := r.Param("key")
	if _, ok := specsOf(t, "extra_specs")[key]; !ok {
		return nil, fail(http.StatusNotFound, "Volume Type %s has no extra specs with key %s.", r.Param("id"), key)
	}
	delete(specsOf(t, "extra_specs"), key)
	return rest.Accepted(nil)
}

func (s *Server) showEncryption(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managed(r, "volume_extension:volume_type_encryption:get")
	if err != nil {
		return nil, err
	}
	if e := s.encryption[rest.Str(t, "id")]; e != nil {
		return rest.OK(e)
	}
	return rest.OK(rest.Doc{})
}

func (s *Server) showEncryptionKey(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managed(r, "volume_extension:volume_type_encryption:get")
	if err != nil {
		return nil, err
	}
	value, ok := s.encryption[rest.Str(t, "id")][r.Param("key")]
	if !ok {
		return nil, noEncryption(r)
	}
	return rest.OK(rest.Doc{r.Param("key"): value})
}

func noEncryption(r *rest.Request) error {
	return fail(http.StatusNotFound, "Volume type encryption for type %s does not exist.", r.Param("id"))
}

func (s *Server) createEncryption(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	t, err := s.managed(r, "volume_extension:volume_type_encryption:create")
	if err != nil {
		return nil, err
	}
	id := rest.Str(t, "id")
	switch {
	case s.inUse(t):
		return nil, badRequest("Cannot create encryption specs. Volume type in use.")
	case s.encryption[id] != nil:
		return nil, badRequest("Volume type encryption for type %s already exists.", id)
	}
	in := specsOf(body, "encryption")
	in["volume_type_id"], in["encryption_id"] = id, uuid.NewString()
	s.encryption[id] = rest.Doc{"cipher": in["cipher"], "key_size": in["key_size"], "provider": in["provider"], "control_location": in["control_location"],
		"volume_type_id": id, "encryption_id": in["encryption_id"], "created_at": micros(s.Now()), "updated_at": nil, "deleted_at": nil, "deleted": false}
	return rest.OK(body)
}

func (s *Server) updateEncryption(r *rest.Request) (*rest.Reply, error) {
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	t, err := s.managed(r, "volume_extension:volume_type_encryption:update")
	if err != nil {
		return nil, err
	}
	e := s.encryption[rest.Str(t, "id")]
	switch {
	case s.inUse(t):
		return nil, badRequest("Cannot update encryption specs. Volume type in use.")
	case e == nil:
		return nil, noEncryption(r)
	}
	maps.Copy(e, specsOf(body, "encryption"))
	return rest.OK(body)
}

func (s *Server) deleteEncryption(r *rest.Request) (*rest.Reply, error) {
	t, err := s.managed(r, "volume_extension:volume_type_encryption:delete")
	if err != nil {
		return nil, err
	}
	id := rest.Str(t, "id")
	switch {
	case s.inUse(t) && s.encryption[id] != nil:
		return nil, badRequest("Cannot delete encryption specs. Volume type in use.")
	case s.encryption[id] == nil:
		return nil, noEncryption(r)
	}
	delete(s.encryption, id)
	return rest.Accepted(nil)
}
