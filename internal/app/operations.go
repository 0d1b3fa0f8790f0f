package app

import (
	"context"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds a readiness check; probes give up after about that long.
const readyTimeout = 5 * time.Second

// operations is the port for operators and their tools. It has no authentication
// and shows no tenant's data; it belongs on an inside address.
func (a *App) operations() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// ready says whether requests can be served: the database answers and Keystone
// knows our account. A pod that is away does not make Tricircle unready.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if _, err := a.store.ListPods(ctx); err != nil {
		answer(w, http.StatusServiceUnavailable, "database: "+err.Error())
		return
	}
	if _, err := a.account.Token(ctx); err != nil {
		answer(w, http.StatusServiceUnavailable, "keystone: "+err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the prober has gone: nobody to tell
}

func newRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "tricircle_build_info",
		Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	r.MustRegister(info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// newPodMetrics counts the requests to pods.
func newPodMetrics(r prometheus.Registerer) func(pod, service, op string, status int, d time.Duration) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tricircle_pod_requests_total",
		Help: "Requests to pods. Status 0: no answer.",
	}, []string{"pod", "service", "op", "status"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "tricircle_pod_request_seconds",
		Help:    "Time until a pod's answer began.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"pod", "service"})
	r.MustRegister(requests, seconds)
	return func(pod, service, op string, status int, d time.Duration) {
		requests.WithLabelValues(pod, service, op, strconv.Itoa(status)).Inc()
		seconds.WithLabelValues(pod, service).Observe(d.Seconds())
	}
}
