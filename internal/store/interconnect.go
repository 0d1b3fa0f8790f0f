package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/topology"
)

// Pods that have a vxlan network must be told where its members in the others are.
// For each such pod there is a mapping of the kind KindInterconnect, under the
// network's ID, from the moment a second pod has the network. Its job compares what
// the pod knows with what the others have; it is touched as members come, move and go.

// Reach returns the pods that may have the network; nil is any.
func (s *Store) Reach(ctx context.Context, n *topology.Network) (pods []string, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		pods, err = reachTx(ctx, tx, n)
		return err
	})
	return pods, err
}

func reachTx(ctx context.Context, tx *Tx, n *topology.Network) ([]string, error) {
	if n.Type != topology.TypeLocal && n.Type != topology.TypeVXLAN {
		return nil, nil
	}
	has, err := list(ctx, tx, scanString, `SELECT pod FROM mappings WHERE kind = ? AND id = ? AND wanted = 1 ORDER BY pod`, KindNetwork, n.ID)
	if err != nil || len(has) == 0 {
		return nil, err
	}
	if n.Type == topology.TypeLocal {
		return has, nil
	}
	buses, err := list(ctx, tx, scanString, `SELECT name FROM pods WHERE message_bus <> '' ORDER BY name`)
	if err != nil || !containsAll(buses, has) {
		return has, err
	}
	return buses, nil
}

func containsAll(all, some []string) bool {
	in := map[string]bool{}
	for _, s := range all {
		in[s] = true
	}
	for _, s := range some {
		if !in[s] {
			return false
		}
	}
	return true
}

// joinedTx says that the network has come into a pod.
func joinedTx(ctx context.Context, tx *Tx, network string) error {
	var project string
	pods, err := list(ctx, tx, func(row scanner) (pod string, err error) {
		err = row.Scan(&pod, &project)
		return pod, err
	}, `
		SELECT m.pod, n.project_id FROM mappings m
		JOIN networks n ON n.id = m.id
		WHERE m.kind = ? AND m.id = ? AND m.wanted = 1 AND n.network_type = ?
		ORDER BY m.pod`, KindNetwork, network, topology.TypeVXLAN)
	if err != nil || len(pods) < 2 {
		return err
	}
	targets := make([]Target, len(pods))
	for i, pod := range pods {
		targets[i] = Target{KindInterconnect, network, pod}
	}
	if _, err := wantTx(ctx, tx, project, targets...); err != nil {
		return err
	}
	return touchTx(ctx, tx, KindInterconnect, network)
}

// UnwantIn says that the thing must not exist in this one pod.
func (s *Store) UnwantIn(ctx context.Context, t Target) error {
	return s.write(ctx, func(tx *Tx) error { return leaveOneTx(ctx, tx, t) })
}

// memberChangedTx says that the port came to the pod, moved within it, or left it:
// the other pods that have its network are to know. A port that is deleted is known
// by the addresses that are still held for it.
func memberChangedTx(ctx context.Context, tx *Tx, portID, pod string) error {
	networks, err := list(ctx, tx, scanString, `
		SELECT DISTINCT id FROM mappings
		WHERE kind = ? AND wanted = 1 AND pod <> ? AND id IN (
			SELECT network_id FROM ports WHERE id = ?
			UNION
			SELECT n.network_id FROM addresses a JOIN subnets n ON n.id = a.subnet_id WHERE a.port_id = ?)`,
		KindInterconnect, pod, portID, portID)
	if err != nil {
		return err
	}
	for _, id := range networks {
		if err := touchOthers(ctx, tx, id, pod); err != nil {
			return err
		}
	}
	return nil
}

// touchOthers has the pods but this one compare anew.
func touchOthers(ctx context.Context, tx *Tx, network, pod string) error {
	return bump(ctx, tx, KindInterconnect, network, `
		UPDATE mappings
		SET generation = generation + 1, updated_at = ?
		WHERE kind = ? AND id = ? AND wanted = 1 AND pod <> ?
		RETURNING pod`, pod)
}

// hostsMovedTx finds those of the ports that are not where they were, on networks
// whose other pods have to know.
func hostsMovedTx(ctx context.Context, tx *Tx, all map[string]topology.Binding, ports []string) error {
	var moved []string
	err := details(ctx, tx, ports, `
		SELECT DISTINCT p.id, p.host FROM ports p
		JOIN mappings m ON m.kind = 'interconnect' AND m.id = p.network_id AND m.wanted = 1
		WHERE p.id`, `ORDER BY p.id`, func(row scanner) error {
		var id, host string
		err := row.Scan(&id, &host)
		if all[id].Host != host {
			moved = append(moved, id)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range moved {
		if err := memberChangedTx(ctx, tx, id, ""); err != nil {
			return err
		}
	}
	return nil
}
