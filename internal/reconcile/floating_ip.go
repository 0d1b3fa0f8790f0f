package reconcile

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// floatingIP makes a floating IP right in the pod of its external network, with its
// port forwardings: first that network, the router, and the port or its shadow. A
// pod lets a floating IP lead to a port or forward ports, not both: so what is
// forwarded no longer goes first, then it moves, then the rest is added.
func (r *Reconciler) floatingIP(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		if err := r.endForwardings(ctx, c, m.PodID); err != nil {
			return err
		}
		return vanish[plan.FloatingIP](ctx, r, c, m)
	}
	want, err := r.store.FindOutlet(ctx, m.ID)
	if fault.Is(err, fault.NotFound) || err == nil && want.Router.ID == "" {
		return nil // deleted meanwhile, or leads nowhere now; the mapping has changed with it
	}
	if err != nil {
		return err
	}
	refs, err := r.outside(ctx, m.Target, want)
	if err != nil {
		return err
	}
	there, fresh, err := object[plan.FloatingIP](ctx, r, c, m, want.FloatingIP.ProjectID, plan.NewFloatingIP(want.FloatingIP, refs))
	if err != nil {
		return busyOutside(err)
	}
	var found []plan.Forwarding
	if len(want.Forwardings)+len(there.Forwardings) > 0 {
		if found, err = forwardings(ctx, c, there.ID); err != nil {
			return err
		}
	}
	add, gone := plan.Forwardings(want.Forwardings, found, refs)
	for _, id := range gone {
		if err := removeForwarding(ctx, c, there.ID, id); err != nil {
			return err
		}
	}
	if !fresh {
		if err := update(ctx, c, m.Kind, there.ID, plan.UpdateFloatingIP(want.FloatingIP, there, refs)); err != nil {
			return busyOutside(err)
		}
	}
	for _, body := range add {
		if err := addForwarding(ctx, c, there.ID, body); err != nil {
			return busyOutside(err)
		}
	}
	return nil
}

// outside brings what the floating IP refers to into the pod.
func (r *Reconciler) outside(ctx context.Context, there store.Target, want store.Outlet) (plan.Outside, error) {
	refs := plan.Outside{Ports: map[string]string{}}
	f := want.FloatingIP
	n, err := r.store.FindNetwork(ctx, f.NetworkID)
	if err != nil {
		return refs, err
	}
	networks, err := r.need(ctx, there, n.ProjectID, store.KindNetwork, n.ID)
	if err != nil {
		return refs, err
	}
	refs.Network = networks[n.ID]
	if _, err := r.need(ctx, there, want.Router.ProjectID, store.KindRouter, want.Router.ID); err != nil {
		return refs, err
	}
	for id := range want.Ports {
		if refs.Ports[id], err = r.reach(ctx, there.Pod, want, id); err != nil {
			return refs, err
		}
	}
	refs.QoSPolicy, err = r.needQoS(ctx, there, f.QoSPolicyID)
	return refs, err
}

// reach is the pod's ID of the port, or of the shadow of one that is elsewhere. It wants
// neither: where they are to be is settled with the floating IP.
func (r *Reconciler) reach(ctx context.Context, podName string, want store.Outlet, id string) (string, error) {
	for _, kind := range []string{store.KindPort, store.KindShadowPort} {
		t := store.Target{Kind: kind, ID: id, Pod: podName}
		m, err := r.store.FindMapping(ctx, t)
		if err == nil && m.Wanted && (m.PodID == "" || kind == store.KindShadowPort && m.Pending()) {
			if err := r.Ensure(ctx, t, nil); err != nil {
				return "", err
			}
			m, err = r.store.FindMapping(ctx, t)
		}
		if err == nil && m.Wanted && m.PodID != "" {
			return m.PodID, nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return "", err
		}
	}
	n := want.Networks[want.Ports[id].NetworkID]
	return "", &jobs.Again{After: patienceOutside, Reason: fmt.Sprintf(
		"its port %s is not in the pod, nor can it be reached from there: network %s is %s", id, n.ID, n.Type)}
}

// patienceOutside is between two looks at what an operator or user has to change.
const patienceOutside = 30 * time.Second

// busyOutside waits a moment for another job that is about to free the address or
// the port, or to give the router its way out.
func busyOutside(err error) error {
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return &jobs.Again{After: time.Second, Reason: err.Error()}
	}
	return err
}

func forwardingsPath(floatingIP string) string {
	return path(store.KindFloatingIP, floatingIP) + "/port_forwardings"
}

// forwardings are those that the pod's floating IP has.
func forwardings(ctx context.Context, c *pod.Client, floatingIP string) ([]plan.Forwarding, error) {
	var out struct {
		All []plan.Forwarding `json:"port_forwardings"`
	}
	err := c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodGet, Path: forwardingsPath(floatingIP), Op: "list port forwardings"}, nil, &out)
	if fault.Is(err, fault.NotFound) {
		return nil, &jobs.Again{After: patienceOutside, Reason: "pod " + c.Name() + " has no port forwardings (Neutron's service plugin port_forwarding)"}
	}
	return out.All, err
}

func addForwarding(ctx context.Context, c *pod.Client, floatingIP string, body map[string]any) error {
	_, err := one[struct{}](ctx, c, "port_forwarding", pod.Request{Method: http.MethodPost, Path: forwardingsPath(floatingIP), Op: "create port forwarding"}, body)
	return err
}

func removeForwarding(ctx context.Context, c *pod.Client, floatingIP, id string) error {
	_, err := removeAt(ctx, c, forwardingsPath(floatingIP)+"/"+url.PathEscape(id), "delete port forwarding")
	return err
}

// endForwardings removes all forwardings: a pod keeps a floating IP that has some.
func (r *Reconciler) endForwardings(ctx context.Context, c *pod.Client, floatingIP string) error {
	if floatingIP == "" {
		return nil
	}
	there, found, err := get[plan.FloatingIP](ctx, c, store.KindFloatingIP, floatingIP)
	if err != nil || !found {
		return err
	}
	for _, f := range there.Forwardings {
		if err := removeForwarding(ctx, c, floatingIP, f.ID); err != nil {
			return err
		}
	}
	return nil
}
