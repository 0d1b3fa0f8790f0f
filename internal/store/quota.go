package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
)

// The default class is what projects without limits of their own have.
const defaultClass = "default"

// QuotaOf names whose quota: a project's, or a user's within it.
type QuotaOf struct{ Service, ProjectID, UserID string }

// target is the project's quota in a pod. A pod counts only what it has itself,
// so that with the region's limit it is never in the way.
func (of QuotaOf) target(pod string) Target {
	return Target{Kind: of.Service + "_quota", ID: of.ProjectID, Pod: pod}
}

// QuotaTarget is the project's quota in a pod, to be brought there.
func QuotaTarget(service, project, pod string) Target {
	return QuotaOf{Service: service, ProjectID: project}.target(pod)
}

func scanAmount(into func(group, resource string, value int64)) func(scanner) (struct{}, error) {
	return func(row scanner) (struct{}, error) {
		var group, resource string
		var value int64
		err := row.Scan(&group, &resource, &value)
		into(group, resource, value)
		return struct{}{}, err
	}
}

// grouped runs a query for (group, resource, value).
func grouped(ctx context.Context, tx *Tx, query string, args ...any) (map[string]quota.Amounts, error) {
	groups := map[string]quota.Amounts{}
	_, err := list(ctx, tx, scanAmount(func(group, resource string, value int64) {
		if groups[group] == nil {
			groups[group] = quota.Amounts{}
		}
		groups[group][resource] = value
	}), query, args...)
	return groups, err
}

// QuotaSet is what has been set for the project, by user; its own limits are
// those of the user "".
func (s *Store) QuotaSet(ctx context.Context, service, project string) (map[string]quota.Amounts, error) {
	return grouped(ctx, s.reader(), `
		SELECT user_id, resource, value FROM quota_limits
		WHERE service = ? AND project_id = ?`, service, project)
}

// Limits are the limits that hold for the project, or for the user within it:
// what was set, else the defaults.
func (s *Store) Limits(ctx context.Context, of QuotaOf) (quota.Amounts, error) {
	set, defaults, err := limitsTx(ctx, s.reader(), of)
	if err != nil {
		return nil, err
	}
	return defaults.With(set[""]).With(set[of.UserID]), nil
}

// Defaults are the limits of a project that has none of its own.
func (s *Store) Defaults(ctx context.Context, service string) (quota.Amounts, error) {
	_, defaults, err := limitsTx(ctx, s.reader(), QuotaOf{Service: service})
	return defaults, err
}

// limitsTx reads what was set, by user, and the defaults, in one query.
func limitsTx(ctx context.Context, tx *Tx, of QuotaOf) (set map[string]quota.Amounts, defaults quota.Amounts, err error) {
	all, err := grouped(ctx, tx, `
		SELECT 'set/' || user_id, resource, value FROM quota_limits
		WHERE service = ? AND project_id = ? AND user_id IN ('', ?)
		UNION ALL
		SELECT 'class', resource, value FROM quota_classes
		WHERE service = ? AND class = ?
		UNION ALL
		SELECT 'pod/' || pod, resource, value FROM quota_defaults
		WHERE service = ?`,
		of.Service, of.ProjectID, of.UserID, of.Service, defaultClass, of.Service)
	if err != nil {
		return nil, nil, err
	}
	set = map[string]quota.Amounts{}
	var pods []quota.Amounts
	for group, amounts := range all {
		if user, ok := strings.CutPrefix(group, "set/"); ok {
			set[user] = amounts
		}
		if _, ok := strings.CutPrefix(group, "pod/"); ok {
			pods = append(pods, amounts)
		}
	}
	return set, quota.Defaults(of.Service, all["class"], pods).With(tx.store.stock(of.Service)), nil
}

// SetQuota stores limits of the project, or of a user. The project's are brought
// to all pods too, by jobs.
func (s *Store) SetQuota(ctx context.Context, of QuotaOf, limits quota.Amounts) error {
	return s.write(ctx, func(tx *Tx) error {
		for _, resource := range slices.Sorted(maps.Keys(limits)) {
			_, err := tx.Exec(ctx, `
				INSERT INTO quota_limits (service, project_id, user_id, resource, value)
				VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (service, project_id, user_id, resource) DO UPDATE
				SET value = excluded.value`, of.Service, of.ProjectID, of.UserID, resource, limits[resource])
			if err != nil {
				return err
			}
		}
		if of.UserID != "" || of.Service == quota.Network {
			return nil // decided here alone
		}
		pods, err := list(ctx, tx, scanString, `SELECT name FROM pods ORDER BY name`)
		if err != nil {
			return err
		}
		targets := make([]Target, 0, len(pods))
		for _, pod := range pods {
			targets = append(targets, of.target(pod))
		}
		return wantAnewTx(ctx, tx, of.ProjectID, targets...)
	})
}

