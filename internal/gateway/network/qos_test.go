package network

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// qosPolicy makes a policy and returns its ID.
func (r *region) qosPolicy(attributes string) string {
	r.t.Helper()
	return r.ask("admin", "POST", "/qos/policies", `{"policy":{`+attributes+`}}`, 201)["policy"].(map[string]any)["id"].(string)
}

// ask sends a request that must have the status.
func (r *region) ask(user, method, path, body string, want int) map[string]any {
	r.t.Helper()
	status, reply := r.do(user, method, path, body)
	if status != want {
		r.t.Fatalf("%s %s %s as %s = %d %v, want %d", method, path, body, user, status, reply, want)
	}
	return reply
}

func TestQoSRules(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	id := r.qosPolicy(`"name":"gold","project_id":"project-alice"`)
	policy := "/qos/policies/" + id
	made := map[string]any{}
	for _, c := range []struct{ kind, sent, want string }{
		{"bandwidth_limit", `"max_kbps":300`, `"max_burst_kbps":0,"direction":"egress"`},
		{"bandwidth_limit", `"max_kbps":"300","max_burst_kbps":30,"direction":"ingress"`, ``},
		{"dscp_marking", `"dscp_mark":26`, ``},
		{"minimum_bandwidth", `"min_kbps":100`, `"direction":"egress"`},
		{"minimum_packet_rate", `"min_kpps":5,"direction":"any"`, ``},
		{"packet_rate_limit", `"max_kpps":9`, `"max_burst_kpps":0,"direction":"egress"`},
	} {
		reply := r.ask("admin", "POST", policy+"/"+c.kind+"_rules", `{"`+c.kind+`_rule":{`+c.sent+`}}`, 201)
		rule := reply[c.kind+"_rule"].(map[string]any)
		path := policy + "/" + c.kind + "_rules/" + rule["id"].(string)
		shown := r.ask("alice", "GET", path, "", 200)[c.kind+"_rule"]
		if diff := cmp.Diff(any(rule), shown); diff != "" {
			t.Errorf("%s shown otherwise (-made +shown):\n%s", c.kind, diff)
		}
		made[path] = c.kind
	}
	rules := r.ask("alice", "GET", policy, "", 200)["policy"].(map[string]any)["rules"].([]any)
	if len(rules) != 6 || rules[0].(map[string]any)["type"] != "bandwidth_limit" || rules[5].(map[string]any)["qos_policy_id"] != id {
		t.Errorf("rules of the policy = %v", rules)
	}
	first := rules[0].(map[string]any)["id"].(string)
	limit := policy + "/bandwidth_limit_rules/" + first
	alias := "/qos/alias-bandwidth-limit-rules/" + first
	if got := r.ask("admin", "PUT", alias, `{"alias_bandwidth_limit_rule":{"max_kbps":400}}`, 200); fmt.Sprint(got["alias_bandwidth_limit_rule"].(map[string]any)["max_kbps"]) != "400" {
		t.Errorf("changed by its other path: %v", got)
	}
	got := r.ask("alice", "GET", policy+"/bandwidth-limit-rules?max_kbps=400&fields=id", "", 200)["bandwidth_limit_rules"]
	if diff := cmp.Diff([]any{map[string]any{"id": first}}, got); diff != "" {
		t.Errorf("filtered list (-want +got):\n%s", diff)
	}
	const none = "QoS rule " + nowhere + " for policy "
	for _, c := range []refusal{
		{"alice", "POST", policy + "/dscp_marking_rules", `{"dscp_marking_rule":{"dscp_mark":8}}`, 403, "PolicyNotAuthorized", "rule:create_policy_dscp_marking_rule is disallowed by policy"},
		{"alice", "PUT", limit, `{"bandwidth_limit_rule":{"max_kbps":1}}`, 403, "PolicyNotAuthorized", "rule:update_policy_bandwidth_limit_rule is disallowed by policy"},
		{"bob", "GET", limit, "", 404, "QosPolicyNotFound", "QoS policy " + id + " could not be found."},
		{"bob", "GET", alias, "", 404, "QosPolicyNotFound", "QoS policy " + id + " could not be found."},
		{"bob", "PUT", limit, `{"bandwidth_limit_rule":{"max_kbps":1}}`, 404, "QosPolicyNotFound", "QoS policy " + id + " could not be found."},
		{"admin", "GET", policy + "/dscp_marking_rules/" + first, "", 404, "QosRuleNotFound", "QoS rule " + first + " for policy " + id + " could not be found."},
		{"admin", "GET", policy + "/dscp_marking_rules/" + nowhere, "", 404, "QosRuleNotFound", none + id + " could not be found."},
		{"admin", "GET", "/qos/alias-dscp-marking-rules/" + nowhere, "", 404, "QosRuleNotFound", none + " could not be found."},
		{"admin", "POST", "/qos/policies/x/dscp_marking_rules", `{"dscp_marking_rule":{"dscp_mark":8}}`, 404, "QosPolicyNotFound", "QoS policy x could not be found."},
		{"admin", "POST", policy + "/dscp_marking_rules", `{"dscp_marking_rule":{"dscp_mark":3}}`, 400, "HTTPBadRequest", "Invalid input for dscp_mark. Reason: 3 is not in valid_values."},
		{"admin", "POST", policy + "/bandwidth_limit_rules", `{"bandwidth_limit_rule":{}}`, 400, "HTTPBadRequest", "Failed to parse request. Required attribute 'max_kbps' not specified"},
		{"admin", "PUT", limit, `{"bandwidth_limit_rule":{"max_kbps":-1}}`, 400, "HTTPBadRequest", "Invalid input for max_kbps. Reason: '-1' is too small - must be at least '0'."},
		{"admin", "PUT", limit, `{"bandwidth_limit_rule":{"max_kbps":2147483648}}`, 400, "HTTPBadRequest", "Invalid input for max_kbps. Reason: '2147483648' is too large - must be no larger than '2147483647'."},
		{"admin", "PUT", limit, `{"bandwidth_limit_rule":{"max_kbps":99}}`, 409, "QoSRuleParameterConflict", "Unable to add the rule with value 99 to the policy " + id + " as the existing rule of type minimum_bandwidth has value 100."},
	} {
		r.refused(c)
	}
	status, reply := r.do("admin", "POST", policy+"/bandwidth_limit_rules", `{"bandwidth_limit_rule":{"max_kbps":500}}`)
	if status != 409 || reply["NeutronError"].(map[string]any)["type"] != "QoSRulesConflict" {
		t.Errorf("a second limit of one direction = %d %v", status, reply)
	}
	for path := range made {
		r.ask("admin", "DELETE", path, "", 204)
	}
	if rules := r.ask("alice", "GET", policy, "", 200)["policy"].(map[string]any)["rules"]; len(rules.([]any)) != 0 {
		t.Errorf("rules left: %v", rules)
	}
}

