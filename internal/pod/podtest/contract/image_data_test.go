package contract

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// upload gives an image data.
func upload(t *testing.T, c *client, id, data string) {
	t.Helper()
	c.glance(t, "PUT", "/images/"+id+"/file", data, octets).want(t, 204)
}

func imageIn(t *testing.T, c *client, id, status string) *reply {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		r := c.glance(t, "GET", "/images/"+id, nil).want(t, 200)
		if r.text("status") == status && r.at("os_glance_import_task") == nil {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("image is not %s: %s", status, r.raw)
		}
	}
}

// taskOf finds an image's task with the status: the order of the list means nothing.
func taskOf(t *testing.T, c *client, id, status string) doc {
	t.Helper()
	r := c.glance(t, "GET", "/images/"+id+"/tasks", nil).want(t, 200)
	for _, task := range r.docs("tasks") {
		if task["status"] == status && task["type"] == "api_image_import" {
			return task
		}
	}
	t.Fatalf("image %s has no import with %s: %s", id, status, r.raw)
	return nil
}

// methods are the imports that the pod offers.
func methods(t *testing.T, c *client) []string {
	t.Helper()
	r := c.glance(t, "GET", "/info/import", nil).want(t, 200)
	var out []string
	for _, v := range r.at("import-methods", "value").([]any) {
		out = append(out, v.(string))
	}
	return out
}

