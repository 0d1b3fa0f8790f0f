package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// trunkActive says that a trunk's parent serves a server in a pod that has the
// trunk.
const trunkActive = `EXISTS (
		SELECT 1 FROM mappings m
		JOIN ports p ON p.id = t.port_id
		WHERE m.kind = 'trunk' AND m.id = t.id AND m.wanted = 1 AND m.observed > 0 AND m.pod_id <> ''
		AND p.device_owner LIKE 'compute:%'
	)`

var trunks = newRecord(record[topology.Trunk]{
	shape: shape{
		table:   "trunks",
		missing: topology.NoTrunk, anyMarker: true,
		fields: map[string]field{"status": {expr: `CASE WHEN ` + trunkActive + ` THEN 'ACTIVE' ELSE 'DOWN' END`}},
	},
	counts: "trunk",
	check:  checkTrunk,
	saved:  saveTrunk,
	load:   loadTrunks,
})

// TaggedTrunks are the trunks as things with tags.
var TaggedTrunks = &Tagged{&trunks.shape}

// Trunks are the trunks of all projects.
func (s *Store) Trunks() Trunks { return Trunks{Records[topology.Trunk]{s, trunks}} }

// Trunks are Records with the changes of subports.
type Trunks struct{ Records[topology.Trunk] }

// loadTrunks adds the subports, in the order in which they came, and the status.
func loadTrunks(ctx context.Context, tx *Tx, all []topology.Trunk) error {
	names, where := ids(all, func(t *topology.Trunk) string {
		t.Subports, t.Status = []topology.Subport{}, topology.StatusDown
		return t.ID
	})
	err := details(ctx, tx, names, `
		SELECT s.trunk_id, s.port_id, s.segmentation_type, s.segmentation_id FROM subports s WHERE s.trunk_id`,
		`ORDER BY s.trunk_id, s.position, s.port_id`, func(row scanner) error {
			var trunk string
			var s topology.Subport
			err := row.Scan(&trunk, &s.PortID, &s.SegmentationType, &s.SegmentationID)
			where[trunk].Subports = append(where[trunk].Subports, s)
			return err
		})
	if err != nil {
		return err
	}
	return details(ctx, tx, names, `SELECT t.id FROM trunks t WHERE `+trunkActive+` AND t.id`, ``, func(row scanner) error {
		id, err := scanString(row)
		if err == nil {
			where[id].Status = topology.StatusActive
		}
		return err
	})
}