// wantAnewTx wants the targets, and again those that are there: what they stand
// for has changed.
func wantAnewTx(ctx context.Context, tx *Tx, project string, targets ...Target) error {
	if _, err := wantTx(ctx, tx, project, targets...); err != nil || len(targets) == 0 {
		return err
	}
	return touchTx(ctx, tx, targets[0].Kind, targets[0].ID)
}

// LiftQuota has the project's limits brought to the pod, which turned out to give
// less; returns when that is written down.
func (s *Store) LiftQuota(ctx context.Context, service, project, pod string) error {
	return s.write(ctx, func(tx *Tx) error {
		return wantAnewTx(ctx, tx, project, QuotaTarget(service, project, pod))
	})
}

// DropQuota forgets the limits of the project with those of all its users, or
// those of one user.
func (s *Store) DropQuota(ctx context.Context, of QuotaOf) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			DELETE FROM quota_limits
			WHERE service = ? AND project_id = ? AND (user_id = ? OR ? = '')`,
			of.Service, of.ProjectID, of.UserID, of.UserID)
		if err != nil || of.UserID != "" || of.Service == quota.Network {
			return err
		}
		_, err = unwantTx(ctx, tx, of.target("").Kind, of.ProjectID)
		return err
	})
}

// QuotaClass is what has been set for a class of projects.
func (s *Store) QuotaClass(ctx context.Context, service, class string) (quota.Amounts, error) {
	all, err := grouped(ctx, s.reader(), `
		SELECT '', resource, value FROM quota_classes
		WHERE service = ? AND class = ?`, service, class)
	return all[""], err
}

// SetQuotaClass stores limits of a class, and has them brought to the pods. The
// defaults are behind every project's quota that a pod has of us: those go again.
func (s *Store) SetQuotaClass(ctx context.Context, service, class string, limits quota.Amounts) error {
	return s.write(ctx, func(tx *Tx) error {
		for _, resource := range slices.Sorted(maps.Keys(limits)) {
			_, err := tx.Exec(ctx, `
				INSERT INTO quota_classes (service, class, resource, value)
				VALUES (?, ?, ?, ?)
				ON CONFLICT (service, class, resource) DO UPDATE
				SET value = excluded.value`, service, class, resource, limits[resource])
			if err != nil {
				return err
			}
		}
		targets, err := list(ctx, tx, scanTarget, `SELECT ?, ?, name FROM pods ORDER BY name`, service+"_quota_class", class)
		if err != nil {
			return err
		}
		if err := wantAnewTx(ctx, tx, "", targets...); err != nil || class != defaultClass {
			return err
		}
		lifted, err := list(ctx, tx, scanTarget, `
			UPDATE mappings
			SET generation = generation + 1, updated_at = ?
			WHERE kind = ? AND wanted = 1
			RETURNING kind, id, pod`, tx.now(), service+"_quota")
		if err != nil {
			return err
		}
		return enqueue(ctx, tx, inOrder(lifted)...)
	})
}

// PodDefaults is what each pod gives by default, as far as it has told.
func (s *Store) PodDefaults(ctx context.Context, service string) (map[string]quota.Amounts, error) {
	return grouped(ctx, s.reader(), `SELECT pod, resource, value FROM quota_defaults WHERE service = ?`, service)
}

// SetPodDefaults remembers what the pod gives by default. Unchanged, it costs a
// read.
func (s *Store) SetPodDefaults(ctx context.Context, service, pod string, limits quota.Amounts) error {
	known, err := s.PodDefaults(ctx, service)
	if err != nil || maps.Equal(known[pod], limits) {
		return err
	}
	return s.write(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM quota_defaults WHERE service = ? AND pod = ?`, service, pod); err != nil {
			return err
		}
		for _, resource := range slices.Sorted(maps.Keys(limits)) {
			_, err := tx.Exec(ctx, `
				INSERT INTO quota_defaults (service, pod, resource, value)
				VALUES (?, ?, ?, ?)
				ON CONFLICT (service, pod, resource) DO UPDATE
				SET value = excluded.value`, service, pod, resource, limits[resource])
			if dangling(err) {
				return noPod(pod)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// LastBefore is the pod's last server up to the one given, in the order of
// projects and IDs; empty if the index knows none.
func (s *Store) LastBefore(ctx context.Context, pod, project, id string) (string, error) {
	last, err := find(ctx, s.reader(), fault.New(fault.NotFound, "", "no server"), scanString, `
		SELECT id FROM entries
		WHERE kind = 'server' AND pod = ? AND (project_id, id) <= (?, ?)
		ORDER BY project_id DESC, id DESC
		LIMIT 1`, pod, project, id)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return last, err
}
