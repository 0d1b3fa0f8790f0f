package store

import (
	"context"
	"fmt"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// ImageCopy is an image in one pod: of its home too.
type ImageCopy struct {
	ID, Pod string
	Home    bool
	Wanted  bool // false: it is to go
	State   CopyState
	Means   string // how its data comes there
	Done    int64  // bytes of Size
	Size    int64
	Hash    string // what the pod says of its data
	// Reason says why it failed, or what it waits for.
	Reason               string
	StartedAt, UpdatedAt time.Time
}

// CopyState is how far a copy is.
type CopyState string

// The states.
const (
	CopyQueued  CopyState = "queued" // its data is not on the way yet
	CopyCopying CopyState = "copying"
	CopyActive  CopyState = "active"
	CopyFailed  CopyState = "failed" // and tried again later
)

// A copy that no job has brought has no row of its own: a pod had it before, or is
// its home. What the index has seen there is its state.
const selectCopies = `
	SELECT m.id, m.pod, COALESCE(i.home = m.pod, FALSE), m.wanted = 1,
		COALESCE(c.state, CASE WHEN COALESCE(i.home = m.pod, FALSE) THEN i.status ELSE e.status END, ''),
		COALESCE(c.means, ''), COALESCE(c.done, 0), COALESCE(c.size, 0), COALESCE(c.hash, ''),
		CASE WHEN COALESCE(c.reason, '') <> '' THEN c.reason ELSE m.reason END,
		COALESCE(c.started_at, 0), COALESCE(c.updated_at, m.updated_at)
	FROM mappings m
	LEFT JOIN images i ON i.id = m.id
	LEFT JOIN image_copies c ON c.id = m.id AND c.pod = m.pod
	LEFT JOIN entries e ON e.kind = m.kind AND e.id = m.id AND e.pod = m.pod
	WHERE m.kind = 'image' AND m.id = ?`

func scanCopy(row scanner) (c ImageCopy, err error) {
	err = row.Scan(&c.ID, &c.Pod, &c.Home, &c.Wanted, &c.State, &c.Means, &c.Done, &c.Size, &c.Hash, &c.Reason,
		intoTime(&c.StartedAt), intoTime(&c.UpdatedAt))
	switch c.State {
	case CopyQueued, CopyCopying, CopyActive, CopyFailed:
	default: // Glance's own word for an image without its data
		c.State = CopyQueued
	}
	return c, err
}

// ListImageCopies lists where the image is or is to be: its home first, then by
// name of the pod. It also lists those of a deleted image that are still to go.
func (s *Store) ListImageCopies(ctx context.Context, id string) ([]ImageCopy, error) {
	return listImageCopies(ctx, s.reader(), id)
}

func listImageCopies(ctx context.Context, tx *Tx, id string) ([]ImageCopy, error) {
	return list(ctx, tx, scanCopy, selectCopies+` ORDER BY 3 DESC, m.pod`, id)
}

// FindImageCopy returns the copy in the pod, or fault.NotFound.
func (s *Store) FindImageCopy(ctx context.Context, id, pod string) (ImageCopy, error) {
	return find(ctx, s.reader(), noMapping(Target{KindImage, id, pod}), scanCopy, selectCopies+` AND m.pod = ?`, id, pod)
}

// WantImageCopy asks for a copy in the pod; a job brings it. fault.Refused: the
// image stays at home. fault.NotFound: nobody has seen it, or it is deleted.
//
// Whoever calls it has made sure that the user may have the image.
func (s *Store) WantImageCopy(ctx context.Context, id, pod string) error {
	return s.write(ctx, func(tx *Tx) error {
		i, err := adoptImageTx(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case i.Deleted:
			return noImage(id)
		case i.Home == pod:
			return nil
		case i.Mode == ImageHomeOnly:
			return fault.New(fault.Refused, "", "image %s stays in pod %s: its %s is %s", id, i.Home, ImageModeProperty, i.Mode)
		}
		return wantImageTx(ctx, tx, id, pod)
	})
}

func wantImageTx(ctx context.Context, tx *Tx, id, pod string) error {
	t := Target{Kind: KindImage, ID: id, Pod: pod}
	m, err := findMapping(ctx, tx, t, tx.forUpdate())
	if err == nil && m.Wanted {
		return nil
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	i, err := findImage(ctx, tx, id, "")
	if err != nil {
		return err
	}
	if _, err := wantTx(ctx, tx, i.ProjectID, t); err != nil {
		return err
	}
	return setImageCopyTx(ctx, tx, ImageCopy{ID: id, Pod: pod, State: CopyQueued})
}

// SetImageCopy records how far a copy is. Of one that is not wanted any more, or
// whose image is gone, nothing is recorded.
func (s *Store) SetImageCopy(ctx context.Context, c ImageCopy) error {
	return s.write(ctx, func(tx *Tx) error {
		m, err := findMapping(ctx, tx, Target{Kind: KindImage, ID: c.ID, Pod: c.Pod}, tx.forUpdate())
		if fault.Is(err, fault.NotFound) || err == nil && !m.Wanted {
			return nil
		}
		if err != nil {
			return err
		}
		return setImageCopyTx(ctx, tx, c)
	})
}

func setImageCopyTx(ctx context.Context, tx *Tx, c ImageCopy) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO image_copies (id, pod, state, means, done, size, hash, reason, started_at, updated_at)
		SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?
		FROM images WHERE id = ?
		ON CONFLICT (id, pod) DO UPDATE
		SET state = excluded.state, means = excluded.means, done = excluded.done, size = excluded.size,
			hash = excluded.hash, reason = excluded.reason, started_at = excluded.started_at, updated_at = excluded.updated_at`,
		c.Pod, c.State, c.Means, c.Done, c.Size, c.Hash, c.Reason, c.StartedAt, tx.now(), c.ID)
	if dangling(err) {
		return noPod(c.Pod)
	}
	if err != nil {
		return fmt.Errorf("cannot record the copy of image %s in pod %s: %w", c.ID, c.Pod, err)
	}
	return nil
}
