package dispatch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// slower is how many times longer than half of the pods the others may take.
const slower = 3

// openAll opens all sources. Once half of those that are not away have their first
// page, pods in doubt get some time more: the dispatcher's patience, or a few times
// what the first took. Such a pod, which let the last list wait in vain, then counts
// as away in this one, so that it does not delay everybody by the whole time limit,
// again and again until its breaker opens. Its request goes on without us, and tells whether it is
// away or slow. A pod that answered last time has the whole limit: to be slow is no
// reason to leave its rows out.
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
			l.d.doubts.judge(l, s)
			opened <- s
		}()
	}
	var over <-chan time.Time
	answered, armed := 0, false
	for waiting := len(l.sources); waiting > 0; {
		if !armed && !l.Strict && answered > 0 && answered >= waiting {
			timer := time.NewTimer(max(l.d.Patience, slower*time.Since(begun)))
			defer timer.Stop()
			over, armed = timer.C, true
		}
		select {
		case s := <-opened:
			if attempts[s.number] == nil {
				continue // given up
			}
			attempts[s.number] = nil
			waiting--
			if s.err == nil && !s.skipped {
				answered++
			}
		case <-over:
			waiting -= l.giveUp(ctx, attempts, time.Since(begun))
		}
	}
}

// giveUp puts sources without an answer in the place of those in doubt that still
// wait for one, and says how many these were.
func (l *listing) giveUp(ctx context.Context, attempts []*attempt, waited time.Duration) (n int) {
	for i, a := range attempts {
		if a == nil || !l.d.doubts.about(l, l.sources[i].name) {
			continue
		}
		n++
		attempts[i] = nil
		a.left.Store(true)
		s := &source{listing: l, name: l.sources[i].name, number: i}
		s.begin()
		l.sources[i] = s
		s.fail(ctx, &fault.Error{
			Kind: fault.Timeout, Pod: s.name,
			Message: fmt.Sprintf("cannot list %s: no answer within %v, when other pods had answered", l.Field, waited.Round(time.Millisecond)),
		})
	}
	return n
}

// doubts are the services of pods that let the last list wait in vain.
type doubts struct{ late sync.Map }

type doubted struct {
	pod     string
	service pod.Service
}

func (d *doubts) about(l *listing, name string) bool {
	_, late := d.late.Load(doubted{name, l.Service})
	return late
}

// judge notes how the pod answered. A client that went away says nothing of it.
func (d *doubts) judge(l *listing, s *source) {
	key := doubted{s.name, l.Service}
	switch {
	case s.skipped:
	case fault.Is(s.err, fault.Timeout):
		d.late.Store(key, true)
	case s.err == nil:
		d.late.Delete(key)
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
