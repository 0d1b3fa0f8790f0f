package gateway

import (
	"context"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tricircle/tricircle/internal/pod"
)

func newRequestID() string { return "req-" + uuid.NewString() }

func stack() string { return string(debug.Stack()) }

// writer remembers what was sent, for the log and the metrics.
type writer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// maxPodRecord keeps the header that lists a request's pods within what proxies
// accept.
const maxPodRecord = 50

// podRecord collects which pods took part in a request, and under which request
// IDs they logged it.
type podRecord struct {
	mu  sync.Mutex
	ids []string // "pod1=req-..."
}

func (p *podRecord) add(name, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ids) < maxPodRecord && !slices.Contains(p.ids, name+"="+id) {
		p.ids = append(p.ids, name+"="+id)
	}
}

func (p *podRecord) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.ids, ", ")
}

type recordKey struct{}

// carried is what a request's context holds: nothing that a handler decides by,
// only what logs need.
type carried struct {
	pods *podRecord
	id   string
}

func withPodRecord(ctx context.Context, pods *podRecord, id string) context.Context {
	return pod.WithTrace(context.WithValue(ctx, recordKey{}, carried{pods, id}), pods.add)
}

// requestID is our ID of the request, for error texts.
func requestID(r *http.Request) string {
	c, _ := r.Context().Value(recordKey{}).(carried)
	return c.id
}

type metrics struct {
	count   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tricircle_requests_total", Help: "Requests answered, by route.",
		}, []string{"service", "method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tricircle_request_seconds", Help: "Time to answer, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"service", "method", "route", "status"}),
	}
	if r != nil {
		r.MustRegister(m.count, m.seconds)
	}
	return m
}

// record logs and counts the request when it is over, however it ended.
func (g *gateway) record(x *exchange, next func(*exchange) error) error {
	finished := false
	var err error
	defer func() {
		service, route, method := "none", "none", methodLabel(x.r.Method)
		if x.service != nil {
			service = x.service.Name
		}
		if x.route != nil {
			route = x.route.Pattern
		}
		took := g.Now().Sub(x.began)
		labels := []string{service, method, route, strconv.Itoa(x.w.status)}
		g.metrics.count.WithLabelValues(labels...).Inc()
		g.metrics.seconds.WithLabelValues(labels...).Observe(took.Seconds())
		g.Log.Info("request", "method", x.r.Method, "path", x.r.URL.Path, "service", service, "route", route,
			"status", x.w.status, "duration", took, "bytes", x.w.bytes, "project", x.caller.ProjectID,
			"user", x.caller.UserID, "request_id", x.id, "pods", x.pods.String(), "complete", finished && err == nil)
	}()
	err = next(x)
	finished = true
	return err
}

// methodLabel bounds the label's values: a method is the client's free text.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}
