package keystone

import (
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type token struct {
	user, project   string // IDs; project may be empty
	issued, expires time.Time
	methods         []string
	revoked         bool
}

type credential struct{ user, project, name, secret string }

// Token issues a token for a user in a project, both by name. An empty project
// makes an unscoped one. It panics on names that are not there: that is a
// mistake in the test.
func (s *Server) Token(user, project string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.byName(&s.users, user)
	if u == nil {
		panic("keystone: no user " + user)
	}
	projectID := ""
	if project != "" {
		p := s.byName(&s.projects, project)
		if p == nil {
			panic("keystone: no project " + project)
		}
		projectID = rest.Str(p, "id")
	}
	id, _ := s.issue(rest.Str(u, "id"), projectID, "password")
	return id
}

// Auth finds the caller of a token, as a pod's own middleware would.
func (s *Server) Auth(id string) (rest.Caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.callerLocked(id)
}

// Expire makes a token one that has expired.
func (s *Server) Expire(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[id]; t != nil {
		t.expires = s.now().Add(-time.Second)
	}
}

// Revoke makes a token one that was revoked.
func (s *Server) Revoke(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[id]; t != nil {
		t.revoked = true
	}
}

// Validations counts the GET /v3/auth/tokens so far, good or not.
func (s *Server) Validations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.validations
}

func (s *Server) live(id string) *token {
	t := s.tokens[id]
	if t == nil || t.revoked || !s.now().Before(t.expires) {
		return nil
	}
	return t
}

func (s *Server) callerLocked(id string) (rest.Caller, bool) {
	t := s.live(id)
	if t == nil {
		return rest.Caller{}, false
	}
	user := s.users.Find(t.user)
	c := rest.Caller{Token: id, UserID: t.user, UserName: rest.Str(user, "name"), ProjectID: t.project}
	if p := s.projects.Find(t.project); p != nil {
		c.ProjectName = rest.Str(p, "name")
	}
	for _, r := range s.rolesOf(t.user, t.project) {
		c.Roles = append(c.Roles, rest.Str(r, "name"))
	}
	return c, true
}

func (s *Server) issue(user, project string, methods ...string) (string, *token) {
	id := "gAAAAAB" + NewID() + NewID() + NewID()
	now := s.now().UTC().Truncate(time.Second)
	t := &token{user: user, project: project, issued: now, expires: now.Add(TokenLife), methods: methods}
	s.tokens[id] = t
	return id, t
}

// rolesOf lists roles by name; member implies reader.
func (s *Server) rolesOf(user, project string) []rest.Doc {
	names := map[string]bool{}
	for _, g := range s.grants {
		if g.user != user || g.project != project {
			continue
		}
		name := rest.Str(s.roles.Find(g.role), "name")
		names[name] = true
		if name == "admin" {
			names["member"] = true
		}
		if name == "admin" || name == "member" {
			names["reader"] = true
		}
	}
	out := []rest.Doc{}
	for _, r := range s.roles.All() {
		if names[rest.Str(r, "name")] {
			out = append(out, rest.Doc{"id": r["id"], "name": r["name"]})
		}
	}
	return out
}

func (s *Server) byName(in *rest.Store, name string) rest.Doc {
	for _, d := range in.All() {
		if d["name"] == name {
			return d
		}
	}
	return nil
}

// named finds by {"id"} or {"name", "domain"}.
func (s *Server) named(in *rest.Store, by rest.Doc) rest.Doc {
	if id := rest.Str(by, "id"); id != "" {
		return in.Find(id)
	}
	domain, _ := by["domain"].(rest.Doc)
	if d := rest.Str(domain, "id"); d != "" && d != "default" {
		return nil
	}
	if d := rest.Str(domain, "name"); d != "" && d != "Default" {
		return nil
	}
	if domain == nil {
		return nil
	}
	return s.byName(in, rest.Str(by, "name"))
}

func (s *Server) createToken(r *rest.Request) (*rest.Reply, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	auth, _ := doc["auth"].(rest.Doc)
	identity, ok := auth["identity"].(rest.Doc)
	if !ok {
		return nil, badRequest("'identity' is a required property")
	}
	methods := rest.Strings(identity, "methods")
	user, project, ok := s.login(identity, methods)
	if !ok {
		return nil, unauthorized()
	}
	if project == "" {
		if project, ok = s.scope(auth, user, methods); !ok {
			return nil, unauthorized()
		}
	}
	id, t := s.issue(user, project, methods...)
	_, bare := r.URL.Query()["nocatalog"]
	return &rest.Reply{
		Status: http.StatusCreated,
		Body:   rest.Doc{"token": s.tokenDoc(t, !bare)},
		Header: http.Header{"X-Subject-Token": {id}, "Vary": {"X-Auth-Token"}},
	}, nil
}

// login checks who it is. The project is set where the method fixes it.
func (s *Server) login(identity rest.Doc, methods []string) (user, project string, ok bool) {
	switch {
	case slices.Contains(methods, "password"):
		password, _ := identity["password"].(rest.Doc)
		by, _ := password["user"].(rest.Doc)
		u := s.named(&s.users, by)
		if u == nil || rest.Str(by, "password") == "" || s.passwords[rest.Str(u, "id")] != by["password"] {
			return "", "", false
		}
		return rest.Str(u, "id"), "", true
	case slices.Contains(methods, "token"):
		by, _ := identity["token"].(rest.Doc)
		t := s.live(rest.Str(by, "id"))
		if t == nil {
			return "", "", false
		}
		return t.user, "", true
	case slices.Contains(methods, "application_credential"):
		by, _ := identity["application_credential"].(rest.Doc)
		c, found := s.credentials[rest.Str(by, "id")]
		if !found || c.secret != by["secret"] {
			return "", "", false
		}
		return c.user, c.project, true
	}
	return "", "", false
}

