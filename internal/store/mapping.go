package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Mapping says where a thing of ours is: (kind, our ID, pod) to the pod's ID.
// For the kinds we realise (networks, subnets, ports, groups) it is also the
// unit of work: Generation counts the changes wanted, Observed the last one that
// the pod is known to have. Wanted false means it must not exist there.
type Mapping struct {
	Target
	PodID     string // empty until the pod's object is known
	ProjectID string
	Wanted    bool
	// Tried is set before the first creating call: from then on a retry looks for
	// an orphan with our mark before it creates.
	Tried bool
	// LostAt is when a creation was begun anew without knowing what became of the one
	// before: that may turn up late, beside the one made instead, or after its end. Zero: never.
	LostAt     time.Time
	Generation int64
	Observed   int64
	Reason     string // why the last attempt did not finish; empty when it did
	UpdatedAt  time.Time
}

// Pending says that the pod is not known to be as wanted.
func (m Mapping) Pending() bool { return m.Generation != m.Observed }

// MappingQuery selects mappings; empty fields select all.
type MappingQuery struct {
	Kind, ID, Pod, PodID string
	Project              string
	Pending              bool   // only those with work left
	After                Target // only those behind it, for the next page
	Limit                int
}

const mappingColumns = `kind, id, pod, pod_id, project_id, wanted, tried, generation, observed, reason, lost_at, updated_at`

func scanMapping(row scanner) (m Mapping, err error) {
	err = row.Scan(&m.Kind, &m.ID, &m.Pod, &m.PodID, &m.ProjectID, &m.Wanted, &m.Tried,
		&m.Generation, &m.Observed, &m.Reason, intoTime(&m.LostAt), intoTime(&m.UpdatedAt))
	return m, err
}

// Want asks for the targets to exist: it makes missing rows, revives unwanted
// ones, leaves wanted ones alone, and makes the jobs. It returns those that
// their pods are not yet known to have. When all is there it writes nothing.
func (s *Store) Want(ctx context.Context, project string, targets ...Target) (pending []Target, err error) {
	return s.want(ctx, project, targets, nil)
}

// WantFor is Want for what another thing needs in its pod. If that is not wanted
// there any more nothing changes, and the error is ErrGone: it would come, or come
// back, for nobody, and stay.
func (s *Store) WantFor(ctx context.Context, by Target, project string, targets ...Target) (pending []Target, err error) {
	return s.want(ctx, project, targets, func(tx *Tx) error { return stillWanted(ctx, tx, by) })
}

func (s *Store) want(ctx context.Context, project string, targets []Target, unless func(*Tx) error) (pending []Target, err error) {
	if ready, err := s.ready(ctx, targets); err != nil || ready {
		return nil, err
	}
	err = s.write(ctx, func(tx *Tx) error {
		if pending, err = wantTx(ctx, tx, project, targets...); err != nil || unless == nil {
			return err
		}
		return unless(tx) // last, for it may have waited for whoever takes them away
	})
	return pending, err
}

// stillWanted fails with ErrGone if the thing is not wanted in its pod, and keeps
// that so until the end.
func stillWanted(ctx context.Context, tx *Tx, t Target) error {
	suffix := ""
	if tx.postgres() {
		suffix = " FOR SHARE"
	}
	m, err := findMapping(ctx, tx, t, suffix)
	if fault.Is(err, fault.NotFound) || err == nil && !m.Wanted {
		return fmt.Errorf("%s: %w", t, ErrGone)
	}
	return err
}

// ready reports whether all targets are wanted and observed.
func (s *Store) ready(ctx context.Context, targets []Target) (bool, error) {
	if len(targets) == 0 {
		return true, nil
	}
	args := make([]any, 0, 3*len(targets))
	distinct := map[Target]bool{}
	for _, t := range targets {
		if !distinct[t] {
			args = append(args, t.Kind, t.ID, t.Pod)
		}
		distinct[t] = true
	}
	var n int
	err := s.reader().QueryRow(ctx, `
		SELECT count(*) FROM mappings
		WHERE (kind, id, pod) IN (VALUES `+triples(len(distinct))+`)
		AND wanted = 1
		AND generation = observed`, args...).Scan(&n)
	return n == len(distinct), unreachable(err)
}

