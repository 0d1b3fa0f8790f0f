package reconcile

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// adoptee is a network that only a pod has. It is the region's JSON, but for null.
type adoptee struct {
	c   *pod.Client
	pod store.Pod
	out store.Adoption
	// groups that were read, by the pod's ID.
	groups map[string]bool
}

// Adopt takes a network that only a pod has into the region, with its subnets and
// ports, which keep their addresses; servers there notice nothing. podID is the
// pod's ID of the network.
func (r *Reconciler) Adopt(ctx context.Context, podName, podID string) (topology.Network, error) {
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return topology.Network{}, err
	}
	p, err := r.pods.Pod(ctx, podName)
	if err != nil {
		return topology.Network{}, err
	}
	a := adoptee{c: c, pod: p, groups: map[string]bool{}}
	a.out.Pod = podName
	for _, read := range []func(context.Context, string) error{a.network, a.subnets, a.ports} {
		if err := read(ctx, podID); err != nil {
			return topology.Network{}, err
		}
	}
	return r.store.Adopt(ctx, a.out)
}

// read turns a pod's object into ours: the names are the same, null is empty.
func read[T any](o map[string]any, into *T) error {
	for name, v := range o {
		if v == nil {
			delete(o, name)
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fault.New(fault.Invalid, "", "cannot read what the pod says: %v", err)
	}
	return nil
}

func (a *adoptee) network(ctx context.Context, podID string) error {
	o, found, err := get[map[string]any](ctx, a.c, store.KindNetwork, podID)
	if err != nil {
		return err
	}
	if !found {
		return fault.New(fault.NotFound, "", "pod %s has no network %s", a.pod.Name, podID)
	}
	if mark, _ := o["description"].(string); strings.HasPrefix(mark, plan.Mark(store.KindNetwork, "")) {
		return fault.New(fault.Conflict, "", "network %s is the region's, or that of another Tricircle: %s", podID, mark)
	}
	delete(o, "qos_policy_id") // the policy is the pod's
	if err := read(o, &a.out.Network); err != nil {
		return err
	}
	n := &a.out.Network
	n.Subnets, n.ZoneHints = nil, nil
	switch n.Type {
	case topology.TypeVLAN, topology.TypeFlat:
		return nil
	}
	// How the pod builds it is its own business, and no other pod can join.
	n.Type, n.PhysicalNetwork, n.SegmentationID, n.Segments = topology.TypeLocal, "", 0, nil
	return nil
}

func (a *adoptee) subnets(ctx context.Context, podID string) error {
	all, err := list[map[string]any](ctx, a.c, store.KindSubnet, url.Values{"network_id": {podID}})
	if err != nil {
		return err
	}
	for _, o := range all {
		delete(o, "subnetpool_id")
		var spec topology.SubnetSpec
		if err := read(o, &spec.Subnet); err != nil {
			return err
		}
		spec.NoGateway = !spec.GatewayIP.IsValid()
		if spec.AllocationPools == nil {
			spec.AllocationPools = []topology.Pool{}
		}
		a.out.Subnets = append(a.out.Subnets, spec)
	}
	return nil
}

func (a *adoptee) ports(ctx context.Context, podID string) error {
	all, err := list[map[string]any](ctx, a.c, store.KindPort, url.Values{"network_id": {podID}})
	if err != nil {
		return err
	}
	for _, o := range all {
		spec, err := a.port(ctx, o)
		if err != nil {
			return err
		}
		a.out.Ports = append(a.out.Ports, spec)
	}
	return nil
}

func (a *adoptee) port(ctx context.Context, o map[string]any) (spec topology.PortSpec, err error) {
	delete(o, "qos_policy_id")
	delete(o, "qos_network_policy_id")
	if err := read(o, &spec.Port); err != nil {
		return spec, err
	}
	spec.WantSecurity, spec.WantGroups = &spec.PortSecurityEnabled, spec.SecurityGroups
	spec.WantIPs = []topology.WantIP{}
	for _, ip := range spec.FixedIPs {
		spec.WantIPs = append(spec.WantIPs, topology.WantIP(ip))
	}
	for _, id := range spec.SecurityGroups {
		if err := a.group(ctx, id); err != nil {
			return spec, err
		}
	}
	switch {
	case spec.DeviceOwner == topology.OwnerDHCP:
		spec.Pod, spec.DeviceID = a.pod.Name, topology.ReservedDHCPID
	case strings.HasPrefix(spec.DeviceOwner, topology.OwnerNetwork):
		return spec, fault.New(fault.Conflict, "", "port %s of the network belongs to a %s in the pod, which cannot be taken over", spec.ID, spec.DeviceOwner)
	case strings.HasPrefix(spec.DeviceOwner, topology.OwnerCompute):
		spec.DeviceOwner = topology.OwnerCompute + a.pod.Zone
	}
	return spec, nil
}

// group reads a group, and those that its rules name.
func (a *adoptee) group(ctx context.Context, podID string) error {
	if a.groups[podID] {
		return nil
	}
	a.groups[podID] = true
	o, found, err := get[map[string]any](ctx, a.c, store.KindSecurityGroup, podID)
	if err != nil || !found {
		return err
	}
	var g topology.SecurityGroup
	if err := read(o, &g); err != nil {
		return err
	}
	a.out.Groups = append(a.out.Groups, g)
	for _, rule := range g.Rules {
		if rule.AddressGroupID != "" {
			return fault.New(fault.Conflict, "", "security group %s names address group %s, which only the pod has", podID, rule.AddressGroupID)
		}
		if rule.RemoteGroupID != "" {
			if err := a.group(ctx, rule.RemoteGroupID); err != nil {
				return err
			}
		}
	}
	return nil
}
