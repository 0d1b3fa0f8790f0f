package cinder

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type snapshot struct {
	id, volume, project, user string
	name, description         any
	status                    string
	size                      int
	created                   time.Time
	metadata                  map[string]string
	group                     any // its group snapshot
	data                      string
}

func (s *Server) mountSnapshots(v verbs) {
	v.get("/snapshots", s.listSnapshots(false))
	v.get("/snapshots/detail", s.listSnapshots(true))
	v.post("/snapshots", s.createSnapshot)
	v.get("/snapshots/{id}", s.onSnapshot(func(r *rest.Request, n *snapshot) (*rest.Reply, error) {
		return rest.OK(rest.Doc{"snapshot": n.doc(r, true)})
	}))
	v.put("/snapshots/{id}", s.onSnapshot(func(r *rest.Request, n *snapshot) (*rest.Reply, error) {
		in, err := body(r, "snapshot")
		if err != nil {
			return nil, err
		}
		rename(in, &n.name, &n.description)
		return rest.OK(rest.Doc{"snapshot": n.doc(r, false)})
	}))
	v.del("/snapshots/{id}", s.onSnapshot(func(_ *rest.Request, n *snapshot) (*rest.Reply, error) {
		s.snapshots = slices.DeleteFunc(s.snapshots, func(o *snapshot) bool { return o == n })
		return &rest.Reply{Status: http.StatusAccepted}, nil
	}))
	v.post("/snapshots/{id}/action", s.onSnapshot(s.actOnSnapshot))
	mountMetadata(v, "Snapshot", "/snapshots/{id}/metadata", func(r *rest.Request) (map[string]string, error) {
		n, err := s.findSnapshot(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return n.metadata, nil
	})
}

// rename takes name and description over, if they are given.
func rename(in rest.Doc, name, description *any) {
	if v, ok := in["name"]; ok {
		*name = v
	}
	if v, ok := in["description"]; ok {
		*description = v
	}
}

func (s *Server) onSnapshot(do func(r *rest.Request, n *snapshot) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		n, err := s.findSnapshot(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return do(r, n)
	}
}

func (s *Server) hasSnapshots(v *volume) bool {
	return slices.ContainsFunc(s.snapshots, func(n *snapshot) bool { return n.volume == v.id })
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

func (n *snapshot) doc(r *rest.Request, detail bool) rest.Doc {
	d := rest.Doc{
		"id": n.id, "name": n.name, "description": n.description, "volume_id": n.volume, "status": n.status, "size": n.size,
		"created_at": micros(n.created.Truncate(time.Second)), "updated_at": nil, "metadata": n.metadata,
	}
	if !detail {
		return d
	}
	d["os-extended-snapshot-attributes:project_id"], d["os-extended-snapshot-attributes:progress"] = n.project, "100%"
	if r.Minor >= 14 {
		d["group_snapshot_id"] = n.group
	}
	if r.Minor >= 41 {
		d["user_id"] = n.user
	}
	if r.Minor >= 65 {
		d["consumes_quota"] = true
	}
	return d
}

func (s *Server) listSnapshots(detail bool) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		l := listing{field: "snapshots", links: "snapshots_links", path: "snapshots", count: true}
		if detail {
			l.path += "/detail"
		}
		for _, n := range s.snapshots {
			l.rows = append(l.rows, row{id: n.id, project: n.project, show: func() rest.Doc { return n.doc(r, detail) }, key: rest.Doc{
				"id": n.id, "name": n.name, "status": n.status, "volume_id": n.volume, "size": n.size, "created_at": stamp(n.created), "project_id": n.project,
				"availability_zone": s.Zone,
			}})
		}
		return s.page(r, l, func(id string) error {
			_, err := s.findSnapshot(r, id)
			return err
		})
	}
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
	if v.status != "available" && (v.status != "in-use" || r.Minor < 66 && !rest.Bool(in, "force")) {
		return nil, badRequest("Invalid volume: Volume %s status must be available, but current status is: %s.", v.id, v.status)
	}
	if err := s.fits(r.Caller.ProjectID, v.kind, "snapshots", v.size); err != nil {
		return nil, err
	}
	n := s.snap(r, v)
	n.name, n.description = in["name"], in["description"]
	meta, _ := in["metadata"].(rest.Doc)
	for k, val := range meta {
		n.metadata[k] = rest.Text(val)
	}
	d := n.doc(r, false)
	d["status"] = "creating"
	return rest.Accepted(rest.Doc{"snapshot": d})
}

// snap keeps what is on a volume now.
func (s *Server) snap(r *rest.Request, v *volume) *snapshot {
	n := &snapshot{
		id: uuid.NewString(), volume: v.id, project: r.Caller.ProjectID, user: r.Caller.UserID, status: "available", size: v.size, created: s.Now(),
		metadata: map[string]string{}, data: v.data,
	}
	s.snapshots = append(s.snapshots, n)
	return n
}

func (s *Server) actOnSnapshot(r *rest.Request, n *snapshot) (*rest.Reply, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	for name, value := range doc {
		in, _ := value.(rest.Doc)
		switch name {
		case "os-reset_status", "os-update_snapshot_status":
			n.status = rest.Str(in, "status")
		case "os-force_delete", "os-unmanage":
			s.snapshots = slices.DeleteFunc(s.snapshots, func(o *snapshot) bool { return o == n })
		default:
			return nil, badRequest("There is no such action: %s. Verify the request body and Content-Type header and try again.", name)
		}
		if !r.Caller.Admin() {
			return nil, fail(http.StatusForbidden, "Policy doesn't allow volume_extension:snapshot_admin_actions:%s to be performed.", name[len("os-"):])
		}
	}
	return &rest.Reply{Status: http.StatusAccepted}, nil
}