func wantTx(ctx context.Context, tx *Tx, project string, targets ...Target) (pending []Target, err error) {
	var changed []Target
	for _, t := range inOrder(targets) {
		fresh, ready, err := wantOne(ctx, tx, project, t)
		if err != nil {
			return nil, err
		}
		if fresh {
			changed = append(changed, t)
		}
		if fresh {
			if err := placedTx(ctx, tx, t); err != nil {
				return nil, err
			}
		}
		if !ready {
			pending = append(pending, t)
		}
	}
	return pending, enqueue(ctx, tx, changed...)
}

// placedTx does what follows from a thing's coming to a pod.
func placedTx(ctx context.Context, tx *Tx, t Target) error {
	switch t.Kind {
	case KindPort:
		if err := portPlacedTx(ctx, tx, t.ID, t.Pod); err != nil {
			return err
		}
		return respanFloatingIPs(ctx, tx, t.ID)
	case KindNetwork:
		return errors.Join(joinedTx(ctx, tx, t.ID), spanRoutersOn(ctx, tx, t.ID))
	}
	return nil
}

// inOrder sorts and drops doubles, so that transactions lock rows in one order.
func inOrder(targets []Target) []Target {
	targets = slices.Clone(targets)
	slices.SortFunc(targets, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Pod, b.Pod))
	})
	return slices.Compact(targets)
}

func wantOne(ctx context.Context, tx *Tx, project string, t Target) (fresh, ready bool, err error) {
	if t.Kind == KindGroupMembers {
		if err := lockGroups(ctx, tx, "FOR NO KEY UPDATE", t.ID); err != nil {
			return false, false, err
		}
	}
	res, err := tx.Exec(ctx, `
		INSERT INTO mappings (`+mappingColumns+`)
		VALUES (?, ?, ?, '', ?, 1, 0, 1, 0, '', 0, ?)
		ON CONFLICT (kind, id, pod) DO UPDATE
		SET wanted = 1, generation = mappings.generation + 1, reason = '', updated_at = excluded.updated_at
		WHERE mappings.wanted = 0`,
		t.Kind, t.ID, t.Pod, project, tx.now())
	if dangling(err) {
		return false, false, noPod(t.Pod)
	}
	if err != nil {
		return false, false, fmt.Errorf("cannot want %s: %w", t, err)
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return true, false, err
	}
	err = tx.QueryRow(ctx, `
		SELECT generation = observed FROM mappings
		WHERE kind = ? AND id = ? AND pod = ?`, t.Kind, t.ID, t.Pod).Scan(&ready)
	return false, ready, err
}

// Touch says that the thing has changed: every pod that is to have it gets a job.
func (s *Store) Touch(ctx context.Context, kind, id string) error {
	return s.write(ctx, func(tx *Tx) error { return touchTx(ctx, tx, kind, id) })
}

// TouchIn is Touch for one pod.
func (s *Store) TouchIn(ctx context.Context, t Target) error {
	return s.write(ctx, func(tx *Tx) error {
		return bump(ctx, tx, t.Kind, t.ID, `
			UPDATE mappings
			SET generation = generation + 1, updated_at = ?
			WHERE kind = ? AND id = ? AND wanted = 1 AND pod = ?
			RETURNING pod`, t.Pod)
	})
}

func touchTx(ctx context.Context, tx *Tx, kind, id string) error {
	return bump(ctx, tx, kind, id, `
		UPDATE mappings
		SET generation = generation + 1, updated_at = ?
		WHERE kind = ? AND id = ? AND wanted = 1
		RETURNING pod`)
}

// Unwant says that the thing must not exist in any pod; the jobs remove it.
func (s *Store) Unwant(ctx context.Context, kind, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := unwantTx(ctx, tx, kind, id)
		return err
	})
}

