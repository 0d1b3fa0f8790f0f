package reconcile

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// ReplicaKinds are the kinds of things that are the same in every pod.
func ReplicaKinds() []string { return slices.Sorted(maps.Keys(replicaKinds)) }

func kindOf(kind string) (replicaKind, error) {
	k, ok := replicaKinds[kind]
	if !ok {
		return k, fault.New(fault.Invalid, "", "%q is not a kind of things that are the same in every pod: those are %v", kind, ReplicaKinds())
	}
	return k, nil
}

// ReplicasIn lists what a pod has of a kind. Key pairs are those of users who
// have something in the region: Nova tells nobody whose there are.
func (r *Reconciler) ReplicasIn(ctx context.Context, kind, podName string) ([]plan.Replica, error) {
	k, err := kindOf(kind)
	if err != nil {
		return nil, err
	}
	c, err := r.pods.Client(ctx, podName)
	if err != nil {
		return nil, err
	}
	if store.Named(kind) {
		// Else the same thing would go by two IDs.
		if err := r.adoptIn(ctx, kind, podName); err != nil {
			return nil, err
		}
	}
	owners := []string{""}
	if k.owned {
		if owners, err = r.store.Owners(ctx); err != nil {
			return nil, err
		}
	}
	all := []plan.Replica{}
	for _, owner := range owners {
		shown, err := r.listed(ctx, k, c, owner)
		if err != nil {
			return nil, err
		}
		all = append(all, shown...)
	}
	return all, nil
}

// Wanted are those of a kind that the region wants in all pods, by ID.
func (r *Reconciler) Wanted(ctx context.Context, kind string) (map[string]plan.Replica, error) {
	k, err := kindOf(kind)
	if err != nil {
		return nil, err
	}
	recorded, err := r.store.ListReplicas(ctx, kind)
	if err != nil {
		return nil, err
	}
	out := map[string]plan.Replica{}
	for _, rep := range recorded {
		if !rep.Everywhere {
			continue
		}
		shown, err := k.show(rep.Content)
		if err != nil {
			return nil, err
		}
		shown.ID = rep.ID
		out[rep.ID] = shown
	}
	return out, nil
}

// Repair is an operator's order to make a thing alike.
type Repair struct {
	Kind string `json:"kind"`
	// Name is the thing's ID, or its name in the model pod.
	Name string `json:"name"`
	Like string `json:"like"`           // the pod that has it right; empty: as the region has it on record
	User string `json:"user,omitempty"` // whose, for kinds that belong to users
	Pod  string `json:"pod,omitempty"`  // only this pod; empty: all
	// DryRun only says what would be done. Replace allows to delete and make anew
	// what cannot be changed.
	DryRun  bool `json:"dry_run"`
	Replace bool `json:"replace"`
}

// Repaired is what was done, or would be.
type Repaired struct {
	Kind  string     `json:"kind"`
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Steps []PodSteps `json:"steps"`
}

// States of a pod's part in a repair.
const (
	RepairNothing = "alike"   // nothing to do
	RepairPlanned = "planned" // a dry run
	RepairDone    = "done"
	RepairLater   = "later" // its job goes on
	RepairAway    = "away"  // the pod did not say what it has; repair it again once it is back
)

// PodSteps is a pod's part in a repair.
type PodSteps struct {
	Pod     string   `json:"pod"`
	State   string   `json:"state"`
	Actions []string `json:"actions,omitempty"`
	Reason  string   `json:"reason,omitempty"`

	replaces bool
	rival    string // ID of another thing that has the name there
	podID    string
	found    json.RawMessage
}

// Repair makes a thing in all pods, or one, as it is in the model pod. What the
// other pods have counts as told to them, so that the jobs' own comparison finds
// every difference, and goes on should we die.
func (r *Reconciler) Repair(ctx context.Context, o Repair) (Repaired, error) {
	k, err := kindOf(o.Kind)
	if err != nil {
		return Repaired{}, err
	}
	id, err := r.resolve(ctx, k, o)
	if err != nil {
		return Repaired{}, err
	}
	release, err := r.HoldReplica(ctx, o.Kind, id)
	if err != nil {
		return Repaired{}, err
	}
	defer release()
	seen, err := r.Look(ctx, o.Kind, id)
	if err != nil {
		return Repaired{}, err
	}
	rep, err := r.model(ctx, o, id, seen)
	if err != nil {
		return Repaired{}, err
	}
	done := Repaired{Kind: o.Kind, ID: id, Name: rep.Name}
	for _, s := range seen {
		if s.Pod == o.Like || o.Pod != "" && s.Pod != o.Pod {
			continue
		}
		step, err := r.intended(ctx, k, rep, s)
		if err != nil {
			return done, err
		}
		if step.replaces && !o.Replace && !o.DryRun {
			return done, fault.New(fault.Conflict, "", "pod %s: %s %s cannot be changed, only deleted and made anew with the same ID: "+
				"say that it may be replaced", s.Pod, o.Kind, rep.Name)
		}
		done.Steps = append(done.Steps, step)
	}
	if o.DryRun {
		return done, nil
	}
	return done, r.repair(ctx, k, rep, o, done.Steps)
}