// trunkPorts are the ports as trunks see them, locked: what is a parent or a
// subport does not change meanwhile. A port that is not there is missing.
func trunkPorts(ctx context.Context, tx *Tx, ids ...string) (map[string]*topology.TrunkPort, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	// By itself: what else a locking query reads is as it was before the wait.
	err := details(ctx, tx, ids, `SELECT id FROM ports WHERE id`, `ORDER BY id`+tx.forChange(), func(row scanner) error {
		_, err := scanString(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	found := map[string]*topology.TrunkPort{}
	err = details(ctx, tx, ids, `
		SELECT p.id, p.device_id, p.device_owner, p.network_id, n.network_type, n.segmentation_id, n.mtu,
			COALESCE(s.trunk_id, ''), COALESCE(t.id, '')
		FROM ports p
		JOIN networks n ON n.id = p.network_id
		LEFT JOIN subports s ON s.port_id = p.id
		LEFT JOIN trunks t ON t.port_id = p.id
		WHERE p.id`, ``, func(row scanner) error {
		p := &topology.TrunkPort{}
		err := row.Scan(&p.ID, &p.DeviceID, &p.DeviceOwner, &p.NetworkID, &p.NetworkType, &p.SegmentationID, &p.MTU, &p.SubportOf, &p.ParentOf)
		found[p.ID] = p
		return err
	})
	for _, id := range ids {
		if err == nil && found[id] == nil {
			err = topology.NoPort(id)
		}
	}
	return found, err
}

// checkTrunk holds a change against the rules. On creation the subports are those
// that somebody asks for.
func checkTrunk(ctx context.Context, tx *Tx, before, after *topology.Trunk) error {
	switch {
	case after == nil:
		ports, err := trunkPorts(ctx, tx, before.PortID)
		if err != nil {
			return err
		}
		return before.CheckRemovable(ports[before.PortID])
	case before == nil:
		ports, err := trunkPorts(ctx, tx, after.PortID)
		if err != nil {
			return err
		}
		if err := ports[after.PortID].CheckParent(); err != nil {
			return err
		}
		want := after.Subports
		after.Subports = []topology.Subport{}
		return admitSubports(ctx, tx, after, want)
	}
	return nil
}

// admitSubports adds to the trunk what is wanted, if it may be.
func admitSubports(ctx context.Context, tx *Tx, t *topology.Trunk, want []topology.Subport) error {
	ports, err := trunkPorts(ctx, tx, append(portsOf(want), t.PortID)...)
	if err != nil {
		return err
	}
	t.Subports = slices.Clone(t.Subports)
	for _, s := range want {
		if s, err = t.Admit(s, ports[t.PortID], ports[s.PortID]); err != nil {
			return err
		}
		t.Subports = append(t.Subports, s)
	}
	return nil
}

// saveTrunk writes the subports, and makes the jobs: a trunk is where its parent
// is, and its subports follow it.
func saveTrunk(ctx context.Context, tx *Tx, before, after *topology.Trunk) error {
	if after == nil {
		if err := portsLeave(ctx, tx, portsOf(before.Subports)); err != nil {
			return err
		}
		return unwantOrRelease(ctx, tx, KindTrunk, before.ID)
	}
	if before == nil {
		if err := insertSubports(ctx, tx, after.ID, after.Subports, 0); err != nil {
			return err
		}
		after.Status = topology.StatusDown
		return wantTrunk(ctx, tx, after)
	}
	return touchTx(ctx, tx, KindTrunk, after.ID)
}

func insertSubports(ctx context.Context, tx *Tx, trunk string, subports []topology.Subport, from int) error {
	for i, s := range subports {
		_, err := tx.Exec(ctx, `
			INSERT INTO subports (port_id, trunk_id, segmentation_type, segmentation_id, position)
			VALUES (?, ?, ?, ?, ?)`, s.PortID, trunk, s.SegmentationType, s.SegmentationID, from+i)
		if err != nil {
			return fmt.Errorf("cannot add subport %s: %w", s.PortID, err)
		}
	}
	return nil
}

// wantTrunk asks for a new trunk in the pods that have its parent already. The
// parent's own jobs bring it into others; they go round again, so that no server
// gets the port before it is a trunk.
func wantTrunk(ctx context.Context, tx *Tx, t *topology.Trunk) error {
	pods, err := list(ctx, tx, scanString, `SELECT pod FROM mappings WHERE kind = 'port' AND id = ? AND wanted = 1 ORDER BY pod`, t.PortID)
	if err != nil || len(pods) == 0 {
		return err
	}
	targets := make([]Target, len(pods))
	for i, pod := range pods {
		targets[i] = Target{KindTrunk, t.ID, pod}
	}
	if _, err := wantTx(ctx, tx, t.ProjectID, targets...); err != nil {
		return err
	}
	return touchTx(ctx, tx, KindPort, t.PortID)
}

// portsLeave takes subports out of the pods: they were there for the trunk.
func portsLeave(ctx context.Context, tx *Tx, ports []string) error {
	for _, id := range slices.Sorted(slices.Values(ports)) {
		if _, err := unwantTx(ctx, tx, KindPort, id); err != nil {
			return err
		}
	}
	return nil
}

func portsOf(subports []topology.Subport) []string {
	all := make([]string, len(subports))
	for i, s := range subports {
		all[i] = s.PortID
	}
	return all
}

// trunkLeavesTx takes the trunk of a parent that leaves its pods along, with the
// subports.
func trunkLeavesTx(ctx context.Context, tx *Tx, parent string) error {
	all, err := list(ctx, tx, scanString, `SELECT id FROM trunks WHERE port_id = ?`, parent)
	if err != nil || len(all) == 0 {
		return err
	}
	if _, err := unwantTx(ctx, tx, KindTrunk, all[0]); err != nil {
		return err
	}
	subports, err := carried(ctx, tx, []string{parent})
	if err != nil {
		return err
	}
	return portsLeave(ctx, tx, subports)
}

// carried are the subports of the trunks that the ports are parents of.
func carried(ctx context.Context, tx *Tx, ports []string) (all []string, err error) {
	err = details(ctx, tx, ports, `SELECT s.port_id FROM subports s JOIN trunks t ON t.id = s.trunk_id WHERE t.port_id`, `ORDER BY s.port_id`,
		func(row scanner) error {
			id, err := scanString(row)
			all = append(all, id)
			return err
		})
	return all, err
}

// AddSubports adds subports, all or none.
func (r Trunks) AddSubports(ctx context.Context, id string, want []topology.Subport, allow func(*topology.Trunk) error) (topology.Trunk, error) {
	return r.change(ctx, id, allow, func(tx *Tx, t *topology.Trunk) error {
		has := len(t.Subports)
		if err := admitSubports(ctx, tx, t, want); err != nil {
			return err
		}
		if err := t.CheckManaged(); err != nil {
			return err
		}
		next := 0
		if err := tx.QueryRow(ctx, `SELECT COALESCE(max(position), 0) + 1 FROM subports WHERE trunk_id = ?`, id).Scan(&next); err != nil {
			return err
		}
		return insertSubports(ctx, tx, id, t.Subports[has:], next)
	})
}

// RemoveSubports takes the ports out of the trunk, all or none.
func (r Trunks) RemoveSubports(ctx context.Context, id string, ports []string, allow func(*topology.Trunk) error) (topology.Trunk, error) {
	return r.change(ctx, id, allow, func(tx *Tx, t *topology.Trunk) error {
		if err := t.CheckManaged(); err != nil {
			return err
		}
		for _, port := range ports {
			i := slices.IndexFunc(t.Subports, func(s topology.Subport) bool { return s.PortID == port })
			if i < 0 {
				return topology.NoSubport(id, port)
			}
			t.Subports = slices.Delete(slices.Clone(t.Subports), i, i+1)
			if _, err := tx.Exec(ctx, `DELETE FROM subports WHERE port_id = ?`, port); err != nil {
				return err
			}
		}
		return portsLeave(ctx, tx, ports)
	})
}

// change changes the subports under the trunk's lock.
func (r Trunks) change(ctx context.Context, id string, allow func(*topology.Trunk) error, do func(*Tx, *topology.Trunk) error) (t topology.Trunk, err error) {
	err = r.store.write(ctx, func(tx *Tx) error {
		if t, err = trunks.find(ctx, tx, id, tx.forUpdate()); err != nil {
			return err
		}
		if err := allow(&t); err != nil {
			return err
		}
		if err := do(tx, &t); err != nil {
			return err
		}
		t.UpdatedAt, t.Revision = tx.now(), t.Revision+1
		if _, err := tx.Exec(ctx, `UPDATE trunks SET revision = ?, updated_at = ? WHERE id = ?`, t.Revision, t.UpdatedAt, id); err != nil {
			return err
		}
		return touchTx(ctx, tx, KindTrunk, id)
	})
	return t, err
}

// TrunksOf are the trunks of which the ports are parents, by the ports, with the
// subports' MAC addresses.
func (s *Store) TrunksOf(ctx context.Context, ports ...string) (map[string]topology.Trunk, error) {
	of := map[string]topology.Trunk{}
	err := s.read(ctx, func(tx *Tx) error {
		err := details(ctx, tx, ports, `SELECT t.id, t.project_id, t.port_id FROM trunks t WHERE t.port_id`, ``, func(row scanner) error {
			t := topology.Trunk{Subports: []topology.Subport{}}
			err := row.Scan(&t.ID, &t.ProjectID, &t.PortID)
			of[t.PortID] = t
			return err
		})
		if err != nil || len(of) == 0 {
			return err
		}
		return details(ctx, tx, ports, `
			SELECT t.port_id, s.port_id, s.segmentation_type, s.segmentation_id, p.mac_address
			FROM trunks t
			JOIN subports s ON s.trunk_id = t.id
			JOIN ports p ON p.id = s.port_id
			WHERE t.port_id`, `ORDER BY t.port_id, s.position, s.port_id`, func(row scanner) error {
			var parent string
			var sub topology.Subport
			err := row.Scan(&parent, &sub.PortID, &sub.SegmentationType, &sub.SegmentationID, &sub.MACAddress)
			t := of[parent]
			t.Subports = append(t.Subports, sub)
			of[parent] = t
			return err
		})
	})
	return of, err
}
