package neutron

import "github.com/tricircle/tricircle/internal/pod/podtest/rest"

// defaults of the quotas as the testbed has them.
var quotaDefaults = rest.Doc{
	"network": -1, "subnet": -1, "subnetpool": -1, "port": -1, "router": -1, "floatingip": -1,
	"rbac_policy": 10, "security_group": -1, "security_group_rule": -1, "trunk": -1,
}

// SetQuota limits how many of a resource each project may have. Mu must not be
// held.
func (s *Server) SetQuota(resource string, n int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.quotas[resource] = n
}

// within refuses a creation that would exceed the quota.
func (s *Server) within(resource, project string) error {
	limit, ok := s.quotas[resource]
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

func (s *Server) quotaDoc() rest.Doc {
	doc := rest.Doc{}
	for k, v := range quotaDefaults {
		doc[k] = v
	}
	for k, v := range s.quotas {
		doc[k] = v
	}
	return doc
}

func (s *Server) showQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Sees(r.Param("project")) {
		return nil, denied("rule:get_quota")
	}
	return rest.OK(rest.Doc{"quota": s.quotaDoc()})
}

func (s *Server) updateQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, rest.Errorf(403, "AdminRequired", "User does not have admin privileges: Non-admin is not authorized to access quotas for another tenant.")
	}
	body, err := r.JSON()
	in, ok := body["quota"].(rest.Doc)
	if err != nil || !ok {
		return nil, badRequest("Unable to find 'quota' in request body")
	}
	for k, v := range in {
		if n, ok := rest.Number(v); ok {
			s.quotas[k] = int(n)
		}
	}
	return rest.OK(rest.Doc{"quota": s.quotaDoc()})
}
