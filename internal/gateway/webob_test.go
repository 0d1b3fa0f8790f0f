package gateway

import (
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWebob holds the pages that a real Nova was seen to send.
func TestWebob(t *testing.T) {
	t.Parallel()
	asJSON := `{"code":"404 Not Found","message":"The resource could not be found.<br /><br />\n\n\n","title":"Not Found"}`
	plain := "404 Not Found\n\nThe resource could not be found.\n\n   "
	for _, test := range []struct{ accept, kind, want string }{
		{"", "text/plain; charset=UTF-8", plain},
		{"text/plain", "text/plain; charset=UTF-8", plain},
		{"*/*", "text/html; charset=UTF-8", webob404},
		{"text/html", "text/html; charset=UTF-8", webob404},
		{"application/json", "application/json", asJSON},
		{"application/json, text/html", "text/html; charset=UTF-8", webob404},
		{"application/xml, */*;q=0.5", "text/html; charset=UTF-8", webob404},
		{"application/json, text/*;q=0.5", "application/json", asJSON},
		{"text/html;q=0, application/json;q=0.1", "application/json", asJSON},
	} {
		r := httptest.NewRequest("GET", "/nosuch", nil)
		if test.accept != "" {
			r.Header.Set("Accept", test.accept)
		}
		_, header, body := webobError(r, 404, "The resource could not be found.")
		if diff := cmp.Diff(test.want, string(body)); diff != "" || header.Get("Content-Type") != test.kind {
			t.Errorf("Accept %q: %s, (-want +got):\n%s", test.accept, header.Get("Content-Type"), diff)
		}
	}
}
