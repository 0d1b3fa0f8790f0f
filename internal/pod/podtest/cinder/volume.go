package cinder

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type volume struct {
	id, project, user string
	name, description any
	status, kind      string
	size              int
	created, updated  time.Time
	metadata          map[string]string
	snapshot, source  any
	imageMeta         rest.Doc
	group             any
	bootable, multi   bool
	readonly          bool
	then              string // its status from the next look on; empty: as it is
	data              string
}

func (s *Server) find(r *rest.Request, id string) (*volume, error) {
	for _, v := range s.volumes {
		if v.id == id && r.Caller.Sees(v.project) {
			return v, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Volume %s could not be found.", id)
}

// Status is a volume's status, and whether the caller sees it. Mu must be
// held.
func (s *Server) Status(c rest.Caller, id string) (status string, found bool) {
	for _, v := range s.volumes {
		if v.id == id && c.Sees(v.project) {
			return v.status, true
		}
	}
	return "", false
}

// Attach gives a volume to a server; false when it is not free. Mu must be
// held.
func (s *Server) Attach(id, server, device string) bool {
	for _, v := range s.volumes {
		if v.id == id && v.status == "available" {
			v.status = "in-use"
			s.attachments = append(s.attachments, &attachment{
				id: uuid.NewString(), volume: id, project: v.project, server: server, device: device, status: "attached", since: s.Now(), made: s.Now(),
			})
			return true
		}
	}
	return false
}

// Detach takes a volume from a server. Mu must be held.
func (s *Server) Detach(id, server string) {
	for _, v := range s.volumes {
		if v.id == id {
			s.attachments = slices.DeleteFunc(s.attachments, func(a *attachment) bool { return a.volume == id && a.server == server })
			s.settle(v)
		}
	}
}

// Make makes a volume for a server that boots from it, and returns its ID. Mu must be
// held.
func (s *Server) Make(project, user string, size int) string {
	v := &volume{id: uuid.NewString(), project: project, user: user, name: "", status: "available", kind: "fake", size: size,
		created: s.Now(), metadata: map[string]string{}}
	s.volumes = append(s.volumes, v)
	return v.id
}

// Remove deletes a volume that ended with its server. Mu must be held.
func (s *Server) Remove(id string) {
	s.volumes = slices.DeleteFunc(s.volumes, func(v *volume) bool { return v.id == id })
	s.attachments = slices.DeleteFunc(s.attachments, func(a *attachment) bool { return a.volume == id })
}

// Inventory lists the IDs, by kind. Mu must be held.
func (s *Server) Inventory() map[string][]string {
	out := map[string][]string{"volume": {}, "snapshot": {}, "backup": {}, "group": {}, "transfer": {}}
	for _, v := range s.volumes {
		out["volume"] = append(out["volume"], v.id)
	}
	for _, n := range s.snapshots {
		out["snapshot"] = append(out["snapshot"], n.id)
	}
	for _, b := range s.backups {
		out["backup"] = append(out["backup"], b.id)
	}
	for _, g := range s.groups {
		out["group"] = append(out["group"], g.id)
	}
	for _, t := range s.transfers {
		out["transfer"] = append(out["transfer"], t.id)
	}
	for _, ids := range out {
		slices.Sort(ids)
	}
	return out
}

func brief(r *rest.Request, v *volume) rest.Doc {
	return rest.Doc{"id": v.id, "name": v.name, "links": links(r, "volumes/"+v.id)}
}

func (s *Server) view(r *rest.Request, v *volume) rest.Doc {
	d := rest.Doc{
		"id": v.id, "status": v.status, "size": v.size, "availability_zone": s.Zone, "created_at": micros(v.created.Truncate(time.Second)),
		"updated_at": micros(v.updated.Truncate(time.Second)), "name": v.name, "description": v.description, "volume_type": v.kind,
		"snapshot_id": v.snapshot, "source_volid": v.source, "metadata": maps.Clone(v.metadata), "links": links(r, "volumes/"+v.id),
		"user_id": v.user, "bootable": strconv.FormatBool(v.bootable), "encrypted": false, "replication_status": nil,
		"consistencygroup_id": nil, "multiattach": v.multi, "attachments": s.attachedTo(r, v),
		"os-vol-tenant-attr:tenant_id": v.project,
	}
	if len(v.imageMeta) > 0 {
		d["volume_image_metadata"] = maps.Clone(v.imageMeta)
	}
	since := func(minor int, name string, value any) {
		if r.Minor >= minor {
			d[name] = value
		}
	}
	since(13, "group_id", v.group)
	since(48, "shared_targets", false)
	since(48, "service_uuid", s.service)
	since(61, "cluster_name", nil)
	since(63, "volume_type_id", s.typeID(v.kind))
	since(65, "consumes_quota", true)
	if !r.Caller.Admin() {
		delete(d, "cluster_name")
	} else {
		d["os-vol-host-attr:host"] = backend
		d["os-vol-mig-status-attr:migstat"], d["os-vol-mig-status-attr:name_id"] = nil, nil
	}
	return d
}

func (s *Server) showVolume(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	d := s.view(r, v)
	if v.then != "" {
		v.status, v.then = v.then, ""
	}
	return rest.OK(rest.Doc{"volume": d})
}

func (s *Server) createVolume(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "volume")
	if err != nil {
		return nil, err
	}
	v := &volume{
		id: uuid.NewString(), project: r.Caller.ProjectID, user: r.Caller.UserID, name: in["name"], description: in["description"],
		status: "available", kind: "fake", created: s.Now(), metadata: map[string]string{}, multi: rest.Bool(in, "multiattach"),
	}
	if err := s.sizeOf(r, v, in); err != nil {
		return nil, err
	}
	if kind := rest.Str(in, "volume_type"); kind != "" {
		t := s.volumeType(kind)
		if t == nil {
			return nil, fail(http.StatusNotFound, "Volume type with name %s could not be found.", kind)
		}
		v.kind = rest.Str(t, "name")
	}
	if zone := rest.Str(in, "availability_zone"); zone != "" && zone != s.Zone {
		return nil, badRequest("Availability zone '%s' is invalid.", zone)
	}
	if image := rest.Str(in, "imageRef"); image != "" {
		if _, found := s.Images.Status(r.Caller, image); !found {
			return nil, badRequest("Invalid image identifier or unable to access requested image.")
		}
		data, _ := s.Images.Read(r.Caller, image)
		v.bootable, v.imageMeta, v.data = true, rest.Doc{"image_id": image}, string(data)
	}
	if err := s.fits(v.project, v.kind, "volumes", v.size); err != nil {
		return nil, err
	}
	meta, _ := in["metadata"].(rest.Doc)
	for k, val := range meta {
		v.metadata[k] = rest.Text(val)
	}
	d := s.view(r, v)
	d["status"] = "creating" // it is ready for whoever looks next
	v.updated = s.Now()
	s.volumes = append(s.volumes, v)
	return rest.Accepted(rest.Doc{"volume": d})
}

// sizeOf settles size and source.
func (s *Server) sizeOf(r *rest.Request, v *volume, in rest.Doc) error {
	least := 0
	if id := rest.Str(in, "source_volid"); id != "" {
		from, err := s.find(r, id)
		if err != nil {
			return err
		}
		v.source, v.data, least = id, from.data, from.size
	}
	if id := rest.Str(in, "snapshot_id"); id != "" {
		from, err := s.findSnapshot(r, id)
		if err != nil {
			return err
		}
		v.snapshot, v.data, least = id, from.data, from.size
	}
	if id := rest.Str(in, "backup_id"); id != "" {
		from, err := s.findBackup(r, id)
		if err != nil {
			return err
		}
		v.data, least = from.data, from.size
	}
	if id := rest.Str(in, "group_id"); id != "" {
		if _, err := s.findGroup(r, id); err != nil {
			return err
		}
		v.group = id
	}
	v.size = least
	if text := rest.Text(in["size"]); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return badRequest("Invalid input for field/attribute size. Value: %s. %s is less than the minimum of 1", text, text)
		}
		v.size = n
	}
	if v.size == 0 {
		return badRequest("The server could not comply with the request since it is either malformed or otherwise incorrect.")
	}
	return nil
}

