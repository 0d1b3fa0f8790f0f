// Package pod is the client of one OpenStack cloud.
//
// A Client knows where the pod's services are, sends requests with the caller's
// token or the service account's, and keeps the pod's trouble in the pod: each
// request has a deadline, each service a limit on requests in flight and a
// breaker that stops asking a service that is away. Package pod is also the one
// place that turns an OpenStack error status into a fault.
package pod

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tricircle/tricircle/internal/identity"
)

// Service is a kind of OpenStack service, named as in the catalog.
type Service string

// The services that Tricircle uses in a pod.
const (
	Compute Service = "compute"
	Network Service = "network"
	Volume  Service = "volumev3"
	Image   Service = "image"
)

// Services lists them all.
func Services() []Service { return []Service{Compute, Network, Volume, Image} }

// States of a pod as its breakers see it.
const (
	Up   = "up"
	Away = "away"
)

// Defaults of Options.
const (
	DefaultTimeout        = 60 * time.Second
	DefaultConnectTimeout = 3 * time.Second
	DefaultConcurrency    = 64
)

const probeTimeout = 10 * time.Second

// Options make a Client. Name, Region and Account are required.
type Options struct {
	Name      string
	Region    string // the pod's region in Keystone
	Interface string // endpoint interface; default public
	Account   *Account

	Timeout        time.Duration // without progress towards an answer; default 60 s
	IdleTimeout    time.Duration // without a byte of an answer's body; default Timeout
	ConnectTimeout time.Duration // default 3 s
	// MaxConcurrent bounds the requests that wait for an answer, per service, so
	// that slow image uploads do not keep servers from being listed. Default 64.
	MaxConcurrent int
	Breaker       BreakerOptions

	// Metrics is called once per request; status 0 means no answer. Op is as in
	// Request, so it has few values.
	Metrics func(pod, service, op string, status int, d time.Duration)
	// Around, if set, does each request by means of do, which sends it: package
	// release brings requests and answers to other versions there.
	Around func(ctx context.Context, c *Client, r Request, do Doer) (*http.Response, error)
	Log    *slog.Logger
	Now    func() time.Time
}

// Doer sends a request.
type Doer func(ctx context.Context, r Request) (*http.Response, error)

// Request is one call to the pod.
type Request struct {
	Service Service
	Method  string
	// Path is escaped and relative to the service's version root: compute /v2.1,
	// network /v2.0, image /v2, volume /v3/{project of As, else of the account}.
	// A path that begins with "//" is relative to the endpoint's root instead;
	// "//" alone is the list of versions.
	Path     string
	Query    url.Values
	RawQuery string // as a client sent it; used when Query is nil
	Header   http.Header
	// Body is streamed, and closed if it is an io.Closer. Length 0 means the length
	// its type shows (bytes.Reader and the like), else unknown. A request with such
	// a body, or none, survives a stale token of the service account.
	Body   io.Reader
	Length int64
	As     *identity.Caller // nil: the service account
	// Timeout replaces Options.Timeout for this request.
	Timeout time.Duration
	// Op says what the request does, for errors and metrics: "create port".
	Op string
}

// op is the operation for people.
func (r *Request) op() string {
	if r.Op != "" {
		return r.Op
	}
	return "call " + string(r.Service)
}

// Client talks to one pod. It is safe for concurrent use.
type Client struct {
	Options
	transport *http.Transport
	lanes     map[Service]*lane
}

// lane is what the requests to one service share, so that a service that hangs
// takes nothing from the others.
type lane struct {
	slots   chan struct{} // held until the answer's header is there
	uploads chan struct{} // the same for long bodies, which hold theirs for minutes
	breaker *breaker
}

// New makes a client. It makes no call.
func New(o Options) *Client {
	o = o.withDefaults()
	c := &Client{Options: o, lanes: make(map[Service]*lane)}
	for _, s := range Services() {
		c.lanes[s] = &lane{
			slots:   make(chan struct{}, o.MaxConcurrent),
			uploads: make(chan struct{}, o.MaxConcurrent),
			breaker: newBreaker(o.Breaker, o.Now, c.noteState(s)),
		}
	}
	c.transport = newTransport(o)
	return c
}

func (o Options) withDefaults() Options {
	if o.Interface == "" {
		o.Interface = "public"
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = o.Timeout
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = DefaultConcurrency
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = func(string, string, string, int, time.Duration) {}
	}
	return o
}

func newTransport(o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: o.ConnectTimeout, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     o.Account.tlsConfig(),
		TLSHandshakeTimeout: 2 * o.ConnectTimeout,
		Protocols:           protocols,
		MaxIdleConnsPerHost: o.MaxConcurrent,
		// Less than the 5 s after which Apache drops an idle connection: a POST on a
		// connection that the pod is just closing cannot be told from a lost one.
		IdleConnTimeout: 4 * time.Second,
		// Bodies pass as the pod sent them, compressed or not.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
		WriteBufferSize:        32 << 10,
		ReadBufferSize:         32 << 10,
	}
}

// Name is the pod's name.
func (c *Client) Name() string { return c.Options.Name }

// Close drops idle connections. Requests under way go on.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// State is Away, with the time and the reason, while the breaker of a service
// that servers need (Compute, Network) is open.
func (c *Client) State() (state string, since time.Time, reason string) {
	for _, s := range []Service{Compute, Network} {
		if state, since, reason = c.ServiceState(s); state != Up {
			return state, since, string(s) + ": " + reason
		}
	}
	return Up, since, ""
}

// ServiceState is the state of one service's breaker.
func (c *Client) ServiceState(s Service) (state string, since time.Time, reason string) {
	l, ok := c.lanes[s]
	if !ok {
		return Up, time.Time{}, ""
	}
	return l.breaker.state()
}

// Probe asks the pod's compute service for its version document. It goes through
// the breaker like any request, so it also finds out that a pod is back.
func (c *Client) Probe(ctx context.Context) error {
	return c.JSON(ctx, Request{
		Service: Compute,
		Method:  http.MethodGet,
		Path:    "/",
		Timeout: min(c.Timeout, probeTimeout),
		Op:      "probe",
	}, nil, nil)
}

// noteState logs a breaker's changes. When a service goes away its endpoint may
// have moved, so the catalog is read again.
func (c *Client) noteState(s Service) func(state, reason string) {
	return func(state, reason string) {
		if state == Away {
			c.Log.Warn("pod is away", "pod", c.Options.Name, "service", string(s), "reason", reason)
			c.Account.staleCatalog()
			return
		}
		c.Log.Info("pod is back", "pod", c.Options.Name, "service", string(s))
	}
}
