package neutron

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// qosValues are the types of rules, with the attributes that they have.
var qosValues = map[string][]string{
	"bandwidth_limit":     {"max_kbps", "max_burst_kbps", "direction"},
	"dscp_marking":        {"dscp_mark"},
	"minimum_bandwidth":   {"min_kbps", "direction"},
	"minimum_packet_rate": {"min_kpps", "direction"},
	"packet_rate_limit":   {"max_kpps", "max_burst_kpps", "direction"},
}

func (s *Server) policyKind() *resource {
	return &resource{
		server: s, path: "qos/policies", single: "policy", plural: "policies", store: &s.policies,
		attrs: standard(map[string]attribute{
			"name":       {post: true, put: true, kind: "string"},
			"shared":     {post: true, put: true, kind: "bool"},
			"is_default": {post: true, put: true, kind: "bool"},
			"rules":      {},
		}),
		visible: func(c rest.Caller, d rest.Doc) bool { return c.Sees(d["project_id"]) || rest.Bool(d, "shared") },
		missing: policyMissing,
		make: func(c rest.Caller, in rest.Doc) (rest.Doc, error) {
			if !c.Admin() {
				return nil, denied("rule:create_policy")
			}
			d := rest.Doc{"id": uuid.NewString(), "name": "", "shared": false, "is_default": false, "rules": []rest.Doc{}}
			copyIn(d, in, "name", "shared", "is_default")
			return d, nil
		},
		change: func(c rest.Caller, d, in rest.Doc) error {
			if !c.Admin() {
				return denied("rule:update_policy")
			}
			copyIn(d, in, "name", "description", "shared", "is_default")
			return nil
		},
		drop: s.dropPolicy,
	}
}

func policyMissing(id string) error {
	return rest.Errorf(http.StatusNotFound, "QosPolicyNotFound", "QoS policy %s could not be found.", id)
}

func (s *Server) dropPolicy(c rest.Caller, d rest.Doc) error {
	if !c.Admin() {
		return denied("rule:delete_policy")
	}
	for _, users := range []struct {
		kind string
		all  []rest.Doc
	}{{"port", s.ports.All()}, {"network", s.networks.All()}, {"floatingip", s.floats.All()}, {"router", s.routers.All()}} {
		for _, u := range users.all {
			if u["qos_policy_id"] == d["id"] {
				return conflict("QosPolicyInUse", "QoS Policy %s is used by %s %s.", d["id"], users.kind, u["id"])
			}
		}
	}
	return nil
}

// namesPolicy refuses a policy that the caller does not see.
func (s *Server) namesPolicy(c rest.Caller, in rest.Doc) error {
	id := rest.Str(in, "qos_policy_id")
	if id == "" {
		return nil
	}
	_, err := s.policyKind().find(c, id)
	return err
}

// qosRule finds the type and the policy of a request, and the rule if it names one.
func (s *Server) qosRule(r *rest.Request) (kind string, policy, rule rest.Doc, err error) {
	kind, ok := strings.CutSuffix(r.Param("rules"), "_rules")
	if !ok || qosValues[kind] == nil {
		return kind, nil, nil, rest.Errorf(http.StatusNotFound, "HTTPNotFound", "The resource could not be found.")
	}
	if !r.Caller.Admin() {
		return kind, nil, nil, denied("rule:create_policy_" + kind + "_rule")
	}
	if policy, err = s.policyKind().find(r.Caller, r.Param("policy")); err != nil {
		return kind, nil, nil, err
	}
	for _, d := range rest.Docs(policy, "rules") {
		if d["id"] == r.Param("id") && d["type"] == kind {
			return kind, policy, d, nil
		}
	}
	if r.Param("id") != "" {
		err = rest.Errorf(http.StatusNotFound, "QosRuleNotFound", "QoS rule %s for policy %s could not be found.", r.Param("id"), policy["id"])
	}
	return kind, policy, nil, err
}

