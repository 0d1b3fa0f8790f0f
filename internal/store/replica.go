package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
)

// Replica is a thing that is the same in every pod, and that the region has made
// or changed. What the pods had before and nobody touched is not recorded.
type Replica struct {
	Kind, ID, Name string
	Content        json.RawMessage // what the region wants; nil while it is being made
	// Everywhere says that a pod without it gets it. A thing that some pods had
	// already stays in those.
	Everywhere bool
	// Deleted things are remembered until every pod has let go of them.
	Deleted   bool
	Attempt   *Attempt
	UpdatedAt time.Time
}

// Attempt journals a change before a pod is asked for it. Whoever finds it left
// over looks in that pod whether it came about.
type Attempt struct {
	ID      string          `json:"id"` // of its own: a job that looks after another one has ended
	Pod     string          `json:"pod"`
	Act     Act             `json:"act"`
	Content json.RawMessage `json:"content,omitempty"` // as it is to be; of a creation only the pod knows
	At      time.Time       `json:"at"`
}

// Act is what an attempt does.
type Act string

// The acts.
const (
	ActCreate Act = "create"
	ActChange Act = "change"
	ActDelete Act = "delete"
)

// Copy is what a pod was last told of a replica.
type Copy struct {
	Pod     string
	PodID   string          // its ID there; empty: ours
	Content json.RawMessage // nil: it has none
	// Settled says that nothing is left to be done there.
	Settled bool
}

// replicated are the kinds that are the same in every pod.
var replicated = []any{KindFlavor, KindKeypair, KindNamespace, KindQoSSpecs, KindVolumeType, KindGroupType, KindDefaultType}

// Named says that each pod gives things of the kind an ID of its own: a pod's is
// found by its name.
func Named(kind string) bool {
	return kind == KindVolumeType || kind == KindQoSSpecs || kind == KindGroupType
}

// AttemptTarget is the job that looks after a change if its maker does not.
func AttemptTarget(attempt Attempt, kind, id string) Target {
	return Target{Kind: KindAttempt, ID: attempt.ID + "/" + kind + "/" + id, Pod: attempt.Pod}
}

// AttemptOf is the reverse.
func AttemptOf(t Target) (attempt, kind, id string) {
	attempt, rest, _ := strings.Cut(t.ID, "/")
	kind, id, _ = strings.Cut(rest, "/")
	return attempt, kind, id
}

const replicaColumns = `kind, id, name, content, everywhere, deleted, attempt, updated_at`

func scanReplica(row scanner) (r Replica, err error) {
	var content, attempt string
	if err = row.Scan(&r.Kind, &r.ID, &r.Name, &content, &r.Everywhere, &r.Deleted, &attempt, intoTime(&r.UpdatedAt)); err != nil {
		return r, err
	}
	if content != "" {
		r.Content = json.RawMessage(content)
	}
	if attempt != "" {
		r.Attempt = &Attempt{}
		err = json.Unmarshal([]byte(attempt), r.Attempt)
	}
	return r, err
}

func noReplica(kind, id string) error {
	return fault.New(fault.NotFound, "", "no %s %s is recorded", kind, id)
}

// FindReplica returns the replica, deleted ones too, or fault.NotFound.
func (s *Store) FindReplica(ctx context.Context, kind, id string) (Replica, error) {
	return findReplica(ctx, s.reader(), kind, id, "")
}

func findReplica(ctx context.Context, tx *Tx, kind, id, suffix string) (Replica, error) {
	return find(ctx, tx, noReplica(kind, id), scanReplica, `
		SELECT `+replicaColumns+` FROM replicas
		WHERE kind = ? AND id = ?`+suffix, kind, id)
}

// ListReplicas lists those of a kind by ID, without the deleted ones and those
// that are still being made.
func (s *Store) ListReplicas(ctx context.Context, kind string) ([]Replica, error) {
	return listReplicas(ctx, s.reader(), kind)
}

func listReplicas(ctx context.Context, tx *Tx, kind string) ([]Replica, error) {
	return list(ctx, tx, scanReplica, `
		SELECT `+replicaColumns+` FROM replicas
		WHERE kind = ? AND deleted = 0 AND content <> ''
		ORDER BY id`, kind)
}

