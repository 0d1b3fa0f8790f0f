package topology

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	rule := func(kind, direction string, value int) QoSRule {
		return QoSRule{ID: kind + direction, Type: kind, Direction: direction, Value: value}
	}
	bandwidth := []QoSRule{rule(QoSMinimumBandwidth, Egress, 1), rule(QoSMinimumBandwidth, Ingress, 2)}
	limit, packets := rule(QoSBandwidthLimit, Egress, 9), rule(QoSMinimumPacketRate, AnyDirection, 3)
	port := Port{ID: "6d1a1a5e-5c1e-4e3a-9a49-0d7c0a1f4b11", VNICType: "direct-physical"}
	ofBandwidth := RequestGroup{Required: []string{"CUSTOM_PHYSNET_PHYS_1", "CUSTOM_VNIC_TYPE_DIRECT_PHYSICAL"},
		Resources: map[string]int{"NET_BW_EGR_KILOBIT_PER_SEC": 1, "NET_BW_IGR_KILOBIT_PER_SEC": 2}}
	ofPackets := RequestGroup{Required: []string{"CUSTOM_VNIC_TYPE_DIRECT_PHYSICAL"}, Resources: map[string]int{"NET_PACKET_RATE_KILOPACKET_PER_SEC": 3}}
	for name, c := range map[string]struct {
		rules    []QoSRule
		physical string
		want     []RequestGroup
	}{
		"no rules":       {nil, "phys-1", nil},
		"limits":         {[]QoSRule{limit}, "phys-1", nil},
		"bandwidth":      {append(bandwidth, limit), "phys-1", []RequestGroup{ofBandwidth}},
		"nowhere":        {bandwidth, "", nil},
		"packets":        {[]QoSRule{packets}, "", []RequestGroup{ofPackets}},
		"both, in order": {append([]QoSRule{packets}, bandwidth...), "phys-1", []RequestGroup{ofBandwidth, ofPackets}},
	} {
		got := port.Request(c.rules, c.physical)
		if got == nil {
			got = &ResourceRequest{}
		}
		for i := range got.Groups {
			if g := &got.Groups[i]; g.ID == "" || got.SameSubtree[i] != g.ID {
				t.Errorf("%s: same_subtree = %v for %v", name, got.SameSubtree, got.Groups)
			} else {
				g.ID = ""
			}
		}
		if diff := cmp.Diff(c.want, got.Groups); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
