package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
)

// Admission decides whether a project may have more, in the transaction that
// writes the more down. Admissions of one project line up on a row; nothing else
// waits for it, and no call to a pod is made meanwhile.
//
// What counts of Compute: the servers that the index knows, the creations under way that
// the index does not show yet, and what was granted for several at once.

// lockQuota makes the transaction the only one that admits for the project until
// it ends. On SQLite it is the only one that writes at all.
func lockQuota(ctx context.Context, tx *Tx, service, project string) error {
	if !tx.postgres() {
		return nil
	}
	for range 2 {
		var held string
		err := tx.QueryRow(ctx, `
			SELECT project_id FROM quota_locks
			WHERE service = ? AND project_id = ?
			FOR UPDATE`, service, project).Scan(&held)
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO quota_locks (service, project_id) VALUES (?, ?)
			ON CONFLICT DO NOTHING`, service, project)
		if err != nil {
			return err
		}
	}
	return nil // it is ours since the insert
}

// serverScopes locks the project's quota and returns what a server must fit into.
func serverScopes(ctx context.Context, tx *Tx, project, user string) ([]quota.Scope, error) {
	if err := lockQuota(ctx, tx, quota.Compute, project); err != nil {
		return nil, err
	}
	set, defaults, err := limitsTx(ctx, tx, QuotaOf{quota.Compute, project, user})
	if err != nil {
		return nil, err
	}
	used, err := serversUsed(ctx, tx, project, "")
	if err != nil {
		return nil, err
	}
	whole := quota.Scope{Limits: defaults.With(set[""]), Used: used}
	if user == "" || len(set[user]) == 0 {
		return []quota.Scope{whole}, nil
	}
	if used, err = serversUsed(ctx, tx, project, user); err != nil {
		return nil, err
	}
	return []quota.Scope{whole, {Limits: whole.Limits.With(set[user]), Used: used}}, nil
}

// serversUsed sums up what the project's, or the user's, servers take. It is one
// statement, because a server moves from a grant to an intent to the index, and
// two statements could miss it on its way.
func serversUsed(ctx context.Context, tx *Tx, project, user string) (quota.Amounts, error) {
	who, args := `project_id = ?`, []any{project}
	if user != "" {
		who, args = who+` AND user_id = ?`, append(args, user)
	}
	all := append(append(append([]any{}, args...), args...), append(args, tx.now())...)
	var n, cores, ram int64
	err := tx.QueryRow(ctx, `
		SELECT coalesce(sum(n), 0), coalesce(sum(cores), 0), coalesce(sum(ram), 0) FROM (
			SELECT count(*) AS n, sum(vcpus) AS cores, sum(ram) AS ram FROM entries
			WHERE kind = 'server' AND status <> 'SOFT_DELETED' AND `+who+`
			UNION ALL
			SELECT count(*), sum(vcpus), sum(ram) FROM intents
			WHERE kind = 'server' AND counts = 1 AND `+who+`
			UNION ALL
			SELECT sum(servers), sum(servers * vcpus), sum(servers * ram) FROM quota_grants
			WHERE `+who+` AND expires_at > ?
		) AS parts`, all...).Scan(&n, &cores, &ram)
	return quota.Amounts{"instances": n, "cores": cores, "ram": ram}, unreachable(err)
}

// ServersUsed is how many servers, cores and how much memory the project, or the
// user within it, takes in the region.
func (s *Store) ServersUsed(ctx context.Context, project, user string) (quota.Amounts, error) {
	return serversUsed(ctx, s.reader(), project, user)
}

// admitTx admits what the intent is about.
func admitTx(ctx context.Context, tx *Tx, in Intent) error {
	if in.Kind == KindServer {
		if err := admitServerTx(ctx, tx, in); err != nil {
			return err
		}
	}
	return admitAmountsTx(ctx, tx, in) // of a server: its new volumes
}

// admitServerTx admits the server of an intent: out of its grant, or by itself.
func admitServerTx(ctx context.Context, tx *Tx, in Intent) error {
	if in.Grant != "" {
		// A grant that has run out has been given to others: the server is admitted
		// like any other.
		res, err := tx.Exec(ctx, `
			UPDATE quota_grants SET servers = servers - 1
			WHERE id = ? AND servers > 0 AND expires_at > ?`, in.Grant, tx.now())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
	}
	scopes, err := serverScopes(ctx, tx, in.ProjectID, in.UserID)
	if err != nil {
		return err
	}
	_, err = quota.Fit(scopes, in.Size, 1, 1)
	return err
}

// Grant is what a request for several servers was given.
type Grant struct {
	ID      string
	Servers int
}

// GrantServers admits several servers at once: as many of most as the quota has
// room for, if they are at least least; else fault.OverQuota. Each is taken out
// of the grant by Begin; EndGrant gives the rest back, or else the time does.
func (s *Store) GrantServers(ctx context.Context, by QuotaOf, size quota.Size, least, most int, life time.Duration) (g Grant, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		scopes, err := serverScopes(ctx, tx, by.ProjectID, by.UserID)
		if err != nil {
			return err
		}
		g = Grant{ID: uuid.NewString()}
		if g.Servers, err = quota.Fit(scopes, size, least, most); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			DELETE FROM quota_grants
			WHERE project_id = ? AND expires_at <= ?`, by.ProjectID, tx.now())
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO quota_grants (id, project_id, user_id, servers, vcpus, ram, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			g.ID, by.ProjectID, by.UserID, g.Servers, size.VCPUs, size.RAM, tx.now().Add(life))
		return err
	})
	return g, err
}

