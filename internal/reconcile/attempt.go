package reconcile

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// HoldReplica keeps others from changing the thing, and its attempt's job from
// judging, while we do.
func (r *Reconciler) HoldReplica(ctx context.Context, kind, id string) (release func(), err error) {
	return r.locks.lock(ctx, changeKey(kind, id), nil)
}

// changeKey lets one change at a time work on a thing, whichever pod is asked first.
func changeKey(kind, id string) string { return "change/" + kind + "/" + id }

// attempt judges a change that nobody is working on any more: its process died or
// the pod's reply was lost. The pod tells whether it came about.
func (r *Reconciler) attempt(ctx context.Context, c *pod.Client, m store.Mapping) error {
	attempt, kind, id := store.AttemptOf(m.Target)
	rep, err := r.store.FindReplica(ctx, kind, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || rep.Attempt == nil || rep.Attempt.ID != attempt {
		return err
	}
	t := store.Target{Kind: kind, ID: id, Pod: m.Pod}
	there, err := r.store.FindMapping(ctx, t)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	there.Target = t
	podID, found, err := r.seek(ctx, c, there, rep.Name)
	if err != nil {
		return err
	}
	done, next, err := outcome(rep, found)
	switch {
	case err != nil:
		return err
	case done:
		return r.store.KeepReplica(ctx, next, store.Copy{Pod: m.Pod, PodID: podID, Content: next.Content, Settled: true})
	case r.now().Before(rep.Attempt.At.Add(r.grace)):
		return &jobs.Again{After: min(r.grace/4, 5*time.Second), Reason: "looking whether pod " + m.Pod + " has done it: " +
			string(rep.Attempt.Act) + " " + kind + " " + id}
	}
	return r.store.DropAttempt(ctx, kind, id)
}

// outcome says whether the attempt came about in the pod, and then what the
// region wants from now on.
func outcome(rep store.Replica, found json.RawMessage) (done bool, next store.Replica, err error) {
	next, next.Attempt = rep, nil
	switch rep.Attempt.Act {
	case store.ActCreate:
		next.Content, next.Deleted, next.Everywhere = found, false, true
		return found != nil, next, nil
	case store.ActDelete:
		next.Deleted = true
		return found == nil, next, nil
	}
	next.Content = rep.Attempt.Content
	if found == nil {
		return false, next, nil
	}
	if replicaKinds[rep.Kind].asFound {
		next.Content = found
		return true, next, nil
	}
	k := replicaKinds[rep.Kind]
	shown, err := k.show(next.Content)
	if err != nil {
		return false, next, err
	}
	next.Name = shown.Name
	done, err = k.has(rep.Content, rep.Attempt.Content, found)
	return done, next, err
}

// Sight is what one pod has of a thing. Content is nil when it has none, or when
// it did not say, which Err tells.
type Sight struct {
	Pod     string
	PodID   string
	Content json.RawMessage
	Err     error
}

// Look asks all pods for a thing, by the pods' names.
func (r *Reconciler) Look(ctx context.Context, kind, id string) ([]Sight, error) {
	if _, err := kindOf(kind); err != nil {
		return nil, err
	}
	rep, err := r.store.FindReplica(ctx, kind, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	pods, err := r.store.ListPods(ctx)
	if err != nil {
		return nil, err
	}
	seen := make([]Sight, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() { seen[i] = r.sight(ctx, store.Target{Kind: kind, ID: id, Pod: p.Name}, rep.Name) })
	}
	wg.Wait()
	return seen, nil
}

func (r *Reconciler) sight(ctx context.Context, t store.Target, name string) Sight {
	s := Sight{Pod: t.Pod}
	c, err := r.pods.Client(ctx, t.Pod)
	if err != nil {
		s.Err = err
		return s
	}
	m, err := r.store.FindMapping(ctx, t)
	if err != nil && !fault.Is(err, fault.NotFound) {
		s.Err = err
		return s
	}
	m.Target = t
	s.PodID, s.Content, s.Err = r.seek(ctx, c, m, name)
	return s
}

// Record makes sure that a thing which pods have is on record, before the region
// changes it. The first pod's is what the region takes for its own; what other
// pods have stays, and is drift where it differs. A pod that is away is taken to
// have the same, if it has any. fault.NotFound when no pod has it; fault.Unavailable when that is not sure.
func (r *Reconciler) Record(ctx context.Context, kind, id string) (store.Replica, error) {
	rep, err := r.store.FindReplica(ctx, kind, id)
	if err == nil && rep.Content != nil && !rep.Deleted || err != nil && !fault.Is(err, fault.NotFound) {
		return rep, err
	}
	if err == nil && rep.Deleted {
		return rep, noSuch(kind, id)
	}
	if store.Named(kind) {
		return r.recordNamed(ctx, kind, id)
	}
	seen, err := r.Look(ctx, kind, id)
	if err != nil {
		return rep, err
	}
	return r.record(ctx, kind, id, seen)
}

func noSuch(kind, id string) error {
	return fault.New(fault.NotFound, "", "no pod has %s %s", kind, id)
}

func (r *Reconciler) record(ctx context.Context, kind, id string, seen []Sight) (store.Replica, error) {
	k := replicaKinds[kind]
	rep := store.Replica{Kind: kind, ID: id, Everywhere: true}
	var away error
	for _, s := range seen {
		if s.Err != nil {
			away = s.Err
		}
		if s.Content != nil && rep.Content == nil {
			rep.Content = s.Content
		}
		// Where it was missing before we came it stays missing; but people take
		// their keys everywhere.
		if s.Content == nil && !k.owned {
			rep.Everywhere = false
		}
	}
	if rep.Content == nil {
		if away != nil {
			return rep, away
		}
		return rep, noSuch(kind, id)
	}
	shown, err := k.show(rep.Content)
	if err != nil {
		return rep, err
	}
	rep.Name = shown.Name
	copies := make([]store.Copy, 0, len(seen))
	for _, s := range seen {
		c := store.Copy{Pod: s.Pod, Content: s.Content, Settled: true} // until it is changed
		if s.Err != nil {
			c.Content = rep.Content
		}
		copies = append(copies, c)
	}
	return rep, r.store.KeepReplica(ctx, rep, copies...)
}
