package cinder

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// transfer offers a volume to whoever knows the key.
type transfer struct {
	id, volume, project, key string
	name                     any
	created                  time.Time
}

func (s *Server) mountTransfers(v verbs) {
	for _, base := range []string{"/volume-transfers", "/os-volume-transfer"} {
		paged := base == "/volume-transfers"
		v.get(base, s.listTransfers(paged, false))
		v.get(base+"/detail", s.listTransfers(paged, true))
		v.post(base, s.createTransfer)
		v.get(base+"/{id}", s.onTransfer(func(r *rest.Request, t *transfer) (*rest.Reply, error) {
			return rest.OK(rest.Doc{"transfer": t.doc(r, true)})
		}))
		v.del(base+"/{id}", s.onTransfer(func(_ *rest.Request, t *transfer) (*rest.Reply, error) {
			s.endTransfer(t, t.project)
			return &rest.Reply{Status: http.StatusAccepted}, nil
		}))
		v.post(base+"/{id}/accept", s.acceptTransfer)
	}
}

func (s *Server) onTransfer(do func(r *rest.Request, t *transfer) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		t, err := s.findTransfer(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return do(r, t)
	}
}

func (s *Server) findTransfer(r *rest.Request, id string) (*transfer, error) {
	for _, t := range s.transfers {
		if t.id == id && r.Caller.Sees(t.project) {
			return t, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Transfer %s could not be found.", id)
}

// endTransfer leaves the volume to a project.
func (s *Server) endTransfer(t *transfer, project string) {
	for _, v := range s.volumes {
		if v.id == t.volume {
			v.status, v.project = "available", project
		}
	}
	s.transfers = slices.DeleteFunc(s.transfers, func(o *transfer) bool { return o == t })
}

func (t *transfer) doc(r *rest.Request, detail bool) rest.Doc {
	d := rest.Doc{"id": t.id, "volume_id": t.volume, "name": t.name, "links": links(r, "os-volume-transfer/"+t.id)}
	if detail {
		d["created_at"] = micros(t.created.Truncate(time.Second))
		if r.Minor >= 55 {
			d["no_snapshots"] = false
		}
		if r.Minor >= 57 {
			d["destination_project_id"], d["source_project_id"], d["accepted"] = nil, t.project, false
		}
	}
	return d
}

func (s *Server) createTransfer(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "transfer")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, rest.Str(in, "volume_id"))
	if err != nil {
		return nil, err
	}
	if v.status != "available" {
		return nil, badRequest("Invalid volume: status must be available")
	}
	t := &transfer{id: uuid.NewString(), volume: v.id, project: v.project, key: uuid.NewString()[:16], name: in["name"], created: s.Now()}
	v.status = "awaiting-transfer"
	s.transfers = append(s.transfers, t)
	d := t.doc(r, true)
	d["auth_key"] = t.key
	return rest.Accepted(rest.Doc{"transfer": d})
}

func (s *Server) acceptTransfer(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "accept")
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.transfers, func(t *transfer) bool { return t.id == r.Param("id") })
	if i < 0 {
		return nil, fail(http.StatusNotFound, "Transfer %s could not be found.", r.Param("id"))
	}
	t := s.transfers[i]
	if rest.Str(in, "auth_key") != t.key {
		return nil, badRequest("Invalid auth key: Attempt to transfer %s with invalid auth key.", t.id)
	}
	s.endTransfer(t, r.Caller.ProjectID)
	return rest.Accepted(rest.Doc{"transfer": t.doc(r, false)})
}

func (s *Server) listTransfers(paged, detail bool) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		l := listing{field: "transfers", links: "transfers_links", path: "os-volume-transfer"}
		if !paged || r.Minor < 59 { // in the order in which they came
			query := r.URL.Query()
			query.Set("sort", "created_at:asc")
			query.Del("marker")
			r.URL.RawQuery = query.Encode()
		}
		for _, t := range s.transfers {
			l.rows = append(l.rows, row{id: t.id, project: t.project, show: func() rest.Doc { return t.doc(r, detail) }, key: rest.Doc{
				"id": t.id, "name": t.name, "volume_id": t.volume, "created_at": stamp(t.created),
			}})
		}
		return s.page(r, l, func(id string) error {
			_, err := s.findTransfer(r, id)
			return err
		})
	}
}
