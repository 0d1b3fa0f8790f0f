package compute

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// history is what was done to a server. Nova tells it of deleted servers too,
// which nothing here remembers: then every pod is asked.
func (a *api) history(change rewriter) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		podName, err := a.serverPod(ctx, by, r.Param("id"))
		if fault.Is(err, fault.NotFound) {
			return a.historyOfDeleted(ctx, by, r, change, err)
		}
		if err != nil {
			return nil, err
		}
		return a.rewritten(ctx, by, r, podName, change)
	}
}

func (a *api) historyOfDeleted(ctx context.Context, by identity.Caller, r *gateway.Request, change rewriter, missing error) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	answers, err := a.askAll(ctx, by, q)
	if err != nil {
		return nil, err
	}
	ok := succeeded(answers)
	if len(ok) == 0 {
		return nil, missing
	}
	reply := a.replyFrom(r, ok[0], answers)
	if out := change(a.viewOf(r, ok[0].Pod), ok[0].Body); out != nil {
		reply.Body = out
	}
	return reply, nil
}
