package reconcile

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// found is an object of a pod: plan's Network, Subnet, Port or Group.
type found interface{ PodID() string }

// object finds the mapping's object in the pod or creates it. It reports whether
// it is new, in which case nothing in it can differ from what was asked.
//
// The order is what makes it exactly one: the attempt is written down before the
// first creating call; from then on the pod is searched for our mark before
// anything is created; and nothing but recording the ID follows the creation.
func object[T found](ctx context.Context, r *Reconciler, c *pod.Client, m store.Mapping, project string, body map[string]any) (obj T, fresh bool, err error) {
	if m.PodID != "" {
		obj, ok, err := get[T](ctx, c, m.Kind, m.PodID)
		if err != nil || ok {
			return obj, false, err
		}
		// Deleted behind our back; it is wanted, so it is made again.
	}
	if m.Tried {
		if obj, ok, err := adopt[T](ctx, r, c, m, project); err != nil || ok {
			return obj, false, err
		}
	} else if err := r.store.Try(ctx, m.Target, project); err != nil {
		return obj, false, err
	}
	obj, err = create[T](ctx, c, m.Kind, body)
	if fault.Is(err, fault.Conflict) {
		// An earlier attempt whose reply was lost may have got there meanwhile.
		if obj, ok, aerr := adopt[T](ctx, r, c, m, project); aerr == nil && ok {
			return obj, false, nil
		}
	}
	if err != nil {
		if !m.Tried && pod.NotDone(err) {
			err = errors.Join(err, r.store.Untry(context.WithoutCancel(ctx), m.Target))
		}
		return obj, false, err
	}
	return obj, true, r.store.Place(ctx, m.Target, obj.PodID(), project)
}

// adopt looks for the object by its mark. Of several, left by attempts whose
// replies were lost, the first stays and the others go.
func adopt[T found](ctx context.Context, r *Reconciler, c *pod.Client, m store.Mapping, project string) (obj T, ok bool, err error) {
	all, err := list[T](ctx, c, m.Kind, url.Values{"description": {plan.Mark(m.Kind, m.ID)}})
	if err != nil || len(all) == 0 {
		return obj, false, err
	}
	for _, extra := range all[1:] {
		r.log.WarnContext(ctx, "removing a double", "kind", m.Kind, "id", m.ID, "pod", m.Pod, "pod_id", extra.PodID())
		if err := remove(ctx, c, m.Kind, extra.PodID()); err != nil {
			return obj, false, err
		}
	}
	return all[0], true, r.store.Place(ctx, m.Target, all[0].PodID(), project)
}

// vanish removes the mapping's object from the pod and forgets the mapping. What
// the pod may still be creating is waited for.
func vanish[T found](ctx context.Context, r *Reconciler, c *pod.Client, m store.Mapping) error {
	ids := []string{m.PodID}
	if m.PodID == "" {
		ids = nil
		if m.Tried {
			all, err := list[T](ctx, c, m.Kind, url.Values{"description": {plan.Mark(m.Kind, m.ID)}})
			if err != nil {
				return err
			}
			for _, o := range all {
				ids = append(ids, o.PodID())
			}
		}
	}
	if wait := m.UpdatedAt.Add(r.grace).Sub(r.now()); m.Tried && len(ids) == 0 && wait > 0 {
		return &jobs.Again{After: min(wait, 5*time.Second), Reason: "pod " + m.Pod +
			" may still be creating it: the reply was lost"}
	}
	for _, podID := range ids {
		if err := remove(ctx, c, m.Kind, podID); err != nil {
			return err
		}
	}
	return r.store.Forget(ctx, m.Target)
}
