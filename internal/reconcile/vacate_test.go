package reconcile_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// A client that replaces a port deletes it and asks for its addresses at once.
func TestAddressOfADeletedPortIsFreeAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		s.SetVacate(w.Vacate)
		net := w.network("net", "10.0.0.0/24")
		old := w.ports(net.ID, 1)[0]
		w.mustWant(portIn(old, "pod1"))
		again := []topology.PortSpec{{WantIPs: []topology.WantIP{{SubnetID: old.FixedIPs[0].SubnetID, Address: old.FixedIPs[0].Address}},
			Port: topology.Port{ProjectID: w.project, NetworkID: net.ID, AdminStateUp: true, MACAddress: old.MACAddress}}}

		if _, err := s.CreatePorts(t.Context(), again); !fault.Is(err, fault.Conflict) {
			t.Fatalf("while the port is there: %v, want a conflict", err)
		}
		if err := s.DeletePort(t.Context(), old.ID, nil); err != nil {
			t.Fatal(err)
		}
		made, err := s.CreatePorts(t.Context(), again)
		if err != nil {
			t.Fatalf("after the port was deleted: %v", err)
		}
		w.mustWant(portIn(made[0], "pod1"))
		w.settle()
	})
}

func TestAddressStaysTakenWhileAPodHasIt(t *testing.T) {
	s := storetest.Open(t, store.Options{URL: storetest.SQLiteURL(t)})
	w := newWorld(t, s, podtest.Options{})
	w.timeout = time.Second
	w.restart()
	s.SetVacate(w.Vacate)
	net := w.network("net", "10.0.0.0/24")
	old := w.ports(net.ID, 1)[0]
	w.mustWant(portIn(old, "pod1"))
	if err := s.DeletePort(t.Context(), old.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.cloud.Pod("pod1").Fault(podtest.Fault{Method: http.MethodDelete, Status: http.StatusInternalServerError})
	_, err := s.CreatePorts(t.Context(), []topology.PortSpec{{WantIPs: []topology.WantIP{{Address: old.FixedIPs[0].Address}},
		Port: topology.Port{ProjectID: w.project, NetworkID: net.ID, AdminStateUp: true}}})
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != "IpAddressAlreadyAllocated" {
		t.Errorf("while the pod keeps the port: %v, want IpAddressAlreadyAllocated", err)
	}
}

// A router that is taken off a subnet can be put back at once, at the same address.
func TestInterfaceIsPutBackAtOnce(t *testing.T) {
	s := storetest.Open(t, store.Options{URL: storetest.SQLiteURL(t)})
	w := newWorld(t, s, podtest.Options{})
	s.SetVacate(w.Vacate)
	net := w.network("net", "10.0.0.0/24")
	w.mustWant(store.Target{Kind: store.KindNetwork, ID: net.ID, Pod: "pod1"})
	w.mustWant(store.Target{Kind: store.KindNetwork, ID: net.ID, Pod: "pod2"})
	routers, err := s.CreateRouters(t.Context(), []store.RouterSpec{{Router: topology.Router{ProjectID: w.project, Name: "r", AdminStateUp: true}}})
	if err != nil {
		t.Fatal(err)
	}
	subnets, err := s.SubnetsOf(t.Context(), net.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.AddSubnetInterface(t.Context(), routers[0].ID, subnets[0].ID); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if _, err := s.RemoveInterface(t.Context(), routers[0].ID, "", subnets[0].ID); err != nil {
			t.Fatal(err)
		}
	}
}
