package compute

import (
	"context"
	"encoding/json"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Flavors and key pairs are the same in every pod: package replica changes them.

// change is one change of such a thing.
type change struct {
	kind, id, name string
	act            store.Act
	question       question
	next           func(before json.RawMessage) (json.RawMessage, bool)
	made           func(n answer) (json.RawMessage, bool)
	taken          func(ctx context.Context) (map[string]error, error)
	once           bool
}

func (a *api) replicas() *replica.Changer {
	return &replica.Changer{Pods: a.Fleet.Pods, Away: replica.Away(a.Fleet, pod.Compute), Store: a.Store, Reconciler: a.Reconciler, Log: a.Log, Timeout: a.CreateTimeout}
}

// change carries it out and replies with the first pod's answer.
func (a *api) change(ctx context.Context, by identity.Caller, r *gateway.Request, ch change) (*gateway.Reply, error) {
	todo := replica.Change{
		Kind: ch.kind, ID: ch.id, Name: ch.name, Act: ch.act, Next: ch.next, Taken: ch.taken, Once: ch.once,
		Ask: func(ctx context.Context, podName string) answer { return a.ask(ctx, by, podName, ch.question) },
	}
	if ch.made != nil {
		todo.Made = func(n answer) (json.RawMessage, string, bool) {
			content, ok := ch.made(n)
			return content, ch.id, ok
		}
	}
	out, err := a.replicas().Do(ctx, todo)
	if err != nil {
		return nil, err
	}
	return a.replyFrom(r, out.Answer, nil).Without(out.Late...), nil
}

// anyReplica answers from the first pod that has the thing, and has all changes
// of it if one does.
func (a *api) anyReplica(kind string, idOf func(identity.Caller, *gateway.Request) string, missing func(identity.Caller, *gateway.Request) error) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		q, err := questionOf(r)
		if err != nil {
			return nil, err
		}
		l, err := a.replicas().Lag(ctx, kind)
		if err != nil {
			return nil, err
		}
		answers, err := a.askAll(ctx, by, q)
		if err != nil {
			return nil, err
		}
		id := idOf(by, r)
		best := l.Best(kind, id, answers, missing(by, r))
		if best < 0 {
			return nil, a.replicas().Unseen(ctx, kind, id, answers, l)
		}
		return a.replyFrom(r, answers[best], answers), nil
	}
}
