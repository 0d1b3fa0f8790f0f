package image

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// Metadata definitions are the same in every pod. A namespace with all that is in it
// is one replica: a change of any part is a change of it, which one pod decides and
// the others get, by jobs if they are away.

// metadefRoutes are the metadata definitions.
func (a *api) metadefRoutes() []gateway.Route {
	const all, one, below = "/metadefs/namespaces", "/metadefs/namespaces/{namespace}", "/metadefs/namespaces/{namespace}/*"
	routes := []gateway.Route{
		{Method: get, Pattern: all, Strategy: gateway.Replicated, Policy: "get_metadef_namespaces", Handle: a.settledPod},
		{Method: post, Pattern: all, Strategy: gateway.Replicated, Policy: "add_metadef_namespace", Handle: a.createNamespace},
		{Method: get, Pattern: one, Strategy: gateway.Replicated, Policy: "get_metadef_namespace", Handle: a.settledPod},
		{Method: put, Pattern: one, Strategy: gateway.Replicated, Policy: "modify_metadef_namespace", Handle: a.updateNamespace, Note: "its name stays"},
		{Method: remove, Pattern: one, Strategy: gateway.Replicated, Policy: "delete_metadef_namespace", Handle: a.changeNamespace(store.ActDelete)},
		{Method: get, Pattern: below, Strategy: gateway.Replicated, Handle: a.settledPod},
		{Method: get, Pattern: "/metadefs/*", Strategy: gateway.Replicated, Handle: a.settledPod},
	}
	for _, method := range []string{post, put, remove} {
		routes = append(routes, gateway.Route{Method: method, Pattern: below, Strategy: gateway.Replicated, Handle: a.changeNamespace(store.ActChange)})
	}
	return routes
}

// metadefTime bounds one change.
const metadefTime = time.Minute

func (a *api) replicas() *replica.Changer {
	return &replica.Changer{Pods: a.Fleet.Pods, Away: replica.Away(a.Fleet, pod.Image), Store: a.Store, Reconciler: a.Reconciler, Log: a.Log, Timeout: metadefTime}
}

// settledPod is answered by a pod that has got all changes, if there is one.
func (a *api) settledPod(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names, err := a.pods(ctx)
	if err != nil {
		return nil, err
	}
	lag, err := a.replicas().Lag(ctx, store.KindNamespace)
	if err != nil {
		return nil, err
	}
	behind := map[string]int{}
	for t := range lag {
		if id := r.Param("namespace"); id == "" || id == t.ID {
			behind[t.Pod] = 1
		}
	}
	slices.SortStableFunc(names, func(x, y string) int { return behind[x] - behind[y] })
	return a.firstOf(ctx, by, r, names)
}

func (a *api) createNamespace(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := document(r)
	if err != nil {
		return nil, err
	}
	name := gjson.GetBytes(body, "namespace").Str
	if name == "" {
		return a.settledPod(ctx, by, r) // Glance says what is wrong
	}
	return a.doNamespace(ctx, by, r, replica.Change{
		ID: name, Act: store.ActCreate, Taken: func(ctx context.Context) (map[string]error, error) { return a.taken(ctx, name) },
	})
}

// taken are the pods that have a namespace by that name.
func (a *api) taken(ctx context.Context, name string) (map[string]error, error) {
	answers, err := a.Dispatch.All(ctx, nil, namespaceQuestion(name))
	if err != nil {
		return nil, err
	}
	taken := map[string]error{}
	for _, answer := range answers {
		if answer.Err == nil {
			taken[answer.Pod] = fault.New(fault.Conflict, "", "Metadata definition namespace=%s already exists.", name)
		}
	}
	return taken, nil
}

// updateNamespace changes all but its name, by which the pods know it.
func (a *api) updateNamespace(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := document(r)
	if err != nil {
		return nil, err
	}
	if name := gjson.GetBytes(body, "namespace").Str; name != "" && name != r.Param("namespace") {
		return nil, fault.New(fault.Refused, "", "a namespace cannot be renamed: make %s, and delete %s", name, r.Param("namespace"))
	}
	return a.changeNamespace(store.ActChange)(ctx, by, r)
}

func (a *api) changeNamespace(act store.Act) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		return a.doNamespace(ctx, by, r, replica.Change{
			ID: r.Param("namespace"), Act: act,
			Next: func(before json.RawMessage) (json.RawMessage, bool) { return before, true }, // the pod knows
		})
	}
}

func (a *api) doNamespace(ctx context.Context, by identity.Caller, r *gateway.Request, ch replica.Change) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	ch.Kind, ch.Name, ch.Once = store.KindNamespace, ch.ID, true
	ch.Ask = func(ctx context.Context, podName string) replica.Answer {
		header := gateway.PassHeader(r.Header)
		header.Set("Accept", "application/json")
		q := pod.Request{Service: pod.Image, Method: r.Method, Path: r.Path(), RawQuery: r.URL.RawQuery, Header: header, As: &by, Op: opOf(r)}
		if len(body) > 0 {
			q.Body, q.Length = bytes.NewReader(body), int64(len(body))
		}
		return a.Dispatch.Ask(ctx, podName, q)
	}
	if ch.Act != store.ActDelete {
		ch.Made = func(n replica.Answer) (json.RawMessage, string, bool) { return a.namespaceIn(ctx, n.Pod, ch.ID) }
	}
	out, err := a.replicas().Do(ctx, ch)
	if err != nil {
		return nil, err
	}
	return replyOf(r, out.Answer).Without(out.Late...), nil
}

func namespaceQuestion(name string) pod.Request {
	return pod.Request{Service: pod.Image, Method: get, Path: "/metadefs/namespaces/" + url.PathEscape(name), Header: asJSON, Op: "show namespace"}
}

// namespaceIn is what the pod has now.
func (a *api) namespaceIn(ctx context.Context, podName, name string) (content json.RawMessage, id string, ok bool) {
	answer := a.Dispatch.One(context.WithoutCancel(ctx), podName, namespaceQuestion(name))
	if answer.Err != nil || !gjson.ValidBytes(answer.Body) {
		return nil, "", false
	}
	return plan.ReadNamespace(gjson.ParseBytes(answer.Body)).Content(), name, true
}

// replyOf passes a pod's answer on.
func replyOf(r *gateway.Request, n dispatch.Answer) *gateway.Reply {
	reply := gateway.ReplyOf(r, &http.Response{StatusCode: n.Status, Header: n.Header, Request: &http.Request{URL: n.Asked}}, n.Pod, r.Path())
	if len(n.Body) > 0 {
		reply.Body = n.Body
	}
	return reply
}
