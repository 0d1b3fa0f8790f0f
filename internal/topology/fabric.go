package topology

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
)

// VLAN IDs that a network may have.
const (
	MinVLAN = 1
	MaxVLAN = 4094
)

// DefaultMTU is that of a network nobody gave another one.
const DefaultMTU = 1500

// DefaultMACPrefix is how the MAC addresses of ports begin, as in every OpenStack.
const DefaultMACPrefix = "fa:16:3e"

// Fabric is what the operator says about the layer-2 networks between the pods.
// The zero value has none: every network is then local to one pod.
type Fabric struct {
	Physical []PhysicalNetwork
	// DefaultType is the type of networks made without provider attributes.
	// Empty means vlan where a range of IDs is given, else local.
	DefaultType string
	// VNIs are given to vxlan networks; none: there are no such networks.
	VNIs      []SegmentRange
	MTU       int    // empty: DefaultMTU
	MACPrefix string // empty: DefaultMACPrefix
	Bridge    Bridges
	// ExternalPod is where external networks go that do not say where; empty: to
	// the first pod.
	ExternalPod string
}

// PhysicalNetwork is one layer-2 network that reaches several pods. All pods
// know it by this name.
type PhysicalNetwork struct {
	Name  string
	VLANs []SegmentRange // given to networks of tenants; admins may use others too
	Flat  bool           // may carry an untagged network
}

// SegmentRange is a range of VLAN IDs or VNIs, both ends included.
type SegmentRange struct{ Min, Max int }

// Segment is what a network occupies. ID is 0 for flat, Physical empty for vxlan.
type Segment struct {
	Physical string
	ID       int
}

var macPrefix = regexp.MustCompile(`^[0-9a-f][02468ace](:[0-9a-f]{2}){2,3}$`)

// Check reports what is wrong with the operator's settings.
func (f Fabric) Check() error {
	seen := map[string]bool{}
	for _, p := range f.Physical {
		if p.Name == "" || seen[p.Name] {
			return fmt.Errorf("physical network %q is named twice or not at all", p.Name)
		}
		seen[p.Name] = true
		for _, r := range p.VLANs {
			if r.Min < MinVLAN || r.Max > MaxVLAN || r.Min > r.Max {
				return fmt.Errorf("physical network %s: VLANs %d to %d are not within %d to %d",
					p.Name, r.Min, r.Max, MinVLAN, MaxVLAN)
			}
		}
	}
	for _, r := range f.VNIs {
		if r.Min < 1 || r.Max > MaxVNI || r.Min > r.Max {
			return fmt.Errorf("VNIs %d to %d are not within 1 to %d", r.Min, r.Max, MaxVNI)
		}
	}
	switch f.DefaultType {
	case "", TypeVLAN, TypeVXLAN, TypeLocal:
	default:
		return fmt.Errorf("networks cannot be %q by default, only %s, %s or %s", f.DefaultType, TypeVLAN, TypeVXLAN, TypeLocal)
	}
	if err := f.Bridge.check(f); err != nil {
		return err
	}
	if f.MACPrefix != "" && !macPrefix.MatchString(f.MACPrefix) {
		return fmt.Errorf("MAC prefix %q is not three or four lower-case octets of a unicast address", f.MACPrefix)
	}
	return nil
}

// MAC is how the MAC addresses of new ports begin.
func (f Fabric) MAC() string {
	if f.MACPrefix == "" {
		return DefaultMACPrefix
	}
	return f.MACPrefix
}

func (f Fabric) mtu() int {
	if f.MTU == 0 {
		return DefaultMTU
	}
	return f.MTU
}

func (f Fabric) defaultType() string {
	if f.DefaultType != "" {
		return f.DefaultType
	}
	if slices.ContainsFunc(f.Physical, func(p PhysicalNetwork) bool { return len(p.VLANs) > 0 }) {
		return TypeVLAN
	}
	return TypeLocal
}

