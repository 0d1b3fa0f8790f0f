package store

import "context"

// releaseTx frees what was held for a thing until the last pod that had it let
// go: a port's addresses and MAC, a network's segment, the ports of a server.
// Forget calls it with the last mapping; a delete without mappings does so
// itself.
func releaseTx(ctx context.Context, tx *Tx, kind, id string) error {
	switch kind {
	}
	return nil
}