func TestQoSPolicies(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	id := r.qosPolicy(`"name":"gold"`)
	path := "/qos/policies/" + id
	for _, c := range []refusal{
		{"alice", "POST", "/qos/policies", `{"policy":{"name":"x"}}`, 403, "PolicyNotAuthorized", "rule:create_policy is disallowed by policy"},
		{"alice", "GET", path, "", 404, "QosPolicyNotFound", "QoS policy " + id + " could not be found."},
		{"alice", "POST", "/networks", `{"network":{"qos_policy_id":"` + id + `"}}`, 404, "QosPolicyNotFound", "QoS policy " + id + " could not be found."},
		{"alice", "POST", "/networks", `{"network":{"qos_policy_id":"x"}}`, 400, "HTTPBadRequest", "Invalid input for qos_policy_id. Reason: 'x' is not a valid UUID."},
		{"alice", "GET", "/qos/rule-types/dscp_marking", "", 403, "NotAuthorized", "Not authorized."},
		{"alice", "GET", "/qos/rule-types?x=1", "", 400, "HTTPBadRequest", "['x'] is invalid attribute for filtering"},
	} {
		r.refused(c)
	}
	if got := r.ask("alice", "GET", "/qos/policies", "", 200)["policies"].([]any); len(got) != 0 {
		t.Errorf("alice sees %v", got)
	}
	// An admin puts the policy on alice's network; she cannot take it off until she sees it.
	network, _ := r.ground("")
	r.ask("admin", "PUT", "/networks/"+network, `{"network":{"qos_policy_id":"`+id+`"}}`, 200)
	off := `{"network":{"qos_policy_id":null}}`
	r.refused(refusal{"alice", "PUT", "/networks/" + network, off, 403, "PolicyRemoveAuthorizationError",
		"Failed to remove provided policy " + id + " because you are not authorized."})
	port := r.make("alice", "port", `"network_id":"`+network+`"`)
	if port["qos_policy_id"] != nil || port["qos_network_policy_id"] != id {
		t.Errorf("port of the network = %v", port)
	}
	r.refused(refusal{"admin", "DELETE", path, "", 409, "QosPolicyInUse", "QoS Policy " + id + " is used by network " + network + "."})
	r.ask("admin", "PUT", path, `{"policy":{"shared":true}}`, 200)
	if got := r.ask("alice", "GET", "/qos/policies?shared=true", "", 200)["policies"].([]any); len(got) != 1 {
		t.Errorf("alice sees %v", got)
	}
	before := r.ask("alice", "GET", "/networks/"+network, "", 200)["network"].(map[string]any)["revision_number"].(float64)
	after := r.ask("alice", "PUT", "/networks/"+network, off, 200)["network"].(map[string]any)
	if after["revision_number"].(float64) <= before || after["qos_policy_id"] != nil {
		t.Errorf("network without its policy = %v", after)
	}
	onePort := "/ports/" + port["id"].(string)
	if got := r.ask("alice", "PUT", onePort, `{"port":{"qos_policy_id":"`+id+`"}}`, 200)["port"].(map[string]any); got["qos_policy_id"] != id || got["qos_network_policy_id"] != nil {
		t.Errorf("port with the policy = %v", got)
	}
	r.refused(refusal{"admin", "DELETE", path, "", 409, "QosPolicyInUse", "QoS Policy " + id + " is used by port " + port["id"].(string) + "."})
	r.ask("alice", "DELETE", onePort, "", 204)
	r.ask("admin", "DELETE", path, "", 204)
}

