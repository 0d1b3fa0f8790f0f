package pod

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

const userAgent = "tricircle"

// longUpload is the size from which a body counts as an upload, with slots of its
// own.
const longUpload = 1 << 20

var (
	errBusy = errors.New("too many requests in flight")
	errAway = errors.New("the breaker is open")
)

// Do sends the request and returns the pod's answer, whatever its status. The
// caller must close the body, which is streamed.
//
// An error is a *fault.Error with Pod set: Unavailable, or Timeout. NotSent tells
// whether the request can have had an effect.
func (c *Client) Do(ctx context.Context, r Request) (*http.Response, error) {
	if c.Around != nil {
		return c.Around(ctx, c, r, c.measured)
	}
	return c.measured(ctx, r)
}

func (c *Client) measured(ctx context.Context, r Request) (*http.Response, error) {
	start := c.Now()
	resp, err := c.guarded(ctx, &r)
	status := 0
	if err == nil {
		status = resp.StatusCode
		trace(ctx, c.Options.Name, resp.Header)
	}
	c.Metrics(c.Options.Name, string(r.Service), r.op(), status, c.Now().Sub(start))
	return resp, err
}

// guarded is Do behind the breaker and within the limit of requests in flight.
func (c *Client) guarded(ctx context.Context, r *Request) (*http.Response, error) {
	l, ok := c.lanes[r.Service]
	if !ok {
		r.closeBody()
		return nil, fmt.Errorf("no such service: %q", r.Service)
	}
	p, ok := l.breaker.allow()
	if !ok {
		r.closeBody()
		_, since, reason := l.breaker.state()
		return nil, c.unsent(r, errAway, "it is away since %s: %s", since.UTC().Format(time.RFC3339), reason)
	}
	x := newExchange(ctx, c, r)
	resp, err := c.limited(x, l)
	v, reason := x.verdict(resp, err)
	l.breaker.report(p, v, reason)
	if err != nil {
		x.end()
		r.closeBody()
		return nil, err
	}
	resp.Body = x.stream(resp)
	return resp, nil
}

func (c *Client) limited(x *exchange, l *lane) (*http.Response, error) {
	slots := l.slots
	if x.length < 0 || x.length > longUpload {
		slots = l.uploads
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-x.ctx.Done():
		if err := x.parent.Err(); errors.Is(err, context.Canceled) {
			return nil, c.unsent(x.request, err, "the caller went away")
		}
		return nil, c.unsent(x.request, errBusy, "too many requests in flight")
	}
	return c.authorized(x)
}

// authorized sends the request with a token. The service account's may have been
// revoked: it is renewed once.
func (c *Client) authorized(x *exchange) (*http.Response, error) {
	for again := false; ; again = true {
		token, err := c.token(x)
		if err != nil {
			return nil, err
		}
		req, err := c.prepare(x, token)
		if err != nil {
			return nil, err
		}
		resp, err := c.transport.RoundTrip(req)
		if err != nil {
			return nil, x.fault(err)
		}
		if resp.StatusCode != http.StatusUnauthorized || x.request.As != nil {
			return resp, nil
		}
		c.Account.Invalidate(token)
		if again || !x.request.replayable() {
			return resp, nil
		}
		discard(resp)
	}
}

func (c *Client) token(x *exchange) (string, error) {
	if by := x.request.As; by != nil {
		return by.Token, nil
	}
	token, err := c.Account.Token(x.ctx)
	if err != nil {
		return "", c.unready(x, err)
	}
	return token, nil
}

// prepare makes the HTTP request.
func (c *Client) prepare(x *exchange, token string) (*http.Request, error) {
	r := x.request
	target, err := c.target(x)
	if err != nil {
		return nil, err
	}
	req := (&http.Request{
		Method:        r.Method,
		URL:           target,
		Host:          target.Host,
		Header:        forwarded(r.Header),
		Body:          x.upload(),
		ContentLength: x.length,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
	}).WithContext(x.traced)
	req.Header.Set("X-Auth-Token", token)
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header.Set("User-Agent", userAgent)
	}
	if r.As != nil && r.As.RequestID != "" {
		req.Header.Set("X-Openstack-Request-Id", r.As.RequestID)
	}
	return req, nil
}

