package compute

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// lockedVersion is the first in which a server says whether it is locked.
var lockedVersion = gateway.Microversion{Major: 2, Minor: 9}

// onOwnServer is a handler for what needs a server that the caller sees, and not
// its pod.
func (a *api) onOwnServer(do gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if _, err := a.ownServer(ctx, by, r); err != nil {
			return nil, err
		}
		return do(ctx, by, r)
	}
}

// changeAddresses is a change of the fixed IPs of one of a server's ports: in the
// region, then in the server's pod.
func (a *api) changeAddresses(change func(context.Context, identity.Caller, *gateway.Request) (port string, err error),
) func(context.Context, identity.Caller, *gateway.Request, string) (*gateway.Reply, error) {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
		if err := a.unlocked(ctx, by, r.Param("id"), podName); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		port, err := change(ctx, by, r)
		if err != nil {
			return nil, err
		}
		err = a.Reconciler.Ensure(ctx, store.Target{Kind: store.KindPort, ID: port, Pod: podName}, nil)
		if err != nil {
			return nil, err // recorded all the same; the port's job brings it to the pod
		}
		return gateway.Empty(http.StatusAccepted), nil
	}
}

// unlocked refuses what a lock forbids to all but admins, and servers that the
// caller does not see.
func (a *api) unlocked(ctx context.Context, by identity.Caller, id, podName string) error {
	n := a.ask(ctx, by, podName, question{Method: http.MethodGet, Path: "/servers/" + url.PathEscape(id), Version: lockedVersion, Op: "show server"})
	switch {
	case fault.Is(n.Err, fault.NotFound):
		return fault.New(fault.NotFound, "", "Instance %s could not be found.", id)
	case n.Err != nil:
		return n.Err
	case gjson.GetBytes(n.Body, "server.locked").Bool() && !by.IsAdmin():
		return fault.New(fault.Conflict, "", "Instance %s is locked", id)
	}
	return nil
}
