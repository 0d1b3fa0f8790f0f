package compute_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// TestCreateFaults breaks each call to the pod in each way. Whatever the client
// is told, in the end there is one server that everybody knows of or none, and
// nothing else is left.
func TestCreateFaults(t *testing.T) {
	t.Parallel()
	steps := []podtest.Fault{
		{Service: podtest.Image, Method: "GET", Path: `/images/`},
		{Service: podtest.Compute, Method: "GET", Path: `/flavors/`},
		{Service: podtest.Network, Method: "GET", Path: `/networks`},
		{Service: podtest.Network, Method: "POST", Path: `/networks$`},
		{Service: podtest.Network, Method: "POST", Path: `/subnets$`},
		{Service: podtest.Network, Method: "POST", Path: `/ports$`, Nth: 1}, // DHCP
		{Service: podtest.Network, Method: "PUT", Path: `/subnets/`},
		{Service: podtest.Network, Method: "GET", Path: `/security-groups`},
		{Service: podtest.Network, Method: "POST", Path: `/ports$`, Nth: 2}, // the server's
		{Service: podtest.Compute, Method: "POST", Path: `/servers$`},
	}
	ways := map[string]podtest.Fault{
		"500": {Status: 500}, "503": {Status: 503}, "garbage": {Garbage: true}, "hangs": {Hang: true},
		"request lost": {DropRequest: true}, "reply lost": {DropReply: true},
	}
	// The cases mostly wait, so more of them run at once than there are processors.
	slots := make(chan struct{}, faultsSlots)
	var wg sync.WaitGroup
	for _, step := range steps {
		for name, way := range ways {
			fault := step
			fault.Status, fault.Garbage, fault.Hang, fault.DropRequest, fault.DropReply = way.Status, way.Garbage, way.Hang, way.DropRequest, way.DropReply
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				t.Run(fmt.Sprint(step.Method, " ", step.Service, " ", strings.Trim(step.Path, "/$"), step.Nth, " ", name), func(t *testing.T) {
					createBroken(t, fault)
				})
			})
		}
	}
	wg.Wait()
}

func createBroken(t *testing.T, fault podtest.Fault) {
	w := newWorldOf(t, podtest.Options{}, time.Second)
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	if fault.Nth == 0 {
		fault.Times = 3 // the request's call, and a job's after it
	}
	remove := w.cloud.Pod("pod1").Fault(fault)
	got := demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}, "availability_zone": "az1"}))
	if !fault.Hang { // taken away, it would let the request through at last
		remove()
	}
	if got.status != 202 && got.status != 503 && got.status != 504 {
		t.Errorf("%d %s, want 202, 503 or 504", got.status, got.body)
	}
	if got.status != 202 && !strings.Contains(got.message(), "pod1") {
		t.Errorf("the answer does not name the pod: %s", got.body)
	}
	eventually(t, "all is settled", func() bool { return w.idle(t) })
	made := w.inventory()["pod1"]["server"]
	list := demo.do("GET", "/servers", nil).want(t, 200).get("servers").Array()
	if len(made) > 1 || len(list) != len(made) || got.status == 202 && len(made) != 1 {
		t.Errorf("the pod has servers %v, the list shows %v", made, list)
	}
	demo.remove(t, made...)
	w.drop(t, n.ID)
	w.clean(t)
}

// TestCreatePodAway holds that a pod that is away fails the request at once.
func TestCreatePodAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	w.cloud.Pod("pod1").Down()
	got := demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}, "availability_zone": "az1"}))
	if got.status != 503 || !strings.Contains(got.message(), "pod1") {
		t.Errorf("%d %s, want 503 that names pod1", got.status, got.body)
	}
	demo.do("POST", "/servers", server(m{"networks": []m{{"uuid": n.ID}}, "availability_zone": "az2"})).want(t, 202)
	w.cloud.Pod("pod1").Up()
	demo.remove(t, demo.do("GET", "/servers", nil).get("servers.0.id").Str)
	w.drop(t, n.ID)
	w.clean(t)
}
