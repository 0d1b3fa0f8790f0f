package contract

import (
	"fmt"
	"slices"
	"testing"
)

func makeGroup(t *testing.T, c *client) doc {
	t.Helper()
	r := c.network(t, "POST", "/security-groups", doc{"security_group": doc{"name": "contract-" + random(8)}}).want(t, 201)
	g := r.body["security_group"].(doc)
	purge(t, c, "/security-groups/"+g["id"].(string))
	return g
}

// summary is what a rule allows, for comparing sets of rules.
func summary(list []doc) []string {
	out := []string{}
	for _, r := range list {
		remote := "any"
		switch {
		case r["remote_group_id"] == r["security_group_id"]:
			remote = "itself"
		case r["remote_ip_prefix"] != nil:
			remote = fmt.Sprint(r["remote_ip_prefix"])
		}
		out = append(out, fmt.Sprint(r["direction"], " ", r["ethertype"], " ", r["protocol"], " ", remote, " ", r["description"]))
	}
	slices.Sort(out)
	return out
}

var groupChecks = []check{
	{"an admin's list makes a project's default group, with four rules", func(t *testing.T, w *world) {
		project := random(32)
		g := w.admin.network(t, "GET", "/security-groups?name=default&project_id="+project, nil).want(t, 200).docs("security_groups")
		if len(g) != 1 || g[0]["project_id"] != project || g[0]["description"] != "Default security group" || g[0]["stateful"] != true {
			t.Fatalf("default groups of %s = %v", project, g)
		}
		want := []string{"egress IPv4 <nil> any <nil>", "egress IPv6 <nil> any <nil>", "ingress IPv4 <nil> itself <nil>", "ingress IPv6 <nil> itself <nil>"}
		if got := summary(docs(g[0], "security_group_rules")); !slices.Equal(got, want) {
			t.Errorf("rules = %q, want %q", got, want)
		}
		w.admin.network(t, "DELETE", "/security-groups/"+g[0]["id"].(string), nil).want(t, 204)
	}},
	{"the name default is taken", func(t *testing.T, w *world) {
		w.demo.network(t, "POST", "/security-groups", doc{"security_group": doc{"name": "default"}}).
			fails(t, 409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
		g := makeGroup(t, w.demo)
		w.demo.network(t, "PUT", "/security-groups/"+g["id"].(string), doc{"security_group": doc{"name": "default"}}).
			fails(t, 409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
	}},
	{"the default group stays", func(t *testing.T, w *world) {
		id := w.demo.network(t, "GET", "/security-groups?name=default", nil).want(t, 200).docs("security_groups")[0]["id"].(string)
		r := w.demo.network(t, "DELETE", "/security-groups/"+id, nil).want(t, 409)
		if kind := r.text("NeutronError", "type"); kind != "SecurityGroupCannotRemoveDefault" && kind != "SecurityGroupInUse" {
			t.Errorf("error = %s", r.raw)
		}
		w.demo.network(t, "PUT", "/security-groups/"+id, doc{"security_group": doc{"name": "x"}}).
			fails(t, 409, "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
	}},
	{"a new group lets all out", func(t *testing.T, w *world) {
		g := makeGroup(t, w.demo)
		want := []string{"egress IPv4 <nil> any <nil>", "egress IPv6 <nil> any <nil>"}
		if got := summary(docs(g, "security_group_rules")); !slices.Equal(got, want) {
			t.Errorf("rules = %q, want %q", got, want)
		}
	}},
	{"attributes of a rule", func(t *testing.T, w *world) {
		g := makeGroup(t, w.demo)
		r := w.demo.network(t, "POST", "/security-group-rules", doc{"security_group_rule": doc{
			"security_group_id": g["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
			"remote_ip_prefix": "10.0.0.5/24", "description": "tricircle",
		}}).want(t, 201).body["security_group_rule"].(doc)
		has(t, r, "id", "security_group_id", "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
			"remote_group_id", "remote_address_group_id", "normalized_cidr", "description", "project_id", "tenant_id", "revision_number")
		if r["remote_ip_prefix"] != "10.0.0.5/24" || r["normalized_cidr"] != "10.0.0.0/24" || r["ethertype"] != "IPv4" || r["description"] != "tricircle" {
			t.Errorf("rule = %v", r)
		}
		w.demo.network(t, "GET", "/security-group-rules/"+r["id"].(string), nil).want(t, 200)
		w.demo.network(t, "DELETE", "/security-group-rules/"+r["id"].(string), nil).want(t, 204)
		w.demo.network(t, "GET", "/security-group-rules/"+r["id"].(string), nil).
			fails(t, 404, "SecurityGroupRuleNotFound", fmt.Sprintf("Security group rule %s does not exist", r["id"]))
	}},
	{"duplicate rules", func(t *testing.T, w *world) {
		g := makeGroup(t, w.demo)
		add := func(in doc) *reply {
			in["security_group_id"] = g["id"]
			return w.demo.network(t, "POST", "/security-group-rules", doc{"security_group_rule": in})
		}
		for _, pair := range [][2]doc{
			{{"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"direction": "ingress", "protocol": "6", "port_range_min": 22, "port_range_max": 22, "description": "other"}},
			{{"direction": "ingress", "remote_ip_prefix": "0.0.0.0/0"}, {"direction": "ingress"}},
			{{"direction": "ingress", "ethertype": "IPv6", "protocol": "icmp"}, {"direction": "ingress", "ethertype": "IPv6", "protocol": "ipv6-icmp"}},
			{{"direction": "ingress", "remote_group_id": g["id"]}, {"direction": "ingress", "remote_group_id": g["id"], "ethertype": "IPv4"}},
		} {
			id := add(pair[0]).want(t, 201).text("security_group_rule", "id")
			add(pair[1]).fails(t, 409, "SecurityGroupRuleExists", "Security group rule already exists. Rule id is "+id+".")
		}
		add(doc{"direction": "egress"}).want(t, 409, "SecurityGroupRuleExists")
	}},
	{"normalised", func(t *testing.T, w *world) {
		g := makeGroup(t, w.demo)
		r := w.demo.network(t, "POST", "/security-group-rules", doc{"security_group_rule": doc{
			"security_group_id": g["id"], "direction": "ingress", "ethertype": "ipv6", "protocol": "ICMP",
		}}).want(t, 201).body["security_group_rule"].(doc)
		if r["ethertype"] != "IPv6" || r["protocol"] != "ipv6-icmp" {
			t.Errorf("rule = %v", r)
		}
		r = w.demo.network(t, "POST", "/security-group-rules", doc{"security_group_rule": doc{
			"security_group_id": g["id"], "direction": "ingress", "remote_ip_prefix": "10.9.9.9",
		}}).want(t, 201).body["security_group_rule"].(doc)
		if r["remote_ip_prefix"] != "10.9.9.9/32" {
			t.Errorf("rule = %v", r)
		}
	}},
	{"refused rules", func(t *testing.T, w *world) {
		g := makeGroup(t, w.demo)
		for _, c := range []struct {
			in            doc
			status        int
			kind, message string
		}{
			{doc{"direction": "bogus"}, 400, "HTTPBadRequest", "Invalid input for direction. Reason: bogus is not in valid_values."},
			{doc{"port_range_min": 22}, 400, "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given."},
			{doc{"protocol": "tcp", "port_range_min": 23, "port_range_max": 22}, 400, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max"},
			{doc{"protocol": "tcp", "port_range_min": 22}, 400, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max"},
			{doc{"protocol": "tcp", "port_range_min": -1, "port_range_max": 70000}, 400, "SecurityGroupInvalidPortValue", "Invalid value for port -1"},
			{doc{"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": g["id"]}, 400, "SecurityGroupMultipleRemoteEntites", "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."},
			{doc{"remote_group_id": nobody}, 404, "SecurityGroupNotFound", "Security group " + nobody + " does not exist"},
			{doc{"remote_ip_prefix": "fd00::/8"}, 400, "SecurityGroupRuleParameterConflict", "Conflicting value ethertype IPv4 for CIDR fd00::/8"},
			{doc{"remote_ip_prefix": "bogus"}, 400, "InvalidCIDR", "Invalid CIDR bogus given as IP prefix."},
			{doc{"protocol": 58}, 400, "SecurityGroupEthertypeConflictWithProtocol", "Invalid ethertype IPv4 for protocol 58."},
			{doc{"security_group_id": nobody}, 404, "SecurityGroupNotFound", "Security group " + nobody + " does not exist"},
		} {
			in := doc{"security_group_id": g["id"], "direction": "ingress"}
			for k, v := range c.in {
				in[k] = v
			}
			w.demo.network(t, "POST", "/security-group-rules", doc{"security_group_rule": in}).fails(t, c.status, c.kind, c.message)
		}
		w.demo.network(t, "POST", "/security-group-rules", doc{"security_group_rule": doc{"security_group_id": g["id"], "direction": "ingress", "protocol": "bogus"}}).
			want(t, 400, "Security group rule protocol bogus not supported. Only protocol values [None, 'ah', 'dccp', 'egp'")
	}},
	{"in use by a port", func(t *testing.T, w *world) {
		g := makeGroup(t, w.demo)
		makePort(t, w.demo, makeNetwork(t, w.demo, nil), doc{"security_groups": []any{g["id"]}})
		w.demo.network(t, "DELETE", "/security-groups/"+g["id"].(string), nil).fails(t, 409, "SecurityGroupInUse", fmt.Sprintf("Security Group %s in use.", g["id"]))
	}},
	{"strangers see nothing", func(t *testing.T, w *world) {
		g := makeGroup(t, w.demo)
		w.alt.network(t, "GET", "/security-groups/"+g["id"].(string), nil).
			fails(t, 404, "SecurityGroupNotFound", fmt.Sprintf("Security group %s does not exist", g["id"]))
		w.alt.network(t, "POST", "/security-group-rules", doc{"security_group_rule": doc{"security_group_id": g["id"], "direction": "ingress"}}).
			fails(t, 404, "SecurityGroupNotFound", fmt.Sprintf("Security group %s does not exist", g["id"]))
	}},
}
