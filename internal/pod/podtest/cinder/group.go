package cinder

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// group is volumes whose snapshots are taken together; set is such a snapshot.
type group struct {
	id, project       string
	name, description any
	kind              string
	volumeTypes       []any
	from              rest.Doc
	created           time.Time
}

type set struct {
	id, group, project string
	name, description  any
	kind, status       string
	created            time.Time
}

func (s *Server) mountGroups(v verbs) {
	v.get("/groups", s.listGroups(false))
	v.get("/groups/detail", s.listGroups(true))
	v.post("/groups", since(13, s.createGroup))
	v.post("/groups/action", since(14, s.copyGroup))
	v.get("/groups/{id}", since(13, s.onGroup(func(r *rest.Request, g *group) (*rest.Reply, error) {
		return rest.OK(rest.Doc{"group": s.groupDoc(r, g)})
	})))
	v.put("/groups/{id}", since(13, s.onGroup(s.updateGroup)))
	v.post("/groups/{id}/action", s.onGroup(s.actOnGroup))
	v.get("/group_snapshots", s.listSets(false))
	v.get("/group_snapshots/detail", s.listSets(true))
	v.post("/group_snapshots", since(14, s.createSet))
	v.get("/group_snapshots/{id}", since(14, s.onSet(func(_ *rest.Request, t *set) (*rest.Reply, error) {
		return rest.OK(rest.Doc{"group_snapshot": t.doc(true)})
	})))
	v.del("/group_snapshots/{id}", since(14, s.onSet(func(_ *rest.Request, t *set) (*rest.Reply, error) {
		s.snapshots = slices.DeleteFunc(s.snapshots, func(n *snapshot) bool { return n.group == t.id })
		s.sets = slices.DeleteFunc(s.sets, func(o *set) bool { return o == t })
		return &rest.Reply{Status: http.StatusAccepted}, nil
	})))
	v.post("/group_snapshots/{id}/action", since(19, s.onSet(func(r *rest.Request, t *set) (*rest.Reply, error) {
		in, err := body(r, "reset_status")
		if err != nil {
			return nil, err
		}
		t.status = rest.Str(in, "status")
		return &rest.Reply{Status: http.StatusAccepted}, nil
	})))
}

func (s *Server) onGroup(do func(r *rest.Request, g *group) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		g, err := s.findGroup(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return do(r, g)
	}
}

func (s *Server) onSet(do func(r *rest.Request, t *set) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		t, err := s.findSet(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return do(r, t)
	}
}

func (s *Server) findGroup(r *rest.Request, id string) (*group, error) {
	for _, g := range s.groups {
		if g.id == id && r.Caller.Sees(g.project) {
			return g, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Group %s could not be found.", id)
}

func (s *Server) findSet(r *rest.Request, id string) (*set, error) {
	for _, t := range s.sets {
		if t.id == id && r.Caller.Sees(t.project) {
			return t, nil
		}
	}
	return nil, fail(http.StatusNotFound, "GroupSnapshot %s could not be found.", id)
}

func (s *Server) groupDoc(r *rest.Request, g *group) rest.Doc {
	d := rest.Doc{
		"id": g.id, "status": "available", "availability_zone": s.Zone, "created_at": micros(g.created.Truncate(time.Second)), "name": g.name,
		"description": g.description, "group_type": g.kind, "volume_types": g.volumeTypes,
	}
	if r.Minor >= 14 {
		d["group_snapshot_id"], d["source_group_id"] = g.from["group_snapshot_id"], g.from["source_group_id"]
	}
	if r.Minor >= 25 && truth(r.URL.Query().Get("list_volume")) {
		ids := []string{}
		for _, v := range s.volumes {
			if v.group == g.id {
				ids = append(ids, v.id)
			}
		}
		d["volumes"] = ids
	}
	if r.Minor >= 38 {
		d["replication_status"] = nil
	}
	if r.Minor >= 58 && r.Caller.Admin() {
		d["project_id"] = g.project
	}
	return d
}

func (s *Server) listGroups(detail bool) rest.Handler {
	return since(13, func(r *rest.Request) (*rest.Reply, error) {
		l := listing{field: "groups", links: "group_links", path: "groups"}
		for _, g := range s.groups {
			show := func() rest.Doc {
				if detail {
					return s.groupDoc(r, g)
				}
				return rest.Doc{"id": g.id, "name": g.name}
			}
			l.rows = append(l.rows, row{id: g.id, project: g.project, show: show, key: rest.Doc{"id": g.id, "name": g.name, "created_at": stamp(g.created)}})
		}
		return s.page(r, l, func(id string) error {
			_, err := s.findGroup(r, id)
			return err
		})
	})
}

func (s *Server) createGroup(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "group")
	if err != nil {
		return nil, err
	}
	if zone := rest.Str(in, "availability_zone"); zone != "" && zone != s.Zone {
		return nil, badRequest("Invalid input received: Availability zone '%s' is invalid.", zone)
	}
	kinds, _ := in["volume_types"].([]any)
	types := []any{}
	for _, ref := range kinds {
		t := s.volumeType(rest.Text(ref))
		if t == nil {
			return nil, fail(http.StatusNotFound, "Volume type %s could not be found.", rest.Text(ref))
		}
		types = append(types, t["id"])
	}
	g := &group{id: uuid.NewString(), project: r.Caller.ProjectID, name: in["name"], description: in["description"], kind: rest.Str(in, "group_type"), volumeTypes: types, created: s.Now()}
	s.groups = append(s.groups, g)
	return rest.Accepted(rest.Doc{"group": rest.Doc{"id": g.id, "name": g.name}})
}

func (s *Server) copyGroup(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "create-from-src")
	if err != nil {
		return nil, err
	}
	g := &group{id: uuid.NewString(), project: r.Caller.ProjectID, name: in["name"], description: in["description"], from: in, created: s.Now()}
	if id := rest.Str(in, "group_snapshot_id"); id != "" {
		from, err := s.findSet(r, id)
		if err != nil {
			return nil, err
		}
		g.kind = from.kind
	} else {
		from, err := s.findGroup(r, rest.Str(in, "source_group_id"))
		if err != nil {
			return nil, err
		}
		g.kind, g.volumeTypes = from.kind, from.volumeTypes
	}
	s.groups = append(s.groups, g)
	return rest.Accepted(rest.Doc{"group": rest.Doc{"id": g.id, "name": g.name}})
}

