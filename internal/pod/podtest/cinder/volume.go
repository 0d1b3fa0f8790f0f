package cinder

import (
	"fmt"
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
	image             string
	bootable, multi   bool
	attached          []rest.Doc
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
			v.attached = append(v.attached, rest.Doc{
				"server_id": server, "attachment_id": uuid.NewString(), "volume_id": id, "id": id, "device": device, "host_name": nil,
				"attached_at": micros(s.Now()),
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
			v.attached = slices.DeleteFunc(v.attached, func(a rest.Doc) bool { return a["server_id"] == server })
			if len(v.attached) == 0 {
				v.status = "available"
			}
		}
	}
}

// Remove deletes a volume that ended with its server. Mu must be held.
func (s *Server) Remove(id string) {
	s.volumes = slices.DeleteFunc(s.volumes, func(v *volume) bool { return v.id == id })
}

// Inventory lists the IDs, by kind. Mu must be held.
func (s *Server) Inventory() map[string][]string {
	out := map[string][]string{"volume": {}, "snapshot": {}}
	for _, v := range s.volumes {
		out["volume"] = append(out["volume"], v.id)
	}
	for _, n := range s.snapshots {
		out["snapshot"] = append(out["snapshot"], n.id)
	}
	slices.Sort(out["volume"])
	slices.Sort(out["snapshot"])
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
		"consistencygroup_id": nil, "multiattach": v.multi, "attachments": append([]rest.Doc{}, v.attached...),
		"os-vol-tenant-attr:tenant_id": v.project,
	}
	if v.image != "" {
		d["volume_image_metadata"] = rest.Doc{"image_id": v.image}
	}
	since := func(minor int, name string, value any) {
		if r.Minor >= minor {
			d[name] = value
		}
	}
	since(13, "group_id", nil)
	since(48, "shared_targets", false)
	since(48, "service_uuid", s.service)
	since(61, "cluster_name", nil)
	since(63, "volume_type_id", s.typeID(v.kind))
	since(65, "consumes_quota", true)
	if !r.Caller.Admin() {
		delete(d, "cluster_name")
	} else {
		d["os-vol-host-attr:host"] = "simulated@fake#fake"
		d["os-vol-mig-status-attr:migstat"], d["os-vol-mig-status-attr:name_id"] = nil, nil
	}
	return d
}

func (s *Server) showVolume(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"volume": s.view(r, v)})
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
		v.image, v.bootable = image, true
	}
	used := 0
	for _, o := range s.volumes {
		if o.project == v.project {
			used += o.size
		}
	}
	if used+v.size > s.gigabytes {
		e := fail(http.StatusRequestEntityTooLarge, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested %dG, quota is %dG and %dG has been consumed.", v.size, s.gigabytes, used)
		e.Header = http.Header{"Retry-After": {"0"}}
		return nil, e
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
		v.source, least = id, from.size
	}
	if id := rest.Str(in, "snapshot_id"); id != "" {
		from, err := s.findSnapshot(r, id)
		if err != nil {
			return err
		}
		v.snapshot, least = id, from.size
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
	used := slices.ContainsFunc(s.snapshots, func(n *snapshot) bool { return n.volume == v.id })
	if used || !slices.Contains([]string{"available", "error"}, v.status) {
		return nil, badRequest("Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.")
	}
	s.Remove(v.id)
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) actOnVolume(r *rest.Request) (*rest.Reply, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	for name, value := range doc {
		in, _ := value.(rest.Doc)
		switch name {
		case "os-extend":
			n, _ := rest.Number(in["new_size"])
			if int(n) <= v.size {
				return nil, badRequest("Invalid input received: New size for extend must be greater than current size. (current: %d, extended: %d).", v.size, int(n))
			}
			v.size = int(n)
		case "os-set_bootable":
			v.bootable = rest.Bool(in, "bootable")
		case "os-reset_status":
			if !r.Caller.Admin() {
				return nil, fail(http.StatusForbidden, "Policy doesn't allow volume_extension:volume_admin_actions:reset_status to be performed.")
			}
			v.status = rest.Str(in, "status")
		default:
			return nil, badRequest("There is no such action: %s", name)
		}
	}
	v.updated = s.Now()
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) showMetadata(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"metadata": maps.Clone(v.metadata)})
}

func (s *Server) mergeMetadata(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "metadata")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	for k, val := range in {
		v.metadata[k] = rest.Text(val)
	}
	return rest.OK(rest.Doc{"metadata": maps.Clone(v.metadata)})
}

func (s *Server) listVolumes(r *rest.Request) (*rest.Reply, error) {
	return s.list(r, "volumes", func(v *volume) rest.Doc { return brief(r, v) })
}

