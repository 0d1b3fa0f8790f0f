package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river/rivertype"

	"github.com/tricircle/tricircle/internal/fault"
)

func TestNext(t *testing.T) {
	t.Parallel()
	away := &fault.Error{Kind: fault.Unavailable, Pod: "pod1", Message: "connection refused"}
	for _, c := range []struct {
		name   string
		before note
		err    error
		want   note
		wait   time.Duration // a fifth more or less
	}{
		{"first failure", note{}, errors.New("no"), note{1, "no", true}, time.Second},
		{"second", note{1, "no", true}, errors.New("no"), note{2, "no", true}, 2 * time.Second},
		{"fifth", note{4, "no", true}, errors.New("no"), note{5, "no", true}, 16 * time.Second},
		{"sixth is the longest wait", note{5, "no", true}, errors.New("no"), note{6, "no", true}, 30 * time.Second},
		{"after weeks", note{100000, "no", true}, errors.New("no"), note{100001, "no", true}, 30 * time.Second},
		{"pod away", note{}, away, note{1, "pod pod1: connection refused", false}, time.Second},
		{"pod away, wrapped", note{}, fmt.Errorf("network: %w", away), note{1, "network: pod pod1: connection refused", false}, time.Second},
		{"time is up", note{}, context.DeadlineExceeded, note{1, "context deadline exceeded", false}, time.Second},
		{"not yet", note{3, "no", true}, &Again{After: 5 * time.Second, Reason: "is being deleted"}, note{0, "is being deleted", false}, 5 * time.Second},
		{"not yet, soon", note{}, fmt.Errorf("server: %w", &Again{Reason: "soon"}), note{0, "soon", false}, time.Second},
	} {
		got, wait := next(c.before, c.err, longWait)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: note (-want +got):\n%s", c.name, diff)
		}
		if fifth := c.wait / 5; wait < c.wait-fifth || wait > c.wait+fifth {
			t.Errorf("%s: wait %v, want about %v", c.name, wait, c.wait)
		}
	}
}

func TestQueueName(t *testing.T) {
	t.Parallel()
	names := []string{
		"", "pod1", "eu-2", "region", "Pod1", "pod_1", "pod-1", "pod--1", "-pod1", "pod1-", "Köln", "köln", "東京", "a b", "a/b",
		strings.Repeat("x", 48), strings.Repeat("x", 49), strings.Repeat("x", 200), strings.Repeat("x-", 100),
	}
	seen := map[string]string{}
	for _, name := range names {
		q := queueName(name)
		if !validQueue(q) {
			t.Errorf("queueName(%q) = %q, which River refuses", name, q)
		}
		if other, taken := seen[q]; taken {
			t.Errorf("queueName(%q) = queueName(%q) = %q", name, other, q)
		}
		seen[q] = name
	}
}

// validQueue is River's rule: letters and digits, with single separators.
func validQueue(q string) bool {
	if q == "" || len(q) > 64 {
		return false
	}
	for _, part := range strings.FieldsFunc(strings.ReplaceAll(q, "-", "_")+"_", func(r rune) bool { return r == '_' }) {
		if strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	flat := strings.ReplaceAll(q, "-", "_")
	return !strings.Contains(flat, "__") && !strings.HasPrefix(flat, "_") && !strings.HasSuffix(flat, "_")
}

func TestState(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		name string
		row  rivertype.JobRow
		note note
		want string
	}{
		{"due", rivertype.JobRow{State: rivertype.JobStateAvailable, ScheduledAt: now}, note{}, Pending},
		{"later, short", rivertype.JobRow{State: rivertype.JobStateAvailable, ScheduledAt: now.Add(time.Second)}, note{}, Waiting},
		{"later, long", rivertype.JobRow{State: rivertype.JobStateScheduled, ScheduledAt: now.Add(time.Minute)}, note{}, Waiting},
		{"refused", rivertype.JobRow{State: rivertype.JobStateScheduled, ScheduledAt: now.Add(time.Minute)}, note{Failed: true}, Failed},
		{"panicked", rivertype.JobRow{State: rivertype.JobStateRetryable, Errors: []rivertype.AttemptError{{}}}, note{}, Failed},
		{"running", rivertype.JobRow{State: rivertype.JobStateRunning}, note{Failed: true}, Running},
		{"done", rivertype.JobRow{State: rivertype.JobStateCompleted}, note{Failed: true}, Done},
		{"discarded", rivertype.JobRow{State: rivertype.JobStateDiscarded}, note{}, Failed},
	} {
		if got := state(&c.row, c.note, now); got != c.want {
			t.Errorf("%s: state = %s, want %s", c.name, got, c.want)
		}
	}
}
