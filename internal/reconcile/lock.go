package reconcile

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

// A target is worked on by one goroutine of one replica at a time. Within the
// process a mutex per target lines the waiters up; between replicas a lease does.
// A replica that dies leaves a lease that runs out; what it had begun is found
// again by its mark.
const (
	leaseTime  = 15 * time.Second
	leaseRenew = 5 * time.Second
	leasePoll  = 100 * time.Millisecond
)

type locks struct {
	store  *store.Store
	holder string
	mu     sync.Mutex
	held   map[string]*lock
}

type lock struct {
	turn  chan struct{} // holds one token while free
	users int
}

// keyOf names the target in leases.
func keyOf(t store.Target) string { return t.Kind + "/" + t.ID + "/" + t.Pod }

// lock waits for the key, among goroutines and among replicas. The returned
// function gives it back. It is nil when done, which may be nil, says that there
// is nothing left to do once our turn has come.
func (l *locks) lock(ctx context.Context, key string, done func() bool) (unlock func(), err error) {
	leave, err := l.turn(ctx, key)
	if err != nil {
		return nil, err
	}
	if done != nil && done() {
		leave()
		return nil, nil
	}
	release, err := l.lease(ctx, key)
	if err != nil {
		leave()
		return nil, err
	}
	return func() {
		release()
		leave()
	}, nil
}

// turn waits for the key among the goroutines of this process.
func (l *locks) turn(ctx context.Context, key string) (leave func(), err error) {
	k := l.join(key)
	select {
	case <-k.turn:
	case <-ctx.Done():
		l.leave(key, k)
		return nil, waited(ctx, key)
	}
	return func() {
		k.turn <- struct{}{}
		l.leave(key, k)
	}, nil
}

func (l *locks) join(key string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[key]
	if k == nil {
		k = &lock{turn: make(chan struct{}, 1)}
		k.turn <- struct{}{}
		l.held[key] = k
	}
	k.users++
	return k
}

func (l *locks) leave(key string, k *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, key)
	}
}

// lease takes the key among replicas and renews it until released.
func (l *locks) lease(ctx context.Context, key string) (release func(), err error) {
	poll := time.NewTicker(leasePoll)
	defer poll.Stop()
	for {
		ok, err := l.store.Acquire(ctx, key, l.holder, leaseTime)
		if err != nil {
			return nil, err
		}
		if ok {
			break
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil, waited(ctx, key)
		}
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.renew(renewing, key)
	}()
	return func() {
		stop()
		<-done
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
		defer cancel()
		// Left unreleased it runs out by itself.
		_ = l.store.Release(end, key, l.holder)
	}, nil
}

func (l *locks) renew(ctx context.Context, key string) {
	t := time.NewTicker(leaseRenew)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			// A renewal that fails is tried again at the next tick; there are two
			// before the lease runs out. A lease that was lost all the same means
			// that we stood still for long: who took it looks for our marks first.
			_, _ = l.store.Renew(ctx, key, l.holder, leaseTime)
		}
	}
}

// waited is the error for a turn that did not come in time.
func waited(ctx context.Context, key string) error {
	kind, rest, _ := strings.Cut(key, "/")
	id, podName, _ := strings.Cut(rest, "/")
	return &fault.Error{Kind: fault.Timeout, Pod: podName, Err: ctx.Err(),
		Message: "cannot work on " + kind + " " + id + ": other work on it takes too long"}
}
