package microversion

import (
	"net/http"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
)

// The cases were put to a real Nova 26 (Zed) by hand; the wants are its answers.
func TestNegotiate(t *testing.T) {
	t.Parallel()
	window := Window{Min: Version{2, 1}, Max: Version{2, 93}}
	const standard, legacy = "Openstack-Api-Version", "X-Openstack-Nova-Api-Version"
	for _, test := range []struct {
		standard, legacy []string
		want             string
		kind             fault.Kind
	}{
		{want: "2.1"},
		{standard: []string{"compute 2.69"}, want: "2.69"},
		{standard: []string{"compute latest"}, want: "2.93"},
		{standard: []string{"Compute 2.10"}, want: "2.10"},
		{standard: []string{"compute   2.10"}, want: "2.10"},
		{standard: []string{"volume 3.70, compute 2.8"}, legacy: []string{"2.5"}, want: "2.8"},
		{standard: []string{"volume 3.70"}, legacy: []string{"2.5"}, want: "2.5"},
		{standard: []string{"volume 3.70"}, want: "2.1"},
		{standard: []string{"nova 2.10"}, want: "2.1"},
		{standard: []string{"compute"}, want: "2.1"},
		{standard: []string{"2.10"}, want: "2.1"},
		{standard: []string{"compute 2.5, compute 2.9"}, want: "2.9"},
		{standard: []string{"compute 2.5", "compute 2.6"}, want: "2.6"},
		{standard: []string{"compute 2.5,volume 3.0, identity 3"}, want: "2.5"},
		{legacy: []string{"2.10"}, want: "2.10"},
		{legacy: []string{"latest"}, want: "2.93"},
		{legacy: []string{"2.5", "2.6"}, want: "2.6"},
		{standard: []string{"compute 2.94"}, want: "2.94", kind: fault.NotAcceptable},
		{standard: []string{"compute 2.0"}, want: "2.0", kind: fault.NotAcceptable},
		{standard: []string{"compute 3.1"}, want: "3.1", kind: fault.NotAcceptable},
		{legacy: []string{"2.999"}, want: "2.999", kind: fault.NotAcceptable},
		{standard: []string{"compute 2.01"}, kind: fault.Invalid},
		{standard: []string{"compute 2"}, kind: fault.Invalid},
		{standard: []string{"compute abc"}, kind: fault.Invalid},
		{standard: []string{"compute LATEST"}, kind: fault.Invalid},
		{standard: []string{"compute 2.10 2.11"}, kind: fault.Invalid},
		{legacy: []string{"2.01"}, kind: fault.Invalid},
		{legacy: []string{""}, kind: fault.Invalid},
	} {
		h := http.Header{}
		if test.standard != nil {
			h[standard] = test.standard
		}
		if test.legacy != nil {
			h[legacy] = test.legacy
		}
		got, err := window.Negotiate(h, "compute", legacy)
		if test.kind != 0 && !fault.Is(err, test.kind) || test.kind == 0 && err != nil {
			t.Errorf("Negotiate(%v) = %v, want kind %v", h, err, test.kind)
		}
		if test.want != "" && got.String() != test.want {
			t.Errorf("Negotiate(%v) = %s, want %s", h, got, test.want)
		}
	}
}
