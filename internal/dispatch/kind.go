package dispatch

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
)

// Kinds of things that have one place and are found by asking, beside those of
// the store.
const (
	KindSnapshot      = store.KindSnapshot
	KindBackup        = store.KindBackup
	KindAttachment    = "attachment"
	KindTransfer      = "transfer"
	KindGroup         = store.KindGroup
	KindGroupSnapshot = "group_snapshot"
	KindMessage       = "message"
	// The first form of groups, which Block Storage still serves.
	KindConsistencyGroup = "consistencygroup"
	KindCGSnapshot       = "cgsnapshot"
)

// kind says where things of a kind are shown, and how their JSON names what the
// index remembers.
type kind struct {
	service       pod.Service
	path          string // before the ID
	field         string // around the object; empty: none
	project, user string
	name, status  string
	created       string
	version       string // of Block Storage, in which it can be asked for; empty: in all
	// What Block Storage counts by.
	size, typ, parent string
}

var kinds = map[string]kind{
	store.KindServer: {service: pod.Compute, path: "/servers/", field: "server",
		project: "tenant_id", user: "user_id", name: "name", status: "status", created: "created"},
	store.KindVolume: {service: pod.Volume, path: "/volumes/", field: "volume",
		project: `os-vol-tenant-attr\:tenant_id`, user: "user_id", name: "name", status: "status", created: "created_at",
		size: "size", typ: "volume_type"},
	store.KindImage: {service: pod.Image, path: "/images/",
		project: "owner", name: "name", status: "status", created: "created_at"},
	KindSnapshot: {service: pod.Volume, path: "/snapshots/", field: "snapshot",
		project: `os-extended-snapshot-attributes\:project_id`, user: "user_id", name: "name", status: "status", created: "created_at",
		size: "size", parent: "volume_id"},
	KindBackup: {service: pod.Volume, path: "/backups/", field: "backup",
		project: `os-backup-project-attr\:project_id`, user: "user_id", name: "name", status: "status", created: "created_at",
		size: "size", parent: "volume_id"},
	KindAttachment:       {service: pod.Volume, version: "3.27", path: "/attachments/", field: "attachment", status: "status", created: "attached_at"},
	KindTransfer:         {service: pod.Volume, path: "/volume-transfers/", field: "transfer", name: "name", created: "created_at"},
	KindGroup:            {service: pod.Volume, version: "3.13", path: "/groups/", field: "group", project: "project_id", name: "name", status: "status", created: "created_at"},
	KindGroupSnapshot:    {service: pod.Volume, version: "3.14", path: "/group_snapshots/", field: "group_snapshot", name: "name", status: "status", created: "created_at"},
	KindMessage:          {service: pod.Volume, version: "3.3", path: "/messages/", field: "message", created: "created_at"},
	KindConsistencyGroup: {service: pod.Volume, path: "/consistencygroups/", field: "consistencygroup", name: "name", status: "status", created: "created_at"},
	KindCGSnapshot:       {service: pod.Volume, path: "/cgsnapshots/", field: "cgsnapshot", name: "name", status: "status", created: "created_at"},
}

// EntryOf reads what the index remembers from an object of the kind as a pod
// shows it. A project that the pod does not name is the caller's.
func EntryOf(kindName string, raw []byte, podName, zone string, by identity.Caller) (store.Entry, bool) {
	k, ok := kinds[kindName]
	id := gjson.GetBytes(raw, "id").String()
	if !ok || id == "" {
		return store.Entry{}, false
	}
	get := func(path string) string {
		if path == "" {
			return ""
		}
		return gjson.GetBytes(raw, path).String()
	}
	e := store.Entry{
		Kind: kindName, ID: id, Pod: podName, Zone: zone,
		ProjectID: get(k.project), UserID: get(k.user), Name: get(k.name), Status: get(k.status),
	}
	if e.ProjectID == "" {
		e.ProjectID = by.ProjectID
	}
	e.CreatedAt, _ = ParseTime(get(k.created))
	if kindName == store.KindServer { // its size shows since 2.47
		e.Size = quota.Size{VCPUs: gjson.GetBytes(raw, "flavor.vcpus").Int(), RAM: gjson.GetBytes(raw, "flavor.ram").Int()}
	}
	if kindName == store.KindServer || kindName == store.KindVolume {
		e.Mark = get("metadata." + reconcile.MarkKey)
	}
	if k.size != "" {
		e.Gigabytes = gjson.GetBytes(raw, k.size).Int()
	}
	e.Type, e.Parent = get(k.typ), get(k.parent)
	return e, true
}

// object takes the object out of an answer that shows it.
func (k kind) object(body []byte) []byte {
	body = bytes.TrimSpace(body)
	if k.field == "" {
		return body
	}
	return []byte(gjson.GetBytes(body, k.field).Raw)
}