func (s *Server) updateGroup(r *rest.Request, g *group) (*rest.Reply, error) {
	in, err := body(r, "group")
	if err != nil {
		return nil, err
	}
	rename(in, &g.name, &g.description)
	for field, member := range map[string]any{"add_volumes": g.id, "remove_volumes": nil} {
		for id := range strings.SplitSeq(rest.Str(in, field), ",") {
			if id == "" {
				continue
			}
			v, err := s.find(r, id)
			if err != nil {
				return nil, badRequest("Invalid volume: Cannot add volume %s to group %s because volume cannot be found.", id, g.id)
			}
			v.group = member
		}
	}
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) actOnGroup(r *rest.Request, g *group) (*rest.Reply, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	in, ok := doc["delete"].(rest.Doc)
	if !ok {
		return nil, badRequest("There is no such action: %s. Verify the request body and Content-Type header and try again.", "")
	}
	for _, v := range slices.Clone(s.volumes) {
		if v.group != g.id {
			continue
		}
		if !rest.Bool(in, "delete-volumes") {
			return nil, badRequest("Invalid Group: Group %s still contains volumes. The delete-volumes flag is required to delete it.", g.id)
		}
		s.Remove(v.id)
	}
	s.groups = slices.DeleteFunc(s.groups, func(o *group) bool { return o == g })
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (t *set) doc(detail bool) rest.Doc {
	d := rest.Doc{"id": t.id, "name": t.name}
	if detail {
		d["group_id"], d["group_type_id"], d["status"], d["description"] = t.group, t.kind, t.status, t.description
		d["created_at"] = micros(t.created.Truncate(time.Second))
	}
	return d
}

func (s *Server) createSet(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "group_snapshot")
	if err != nil {
		return nil, err
	}
	g, err := s.findGroup(r, rest.Str(in, "group_id"))
	if err != nil {
		return nil, err
	}
	t := &set{id: uuid.NewString(), group: g.id, project: g.project, name: in["name"], description: in["description"], kind: g.kind, status: "available", created: s.Now()}
	for _, v := range s.volumes {
		if v.group == g.id {
			s.snap(r, v).group = t.id
		}
	}
	s.sets = append(s.sets, t)
	d := t.doc(false)
	d["group_type_id"] = t.kind
	return rest.Accepted(rest.Doc{"group_snapshot": d})
}

func (s *Server) listSets(detail bool) rest.Handler {
	return since(14, func(r *rest.Request) (*rest.Reply, error) {
		l := listing{field: "group_snapshots", links: "group_snapshot_links", path: "group_snapshots"}
		for _, t := range s.sets {
			l.rows = append(l.rows, row{id: t.id, project: t.project, show: func() rest.Doc { return t.doc(detail) }, key: rest.Doc{
				"id": t.id, "name": t.name, "status": t.status, "group_id": t.group, "created_at": stamp(t.created),
			}})
		}
		return s.page(r, l, func(id string) error {
			_, err := s.findSet(r, id)
			return err
		})
	})
}
