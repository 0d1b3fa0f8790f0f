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
		got, err := insertSegment(ctx, tx, s, n.ID)
		if err == nil && !got {
			err = topology.SegmentTaken(s)
		}
		return err
	}
	for range segmentTries {
		taken, err := takenSegments(ctx, tx)
		if err != nil {
			return err
		}
		s, err := f.FreeSegment(n.PhysicalNetwork, taken, rand.Uint64N)
		if err != nil {
			return err
		}
		got, err := insertSegment(ctx, tx, s, n.ID)
		if err != nil {
			return err
		}
		if got {
			n.PhysicalNetwork, n.SegmentationID = s.Physical, s.ID
			return nil
		}
	}
	return topology.SegmentTaken(topology.Segment{Physical: n.PhysicalNetwork})
}

func insertSegment(ctx context.Context, tx *Tx, s topology.Segment, networkID string) (bool, error) {
	return inserted(tx.Exec(ctx, `
		INSERT INTO segments (physical_network, segmentation_id, network_id)
		VALUES (?, ?, ?)
		ON CONFLICT DO NOTHING`, s.Physical, s.ID, networkID))
}

func takenSegments(ctx context.Context, tx *Tx) (map[topology.Segment]bool, error) {
	taken := map[topology.Segment]bool{}
	_, err := list(ctx, tx, func(row scanner) (s topology.Segment, err error) {
		err = row.Scan(&s.Physical, &s.ID)
		taken[s] = true
		return s, err
	}, `SELECT physical_network, segmentation_id FROM segments`)
	return taken, err
}
