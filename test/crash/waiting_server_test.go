package crash_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
)

// TestKilledWhileAServerWaits: a server waits for its image in a second pod, and the
// program dies at a call to that pod, before the pod did the work or after it: when the
// image comes, when the pod is asked for the server, when it is looked for. Its user
// has one server, under the ID that he was told, and the pod has one.
func TestKilledWhileAServerWaits(t *testing.T) {
	t.Parallel()
	for _, at := range []struct{ service, method, path string }{
		{podtest.Image, "POST", `/images$`},
		{podtest.Compute, "POST", `/servers$`},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(at.method, " ", at.path, " after the work ", after), func(t *testing.T) {
				t.Parallel()
				r := regionOf(t, podtest.Options{Pods: []string{"pod1", "pod2"}}, "")
				image := r.cloud.Pod("pod1").AddImage(glance.Image{Name: "far"})
				hold := r.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Image, Method: "POST", Path: `/images$`, Status: http.StatusServiceUnavailable})
				network := r.network("n")
				var made struct{ Server struct{ ID string } }
				r.do(http.MethodPost, "/compute/v2.1/servers", map[string]any{"server": map[string]any{
					"name": "far", "flavorRef": "1", "imageRef": image, "availability_zone": "az2",
					"networks": []any{map[string]any{"uuid": network}}}}, &made, http.StatusAccepted)
				died := make(chan struct{})
				kill := func(*http.Request) { r.process.kill(); close(died) }
				fault := podtest.Fault{Service: at.service, Method: at.method, Path: at.path, Times: 1, Before: kill}
				if after {
					fault.Before, fault.After = nil, kill
				}
				hold()
				r.cloud.Pod("pod2").Fault(fault)
				<-died
				r.process = start(r.t, r.config)
				r.listening()
				r.converges(made.Server.ID, network)
			})
		}
	}
}

// converges waits for the server in its pod, then for its end.
func (r *region) converges(id, network string) {
	r.t.Helper()
	path := "/compute/v2.1/servers/" + id
	r.eventually("the server is there", func() string {
		var got struct{ Server struct{ Status string } }
		r.send(r.token, http.MethodGet, path, nil, &got)
		if got.Server.Status == "ACTIVE" {
			return ""
		}
		return "it is " + got.Server.Status
	})
	if inPod, known := r.cloud.Pod("pod2").Inventory()["server"], r.servers(); len(inPod) != 1 || len(known) != 1 || known[0] != id {
		r.t.Errorf("servers in the pod %v, in the region %v, want one each, here %s", inPod, known, id)
	}
	r.do(http.MethodDelete, path, nil, nil, http.StatusNoContent)
	r.eventually("the server is gone", func() string { return fmt.Sprint(r.servers()) })
	r.do(http.MethodDelete, "/network/v2.0/networks/"+network, nil, nil, http.StatusNoContent)
	r.eventually("nothing is left in the pod", func() string { return fmt.Sprint(r.cloud.Pod("pod2").Inventory()["server"]) })
}
