package compute

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Flavors and key pairs are the same in every pod. A change is journaled, then
// one pod is asked for it with the caller's token: it checks the request, and its
// answer is the region's. Then the change is on record, and the other pods get it
// while the client waits; those that are away get it by their jobs.

// spreadTimeout bounds how long a client waits for the pods after the first.
const spreadTimeout = 10 * time.Second

// change is one change of such a thing.
type change struct {
	kind, id, name string
	act            store.Act
	question       question
	// next is what the thing will be, out of what it was; false when the request
	// makes no sense. For store.ActChange.
	next func(before json.RawMessage) (json.RawMessage, bool)
	// made reads the thing out of the pod's answer. For store.ActCreate.
	made func(n answer) (json.RawMessage, bool)
	// taken says which pods have it already. For store.ActCreate.
	taken func(ctx context.Context) (map[string]error, error)
	// once says that another pod would make another thing: a lost reply ends it.
	once bool
}

func (ch change) in(podName string) store.Target {
	return store.Target{Kind: ch.kind, ID: ch.id, Pod: podName}
}

// turn is a pod that may be asked. One that is behind has not got an earlier
// change yet.
type turn struct {
	pod    string
	behind bool
}

// change carries it out and replies with the first pod's answer.
func (a *api) change(ctx context.Context, by identity.Caller, r *gateway.Request, ch change) (*gateway.Reply, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.CreateTimeout)
	defer cancel()
	release, err := a.Reconciler.HoldReplica(ctx, ch.kind, ch.id)
	if err != nil {
		return nil, err
	}
	defer release()
	turns, err := a.turns(ctx, ch)
	if err != nil {
		return nil, err
	}
	want, err := a.wanted(ctx, ch, turns)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return a.passOn(ctx, by, r, ch, turns, err)
	}
	if err != nil {
		return nil, err
	}
	first, err := a.decide(ctx, by, ch, turns, want)
	if err != nil {
		return nil, err
	}
	if ch.act == store.ActCreate {
		content, ok := ch.made(first)
		if !ok {
			return nil, unknown(&fault.Error{Kind: fault.Unavailable, Pod: first.Pod, Message: ch.question.Op + ": the answer is not the JSON that was expected"})
		}
		want.Content = content
	}
	if err := a.Store.KeepReplica(ctx, want, store.Copy{Pod: first.Pod, Content: want.Content, Settled: !behind(turns, first.Pod)}); err != nil {
		// It is done; the attempt's job puts it on record.
		a.Log.ErrorContext(ctx, "cannot record a change", "kind", ch.kind, "id", ch.id, "pod", first.Pod, "error", err)
		return a.replyFrom(r, first, nil), nil
	}
	late, err := a.spread(ctx, ch, turns, first.Pod)
	if err != nil && ch.act == store.ActCreate {
		return nil, a.takeBackReplica(ctx, ch, want, turns, err)
	}
	return a.replyFrom(r, first, nil).Without(late...), nil
}

// turns are the pods in the order in which they are asked: first those that have
// got all changes, last those that seem to be away.
func (a *api) turns(ctx context.Context, ch change) ([]turn, error) {
	names, err := a.podNames(ctx)
	if err != nil {
		return nil, err
	}
	q := store.MappingQuery{Kind: ch.kind, ID: ch.id, Pending: true}
	if ch.act == store.ActCreate {
		q.ID = "" // another one may still have the name
	}
	pending, err := a.Store.ListMappings(ctx, q)
	if err != nil {
		return nil, err
	}
	late := map[string]bool{}
	for _, m := range pending {
		late[m.Pod] = true
	}
	var up, back, away []turn
	for _, name := range names {
		t := turn{name, late[name]}
		c, err := a.Fleet.Client(ctx, name)
		if err != nil {
			away = append(away, t)
			continue
		}
		switch state, _, _ := c.State(); {
		case state == pod.Away:
			away = append(away, t)
		case t.behind:
			back = append(back, t)
		default:
			up = append(up, t)
		}
	}
	return append(append(up, back...), away...), nil
}

