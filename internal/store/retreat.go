package store

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// MoveIntent takes a creation that its pod refused to another pod, in one
// transaction: the same ports, with their addresses, and the same mark. What was
// brought into the first pod for it alone leaves. A crash before it is a creation
// in the first pod, one after it in the second: the server is never looked for in
// the wrong one. fault.NotFound if the intent is gone. A server
// group moves along unless others keep it in the first pod: then this is a conflict
// with the code GroupElsewhere.
func (s *Store) MoveIntent(ctx context.Context, id, pod, zone string) error {
	return s.write(ctx, func(tx *Tx) error {
		in, err := findIntent(ctx, tx, id, tx.forUpdate())
		if err != nil {
			return err
		}
		if err := retreatTx(ctx, tx, in.Pod, in.Ports, false); err != nil {
			return err
		}
		// Its time begins anew: a lost reply of the new pod has the whole grace.
		_, err = tx.Exec(ctx, `UPDATE intents SET pod = ?, zone = ?, created_at = ? WHERE id = ?`, pod, zone, tx.now(), id)
		if dangling(err) {
			return noPod(pod)
		}
		if err != nil {
			return err
		}
		in.Pod = pod
		if err := moveGroupTx(ctx, tx, in); err != nil {
			return err
		}
		return enqueue(ctx, tx, in.Target())
	})
}

// Retreat is Abandon for a creation that its pod refused: what was brought into
// the pod for it alone leaves too, since it may be what there was no quota for.
func (s *Store) Retreat(ctx context.Context, id string) error {
	return s.abandon(ctx, id, func(tx *Tx, in Intent) error { return retreatTx(ctx, tx, in.Pod, in.Ports, true) })
}

// retreatTx takes the ports out of the pod, and their networks and groups if
// nobody else needs them there. Gone says that the ports made for the server go
// altogether.
func retreatTx(ctx context.Context, tx *Tx, pod string, ports []string, gone bool) error {
	if len(ports) == 0 {
		return nil
	}
	subports, err := carried(ctx, tx, ports)
	if err != nil {
		return err
	}
	ports = append(slices.Clone(ports), subports...)
	in := `(` + marks(len(ports)) + `)`
	networks, err := list(ctx, tx, scanString, `SELECT DISTINCT network_id FROM ports WHERE id IN `+in+` ORDER BY network_id`, anyOf(ports)...)
	if err != nil {
		return err
	}
	groups, err := list(ctx, tx, scanString, `SELECT DISTINCT group_id FROM port_groups WHERE port_id IN `+in+` ORDER BY group_id`, anyOf(ports)...)
	if err != nil {
		return err
	}
	addressGroups, err := list(ctx, tx, scanString, `
		SELECT DISTINCT r.remote_address_group_id FROM security_group_rules r
		JOIN port_groups g ON g.group_id = r.group_id
		WHERE r.remote_address_group_id IS NOT NULL AND g.port_id IN `+in+`
		ORDER BY r.remote_address_group_id`, anyOf(ports)...)
	if err != nil {
		return err
	}
	policies, err := list(ctx, tx, scanString, `
		SELECT DISTINCT policy_id FROM qos_uses
		WHERE kind = 'ports' AND id IN `+in+` OR kind = 'networks' AND id IN (SELECT network_id FROM ports WHERE id IN `+in+`)
		ORDER BY policy_id`, append(anyOf(ports), anyOf(ports)...)...)
	if err != nil {
		return err
	}
	if gone {
		if err := deleteAutoPortsTx(ctx, tx, ports); err != nil {
			return err
		}
	}
	for _, port := range ports {
		if _, err := unwantTx(ctx, tx, KindPort, port); err != nil {
			return err
		}
	}
	for _, t := range targetsIn(pod, networks, groups, addressGroups, policies) {
		if err := leaveTx(ctx, tx, t); err != nil {
			return err
		}
	}
	return nil
}

// targetsIn are in the order in which they need each other.
func targetsIn(pod string, networks, groups, addressGroups, policies []string) []Target {
	var all []Target
	for _, id := range networks {
		all = append(all, Target{KindNetwork, id, pod})
	}
	for _, id := range groups {
		all = append(all, Target{KindSecurityGroup, id, pod})
	}
	for _, id := range addressGroups {
		all = append(all, Target{KindAddressGroup, id, pod})
	}
	for _, id := range policies {
		all = append(all, Target{KindQoSPolicy, id, pod})
	}
	return all
}