// TryReplica journals that the pod is about to be asked for a change, and leaves
// a job that looks after it later. An attempt that was left over is replaced: the
// pods know the thing by its ID or name, so that none can be made twice.
func (s *Store) TryReplica(ctx context.Context, kind, id, name string, t Attempt) error {
	return s.write(ctx, func(tx *Tx) error {
		t.ID, t.At = uuid.NewString(), tx.now().UTC()
		_, err := tx.Exec(ctx, `
			INSERT INTO replicas (`+replicaColumns+`)
			VALUES (?, ?, ?, '', 1, 0, ?, ?)
			ON CONFLICT (kind, id) DO UPDATE
			SET attempt = excluded.attempt, updated_at = excluded.updated_at`,
			kind, id, name, asJSON(t), tx.now())
		if err != nil {
			return fmt.Errorf("cannot journal a change of %s %s: %w", kind, id, err)
		}
		return enqueue(ctx, tx, AttemptTarget(t, kind, id))
	})
}

// DropAttempt ends an attempt that changed nothing.
func (s *Store) DropAttempt(ctx context.Context, kind, id string) error {
	return s.write(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE replicas SET attempt = '' WHERE kind = ? AND id = ?`, kind, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			DELETE FROM replicas
			WHERE kind = ? AND id = ? AND (content = '' OR deleted = 1)
			AND NOT EXISTS (SELECT 1 FROM mappings m WHERE m.kind = replicas.kind AND m.id = replicas.id)`, kind, id)
		return err
	})
}

// KeepReplica records what the region wants from now on, ends the attempt, and
// makes jobs for all pods but those that the copies call settled.
func (s *Store) KeepReplica(ctx context.Context, r Replica, copies ...Copy) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO replicas (`+replicaColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, '', ?)
			ON CONFLICT (kind, id) DO UPDATE
			SET name = excluded.name, content = excluded.content, everywhere = excluded.everywhere,
				deleted = excluded.deleted, attempt = '', updated_at = excluded.updated_at`,
			r.Kind, r.ID, r.Name, string(r.Content), r.Everywhere, r.Deleted, tx.now())
		if err != nil {
			return fmt.Errorf("cannot record %s %s: %w", r.Kind, r.ID, err)
		}
		pods, err := list(ctx, tx, scanString, `SELECT name FROM pods ORDER BY name`)
		if err != nil {
			return err
		}
		targets := make([]Target, 0, len(pods))
		for _, pod := range pods {
			targets = append(targets, Target{Kind: r.Kind, ID: r.ID, Pod: pod})
		}
		if _, err := wantTx(ctx, tx, "", targets...); err != nil {
			return err
		}
		if r.Deleted {
			return dismissTx(ctx, tx, r, copies)
		}
		if err := touchTx(ctx, tx, r.Kind, r.ID); err != nil {
			return err
		}
		return tellTx(ctx, tx, r.Kind, r.ID, copies)
	})
}

// dismissTx has the pods let go of it; those that are settled have.
func dismissTx(ctx context.Context, tx *Tx, r Replica, copies []Copy) error {
	left, err := unwantTx(ctx, tx, r.Kind, r.ID)
	if err != nil {
		return err
	}
	if left == 0 {
		return releaseTx(ctx, tx, r.Kind, r.ID)
	}
	for _, c := range copies {
		if !c.Settled {
			continue
		}
		if err := forgetTx(ctx, tx, Target{Kind: r.Kind, ID: r.ID, Pod: c.Pod}); err != nil {
			return err
		}
	}
	return nil
}

// TellReplica records what a pod has been told; the mapping must be there.
func (s *Store) TellReplica(ctx context.Context, kind, id string, copies ...Copy) error {
	return s.write(ctx, func(tx *Tx) error { return tellTx(ctx, tx, kind, id, copies) })
}

