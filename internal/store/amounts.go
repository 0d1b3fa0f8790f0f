package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/quota"
)

// What Block Storage counts: the volumes, snapshots, backups and groups that the
// index knows, with the sizes it has seen; and what is under way, which intents
// hold.

// VolumeAmounts is what a project has of what Block Storage counts.
type VolumeAmounts struct {
	InUse    quota.Amounts
	Reserved quota.Amounts // by what is under way
}

// all is what counts against the limits.
func (a VolumeAmounts) all() quota.Amounts {
	sum := maps.Clone(a.InUse)
	for name, n := range a.Reserved {
		sum[name] += n
	}
	return sum
}

// VolumesUsed is what the project has in the region.
func (s *Store) VolumesUsed(ctx context.Context, project string) (VolumeAmounts, error) {
	return volumesUsed(ctx, s.reader(), project)
}

// volumesUsed is one statement, because a thing moves from an intent to the index,
// and two statements could miss it on its way.
func volumesUsed(ctx context.Context, tx *Tx, project string) (VolumeAmounts, error) {
	used := VolumeAmounts{InUse: quota.Amounts{}, Reserved: quota.Amounts{}}
	_, err := list(ctx, tx, used.scan, `
		SELECT kind, type, count(*), sum(gigabytes) FROM entries
		WHERE project_id = ? AND kind IN ('volume', 'backup', 'group')
		GROUP BY kind, type
		UNION ALL
		SELECT 'snapshot', coalesce(v.type, ''), count(*), sum(s.gigabytes) FROM entries s
		LEFT JOIN entries v ON v.kind = 'volume' AND v.id = s.parent
		WHERE s.project_id = ? AND s.kind = 'snapshot'
		GROUP BY coalesce(v.type, '')
		UNION ALL
		SELECT 'reserved', a.resource, 1, sum(a.value) FROM intent_amounts a
		JOIN intents i ON i.id = a.intent_id
		WHERE i.project_id = ? AND i.counts = 1
		GROUP BY a.resource`, project, project, project)
	return used, err
}

func (a VolumeAmounts) scan(row scanner) (none struct{}, err error) {
	var kind, name string
	var n, gigabytes int64
	if err := row.Scan(&kind, &name, &n, &gigabytes); err != nil {
		return none, err
	}
	amounts := quota.Amounts{}
	switch kind {
	case "reserved":
		a.Reserved[name] = gigabytes
	case KindVolume:
		amounts = quota.Amounts{"volumes": n, "gigabytes": gigabytes}.Typed(name)
	case KindSnapshot:
		amounts = quota.Amounts{"snapshots": n, "gigabytes": gigabytes}.Typed(name)
	case KindBackup:
		amounts = quota.Amounts{"backups": n, "backup_gigabytes": gigabytes}
	case KindGroup:
		amounts = quota.Amounts{"groups": n}
	}
	for resource, value := range amounts {
		a.InUse[resource] += value
	}
	return none, nil
}

// admitAmountsTx admits what is to be begun in Block Storage.
func admitAmountsTx(ctx context.Context, tx *Tx, in Intent) error {
	if len(in.Amounts) == 0 {
		return nil
	}
	if err := lockQuota(ctx, tx, quota.Volume, in.ProjectID); err != nil {
		return err
	}
	set, defaults, err := limitsTx(ctx, tx, QuotaOf{Service: quota.Volume, ProjectID: in.ProjectID})
	if err != nil {
		return err
	}
	used, err := volumesUsed(ctx, tx, in.ProjectID)
	if err != nil {
		return err
	}
	return quota.Take(quota.Scope{Limits: defaults.With(set[""]), Used: used.all()}, in.Amounts)
}

func amountsTx(ctx context.Context, tx *Tx, in Intent) error {
	sums := in.Amounts.Sums()
	for _, resource := range slices.Sorted(maps.Keys(sums)) {
		_, err := tx.Exec(ctx, `
			INSERT INTO intent_amounts (intent_id, resource, value) VALUES (?, ?, ?)`, in.ID, resource, sums[resource])
		if err != nil {
			return err
		}
	}
	return nil
}

// intentAmounts are what an intent holds; nil: nothing.
func intentAmounts(ctx context.Context, tx *Tx, id string) (quota.Amounts, error) {
	all, err := grouped(ctx, tx, `SELECT '', resource, value FROM intent_amounts WHERE intent_id = ?`, id)
	return all[""], err
}

// Kinds of intents that are about a volume that is there, beside creations. One that
// the pod has accepted holds its amounts until the pod has done it.
const (
	KindGrowth   = "growth"   // of a volume: extended, or of another type; asked for
	KindAccepted = "accepted" // a growth that the pod has begun
	KindTransfer = "transfer" // of a volume to the project
	KindBoot     = "boot"     // of a server whose volumes the pod is making
)

