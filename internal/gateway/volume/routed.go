package volume

import (
	"context"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

// refuse is the handler of what is not offered.
func refuse(why string) gateway.Handler {
	return func(context.Context, identity.Caller, *gateway.Request) (*gateway.Reply, error) {
		return nil, fault.New(fault.Refused, "", "%s", why)
	}
}

// routed passes a request to the pod that has the thing named in its path.
func (a *api) routed(of resource) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		id := r.Param("id")
		name, err := a.Dispatch.Locate(ctx, by, of.kind, id)
		if err != nil {
			return nil, err
		}
		reply, err := a.pass(ctx, by, r, name, of)
		if err != nil {
			return nil, err
		}
		if reply.Status == http.StatusNotFound && r.Method == http.MethodGet && r.Param("*") == "" {
			a.forget(ctx, by, of.kind, id)
		}
		return reply, nil
	}
}

// forget drops a thing from the index once its pod says that it is gone. To a
// stranger the pod says the same of things that are there: only the owner's
// answer counts.
func (a *api) forget(ctx context.Context, by identity.Caller, kind, id string) {
	e, err := a.Dispatch.Index.FindEntry(ctx, kind, id)
	if err == nil && (e.ProjectID == by.ProjectID || by.IsAdmin()) {
		a.Dispatch.Gone(ctx, kind, id)
	}
}

// pass forwards the request to the pod, and makes links and zones in its answer
// ours.
func (a *api) pass(ctx context.Context, by identity.Caller, r *gateway.Request, podName string, of resource) (*gateway.Reply, error) {
	client, err := a.Dispatch.Client(ctx, podName)
	if err != nil {
		return nil, err
	}
	zones, err := a.zoneNames(ctx)
	if err != nil {
		return nil, err
	}
	return gateway.ForwardJSON(ctx, by, r, client, pod.Volume, func(body []byte) ([]byte, error) {
		return gateway.SetField(body, of.item+".availability_zone", zones[podName]), nil
	})
}

// createBeside creates what must be in the pod of something else: a snapshot
// where its volume is. path is where the body names that.
func (a *api) createBeside(of resource, path, kind string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		var document map[string]any
		if err := r.JSON(&document); err != nil {
			return nil, err
		}
		body, err := r.Bytes()
		if err != nil {
			return nil, err
		}
		id := gjson.GetBytes(body, path).String()
		if id == "" {
			field := path[strings.LastIndexByte(path, '.')+1:]
			return nil, fault.New(fault.Invalid, "", "Invalid input for field/attribute %s. '%s' is a required property", of.item, field)
		}
		name, err := a.Dispatch.Locate(ctx, by, kind, id)
		if err != nil {
			return nil, err
		}
		if err := a.zoneInBody(ctx, r, of, name); err != nil {
			return nil, err
		}
		reply, err := a.pass(ctx, by, r, name, of)
		if err != nil {
			return nil, err
		}
		a.note(ctx, by, of, name, reply)
		return reply, nil
	}
}

// zoneInBody puts the pod's own name for the zone into a creation that names one
// (backups do).
func (a *api) zoneInBody(ctx context.Context, r *gateway.Request, of resource, podName string) error {
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	zone := gjson.GetBytes(body, of.item+".availability_zone").String()
	if zone == "" {
		return nil
	}
	home, err := a.placeAt(ctx, fleet.Need{PodOnly: podName, Zone: zone, Why: "what it is made from is there"}, of.item)
	if err != nil {
		return err
	}
	body, err = withZone(body, of.item, home.PodZone)
	if err != nil {
		return err
	}
	r.SetBytes(body)
	return nil
}

// note records what a pod has just created.
func (a *api) note(ctx context.Context, by identity.Caller, of resource, podName string, reply *gateway.Reply) {
	body, ok := reply.Body.([]byte)
	if !ok || reply.Status >= 300 {
		return
	}
	if made := gjson.GetBytes(body, of.item).Raw; made != "" {
		a.Dispatch.Seen(context.WithoutCancel(ctx), by, of.kind, podName, []byte(made))
	}
}

// first asks one pod after the other, for what is the same in all: of a thing by
// ID, the first pod that knows the ID answers.
func (a *api) first(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, err
	}
	var last *gateway.Reply
	var failed error
	for _, p := range pods {
		client, err := a.Dispatch.Client(ctx, p.Name)
		if err == nil {
			var reply *gateway.Reply
			reply, err = gateway.ForwardJSON(ctx, by, r, client, pod.Volume, nil)
			if err == nil && reply.Status != http.StatusNotFound {
				return reply, nil
			}
			if err == nil {
				last = reply
				continue
			}
		}
		failed = err
	}
	switch {
	case failed != nil:
		return nil, failed
	case last == nil:
		return nil, fault.New(fault.Unavailable, "", "the region has no pods")
	}
	return last, nil
}

// askAll asks all pods and splits those that did not answer from the rest. It
// fails when nobody answers well.
func (a *api) askAll(ctx context.Context, by identity.Caller, r *gateway.Request, op string) ([]dispatch.Answer, []string, error) {
	answers, err := a.Dispatch.All(ctx, nil, ask(&by, r, op))
	if err != nil {
		return nil, nil, err
	}
	var good []dispatch.Answer
	var away []string
	var failed error
	for _, answer := range answers {
		if answer.Err == nil {
			good = append(good, answer)
			continue
		}
		away = append(away, answer.Pod)
		if failed == nil || answer.Status >= 400 && answer.Status < 500 {
			failed = answer.Err
		}
	}
	if len(good) == 0 && failed != nil {
		return nil, nil, failed
	}
	return good, away, nil
}