func (s *Server) updateVolume(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "volume")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if name, ok := in["name"]; ok {
		v.name = name
	}
	if text, ok := in["description"]; ok {
		v.description = text
	}
	v.updated = s.Now()
	return rest.OK(rest.Doc{"volume": s.view(r, v)})
}

func (s *Server) deleteVolume(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if q := r.URL.Query(); strings.EqualFold(q.Get("cascade"), "true") {
		s.snapshots = slices.DeleteFunc(s.snapshots, func(n *snapshot) bool { return n.volume == v.id })
	}
	used := v.group != nil || s.hasSnapshots(v)
	force := strings.EqualFold(r.URL.Query().Get("force"), "true") && r.Minor >= 23 && r.Caller.Admin()
	if used || !force && !slices.Contains([]string{"available", "error", "error_restoring"}, v.status) {
		return nil, badRequest("Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.")
	}
	s.Remove(v.id)
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) listVolumes(r *rest.Request) (*rest.Reply, error) {
	return s.volumeList(r, "volumes", func(v *volume) rest.Doc { return brief(r, v) })
}

func (s *Server) listVolumesDetail(r *rest.Request) (*rest.Reply, error) {
	return s.volumeList(r, "volumes/detail", func(v *volume) rest.Doc { return s.view(r, v) })
}

func (s *Server) volumeList(r *rest.Request, path string, view func(*volume) rest.Doc) (*rest.Reply, error) {
	l := listing{field: "volumes", links: "volumes_links", path: path, count: true}
	q := r.URL.Query()
	for _, v := range s.volumes {
		if v.matches(q) {
			l.rows = append(l.rows, row{
				id: v.id, project: v.project, show: func() rest.Doc { return view(v) },
				key: rest.Doc{
					"id": v.id, "name": v.name, "size": v.size, "status": v.status, "created_at": stamp(v.created), "updated_at": stamp(v.updated),
					"project_id": v.project, "bootable": v.bootable, "availability_zone": s.Zone, "volume_type": v.kind, "user_id": v.user,
					"group_id": v.group, "host": backend,
				},
			})
		}
	}
	return s.page(r, l, func(id string) error {
		_, err := s.find(r, id)
		return err
	})
}

// matches says whether the metadata is what a list asks for.
func (v *volume) matches(q url.Values) bool {
	text := q.Get("metadata")
	for k, val := range v.metadata {
		if strings.Contains(text, k) && strings.Contains(text, val) {
			return true
		}
	}
	return text == ""
}

func (s *Server) summarize(r *rest.Request) (*rest.Reply, error) {
	n, size := 0, 0
	for _, v := range s.volumes {
		if v.project == r.Caller.ProjectID {
			n, size = n+1, size+v.size
		}
	}
	return rest.OK(rest.Doc{"volume-summary": rest.Doc{"total_count": n, "total_size": size, "metadata": rest.Doc{}}})
}

// Data is what is on a volume. Mu must not be held.
func (s *Server) Data(id string) string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for _, v := range s.volumes {
		if v.id == id {
			return v.data
		}
	}
	return ""
}

// SetData writes on a volume. Mu must not be held.
func (s *Server) SetData(id, data string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for _, v := range s.volumes {
		if v.id == id {
			v.data = data
		}
	}
}
