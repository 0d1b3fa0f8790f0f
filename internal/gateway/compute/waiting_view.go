package compute

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/microversion"
	"github.com/tricircle/tricircle/internal/store"
)

// document is a server that waits, in the latest version, as far as it does not
// change by itself: status, times and links are added when it is shown.
type document map[string]json.RawMessage

// inDocument are members of its own that no reply has by these names.
const (
	flavorKept = "flavor_id"
	groupsKept = "security_groups"
)

// waitingDocument is the server as it was asked for.
func (a *api) waitingDocument(ctx context.Context, j *job, in store.Intent) document {
	d := document{
		"id": mustJSON(in.ID), "name": mustJSON(in.Name), "tenant_id": mustJSON(in.ProjectID), "user_id": mustJSON(in.UserID),
		"metadata": mustJSON(map[string]any{}), "image": mustJSON(""), "accessIPv4": mustJSON(""), "accessIPv6": mustJSON(""),
		"OS-DCF:diskConfig": mustJSON(j.wish.diskConfig()), "description": json.RawMessage("null"), "tags": json.RawMessage("[]"),
		"trusted_image_certificates": json.RawMessage("null"), "server_groups": json.RawMessage("[]"),
		"OS-EXT-AZ:availability_zone": mustJSON(in.Zone), "config_drive": mustJSON(""), "key_name": json.RawMessage("null"),
		"OS-EXT-SRV-ATTR:hostname": mustJSON(hostnameOf(in.Name)), "OS-EXT-SRV-ATTR:user_data": json.RawMessage("null"),
		flavorKept: mustJSON(j.wish.FlavorID), "flavor": mustJSON(a.flavorShown(ctx, j, in.Pod)),
	}
	for field, name := range map[string]string{
		"accessIPv4": "", "accessIPv6": "", "description": "", "tags": "", "trusted_image_certificates": "", "key_name": "",
		"hostname": "OS-EXT-SRV-ATTR:hostname", "user_data": "OS-EXT-SRV-ATTR:user_data",
	} {
		if raw, ok := j.wish.server[field]; ok {
			if name == "" {
				name = field
			}
			d[name] = raw
		}
	}
	if _, given := j.wish.server["description"]; !given && !j.wish.atVersion.AtLeast(2, 19) {
		d["description"] = d["name"]
	}
	if j.wish.metadata != nil {
		d["metadata"] = mustJSON(j.wish.metadata)
	}
	if raw, ok := j.wish.server["imageRef"]; ok && !isNull(raw) && string(raw) != `""` {
		d["image"] = mustJSON(map[string]string{"id": j.wish.ImageID})
	}
	if raw, ok := j.wish.server["config_drive"]; ok && truth(raw) {
		d["config_drive"] = mustJSON("True")
	}
	if j.serverGroup != "" {
		d["server_groups"] = mustJSON([]string{j.serverGroup})
	}
	d[groupsKept] = groupNames(j.wish.groupsShown())
	return d
}

// flavorShown is the flavor as servers show it from 2.47 on.
func (a *api) flavorShown(ctx context.Context, j *job, podName string) map[string]json.RawMessage {
	n := a.ask(ctx, j.by, podName, question{Method: http.MethodGet, Path: "/flavors/" + url.PathEscape(j.wish.FlavorID),
		Version: microversion.Version{Major: 2, Minor: 61}, Op: "show flavor"})
	f := gjson.GetBytes(n.Body, "flavor")
	shown := map[string]json.RawMessage{}
	for name, path := range map[string]string{"vcpus": "vcpus", "ram": "ram", "disk": "disk", "ephemeral": "OS-FLV-EXT-DATA:ephemeral",
		"swap": "swap", "original_name": "name", "extra_specs": "extra_specs"} {
		if v := f.Get(path); v.Exists() {
			shown[name] = json.RawMessage(v.Raw)
		}
	}
	if string(shown["swap"]) == `""` {
		shown["swap"] = json.RawMessage("0")
	}
	return shown
}

// hostnameOf is what Nova makes of a name.
func hostnameOf(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	return strings.Trim(strings.NewReplacer("_", "-", ".", "-").Replace(b.String()), "-")
}

// waitingSince are the members by the version that brought them; 0: admins only.
var waitingSince = map[string]int{
	"locked": 9, "description": 19, "tags": 26, "trusted_image_certificates": 63, "server_groups": 71, "locked_reason": 73,
}

