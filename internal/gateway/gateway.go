// Package gateway is what the services share: it finds the route, knows the
// caller, calls the handler and sends its reply or error in the service's words.
//
// A service is a table of routes (Service). Handlers never write to the
// connection; decoding, error bodies, metrics, logs and limits are done once,
// here, by the steps listed in New.
package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
)

// DefaultMaxBody is oslo.middleware's limit, which the OpenStack services use.
const DefaultMaxBody = 114688

// Verifier turns a token into a caller. Package identity implements it.
type Verifier interface {
	Verify(ctx context.Context, token string) (identity.Caller, error)
}

// Options are what New needs; only Services and Verifier must be set.
type Options struct {
	Services []Service
	Verifier Verifier
	AuthURL  string // told to clients without a token
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	MaxBody  int64 // 0: DefaultMaxBody
	// BodyTime is how long a client may take to send a body that is not streamed.
	// 0: for ever.
	BodyTime  time.Duration
	PublicURL string // empty: as the client wrote it
	Now       func() time.Time
}

// gateway is the handler of all services.
type gateway struct {
	Options
	router  *router
	metrics *metrics
	steps   []step
}

// exchange is one request on its way through the steps.
type exchange struct {
	w       *writer
	r       *http.Request
	req     *Request // set by the step match
	service *Service // nil for a path of no service
	route   *Route   // nil until matched
	caller  identity.Caller
	id      string // our request ID
	began   time.Time
	pods    *podRecord
}

// step does its part and calls next, or answers by returning an error.
type step func(x *exchange, next func(*exchange) error) error

// New makes the handler. It panics when two routes collide.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &gateway{Options: o, router: newRouter(o.Services), metrics: newMetrics(o.Metrics)}
	// The order matters: what comes first sees the outcome of all that follows.
	g.steps = []step{
		g.record,       // access log and metrics, once all is done
		g.recover,      // a panic becomes a 500
		g.answer,       // an error becomes the service's error body
		g.match,        // the route, else 404
		g.limit,        // body size
		g.authenticate, // the token, else 401
		g.authorise,    // project in the path, admin routes, the service's own checks
		g.handle,       // the route's handler
	}
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// What one service asks another (Inside) belongs to the request that it is for.
	from, within := r.Context().Value(recordKey{}).(carried)
	if !within {
		from = carried{pods: &podRecord{}, id: newRequestID()}
	}
	id := from.id
	x := &exchange{
		w: &writer{ResponseWriter: w}, r: r, id: id, began: g.Now(),
		service: serviceOf(g.Services, r.URL.Path), pods: from.pods,
	}
	x.r = r.WithContext(withPodRecord(r.Context(), x.pods, id))
	w.Header().Set("X-Openstack-Request-Id", id)
	if err := g.run(x, 0); err != nil {
		// Every error has been answered by the step answer; what is left broke
		// while the body was going out, and only a cut connection says so.
		panic(http.ErrAbortHandler)
	}
}

func (g *gateway) run(x *exchange, i int) error {
	if i == len(g.steps) {
		return nil
	}
	return g.steps[i](x, func(x *exchange) error { return g.run(x, i+1) })
}

// answer turns the error of a later step into a reply.
func (g *gateway) answer(x *exchange, next func(*exchange) error) error {
	err := next(x)
	if err == nil || x.w.status != 0 {
		return err // too late for another status
	}
	f := faultOf(err)
	if f.Kind == fault.Internal {
		g.Log.Error("request failed", "request_id", x.id, "method", x.r.Method, "path", x.r.URL.Path, "error", err)
	}
	g.fail(x, f)
	return nil
}

