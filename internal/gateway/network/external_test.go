package network

import (
	"fmt"
	"testing"
)

// TestExternalNetwork: all projects see an external network, only admins and its
// owner use it, and one of them at most is the default.
func TestExternalNetwork(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	must := func(user, method, path, body string, want int) map[string]any {
		t.Helper()
		status, reply := r.do(user, method, path, body)
		if status != want {
			t.Fatalf("%s %s %s = %d %v, want %d", user, method, path, status, reply, want)
		}
		return reply
	}
	made := must("admin", "POST", "/networks", `{"network":{"router:external":true,"is_default":true}}`, 201)["network"].(map[string]any)
	id := made["id"].(string)
	if made["is_default"] != true || made["router:external"] != true {
		t.Errorf("made %v, want an external default", made)
	}
	must("admin", "POST", "/subnets", fmt.Sprintf(`{"subnet":{"network_id":%q,"ip_version":4,"cidr":"203.0.113.0/24"}}`, id), 201)
	if seen := must("bob", "GET", "/networks?router:external=true", "", 200)["networks"].([]any); len(seen) != 1 {
		t.Errorf("bob sees %d external networks, want 1", len(seen))
	}
	must("bob", "GET", "/networks/"+id, "", 200)
	if hidden := must("bob", "GET", "/subnets", "", 200)["subnets"].([]any); len(hidden) != 0 {
		t.Errorf("bob sees subnets of the external network: %v", hidden)
	}
	port := fmt.Sprintf(`{"port":{"network_id":%q}}`, id)
	for _, c := range []refusal{
		{"bob", "POST", "/ports", port, 403, "HTTPForbidden", "Tenant project-bob not allowed to create port on this network"},
		{"bob", "PUT", "/networks/" + id, `{"network":{"name":"mine"}}`, 403, "PolicyNotAuthorized", "rule:update_network is disallowed by policy"},
		{"admin", "POST", "/networks", `{"network":{"router:external":true,"is_default":true}}`, 409, "DefaultExternalNetworkExists", "A default external network already exists: " + id + "."},
		{"bob", "POST", "/networks", `{"network":{"is_default":true}}`, 403, "PolicyNotAuthorized", "(rule:create_network and rule:create_network:is_default) is disallowed by policy"},
	} {
		r.refused(c)
	}
	must("admin", "POST", "/ports", port, 201)

	closed := must("admin", "PUT", "/networks/"+id, `{"network":{"router:external":false}}`, 200)["network"].(map[string]any)
	if _, shown := closed["is_default"]; shown {
		t.Error("a network that is not external shows is_default")
	}
	must("bob", "GET", "/networks/"+id, "", 404)
	must("admin", "POST", "/networks", `{"network":{"router:external":true,"is_default":true}}`, 201)
}
