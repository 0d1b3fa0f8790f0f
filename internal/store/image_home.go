package store

import (
	"context"
	"fmt"
)

// TryImage journals that the home is about to be asked for a change or for the
// image's deletion, and leaves a job that looks after it if its maker does not.
// TouchImage and DeleteImage end it. Without copies there is nothing to be made
// the same, and nothing is written.
func (s *Store) TryImage(ctx context.Context, id string, act Act) error {
	var copied int
	err := s.reader().QueryRow(ctx, `
		SELECT count(*) FROM mappings m
		JOIN images i ON i.id = m.id
		WHERE m.kind = 'image' AND m.id = ? AND m.pod <> i.home`, id).Scan(&copied)
	if err != nil || copied == 0 {
		return unreachable(err)
	}
	return s.changeAtHome(ctx, id, `attempt = ?, attempted_at = ?`, act)
}

// DropImageAttempt ends one that changed nothing.
func (s *Store) DropImageAttempt(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `UPDATE images SET attempt = '' WHERE id = ?`, id)
		return err
	})
}

// ExpectImage records an image that another service of the pod is making: Nova of a
// server, Cinder of a volume.
func (s *Store) ExpectImage(ctx context.Context, i Image) error {
	if err := s.KeepImage(ctx, i); err != nil {
		return err
	}
	return s.WatchImage(ctx, i.ID)
}

// WatchImage says that the image's data is on the way to its home: a job looks
// until it is there.
func (s *Store) WatchImage(ctx context.Context, id string) error {
	return s.changeAtHome(ctx, id, `watched_at = ?`)
}

// changeAtHome sets columns, the last of them to the time, and has a job look at
// the home.
func (s *Store) changeAtHome(ctx context.Context, id, set string, args ...any) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `UPDATE images SET `+set+` WHERE id = ? AND deleted = 0`, append(args, tx.now(), id)...)
		if err != nil {
			return fmt.Errorf("cannot journal what becomes of image %s: %w", id, err)
		}
		return bump(ctx, tx, KindImage, id, `
			UPDATE mappings
			SET generation = generation + 1, updated_at = ?
			WHERE kind = ? AND id = ? AND wanted = 1
			AND pod = (SELECT home FROM images WHERE images.id = mappings.id AND deleted = 0)
			RETURNING pod`)
	})
}

// StopWatchingImage says that its data is there, or will not come.
func (s *Store) StopWatchingImage(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `UPDATE images SET watched_at = 0 WHERE id = ?`, id)
		return err
	})
}
