package topology

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
)

// Interconnect is how networks of one type are carried within and between pods:
// the part of it that needs no pod. What is to be done in the pods beyond
// creating the same segment in each is for reconcile.
type Interconnect interface {
	// Check refuses what the network says about where it is, in Neutron's words.
	Check(n *Network) error
	// Ranges are the segments that networks may be given, by physical network; none
	// where the network needs no number.
	Ranges() map[string][]SegmentRange
	// Overhead is what it adds to a frame, off the fabric's MTU.
	Overhead() int
	// Taken is the refusal of a segment that another network has.
	Taken(s Segment) error
}

// interconnect is false for a type that the operator does not offer.
func (f Fabric) interconnect(networkType string) (Interconnect, bool) {
	switch networkType {
	case TypeLocal:
		return local{}, true
	case TypeFlat:
		return flat{f: f}, true
	case TypeVLAN:
		return vlan{f: f}, true
	case TypeVXLAN:
		return vxlan{f}, len(f.VNIs) > 0
	}
	return nil, false
}

// SegmentTaken is the refusal of a segment that another network has.
func (f Fabric) SegmentTaken(networkType string, s Segment) error {
	i, ok := f.interconnect(networkType)
	if !ok {
		i = vlan{f: f}
	}
	return i.Taken(s)
}

// Place is what a pod is told of the segment's place, the same in every pod. How
// to build a local one is the pod's choice.
func (s NetworkSegment) Place() map[string]any {
	if s.Type == TypeLocal {
		return map[string]any{}
	}
	body := map[string]any{"provider:network_type": s.Type}
	if s.PhysicalNetwork != "" {
		body["provider:physical_network"] = s.PhysicalNetwork
	}
	if s.SegmentationID != 0 {
		body["provider:segmentation_id"] = s.SegmentationID
	}
	return body
}

// FreeSegment picks a segment for the network out of the operator's ranges, and
// none that is taken. below picks a number from 0 up to its argument, exclusive.
func (f Fabric) FreeSegment(n *Network, taken map[Segment]bool, below func(uint64) uint64) (Segment, error) {
	i, ok := f.interconnect(n.Type)
	if !ok {
		return Segment{}, unsupported(n.Type)
	}
	var all []span
	var free uint64
	for physical, ranges := range i.Ranges() {
		if n.PhysicalNetwork != "" && physical != n.PhysicalNetwork {
			continue
		}
		for _, r := range ranges {
			one := span{physical, r, takenIn(taken, physical, r)}
			all = append(all, one)
			free += one.free()
		}
	}
	if free == 0 {
		return Segment{}, fault.New(fault.Unavailable, "NoNetworkAvailable",
			"Unable to create the network. No tenant network is available for allocation.")
	}
	slices.SortFunc(all, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.physical, b.physical), cmp.Compare(a.in.Min, b.in.Min))
	})
	return nth(all, below(free)), nil
}

// span is a range with what is taken of it. A range may have millions of
// numbers: they are counted, never listed.
type span struct {
	physical string
	in       SegmentRange
	taken    []int // in order
}

func (s span) free() uint64 { return uint64(s.in.Max - s.in.Min + 1 - len(s.taken)) }

