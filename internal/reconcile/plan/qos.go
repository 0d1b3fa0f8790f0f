package plan

import (
	"encoding/json"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// QoSPolicy is a pod's QoS policy, as far as we care.
type QoSPolicy struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Rules       []QoSRule `json:"rules"`
}

// PodID is its ID in the pod.
func (p QoSPolicy) PodID() string { return p.ID }

// QoSRule is a rule of a pod's policy, with the pod's ID.
type QoSRule struct{ topology.QoSRule }

// UnmarshalJSON reads a rule, whose attributes are named by its type.
func (r *QoSRule) UnmarshalJSON(text []byte) error {
	var named struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Direction string `json:"direction"`
	}
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	r.ID, r.Type, r.Direction = named.ID, named.Type, named.Direction
	var rest map[string]any
	if err := json.Unmarshal(text, &rest); err != nil {
		return err
	}
	kind := qosType(r.Type)
	value, _ := rest[kind.Value].(float64)
	burst, _ := rest[kind.Burst].(float64)
	r.Value, r.Burst = int(value), int(burst)
	return nil
}

func qosType(name string) topology.QoSRuleType {
	for _, t := range topology.QoSRuleTypes() {
		if t.Name == name {
			return t
		}
	}
	return topology.QoSRuleType{Name: name} // of a newer pod: it goes
}

// NewQoSPolicy is the body that creates the policy in a pod. There it is nobody's
// default: what names it there is for us to say.
func NewQoSPolicy(p topology.QoSPolicy) map[string]any {
	return map[string]any{"name": p.Name, "description": Mark("qos_policy", p.ID), "project_id": p.ProjectID}
}

// UpdateQoSPolicy is what to change in the pod's policy itself.
func UpdateQoSPolicy(want topology.QoSPolicy, found QoSPolicy) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("qos_policy", want.ID))
	return c
}

// QoSStep changes one rule of a pod's policy: an empty ID makes one, an empty body
// deletes it.
type QoSStep struct {
	Type string
	ID   string
	Body map[string]any
}

// QoSRules says how the pod's rules become those that are wanted, in an order that
// Neutron takes, which never allows a minimum above a limit: first what goes, then
// what widens, then what narrows or is new.
func QoSRules(want []topology.QoSRule, found []QoSRule) []QoSStep {
	var gone, wider, rest []QoSStep
	for _, f := range found {
		if !slices.ContainsFunc(want, f.takes) {
			gone = append(gone, QoSStep{Type: f.Type, ID: f.ID})
		}
	}
	for _, w := range want {
		kind := qosType(w.Type)
		body := map[string]any{kind.Value: w.Value}
		if kind.Burst != "" {
			body[kind.Burst] = w.Burst
		}
		i := slices.IndexFunc(found, func(f QoSRule) bool { return f.takes(w) })
		switch {
		case i < 0:
			if kind.Directions != nil {
				body["direction"] = w.Direction
			}
			rest = append(rest, QoSStep{Type: w.Type, Body: body})
		case found[i].Value == w.Value && found[i].Burst == w.Burst:
		case w.Type == topology.QoSBandwidthLimit && w.Value > found[i].Value, w.Type == topology.QoSMinimumBandwidth && w.Value < found[i].Value:
			wider = append(wider, QoSStep{w.Type, found[i].ID, body})
		default:
			rest = append(rest, QoSStep{w.Type, found[i].ID, body})
		}
	}
	return slices.Concat(gone, wider, rest)
}

// takes says that the pod's rule can become the wanted one: there is one of each
// type and direction.
func (r QoSRule) takes(want topology.QoSRule) bool {
	return r.Type == want.Type && r.Direction == want.Direction
}