// TestQoSOfTheWayOut: routers' gateways and floating IPs name policies too.
func TestQoSOfTheWayOut(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	hidden, id := r.qosPolicy(""), r.qosPolicy(`"shared":true`)
	external := r.make("admin", "network", `"router:external": true`)["id"].(string)
	r.make("admin", "subnet", fmt.Sprintf(`"network_id": %q, "ip_version": 4, "cidr": "203.0.113.0/24"`, external))
	fip := r.make("alice", "floatingip", fmt.Sprintf(`"floating_network_id": %q, "qos_policy_id": %q`, external, id))
	r.refused(refusal{"alice", "PUT", "/floatingips/" + fip["id"].(string), `{"floatingip":{"qos_policy_id":"` + hidden + `"}}`,
		404, "QosPolicyNotFound", "QoS policy " + hidden + " could not be found."})
	r.refused(refusal{"admin", "DELETE", "/qos/policies/" + id, "", 409, "QosPolicyInUse", "QoS Policy " + id + " is used by fip " + fip["id"].(string) + "."})
	router := r.make("alice", "router", fmt.Sprintf(`"external_gateway_info": {"network_id": %q, "qos_policy_id": %q}`, external, id))
	if got := router["external_gateway_info"].(map[string]any)["qos_policy_id"]; got != id {
		t.Errorf("gateway's policy = %v, want %s", got, id)
	}
	r.ask("alice", "DELETE", "/floatingips/"+fip["id"].(string), "", 204)
	path := "/routers/" + router["id"].(string)
	r.refused(refusal{"admin", "DELETE", "/qos/policies/" + id, "", 409, "QosPolicyInUse", "QoS Policy " + id + " is used by router " + router["id"].(string) + "."})
	kept := r.ask("alice", "PUT", path, fmt.Sprintf(`{"router":{"external_gateway_info":{"network_id":%q}}}`, external), 200)
	if got := kept["router"].(map[string]any)["external_gateway_info"].(map[string]any)["qos_policy_id"]; got != id {
		t.Errorf("gateway's policy = %v, want it kept", got)
	}
	r.ask("alice", "PUT", path, `{"router":{"external_gateway_info":{}}}`, 200)
	r.ask("admin", "DELETE", "/qos/policies/"+id, "", 204)
}