// target is the request's URL.
func (c *Client) target(x *exchange) (*url.URL, error) {
	r := x.request
	if err := checkPath(r.Path); err != nil {
		return nil, err
	}
	endpoint, err := c.Account.Endpoint(x.ctx, r.Service, c.Region, c.Interface)
	if err != nil {
		return nil, c.unready(x, err)
	}
	root, err := rootsOf(r.Service, endpoint)
	if err != nil {
		return nil, c.unready(x, err)
	}
	base, path := root.version, r.Path
	switch rest, atHost := strings.CutPrefix(path, "/"); {
	case atHost && strings.HasPrefix(rest, "/"):
		base, path = root.host, rest
	case r.Service == Volume:
		project, err := c.project(x)
		if err != nil {
			return nil, c.unready(x, err)
		}
		base += project
	}
	u, err := url.Parse(base + path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "the path %q is malformed", r.Path)
	}
	u.RawQuery = r.RawQuery
	if r.Query != nil {
		u.RawQuery = r.Query.Encode()
	}
	return u, nil
}

// project is the path segment that Block Storage wants before everything else.
func (c *Client) project(x *exchange) (string, error) {
	if by := x.request.As; by != nil {
		if by.ProjectID == "" { // a system-scoped token: Cinder takes paths without it
			return "", nil
		}
		return "/" + by.ProjectID, nil
	}
	id, err := c.Account.ProjectID(x.ctx)
	if err != nil || id == "" {
		return "", err
	}
	return "/" + id, nil
}

// checkPath refuses what could lead a request that has the service account's
// token elsewhere than its author meant.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
		return fault.New(fault.Invalid, "", "the path %q is malformed", path)
	}
	for segment := range strings.SplitSeq(path, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || plain == "." || plain == ".." {
			return fault.New(fault.Invalid, "", "the path %q is malformed", path)
		}
	}
	return nil
}

// unsent is the error for a request that never left.
func (c *Client) unsent(r *Request, cause error, format string, args ...any) error {
	return &fault.Error{
		Kind:    fault.Unavailable,
		Pod:     c.Options.Name,
		Message: "cannot " + r.op() + ": " + fmt.Sprintf(format, args...),
		Err:     &notSent{err: cause, early: true},
	}
}

// unready puts pod and operation before what kept a request from being sent.
func (c *Client) unready(x *exchange, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		out := *f
		out.Pod = c.Options.Name
		out.Message = "cannot " + x.request.op() + ": " + f.Message
		out.Err = &notSent{err: err, early: true}
		return &out
	}
	return c.unsent(x.request, err, "%v", err)
}

// notSent marks an error of a request that had no effect, since it was not sent.
type notSent struct {
	err   error
	early bool // nothing was even tried at the pod
}

func (e *notSent) Error() string { return "nothing was sent" }
func (e *notSent) Unwrap() error { return e.err }

// Refused is f as the error of a request that was not sent, for what it asks.
func Refused(f fault.Error) error {
	f.Err = &notSent{err: f.Err}
	return &f
}

// NotSent reports whether err comes from a request that never reached the pod, so
// that it can have had no effect.
func NotSent(err error) bool {
	_, ok := errors.AsType[*notSent](err)
	return ok
}

// NotDone reports whether err shows that the request had no effect: it was not
// sent, or the pod refused it. After any other error it may have been carried out.
func NotDone(err error) bool {
	if NotSent(err) {
		return true
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Upstream == nil {
		return false
	}
	s := f.Upstream.Status
	return s >= 400 && s < 500 && s != http.StatusRequestTimeout
}
