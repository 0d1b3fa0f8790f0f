package reconcile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// imageStory has an image in pod1, its home, and wants a copy in pod2.
type imageStory struct {
	*world
	id   string
	data []byte
}

func newImageStory(t testing.TB, s *store.Store, size int, methods ...string) *imageStory {
	t.Helper()
	if methods == nil {
		methods = []string{"glance-direct"}
	}
	w := newWorld(t, s, podtest.Options{ImportMethods: methods})
	data := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(data)
	i := &imageStory{world: w, data: data}
	i.id = w.cloud.Pod("pod1").AddImage(glance.Image{Name: "cirros", Owner: w.project, Visibility: "shared", DiskFormat: "qcow2", Data: data,
		Properties: map[string]string{"hw_x": "1"}})
	i.keep(i.id)
	return i
}

func (i *imageStory) keep(id string) {
	i.t.Helper()
	if err := i.store.KeepImage(i.t.Context(), store.Image{ID: id, ProjectID: i.project, Home: "pod1", Status: "active"}); err != nil {
		i.t.Fatal(err)
	}
}

func (i *imageStory) target() store.Target {
	return store.Target{Kind: store.KindImage, ID: i.id, Pod: "pod2"}
}

func (i *imageStory) want() {
	i.t.Helper()
	if err := i.store.WantImageCopy(i.t.Context(), i.id, "pod2"); err != nil {
		i.t.Fatal(err)
	}
}

// run runs the copy's job until it has nothing to wait for in the pod, as the queue
// would; it returns what it ended with.
func (i *imageStory) run() error {
	i.t.Helper()
	var err error
	for range 200 {
		err = i.Ensure(i.t.Context(), i.target(), nil)
		again, ok := errors.AsType[*jobs.Again](err)
		if !ok || again.After > 2*time.Second || i.copy().State == store.CopyFailed {
			return err
		}
		i.cloud.Pod("pod2").Settle()
	}
	i.t.Fatalf("the job does not end: %v", err)
	return err
}

func (i *imageStory) bring() {
	i.t.Helper()
	i.want()
	if err := i.run(); err != nil {
		i.t.Fatal(err)
	}
	i.alike()
}

func (i *imageStory) copy() store.ImageCopy {
	i.t.Helper()
	c, err := i.store.FindImageCopy(i.t.Context(), i.id, "pod2")
	if err != nil {
		i.t.Fatal(err)
	}
	return c
}

// ask sends a request to a pod's Glance as an admin.
func (i *imageStory) ask(podName, method, path string, body string) (int, []byte) {
	i.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, i.cloud.Pod(podName).URL(podtest.Image)+"/v2"+path, strings.NewReader(body))
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", i.cloud.Token("admin", "admin"))
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/openstack-images-v2.1-json-patch")
	}
	if method == http.MethodPut && strings.HasSuffix(path, "/file") {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return resp.StatusCode, raw
}

func (i *imageStory) must(podName, method, path, body string) []byte {
	i.t.Helper()
	status, raw := i.ask(podName, method, path, body)
	if status >= 300 {
		i.t.Fatalf("%s %s in %s = %d %s", method, path, podName, status, raw)
	}
	return raw
}

