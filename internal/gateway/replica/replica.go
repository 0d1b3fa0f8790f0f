// Package replica changes things that are the same in every pod: flavors, key
// pairs, volume types.
//
// A change is journaled, then one pod is asked for it with the caller's token: it
// checks the request, and its answer is the region's. Then the change is on
// record, and the other pods get it while the client waits; those that are away
// get it by their jobs.
package replica

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Reconciler brings them into pods. Package reconcile implements it.
type Reconciler interface {
	Ensure(ctx context.Context, t store.Target, complete func(context.Context, *store.Tx) error) error
	// HoldReplica keeps others from changing a thing that is the same in every pod.
	HoldReplica(ctx context.Context, kind, id string) (release func(), err error)
	// Record makes sure that such a thing, which pods may have had before there was
	// a region, is on record.
	Record(ctx context.Context, kind, id string) (store.Replica, error)
}

// Fleet knows the pods.
type Fleet interface {
	Pods(ctx context.Context) ([]store.Pod, error)
	Client(ctx context.Context, name string) (*pod.Client, error)
}

// Away is for Changer.Away, of one service of the fleet's pods.
func Away(f Fleet, service pod.Service) func(ctx context.Context, podName string) bool {
	return func(ctx context.Context, podName string) bool {
		c, err := f.Client(ctx, podName)
		if err != nil {
			return true
		}
		state, _, _ := c.ServiceState(service)
		return state == pod.Away
	}
}

// Changer changes the things of one service.
type Changer struct {
	Pods func(ctx context.Context) ([]store.Pod, error)
	// Away says that a pod seems to be away, without asking it.
	Away       func(ctx context.Context, podName string) bool
	Store      *store.Store
	Reconciler Reconciler
	Log        *slog.Logger
	Timeout    time.Duration // of one change
}

// spreadTimeout bounds how long a client waits for the pods after the first.
const spreadTimeout = 10 * time.Second

// Answer is one pod's reply. Err is set for every status of 400 and above too.
type Answer = dispatch.Answer

// Change is one change of such a thing.
type Change struct {
	Kind, ID string
	Name     string // of a change: the new one, empty if it stays
	Act      store.Act
	// Ask asks a pod for it, with the caller's token.
	Ask func(ctx context.Context, podName string) Answer
	// Next is what the thing will be, out of what it was; false when the request
	// makes no sense. For store.ActChange.
	Next func(before json.RawMessage) (json.RawMessage, bool)
	// Made reads the thing out of the pod's answer, and the pod's ID of it where that
	// is not ours. For store.ActCreate, and for changes whose outcome only the pod knows.
	Made func(n Answer) (content json.RawMessage, podID string, ok bool)
	// Taken says which pods have it already. For store.ActCreate.
	Taken func(ctx context.Context) (map[string]error, error)
	// Once says that another pod would make another thing: a lost reply ends it.
	Once bool
}

func (ch Change) in(podName string) store.Target {
	return store.Target{Kind: ch.Kind, ID: ch.ID, Pod: podName}
}

// turn is a pod that may be asked. One that is behind has not got an earlier
// change yet.
type turn struct {
	pod    string
	behind bool
}

// Outcome is what became of a change: the first pod's answer, and the pods that get
// it later.
type Outcome struct {
	Answer
	PodID string // of what was created, where it is not ours
	Late  []string
}

// Do carries it out.
func (a *Changer) Do(ctx context.Context, ch Change) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.Timeout)
	defer cancel()
	release, err := a.Reconciler.HoldReplica(ctx, ch.Kind, ch.ID)
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	turns, err := a.turns(ctx, ch)
	if err != nil {
		return Outcome{}, err
	}
	want, err := a.wanted(ctx, ch, turns)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return a.passOn(ctx, ch, turns, err)
	}
	if err != nil {
		return Outcome{}, err
	}
	first, err := a.decide(ctx, ch, turns, want)
	if err != nil {
		return Outcome{}, err
	}
	made := store.Copy{Pod: first.Pod, Content: want.Content, Settled: !behind(turns, first.Pod)}
	if ch.Made != nil {
		content, podID, ok := ch.Made(first)
		if !ok {
			return Outcome{}, unknown(&fault.Error{Kind: fault.Unavailable, Pod: first.Pod, Message: "create " + ch.Kind + ": the answer is not the JSON that was expected"})
		}
		want.Content, made.Content, made.PodID = content, content, podID
	}
	if err := a.Store.KeepReplica(ctx, want, made); err != nil {
		// It is done; the attempt's job puts it on record.
		a.Log.ErrorContext(ctx, "cannot record a change", "kind", ch.Kind, "id", ch.ID, "pod", first.Pod, "error", err)
		return Outcome{Answer: first, PodID: made.PodID}, nil
	}
	late, err := a.spread(ctx, ch, turns, first.Pod)
	if err != nil && ch.Act == store.ActCreate {
		return Outcome{}, a.takeBackReplica(ctx, ch, want, turns, err)
	}
	return Outcome{first, made.PodID, late}, nil
}

