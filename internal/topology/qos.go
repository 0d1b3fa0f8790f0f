package topology

import (
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
)

// QoSPolicy is what a port's traffic may take up. It holds for the ports that
// name it, and for those of a network that names it which name none.
type QoSPolicy struct {
	Standard
	Name      string `db:"name"`
	Shared    bool   `db:"shared"`
	IsDefault bool   `db:"is_default"` // new networks of its project get it
	Rules     []QoSRule
}

// QoSRule is one rule of a policy. There is one of each type and direction.
type QoSRule struct {
	ID        string
	PolicyID  string
	Type      string
	Direction string // empty where the type has none
	Value     int    // the limit, the minimum or the mark
	Burst     int
}

// Types of rules.
const (
	QoSBandwidthLimit    = "bandwidth_limit"
	QoSDSCPMarking       = "dscp_marking"
	QoSMinimumBandwidth  = "minimum_bandwidth"
	QoSMinimumPacketRate = "minimum_packet_rate"
	QoSPacketRateLimit   = "packet_rate_limit"
)

// QoSRuleType says what rules of a type are made of, in Neutron's names.
type QoSRuleType struct {
	Name       string
	Value      string   // the attribute with the value
	Burst      string   // the one with the burst; empty: there is none
	Directions []string // none: it has no direction
	Values     []int    // the values that are allowed; none: 0 to MaxQoSValue
	Alias      bool     // has a path of its own, without the policy
}

// MaxQoSValue is the highest rate that Neutron takes.
const MaxQoSValue = 1<<31 - 1

// AnyDirection is both together.
const AnyDirection = "any"

// QoSRuleTypes are all types, in the order in which a policy shows its rules.
func QoSRuleTypes() []QoSRuleType {
	both := []string{Ingress, Egress}
	return []QoSRuleType{
		{Name: QoSBandwidthLimit, Value: "max_kbps", Burst: "max_burst_kbps", Directions: both, Alias: true},
		{Name: QoSDSCPMarking, Value: "dscp_mark", Values: dscpMarks, Alias: true},
		{Name: QoSMinimumBandwidth, Value: "min_kbps", Directions: both, Alias: true},
		{Name: QoSMinimumPacketRate, Value: "min_kpps", Directions: []string{AnyDirection, Ingress, Egress}, Alias: true},
		{Name: QoSPacketRateLimit, Value: "max_kpps", Burst: "max_burst_kpps", Directions: both},
	}
}

// dscpMarks are the marks that the standards define.
var dscpMarks = []int{0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56}

// reserves says that servers are placed by what the rule asks for.
func (r *QoSRule) reserves() bool {
	return r.Type == QoSMinimumBandwidth || r.Type == QoSMinimumPacketRate
}

// CheckRule refuses a new or changed rule that does not go with the policy's
// others. Of a changed rule the policy still has the old form.
func (p *QoSPolicy) CheckRule(r *QoSRule) error {
	for i := range p.Rules {
		other := &p.Rules[i]
		if other.ID == r.ID {
			continue
		}
		if limit, least := bounds(r, other); limit != nil && least.Value > limit.Value {
			return p.contradicts(r.Value, other, other.Value)
		}
		if other.Type != r.Type {
			continue
		}
		if other.Direction == r.Direction {
			return fault.New(fault.Conflict, "QoSRulesConflict",
				"Rule %s conflicts with rule %s which already exists in QoS Policy %s.", r.Type, other.ID, p.ID)
		}
		if other.Direction == AnyDirection || r.Direction == AnyDirection {
			return p.contradicts(r.Direction, other, other.Direction)
		}
	}
	return nil
}

// bounds sorts a limit and a minimum of the bandwidth; nil if they are not those.
// Neutron compares them whatever their directions.
func bounds(a, b *QoSRule) (limit, least *QoSRule) {
	switch {
	case a.Type == QoSBandwidthLimit && b.Type == QoSMinimumBandwidth:
		return a, b
	case a.Type == QoSMinimumBandwidth && b.Type == QoSBandwidthLimit:
		return b, a
	}
	return nil, nil
}

func (p *QoSPolicy) contradicts(value any, other *QoSRule, has any) error {
	return fault.New(fault.Conflict, "QoSRuleParameterConflict",
		"Unable to add the rule with value %v to the policy %s as the existing rule of type %s has value %v.", value, p.ID, other.Type, has)
}

// CheckBound refuses a change of the rule while servers use the policy, if they
// were placed by it: their pods have set aside what it said.
func (r *QoSRule) CheckBound(servers bool) error {
	if !servers || !r.reserves() {
		return nil
	}
	return fault.New(fault.Refused, "HTTPNotImplemented", "Cannot update QoS policies/rules backed by resources tracked in Placement")
}

// Suits refuses a network that cannot keep what the policy promises: bandwidth is
// set aside on physical networks alone.
func (p *QoSPolicy) Suits(n *Network) error {
	if rule := p.promised(n); rule != nil {
		return fault.New(fault.Conflict, "QosRuleNotSupportedByNetwork", "Rule %s is not supported by network %s", rule.Type, n.ID)
	}
	return nil
}

// SuitsPort is Suits for one port of the network.
func (p *QoSPolicy) SuitsPort(n *Network, portID string) error {
	if rule := p.promised(n); rule != nil {
		return fault.New(fault.Conflict, "QosRuleNotSupported", "Rule %s is not supported by port %s", rule.Type, portID)
	}
	return nil
}

// promised is the rule that the network cannot keep.
func (p *QoSPolicy) promised(n *Network) *QoSRule {
	if n.PhysicalNetwork != "" {
		return nil
	}
	i := slices.IndexFunc(p.Rules, func(r QoSRule) bool { return r.Type == QoSMinimumBandwidth })
	if i < 0 {
		return nil
	}
	return &p.Rules[i]
}

// NoQoSPolicy is the answer about a policy that is not there for the caller.
func NoQoSPolicy(id string) error {
	return fault.New(fault.NotFound, "QosPolicyNotFound", "QoS policy %s could not be found.", id)
}

// NoQoSRule is the answer about a rule that the policy does not have.
func NoQoSRule(policy, id string) error {
	return fault.New(fault.NotFound, "QosRuleNotFound", "QoS rule %s for policy %s could not be found.", id, policy)
}

// QoSPolicyInUse is the refusal to delete a policy that a thing of the kind names.
func QoSPolicyInUse(policy, kind, id string) error {
	return fault.New(fault.Conflict, "QosPolicyInUse", "QoS Policy %s is used by %s %s.", policy, kind, id)
}

// SecondDefaultQoS is the refusal of a second default policy of the project.
func SecondDefaultQoS(project string) error {
	return fault.New(fault.Conflict, "QoSPolicyDefaultAlreadyExists", "A default QoS policy exists for project %s.", project)
}

// KeptQoSPolicy is the refusal to take a policy off that the caller does not see.
func KeptQoSPolicy(id string) error {
	return fault.New(fault.Forbidden, "PolicyRemoveAuthorizationError",
		"Failed to remove provided policy %s because you are not authorized.", id)
}