// AcceptGrowth notes that the pod has begun to change the volume. The volume's job
// finds out when it has ended.
func (s *Store) AcceptGrowth(ctx context.Context, in Intent) error {
	return s.write(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE intents SET kind = ? WHERE id = ?`, KindAccepted, in.ID); err != nil {
			return err
		}
		return touchTx(ctx, tx, KindVolume, in.Parent)
	})
}

// SettleGrowth records the volume as it has become, and ends what was begun with
// it: the growths that its pod had accepted, and the one of the ID.
func (s *Store) SettleGrowth(ctx context.Context, e Entry, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		if err := recordTx(ctx, tx, e); err != nil {
			return err
		}
		ended, err := list(ctx, tx, scanString, `
			SELECT id FROM intents
			WHERE id = ? OR parent = ? AND kind = ?`, id, e.ID, KindAccepted)
		if err != nil {
			return err
		}
		for _, id := range ended {
			if err := dropIntent(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// SettleTransfer gives the volume, with or without its snapshots, to the project of the
// intent, and ends that.
func (s *Store) SettleTransfer(ctx context.Context, in Intent, snapshots bool) error {
	return s.write(ctx, func(tx *Tx) error {
		for _, table := range []string{"entries", "mappings"} {
			_, err := tx.Exec(ctx, `UPDATE `+table+` SET project_id = ? WHERE kind = ? AND id = ?`, in.ProjectID, KindVolume, in.Parent)
			if err != nil {
				return err
			}
		}
		if snapshots {
			_, err := tx.Exec(ctx, `UPDATE entries SET project_id = ? WHERE kind = ? AND parent = ?`, in.ProjectID, KindSnapshot, in.Parent)
			if err != nil {
				return err
			}
		}
		return dropIntent(ctx, tx, in.ID)
	})
}

// Rewant takes back that a thing is to go: its deletion has failed.
func (s *Store) Rewant(ctx context.Context, m Mapping) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := wantTx(ctx, tx, m.ProjectID, m.Target)
		return err
	})
}

// Recount has all that the project has in the pod's Block Storage looked through:
// something was done there of which only the pod knows what came of it.
func (s *Store) Recount(ctx context.Context, project, pod string) error {
	return s.write(ctx, func(tx *Tx) error { return recountTx(ctx, tx, project, pod) })
}

func recountTx(ctx context.Context, tx *Tx, project, pod string) error {
	t := Target{Kind: KindVolumeCount, ID: project, Pod: pod}
	fresh, _, err := wantOne(ctx, tx, project, t)
	if err != nil {
		return err
	}
	if !fresh {
		if err := changeMapping(ctx, tx, t, `generation = generation + 1`); err != nil {
			return err
		}
	}
	return enqueue(ctx, tx, t)
}

// bootTx holds what the volumes of a new server take until a count has seen them: its
// pod makes them while it builds the server.
func bootTx(ctx context.Context, tx *Tx, in Intent) error {
	if in.Kind != KindServer || len(in.Amounts) == 0 {
		return nil
	}
	in.ID = uuid.NewString()
	_, err := tx.Exec(ctx, `INSERT INTO intents (`+intentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, '', 0, 0, '')`,
		in.ID, KindBoot, in.Pod, in.ProjectID, in.UserID, in.Name, in.Zone, tx.now())
	if err != nil {
		return err
	}
	if err := amountsTx(ctx, tx, in); err != nil {
		return err
	}
	return recountTx(ctx, tx, in.ProjectID, in.Pod)
}

// tookVolumesTx has the project's volumes counted after a server that may have taken
// some with it.
func tookVolumesTx(ctx context.Context, tx *Tx, server Mapping) error {
	var any bool
	err := tx.QueryRow(ctx, `
		SELECT count(*) > 0 FROM entries
		WHERE kind = ? AND project_id = ? AND pod = ?`, KindVolume, server.ProjectID, server.Pod).Scan(&any)
	if err != nil || !any {
		return err
	}
	return recountTx(ctx, tx, server.ProjectID, server.Pod)
}

// EndBoots ends what is held for the volumes of servers that were begun before: a count
// has seen what their pod has made.
func (s *Store) EndBoots(ctx context.Context, project, pod string, before time.Time) error {
	return s.write(ctx, func(tx *Tx) error {
		ended, err := list(ctx, tx, scanString, `
			SELECT id FROM intents
			WHERE kind = ? AND project_id = ? AND pod = ? AND created_at < ?`, KindBoot, project, pod, before)
		for _, id := range ended {
			if err := dropIntent(ctx, tx, id); err != nil {
				return err
			}
		}
		return err
	})
}

// ListChildren lists the snapshots of the volume that the index knows.
func (s *Store) ListChildren(ctx context.Context, volume string) ([]Entry, error) {
	return list(ctx, s.reader(), scanEntry, `
		SELECT `+entryColumns+` FROM entries
		WHERE kind = ? AND parent = ?
		ORDER BY id`, KindSnapshot, volume)
}
