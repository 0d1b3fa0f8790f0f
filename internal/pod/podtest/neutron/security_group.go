package neutron

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

const defaultGroup = "default"

func (s *Server) groupKind() *resource {
	return &resource{
		server: s, path: "security-groups", single: "security_group", plural: "security_groups", store: &s.groups,
		attrs: standard(map[string]attribute{
			"name":                 {post: true, put: true, kind: "string"},
			"stateful":             {post: true, put: true, kind: "bool"},
			"shared":               {},
			"security_group_rules": {},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) },
		missing: groupMissing,
		make:    s.makeGroup, change: s.changeGroup, drop: s.dropGroup, render: s.renderGroup,
		before: s.ensureListed,
	}
}

func groupMissing(id string) error {
	return rest.Errorf(404, "SecurityGroupNotFound", "Security group %s does not exist", id)
}

// ensureListed makes the default group of the project whose groups are listed:
// the one named by a filter, else the caller's.
func (s *Server) ensureListed(r *rest.Request) {
	project := r.Caller.ProjectID
	for _, name := range []string{"tenant_id", "project_id"} {
		if v := r.URL.Query()[name]; len(v) > 0 && r.Caller.Sees(v[0]) {
			project = v[0]
		}
	}
	if project != "" {
		s.EnsureDefaultGroup(project)
	}
}

func (s *Server) renderGroup(d rest.Doc) rest.Doc {
	rules := []rest.Doc{}
	kind := s.ruleKind()
	for _, r := range s.rulesOf(rest.Str(d, "id")) {
		rules = append(rules, kind.view(rest.Caller{Roles: []string{"admin"}}, r))
	}
	d["security_group_rules"] = rules
	return d
}

func (s *Server) rulesOf(group string) []rest.Doc {
	return s.rules.Where(func(d rest.Doc) bool { return d["security_group_id"] == group })
}

// EnsureDefaultGroup makes a project's default group on first touch, as Neutron
// does, and returns its ID. Mu must be held.
func (s *Server) EnsureDefaultGroup(project string) string {
	for _, g := range s.groups.All() {
		if g["name"] == defaultGroup && g["project_id"] == project {
			return rest.Str(g, "id")
		}
	}
	return s.addGroup(project, defaultGroup, "Default security group", true)
}

func (s *Server) addGroup(project, name, description string, stateful bool) string {
	id := uuid.NewString()
	s.groups.Put(id, rest.Doc{
		"id": id, "name": name, "project_id": project, "description": description, "stateful": stateful, "shared": false,
		"tags": []string{}, "created_at": s.stamp(), "updated_at": s.stamp(), "revision_number": 1,
	})
	for _, ether := range []string{"IPv4", "IPv6"} {
		s.addRule(project, rest.Doc{"security_group_id": id, "ethertype": ether, "direction": "egress"})
		if name == defaultGroup {
			s.addRule(project, rest.Doc{"security_group_id": id, "ethertype": ether, "direction": "ingress", "remote_group_id": id})
		}
	}
	return id
}

// addRule stores one of the rules that Neutron makes by itself: its
// description is null, a user's is a text.
func (s *Server) addRule(project string, d rest.Doc) {
	id := uuid.NewString()
	for _, name := range []string{"protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_address_group_id", "normalized_cidr", "remote_group_id", "description"} {
		if _, ok := d[name]; !ok {
			d[name] = nil
		}
	}
	d["id"], d["project_id"], d["revision_number"] = id, project, 0
	d["tags"], d["created_at"], d["updated_at"] = []string{}, s.stamp(), s.stamp()
	s.rules.Put(id, d)
	s.defRule[id] = true
}

func (s *Server) makeGroup(_ rest.Caller, in rest.Doc) (rest.Doc, error) {
	project := rest.Str(in, "project_id")
	s.EnsureDefaultGroup(project)
	if rest.Str(in, "name") == defaultGroup {
		return nil, conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
	}
	if err := s.within("security_group", project); err != nil {
		return nil, err
	}
	stateful := true
	if v, ok := in["stateful"].(bool); ok {
		stateful = v
	}
	id := s.addGroup(project, rest.Str(in, "name"), rest.Str(in, "description"), stateful)
	return s.groups.Find(id), nil
}

func (s *Server) changeGroup(_ rest.Caller, d, in rest.Doc) error {
	if name, ok := in["name"]; ok {
		if d["name"] == defaultGroup && name != defaultGroup {
			return conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
		}
		if d["name"] != defaultGroup && name == defaultGroup {
			return conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
		}
	}
	if _, ok := in["stateful"]; ok && s.groupUsed(rest.Str(d, "id")) {
		return conflict("SecurityGroupInUse", "Security Group %s in use.", d["id"])
	}
	copyIn(d, in, "name", "description", "stateful")
	return nil
}

func (s *Server) groupUsed(id string) bool {
	return slices.ContainsFunc(s.ports.All(), func(p rest.Doc) bool {
		return slices.Contains(rest.Strings(p, "security_groups"), id)
	})
}

func (s *Server) dropGroup(c rest.Caller, d rest.Doc) error {
	id := rest.Str(d, "id")
	if s.groupUsed(id) {
		return conflict("SecurityGroupInUse", "Security Group %s in use.", id)
	}
	if d["name"] == defaultGroup && !c.Admin() {
		return conflict("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
	}
	for _, r := range s.rules.All() {
		if r["security_group_id"] == id || r["remote_group_id"] == id {
			s.rules.Delete(rest.Str(r, "id"))
		}
	}
	return nil
}

// FindGroup finds a group of the caller's by name or ID; nil when there is none.
// Mu must be held.
func (s *Server) FindGroup(c rest.Caller, ref string) rest.Doc {
	s.EnsureDefaultGroup(c.ProjectID)
	for _, g := range s.groups.All() {
		if g["project_id"] == c.ProjectID && (g["id"] == ref || strings.EqualFold(rest.Str(g, "name"), ref)) {
			return g
		}
	}
	return nil
}

// GroupName is a group's name, for the lists that Nova shows.
func (s *Server) GroupName(id string) string { return rest.Str(s.groups.Find(id), "name") }