// like is what must be the same in both pods.
func (i *imageStory) like(podName string) string {
	i.t.Helper()
	var d map[string]any
	if err := json.Unmarshal(i.must(podName, http.MethodGet, "/images/"+i.id, ""), &d); err != nil {
		i.t.Fatal(err)
	}
	if tags, ok := d["tags"].([]any); ok {
		slices.SortFunc(tags, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	}
	members := map[string]any{}
	if d["visibility"] == "shared" {
		var out struct{ Members []map[string]any }
		if err := json.Unmarshal(i.must(podName, http.MethodGet, "/images/"+i.id+"/members", ""), &out); err != nil {
			i.t.Fatal(err)
		}
		for _, m := range out.Members {
			members[m["member_id"].(string)] = m["status"]
		}
	}
	for name := range d {
		if strings.HasPrefix(name, "os_glance_") || name == "created_at" || name == "updated_at" {
			delete(d, name)
		}
	}
	return fmt.Sprint(d, members)
}

func (i *imageStory) alike() {
	i.t.Helper()
	if a, b := i.like("pod1"), i.like("pod2"); a != b {
		i.t.Errorf("copy is not as its home:\nhome %s\ncopy %s", a, b)
	}
	if got := i.must("pod2", http.MethodGet, "/images/"+i.id+"/file", ""); !bytes.Equal(got, i.data) {
		i.t.Errorf("the copy has other data: %d bytes, want %d", len(got), len(i.data))
	}
	if c := i.copy(); c.State != store.CopyActive || c.Done != int64(len(i.data)) || c.Size != c.Done || c.Hash == "" || c.Reason != "" {
		i.t.Errorf("copy = %+v", c)
	}
}

func (i *imageStory) calls(podName, method, pattern string) int {
	n := 0
	for _, c := range i.cloud.Pod(podName).Calls() {
		if c.Service == podtest.Image && c.Method == method && strings.Contains(c.Path, pattern) {
			n++
		}
	}
	return n
}

// eachImage runs a story over a small image on both databases.
func eachImage(t *testing.T, size int, story func(i *imageStory)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) { story(newImageStory(t, s, size)) })
}

func TestImageIsCopied(t *testing.T) {
	eachImage(t, 3<<20, func(i *imageStory) {
		i.must("pod1", http.MethodPut, "/images/"+i.id+"/tags/b", "")
		i.must("pod1", http.MethodPut, "/images/"+i.id+"/tags/a", "")
		i.must("pod1", http.MethodPost, "/images/"+i.id+"/members", `{"member":"alt"}`)
		i.must("pod1", http.MethodPut, "/images/"+i.id+"/members/alt", `{"status":"accepted"}`)
		i.must("pod1", http.MethodPatch, "/images/"+i.id, `[{"op":"replace","path":"/protected","value":true},{"op":"replace","path":"/os_hidden","value":true}]`)
		if err := i.EnsureImage(i.t.Context(), i.id, "pod2"); !isAgain(err) {
			i.t.Errorf("EnsureImage before the copy = %v, want Again", err)
		}
		i.bring()
		if c := i.copy(); c.Means != "stream" {
			i.t.Errorf("means = %s", c.Means)
		}
		if err := i.EnsureImage(i.t.Context(), i.id, "pod2"); err != nil {
			i.t.Errorf("EnsureImage of a copy = %v", err)
		}

		// What changes at home changes in the copy.
		i.must("pod1", http.MethodPatch, "/images/"+i.id, `[{"op":"replace","path":"/name","value":"other"},{"op":"remove","path":"/hw_x"},
			{"op":"add","path":"/a~1b","value":"2"},{"op":"replace","path":"/tags","value":["c"]},{"op":"replace","path":"/protected","value":false}]`)
		i.must("pod1", http.MethodDelete, "/images/"+i.id+"/members/alt", "")
		i.must("pod1", http.MethodPost, "/images/"+i.id+"/members", `{"member":"third"}`)
		i.must("pod1", http.MethodPost, "/images/"+i.id+"/actions/deactivate", "")
		i.touch()
		i.must("pod1", http.MethodPost, "/images/"+i.id+"/actions/reactivate", "")
		i.must("pod1", http.MethodPatch, "/images/"+i.id, `[{"op":"replace","path":"/visibility","value":"public"}]`)
		i.touch()
		i.cloud.Pod("pod2").ResetCalls()
		i.touch()
		for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
			if n := i.calls("pod2", method, ""); n > 0 {
				i.t.Errorf("a copy that is right got %d %s", n, method)
			}
		}
	})
}

func isAgain(err error) bool {
	_, ok := errors.AsType[*jobs.Again](err)
	return ok
}

// touch says that the home has changed, and does the job.
func (i *imageStory) touch() {
	i.t.Helper()
	if err := i.store.TouchImage(i.t.Context(), i.id); err != nil {
		i.t.Fatal(err)
	}
	if err := i.run(); err != nil {
		i.t.Fatal(err)
	}
	i.alike()
}

