// Package crash_test kills the program, with SIGKILL, at each step of creating a
// server, and looks at what the next process makes of it.
package crash_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/app"
	"github.com/tricircle/tricircle/internal/config"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// configVariable names the configuration for the copies of this test binary that
// are the program.
const configVariable = "TRICIRCLE_CRASH_TEST_CONFIG"

func TestMain(m *testing.M) {
	if file := os.Getenv(configVariable); file != "" {
		if err := serve(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is "tricircle serve", less patient with creations left behind.
func serve(file string) error {
	c, err := config.Load(file, nil)
	if err != nil {
		return err
	}
	ctx := context.Background()
	a, err := app.New(ctx, app.Options{Config: c, IntentDelay: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// TestKilledAtEachStepOfACreation: whichever call to the pod the program dies at,
// before the pod did the work or after it, afterwards there is one server that
// the region knows, or none; and nothing is left that belongs to no server.
func TestKilledAtEachStepOfACreation(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before the pod's work", "after the pod's work"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t)
			clean := r.pod.Inventory()
			killed := 0
			for nth := 1; r.killAt(nth, when == "after the pod's work"); nth++ {
				killed++
			}
			if killed < 8 {
				t.Errorf("the program made %d calls, want at least 8: flavor, image, network, subnet, ports, groups, server", killed)
			}
			r.eventually("the pod is as before", func() string { return cmp.Diff(clean, r.pod.Inventory()) })
		})
	}
}

// killAt creates a server on a fresh network and kills the program at the nth
// call to the pod. It reports whether there was one.
func (r *region) killAt(nth int, after bool) bool {
	r.t.Helper()
	network := r.network(fmt.Sprint("net", nth))
	kill := func(*http.Request) { r.process.kill() }
	fault := podtest.Fault{Nth: nth, Times: 1, Before: kill}
	if after {
		fault.Before, fault.After = nil, kill
	}
	remove := r.pod.Fault(fault)
	status := r.create(fmt.Sprint("server", nth), network)
	remove()
	if status != 0 && status != http.StatusAccepted {
		r.t.Errorf("call %d: creation answered %d", nth, status)
	}
	died := status == 0
	if died {
		r.process.kill() // it is being killed: wait
		r.process = start(r.t, r.config)
	}
	r.converged(nth)
	for _, id := range r.servers() {
		r.do(http.MethodDelete, "/compute/v2.1/servers/"+id, nil, nil, http.StatusNoContent)
	}
	r.eventually("the servers are gone", func() string { return fmt.Sprint(r.servers()) })
	r.do(http.MethodDelete, "/network/v2.0/networks/"+network, nil, nil, http.StatusNoContent)
	return died
}

// converged waits until no work is left and compares the region with the pod.
func (r *region) converged(nth int) {
	r.t.Helper()
	r.eventually("no work is left", r.unfinished)
	inPod, known := r.pod.Inventory()["server"], r.servers()
	if !slices.Equal(inPod, known) || len(known) > 1 {
		r.t.Errorf("call %d: servers in the pod %v, in the region %v, want the same one or none", nth, inPod, known)
	}
	ports := 0
	for _, p := range r.pod.Objects("port") {
		if p["device_owner"] != "network:dhcp" {
			ports++
		}
	}
	central := 0
	for _, p := range r.ports() {
		if p.Owner != "network:dhcp" {
			central++
		}
	}
	if ports != len(known) || central != len(known) {
		r.t.Errorf("call %d: %d ports in the pod, %d in the region, for %d servers", nth, ports, central, len(known))
	}
}
