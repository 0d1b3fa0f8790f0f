package store

import "context"

// RescueJobs gives jobs back to the queue whose runner died. A runner that lives
// holds the lease prefix+ID. (River itself goes by the time since a job began,
// which must be longer than the longest job.) A job that is rescued though its
// runner lives after all runs twice, as any job may.
//
// On SQLite, which serves one process, Open has done it.
func (s *Store) RescueJobs(ctx context.Context, prefix string) (rescued int64, err error) {
	if s.dialect != Postgres {
		return 0, nil
	}
	clock, now := s.leaseClock()
	err = s.write(ctx, func(tx *Tx) error {
		res, err := tx.Exec(ctx, `
			UPDATE river_job SET state = 'available'
			WHERE state = 'running'
			AND NOT EXISTS (
				SELECT 1 FROM leases
				WHERE key = ? || attempted_by[array_upper(attempted_by, 1)]
				AND expires_at > `+clock+`)`, append([]any{prefix}, now...)...)
		if err != nil {
			return err
		}
		rescued, err = res.RowsAffected()
		return err
	})
	return rescued, err
}

// buryRunner drops what the process left that had the SQLite file before: its
// leases, the jobs it seems to run, and its place as River's leader. Without the
// last, jobs that wait for their time would wait until that place runs out.
func (s *Store) buryRunner(ctx context.Context) error {
	return s.write(ctx, func(tx *Tx) error {
		for _, table := range []string{"leases", "river_leader"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
		return err
	})
}
