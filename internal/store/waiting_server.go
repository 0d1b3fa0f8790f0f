package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// States of a server that its pod has not made yet.
const (
	ServerWaits  = "waiting" // for its images; the pod was not asked
	ServerAsked  = "asked"   // the pod was, or is about to be: only a search tells what it made
	ServerFailed = "failed"  // shown in ERROR until its user deletes it
)

// WaitingServer is a server that its user has already and its pod has not. Its ID
// is that of its intent, which holds its ports, its place in the quota and in its
// group; so the pod's server, by its mark, tells whose it is.
type WaitingServer struct {
	ID        string
	Pod       string
	ProjectID string
	State     string
	Images    []string // that the pod must have first
	Document  string   // the server as users see it, in the latest version
	Sealed    string   // what to send to the pod
	Fault     string   // of a server that failed: what its user is told
	Deleting  bool
	CreatedAt time.Time
	UpdatedAt time.Time
	AskedAt   time.Time
}

// Target is the job that makes it.
func (w WaitingServer) Target() Target { return Target{Kind: KindServer, ID: w.ID, Pod: w.Pod} }

const waitingColumns = `id, pod, project_id, state, images, document, sealed, fault, deleting, created_at, updated_at, asked_at`

func scanWaiting(row scanner) (w WaitingServer, err error) {
	var images string
	err = row.Scan(&w.ID, &w.Pod, &w.ProjectID, &w.State, &images, &w.Document, &w.Sealed, &w.Fault, &w.Deleting,
		intoTime(&w.CreatedAt), intoTime(&w.UpdatedAt), intoTime(&w.AskedAt))
	w.Images = strings.Fields(images)
	return w, err
}

// Wait makes of a creation that was begun a server that waits: its user has it
// from here on, and a job makes it. fault.NotFound if the intent is gone.
func (s *Store) Wait(ctx context.Context, w WaitingServer) error {
	return s.write(ctx, func(tx *Tx) error {
		in, err := findIntent(ctx, tx, w.ID, tx.forUpdate())
		if err != nil {
			return err
		}
		now := tx.now()
		_, err = tx.Exec(ctx, `INSERT INTO waiting_servers (`+waitingColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, '', 0, ?, ?, 0)`,
			w.ID, in.Pod, in.ProjectID, ServerWaits, strings.Join(w.Images, " "), w.Document, w.Sealed, now, now)
		if err != nil {
			return fmt.Errorf("cannot let server %s wait: %w", w.ID, err)
		}
		if err := decidedTx(ctx, tx, in.DecisionID, w.ID); err != nil {
			return err
		}
		_, err = wantTx(ctx, tx, in.ProjectID, Target{Kind: KindServer, ID: w.ID, Pod: in.Pod})
		return err
	})
}

// FindWaiting returns the server, or fault.NotFound when no server of the ID waits.
func (s *Store) FindWaiting(ctx context.Context, id string) (WaitingServer, error) {
	return findWaiting(ctx, s.reader(), id, "")
}

func findWaiting(ctx context.Context, tx *Tx, id, suffix string) (WaitingServer, error) {
	return find(ctx, tx, fault.New(fault.NotFound, "", "no server %s waits", id), scanWaiting, `
		SELECT `+waitingColumns+` FROM waiting_servers
		WHERE id = ?`+suffix, id)
}

// ListWaiting lists the project's servers that wait, or all projects' if it is empty.
func (s *Store) ListWaiting(ctx context.Context, project string) ([]WaitingServer, error) {
	where, args := ``, []any{}
	if project != "" {
		where, args = ` WHERE project_id = ?`, []any{project}
	}
	return list(ctx, s.reader(), scanWaiting, `SELECT `+waitingColumns+` FROM waiting_servers`+where+` ORDER BY created_at, id`, args...)
}

// AskFor says that the pod is about to be asked for the server: whatever happens
// from now on, the pod is searched before it is asked again. False if there is
// nothing to ask for any more.
func (s *Store) AskFor(ctx context.Context, id string) (bool, error) {
	return s.changeWaiting(ctx, id, `state = 'asked', asked_at = ?`, `state = 'waiting' AND deleting = 0`, s.now())
}

// AskAgain takes AskFor back: the pod has made nothing.
func (s *Store) AskAgain(ctx context.Context, id string) (bool, error) {
	return s.changeWaiting(ctx, id, `state = 'waiting', asked_at = 0`, `state = 'asked'`)
}

// FailWaiting leaves the server to its user in ERROR. The pod has none of it.
func (s *Store) FailWaiting(ctx context.Context, id, reason string) (bool, error) {
	return s.changeWaiting(ctx, id, `state = 'failed', sealed = '', fault = ?`, `state <> 'failed'`, reason)
}

// ChangeWaiting gives the server another look and another request, unless the pod
// has been asked meanwhile, or somebody else has changed it.
func (s *Store) ChangeWaiting(ctx context.Context, old WaitingServer, document, sealed string) (bool, error) {
	return s.changeWaiting(ctx, old.ID, `document = ?, sealed = ?`, `state IN ('waiting', 'failed') AND deleting = 0 AND document = ?`,
		document, sealed, old.Document)
}

// changeWaiting sets what is given where the condition holds.
func (s *Store) changeWaiting(ctx context.Context, id, set, where string, args ...any) (changed bool, err error) {
	sets := strings.Count(set, "?")
	all := append(append([]any{}, args[:sets]...), s.now(), id)
	err = s.write(ctx, func(tx *Tx) error {
		res, err := tx.Exec(ctx, `UPDATE waiting_servers SET `+set+`, updated_at = ? WHERE id = ? AND `+where, append(all, args[sets:]...)...)
		if err != nil {
			return fmt.Errorf("cannot change waiting server %s: %w", id, err)
		}
		n, err := res.RowsAffected()
		changed = n > 0
		return err
	})
	return changed && err == nil, err
}

// SettleWaiting ends the wait well: the pod has made the server, which it calls
// podID. The entry has our ID. False if the server is to be deleted instead, or
// if it waits no more.
func (s *Store) SettleWaiting(ctx context.Context, e Entry, podID string) (settled bool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		settled = false
		w, err := findWaiting(ctx, tx, e.ID, tx.forUpdate())
		if fault.Is(err, fault.NotFound) || err == nil && w.Deleting {
			return nil
		}
		if err != nil {
			return err
		}
		in, err := findIntent(ctx, tx, e.ID, tx.forUpdate())
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM waiting_servers WHERE id = ?`, e.ID); err != nil {
			return err
		}
		if err := aliasTx(ctx, tx, e.Target(), podID); err != nil {
			return err
		}
		if err := changeMapping(ctx, tx, e.Target(), `pod_id = id, tried = 1`); err != nil {
			return err
		}
		settled = true
		return settleTx(ctx, tx, in, e)
	})
	return settled && err == nil, err
}

