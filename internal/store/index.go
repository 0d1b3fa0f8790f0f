package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
)

// Entry is what the index remembers of a server, volume or image: what routing,
// order and outages need, and nothing else. An image has one per pod.
type Entry struct {
	Kind      string
	ID        string
	Pod       string
	ProjectID string
	UserID    string
	Name      string
	Zone      string // the region's name for it
	Status    string // last seen
	CreatedAt time.Time
	Size      quota.Size // of a server; zero: not known
	// Of what Block Storage counts; zero, empty: not known. Parent is the volume of a
	// snapshot or backup.
	Gigabytes    int64
	Type, Parent string
	// Mark is the creation that a server or volume tells it came from; not kept.
	Mark string
}

// Target is where the thing is.
func (e Entry) Target() Target { return Target{Kind: e.Kind, ID: e.ID, Pod: e.Pod} }

// EntryQuery selects entries; empty fields select all.
type EntryQuery struct {
	Kind, Pod, ProjectID string
	From, To             time.Time // of creation, both included
	Ascending            bool      // the oldest first
	Limit                int
}

const entryColumns = `kind, id, pod, project_id, user_id, name, zone, status, created_at, vcpus, ram, gigabytes, type, parent`

func scanEntry(row scanner) (e Entry, err error) {
	err = row.Scan(&e.Kind, &e.ID, &e.Pod, &e.ProjectID, &e.UserID, &e.Name, &e.Zone, &e.Status, intoTime(&e.CreatedAt),
		&e.Size.VCPUs, &e.Size.RAM, &e.Gigabytes, &e.Type, &e.Parent)
	return e, err
}

