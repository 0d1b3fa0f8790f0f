package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// vacating bounds how long a request waits for a pod to let go of a deleted port.
const vacating = 15 * time.Second

// leaving is the refusal of an address, or MAC address, that a deleted port has
// until its pods have let go of it.
type leaving struct {
	error
	port string
}

func (l *leaving) Unwrap() error { return l.error }

// SetVacate gives the store a way to have a deleted port out of its pods at once.
// Whoever deletes a port and asks for its address again, as clients do that
// replace one, then waits a moment instead of being refused.
func (s *Store) SetVacate(f func(ctx context.Context, portID string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vacate = f
}

// vacated waits for the port that err names to leave its pods, once.
func (s *Store) vacated(ctx context.Context, err error, asked []string) (port string, gone bool) {
	l, ok := errors.AsType[*leaving](err)
	if !ok || slices.Contains(asked, l.port) {
		return "", false
	}
	s.mu.RLock()
	vacate := s.vacate
	s.mu.RUnlock()
	if vacate == nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, vacating)
	defer cancel()
	return l.port, vacate(ctx, l.port) == nil
}

// heldBy tells of a refusal whether the holder, which the query finds, is leaving.
func heldBy(ctx context.Context, tx *Tx, refusal error, query string, args ...any) error {
	ports, err := list(ctx, tx, scanString, query+` AND port_id NOT IN (SELECT id FROM ports)`, args...)
	switch {
	case err != nil:
		return err
	case len(ports) == 0:
		return refusal
	}
	return &leaving{refusal, ports[0]}
}