// unwantTx returns how many mappings there are until the jobs have removed the
// thing. With none left nobody will call releaseTx: the caller does.
func unwantTx(ctx context.Context, tx *Tx, kind, id string) (left int, err error) {
	if kind == KindPort {
		if err := portLeavesTx(ctx, tx, id); err != nil {
			return 0, err
		}
		if err := trunkLeavesTx(ctx, tx, id); err != nil {
			return 0, err
		}
	}
	if kind == KindNetwork {
		if _, err := unwantTx(ctx, tx, KindInterconnect, id); err != nil {
			return 0, err
		}
	}
	err = bump(ctx, tx, kind, id, `
		UPDATE mappings
		SET wanted = 0, generation = generation + 1, reason = '', updated_at = ?
		WHERE kind = ? AND id = ? AND wanted = 1
		RETURNING pod`)
	if err != nil {
		return 0, err
	}
	if kind == KindPort {
		if err := respanFloatingIPs(ctx, tx, id); err != nil {
			return 0, err
		}
	}
	err = tx.QueryRow(ctx, `SELECT count(*) FROM mappings WHERE kind = ? AND id = ?`, kind, id).Scan(&left)
	return left, err
}

// bump runs an update that returns the pods concerned, and makes their jobs. The
// row changes before its job is inserted: a worker that is about to finish then
// either sees the new generation or has freed the job's place.
func bump(ctx context.Context, tx *Tx, kind, id, update string, more ...any) error {
	changed, err := list(ctx, tx, func(row scanner) (Target, error) {
		t := Target{Kind: kind, ID: id}
		return t, row.Scan(&t.Pod)
	}, update, append([]any{tx.now(), kind, id}, more...)...)
	if err != nil {
		return fmt.Errorf("cannot change mappings of %s %s: %w", kind, id, err)
	}
	return enqueue(ctx, tx, inOrder(changed)...)
}

// FindMapping returns the mapping, or fault.NotFound.
func (s *Store) FindMapping(ctx context.Context, t Target) (Mapping, error) {
	return findMapping(ctx, s.reader(), t, "")
}

func findMapping(ctx context.Context, tx *Tx, t Target, suffix string) (Mapping, error) {
	return find(ctx, tx, noMapping(t), scanMapping, `
		SELECT `+mappingColumns+` FROM mappings
		WHERE kind = ? AND id = ? AND pod = ?`+suffix, t.Kind, t.ID, t.Pod)
}

func noMapping(t Target) error { return fault.New(fault.NotFound, "", "no %s", t) }

// ListMappings lists mappings by kind, ID and pod.
func (s *Store) ListMappings(ctx context.Context, q MappingQuery) ([]Mapping, error) {
	where, args := q.where()
	order := ` ORDER BY kind, id, pod`
	if q.Limit > 0 {
		order += ` LIMIT ?`
		args = append(args, q.Limit)
	}
	return list(ctx, s.reader(), scanMapping, `SELECT `+mappingColumns+` FROM mappings WHERE `+where+order, args...)
}

func (q MappingQuery) where() (string, []any) {
	where, args := []string{"1 = 1"}, []any{}
	for _, c := range []struct{ column, value string }{
		{"kind", q.Kind}, {"id", q.ID}, {"pod", q.Pod}, {"pod_id", q.PodID}, {"project_id", q.Project},
	} {
		if c.value != "" {
			where = append(where, c.column+" = ?")
			args = append(args, c.value)
		}
	}
	if q.Pending {
		where = append(where, "generation <> observed")
	}
	if q.After != (Target{}) {
		where = append(where, "(kind, id, pod) > (?, ?, ?)")
		args = append(args, q.After.Kind, q.After.ID, q.After.Pod)
	}
	return strings.Join(where, " AND "), args
}

// ErrGone says that what a job is about, or what comes with it, has been deleted
// since it began, or is not to be in the pod any more: what the job has read is old.
var ErrGone = errors.New("it has been taken away meanwhile")