func TestDefaultQoS(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	id := r.qosPolicy(`"is_default":true,"project_id":"project-alice"`)
	r.refused(refusal{"admin", "POST", "/qos/policies", `{"policy":{"is_default":true,"project_id":"project-alice"}}`, 409, "QoSPolicyDefaultAlreadyExists",
		"A default QoS policy exists for project project-alice."})
	other := r.qosPolicy(`"project_id":"project-alice"`)
	for _, c := range []struct {
		sent string
		want any
	}{{"", id}, {`"qos_policy_id":"` + other + `"`, other}} {
		if got := r.make("alice", "network", c.sent)["qos_policy_id"]; got != c.want {
			t.Errorf("network {%s} has policy %v, want %v", c.sent, got, c.want)
		}
	}
	if got := r.make("bob", "network", "")["qos_policy_id"]; got != nil {
		t.Errorf("bob's network has policy %v", got)
	}
	r.refused(refusal{"admin", "PUT", "/qos/policies/" + other, `{"policy":{"is_default":true}}`, 409, "QoSPolicyDefaultAlreadyExists",
		"A default QoS policy exists for project project-alice."})
}

// TestPromisedBandwidth: it is set aside on physical networks, and not taken back
// from servers.
func TestPromisedBandwidth(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	id := r.qosPolicy(`"shared":true`)
	rules := "/qos/policies/" + id + "/minimum_bandwidth_rules"
	rule := r.ask("admin", "POST", rules, `{"minimum_bandwidth_rule":{"min_kbps":100}}`, 201)["minimum_bandwidth_rule"].(map[string]any)["id"].(string)
	local := r.make("admin", "network", `"provider:network_type":"local"`)["id"].(string)
	r.refused(refusal{"admin", "PUT", "/networks/" + local, `{"network":{"qos_policy_id":"` + id + `"}}`, 409, "QosRuleNotSupportedByNetwork",
		"Rule minimum_bandwidth is not supported by network " + local})
	network, _ := r.ground("")
	port := r.make("alice", "port", `"network_id":"`+network+`","qos_policy_id":"`+id+`"`)["id"].(string)
	r.ask("admin", "PUT", rules+"/"+rule, `{"minimum_bandwidth_rule":{"min_kbps":200}}`, 200)
	r.ask("alice", "PUT", "/ports/"+port, `{"port":{"device_id":"s","device_owner":"compute:nova"}}`, 200)
	for _, method := range []string{"PUT", "DELETE"} {
		r.refused(refusal{"admin", method, rules + "/" + rule, `{"minimum_bandwidth_rule":{"min_kbps":300}}`, 501, "HTTPNotImplemented",
			"Cannot update QoS policies/rules backed by resources tracked in Placement"})
	}
	r.ask("admin", "POST", "/qos/policies/"+id+"/dscp_marking_rules", `{"dscp_marking_rule":{"dscp_mark":8}}`, 201)
}
