package reconcile

import (
	"context"
	"net/http"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// addressGroup makes an address group right in a pod. A pod gets those that rules
// of its security groups name.
func (r *Reconciler) addressGroup(ctx context.Context, c *pod.Client, m store.Mapping) error {
	want, ok, err := wanted[plan.AddressGroup](ctx, r, c, m, r.store.AddressGroups().Find)
	if err != nil || !ok {
		return err
	}
	there, fresh, err := object[plan.AddressGroup](ctx, r, c, m, want.ProjectID, plan.NewAddressGroup(want))
	if err != nil || fresh {
		return err
	}
	if err := update(ctx, c, m.Kind, there.ID, plan.UpdateAddressGroup(want, there)); err != nil {
		return err
	}
	return fillAddressGroup(ctx, c, want.Addresses, there)
}

// addressBatch bounds how long the pod is at one call: Neutron writes each address
// by itself, in 5 to 30 ms.
const addressBatch = 100

// fillAddressGroup adds before it removes, so that traffic which both the old and
// the new addresses allow is never cut.
func fillAddressGroup(ctx context.Context, c *pod.Client, want []netip.Prefix, there plan.AddressGroup) error {
	add, gone := plan.Addresses(want, there)
	for part := range slices.Chunk(add, addressBatch) {
		if err := changeAddresses(ctx, c, there.ID, "add_addresses", part); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(gone, addressBatch) {
		if err := changeAddresses(ctx, c, there.ID, "remove_addresses", part); err != nil {
			return err
		}
	}
	return nil
}

func changeAddresses(ctx context.Context, c *pod.Client, id, action string, addresses []string) error {
	return c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodPut,
		Path: path(store.KindAddressGroup, id) + "/" + action, Op: "change the addresses of an address group"},
		map[string]any{"addresses": addresses}, nil)
}

// needAddressGroups brings the address groups that the rules name into the pod and
// adds them to what the rules mean there.
func (r *Reconciler) needAddressGroups(ctx context.Context, by store.Target, rules []topology.Rule, remotes map[string]plan.Remote) error {
	for _, rule := range rules {
		id := rule.AddressGroupID
		if _, done := remotes[id]; id == "" || done {
			continue
		}
		g, err := r.store.AddressGroups().Find(ctx, id)
		if err != nil {
			return err
		}
		there, err := r.need(ctx, by, g.ProjectID, store.KindAddressGroup, id)
		if err != nil {
			return err
		}
		remotes[id] = plan.Remote{PodAddressGroupID: there[id]}
	}
	return nil
}
