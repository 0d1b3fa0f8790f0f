package nova

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// standard is what a project may have unless somebody says otherwise.
var standard = map[string]int{
	"instances": 10, "cores": 20, "ram": 51200, "metadata_items": 128, "key_pairs": 100, "server_groups": 10, "server_group_members": 10,
	"injected_files": 5, "injected_file_content_bytes": 10240, "injected_file_path_bytes": 255,
	"fixed_ips": -1, "floating_ips": -1, "security_groups": -1, "security_group_rules": -1,
}

// hidden says whether a resource no longer shows at the request's version; those
// of nova-network do not from the one given.
func hidden(r *rest.Request, name string, network int) bool {
	switch name {
	case "fixed_ips", "floating_ips", "security_groups", "security_group_rules":
		return r.Minor >= network
	case "injected_files", "injected_file_content_bytes", "injected_file_path_bytes":
		return r.Minor >= 57
	}
	return false
}

// SetQuota limits how many servers each project may have by default, with cores
// and memory for that many; negative: no limit. Mu must not be held.
func (s *Server) SetQuota(n int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.defaults["instances"], s.defaults["cores"], s.defaults["ram"] = n, max(standard["cores"], 2*n), max(standard["ram"], 5120*n)
	if n < 0 {
		s.defaults["cores"], s.defaults["ram"] = -1, -1
	}
}

// Quota is one of a project's limits. Mu must not be held.
func (s *Server) Quota(project, resource string) int {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.limitsOf(project)[resource]
}

func (s *Server) limitsOf(project string) map[string]int {
	all := maps.Clone(s.defaults)
	maps.Copy(all, s.quotas[project])
	return all
}

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

// counted is what of the project counts against its quota.
func (s *Server) counted(project string) map[string]int {
	u := s.used(project)
	return map[string]int{"instances": u.servers, "cores": u.cores, "ram": u.ram, "server_groups": s.groupsOf(project)}
}

// exceeded says which limits more would break; nil: none.
func (s *Server) exceeded(project string, more map[string]int, asked string) *rest.Error {
	limits, used := s.limitsOf(project), s.counted(project)
	var names, wants, uses, all []string
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if limits[name] < 0 || used[name]+more[name] <= limits[name] {
			continue
		}
		want := strconv.Itoa(more[name])
		if name == "instances" {
			want = asked
		}
		names, wants = append(names, name), append(wants, want)
		uses, all = append(uses, strconv.Itoa(used[name])), append(all, strconv.Itoa(limits[name]))
	}
	if names == nil {
		return nil
	}
	list := func(words []string) string { return strings.Join(words, ", ") }
	return fail(http.StatusForbidden, "Quota exceeded for %s: Requested %s, but already used %s of %s %s",
		list(names), list(wants), list(uses), list(all), list(names))
}

func (s *Server) askedQuota(r *rest.Request, a *asked) error {
	if in, ok := a.in["metadata"].(rest.Doc); ok {
		if limit := s.limitsOf(r.Caller.ProjectID)["metadata_items"]; limit >= 0 && len(in) > limit {
			return fail(http.StatusForbidden, "Maximum number of metadata items exceeds %d", limit)
		}
	}
	asked := strconv.Itoa(a.min)
	if a.min != a.max {
		asked = fmt.Sprintf("%d-%d", a.min, a.max)
	}
	for n := a.max; ; n-- {
		e := s.exceeded(r.Caller.ProjectID, map[string]int{"instances": n, "cores": n * a.flavor.VCPUs, "ram": n * a.flavor.RAM}, asked)
		if e == nil {
			a.max = n
			return nil
		}
		if n <= a.min {
			return e
		}
	}
}

var projectForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (s *Server) quotaOf(r *rest.Request, verb string) (string, error) {
	project := r.Param("project")
	if !r.Caller.Sees(project) || verb == "update" && !r.Caller.Admin() {
		return "", denied("os_compute_api:os-quota-sets:" + verb)
	}
	if !projectForm.MatchString(project) {
		return "", badRequest("Project ID %s is not a valid project.", project)
	}
	return project, nil
}

func quotaDoc(r *rest.Request, limits map[string]int) rest.Doc {
	q := rest.Doc{}
	for name, n := range limits {
		if !hidden(r, name, 36) {
			q[name] = n
		}
	}
	return q
}

func (s *Server) showQuota(r *rest.Request) (*rest.Reply, error) {
	project, err := s.quotaOf(r, "show")
	if err != nil {
		return nil, err
	}
	q := quotaDoc(r, s.limitsOf(project))
	q["id"] = project
	return rest.OK(rest.Doc{"quota_set": q})
}

func (s *Server) showQuotaDefaults(r *rest.Request) (*rest.Reply, error) {
	q := quotaDoc(r, s.defaults)
	q["id"] = r.Param("project")
	return rest.OK(rest.Doc{"quota_set": q})
}