func TestImageByThePodsOwnMeans(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := newImageStory(t, s, 3<<20, "glance-direct", "glance-download")
		i.bring()
		if c := i.copy(); c.Means != "glance-download" || i.calls("pod2", http.MethodPut, "/file") > 0 {
			t.Errorf("means = %s", c.Means)
		}
	})
}

// TestImageWhoseDownloadFails: what the pod cannot do by itself is streamed.
func TestImageWhoseDownloadFails(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := newImageStory(t, s, 3<<20, "glance-direct", "glance-download")
		i.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodGet, Path: "/file$", CutReply: 1 << 20, Times: 1})
		i.bring()
		if c := i.copy(); c.Means != "stream" {
			t.Errorf("means = %s", c.Means)
		}
	})
}

// TestImageDownloadedSpoiled: what the pod brought by itself is proven; what is wrong is
// never in use.
func TestImageDownloadedSpoiled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := newImageStory(t, s, 3<<20, "glance-direct", "glance-download")
		i.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodGet, Path: "/file$", Spoil: true, Times: 1})
		i.want()
		if err := i.run(); !isAgain(err) || !strings.Contains(err.Error(), "other data") {
			t.Errorf("job = %v", err)
		}
		if c := i.copy(); c.State != store.CopyFailed || !strings.Contains(c.Reason, "its sha512 is not the home's") {
			t.Errorf("copy = %+v", c)
		}
		if raw := i.must("pod2", http.MethodGet, "/images/"+i.id, ""); !strings.Contains(string(raw), `"status":"deactivated"`) || !strings.Contains(string(raw), `"visibility":"private"`) {
			t.Errorf("spoiled copy = %s", raw)
		}
		if err := i.EnsureImage(t.Context(), i.id, "pod2"); !fault.Is(err, fault.Conflict) {
			t.Errorf("EnsureImage = %v, want Conflict", err)
		}
	})
}

func TestImageSourceBreaksOff(t *testing.T) {
	eachImage(t, 5<<20, func(i *imageStory) {
		i.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodGet, Path: "/file$", CutReply: 2 << 20, Times: 2})
		i.bring()
		if n := i.calls("pod1", http.MethodGet, "/file"); n != 3 {
			i.t.Errorf("the source was asked %d times, want 3", n)
		}
		if n := i.calls("pod2", http.MethodPut, "/file"); n != 1 {
			i.t.Errorf("the copy was uploaded %d times, want once: the source goes on where it was", n)
		}
	})
}

func TestImageUploadIsCut(t *testing.T) {
	eachImage(t, 5<<20, func(i *imageStory) {
		i.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPut, Path: "/file$", CutBody: 2 << 20, Times: 1})
		i.want()
		if err := i.run(); !fault.Is(err, fault.Unavailable) {
			i.t.Errorf("job = %v, want Unavailable", err)
		}
		if c := i.copy(); c.State != store.CopyQueued || c.Reason == "" {
			i.t.Errorf("copy = %+v", c)
		}
		i.bring()
	})
}

// TestImageUploadReplyIsLost: the data is there, and is not sent again.
func TestImageUploadReplyIsLost(t *testing.T) {
	eachImage(t, 1<<20, func(i *imageStory) {
		i.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPut, Path: "/file$", DropReply: true, Times: 1})
		i.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPost, Path: "/images$", DropReply: true, Times: 1})
		i.want()
		for range 2 {
			if err := i.run(); !fault.Is(err, fault.Unavailable) {
				i.t.Errorf("job = %v, want Unavailable", err)
			}
		}
		i.bring()
		if n := i.calls("pod2", http.MethodPut, "/file"); n != 1 {
			i.t.Errorf("uploaded %d times, want once", n)
		}
	})
}

func TestImageWithSpoiledSource(t *testing.T) {
	eachImage(t, 1<<20, func(i *imageStory) {
		remove := i.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodGet, Path: "/file$", Spoil: true})
		i.want()
		if err := i.run(); !isAgain(err) || !strings.Contains(err.Error(), "another sha512") {
			i.t.Errorf("job = %v", err)
		}
		if c := i.copy(); c.State != store.CopyFailed {
			i.t.Errorf("copy = %+v", c)
		}
		i.eventuallyIn("pod2", `"status":"queued"`)
		remove()
		i.bring()
	})
}

