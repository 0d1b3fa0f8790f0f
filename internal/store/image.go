package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Image is one image of the region. Its home is the pod whose copy is the truth:
// users change that one, and jobs make the others like it. An image that nobody
// has touched through the region has no row yet; AdoptImage makes it.
type Image struct {
	ID, ProjectID string
	Home          string
	Mode          ImageMode // never empty when read: the region's, if it has none of its own
	Status        string    // at home, when last seen: "active" and so on
	// Deleted images are gone for users; the row is there until the last copy is gone.
	Deleted bool
	// Attempt is what was begun at home and not ended yet.
	Attempt     Act
	AttemptedAt time.Time
	// WatchedAt is since when its data is on the way to its home; zero: it is not.
	WatchedAt            time.Time
	CreatedAt, UpdatedAt time.Time
}

// ImageMode says which pods get a copy.
type ImageMode string

// The modes. Empty stands for the region's.
const (
	ImageFirstUse   ImageMode = "first-use"  // a pod gets one when something there needs it
	ImageEverywhere ImageMode = "everywhere" // every pod, as soon as the home has the data
	ImageHomeOnly   ImageMode = "home-only"
)

// ImageModeProperty is the image's property that says its mode.
const ImageModeProperty = "tricircle_copy"

// ParseImageMode reads the property's value; empty is the region's mode.
func ParseImageMode(s string) (ImageMode, error) {
	m := ImageMode(s)
	if s != "" && !slices.Contains([]ImageMode{ImageFirstUse, ImageEverywhere, ImageHomeOnly}, m) {
		return "", fault.New(fault.Invalid, "", "%s is none of first-use, everywhere, home-only: %q", ImageModeProperty, s)
	}
	return m, nil
}

// ImageActive is Glance's status of an image whose data is there.
const ImageActive = "active"

const imageColumns = `id, project_id, home, mode, status, deleted, attempt, attempted_at, watched_at, created_at, updated_at`

func (s *Store) scanImage(row scanner) (i Image, err error) {
	err = row.Scan(&i.ID, &i.ProjectID, &i.Home, &i.Mode, &i.Status, &i.Deleted,
		&i.Attempt, intoTime(&i.AttemptedAt), intoTime(&i.WatchedAt), intoTime(&i.CreatedAt), intoTime(&i.UpdatedAt))
	if i.Mode == "" {
		i.Mode = s.imageMode()
	}
	return i, err
}

// SetImageMode says what becomes of images without a mode of their own. Until it
// is called that is ImageFirstUse.
func (s *Store) SetImageMode(mode ImageMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
}

func (s *Store) imageMode() ImageMode {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mode == "" {
		return ImageFirstUse
	}
	return s.mode
}

func noImage(id string) error { return fault.New(fault.NotFound, "", "No image found with ID %s", id) }

// FindImage returns the image, deleted ones too, or fault.NotFound.
func (s *Store) FindImage(ctx context.Context, id string) (Image, error) {
	return findImage(ctx, s.reader(), id, "")
}

func findImage(ctx context.Context, tx *Tx, id, suffix string) (Image, error) {
	return find(ctx, tx, noImage(id), tx.store.scanImage, `
		SELECT `+imageColumns+` FROM images
		WHERE id = ?`+suffix, id)
}

// FindImages returns those of the images that have a row, by ID, deleted ones too.
func (s *Store) FindImages(ctx context.Context, ids []string) (map[string]Image, error) {
	found := make(map[string]Image, len(ids))
	for some := range slices.Chunk(ids, 500) { // under SQLite's limit of values in a statement
		rows, err := list(ctx, s.reader(), s.scanImage, `
			SELECT `+imageColumns+` FROM images
			WHERE id IN (`+marks(len(some))+`)`, anyOf(some)...)
		if err != nil {
			return nil, err
		}
		for _, i := range rows {
			found[i.ID] = i
		}
	}
	return found, nil
}

// KeepImage records an image that its home has, or is about to have. One that is
// on record stays as it is.
func (s *Store) KeepImage(ctx context.Context, i Image) error {
	return s.write(ctx, func(tx *Tx) error {
		if err := keepImageTx(ctx, tx, i); err != nil {
			return err
		}
		return spreadImagesTx(ctx, tx, i.ID, "")
	})
}

