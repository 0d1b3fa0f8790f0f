package dispatch

import (
	"context"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// observer brings what lists show into the index, in the background: a list does
// not wait for it, and drops what it has no room for. The next list shows it again.
type observer struct {
	index Index
	log   *slog.Logger
	queue chan store.Entry
	seed  maphash.Seed

	mu       sync.Mutex
	new, old map[store.Target]uint64 // hash of the row seen last
}

const (
	observerQueue = 4096
	observerBatch = 500
	observerWait  = 200 * time.Millisecond
	observerKnown = 100_000 // targets per generation
)

func newObserver(o Options) *observer {
	return &observer{
		index: o.Index, log: o.Log, queue: make(chan store.Entry, observerQueue), seed: maphash.MakeSeed(),
		new: map[store.Target]uint64{},
	}
}

// observe notes a row, unless it is as it was seen last.
func (o *observer) observe(kindName string, r row, podName, zone string, by identity.Caller) {
	target := store.Target{Kind: kindName, ID: r.id, Pod: podName}
	sum := maphash.Bytes(o.seed, r.raw)
	o.mu.Lock()
	known, ok := o.new[target]
	if !ok {
		known, ok = o.old[target]
	}
	o.mu.Unlock()
	if ok && known == sum || len(o.queue) == cap(o.queue) {
		return
	}
	entry, ok := EntryOf(kindName, r.raw, podName, zone, by)
	if !ok || strings.EqualFold(entry.Status, "deleted") {
		return // changes-since lists what is gone, too
	}
	select {
	case o.queue <- entry:
		o.remember(target, sum)
	default:
	}
}

func (o *observer) remember(target store.Target, sum uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.new) >= observerKnown {
		o.old, o.new = o.new, map[store.Target]uint64{}
	}
	o.new[target] = sum
}

func (o *observer) forget(target store.Target) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.new, target)
	delete(o.old, target)
}

func (o *observer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			for len(o.queue) > 0 {
				o.flush(rest, <-o.queue)
			}
			return
		case first := <-o.queue:
			// A short wait makes one write of a list's rows.
			timer := time.NewTimer(observerWait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			o.flush(context.WithoutCancel(ctx), first)
		}
	}
}

// flush records what waits.
func (o *observer) flush(ctx context.Context, first store.Entry) {
	batch := []store.Entry{first}
	for len(batch) < observerBatch {
		select {
		case e := <-o.queue:
			batch = append(batch, e)
			continue
		default:
		}
		break
	}
	if err := o.index.Record(ctx, batch...); err != nil {
		o.log.Warn("cannot record what a list showed", "entries", len(batch), "error", err)
		for _, e := range batch {
			o.forget(e.Target())
		}
	}
}
