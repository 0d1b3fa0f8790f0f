package store

import (
	"context"
	"fmt"
)

// Alias is a thing that its pod knows by another ID than ours: a server that was
// promised before the pod could make it. Seq counts a pod's aliases, upwards.
type Alias struct {
	Target
	PodID string
	Seq   int64
}

// AliasesAfter lists the pod's aliases behind the number. They are kept for as long
// as the pod is: pods go on telling of what was deleted.
func (s *Store) AliasesAfter(ctx context.Context, pod string, after int64) ([]Alias, error) {
	return list(ctx, s.reader(), scanAlias, `
		SELECT kind, id, pod, pod_id, seq FROM aliases
		WHERE pod = ? AND seq > ?
		ORDER BY seq`, pod, after)
}

func scanAlias(row scanner) (a Alias, err error) {
	err = row.Scan(&a.Kind, &a.ID, &a.Pod, &a.PodID, &a.Seq)
	return a, err
}

// aliasTx writes one down; it may be there already. Those of a pod line up on the
// pod's row: a number must not show before a lower one, or it would never be read.
func aliasTx(ctx context.Context, tx *Tx, t Target, podID string) error {
	if podID == t.ID {
		return nil
	}
	if tx.postgres() {
		var name string
		if err := tx.QueryRow(ctx, `SELECT name FROM pods WHERE name = ? FOR NO KEY UPDATE`, t.Pod).Scan(&name); err != nil {
			return unreachable(err)
		}
	}
	if Named(t.Kind) {
		if moved, err := moveAliasTx(ctx, tx, t, podID); err != nil || moved {
			return err
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO aliases (pod, seq, kind, id, pod_id, created_at)
		SELECT CAST(? AS TEXT), coalesce(max(seq), 0) + 1, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT)
		FROM aliases WHERE pod = ?
		ON CONFLICT DO NOTHING`, t.Pod, t.Kind, t.ID, podID, tx.now(), t.Pod)
	if err != nil {
		return fmt.Errorf("cannot record what pod %s calls %s %s: %w", t.Pod, t.Kind, t.ID, err)
	}
	return nil
}

// moveAliasTx is for a thing that the pod's operator has made anew, under another ID.
func moveAliasTx(ctx context.Context, tx *Tx, t Target, podID string) (bool, error) {
	res, err := tx.Exec(ctx, `
		UPDATE aliases
		SET pod_id = ?, seq = (SELECT max(seq) + 1 FROM aliases a WHERE a.pod = aliases.pod)
		WHERE id = ? AND pod = ? AND pod_id <> ?`, podID, t.ID, t.Pod, podID)
	if err != nil {
		return false, fmt.Errorf("cannot record what pod %s calls %s %s: %w", t.Pod, t.Kind, t.ID, err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// aliasedTx reports whether the pod's ID stands for one of ours: by the alias, or
// by the mark of a server that waits for its pod's answer. Lists that were read in
// between show it under the pod's ID, which must not become a server of its own.
func aliasedTx(ctx context.Context, tx *Tx, e Entry) (is bool, err error) {
	if e.Kind != KindServer || e.ID == e.Mark {
		return false, nil
	}
	err = tx.QueryRow(ctx, `
		SELECT count(*) > 0 FROM (
			SELECT id FROM aliases WHERE pod_id = ? AND pod = ?
			UNION ALL
			SELECT id FROM waiting_servers WHERE id = ?
		) AS known`, e.ID, e.Pod, e.Mark).Scan(&is)
	return is, unreachable(err)
}
