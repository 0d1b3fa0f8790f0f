package network

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// share makes an RBAC policy and returns its ID.
func (r *region) share(user, kind, id, action, target string) string {
	r.t.Helper()
	return r.expect(201, user, "POST", "/rbac-policies", rbacBody(kind, id, action, target))["rbac_policy"].(map[string]any)["id"].(string)
}

func rbacBody(kind, id, action, target string) string {
	return `{"rbac_policy":{"object_type":"` + kind + `","object_id":"` + id + `","action":"` + action + `","target_tenant":"` + target + `"}}`
}

// listed are the IDs of a list.
func (r *region) listed(user, path, many string) []string {
	r.t.Helper()
	ids := []string{}
	for _, m := range r.expect(200, user, "GET", path, "")[many].([]any) {
		ids = append(ids, m.(map[string]any)["id"].(string))
	}
	return ids
}

func TestRBACOfNetworks(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, subnet := r.ground("")
	r.expect(404, "bob", "GET", "/networks/"+network, "")
	policy := r.share("alice", "network", network, "access_as_shared", "project-bob")
	want := map[string]any{"rbac_policy": map[string]any{"id": policy, "project_id": "project-alice", "tenant_id": "project-alice",
		"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "project-bob"}}
	if diff := cmp.Diff(want, r.expect(200, "alice", "GET", "/rbac-policies/"+policy, "")); diff != "" {
		t.Error(diff)
	}
	r.expect(404, "bob", "GET", "/rbac-policies/"+policy, "")

	for user, shared := range map[string]bool{"alice": false, "bob": true, "admin": false} {
		if got := r.expect(200, user, "GET", "/networks/"+network, "")["network"].(map[string]any)["shared"]; got != shared {
			t.Errorf("for %s shared is %v", user, got)
		}
		listed := len(r.listed(user, "/networks?shared=true", "networks")) == 1
		unshared := len(r.listed(user, "/networks?shared=false", "networks")) == 1
		if listed != shared || unshared == shared {
			t.Errorf("%s lists it as shared: %v, as not shared: %v", user, listed, unshared)
		}
	}
	if diff := cmp.Diff([]string{subnet}, r.listed("bob", "/subnets", "subnets")); diff != "" {
		t.Error(diff)
	}
	port := r.make("bob", "port", `"network_id":"`+network+`"`)["id"].(string)

	// What bob has on it keeps it his to use.
	for _, c := range []struct{ method, body string }{{"DELETE", ""}, {"PUT", `{"rbac_policy":{"target_tenant":"project-zoe"}}`}} {
		r.refused(refusal{"alice", c.method, "/rbac-policies/" + policy, c.body, 409, "RbacPolicyInUse",
			"RBAC policy on object " + network + " cannot be removed because other objects depend on it.\n" +
				"Details: Unable to reconfigure sharing settings for network " + network + ". Multiple tenants are using it."})
	}
	r.expect(200, "admin", "PUT", "/networks/"+network, `{"network":{"shared":true}}`)
	if got := r.listed("admin", "/rbac-policies?target_tenant=*&object_id="+network, "rbac_policies"); len(got) != 1 {
		t.Errorf("the policies for all are %v", got)
	}
	r.expect(200, "admin", "PUT", "/networks/"+network, `{"network":{"shared":false}}`) // bob has his own policy
	r.expect(204, "bob", "DELETE", "/ports/"+port, "")
	r.expect(204, "alice", "DELETE", "/rbac-policies/"+policy, "")
	r.expect(404, "bob", "GET", "/networks/"+network, "")

	r.share("admin", "network", network, "access_as_shared", "*")
	r.expect(200, "bob", "GET", "/networks/"+network, "")
	r.expect(204, "alice", "DELETE", "/networks/"+network, "")
	if left := r.listed("admin", "/rbac-policies", "rbac_policies"); len(left) != 0 {
		t.Errorf("policies outlive the network: %v", left)
	}
}

func TestRBACOfExternalNetworks(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network := r.make("admin", "network", ``)["id"].(string)
	r.make("admin", "subnet", `"network_id":"`+network+`","ip_version":4,"cidr":"10.9.0.0/24"`)
	policy := r.share("admin", "network", network, "access_as_external", "project-bob")
	r.expect(404, "alice", "GET", "/networks/"+network, "")
	if got := r.expect(200, "bob", "GET", "/networks/"+network, "")["network"].(map[string]any); got["router:external"] != true || got["shared"] != false {
		t.Errorf("bob sees %v", got)
	}
	router := r.make("bob", "router", `"external_gateway_info":{"network_id":"`+network+`"}`)["id"].(string)
	r.refused(refusal{"admin", "DELETE", "/rbac-policies/" + policy, "", 409, "RbacPolicyInUse",
		"RBAC policy on object " + network + " cannot be removed because other objects depend on it.\n" +
			"Details: There are routers attached to this network that depend on this policy for access."})
	wild := r.share("admin", "network", network, "access_as_external", "*")
	r.expect(200, "alice", "GET", "/networks/"+network, "")
	r.expect(204, "admin", "DELETE", "/rbac-policies/"+policy, "")
	r.expect(204, "bob", "DELETE", "/routers/"+router, "")
	r.expect(204, "admin", "DELETE", "/rbac-policies/"+wild, "")
	if got := r.expect(200, "admin", "GET", "/networks/"+network, "")["network"].(map[string]any)["router:external"]; got != false {
		t.Errorf("after the last policy router:external is %v", got)
	}

	// The default way out is everybody's.
	first := r.make("admin", "network", `"router:external":true,"is_default":true`)["id"].(string)
	all := r.listed("admin", "/rbac-policies?object_id="+first, "rbac_policies")
	r.refused(refusal{"admin", "DELETE", "/rbac-policies/" + all[0], "", 409, "RbacPolicyInUse",
		"RBAC policy on object " + first + " cannot be removed because other objects depend on it.\n" +
			"Details: Default external networks must be shared to everyone."})
	r.expect(200, "admin", "PUT", "/networks/"+first, `{"network":{"router:external":false}}`)
	if left := r.listed("admin", "/rbac-policies?object_id="+first, "rbac_policies"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRBACOfSecurityGroups(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	group := r.make("alice", "security_group", `"name":"g"`)["id"].(string)
	network := r.make("bob", "network", ``)["id"].(string)
	with := `{"port":{"network_id":"` + network + `","security_groups":["` + group + `"]}}`
	r.expect(404, "bob", "POST", "/ports", with)
	policy := r.share("alice", "security_group", group, "access_as_shared", "project-bob")
	if got := r.listed("bob", "/security-groups?shared=true", "security_groups"); len(got) != 1 || got[0] != group {
		t.Errorf("bob's shared groups: %v", got)
	}
	r.expect(403, "bob", "PUT", "/security-groups/"+group, `{"security_group":{"name":"mine"}}`)
	port := r.expect(201, "bob", "POST", "/ports", with)["port"].(map[string]any)["id"].(string)
	r.refused(refusal{"alice", "DELETE", "/rbac-policies/" + policy, "", 409, "RbacPolicyInUse",
		"RBAC policy on object " + group + " cannot be removed because other objects depend on it.\nDetails: project_id=project-bob"})
	r.expect(204, "bob", "DELETE", "/ports/"+port, "")
	r.expect(204, "alice", "DELETE", "/rbac-policies/"+policy, "")
}

func TestRBACOfQoSPolicies(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	policy := r.expect(201, "admin", "POST", "/qos/policies", `{"policy":{"name":"q","shared":true}}`)["policy"].(map[string]any)["id"].(string)
	network := r.make("bob", "network", `"qos_policy_id":"`+policy+`"`)["id"].(string)
	r.expect(409, "admin", "PUT", "/qos/policies/"+policy, `{"policy":{"shared":false}}`)
	r.expect(409, "admin", "PUT", "/qos/policies/"+policy, `{"policy":{"shared":false}}`)
	r.share("admin", "qos_policy", policy, "access_as_shared", "project-bob")
	r.expect(200, "admin", "PUT", "/qos/policies/"+policy, `{"policy":{"shared":false}}`)
	if got := r.expect(200, "bob", "GET", "/qos/policies/"+policy, "")["policy"].(map[string]any)["shared"]; got != true {
		t.Errorf("for bob shared is %v", got)
	}
	r.expect(404, "alice", "GET", "/qos/policies/"+policy, "")
	r.expect(204, "bob", "DELETE", "/networks/"+network, "")
	r.expect(204, "admin", "DELETE", "/qos/policies/"+policy, "")
}

func TestRBACRefusals(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	policy := r.share("alice", "network", network, "access_as_shared", "x")
	for _, c := range []refusal{
		{"alice", "POST", "/rbac-policies", rbacBody("network", network, "access_as_shared", "x"), 409, "DuplicateRbacPolicy",
			"An RBAC policy already exists with those values."},
		{"alice", "POST", "/rbac-policies", rbacBody("nets", network, "access_as_shared", "x"), 400, "InvalidInput",
			"Invalid input for operation: 'nets' is not a valid RBAC object type."},
		{"alice", "POST", "/rbac-policies", rbacBody("network", network, "nonsense", "x"), 400, "InvalidActionForType",
			"Invalid action 'nonsense' for object type 'network'. Valid actions: ('access_as_shared', 'access_as_external')"},
		{"alice", "POST", "/rbac-policies", rbacBody("qos_policy", network, "access_as_external", "x"), 400, "InvalidActionForType",
			"Invalid action 'access_as_external' for object type 'qos_policy'. Valid actions: ('access_as_shared',)"},
		{"alice", "POST", "/rbac-policies", rbacBody("network", nowhere, "access_as_shared", "x"), 400, "InvalidInput",
			"Invalid input for operation: network " + nowhere + " could not be found."},
		{"bob", "POST", "/rbac-policies", rbacBody("network", network, "access_as_shared", "project-bob"), 400, "InvalidInput",
			"Invalid input for operation: Only admins can manipulate policies on objects they do not own."},
		disallowed("POST", "/rbac-policies", rbacBody("network", network, "access_as_shared", "*"),
			"((((rule:create_rbac_policy and rule:create_rbac_policy:object_type) and rule:create_rbac_policy:object_id) "+
				"and rule:create_rbac_policy:target_tenant) and rule:create_rbac_policy:action)"),
		disallowed("PUT", "/rbac-policies/"+policy, `{"rbac_policy":{"target_tenant":"*"}}`,
			"(rule:update_rbac_policy and rule:update_rbac_policy:target_tenant)"),
		{"alice", "PUT", "/rbac-policies/" + policy, `{"rbac_policy":{"action":"access_as_external"}}`, 400, "HTTPBadRequest",
			"Cannot update read-only attribute action"},
		{"alice", "DELETE", "/rbac-policies/nonsense", "", 404, "RbacPolicyNotFound", "RBAC policy of type unknown with ID nonsense not found"},
		{"alice", "GET", "/rbac-policies?sort_key=action&sort_dir=asc", "", 400, "HTTPBadRequest", "['action'] is invalid attribute for sort_keys"},
	} {
		r.refused(c)
	}
	if got := r.expect(200, "alice", "PUT", "/rbac-policies/"+policy, `{"rbac_policy":{"target_tenant":"y"}}`); got["rbac_policy"].(map[string]any)["target_tenant"] != "y" {
		t.Errorf("changed: %v", got)
	}
}
