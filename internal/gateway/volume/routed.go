package volume

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// refuse is the handler of what is not offered.
func refuse(why string) gateway.Handler {
	return func(context.Context, identity.Caller, *gateway.Request) (*gateway.Reply, error) {
		return nil, fault.New(fault.Refused, "", "%s", why)
	}
}

// routed passes a request to the pod that has the thing named in its path.
func (a *api) routed(of resource) gateway.Handler {
	return a.on(of, func(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
		gone := deletes(r)
		reply, err := a.pass(ctx, by, r, podName, of)
		if err != nil {
			return nil, err
		}
		if reply.Status == http.StatusNotFound && r.Method == http.MethodGet && strings.HasSuffix(r.Route.Pattern, "/{id}") {
			a.forget(ctx, by, of.kind, r.Param("id"))
		}
		if reply.Status < 300 && gone {
			a.left(ctx, by, r, of, podName)
		}
		return reply, nil
	})
}

// onPod does something where a thing is.
type onPod func(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error)

// on is a handler for what is done in the pod of the thing named in the path.
func (a *api) on(of resource, do onPod) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		name, err := a.Dispatch.Locate(ctx, by, of.kind, r.Param("id"))
		if fault.Is(err, fault.NotFound) && r.Method != http.MethodGet {
			// Nobody has it, so nobody does anything; but the request may be wrong in
			// more ways, and Cinder looks at those first.
			return a.somePod(ctx, by, r)
		}
		if err != nil {
			return nil, err
		}
		if reply, err := a.held(ctx, by, r, of); reply != nil || err != nil {
			return reply, err
		}
		return do(ctx, by, r, name)
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
	look := a.lookOf(ctx, podName, zones)
	return gateway.ForwardJSON(ctx, by, r, client, pod.Volume, func(body []byte) ([]byte, error) {
		return a.withFill(ctx, of, r.Param("id"), look.document(body, of.item))
	})
}

// createBeside creates what must be in the pod of something else: a snapshot
// where its volume is. path is where the body names that.
func (a *api) createBeside(of resource, path, kind string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		id, err := named(r, path)
		if err != nil {
			return nil, err
		}
		if id == "" {
			return a.somePod(ctx, by, r)
		}
		name, err := a.Dispatch.Locate(ctx, by, kind, id)
		if fault.Is(err, fault.NotFound) {
			return a.somePod(ctx, by, r) // as in on
		}
		if err == nil && kind == store.KindVolume {
			err = a.filling(ctx, id)
		}
		if err != nil {
			return nil, err
		}
		return a.createAt(ctx, by, r, of, name)
	}
}

// createAt creates in the pod what is no volume, and notes where it is.
func (a *api) createAt(ctx context.Context, by identity.Caller, r *gateway.Request, of resource, podName string) (*gateway.Reply, error) {
	if err := a.zoneInBody(ctx, r, of, podName); err != nil {
		return nil, err
	}
	if in, counts, err := a.created(ctx, by, r, of, podName); err != nil || counts {
		if err != nil {
			return nil, err
		}
		return a.createCounted(ctx, by, r, of, in)
	}
	reply, err := a.pass(ctx, by, r, podName, of)
	if err != nil {
		return nil, err
	}
	a.note(ctx, by, of, podName, reply)
	return reply, nil
}

// named is the text that the body has at a path; empty if it has none: then what is
// wrong with the body is for Cinder to say.
func named(r *gateway.Request, path string) (string, error) {
	var document any
	if err := r.JSON(&document); err != nil {
		return "", err
	}
	body, err := r.Bytes()
	if err != nil {
		return "", err
	}
	if found := gjson.GetBytes(body, path); found.Type == gjson.String {
		return found.Str, nil
	}
	return "", nil
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
	return a.firstThat(ctx, by, r, func(reply *gateway.Reply) bool { return reply.Status != http.StatusNotFound })
}

// somePod passes on a request that every pod refuses alike, for Cinder's words. It
// must be one that no pod acts on.
func (a *api) somePod(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if _, err := r.Bytes(); err != nil { // more than one pod may have to read it
		return nil, err
	}
	reply, err := a.firstThat(ctx, by, r, func(*gateway.Reply) bool { return true })
	if err == nil {
		reply.Header.Del("X-Tricircle-Pod")
	}
	return reply, err
}

func (a *api) firstThat(ctx context.Context, by identity.Caller, r *gateway.Request, will func(*gateway.Reply) bool) (*gateway.Reply, error) {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, err
	}
	var last *gateway.Reply
	var failed error
	for _, p := range pods {
		client, err := a.Dispatch.Client(ctx, p.Name)
		if err != nil {
			failed = err
			continue
		}
		reply, err := gateway.ForwardJSON(ctx, by, r, client, pod.Volume, nil)
		switch {
		case err != nil:
			failed = err
		case will(reply):
			return reply, nil
		default:
			last = reply
		}
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
	return a.askThese(ctx, by, r, nil, op)
}

// askThese asks the pods, nil is all of them, what the client asks.
func (a *api) askThese(ctx context.Context, by identity.Caller, r *gateway.Request, pods []string, op string) ([]dispatch.Answer, []string, error) {
	answers, err := a.Dispatch.All(ctx, pods, ask(&by, r, op))
	if err != nil {
		return nil, nil, err
	}
	return sift(answers)
}

// sift splits answers from failures. A pod's refusal says more than that another
// is away.
func sift(answers []dispatch.Answer) (good []dispatch.Answer, away []string, err error) {
	var failed error
	refused := false
	for _, answer := range answers {
		if answer.Err == nil {
			good = append(good, answer)
			continue
		}
		away = append(away, answer.Pod)
		if refusal := answer.Status >= 400 && answer.Status < 500; failed == nil || refusal && !refused {
			failed, refused = answer.Err, refusal
		}
	}
	if len(good) > 0 || failed == nil {
		return good, away, nil
	}
	if said, ok := errors.AsType[*fault.Error](failed); ok && refused {
		everybodys := *said
		everybodys.Pod = "" // any pod would have said it
		failed = &everybodys
	}
	return nil, nil, failed
}