// resolve finds the ID.
func (r *Reconciler) resolve(ctx context.Context, k replicaKind, o Repair) (string, error) {
	if k.owned {
		if o.User == "" {
			if user, name := plan.SplitKeypairID(o.Name); name != "" {
				return plan.KeypairID(user, name), nil
			}
			return "", fault.New(fault.Invalid, "", "say whose %s %s it is", o.Kind, o.Name)
		}
		return plan.KeypairID(o.User, o.Name), nil
	}
	all, err := r.Wanted(ctx, o.Kind)
	if err != nil {
		return "", err
	}
	things := slices.Collect(maps.Values(all))
	if o.Like != "" {
		if things, err = r.ReplicasIn(ctx, o.Kind, o.Like); err != nil {
			return "", err
		}
	}
	byName := ""
	for _, t := range things {
		if t.ID == o.Name {
			return t.ID, nil
		}
		if t.Name == o.Name {
			byName = t.ID
		}
	}
	if byName == "" {
		return "", missingModel(o)
	}
	return byName, nil
}

func missingModel(o Repair) error {
	if o.Like == "" {
		return fault.New(fault.NotFound, "", "the region has no %s %s on record: name the pod that has it right", o.Kind, o.Name)
	}
	return fault.New(fault.NotFound, "", "pod %s has no %s %s", o.Like, o.Kind, o.Name)
}

// model is the record as it is to be.
func (r *Reconciler) model(ctx context.Context, o Repair, id string, seen []Sight) (store.Replica, error) {
	rep, err := r.store.FindReplica(ctx, o.Kind, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return rep, err
	}
	known := err == nil && rep.Content != nil && !rep.Deleted
	if !known {
		rep = store.Replica{Kind: o.Kind, ID: id}
	}
	rep.Everywhere = rep.Everywhere || o.Pod == ""
	if o.Like == "" {
		if !known {
			return rep, missingModel(o)
		}
		return rep, nil
	}
	rep.Content = nil
	for _, s := range seen {
		if s.Pod != o.Like {
			continue
		}
		if s.Err != nil {
			return rep, s.Err
		}
		rep.Content = s.Content
	}
	if rep.Content == nil {
		return rep, missingModel(o)
	}
	shown, err := replicaKinds[o.Kind].show(rep.Content)
	rep.Name = shown.Name
	return rep, err
}

// intended is what a pod needs.
func (r *Reconciler) intended(ctx context.Context, k replicaKind, rep store.Replica, s Sight) (PodSteps, error) {
	out := PodSteps{Pod: s.Pod, State: RepairAway, podID: s.PodID, found: s.Content}
	if s.Err != nil {
		out.Reason = s.Err.Error()
		return out, nil
	}
	st, err := r.planIn(ctx, k, s.Pod, versions{want: rep.Content, told: s.Content, found: s.Content, create: true})
	if err != nil {
		return out, err
	}
	out.State, out.Actions, out.replaces = RepairPlanned, st.words, st.remove
	if st.create == nil && st.change == nil {
		out.State = RepairNothing
		return out, nil
	}
	if st.create == nil || k.owned || store.Named(rep.Kind) {
		return out, nil
	}
	things, err := r.ReplicasIn(ctx, rep.Kind, s.Pod)
	if err != nil {
		return out, err
	}
	for _, t := range things {
		if t.Name == rep.Name && t.ID != rep.ID {
			out.rival, out.replaces = t.ID, true
			out.Actions = append([]string{"delete " + rep.Kind + " " + t.ID + ", which has the name"}, out.Actions...)
		}
	}
	return out, nil
}

// repair puts the model on record and brings it to the pods.
func (r *Reconciler) repair(ctx context.Context, k replicaKind, rep store.Replica, o Repair, steps []PodSteps) error {
	copies := []store.Copy{}
	if o.Like != "" {
		copies = append(copies, store.Copy{Pod: o.Like, Content: rep.Content, Settled: true})
	}
	for _, s := range steps {
		switch {
		case s.State == RepairAway:
		case s.found != nil:
			copies = append(copies, store.Copy{Pod: s.Pod, PodID: s.podID, Content: s.found})
		default:
			// In a pod that was not meant to have it, it may be made from now on.
			if err := r.store.Try(ctx, store.Target{Kind: rep.Kind, ID: rep.ID, Pod: s.Pod}, ""); err != nil {
				return err
			}
		}
	}
	if err := r.store.KeepReplica(ctx, rep, copies...); err != nil {
		return err
	}
	for i := range steps {
		s := &steps[i]
		if s.State == RepairAway {
			continue
		}
		if err := r.repairIn(ctx, k, rep, *s); err != nil {
			s.State, s.Reason = RepairLater, err.Error()
		} else if s.State == RepairPlanned {
			s.State = RepairDone
		}
	}
	return nil
}

func (r *Reconciler) repairIn(ctx context.Context, k replicaKind, rep store.Replica, s PodSteps) error {
	if s.rival != "" {
		c, err := r.pods.Client(ctx, s.Pod)
		if err != nil {
			return err
		}
		if err := k.remove(ctx, c, s.rival); err != nil {
			return err
		}
	}
	return r.Ensure(ctx, store.Target{Kind: rep.Kind, ID: rep.ID, Pod: s.Pod}, nil)
}