// Record remembers what was seen in pods: the entry, and a mapping if there is
// none. What is known already costs a read only, so that a list may record all
// that it shows. What was forgotten a moment ago is left out: the list may have
// been read before.
func (s *Store) Record(ctx context.Context, entries ...Entry) error {
	entries = s.forgotten.without(entries, s.now())
	const batch = 500 // under SQLite's limit of values in a statement
	for len(entries) > 0 {
		some := entries[:min(batch, len(entries))]
		entries = entries[len(some):]
		news, err := s.unknown(ctx, some)
		if err != nil {
			return err
		}
		if len(news) == 0 {
			continue
		}
		err = s.write(ctx, func(tx *Tx) error {
			for _, e := range news {
				if err := recordTx(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unknown returns the entries that differ from what is stored.
func (s *Store) unknown(ctx context.Context, entries []Entry) ([]Entry, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	args := make([]any, 0, 3*len(entries))
	for _, e := range entries {
		args = append(args, e.Kind, e.ID, e.Pod)
	}
	stored, err := list(ctx, s.reader(), scanEntry, `
		SELECT `+entryColumns+` FROM entries
		WHERE (kind, id, pod) IN (VALUES `+triples(len(entries))+`)`, args...)
	if err != nil {
		return nil, err
	}
	known := make(map[Target]Entry, len(stored))
	for _, e := range stored {
		known[e.Target()] = e
	}
	var news []Entry
	for _, e := range entries {
		old, ok := known[e.Target()]
		seen := e
		seen.CreatedAt, seen.Mark = seen.CreatedAt.UTC().Truncate(time.Microsecond), ""
		if !seen.Size.Known() {
			seen.Size = old.Size
		}
		seen.Gigabytes, seen.Type, seen.Parent = cmp.Or(seen.Gigabytes, old.Gigabytes), cmp.Or(seen.Type, old.Type), cmp.Or(seen.Parent, old.Parent)
		if !ok || old != seen {
			news = append(news, e)
		}
	}
	return news, nil
}

func triples(n int) string { return strings.Repeat(", (?, ?, ?)", n)[2:] }

// resizing is true of a row whose server may still be on its way between two
// sizes: it says so, or was read before the pod was asked.
const resizing = `entries.resized_at > 0 AND (excluded.status IN ('RESIZE', 'VERIFY_RESIZE', 'REVERT_RESIZE') OR entries.resized_at > ?)`

func recordTx(ctx context.Context, tx *Tx, e Entry) error {
	if another, err := aliasedTx(ctx, tx, e); err != nil || another {
		return err
	}
	lately := tx.now().Add(-forgottenFor)
	_, err := tx.Exec(ctx, `
		INSERT INTO entries (`+entryColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, id, pod) DO UPDATE
		SET project_id = excluded.project_id, user_id = excluded.user_id, name = excluded.name,
			zone = excluded.zone, status = excluded.status, created_at = excluded.created_at,
			vcpus = `+sized("vcpus")+`,
			ram = `+sized("ram")+`,
			gigabytes = CASE WHEN excluded.gigabytes = 0 THEN entries.gigabytes ELSE excluded.gigabytes END,
			type = CASE WHEN excluded.type = '' THEN entries.type ELSE excluded.type END,
			parent = CASE WHEN excluded.parent = '' THEN entries.parent ELSE excluded.parent END,
			resized_at = CASE WHEN excluded.vcpus = 0 OR `+resizing+` THEN entries.resized_at ELSE 0 END`,
		e.Kind, e.ID, e.Pod, e.ProjectID, e.UserID, e.Name, e.Zone, e.Status, e.CreatedAt, e.Size.VCPUs, e.Size.RAM,
		e.Gigabytes, e.Type, e.Parent, lately, lately, lately)
	if dangling(err) {
		return noPod(e.Pod)
	}
	if err != nil {
		return fmt.Errorf("cannot record %s: %w", e.Target(), err)
	}
	if e.Mark != "" {
		if _, err := tx.Exec(ctx, `UPDATE intents SET counts = 0 WHERE id = ? AND counts = 1`, e.Mark); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO mappings (`+mappingColumns+`)
		VALUES (?, ?, ?, ?, ?, 1, 1, 1, 1, '', 0, ?)
		ON CONFLICT (kind, id, pod) DO NOTHING`,
		e.Kind, e.ID, e.Pod, e.ID, e.ProjectID, tx.now())
	return err
}

// sized is the new value of a column of a server's size: an unknown one changes
// nothing, and while the server is being resized the larger one counts.
func sized(column string) string {
	now, seen := "entries."+column, "excluded."+column
	return `CASE WHEN ` + seen + ` = 0 OR ` + seen + ` < ` + now + ` AND ` + resizing + ` THEN ` + now + ` ELSE ` + seen + ` END`
}

// FindEntry returns the entry, or fault.NotFound. Of an image that is in several
// pods it returns the first by pod name.
func (s *Store) FindEntry(ctx context.Context, kind, id string) (Entry, error) {
	return find(ctx, s.reader(), fault.New(fault.NotFound, "", "no %s %s", kind, id), scanEntry, `
		SELECT `+entryColumns+` FROM entries
		WHERE kind = ? AND id = ?
		ORDER BY pod
		LIMIT 1`, kind, id)
}

// ListEntries lists entries, the newest first, then by ID downwards; or the other
// way round.
func (s *Store) ListEntries(ctx context.Context, q EntryQuery) ([]Entry, error) {
	where, args := []string{"1 = 1"}, []any{}
	for _, c := range []struct{ column, value string }{
		{"kind", q.Kind}, {"pod", q.Pod}, {"project_id", q.ProjectID},
	} {
		if c.value != "" {
			where = append(where, c.column+" = ?")
			args = append(args, c.value)
		}
	}
	if !q.From.IsZero() {
		where, args = append(where, "created_at >= ?"), append(args, q.From)
	}
	if !q.To.IsZero() {
		where, args = append(where, "created_at <= ?"), append(args, q.To)
	}
	order := ` ORDER BY created_at DESC, id DESC, pod`
	if q.Ascending {
		order = ` ORDER BY created_at, id, pod`
	}
	if q.Limit > 0 {
		order += ` LIMIT ?`
		args = append(args, q.Limit)
	}
	return list(ctx, s.reader(), scanEntry,
		`SELECT `+entryColumns+` FROM entries WHERE `+strings.Join(where, " AND ")+order, args...)
}

// DropEntry forgets a thing that no pod has any more: its entries, its mappings,
// and what was held for it.
func (s *Store) DropEntry(ctx context.Context, kind, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM entries WHERE kind = ? AND id = ?`, kind, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM mappings WHERE kind = ? AND id = ?`, kind, id); err != nil {
			return err
		}
		return releaseTx(ctx, tx, kind, id)
	})
}
