package cinder

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// attachment is a server's hold on a volume.
type attachment struct {
	id, volume, project string
	server, device      string
	host                any
	status              string // reserved, attaching, attached
	connected           bool
	made, since         time.Time
}

func (s *Server) mountAttachments(v verbs) {
	v.get("/attachments", s.listAttachments(false))
	v.get("/attachments/detail", s.listAttachments(true))
	v.post("/attachments", since(27, s.createAttachment))
	v.get("/attachments/{id}", since(27, s.onAttachment(func(r *rest.Request, a *attachment) (*rest.Reply, error) {
		return rest.OK(rest.Doc{"attachment": a.doc(true)})
	})))
	v.put("/attachments/{id}", since(27, s.onAttachment(func(r *rest.Request, a *attachment) (*rest.Reply, error) {
		in, err := body(r, "attachment")
		if err != nil {
			return nil, err
		}
		a.connect(in)
		return rest.OK(rest.Doc{"attachment": a.doc(true)})
	})))
	v.del("/attachments/{id}", since(27, s.onAttachment(func(_ *rest.Request, a *attachment) (*rest.Reply, error) {
		s.attachments = slices.DeleteFunc(s.attachments, func(o *attachment) bool { return o == a })
		for _, v := range s.volumes {
			if v.id == a.volume {
				s.settle(v)
			}
		}
		return rest.OK(rest.Doc{"attachments": []any{}})
	})))
	v.post("/attachments/{id}/action", since(44, s.onAttachment(func(_ *rest.Request, a *attachment) (*rest.Reply, error) {
		a.status, a.since = "attached", s.Now()
		for _, v := range s.volumes {
			if v.id == a.volume {
				s.settle(v)
			}
		}
		return rest.NoContent()
	})))
}

// since serves a route from a microversion on.
func since(minor int, h rest.Handler) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		if r.Minor < minor {
			return nil, fail(http.StatusNotFound, "API version 3.%d is not supported on this method.", r.Minor)
		}
		return h(r)
	}
}

func (s *Server) onAttachment(do func(r *rest.Request, a *attachment) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		a, err := s.findAttachment(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return do(r, a)
	}
}

func (s *Server) findAttachment(r *rest.Request, id string) (*attachment, error) {
	for _, a := range s.attachments {
		if a.id == id && r.Caller.Sees(a.project) {
			return a, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Volume attachment could not be found with filter: attachment_id = %s.", id)
}

func connection(volume string) rest.Doc {
	return rest.Doc{"driver_volume_type": "fake", "data": rest.Doc{"volume_id": volume}}
}

func (a *attachment) connect(in rest.Doc) {
	c, ok := in["connector"].(rest.Doc)
	if !ok {
		return
	}
	a.connected, a.host, a.status = true, c["host"], "attaching"
}

func (a *attachment) doc(detail bool) rest.Doc {
	d := rest.Doc{"id": a.id, "status": a.status, "instance": a.server, "volume_id": a.volume}
	if !detail {
		return d
	}
	d["attached_at"], d["detached_at"], d["attach_mode"], d["connection_info"] = "", "", "null", rest.Doc{}
	if a.status == "attached" {
		d["attached_at"] = micros(a.since)
	}
	if a.connected {
		d["connection_info"] = connection(a.volume)
	}
	return d
}

// attachedTo is what a volume shows of who has it.
func (s *Server) attachedTo(r *rest.Request, v *volume) []rest.Doc {
	docs := []rest.Doc{}
	for _, a := range s.attachments {
		if a.volume != v.id || a.status != "attached" {
			continue
		}
		d := rest.Doc{
			"id": v.id, "attachment_id": a.id, "volume_id": v.id, "server_id": a.server, "host_name": nil, "device": a.device, "attached_at": micros(a.since),
		}
		if r.Caller.Admin() {
			d["host_name"] = a.host
		}
		docs = append(docs, d)
	}
	return docs
}

// settle makes the volume's status that of its attachments.
func (s *Server) settle(v *volume) {
	v.status = "available"
	for _, a := range s.attachments {
		switch {
		case a.volume != v.id:
		case a.status == "attached":
			v.status = "in-use"
		case v.status != "in-use":
			v.status = "reserved"
		}
	}
}

func (s *Server) createAttachment(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "attachment")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, rest.Str(in, "volume_uuid"))
	if err != nil {
		return nil, err
	}
	if v.status != "available" && (!v.multi || v.status != "in-use") {
		return nil, badRequest("Invalid volume: Volume %s status must be available or downloading to reserve, but the current status is %s.", v.id, v.status)
	}
	a := &attachment{id: uuid.NewString(), volume: v.id, project: v.project, server: rest.Str(in, "instance_uuid"), status: "reserved", made: s.Now()}
	a.connect(in)
	s.attachments = append(s.attachments, a)
	s.settle(v)
	return rest.OK(rest.Doc{"attachment": a.doc(true)})
}

func (s *Server) listAttachments(detail bool) rest.Handler {
	return since(27, func(r *rest.Request) (*rest.Reply, error) {
		l := listing{field: "attachments", path: "attachments"}
		for _, a := range s.attachments {
			l.rows = append(l.rows, row{id: a.id, project: a.project, show: func() rest.Doc { return a.doc(detail) }, key: rest.Doc{
				"id": a.id, "status": a.status, "volume_id": a.volume, "instance_id": a.server, "created_at": stamp(a.made), "updated_at": stamp(a.made),
			}})
		}
		return s.page(r, l, func(id string) error {
			_, err := s.findAttachment(r, id)
			return err
		})
	})
}
