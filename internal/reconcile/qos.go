package reconcile

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// qosPolicy makes a QoS policy and its rules right in a pod. A pod gets those that
// something there names.
func (r *Reconciler) qosPolicy(ctx context.Context, c *pod.Client, m store.Mapping) error {
	want, ok, err := wanted[plan.QoSPolicy](ctx, r, c, m, r.store.QoSPolicies().Find)
	if err != nil || !ok {
		return err
	}
	there, fresh, err := object[plan.QoSPolicy](ctx, r, c, m, want.ProjectID, plan.NewQoSPolicy(want))
	if err != nil {
		return err
	}
	if !fresh {
		if err := update(ctx, c, m.Kind, there.ID, plan.UpdateQoSPolicy(want, there)); err != nil {
			return err
		}
	}
	for _, step := range plan.QoSRules(want.Rules, there.Rules) {
		if err := changeQoSRule(ctx, c, there.ID, step); err != nil {
			return err
		}
	}
	return nil
}

// changeQoSRule does one step. A rule that somebody else deleted or made at this
// moment shows in the next round, which the error causes.
func changeQoSRule(ctx context.Context, c *pod.Client, policy string, s plan.QoSStep) error {
	kind := s.Type + "_rule"
	at := path(store.KindQoSPolicy, policy) + "/" + plural(kind)
	if s.ID != "" {
		at += "/" + s.ID
	}
	switch {
	case s.Body == nil:
		_, err := removeAt(ctx, c, at, words("delete", kind))
		return err
	case s.ID == "":
		_, err := one[struct{}](ctx, c, kind, pod.Request{Method: http.MethodPost, Path: at, Op: words("create", kind)}, s.Body)
		return err
	}
	_, err := one[struct{}](ctx, c, kind, pod.Request{Method: http.MethodPut, Path: at, Op: words("update", kind)}, s.Body)
	return err
}

// needQoS brings a policy into the pod of what has it and returns its ID there; empty for none.
func (r *Reconciler) needQoS(ctx context.Context, by store.Target, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	p, err := r.store.QoSPolicies().Find(ctx, id)
	if err != nil {
		return "", err
	}
	there, err := r.need(ctx, by, p.ProjectID, store.KindQoSPolicy, id)
	return there[id], err
}
