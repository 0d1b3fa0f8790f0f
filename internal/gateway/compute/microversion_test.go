package compute

import (
	"net/http"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
)

func TestResolveVersion(t *testing.T) {
	t.Parallel()
	highest := version{2, 93}
	tests := []struct {
		name, common, legacy string
		want                 version
		kind                 fault.Kind
		fails                bool
	}{
		{name: "none", want: version{2, 1}},
		{name: "common", common: "compute 2.12", want: version{2, 12}},
		{name: "legacy", legacy: "2.12", want: version{2, 12}},
		{name: "common wins", common: "compute 2.10", legacy: "2.12", want: version{2, 10}},
		{name: "latest", common: "compute latest", want: highest},
		{name: "legacy latest", legacy: "latest", want: highest},
		{name: "several services", common: "compute 2.10,volume 3.1", want: version{2, 10}},
		{name: "last entry wins", common: "compute 2.10, compute 2.11", want: version{2, 11}},
		{name: "another service", common: "volume 3.1", want: version{2, 1}},
		{name: "service alone", common: "compute", want: version{2, 1}},
		{name: "case of the service", common: "Compute 2.3", want: version{2, 3}},
		{name: "no minor", common: "compute 2", kind: fault.Invalid, fails: true},
		{name: "word", common: "compute latests", kind: fault.Invalid, fails: true},
		{name: "leading zero", common: "compute 2.01", kind: fault.Invalid, fails: true},
		{name: "too high", common: "compute 2.999", kind: fault.NotAcceptable, fails: true},
		{name: "too low", common: "compute 2.0", kind: fault.NotAcceptable, fails: true},
		{name: "other major", legacy: "3.1", kind: fault.NotAcceptable, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			if tt.common != "" {
				h.Set(versionHeader, tt.common)
			}
			if tt.legacy != "" {
				h.Set(legacyVersionHeader, tt.legacy)
			}
			got, err := resolveVersion(h, highest)
			if tt.fails {
				if !fault.Is(err, tt.kind) {
					t.Fatalf("resolveVersion(%v) = %v, want kind %v", h, err, tt.kind)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Fatalf("resolveVersion(%v) = %v, %v, want %v", h, got, err, tt.want)
			}
		})
	}
}