func tellTx(ctx context.Context, tx *Tx, kind, id string, copies []Copy) error {
	for _, c := range copies {
		t := Target{Kind: kind, ID: id, Pod: c.Pod}
		if _, err := findMapping(ctx, tx, t, ""); err != nil {
			if fault.Is(err, fault.NotFound) {
				continue // the pod was removed meanwhile
			}
			return err
		}
		if c.Content != nil {
			_, err := tx.Exec(ctx, `
				INSERT INTO copies (kind, id, pod, content)
				VALUES (?, ?, ?, ?)
				ON CONFLICT (kind, id, pod) DO UPDATE
				SET content = excluded.content`, kind, id, c.Pod, string(c.Content))
			if err != nil {
				return err
			}
			if !Named(kind) {
				c.PodID = id
			}
		}
		if c.PodID != "" {
			if err := callTx(ctx, tx, t, c.PodID); err != nil {
				return err
			}
		}
		if c.Settled {
			if err := changeMapping(ctx, tx, t, `observed = generation, reason = ''`); err != nil {
				return err
			}
		}
	}
	return nil
}

// callTx records what the pod calls the thing.
func callTx(ctx context.Context, tx *Tx, t Target, podID string) error {
	_, err := tx.Exec(ctx, `
		UPDATE mappings SET pod_id = ?
		WHERE kind = ? AND id = ? AND pod = ?`, podID, t.Kind, t.ID, t.Pod)
	if err != nil || !Named(t.Kind) {
		return err
	}
	return aliasTx(ctx, tx, t, podID)
}

// MeetReplica records that the pod had the thing before, under its own ID: it is to
// have it from now on, and what is there counts as told to it.
func (s *Store) MeetReplica(ctx context.Context, kind, id string, c Copy) error {
	return s.write(ctx, func(tx *Tx) error {
		if err := placeTx(ctx, tx, Target{Kind: kind, ID: id, Pod: c.Pod}, c.PodID, ""); err != nil {
			return err
		}
		return tellTx(ctx, tx, kind, id, []Copy{c})
	})
}

// FindReplicaNamed returns the one that has the name in the region, also one that
// is being made, or fault.NotFound.
func (s *Store) FindReplicaNamed(ctx context.Context, kind, name string) (Replica, error) {
	return find(ctx, s.reader(), noReplica(kind, name), scanReplica, `
		SELECT `+replicaColumns+` FROM replicas
		WHERE kind = ? AND name = ? AND deleted = 0
		ORDER BY content = '', id
		LIMIT 1`, kind, name)
}

// FindCopy is what the pod was last told; nil when it was told nothing.
func (s *Store) FindCopy(ctx context.Context, t Target) (json.RawMessage, error) {
	told, err := find(ctx, s.reader(), nil, scanString, `
		SELECT content FROM copies
		WHERE kind = ? AND id = ? AND pod = ?`, t.Kind, t.ID, t.Pod)
	if err != nil || told == "" {
		return nil, err
	}
	return json.RawMessage(told), nil
}

// welcomeTx has a new pod get what exists: what the region has made, and, by a
// job that looks at the other pods, what they have in common.
func welcomeTx(ctx context.Context, tx *Tx, pod string) error {
	var targets []Target
	for _, kind := range replicated {
		all, err := listReplicas(ctx, tx, kind.(string))
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.Everywhere {
				targets = append(targets, Target{Kind: r.Kind, ID: r.ID, Pod: pod})
			}
		}
	}
	var others int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM pods WHERE name <> ?`, pod).Scan(&others); err != nil {
		return err
	}
	if others > 0 {
		targets = append(targets, Target{Kind: KindCatalog, ID: pod, Pod: pod})
	}
	if _, err := wantTx(ctx, tx, "", targets...); err != nil {
		return err
	}
	return spreadImagesTx(ctx, tx, "", pod)
}

// Owners are the users who have anything in the region, for kinds that belong to
// users.
func (s *Store) Owners(ctx context.Context) ([]string, error) {
	return list(ctx, s.reader(), scanString, `
		SELECT user_id FROM entries WHERE user_id <> ''
		UNION
		SELECT substr(id, 1, length(id) - length(name) - 1) FROM replicas WHERE kind = 'keypair'
		ORDER BY 1`)
}
