package dispatch

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// slower is how many times longer than half of the pods the others may take.
const slower = 3

// openAll opens all sources. Once half of those that are not away have their first
// page, the others get some time more: the dispatcher's patience, or a few times
// what the first took. A pod that has not answered then counts as away in this list, so that one
// that hangs does not delay everybody by the whole time limit. Its request goes on
// without us, until the pod's client knows whether the pod is away or slow.
func (l *listing) openAll(ctx context.Context) {
	begun := time.Now()
	opened := make(chan *source, len(l.sources))
	attempts := make([]*attempt, len(l.sources))
	for i, s := range l.sources {
		a := newAttempt(ctx)
		attempts[i], s.attempt = a, a
		go func() { // ends with the dispatcher's time limit
			defer a.end()
			s.open(a.ctx)
			opened <- s
		}()
	}
	var over <-chan time.Time
	answered := 0
	for waiting := len(l.sources); waiting > 0; {
		if over == nil && !l.Strict && answered > 0 && answered >= waiting {
			timer := time.NewTimer(max(l.d.Patience, slower*time.Since(begun)))
			defer timer.Stop()
			over = timer.C
		}
		select {
		case s := <-opened:
			attempts[s.number] = nil
			waiting--
			if s.err == nil && !s.skipped {
				answered++
			}
		case <-over:
			l.giveUp(ctx, attempts, time.Since(begun))
			return
		}
	}
}

// giveUp puts sources without an answer in the place of those that still wait for
// one.
func (l *listing) giveUp(ctx context.Context, attempts []*attempt, waited time.Duration) {
	for i, a := range attempts {
		if a == nil {
			continue
		}
		a.left.Store(true)
		s := &source{listing: l, name: l.sources[i].name, number: i}
		s.begin()
		l.sources[i] = s
		s.fail(ctx, &fault.Error{
			Kind: fault.Timeout, Pod: s.name,
			Message: fmt.Sprintf("cannot list %s: no answer within %v, when other pods had answered", l.Field, waited.Round(time.Millisecond)),
		})
	}
}

// attempt is the time that a source has to open. It ends when the client goes
// away, unless the source has been left to itself.
type attempt struct {
	ctx  context.Context
	left atomic.Bool
	end  func()
}

func newAttempt(parent context.Context) *attempt {
	a := &attempt{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		if !a.left.Load() {
			cancel()
		}
	})
	a.ctx, a.end = ctx, func() { stop(); cancel() }
	return a
}
