package jobs_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// BenchmarkEnqueue is one change of a mapping with its job, per transaction.
func BenchmarkEnqueue(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store) {
		prepare(b, jobs.Options{Store: s, Ensure: newWorld(s).Ensure})
		var n atomic.Int64
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				t := store.Target{Kind: store.KindNetwork, ID: fmt.Sprintf("net-%d", n.Add(1)), Pod: "pod1"}
				if _, err := s.Want(context.Background(), "project", t); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
	})
}

// BenchmarkRun is one job from fetch to done, with nothing to do in the pod.
func BenchmarkRun(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store) {
		w := newWorld(s)
		r := prepare(b, jobs.Options{Store: s, Ensure: w.Ensure, WorkersPerPod: 64, SweepEvery: time.Hour})
		var targets []store.Target
		for i := range b.N {
			targets = append(targets, store.Target{Kind: store.KindNetwork, ID: fmt.Sprintf("net-%d", i), Pod: "pod1"})
			if len(targets) == 500 {
				w.want(b, targets...)
				targets = nil
			}
		}
		w.want(b, targets...)
		b.ResetTimer()
		if err := r.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		defer stop(b, r)
		eventually(b, "all done", func() bool { return w.Runs() >= b.N })
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
}

func each(b *testing.B, f func(b *testing.B, s *store.Store)) {
	for _, db := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", storetest.SQLiteURL}, {"postgres", storetest.PostgresURL}} {
		b.Run(db.name, func(b *testing.B) {
			s := storetest.Open(b, store.Options{URL: db.url(b)})
			storetest.Pods(b, s, "pod1")
			f(b, s)
		})
	}
}
