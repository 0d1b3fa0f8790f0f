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

// found is an object of a pod: plan's Network, Subnet, Port, Group or ServerGroup.
type found interface{ PodID() string }

// shelf is where a pod keeps one object of ours, whether it is there or not.
type shelf[T found] interface {
	// get misses with found false.
	get(ctx context.Context, podID string) (obj T, found bool, err error)
	// marked lists the objects with our mark: one, or more after lost replies.
	marked(ctx context.Context) ([]T, error)
	create(ctx context.Context) (T, error)
	// remove is content when the object is gone already.
	remove(ctx context.Context, podID string) error
}

// object is realise for the kinds of the Network API.
func object[T found](ctx context.Context, r *Reconciler, c *pod.Client, m store.Mapping, project string, body map[string]any) (obj T, fresh bool, err error) {
	if m.PodID == "" {
		if err := r.liftQuota(ctx, project, m.Pod); err != nil {
			return obj, false, err
		}
	}
	return realise(ctx, r, m, project, neutron[T]{c: c, of: m.Target, body: body})
}

// realise finds the mapping's object in the pod or creates it. It reports whether
// it is new, in which case nothing in it can differ from what was asked.
//
// The order is what makes it exactly one: the attempt is written down before the
// first creating call; from then on the pod is searched for our mark before
// anything is created; and nothing but recording the ID follows the creation.
func realise[T found](ctx context.Context, r *Reconciler, m store.Mapping, project string, in shelf[T]) (obj T, fresh bool, err error) {
	if m.PodID != "" {
		obj, ok, err := in.get(ctx, m.PodID)
		if err != nil || ok {
			return obj, false, err
		}
		// Deleted behind our back; it is wanted, so it is made again.
	}
	if m.Tried {
		if obj, ok, err := adopt(ctx, r, m, project, in); err != nil || ok {
			return obj, false, err
		}
		if m.PodID == "" {
			if err := r.store.Lose(ctx, m.Target); err != nil {
				return obj, false, err
			}
		}
	} else if err := r.store.Try(ctx, m.Target, project); err != nil {
		return obj, false, err
	}
	obj, err = in.create(ctx)
	if fault.Is(err, fault.Conflict) {
		// An earlier attempt whose reply was lost may have got there meanwhile.
		if obj, ok, aerr := adopt(ctx, r, m, project, in); aerr == nil && ok {
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
func adopt[T found](ctx context.Context, r *Reconciler, m store.Mapping, project string, in shelf[T]) (obj T, ok bool, err error) {
	all, err := in.marked(ctx)
	if err != nil || len(all) == 0 {
		return obj, false, err
	}
	for _, extra := range all[1:] {
		r.log.WarnContext(ctx, "removing a double", "kind", m.Kind, "id", m.ID, "pod", m.Pod, "pod_id", extra.PodID())
		if err := in.remove(ctx, extra.PodID()); err != nil {
			return obj, false, err
		}
	}
	return all[0], true, r.store.Place(ctx, m.Target, all[0].PodID(), project)
}

// vanish is dismiss for the kinds of the Network API.
func vanish[T found](ctx context.Context, r *Reconciler, c *pod.Client, m store.Mapping) error {
	return dismiss(ctx, r, m, neutron[T]{c: c, of: m.Target})
}

// dismiss removes the mapping's object from the pod, with any that a lost request
// made, and forgets the mapping. What the pod may still be creating is waited for.
func dismiss[T found](ctx context.Context, r *Reconciler, m store.Mapping, in shelf[T]) error {
	ids := map[string]bool{}
	if m.PodID != "" {
		ids[m.PodID] = true
	}
	if m.PodID == "" && m.Tried || !m.LostAt.IsZero() {
		all, err := in.marked(ctx)
		if err != nil {
			return err
		}
		for _, o := range all {
			ids[o.PodID()] = true
		}
	}
	for podID := range ids {
		if err := in.remove(ctx, podID); err != nil {
			return err
		}
	}
	lost := m.LostAt
	if m.Tried && len(ids) == 0 {
		lost = m.UpdatedAt
	}
	if wait := lost.Add(r.grace).Sub(r.now()); wait > 0 {
		return &jobs.Again{After: min(wait, 5*time.Second), Reason: "pod " + m.Pod +
			" may still be creating it: the reply was lost"}
	}
	return r.store.Forget(ctx, m.Target)
}

// neutron is the shelf of a thing of the Network API, which marks what is ours in
// the description.
type neutron[T found] struct {
	c    *pod.Client
	of   store.Target
	body map[string]any
}

func (n neutron[T]) get(ctx context.Context, podID string) (T, bool, error) {
	return get[T](ctx, n.c, n.of.Kind, podID)
}

func (n neutron[T]) marked(ctx context.Context) ([]T, error) {
	return list[T](ctx, n.c, n.of.Kind, url.Values{"description": {plan.Mark(n.of.Kind, n.of.ID)}})
}

func (n neutron[T]) create(ctx context.Context) (T, error) {
	return create[T](ctx, n.c, n.of.Kind, n.body)
}

func (n neutron[T]) remove(ctx context.Context, podID string) error {
	return remove(ctx, n.c, n.of.Kind, podID)
}

// wanted is what the job's thing is to be in its pod. It is false when nothing is
// left to make: the thing was deleted meanwhile, or is not wanted there any more; then the pod's goes.
func wanted[P found, W any](ctx context.Context, r *Reconciler, c *pod.Client, m store.Mapping,
	find func(ctx context.Context, id string) (W, error)) (want W, ok bool, err error) {
	if !m.Wanted {
		if needed, err := r.store.StillNeeded(ctx, m); err != nil || needed {
			return want, false, err
		}
		return want, false, r.soon(m, vanish[P](ctx, r, c, m))
	}
	want, err = find(ctx, m.ID)
	if fault.Is(err, fault.NotFound) {
		return want, false, nil // the mapping has changed with it
	}
	return want, err == nil, err
}

// hurry is how long after a change the job comes back every second if something in
// the pod holds it up; then its waits grow as usual.
const hurry = time.Minute

// soon is for work that something else in the pod holds up: that goes by a job of
// its own, in a moment if all is well.
func (r *Reconciler) soon(m store.Mapping, err error) error {
	if fault.Is(err, fault.Conflict) && r.now().Sub(m.UpdatedAt) < hurry {
		return &jobs.Again{After: time.Second, Reason: err.Error()}
	}
	return err
}
