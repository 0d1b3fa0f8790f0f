package reconcile

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// port makes a port right in a pod: first its network and its groups, then the
// port itself with our address and MAC, and the trunk that it carries.
func (r *Reconciler) port(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		return r.soon(m, untrunked(r.dropRouterPort(ctx, c, m, vanish[plan.Port](ctx, r, c, m))))
	}
	want, err := r.store.FindPort(ctx, m.ID)
	if fault.Is(err, fault.NotFound) {
		return nil // deleted meanwhile; the mapping has changed with it
	}
	if err != nil {
		return err
	}
	if want.DeviceOwner == topology.OwnerDHCP {
		return nil // its network's job makes it
	}
	if topology.IsRouterPort(want.DeviceOwner) || want.DeviceOwner == topology.OwnerPodRouter {
		return nil // its router's job makes it
	}
	refs, err := r.refs(ctx, want, m.Target)
	if err != nil {
		return err
	}
	obj, fresh, err := object[plan.Port](ctx, r, c, m, want.ProjectID, plan.NewPort(want, refs))
	if err != nil {
		return err
	}
	if !fresh {
		if err := update(ctx, c, m.Kind, obj.ID, plan.UpdatePort(want, obj, refs)); err != nil {
			return err
		}
	}
	return r.needTrunk(ctx, m.Target)
}

// refs brings what the port refers to into the pod.
func (r *Reconciler) refs(ctx context.Context, p topology.Port, there store.Target) (plan.Refs, error) {
	net, err := r.store.FindNetwork(ctx, p.NetworkID)
	if err != nil {
		return plan.Refs{}, err
	}
	nets, err := r.need(ctx, there, net.ProjectID, store.KindNetwork, p.NetworkID)
	if err != nil {
		return plan.Refs{}, err
	}
	groups, err := r.need(ctx, there, p.ProjectID, store.KindSecurityGroup, p.SecurityGroups...)
	if err != nil {
		return plan.Refs{}, err
	}
	ids := make([]string, 0, len(p.FixedIPs))
	for _, f := range p.FixedIPs {
		ids = append(ids, f.SubnetID)
	}
	subnets, err := r.podIDs(ctx, store.KindSubnet, there.Pod, ids...)
	if err != nil {
		return plan.Refs{}, err
	}
	policy, err := r.needQoS(ctx, there, p.QoSPolicyID)
	if err != nil {
		return plan.Refs{}, err
	}
	all, err := r.store.SubnetsOf(ctx, p.NetworkID)
	return plan.Refs{Pod: there.Pod, Network: nets[p.NetworkID], Subnets: subnets, Auto: plan.Auto(all), Groups: groups, QoSPolicy: policy}, err
}