// scope finds the project asked for. Without a scope a password login goes to
// the user's default project, as Keystone does.
func (s *Server) scope(auth rest.Doc, user string, methods []string) (project string, ok bool) {
	switch scope := auth["scope"].(type) {
	case rest.Doc:
		by, ok := scope["project"].(rest.Doc)
		if !ok {
			return "", false
		}
		p := s.named(&s.projects, by)
		if p == nil || len(s.rolesOf(user, rest.Str(p, "id"))) == 0 {
			return "", false
		}
		return rest.Str(p, "id"), true
	case string:
		return "", scope == "unscoped"
	}
	if slices.Contains(methods, "token") {
		return "", true
	}
	return rest.Str(s.users.Find(user), "default_project_id"), true
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (s *Server) tokenDoc(t *token, withCatalog bool) rest.Doc {
	domain := rest.Doc{"id": "default", "name": "Default"}
	user := s.users.Find(t.user)
	doc := rest.Doc{
		"methods":    t.methods,
		"user":       rest.Doc{"id": t.user, "name": user["name"], "domain": domain, "password_expires_at": nil},
		"audit_ids":  []string{"audit"},
		"issued_at":  stamp(t.issued),
		"expires_at": stamp(t.expires),
	}
	if t.project == "" {
		return doc
	}
	p := s.projects.Find(t.project)
	doc["project"] = rest.Doc{"id": t.project, "name": p["name"], "domain": domain}
	doc["is_domain"] = false
	doc["roles"] = s.rolesOf(t.user, t.project)
	if withCatalog {
		doc["catalog"] = s.catalog(t.project)
	}
	return doc
}

func (s *Server) showToken(r *rest.Request) (*rest.Reply, error) {
	s.validations++
	id := r.Request.Header.Get("X-Subject-Token")
	if !r.Caller.Admin() && !slices.Contains(r.Caller.Roles, "service") && id != r.Caller.Token {
		return nil, forbidden("identity:validate_token")
	}
	t := s.live(id)
	if t == nil {
		return nil, rest.Errorf(http.StatusNotFound, "Not Found", "Failed to validate token")
	}
	_, bare := r.URL.Query()["nocatalog"]
	return &rest.Reply{
		Status: http.StatusOK,
		Body:   rest.Doc{"token": s.tokenDoc(t, !bare)},
		Header: http.Header{"X-Subject-Token": {id}, "Vary": {"X-Auth-Token"}},
	}, nil
}

func (s *Server) deleteToken(r *rest.Request) (*rest.Reply, error) {
	id := r.Request.Header.Get("X-Subject-Token")
	if !r.Caller.Admin() && id != r.Caller.Token {
		return nil, forbidden("identity:revoke_token")
	}
	t := s.live(id)
	if t == nil {
		return nil, rest.Errorf(http.StatusNotFound, "Not Found", "Failed to validate token")
	}
	t.revoked = true
	return rest.NoContent()
}

func (s *Server) catalog(project string) []rest.Doc {
	out := []rest.Doc{}
	for _, svc := range s.services.All() {
		eps := []rest.Doc{}
		for _, e := range s.endpoints.All() {
			if e["service_id"] != svc["id"] || e["enabled"] == false {
				continue
			}
			url := strings.NewReplacer("$(project_id)s", project, "%(project_id)s", project,
				"$(tenant_id)s", project, "%(tenant_id)s", project).Replace(rest.Str(e, "url"))
			eps = append(eps, rest.Doc{
				"id": e["id"], "interface": e["interface"], "region": e["region_id"], "region_id": e["region_id"], "url": url,
			})
		}
		sort.Slice(eps, func(i, j int) bool { return rest.Str(eps[i], "id") < rest.Str(eps[j], "id") })
		if len(eps) > 0 {
			out = append(out, rest.Doc{"id": svc["id"], "type": svc["type"], "name": svc["name"], "endpoints": eps})
		}
	}
	return out
}

func (s *Server) showCatalog(r *rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"catalog": s.catalog(r.Caller.ProjectID), "links": rest.Doc{"self": s.url + "/auth/catalog", "next": nil, "previous": nil}})
}

func (s *Server) createCredential(r *rest.Request) (*rest.Reply, error) {
	doc, err := r.JSON()
	in, ok := doc["application_credential"].(rest.Doc)
	if err != nil || !ok || rest.Str(in, "name") == "" {
		return nil, badRequest("'name' is a required property")
	}
	if r.Param("user") != r.Caller.UserID {
		return nil, forbidden("identity:create_application_credential")
	}
	id, secret := NewID(), rest.Str(in, "secret")
	if secret == "" {
		secret = NewID()
	}
	s.credentials[id] = credential{user: r.Caller.UserID, project: r.Caller.ProjectID, name: rest.Str(in, "name"), secret: secret}
	return rest.Created(rest.Doc{"application_credential": rest.Doc{
		"id": id, "name": in["name"], "secret": secret, "project_id": r.Caller.ProjectID, "unrestricted": false,
		"description": in["description"], "expires_at": nil, "roles": s.rolesOf(r.Caller.UserID, r.Caller.ProjectID),
	}})
}