var imageDataChecks = []check{
	{"parts of the data", func(t *testing.T, w *world) {
		id := makeImage(t, w.demo, nil)["id"].(string)
		upload(t, w.demo, id, "0123456789")
		for span, want := range map[string]string{"bytes=2-4": "234", "bytes=7-": "789", "bytes=-2": "89", "bytes=8-99": "89"} {
			r := w.demo.glance(t, "GET", "/images/"+id+"/file", nil, http.Header{"Range": {span}}).want(t, 206)
			if string(r.raw) != want || !strings.HasSuffix(r.header.Get("Content-Range"), "/10") || r.header.Get("Content-Length") != fmt.Sprint(len(want)) {
				t.Errorf("%s = %q %v", span, r.raw, r.header)
			}
		}
		w.demo.glance(t, "GET", "/images/"+id+"/file", nil, http.Header{"Range": {"bytes=10-"}}).want(t, 416, "Start position MUST be in the inclusive range [0, 9].")
		w.demo.glance(t, "GET", "/images/"+id+"/file", nil, http.Header{"Range": {"x"}}).want(t, 416, "Invalid Range header.")
		w.demo.glance(t, "GET", "/images/"+id+"/file", nil, http.Header{"Range": {"bytes=0-1,4-5"}}).want(t, 400, "multiple ranges are not supported")
	}},
	{"an upload that is cut leaves the image as before", func(t *testing.T, w *world) {
		id := makeImage(t, w.demo, nil)["id"].(string)
		body, end := io.Pipe()
		req, err := http.NewRequest("PUT", w.demo.endpoints["image"]+"/v2/images/"+id+"/file", body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 1 << 20
		req.Header = http.Header{"X-Auth-Token": {w.demo.token}, "Content-Type": {"application/octet-stream"}}
		go func() {
			_, _ = end.Write(make([]byte, 1<<19))
			_ = end.CloseWithError(io.ErrUnexpectedEOF)
		}()
		if resp, err := podtest.HTTP.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Fatalf("a cut upload got %s", resp.Status)
		}
		// Glance may hear of it in a moment only: it saves until then, or answers 410 to
		// the one of two uploads at once that comes second.
		for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			r := w.demo.glance(t, "PUT", "/images/"+id+"/file", "hello", octets)
			if r.status != 409 && r.status != 410 || time.Now().After(deadline) {
				r.want(t, 204)
				break
			}
		}
		if r := imageIn(t, w.demo, id, "active"); r.at("size") != float64(5) {
			t.Errorf("image = %s", r.raw)
		}
	}},
	{"what an admin makes for others", func(t *testing.T, w *world) {
		d := makeImage(t, w.admin, doc{"owner": w.demo.project, "visibility": "private", "protected": true, "os_hidden": true, "min_disk": 1,
			"min_ram": 2, "tags": []string{"t"}, "hw_x": "1"})
		id := d["id"].(string)
		if d["owner"] != w.demo.project || d["visibility"] != "private" || d["protected"] != true || d["os_hidden"] != true || d["min_disk"] != float64(1) {
			t.Errorf("image = %v", d)
		}
		w.admin.glance(t, "POST", "/images", doc{"os_glance_x": "1"}).want(t, 403, "Attribute 'os_glance_x' is reserved.")
		upload(t, w.admin, id, "hello")
		r := w.admin.glance(t, "PATCH", "/images/"+id, `[{"op":"replace","path":"/owner","value":"`+w.alt.project+`"},{"op":"replace","path":"/visibility","value":"shared"},
			{"op":"replace","path":"/tags","value":["u"]},{"op":"remove","path":"/hw_x"},{"op":"add","path":"/zoo","value":"2"},{"op":"replace","path":"/protected","value":false}]`, patch).want(t, 200)
		if r.text("owner") != w.alt.project || r.at("hw_x") != nil || r.text("zoo") != "2" || r.at("tags").([]any)[0] != "u" {
			t.Errorf("image = %s", r.raw)
		}
		w.admin.glance(t, "PATCH", "/images/"+id, `[{"op":"replace","path":"/disk_format","value":"qcow2"}]`, patch).want(t, 403, "Attribute disk_format can be only replaced for a queued image.")
		w.admin.glance(t, "POST", "/images/"+id+"/members", doc{"member": w.demo.project}).want(t, 200)
		if m := w.admin.glance(t, "PUT", "/images/"+id+"/members/"+w.demo.project, doc{"status": "accepted"}).want(t, 200); m.text("status") != "accepted" {
			t.Errorf("member = %s", m.raw)
		}
		w.demo.glance(t, "GET", "/images/"+id, nil).want(t, 200)
		w.admin.glance(t, "DELETE", "/images/"+id+"/members/"+w.demo.project, nil).want(t, 204)
		w.admin.glance(t, "PATCH", "/images/"+id, `[{"op":"replace","path":"/visibility","value":"private"}]`, patch).want(t, 200)
		w.admin.glance(t, "POST", "/images/"+id+"/members", doc{"member": w.demo.project}).want(t, 403, "Not allowed to create members for image "+id)
		w.admin.glance(t, "GET", "/images/"+id+"/members", nil).want(t, 403, "Only shared images have members.")
	}},
	{"deactivated", func(t *testing.T, w *world) {
		id := makeImage(t, w.demo, nil)["id"].(string)
		w.admin.glance(t, "POST", "/images/"+id+"/actions/deactivate", nil).want(t, 403, "Not allowed to deactivate image in status 'queued'")
		upload(t, w.demo, id, "hello")
		w.admin.glance(t, "POST", "/images/"+id+"/actions/deactivate", nil).want(t, 204)
		w.admin.glance(t, "POST", "/images/"+id+"/actions/deactivate", nil).want(t, 204)
		imageIn(t, w.demo, id, "deactivated")
		w.demo.glance(t, "GET", "/images/"+id+"/file", nil).want(t, 403, "The requested image has been deactivated.")
		if r := w.admin.glance(t, "GET", "/images/"+id+"/file", nil).want(t, 200); string(r.raw) != "hello" {
			t.Errorf("data for an admin = %q", r.raw)
		}
		w.admin.glance(t, "POST", "/images/"+id+"/actions/reactivate", nil).want(t, 204)
		imageIn(t, w.demo, id, "active")
	}},
	{"staged and imported", func(t *testing.T, w *world) {
		id := makeImage(t, w.demo, nil)["id"].(string)
		path := "/images/" + id
		in := doc{"method": doc{"name": "glance-direct"}}
		w.demo.glance(t, "POST", path+"/import", in).want(t, 409, "Image needs to be staged before 'glance-direct' method can be used")
		w.demo.glance(t, "PUT", path+"/stage", "hello", octets).want(t, 204)
		if r := w.demo.glance(t, "GET", path, nil).want(t, 200); r.text("status") != "uploading" || r.at("size") != float64(5) {
			t.Errorf("staged = %s", r.raw)
		}
		w.demo.glance(t, "PUT", path+"/stage", "hello", octets).want(t, 409, "Image status transition from uploading to uploading is not allowed")
		w.demo.glance(t, "PUT", path+"/file", "hello", octets).want(t, 409, "Image status transition from uploading to saving is not allowed")
		w.alt.glance(t, "POST", path+"/import", in).want(t, 404)
		if r := w.demo.glance(t, "POST", path+"/import", in).want(t, 202); len(r.raw) != 0 {
			t.Errorf("import = %s", r.raw)
		}
		r := imageIn(t, w.demo, id, "active")
		if r.text("checksum") != "5d41402abc4b2a76b9719d911017c592" || r.text("os_glance_importing_to_stores") != "" {
			t.Errorf("imported = %s", r.raw)
		}
		w.demo.glance(t, "POST", path+"/import", in).want(t, 409, "Image with status active cannot be target for import")
	}},
	{"imports that are refused", func(t *testing.T, w *world) {
		id := makeImage(t, w.demo, nil)["id"].(string)
		start := func(method doc) *reply {
			return w.demo.glance(t, "POST", "/images/"+id+"/import", doc{"method": method})
		}
		w.demo.glance(t, "POST", "/images/"+id+"/import", doc{}).want(t, 400, "Import request requires a 'method' field.")
		start(doc{"name": "nosuch"}).want(t, 400, "Unknown import method name 'nosuch'.")
		start(doc{"name": "copy-image"}).want(t, 409, "Only images with status active can be targeted for copying")
		if slices.Contains(methods(t, w.demo), "web-download") {
			start(doc{"name": "web-download", "uri": "file:///etc/passwd"}).want(t, 400, "URI for web-download does not pass filtering: file:///etc/passwd")
			start(doc{"name": "web-download"}).want(t, 400, "URI for web-download does not pass filtering: None")
		}
		if slices.Contains(methods(t, w.demo), "glance-download") {
			start(doc{"name": "glance-download"}).want(t, 400, "'glance_region' needs to be set for glance-download import method")
			start(doc{"name": "glance-download", "glance_region": w.demo.region}).want(t, 400, "'glance_image_id' needs to be set for glance-download import method")
			start(doc{"name": "glance-download", "glance_region": w.demo.region, "glance_image_id": "x"}).want(t, 400, "Remote image id does not look like a UUID: x")
		}
	}},
	{"downloaded from a Glance", func(t *testing.T, w *world) {
		if !slices.Contains(methods(t, w.demo), "glance-download") {
			t.Skip("the pod does not offer it")
		}
		from := makeImage(t, w.demo, doc{"disk_format": "qcow2", "hw_x": "1", "zoo": "2"})["id"].(string)
		upload(t, w.demo, from, "hello")
		id := makeImage(t, w.admin, doc{"id": uuid.NewString(), "owner": w.demo.project})["id"].(string)
		start := func(region string) {
			w.admin.glance(t, "POST", "/images/"+id+"/import", doc{"method": doc{"name": "glance-download", "glance_region": region, "glance_image_id": from}}).want(t, 202)
		}
		start("NoSuchRegion")
		imageIn(t, w.admin, id, "queued")
		if task := taskOf(t, w.admin, id, "failure"); task["message"] == "" {
			t.Errorf("task = %v", task)
		}
		start(w.admin.region)
		r := imageIn(t, w.admin, id, "active")
		if r.text("checksum") != "5d41402abc4b2a76b9719d911017c592" || r.at("size") != float64(5) || r.text("disk_format") != "qcow2" || r.text("hw_x") != "1" || r.at("zoo") != nil {
			t.Errorf("image = %s", r.raw)
		}
		taskOf(t, w.admin, id, "success")
	}},
	{"downloaded from the web", func(t *testing.T, w *world) {
		if !slices.Contains(methods(t, w.demo), "web-download") {
			t.Skip("the pod does not offer it")
		}
		web := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/image" {
				http.NotFound(out, r)
				return
			}
			_, _ = io.WriteString(out, "hello")
		}))
		t.Cleanup(web.Close)
		id := makeImage(t, w.demo, nil)["id"].(string)
		start := func(uri string) *reply {
			return w.demo.glance(t, "POST", "/images/"+id+"/import", doc{"method": doc{"name": "web-download", "uri": uri}})
		}
		if r := start(web.URL + "/nosuch"); r.status == 400 {
			t.Skip("the pod takes nothing from this host")
		}
		imageIn(t, w.demo, id, "queued")
		start(web.URL+"/image").want(t, 202)
		if r := imageIn(t, w.demo, id, "active"); r.text("checksum") != "5d41402abc4b2a76b9719d911017c592" {
			t.Errorf("image = %s", r.raw)
		}
	}},
	{"tasks", func(t *testing.T, w *world) {
		id := makeImage(t, w.demo, nil)["id"].(string)
		w.demo.glance(t, "PUT", "/images/"+id+"/stage", "hello", octets).want(t, 204)
		w.demo.glance(t, "POST", "/images/"+id+"/import", doc{"method": doc{"name": "glance-direct"}}).want(t, 202)
		imageIn(t, w.demo, id, "active")
		of := taskOf(t, w.demo, id, "success")
		has(t, of, "id", "type", "status", "owner", "expires_at", "created_at", "updated_at", "image_id", "request_id", "user_id", "input", "result", "message", "deleted")
		w.demo.glance(t, "GET", "/tasks", nil).want(t, 403, "You are not authorized to complete tasks_api_access action.")
		one := w.admin.glance(t, "GET", "/tasks/"+of["id"].(string), nil).want(t, 200)
		has(t, one.body, "id", "type", "status", "owner", "input", "message", "result", "self", "schema", "image_id")
		list := w.admin.glance(t, "GET", "/tasks?limit=1", nil).want(t, 200)
		if len(list.docs("tasks")) != 1 || list.text("schema") != "/v2/schemas/tasks" || list.docs("tasks")[0]["input"] != nil {
			t.Errorf("tasks = %s", list.raw)
		}
		w.admin.glance(t, "GET", "/tasks/"+nobody, nil).want(t, 404, "Could not find task "+nobody)
	}},
}
