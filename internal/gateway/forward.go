package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

// MaxRewrite bounds the answers that are read into memory to be rewritten. One
// page of a thousand servers is three megabytes.
const MaxRewrite = 64 << 20

// Pod is what the gateway needs of a pod's client.
type Pod interface {
	Name() string
	Do(ctx context.Context, r pod.Request) (*http.Response, error)
}

// Forward passes the request to the pod with the caller's own token and hands
// back the pod's answer, both bodies streamed. A pod that does not answer is an
// error, and so is one that answers 500 or more: such a page, often a proxy's,
// names neither pod nor operation.
func Forward(ctx context.Context, by identity.Caller, r *Request, p Pod, service pod.Service) (*Reply, error) {
	resp, err := ask(ctx, by, r, p, service) //nolint:bodyclose // whoever sends the reply closes it
	if err != nil {
		return nil, err
	}
	reply := ReplyOf(r, resp, p.Name(), r.Path())
	reply.Stream, reply.Length = resp.Body, resp.ContentLength
	return reply, nil
}

// ForwardJSON is Forward for answers that name addresses: links become ours, and
// so does what rewrite (if any) changes in a successful body. Bodies that are no
// JSON pass as they are.
func ForwardJSON(ctx context.Context, by identity.Caller, r *Request, p Pod, service pod.Service,
	rewrite func(body []byte) ([]byte, error),
) (*Reply, error) {
	resp, err := ask(ctx, by, r, p, service)
	if err != nil {
		return nil, err
	}
	return Rewritten(r, resp, p.Name(), r.Path(), rewrite)
}

// Rewritten is the reply that passes a pod's answer on with its links made ours.
func Rewritten(r *Request, resp *http.Response, podName, asked string, rewrite func(body []byte) ([]byte, error)) (*Reply, error) {
	if err := Broken(r, resp, podName); err != nil {
		_ = resp.Body.Close() // nothing else is wanted of it
		return nil, err
	}
	reply := ReplyOf(r, resp, podName, asked)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		reply.Stream, reply.Length = resp.Body, resp.ContentLength
		return reply, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxRewrite+1))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: opOf(r) + ": the answer broke off", Err: err}
	}
	if len(body) > MaxRewrite {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: opOf(r) + ": the answer is too large to pass on"}
	}
	if resp.StatusCode < 300 && len(body) > 0 && !gjson.ValidBytes(body) {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: podName, Message: opOf(r) + ": the answer is not the JSON that was expected"}
	}
	body = LinksOf(r, resp, asked).Append(make([]byte, 0, len(body)+len(body)/8), body)
	if rewrite != nil && resp.StatusCode < 300 && len(body) > 0 {
		if body, err = rewrite(body); err != nil {
			return nil, err
		}
	}
	if len(body) > 0 {
		reply.Body = body
	}
	return reply, nil
}

// ReplyOf is a reply with the status and the end-to-end headers of a pod's answer
// to a request for asked; it has no body yet.
func ReplyOf(r *Request, resp *http.Response, podName, asked string) *Reply {
	header := endToEnd(resp.Header)
	for _, name := range []string{"Content-Length", "Date", "Server", "X-Openstack-Request-Id"} {
		header.Del(name)
	}
	if location := header.Get("Location"); location != "" {
		header.Set("Location", LinksOf(r, resp, asked).URL(location))
	}
	header.Set("X-Tricircle-Pod", podName)
	return &Reply{Status: resp.StatusCode, Header: header}
}

func ask(ctx context.Context, by identity.Caller, r *Request, p Pod, service pod.Service) (*http.Response, error) {
	request := pod.Request{
		Service: service, Method: r.Method, Path: r.Path(), RawQuery: r.URL.RawQuery,
		Header: PassHeader(r.Header), As: &by, Op: opOf(r), Timeout: r.Route.Patience,
	}
	switch {
	case r.bodyRead && len(r.body) > 0: // Glance refuses even an empty one where it expects none
		request.Body = bytes.NewReader(r.body)
	case r.bodyRead:
	case r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody:
		request.Body, request.Length = r.Body, max(r.ContentLength, 0)
	}
	resp, err := p.Do(ctx, request)
	if err != nil {
		return nil, err
	}
	if err := Broken(r, resp, p.Name()); err != nil {
		_ = resp.Body.Close() // nothing else is wanted of it
		return nil, err
	}
	return resp, nil
}

// Broken is the error for a pod's answer of 500 or more; nil for others.
func Broken(r *Request, resp *http.Response, podName string) error {
	if resp.StatusCode < http.StatusInternalServerError {
		return nil
	}
	return pod.Upstream(podName, opOf(r), resp)
}

// opOf names the operation for errors and metrics: few values, no IDs.
func opOf(r *Request) string { return r.Method + " " + r.Route.Pattern }

// hopByHop headers are between two neighbours only (RFC 9110, 7.6.1).
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

func endToEnd(from http.Header) http.Header {
	to := from.Clone()
	for _, list := range from.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			to.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		to.Del(name)
	}
	return to
}

// PassHeader is what of a client's header goes on to a pod: all that is end to
// end, microversions included, but for what the pod's client sets itself.
func PassHeader(from http.Header) http.Header {
	header := endToEnd(from)
	for _, name := range []string{
		"X-Auth-Token", "X-Openstack-Request-Id", "Content-Length", "Host", "Accept-Encoding",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded",
	} {
		header.Del(name)
	}
	return header
}
