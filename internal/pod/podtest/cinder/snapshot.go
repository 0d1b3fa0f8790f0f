package cinder

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type snapshot struct {
	id, volume, project string
	name, description   any
	size                int
	created             time.Time
}

func (s *Server) findSnapshot(r *rest.Request, id string) (*snapshot, error) {
	for _, n := range s.snapshots {
		if n.id == id && r.Caller.Sees(n.project) {
			return n, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Snapshot %s could not be found.", id)
}

// HasSnapshot says whether the caller sees the snapshot. Mu must be held.
func (s *Server) HasSnapshot(c rest.Caller, id string) bool {
	return slices.ContainsFunc(s.snapshots, func(n *snapshot) bool { return n.id == id && c.Sees(n.project) })
}

func snapshotDoc(n *snapshot, detail bool) rest.Doc {
	d := rest.Doc{
		"id": n.id, "name": n.name, "description": n.description, "volume_id": n.volume, "status": "available", "size": n.size,
		"created_at": micros(n.created.Truncate(time.Second)), "updated_at": nil, "metadata": rest.Doc{},
	}
	if detail {
		d["os-extended-snapshot-attributes:project_id"], d["os-extended-snapshot-attributes:progress"] = n.project, "100%"
	}
	return d
}

func (s *Server) snapshotList(r *rest.Request, detail bool) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, n := range s.snapshots {
		if n.project == r.Caller.ProjectID {
			out = append(out, snapshotDoc(n, detail))
		}
	}
	return rest.OK(rest.Doc{"snapshots": out})
}

func (s *Server) listSnapshots(r *rest.Request) (*rest.Reply, error) {
	return s.snapshotList(r, false)
}

func (s *Server) listSnapshotsDetail(r *rest.Request) (*rest.Reply, error) {
	return s.snapshotList(r, true)
}

func (s *Server) showSnapshot(r *rest.Request) (*rest.Reply, error) {
	n, err := s.findSnapshot(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"snapshot": snapshotDoc(n, true)})
}

func (s *Server) createSnapshot(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "snapshot")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, rest.Str(in, "volume_id"))
	if err != nil {
		return nil, err
	}
	n := &snapshot{id: uuid.NewString(), volume: v.id, project: r.Caller.ProjectID, name: in["name"], description: in["description"], size: v.size, created: s.Now()}
	s.snapshots = append(s.snapshots, n)
	d := snapshotDoc(n, false)
	d["status"] = "creating"
	return rest.Accepted(rest.Doc{"snapshot": d})
}

func (s *Server) deleteSnapshot(r *rest.Request) (*rest.Reply, error) {
	n, err := s.findSnapshot(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	s.snapshots = slices.DeleteFunc(s.snapshots, func(o *snapshot) bool { return o == n })
	return &rest.Reply{Status: http.StatusAccepted}, nil
}
