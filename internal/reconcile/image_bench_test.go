package reconcile_test

import (
	"bytes"
	"net/http"
	"runtime"
	"testing"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// BenchmarkImageCopy compares an image's way from pod to pod through this process with
// an upload of the same data to the pod directly, in one run. A copy's data passes
// three hashes, an upload's two.
func BenchmarkImageCopy(b *testing.B) {
	const size = 64 << 20
	i := newImageStory(b, storetest.New(b), size)
	b.Run("direct upload", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			id := uuid.NewString()
			i.must("pod2", http.MethodPost, "/images", `{"id":"`+id+`","disk_format":"raw","container_format":"bare"}`)
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPut, i.cloud.Pod("pod2").URL(podtest.Image)+"/v2/images/"+id+"/file", bytes.NewReader(i.data))
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("X-Auth-Token", i.cloud.Token("admin", "admin"))
			req.Header.Set("Content-Type", "application/octet-stream")
			resp, err := podtest.HTTP.Do(req)
			if err != nil || resp.StatusCode != http.StatusNoContent {
				b.Fatal(resp, err)
			}
			_ = resp.Body.Close()
		}
	})
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			b.StopTimer()
			i.id = i.cloud.Pod("pod1").AddImage(glance.Image{Name: "big", Owner: i.project, Data: i.data})
			i.keep(i.id)
			i.want()
			runtime.GC()
			b.StartTimer()
			if err := i.Ensure(b.Context(), i.target(), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	if c, err := i.store.FindImageCopy(b.Context(), i.id, "pod2"); err != nil || c.State != store.CopyActive {
		b.Fatalf("copy = %+v, %v", c, err)
	}
}