// turns are the pods in the order in which they are asked: first those that have
// got all changes, last those that seem to be away.
func (a *Changer) turns(ctx context.Context, ch Change) ([]turn, error) {
	pods, err := a.Pods(ctx)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, fault.New(fault.Unavailable, "", "no pod has been added to the region yet")
	}
	q := store.MappingQuery{Kind: ch.Kind, ID: ch.ID, Pending: true}
	if ch.Act == store.ActCreate {
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
	for _, p := range pods {
		t := turn{p.Name, late[p.Name]}
		switch {
		case a.Away(ctx, p.Name):
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
func (a *Changer) wanted(ctx context.Context, ch Change, turns []turn) (store.Replica, error) {
	if ch.Act == store.ActCreate {
		taken, err := ch.Taken(ctx)
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
		return store.Replica{Kind: ch.Kind, ID: ch.ID, Name: ch.Name, Everywhere: true}, nil
	}
	want, err := a.Reconciler.Record(ctx, ch.Kind, ch.ID)
	if err != nil {
		return want, err
	}
	if ch.Name != "" {
		want.Name = ch.Name
	}
	if ch.Act == store.ActDelete {
		want.Deleted = true
		return want, nil
	}
	next, ok := ch.Next(want.Content)
	if !ok {
		return want, fault.New(fault.Invalid, "", "Malformed request body")
	}
	want.Content = next
	return want, nil
}

// passOn has a pod refuse, in its own words, what cannot be done. A pod that is
// behind might do it.
func (a *Changer) passOn(ctx context.Context, ch Change, turns []turn, cause error) (Outcome, error) {
	for _, t := range turns {
		if t.behind {
			continue
		}
		n := ch.Ask(ctx, t.pod)
		switch {
		case n.Err == nil:
			return Outcome{Answer: n}, nil
		case !n.Away():
			return Outcome{}, Regional(n.Err)
		}
	}
	return Outcome{}, cause
}

// Regional is a pod's refusal as the region's own: any pod would say the same.
func Regional(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Upstream == nil || f.Upstream.Status >= 500 {
		return err
	}
	said := *f
	said.Pod = ""
	return &said
}

// decide asks pod after pod until one has made the change. A pod that does not
// have the thing is passed over.
func (a *Changer) decide(ctx context.Context, ch Change, turns []turn, want store.Replica) (Answer, error) {
	var refused, away error
	for _, t := range turns {
		if t.behind && ch.Act != store.ActCreate {
			if err := a.Reconciler.Ensure(ctx, ch.in(t.pod), nil); IsAway(err) {
				away = err
				continue
			}
		}
		attempt := store.Attempt{Pod: t.pod, Act: ch.Act}
		if ch.Act == store.ActChange {
			attempt.Content = want.Content
		}
		if err := a.Store.TryReplica(ctx, ch.Kind, ch.ID, ch.Name, attempt); err != nil {
			return Answer{}, err
		}
		n := ch.Ask(ctx, t.pod)
		switch {
		case n.Err == nil:
			return n, nil
		case !pod.NotDone(n.Err):
			away = unknown(n.Err)
			if ch.Once {
				return n, away
			}
			continue // to ask another is safe, it is the same change
		case n.Away():
			away = n.Err
		case ch.Act != store.ActCreate && fault.Is(n.Err, fault.NotFound):
			refused = Regional(n.Err)
		default:
			return n, a.dropAttempt(ctx, ch, Regional(n.Err))
		}
		if err := a.dropAttempt(ctx, ch, nil); err != nil {
			return n, err
		}
	}
	if away != nil {
		return Answer{}, away
	}
	return Answer{}, refused
}

// IsAway says that the pod gave no answer of its own.
func IsAway(err error) bool { return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout) }

func (a *Changer) dropAttempt(ctx context.Context, ch Change, cause error) error {
	if err := a.Store.DropAttempt(ctx, ch.Kind, ch.ID); err != nil {
		a.Log.ErrorContext(ctx, "cannot end a change that was refused", "kind", ch.Kind, "id", ch.ID, "error", err)
		if cause == nil {
			return err
		}
	}
	return cause
}

// spread brings the change to the other pods. It names those that get it later,
// and returns the first refusal.
func (a *Changer) spread(ctx context.Context, ch Change, turns []turn, first string) (late []string, refusal error) {
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
		if refusal == nil && pod.NotDone(err) && !IsAway(err) {
			refusal = err
		}
		a.Log.InfoContext(ctx, "a pod gets a change later", "kind", ch.Kind, "id", ch.ID, "pod", turns[i].pod, "error", err)
	}
	return late, refusal
}

// takeBackReplica undoes a creation that one pod refuses.
func (a *Changer) takeBackReplica(ctx context.Context, ch Change, want store.Replica, turns []turn, cause error) error {
	want.Deleted = true
	if err := a.Store.KeepReplica(ctx, want); err != nil {
		a.Log.ErrorContext(ctx, "cannot take back what a pod refuses", "kind", ch.Kind, "id", ch.ID, "error", err)
		return cause
	}
	_, _ = a.spread(ctx, ch, turns, "") // else its jobs do it
	return cause
}

// Lag is which pods have not got which changes yet.
type Lag map[store.Target]store.Mapping

// Lag reads it for a kind.
func (a *Changer) Lag(ctx context.Context, kind string) (Lag, error) {
	pending, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: kind, Pending: true})
	if err != nil {
		return nil, err
	}
	l := Lag{}
	for _, m := range pending {
		l[m.Target] = m
	}
	return l, nil
}

