package nova

import (
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type usage struct{ servers, cores, ram int }

func (s *Server) used(project string) usage {
	var u usage
	for _, v := range s.servers {
		if project == "" || v.project == project {
			u.servers++
			u.cores += v.flavor.VCPUs
			u.ram += v.flavor.RAM
		}
	}
	return u
}

func (s *Server) showLimits(r *rest.Request) (*rest.Reply, error) {
	project := r.Caller.ProjectID
	if p := r.Query("tenant_id"); p != "" && p != project {
		if !r.Caller.Admin() {
			return nil, denied("os_compute_api:limits:other_project")
		}
		project = p
	}
	u := s.used(project)
	abs := rest.Doc{
		"maxTotalInstances": s.quota, "maxTotalCores": 20, "maxTotalRAMSize": 51200, "maxServerMeta": 128, "maxTotalKeypairs": 100,
		"maxServerGroups": groupQuota, "maxServerGroupMembers": memberQuota, "totalRAMUsed": u.ram, "totalCoresUsed": u.cores,
		"totalInstancesUsed": u.servers, "totalServerGroupsUsed": s.groupsOf(project),
	}
	if r.Minor < 39 {
		abs["maxImageMeta"] = 128
	}
	if r.Minor < 57 {
		abs["maxPersonality"], abs["maxPersonalitySize"] = 5, 10240
	}
	if r.Minor < 36 {
		abs["maxTotalFloatingIps"], abs["maxSecurityGroups"], abs["maxSecurityGroupRules"] = -1, -1, -1
		abs["totalFloatingIpsUsed"], abs["totalSecurityGroupsUsed"] = 0, 0
	}
	return rest.OK(rest.Doc{"limits": rest.Doc{"rate": []any{}, "absolute": abs}})
}

func (s *Server) showQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Sees(r.Param("project")) {
		return nil, denied("os_compute_api:os-quota-sets:show")
	}
	q := rest.Doc{
		"id": r.Param("project"), "cores": 20, "instances": s.quota, "key_pairs": 100, "metadata_items": 128, "ram": 51200,
		"server_group_members": memberQuota, "server_groups": groupQuota,
	}
	if r.Minor < 36 {
		q["fixed_ips"], q["floating_ips"], q["security_group_rules"], q["security_groups"] = -1, -1, -1, -1
	}
	if r.Minor < 57 {
		q["injected_file_content_bytes"], q["injected_file_path_bytes"], q["injected_files"] = 10240, 255, 5
	}
	return rest.OK(rest.Doc{"quota_set": q})
}
