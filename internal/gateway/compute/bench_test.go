package compute_test

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// BenchmarkShowServer compares GET /servers/{id} through the region with the same
// request to the pod, in one run: what is above "direct" is what we add.
func BenchmarkShowServer(b *testing.B) {
	w := newWorld(b, podtest.Options{})
	demo := w.as("demo")
	id := demo.boot("az1", m{"metadata": m{"a": "b"}})
	urls := map[string]string{
		"direct":  w.cloud.Pod("pod1").URL(podtest.Compute) + "/v2.1/servers/" + id,
		"through": w.url + "/v2.1/servers/" + id,
	}
	for _, way := range []string{"direct", "through"} {
		b.Run(way, func(b *testing.B) {
			b.ReportAllocs()
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				getOnce(b, urls[way], demo)
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

func getOnce(b *testing.B, url string, c *client) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), "GET", url, nil)
	must(b, err)
	req.Header.Set("X-Auth-Token", c.token)
	req.Header.Set("OpenStack-API-Version", "compute 2.93")
	resp, err := podtest.HTTP.Do(req)
	must(b, err)
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		b.Fatalf("status %d, %v", resp.StatusCode, err)
	}
}