func behind(turns []turn, podName string) bool {
	for _, t := range turns {
		if t.pod == podName {
			return t.behind
		}
	}
	return false
}

// wanted is what the region will want once the change is made. fault.NotFound:
// no pod has the thing; fault.Invalid: the request makes no sense.
func (a *api) wanted(ctx context.Context, ch change, turns []turn) (store.Replica, error) {
	if ch.act == store.ActCreate {
		taken, err := ch.taken(ctx)
		if err != nil {
			return store.Replica{}, err
		}
		if taken[turns[0].pod] == nil { // else it says so itself
			for _, t := range turns {
				if err := taken[t.pod]; err != nil {
					return store.Replica{}, err
				}
			}
		}
		return store.Replica{Kind: ch.kind, ID: ch.id, Name: ch.name, Everywhere: true}, nil
	}
	want, err := a.Reconciler.Record(ctx, ch.kind, ch.id)
	if err != nil {
		return want, err
	}
	if ch.act == store.ActDelete {
		want.Deleted = true
		return want, nil
	}
	next, ok := ch.next(want.Content)
	if !ok {
		return want, fault.New(fault.Invalid, "", "Malformed request body")
	}
	want.Content = next
	return want, nil
}

// passOn has a pod refuse, in its own words, what cannot be done. A pod that is
// behind might do it.
func (a *api) passOn(ctx context.Context, by identity.Caller, r *gateway.Request, ch change, turns []turn, cause error) (*gateway.Reply, error) {
	for _, t := range turns {
		if t.behind {
			continue
		}
		n := a.ask(ctx, by, t.pod, ch.question)
		switch {
		case n.Err == nil:
			return a.replyFrom(r, n, nil), nil
		case !n.Away():
			return nil, regional(n.Err)
		}
	}
	return nil, cause
}

// regional is a pod's refusal as the region's own: any pod would say the same.
func regional(err error) error {
	f, ok := faultOf(err)
	if !ok || f.Upstream == nil || f.Upstream.Status >= 500 {
		return err
	}
	said := *f
	said.Pod = ""
	return &said
}

// decide asks pod after pod until one has made the change. A pod that does not
// have the thing is passed over.
func (a *api) decide(ctx context.Context, by identity.Caller, ch change, turns []turn, want store.Replica) (answer, error) {
	var refused, away error
	for _, t := range turns {
		if t.behind && ch.act != store.ActCreate {
			if err := a.Reconciler.Ensure(ctx, ch.in(t.pod), nil); isAway(err) {
				away = err
				continue
			}
		}
		attempt := store.Attempt{Pod: t.pod, Act: ch.act}
		if ch.act == store.ActChange {
			attempt.Content = want.Content
		}
		if err := a.Store.TryReplica(ctx, ch.kind, ch.id, ch.name, attempt); err != nil {
			return answer{}, err
		}
		n := a.ask(ctx, by, t.pod, ch.question)
		switch {
		case n.Err == nil:
			return n, nil
		case !pod.NotDone(n.Err):
			away = unknown(n.Err)
			if ch.once {
				return n, away
			}
			continue // to ask another is safe, it is the same change
		case n.Away():
			away = n.Err
		case ch.act != store.ActCreate && fault.Is(n.Err, fault.NotFound):
			refused = regional(n.Err)
		default:
			return n, a.dropAttempt(ctx, ch, regional(n.Err))
		}
		if err := a.dropAttempt(ctx, ch, nil); err != nil {
			return n, err
		}
	}
	if away != nil {
		return answer{}, away
	}
	return answer{}, refused
}

// isAway says that the pod gave no answer of its own.
func isAway(err error) bool { return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout) }

