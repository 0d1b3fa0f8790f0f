package pod

import (
	"sync"
	"time"
)

// BreakerOptions tune when a service counts as away. The zero value is good.
type BreakerOptions struct {
	Failures int           // in a row until it opens; default 5
	Wait     time.Duration // until the first trial; default 2 s, doubled after each failed trial
	MaxWait  time.Duration // default 30 s
}

// verdict is what a request says about the service's health.
type verdict int

const (
	noVerdict verdict = iota // the caller gave up, or nothing was sent
	healthy
	failed
)

// breaker stops requests to a service that failed several times in a row, and
// lets one at a time try whether it is back.
type breaker struct {
	BreakerOptions
	now    func() time.Time
	notify func(state, reason string)

	mu      sync.Mutex
	row     int // failures in a row
	open    bool
	trial   bool // a request is out to try
	since   time.Time
	retryAt time.Time
	wait    time.Duration
	reason  string
}

func newBreaker(o BreakerOptions, now func() time.Time, notify func(state, reason string)) *breaker {
	if o.Failures <= 0 {
		o.Failures = 5
	}
	if o.Wait <= 0 {
		o.Wait = 2 * time.Second
	}
	if o.MaxWait <= 0 {
		o.MaxWait = 30 * time.Second
	}
	return &breaker{BreakerOptions: o, now: now, notify: notify}
}

// pass is the leave to send one request; it must be given back by report.
type pass struct{ trial bool }

// allow grants a pass unless the breaker is open; then it says since when and why.
func (b *breaker) allow() (p pass, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return pass{}, true
	}
	if b.trial || b.now().Before(b.retryAt) {
		return pass{}, false
	}
	b.trial = true
	return pass{trial: true}, true
}

// report gives the pass back with what was learnt.
func (b *breaker) report(p pass, v verdict, reason string) {
	if changed, state := b.count(p, v, reason); changed {
		b.notify(state, reason)
	}
}

func (b *breaker) count(p pass, v verdict, reason string) (changed bool, state string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.trial {
		b.trial = false
	}
	switch {
	case v == healthy && (p.trial || !b.open):
		changed = b.open
		b.open, b.row, b.wait = false, 0, 0
		return changed, Up
	case v == failed && p.trial:
		b.reason = reason
		b.wait = min(2*b.wait, b.MaxWait)
		b.retryAt = b.now().Add(b.wait)
	case v == failed && !b.open:
		b.row++
		if b.row < b.Failures {
			break
		}
		b.open, b.since, b.reason, b.wait = true, b.now(), reason, b.Wait
		b.retryAt = b.since.Add(b.wait)
		return true, Away
	}
	// Requests that were under way when the breaker opened say nothing new.
	return false, ""
}

func (b *breaker) state() (state string, since time.Time, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return Up, time.Time{}, ""
	}
	return Away, b.since, b.reason
}
