package keystone

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// collection is one kind of thing that Keystone keeps: all are alike.
type collection struct {
	server         *Server
	plural, single string
	store          *rest.Store
	required       string
	defaults       rest.Doc
	check          func(id string, doc rest.Doc) error // before it is stored
	unused         func(id string) error               // before it is deleted
}

func (s *Server) collections() []collection {
	return []collection{
		{server: s, plural: "services", single: "service", store: &s.services, required: "type", defaults: rest.Doc{"enabled": true}},
		{server: s, plural: "endpoints", single: "endpoint", store: &s.endpoints, required: "service_id", check: s.checkEndpoint,
			defaults: rest.Doc{"enabled": true, "region_id": nil}},
		{server: s, plural: "regions", single: "region", store: &s.regions, check: s.checkRegion, unused: s.unusedRegion,
			defaults: rest.Doc{"description": "", "parent_region_id": nil}},
		{server: s, plural: "projects", single: "project", store: &s.projects, required: "name", check: s.checkProject,
			defaults: rest.Doc{"domain_id": "default", "description": "", "enabled": true, "parent_id": "default", "is_domain": false, "tags": []string{}, "options": rest.Doc{}}},
		{server: s, plural: "users", single: "user", store: &s.users, required: "name", check: s.checkUser,
			defaults: rest.Doc{"domain_id": "default", "enabled": true, "password_expires_at": nil, "options": rest.Doc{}}},
		{server: s, plural: "roles", single: "role", store: &s.roles, required: "name",
			defaults: rest.Doc{"domain_id": nil, "description": nil, "options": rest.Doc{}}},
		{server: s, plural: "domains", single: "domain", store: domains()},
	}
}

func domains() *rest.Store {
	s := &rest.Store{}
	s.Put("default", rest.Doc{"id": "default", "name": "Default", "description": "The default domain", "enabled": true, "tags": []string{}, "options": rest.Doc{}})
	return s
}

func forbidden(action string) *rest.Error {
	return rest.Errorf(http.StatusForbidden, "Forbidden", "You are not authorized to perform the requested action: %s.", action)
}

func (c collection) mount(mux chi.Router, api *rest.Service) {
	base := "/v3/" + c.plural
	mux.Get(base, api.Handle(c.list))
	mux.Post(base, api.Handle(c.create))
	mux.Get(base+"/{id}", api.Handle(c.show))
	mux.Patch(base+"/{id}", api.Handle(c.update))
	mux.Delete(base+"/{id}", api.Handle(c.remove))
}

func (c collection) view(doc rest.Doc) rest.Doc {
	out := rest.Doc{"links": rest.Doc{"self": fmt.Sprintf("%s/%s/%s", c.server.url, c.plural, doc["id"])}}
	for k, v := range doc {
		if k != "password" {
			out[k] = v
		}
	}
	if c.plural == "endpoints" {
		out["region"] = doc["region_id"]
	}
	return out
}

func (c collection) notFound(id string) *rest.Error {
	return rest.Errorf(http.StatusNotFound, "Not Found", "Could not find %s: %s.", c.single, id)
}

func (c collection) list(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() && c.plural != "regions" {
		return nil, forbidden("identity:list_" + c.plural)
	}
	out := []rest.Doc{}
next:
	for _, d := range c.store.All() {
		for key, want := range r.URL.Query() {
			if have, ok := d[key]; ok && !rest.Matches(have, want[len(want)-1]) {
				continue next
			}
		}
		out = append(out, c.view(d))
	}
	self := c.server.url + "/" + c.plural
	if r.URL.RawQuery != "" {
		self += "?" + r.URL.RawQuery
	}
	return rest.OK(rest.Doc{c.plural: out, "links": rest.Doc{"next": nil, "previous": nil, "self": self}})
}

func (c collection) show(r *rest.Request) (*rest.Reply, error) {
	id := r.Param("id")
	own := c.plural == "regions" || id == r.Caller.ProjectID || id == r.Caller.UserID
	if !r.Caller.Admin() && !own {
		return nil, forbidden("identity:get_" + c.single)
	}
	d := c.store.Find(id)
	if d == nil {
		return nil, c.notFound(id)
	}
	return rest.OK(rest.Doc{c.single: c.view(d)})
}

func (c collection) create(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, forbidden("identity:create_" + c.single)
	}
	body, err := r.JSON()
	in, ok := body[c.single].(rest.Doc)
	if err != nil || !ok {
		return nil, badRequest(fmt.Sprintf("%q is a required property", c.single))
	}
	if c.required != "" && rest.Str(in, c.required) == "" {
		return nil, badRequest(fmt.Sprintf("'%s' is a required property", c.required))
	}
	doc := rest.Doc{"id": NewID()}
	for k, v := range c.defaults {
		doc[k] = v
	}
	for k, v := range in {
		doc[k] = v
	}
	if c.plural != "regions" {
		doc["id"] = NewID()
	}
	id := rest.Str(doc, "id")
	if c.check != nil {
		if err := c.check(id, doc); err != nil {
			return nil, err
		}
	}
	c.store.Put(id, doc)
	return rest.Created(rest.Doc{c.single: c.view(doc)})
}

