package cinder

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// driver is the back end of all simulated backup services. Unless SetBackupStore says
// otherwise they share one store, so that a record of one pod is good in the others.
const driver = "cinder.backup.drivers.posix.PosixBackupDriver"

type backup struct {
	id, volume, project, user string
	name, description         any
	status                    string
	size                      int
	created                   time.Time
	metadata                  map[string]string
	snapshot                  any
	incremental               bool
	store                     string
	data                      string
	looks                     looks
}

// looks is what a backup keeps of its volume beside the data.
type looks struct {
	Name, Description any
	Metadata          map[string]string
	Image             rest.Doc
}

// SetBackupStore gives the pod's backup service a store of its own.
func (s *Server) SetBackupStore(name string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.store = name
}

func (s *Server) mountBackups(v verbs) {
	v.get("/backups", s.listBackups(false))
	v.get("/backups/detail", s.listBackups(true))
	v.post("/backups", s.createBackup)
	v.post("/backups/import_record", s.importRecord)
	v.get("/backups/{id}", s.onBackup(func(r *rest.Request, b *backup) (*rest.Reply, error) {
		return rest.OK(rest.Doc{"backup": s.backupDoc(r, b)})
	}))
	v.put("/backups/{id}", since(9, s.onBackup(func(r *rest.Request, b *backup) (*rest.Reply, error) {
		in, err := body(r, "backup")
		if err != nil {
			return nil, err
		}
		rename(in, &b.name, &b.description)
		return rest.OK(rest.Doc{"backup": briefBackup(r, b)})
	})))
	v.del("/backups/{id}", s.onBackup(func(_ *rest.Request, b *backup) (*rest.Reply, error) {
		if b.status != "available" && b.status != "error" {
			return nil, badRequest("Invalid backup: Backup status must be available or error")
		}
		s.dropBackup(b)
		return &rest.Reply{Status: http.StatusAccepted}, nil
	}))
	v.get("/backups/{id}/export_record", s.onBackup(s.exportRecord))
	v.post("/backups/{id}/restore", s.onBackup(s.restore))
	v.post("/backups/{id}/action", s.onBackup(s.actOnBackup))
}

func (s *Server) onBackup(do func(r *rest.Request, b *backup) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		b, err := s.findBackup(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return do(r, b)
	}
}

func (s *Server) findBackup(r *rest.Request, id string) (*backup, error) {
	for _, b := range s.backups {
		if b.id == id && r.Caller.Sees(b.project) {
			return b, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Backup %s could not be found.", id)
}

func (s *Server) dropBackup(b *backup) {
	s.backups = slices.DeleteFunc(s.backups, func(o *backup) bool { return o == b })
}

func briefBackup(r *rest.Request, b *backup) rest.Doc {
	return rest.Doc{"id": b.id, "name": b.name, "links": links(r, "backups/"+b.id)}
}

func (s *Server) backupDoc(r *rest.Request, b *backup) rest.Doc {
	d := briefBackup(r, b)
	for k, v := range (rest.Doc{
		"status": b.status, "size": b.size, "object_count": 1, "availability_zone": s.Zone, "container": "backups",
		"created_at": micros(b.created.Truncate(time.Second)), "updated_at": nil, "description": b.description, "fail_reason": nil, "volume_id": b.volume,
		"is_incremental": b.incremental, "has_dependent_backups": false, "snapshot_id": b.snapshot, "data_timestamp": micros(b.created.Truncate(time.Second)),
	}) {
		d[k] = v
	}
	if r.Minor >= 18 && r.Caller.Admin() {
		d["os-backup-project-attr:project_id"] = b.project
	}
	if r.Minor >= 43 {
		d["metadata"] = b.metadata
	}
	if r.Minor >= 56 && r.Caller.Admin() {
		d["user_id"] = b.user
	}
	return d
}

func (s *Server) listBackups(detail bool) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		l := listing{field: "backups", links: "backups_links", path: "backups", count: true}
		if detail {
			l.path += "/detail"
		}
		for _, b := range s.backups {
			show := func() rest.Doc {
				if detail {
					return s.backupDoc(r, b)
				}
				return briefBackup(r, b)
			}
			l.rows = append(l.rows, row{id: b.id, project: b.project, show: show, key: rest.Doc{
				"id": b.id, "name": b.name, "status": b.status, "volume_id": b.volume, "size": b.size, "created_at": stamp(b.created), "project_id": b.project,
			}})
		}
		return s.page(r, l, func(id string) error {
			_, err := s.findBackup(r, id)
			return err
		})
	}
}

func (s *Server) createBackup(r *rest.Request) (*rest.Reply, error) {
	in, err := body(r, "backup")
	if err != nil {
		return nil, err
	}
	v, err := s.find(r, rest.Str(in, "volume_id"))
	if err != nil {
		return nil, err
	}
	if zone := rest.Str(in, "availability_zone"); zone != "" && zone != s.Zone {
		return nil, fail(http.StatusNotFound, "Service cinder-backup could not be found.")
	}
	if v.status == "in-use" && !rest.Bool(in, "force") && rest.Str(in, "snapshot_id") == "" {
		return nil, badRequest("Invalid volume: Backing up an in-use volume must use the force flag.")
	}
	b := &backup{
		id: uuid.NewString(), volume: v.id, project: r.Caller.ProjectID, user: r.Caller.UserID, name: in["name"], description: in["description"],
		status: "available", size: v.size, created: s.Now(), metadata: map[string]string{}, incremental: rest.Bool(in, "incremental"), data: v.data,
		store: s.store, looks: looks{v.name, v.description, maps.Clone(v.metadata), v.imageMeta},
	}
	if s.hasSnapshots(v) {
		b.data = "what was written after the snapshot" // as with Cinder's NFS driver
	}
	if id := rest.Str(in, "snapshot_id"); id != "" {
		n, err := s.findSnapshot(r, id)
		if err != nil {
			return nil, err
		}
		b.snapshot, b.data = id, n.data
	}
	s.backups = append(s.backups, b)
	return rest.Accepted(rest.Doc{"backup": briefBackup(r, b)})
}

