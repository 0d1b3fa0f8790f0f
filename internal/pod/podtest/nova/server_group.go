package nova

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type serverGroup struct {
	id, name, policy, project, user string
	rules                           any
}

// SetGroupQuota limits how many groups each project has by default, and how many
// servers each user has in one. Mu must not be held.
func (s *Server) SetGroupQuota(groups, members int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.defaults["server_groups"], s.defaults["server_group_members"] = groups, members
}

// serverGroup is as absent to other projects as none.
func (s *Server) serverGroup(c rest.Caller, id string) *serverGroup {
	for _, g := range s.groups {
		if g.id == id && c.Sees(g.project) {
			return g
		}
	}
	return nil
}

func (s *Server) groupsOf(project string) int {
	n := 0
	for _, g := range s.groups {
		if g.project == project {
			n++
		}
	}
	return n
}

// members are the servers in the group, all or only the user's.
func (s *Server) members(g *serverGroup, user string) []string {
	members := []string{}
	for _, v := range s.servers {
		if v.serverGroup == g.id && (user == "" || v.user == user) {
			members = append(members, v.id)
		}
	}
	return members
}

func (s *Server) groupDoc(r *rest.Request, g *serverGroup) rest.Doc {
	members := s.members(g, "")
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
	query := r.URL.Query()
	for name := range query {
		if r.Minor >= 75 && !slices.Contains([]string{"all_projects", "limit", "offset"}, name) {
			return nil, badRequest("Additional properties are not allowed ('%s' was unexpected)", name)
		}
	}
	from, err := groupCount(query, "offset")
	if err != nil {
		return nil, err
	}
	most, err := groupCount(query, "limit")
	if err != nil {
		return nil, err
	}
	if most == 0 {
		most = maxLimit
	}
	out := []rest.Doc{}
	for _, g := range s.groups {
		if g.project == r.Caller.ProjectID || query.Has("all_projects") && r.Caller.Admin() {
			out = append(out, s.groupDoc(r, g))
		}
	}
	out = out[min(from, len(out)):]
	return rest.OK(rest.Doc{"server_groups": out[:min(most, maxLimit, len(out))]})
}

func groupCount(query url.Values, name string) (int, error) {
	text := query.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, badRequest("Invalid input for query parameters %s. Value: %s. '%s' does not match '^[0-9]*$'", name, text, text)
	}
	return n, nil
}

func (s *Server) createGroup(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "server_group")
	if err != nil {
		return nil, err
	}
	policy, err := groupPolicy(r, in)
	if err != nil {
		return nil, err
	}
	rules := in["rules"]
	if rules == nil {
		rules = rest.Doc{}
	} else if policy != "anti-affinity" {
		return nil, badRequest("Only anti-affinity policy supports rules.")
	}
	if most := s.limitsOf(r.Caller.ProjectID)["server_groups"]; most >= 0 && s.groupsOf(r.Caller.ProjectID) >= most {
		return nil, fail(http.StatusForbidden, "Quota exceeded, too many server groups.")
	}
	g := &serverGroup{id: uuid.NewString(), name: rest.Str(in, "name"), policy: policy, project: r.Caller.ProjectID, user: r.Caller.UserID, rules: rules}
	s.groups = append(s.groups, g)
	return rest.OK(rest.Doc{"server_group": s.groupDoc(r, g)})
}

// groupPolicy is the policy, in the member that the version has for it.
func groupPolicy(r *rest.Request, in rest.Doc) (string, error) {
	known, member, policy := []string{"anti-affinity", "affinity"}, "policies", ""
	if r.Minor >= 15 {
		known = append(known, "soft-anti-affinity", "soft-affinity")
	}
	optional := []string{}
	if r.Minor >= 64 {
		member, optional = "policy", []string{"rules"}
	}
	if in[member] == nil {
		return "", field("server_group", in, "'"+member+"' is a required property")
	}
	if err := onlyKnown("server_group", in, append(optional, "name", member)); err != nil {
		return "", err
	}
	if policy = rest.Str(in, member); r.Minor < 64 {
		list := rest.Strings(in, member)
		if len(list) != 1 {
			return "", field(member, in[member], "is too long")
		}
		policy, member = list[0], "0"
	}
	if !slices.Contains(known, policy) {
		return "", field(member, policy, fmt.Sprintf("'%s' is not one of ['%s']", policy, strings.Join(known, "', '")))
	}
	return policy, nil
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
	for _, v := range s.servers {
		if v.serverGroup == g.id {
			v.serverGroup = ""
		}
	}
	return rest.NoContent()
}
