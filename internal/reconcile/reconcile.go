// Package reconcile makes the pods match what the topology wants.
//
// A job and a waiting user call the same function, Ensure, on the same target,
// under the same lock. It compares the wanted state with what the pod has and
// closes the difference; it may run twice, late, or for nothing. Nothing is
// created before an orphan of an earlier attempt was looked for, and nothing
// that can fail follows a creation but writing its ID down.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/seal"
	"github.com/tricircle/tricircle/internal/store"
)

// Pods gives access to the pods by name.
type Pods interface {
	Client(ctx context.Context, name string) (*pod.Client, error)
	Pod(ctx context.Context, name string) (store.Pod, error)
	Pods(ctx context.Context) ([]store.Pod, error)
	// HostName is what the region calls a pod's host; FindHost is the way back.
	HostName(ctx context.Context, podName, host string) string
	FindHost(ctx context.Context, name string) (podName, host string, err error)
}

// Options are what a Reconciler needs.
type Options struct {
	Store *store.Store
	Pods  Pods
	// Bus reaches a pod's message bus. Nil: no pod has one.
	Bus func(ctx context.Context, podName string) (Bus, error)
	// Holder tells this process from other replicas in leases.
	Holder string
	// Grace is how long a pod may still carry out a request whose reply was lost:
	// so long, what cannot be found there may turn up. Default 2 minutes.
	Grace time.Duration
	// KeepQuotas leaves projects' quotas in the pods' Neutrons as they are.
	KeepQuotas bool
	// Bandwidth bounds the bytes per second that images take to and from a pod; 0: no
	// bound. Then pods get images by themselves where they can.
	Bandwidth int64
	// Web says where a pod's images can be had without a token: a base URL by pod.
	Web map[string]string
	// Key opens what waits in the database with somebody's token.
	Key seal.Key
	Now func() time.Time
	Log *slog.Logger
}

// Reconciler closes the differences between the topology and the pods.
type Reconciler struct {
	store    *store.Store
	pods     Pods
	locks    *locks
	bus      func(ctx context.Context, podName string) (Bus, error)
	asked    freshness
	known    abilities
	defaults defaults
	grace    time.Duration
	keep     bool // projects' quotas in the pods' Neutrons
	key      seal.Key
	lines    bandwidths
	web      map[string]string
	streams  slots
	now      func() time.Time
	log      *slog.Logger
	actors   map[string]actor
}

// actor brings one kind of thing into the state that its mapping wants.
type actor func(ctx context.Context, c *pod.Client, m store.Mapping) error

// New returns a Reconciler.
func New(o Options) *Reconciler {
	if o.Grace == 0 {
		o.Grace = 2 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Bus == nil {
		o.Bus = func(_ context.Context, podName string) (Bus, error) {
			return nil, &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: "no message bus is granted"}
		}
	}
	r := &Reconciler{store: o.Store, pods: o.Pods, bus: o.Bus, grace: o.Grace, keep: o.KeepQuotas, key: o.Key, now: o.Now, log: o.Log,
		asked: freshness{at: map[string]time.Time{}}, locks: &locks{store: o.Store, holder: o.Holder, held: map[string]*lock{}},
		lines: bandwidths{rate: o.Bandwidth, pods: map[string]*bandwidth{}}, web: o.Web, streams: slots{most: copiesAtOnce, used: map[string]int{}}}
	r.actors = map[string]actor{
		store.KindNetwork:       r.network,
		store.KindSubnet:        r.subnet,
		store.KindPort:          r.port,
		store.KindSecurityGroup: r.group,
		store.KindAddressGroup:  r.addressGroup,
		store.KindGroupMembers:  r.members,
		store.KindQoSPolicy:     r.qosPolicy,
		store.KindTrunk:         r.trunk,
		store.KindRouter:        r.router,
		store.KindFloatingIP:    r.floatingIP,
		store.KindShadowPort:    r.shadowPort,
		store.KindInterconnect:  r.interconnect,
		store.KindServer:        r.server,
		store.KindServerGroup:   r.serverGroup(nil),
		store.KindIntent:        r.intent,
		store.KindVolumeCount:   r.volumeCount,
		store.KindFlavor:        r.replica,
		store.KindKeypair:       r.replica,
		store.KindNamespace:     r.replica,
		store.KindVolumeFill:    r.volumeFill,
		store.KindVolumeType:    r.replica,
		store.KindQoSSpecs:      r.replica,
		store.KindGroupType:     r.replica,
		store.KindDefaultType:   r.replica,
		store.KindAttempt:       r.attempt,
		store.KindCatalog:       r.catalog,
		store.KindImage:         r.image,
		kindNetworkQuota:        r.networkQuota,
	}
	for _, s := range storages {
		r.actors[s.kind] = r.stored
	}
	for _, of := range counters {
		r.actors[of.project()], r.actors[of.class()] = r.quota(of), r.quotaClass(of)
	}
	return r
}

// Ensure returns when the target is as wanted in its pod, or with the reason why
// it is not. For a job, complete runs in the transaction that records the
// success: it ends the job only if nothing changed meanwhile; for a user who
// waits it is nil.
func (r *Reconciler) Ensure(ctx context.Context, t store.Target, complete func(context.Context, *store.Tx) error) error {
	act, ok := r.actors[t.Kind]
	if !ok {
		return fault.New(fault.Internal, "", "no such kind of target: %s", t.Kind)
	}
	return r.ensure(ctx, t, act, complete)
}

