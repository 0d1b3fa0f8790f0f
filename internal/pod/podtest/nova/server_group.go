package nova

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type serverGroup struct {
	id, name, policy, project, user string
	rules                           any
}

func (s *Server) serverGroup(c rest.Caller, id string) *serverGroup {
	for _, g := range s.groups {
		if g.id == id && c.Sees(g.project) {
			return g
		}
	}
	return nil
}

func (s *Server) groupDoc(r *rest.Request, g *serverGroup) rest.Doc {
	members := []string{}
	for _, v := range s.servers {
		if v.serverGroup == g.id {
			members = append(members, v.id)
		}
	}
	d := rest.Doc{"id": g.id, "name": g.name, "members": members}
	if r.Minor >= 64 {
		d["policy"], d["rules"] = g.policy, g.rules
	} else {
		d["policies"], d["metadata"] = []string{g.policy}, rest.Doc{}
	}
	if r.Minor >= 13 {
		d["project_id"], d["user_id"] = g.project, g.user
	}
	return d
}

func (s *Server) listGroups(r *rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, g := range s.groups {
		if g.project == r.Caller.ProjectID || (truthy(r.URL.Query(), "all_projects") && r.Caller.Admin()) {
			out = append(out, s.groupDoc(r, g))
		}
	}
	return rest.OK(rest.Doc{"server_groups": out})
}

func (s *Server) createGroup(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "server_group")
	if err != nil {
		return nil, err
	}
	policy := rest.Str(in, "policy")
	if list := rest.Strings(in, "policies"); len(list) > 0 {
		policy = list[0]
	}
	if !slices.Contains([]string{"affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"}, policy) {
		return nil, field("server_group", in, "'policy' is a required property")
	}
	rules := in["rules"]
	if rules == nil {
		rules = rest.Doc{}
	}
	g := &serverGroup{id: uuid.NewString(), name: rest.Str(in, "name"), policy: policy, project: r.Caller.ProjectID, user: r.Caller.UserID, rules: rules}
	s.groups = append(s.groups, g)
	return rest.OK(rest.Doc{"server_group": s.groupDoc(r, g)})
}

func (s *Server) findGroup(r *rest.Request) (*serverGroup, error) {
	g := s.serverGroup(r.Caller, r.Param("id"))
	if g == nil {
		return nil, fail(http.StatusNotFound, "Instance group %s could not be found.", r.Param("id"))
	}
	return g, nil
}

func (s *Server) showGroup(r *rest.Request) (*rest.Reply, error) {
	g, err := s.findGroup(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"server_group": s.groupDoc(r, g)})
}

func (s *Server) deleteGroup(r *rest.Request) (*rest.Reply, error) {
	g, err := s.findGroup(r)
	if err != nil {
		return nil, err
	}
	s.groups = slices.DeleteFunc(s.groups, func(o *serverGroup) bool { return o == g })
	return rest.NoContent()
}
