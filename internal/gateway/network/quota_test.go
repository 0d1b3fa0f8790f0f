package network

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/quota"
)

func TestQuotas(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	r.store.SetStock(quota.Network, quota.Stock(quota.Network))
	shown := func(user, path string) map[string]any {
		t.Helper()
		return r.expect(200, user, "GET", path, "")["quota"].(map[string]any)
	}
	want := map[string]any{"network": 100., "subnet": 100., "subnetpool": -1., "port": 500., "router": 10., "floatingip": 50.,
		"rbac_policy": 10., "security_group": 10., "security_group_rule": 100., "trunk": -1.}
	for _, path := range []string{"/quotas/project-alice", "/quotas/project-alice/default"} {
		if diff := cmp.Diff(want, shown("alice", path)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}
	if diff := cmp.Diff(map[string]any{"tenant": map[string]any{"tenant_id": "project-alice"}}, r.expect(200, "alice", "GET", "/quotas/tenant", "")); diff != "" {
		t.Error(diff)
	}

	r.ground("")
	want["network"], want["subnet"] = 1., 2.
	if diff := cmp.Diff(map[string]any{"quota": want},
		r.expect(200, "admin", "PUT", "/quotas/project-alice", `{"quota":{"network":1,"subnet":"2","check_limit":true}}`)); diff != "" {
		t.Error(diff)
	}
	r.refused(refusal{"alice", "POST", "/networks", `{"network":{}}`, 409, "OverQuota", "Quota exceeded for resources: ['network']."})
	details := shown("alice", "/quotas/project-alice/details.json")
	if diff := cmp.Diff(map[string]any{"limit": 2., "used": 1., "reserved": 0.}, details["subnet"]); diff != "" {
		t.Error(diff)
	}
	listed := r.expect(200, "admin", "GET", "/quotas", "")["quotas"].([]any)
	want["project_id"], want["tenant_id"] = "project-alice", "project-alice"
	if diff := cmp.Diff([]any{want}, listed); diff != "" {
		t.Error(diff)
	}
	r.expect(201, "bob", "POST", "/networks", `{"network":{}}`)

	r.expect(204, "admin", "DELETE", "/quotas/project-alice", "")
	r.expect(201, "alice", "POST", "/networks", `{"network":{}}`)
	// One request for many is admitted as a whole, or not.
	r.expect(200, "admin", "PUT", "/quotas/project-alice", `{"quota":{"network":3}}`)
	r.refused(refusal{"alice", "POST", "/networks", `{"networks":[{},{}]}`, 409, "OverQuota", "Quota exceeded for resources: ['network']."})
	r.expect(201, "alice", "POST", "/networks", `{"network":{}}`)
}

// TestQuotaKinds: every kind is admitted.
func TestQuotaKinds(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	outside := r.make("admin", "network", `"router:external":true`)["id"].(string)
	r.make("admin", "subnet", `"network_id":"`+outside+`","ip_version":4,"cidr":"10.9.0.0/24"`)
	group := r.make("alice", "security_group", `"name":"g"`)["id"].(string)
	parent := r.make("alice", "port", `"network_id":"`+network+`"`)["id"].(string)
	for kind, body := range map[string]string{
		"trunk": `"port_id":"` + parent + `"`, "subnetpool": `"name":"p","prefixes":["10.2.0.0/16"]`,
		"rbac_policy": `"object_type":"network","object_id":"` + network + `","action":"access_as_shared","target_tenant":"x"`,
		"network":     ``, "subnet": `"network_id":"` + network + `","ip_version":4,"cidr":"10.1.0.0/24"`,
		"port": `"network_id":"` + network + `"`, "router": ``, "floatingip": `"floating_network_id":"` + outside + `"`,
		"security_group": `"name":"h"`, "security_group_rule": `"security_group_id":"` + group + `","direction":"ingress"`,
	} {
		r.expect(200, "admin", "PUT", "/quotas/project-alice", `{"quota":{"`+kind+`":0}}`)
		path := "/" + kind + "s"
		if dashed, ok := map[string]string{"security_group": "/security-groups", "security_group_rule": "/security-group-rules",
			"rbac_policy": "/rbac-policies"}[kind]; ok {
			path = dashed
		}
		r.refused(refusal{"alice", "POST", path, `{"` + kind + `":{` + body + `}}`, 409, "OverQuota", "Quota exceeded for resources: ['" + kind + "']."})
		r.expect(204, "admin", "DELETE", "/quotas/project-alice", "")
		r.expect(201, "alice", "POST", path, `{"`+kind+`":{`+body+`}}`)
	}
}

func TestQuotaRefusals(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	r.make("alice", "security_group", `"name":"g"`)
	for _, c := range []refusal{
		{"alice", "GET", "/quotas", "", 403, "PolicyNotAuthorized", "rule:get_quota is disallowed by policy"},
		{"alice", "GET", "/quotas/x", "", 403, "PolicyNotAuthorized", "rule:get_quota is disallowed by policy"},
		{"alice", "GET", "/quotas/x/default", "", 403, "PolicyNotAuthorized", "rule:get_quota is disallowed by policy"},
		{"alice", "GET", "/quotas/x/details", "", 403, "AdminRequired",
			"User does not have admin privileges: Only admin is authorized to access quotas for another project."},
		{"alice", "DELETE", "/quotas/project-alice", "", 403, "PolicyNotAuthorized", "rule:delete_quota is disallowed by policy"},
		{"admin", "POST", "/quotas", `{"quota":{}}`, 501, "HTTPNotImplemented", "POST requests are not supported on this resource."},
		{"admin", "DELETE", "/quotas/x", "", 404, "TenantQuotaNotFound", "Quota for tenant x could not be found."},
		{"admin", "PUT", "/quotas/x", `{"quota":{"network":-2}}`, 400, "HTTPBadRequest",
			"Invalid input for network. Reason: '-2' is too small - must be at least '-1'."},
		{"admin", "PUT", "/quotas/x", `{"quota":{"network":99999999999}}`, 400, "HTTPBadRequest",
			"Invalid input for network. Reason: '99999999999' is too large - must be no larger than '2147483647'."},
		{"admin", "PUT", "/quotas/x", `{"quota":{"network":"abc"}}`, 400, "InvalidInput", "Invalid input for operation: 'abc' is not an integer."},
		{"admin", "PUT", "/quotas/x", `{"quota":{"network":null}}`, 400, "InvalidInput", "Invalid input for operation: 'None' is not an integer."},
		{"admin", "PUT", "/quotas/x", `{"quota":{"nonsense":3}}`, 400, "HTTPBadRequest", "Unrecognized attribute(s) 'nonsense'"},
		{"admin", "PUT", "/quotas/x", `{}`, 400, "HTTPBadRequest", "Unable to find 'quota' in request body"},
		{"admin", "PUT", "/quotas/project-alice", `{"quota":{"security_group":0,"check_limit":true}}`, 400, "HTTPBadRequest",
			"Quota limit 0 for security_group must be greater than or equal to already used 2"},
	} {
		r.refused(c)
	}
	r.expect(200, "admin", "PUT", "/quotas/project-alice", `{"quota":{"security_group":0,"force":true}}`)
}
