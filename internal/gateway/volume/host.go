package volume

import (
	"context"
	"net/url"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// What admins name by host is in the host's pod. Two pods may have hosts of one
// name: see fleet.StorageHostName.

// hostFilter turns the hosts that a query names into the names of their pod, and
// narrows the pods (nil: all) to those that may have rows.
func (a *api) hostFilter(ctx context.Context, query url.Values, pods []string, names ...string) ([]string, error) {
	for _, name := range names {
		host := query.Get(name)
		if host == "" {
			continue
		}
		podName, there, err := a.Fleet.FindStorageHost(ctx, host)
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

// hostInBody finds the pod of the host that the body names in one of the members,
// and puts the pod's own name there. The pod is empty if the body names none, or
// one that no pod has.
func (a *api) hostInBody(ctx context.Context, r *gateway.Request, members ...string) (podName string, err error) {
	for _, member := range members {
		name, err := named(r, member)
		if err != nil {
			return "", err
		}
		if name == "" {
			continue
		}
		podName, there, err := a.Fleet.FindStorageHost(ctx, name)
		if fault.Is(err, fault.NotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		body, err := r.Bytes()
		if err != nil {
			return "", err
		}
		r.SetBytes(gateway.Splice(body, []gateway.Edit{gateway.Instead(gjson.GetBytes(body, member), string(gateway.Quote(there)))}))
		return podName, nil
	}
	return "", nil
}

// byHost passes a request to the pod of the host that its body names. Without one
// that a pod has, Cinder says what is wrong.
func (a *api) byHost(of resource, members ...string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		podName, err := a.hostInBody(ctx, r, members...)
		if err != nil {
			return nil, err
		}
		if podName == "" {
			return a.somePod(ctx, by, r)
		}
		return a.pass(ctx, by, r, podName, of)
	}
}

// atHost is a handler for what the path names by host.
func (a *api) atHost(change func(l look, body []byte) []byte) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		podName, there, err := a.Fleet.FindStorageHost(ctx, r.Param("id"))
		if fault.Is(err, fault.NotFound) {
			return a.somePod(ctx, by, r)
		}
		if err != nil {
			return nil, err
		}
		zones, err := a.zoneNames(ctx)
		if err != nil {
			return nil, err
		}
		question := ask(&by, r, r.Method+" "+r.Route.Pattern)
		question.Path = withID(r, there)
		if err := withBody(&question, r); err != nil {
			return nil, err
		}
		answer := a.Dispatch.Ask(ctx, podName, question)
		if answer.Err != nil {
			return nil, answer.Err
		}
		body := change(a.lookOf(ctx, podName, zones), answer.Body)
		return &gateway.Reply{Status: answer.Status, Header: map[string][]string{
			"Content-Type": answer.Header.Values("Content-Type"), "X-Tricircle-Pod": {podName},
		}, Body: body}, nil
	}
}
