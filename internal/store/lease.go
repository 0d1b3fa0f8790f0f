package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Acquire takes the lease for ttl. It is true if nobody holds it, if it has run
// out, or if holder has it already, and then it runs anew.
func (s *Store) Acquire(ctx context.Context, key, holder string, ttl time.Duration) (bool, error) {
	clock, now := s.leaseClock()
	args := append(append([]any{key, holder}, now...), ttl.Microseconds())
	return s.leased(ctx, `
		INSERT INTO leases (key, holder, expires_at)
		VALUES (?, ?, `+clock+` + ?)
		ON CONFLICT (key) DO UPDATE
		SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE leases.holder = excluded.holder OR leases.expires_at <= `+clock+`
		RETURNING holder`, append(args, now...)...)
}

// Renew lets the lease run anew; false if holder has lost it.
func (s *Store) Renew(ctx context.Context, key, holder string, ttl time.Duration) (bool, error) {
	clock, now := s.leaseClock()
	args := append(now[:len(now):len(now)], ttl.Microseconds(), key, holder)
	return s.leased(ctx, `
		UPDATE leases SET expires_at = `+clock+` + ?
		WHERE key = ? AND holder = ?
		RETURNING holder`, args...)
}

// Release gives the lease back, if holder still has it.
func (s *Store) Release(ctx context.Context, key, holder string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM leases WHERE key = ? AND holder = ?`, key, holder)
		return err
	})
}

// leased runs a statement that returns a row if holder has the lease now.
func (s *Store) leased(ctx context.Context, query string, args ...any) (has bool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		var holder string
		err := tx.QueryRow(ctx, query, args...).Scan(&holder)
		has = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return has, err
}

// leaseClock is an expression for the present, and its arguments. PostgreSQL's
// own clock is the one that all replicas share.
func (s *Store) leaseClock() (string, []any) {
	if s.dialect == Postgres && !s.ownClock {
		return `CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`, nil
	}
	return `CAST(? AS BIGINT)`, []any{s.now()}
}
