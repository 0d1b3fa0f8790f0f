package cli

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/tricircle/tricircle/internal/pod"
)

func TestHTTPClientTrustsWhatTheCloudTrusts(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		tls  pod.TLS
		ok   bool
	}{
		{"stranger", pod.TLS{}, false},
		{"CA file", pod.TLS{CACert: ca}, true},
		{"insecure", pod.TLS{Insecure: true}, true},
	}
	for _, tt := range tests {
		client, err := httpClient(tt.tls)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(server.URL)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want success %t", tt.name, err, tt.ok)
		}
	}
	for name, bad := range map[string]pod.TLS{
		"no CA file": {CACert: ca + ".missing"}, "no certificate in it": {CACert: "transport_test.go"}, "no key": {Cert: ca, Key: ca},
	} {
		if _, err := httpClient(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