// record is what a backup's record says of it; the data lies in the store.
type record struct {
	ID     string `json:"id"`
	Volume string `json:"volume_id"`
	Host   string `json:"host"`
	Zone   string `json:"availability_zone"`
	Name   any    `json:"display_name"`
	Size   int    `json:"size"`
	Data   string `json:"service_metadata"`
	Store  string `json:"container"`
	Looks  looks  `json:"looks"` // in truth they lie in the store, too
}

func (s *Server) exportRecord(r *rest.Request, b *backup) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "Policy doesn't allow backup:export-import to be performed.")
	}
	text, err := json.Marshal(record{b.id, b.volume, node, s.Zone, b.name, b.size, b.data, b.store, b.looks})
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"backup-record": rest.Doc{"backup_service": driver, "backup_url": base64.StdEncoding.EncodeToString(text)}})
}

func (s *Server) importRecord(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "Policy doesn't allow backup:backup-import to be performed.")
	}
	in, err := body(r, "backup-record")
	if err != nil {
		return nil, err
	}
	var rec record
	text, err := base64.StdEncoding.DecodeString(rest.Str(in, "backup_url"))
	if err != nil || json.Unmarshal(text, &rec) != nil || rec.ID == "" {
		return nil, badRequest("Invalid input received: Can't parse backup record.")
	}
	if rest.Str(in, "backup_service") != driver {
		return nil, fail(http.StatusServiceUnavailable, "Service %s could not be found.", rest.Str(in, "backup_service"))
	}
	if slices.ContainsFunc(s.backups, func(b *backup) bool { return b.id == rec.ID }) {
		return nil, badRequest("Invalid backup: Backup already exists in database.")
	}
	b := &backup{
		id: rec.ID, volume: "0000-0000-0000-0000", project: r.Caller.ProjectID, user: r.Caller.UserID, name: rec.Name, status: "available",
		size: rec.Size, created: s.Now(), metadata: map[string]string{}, data: rec.Data,
		store: rec.Store, looks: rec.Looks,
	}
	s.backups = append(s.backups, b)
	return rest.Created(rest.Doc{"backup": briefBackup(r, b)})
}

func (s *Server) restore(r *rest.Request, b *backup) (*rest.Reply, error) {
	in, err := body(r, "restore")
	if err != nil {
		return nil, err
	}
	var v *volume
	if id := rest.Str(in, "volume_id"); id != "" {
		if v, err = s.find(r, id); err != nil {
			return nil, err
		}
		if v.status != "available" {
			return nil, badRequest("Invalid volume: Volume to be restored to must be available")
		}
		if v.size < b.size {
			return nil, badRequest("Invalid volume: volume size %d is too small to restore backup of size %d.", v.size, b.size)
		}
	} else {
		name := in["name"]
		if name == nil {
			name = "restore_backup_" + b.id
		}
		v = &volume{
			id: uuid.NewString(), project: r.Caller.ProjectID, user: r.Caller.UserID, name: name, description: "auto-created_from_restore_from_backup",
			status: "available", kind: "fake", created: s.Now(), updated: s.Now(), metadata: map[string]string{}, size: b.size,
		}
		s.volumes = append(s.volumes, v)
	}
	b.restoreTo(v, s.store)
	return rest.Accepted(rest.Doc{"restore": rest.Doc{"backup_id": b.id, "volume_id": v.id, "volume_name": v.name}})
}

func (s *Server) actOnBackup(r *rest.Request, b *backup) (*rest.Reply, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	if !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "Policy doesn't allow volume_extension:backup_admin_actions:reset_status to be performed.")
	}
	for name, value := range doc {
		in, _ := value.(rest.Doc)
		switch name {
		case "os-reset_status":
			b.status = rest.Str(in, "status")
		case "os-force_delete":
			s.dropBackup(b)
		default:
			return nil, badRequest("There is no such action: %s. Verify the request body and Content-Type header and try again.", name)
		}
	}
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

// restoreTo writes the data into the volume. Cinder brings along how the backup's
// volume looked: its metadata, what it says of its image, and a name for one that has none.
func (b *backup) restoreTo(v *volume, store string) {
	v.status, v.then = "restoring-backup", "available"
	if b.store != store {
		v.then = "error_restoring"
		return
	}
	v.data = b.data
	if rest.Text(v.name) == "" {
		v.name, v.description = b.looks.Name, b.looks.Description
	}
	v.metadata = map[string]string{"src_backup_id": b.id}
	maps.Copy(v.metadata, b.looks.Metadata)
	if b.looks.Image != nil {
		v.imageMeta, v.bootable = b.looks.Image, true
	}
}
