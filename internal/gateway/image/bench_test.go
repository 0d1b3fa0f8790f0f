package image_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// BenchmarkUpload compares an upload through the region with the same one to the pod,
// in one run.
func BenchmarkUpload(b *testing.B) {
	const size = 64 << 20
	w := newWorld(b)
	token, data := w.as("demo").token, make([]byte, size)
	for _, way := range []struct{ name, url string }{
		{"direct", w.cloud.Pod("pod1").URL(podtest.Image) + "/v2/images"}, {"through", w.url + "/images"},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				id := uuid.NewString()
				send(b, token, http.MethodPost, way.url, "application/json", []byte(`{"id":"`+id+`","disk_format":"raw","container_format":"bare"}`))
				send(b, token, http.MethodPut, way.url+"/"+id+"/file", "application/octet-stream", data)
			}
		})
	}
}

func send(b *testing.B, token, method, url, kind string, body []byte) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Content-Type", kind)
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		b.Fatalf("%s %s = %s", method, url, resp.Status)
	}
}
