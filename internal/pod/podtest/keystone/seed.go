package keystone

import "github.com/tricircle/tricircle/internal/pod/podtest/rest"

// AddProject makes a project and returns its ID.
func (s *Server) AddProject(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := NewID()
	s.projects.Put(id, rest.Doc{
		"id": id, "name": name, "domain_id": "default", "description": "", "enabled": true,
		"parent_id": "default", "is_domain": false, "tags": []string{}, "options": rest.Doc{},
	})
	return id
}

// AddUser makes a user whose default project is the one named, and returns the
// user's ID.
func (s *Server) AddUser(name, password, project string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := NewID()
	doc := rest.Doc{"id": id, "name": name, "domain_id": "default", "enabled": true, "password_expires_at": nil, "options": rest.Doc{}}
	if p := s.byName(&s.projects, project); p != nil {
		doc["default_project_id"] = p["id"]
	}
	s.users.Put(id, doc)
	s.passwords[id] = password
	return id
}

// Grant gives a user a role in a project, all by name.
func (s *Server) Grant(user, project, role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants = append(s.grants, grant{
		rest.Str(s.byName(&s.users, user), "id"), rest.Str(s.byName(&s.projects, project), "id"), rest.Str(s.byName(&s.roles, role), "id"),
	})
}

// AddRegion makes a region; parent may be empty.
func (s *Server) AddRegion(id, parent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := rest.Doc{"id": id, "description": "", "parent_region_id": nil}
	if parent != "" {
		doc["parent_region_id"] = parent
	}
	s.regions.Put(id, doc)
}

// AddService makes a service and returns its ID.
func (s *Server) AddService(kind, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := NewID()
	s.services.Put(id, rest.Doc{"id": id, "type": kind, "name": name, "enabled": true})
	return id
}

// AddEndpoint makes the three endpoints of a service in a region.
func (s *Server) AddEndpoint(serviceID, region, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, iface := range []string{"public", "internal", "admin"} {
		id := NewID()
		s.endpoints.Put(id, rest.Doc{"id": id, "service_id": serviceID, "region_id": region, "interface": iface, "url": url, "enabled": true})
	}
}

// ProjectID finds a project's ID by its name; empty when there is none.
func (s *Server) ProjectID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rest.Str(s.byName(&s.projects, name), "id")
}

// UserID finds a user's ID by its name; empty when there is none.
func (s *Server) UserID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rest.Str(s.byName(&s.users, name), "id")
}
