package compute

import (
	"context"
	"net/url"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// hostFilter turns the hosts that a query names into the names of their pod, and
// narrows the pods (nil: all) to those that may have rows.
func (a *api) hostFilter(ctx context.Context, query url.Values, pods []string, names ...string) ([]string, error) {
	for _, name := range names {
		host := query.Get(name)
		if host == "" {
			continue
		}
		podName, there, err := a.Fleet.FindHost(ctx, host)
		switch {
		case fault.Is(err, fault.NotFound):
			return []string{}, nil
		case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Timeout):
			continue // nobody who answers has it; the list says who does not
		case err != nil:
			return nil, err
		}
		query.Set(name, there)
		if pods != nil && !slices.Contains(pods, podName) {
			return []string{}, nil
		}
		pods = []string{podName}
	}
	return pods, nil
}

// toHost is an action on a server that may name a host to go to, by the region's
// name for it. A server cannot leave its pod.
func (a *api) toHost(action string) func(context.Context, identity.Caller, *gateway.Request, string) (*gateway.Reply, error) {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
		if err := a.nameHost(ctx, by, r, podName, action+".host"); err != nil {
			return nil, err
		}
		return a.pass(ctx, by, r, podName)
	}
}

// nameHost replaces the host that the body names by the pod's name for it. A name
// that nobody knows is for the pod to refuse.
func (a *api) nameHost(ctx context.Context, by identity.Caller, r *gateway.Request, podName, path string) error {
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	wanted := gjson.GetBytes(body, path)
	if !by.IsAdmin() || wanted.Type != gjson.String || wanted.Str == "" || wanted.Index == 0 {
		return nil
	}
	at, host, err := a.Fleet.FindHost(ctx, wanted.Str)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Unavailable), fault.Is(err, fault.Timeout):
		return nil
	case err != nil:
		return err
	case at != podName:
		return fault.New(fault.Invalid, "", "Compute host %s is in pod %s and the server in pod %s: a server cannot leave its pod", wanted.Str, at, podName)
	}
	r.SetBytes(gateway.Splice(body, []gateway.Edit{gateway.Instead(wanted, quote(host))}))
	return nil
}
