package reconcile

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// trunk makes a trunk right in a pod. It is where its parent is: the parent's port
// waits for it, since a pod makes no trunk of a port that a server has. The
// subports come with it.
func (r *Reconciler) trunk(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		return r.removeTrunk(ctx, c, m)
	}
	want, err := r.store.Trunks().Find(ctx, m.ID)
	if fault.Is(err, fault.NotFound) {
		return nil // deleted meanwhile; the mapping has changed with it
	}
	if err != nil {
		return err
	}
	parent, err := r.store.FindMapping(ctx, store.Target{Kind: store.KindPort, ID: want.PortID, Pod: m.Pod})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if parent.PodID == "" || !parent.Wanted {
		return &jobs.Again{After: time.Second, Reason: "its parent, port " + want.PortID + ", is not in the pod"}
	}
	ports := map[string]string{want.PortID: parent.PodID}
	for _, s := range want.Subports {
		p, err := r.store.FindPort(ctx, s.PortID)
		if err != nil {
			return err
		}
		there, err := r.need(ctx, m.Target, p.ProjectID, store.KindPort, s.PortID)
		if err != nil {
			return err
		}
		ports[s.PortID] = there[s.PortID]
	}
	there, fresh, err := object[plan.Trunk](ctx, r, c, m, want.ProjectID, plan.NewTrunk(want, ports))
	if err != nil || fresh {
		return err
	}
	add, gone := plan.Subports(want, there, ports)
	if len(add)+len(gone) > 0 {
		// A trunk that is down is not changed.
		if err := enable(ctx, c, &there); err != nil {
			return err
		}
	}
	if err := changeSubports(ctx, c, there.ID, "remove_subports", gone); err != nil {
		return err
	}
	if err := changeSubports(ctx, c, there.ID, "add_subports", add); err != nil {
		return err
	}
	return update(ctx, c, m.Kind, there.ID, plan.UpdateTrunk(want, there))
}

// removeTrunk deletes the pod's trunk, unless the parent has come back. Nor is a
// trunk deleted that is down.
func (r *Reconciler) removeTrunk(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if needed, err := r.store.StillNeeded(ctx, m); err != nil || needed {
		return err
	}
	if m.PodID != "" {
		there, found, err := get[plan.Trunk](ctx, c, m.Kind, m.PodID)
		if err != nil {
			return err
		}
		if found {
			if err := enable(ctx, c, &there); err != nil {
				return err
			}
		}
	}
	return vanish[plan.Trunk](ctx, r, c, m)
}

func enable(ctx context.Context, c *pod.Client, t *plan.Trunk) error {
	if t.AdminStateUp {
		return nil
	}
	t.AdminStateUp = true
	return update(ctx, c, store.KindTrunk, t.ID, map[string]any{"admin_state_up": true})
}

func changeSubports(ctx context.Context, c *pod.Client, id, act string, subports []plan.Subport) error {
	if len(subports) == 0 {
		return nil
	}
	return c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodPut, Path: path(store.KindTrunk, id) + "/" + act, Op: words(act, "of a trunk")},
		map[string]any{"sub_ports": subports}, nil)
}

// needTrunk brings the trunk of a parent into the pod where the parent now is.
func (r *Reconciler) needTrunk(ctx context.Context, parent store.Target) error {
	all, err := r.store.TrunksOf(ctx, parent.ID)
	if err != nil {
		return err
	}
	if t, ok := all[parent.ID]; ok {
		_, err = r.need(ctx, parent, t.ProjectID, store.KindTrunk, t.ID)
	}
	return err
}

// untrunked says why a port cannot leave a pod yet: its trunk leaves first.
func untrunked(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && (f.Code == "PortInUseAsTrunkParent" || f.Code == "PortInUseAsSubPort") {
		return &jobs.Again{After: time.Second, Reason: f.Error()}
	}
	return err
}