// eventuallyIn waits until a pod shows the image so: Glance notices the end of an
// upload by itself.
func (i *imageStory) eventuallyIn(podName, want string) {
	i.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		raw := i.must(podName, http.MethodGet, "/images/"+i.id, "")
		if strings.Contains(string(raw), want) {
			return
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("image in %s = %s, want %s", podName, raw, want)
		}
	}
}

func TestImagePodAwayDuringCopy(t *testing.T) {
	eachImage(t, 2<<20, func(i *imageStory) {
		i.want()
		i.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPut, Path: "/file$", Times: 1,
			Before: func(*http.Request) { go i.cloud.Pod("pod2").Down() }, Hang: true})
		if err := i.run(); !fault.Is(err, fault.Unavailable) {
			i.t.Errorf("job = %v, want Unavailable", err)
		}
		i.cloud.Pod("pod2").Up()
		i.bring()
	})
}

// TestImageHomeAway: while the home is away another copy stands in.
func TestImageHomeAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{Pods: []string{"pod1", "pod2", "pod3"}, ImportMethods: []string{"glance-direct"}})
		i := &imageStory{world: w, data: []byte("hello")}
		i.id = w.cloud.Pod("pod1").AddImage(glance.Image{Name: "cirros", Owner: w.project, Data: i.data})
		i.keep(i.id)
		i.bring()
		w.cloud.Pod("pod1").Down()
		third := store.Target{Kind: store.KindImage, ID: i.id, Pod: "pod3"}
		if err := s.WantImageCopy(t.Context(), i.id, "pod3"); err != nil {
			t.Fatal(err)
		}
		if err := w.Ensure(t.Context(), third, nil); err != nil {
			t.Fatal(err)
		}
		if got := i.must("pod3", http.MethodGet, "/images/"+i.id+"/file", ""); string(got) != "hello" {
			t.Errorf("data = %q", got)
		}
		// What changed at home meanwhile is not known: the copy waits, and stays in use.
		if err := s.TouchImage(t.Context(), i.id); err != nil {
			t.Fatal(err)
		}
		if err := i.run(); !fault.Is(err, fault.Unavailable) {
			t.Errorf("job with the home away = %v, want Unavailable", err)
		}
		if c := i.copy(); c.State != store.CopyActive {
			t.Errorf("copy = %+v", c)
		}
		w.cloud.Pod("pod1").Up()
		i.touch()
	})
}

func TestImageDeletedWhileCopying(t *testing.T) {
	eachImage(t, 2<<20, func(i *imageStory) {
		i.want()
		i.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPut, Path: "/file$", Times: 1, Before: func(*http.Request) {
			if err := i.store.DeleteImage(context.Background(), i.id); err != nil {
				i.t.Error(err)
			}
		}})
		if err := i.run2(); err != nil {
			i.t.Fatal(err)
		}
		if status, raw := i.ask("pod2", http.MethodGet, "/images/"+i.id, ""); status != http.StatusNotFound {
			i.t.Errorf("copy of a deleted image = %d %s", status, raw)
		}
		if _, err := i.store.FindImage(i.t.Context(), i.id); !fault.Is(err, fault.NotFound) {
			i.t.Errorf("FindImage = %v, want NotFound", err)
		}
	})
}

// run2 runs the job of a copy that may go meanwhile.
func (i *imageStory) run2() error {
	i.t.Helper()
	for range 5 {
		if err := i.Ensure(i.t.Context(), i.target(), nil); err == nil || !isAgain(err) {
			return err
		}
	}
	return nil
}

