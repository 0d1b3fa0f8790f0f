package image_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/store"
)

func TestLifeOfAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo, one, two := w.as("demo"), w.cloud.Pod("pod1"), w.cloud.Pod("pod2")
	created := demo.do("POST", "/images", m{"name": "i", "disk_format": "raw", "container_format": "bare"}).want(t, 201)
	id := created.get("id")
	if got, want := created.header.Get("Location"), w.url+"/images/"+id; got != want {
		t.Errorf("Location = %s, want %s", got, want)
	}
	data := strings.Repeat("0123456789abcdef", 1<<16)
	demo.do("PUT", "/images/"+id+"/file", strings.NewReader(data)).want(t, 204)
	if w.status(one, id) != "active" || w.status(two, id) != "" {
		t.Errorf("pod1 has %q, pod2 %q; want it in pod1 alone", w.status(one, id), w.status(two, id))
	}
	row, err := w.store.FindImage(t.Context(), id)
	if err != nil || row.Home != "pod1" || row.Status != "active" || row.ProjectID != w.cloud.ProjectID("demo") {
		t.Errorf("row = %+v, %v; want home pod1, active", row, err)
	}
	if got := demo.do("GET", "/images/"+id+"/file", nil).want(t, 200); string(got.body) != data {
		t.Errorf("download gives %d bytes, want %d", len(got.body), len(data))
	}
	if ids := demo.do("GET", "/images", nil).want(t, 200, `"first": "/v2/images", "schema": "/v2/schemas/images"`).ids(t); !cmp.Equal(ids, []string{id}) {
		t.Errorf("list = %v, want %v", ids, []string{id})
	}
	w.as("alt").do("GET", "/images/"+id, nil).want(t, 404, "No image found with ID "+id)
	w.as("alt").do("DELETE", "/images/"+id, nil).want(t, 404)

	w.copy(id)
	demo.do("PATCH", "/images/"+id, []m{{"op": "replace", "path": "/name", "value": "j"}}).want(t, 200, `"name":"j"`)
	if got := w.pending(id); !cmp.Equal(got, []string{"pod2"}) {
		t.Errorf("after a change there is work in %v, want pod2", got)
	}
	demo.do("DELETE", "/images/"+id, nil).want(t, 204)
	demo.do("GET", "/images/"+id, nil).want(t, 404)
	if ids := demo.do("GET", "/images", nil).ids(t); len(ids) > 0 || w.status(two, id) != "active" {
		t.Errorf("list = %v while a copy is left over, want none", ids)
	}
	if got := w.pending(id); !cmp.Equal(got, []string{"pod2"}) {
		t.Errorf("after the deletion there is work in %v, want pod2", got)
	}
}

// While the home is away its copy is read, and nothing is changed.
func TestHomeAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.as("demo")
	alone, copied := demo.image(nil), demo.image(nil)
	w.copy(copied)
	w.cloud.Pod("pod1").Down()
	if got := demo.do("GET", "/images/"+copied, nil).want(t, 200).header.Get("X-Tricircle-Pod"); got != "pod2" {
		t.Errorf("answered by %s, want pod2", got)
	}
	if got := demo.do("GET", "/images/"+copied+"/file", nil).want(t, 200).body; string(got) != "data" {
		t.Errorf("download = %q", got)
	}
	demo.do("GET", "/images/"+alone, nil).want(t, 503, "pod1")
	list := demo.do("GET", "/images", nil)
	if ids := list.ids(t); !cmp.Equal(ids, []string{copied}) || !strings.Contains(list.header.Get("X-Tricircle-Unreachable-Pods"), "pod1") {
		t.Errorf("list = %v, header %v; want the copy, and pod1 named", ids, list.header)
	}
	rename := []m{{"op": "replace", "path": "/name", "value": "j"}}
	demo.do("PATCH", "/images/"+copied, rename).want(t, 503, "pod1")
	demo.do("DELETE", "/images/"+copied, nil).want(t, 503, "pod1")
	demo.do("PUT", "/images/"+copied+"/tags/t", nil).want(t, 503, "pod1")
	fresh := demo.image(nil) // the project's pod is away: another becomes the home
	if row, err := w.store.FindImage(t.Context(), fresh); err != nil || row.Home != "pod2" {
		t.Errorf("new image = %+v, %v; want home pod2", row, err)
	}
	w.cloud.Pod("pod1").Up()
}

