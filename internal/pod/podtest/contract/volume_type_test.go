package contract

import "testing"

// typing makes a volume type as the admin, and removes it after the check.
func typing(t *testing.T, w *world, more doc) doc {
	t.Helper()
	in := with(doc{"name": "contract-" + random(8)}, more)
	d := w.admin.volume(t, "POST", "/types", doc{"volume_type": in}).want(t, 200).body["volume_type"].(doc)
	drop(t, w.admin, w.admin.endpoints["volumev3"]+"/types/"+d["id"].(string))
	return d
}

// specifying makes QoS specs as the admin, and removes them after the check.
func specifying(t *testing.T, w *world, specs doc) doc {
	t.Helper()
	in := with(doc{"name": "contract-" + random(8)}, specs)
	d := w.admin.volume(t, "POST", "/qos-specs", doc{"qos_specs": in}).want(t, 200).body["qos_specs"].(doc)
	drop(t, w.admin, w.admin.endpoints["volumev3"]+"/qos-specs/"+d["id"].(string)+"?force=True")
	return d
}

// typeChecks are about volume types, and what belongs to them.
var typeChecks = []check{
	{"life", func(t *testing.T, w *world) {
		d := typing(t, w, doc{"description": "of the contract", "extra_specs": doc{"volume_backend_name": "b", "multiattach": "<is> False"}})
		has(t, d, "id", "name", "is_public", "description", "extra_specs", "os-volume-type-access:is_public")
		path, name := "/types/"+d["id"].(string), d["name"].(string)
		shown := w.admin.volume(t, "GET", path, nil).want(t, 200).body["volume_type"].(doc)
		if has(t, shown, "qos_specs_id"); len(shown["extra_specs"].(doc)) != 2 {
			t.Errorf("extra specs = %v", shown["extra_specs"])
		}
		seen := w.demo.volume(t, "GET", path, nil).want(t, 200).body["volume_type"].(doc)
		if hasNot(t, seen, "qos_specs_id"); len(seen["extra_specs"].(doc)) != 1 {
			t.Errorf("extra specs that everybody sees = %v", seen["extra_specs"])
		}
		w.admin.volume(t, "POST", "/types", doc{"volume_type": doc{"name": name}}).refuses(t, 409, "conflictingRequest", "Volume Type "+name+" already exists.")
		w.admin.volume(t, "PUT", path, doc{"volume_type": doc{"description": "other"}}).want(t, 200, "other")
		w.admin.volume(t, "PUT", path, doc{"volume_type": doc{}}).want(t, 400, "Specify volume type name, description, is_public or a combination thereof.")
		w.admin.volume(t, "DELETE", path, nil).want(t, 202)
		w.admin.volume(t, "GET", path, nil).refuses(t, 404, "itemNotFound", "Volume type "+d["id"].(string)+" could not be found.")
	}},
	{"for operators only", func(t *testing.T, w *world) {
		path := "/types/" + typing(t, w, nil)["id"].(string)
		w.demo.volume(t, "POST", "/types", doc{"volume_type": doc{"name": "contract-" + random(8)}}).
			refuses(t, 403, "forbidden", "Policy doesn't allow volume_extension:type_create to be performed.")
		w.demo.volume(t, "DELETE", path, nil).refuses(t, 403, "forbidden", "Policy doesn't allow volume_extension:type_delete to be performed.")
		w.demo.volume(t, "GET", path+"/encryption", nil).want(t, 403)
		w.demo.volume(t, "GET", "/qos-specs", nil).want(t, 403)
	}},
	{"extra specs", func(t *testing.T, w *world) {
		path := "/types/" + typing(t, w, nil)["id"].(string) + "/extra_specs"
		w.admin.volume(t, "POST", path, doc{"extra_specs": doc{"a": "1", "b": "2"}}).want(t, 200)
		w.admin.volume(t, "PUT", path+"/a", doc{"a": "3"}).want(t, 200)
		w.admin.volume(t, "PUT", path+"/a", doc{"c": "3"}).want(t, 400)
		w.admin.volume(t, "DELETE", path+"/b", nil).want(t, 202)
		w.admin.volume(t, "DELETE", path+"/b", nil).want(t, 404, "has no extra specs with key b.")
		if specs := w.admin.volume(t, "GET", path, nil).want(t, 200).body["extra_specs"].(doc); len(specs) != 1 || specs["a"] != "3" {
			t.Errorf("extra specs = %v", specs)
		}
	}},
	{"access", func(t *testing.T, w *world) {
		id := typing(t, w, doc{"os-volume-type-access:is_public": false})["id"].(string)
		path := "/types/" + id
		w.demo.volume(t, "GET", path, nil).want(t, 404)
		add := doc{"addProjectAccess": doc{"project": w.demo.project}}
		w.admin.volume(t, "POST", path+"/action", add).want(t, 202)
		w.admin.volume(t, "POST", path+"/action", add).
			refuses(t, 409, "conflictingRequest", "Volume type access for "+id+" / "+w.demo.project+" combination already exists.")
		w.demo.volume(t, "GET", path, nil).want(t, 200)
		w.alt.volume(t, "GET", path, nil).want(t, 404)
		list := w.admin.volume(t, "GET", path+"/os-volume-type-access", nil).want(t, 200).docs("volume_type_access")
		if len(list) != 1 || list[0]["project_id"] != w.demo.project || list[0]["volume_type_id"] != id {
			t.Errorf("access = %v", list)
		}
		remove := doc{"removeProjectAccess": doc{"project": w.demo.project}}
		w.admin.volume(t, "POST", path+"/action", remove).want(t, 202)
		w.admin.volume(t, "POST", path+"/action", remove).want(t, 404, "Volume type access not found")
		w.demo.volume(t, "GET", path, nil).want(t, 404)
	}},
	{"encryption", func(t *testing.T, w *world) {
		id := typing(t, w, nil)["id"].(string)
		path := "/types/" + id + "/encryption"
		if d := w.admin.volume(t, "GET", path, nil).want(t, 200).body; len(d) != 0 {
			t.Errorf("without encryption = %v", d)
		}
		in := doc{"encryption": doc{"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}}
		made := w.admin.volume(t, "POST", path, in).want(t, 200).body["encryption"].(doc)
		has(t, made, "encryption_id", "volume_type_id", "provider", "cipher", "key_size", "control_location")
		w.admin.volume(t, "POST", path, in).refuses(t, 400, "badRequest", "Volume type encryption for type "+id+" already exists.")
		shown := w.admin.volume(t, "GET", path, nil).want(t, 200).body
		if has(t, shown, "created_at", "deleted", "encryption_id"); shown["key_size"] != float64(256) {
			t.Errorf("encryption = %v", shown)
		}
		key := path + "/" + made["encryption_id"].(string)
		w.admin.volume(t, "PUT", key, doc{"encryption": doc{"key_size": 128}}).want(t, 200)
		w.admin.volume(t, "GET", path+"/key_size", nil).want(t, 200, "128")
		w.admin.volume(t, "DELETE", key, nil).want(t, 202)
		w.admin.volume(t, "DELETE", key, nil).want(t, 404)
	}},
	{"QoS specs", func(t *testing.T, w *world) {
		kind := typing(t, w, nil)
		id := kind["id"].(string)
		q := specifying(t, w, doc{"consumer": "front-end", "read_iops_sec": "100"})
		if q["consumer"] != "front-end" || q["specs"].(doc)["read_iops_sec"] != "100" {
			t.Errorf("QoS specs = %v", q)
		}
		path := "/qos-specs/" + q["id"].(string)
		w.admin.volume(t, "POST", "/qos-specs", doc{"qos_specs": doc{"name": q["name"]}}).want(t, 409)
		w.admin.volume(t, "PUT", path, doc{"qos_specs": doc{"write_iops_sec": "50"}}).want(t, 200)
		w.admin.volume(t, "PUT", path+"/delete_keys", doc{"keys": []string{"read_iops_sec"}}).want(t, 202)
		w.admin.volume(t, "PUT", path+"/delete_keys", doc{"keys": []string{"read_iops_sec"}}).want(t, 404)
		w.admin.volume(t, "GET", path+"/associate?vol_type_id="+id, nil).want(t, 202)
		list := w.admin.volume(t, "GET", path+"/associations", nil).want(t, 200).docs("qos_associations")
		if len(list) != 1 || list[0]["id"] != id || list[0]["name"] != kind["name"] {
			t.Errorf("associations = %v", list)
		}
		if got := w.admin.volume(t, "GET", "/types/"+id, nil).want(t, 200).text("volume_type", "qos_specs_id"); got != q["id"] {
			t.Errorf("the type's QoS specs are %s", got)
		}
		other := specifying(t, w, nil)
		w.admin.volume(t, "GET", "/qos-specs/"+other["id"].(string)+"/associate?vol_type_id="+id, nil).want(t, 400, "already associated with another qos specs")
		w.admin.volume(t, "DELETE", path, nil).want(t, 400)
		w.admin.volume(t, "GET", path+"/disassociate_all", nil).want(t, 202)
		w.admin.volume(t, "DELETE", path, nil).want(t, 202)
		eventually(t, "QoS specs gone", func() bool { return w.admin.volume(t, "GET", path, nil).status == 404 })
	}},
	{"in use", func(t *testing.T, w *world) {
		usual := w.demo.volume(t, "GET", "/types/default", nil).want(t, 200).text("volume_type", "id")
		makeVolume(t, w.demo, doc{"volume_type": usual})
		path := "/types/" + usual
		w.admin.volume(t, "POST", path+"/extra_specs", doc{"extra_specs": doc{"a": "1"}}).want(t, 400, "Volume Type is currently in use.")
		w.admin.volume(t, "POST", path+"/encryption", doc{"encryption": doc{"provider": "luks", "control_location": "front-end"}}).
			want(t, 400, "Cannot create encryption specs. Volume type in use.")
		w.admin.volume(t, "DELETE", path, nil).want(t, 400)
	}},
}

// holding asks for a volume that holds data: those of a testbed's usual type pretend.
func (w *world) holding(t *testing.T) doc {
	t.Helper()
	for _, kind := range w.demo.volume(t, "GET", "/types", nil).want(t, 200).docs("volume_types") {
		if kind["name"] == "files" {
			return doc{"volume_type": "files"}
		}
	}
	return nil
}

// imagingChecks are about volumes that become images, and images that volumes are
// filled with.
var imagingChecks = []check{
	{"a volume becomes an image", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, w.holding(t))["id"].(string)
		r := w.demo.volume(t, "POST", "/volumes/"+v+"/action",
			doc{"os-volume_upload_image": doc{"image_name": "contract-" + random(8), "container_format": "bare", "disk_format": "raw"}}).want(t, 202)
		made := r.body["os-volume_upload_image"].(doc)
		has(t, made, "id", "image_id", "image_name", "status", "size", "volume_type", "disk_format", "container_format")
		image := made["image_id"].(string)
		drop(t, w.demo, w.demo.endpoints["image"]+"/v2/images/"+image)
		if made["id"] != v || made["status"] != "uploading" {
			t.Errorf("upload = %v", made)
		}
		imageIn(t, w.demo, image, "active")
		eventually(t, "volume available again", func() bool {
			return w.demo.volume(t, "GET", "/volumes/"+v, nil).text("volume", "status") == "available"
		})
	}},
	{"a volume is imaged anew", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, w.holding(t))["id"].(string)
		path := "/volumes/" + v
		image := makeImage(t, w.demo, nil)["id"].(string)
		upload(t, w.demo, image, "new data")
		anew := doc{"os-reimage": doc{"image_id": image}}
		w.demo.volume(t, "POST", path+"/action", anew, volumeVersion("3.67")).
			refuses(t, 404, "itemNotFound", "The resource could not be found.")
		w.demo.volume(t, "POST", path+"/action", anew, volumeVersion("3.68")).want(t, 202)
		eventually(t, "volume available again", func() bool {
			return w.demo.volume(t, "GET", path, nil).text("volume", "status") == "available"
		})
		if meta := w.demo.volume(t, "GET", path, nil).want(t, 200).at("volume", "volume_image_metadata", "image_id"); meta != image {
			t.Errorf("the volume is of image %v", meta)
		}
	}},
	{"an image that is not there leaves the volume downloading", func(t *testing.T, w *world) {
		v := makeVolume(t, w.demo, nil)["id"].(string)
		path := "/volumes/" + v
		w.demo.volume(t, "POST", path+"/action", doc{"os-reimage": doc{"image_id": nobody}}, volumeVersion("3.68")).want(t, 404)
		if got := w.demo.volume(t, "GET", path, nil).want(t, 200).text("volume", "status"); got != "downloading" {
			t.Errorf("the volume is %s", got)
		}
		w.admin.volume(t, "POST", "/volumes/"+v+"/action", doc{"os-reset_status": doc{"status": "available"}}).want(t, 202)
	}},
}
