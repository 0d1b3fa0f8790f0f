package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// askTimeout bounds each question to a pod, if the pods' own time limit is not
// shorter: a creation waits for the slowest.
const askTimeout = 10 * time.Second

// Choose picks the pod for something new of the caller's project.
func (f *Fleet) Choose(ctx context.Context, by identity.Caller, need Need) (store.Pod, error) {
	chosen, _, err := f.Decide(ctx, by, need)
	return chosen, err
}

// Decide picks the pod for a new server of the caller's project, and says why. It
// asks the pods with the caller's own token, so an image that he may not see
// counts as missing. The project's binding in the zone is made here on first use,
// and moves only when the bound pod is gone or cordoned: a pod that merely lacks
// the image of this one server, or has no room now, stays the project's pod.
//
// A wrong request is fault.Invalid; pods that are away, cordoned or without hosts
// are fault.Unavailable. Both name every pod of the zone with its reason.
func (f *Fleet) Decide(ctx context.Context, by identity.Caller, need Need) (store.Pod, Decision, error) {
	need.ProjectID = by.ProjectID
	pods, bound, candidates, err := f.candidates(ctx, need)
	if err != nil {
		return store.Pod{}, Decision{}, err
	}
	d, err := f.survey(ctx, by, candidates, need)
	for _, r := range d.Refusals() {
		f.log.InfoContext(ctx, "pod passed over", "request_id", by.RequestID, "pod", r.Pod, "reason", r.Reason, "chosen", d.Pod)
	}
	if err != nil {
		return store.Pod{}, d, err
	}
	chosen, _ := find(pods, d.Pod)
	err = f.keepBinding(ctx, pods, chosen, bound[chosen.Zone].Pod, by.ProjectID)
	return chosen, d, err
}

// Explain is Decide for a request that is not to be carried out: every pod of the
// zone is asked anew, and nothing is bound.
func (f *Fleet) Explain(ctx context.Context, by identity.Caller, need Need) (Decision, error) {
	need.ProjectID, need.live = by.ProjectID, true
	_, _, candidates, err := f.candidates(ctx, need)
	if err != nil {
		return Decision{}, err
	}
	return f.surveyAll(ctx, by, candidates, need)
}

// candidates are all pods with what is known of them without asking.
func (f *Fleet) candidates(ctx context.Context, need Need) ([]store.Pod, map[string]store.Binding, []Candidate, error) {
	pods, err := f.Pods(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	bound, err := f.bindings(ctx, need.ProjectID)
	if err != nil {
		return nil, nil, nil, err
	}
	size := f.sizes.find(need.FlavorID)
	candidates := make([]Candidate, 0, len(pods))
	for _, p := range pods {
		candidates = append(candidates, Candidate{
			Pod: p.Name, Zone: p.Zone, Cordoned: p.Cordoned, Bound: bound[p.Zone].Pod == p.Name, Home: p.Name == home(bound),
			Capacity: f.capacity.find(p.Name), Size: size, Full: f.full.find(p.Name, need.ProjectID, size),
		})
	}
	return pods, bound, candidates, nil
}

// bindings maps zone to the pod that the project is bound to there. Of several in
// a zone the store lists the one in force first.
func (f *Fleet) bindings(ctx context.Context, project string) (map[string]store.Binding, error) {
	if project == "" {
		// To the store an empty project means all of them.
		return nil, fault.New(fault.Invalid, "", "The token has no project: a server needs one")
	}
	all, err := f.store.ListBindings(ctx, project)
	if err != nil {
		return nil, err
	}
	bound := map[string]store.Binding{}
	for _, b := range all {
		if bound[b.Zone].Pod == "" {
			bound[b.Zone] = b
		}
	}
	return bound, nil
}

// home is the pod of the oldest of the bindings, empty without any.
func home(bound map[string]store.Binding) string {
	var oldest store.Binding
	for _, b := range bound {
		older := b.BoundAt.Before(oldest.BoundAt) || b.BoundAt.Equal(oldest.BoundAt) && b.Pod < oldest.Pod
		if oldest.Pod == "" || older {
			oldest = b
		}
	}
	return oldest.Pod
}

func (f *Fleet) keepBinding(ctx context.Context, pods []store.Pod, chosen store.Pod, bound, project string) error {
	if bound == chosen.Name {
		return nil
	}
	if old, ok := find(pods, bound); ok && old.Zone == chosen.Zone && !old.Cordoned {
		return nil
	}
	return f.store.Bind(ctx, project, chosen.Zone, chosen.Name)
}

// survey places the server with live facts. The pod that would be taken if all
// were well is asked alone first: normally that settles it, and a zone of fifty
// pods costs no more than one. What it says of the flavor counts for all.
func (f *Fleet) survey(ctx context.Context, by identity.Caller, candidates []Candidate, need Need) (Decision, error) {
	first, err := Place(candidates, need)
	if err != nil {
		return f.surveyAll(ctx, by, candidates, need)
	}
	i := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Pod == first.Pod })
	if err := f.learn(ctx, by, &candidates[i], need); err != nil {
		return Decision{}, err
	}
	f.measure(candidates, need)
	if d, err := Place(candidates, need); err == nil && d.Pod == first.Pod {
		return d, nil
	}
	return f.surveyAll(ctx, by, candidates, need)
}

// surveyAll asks every pod of the zone that was not asked before.
func (f *Fleet) surveyAll(ctx context.Context, by identity.Caller, candidates []Candidate, need Need) (Decision, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if c.Asked || need.Zone != "" && c.Zone != need.Zone {
			continue
		}
		wg.Go(func() { errs[i] = f.learn(ctx, by, c, need) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return Decision{}, err
	}
	f.measure(candidates, need)
	return Place(candidates, need)
}

// measure holds the candidates against the flavor's size, if that is known by now.
func (f *Fleet) measure(candidates []Candidate, need Need) {
	size := f.sizes.find(need.FlavorID)
	for i := range candidates {
		c := &candidates[i]
		c.Size, c.Full = size, f.full.find(c.Pod, need.ProjectID, size)
	}
}
