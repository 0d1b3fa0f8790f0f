package compute

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/release"
)

// question is one request that is put to several pods.
type question struct {
	Method, Path string
	Query        url.Values
	Body         []byte
	Version      gateway.Microversion
	Op           string
}

// questionOf is the client's own request.
func questionOf(r *gateway.Request) (question, error) {
	body, err := r.Bytes()
	return question{
		Method: r.Method, Path: r.Path(), Query: r.URL.Query(), Body: body, Version: versionOf(r),
		Op: r.Method + " " + r.Route.Pattern,
	}, err
}

// answer is one pod's reply. Err is set for every status of 400 and above too.
type answer = dispatch.Answer

// ask puts the question to one pod, with the caller's token.
func (a *api) ask(ctx context.Context, by identity.Caller, name string, q question) answer {
	req := pod.Request{Service: pod.Compute, Method: q.Method, Path: q.Path, Query: q.Query, As: &by, Op: q.Op, Header: versionHeaders(q.Version)}
	if len(q.Body) > 0 {
		req.Body, req.Length = bytes.NewReader(q.Body), int64(len(q.Body))
		req.Header.Set("Content-Type", "application/json")
	}
	return a.Dispatch.Ask(ctx, name, req)
}

// askAll puts the question to every pod at once; the answers are in the pods'
// order. A region without pods is an error.
func (a *api) askAll(ctx context.Context, by identity.Caller, q question) ([]answer, error) {
	names, err := a.podNames(ctx)
	if err != nil {
		return nil, err
	}
	return a.askThese(ctx, by, names, func(string) question { return q }), nil
}

func (a *api) podNames(ctx context.Context) ([]string, error) {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, fault.New(fault.Unavailable, "", "no pod has been added to the region yet")
	}
	names := make([]string, 0, len(pods))
	for _, p := range pods {
		names = append(names, p.Name)
	}
	return names, nil
}

func (a *api) askThese(ctx context.Context, by identity.Caller, names []string, q func(pod string) question) []answer {
	answers := make([]answer, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { answers[i] = a.ask(ctx, by, name, q(name)) })
	}
	wg.Wait()
	return answers
}

// succeeded are the answers without an error.
func succeeded(answers []answer) []answer {
	return slices.DeleteFunc(slices.Clone(answers), func(n answer) bool { return n.Err != nil })
}

// missing names the pods that are away, for gateway.Reply.Without.
func missing(answers []answer) []string {
	var names []string
	for _, n := range answers {
		if n.Away() {
			names = append(names, n.Pod)
		}
	}
	return names
}

// worst is the error that speaks for all when no pod succeeded.
func worst(answers []answer) error { return replica.Worst(answers) }

// replyFrom passes one pod's answer on as the region's, its links ours.
func (a *api) replyFrom(r *gateway.Request, n answer, all []answer) *gateway.Reply {
	reply := &gateway.Reply{Status: n.Status, Header: http.Header{}}
	if len(n.Body) > 0 {
		reply.Body = a.viewOf(r, n.Pod).links(n.Body)
		reply.Header.Set("Content-Type", n.Header.Get("Content-Type"))
	}
	if untold := n.Header[release.UntoldHeader]; len(untold) > 0 {
		reply.Header[release.UntoldHeader] = untold
	}
	return reply.Without(missing(all)...)
}

// anyPod answers from the first pod that has the thing.
func (a *api) anyPod(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
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
		return nil, worst(answers)
	}
	return a.replyFrom(r, ok[0], answers), nil
}
