package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Decision is why the servers of one request went where they did. It is written
// before the first of them is made, and kept for a while.
type Decision struct {
	ID        string
	RequestID string
	ProjectID string
	CreatedAt time.Time
	Document  json.RawMessage
	Servers   []string // by ID
}

const decisionColumns = `id, request_id, project_id, created_at, document`

func scanDecision(row scanner) (d Decision, err error) {
	var document string
	err = row.Scan(&d.ID, &d.RequestID, &d.ProjectID, intoTime(&d.CreatedAt), &document)
	d.Document, d.Servers = json.RawMessage(document), []string{}
	return d, err
}

// RecordDecision writes the decision down, or what has become of it since.
func (s *Store) RecordDecision(ctx context.Context, d Decision) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO decisions (`+decisionColumns+`)
			VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE
			SET document = excluded.document`,
			d.ID, d.RequestID, d.ProjectID, tx.now(), string(d.Document))
		return err
	})
}

// decidedTx records that the server came of the decision, if that is still there.
func decidedTx(ctx context.Context, tx *Tx, decisionID, serverID string) error {
	if decisionID == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO decision_servers (server_id, decision_id)
		SELECT CAST(? AS TEXT), id FROM decisions WHERE id = ?
		ON CONFLICT DO NOTHING`, serverID, decisionID)
	return err
}

// FindDecision finds the decision by the ID of one of its servers or by that of
// the request; fault.NotFound when there is none, or none any more.
func (s *Store) FindDecision(ctx context.Context, id string) (d Decision, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		d, err = findDecision(ctx, tx, id)
		return err
	})
	return d, err
}

func findDecision(ctx context.Context, tx *Tx, id string) (Decision, error) {
	missing := fault.New(fault.NotFound, "", "no decision about %s is remembered", id)
	d, err := find(ctx, tx, missing, scanDecision, `
		SELECT `+decisionColumns+` FROM decisions
		WHERE id IN (SELECT decision_id FROM decision_servers WHERE server_id = ?)
			OR request_id = ?
		ORDER BY created_at DESC
		LIMIT 1`, id, id)
	if err != nil {
		return d, err
	}
	servers, err := list(ctx, tx, scanString, `
		SELECT server_id FROM decision_servers
		WHERE decision_id = ?
		ORDER BY server_id`, d.ID)
	d.Servers = append(d.Servers, servers...)
	return d, err
}

// PruneDecisions forgets those made before the time.
func (s *Store) PruneDecisions(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM decisions WHERE created_at < ?`, before)
		return err
	})
}