// RemoveWaiting is its user's deletion. A server that its pod was not asked for is
// gone at once, with all that was held for it; else it is shown until the job
// has looked for it in the pod. False if it waits no more: the pod has it.
func (s *Store) RemoveWaiting(ctx context.Context, id string) (removed bool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		removed = false
		w, err := findWaiting(ctx, tx, id, tx.forUpdate())
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		removed = true
		if w.State != ServerAsked {
			return dropWaitingTx(ctx, tx, w)
		}
		if _, err := tx.Exec(ctx, `UPDATE waiting_servers SET deleting = 1, updated_at = ? WHERE id = ?`, tx.now(), id); err != nil {
			return err
		}
		return bump(ctx, tx, KindServer, id, `
			UPDATE mappings
			SET wanted = 0, generation = generation + 1, reason = '', updated_at = ?
			WHERE kind = ? AND id = ?
			RETURNING pod`)
	})
	return removed && err == nil, err
}

// DropWaiting forgets a deleted server that its pod does not have.
func (s *Store) DropWaiting(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		w, err := findWaiting(ctx, tx, id, tx.forUpdate())
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return dropWaitingTx(ctx, tx, w)
	})
}

// dropWaitingTx frees what the server held: ports, group, place in the quota.
func dropWaitingTx(ctx context.Context, tx *Tx, w WaitingServer) error {
	if _, err := tx.Exec(ctx, `DELETE FROM waiting_servers WHERE id = ?`, w.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM mappings WHERE kind = ? AND id = ?`, KindServer, w.ID); err != nil {
		return err
	}
	if err := abandonTx(ctx, tx, w.ID); err != nil {
		return err
	}
	tx.AfterCommit(func() { tx.store.forgotten.add(w.Target(), tx.now()) })
	return releaseTx(ctx, tx, KindServer, w.ID)
}
