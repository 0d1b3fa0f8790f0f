package contract

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

var octets = http.Header{"Content-Type": {"application/octet-stream"}}

var patch = http.Header{"Content-Type": {"application/openstack-images-v2.1-json-patch"}}

// makeImage makes a record; it is deleted after the check.
func makeImage(t *testing.T, c *client, more doc) doc {
	t.Helper()
	in := with(doc{"name": "contract-" + random(8), "disk_format": "raw", "container_format": "bare"}, more)
	d := c.glance(t, "POST", "/images", in).want(t, 201).body
	drop(t, c, c.endpoints["image"]+"/v2/images/"+d["id"].(string))
	return d
}

var imageChecks = []check{
	{"versions", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.root("image")+"/", nil, nil).want(t, 300)
		if got := ids(r.docs("versions"), "id"); got[0] != "v2.15" || !slices.Contains(got, "v2.9") {
			t.Errorf("versions = %v", got)
		}
		send(t, "GET", w.demo.root("image")+"/versions", nil, nil).want(t, 200)
	}},
	{"attributes of a new image", func(t *testing.T, w *world) {
		d := makeImage(t, w.demo, doc{"tags": []string{"t"}, "zoo": "1"})
		has(t, d, "id", "name", "status", "visibility", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "owner", "protected", "min_ram", "min_disk",
			"os_hidden", "tags", "created_at", "updated_at", "self", "file", "schema", "disk_format", "container_format")
		if d["status"] != "queued" || d["visibility"] != "shared" || d["owner"] != w.demo.project || d["zoo"] != "1" || d["size"] != nil {
			t.Errorf("image = %v", d)
		}
	}},
	{"the same ID in every pod", func(t *testing.T, w *world) {
		id := uuid.NewString()
		d := makeImage(t, w.demo, doc{"id": id})
		if d["id"] != id {
			t.Fatalf("image = %v", d)
		}
		w.demo.glance(t, "POST", "/images", doc{"id": id}).want(t, 409, "Image ID "+id+" already exists!")
		w.demo.glance(t, "GET", "/images/"+id+"/file", nil).want(t, 204)
		w.demo.glance(t, "PUT", "/images/"+id+"/file", "hello", octets).want(t, 204)
		r := w.demo.glance(t, "GET", "/images/"+id, nil).want(t, 200)
		if r.text("status") != "active" || r.at("size") != float64(5) || r.text("checksum") != "5d41402abc4b2a76b9719d911017c592" || r.text("os_hash_algo") != "sha512" {
			t.Errorf("image = %s", r.raw)
		}
		w.demo.glance(t, "PUT", "/images/"+id+"/file", "hello", octets).want(t, 409, "Image status transition from active to saving is not allowed")
		r = w.demo.glance(t, "GET", "/images/"+id+"/file", nil).want(t, 200)
		if string(r.raw) != "hello" || r.header.Get("Content-Md5") != "5d41402abc4b2a76b9719d911017c592" {
			t.Errorf("data = %q %v", r.raw, r.header)
		}
		w.demo.glance(t, "DELETE", "/images/"+id, nil).want(t, 204)
		w.demo.glance(t, "GET", "/images/"+id, nil).want(t, 404, "No image found with ID "+id)
		w.demo.glance(t, "POST", "/images", doc{"id": id}).want(t, 409, "Image ID "+id+" already exists!")
	}},
	{"data of another type", func(t *testing.T, w *world) {
		d := makeImage(t, w.demo, nil)
		w.demo.glance(t, "PUT", "/images/"+d["id"].(string)+"/file", "hello").want(t, 415, "The request media type application/json is not supported by this server.")
	}},
	{"changes", func(t *testing.T, w *world) {
		d := makeImage(t, w.demo, nil)
		path := "/images/" + d["id"].(string)
		r := w.demo.glance(t, "PATCH", path, `[{"op":"replace","path":"/name","value":"contract-x"},{"op":"add","path":"/zoo","value":"1"},{"op":"replace","path":"/protected","value":true}]`, patch).want(t, 200)
		if r.text("name") != "contract-x" || r.text("zoo") != "1" || r.at("protected") != true {
			t.Errorf("image = %s", r.raw)
		}
		w.demo.glance(t, "DELETE", path, nil).want(t, 403, "Image "+d["id"].(string)+" is protected and cannot be deleted.")
		w.demo.glance(t, "PATCH", path, `[{"op":"replace","path":"/protected","value":false},{"op":"remove","path":"/zoo"}]`, patch).want(t, 200)
		r = w.demo.glance(t, "PATCH", path, "[]").want(t, 415)
		if !strings.Contains(r.header.Get("Accept-Patch"), "application/openstack-images-v2.1-json-patch") {
			t.Errorf("headers = %v", r.header)
		}
	}},
	{"refused", func(t *testing.T, w *world) {
		w.demo.glance(t, "POST", "/images", doc{"id": "zz"}).want(t, 400, "Provided object does not match schema")
		w.demo.glance(t, "POST", "/images", doc{"name": 1}).want(t, 400, "Provided object does not match schema")
		w.demo.glance(t, "POST", "/images", doc{"disk_format": "bad"}).want(t, 400, "Provided object does not match schema")
		w.demo.glance(t, "POST", "/images", "{bad").want(t, 400, "Malformed JSON in request body.")
		w.demo.glance(t, "POST", "/images", doc{"visibility": "public"}).want(t, 403, "You are not authorized to complete publicize_image action.")
		w.demo.glance(t, "GET", "/images/"+nobody, nil).want(t, 404, "No image found with ID "+nobody)
		w.demo.glance(t, "GET", "/nosuch", nil).want(t, 404, "The resource could not be found.")
	}},
	{"errors in the form that the client accepts", func(t *testing.T, w *world) {
		webOb(t, 404, "No image found with ID "+nobody, func(h http.Header) *reply { return w.demo.glance(t, "GET", "/images/"+nobody, nil, h) })
		r := send(t, "GET", w.demo.endpoints["image"]+"/v2/images", nil, nil).want(t, 401, "This server could not verify that you are authorized")
		if r.header.Get("Www-Authenticate") == "" {
			t.Errorf("headers = %v", r.header)
		}
	}},
	{"list in pages", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		for range 3 {
			makeImage(t, w.demo, doc{"name": name})
		}
		r := w.demo.glance(t, "GET", "/images?limit=2&name="+name, nil).want(t, 200)
		if len(r.docs("images")) != 2 || r.text("schema") != "/v2/schemas/images" || !strings.HasPrefix(r.text("first"), "/v2/images?") {
			t.Fatalf("first page = %s", r.raw)
		}
		next := w.demo.call(t, "GET", w.demo.endpoints["image"]+r.text("next"), nil).want(t, 200)
		if len(next.docs("images")) != 1 || next.at("next") != nil {
			t.Errorf("second page = %s", next.raw)
		}
		all := ids(w.demo.glance(t, "GET", "/images?name="+name+"&sort_key=id&sort_dir=asc", nil).want(t, 200).docs("images"), "id")
		if !slices.IsSorted(all) || len(all) != 3 {
			t.Errorf("by ID = %v", all)
		}
	}},
	{"newest first, by ID downwards within a second", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		for range 3 {
			makeImage(t, w.demo, doc{"name": name})
		}
		list := w.demo.glance(t, "GET", "/images?name="+name, nil).want(t, 200).docs("images")
		for i := 1; i < len(list); i++ {
			a, b := list[i-1], list[i]
			if a["created_at"].(string) < b["created_at"].(string) || (a["created_at"] == b["created_at"] && a["id"].(string) < b["id"].(string)) {
				t.Errorf("order = %v %v", ids(list, "created_at"), ids(list, "id"))
			}
		}
	}},
	{"bad queries", func(t *testing.T, w *world) {
		w.demo.glance(t, "GET", "/images?limit=x", nil).want(t, 400, "limit param must be an integer")
		w.demo.glance(t, "GET", "/images?marker="+nobody, nil).want(t, 400, "No image found with ID "+nobody)
		w.demo.glance(t, "GET", "/images?sort_key=bogus", nil).want(t, 400, "Invalid sort key: bogus. It must be one of the following: name, status, container_format, disk_format, size, id, created_at, updated_at.")
	}},
	{"strangers see nothing, until they are members", func(t *testing.T, w *world) {
		d := makeImage(t, w.demo, nil)
		path := "/images/" + d["id"].(string)
		w.alt.glance(t, "GET", path, nil).want(t, 404, "No image found with ID")
		w.demo.glance(t, "POST", path+"/members", doc{"member": w.alt.project}).want(t, 200)
		w.alt.glance(t, "GET", path, nil).want(t, 200)
		if list := w.alt.glance(t, "GET", "/images?name="+d["name"].(string), nil).want(t, 200).docs("images"); len(list) != 0 {
			t.Errorf("an offer not accepted is listed: %v", list)
		}
		w.alt.glance(t, "PUT", path+"/members/"+w.alt.project, doc{"status": "accepted"}).want(t, 200)
		if list := w.alt.glance(t, "GET", "/images?name="+d["name"].(string), nil).want(t, 200).docs("images"); len(list) != 1 {
			t.Errorf("an accepted offer is not listed")
		}
		if list := w.demo.glance(t, "GET", path+"/members", nil).want(t, 200).docs("members"); len(list) != 1 || list[0]["status"] != "accepted" {
			t.Errorf("members = %v", list)
		}
	}},
	{"schema", func(t *testing.T, w *world) {
		r := w.demo.glance(t, "GET", "/schemas/image", nil).want(t, 200)
		has(t, r.body["properties"].(doc), "id", "name", "visibility", "disk_format", "container_format", "protected", "tags", "min_disk", "min_ram")
	}},
}
