package reconcile

import (
	"context"
	"sync"
	"time"
)

// bandwidth bounds how many bytes per second pass. All who share it wait in turn.
type bandwidth struct {
	rate int64 // 0: no bound
	mu   sync.Mutex
	free time.Time // when what was let pass has passed
}

// wait returns when n more bytes may pass.
func (b *bandwidth) wait(ctx context.Context, n int, now time.Time) error {
	pause := b.reserve(n, now)
	if pause <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reserve takes the time that n bytes need, and says how long to wait for it to
// begin. What was not used before is lost: there are no bursts.
func (b *bandwidth) reserve(n int, now time.Time) time.Duration {
	if b.rate <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free.Before(now) {
		b.free = now
	}
	pause := b.free.Sub(now)
	b.free = b.free.Add(time.Duration(float64(n) / float64(b.rate) * float64(time.Second)))
	return pause
}

// bandwidths are those of the pods.
type bandwidths struct {
	rate int64
	mu   sync.Mutex
	pods map[string]*bandwidth
}

func (b *bandwidths) of(pod string) *bandwidth {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pods[pod] == nil {
		b.pods[pod] = &bandwidth{rate: b.rate}
	}
	return b.pods[pod]
}

// slots count what is under way, by pod.
type slots struct {
	most int
	mu   sync.Mutex
	used map[string]int
}

// take reports whether there was one free.
func (s *slots) take(pod string) (free func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[pod] >= s.most {
		return nil, false
	}
	s.used[pod]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.used[pod]--
	}, true
}
