package jobs

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	runs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tricircle_job_runs_total",
			Help: "Runs of jobs by pod and outcome: done, again (not yet), waiting (pod away), failed.",
		}, []string{"pod", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tricircle_job_run_seconds",
			Help:    "Duration of one run of a job.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"pod"}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(m.runs), r.Register(m.seconds))
}

func (m *metrics) ran(pod, outcome string, took time.Duration) {
	m.runs.WithLabelValues(pod, outcome).Inc()
	m.seconds.WithLabelValues(pod).Observe(took.Seconds())
}

func outcome(err error) string {
	if err == nil {
		return "done"
	}
	if _, ok := errors.AsType[*Again](err); ok {
		return "again"
	}
	if passes(err) {
		return "waiting"
	}
	return "failed"
}