func keepImageTx(ctx context.Context, tx *Tx, i Image) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO images (`+imageColumns+`)
		VALUES (?, ?, ?, ?, ?, 0, '', 0, 0, ?, ?)
		ON CONFLICT (id) DO NOTHING`, i.ID, i.ProjectID, i.Home, i.Mode, i.Status, tx.now(), tx.now())
	if dangling(err) {
		return noPod(i.Home)
	}
	if err != nil {
		return fmt.Errorf("cannot record image %s: %w", i.ID, err)
	}
	return placeTx(ctx, tx, Target{Kind: KindImage, ID: i.ID, Pod: i.Home}, i.ID, i.ProjectID)
}

// AdoptImage returns the image's row, and makes it out of the index if there is
// none: its home is a pod that has it, with its data before one without, then the
// first by name. fault.NotFound: no pod has been seen to have it.
func (s *Store) AdoptImage(ctx context.Context, id string) (i Image, err error) {
	if i, err = s.FindImage(ctx, id); !fault.Is(err, fault.NotFound) {
		return i, err
	}
	err = s.write(ctx, func(tx *Tx) error {
		i, err = adoptImageTx(ctx, tx, id)
		return err
	})
	return i, err
}

func adoptImageTx(ctx context.Context, tx *Tx, id string) (Image, error) {
	i, err := findImage(ctx, tx, id, tx.forUpdate())
	if !fault.Is(err, fault.NotFound) {
		return i, err
	}
	seen, err := find(ctx, tx, noImage(id), scanEntry, `
		SELECT `+entryColumns+` FROM entries
		WHERE kind = ? AND id = ?
		ORDER BY CASE status WHEN 'active' THEN 0 ELSE 1 END, pod
		LIMIT 1`, KindImage, id)
	if err != nil {
		return i, err
	}
	if err := keepImageTx(ctx, tx, Image{ID: id, ProjectID: seen.ProjectID, Home: seen.Pod, Status: seen.Status}); err != nil {
		return i, err
	}
	if err := spreadImagesTx(ctx, tx, id, ""); err != nil {
		return i, err
	}
	return findImage(ctx, tx, id, "")
}

// TouchImage says that the image has changed at home: every copy gets a job.
func (s *Store) TouchImage(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error { return touchImageTx(ctx, tx, id) })
}

func touchImageTx(ctx context.Context, tx *Tx, id string) error {
	if _, err := tx.Exec(ctx, `UPDATE images SET attempt = '' WHERE id = ? AND attempt <> ''`, id); err != nil {
		return err
	}
	return bump(ctx, tx, KindImage, id, `
		UPDATE mappings
		SET generation = generation + 1, updated_at = ?
		WHERE kind = ? AND id = ? AND wanted = 1
		AND pod <> (SELECT home FROM images WHERE images.id = mappings.id)
		RETURNING pod`)
}

// SeeImage records what the home says of the image: its status and its own mode
// (empty: none). The pods that are to have it get it once the home has its data.
// What is known already costs a read only.
func (s *Store) SeeImage(ctx context.Context, id, status string, mode ImageMode) error {
	var same int
	err := s.reader().QueryRow(ctx, `
		SELECT count(*) FROM images
		WHERE id = ? AND status = ? AND mode = ?`, id, status, mode).Scan(&same)
	if err != nil || same > 0 {
		return unreachable(err)
	}
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE images SET status = ?, mode = ?, updated_at = ?
			WHERE id = ? AND deleted = 0`, status, mode, tx.now(), id)
		if err != nil {
			return err
		}
		return spreadImagesTx(ctx, tx, id, "")
	})
}

// SpreadImages has copies of all images that are to be everywhere go to the pods
// without one: after the region's mode has changed.
func (s *Store) SpreadImages(ctx context.Context) error {
	return s.write(ctx, func(tx *Tx) error { return spreadImagesTx(ctx, tx, "", "") })
}

// spreadImagesTx wants copies of what is to be everywhere: of one image or all, in
// one pod or all.
func spreadImagesTx(ctx context.Context, tx *Tx, id, pod string) error {
	missing, err := list(ctx, tx, func(row scanner) (Target, error) {
		t := Target{Kind: KindImage}
		return t, row.Scan(&t.ID, &t.Pod)
	}, `
		SELECT i.id, p.name
		FROM images i
		CROSS JOIN pods p
		WHERE i.deleted = 0 AND i.status = 'active' AND p.name <> i.home
		AND (i.mode = ? OR i.mode = '' AND ? = ?)
		AND (i.id = ? OR ? = '') AND (p.name = ? OR ? = '')
		AND NOT EXISTS (SELECT 1 FROM mappings m WHERE m.kind = 'image' AND m.id = i.id AND m.pod = p.name AND m.wanted = 1)
		ORDER BY i.id, p.name`,
		ImageEverywhere, tx.store.imageMode(), ImageEverywhere, id, id, pod, pod)
	if err != nil {
		return err
	}
	for _, t := range missing {
		if err := wantImageTx(ctx, tx, t.ID, t.Pod); err != nil {
			return err
		}
	}
	return nil
}

