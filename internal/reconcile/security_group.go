package reconcile

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

const kindRule = "security_group_rule"

// group makes a security group and its rules right in a pod.
func (r *Reconciler) group(ctx context.Context, c *pod.Client, m store.Mapping) error {
	want, err := r.store.FindSecurityGroup(ctx, m.ID)
	if !m.Wanted {
		if err == nil && want.Name == topology.DefaultGroup {
			return r.leaveDefaultGroup(ctx, c, m)
		}
		if needed, nerr := r.store.StillNeeded(ctx, m); nerr != nil || needed {
			return nerr
		}
		return vanish[plan.Group](ctx, r, c, m)
	}
	if fault.Is(err, fault.NotFound) {
		return nil // deleted meanwhile; the mapping has changed with it
	}
	if err != nil {
		return err
	}
	there, err := r.groupObject(ctx, c, want, m.Pod)
	if err != nil {
		return err
	}
	if err := update(ctx, c, m.Kind, there.ID, plan.UpdateGroup(want, there)); err != nil {
		return err
	}
	remotes, err := r.remotes(ctx, c, want, m.Target)
	if err != nil {
		return err
	}
	if err := r.needAddressGroups(ctx, m.Target, want.Rules, remotes); err != nil {
		return err
	}
	add, gone := plan.Rules(want, there, remotes)
	return r.changeRules(ctx, c, add, gone)
}

// groupObject makes sure that the group exists in the pod, whatever its rules.
// Groups may refer to each other in circles, so this has a lock of its own, under
// which nothing else is waited for.
func (r *Reconciler) groupObject(ctx context.Context, c *pod.Client, want topology.SecurityGroup, podName string) (plan.Group, error) {
	t := store.Target{Kind: store.KindSecurityGroup, ID: want.ID, Pod: podName}
	unlock, err := r.locks.lock(ctx, "object/"+want.ID+"/"+podName, nil)
	if err != nil {
		return plan.Group{}, err
	}
	defer unlock()
	m, err := r.store.FindMapping(ctx, t)
	if err != nil {
		return plan.Group{}, err
	}
	if want.Name == topology.DefaultGroup {
		return r.defaultGroup(ctx, c, m, want)
	}
	body := map[string]any{
		"name": want.Name, "description": plan.Mark(store.KindSecurityGroup, want.ID),
		"project_id": want.ProjectID, "stateful": want.Stateful,
	}
	obj, _, err := object[plan.Group](ctx, r, c, m, want.ProjectID, body)
	return obj, err
}

// defaultGroup finds the project's default group, which a pod makes by itself
// when it first hears of the project, listing its groups included. It cannot be
// created by name, and while a project uses Tricircle its rules are ours.
func (r *Reconciler) defaultGroup(ctx context.Context, c *pod.Client, m store.Mapping, want topology.SecurityGroup) (plan.Group, error) {
	q := url.Values{"project_id": {want.ProjectID}, "name": {topology.DefaultGroup}}
	all, err := list[plan.Group](ctx, c, store.KindSecurityGroup, q)
	if err != nil {
		return plan.Group{}, err
	}
	if err := r.liftQuota(ctx, want.ProjectID, m.Pod); err != nil {
		return plan.Group{}, err
	}
	if len(all) == 0 {
		return plan.Group{}, fault.New(fault.Conflict, "", "the pod has no default security group for project %s yet", want.ProjectID)
	}
	if m.PodID != all[0].ID {
		err = r.store.Place(ctx, m.Target, all[0].ID, want.ProjectID)
	}
	return all[0], err
}

// leaveDefaultGroup leaves to the pod what is the pod's own and cannot be deleted,
// without the rules that name address groups: those could not go.
func (r *Reconciler) leaveDefaultGroup(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if m.PodID != "" {
		there, _, err := get[plan.Group](ctx, c, m.Kind, m.PodID)
		if err != nil {
			return err
		}
		for _, rule := range there.Rules {
			if rule.AddressGroup == nil {
				continue
			}
			if err := remove(ctx, c, kindRule, rule.ID); err != nil {
				return err
			}
		}
	}
	return r.store.Forget(ctx, m.Target)
}

// remotes says, for each group that the rules name, which group that is in this
// pod and who its members in other pods are.
func (r *Reconciler) remotes(ctx context.Context, c *pod.Client, want topology.SecurityGroup, by store.Target) (map[string]plan.Remote, error) {
	out := map[string]plan.Remote{}
	for _, rule := range want.Rules {
		id := rule.RemoteGroupID
		if _, done := out[id]; id == "" || done {
			continue
		}
		podID, err := r.remoteGroup(ctx, c, id, by)
		if err != nil {
			return nil, err
		}
		remote, err := r.remoteMembers(ctx, c, id, by)
		if err != nil {
			return nil, err
		}
		remote.PodGroupID = podID
		out[id] = remote
	}
	return out, nil
}

func (r *Reconciler) remoteGroup(ctx context.Context, c *pod.Client, id string, by store.Target) (string, error) {
	remote, err := r.store.FindSecurityGroup(ctx, id)
	if err != nil {
		return "", err
	}
	// Its rules are the business of its own job, which this makes when missing.
	t := store.Target{Kind: store.KindSecurityGroup, ID: id, Pod: by.Pod}
	if _, err := r.store.WantFor(ctx, by, remote.ProjectID, t); err != nil {
		return "", err
	}
	m, err := r.store.FindMapping(ctx, t)
	if err != nil || m.PodID != "" {
		return m.PodID, err
	}
	obj, err := r.groupObject(ctx, c, remote, by.Pod)
	return obj.ID, err
}

// changeRules adds before it removes, so that traffic which both the old and the
// new rules allow is never cut.
func (r *Reconciler) changeRules(ctx context.Context, c *pod.Client, add []plan.Rule, gone []string) error {
	if err := createRules(ctx, c, add); err != nil {
		return err
	}
	for _, id := range gone {
		if err := remove(ctx, c, kindRule, id); err != nil {
			return err
		}
	}
	return nil
}

// createRules makes the rules in one call. Neutron refuses all of a bulk when one
// rule is there already, so then each goes by itself.
func createRules(ctx context.Context, c *pod.Client, rules []plan.Rule) error {
	if len(rules) == 0 {
		return nil
	}
	err := c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodPost, Path: path(kindRule, ""),
		Op: words("create", plural(kindRule))}, map[string]any{plural(kindRule): rules}, nil)
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	for _, rule := range rules {
		if _, err := create[plan.Rule](ctx, c, kindRule, rule); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}