// A home that has lost the image hands over to a copy, for all who may see it there;
// to others nothing is shown and nothing is changed.
func TestLostHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo, one := w.as("demo"), w.cloud.Pod("pod1")
	id, gone := demo.image(nil), demo.image(nil)
	w.copy(id)
	w.as("alt").do("GET", "/images/"+id, nil).want(t, 404)
	for _, image := range []string{id, gone} {
		w.as("admin").past(one).do("DELETE", "/images/"+image, nil).want(t, 204)
	}
	demo.do("PATCH", "/images/"+id, []m{{"op": "replace", "path": "/name", "value": "j"}}).want(t, 200, `"name":"j"`)
	if row, err := w.store.FindImage(t.Context(), id); err != nil || row.Home != "pod2" {
		t.Errorf("row = %+v, %v; want home pod2", row, err)
	}
	demo.do("GET", "/images/"+gone, nil).want(t, 404)
	if _, err := w.store.FindImage(t.Context(), gone); !fault.Is(err, fault.NotFound) {
		t.Errorf("an image that is nowhere is on record: %v", err)
	}
}

// What a copy shows does not count while the home answers: it may be behind.
func TestCopiesDoNotSpeakForTheirHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, alt := w.as("admin"), w.as("alt")
	id := admin.image(m{"visibility": "public"})
	w.copy(id)
	if ids := alt.do("GET", "/images", nil).ids(t); !cmp.Equal(ids, []string{id}) {
		t.Fatalf("list = %v, want the public image once", ids)
	}
	admin.do("PATCH", "/images/"+id, []m{{"op": "replace", "path": "/visibility", "value": "private"}, {"op": "replace", "path": "/name", "value": "new"}}).want(t, 200)
	alt.past(w.cloud.Pod("pod2")).do("GET", "/images/"+id, nil).want(t, 200) // its job has not run
	if ids := alt.do("GET", "/images", nil).ids(t); len(ids) > 0 {
		t.Errorf("list = %v, want none: it is private now", ids)
	}
	alt.do("GET", "/images/"+id, nil).want(t, 404)
	if ids := admin.do("GET", "/images?name=i", nil).ids(t); len(ids) > 0 {
		t.Errorf("list by the old name = %v, want none", ids)
	}
}

// Images that pods had before are adopted when they are first asked for.
func TestImagesFromBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.as("admin")
	const id = "84181aed-ab10-46f3-8dc5-4832dc2fc220"
	for _, p := range w.cloud.Pods() {
		p.AddImage(glance.Image{ID: id, Name: "old"})
	}
	if ids := admin.do("GET", "/images", nil).ids(t); !cmp.Equal(ids, []string{id}) {
		t.Errorf("list = %v, want it once", ids)
	}
	admin.do("PUT", "/images/"+id+"/tags/t", nil).want(t, 204)
	row, err := w.store.FindImage(t.Context(), id)
	if err != nil || row.Home != "pod1" || row.Status != "active" {
		t.Errorf("row = %+v, %v; want home pod1", row, err)
	}
	if got := w.pending(id); !cmp.Equal(got, []string{"pod2"}) {
		t.Errorf("there is work in %v, want pod2", got)
	}
	admin.do("DELETE", "/images/"+id, nil).want(t, 204)
	if ids := admin.do("GET", "/images", nil).ids(t); len(ids) > 0 {
		t.Errorf("list = %v, want none", ids)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.as("demo")
	const id = "0b8aa36d-8d14-4bb5-b6d0-6a0d1b6cb6a1"
	w.as("admin").past(w.cloud.Pod("pod2")).do("POST", "/images", m{"id": id, "name": "private"}).want(t, 201)
	demo.do("POST", "/images", m{"id": id, "name": "mine"}).want(t, 409, "Image ID "+id+" already exists!")
	demo.do("POST", "/images", nil).want(t, 400, "Body expected in request.")
	demo.do("POST", "/images", []string{}).want(t, 400, "Unexpected body type. Expected list/dict.")
	demo.do("POST", "/images", m{"name": "i", "tricircle_copy": "always"}).want(t, 400, "first-use, everywhere, home-only")
	mine := demo.empty(nil)
	demo.do("POST", "/images", m{"id": mine, "name": "again"}).want(t, 409)
	demo.do("PATCH", "/images/"+mine, []m{{"op": "add", "path": "/tricircle_copy", "value": "always"}}).want(t, 400)
	demo.do("DELETE", "/images/", nil).want(t, 404)
}