// RefillGrant lets the request begin all its servers anew, after those that had
// begun were taken back.
func (s *Store) RefillGrant(ctx context.Context, id string, servers int) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `UPDATE quota_grants SET servers = ? WHERE id = ?`, servers, id)
		return err
	})
}

// EndGrant gives back what is left of a grant.
func (s *Store) EndGrant(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM quota_grants WHERE id = ?`, id)
		return err
	})
}

// Resize is a server's change of size that was admitted.
type Resize struct {
	id, pod string
	before  quota.Size
	since   time.Time // of an earlier one that is still under way
	at      time.Time
}

// AdmitResize admits the server's new size. From now on the larger of both sizes
// counts, until the server is seen to be settled with either. known is its
// present size, for an index that does not have it. fault.NotFound if the index
// does not know the server.
func (s *Store) AdmitResize(ctx context.Context, t Target, known, to quota.Size) (r Resize, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		e, _, err := findSized(ctx, tx, t, "")
		if err != nil {
			return err
		}
		scopes, err := serverScopes(ctx, tx, e.ProjectID, e.UserID)
		if err != nil {
			return err
		}
		e, since, err := findSized(ctx, tx, t, tx.forUpdate())
		if err != nil {
			return err
		}
		r = Resize{id: t.ID, pod: t.Pod, before: e.Size, since: since, at: tx.now().UTC().Truncate(time.Microsecond)}
		if err := quota.Grow(scopes, quota.Growth(e.Size.Larger(known), to)); err != nil {
			return err
		}
		return resizeTx(ctx, tx, t, e.Size.Larger(known).Larger(to), r.at)
	})
	return r, err
}

// UndoResize gives back what was admitted: the pod refused the new size.
func (s *Store) UndoResize(ctx context.Context, r Resize) error {
	return s.write(ctx, func(tx *Tx) error {
		t := Target{Kind: KindServer, ID: r.id, Pod: r.pod}
		_, at, err := findSized(ctx, tx, t, tx.forUpdate())
		if fault.Is(err, fault.NotFound) || err == nil && !at.Equal(r.at) {
			return nil // gone, or another resize has begun since
		}
		if err != nil {
			return err
		}
		return resizeTx(ctx, tx, t, r.before, r.since)
	})
}

func resizeTx(ctx context.Context, tx *Tx, t Target, size quota.Size, at time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE entries SET vcpus = ?, ram = ?, resized_at = ?
		WHERE kind = ? AND id = ? AND pod = ?`, size.VCPUs, size.RAM, at, t.Kind, t.ID, t.Pod)
	return err
}

func findSized(ctx context.Context, tx *Tx, t Target, suffix string) (e Entry, resizedAt time.Time, err error) {
	scan := func(row scanner) (e Entry, err error) {
		err = row.Scan(&e.ProjectID, &e.UserID, &e.Status, &e.Size.VCPUs, &e.Size.RAM, intoTime(&resizedAt))
		return e, err
	}
	e, err = find(ctx, tx, fault.New(fault.NotFound, "", "no %s", t), scan, `
		SELECT project_id, user_id, status, vcpus, ram, resized_at FROM entries
		WHERE kind = ? AND id = ? AND pod = ?`+suffix, t.Kind, t.ID, t.Pod)
	return e, resizedAt, err
}

// AdmitRestore admits a server that was deleted for a while and comes back; one
// that counts anyway is no news.
func (s *Store) AdmitRestore(ctx context.Context, t Target) error {
	return s.write(ctx, func(tx *Tx) error {
		e, _, err := findSized(ctx, tx, t, "")
		if fault.Is(err, fault.NotFound) || err == nil && e.Status != softDeleted {
			return nil
		}
		if err != nil {
			return err
		}
		scopes, err := serverScopes(ctx, tx, e.ProjectID, e.UserID)
		if err != nil {
			return err
		}
		if _, err := quota.Fit(scopes, e.Size, 1, 1); err != nil {
			return err
		}
		return setStatusTx(ctx, tx, t, "ACTIVE")
	})
}

// softDeleted is the status of a server that its pod keeps for a while after the
// deletion. It does not count.
const softDeleted = "SOFT_DELETED"

// SetStatus notes a status that was seen.
func (s *Store) SetStatus(ctx context.Context, t Target, status string) error {
	return s.write(ctx, func(tx *Tx) error { return setStatusTx(ctx, tx, t, status) })
}

func setStatusTx(ctx context.Context, tx *Tx, t Target, status string) error {
	_, err := tx.Exec(ctx, `
		UPDATE entries SET status = ?
		WHERE kind = ? AND id = ? AND pod = ? AND status <> ?`, status, t.Kind, t.ID, t.Pod, status)
	return err
}

// admitOne is for the other things that a project has a number of: under the
// lock of the project's quota, used counts them, and one more must fit. It
// reports whether it does, and the limit.
func admitOne(ctx context.Context, tx *Tx, of QuotaOf, resource string, used func(context.Context, *Tx) (int64, error)) (ok bool, limit int64, err error) {
	if err := lockQuota(ctx, tx, of.Service, of.ProjectID); err != nil {
		return false, 0, err
	}
	set, defaults, err := limitsTx(ctx, tx, of)
	if err != nil {
		return false, 0, err
	}
	n, err := used(ctx, tx)
	if err != nil {
		return false, 0, err
	}
	limit = defaults.With(set[""]).With(set[of.UserID])[resource]
	return limit < 0 || n < limit, limit, nil
}