// Of says whether the pod's version of the thing is old, and whether it should
// not be there any more.
func (l Lag) Of(kind, id, podName string) (old, gone bool) {
	m, old := l[store.Target{Kind: kind, ID: id, Pod: podName}]
	return old, old && !m.Wanted
}

// Unseen is the error for a thing that no pod shows. One that the region has made
// is not absent because the pods that have it are away, and the others behind.
func (a *Changer) Unseen(ctx context.Context, kind, id string, answers []Answer, l Lag) error {
	rep, err := a.Store.FindReplica(ctx, kind, id)
	if err != nil || rep.Content == nil || rep.Deleted {
		return Regional(Worst(answers))
	}
	var away error
	for _, n := range answers {
		if n.Away() {
			if a.meant(ctx, rep, n.Pod) {
				away = n.Err
			}
		} else if old, _ := l.Of(kind, id, n.Pod); !old && rep.Everywhere {
			return Regional(Worst(answers)) // it would have it
		}
	}
	if away == nil {
		return Regional(Worst(answers))
	}
	return away
}

// meant says whether the pod is to have the thing.
func (a *Changer) meant(ctx context.Context, rep store.Replica, podName string) bool {
	if rep.Everywhere {
		return true
	}
	m, err := a.Store.FindMapping(ctx, store.Target{Kind: rep.Kind, ID: rep.ID, Pod: podName})
	return err == nil && m.PodID != ""
}

// Worst is the error that speaks for all when no pod succeeded: what a pod
// answered says more than that another is away, and a refusal says more than
// that a pod does not have the thing.
func Worst(answers []Answer) error {
	var err error
	rank := 0
	for _, n := range answers {
		r := 3
		switch {
		case n.Err == nil:
			continue
		case n.Away():
			r = 1
		case fault.Is(n.Err, fault.NotFound):
			r = 2
		}
		if r > rank {
			err, rank = n.Err, r
		}
	}
	return err
}

// unknown is the error for a change whose outcome only the pod knows. Its attempt's
// job finds out.
func unknown(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	said := *f
	if said.Kind != fault.Timeout {
		said.Kind = fault.Unavailable
	}
	said.Message += "; whether it was done is being found out: look for it before trying again"
	return &said
}

// Best is the answer to show of a thing: the first of a pod that has it, and has
// all changes of it if one does. gone is the error for a pod that is to lose it. It
// is -1 when no pod shows it.
func (l Lag) Best(kind, id string, answers []Answer, gone error) int {
	best, bestOld := -1, false
	for i := range answers {
		n := &answers[i]
		old, leaving := l.Of(kind, id, n.Pod)
		if leaving && n.Err == nil {
			n.Err = gone
		}
		if n.Err == nil && (best < 0 || bestOld && !old) {
			best, bestOld = i, old
		}
	}
	return best
}
