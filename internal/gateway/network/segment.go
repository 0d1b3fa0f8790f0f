package network

import (
	"maps"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/topology"
)

const (
	providerType     = "provider:network_type"
	providerPhysical = "provider:physical_network"
	providerSegment  = "provider:segmentation_id"
)

// readSegments reads the segments of a network that has several.
func readSegments(name string, v any) (any, error) {
	elements, ok := v.([]any)
	if !ok {
		return nil, unfit(name, "'%s' is not a list", python(v))
	}
	segments := []topology.NetworkSegment{}
	for _, e := range elements {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, unfit(name, "'%s' is not a dictionary", python(e))
		}
		var s topology.NetworkSegment
		var unknown []string
		for _, key := range slices.Sorted(maps.Keys(m)) {
			switch text, _ := m[key].(string); key {
			case providerType:
				s.Type = text
			case providerPhysical:
				s.PhysicalNetwork = text
			case providerSegment:
				if m[key] == nil {
					continue
				}
				n, err := readNumber(key, m[key])
				if err != nil {
					return nil, err
				}
				s.SegmentationID = n.(int)
			default:
				unknown = append(unknown, key)
			}
		}
		if unknown != nil {
			return nil, badRequest("Unrecognized attribute(s) '%s'", strings.Join(unknown, ", "))
		}
		segments = append(segments, s)
	}
	return segments, nil
}

// movedSegment takes over a new VLAN, and refuses all else about where a network is.
func movedSegment(n *topology.Network, v values) error {
	for name, is := range map[string]string{providerType: n.Type, providerPhysical: n.PhysicalNetwork} {
		if sent, given := v[name]; given && sent != is {
			return invalidInput("Plugin does not support updating the following provider network attributes: " +
				providerPhysical + ", " + providerType)
		}
	}
	if id, given := v[providerSegment].(int); given && id != 0 {
		n.SegmentationID = id
	}
	return nil
}

// viewSegment shows where a network is, in its one form or the other.
func viewSegment(m map[string]any, n *topology.Network) {
	if len(n.Segments) > 1 {
		all := make([]map[string]any, len(n.Segments))
		for i, s := range n.Segments {
			all[i] = segmentView(s)
		}
		m["segments"] = all
		return
	}
	maps.Copy(m, segmentView(topology.NetworkSegment{Type: n.Type, PhysicalNetwork: n.PhysicalNetwork, SegmentationID: n.SegmentationID}))
}

func segmentView(s topology.NetworkSegment) map[string]any {
	m := map[string]any{providerType: s.Type, providerPhysical: orNull(s.PhysicalNetwork), providerSegment: nil}
	if s.SegmentationID != 0 {
		m[providerSegment] = s.SegmentationID
	}
	return m
}
