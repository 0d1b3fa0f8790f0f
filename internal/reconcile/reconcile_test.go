package reconcile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestPortBringsItsNetworkAndGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		p1 := w.cloud.Pod("pod1")
		net := w.network("blue", "10.0.0.0/24")
		port := w.ports(net.ID, 1)[0]
		w.mustWant(portIn(port, "pod1"))
		p1.Settle()

		if got := []int{w.count("network"), w.count("subnet")}; !slices.Equal(got, []int{1, 1}) {
			t.Errorf("networks, subnets = %v, want one each", got)
		}
		there := p1.Objects("network")[0]
		if there["provider:segmentation_id"] != net.SegmentationID || there["name"] != "blue" || there["project_id"] != w.project {
			t.Errorf("network in the pod = %v, want our segment %d, name and project", there, net.SegmentationID)
		}
		reserved, err := s.EnsureDHCPPorts(t.Context(), net.ID, "pod1", 1)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{reserved[0].FixedIPs[0].Address.String()}, w.dhcpAddresses("pod1")); diff != "" {
			t.Errorf("DHCP ports' addresses (-want +got):\n%s", diff)
		}
		for _, o := range p1.Objects("port") {
			if o["description"] != "tricircle:port:"+port.ID {
				continue
			}
			got := fixedIPs(o["fixed_ips"])[0]["ip_address"]
			if got != port.FixedIPs[0].Address.String() || o["mac_address"] != port.MACAddress {
				t.Errorf("port in the pod has %v %v, want %v %v", got, o["mac_address"], port.FixedIPs[0].Address, port.MACAddress)
			}
		}

		p1.ResetCalls()
		w.mustWant(portIn(port, "pod1"))
		if calls := p1.Calls(); len(calls) != 0 {
			t.Errorf("bringing it there again took %d calls, want none: %v", len(calls), calls)
		}
		second := w.ports(net.ID, 1)[0]
		w.mustWant(portIn(second, "pod1"))
		if calls := p1.Calls(); len(calls) != 1 {
			t.Errorf("a second port on the network took %d calls, want one: %v", len(calls), calls)
		}
		if calls := w.cloud.Pod("pod2").Calls(); len(calls) != 0 {
			t.Errorf("pod2 was asked: %v", calls)
		}
	})
}

func TestManyPortsAtOnceShareOneNetwork(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{DHCPAgents: 2})
		net := w.network("blue", "10.0.0.0/22")
		var wg sync.WaitGroup
		for _, p := range w.ports(net.ID, 200) {
			wg.Go(func() {
				if err := w.want(portIn(p, "pod1")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		w.cloud.Pod("pod1").Settle()
		if got := []int{len(w.cloud.Pod("pod1").Objects("network")), w.count("subnet"), len(w.dhcpAddresses("pod1")), w.count("port")}; !slices.Equal(got, []int{1, 1, 2, 202}) {
			t.Errorf("networks, subnets, DHCP ports, all ports = %v, want 1, 1, 2, 202", got)
		}
	})
}

// An agent that makes a port of its own the moment DHCP is on without a reserved
// one must find the reserved one there.
func TestGreedyAgentFindsTheReservedPort(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		for _, name := range []string{"pod1", "pod2"} {
			w.cloud.Pod(name).GreedyDHCP(true)
		}
		net := w.network("blue", "10.0.0.0/24")
		ports := w.ports(net.ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		w.mustWant(portIn(ports[1], "pod2"))
		// A second subnet on a network that is there already.
		w.subnet(net.ID, "10.1.0.0/24")
		w.settle()
		seen := map[string]string{}
		for _, name := range []string{"pod1", "pod2"} {
			w.cloud.Pod(name).Settle()
			var want []string
			reserved, err := s.EnsureDHCPPorts(t.Context(), net.ID, name, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range reserved[0].FixedIPs {
				want = append(want, f.Address.String())
			}
			slices.Sort(want)
			got := w.dhcpAddresses(name)
			if diff := cmp.Diff(want, got); diff != "" || len(got) != 2 {
				t.Errorf("%s: DHCP addresses (-ours +the pod's):\n%s", name, diff)
			}
			for _, a := range got {
				if other := seen[a]; other != "" {
					t.Errorf("%s and %s both serve DHCP from %s", other, name, a)
				}
				seen[a] = name
			}
		}
	})
}

// Whatever call goes wrong, and however, the next process brings it to the same
// end: one of everything.
func TestAnyCallMayFail(t *testing.T) {
	t.Parallel()
	failures := map[string]podtest.Fault{
		"reply lost":   {DropReply: true},
		"request lost": {DropRequest: true},
		"500":          {Status: 500, Body: "oops"},
		"garbage":      {Garbage: true},
		"no answer":    {Hang: true},
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				w := newWorld(t, s, podtest.Options{})
				if failure.Hang {
					w.timeout = 300 * time.Millisecond
					w.restart()
				}
				clean := w.cloud.Pod("pod1").Inventory()
				for nth := 1; ; nth++ {
					if !w.failAt(nth, failure) {
						if nth < 6 {
							t.Errorf("only %d calls could fail", nth-1)
						}
						break
					}
				}
				w.settle()
				w.cloud.Pod("pod1").Settle()
				if diff := cmp.Diff(clean, w.cloud.Pod("pod1").Inventory()); diff != "" {
					t.Errorf("left in the pod after deleting all (-before +after):\n%s", diff)
				}
			})
		})
	}
}