func (s *Server) makeQoSRule(r *rest.Request) (*rest.Reply, error) {
	kind, policy, _, err := s.qosRule(r)
	if err != nil {
		return nil, err
	}
	rule := rest.Doc{"id": uuid.NewString(), "type": kind, "qos_policy_id": policy["id"]}
	for _, name := range qosValues[kind] {
		switch {
		case name == "direction":
			rule[name] = "egress"
		case strings.HasPrefix(name, "max_burst"):
			rule[name] = 0
		}
	}
	return s.saveQoSRule(r, policy, rule, http.StatusCreated)
}

func (s *Server) changeQoSRule(r *rest.Request) (*rest.Reply, error) {
	_, policy, old, err := s.qosRule(r)
	if err != nil {
		return nil, err
	}
	rule := rest.Doc{}
	for k, v := range old {
		rule[k] = v
	}
	return s.saveQoSRule(r, policy, rule, http.StatusOK)
}

// saveQoSRule puts what the request says into the rule, and the rule into the policy.
func (s *Server) saveQoSRule(r *rest.Request, policy, rule rest.Doc, status int) (*rest.Reply, error) {
	kind := rest.Str(rule, "type")
	body, err := r.JSON()
	if err != nil {
		return nil, badRequest("Body contains invalid data")
	}
	in, ok := body[kind+"_rule"].(rest.Doc)
	if !ok {
		return nil, badRequest("Unable to find '%s_rule' in request body", kind)
	}
	for name, v := range in {
		if !slices.Contains(qosValues[kind], name) {
			return nil, badRequest("Unrecognized attribute(s) '%s'", name)
		}
		if n, ok := rest.Number(v); ok {
			v = int(n)
		}
		rule[name] = v
	}
	if rule[qosValues[kind][0]] == nil {
		return nil, badRequest("Failed to parse request. Required attribute '%s' not specified", qosValues[kind][0])
	}
	rules := []rest.Doc{}
	for _, other := range rest.Docs(policy, "rules") {
		if other["id"] == rule["id"] {
			continue
		}
		if err := qosConflict(policy, rule, other); err != nil {
			return nil, err
		}
		rules = append(rules, other)
	}
	policy["rules"] = append(rules, rule)
	s.touch(policy)
	shown := rest.Doc{"id": rule["id"]}
	copyIn(shown, rule, qosValues[kind]...)
	return &rest.Reply{Status: status, Body: rest.Doc{kind + "_rule": shown}}, nil
}

// qosConflict refuses a second rule of a type and direction, and a minimum above a
// limit, whatever their directions.
func qosConflict(policy, rule, other rest.Doc) error {
	if rule["type"] == other["type"] && rule["direction"] == other["direction"] {
		return conflict("QoSRulesConflict", "Rule %s conflicts with rule %s which already exists in QoS Policy %s.", rule["type"], other["id"], policy["id"])
	}
	for _, pair := range [][2]rest.Doc{{rule, other}, {other, rule}} {
		limit, limited := rest.Number(pair[0]["max_kbps"])
		least, promised := rest.Number(pair[1]["min_kbps"])
		if limited && promised && least > limit {
			return conflict("QoSRuleParameterConflict", "Unable to add the rule with value %v to the policy %s as the existing rule of type %s has value %v.",
				rule[qosValues[rest.Str(rule, "type")][0]], policy["id"], other["type"], other[qosValues[rest.Str(other, "type")][0]])
		}
	}
	return nil
}

func (s *Server) dropQoSRule(r *rest.Request) (*rest.Reply, error) {
	_, policy, rule, err := s.qosRule(r)
	if err != nil {
		return nil, err
	}
	policy["rules"] = slices.DeleteFunc(slices.Clone(rest.Docs(policy, "rules")), func(d rest.Doc) bool { return d["id"] == rule["id"] })
	s.touch(policy)
	return rest.NoContent()
}
