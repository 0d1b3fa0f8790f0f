package contract

import (
	"net/url"
	"strings"
	"testing"
)

// newest is the version in which all things of volumes can be asked for.
var newest = volumeVersion("3.70")

// gone deletes a thing and waits for it to be gone.
func gone(t *testing.T, c *client, path string) {
	t.Helper()
	if r := c.volume(t, "DELETE", path, nil, newest); r.status >= 300 && r.status != 404 {
		t.Fatalf("DELETE %s = %d %s", path, r.status, r.raw)
	}
	eventually(t, path+" gone", func() bool { return c.volume(t, "GET", path, nil, newest).status == 404 })
}

// thingChecks are about what hangs on volumes, and what operators see.
var thingChecks = []check{
	{"snapshots", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, nil)["id"].(string)
		d := w.demo.volume(t, "POST", "/snapshots", doc{"snapshot": doc{"volume_id": v, "name": "contract", "metadata": doc{"a": "1"}}}).want(t, 202).body["snapshot"].(doc)
		path := "/snapshots/" + d["id"].(string)
		defer gone(t, w.demo, path)
		eventually(t, "snapshot", func() bool {
			return w.demo.volume(t, "GET", path, nil).want(t, 200).text("snapshot", "status") == "available"
		})
		s := w.demo.volume(t, "GET", path, nil, newest).want(t, 200).body["snapshot"].(doc)
		has(t, s, "id", "name", "volume_id", "status", "size", "created_at", "metadata", "group_snapshot_id", "user_id", "consumes_quota",
			"os-extended-snapshot-attributes:project_id", "os-extended-snapshot-attributes:progress")
		brief := w.demo.volume(t, "GET", "/snapshots?volume_id="+v, nil, newest).want(t, 200).docs("snapshots")[0]
		hasNot(t, brief, "user_id", "os-extended-snapshot-attributes:project_id")
		w.demo.volume(t, "PUT", path, doc{"snapshot": doc{"name": "renamed"}}).want(t, 200, "renamed")
		w.demo.volume(t, "POST", path+"/metadata", doc{"metadata": doc{"b": "2"}}).want(t, 200, `"b"`)
		w.demo.volume(t, "DELETE", path+"/metadata/a", nil).want(t, 200)
		w.demo.volume(t, "GET", path+"/metadata/a", nil).want(t, 404)
		w.demo.volume(t, "POST", path+"/action", doc{"os-reset_status": doc{"status": "error"}}).want(t, 403)
	}},
	{"metadata with a tag", func(t *testing.T, w *world) {
		path := "/volumes/" + makeVolume(t, w.demo, doc{"metadata": doc{"a": "1"}})["id"].(string) + "/metadata"
		r := w.demo.volume(t, "GET", path, nil, newest).want(t, 200)
		if r.header.Get("Etag") == "" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
			t.Errorf("from 3.15 on: %v", r.header)
		}
		w.demo.volume(t, "PUT", path, doc{"metadata": doc{"b": "2"}}).want(t, 200)
		if m := w.demo.volume(t, "GET", path, nil).want(t, 200).body["metadata"].(doc); len(m) != 1 || m["b"] != "2" {
			t.Errorf("metadata = %v", m)
		}
	}},
	{"transfers", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, nil)["id"].(string)
		offer := w.demo.volume(t, "POST", "/volume-transfers", doc{"transfer": doc{"volume_id": v, "name": "contract"}}, newest).want(t, 202).body["transfer"].(doc)
		has(t, offer, "id", "auth_key", "volume_id", "created_at", "no_snapshots", "accepted")
		path := "/volume-transfers/" + offer["id"].(string)
		if w.demo.volume(t, "GET", "/volumes/"+v, nil).text("volume", "status") != "awaiting-transfer" {
			t.Error("the volume is not awaiting its transfer")
		}
		w.alt.volume(t, "GET", path, nil, newest).refuses(t, 404, "itemNotFound", "Transfer "+offer["id"].(string)+" could not be found.")
		w.alt.volume(t, "POST", path+"/accept", doc{"accept": doc{"auth_key": "wrong"}}, newest).want(t, 400, "invalid auth key")
		w.demo.volume(t, "POST", "/volume-transfers", doc{"transfer": doc{"volume_id": v}}).refuses(t, 400, "badRequest", "Invalid volume: status must be available")
		w.demo.volume(t, "DELETE", path, nil, newest).want(t, 202)
		w.demo.volume(t, "GET", path, nil, newest).want(t, 404)
	}},
	{"attachments", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, nil)["id"].(string)
		w.demo.volume(t, "GET", "/attachments/"+nobody, nil, newest).
			refuses(t, 404, "itemNotFound", "Volume attachment could not be found with filter: attachment_id = "+nobody+".")
		w.demo.volume(t, "GET", "/attachments", nil).want(t, 404)
		d := w.demo.volume(t, "POST", "/attachments", doc{"attachment": doc{"volume_uuid": v, "instance_uuid": nobody}}, newest).want(t, 200).body["attachment"].(doc)
		has(t, d, "id", "status", "instance", "volume_id", "attached_at", "detached_at", "attach_mode", "connection_info")
		if d["status"] != "reserved" || d["volume_id"] != v {
			t.Errorf("attachment = %v", d)
		}
		list := w.demo.volume(t, "GET", "/attachments?volume_id="+v+"&limit=1", nil, newest).want(t, 200)
		if rows := list.docs("attachments"); len(rows) != 1 || len(rows[0]) != 4 || list.body["attachments_links"] != nil {
			t.Errorf("list = %s", list.raw)
		}
		w.demo.volume(t, "DELETE", "/attachments/"+d["id"].(string), nil, newest).want(t, 200, "attachments")
		eventually(t, "volume available again", func() bool {
			return w.demo.volume(t, "GET", "/volumes/"+v, nil).text("volume", "status") == "available"
		})
	}},
	{"lists without pages of old", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, nil)["id"].(string)
		d := w.demo.volume(t, "POST", "/os-volume-transfer", doc{"transfer": doc{"volume_id": v, "name": "contract"}}).want(t, 202).body["transfer"].(doc)
		defer w.demo.volume(t, "DELETE", "/os-volume-transfer/"+d["id"].(string), nil)
		// Where a list has no pages a marker is not looked for.
		w.demo.volume(t, "GET", "/os-volume-transfer?marker="+nobody, nil, newest).want(t, 200)
		w.demo.volume(t, "GET", "/volume-transfers?marker="+nobody, nil, volumeVersion("3.58")).want(t, 200)
		w.demo.volume(t, "GET", "/volume-transfers?marker="+nobody, nil, volumeVersion("3.59")).want(t, 404)
		w.demo.volume(t, "GET", "/messages?marker="+nobody, nil, volumeVersion("3.4")).want(t, 200)
		w.demo.volume(t, "GET", "/messages?marker="+nobody, nil, volumeVersion("3.5")).want(t, 404)
	}},
	{"operators", func(t *testing.T, w *world) {
		w.demo.volume(t, "GET", "/os-services", nil).want(t, 403, "Policy doesn't allow volume_extension:services:index to be performed.")
		services := w.admin.volume(t, "GET", "/os-services?binary=cinder-volume", nil).want(t, 200).docs("services")
		has(t, services[0], "host", "binary", "zone", "status", "state", "updated_at")
		host := services[0]["host"].(string)
		pools := w.admin.volume(t, "GET", "/scheduler-stats/get_pools", nil).want(t, 200).docs("pools")
		if !strings.Contains(host, "@") || !strings.Contains(pools[0]["name"].(string), "#") {
			t.Errorf("service %s, pool %v", host, pools[0])
		}
		w.admin.volume(t, "GET", "/os-hosts/"+url.PathEscape(host), nil).want(t, 200, host)
		w.admin.volume(t, "GET", "/os-hosts/nosuch", nil).refuses(t, 404, "itemNotFound", "Service cinder-volume could not be found on host nosuch.")
		w.admin.volume(t, "GET", "/capabilities/"+url.PathEscape(host), nil).want(t, 200, "OS::Storage::Capabilities::"+host)
		w.admin.volume(t, "GET", "/capabilities/nosuch", nil).refuses(t, 404, "itemNotFound", "Can't find service: nosuch")
		w.admin.volume(t, "PUT", "/os-services/nosuch", doc{"host": host}).want(t, 400, "Unknown action")
		w.admin.volume(t, "GET", "/manageable_volumes", nil, newest).want(t, 400)
		w.admin.volume(t, "POST", "/workers/cleanup", doc{"resource_id": nobody}, newest).want(t, 400, "There is no resource with UUID")
		w.admin.volume(t, "GET", "/clusters", nil).want(t, 404)
		w.admin.volume(t, "GET", "/clusters", nil, newest).want(t, 200, "clusters")
	}},
	{"actions on nothing and unknown ones", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, nil)["id"].(string)
		w.demo.volume(t, "POST", "/volumes/"+v+"/action", doc{"nosuch": doc{}}).want(t, 400, "There is no such action: nosuch.")
		w.demo.volume(t, "POST", "/volumes/"+nobody+"/action", doc{"nosuch": doc{}}).want(t, 400, "There is no such action: nosuch.")
		w.demo.volume(t, "POST", "/volumes/"+v+"/action", doc{"os-reset_status": doc{"status": "error"}}).want(t, 403)
		w.demo.volume(t, "POST", "/volumes/"+v+"/action", doc{"os-set_image_metadata": doc{"metadata": doc{"os": "x"}}}).want(t, 200, `"os"`)
		w.demo.volume(t, "POST", "/volumes/"+v+"/action", doc{"os-show_image_metadata": nil}).want(t, 200, `"os"`)
		w.demo.volume(t, "POST", "/volumes/"+v+"/action", doc{"os-unset_image_metadata": doc{"key": "os"}}).want(t, 200)
		w.demo.volume(t, "POST", "/volumes/"+v+"/action", doc{"os-reserve": nil}).want(t, 202)
		w.demo.volume(t, "POST", "/volumes/"+v+"/action", doc{"os-unreserve": nil}).want(t, 202)
	}},
}
