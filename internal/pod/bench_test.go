package pod

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tricircle/tricircle/internal/identity"
)

// BenchmarkDo is held against a bare http.Transport in the same run: 2.8 KB, about
// a server's record.
func BenchmarkDo(b *testing.B) {
	record := bytes.Repeat([]byte("x"), 2800)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(record) }))
	defer s.Close()
	c, _ := clientOf(b, s.URL, nil)
	bare := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer bare.CloseIdleConnections()
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL+"/compute/v2.1/servers/1", nil)
			req.Header.Set("X-Auth-Token", "t")
			resp, err := bare.RoundTrip(req)
			drain(b, resp, err)
		}
	})
	b.Run("pod", func(b *testing.B) {
		b.ReportAllocs()
		r := get(Compute, "/servers/1")
		r.As = &identity.Caller{Token: "t", RequestID: "req-1"}
		for b.Loop() {
			resp, err := c.Do(b.Context(), r)
			drain(b, resp, err)
		}
	})
}

func drain(b *testing.B, resp *http.Response, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
