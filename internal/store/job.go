package store

import "context"

// RescueJobs gives jobs back to the queue whose runner died. A runner that lives
// holds the lease prefix+ID. (River itself goes by the time since a job began,
// which must be longer than the longest job.) A job that is rescued though its
// runner lives after all runs twice, as any job may.
//
// A SQLite file has one process: there Open does it, for whatever seems to run.
func (s *Store) RescueJobs(ctx context.Context, prefix string) (rescued int64, err error) {
	query, args := `UPDATE river_job SET state = 'available' WHERE state = 'running'`, []any(nil)
	if s.dialect == Postgres {
		clock, now := s.leaseClock()
		args = append([]any{prefix}, now...)
		query += `
			AND NOT EXISTS (
				SELECT 1 FROM leases
				WHERE key = ? || attempted_by[array_upper(attempted_by, 1)]
				AND expires_at > ` + clock + `)`
	}
	err = s.write(ctx, func(tx *Tx) error {
		res, err := tx.Exec(ctx, query, args...)
		if err != nil {
			return err
		}
		rescued, err = res.RowsAffected()
		return err
	})
	return rescued, err
}
