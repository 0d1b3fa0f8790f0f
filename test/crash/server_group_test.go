package crash_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// TestKilledWhileAGroupIsMade: the program dies at a step of the first member's
// creation, before the pod did the work or after it. Afterwards the pod has one
// group if the server is there, and none otherwise.
func TestKilledWhileAGroupIsMade(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	for _, path := range []string{`/os-server-groups$`, `/servers$`} {
		for _, after := range []bool{false, true} {
			r.killInGroup(path, after)
		}
	}
}

func (r *region) killInGroup(path string, after bool) {
	r.t.Helper()
	what := fmt.Sprintf("killed at POST %s, after the work %v", path, after)
	var made struct {
		Group struct{ ID string } `json:"server_group"`
	}
	r.do(http.MethodPost, "/compute/v2.1/os-server-groups", `{"server_group":{"name":"g","policies":["affinity"]}}`, &made, http.StatusOK)
	kill := func(*http.Request) { r.process.kill() }
	fault := podtest.Fault{Service: podtest.Compute, Method: "POST", Path: path, Times: 1, Before: kill}
	if after {
		fault.Before, fault.After = nil, kill
	}
	remove := r.pod.Fault(fault)
	status := r.send(r.token, http.MethodPost, "/compute/v2.1/servers", map[string]any{
		"server":             map[string]any{"name": "s", "flavorRef": "1", "imageRef": r.image, "networks": []any{map[string]any{"uuid": r.network("n")}}},
		"os:scheduler_hints": map[string]any{"group": made.Group.ID},
	}, nil)
	remove()
	if status != 0 {
		r.t.Errorf("%s: the creation answered %d", what, status)
	}
	r.process.kill() // it is being killed: wait
	r.process = start(r.t, r.config)
	r.eventually("no work is left", r.unfinished)

	servers, groups := r.servers(), r.pod.Inventory()["server_group"]
	if len(servers) > 1 || len(groups) != len(servers) {
		r.t.Errorf("%s: servers %v, groups in the pod %v", what, servers, groups)
	}
	r.eventually("a second member finds its way", func() string {
		got := r.send(r.token, http.MethodPost, "/compute/v2.1/servers", map[string]any{
			"server":             map[string]any{"name": "t", "flavorRef": "1", "imageRef": r.image},
			"os:scheduler_hints": map[string]any{"group": made.Group.ID},
		}, nil)
		if got != http.StatusAccepted {
			return fmt.Sprint(got)
		}
		return ""
	})
	if groups := r.pod.Inventory()["server_group"]; len(groups) != 1 {
		r.t.Errorf("%s: with a second member the pod has groups %v", what, groups)
	}
	for _, id := range r.servers() {
		r.do(http.MethodDelete, "/compute/v2.1/servers/"+id, nil, nil, http.StatusNoContent)
	}
	r.eventually("the servers are gone", func() string { return fmt.Sprint(r.servers()) })
	r.eventually("the group has left", func() string { return fmt.Sprint(r.pod.Inventory()["server_group"]) })
	r.do(http.MethodDelete, "/compute/v2.1/os-server-groups/"+made.Group.ID, nil, nil, http.StatusNoContent)
	for _, n := range r.networks() {
		r.do(http.MethodDelete, "/network/v2.0/networks/"+n, nil, nil, http.StatusNoContent)
	}
}

func (r *region) networks() []string {
	r.t.Helper()
	var list struct{ Networks []struct{ ID string } }
	r.do(http.MethodGet, "/network/v2.0/networks", nil, &list, http.StatusOK)
	var ids []string
	for _, n := range list.Networks {
		ids = append(ids, n.ID)
	}
	return ids
}
