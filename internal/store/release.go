package store

import "context"

// releaseTx frees what was held for a thing until the last pod that had it let
// go: a port's addresses and MAC, a network's segment. A thing that has only
// left the pods, and lives on here, keeps them. Forget calls it with the last
// mapping; a delete without mappings does so itself.
func releaseTx(ctx context.Context, tx *Tx, kind, id string) error {
	var held []string
	switch kind {
	case KindPort:
		held = []string{
			`DELETE FROM addresses WHERE port_id = ? AND NOT EXISTS (SELECT 1 FROM ports WHERE id = ?)`,
			`DELETE FROM macs WHERE port_id = ? AND NOT EXISTS (SELECT 1 FROM ports WHERE id = ?)`,
		}
	case KindNetwork:
		held = []string{`DELETE FROM segments WHERE network_id = ? AND NOT EXISTS (SELECT 1 FROM networks WHERE id = ?)`}
	}
	for _, statement := range held {
		if _, err := tx.Exec(ctx, statement, id, id); err != nil {
			return err
		}
	}
	return nil
}
