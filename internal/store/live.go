package store

import (
	"context"
	"maps"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// PlacedPorts are the mappings of those of the ports that a pod has.
func (s *Store) PlacedPorts(ctx context.Context, portIDs []string) ([]Mapping, error) {
	return s.Placed(ctx, KindPort, portIDs)
}

// Placed are the mappings of those of the things that a pod has.
func (s *Store) Placed(ctx context.Context, kind string, things []string) ([]Mapping, error) {
	var placed []Mapping
	err := details(ctx, s.reader(), things, `
		SELECT `+mappingColumns+` FROM mappings
		WHERE kind = '`+kind+`' AND wanted = 1 AND pod_id <> '' AND id`, `ORDER BY id, pod`, func(row scanner) error {
		m, err := scanMapping(row)
		placed = append(placed, m)
		return err
	})
	return placed, err
}

// MovingPorts are ports of servers that are not up yet, the latest first. Empty is
// every project.
func (s *Store) MovingPorts(ctx context.Context, project string, limit int) (all []topology.Port, err error) {
	q := Query{Filters: map[string][]string{"status": {topology.StatusDown}, "moving": {""}}, ProjectID: project,
		Sort: []SortKey{{Name: "created_at", Desc: true}}, Limit: limit}
	err = s.read(ctx, func(tx *Tx) error {
		all, err = query(ctx, tx, portShape, q, scanPort)
		return err
	})
	return all, err
}

// SetBindings records what the pods say about ports. It counts as no change of
// the ports: nothing has to be done for it anywhere.
func (s *Store) SetBindings(ctx context.Context, all map[string]topology.Binding) error {
	if len(all) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *Tx) error {
		ports := slices.Sorted(maps.Keys(all)) // in one order: two who look at once must not lock each other
		if err := hostsMovedTx(ctx, tx, all, ports); err != nil {
			return err
		}
		for _, id := range ports {
			b := all[id]
			_, err := tx.Exec(ctx, `
				UPDATE ports
				SET status = ?, host = ?, vif_type = ?, vif_details = ?, profile = ?
				WHERE id = ?`, b.Status, b.Host, b.VIFType, asJSON(b.VIFDetails), asJSON(b.Profile), id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
