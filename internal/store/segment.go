package store

import (
	"context"
	"math/rand/v2"

	"github.com/tricircle/tricircle/internal/topology"
)

// segmentTries bounds how often a segment is picked anew because another
// transaction took it first.
const segmentTries = 100

// SetFabric says which segments and MAC addresses new networks and ports get.
func (s *Store) SetFabric(f topology.Fabric) error {
	if err := f.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fabric = f
	return nil
}

// Fabric is what SetFabric set.
func (s *Store) Fabric() topology.Fabric {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.fabric
}

// takeSegments gives the network its segment, or each of its segments.
func takeSegments(ctx context.Context, tx *Tx, f topology.Fabric, n *topology.Network) error {
	if len(n.Segments) == 0 {
		return takeSegment(ctx, tx, f, n)
	}
	for i, s := range n.Segments {
		one := topology.Network{ID: n.ID, Type: s.Type, PhysicalNetwork: s.PhysicalNetwork, SegmentationID: s.SegmentationID}
		if err := takeSegment(ctx, tx, f, &one); err != nil {
			return err
		}
		n.Segments[i] = topology.NetworkSegment{Type: one.Type, PhysicalNetwork: one.PhysicalNetwork, SegmentationID: one.SegmentationID}
	}
	first := n.Segments[0]
	n.Type, n.PhysicalNetwork, n.SegmentationID = first.Type, first.PhysicalNetwork, first.SegmentationID
	return nil
}

// segmentsOf is never nil.
func segmentsOf(n *topology.Network) []topology.NetworkSegment {
	return append([]topology.NetworkSegment{}, n.Segments...)
}

// moveSegment takes the VLAN that the network is to have from now on.
func moveSegment(ctx context.Context, tx *Tx, f topology.Fabric, before topology.Network, n *topology.Network) error {
	if err := f.CheckMove(&before, n); err != nil {
		return err
	}
	to, _ := n.Segment()
	held, err := list(ctx, tx, scanString, `
		SELECT network_id FROM segments
		WHERE physical_network = ? AND segmentation_id = ?`, to.Physical, to.ID)
	if err != nil || len(held) == 1 && held[0] == n.ID { // left not long ago
		return err
	}
	return takeSegment(ctx, tx, f, n)
}

// releaseOldSegments gives back what the network has left, once no pod is behind.
func releaseOldSegments(ctx context.Context, tx *Tx, networkID string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM segments
		WHERE network_id = ?
			AND EXISTS (
				SELECT 1 FROM networks n
				WHERE n.id = segments.network_id AND n.segments = '[]'
					AND (n.physical_network <> segments.physical_network OR n.segmentation_id <> segments.segmentation_id))
			AND NOT EXISTS (
				SELECT 1 FROM mappings m
				WHERE m.kind = 'network' AND m.id = segments.network_id AND m.generation <> m.observed)`, networkID)
	return err
}

// takeSegment gives the network its segment: the one it names, or a free one.
// A segment that one network has no other can get; the table's key sees to it.
func takeSegment(ctx context.Context, tx *Tx, f topology.Fabric, n *topology.Network) error {
	if n.Type == topology.TypeLocal {
		return nil
	}
	if s, named := n.Segment(); named {
		got, err := insertSegment(ctx, tx, s, n.ID, false)
		if err == nil && !got {
			err = f.SegmentTaken(n.Type, s)
		}
		return err
	}
	for range segmentTries {
		taken, err := takenSegments(ctx, tx)
		if err != nil {
			return err
		}
		s, err := f.FreeSegment(n, taken, rand.Uint64N)
		if err != nil {
			return err
		}
		got, err := insertSegment(ctx, tx, s, n.ID, true)
		if err != nil {
			return err
		}
		if got {
			n.PhysicalNetwork, n.SegmentationID = s.Physical, s.ID
			return nil
		}
	}
	return f.SegmentTaken(n.Type, topology.Segment{Physical: n.PhysicalNetwork})
}

func insertSegment(ctx context.Context, tx *Tx, s topology.Segment, networkID string, chosen bool) (bool, error) {
	return affected(tx.Exec(ctx, `
		INSERT INTO segments (physical_network, segmentation_id, network_id, chosen)
		VALUES (?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, s.Physical, s.ID, networkID, chosen))
}

// takenSegments are those that networks of the region have, or networks that only a
// pod has.
func takenSegments(ctx context.Context, tx *Tx) (map[topology.Segment]bool, error) {
	taken := map[topology.Segment]bool{}
	_, err := list(ctx, tx, func(row scanner) (s topology.Segment, err error) {
		err = row.Scan(&s.Physical, &s.ID)
		taken[s] = true
		return s, err
	}, `
		SELECT physical_network, segmentation_id FROM segments
		UNION
		SELECT physical_network, segmentation_id FROM pod_segments`)
	return taken, err
}

// SetPodSegments says on which segments the pod has networks of its own.
func (s *Store) SetPodSegments(ctx context.Context, pod string, all []topology.Segment) error {
	return s.write(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM pod_segments WHERE pod = ?`, pod); err != nil {
			return err
		}
		for _, one := range all {
			if err := addPodSegment(ctx, tx, pod, one); err != nil {
				return err
			}
		}
		return nil
	})
}

func addPodSegment(ctx context.Context, tx *Tx, pod string, s topology.Segment) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO pod_segments (pod, physical_network, segmentation_id)
		VALUES (?, ?, ?)
		ON CONFLICT DO NOTHING`, pod, s.Physical, s.ID)
	return err
}

// LeaveSegment is called when the pod has a network of its own on the network's
// segment: the network gets another one, if nobody named that and no other pod has,
// or may have, the network. It reports whether that was so.
func (s *Store) LeaveSegment(ctx context.Context, networkID, pod string) (left bool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		n, err := findNetwork(ctx, tx, networkID, tx.forUpdate())
		if err != nil {
			return err
		}
		from, ok := n.Segment()
		if !ok || len(n.Segments) > 0 {
			return nil
		}
		var held int
		err = tx.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM segments WHERE network_id = ? AND chosen = 0)
				+ (SELECT count(*) FROM mappings
					WHERE kind = 'network' AND id = ? AND (pod_id <> '' OR tried = 1 AND pod <> ?))`, n.ID, n.ID, pod).Scan(&held)
		if err != nil || held > 0 {
			return err
		}
		if err := addPodSegment(ctx, tx, pod, from); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM segments WHERE network_id = ?`, n.ID); err != nil {
			return err
		}
		n.SegmentationID = 0
		if err := takeSegment(ctx, tx, s.Fabric(), &n); err != nil {
			return err
		}
		left = true
		_, err = tx.Exec(ctx, `
			UPDATE networks
			SET physical_network = ?, segmentation_id = ?
			WHERE id = ?`, n.PhysicalNetwork, n.SegmentationID, n.ID)
		if err != nil {
			return err
		}
		return touchTx(ctx, tx, KindNetwork, n.ID)
	})
	return left && err == nil, err
}
