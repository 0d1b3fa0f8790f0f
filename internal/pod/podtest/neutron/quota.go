package neutron

import (
	"maps"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// defaults of the quotas as the testbed has them.
var quotaDefaults = rest.Doc{
	"network": -1, "subnet": -1, "subnetpool": -1, "port": -1, "router": -1, "floatingip": -1,
	"rbac_policy": 10, "security_group": -1, "security_group_rule": -1, "trunk": -1,
}

// SetQuota limits how many of a resource each project without a quota of its own may
// have. Mu must not be held.
func (s *Server) SetQuota(resource string, n int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.quotas[resource] = n
}

// Quota is what the project may have. Mu must not be held.
func (s *Server) Quota(project string) map[string]any {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.quotaDoc(project)
}

// within refuses a creation that would exceed the quota.
func (s *Server) within(resource, project string) error {
	limit, ok := s.limits[project][resource]
	if !ok {
		limit, ok = s.quotas[resource]
	}
	if !ok || limit < 0 {
		return nil
	}
	stores := map[string]*rest.Store{"network": &s.networks, "port": &s.ports, "security_group": &s.groups}
	have := len(stores[resource].Where(func(d rest.Doc) bool { return d["project_id"] == project }))
	if have < limit {
		return nil
	}
	return conflict("OverQuota", "Quota exceeded for resources: ['%s'].", resource)
}

func (s *Server) listQuotas(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"quotas": []rest.Doc{}})
}

func (s *Server) quotaDoc(project string) rest.Doc {
	doc := rest.Doc{}
	maps.Copy(doc, quotaDefaults)
	for k, v := range s.quotas {
		doc[k] = v
	}
	for k, v := range s.limits[project] {
		doc[k] = v
	}
	return doc
}

func (s *Server) showQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Sees(r.Param("project")) {
		return nil, denied("rule:get_quota")
	}
	return rest.OK(rest.Doc{"quota": s.quotaDoc(r.Param("project"))})
}

func (s *Server) showDefaultQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Sees(r.Param("project")) {
		return nil, denied("rule:get_quota")
	}
	return rest.OK(rest.Doc{"quota": s.quotaDoc("")})
}

func quotaAdmin(c rest.Caller) error {
	if c.Admin() {
		return nil
	}
	return rest.Errorf(403, "AdminRequired", "User does not have admin privileges: Non-admin is not authorized to access quotas for another tenant.")
}

func (s *Server) updateQuota(r *rest.Request) (*rest.Reply, error) {
	if err := quotaAdmin(r.Caller); err != nil {
		return nil, err
	}
	body, err := r.JSON()
	in, ok := body["quota"].(rest.Doc)
	if err != nil || !ok {
		return nil, badRequest("Unable to find 'quota' in request body")
	}
	project := r.Param("project")
	if s.limits[project] == nil {
		s.limits[project] = map[string]int{}
	}
	for k, v := range in {
		if n, ok := rest.Number(v); ok {
			s.limits[project][k] = int(n)
		}
	}
	return rest.OK(rest.Doc{"quota": s.quotaDoc(project)})
}

// deleteQuota takes back what was set for the project.
func (s *Server) deleteQuota(r *rest.Request) (*rest.Reply, error) {
	if err := quotaAdmin(r.Caller); err != nil {
		return nil, err
	}
	project := r.Param("project")
	if s.limits[project] == nil {
		return nil, rest.Errorf(404, "TenantQuotaNotFound", "Quota for tenant %s could not be found.", project)
	}
	delete(s.limits, project)
	return rest.NoContent()
}
