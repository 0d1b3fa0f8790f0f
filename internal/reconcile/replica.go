package reconcile

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// Replicas are things that are the same in every pod, and that pods have whether
// or not we do anything: flavors and key pairs. Three versions of one meet here:
// what the region wants, what this pod was last told, and what it has. What the
// region has changed since it told the pod is changed there; whatever else
// differs somebody has changed in the pod itself. That stays, and the drift
// report shows it.

// replicaKind is what one kind needs: contents are its own JSON, IDs are the pod's.
type replicaKind struct {
	// find misses with nil.
	find func(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error)
	// names are all that the pod has, by ID and name; for kinds that are known by name.
	names func(ctx context.Context, c *pod.Client) ([]plan.Replica, error)
	// list has those of the owner; of kinds that belong to nobody, all.
	list   func(ctx context.Context, c *pod.Client, owner string) ([]plan.Replica, []json.RawMessage, error)
	remove func(ctx context.Context, c *pod.Client, id string) error
	// bare is what its creation alone makes.
	bare func(content json.RawMessage) (json.RawMessage, error)
	// plan is what to do in a pod.
	plan func(v versions) (step, error)
	// has says whether the change from before to after has come about in found.
	has   func(before, after, found json.RawMessage) (bool, error)
	show  func(content json.RawMessage) (plan.Replica, error)
	owned bool // by users
	// asFound says that what becomes of a change only the pod knows.
	asFound bool
	// zoned is the content with zones under other names; nil: it knows none.
	zoned func(content json.RawMessage, name func(zone string) string) (json.RawMessage, error)
}

// versions are the three; nil where there is none.
type versions struct {
	want, told, found json.RawMessage
	create            bool // a pod without it may get it
}

// step is what closes the difference in a pod.
type step struct {
	words  []string // for operators
	remove bool     // what is there, first
	// create returns the pod's ID, of kinds that have one of their own there.
	create func(ctx context.Context, c *pod.Client) (podID string, err error)
	change func(ctx context.Context, c *pod.Client, podID string) error
}

var replicaKinds = map[string]replicaKind{
	store.KindFlavor: flavorKind, store.KindKeypair: keypairKind, store.KindNamespace: namespaceKind,
	store.KindVolumeType: volumeTypeKind, store.KindQoSSpecs: qosSpecsKind,
	store.KindGroupType: groupTypeKind, store.KindDefaultType: defaultTypeKind,
}