func (a *api) dropAttempt(ctx context.Context, ch change, cause error) error {
	if err := a.Store.DropAttempt(ctx, ch.kind, ch.id); err != nil {
		a.Log.ErrorContext(ctx, "cannot end a change that was refused", "kind", ch.kind, "id", ch.id, "error", err)
		if cause == nil {
			return err
		}
	}
	return cause
}

// spread brings the change to the other pods. It names those that get it later,
// and returns the first refusal.
func (a *api) spread(ctx context.Context, ch change, turns []turn, first string) (late []string, refusal error) {
	ctx, cancel := context.WithTimeout(ctx, spreadTimeout)
	defer cancel()
	errs := make([]error, len(turns))
	var wg sync.WaitGroup
	for i, t := range turns {
		if t.pod != first || t.behind {
			wg.Go(func() { errs[i] = a.Reconciler.Ensure(ctx, ch.in(t.pod), nil) })
		}
	}
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			continue
		}
		late = append(late, turns[i].pod)
		if refusal == nil && pod.NotDone(err) && !isAway(err) {
			refusal = err
		}
		a.Log.InfoContext(ctx, "a pod gets a change later", "kind", ch.kind, "id", ch.id, "pod", turns[i].pod, "error", err)
	}
	return late, refusal
}

// takeBackReplica undoes a creation that one pod refuses.
func (a *api) takeBackReplica(ctx context.Context, ch change, want store.Replica, turns []turn, cause error) error {
	want.Deleted = true
	if err := a.Store.KeepReplica(ctx, want); err != nil {
		a.Log.ErrorContext(ctx, "cannot take back what a pod refuses", "kind", ch.kind, "id", ch.id, "error", err)
		return cause
	}
	_, _ = a.spread(ctx, ch, turns, "") // else its jobs do it
	return cause
}

// lag is which pods have not got which changes yet.
type lag map[store.Target]store.Mapping

func (a *api) lag(ctx context.Context, kind string) (lag, error) {
	pending, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: kind, Pending: true})
	if err != nil {
		return nil, err
	}
	l := lag{}
	for _, m := range pending {
		l[m.Target] = m
	}
	return l, nil
}

// of says whether the pod's version of the thing is old, and whether it should
// not be there any more.
func (l lag) of(kind, id, podName string) (old, gone bool) {
	m, old := l[store.Target{Kind: kind, ID: id, Pod: podName}]
	return old, old && !m.Wanted
}

// anyReplica answers from the first pod that has the thing, and has all changes
// of it if one does.
func (a *api) anyReplica(kind string, idOf func(identity.Caller, *gateway.Request) string, missing func(identity.Caller, *gateway.Request) error) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := questionOf(r)
		if err != nil {
			return nil, err
		}
		l, err := a.lag(ctx, kind)
		if err != nil {
			return nil, err
		}
		answers, err := a.askAll(ctx, by, q)
		if err != nil {
			return nil, err
		}
		id := idOf(by, r)
		best := -1
		bestOld := false
		for i := range answers {
			n := &answers[i]
			old, gone := l.of(kind, id, n.Pod)
			if gone && n.Err == nil {
				n.Err = missing(by, r)
			}
			if n.Err == nil && (best < 0 || bestOld && !old) {
				best, bestOld = i, old
			}
		}
		if best < 0 {
			return nil, a.unseen(ctx, kind, id, answers, l)
		}
		return a.replyFrom(r, answers[best], answers), nil
	}
}

// unseen is the error for a thing that no pod shows. One that the region has made
// is not absent because the pods that have it are away, and the others behind.
func (a *api) unseen(ctx context.Context, kind, id string, answers []answer, l lag) error {
	var away error
	for _, n := range answers {
		if n.Away() {
			away = n.Err
		} else if old, _ := l.of(kind, id, n.Pod); !old {
			return regional(worst(answers)) // it would have it
		}
	}
	rep, err := a.Store.FindReplica(ctx, kind, id)
	if away == nil || err != nil || rep.Content == nil || rep.Deleted {
		return regional(worst(answers))
	}
	return away
}
