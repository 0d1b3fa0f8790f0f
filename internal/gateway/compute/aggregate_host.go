package compute

import (
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute/legacy"
	"github.com/tricircle/tricircle/internal/identity"
)

// aggregateActions are what "POST /os-aggregates/{id}/action" knows by name.
func (a *api) aggregateActions() []gateway.Action {
	return []gateway.Action{
		{Name: "add_host", Strategy: gateway.Routed, Handle: a.forAdmins("os_compute_api:os-aggregates:add_host", a.addAggregateHost), Note: "to the pod of the host"},
		{Name: "remove_host", Strategy: gateway.Routed, Handle: a.forAdmins("os_compute_api:os-aggregates:remove_host", a.removeAggregateHost), Note: "to the pod of the host"},
		{Name: "set_metadata", Strategy: gateway.Replicated, Handle: a.forAdmins("os_compute_api:os-aggregates:set_metadata", a.setAggregateMetadata)},
	}
}

// forAdmins holds an action that has a policy of its own.
func (a *api) forAdmins(policy string, handle gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if !by.IsAdmin() {
			return nil, fault.New(fault.Forbidden, "", "Policy doesn't allow %s to be performed.", policy)
		}
		return handle(ctx, by, r)
	}
}

// onAggregate is "POST /os-aggregates/{id}/action".
func (a *api) onAggregate(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	name, err := legacy.ActionName(body)
	if err != nil {
		return nil, err
	}
	for _, action := range r.Route.Actions {
		if action.Name == name {
			return action.Handle(ctx, by, r)
		}
	}
	return a.toSomePod(ctx, by, r)
}

// aggregateHost is the host that an action names: where it is, and there.
func (a *api) aggregateHost(ctx context.Context, r *gateway.Request, action string) (podName, host string, err error) {
	body, err := r.Bytes()
	if err != nil {
		return "", "", err
	}
	wanted := gjson.GetBytes(body, action+".host")
	if !gjson.ValidBytes(body) || wanted.Type != gjson.String {
		return "", "", fault.New(fault.NotFound, "", "no host")
	}
	return a.Fleet.FindHost(ctx, wanted.Str)
}

// addAggregateHost is the action "add_host".
func (a *api) addAggregateHost(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := a.findAggregate(ctx, by, r)
	if err != nil {
		return nil, err
	}
	podName, host, err := a.aggregateHost(ctx, r, "add_host")
	if fault.Is(err, fault.NotFound) {
		return a.refusedByPart(ctx, by, r, f)
	}
	if err != nil {
		return nil, err
	}
	podZone, ok, err := a.zoneFor(ctx, podName, f.aggregate[0].zone)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(fault.Conflict, "", "Cannot add host to aggregate %s. Reason: %s.", f.shown, a.otherZone(podName))
	}
	ctx = context.WithoutCancel(ctx)
	p, had := f.in(podName)
	if !had {
		if p, err = a.newPart(ctx, by, r, f, podName, podZone); err != nil {
			return nil, err
		}
	}
	now, err := a.tellPart(ctx, by, r, p, question{
		Method: http.MethodPost, Path: "/os-aggregates/" + p.podID + "/action", Version: versionOf(r), Op: "add host to aggregate",
		Body: mustJSON(map[string]any{"add_host": map[string]string{"host": host}}),
	})
	if err != nil {
		if !had {
			_ = a.deletePart(ctx, by, r, p) // an empty part that is left does no harm
		}
		return nil, err
	}
	return f.with(now).reply(), nil
}

// newPart makes the part of the aggregate in one more pod.
func (a *api) newPart(ctx context.Context, by identity.Caller, r *gateway.Request, f found, podName, podZone string) (part, error) {
	for _, n := range f.answers {
		if n.Pod == podName && n.Err != nil {
			return part{}, n.Err // it may have one already
		}
	}
	wish := map[string]any{"name": f.aggregate[0].name}
	if podZone != "" {
		wish["availability_zone"] = podZone
	}
	n := a.ask(ctx, by, podName, question{
		Method: http.MethodPost, Path: "/os-aggregates", Version: versionOf(r), Op: "create aggregate", Body: mustJSON(map[string]any{"aggregate": wish}),
	})
	if n.Err != nil {
		return part{}, n.Err
	}
	p := a.partOf(r, podName, gjson.GetBytes(n.Body, "aggregate"))
	metadata := map[string]string{}
	f.aggregate[0].doc.Get("metadata").ForEach(func(k, value gjson.Result) bool {
		if k.Str != "availability_zone" {
			metadata[k.Str] = value.Str
		}
		return true
	})
	if len(metadata) == 0 {
		return p, nil
	}
	return a.tellPart(ctx, by, r, p, question{
		Method: http.MethodPost, Path: "/os-aggregates/" + p.podID + "/action", Version: versionOf(r), Op: "change aggregate",
		Body: mustJSON(map[string]any{"set_metadata": map[string]any{"metadata": metadata}}),
	})
}

// removeAggregateHost is the action "remove_host".
func (a *api) removeAggregateHost(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	f, err := a.findAggregate(ctx, by, r)
	if err != nil {
		return nil, err
	}
	podName, host, err := a.aggregateHost(ctx, r, "remove_host")
	if fault.Is(err, fault.NotFound) {
		return a.refusedByPart(ctx, by, r, f)
	}
	if err != nil {
		return nil, err
	}
	p, ok := f.in(podName)
	if !ok {
		for _, n := range f.answers {
			if n.Pod == podName && n.Err != nil {
				return nil, n.Err
			}
		}
		body, _ := r.Bytes() // read before
		return nil, fault.New(fault.NotFound, "", "Cannot remove host %s in aggregate %s", gjson.GetBytes(body, "remove_host.host").Str, f.shown)
	}
	now, err := a.tellPart(context.WithoutCancel(ctx), by, r, p, question{
		Method: http.MethodPost, Path: "/os-aggregates/" + p.podID + "/action", Version: versionOf(r), Op: "remove host from aggregate",
		Body: mustJSON(map[string]any{"remove_host": map[string]string{"host": host}}),
	})
	if err != nil {
		return nil, err
	}
	return f.with(now).reply(), nil
}

// refusedByPart passes an action that names no host of any pod to the first part,
// whose pod refuses it in Nova's words.
func (a *api) refusedByPart(ctx context.Context, by identity.Caller, r *gateway.Request, f found) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	p := f.aggregate[0]
	now, err := a.tellPart(ctx, by, r, p, question{
		Method: http.MethodPost, Path: "/os-aggregates/" + p.podID + "/action", Version: q.Version, Op: q.Op, Body: q.Body,
	})
	if err != nil {
		return nil, err
	}
	return f.with(now).reply(), nil // a host so new that nobody else knew it
}
