package plan

import (
	"fmt"

	"github.com/tricircle/tricircle/internal/topology"
)

// FloatingIP is a pod's floating IP, as far as we care.
type FloatingIP struct {
	ID          string            `json:"id"`
	Description string            `json:"description"`
	Address     string            `json:"floating_ip_address"`
	PortID      string            `json:"port_id"`
	FixedIP     string            `json:"fixed_ip_address"`
	QoSPolicyID string            `json:"qos_policy_id"`
	Forwardings []ForwardingShort `json:"port_forwardings"`
}

// PodID is its ID in the pod.
func (f FloatingIP) PodID() string { return f.ID }

// ForwardingShort is all that a floating IP tells of its forwardings.
type ForwardingShort struct {
	ID string `json:"id"`
}

// Outside are a pod's IDs for the things that a floating IP refers to by ours.
type Outside struct {
	Network   string
	Ports     map[string]string
	QoSPolicy string
}

// NewFloatingIP is the body that creates the floating IP in a pod, at our address.
func NewFloatingIP(f topology.FloatingIP, refs Outside) map[string]any {
	body := map[string]any{
		"floating_network_id": refs.Network,
		"floating_ip_address": f.Address,
		"project_id":          f.ProjectID,
		"description":         Mark("floating_ip", f.ID),
	}
	if f.PortID != "" {
		body["port_id"], body["fixed_ip_address"] = refs.Ports[f.PortID], f.FixedAddress
	}
	if refs.QoSPolicy != "" {
		body["qos_policy_id"] = refs.QoSPolicy
	}
	return body
}

// UpdateFloatingIP is what to change in the pod's floating IP.
func UpdateFloatingIP(want topology.FloatingIP, found FloatingIP, refs Outside) Changes {
	c := Changes{}
	set(c, "description", found.Description, Mark("floating_ip", want.ID))
	switch port := refs.Ports[want.PortID]; {
	case want.PortID == "" && found.PortID != "":
		c["port_id"] = nil
	case want.PortID != "" && (found.PortID != port || found.FixedIP != want.FixedAddress.String()):
		c["port_id"], c["fixed_ip_address"] = port, want.FixedAddress
	}
	setQoS(c, found.QoSPolicyID, refs.QoSPolicy)
	if len(c) > 0 && refs.QoSPolicy != "" {
		c["qos_policy_id"] = refs.QoSPolicy // Neutron forgets a policy that a change does not repeat
	}
	return c
}

// Forwarding is a port forwarding of a pod's floating IP. Pods without ranges show
// single ports only.
type Forwarding struct {
	ID            string `json:"id"`
	Protocol      string `json:"protocol"`
	PortID        string `json:"internal_port_id"`
	Address       string `json:"internal_ip_address"`
	Internal      int    `json:"internal_port"`
	External      int    `json:"external_port"`
	InternalRange string `json:"internal_port_range"`
	ExternalRange string `json:"external_port_range"`
}

// same says whether the two lead from the same ports to the same.
func (f Forwarding) same(o Forwarding) bool {
	f.ID, o.ID = "", ""
	return f.plain() == o.plain()
}

// plain writes all ports as ranges.
func (f Forwarding) plain() Forwarding {
	if f.InternalRange == "" {
		f.InternalRange = fmt.Sprintf("%d:%d", f.Internal, f.Internal)
	}
	if f.ExternalRange == "" {
		f.ExternalRange = fmt.Sprintf("%d:%d", f.External, f.External)
	}
	f.Internal, f.External = 0, 0
	return f
}

// Forwardings are the bodies of those to add, and the IDs of those to remove first. What
// differs is made anew: the parts of one can be another's from now on.
func Forwardings(want []topology.PortForwarding, found []Forwarding, refs Outside) (add []map[string]any, gone []string) {
	stays := map[string]bool{}
	for i := range want {
		w := &want[i]
		wanted := Forwarding{Protocol: w.Protocol, PortID: refs.Ports[w.PortID], Address: w.Address.String(),
			InternalRange: w.Internal(), ExternalRange: w.External()}
		there := false
		for _, f := range found {
			if !stays[f.ID] && f.same(wanted) {
				stays[f.ID], there = true, true
				break
			}
		}
		if !there {
			add = append(add, newForwarding(w, wanted))
		}
	}
	for _, f := range found {
		if !stays[f.ID] {
			gone = append(gone, f.ID)
		}
	}
	return add, gone
}

func newForwarding(w *topology.PortForwarding, refs Forwarding) map[string]any {
	body := map[string]any{"protocol": w.Protocol, "internal_port_id": refs.PortID, "internal_ip_address": refs.Address}
	if w.ExternalFirst == w.ExternalLast && w.InternalFirst == w.InternalLast { // all that older pods know
		body["internal_port"], body["external_port"] = w.InternalFirst, w.ExternalFirst
		return body
	}
	body["internal_port_range"], body["external_port_range"] = w.Internal(), w.External()
	return body
}
