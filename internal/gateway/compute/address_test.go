package compute_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// addresses are those of the server's only interface, as its pod has them.
func (c *client) addresses(id string) []gjson.Result {
	c.t.Helper()
	return c.do("GET", "/servers/"+id+"/os-interface", nil).want(c.t, 200).get("interfaceAttachments.0.fixed_ips.#.ip_address").Array()
}

// TestFixedIPs holds that a server gets and loses addresses by its old actions,
// in its pod too.
func TestFixedIPs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	old := demo.at("2.43")
	n, other := demo.network("blue", "10.1.0.0/24"), demo.network("red", "10.2.0.0/24")
	id := demo.boot("az2", on(m{"uuid": n.ID}))
	action := "/servers/" + id + "/action"
	eventually(t, "the server is active", func() bool {
		return demo.do("GET", "/servers/"+id, nil).get("server.status").Str == "ACTIVE"
	})
	old.do("POST", action, m{"addFixedIp": m{"networkId": n.ID}}).want(t, 202)
	two := demo.addresses(id)
	if len(two) != 2 {
		t.Fatalf("the pod's port has %v, want two addresses", two)
	}
	for _, refused := range []struct {
		action, field, value string
		status               int
		want                 string
	}{
		{"addFixedIp", "networkId", other.ID, 404, "Network could not be found for instance " + id + "."},
		{"addFixedIp", "networkId", "nope", 404, "Network could not be found for instance " + id + "."},
		{"removeFixedIp", "address", "10.9.0.250", 400, "Instance " + id + " doesn't have fixed IP '10.9.0.250'."},
		{"removeFixedIp", "address", "x", 400, "Invalid input for field/attribute address. Value: x. 'x' is not valid under any of the given schemas"},
	} {
		if got := old.do("POST", action, m{refused.action: m{refused.field: refused.value}}); got.status != refused.status || got.message() != refused.want {
			t.Errorf("%s %s: %d %s, want %d %q", refused.action, refused.value, got.status, got.body, refused.status, refused.want)
		}
	}
	demo.do("POST", action, m{"addFixedIp": m{"networkId": n.ID}}).want(t, 404)
	if got := w.as("alt").at("2.43").do("POST", action, m{"addFixedIp": m{"networkId": n.ID}}); got.status != 404 || got.message() != "Instance "+id+" could not be found." {
		t.Errorf("a stranger: %d %s", got.status, got.body)
	}
	old.do("POST", action, m{"removeFixedIp": m{"address": two[0].Str}}).want(t, 202)
	if left := demo.addresses(id); len(left) != 1 || left[0].Str != two[1].Str {
		t.Errorf("the pod's port has %v, want %s", left, two[1].Str)
	}
	demo.remove(t, id)
	w.drop(t, n.ID, other.ID)
	w.clean(t)
}

// TestFixedIPsPodAway holds that an address given while the pod is away gets there.
func TestFixedIPsPodAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	old := demo.at("2.43")
	n := demo.network("blue", "10.1.0.0/24")
	id := demo.boot("az1", on(m{"uuid": n.ID}))
	fixed := w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Network, Method: "PUT", Path: `/ports/`, Status: 503, Body: `{}`})
	if got := old.do("POST", "/servers/"+id+"/action", m{"addFixedIp": m{"networkId": n.ID}}); got.status != 503 || !strings.Contains(got.message(), "pod1") {
		t.Errorf("%d %s, want 503 that names pod1", got.status, got.body)
	}
	fixed()
	eventually(t, "the pod has the address", func() bool { return len(demo.addresses(id)) == 2 })
	demo.remove(t, id)
	w.drop(t, n.ID)
	w.clean(t)
}