func (s *Server) listVolumesDetail(r *rest.Request) (*rest.Reply, error) {
	return s.list(r, "volumes/detail", func(v *volume) rest.Doc { return s.view(r, v) })
}

func (s *Server) list(r *rest.Request, path string, view func(*volume) rest.Doc) (*rest.Reply, error) {
	q := r.URL.Query()
	limit, err := readLimit(q)
	if err != nil {
		return nil, err
	}
	keys, err := order(q)
	if err != nil {
		return nil, err
	}
	all := strings.EqualFold(q.Get("all_tenants"), "1") || strings.EqualFold(q.Get("all_tenants"), "true")
	byID := map[string]*volume{}
	rows := []rest.Doc{}
	for _, v := range s.volumes {
		if (v.project == r.Caller.ProjectID || (all && r.Caller.Admin())) && s.matches(v, q) {
			byID[v.id] = v
			rows = append(rows, rest.Doc{"id": v.id, "name": v.name, "size": v.size, "status": v.status, "created_at": v.created.UTC().Format(time.RFC3339), "updated_at": v.updated.UTC().Format(time.RFC3339)})
		}
	}
	rest.Sort(rows, keys)
	if marker := q.Get("marker"); marker != "" {
		if _, err := s.find(r, marker); err != nil {
			return nil, err
		}
		at := slices.IndexFunc(rows, func(d rest.Doc) bool { return d["id"] == marker })
		rows = rows[at+1:]
	}
	out := rest.Doc{}
	if limit > 0 && len(rows) >= limit {
		rows = rows[:limit]
		out["volumes_links"] = []rest.Doc{{"rel": "next", "href": base(r) + "/" + path + "?" + nextQuery(q, rest.Str(rows[limit-1], "id"))}}
	}
	docs := []rest.Doc{}
	if limit != 0 {
		for _, row := range rows {
			docs = append(docs, view(byID[rest.Str(row, "id")]))
		}
	}
	out["volumes"] = docs
	if r.Minor >= 45 && strings.EqualFold(q.Get("with_count"), "true") {
		out["count"] = len(byID)
	}
	return rest.OK(out)
}

func nextQuery(q url.Values, marker string) string {
	other := url.Values{}
	for k, v := range q {
		other[k] = v
	}
	other.Set("marker", marker)
	return other.Encode()
}

func readLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return 1000, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, badRequest("limit param must be an integer")
	}
	if n < 0 {
		return 0, badRequest("limit param must be positive")
	}
	return min(n, 1000), nil
}

// order is by default the newest first, the ID downwards within a second.
func order(q url.Values) ([]rest.SortKey, error) {
	parts := []string{"created_at:desc"}
	switch {
	case q.Get("sort") != "":
		parts = strings.Split(q.Get("sort"), ",")
	case q.Get("sort_key") != "":
		dir := q.Get("sort_dir")
		if dir == "" {
			dir = "desc"
		}
		parts = []string{q.Get("sort_key") + ":" + dir}
	}
	keys := []rest.SortKey{}
	last := "desc"
	for _, p := range parts {
		name, dir, ok := strings.Cut(strings.TrimSpace(p), ":")
		if !ok {
			dir = "desc"
		}
		if !slices.Contains([]string{"id", "name", "size", "status", "created_at", "updated_at"}, name) {
			return nil, badRequest("Invalid input received: Invalid sort key: %s", name)
		}
		if dir != "asc" && dir != "desc" {
			return nil, badRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
		}
		keys, last = append(keys, rest.SortKey{Name: name, Desc: dir == "desc"}), dir
	}
	return append(keys, rest.SortKey{Name: "id", Desc: last == "desc"}), nil
}

func (s *Server) matches(v *volume, q url.Values) bool {
	have := map[string]any{
		"name": v.name, "status": v.status, "project_id": v.project, "bootable": v.bootable, "availability_zone": s.Zone, "volume_type": v.kind,
		"id": v.id, "user_id": v.user,
	}
	for name, value := range have {
		if want, ok := q[name]; ok && !rest.Matches(value, want[0]) {
			return false
		}
	}
	if text := q.Get("metadata"); text != "" {
		for k, val := range v.metadata {
			if strings.Contains(text, k) && strings.Contains(text, val) {
				return true
			}
		}
		return false
	}
	return true
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

func (s *Server) listAttachments(r *rest.Request) (*rest.Reply, error) {
	if r.Minor < 27 {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	out := []rest.Doc{}
	for _, v := range s.volumes {
		if v.project != r.Caller.ProjectID {
			continue
		}
		for _, a := range v.attached {
			out = append(out, rest.Doc{"id": a["attachment_id"], "status": "attached", "instance": a["server_id"], "volume_id": fmt.Sprint(a["volume_id"])})
		}
	}
	return rest.OK(rest.Doc{"attachments": out})
}
