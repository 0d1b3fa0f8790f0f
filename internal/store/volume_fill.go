package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// VolumeFill is a volume that was made empty in its pod and gets its data from
// another one. While its mapping (KindVolumeFill, the volume's ID, the pod) is
// there, a job has work with it.
type VolumeFill struct {
	ID        string // the creation's intent, and the mark of what is made on the way
	VolumeID  string // empty until the pod has made the volume
	Pod       string
	ProjectID string
	Source    FillSource
	Looks     VolumeLooks
	State     FillState
	Means     FillMeans // the one in use, or the one that did it
	Step      string    // what is being done, for people
	Work      FillWork
	Reason    string // why it failed
	// Leaving is true once the volume is being deleted.
	Leaving bool
	// Settled is true once no job has work with it.
	Settled              bool
	CreatedAt, UpdatedAt time.Time
}

// Target is the job that fills it.
func (f VolumeFill) Target() Target { return Target{Kind: KindVolumeFill, ID: f.VolumeID, Pod: f.Pod} }

// Status is what the volume's status is to users; empty: what its pod says.
func (f VolumeFill) Status() string {
	switch {
	case f.Leaving:
		return "deleting"
	case f.State == Filling && !f.Settled:
		return "creating"
	}
	return ""
}

// FillSource is what a volume is filled from: a volume, a snapshot or an image.
type FillSource struct{ Kind, ID, Pod string }

// VolumeLooks is what the volume is to look like once it has its data: the ways
// there bring the source's along.
type VolumeLooks struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Metadata    map[string]string `json:"metadata"`
	Bootable    bool              `json:"bootable"`
	// Image is the image metadata; nil: what the image that fills it says.
	Image map[string]string `json:"image,omitempty"`
}

// FillState is how far a fill is.
type FillState string

// The states.
const (
	Filling    FillState = "filling"
	Filled     FillState = "filled" // what was made on the way may still be there
	FillFailed FillState = "failed"
)

// FillMeans is a way for a volume's data from one pod to another.
type FillMeans string

// The means.
const (
	FillByBackup FillMeans = "backup" // over a store of backups that both pods have
	FillByImage  FillMeans = "image"
)

// FillWork is the job's own notes: what it makes on the way is found by the fill's
// ID, but for what cannot be found so.
type FillWork struct {
	// Asked has when a pod was last asked for a thing: so long after, one that
	// cannot be found may still turn up.
	Asked map[string]time.Time `json:"asked,omitempty"`
	// Taken has what a pod has said that it makes.
	Taken map[string]bool `json:"taken,omitempty"`
	// Backup is on its way, Image fills the volume.
	Backup string `json:"backup,omitempty"`
	Image  string `json:"image,omitempty"`
	// Written is set once the pod is writing the data into the volume.
	Written bool `json:"written,omitempty"`
	// Refused are the means that will not do, and why.
	Refused map[FillMeans]string `json:"refused,omitempty"`
	// Doom is why it must fail; the volume is told next.
	Doom string `json:"doom,omitempty"`
}

const fillColumns = `f.id, f.volume_id, f.pod, f.project_id, f.source_kind, f.source_id, f.source_pod, f.looks, f.state, f.means, f.step,
	f.work, f.reason, f.created_at, f.updated_at`

const selectFills = `
	SELECT ` + fillColumns + `, COALESCE(m.wanted = 0, FALSE), m.id IS NULL AND f.volume_id <> ''
	FROM volume_fills f
	LEFT JOIN mappings m ON m.kind = 'volume_fill' AND m.id = f.volume_id AND m.pod = f.pod `

func scanFill(row scanner) (f VolumeFill, err error) {
	var looks, work string
	err = row.Scan(&f.ID, &f.VolumeID, &f.Pod, &f.ProjectID, &f.Source.Kind, &f.Source.ID, &f.Source.Pod, &looks, &f.State, &f.Means, &f.Step,
		&work, &f.Reason, intoTime(&f.CreatedAt), intoTime(&f.UpdatedAt), &f.Leaving, &f.Settled)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal([]byte(looks), &f.Looks); err != nil {
		return f, fmt.Errorf("cannot read how volume %s is to look: %w", f.VolumeID, err)
	}
	if err := json.Unmarshal([]byte(work), &f.Work); err != nil {
		return f, fmt.Errorf("cannot read how far volume %s is: %w", f.VolumeID, err)
	}
	return f, nil
}

