package pod

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeClock is a clock that moves when told.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	var notes []string
	clock := newClock()
	b := newBreaker(BreakerOptions{}, clock.Now, func(state, reason string) { notes = append(notes, state+" "+reason) })
	step := func(v verdict) (allowed bool) {
		p, ok := b.allow()
		if ok {
			b.report(p, v, "refused")
		}
		return ok
	}
	expect := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: allowed = %t, want %t", what, got, want)
		}
	}
	for range 4 {
		expect("failing", step(failed), true)
	}
	expect("a success in between", step(healthy), true)
	for range 4 {
		expect("failing again", step(failed), true)
	}
	expect("a request that says nothing", step(noVerdict), true)
	expect("the fifth in a row", step(failed), true)
	expect("open", step(healthy), false)
	if state, since, reason := b.state(); state != Away || !since.Equal(clock.Now()) || reason != "refused" {
		t.Errorf("state = %s %v %s", state, since, reason)
	}
	for _, wait := range []int{2, 4, 8, 16, 30, 30} {
		clock.Add(time.Duration(wait)*time.Second - time.Millisecond)
		expect("before the trial", step(failed), false)
		clock.Add(time.Millisecond)
		expect("the trial", step(failed), true)
	}
	clock.Add(30 * time.Second)
	expect("a trial without verdict", step(noVerdict), true)
	expect("so another", step(healthy), true)
	if state, _, _ := b.state(); state != Up {
		t.Errorf("state = %s, want up", state)
	}
	if diff := cmp.Diff([]string{"away refused", "up refused"}, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// Late answers of requests that were sent before the breaker opened change nothing.
func TestBreakerIgnoresStragglers(t *testing.T) {
	t.Parallel()
	clock := newClock()
	b := newBreaker(BreakerOptions{Failures: 1}, clock.Now, func(string, string) {})
	early, _ := b.allow()
	late, _ := b.allow()
	b.report(early, failed, "hangs")
	b.report(late, healthy, "")
	if state, _, _ := b.state(); state != Away {
		t.Errorf("state = %s, want away", state)
	}
}

func TestBreakerLetsOneTry(t *testing.T) {
	t.Parallel()
	clock := newClock()
	b := newBreaker(BreakerOptions{Failures: 1}, clock.Now, func(string, string) {})
	p, _ := b.allow()
	b.report(p, failed, "x")
	clock.Add(time.Minute)
	var (
		tries atomic.Int32
		wait  sync.WaitGroup
	)
	for range 100 {
		wait.Go(func() {
			if _, ok := b.allow(); ok {
				tries.Add(1)
			}
		})
	}
	wait.Wait()
	if n := tries.Load(); n != 1 {
		t.Errorf("%d trials at a time, want 1", n)
	}
}
