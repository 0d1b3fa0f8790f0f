package crash_test

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// TestKilledAtEachStepOfACopy: whichever call to a Glance the program dies at while it
// copies an image, afterwards the copy is whole, was made once, and is like its home.
func TestKilledAtEachStepOfACopy(t *testing.T) {
	t.Parallel()
	for name, methods := range map[string][]string{"streamed": {"glance-direct"}, "by the pod's own means": {"glance-direct", "glance-download"}} {
		for _, when := range []string{"before the pod's work", "after the pod's work"} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				r := regionOf(t, podtest.Options{Pods: []string{"pod1", "pod2"}, ImportMethods: methods}, "images: {copy: everywhere}\n")
				killed := 0
				for nth := 1; r.killCopyAt(nth, when == "after the pod's work"); nth++ {
					killed++
				}
				if killed < 4 {
					t.Errorf("the copy made %d calls to its pod, want at least 4: show, create, data, change", killed)
				}
			})
		}
	}
}

// killCopyAt uploads an image and kills the program at the nth call of its copy to the
// other pod. It reports whether there was one.
func (r *region) killCopyAt(nth int, after bool) bool {
	r.t.Helper()
	var dead atomic.Bool
	kill := func(*http.Request) {
		dead.Store(true)
		r.process.kill()
	}
	fault := podtest.Fault{Service: podtest.Image, Nth: nth, Times: 1, Before: kill}
	if after {
		fault.Before, fault.After = nil, kill
	}
	id := r.newImage(fmt.Sprint("image", nth))
	remove := r.copyPod().Fault(fault)
	r.upload(id, 100_000, 1)
	r.eventually("the copy is there, or the program is dead", func() string {
		if dead.Load() {
			return ""
		}
		return r.notCopied(id)
	})
	remove()
	died := dead.Load()
	if died {
		r.process.kill() // it is being killed: wait
		r.process = start(r.t, r.config)
	}
	r.copied(id)
	r.doAs(r.token, http.MethodDelete, "/image/v2/images/"+id, nil, nil, http.StatusNoContent)
	r.eventually("the copy is gone", func() string {
		if r.copyIn(id) != nil {
			return "it is there"
		}
		return ""
	})
	return died
}

// TestKilledInTheMiddleOfTheData: the upload that dies with the program leaves the copy
// without data, and the next process sends all of it.
func TestKilledInTheMiddleOfTheData(t *testing.T) {
	t.Parallel()
	r := regionOf(t, podtest.Options{Pods: []string{"pod1", "pod2"}, ImportMethods: []string{"glance-direct"}},
		"images: {copy: everywhere, bandwidth: 2000000}\n")
	id := r.newImage("big")
	begun := make(chan struct{})
	remove := r.copyPod().Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPut, Path: "/file$", Nth: 1, CutBody: 1 << 20,
		Before: func(*http.Request) { close(begun) }})
	r.upload(id, 4_000_000, 1)
	<-begun
	time.Sleep(200 * time.Millisecond)
	r.process.kill()
	remove()
	r.process = start(r.t, r.config)
	r.copied(id)
}

func (r *region) newImage(name string) string {
	r.t.Helper()
	var made struct{ ID string }
	r.do(http.MethodPost, "/image/v2/images", `{"name":"`+name+`","disk_format":"raw","container_format":"bare","tags":["t"],"zoo":"1"}`, &made, http.StatusCreated)
	for _, p := range r.cloud.Pods() {
		if r.home == nil && p.Image.Show(made.ID) != nil {
			r.home = p
		}
	}
	return made.ID
}

// upload sends so many bytes.
func (r *region) upload(id string, size int, seed byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPut, r.url+"/image/v2/images/"+id+"/file",
		io.LimitReader(rand.NewChaCha8([32]byte{seed}), int64(size)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.ContentLength = int64(size)
	req.Header.Set("X-Auth-Token", r.token)
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		return // the program is dead: the copy was quick
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		r.t.Fatalf("upload = %s", resp.Status)
	}
}

// homePod is the pod that the project's images go to first; copyPod is the other one.
func (r *region) homePod() *podtest.Pod { return r.home }

func (r *region) copyPod() *podtest.Pod {
	if r.home.Name == "pod1" {
		return r.cloud.Pod("pod2")
	}
	return r.cloud.Pod("pod1")
}

// copyIn looks without a request: requests are counted.
func (r *region) copyIn(id string) map[string]any { return r.copyPod().Image.Show(id) }

// notCopied says how far a copy is that is not there yet.
func (r *region) notCopied(id string) string {
	if d := r.copyIn(id); d["status"] != "active" || d["visibility"] != "shared" {
		return fmt.Sprint("it is ", d)
	}
	return ""
}

// copied waits for a copy that is like its home.
func (r *region) copied(id string) {
	r.t.Helper()
	r.eventually("the copy is there", func() string { return r.notCopied(id) })
	r.eventually("no work is left", r.unfinished)
	home, found := r.homePod().Image.Show(id), r.copyIn(id)
	for _, name := range []string{"name", "status", "size", "os_hash_value", "visibility", "owner", "tags", "zoo"} {
		if fmt.Sprint(home[name]) != fmt.Sprint(found[name]) {
			r.t.Errorf("image %s: %s is %v at home and %v in the copy", id, name, home[name], found[name])
		}
	}
	sum := sha512.New()
	_, _ = io.Copy(sum, io.LimitReader(rand.NewChaCha8([32]byte{1}), found["size"].(int64)))
	if want := hex.EncodeToString(sum.Sum(nil)); found["os_hash_value"] != want {
		r.t.Errorf("image %s: the copy has other data", id)
	}
}
