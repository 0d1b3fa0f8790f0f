package contract

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func volumeVersion(v string) http.Header {
	return http.Header{"OpenStack-API-Version": {"volume " + v}}
}

// makeVolume makes a volume and waits for it; it is deleted after the check.
func makeVolume(t *testing.T, c *client, more doc) doc {
	t.Helper()
	in := with(doc{"name": "contract-" + random(8), "size": 1}, more)
	d := c.volume(t, "POST", "/volumes", doc{"volume": in}).want(t, 202).body["volume"].(doc)
	id := d["id"].(string)
	url := c.endpoints["volumev3"] + "/volumes/" + id
	t.Cleanup(func() {
		c.late(t, "DELETE", url)
		eventually(t, "volume "+id+" gone", func() bool { return c.late(t, "GET", url) == 404 })
	})
	eventually(t, "volume "+id+" available", func() bool {
		return c.volume(t, "GET", "/volumes/"+id, nil).want(t, 200).text("volume", "status") == "available"
	})
	return d
}

var volumeChecks = []check{
	{"versions", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.root("volumev3")+"/", nil, nil).want(t, 300)
		if v := r.docs("versions")[0]; v["id"] != "v3.0" || v["version"] != "3.70" || v["min_version"] != "3.0" {
			t.Errorf("versions = %s", r.raw)
		}
		send(t, "GET", w.demo.root("volumev3")+"/v3/", nil, nil).want(t, 401)
		w.demo.call(t, "GET", w.demo.root("volumev3")+"/v3/", nil).want(t, 200)
	}},
	{"attributes of a new volume", func(t *testing.T, w *world) {
		d := makeVolume(t, w.demo, doc{"metadata": doc{"a": "1"}})
		if d["status"] != "creating" || d["size"] != float64(1) || d["availability_zone"] != "nova" || d["bootable"] != "false" {
			t.Errorf("volume = %v", d)
		}
		v := w.demo.volume(t, "GET", "/volumes/"+d["id"].(string), nil).want(t, 200).body["volume"].(doc)
		has(t, v, "id", "name", "description", "status", "size", "availability_zone", "created_at", "updated_at", "volume_type", "snapshot_id", "source_volid", "metadata",
			"links", "user_id", "bootable", "encrypted", "replication_status", "consistencygroup_id", "multiattach", "attachments", "os-vol-tenant-attr:tenant_id")
		hasNot(t, v, "group_id", "shared_targets", "volume_type_id")
		if href := docs(v, "links")[0]["href"]; href != w.demo.endpoints["volumev3"]+"/volumes/"+d["id"].(string) {
			t.Errorf("self = %v", href)
		}
		v = w.demo.volume(t, "GET", "/volumes/"+d["id"].(string), nil, volumeVersion("3.70")).want(t, 200).body["volume"].(doc)
		has(t, v, "group_id", "shared_targets", "service_uuid", "volume_type_id", "consumes_quota")
	}},
	{"list in pages", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		for range 2 {
			makeVolume(t, w.demo, doc{"name": name})
		}
		r := w.demo.volume(t, "GET", "/volumes?limit=1&name="+name, nil).want(t, 200)
		if list := r.docs("volumes"); len(list) != 1 || len(list[0]) != 3 || r.docs("volumes_links")[0]["rel"] != "next" {
			t.Fatalf("first page = %s", r.raw)
		}
		next := w.demo.call(t, "GET", r.docs("volumes_links")[0]["href"].(string), nil).want(t, 200)
		if list := next.docs("volumes"); len(list) != 1 || list[0]["id"] == r.docs("volumes")[0]["id"] {
			t.Errorf("second page = %s", next.raw)
		}
		list := w.demo.volume(t, "GET", "/volumes/detail?name="+name, nil).want(t, 200).docs("volumes")
		if len(list) != 2 || list[0]["created_at"].(string) < list[1]["created_at"].(string) {
			t.Errorf("order = %v", ids(list, "created_at"))
		}
	}},
	{"microversions", func(t *testing.T, w *world) {
		r := w.demo.volume(t, "GET", "/volumes", nil, volumeVersion("3.60")).want(t, 200)
		if r.header.Get("Openstack-Api-Version") != "volume 3.60" || r.header.Get("Vary") != "OpenStack-API-Version" {
			t.Errorf("headers = %v", r.header)
		}
		w.demo.volume(t, "GET", "/volumes", nil, volumeVersion("3.99")).
			refuses(t, 406, "computeFault", "Version 3.99 is not supported by the API. Minimum is 3.0 and maximum is 3.70.")
		// The first entry that has the word in it counts: clients name the service's type.
		for asked, want := range map[string]string{"volumev3 3.42": "3.42", "compute 2.1, volumev3 3.42, volume 3.50": "3.42", "volume  3.5": "3.5"} {
			r := w.demo.volume(t, "GET", "/volumes", nil, http.Header{"OpenStack-API-Version": {asked}}).want(t, 200)
			if got := r.header.Get("Openstack-Api-Version"); got != "volume "+want {
				t.Errorf("asked for %s: %s", asked, got)
			}
		}
		for _, asked := range []string{"block-storage 3.42", "compute 2.1", "Volume 3.42"} {
			w.demo.volume(t, "GET", "/volumes", nil, http.Header{"OpenStack-API-Version": {asked}}).want(t, 400, "badRequest")
		}
	}},
	{"refused", func(t *testing.T, w *world) {
		for _, c := range []struct {
			in      doc
			status  int
			kind    string
			message string
		}{
			{doc{}, 400, "badRequest", "The server could not comply with the request since it is either malformed or otherwise incorrect."},
			{doc{"size": 1, "volume_type": "zz"}, 404, "itemNotFound", "Volume type with name zz could not be found."},
			{doc{"size": 1, "availability_zone": "zz"}, 400, "badRequest", "Availability zone 'zz' is invalid."},
			{doc{"size": 1, "imageRef": nobody}, 400, "badRequest", "Invalid image identifier or unable to access requested image."},
		} {
			w.demo.volume(t, "POST", "/volumes", doc{"volume": c.in}).refuses(t, c.status, c.kind, c.message)
		}
		r := w.demo.volume(t, "POST", "/volumes", doc{"volume": doc{"size": 999999}}).want(t, 413, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 999999G")
		if r.header.Get("Retry-After") != "0" || r.at("overLimit", "code") != float64(413) {
			t.Errorf("413 = %s %v", r.raw, r.header)
		}
	}},
	{"unknown IDs and markers", func(t *testing.T, w *world) {
		w.demo.volume(t, "GET", "/volumes/"+nobody, nil).refuses(t, 404, "itemNotFound", "Volume "+nobody+" could not be found.")
		w.demo.volume(t, "DELETE", "/volumes/"+nobody, nil).refuses(t, 404, "itemNotFound", "Volume "+nobody+" could not be found.")
		w.demo.volume(t, "GET", "/volumes?marker="+nobody, nil).refuses(t, 404, "itemNotFound", "Volume "+nobody+" could not be found.")
		w.demo.volume(t, "GET", "/snapshots/"+nobody, nil).refuses(t, 404, "itemNotFound", "Snapshot "+nobody+" could not be found.")
		w.demo.volume(t, "GET", "/volumes?limit=x", nil).refuses(t, 400, "badRequest", "limit param must be an integer")
	}},
	{"project in the path", func(t *testing.T, w *world) {
		other := strings.Replace(w.demo.endpoints["volumev3"], w.demo.project, w.alt.project, 1)
		w.demo.call(t, "GET", other+"/volumes", nil).refuses(t, 400, "badRequest", "Malformed request url")
		without := strings.Replace(w.demo.endpoints["volumev3"], "/"+w.demo.project, "", 1)
		w.demo.call(t, "GET", without+"/volumes", nil).want(t, 200)
		webOb(t, 404, "The resource could not be found.", func(h http.Header) *reply { return w.demo.call(t, "GET", without+"/nosuch/volumes", nil, h) })
	}},
	{"strangers see nothing", func(t *testing.T, w *world) {
		id := makeVolume(t, w.demo, nil)["id"].(string)
		w.alt.volume(t, "GET", "/volumes/"+id, nil).refuses(t, 404, "itemNotFound", "Volume "+id+" could not be found.")
		w.alt.volume(t, "DELETE", "/volumes/"+id, nil).refuses(t, 404, "itemNotFound", "Volume "+id+" could not be found.")
	}},
	{"changes", func(t *testing.T, w *world) {
		id := makeVolume(t, w.demo, nil)["id"].(string)
		r := w.demo.volume(t, "PUT", "/volumes/"+id, doc{"volume": doc{"name": "contract-other"}}).want(t, 200)
		if r.text("volume", "name") != "contract-other" {
			t.Errorf("volume = %s", r.raw)
		}
	}},
	{"attached to a server", func(t *testing.T, w *world) {
		id := makeVolume(t, w.demo, nil)["id"].(string)
		server := w.boot(t, w.demo, nil)
		w.demo.compute(t, "POST", "/servers/"+server+"/os-volume_attachments", doc{"volumeAttachment": doc{"volumeId": id}}).want(t, 200)
		eventually(t, "in use", func() bool {
			return w.demo.volume(t, "GET", "/volumes/"+id, nil).want(t, 200).text("volume", "status") == "in-use"
		})
		r := w.demo.volume(t, "GET", "/volumes/"+id, nil).want(t, 200)
		if a := r.docs("volume", "attachments"); len(a) != 1 || a[0]["server_id"] != server {
			t.Errorf("attachments = %v", a)
		}
		w.demo.volume(t, "DELETE", "/volumes/"+id, nil).want(t, 400, "Invalid volume: Volume status must be available or error")
		list := w.demo.compute(t, "GET", "/servers/"+server+"/os-volume_attachments", nil).want(t, 200).docs("volumeAttachments")
		if len(list) != 1 || list[0]["volumeId"] != id {
			t.Errorf("attachments of the server = %v", list)
		}
		w.demo.compute(t, "DELETE", "/servers/"+server+"/os-volume_attachments/"+id, nil).want(t, 202)
		eventually(t, "free again", func() bool {
			return w.demo.volume(t, "GET", "/volumes/"+id, nil).want(t, 200).text("volume", "status") == "available"
		})
	}},
	{"what else is listed", func(t *testing.T, w *world) {
		for path, key := range map[string]string{"/types": "volume_types", "/snapshots": "snapshots", "/os-availability-zone": "availabilityZoneInfo"} {
			if _, ok := w.demo.volume(t, "GET", path, nil).want(t, 200).body[key].([]any); !ok {
				t.Errorf("GET %s has no list %s", path, key)
			}
		}
		r := w.demo.volume(t, "GET", "/limits", nil).want(t, 200)
		has(t, r.at("limits", "absolute").(doc), "maxTotalVolumes", "maxTotalVolumeGigabytes", "maxTotalSnapshots", "totalVolumesUsed", "totalGigabytesUsed")
		r = w.demo.volume(t, "GET", "/os-quota-sets/"+w.demo.project, nil).want(t, 200)
		has(t, r.body["quota_set"].(doc), "id", "volumes", "gigabytes", "snapshots")
	}},
	{"snapshots", func(t *testing.T, w *world) {
		id := makeVolume(t, w.demo, nil)["id"].(string)
		r := w.demo.volume(t, "POST", "/snapshots", doc{"snapshot": doc{"volume_id": id, "name": "contract"}}).want(t, 202)
		path := "/snapshots/" + r.text("snapshot", "id")
		eventually(t, "available", func() bool {
			return w.demo.volume(t, "GET", path, nil).want(t, 200).text("snapshot", "status") == "available"
		})
		w.demo.volume(t, "DELETE", "/volumes/"+id, nil).want(t, 400, "have snapshots")
		w.demo.volume(t, "DELETE", path, nil).want(t, 202)
		eventually(t, "gone", func() bool { return w.demo.volume(t, "GET", path, nil).status == 404 })
	}},
	{"quotas", func(t *testing.T, w *world) {
		project := random(32)
		path := "/os-quota-sets/" + project
		usual := w.admin.volume(t, "GET", path+"/defaults", nil).want(t, 200).body["quota_set"].(doc)
		set := w.admin.volume(t, "PUT", path, doc{"quota_set": doc{"volumes": 3, "gigabytes": -1}}).want(t, 200).body["quota_set"].(doc)
		if set["volumes"] != float64(3) || set["gigabytes"] != float64(-1) || set["snapshots"] != usual["snapshots"] || set["id"] != nil {
			t.Errorf("set %v, usual %v", set, usual)
		}
		used := w.admin.volume(t, "GET", path+"?usage=true", nil).want(t, 200).body["quota_set"].(doc)
		if v, _ := used["volumes"].(doc); v["limit"] != float64(3) || v["in_use"] != float64(0) || v["reserved"] != float64(0) {
			t.Errorf("used %v", used)
		}
		w.admin.volume(t, "PUT", path, doc{"quota_set": doc{"volumes_nosuch": 3}}).refuses(t, 400, "badRequest", "Invalid input received: Bad key(s) in quota set: volumes_nosuch")
		w.admin.volume(t, "PUT", path, doc{"quota_set": doc{"volumes": -2}}).refuses(t, 400, "badRequest", "volumes must be >= -1")
		w.admin.volume(t, "DELETE", path, nil).want(t, 200)
		if d := w.admin.volume(t, "GET", path, nil).want(t, 200).body["quota_set"].(doc); d["volumes"] != usual["volumes"] || d["id"] != project {
			t.Errorf("after DELETE %v, usual %v", d, usual)
		}
		class := w.admin.volume(t, "GET", "/os-quota-class-sets/default", nil).want(t, 200).body["quota_class_set"].(doc)
		has(t, class, "id", "volumes", "gigabytes", "snapshots", "backups", "backup_gigabytes", "groups", "per_volume_gigabytes", "volumes___DEFAULT__", "gigabytes___DEFAULT__", "snapshots___DEFAULT__")
		w.demo.volume(t, "GET", path, nil).refuses(t, 403, "forbidden", "Policy doesn't allow volume_extension:quotas:show to be performed.")
		w.demo.volume(t, "DELETE", path, nil).refuses(t, 403, "forbidden", "Policy doesn't allow volume_extension:quotas:delete to be performed.")
		w.demo.volume(t, "GET", "/os-quota-class-sets/default", nil).refuses(t, 403, "forbidden", "Policy doesn't allow volume_extension:quota_classes:get to be performed.")
	}},
	{"found by metadata", func(t *testing.T, w *world) {
		id := makeVolume(t, w.demo, doc{"metadata": doc{"tricircle": "mark-of-" + random(8)}})["id"].(string)
		mark := w.demo.volume(t, "GET", "/volumes/"+id, nil).want(t, 200).text("volume", "metadata", "tricircle")
		found := w.admin.volume(t, "GET", "/volumes/detail?all_tenants=1&project_id="+w.demo.project+"&metadata="+url.QueryEscape(`{"tricircle":"`+mark+`"}`), nil).want(t, 200).docs("volumes")
		if len(found) != 1 || found[0]["id"] != id {
			t.Errorf("found %v, want %s", found, id)
		}
	}},
	{"no token", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.endpoints["volumev3"]+"/volumes", nil, nil).want(t, 401)
		if fmt.Sprint(r.at("error", "code")) != "401" {
			t.Errorf("401 = %s", r.raw)
		}
	}},
}
