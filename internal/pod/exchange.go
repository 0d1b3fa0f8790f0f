package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

var (
	errNoAnswer = errors.New("no answer in time")
	errStalled  = errors.New("the request's body stalled")
	errIdle     = errors.New("the answer stalled")
	errClosed   = errors.New("the answer was closed")
)

// exchange is one request on its way. Its watchdog ends it when nothing moves for
// the request's timeout: first the request's body, then the wait for the answer's
// header, then the answer's body. So a long transfer may last, and a dead one may
// not.
type exchange struct {
	client   *Client
	request  *Request
	parent   context.Context
	ctx      context.Context
	traced   context.Context
	cancel   context.CancelCauseFunc
	timeout  time.Duration
	began    time.Time
	watchdog *watchdog
	body     func() io.Reader // the request's body; nil: none
	length   int64            // of it, -1 unknown

	sent    atomic.Bool // the request's header went out
	reading atomic.Bool // the transport waits for the request's body
	broken  atomic.Pointer[error]
}

func newExchange(ctx context.Context, c *Client, r *Request) *exchange {
	x := &exchange{client: c, request: r, parent: ctx, began: time.Now(), timeout: c.Timeout}
	if r.Timeout > 0 {
		x.timeout = r.Timeout
	}
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	x.traced = httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { x.sent.Store(true) },
	})
	x.body, x.length = r.content()
	x.watchdog = newWatchdog(x.timeout, x.abort)
	return x
}

func (x *exchange) abort(p phase) {
	switch {
	case p == answering:
		x.cancel(errIdle)
	case x.reading.Load():
		x.cancel(errStalled)
	default:
		x.cancel(errNoAnswer)
	}
}

func (x *exchange) end() {
	x.watchdog.sleep(answering)
	x.cancel(errClosed)
}

// stream is the answer's body. The watchdog sleeps while nobody reads it, since a
// slow reader is not the pod's fault.
func (x *exchange) stream(resp *http.Response) io.ReadCloser {
	x.watchdog.sleep(answering)
	dropHopByHop(resp.Header)
	if resp.Body == http.NoBody {
		x.end()
		return resp.Body
	}
	return &answer{exchange: x, body: resp.Body}
}

type answer struct {
	exchange *exchange
	body     io.ReadCloser
}

func (a *answer) Read(p []byte) (int, error) {
	x := a.exchange
	x.watchdog.feed(answering, x.client.IdleTimeout)
	n, err := a.body.Read(p)
	x.watchdog.sleep(answering)
	if err != nil && !errors.Is(err, io.EOF) {
		err = x.brokeOff(err)
	}
	return n, err
}

func (a *answer) Close() error {
	a.exchange.end()
	return a.body.Close()
}

func (x *exchange) brokeOff(err error) error {
	f := &fault.Error{
		Kind:    fault.Unavailable,
		Pod:     x.client.Options.Name,
		Message: fmt.Sprintf("cannot %s: the answer broke off: %s", x.request.op(), reason(err)),
		Err:     err,
	}
	if errors.Is(context.Cause(x.ctx), errIdle) {
		f.Kind = fault.Timeout
		f.Message = fmt.Sprintf("cannot %s: the answer stalled for %v", x.request.op(), x.client.IdleTimeout)
	}
	return f
}

// fault says why there is no answer.
func (x *exchange) fault(err error) error {
	f := &fault.Error{Kind: fault.Unavailable, Pod: x.client.Options.Name, Err: err}
	why := reason(err)
	cause := context.Cause(x.ctx)
	switch {
	case errors.Is(cause, errNoAnswer):
		f.Kind, why = fault.Timeout, fmt.Sprintf("no answer within %v", x.timeout)
	case errors.Is(x.parent.Err(), context.DeadlineExceeded):
		f.Kind, why = fault.Timeout, "no answer before the deadline"
	case x.parent.Err() != nil:
		f.Err, why = cause, "the caller went away"
	case x.broken.Load() != nil || errors.Is(cause, errStalled):
		// The client's doing: no pod to name.
		f.Kind, f.Pod, why = fault.Invalid, "", "the request's body broke off"
	}
	f.Message = "cannot " + x.request.op() + ": " + why
	if !x.sent.Load() {
		f.Err = &notSent{err: err}
	}
	return f
}

// verdict is what the exchange says about the service's health.
func (x *exchange) verdict(resp *http.Response, err error) (verdict, string) {
	if err != nil {
		return x.blame(err)
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return failed, fmt.Sprintf("it answers %d", resp.StatusCode)
	case http.StatusServiceUnavailable:
		// A service that explains itself is there; one user's creations that cannot be
		// met now must not shut out the others. For a GET there is no such excuse.
		json := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
		if !json || x.request.Method == http.MethodGet {
			return failed, "it answers 503"
		}
		return noVerdict, ""
	}
	return healthy, ""
}

// blame tells the pod's failures from our own and the caller's.
func (x *exchange) blame(err error) (verdict, string) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Pod == "" {
		return noVerdict, ""
	}
	if n, ok := errors.AsType[*notSent](err); ok && n.early {
		return noVerdict, ""
	}
	if parent := x.parent.Err(); parent != nil {
		// A deadline of the caller's own counts when it was fair.
		fair := time.Since(x.began) >= x.client.ConnectTimeout
		if !errors.Is(parent, context.DeadlineExceeded) || !fair {
			return noVerdict, ""
		}
	}
	_, why, _ := strings.Cut(f.Message, ": ")
	return failed, why
}

// reason is the error without the wrappings of net/http.
func reason(err error) string {
	var (
		op  *net.OpError
		dns *net.DNSError
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to it"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed before the answer was complete"
	case errors.As(err, &dns):
		return "its name " + dns.Name + " is not known"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return "no connection in time"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

// discard makes the connection free for the next request.
func discard(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, MaxErrorBody))
	_ = resp.Body.Close()
}