// leaveTx unwants the network, group or policy in this one pod unless something there
// still needs it.
func leaveTx(ctx context.Context, tx *Tx, t Target) error {
	needed, err := neededTx(ctx, tx, t)
	if err != nil || needed {
		return err
	}
	if err := leaveOneTx(ctx, tx, t); err != nil {
		return err
	}
	switch t.Kind {
	case KindNetwork:
		if err := leaveOneTx(ctx, tx, Target{KindInterconnect, t.ID, t.Pod}); err != nil {
			return err
		}
		return spanRoutersOn(ctx, tx, t.ID)
	case KindSecurityGroup:
		remotes, err := namedBy(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		return dropMembersTx(ctx, tx, remotes...)
	}
	return nil
}

// leaveOneTx unwants the thing in this one pod.
func leaveOneTx(ctx context.Context, tx *Tx, t Target) error {
	return bump(ctx, tx, t.Kind, t.ID, `
		UPDATE mappings
		SET wanted = 0, generation = generation + 1, reason = '', updated_at = ?
		WHERE kind = ? AND id = ? AND wanted = 1 AND pod = ?
		RETURNING pod`, t.Pod)
}

// neededTx reports whether a port in the pod stands on the network (a router's follows
// the network, it does not keep it), or a gateway or floating IP of it is there, or a port is in the
// group, or another group's rules name the group. The default group is the pod's
// own and stays.
func neededTx(ctx context.Context, tx *Tx, t Target) (needed bool, err error) {
	switch t.Kind {
	case KindNetwork:
		err = tx.QueryRow(ctx, `
			SELECT count(*) > 0 FROM (
				SELECT m.id FROM mappings m
				JOIN ports p ON p.id = m.id
				WHERE m.kind IN ('port', 'shadow_port') AND m.pod = ? AND m.wanted = 1
				AND p.network_id = ? AND p.device_owner NOT IN (?, ?, `+interfaceOwners+`)
				UNION ALL
				SELECT r.id FROM routers r
				JOIN networks n ON n.id = r.gateway_network
				WHERE n.id = ? AND n.pod = ?
				UNION ALL
				SELECT f.id FROM floating_ips f
				JOIN mappings m ON m.kind = 'floating_ip' AND m.id = f.id AND m.wanted = 1
				WHERE f.network_id = ? AND m.pod = ?
			) AS users`, t.Pod, t.ID, topology.OwnerDHCP, topology.OwnerPodRouter, t.ID, t.Pod, t.ID, t.Pod).Scan(&needed)
	case KindTrunk:
		err = tx.QueryRow(ctx, `
			SELECT count(*) > 0 FROM trunks t
			JOIN mappings m ON m.kind = 'port' AND m.id = t.port_id AND m.pod = ? AND m.wanted = 1
			WHERE t.id = ?`, t.Pod, t.ID).Scan(&needed)
	case KindQoSPolicy:
		err = tx.QueryRow(ctx, `
			SELECT count(*) > 0 FROM qos_uses u
			JOIN mappings m ON m.id = u.id AND m.kind = CASE u.kind
				WHEN 'ports' THEN 'port' WHEN 'networks' THEN 'network' WHEN 'floating_ips' THEN 'floating_ip' WHEN 'routers' THEN 'router' ELSE '' END
			WHERE u.policy_id = ? AND m.pod = ? AND m.wanted = 1`, t.ID, t.Pod).Scan(&needed)
	case KindAddressGroup:
		err = tx.QueryRow(ctx, `
			SELECT count(*) > 0 FROM security_group_rules r
			JOIN mappings m ON m.id = r.group_id AND m.kind = 'security_group'
			WHERE r.remote_address_group_id = ? AND m.pod = ? AND m.wanted = 1`, t.ID, t.Pod).Scan(&needed)
	case KindGroupMembers:
		err = tx.QueryRow(ctx, `
			SELECT count(*) > 0 FROM security_group_rules r
			JOIN mappings m ON m.id = r.group_id AND m.kind = 'security_group'
			WHERE r.remote_group_id = ? AND m.pod = ? AND m.wanted = 1`, t.ID, t.Pod).Scan(&needed)
	case KindSecurityGroup:
		err = tx.QueryRow(ctx, `
			SELECT count(*) > 0 FROM (
				SELECT m.id FROM mappings m
				JOIN port_groups g ON g.port_id = m.id
				WHERE m.kind = 'port' AND m.pod = ? AND m.wanted = 1 AND g.group_id = ?
				UNION ALL
				SELECT m.id FROM mappings m
				JOIN security_group_rules r ON r.group_id = m.id
				WHERE m.kind = 'security_group' AND m.pod = ? AND m.wanted = 1 AND r.remote_group_id = ? AND r.group_id <> ?
				UNION ALL
				SELECT id FROM security_groups WHERE id = ? AND name = ?
			) AS users`, t.Pod, t.ID, t.Pod, t.ID, t.ID, t.ID, topology.DefaultGroup).Scan(&needed)
	}
	return needed, err
}

// StillNeeded is asked before a network, group or QoS policy is removed from a pod. If a port
// has come to need it since that was decided it is wanted again, and stays.
func (s *Store) StillNeeded(ctx context.Context, m Mapping) (needed bool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if needed, err = neededTx(ctx, tx, m.Target); err != nil || !needed {
			return err
		}
		_, err := wantTx(ctx, tx, m.ProjectID, m.Target)
		return err
	})
	return needed, err
}

// clearNetworkTx forgets what went with a network that has left the pod: its
// subnets there and the reserved DHCP ports.
func clearNetworkTx(ctx context.Context, tx *Tx, network, pod string) error {
	dhcp, err := list(ctx, tx, scanString, `
		SELECT id FROM ports
		WHERE network_id = ? AND pod = ? AND device_owner = ?
		ORDER BY id`, network, pod, topology.OwnerDHCP)
	if err != nil {
		return err
	}
	for _, id := range dhcp {
		if _, err := tx.Exec(ctx, `DELETE FROM mappings WHERE kind = 'port' AND id = ? AND pod = ?`, id, pod); err != nil {
			return err
		}
		if err := deletePort(ctx, tx, id); err != nil {
			return err
		}
	}
	if err := clearBlocks(ctx, tx, network, pod); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		DELETE FROM mappings
		WHERE kind = 'subnet' AND pod = ? AND id IN (SELECT id FROM subnets WHERE network_id = ?)`, pod, network)
	return err
}