// DeleteImage ends the image for users at once: its home has let go of it, jobs
// remove the copies. The row goes with the last of them.
func (s *Store) DeleteImage(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		i, err := findImage(ctx, tx, id, tx.forUpdate())
		if err != nil || i.Deleted {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE images SET deleted = 1, updated_at = ? WHERE id = ?`, tx.now(), id); err != nil {
			return err
		}
		if err := unseeImageTx(ctx, tx, id); err != nil {
			return err
		}
		if _, err := unwantTx(ctx, tx, KindImage, id); err != nil {
			return err
		}
		if err := forgetTx(ctx, tx, Target{Kind: KindImage, ID: id, Pod: i.Home}); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM entries WHERE kind = ? AND id = ?`, KindImage, id)
		return err
	})
}

// unseeImageTx keeps lists that were read before the deletion from bringing it back.
func unseeImageTx(ctx context.Context, tx *Tx, id string) error {
	pods, err := list(ctx, tx, scanString, `SELECT pod FROM mappings WHERE kind = ? AND id = ?`, KindImage, id)
	for _, pod := range pods {
		tx.AfterCommit(func() { tx.store.forgotten.add(Target{KindImage, id, pod}, tx.now()) })
	}
	return err
}

// RehomeImage is for a home that has lost the image: a copy with the data becomes
// the truth. With none the image is gone, and found is false.
func (s *Store) RehomeImage(ctx context.Context, id, lost string) (i Image, found bool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		i, found, err = rehomeImageTx(ctx, tx, id, lost)
		return err
	})
	return i, found && err == nil, err
}

func rehomeImageTx(ctx context.Context, tx *Tx, id, lost string) (Image, bool, error) {
	i, err := findImage(ctx, tx, id, tx.forUpdate())
	if fault.Is(err, fault.NotFound) {
		return i, false, nil
	}
	if err != nil || i.Deleted || i.Home != lost {
		return i, !i.Deleted, err
	}
	copies, err := listImageCopies(ctx, tx, id)
	if err != nil {
		return i, false, err
	}
	at := slices.IndexFunc(copies, func(c ImageCopy) bool { return c.Pod != lost && c.State == CopyActive })
	if at < 0 {
		return i, false, dropImageTx(ctx, tx, id)
	}
	i.Home = copies[at].Pod
	if _, err := tx.Exec(ctx, `UPDATE images SET home = ?, updated_at = ? WHERE id = ?`, i.Home, tx.now(), id); err != nil {
		return i, false, err
	}
	if err := dropCopyTx(ctx, tx, id, lost); err != nil {
		return i, false, err
	}
	return i, true, touchImageTx(ctx, tx, id)
}

// dropImageTx forgets an image that is nowhere any more. Copies that were begun go.
func dropImageTx(ctx context.Context, tx *Tx, id string) error {
	if _, err := tx.Exec(ctx, `UPDATE images SET deleted = 1 WHERE id = ?`, id); err != nil {
		return err
	}
	i, err := findImage(ctx, tx, id, "")
	if err != nil {
		return err
	}
	if _, err := unwantTx(ctx, tx, KindImage, id); err != nil {
		return err
	}
	return forgetTx(ctx, tx, Target{Kind: KindImage, ID: id, Pod: i.Home})
}

func dropCopyTx(ctx context.Context, tx *Tx, id, pod string) error {
	for _, statement := range []string{
		`DELETE FROM mappings WHERE kind = 'image' AND id = ? AND pod = ?`,
		`DELETE FROM entries WHERE kind = 'image' AND id = ? AND pod = ?`,
		`DELETE FROM image_copies WHERE id = ? AND pod = ?`,
	} {
		if _, err := tx.Exec(ctx, statement, id, pod); err != nil {
			return err
		}
	}
	return nil
}

// leaveHomesTx finds new homes for the images of a pod that leaves; those that
// are nowhere else are forgotten.
func leaveHomesTx(ctx context.Context, tx *Tx, pod string) error {
	ids, err := list(ctx, tx, scanString, `SELECT id FROM images WHERE home = ? ORDER BY id`, pod)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, _, err := rehomeImageTx(ctx, tx, id, pod); err != nil {
			return err
		}
		// What jobs would have removed in this pod it keeps: it leaves with them.
		if _, err := tx.Exec(ctx, `DELETE FROM images WHERE id = ? AND home = ?`, id, pod); err != nil {
			return err
		}
	}
	return nil
}