// Try records that the pod is about to be asked to create the thing. A thing
// that comes with another one's job (a subnet with its network) has no row yet
// and gets one, observed; with ErrGone if it has been deleted: nobody would
// remove from the pod what is made now.
func (s *Store) Try(ctx context.Context, t Target, project string) error {
	return s.write(ctx, func(tx *Tx) error {
		tried, err := affected(tx.Exec(ctx, `
			UPDATE mappings SET tried = 1, updated_at = ?
			WHERE kind = ? AND id = ? AND pod = ?`, tx.now(), t.Kind, t.ID, t.Pod))
		if err != nil || tried {
			return err
		}
		if there, err := isThere(ctx, tx, t); err != nil || !there {
			return cmp.Or(err, fmt.Errorf("%s: %w", t, ErrGone))
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO mappings (`+mappingColumns+`)
			VALUES (?, ?, ?, '', ?, 1, 1, 1, 1, '', 0, ?)
			ON CONFLICT (kind, id, pod) DO UPDATE
			SET tried = 1, updated_at = excluded.updated_at`,
			t.Kind, t.ID, t.Pod, project, tx.now())
		if dangling(err) {
			return noPod(t.Pod)
		}
		return err
	})
}

// isThere reports whether the thing is in its table, where that may be asked, and
// keeps it there until the end.
func isThere(ctx context.Context, tx *Tx, t Target) (bool, error) {
	table, ok := map[string]string{KindPort: "ports", KindSubnet: "subnets"}[t.Kind]
	if !ok {
		return true, nil
	}
	found, err := list(ctx, tx, scanString, `SELECT id FROM `+table+` WHERE id = ?`+tx.forChange(), t.ID)
	return len(found) > 0, err
}

// Untry takes Try back: the pod never got the request, or refused it.
func (s *Store) Untry(ctx context.Context, t Target) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE mappings SET tried = 0, updated_at = ?
			WHERE kind = ? AND id = ? AND pod = ? AND pod_id = ''`, tx.now(), t.Kind, t.ID, t.Pod)
		return err
	})
}

// Lose records that the pod is about to be asked once more, while what it made of
// the last request is not known.
func (s *Store) Lose(ctx context.Context, t Target) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE mappings SET lost_at = ?
			WHERE kind = ? AND id = ? AND pod = ?`, tx.now(), t.Kind, t.ID, t.Pod)
		return err
	})
}

// Place records the pod's ID for the thing. A thing that nobody wanted here yet
// (one made in the pod, or found there) becomes wanted and observed.
func (s *Store) Place(ctx context.Context, t Target, podID, project string) error {
	return s.write(ctx, func(tx *Tx) error { return placeTx(ctx, tx, t, podID, project) })
}

func placeTx(ctx context.Context, tx *Tx, t Target, podID, project string) error {
	placed, err := affected(tx.Exec(ctx, `
		UPDATE mappings SET pod_id = ?, tried = 1, updated_at = ?
		WHERE kind = ? AND id = ? AND pod = ?`, podID, tx.now(), t.Kind, t.ID, t.Pod))
	if err == nil && !placed {
		err = placeNewTx(ctx, tx, t, podID, project)
	}
	if err != nil || t.Kind != KindPort {
		return err
	}
	return memberChangedTx(ctx, tx, t.ID, t.Pod)
}

// placeNewTx is for a thing without a row: wanted, or else, if it has been deleted
// meanwhile, to be removed from the pod.
func placeNewTx(ctx context.Context, tx *Tx, t Target, podID, project string) error {
	there, err := isThere(ctx, tx, t)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO mappings (`+mappingColumns+`)
		VALUES (?, ?, ?, ?, ?, 1, 1, 1, 1, '', 0, ?)
		ON CONFLICT (kind, id, pod) DO UPDATE
		SET pod_id = excluded.pod_id, tried = 1, updated_at = excluded.updated_at`,
		t.Kind, t.ID, t.Pod, podID, project, tx.now())
	if dangling(err) {
		return noPod(t.Pod)
	}
	if err == nil && !there {
		_, err = unwantTx(ctx, tx, t.Kind, t.ID)
	}
	return err
}

