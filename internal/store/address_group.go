package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/topology"
)

var addressGroupRecord = newRecord(record[topology.AddressGroup]{
	shape:  shape{table: "address_groups", missing: topology.NoAddressGroup},
	shares: "address_group",
	check: func(ctx context.Context, tx *Tx, before, after *topology.AddressGroup) error {
		if after != nil {
			return nil
		}
		used, err := list(ctx, tx, scanString, `SELECT id FROM security_group_rules WHERE remote_address_group_id = ?`, before.ID)
		if err == nil && len(used) > 0 {
			err = topology.AddressGroupInUse(before.ID)
		}
		return err
	},
	saved: func(ctx context.Context, tx *Tx, before, after *topology.AddressGroup) error {
		switch {
		case after == nil:
			return unwantOrRelease(ctx, tx, KindAddressGroup, before.ID)
		case before != nil:
			return touchTx(ctx, tx, KindAddressGroup, after.ID)
		}
		return nil
	},
})

// AddressGroups are the address groups.
func (s *Store) AddressGroups() Records[topology.AddressGroup] {
	return Records[topology.AddressGroup]{s, addressGroupRecord}
}

// DeleteAddressGroup deletes a group that no rule names.
func (s *Store) DeleteAddressGroup(ctx context.Context, id string, allow func(*topology.AddressGroup) error) error {
	err := s.AddressGroups().Delete(ctx, id, allow)
	if dangling(err) {
		return topology.AddressGroupInUse(id) // by a rule made at this moment
	}
	return err
}
