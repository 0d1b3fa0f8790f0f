package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/topology"
)

var scopeRecord = newRecord(record[topology.AddressScope]{
	shape:  shape{table: "address_scopes", missing: topology.NoAddressScope},
	shares: "address_scope",
	check: func(ctx context.Context, tx *Tx, before, after *topology.AddressScope) error {
		switch {
		case after == nil:
			pools, err := list(ctx, tx, scanString, `SELECT id FROM subnetpools WHERE address_scope_id = ?`, before.ID)
			if err == nil && len(pools) > 0 {
				err = topology.ScopeInUse(before.ID)
			}
			return err
		case before != nil:
			return after.CheckUpdate(before)
		}
		return nil
	},
})

// AddressScopes are the address scopes.
func (s *Store) AddressScopes() Records[topology.AddressScope] {
	return Records[topology.AddressScope]{s, scopeRecord}
}
