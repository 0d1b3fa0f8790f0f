package contract

import (
	"fmt"
	"testing"
)

func makePolicy(t *testing.T, c *client, more doc) doc {
	t.Helper()
	in := with(doc{"name": "contract-" + random(8)}, more)
	p := c.network(t, "POST", "/qos/policies", doc{"policy": in}).want(t, 201).body["policy"].(doc)
	purge(t, c, "/qos/policies/"+p["id"].(string))
	return p
}

var qosChecks = []check{
	{"attributes of a policy, found by its description", func(t *testing.T, w *world) {
		mark := "tricircle:qos_policy:" + random(12)
		p := makePolicy(t, w.admin, doc{"description": mark, "project_id": w.demo.project})
		has(t, p, "id", "name", "description", "project_id", "tenant_id", "shared", "is_default", "rules", "revision_number", "created_at", "updated_at", "tags")
		if p["project_id"] != w.demo.project || len(docs(p, "rules")) != 0 {
			t.Errorf("policy = %v", p)
		}
		found := w.admin.network(t, "GET", "/qos/policies?description="+mark, nil).want(t, 200).docs("policies")
		if len(found) != 1 || found[0]["id"] != p["id"] {
			t.Errorf("found by its mark: %v", found)
		}
	}},
	{"rules of all types", func(t *testing.T, w *world) {
		p := makePolicy(t, w.admin, nil)
		at := "/qos/policies/" + p["id"].(string)
		for kind, in := range map[string]doc{
			"bandwidth_limit": {"max_kbps": 300, "max_burst_kbps": 30, "direction": "ingress"}, "dscp_marking": {"dscp_mark": 26},
			"minimum_bandwidth": {"min_kbps": 100}, "minimum_packet_rate": {"min_kpps": 5, "direction": "any"}, "packet_rate_limit": {"max_kpps": 9},
		} {
			r := w.admin.network(t, "POST", at+"/"+kind+"_rules", doc{kind + "_rule": in}).want(t, 201).body[kind+"_rule"].(doc)
			for name, v := range in {
				if fmt.Sprint(r[name]) != fmt.Sprint(v) {
					t.Errorf("%s: %s = %v, want %v", kind, name, r[name], v)
				}
			}
		}
		rules := docs(w.admin.network(t, "GET", at, nil).want(t, 200).body["policy"].(doc), "rules")
		if len(rules) != 5 {
			t.Fatalf("rules = %v", rules)
		}
		for _, r := range rules {
			has(t, r, "id", "type", "qos_policy_id")
			path := fmt.Sprintf("%s/%s_rules/%s", at, r["type"], r["id"])
			if r["type"] == "dscp_marking" {
				w.admin.network(t, "PUT", path, doc{"dscp_marking_rule": doc{"dscp_mark": 8}}).want(t, 200)
			}
			w.admin.network(t, "DELETE", path, nil).want(t, 204)
			w.admin.network(t, "DELETE", path, nil).fails(t, 404, "QosRuleNotFound", fmt.Sprintf("QoS rule %s for policy %s could not be found.", r["id"], p["id"]))
		}
	}},
	{"refused rules", func(t *testing.T, w *world) {
		p := makePolicy(t, w.admin, nil)
		at := "/qos/policies/" + p["id"].(string)
		limit := doc{"bandwidth_limit_rule": doc{"max_kbps": 300}}
		id := w.admin.network(t, "POST", at+"/bandwidth_limit_rules", limit).want(t, 201).text("bandwidth_limit_rule", "id")
		w.admin.network(t, "POST", at+"/bandwidth_limit_rules", limit).fails(t, 409, "QoSRulesConflict",
			fmt.Sprintf("Rule bandwidth_limit conflicts with rule %s which already exists in QoS Policy %s.", id, p["id"]))
		w.admin.network(t, "POST", at+"/minimum_bandwidth_rules", doc{"minimum_bandwidth_rule": doc{"min_kbps": 301, "direction": "ingress"}}).
			fails(t, 409, "QoSRuleParameterConflict", fmt.Sprintf(
				"Unable to add the rule with value 301 to the policy %s as the existing rule of type bandwidth_limit has value 300.", p["id"]))
		w.admin.network(t, "POST", "/qos/policies/"+nobody+"/bandwidth_limit_rules", limit).
			fails(t, 404, "QosPolicyNotFound", "QoS policy "+nobody+" could not be found.")
		w.demo.network(t, "POST", "/qos/policies", doc{"policy": doc{"name": "x"}}).
			fails(t, 403, "PolicyNotAuthorized", "rule:create_policy is disallowed by policy")
	}},
	{"named by a network and a port, and taken off with null", func(t *testing.T, w *world) {
		p := makePolicy(t, w.admin, nil)
		n := makeNetwork(t, w.admin, doc{"qos_policy_id": p["id"]})
		at := "/qos/policies/" + p["id"].(string)
		w.admin.network(t, "DELETE", at, nil).fails(t, 409, "QosPolicyInUse", fmt.Sprintf("QoS Policy %s is used by network %s.", p["id"], n["id"]))
		port := makePort(t, w.admin, n, doc{"qos_policy_id": p["id"]})
		if port["qos_policy_id"] != p["id"] || port["qos_network_policy_id"] != p["id"] {
			t.Errorf("port = %v", port)
		}
		off := doc{"qos_policy_id": nil}
		got := w.admin.network(t, "PUT", "/networks/"+n["id"].(string), doc{"network": off}).want(t, 200).body["network"].(doc)
		w.admin.network(t, "DELETE", at, nil).fails(t, 409, "QosPolicyInUse", fmt.Sprintf("QoS Policy %s is used by port %s.", p["id"], port["id"]))
		w.admin.network(t, "PUT", "/ports/"+port["id"].(string), doc{"port": off}).want(t, 200)
		if got["qos_policy_id"] != nil {
			t.Errorf("network = %v", got)
		}
		w.admin.network(t, "DELETE", at, nil).want(t, 204)
		w.admin.network(t, "PUT", "/networks/"+n["id"].(string), doc{"network": doc{"qos_policy_id": nobody}}).
			fails(t, 404, "QosPolicyNotFound", "QoS policy "+nobody+" could not be found.")
	}},
}