// extended are those that Nova's extensions add, which the reply to an update lacks
// before 2.75.
var extended = []string{
	"OS-EXT-AZ:availability_zone", "config_drive", "key_name", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "OS-EXT-STS:task_state",
	"OS-EXT-STS:vm_state", "OS-EXT-STS:power_state", "os-extended-volumes:volumes_attached", groupsKept, "OS-EXT-SRV-ATTR:hostname",
}

// shownWaiting is the server as a pod would show it in the version.
func shownWaiting(w store.WaitingServer, d document, v view, at gateway.Microversion, admin bool) document {
	d = d.withState(w)
	v.link(d, at)
	for name, minor := range waitingSince {
		if !at.AtLeast(2, minor) {
			delete(d, name)
		}
	}
	if !at.AtLeast(2, 3) || !at.AtLeast(2, 90) && !admin {
		delete(d, "OS-EXT-SRV-ATTR:hostname")
	}
	if admin {
		d.forAdmins(at)
	}
	if !admin || !at.AtLeast(2, 3) {
		delete(d, "OS-EXT-SRV-ATTR:user_data")
	}
	delete(d, flavorKept)
	return d
}

// withState adds what follows from how far the server is.
func (d document) withState(w store.WaitingServer) document {
	out := make(document, len(d)+20)
	for name, value := range d {
		out[name] = value
	}
	null := json.RawMessage("null")
	for name, value := range map[string]any{
		"status": "BUILD", "progress": 0, "hostId": "", "addresses": map[string]any{}, "locked": false,
		"created": seconds(w.CreatedAt), "updated": seconds(w.UpdatedAt), "OS-EXT-STS:vm_state": "building", "OS-EXT-STS:task_state": "scheduling",
		"OS-EXT-STS:power_state": 0, "os-extended-volumes:volumes_attached": []any{},
	} {
		out[name] = mustJSON(value)
	}
	out["locked_reason"], out["OS-SRV-USG:launched_at"], out["OS-SRV-USG:terminated_at"] = null, null, null
	switch {
	case w.Deleting:
		out["OS-EXT-STS:task_state"] = mustJSON("deleting")
	case w.State == store.ServerFailed:
		delete(out, "progress")
		out["status"], out["OS-EXT-STS:vm_state"], out["OS-EXT-STS:task_state"] = mustJSON("ERROR"), mustJSON("error"), null
		out["fault"] = mustJSON(map[string]any{"code": http.StatusInternalServerError, "message": w.Fault, "created": seconds(w.UpdatedAt)})
	}
	return out
}

func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// link adds the links, and the flavor as the version has it.
func (v view) link(d document, at gateway.Microversion) {
	bookmark := func(collection, id string) []map[string]string {
		return []map[string]string{{"rel": "bookmark", "href": v.root("bookmark") + collection + id}}
	}
	d["links"] = json.RawMessage(v.serverLinks(text(d["id"])))
	if id := gjson.GetBytes(d["image"], "id").Str; id != "" {
		d["image"] = mustJSON(map[string]any{"id": id, "links": bookmark("/images/", id)})
	}
	if !at.AtLeast(2, 47) {
		id := text(d[flavorKept])
		d["flavor"] = mustJSON(map[string]any{"id": id, "links": bookmark("/flavors/", id)})
	}
}

func text(raw json.RawMessage) string { return gjson.ParseBytes(raw).String() }

// forAdmins adds what only admins see: nothing is known of it yet.
func (d document) forAdmins(at gateway.Microversion) {
	null, empty := json.RawMessage("null"), json.RawMessage(`""`)
	d["OS-EXT-SRV-ATTR:host"], d["OS-EXT-SRV-ATTR:hypervisor_hostname"], d["OS-EXT-SRV-ATTR:instance_name"] = null, null, empty
	if at.AtLeast(2, 3) {
		d["OS-EXT-SRV-ATTR:reservation_id"], d["OS-EXT-SRV-ATTR:launch_index"], d["OS-EXT-SRV-ATTR:kernel_id"] = empty, json.RawMessage("0"), empty
		d["OS-EXT-SRV-ATTR:ramdisk_id"], d["OS-EXT-SRV-ATTR:root_device_name"] = empty, null
	}
	if at.AtLeast(2, 16) {
		d["host_status"] = empty
	}
}

// waitingShown is the server for one request.
func (a *api) waitingShown(by identity.Caller, r *gateway.Request, w store.WaitingServer) document {
	var d document
	if json.Unmarshal([]byte(w.Document), &d) != nil {
		d = document{"id": mustJSON(w.ID)} // it is ours, and is an object
	}
	return shownWaiting(w, d, a.viewOf(r, w.Pod), versionOf(r), by.IsAdmin())
}