func takenIn(taken map[Segment]bool, physical string, r SegmentRange) []int {
	var ids []int
	for s := range taken {
		if s.Physical == physical && r.Min <= s.ID && s.ID <= r.Max {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// nth is the nth free segment; there are more than n.
func nth(all []span, n uint64) Segment {
	for _, s := range all {
		if n >= s.free() {
			n -= s.free()
			continue
		}
		id := s.in.Min + int(n)
		for _, t := range s.taken { // each one below moves it up
			if t > id {
				break
			}
			id++
		}
		return Segment{s.physical, id}
	}
	return Segment{}
}

// plain needs no number and adds nothing to a frame.
type plain struct{}

func (plain) Ranges() map[string][]SegmentRange { return nil }
func (plain) Overhead() int                     { return 0 }

// local lives in one pod, which picks how to build it.
type local struct{ plain }

func (local) Check(n *Network) error {
	if n.PhysicalNetwork != "" {
		return invalidInput("physical_network prohibited for local provider network")
	}
	if n.SegmentationID != 0 {
		return invalidInput("segmentation_id prohibited for local provider network")
	}
	return nil
}

func (local) Taken(Segment) error { return nil } // it occupies none

// flat is a physical network's untagged frames: one network has them.
type flat struct {
	plain
	f Fabric
}

func (f flat) Check(n *Network) error {
	if n.PhysicalNetwork == "" {
		return invalidInput("physical_network required for flat provider network")
	}
	if physical, known := f.f.physical(n.PhysicalNetwork); !known || !physical.Flat {
		return invalidInput("physical_network '%s' unknown for flat provider network", n.PhysicalNetwork)
	}
	if n.SegmentationID != 0 {
		return invalidInput("segmentation_id prohibited for flat provider network")
	}
	return nil
}

func (f flat) Taken(s Segment) error {
	return fault.New(fault.Conflict, "FlatNetworkInUse",
		"Unable to create the flat network. Physical network %s is in use.", s.Physical)
}

// vlan is a tag on a physical network that reaches all pods; the operator's fabric
// does the rest.
type vlan struct {
	plain
	f Fabric
}

func (v vlan) Check(n *Network) error {
	if n.PhysicalNetwork == "" && n.SegmentationID != 0 {
		return invalidInput("segmentation_id requires physical_network for VLAN provider network")
	}
	if _, known := v.f.physical(n.PhysicalNetwork); n.PhysicalNetwork != "" && !known {
		return invalidInput("physical_network '%s' unknown for VLAN provider network", n.PhysicalNetwork)
	}
	if n.SegmentationID != 0 && (n.SegmentationID < MinVLAN || n.SegmentationID > MaxVLAN) {
		return invalidInput("segmentation_id out of range (%d through %d)", MinVLAN, MaxVLAN)
	}
	return nil
}

func (v vlan) Ranges() map[string][]SegmentRange {
	all := map[string][]SegmentRange{}
	for _, p := range v.f.Physical {
		all[p.Name] = p.VLANs
	}
	return all
}

func (v vlan) Taken(s Segment) error {
	return fault.New(fault.Conflict, "VlanIdInUse",
		"Unable to create the network. The VLAN %d on physical network %s is in use.", s.ID, s.Physical)
}

// MaxVNI is the highest VXLAN network identifier.
const MaxVNI = 1<<24 - 1

// vxlanOverhead is what VXLAN over IPv4 adds, as Neutron counts it.
const vxlanOverhead = 50

// vxlan is the same network identifier in the pods' own tunnels. A pod without a
// message bus keeps such a network to itself.
type vxlan struct{ f Fabric }

func (v vxlan) Check(n *Network) error {
	if n.PhysicalNetwork != "" {
		return invalidInput("provider:physical_network specified for vxlan network")
	}
	if n.SegmentationID < 0 || n.SegmentationID > MaxVNI {
		return invalidInput("segmentation_id out of range (%d through %d)", 1, MaxVNI)
	}
	return nil
}

func (v vxlan) Ranges() map[string][]SegmentRange { return map[string][]SegmentRange{"": v.f.VNIs} }
func (v vxlan) Overhead() int                     { return vxlanOverhead }

func (v vxlan) Taken(s Segment) error {
	return fault.New(fault.Conflict, "TunnelIdInUse",
		"Unable to create the network. The tunnel ID %d is in use.", s.ID)
}

func unsupported(networkType string) error {
	return invalidInput("network_type value '%s' not supported", networkType)
}

// OwnerStandIn is the device owner of stand-ins. Neutron takes what begins with
// "network:" for its own: no security groups, and tenants cannot make such ports.
const OwnerStandIn = OwnerNetwork + "tricircle"

// standInPrefix begins the names under which hosts of other pods are known.
const standInPrefix = "tricircle-"

// StandInHost is what a host of another pod is called. The hosts of two pods may
// have one name.
func StandInHost(pod, host string) string { return standInPrefix + pod + "-" + host }

// IsStandIn says that the host is another pod's.
func IsStandIn(host string) bool { return strings.HasPrefix(host, standInPrefix) }
