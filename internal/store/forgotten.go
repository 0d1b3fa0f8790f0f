package store

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// forgottenFor is longer than it takes from reading a list in a pod to recording
// it.
const forgottenFor = time.Minute

// forgotten holds what this process has just forgotten, so that a list which was
// read before cannot bring it back. Another replica's late list may; the next
// request for the thing finds out.
type forgotten struct {
	mu    sync.Mutex
	at    map[Target]time.Time
	prune int // how many make it worth while to look for old ones
}

func (f *forgotten) add(t Target, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[Target]time.Time{}
	}
	if len(f.at) >= f.prune {
		maps.DeleteFunc(f.at, func(_ Target, at time.Time) bool { return now.Sub(at) > forgottenFor })
		f.prune = 2*len(f.at) + 256
	}
	f.at[t] = now
}

func (f *forgotten) without(entries []Entry, now time.Time) []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.at) == 0 {
		return entries
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		at, gone := f.at[e.Target()]
		return gone && now.Sub(at) <= forgottenFor
	})
}