// beginFillTx writes the fill with the creation's intent.
func beginFillTx(ctx context.Context, tx *Tx, in Intent) error {
	f := in.Fill
	if f == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO volume_fills (id, volume_id, pod, project_id, source_kind, source_id, source_pod, looks, state, means, step, work, reason,
			created_at, updated_at)
		VALUES (?, '', ?, ?, ?, ?, ?, ?, ?, ?, '', '{}', '', ?, ?)`,
		in.ID, in.Pod, in.ProjectID, f.Source.Kind, f.Source.ID, f.Source.Pod, asJSON(f.Looks), Filling, f.Means, tx.now(), tx.now())
	if err != nil {
		return fmt.Errorf("cannot journal what volume %s is filled from: %w", in.Name, err)
	}
	return nil
}

// fillMadeTx gives the fill its volume, and a job.
func fillMadeTx(ctx context.Context, tx *Tx, in Intent, e Entry) error {
	if in.Kind != KindVolume {
		return nil
	}
	res, err := tx.Exec(ctx, `UPDATE volume_fills SET volume_id = ?, updated_at = ? WHERE id = ? AND volume_id = ''`, e.ID, tx.now(), in.ID)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	_, err = wantTx(ctx, tx, in.ProjectID, Target{Kind: KindVolumeFill, ID: e.ID, Pod: e.Pod})
	return err
}

// dropFillTx ends the fill of a volume that was not made.
func dropFillTx(ctx context.Context, tx *Tx, intentID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM volume_fills WHERE id = ? AND volume_id = ''`, intentID)
	return err
}

// FindVolumeFill returns the fill of the volume, or fault.NotFound: it has its
// data from where it is.
func (s *Store) FindVolumeFill(ctx context.Context, volumeID string) (VolumeFill, error) {
	return find(ctx, s.reader(), noFill(volumeID), scanFill, selectFills+`WHERE f.volume_id = ?`, volumeID)
}

func noFill(volumeID string) error {
	return fault.New(fault.NotFound, "", "volume %s is not filled from another pod", volumeID)
}

// ListVolumeFills lists the fills that jobs have work with, and those that failed,
// by volume.
func (s *Store) ListVolumeFills(ctx context.Context) ([]VolumeFill, error) {
	return list(ctx, s.reader(), scanFill, selectFills+`WHERE m.id IS NOT NULL OR f.state = 'failed' ORDER BY f.volume_id`)
}

// SaveVolumeFill records how far the fill is. One that is gone stays gone.
func (s *Store) SaveVolumeFill(ctx context.Context, f VolumeFill) error {
	return s.write(ctx, func(tx *Tx) error { return saveFillTx(ctx, tx, f) })
}

func saveFillTx(ctx context.Context, tx *Tx, f VolumeFill) error {
	_, err := tx.Exec(ctx, `
		UPDATE volume_fills SET state = ?, means = ?, step = ?, work = ?, reason = ?, updated_at = ?
		WHERE id = ?`, f.State, f.Means, f.Step, asJSON(f.Work), f.Reason, tx.now(), f.ID)
	return err
}

// EndVolumeFill records a fill that jobs have no more work with. One whose volume
// is being deleted meanwhile goes on: nothing changes.
func (s *Store) EndVolumeFill(ctx context.Context, f VolumeFill) error {
	return s.write(ctx, func(tx *Tx) error {
		t := f.Target()
		res, err := tx.Exec(ctx, `DELETE FROM mappings WHERE kind = ? AND id = ? AND pod = ? AND wanted = 1`, t.Kind, t.ID, t.Pod)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return saveFillTx(ctx, tx, f)
	})
}

// forgetFillTx forgets the fill of a volume that is gone. While a job has still to
// clear away after it, it stays.
func forgetFillTx(ctx context.Context, tx *Tx, volumeID string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM volume_fills
		WHERE volume_id = ?
		AND NOT EXISTS (SELECT 1 FROM mappings m WHERE m.kind = 'volume_fill' AND m.id = volume_fills.volume_id)`, volumeID)
	return err
}