// Forget records that the pod no longer has the thing: its row goes, and with
// the last row what was held for it (address, MAC, segment). If it is wanted
// again meanwhile, the row stays, without the pod's ID, and a job makes it anew.
func (s *Store) Forget(ctx context.Context, t Target) error {
	return s.write(ctx, func(tx *Tx) error { return forgetTx(ctx, tx, t) })
}

func forgetTx(ctx context.Context, tx *Tx, t Target) error {
	m, err := findMapping(ctx, tx, t, tx.forUpdate())
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Wanted {
		if err := changeMapping(ctx, tx, t, `pod_id = '', tried = 0, generation = generation + 1`); err != nil {
			return err
		}
		return enqueue(ctx, tx, t)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM mappings WHERE kind = ? AND id = ? AND pod = ?`, t.Kind, t.ID, t.Pod); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM entries WHERE kind = ? AND id = ? AND pod = ?`, t.Kind, t.ID, t.Pod); err != nil {
		return err
	}
	tx.AfterCommit(func() { tx.store.forgotten.add(t, tx.now()) })
	switch t.Kind {
	case KindImage:
		_, err = tx.Exec(ctx, `DELETE FROM image_copies WHERE id = ? AND pod = ?`, t.ID, t.Pod)
	case KindNetwork:
		err = errors.Join(clearNetworkTx(ctx, tx, t.ID, t.Pod), touchOthers(ctx, tx, t.ID, t.Pod))
	case KindPort:
		err = memberChangedTx(ctx, tx, t.ID, t.Pod)
	case KindServer:
		err = tookVolumesTx(ctx, tx, m)
	}
	if err != nil {
		return err
	}
	var left int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM mappings WHERE kind = ? AND id = ?`, t.Kind, t.ID).Scan(&left); err != nil || left > 0 {
		return err
	}
	if t.Kind == KindPort {
		if err := unbindTx(ctx, tx, t.ID); err != nil {
			return err
		}
	}
	return releaseTx(ctx, tx, t.Kind, t.ID)
}

// Fail records why the last attempt did not finish, for operators.
func (s *Store) Fail(ctx context.Context, t Target, reason string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE mappings SET reason = ?
			WHERE kind = ? AND id = ? AND pod = ? AND reason <> ?`, reason, t.Kind, t.ID, t.Pod, reason)
		return err
	})
}

func changeMapping(ctx context.Context, tx *Tx, t Target, set string) error {
	res, err := tx.Exec(ctx, `
		UPDATE mappings SET `+set+`, updated_at = ?
		WHERE kind = ? AND id = ? AND pod = ?`, tx.now(), t.Kind, t.ID, t.Pod)
	if err != nil {
		return fmt.Errorf("cannot change %s: %w", t, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, noMapping(t))
	}
	return nil
}

// Observe ends a piece of work: the pod now has the generation that the caller
// read before he began. If that is still the current one it is recorded, then is
// run in the same transaction (it completes the job), and current is true.
// Otherwise nothing changes and the caller goes round again: this is the guard
// without which a change that arrives during the work is lost.
//
// A row that is gone is current. A row that is not wanted never is: its work
// ends with Forget. After Forget, pass generation 0, so that a row made since
// is not taken for the one forgotten.
func (s *Store) Observe(ctx context.Context, t Target, generation int64, then func(*Tx) error) (current bool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		current, err = observeTx(ctx, tx, t, generation)
		if err != nil || !current || then == nil {
			return err
		}
		return then(tx)
	})
	return current && err == nil, err
}

func observeTx(ctx context.Context, tx *Tx, t Target, generation int64) (current bool, err error) {
	m, err := findMapping(ctx, tx, t, tx.forUpdate())
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil || !m.Wanted || m.Generation != generation {
		return false, err
	}
	if m.Observed == generation && m.Reason == "" {
		return true, nil
	}
	if err := changeMapping(ctx, tx, t, `observed = generation, reason = ''`); err != nil || t.Kind != KindNetwork {
		return true, err
	}
	return true, releaseOldSegments(ctx, tx, t.ID)
}
