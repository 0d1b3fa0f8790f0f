package cinder

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// message tells a user what became of something.
type message struct {
	id, project, resource, text string
	created                     time.Time
}

// Tell leaves a message to a project about a volume. Mu must not be held.
func (s *Server) Tell(project, volume, text string) (id string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	m := &message{id: uuid.NewString(), project: project, resource: volume, text: text, created: s.Now()}
	s.messages = append(s.messages, m)
	return m.id
}

func (s *Server) mountMessages(v verbs) {
	v.get("/messages", since(3, s.listMessages))
	v.get("/messages/{id}", since(3, func(r *rest.Request) (*rest.Reply, error) {
		m, err := s.findMessage(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return rest.OK(rest.Doc{"message": m.doc(r)})
	}))
	v.del("/messages/{id}", since(3, func(r *rest.Request) (*rest.Reply, error) {
		m, err := s.findMessage(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		s.messages = slices.DeleteFunc(s.messages, func(o *message) bool { return o == m })
		return rest.NoContent()
	}))
}

func (s *Server) findMessage(r *rest.Request, id string) (*message, error) {
	for _, m := range s.messages {
		if m.id == id && r.Caller.Sees(m.project) {
			return m, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Message %s could not be found.", id)
}

func (m *message) doc(r *rest.Request) rest.Doc {
	return rest.Doc{
		"id": m.id, "event_id": "VOLUME_VOLUME_001_002", "user_message": m.text, "message_level": "ERROR",
		"created_at": micros(m.created.Truncate(time.Second)), "guaranteed_until": micros(m.created.Truncate(time.Second).AddDate(0, 1, 0)),
		"request_id": "req-" + m.id, "links": links(r, "messages/"+m.id), "resource_type": "VOLUME", "resource_uuid": m.resource,
	}
}

func (s *Server) listMessages(r *rest.Request) (*rest.Reply, error) {
	l := listing{field: "messages", links: "messages_links", path: "messages"}
	if r.Minor < 5 { // whole
		r.URL.RawQuery = ""
	}
	for _, m := range s.messages {
		l.rows = append(l.rows, row{id: m.id, project: m.project, show: func() rest.Doc { return m.doc(r) }, key: rest.Doc{
			"id": m.id, "created_at": stamp(m.created), "resource_uuid": m.resource, "message_level": "ERROR",
		}})
	}
	return s.page(r, l, func(id string) error {
		_, err := s.findMessage(r, id)
		return err
	})
}