// A creation whose reply is lost is found again by its ID.
func TestCreateWhoseReplyIsLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		fault  podtest.Fault
		status int
		images int
	}{
		{"made", podtest.Fault{DropReply: true}, 201, 1},
		{"not made", podtest.Fault{DropRequest: true}, 503, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.fault.Method, test.fault.Path, test.fault.Service, test.fault.Times = http.MethodPost, "/images$", podtest.Image, 1
			w.cloud.Pod("pod1").Fault(test.fault)
			r := w.as("demo").do("POST", "/images", m{"name": "i"}).want(t, test.status)
			if ids := w.as("demo").do("GET", "/images", nil).ids(t); len(ids) != test.images || test.images == 1 && ids[0] != r.get("id") {
				t.Errorf("images = %v, want %d", ids, test.images)
			}
		})
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.as("demo")
	pods := func(id string) string {
		t.Helper()
		copies, err := w.store.ListImageCopies(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, c := range copies {
			names = append(names, c.Pod)
		}
		return strings.Join(names, " ")
	}
	everywhere := demo.empty(m{"tricircle_copy": "everywhere"})
	if got := pods(everywhere); got != "pod1" {
		t.Errorf("before the upload it is wanted in %s, want pod1", got)
	}
	demo.do("PUT", "/images/"+everywhere+"/file", strings.NewReader("data")).want(t, 204)
	if got := pods(everywhere); got != "pod1 pod2" {
		t.Errorf("after the upload it is wanted in %s, want both", got)
	}
	later := demo.image(nil)
	if got := pods(later); got != "pod1" {
		t.Errorf("an image for its first use is wanted in %s, want pod1", got)
	}
	demo.do("PATCH", "/images/"+later, []m{{"op": "add", "path": "/tricircle_copy", "value": "everywhere"}}).want(t, 200)
	if got := pods(later); got != "pod1 pod2" {
		t.Errorf("after the change it is wanted in %s, want both", got)
	}
	home := demo.image(m{"tricircle_copy": "home-only"})
	if err := w.store.WantImageCopy(t.Context(), home, "pod2"); !fault.Is(err, fault.Refused) {
		t.Errorf("a copy of one that stays at home: %v, want Refused", err)
	}
}

// brokenOff is a body that ends before its time.
type brokenOff struct{ left int }

func (b *brokenOff) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("the client went away")
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}

func TestUploadThatBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.as("demo")
	id := demo.empty(nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/images/"+id+"/file", &brokenOff{left: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", demo.token)
	r.Header.Set("Content-Type", "application/octet-stream")
	if resp, err := podtest.HTTP.Do(r); err == nil {
		resp.Body.Close()
		t.Errorf("the upload ended with %d", resp.StatusCode)
	}
	// Nothing tells when the pod has noticed; then it is through with the half.
	for tries := 0; ; tries++ {
		r := demo.do("PUT", "/images/"+id+"/file", strings.NewReader("all of it"))
		if r.status == 204 {
			break
		}
		if r.status != 409 && r.status != 410 || tries > 200 {
			r.want(t, 204)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := demo.do("GET", "/images/"+id+"/file", nil).body; string(got) != "all of it" {
		t.Errorf("the image is %d bytes, want the second upload alone", len(got))
	}

	cut := w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPut, CutBody: 100 << 10, Times: 1})
	defer cut()
	second := demo.empty(nil)
	demo.do("PUT", "/images/"+second+"/file", io.LimitReader(&brokenOff{left: 4 << 20}, 4<<20)).want(t, 503, "pod1")
}

func TestListIsPagedAsGlancesIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := make([]string, 3)
	for i := range ids {
		ids[i] = fmt.Sprintf("00000000-0000-4000-8000-00000000000%d", i)
		for _, p := range w.cloud.Pods() {
			p.AddImage(glance.Image{ID: ids[i], Name: "n"})
		}
	}
	for _, test := range []struct {
		path   string
		status int
		want   []string
		next   string
	}{
		{"/images?limit=2", 200, []string{ids[2], ids[1]}, "/v2/images?limit=2&marker=" + ids[1]},
		{"/images?limit=2&marker=" + ids[1], 200, []string{ids[0]}, ""},
		{"/images?sort=created_at:asc", 200, ids, ""},
		{"/images?limit=0", 200, []string{}, ""},
		{"/images?marker=x", 400, nil, ""},
		{"/images?sort=x", 400, nil, ""},
		{"/images?limit=x", 400, nil, ""},
		{"/images?sort=name&sort_key=name", 400, nil, ""},
	} {
		r := w.as("admin").do("GET", test.path, nil).want(t, test.status)
		if test.status != 200 {
			continue
		}
		if diff := cmp.Diff(test.want, r.ids(t)); diff != "" || r.get("next") != test.next {
			t.Errorf("GET %s: next %q, want %q (-want +got):\n%s", test.path, r.get("next"), test.next, diff)
		}
	}
}

func TestImportAndTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo, admin := w.as("demo"), w.as("admin")
	id := demo.empty(m{"tricircle_copy": "everywhere"})
	demo.do("PUT", "/images/"+id+"/stage", strings.NewReader("staged")).want(t, 204)
	demo.do("POST", "/images/"+id+"/import", m{"method": m{"name": "glance-direct"}}).want(t, 202)
	w.cloud.Pod("pod1").Settle()
	demo.do("GET", "/images/"+id, nil).want(t, 200, `"status":"active"`)
	if copies, err := w.store.ListImageCopies(t.Context(), id); err != nil || len(copies) != 2 {
		t.Errorf("copies = %+v, %v; want one in pod2 too, now that its data is there", copies, err)
	}
	if got := demo.do("GET", "/images/"+id+"/tasks", nil).want(t, 200).get("tasks.0.image_id"); got != id {
		t.Errorf("task of image %q, want %s", got, id)
	}
	r := admin.do("GET", "/tasks", nil).want(t, 200, `"schema": "/v2/schemas/tasks"`)
	task := r.get("tasks.0.id")
	admin.do("GET", "/tasks/"+task, nil).want(t, 200, id)
	if n := len(gjson.GetBytes(admin.do("GET", "/tasks?marker="+task, nil).want(t, 200).body, "tasks").Array()); n != 0 {
		t.Errorf("%d tasks after the last one, want none", n)
	}
	admin.do("GET", "/tasks?marker=x", nil).want(t, 400)
	methods := demo.do("GET", "/info/import", nil).want(t, 200)
	if got := methods.get("import-methods.value.0"); got != "glance-direct" {
		t.Errorf("import methods = %s", methods.body)
	}
}

func TestMembersAreTheHomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo, alt := w.as("demo"), w.as("alt")
	id, other := demo.image(m{"visibility": "shared"}), w.cloud.ProjectID("alt")
	w.copy(id)
	demo.do("POST", "/images/"+id+"/members", m{"member": other}).want(t, 200)
	alt.do("GET", "/images/"+id, nil).want(t, 200)
	alt.do("PUT", "/images/"+id+"/members/"+other, m{"status": "accepted"}).want(t, 200)
	if got := w.pending(id); !cmp.Equal(got, []string{"pod2"}) {
		t.Errorf("there is work in %v, want pod2", got)
	}
	if ids := alt.do("GET", "/images?visibility=shared&member_status=accepted", nil).ids(t); !cmp.Equal(ids, []string{id}) {
		t.Errorf("list = %v, want the image", ids)
	}
	demo.do("GET", "/images/"+id+"/members/nosuch", nil).want(t, 404)
	demo.do("DELETE", "/images/"+id+"/members/"+other, nil).want(t, 204)
	alt.do("GET", "/images/"+id, nil).want(t, 404)
}

// A change whose reply is lost, or whose maker has died, is looked into by the
// home's job.
func TestChangeWhoseReplyIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo, one := w.as("demo"), w.cloud.Pod("pod1")
	renamed, deleted := demo.image(nil), demo.image(nil)
	for _, id := range []string{renamed, deleted} {
		w.copy(id)
	}
	one.Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPatch, DropReply: true, Times: 1})
	one.Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodDelete, DropReply: true, Times: 1})
	demo.do("PATCH", "/images/"+renamed, []m{{"op": "replace", "path": "/name", "value": "j"}}).want(t, 503)
	demo.do("DELETE", "/images/"+deleted, nil).want(t, 503)
	for _, id := range []string{renamed, deleted} {
		if i, err := w.store.FindImage(t.Context(), id); err != nil || i.Attempt == "" {
			t.Errorf("row = %+v, %v; want an attempt", i, err)
		}
	}
	if i, err := w.store.FindImage(t.Context(), deleted); err != nil || i.Attempt != store.ActDelete {
		t.Errorf("row = %+v, %v; want a deletion", i, err)
	}
}
