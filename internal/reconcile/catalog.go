package reconcile

import (
	"context"
	"maps"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// catalog gives a new pod what the pods before it have in common; what the region
// itself made it gets anyway. A pod that came with flavors of its own keeps to
// those: its operator has chosen them, and a flavor for hardware that one pod has
// must not turn up in another. The pods before it must all be there to say what
// they have: the job waits for them.
func (r *Reconciler) catalog(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		return r.store.Forget(ctx, m.Target)
	}
	elders, err := r.elders(ctx, m.Pod)
	if err != nil || len(elders) == 0 {
		return err
	}
	fresh, err := r.fresh(ctx, c)
	if err != nil {
		return err
	}
	if fresh {
		if err := r.bringCommon(ctx, store.KindFlavor, "", elders); err != nil {
			return err
		}
	}
	if err := r.adoptAllIn(ctx, m.Pod); err != nil {
		return err
	}
	owners, err := r.store.Owners(ctx)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if err := r.bringCommon(ctx, store.KindKeypair, owner, elders); err != nil {
			return err
		}
	}
	return nil
}

// elders are the pods that were there before: of several new ones none takes
// another for its model.
func (r *Reconciler) elders(ctx context.Context, podName string) ([]string, error) {
	pods, err := r.store.ListPods(ctx)
	if err != nil {
		return nil, err
	}
	arriving, err := r.store.ListMappings(ctx, store.MappingQuery{Kind: store.KindCatalog, Pending: true})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range pods {
		if p.Name != podName && !slices.ContainsFunc(arriving, func(m store.Mapping) bool { return m.Pod == p.Name }) {
			out = append(out, p.Name)
		}
	}
	return out, nil
}

// fresh says that the pod has no flavors but those the region made.
func (r *Reconciler) fresh(ctx context.Context, c *pod.Client) (bool, error) {
	own, err := listFlavors(ctx, c)
	if err != nil {
		return false, err
	}
	for _, f := range own {
		switch _, err := r.store.FindReplica(ctx, store.KindFlavor, f.ID); {
		case fault.Is(err, fault.NotFound):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}

// bringCommon puts on record what the elders have in common, which makes jobs for
// the pods without it. Of key pairs that is all on which none disagrees.
func (r *Reconciler) bringCommon(ctx context.Context, kind, owner string, elders []string) error {
	k := replicaKinds[kind]
	has, shown := map[string][]store.Copy{}, map[string]plan.Replica{}
	differs := map[string]bool{}
	for _, name := range elders {
		c, err := r.pods.Client(ctx, name)
		if err != nil {
			return err
		}
		things, contents, err := k.list(ctx, c, owner)
		if err != nil {
			return err
		}
		for i, t := range things {
			if first, ok := shown[t.ID]; ok && !maps.Equal(first.Fields, t.Fields) {
				differs[t.ID] = true
			} else if !ok {
				shown[t.ID] = t
			}
			has[t.ID] = append(has[t.ID], store.Copy{Pod: name, Content: contents[i], Settled: true})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if differs[id] || !k.owned && len(has[id]) < len(elders) {
			continue
		}
		if err := r.takeOver(ctx, shown[id], has[id]); err != nil {
			return err
		}
	}
	return nil
}

// takeOver puts on record what some pods have, for all pods, unless it is on record.
func (r *Reconciler) takeOver(ctx context.Context, t plan.Replica, copies []store.Copy) error {
	release, err := r.HoldReplica(ctx, t.Kind, t.ID)
	if err != nil {
		return err
	}
	defer release()
	if _, err := r.store.FindReplica(ctx, t.Kind, t.ID); !fault.Is(err, fault.NotFound) {
		return err
	}
	return r.store.KeepReplica(ctx, store.Replica{Kind: t.Kind, ID: t.ID, Name: t.Name, Content: copies[0].Content, Everywhere: true}, copies...)
}
