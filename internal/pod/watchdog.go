package pod

import (
	"sync"
	"time"
)

// phase of an exchange.
type phase int

const (
	asking    phase = iota // until the answer's header is there
	answering              // its body is being read
)

// watchdog bites when nothing moves for too long. It is fed by the request's body,
// which net/http may still send when the answer is already there; then that no
// longer matters, hence the phase.
type watchdog struct {
	mu    sync.Mutex
	phase phase
	timer *time.Timer
}

func newWatchdog(d time.Duration, bite func(phase)) *watchdog {
	w := new(watchdog)
	w.timer = time.AfterFunc(d, func() {
		w.mu.Lock()
		p := w.phase
		w.mu.Unlock()
		bite(p)
	})
	return w
}

// feed grants d more, if the exchange is in the phase.
func (w *watchdog) feed(p phase, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p == w.phase {
		w.timer.Reset(d)
	}
}

// sleep keeps it from biting until it is fed in the phase.
func (w *watchdog) sleep(p phase) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = p
	w.timer.Stop()
}
