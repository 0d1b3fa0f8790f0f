package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		of := store.QuotaOf{Service: quota.Compute, ProjectID: "p"}
		limit := func(when string, want int64) {
			t.Helper()
			if got, err := s.Limits(ctx, of); err != nil || got["instances"] != want {
				t.Errorf("instances %s: %v, %v; want %d", when, got, err, want)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		limit("before anybody told", 10)
		must(s.SetPodDefaults(ctx, quota.Compute, "pod1", quota.Amounts{"instances": 7}))
		must(s.SetPodDefaults(ctx, quota.Compute, "pod2", quota.Amounts{"instances": 30, "cores": 1}))
		must(s.SetPodDefaults(ctx, quota.Compute, "pod2", quota.Amounts{"instances": 8}))
		limit("as the pods give", 8)
		must(s.SetQuotaClass(ctx, quota.Compute, "gold", quota.Amounts{"instances": 99}))
		limit("whatever another class has", 8)
		must(s.SetQuotaClass(ctx, quota.Compute, "default", quota.Amounts{"instances": 6}))
		limit("by the default class", 6)
		must(s.SetQuota(ctx, of, quota.Amounts{"instances": -1}))
		limit("set", -1)
		if err := s.SetPodDefaults(ctx, quota.Compute, "pod9", quota.Amounts{"instances": 1}); err == nil {
			t.Error("SetPodDefaults of no pod: no error")
		}
	})
}

// TestQuotaGoesToPods: every pod gets a job for a project's limits, and for what
// is behind them.
func TestQuotaGoesToPods(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		jobs := &recorder{}
		s.SetEnqueuer(jobs)
		of := store.QuotaOf{Service: quota.Compute, ProjectID: "p"}
		both := []store.Target{store.QuotaTarget(quota.Compute, "p", "pod1"), store.QuotaTarget(quota.Compute, "p", "pod2")}
		for _, change := range []struct {
			what string
			do   func() error
			want []store.Target
		}{
			{"a user's limit", func() error {
				return s.SetQuota(ctx, store.QuotaOf{Service: quota.Compute, ProjectID: "p", UserID: "u"}, quota.Amounts{"cores": 1})
			}, nil},
			{"a project's limit", func() error { return s.SetQuota(ctx, of, quota.Amounts{"cores": 1}) }, both},
			{"the same again", func() error { return s.SetQuota(ctx, of, quota.Amounts{"cores": 1}) }, both},
			{"the default class", func() error { return s.SetQuotaClass(ctx, quota.Compute, "default", quota.Amounts{"ram": 1}) },
				append([]store.Target{{Kind: "compute_quota_class", ID: "default", Pod: "pod1"}, {Kind: "compute_quota_class", ID: "default", Pod: "pod2"}}, both...)},
			{"a pod that was in the way", func() error { return s.LiftQuota(ctx, quota.Compute, "q", "pod2") },
				[]store.Target{store.QuotaTarget(quota.Compute, "q", "pod2")}},
			{"no limits any more", func() error { return s.DropQuota(ctx, of) }, both},
		} {
			if err := change.do(); err != nil {
				t.Fatalf("%s: %v", change.what, err)
			}
			got := map[store.Target]bool{}
			for _, target := range jobs.take() {
				got[target] = true
			}
			want := map[store.Target]bool{}
			for _, target := range change.want {
				want[target] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("jobs of %s (-want +got):\n%s", change.what, diff)
			}
		}
		if set, err := s.QuotaSet(ctx, quota.Compute, "p"); err != nil || len(set) > 0 {
			t.Errorf("set in the end: %v, %v; want nothing", set, err)
		}
	})
}