func TestImageDeletedWithProtectedCopy(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.bring()
		i.must("pod2", http.MethodPatch, "/images/"+i.id, `[{"op":"replace","path":"/protected","value":true}]`)
		if err := i.store.DeleteImage(i.t.Context(), i.id); err != nil {
			i.t.Fatal(err)
		}
		i.cloud.Pod("pod2").Down()
		if err := i.run2(); !fault.Is(err, fault.Unavailable) {
			i.t.Errorf("deletion with the pod away = %v, want Unavailable", err)
		}
		i.cloud.Pod("pod2").Up()
		if err := i.run2(); err != nil {
			i.t.Fatal(err)
		}
		if status, _ := i.ask("pod2", http.MethodGet, "/images/"+i.id, ""); status != http.StatusNotFound {
			i.t.Errorf("status = %d", status)
		}
	})
}

// TestImageDeletedInItsPod: Glance gives the ID no more, and the reason says so.
func TestImageDeletedInItsPod(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.bring()
		i.must("pod2", http.MethodDelete, "/images/"+i.id, "")
		if err := i.store.TouchImage(i.t.Context(), i.id); err != nil {
			i.t.Fatal(err)
		}
		if err := i.run(); err == nil || !strings.Contains(err.Error(), "glance-manage") {
			i.t.Errorf("job = %v", err)
		}
		if c := i.copy(); c.State != store.CopyFailed || !strings.Contains(c.Reason, "purge") {
			i.t.Errorf("copy = %+v", c)
		}
	})
}

func TestImageDeactivated(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.must("pod1", http.MethodPost, "/images/"+i.id+"/actions/deactivate", "")
		i.bring()
		i.must("pod1", http.MethodPost, "/images/"+i.id+"/actions/reactivate", "")
		i.touch()
	})
}

func TestImageHomeNotReady(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.must("pod1", http.MethodPost, "/images", `{"id":"11111111-1111-4111-8111-111111111111","disk_format":"raw","container_format":"bare"}`)
		i.id = "11111111-1111-4111-8111-111111111111"
		i.keep(i.id)
		i.want()
		if err := i.Ensure(i.t.Context(), i.target(), nil); !isAgain(err) || !strings.Contains(err.Error(), "queued") {
			i.t.Errorf("job = %v, want Again", err)
		}
		if n := i.calls("pod2", http.MethodPost, "/images"); n > 0 {
			i.t.Error("a record was made before the home has the data")
		}
	})
}

// TestImageThatIsThereWithOtherData: somebody's image is left as it is.
func TestImageThatIsThereWithOtherData(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.cloud.Pod("pod2").AddImage(glance.Image{ID: i.id, Name: "other", Owner: i.project, Data: []byte("something else")})
		i.want()
		if err := i.run(); !isAgain(err) || !strings.Contains(err.Error(), "other data") {
			i.t.Errorf("job = %v", err)
		}
		if raw := i.must("pod2", http.MethodGet, "/images/"+i.id, ""); !strings.Contains(string(raw), `"name":"other"`) || !strings.Contains(string(raw), `"status":"active"`) {
			i.t.Errorf("image = %s", raw)
		}
	})
}

func TestImageOfVolumesIsRefused(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.id = i.cloud.Pod("pod1").AddImage(glance.Image{Name: "snapshot", Owner: i.project, Properties: map[string]string{"block_device_mapping": "[]"}})
		i.keep(i.id)
		i.cloud.Pod("pod1").Image.Empty(i.id)
		i.want()
		if err := i.run(); !isAgain(err) || !strings.Contains(err.Error(), "snapshots of volumes") {
			i.t.Errorf("job = %v", err)
		}
	})
}

// TestImageWithKernel: what it boots with comes first.
func TestImageWithKernel(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		kernel := i.cloud.Pod("pod1").AddImage(glance.Image{Name: "kernel", Owner: i.project, Data: []byte("k")})
		i.keep(kernel)
		i.must("pod1", http.MethodPatch, "/images/"+i.id, `[{"op":"add","path":"/kernel_id","value":"`+kernel+`"}]`)
		i.want()
		if err := i.Ensure(i.t.Context(), i.target(), nil); !isAgain(err) || !strings.Contains(err.Error(), kernel) {
			i.t.Errorf("job = %v, want Again for the kernel", err)
		}
		if err := i.Ensure(i.t.Context(), store.Target{Kind: store.KindImage, ID: kernel, Pod: "pod2"}, nil); err != nil {
			i.t.Fatal(err)
		}
		i.bring()
	})
}