// fail writes an error in the words of the service, if the path belongs to one.
func (g *gateway) fail(x *exchange, f *fault.Error) {
	shape := Shape(AdminError)
	if x.service != nil && x.service.Error != nil {
		shape = x.service.Error
	}
	status, header, body := shape(f, x.r)
	h := x.w.Header()
	for name, values := range header {
		h[name] = values
	}
	if status != http.StatusMethodNotAllowed {
		h.Del("Allow") // set in case that the service says 405
	}
	if f.Pod != "" {
		h.Set("X-Tricircle-Pod", f.Pod)
	}
	if f.Kind == fault.Unauthenticated {
		h.Set("Www-Authenticate", `Keystone uri="`+g.AuthURL+`"`)
	}
	if f.Kind == fault.TooLarge {
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	reply := &Reply{Status: status, Body: body}
	x.finish(reply)
	if err := reply.send(x.w); err != nil {
		g.Log.Info("cannot send the error", "request_id", x.id, "error", err)
	}
}

// finish adds what every reply carries.
func (x *exchange) finish(reply *Reply) {
	h := x.w.Header()
	for name, values := range reply.Header {
		h[name] = values
	}
	reply.Header = nil
	h.Set("X-Openstack-Request-Id", x.id)
	if x.service != nil && x.service.After != nil && x.req != nil {
		x.service.After(x.req, h)
	}
	if ids := x.pods.String(); ids != "" {
		h.Set("X-Tricircle-Pod-Request-Ids", ids)
	}
}

// match finds the route.
func (g *gateway) match(x *exchange, next func(*exchange) error) error {
	path := x.r.URL.EscapedPath()
	if x.service != nil {
		path = strings.TrimSuffix(path, x.service.Suffix)
	}
	m, allowed, ok := g.router.find(x.r.Method, path)
	if ok {
		x.route, x.service = m.route, m.service
		x.req = &Request{
			Request: x.r, Route: m.route, Service: m.service, ID: x.id,
			params: m.params, publicURL: publicURL(g.PublicURL, x.r),
		}
		return next(x)
	}
	x.req = &Request{Request: x.r, Service: x.service, ID: x.id, publicURL: publicURL(g.PublicURL, x.r)}
	// The services stand behind authentication: strangers get a 401 here too, and
	// cannot find out which paths exist.
	if err := g.authenticate(x, func(*exchange) error { return nil }); err != nil {
		return err
	}
	if len(allowed) > 0 {
		x.w.Header()["Allow"] = allowed
		return fault.New(fault.NotAllowed, CodeNoRoute, "The method %s is not allowed for this resource.", x.r.Method)
	}
	return fault.New(fault.NotFound, CodeNoRoute, "The resource could not be found.")
}

// limit refuses bodies over the route's limit: at once when the length is told,
// else when the limit is passed.
func (g *gateway) limit(x *exchange, next func(*exchange) error) error {
	limit := g.MaxBody
	if x.route.MaxBody != 0 {
		limit = x.route.MaxBody
	}
	if limit != Unlimited {
		if x.r.ContentLength > limit {
			return bodyTooLarge(limit)
		}
		x.req.Body = http.MaxBytesReader(x.w, g.hurry(x), limit)
	}
	return next(x)
}

// hurry gives the client BodyTime to send the body.
func (g *gateway) hurry(x *exchange) io.ReadCloser {
	if g.BodyTime == 0 || x.r.ContentLength == 0 {
		return x.req.Body
	}
	conn := http.NewResponseController(x.w)
	if conn.SetReadDeadline(time.Now().Add(g.BodyTime)) != nil {
		return x.req.Body // not a real connection
	}
	return &hurriedBody{x.req.Body, conn}
}

// hurriedBody lifts the deadline at the end of the body. It would otherwise
// strike later, while the server listens for the client hanging up, and be taken
// for that.
type hurriedBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (b *hurriedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.conn.SetReadDeadline(time.Time{}) // it could be set before
	}
	return n, err
}

func (g *gateway) handle(x *exchange, _ func(*exchange) error) error {
	reply, err := x.route.Handle(x.req.Context(), x.caller, x.req)
	if err != nil {
		return err
	}
	x.finish(reply)
	return reply.send(x.w)
}

// recover keeps a programming error within its request.
func (g *gateway) recover(x *exchange, next func(*exchange) error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if broken, ok := v.(error); ok && errors.Is(broken, http.ErrAbortHandler) {
			panic(v)
		}
		g.Log.Error("panic", "request_id", x.id, "method", x.r.Method, "path", x.r.URL.Path, "panic", v, "stack", stack())
		if x.w.status != 0 {
			err = &brokenBody{fault.New(fault.Internal, "", "panic")}
			return
		}
		g.fail(x, &fault.Error{Kind: fault.Internal})
	}()
	return next(x)
}
