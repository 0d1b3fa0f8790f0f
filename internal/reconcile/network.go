package reconcile

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// network makes a network right in a pod, with its subnets and DHCP ports, in
// this order: network, subnets with DHCP off, reserved DHCP ports, DHCP on,
// subnets with an IPv6 mode. Any other order lets the pod's agent make a DHCP port
// of its own.
//
// When it is not wanted any more its DHCP ports and subnets go with it; a port of
// somebody else keeps it, and the job waits and says so. A port of ours that came
// meanwhile keeps it for good.
func (r *Reconciler) network(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		if err := r.disconnect(ctx, m); err != nil {
			return err
		}
	}
	want, ok, err := wanted[plan.Network](ctx, r, c, m, r.store.FindNetwork)
	if err != nil || !ok {
		return err
	}
	if want.QoSPolicyID, err = r.needQoS(ctx, m.Target, want.QoSPolicyID); err != nil { // from here on the pod's ID
		return err
	}
	want.External = want.External && want.Pod == m.Pod // in other pods it is no way out
	net, fresh, err := r.networkObject(ctx, c, m, &want)
	if err != nil {
		return err
	}
	if !fresh {
		if err := update(ctx, c, m.Kind, net.ID, plan.UpdateNetwork(want, net)); err != nil {
			return err
		}
	}
	n := segment{r: r, c: c, pod: m.Pod, net: want, podID: net.ID, fresh: fresh}
	err = n.ensure(ctx)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Code == "GatewayIpInUse" {
		return r.soon(m, err) // the router that has it is being taken off
	}
	return err
}

// networkObject is object for a network. If one of the pod's own has its segment, it
// gets another one, as long as it may.
func (r *Reconciler) networkObject(ctx context.Context, c *pod.Client, m store.Mapping, want *topology.Network) (net plan.Network, fresh bool, err error) {
	for {
		net, fresh, err = object[plan.Network](ctx, r, c, m, want.ProjectID, plan.NewNetwork(*want))
		if !segmentInUse(err) {
			return net, fresh, err
		}
		left, lerr := r.store.LeaveSegment(ctx, m.ID, m.Pod)
		if none, ok := errors.AsType[*fault.Error](lerr); ok && none.Code == "NoNetworkAvailable" {
			return net, false, err // which says what is in the way
		}
		if lerr != nil || !left {
			return net, false, cmp.Or(lerr, err)
		}
		now, ferr := r.store.FindNetwork(ctx, m.ID)
		if ferr != nil {
			return net, false, ferr
		}
		want.PhysicalNetwork, want.SegmentationID = now.PhysicalNetwork, now.SegmentationID
	}
}

// segmentInUse reports whether a pod refuses a network because one of its own has
// the segment.
func segmentInUse(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && (f.Code == "VlanIdInUse" || f.Code == "TunnelIdInUse")
}

// segment is one network in one pod, with what stands on it.
type segment struct {
	r     *Reconciler
	c     *pod.Client
	pod   string
	net   topology.Network
	podID string
	fresh bool // just created: nothing stands on it yet
}

func (s *segment) ensure(ctx context.Context) error {
	if err := s.access(ctx); err != nil {
		return err
	}
	subnets, err := s.r.store.SubnetsOf(ctx, s.net.ID)
	if err != nil {
		return err
	}
	gateways, err := s.r.store.PodGateways(ctx, s.net.ID, s.pod)
	if err != nil {
		return err
	}
	for i, n := range subnets {
		if a, ok := gateways[n.ID]; ok {
			subnets[i].GatewayIP = a
		}
	}
	reserved, err := s.reserve(ctx, subnets)
	if err != nil {
		return err
	}
	// Those with an IPv6 mode exist with DHCP on only. They come last: by then the
	// agents have our ports, which get an address there by themselves, or out of the
	// pools, which hold no others.
	late, err := s.late(ctx, subnets)
	if err != nil {
		return err
	}
	refs := plan.Refs{Pod: s.pod, Network: s.podID, Subnets: map[string]string{}, Auto: plan.Auto(subnets)}
	early := slices.DeleteFunc(slices.Clone(subnets), func(n topology.Subnet) bool { return late[n.ID] })
	if err := s.stand(ctx, early, reserved, refs); err != nil || len(late) == 0 {
		return err
	}
	return s.stand(ctx, slices.DeleteFunc(subnets, func(n topology.Subnet) bool { return !late[n.ID] }), reserved, refs)
}

