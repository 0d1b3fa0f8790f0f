package compute

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// rewriter changes a successful JSON body of a pod into ours.
type rewriter func(v view, body []byte) []byte

// serverReply is the rewriter for bodies with one server in it.
func serverReply(v view, body []byte) []byte { return v.document(body) }

// serverPod finds the pod of a server. It only tells where to ask: whether the
// caller may see the server is for the pod to decide.
func (a *api) serverPod(ctx context.Context, by identity.Caller, id string) (string, error) {
	podName, err := a.Dispatch.Locate(ctx, by, store.KindServer, id)
	if fault.Is(err, fault.NotFound) {
		return "", fault.New(fault.NotFound, "", "Instance %s could not be found.", id)
	}
	return podName, err
}

// routed passes a request about a server to its pod, both bodies streamed.
func (a *api) routed(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, err := a.serverPod(ctx, by, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return a.pass(ctx, by, r, podName)
}

// pass is the request as it came to the pod, and the pod's answer as it came.
// Only a pod's failure (5xx) becomes ours, since it must name the pod.
func (a *api) pass(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	return a.passBody(ctx, by, r, podName, nil)
}

// passBody is pass with another body, unless that is nil.
func (a *api) passBody(ctx context.Context, by identity.Caller, r *gateway.Request, podName string, body []byte) (*gateway.Reply, error) {
	resp, err := a.send(ctx, by, r, podName, body) //nolint:bodyclose // whoever sends the reply closes it
	if err != nil {
		return nil, err
	}
	reply := gateway.ReplyOf(r, resp, podName, r.Path())
	reply.Stream, reply.Length = resp.Body, resp.ContentLength
	return reply, nil
}

// rewritten is pass with a successful body changed on the way.
func (a *api) rewritten(ctx context.Context, by identity.Caller, r *gateway.Request, podName string, change rewriter) (*gateway.Reply, error) {
	resp, err := a.send(ctx, by, r, podName, nil)
	if err != nil {
		return nil, err
	}
	return a.changed(r, resp, podName, change)
}

func (a *api) changed(r *gateway.Request, resp *http.Response, podName string, change rewriter) (*gateway.Reply, error) {
	reply := gateway.ReplyOf(r, resp, podName, r.Path())
	if resp.StatusCode >= 300 {
		reply.Stream, reply.Length = resp.Body, resp.ContentLength
		return reply, nil
	}
	defer resp.Body.Close()
	body, err := readAll(resp, podName)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return reply, nil
	}
	out := change(a.viewOf(r, podName), body)
	if out == nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: podName,
			Message: r.Method + " " + r.Route.Pattern + ": the answer is not the JSON that was expected"}
	}
	reply.Body = out
	return reply, nil
}

// readAll reads an answer that is to be changed.
func readAll(resp *http.Response, podName string) ([]byte, error) {
	var buf bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= gateway.MaxRewrite {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, gateway.MaxRewrite+1))
	if err == nil && buf.Len() > gateway.MaxRewrite {
		err = errors.New("too large")
	}
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: "the answer broke off", Err: err}
	}
	return buf.Bytes(), nil
}

// send puts the client's request to the pod. A body given replaces the client's.
func (a *api) send(ctx context.Context, by identity.Caller, r *gateway.Request, podName string, body []byte) (*http.Response, error) {
	c, err := a.Fleet.Client(ctx, podName)
	if err != nil {
		return nil, err
	}
	op := r.Method + " " + r.Route.Pattern
	req := pod.Request{
		Service: pod.Compute, Method: r.Method, Path: r.Path(), RawQuery: r.URL.RawQuery, Header: gateway.PassHeader(r.Header),
		As: &by, Op: op,
	}
	if body == nil && (r.ContentLength != 0 || len(r.TransferEncoding) > 0) {
		if body, err = r.Bytes(); err != nil {
			return nil, err
		}
	}
	if len(body) > 0 {
		req.Body, req.Length = bytes.NewReader(body), int64(len(body))
	}
	resp, err := c.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 500 {
		defer resp.Body.Close()
		return nil, pod.Upstream(podName, op, resp)
	}
	return resp, nil
}
