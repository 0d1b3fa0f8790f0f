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
	ID            string          `json:"id"`
	RequestID     string          `json:"request_id"`
	ProjectID     string          `json:"project_id"`
	ReservationID string          `json:"reservation_id,omitempty"`
	CreatedAt     time.Time       `json:"created_at"`
	Document      json.RawMessage `json:"document"`
	Servers       []string        `json:"servers"`
}

const decisionColumns = `id, request_id, project_id, reservation_id, created_at, document`

func scanDecision(row scanner) (d Decision, err error) {
	var document string
	err = row.Scan(&d.ID, &d.RequestID, &d.ProjectID, &d.ReservationID, intoTime(&d.CreatedAt), &document)
	d.Document, d.Servers = json.RawMessage(document), []string{}
	return d, err
}

// RecordDecision writes the decision down, or what has become of it since.
func (s *Store) RecordDecision(ctx context.Context, d Decision) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO decisions (`+decisionColumns+`)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE
			SET document = excluded.document`,
			d.ID, d.RequestID, d.ProjectID, d.ReservationID, tx.now(), string(d.Document))
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

// ReservedServers lists the servers made under the reservation, and whose they are.
func (s *Store) ReservedServers(ctx context.Context, reservation string) (project string, ids []string, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		d, err := find(ctx, tx, fault.New(fault.NotFound, "", "no reservation %s", reservation), scanDecision, `
			SELECT `+decisionColumns+` FROM decisions
			WHERE reservation_id = ? AND reservation_id <> ''
			LIMIT 1`, reservation)
		if err != nil {
			return err
		}
		project = d.ProjectID
		ids, err = list(ctx, tx, scanString, `SELECT server_id FROM decision_servers WHERE decision_id = ? ORDER BY server_id`, d.ID)
		return err
	})
	return project, ids, err
}

// PruneDecisions forgets those made before the time.
func (s *Store) PruneDecisions(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM decisions WHERE created_at < ?`, before)
		return err
	})
}