// late are the subnets with a mode that the pod does not have yet.
func (s *segment) late(ctx context.Context, subnets []topology.Subnet) (map[string]bool, error) {
	late := map[string]bool{}
	for _, n := range subnets {
		if !n.HasMode() {
			continue
		}
		m, err := s.mapping(ctx, store.KindSubnet, n.ID)
		if err != nil {
			return nil, err
		}
		if m.PodID == "" {
			late[n.ID] = true
		}
	}
	return late, nil
}

// stand makes the subnets right, with the reserved ports in them and in those
// that refs has already.
func (s *segment) stand(ctx context.Context, subnets []topology.Subnet, reserved []topology.Port, refs plan.Refs) error {
	there := make([]plan.Subnet, len(subnets))
	for i, want := range subnets {
		var err error
		if there[i], err = s.subnet(ctx, want, addresses(reserved, want.ID)); err != nil {
			return err
		}
		refs.Subnets[want.ID] = there[i].ID
	}
	if err := s.dhcpPorts(ctx, reserved, refs); err != nil {
		return err
	}
	for i, want := range subnets {
		changes := plan.UpdateSubnet(want, there[i], addresses(reserved, want.ID))
		if err := update(ctx, s.c, store.KindSubnet, there[i].ID, changes); err != nil {
			return err
		}
	}
	return nil
}

// reserve makes sure that we have chosen the addresses of the pod's DHCP ports.
func (s *segment) reserve(ctx context.Context, subnets []topology.Subnet) ([]topology.Port, error) {
	p, err := s.r.pods.Pod(ctx, s.pod)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, want := range subnets {
		if want.EnableDHCP {
			n = p.DHCPPorts
		}
	}
	return s.r.store.EnsureDHCPPorts(ctx, s.net.ID, s.pod, n)
}

// subnet makes sure that the subnet exists. When it was there before, its pools
// are widened before a reserved port may need an address of them.
func (s *segment) subnet(ctx context.Context, want topology.Subnet, reserved []netip.Addr) (plan.Subnet, error) {
	m, err := s.mapping(ctx, store.KindSubnet, want.ID)
	if err != nil {
		return plan.Subnet{}, err
	}
	obj, _, err := object[plan.Subnet](ctx, s.r, s.c, m, want.ProjectID, plan.NewSubnet(want, s.podID, reserved))
	return obj, err
}

// dhcpPorts makes sure that the reserved ports exist at our addresses. Once the
// agent has taken one, its device is the agent's.
func (s *segment) dhcpPorts(ctx context.Context, reserved []topology.Port, refs plan.Refs) error {
	found := make([]plan.Port, len(reserved))
	for i, want := range reserved {
		m, err := s.mapping(ctx, store.KindPort, want.ID)
		if err != nil {
			return err
		}
		if found[i], _, err = object[plan.Port](ctx, s.r, s.c, m, want.ProjectID, plan.NewPort(want, refs)); err != nil {
			return err
		}
	}
	for _, swap := range plan.Swaps(reserved, found, refs) {
		if err := s.r.store.SwapAddresses(ctx, swap.SubnetID, swap.Ports); err != nil {
			return err
		}
	}
	for i, want := range reserved {
		if err := update(ctx, s.c, store.KindPort, found[i].ID, plan.UpdatePort(want, found[i], refs)); err != nil {
			return err
		}
	}
	return nil
}

// mapping is that of a thing that comes with the network and has no job of its
// own; it starts out empty.
func (s *segment) mapping(ctx context.Context, kind, id string) (store.Mapping, error) {
	t := store.Target{Kind: kind, ID: id, Pod: s.pod}
	m, err := s.r.store.FindMapping(ctx, t)
	if fault.Is(err, fault.NotFound) {
		return store.Mapping{Target: t, ProjectID: s.net.ProjectID}, nil
	}
	return m, err
}

func addresses(ports []topology.Port, subnetID string) []netip.Addr {
	var out []netip.Addr
	for _, p := range ports {
		for _, f := range p.FixedIPs {
			if f.SubnetID == subnetID {
				out = append(out, f.Address)
			}
		}
	}
	return out
}

// subnet acts on a subnet's own job, which only a deletion makes: all else about
// a subnet is its network's.
func (r *Reconciler) subnet(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if m.Wanted {
		return nil
	}
	return r.soon(m, vanish[plan.Subnet](ctx, r, c, m))
}

// podIDs are the pod's IDs of things of one kind, by ours.
func (r *Reconciler) podIDs(ctx context.Context, kind, podName string, ids ...string) (map[string]string, error) {
	out := make(map[string]string, len(ids))
	for _, id := range ids {
		m, err := r.store.FindMapping(ctx, store.Target{Kind: kind, ID: id, Pod: podName})
		if err != nil {
			return nil, err
		}
		out[id] = m.PodID
	}
	return out, nil
}
