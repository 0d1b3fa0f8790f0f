package pod

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	c, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/network/v2.0/echo":
			if r.Header.Get("Content-Type") != "application/json" || r.ContentLength < 0 {
				t.Errorf("Content-Type %q, length %d", r.Header.Get("Content-Type"), r.ContentLength)
			}
			_, _ = io.Copy(w, r.Body)
		case "/network/v2.0/garbage":
			fmt.Fprint(w, "<html>")
		case "/network/v2.0/short":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"a": `)
		case "/network/v2.0/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"NeutronError": {"type": "PortNotFound", "message": "Port x could not be found.", "detail": ""}}`)
		}
	}, nil)
	call := func(path string, in, out any) error {
		return c.JSON(t.Context(), Request{Service: Network, Method: http.MethodPut, Path: path, Op: "update port"}, in, out)
	}
	var out struct{ A int }
	if err := call("/echo", map[string]int{"a": 7}, &out); err != nil || out.A != 7 {
		t.Errorf("JSON = %v, %v", out, err)
	}
	if err := call("/none", nil, nil); err != nil {
		t.Errorf("JSON without content = %v", err)
	}
	err := call("/absent", nil, &out)
	if !fault.Is(err, fault.NotFound) || err.Error() != "pod eu-2: Port x could not be found." || !NotDone(err) || NotSent(err) {
		t.Errorf("JSON = %v, want NotFound", err)
	}
	for _, path := range []string{"/garbage", "/short", "/none"} {
		err := call(path, nil, &out)
		if !fault.Is(err, fault.Unavailable) || !strings.HasPrefix(err.Error(), "pod eu-2: cannot update port: ") || NotDone(err) {
			t.Errorf("JSON(%s) = %v, want Unavailable, perhaps done", path, err)
		}
	}
	if err := call("/echo", func() {}, nil); err == nil {
		t.Error("JSON of a function = nil")
	}
}
