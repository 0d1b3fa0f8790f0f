package fleet

import (
	"maps"
	"sync"
	"time"
)

const (
	sightingTTL  = 30 * time.Second
	maxSightings = 10_000
)

// sighting is "this project saw this thing in this pod".
type sighting struct {
	pod, project string
	question     question
}

// sightings remembers positive answers for half a minute, so that a burst of
// creations does not ask for the same image each time. Negative answers are not
// kept: an image just uploaded must work at once.
type sightings struct {
	now   func() time.Time
	mu    sync.Mutex
	until map[sighting]time.Time
}

func newSightings(now func() time.Time) *sightings {
	return &sightings{now: now, until: map[sighting]time.Time{}}
}

func (s *sightings) holds(k sighting) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Before(s.until[k])
}

func (s *sightings) add(k sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.until) >= maxSightings {
		maps.DeleteFunc(s.until, func(_ sighting, until time.Time) bool { return !now.Before(until) })
	}
	if len(s.until) >= maxSightings {
		clear(s.until)
	}
	s.until[k] = now.Add(sightingTTL)
}
