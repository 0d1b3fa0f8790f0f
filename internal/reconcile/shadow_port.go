package reconcile

import (
	"context"

	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// shadowPort makes the shadow of another pod's port right, after its network: what a
// floating IP in this pod names, since it can name nothing of another pod.
func (r *Reconciler) shadowPort(ctx context.Context, c *pod.Client, m store.Mapping) error {
	want, ok, err := wanted[plan.Port](ctx, r, c, m, r.store.FindPort)
	if err != nil || !ok {
		return err
	}
	net, err := r.store.FindNetwork(ctx, want.NetworkID)
	if err != nil {
		return err
	}
	nets, err := r.need(ctx, m.Target, net.ProjectID, store.KindNetwork, net.ID)
	if err != nil {
		return err
	}
	var subnets []string
	for _, ip := range want.FixedIPs {
		if ip.Address.Is4() {
			subnets = append(subnets, ip.SubnetID)
		}
	}
	refs := plan.Refs{Pod: m.Pod, Network: nets[net.ID]}
	if refs.Subnets, err = r.podIDs(ctx, store.KindSubnet, m.Pod, subnets...); err != nil {
		return err
	}
	there, fresh, err := object[plan.Port](ctx, r, c, m, want.ProjectID, plan.NewShadow(want, refs))
	if err != nil || fresh {
		return err
	}
	return update(ctx, c, m.Kind, there.ID, plan.UpdateShadow(want, there, refs))
}