func (f Fabric) physical(name string) (PhysicalNetwork, bool) {
	for _, p := range f.Physical {
		if p.Name == name {
			return p, true
		}
	}
	return PhysicalNetwork{}, false
}

// Complete fills in what the network does not say and checks what it says.
// A network without the ID that its type needs still needs a segment: see FreeSegment.
func (f Fabric) Complete(n *Network) error {
	if err := f.completePlace(n); err != nil {
		return err
	}
	if n.MTU == 0 {
		n.MTU = f.maxMTU(n)
	}
	return f.CheckMTU(n)
}

func (f Fabric) completePlace(n *Network) error {
	if len(n.Segments) > 0 {
		return f.checkSegments(n)
	}
	if n.Type == "" {
		if n.PhysicalNetwork != "" || n.SegmentationID != 0 {
			return invalidInput("network_type required")
		}
		n.Type = f.defaultType()
	}
	return f.checkProvider(n)
}

// checkSegments is checkProvider for each of several segments. A single one is the
// network's own.
func (f Fabric) checkSegments(n *Network) error {
	if n.Type != "" || n.PhysicalNetwork != "" || n.SegmentationID != 0 {
		return fault.New(fault.Invalid, "SegmentsSetInConjunctionWithProviders", "Segments and provider values cannot both be set.")
	}
	seen, places := map[NetworkSegment]bool{}, map[[2]string]bool{}
	for _, s := range n.Segments {
		if s.Type == "" {
			return invalidInput("network_type required")
		}
		one := Network{Type: s.Type, PhysicalNetwork: s.PhysicalNetwork, SegmentationID: s.SegmentationID}
		if err := f.checkProvider(&one); err != nil {
			return err
		}
		if partial := s.Type == TypeVLAN && s.SegmentationID == 0; seen[s] && !partial {
			return fault.New(fault.Invalid, "SegmentsContainDuplicateEntry", "Duplicate segment entry in request.")
		}
		place := [2]string{s.Type, s.PhysicalNetwork}
		if places[place] {
			// The key of Neutron's table: it tries for minutes, then answers 409 without a reason.
			return fault.New(fault.Conflict, "HTTPConflict", "A network cannot have two %s segments on physical network %s.", s.Type, s.PhysicalNetwork)
		}
		seen[s], places[place] = true, true
	}
	if s := n.Segments[0]; len(n.Segments) == 1 {
		n.Type, n.PhysicalNetwork, n.SegmentationID, n.Segments = s.Type, s.PhysicalNetwork, s.SegmentationID, nil
	}
	return nil
}

// CheckMove refuses to move a network anywhere but to another VLAN.
func (f Fabric) CheckMove(before, n *Network) error {
	switch {
	case len(before.Segments) > 1:
		return invalidInput("Provider network attributes can be updated only in provider networks with a single segment.")
	case before.Type != TypeVLAN:
		return invalidInput("Only VLAN type networks can be updated.")
	}
	return f.checkProvider(n)
}

// CheckMTU refuses an MTU that the network's wires cannot carry.
func (f Fabric) CheckMTU(n *Network) error {
	if highest := f.maxMTU(n); n.MTU > highest {
		return invalidInput("Requested MTU is too big, maximum is %d", highest)
	}
	return nil
}

// maxMTU is what the narrowest of the network's segments leaves.
func (f Fabric) maxMTU(n *Network) int {
	overhead := 0
	for _, s := range n.AllSegments() {
		if i, ok := f.interconnect(s.Type); ok {
			overhead = max(overhead, i.Overhead())
		}
	}
	return f.mtu() - overhead
}

func (f Fabric) checkProvider(n *Network) error {
	i, ok := f.interconnect(n.Type)
	if !ok {
		return unsupported(n.Type)
	}
	return i.Check(n)
}

// invalidInput is Neutron's InvalidInput.
func invalidInput(format string, args ...any) error {
	return fault.New(fault.Invalid, "InvalidInput",
		"Invalid input for operation: %s.", fmt.Sprintf(format, args...))
}