// replica makes one right in a pod.
func (r *Reconciler) replica(ctx context.Context, c *pod.Client, m store.Mapping) error {
	k := replicaKinds[m.Kind]
	rep, err := r.store.FindReplica(ctx, m.Kind, m.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if !m.Wanted {
		return r.removeReplica(ctx, c, m, rep.Name)
	}
	if err != nil || rep.Content == nil {
		return nil // its attempt's job decides
	}
	v := versions{want: rep.Content, create: rep.Everywhere || m.Tried}
	if v.told, err = r.told(ctx, k, m, rep.Content); err != nil {
		return err
	}
	if m.PodID, v.found, err = r.seek(ctx, c, m, rep.Name); err != nil {
		return err
	}
	s, err := r.planIn(ctx, k, m.Pod, v)
	if err != nil {
		return err
	}
	if err := r.carryOut(ctx, c, k, m, s, rep.Content); err != nil {
		return err
	}
	return r.store.TellReplica(ctx, m.Kind, m.ID, store.Copy{Pod: m.Pod, PodID: m.PodID, Content: rep.Content})
}

func (r *Reconciler) removeReplica(ctx context.Context, c *pod.Client, m store.Mapping, name string) error {
	id := m.ID
	if store.Named(m.Kind) {
		podID, found, err := r.seek(ctx, c, m, name)
		if err != nil {
			return err
		}
		if id = podID; found == nil {
			return r.store.Forget(ctx, m.Target)
		}
	}
	if err := replicaKinds[m.Kind].remove(ctx, c, id); err != nil {
		return err
	}
	return r.store.Forget(ctx, m.Target)
}

// planIn plans in the pod's words.
func (r *Reconciler) planIn(ctx context.Context, k replicaKind, podName string, v versions) (step, error) {
	var err error
	if v.want, err = r.local(ctx, k, podName, v.want); err != nil {
		return step{}, err
	}
	if v.told, err = r.local(ctx, k, podName, v.told); err != nil {
		return step{}, err
	}
	if v.found, err = r.local(ctx, k, podName, v.found); err != nil {
		return step{}, err
	}
	return k.plan(v)
}

// told is what the pod was told. When its creation was begun and the record did
// not follow, that is what the creation alone makes.
func (r *Reconciler) told(ctx context.Context, k replicaKind, m store.Mapping, want json.RawMessage) (json.RawMessage, error) {
	told, err := r.store.FindCopy(ctx, m.Target)
	if err != nil || told != nil || !m.Tried {
		return told, err
	}
	return k.bare(want)
}

func (r *Reconciler) carryOut(ctx context.Context, c *pod.Client, k replicaKind, m store.Mapping, s step, want json.RawMessage) error {
	if s.create != nil {
		// Before the old one goes: whoever comes after a crash must know that one
		// is to be here again.
		if err := r.store.Try(ctx, m.Target, ""); err != nil {
			return err
		}
	}
	if s.remove {
		if err := k.remove(ctx, c, m.PodID); err != nil {
			return err
		}
	}
	if s.create != nil {
		podID, err := s.create(ctx, c)
		if err != nil {
			return err
		}
		bare, err := k.bare(want)
		if err != nil {
			return err
		}
		if err := r.store.TellReplica(ctx, m.Kind, m.ID, store.Copy{Pod: m.Pod, PodID: podID, Content: bare}); err != nil {
			return err
		}
		m.PodID = podID
	}
	if s.change != nil {
		return s.change(ctx, c, m.PodID)
	}
	return nil
}

var flavorKind = replicaKind{
	find: func(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error) {
		f, err := findFlavor(ctx, c, id)
		if f == nil || err != nil {
			return nil, err
		}
		return f.Content(), nil
	},
	list: func(ctx context.Context, c *pod.Client, _ string) (shown []plan.Replica, contents []json.RawMessage, err error) {
		all, err := listFlavors(ctx, c)
		for _, f := range all {
			shown, contents = append(shown, f.Replica()), append(contents, f.Content())
		}
		return shown, contents, err
	},
	remove: func(ctx context.Context, c *pod.Client, id string) error {
		return novaGone(ctx, c, pod.Request{Path: flavorPath(id), Op: "delete flavor"})
	},
	bare: func(content json.RawMessage) (json.RawMessage, error) {
		f, err := decode[plan.Flavor](content)
		if err != nil {
			return nil, err
		}
		return f.Bare().Content(), nil
	},
	plan: planFlavor,
	has: func(before, after, found json.RawMessage) (bool, error) {
		b, err := decode[plan.Flavor](before)
		if err != nil {
			return false, err
		}
		a, err := decode[plan.Flavor](after)
		if err != nil {
			return false, err
		}
		f, err := decode[plan.Flavor](found)
		if err != nil {
			return false, err
		}
		return plan.FlavorHas(*b, *a, *f), nil
	},
	show: func(content json.RawMessage) (plan.Replica, error) {
		f, err := decode[plan.Flavor](content)
		if err != nil {
			return plan.Replica{}, err
		}
		return f.Replica(), nil
	},
}

func planFlavor(v versions) (step, error) {
	want, err := decode[plan.Flavor](v.want)
	if err != nil {
		return step{}, err
	}
	told, err := decode[plan.Flavor](v.told)
	if err != nil {
		return step{}, err
	}
	found, err := decode[plan.Flavor](v.found)
	if err != nil {
		return step{}, err
	}
	ch := plan.FlavorIn(*want, told, found, v.create)
	s := step{words: ch.Words(), remove: ch.Delete}
	if body := ch.Create; body != nil {
		s.create = func(ctx context.Context, c *pod.Client) (string, error) {
			_, err := nova(ctx, c, pod.Request{Method: http.MethodPost, Path: "/flavors", Header: flavorVersion, Op: "create flavor"},
				"flavor", map[string]any{"flavor": body})
			return want.ID, err
		}
	}
	ch.Delete, ch.Create = false, nil
	if !ch.Empty() {
		s.change = func(ctx context.Context, c *pod.Client, id string) error { return changeFlavor(ctx, c, id, ch) }
	}
	return s, nil
}

var keypairKind = replicaKind{
	owned: true,
	find: func(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error) {
		k, err := findKeypair(ctx, c, id)
		if k == nil || err != nil {
			return nil, err
		}
		return k.Content(), nil
	},
	list: func(ctx context.Context, c *pod.Client, owner string) (shown []plan.Replica, contents []json.RawMessage, err error) {
		all, err := listKeypairs(ctx, c, owner)
		for _, k := range all {
			shown, contents = append(shown, k.Replica()), append(contents, k.Content())
		}
		return shown, contents, err
	},
	remove: func(ctx context.Context, c *pod.Client, id string) error {
		user, name := plan.SplitKeypairID(id)
		return novaGone(ctx, c, keypairRequest(http.MethodDelete, user, name, "delete key pair"))
	},
	bare: func(content json.RawMessage) (json.RawMessage, error) { return content, nil },
	plan: planKeypair,
	has:  func(_, _, _ json.RawMessage) (bool, error) { return true, nil }, // they do not change
	show: func(content json.RawMessage) (plan.Replica, error) {
		k, err := decode[plan.Keypair](content)
		if err != nil {
			return plan.Replica{}, err
		}
		return k.Replica(), nil
	},
}

func planKeypair(v versions) (step, error) {
	want, err := decode[plan.Keypair](v.want)
	if err != nil {
		return step{}, err
	}
	told, err := decode[plan.Keypair](v.told)
	if err != nil {
		return step{}, err
	}
	found, err := decode[plan.Keypair](v.found)
	if err != nil {
		return step{}, err
	}
	remove, create := plan.KeypairIn(*want, told, found, v.create)
	s := step{remove: remove}
	switch {
	case remove:
		s.words = []string{"delete it and import the other one"}
	case create:
		s.words = []string{"import it"}
	}
	if create {
		s.create = func(ctx context.Context, c *pod.Client) (string, error) {
			_, err := nova(ctx, c, pod.Request{Method: http.MethodPost, Path: "/os-keypairs", Header: importVersion(want.Name), Op: "import key pair"},
				"keypair", map[string]any{"keypair": map[string]any{"name": want.Name, "type": want.Type,
					"public_key": want.PublicKey, "user_id": want.UserID}})
			return plan.KeypairID(want.UserID, want.Name), err
		}
	}
	return s, nil
}

// decode is nil for nil.
func decode[T any](raw json.RawMessage) (*T, error) {
	if raw == nil {
		return nil, nil
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fault.New(fault.Internal, "", "cannot read what is kept of a replica: %v", err)
	}
	return &v, nil
}
