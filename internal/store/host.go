package store

import "context"

// HostNames maps each host name to the pod whose host is shown under it.
func (s *Store) HostNames(ctx context.Context) (map[string]string, error) {
	return hostNames(ctx, s.reader())
}

// ClaimHosts gives the pod the names that no pod has yet, and returns whose each
// name is now. A name given stays with its pod until the pod is removed.
func (s *Store) ClaimHosts(ctx context.Context, pod string, names ...string) (map[string]string, error) {
	var owners map[string]string
	err := s.write(ctx, func(tx *Tx) (err error) {
		for _, name := range names {
			if _, err := tx.Exec(ctx, `
				INSERT INTO host_names (name, pod)
				VALUES (?, ?)
				ON CONFLICT (name) DO NOTHING`, name, pod); err != nil {
				if dangling(err) {
					return noPod(pod)
				}
				return err
			}
		}
		owners, err = hostNames(ctx, tx)
		return err
	})
	return owners, err
}

func hostNames(ctx context.Context, tx *Tx) (map[string]string, error) {
	rows, err := list(ctx, tx, scanHostName, `SELECT name, pod FROM host_names`)
	owners := make(map[string]string, len(rows))
	for _, r := range rows {
		owners[r[0]] = r[1]
	}
	return owners, err
}

func scanHostName(row scanner) (r [2]string, err error) {
	err = row.Scan(&r[0], &r[1])
	return r, err
}