func (s *Server) showQuotaDetail(r *rest.Request) (*rest.Reply, error) {
	project, err := s.quotaOf(r, "detail")
	if err != nil {
		return nil, err
	}
	q, used := quotaDoc(r, s.limitsOf(project)), s.counted(project)
	for name, limit := range q {
		q[name] = rest.Doc{"limit": limit, "in_use": used[name], "reserved": 0}
	}
	q["id"] = project
	return rest.OK(rest.Doc{"quota_set": q})
}

// numbersIn reads the limits of a body.
func numbersIn(r *rest.Request, key string, in rest.Doc, network int) (map[string]int, error) {
	limits := map[string]int{}
	for _, name := range sortedKeys(in) {
		if name == "force" && key == "quota_set" {
			continue
		}
		if _, known := standard[name]; !known || hidden(r, name, network) {
			return nil, field(key, in, fmt.Sprintf("Additional properties are not allowed ('%s' was unexpected)", name))
		}
		n, err := strconv.Atoi(rest.Text(in[name]))
		if err != nil {
			return nil, field(name, in[name], fmt.Sprintf("'%s' does not match '^-?[0-9]+$'", rest.Text(in[name])))
		}
		if n < -1 {
			return nil, field(name, in[name], fmt.Sprintf("%d is less than the minimum of -1", n))
		}
		limits[name] = n
	}
	return limits, nil
}

func (s *Server) updateQuota(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "quota_set")
	if err != nil {
		return nil, err
	}
	limits, err := numbersIn(r, "quota_set", in, 36)
	if err != nil {
		return nil, err
	}
	project, err := s.quotaOf(r, "update")
	if err != nil {
		return nil, err
	}
	force := in["force"] == true || rest.Text(in["force"]) == "True"
	used := s.counted(project)
	for name, n := range limits {
		if !force && n >= 0 && n < used[name] {
			return nil, badRequest("Quota limit %d for %s must be greater than or equal to already used and reserved %d.", n, name, used[name])
		}
	}
	if s.quotas[project] == nil {
		s.quotas[project] = map[string]int{}
	}
	maps.Copy(s.quotas[project], limits)
	return rest.OK(rest.Doc{"quota_set": quotaDoc(r, s.limitsOf(project))})
}

func (s *Server) deleteQuota(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-quota-sets:delete")
	}
	delete(s.quotas, r.Param("project"))
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) showQuotaClass(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-quota-class-sets:show")
	}
	q := s.classDoc(r)
	q["id"] = r.Param("class")
	return rest.OK(rest.Doc{"quota_class_set": q})
}

func (s *Server) classDoc(r *rest.Request) rest.Doc {
	q := rest.Doc{}
	for name, n := range s.defaults {
		if !hidden(r, name, 50) && (r.Minor >= 50 || !strings.HasPrefix(name, "server_group")) {
			q[name] = n
		}
	}
	return q
}

// updateQuotaClass knows the class default only.
func (s *Server) updateQuotaClass(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-quota-class-sets:update")
	}
	in, _, err := body(r, "quota_class_set")
	if err != nil {
		return nil, err
	}
	limits, err := numbersIn(r, "quota_class_set", in, 50)
	if err != nil {
		return nil, err
	}
	if r.Param("class") == "default" {
		maps.Copy(s.defaults, limits)
	}
	return rest.OK(rest.Doc{"quota_class_set": s.classDoc(r)})
}

func (s *Server) showLimits(r *rest.Request) (*rest.Reply, error) {
	project := r.Caller.ProjectID
	if p := r.Query("tenant_id"); p != "" {
		if !r.Caller.Admin() {
			return nil, denied("os_compute_api:limits:other_project")
		}
		project = p
	}
	l, u := s.limitsOf(project), s.counted(project)
	abs := rest.Doc{
		"maxTotalInstances": l["instances"], "maxTotalCores": l["cores"], "maxTotalRAMSize": l["ram"], "maxServerMeta": l["metadata_items"],
		"maxTotalKeypairs": l["key_pairs"], "maxServerGroups": l["server_groups"], "maxServerGroupMembers": l["server_group_members"],
		"totalRAMUsed": u["ram"], "totalCoresUsed": u["cores"], "totalInstancesUsed": u["instances"], "totalServerGroupsUsed": s.groupsOf(project),
	}
	if r.Minor < 39 {
		abs["maxImageMeta"] = l["metadata_items"]
	}
	if r.Minor < 57 {
		abs["maxPersonality"], abs["maxPersonalitySize"] = l["injected_files"], l["injected_file_content_bytes"]
	}
	if r.Minor < 36 {
		abs["maxTotalFloatingIps"], abs["maxSecurityGroups"], abs["maxSecurityGroupRules"] = -1, -1, -1
		abs["totalFloatingIpsUsed"], abs["totalSecurityGroupsUsed"] = 0, 0
	}
	return rest.OK(rest.Doc{"limits": rest.Doc{"rate": []any{}, "absolute": abs}})
}