// EnsureAs is Ensure for a user who waits, where only his own token can make the
// thing: a server group.
func (r *Reconciler) EnsureAs(ctx context.Context, by identity.Caller, t store.Target) error {
	if t.Kind != store.KindServerGroup {
		return r.Ensure(ctx, t, nil)
	}
	return r.ensure(ctx, t, r.serverGroup(&by), nil)
}

func (r *Reconciler) ensure(ctx context.Context, t store.Target, act actor, complete func(context.Context, *store.Tx) error) error {
	settled := func() bool { return complete == nil && r.settled(ctx, t) }
	if settled() {
		return nil
	}
	unlock, err := r.take(ctx, t, settled)
	if err != nil || unlock == nil {
		return err
	}
	defer unlock()
	for rounds := 1; ; rounds++ {
		current, err := r.round(ctx, t, act, complete)
		if errors.Is(err, store.ErrGone) && rounds < maxRounds {
			continue // of what it stands for or has, something is not to be any more
		}
		if err != nil || current {
			return err
		}
	}
}

// maxRounds is how often something may be deleted under our hands before the job
// comes again later.
const maxRounds = 5

// take locks the target, unless it is settled by the time our turn comes: of many
// who wait for one fresh network the first does the work. A creation that is
// still being worked on is left to those who do: its job comes back later and
// holds up no worker meanwhile.
func (r *Reconciler) take(ctx context.Context, t store.Target, settled func() bool) (unlock func(), err error) {
	key := keyOf(t)
	switch {
	case t.Kind == store.KindAttempt:
		_, kind, id := store.AttemptOf(t)
		key = changeKey(kind, id)
	case !store.Journal(t.Kind):
		return r.locks.lock(ctx, key, settled)
	}
	soon, cancel := context.WithTimeout(ctx, 10*leasePoll)
	defer cancel()
	unlock, err = r.locks.lock(soon, key, nil)
	if fault.Is(err, fault.Timeout) && ctx.Err() == nil {
		return nil, &jobs.Again{After: leaseTime / 3, Reason: underWay[t.Kind]}
	}
	return unlock, err
}

var underWay = map[string]string{store.KindIntent: "the creation is under way", store.KindAttempt: "the change is under way"}

// settled spares a waiting user the lock when there is nothing to do.
func (r *Reconciler) settled(ctx context.Context, t store.Target) bool {
	m, err := r.store.FindMapping(ctx, t)
	return err == nil && !store.Journal(t.Kind) && m.Generation == m.Observed
}

// round acts once and reports whether what it acted on is still what is wanted.
func (r *Reconciler) round(ctx context.Context, t store.Target, act actor, complete func(context.Context, *store.Tx) error) (bool, error) {
	m, err := r.store.FindMapping(ctx, t)
	switch {
	case fault.Is(err, fault.NotFound) && !store.Journal(t.Kind):
		return r.observe(ctx, store.Mapping{Target: t}, complete)
	case err != nil && !fault.Is(err, fault.NotFound):
		return false, err
	}
	m.Target = t
	if store.Journal(t.Kind) || m.Generation != m.Observed {
		c, err := r.pods.Client(ctx, t.Pod)
		if err == nil {
			err = act(ctx, c, m)
		}
		if err != nil {
			return false, r.failed(ctx, t, err)
		}
	}
	if !m.Wanted {
		m.Generation = 0 // forgotten; a row made since is another one
	}
	return r.observe(ctx, m, complete)
}

func (r *Reconciler) observe(ctx context.Context, m store.Mapping, complete func(context.Context, *store.Tx) error) (bool, error) {
	var then func(*store.Tx) error
	if complete != nil {
		then = func(tx *store.Tx) error { return complete(ctx, tx) }
	}
	return r.store.Observe(ctx, m.Target, m.Generation, then)
}

// failed keeps the reason where operators find it, also when the caller's
// context is what ended the attempt.
func (r *Reconciler) failed(ctx context.Context, t store.Target, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if !store.Journal(t.Kind) {
		if ferr := r.store.Fail(ctx, t, err.Error()); ferr != nil {
			r.log.WarnContext(ctx, "cannot record why a job waits", "kind", t.Kind, "id", t.ID, "pod", t.Pod, "error", ferr)
		}
	}
	return fmt.Errorf("cannot bring %s %s into pod %s: %w", t.Kind, t.ID, t.Pod, err)
}

// need makes sure that things a target depends on are in its pod, and returns
// their IDs there by ours.
func (r *Reconciler) need(ctx context.Context, by store.Target, project, kind string, ids ...string) (map[string]string, error) {
	targets := make([]store.Target, 0, len(ids))
	for _, id := range ids {
		targets = append(targets, store.Target{Kind: kind, ID: id, Pod: by.Pod})
	}
	pending, err := r.store.WantFor(ctx, by, project, targets...)
	if err != nil {
		return nil, err
	}
	for _, t := range pending {
		if err := r.Ensure(ctx, t, nil); err != nil {
			return nil, err
		}
	}
	out := make(map[string]string, len(ids))
	for _, t := range targets {
		m, err := r.store.FindMapping(ctx, t)
		if err != nil {
			return nil, err
		}
		out[t.ID] = m.PodID
	}
	return out, nil
}
