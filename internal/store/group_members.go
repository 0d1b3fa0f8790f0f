package store

import (
	"context"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// A rule that names a group lets its members in, wherever they are. Those in other
// pods are a thing of its own there, the group's members elsewhere (kind
// group_members, the group's ID): wanted in each pod that has a group whose rules
// name it. So a member that comes or goes is one change per pod, however many rules
// and groups name its groups.

func membersIn(group, pod string) Target { return Target{KindGroupMembers, group, pod} }

// MembersElsewhere lists what the members of the group that are in other pods than
// this one may send from: their addresses, and as in Neutron their allowed address
// pairs. A pair of all addresses is left out: it would let everybody in.
func (s *Store) MembersElsewhere(ctx context.Context, group, pod string) (all []netip.Prefix, err error) {
	const elsewhere = `
		AND EXISTS (SELECT 1 FROM mappings m WHERE m.kind = 'port' AND m.id = g.port_id AND m.wanted = 1)
		AND NOT EXISTS (SELECT 1 FROM mappings m WHERE m.kind = 'port' AND m.id = g.port_id AND m.wanted = 1 AND m.pod = ?)`
	err = s.read(ctx, func(tx *Tx) error {
		addresses, err := list(ctx, tx, func(row scanner) (a netip.Addr, err error) {
			err = row.Scan(intoAddr(&a))
			return a, err
		}, `SELECT a.address FROM port_groups g JOIN addresses a ON a.port_id = g.port_id WHERE g.group_id = ?`+elsewhere, group, pod)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
		paired, err := list(ctx, tx, func(row scanner) (pairs []topology.AddressPair, err error) {
			err = row.Scan(intoJSON(&pairs))
			return pairs, err
		}, `SELECT p.address_pairs FROM port_groups g JOIN ports p ON p.id = g.port_id WHERE p.address_pairs <> '[]' AND g.group_id = ?`+elsewhere, group, pod)
		for _, pair := range slices.Concat(paired...) {
			if p, ok := pair.Prefix(); ok && p.Bits() > 0 {
				all = append(all, p)
			}
		}
		return err
	})
	slices.SortFunc(all, netip.Prefix.Compare)
	return slices.Compact(all), err
}

// TouchNaming has the pod's groups whose rules name the group made right again.
func (s *Store) TouchNaming(ctx context.Context, group, pod string) error {
	return s.write(ctx, func(tx *Tx) error {
		return touchAll(ctx, tx, `
			UPDATE mappings
			SET generation = generation + 1, updated_at = ?
			WHERE kind = 'security_group' AND wanted = 1 AND pod = ? AND id IN (
				SELECT r.group_id FROM security_group_rules r WHERE r.remote_group_id = ?)
			RETURNING kind, id, pod`, tx.now(), pod, group)
	})
}

// touchAll runs an update that returns the targets concerned, and makes their jobs.
func touchAll(ctx context.Context, tx *Tx, update string, args ...any) error {
	changed, err := list(ctx, tx, scanTarget, update, args...)
	if err != nil {
		return err
	}
	return enqueue(ctx, tx, inOrder(changed)...)
}

// portPlacedTx says that the port has come into the pod: all other pods that name a
// group of the port have to let its addresses in.
func portPlacedTx(ctx context.Context, tx *Tx, portID, pod string) error {
	groups, err := groupsOf(ctx, tx, portID)
	if err != nil {
		return err
	}
	return touchMembersOutside(ctx, tx, groups, pod)
}

// portLeavesTx is portPlacedTx for a port that is about to leave its pods.
func portLeavesTx(ctx context.Context, tx *Tx, portID string) error {
	groups, err := groupsOf(ctx, tx, portID)
	if err != nil {
		return err
	}
	return touchRemotes(ctx, tx, portID, groups)
}

// touchRemotes is portPlacedTx for the pods where the port is, and the groups
// that it has, had or is about to lose.
func touchRemotes(ctx context.Context, tx *Tx, portID string, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	pods, err := list(ctx, tx, scanString, `
		SELECT pod FROM mappings
		WHERE kind = 'port' AND id = ? AND wanted = 1
		ORDER BY pod`, portID)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if err := touchMembersOutside(ctx, tx, groups, pod); err != nil {
			return err
		}
	}
	return nil
}

func touchMembersOutside(ctx context.Context, tx *Tx, groups []string, pod string) error {
	if len(groups) == 0 {
		return nil
	}
	if err := lockGroups(ctx, tx, "FOR SHARE", groups...); err != nil {
		return err
	}
	return touchAll(ctx, tx, `
		UPDATE mappings
		SET generation = generation + 1, updated_at = ?
		WHERE kind = 'group_members' AND wanted = 1 AND pod <> ? AND id IN (`+marks(len(groups))+`)
		RETURNING kind, id, pod`, append([]any{tx.now(), pod}, anyOf(groups)...)...)
}

// lockGroups holds off, on PostgreSQL, a pod that begins to want a group's members
// from members that come and go: a transaction that has found nothing to touch yet
// would else end after the pod has read the members. Members share the lock.
func lockGroups(ctx context.Context, tx *Tx, how string, groups ...string) error {
	if !tx.postgres() {
		return nil
	}
	_, err := list(ctx, tx, scanString, `SELECT id FROM security_groups WHERE id IN (`+marks(len(groups))+`) ORDER BY id `+how, anyOf(groups)...)
	return err
}

// dropMembersTx unwants the members of the groups in the pods whose groups do not
// name them any more.
func dropMembersTx(ctx context.Context, tx *Tx, groups ...string) error {
	for _, group := range groups {
		pods, err := list(ctx, tx, scanString, `
			SELECT pod FROM mappings
			WHERE kind = 'group_members' AND id = ? AND wanted = 1
			ORDER BY pod`, group)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if err := leaveTx(ctx, tx, membersIn(group, pod)); err != nil {
				return err
			}
		}
	}
	return nil
}

// namedBy lists the groups that the group's rules name.
func namedBy(ctx context.Context, tx *Tx, group string) ([]string, error) {
	return list(ctx, tx, scanString, `
		SELECT DISTINCT remote_group_id FROM security_group_rules
		WHERE group_id = ? AND remote_group_id IS NOT NULL
		ORDER BY remote_group_id`, group)
}
