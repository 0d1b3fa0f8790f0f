package topology

import (
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// RequestGroup is what a port needs of its host: Nova asks Placement for it.
type RequestGroup struct {
	ID        string         `json:"id"`
	Required  []string       `json:"required"` // traits
	Resources map[string]int `json:"resources"`
}

// ResourceRequest is all that a port needs, of things that are close together.
type ResourceRequest struct {
	Groups      []RequestGroup `json:"request_groups"`
	SameSubtree []string       `json:"same_subtree"`
}

var guarantees = map[string]map[string]string{
	QoSMinimumBandwidth: {Egress: "NET_BW_EGR_KILOBIT_PER_SEC", Ingress: "NET_BW_IGR_KILOBIT_PER_SEC"},
	QoSMinimumPacketRate: {Egress: "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC", Ingress: "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
		AnyDirection: "NET_PACKET_RATE_KILOPACKET_PER_SEC"},
}

// Request is what the port needs for the guarantees of its policy; nil is nothing.
// Bandwidth is of the physical network, packets are of the host.
func (p *Port) Request(rules []QoSRule, physical string) *ResourceRequest {
	r := &ResourceRequest{}
	for _, kind := range []string{QoSMinimumBandwidth, QoSMinimumPacketRate} {
		g := RequestGroup{Required: []string{trait("VNIC_TYPE_" + p.VNICType)}, Resources: map[string]int{}}
		var named []string
		for _, rule := range rules {
			if rule.Type == kind {
				g.Resources[guarantees[kind][rule.Direction]] = rule.Value
				named = append(named, rule.ID)
			}
		}
		if kind == QoSMinimumBandwidth {
			if physical == "" {
				continue
			}
			g.Required = []string{trait("PHYSNET_" + physical), g.Required[0]}
		}
		if named == nil {
			continue
		}
		space, _ := uuid.Parse(p.ID)
		g.ID = uuid.NewSHA1(space, []byte(strings.Join(named, ":"))).String()
		r.Groups, r.SameSubtree = append(r.Groups, g), append(r.SameSubtree, g.ID)
	}
	if r.Groups == nil {
		return nil
	}
	return r
}

var notInTraits = regexp.MustCompile(`[^A-Z0-9_]+`)

func trait(name string) string {
	return "CUSTOM_" + notInTraits.ReplaceAllString(strings.ToUpper(name), "_")
}