// failAt brings a port on a fresh network into pod1 while the nth call to it
// fails, then again in a new process, checks that there is one of everything, and
// deletes it. It reports whether there was an nth call.
func (w *world) failAt(nth int, failure podtest.Fault) bool {
	w.t.Helper()
	pod1 := w.cloud.Pod("pod1")
	net := w.network(fmt.Sprint("net", nth), "10.0.0.0/24")
	w.subnet(net.ID, "fd00::/64")
	port := w.ports(net.ID, 1)[0]
	failure.Nth, failure.Times = nth, 1
	restore := pod1.Fault(failure)
	err := w.want(portIn(port, "pod1"))
	restore()
	if err != nil && !strings.Contains(err.Error(), "pod pod1") {
		w.t.Errorf("call %d: the error does not name the pod: %v", nth, err)
	}
	w.restart()
	w.mustWant(portIn(port, "pod1"))
	pod1.Settle()
	got := []int{len(pod1.Objects("network")), len(pod1.Objects("subnet")), len(w.dhcpAddresses("pod1")), len(pod1.Objects("port"))}
	if want := []int{1, 2, 2, 2}; !slices.Equal(got, want) {
		w.t.Errorf("call %d: networks, subnets, DHCP addresses, ports = %v, want %v", nth, got, want)
	}
	restore = pod1.Fault(failure)
	defer restore()
	if err := w.store.DeletePort(w.t.Context(), port.ID, nil); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.DeleteNetwork(w.t.Context(), net.ID, nil); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	return err != nil
}

// TestWhatWasLostTurnsUpLate: the pod is slow to make a port, so that it is asked once
// more; it makes the first when the other one has been deleted. That one goes, too.
func TestWhatWasLostTurnsUpLate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		w.timeout = 300 * time.Millisecond
		w.restart()
		pod1 := w.cloud.Pod("pod1")
		n := w.network("blue", "10.0.0.0/24")
		w.mustWant(store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: "pod1"})
		before := pod1.Inventory()
		p := w.ports(n.ID, 1)[0]
		slow, arrived, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		pod1.Fault(podtest.Fault{Service: podtest.Network, Method: http.MethodPost, Path: "/ports$", Times: 1,
			Before: func(r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Body = io.NopCloser(bytes.NewReader(body)) // which the end of the connection does not take away
				close(arrived)
				<-slow
			},
			After: func(*http.Request) { close(done) }})
		if err := w.want(portIn(p, "pod1")); !fault.Is(err, fault.Timeout) {
			t.Fatalf("the first request: %v, want that it takes too long", err)
		}
		<-arrived
		w.mustWant(portIn(p, "pod1"))
		if err := s.DeletePort(t.Context(), p.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.Ensure(t.Context(), portIn(p, "pod1"), nil); err == nil || !strings.Contains(err.Error(), "reply was lost") {
			t.Errorf("the port's job: %v, want that it waits for what was lost", err)
		}
		if diff := cmp.Diff(before["port"], pod1.Inventory()["port"]); diff != "" {
			t.Errorf("the port that is known is left (-before +after):\n%s", diff)
		}
		close(slow)
		<-done
		if got := len(pod1.Inventory()["port"]); got != len(before["port"])+1 {
			t.Fatalf("the pod has %d ports, want one more than %d: what was lost", got, len(before["port"]))
		}
		w.settle()
		if diff := cmp.Diff(before, pod1.Inventory()); diff != "" {
			t.Errorf("left in the pod (-before +after):\n%s", diff)
		}
	})
}

func TestPodAwayMakesWorkWait(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/24")
		target := portIn(w.ports(net.ID, 1)[0], "pod1")
		w.cloud.Pod("pod1").Down()
		err := w.want(target)
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "pod1") {
			t.Errorf("error = %v, want one that says that pod1 is away", err)
		}
		m, err := s.FindMapping(t.Context(), target)
		if err != nil || m.Reason == "" || !m.Pending() {
			t.Errorf("mapping = %+v, %v, want it pending with a reason", m, err)
		}
		w.cloud.Pod("pod1").Up()
		w.settle()
		if m, err = s.FindMapping(t.Context(), target); err != nil || m.Reason != "" || m.PodID == "" {
			t.Errorf("mapping = %+v, %v, want it done", m, err)
		}
	})
}

func TestChangesReachThePods(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/24")
		ports := w.ports(net.ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		w.mustWant(portIn(ports[1], "pod2"))
		_, err := s.UpdateNetwork(t.Context(), net.ID, func(n *topology.Network) error { n.Name = "red"; return nil })
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		for _, name := range []string{"pod1", "pod2"} {
			if got := w.cloud.Pod(name).Objects("network")[0]["name"]; got != "red" {
				t.Errorf("%s: network is called %v, want red", name, got)
			}
		}
	})
}

