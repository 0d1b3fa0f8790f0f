package dispatch

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/tricircle/tricircle/internal/store"
)

// indexMargin is how far before the place an indexed row must be to count as
// being before it: its time may be ours, from when it was created through us,
// and not yet the pod's.
const indexMargin = int64(2 * time.Minute / time.Microsecond)

// nearby is how many markers are read from the index: some may have been deleted.
const nearby = 3

// indexed finds rows of the pod before the place in the index, the nearest first,
// if the list is in order of time.
func (l *listing) indexed(ctx context.Context, podName string) []string {
	if !l.byTime() {
		return nil
	}
	place, first := l.after.keys[0], l.order.keys[0]
	if place.rank != 1 {
		return nil
	}
	q := store.EntryQuery{Pod: podName, Limit: nearby, Ascending: first.Desc}
	if first.Desc {
		q.From = time.UnixMicro(int64(place.num) + indexMargin)
	} else {
		q.To = time.UnixMicro(int64(place.num) - indexMargin)
	}
	var ids []string
	for _, e := range l.entries(ctx, q) {
		ids = append(ids, e.ID)
	}
	return ids
}

// knownAtOnce is how many entries are read at once for a pod that is away.
const knownAtOnce = 1000

// known is what the index has of the source's pod for this caller. If the list is in
// order of time it begins at the place taken, is in that order, and is read as far
// as it is wanted.
func (l *listing) known(ctx context.Context, s *source) iter.Seq[store.Entry] {
	if !l.byTime() {
		return slices.Values(l.entries(ctx, store.EntryQuery{Pod: s.name}))
	}
	return func(yield func(store.Entry) bool) {
		q := store.EntryQuery{Pod: s.name, Limit: knownAtOnce, Ascending: !l.order.keys[0].Desc}
		if s.taken.is() && s.taken.keys[0].rank == 1 {
			l.bound(&q, time.UnixMicro(int64(s.taken.keys[0].num)))
		}
		seen := map[string]bool{} // of those created when the last page ended
		for {
			page := l.entries(ctx, q)
			fresh := 0
			for _, e := range page {
				if seen[e.ID] {
					continue
				}
				if fresh++; !yield(e) {
					return
				}
			}
			if len(page) < q.Limit {
				return
			}
			last := page[len(page)-1].CreatedAt
			l.bound(&q, last)
			clear(seen)
			for _, e := range page {
				seen[e.ID] = seen[e.ID] || e.CreatedAt.Equal(last)
			}
			if fresh == 0 {
				q.Limit *= 2 // more were created at one moment than fit
			}
		}
	}
}

// bound makes the query begin at a time.
func (l *listing) bound(q *store.EntryQuery, at time.Time) {
	if q.Ascending {
		q.From = at
	} else {
		q.To = at
	}
}

// byTime reports whether the list is in order of a time that the index knows.
func (l *listing) byTime() bool {
	return l.Kind != "" && len(l.order.keys) > 0 && l.order.keys[0].Type == Time && l.order.keys[0].Field != nil && !l.Unique
}

// entries reads the index, for what the caller may see.
func (l *listing) entries(ctx context.Context, q store.EntryQuery) []store.Entry {
	q.Kind, q.ProjectID = l.Kind, l.By.ProjectID
	if l.AllProjects {
		q.ProjectID = ""
	}
	entries, err := l.d.Index.ListEntries(ctx, q)
	if err != nil {
		l.d.Log.Error("cannot read the index", "pod", q.Pod, "error", err)
		return nil
	}
	return entries
}
