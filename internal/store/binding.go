package store

import (
	"context"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
)

// Binding says which pod a project uses in a zone. Made on first use.
type Binding struct {
	ProjectID string `json:"project_id"`
	Zone      string `json:"zone"`
	Pod       string `json:"pod"`

	BoundAt time.Time `json:"-"`
}

func scanBinding(row scanner) (b Binding, err error) {
	err = row.Scan(&b.ProjectID, &b.Zone, &b.Pod, intoTime(&b.BoundAt))
	return b, err
}

// Bind puts the project's new things in the zone into the pod. Earlier bindings
// of the project in the zone are kept, but no longer in force.
func (s *Store) Bind(ctx context.Context, project, zone, pod string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO bindings (project_id, zone, pod, bound_at)
			VALUES (?, ?, ?, ?)
			ON CONFLICT (project_id, zone, pod) DO UPDATE
			SET bound_at = excluded.bound_at`, project, zone, pod, tx.now())
		if dangling(err) {
			return noPod(pod)
		}
		return err
	})
}

// FindBinding returns the binding in force, or fault.NotFound.
func (s *Store) FindBinding(ctx context.Context, project, zone string) (Binding, error) {
	missing := fault.New(fault.NotFound, "", "project %s uses no pod in zone %s yet", project, zone)
	return find(ctx, s.reader(), missing, scanBinding, `
		SELECT project_id, zone, pod, bound_at FROM bindings
		WHERE project_id = ? AND zone = ?
		ORDER BY bound_at DESC, pod
		LIMIT 1`, project, zone)
}

// ListBindings lists the project's bindings, or all with project "", per zone the
// one in force first.
func (s *Store) ListBindings(ctx context.Context, project string) ([]Binding, error) {
	return list(ctx, s.reader(), scanBinding, `
		SELECT project_id, zone, pod, bound_at FROM bindings
		WHERE project_id = ? OR ? = ''
		ORDER BY project_id, zone, bound_at DESC, pod`, project, project)
}
