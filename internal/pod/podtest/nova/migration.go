package nova

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type migration struct {
	id               int
	uuid, server     string
	host, kind       string
	status           string
	user, project    string
	created, updated time.Time
}

// AddMigration adds a migration that has ended, made at the time. It returns its
// UUID. Mu must not be held.
func (s *Server) AddMigration(server string, at time.Time) string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.migrated(server, s.hosts[0], "resize", at).uuid
}

func (s *Server) migrated(server, host, kind string, at time.Time) *migration {
	m := &migration{
		id: len(s.migrations) + 1, uuid: uuid.NewString(), server: server, host: host, kind: kind, status: "finished",
		created: at.Truncate(time.Second), updated: at.Truncate(time.Second),
	}
	s.migrations = append(s.migrations, m)
	return m
}

func (m *migration) doc(r *rest.Request) rest.Doc {
	d := rest.Doc{
		"id": m.id, "source_compute": m.host, "dest_compute": m.host, "source_node": m.host, "dest_node": m.host, "dest_host": "192.0.2.1",
		"old_instance_type_id": 1, "new_instance_type_id": 2, "instance_uuid": m.server, "status": m.status,
		"created_at": micros(m.created), "updated_at": micros(m.updated),
	}
	if r.Minor >= 23 {
		d["migration_type"] = m.kind
	}
	if r.Minor >= 59 {
		d["uuid"] = m.uuid
	}
	if r.Minor >= 80 {
		d["user_id"], d["project_id"] = m.user, m.project
	}
	return d
}

// listMigrations gives them all before 2.59, the oldest first; since then in
// pages, the newest first.
func (s *Server) listMigrations(r *rest.Request) (*rest.Reply, error) {
	q := r.URL.Query()
	all := slices.Clone(s.migrations)
	if r.Minor >= 59 {
		slices.SortFunc(all, func(x, y *migration) int {
			if c := y.created.Compare(x.created); c != 0 {
				return c
			}
			return y.id - x.id
		})
	}
	all = slices.DeleteFunc(all, func(m *migration) bool {
		return q.Get("status") != "" && m.status != q.Get("status") || q.Get("instance_uuid") != "" && m.server != q.Get("instance_uuid") ||
			q.Get("host") != "" && m.host != q.Get("host") || q.Get("source_compute") != "" && m.host != q.Get("source_compute")
	})
	docs := []rest.Doc{}
	for _, m := range all {
		docs = append(docs, m.doc(r))
	}
	if r.Minor < 59 {
		return rest.OK(rest.Doc{"migrations": docs})
	}
	return onePage(r, "migrations", "os-migrations", docs, "uuid", func(marker string) error {
		return badRequest("Marker %s could not be found.", marker)
	})
}