func (c collection) update(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, forbidden("identity:update_" + c.single)
	}
	id := r.Param("id")
	d := c.store.Find(id)
	if d == nil {
		return nil, c.notFound(id)
	}
	body, err := r.JSON()
	in, ok := body[c.single].(rest.Doc)
	if err != nil || !ok {
		return nil, badRequest(fmt.Sprintf("%q is a required property", c.single))
	}
	for k, v := range in {
		if k != "id" {
			d[k] = v
		}
	}
	return rest.OK(rest.Doc{c.single: c.view(d)})
}

func (c collection) remove(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, forbidden("identity:delete_" + c.single)
	}
	id := r.Param("id")
	if c.store.Find(id) == nil {
		return nil, c.notFound(id)
	}
	if c.unused != nil {
		if err := c.unused(id); err != nil {
			return nil, err
		}
	}
	c.store.Delete(id)
	if c.plural == "services" {
		for _, e := range c.server.endpoints.All() {
			if e["service_id"] == id {
				c.server.endpoints.Delete(rest.Str(e, "id"))
			}
		}
	}
	return rest.NoContent()
}

func (s *Server) checkEndpoint(_ string, doc rest.Doc) error {
	for _, key := range []string{"interface", "url"} {
		if rest.Str(doc, key) == "" {
			return badRequest(fmt.Sprintf("'%s' is a required property", key))
		}
	}
	if s.services.Find(rest.Str(doc, "service_id")) == nil {
		return badRequest("Expecting to find endpoint service_id in service table. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	if rest.Str(doc, "region_id") == "" && rest.Str(doc, "region") != "" {
		doc["region_id"] = doc["region"]
	}
	delete(doc, "region")
	if id := rest.Str(doc, "region_id"); id != "" && s.regions.Find(id) == nil {
		s.regions.Put(id, rest.Doc{"id": id, "description": "", "parent_region_id": nil})
	}
	return nil
}

func (s *Server) checkRegion(id string, _ rest.Doc) error {
	if s.regions.Find(id) != nil {
		return rest.Errorf(http.StatusConflict, "Conflict", "Conflict occurred attempting to store region - Duplicate ID, %s..", id)
	}
	return nil
}

func (s *Server) unusedRegion(id string) error {
	for _, e := range s.endpoints.All() {
		if e["region_id"] == id {
			return rest.Errorf(http.StatusForbidden, "Forbidden", "Unable to delete region %s because it or its child regions have associated endpoints.", id)
		}
	}
	return nil
}

func (s *Server) checkProject(_ string, doc rest.Doc) error {
	if s.byName(&s.projects, rest.Str(doc, "name")) != nil {
		return rest.Errorf(http.StatusConflict, "Conflict", "Conflict occurred attempting to store project - it is not permitted to have two projects with the same name in the same domain : %s.", doc["name"])
	}
	return nil
}

func (s *Server) checkUser(id string, doc rest.Doc) error {
	if s.byName(&s.users, rest.Str(doc, "name")) != nil {
		return rest.Errorf(http.StatusConflict, "Conflict", "Conflict occurred attempting to store user - Duplicate entry found with name %s at domain ID default.", doc["name"])
	}
	s.passwords[id] = rest.Str(doc, "password")
	delete(doc, "password")
	return nil
}

func (s *Server) listOwnProjects(r *rest.Request) (*rest.Reply, error) {
	c := collection{server: s, plural: "projects"}
	out := []rest.Doc{}
	for _, p := range s.projects.All() {
		if len(s.rolesOf(r.Caller.UserID, rest.Str(p, "id"))) > 0 {
			out = append(out, c.view(p))
		}
	}
	return rest.OK(rest.Doc{"projects": out, "links": rest.Doc{"next": nil, "previous": nil, "self": s.url + strings.TrimPrefix(r.URL.Path, "/v3")}})
}

func (s *Server) listAssignments(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, forbidden("identity:list_role_assignments")
	}
	q := r.URL.Query()
	_, names := q["include_names"]
	out := []rest.Doc{}
	for _, g := range s.grants {
		if differs(q.Get("user.id"), g.user) || differs(q.Get("scope.project.id"), g.project) || differs(q.Get("role.id"), g.role) {
			continue
		}
		out = append(out, rest.Doc{
			"links": rest.Doc{"assignment": fmt.Sprintf("%s/projects/%s/users/%s/roles/%s", s.url, g.project, g.user, g.role)},
			"scope": rest.Doc{"project": s.reference(&s.projects, g.project, names)},
			"user":  s.reference(&s.users, g.user, names),
			"role":  s.reference(&s.roles, g.role, names),
		})
	}
	return rest.OK(rest.Doc{"role_assignments": out, "links": rest.Doc{"next": nil, "previous": nil, "self": s.url + "/role_assignments"}})
}

func differs(want, have string) bool { return want != "" && want != have }

func (s *Server) reference(in *rest.Store, id string, names bool) rest.Doc {
	if !names {
		return rest.Doc{"id": id}
	}
	out := rest.Doc{"id": id, "name": rest.Str(in.Find(id), "name")}
	if in != &s.roles {
		out["domain"] = rest.Doc{"id": "default", "name": "Default"}
	}
	return out
}

func (s *Server) grantRole(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, forbidden("identity:create_grant")
	}
	s.grants = append(s.grants, grant{r.Param("user"), r.Param("project"), r.Param("role")})
	return rest.NoContent()
}
