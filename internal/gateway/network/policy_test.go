package network

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/policy"
)

// underRules is a region with an operator's own rules.
func underRules(t *testing.T, rules string) *region {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := policy.Open(path, policy.Neutron(), slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	r := newRegion(t)
	r.handler = gateway.New(gateway.Options{Verifier: verifier{}, PublicURL: "http://x", Services: []gateway.Service{
		Service(Deps{Store: r.store, Zones: zones{}, Settle: r.settleServer, Policy: file})}})
	return r
}

// disallowed is what alice is told by the rule.
func disallowed(method, path, body, rule string) refusal {
	return refusal{"alice", method, path, body, http.StatusForbidden, "PolicyNotAuthorized", rule + " is disallowed by policy"}
}

// expect sends a request and checks the status only.
func (r *region) expect(status int, user, method, path, body string) map[string]any {
	r.t.Helper()
	got, reply := r.do(user, method, path, body)
	if got != status {
		r.t.Fatalf("%s: %s %s %s = %d %v, want %d", user, method, path, body, got, reply, status)
	}
	return reply
}

func TestOperatorsRules(t *testing.T) {
	t.Parallel()
	r := underRules(t, `
create_network: "role:builder or rule:admin_only"
create_network:mtu: "!"
get_network:provider:network_type: ""
get_network:mtu: "role:builder"
get_subnet: "rule:admin_only"
delete_subnet: "rule:admin_only"
get_availability_zone: "rule:admin_only"
context_is_admin: "role:admin or user_id:zoe"
`)
	r.refused(disallowed("POST", "/networks", `{"network":{}}`, "rule:create_network"))
	network := r.make("admin", "network", `"project_id":"project-alice"`)["id"].(string)
	subnet := r.make("admin", "subnet", `"project_id":"project-alice","ip_version":4,"cidr":"10.0.0.0/24","network_id":"`+network+`"`)["id"].(string)
	seen := r.expect(200, "alice", "GET", "/networks/"+network, "")["network"].(map[string]any)
	if seen["provider:network_type"] != "vlan" || seen["mtu"] != nil {
		t.Errorf("alice sees %v", seen)
	}
	if all := r.expect(200, "alice", "GET", "/subnets", "")["subnets"].([]any); len(all) != 0 {
		t.Errorf("alice lists %v", all)
	}
	r.expect(404, "alice", "GET", "/subnets/"+subnet, "")
	r.expect(404, "alice", "DELETE", "/subnets/"+subnet, "") // whoever may not see it is not told more
	r.expect(403, "alice", "GET", "/availability_zones", "")
	r.expect(200, "admin", "GET", "/availability_zones", "")
	r.expect(200, "zoe", "GET", "/subnets/"+subnet, "")
	r.refused(disallowed("PUT", "/networks/"+network, `{"network":{"shared":true}}`, "(rule:update_network and rule:update_network:shared)"))
}

// TestRulesOfParts: what is inside an attribute has rules of its own.
func TestRulesOfParts(t *testing.T) {
	t.Parallel()
	r := underRules(t, `update_port:allowed_address_pairs:mac_address: "!"`)
	network, _ := r.ground("")
	id := r.make("alice", "port", `"network_id":"`+network+`"`)["id"].(string)
	r.expect(200, "alice", "PUT", "/ports/"+id, `{"port":{"allowed_address_pairs":[{"ip_address":"10.0.0.9"}]}}`)
	r.refused(disallowed("PUT", "/ports/"+id,
		`{"port":{"allowed_address_pairs":[{"ip_address":"10.0.0.9","mac_address":"fa:16:3e:00:00:01"}]}}`, "(rule:update_port and (rule:update_port:allowed_address_pairs and (rule:update_port:allowed_address_pairs:ip_address and "+
			"rule:update_port:allowed_address_pairs:mac_address)))"))
}

// TestServiceRole: the role advsvc works for all projects, in what its rules name.
func TestServiceRole(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	r.make("service", "port", `"network_id":"`+network+`","project_id":"project-alice","mac_address":"fa:16:3e:00:00:01"`)
	if all := r.expect(200, "service", "GET", "/ports", "")["ports"].([]any); len(all) != 1 {
		t.Errorf("the service lists %v", all)
	}
	r.expect(403, "service", "DELETE", "/networks/"+network, "")
}