func TestWhatIsDeletedBehindOurBackIsMadeAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("blue", "10.0.0.0/24")
		port := w.ports(net.ID, 1)[0]
		w.mustWant(portIn(port, "pod1"))
		m, err := s.FindMapping(t.Context(), portIn(port, "pod1"))
		if err != nil {
			t.Fatal(err)
		}
		w.delete("pod1", "/v2.0/ports/"+m.PodID)
		if err := s.Touch(t.Context(), store.KindPort, port.ID); err != nil {
			t.Fatal(err)
		}
		w.settle()
		again, err := s.FindMapping(t.Context(), portIn(port, "pod1"))
		if err != nil || again.PodID == m.PodID || w.count("port") != 2 {
			t.Errorf("mapping = %+v, %v, want a new port", again, err)
		}
	})
}

// Neutron also says 404 to the deletion of a network when one of its subnets goes
// at the same moment; the network is still there then.
func TestDeletionIsNotBelievedWhenTheObjectIsThere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		pod1 := w.cloud.Pod("pod1")
		clean := pod1.Inventory()
		net := w.network("blue", "10.0.0.0/24")
		port := w.ports(net.ID, 1)[0]
		w.mustWant(portIn(port, "pod1"))
		pod1.Settle()
		pod1.Fault(podtest.Fault{Method: http.MethodDelete, Path: "^/network/", Times: 8, Status: http.StatusNotFound,
			Body: `{"NeutronError": {"type": "SubnetNotFound", "message": "Subnet x could not be found.", "detail": ""}}`})
		if err := s.DeletePort(t.Context(), port.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteNetwork(t.Context(), net.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if diff := cmp.Diff(clean, pod1.Inventory()); diff != "" {
			t.Errorf("left in the pod (-before +after):\n%s", diff)
		}
	})
}

// A pod that is taken out of use is left as it was before.
func TestPodIsClearedBeforeItIsRemoved(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		clean := w.cloud.Pod("pod1").Inventory()
		net := w.network("blue", "10.0.0.0/24")
		ports := w.ports(net.ID, 2)
		port := ports[0]
		w.mustWant(portIn(port, "pod1"))
		w.mustWant(portIn(ports[1], "pod2")) // of the same group
		w.settle()
		if err := s.DeletePod(t.Context(), "pod1"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "1 network") {
			t.Errorf("DeletePod = %v, want it to say that there is a network", err)
		}
		if _, err := s.UpdatePod(t.Context(), "pod1", func(p *store.Pod) error { p.Cordoned = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.DeletePod(t.Context(), "pod1"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "being cleared") {
			t.Errorf("DeletePod of a cordoned pod = %v, want it to say that it is being cleared", err)
		}
		w.settle()
		w.cloud.Pod("pod1").Settle()
		if diff := cmp.Diff(clean, w.cloud.Pod("pod1").Inventory()); diff != "" {
			t.Errorf("left in the pod (-before +after):\n%s", diff)
		}
		for _, name := range []string{"pod1", "pod2"} {
			if got := w.addressGroups(name); len(got) != 0 {
				t.Errorf("%s still lets in %v", name, got)
			}
		}
		if err := s.DeletePod(t.Context(), "pod1"); err != nil {
			t.Errorf("DeletePod of a cleared pod = %v", err)
		}
		w.mustWant(portIn(port, "pod2")) // what left one pod lives on
	})
}

// A pod may carry out a request long after we have given up on it. What is
// deleted meanwhile is waited for, and removed when it turns up.
func TestWhatTurnsUpAfterItsDeletionIsRemoved(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		pod1 := w.cloud.Pod("pod1")
		net := w.network("blue", "10.0.0.0/24")
		ports := w.ports(net.ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		clean := pod1.Inventory()
		pod1.Fault(podtest.Fault{Method: http.MethodPost, Path: "^/network/v2.0/ports$", Times: 1, DropReply: true})
		hidden := pod1.Fault(podtest.Fault{Method: http.MethodGet, Path: "^/network/v2.0/ports$", Status: 200, Body: `{"ports": []}`})
		if err := w.want(portIn(ports[1], "pod1")); err == nil {
			t.Fatal("the reply was not lost")
		}
		if err := s.DeletePort(t.Context(), ports[1].ID, nil); err != nil {
			t.Fatal(err)
		}
		err := w.Ensure(t.Context(), portIn(ports[1], "pod1"), nil)
		if _, ok := errors.AsType[*jobs.Again](err); !ok {
			t.Errorf("deleting what is not there yet: %v, want to be called again", err)
		}
		hidden()
		w.settle()
		if diff := cmp.Diff(clean, pod1.Inventory()); diff != "" {
			t.Errorf("left in the pod (-before +after):\n%s", diff)
		}
	})
}
