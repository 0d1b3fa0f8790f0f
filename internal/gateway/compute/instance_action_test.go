package compute_test

import (
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// TestInstanceActions follows what was done to a server by the request ID that
// the client was given, and to the end.
func TestInstanceActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	made := demo.do("POST", "/servers", m{"server": m{"name": "a", "imageRef": imageID, "flavorRef": "1", "networks": "none"}}).want(t, 202)
	path := "/servers/" + made.get("server.id").Str + "/os-instance-actions"
	paused := demo.do("POST", "/servers/"+made.get("server.id").Str+"/action", m{"pause": nil}).want(t, 202)
	for what, r := range map[string]reply{"create": made, "pause": paused} {
		id := r.header.Get("X-Compute-Request-Id")
		if got := demo.do("GET", path+"/"+id, nil).want(t, 200).get("instanceAction.action").Str; got != what {
			t.Errorf("action of request %s = %q, want %s", id, got, what)
		}
		if ours := r.header.Get("X-Openstack-Request-Id"); ours == "" || ours == id {
			t.Errorf("%s: X-Openstack-Request-Id = %q, want the region's own", what, ours)
		}
	}
	demo.do("DELETE", "/servers/"+made.get("server.id").Str, nil).want(t, 204)
	eventually(t, "the server is gone", func() bool {
		return demo.do("GET", "/servers/"+made.get("server.id").Str, nil).status == 404
	})
	if got := demo.do("GET", path, nil).want(t, 200).get("instanceActions.#").Int(); got < 2 {
		t.Errorf("a deleted server has %d actions, want those it had", got)
	}
	w.as("alt").do("GET", path, nil).want(t, 404)
}
