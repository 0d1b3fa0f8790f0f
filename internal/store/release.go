package store

import "context"

// releaseTx frees what was held for a thing until the last pod that had it let
// go: a port's addresses and MAC, a network's segment, a server's ports. A thing that has only
// left the pods, and lives on here, keeps them. Forget calls it with the last
// mapping; a delete without mappings does so itself.
func releaseTx(ctx context.Context, tx *Tx, kind, id string) error {
	var held []string
	switch kind {
	case KindServer:
		return releaseServer(ctx, tx, id)
	case KindFlavor, KindKeypair, KindNamespace, KindVolumeType, KindQoSSpecs, KindGroupType, KindDefaultType:
		_, err := tx.Exec(ctx, `DELETE FROM replicas WHERE kind = ? AND id = ? AND deleted = 1 AND attempt = ''`, kind, id)
		return err
	case KindVolume, KindVolumeFill:
		return forgetFillTx(ctx, tx, id)
	case KindImage:
		_, err := tx.Exec(ctx, `DELETE FROM images WHERE id = ?`, id)
		return err
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

// releaseServer ends what the ports of a server that is gone had to do with it:
// those made for it go, the user's own leave the pod. Its group has a member less.
func releaseServer(ctx context.Context, tx *Tx, id string) error {
	ports, err := list(ctx, tx, scanString, `SELECT id FROM ports WHERE device_id = ? ORDER BY id`+tx.forUpdate(), id)
	if err != nil {
		return err
	}
	if err := deleteAutoPortsTx(ctx, tx, ports); err != nil {
		return err
	}
	for _, port := range ports {
		if _, err := unwantTx(ctx, tx, KindPort, port); err != nil {
			return err
		}
	}
	if err := attachPortsTx(ctx, tx, ports, "", ""); err != nil {
		return err
	}
	return leaveGroupTx(ctx, tx, id)
}
