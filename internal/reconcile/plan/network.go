package plan

import (
	"maps"

	"github.com/tricircle/tricircle/internal/topology"
)

// Network is a pod's network, as far as we care.
type Network struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Description  string `json:"description"`
	AdminStateUp bool   `json:"admin_state_up"`
	Shared       bool   `json:"shared"`
	External     bool   `json:"router:external"`
	MTU          int    `json:"mtu"`
	PortSecurity bool   `json:"port_security_enabled"`
	QoSPolicyID  string `json:"qos_policy_id"`
	Segment      *int   `json:"provider:segmentation_id"`
}

// PodID is its ID in the pod.
func (n Network) PodID() string { return n.ID }

// NewNetwork is the body that creates the network in a pod. A vlan or flat
// network names its segment, so that it is the same one in every pod; how to
// build a local one is the pod's choice. The QoS policy is the pod's.
func NewNetwork(n topology.Network) map[string]any {
	body := map[string]any{
		"name":                  n.Name,
		"description":           Mark("network", n.ID),
		"admin_state_up":        n.AdminStateUp,
		"shared":                n.Shared,
		"port_security_enabled": n.PortSecurityEnabled,
	}
	setProject(body, n.ProjectID)
	if n.External {
		body["router:external"] = true
	}
	if n.QoSPolicyID != "" {
		body["qos_policy_id"] = n.QoSPolicyID
	}
	if n.MTU > 0 && (n.Type != topology.TypeLocal || len(n.Segments) > 1) {
		body["mtu"] = n.MTU
	}
	if len(n.Segments) > 1 {
		body["segments"] = segments(n)
		return body
	}
	maps.Copy(body, n.AllSegments()[0].Place())
	return body
}

func segments(n topology.Network) []map[string]any {
	out := make([]map[string]any, 0, len(n.Segments))
	for _, s := range n.Segments {
		one := s.Place()
		one["provider:network_type"] = s.Type // a local one, too, is named among several
		out = append(out, one)
	}
	return out
}

// UpdateNetwork is what to change in the pod's network.
func UpdateNetwork(want topology.Network, found Network) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("network", want.ID))
	set(c, "admin_state_up", found.AdminStateUp, want.AdminStateUp)
	set(c, "shared", found.Shared, want.Shared)
	set(c, "router:external", found.External, want.External)
	set(c, "port_security_enabled", found.PortSecurity, want.PortSecurityEnabled)
	setQoS(c, found.QoSPolicyID, want.QoSPolicyID)
	if want.Type == topology.TypeVLAN && len(want.Segments) == 0 && found.Segment != nil {
		set(c, "provider:segmentation_id", *found.Segment, want.SegmentationID)
	}
	if want.Type != topology.TypeLocal && want.MTU > 0 {
		set(c, "mtu", found.MTU, want.MTU)
	}
	return c
}
