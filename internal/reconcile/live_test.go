package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

var admin = rest.Caller{Roles: []string{"admin"}}

// look is what is shown of the port, after the pods were asked.
func (w *world) look(id string) topology.Port {
	w.t.Helper()
	p, err := w.store.FindPort(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	one := []topology.Port{p}
	if err := w.Freshen(w.t.Context(), one); err != nil {
		w.t.Fatal(err)
	}
	return one[0]
}

func (w *world) podIDOf(t store.Target) string {
	w.t.Helper()
	m, err := w.store.FindMapping(w.t.Context(), t)
	if err != nil {
		w.t.Fatal(err)
	}
	return m.PodID
}

// calls counts the requests that pod1 has had.
func (w *world) calls(method, path string) int {
	n := 0
	for _, c := range w.cloud.Pod("pod1").Calls() {
		if c.Method == method && c.Path == path {
			n++
		}
	}
	return n
}

func TestPortsAreShownLive(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("net", "10.0.0.0/24")
		all := w.ports(net.ID, 3)
		for _, p := range all[:2] {
			w.mustWant(portIn(p, "pod1"))
		}
		if p := w.look(all[0].ID); p.Status != "DOWN" || p.VIFType != "unbound" {
			t.Errorf("a port in a pod, with no server: %+v", p.Binding)
		}
		neutron := w.cloud.Pod("pod1").Network
		neutron.Mu.Lock()
		for _, p := range all[:2] {
			neutron.Attach(neutron.Port(admin, w.podIDOf(portIn(p, "pod1"))), "s", "az")
		}
		neutron.Mu.Unlock()
		if p := w.look(all[0].ID); p.Status != "DOWN" {
			t.Errorf("asked again within the time that an answer is fresh: %+v", p.Binding)
		}
		w.restart() // nothing is fresh
		asked := w.calls("GET", "/v2.0/ports")
		ports, err := s.ListPorts(t.Context(), store.Query{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Freshen(t.Context(), ports); err != nil {
			t.Fatal(err)
		}
		if n := w.calls("GET", "/v2.0/ports") - asked; n != 1 {
			t.Errorf("%d requests for the ports of one pod, want 1", n)
		}
		up, err := s.ListPorts(t.Context(), store.Query{Filters: map[string][]string{"status": {"ACTIVE"}, "binding:host_id": {neutron.Host}}})
		if err != nil || len(up) != 3 || up[0].VIFType != "ovs" || up[0].VIFDetails["bridge_name"] != "br-int" || up[0].Revision != all[0].Revision {
			t.Errorf("ports up on the host, with that of DHCP: %+v, %v", up, err)
		}
	})
}

func TestPortsOfAPodThatIsAwayAreShownAsTheyWere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	net := w.network("net", "10.0.0.0/24")
	p := w.ports(net.ID, 1)[0]
	w.mustWant(portIn(p, "pod1"))
	neutron := w.cloud.Pod("pod1").Network
	neutron.Mu.Lock()
	neutron.Attach(neutron.Port(admin, w.podIDOf(portIn(p, "pod1"))), "s", "az")
	neutron.Mu.Unlock()
	if got := w.look(p.ID); got.Status != "ACTIVE" {
		t.Fatalf("port = %+v", got.Binding)
	}
	w.restart()
	w.cloud.Pod("pod1").Fault(podtest.Fault{Path: "/v2.0/ports", Hang: true})
	began := time.Now()
	if got := w.look(p.ID); got.Status != "ACTIVE" || time.Since(began) > 5*time.Second {
		t.Errorf("after %v the port = %+v", time.Since(began), got.Binding)
	}
}

func TestAdminPutsPortOnHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	net := w.network("net", "10.0.0.0/24")
	p := w.ports(net.ID, 1)[0]
	host := w.cloud.Pod("pod1").Network.Host
	change := func(f func(*topology.Port)) {
		t.Helper()
		var err error
		p, err = w.store.UpdatePort(t.Context(), p.ID, func(spec *topology.PortSpec) error {
			f(&spec.Port)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	change(func(p *topology.Port) {
		p.BindTo(host+"@pod1", false)
		p.Shape(map[string]any{"capabilities": []any{"switchdev"}})
		p.DeviceOwner, p.DeviceID = "octavia:health-mgr", "lb"
		p.SetDHCPOptions([]topology.WantDHCPOption{{Name: "router", Value: new(string), IPVersion: 4}})
	})
	if err := w.Bring(t.Context(), p, "pod1"); err != nil {
		t.Fatal(err)
	}
	if got := w.look(p.ID); got.Status != "ACTIVE" || got.VIFType != "ovs" || got.Profile["capabilities"] == nil {
		t.Errorf("port = %+v", got.Binding)
	}
	inPod := func() map[string]any {
		for _, d := range w.cloud.Pod("pod1").Network.Objects("port") {
			if d["id"] == w.podIDOf(portIn(p, "pod1")) {
				return d
			}
		}
		return nil
	}
	if d := inPod(); d["device_owner"] != "octavia:health-mgr" || d["device_id"] != "lb" || len(rest.Docs(d, "extra_dhcp_opts")) != 1 {
		t.Errorf("in the pod: %v", d)
	}
	change(func(p *topology.Port) {
		p.BindTo("", false)
		p.SetDHCPOptions([]topology.WantDHCPOption{{Name: "router", IPVersion: 4}})
	})
	w.mustWant(portIn(p, "pod1"))
	if d := inPod(); d["binding:host_id"] != "" || len(rest.Docs(d, "extra_dhcp_opts")) != 0 {
		t.Errorf("taken off its host: %v", d)
	}
	change(func(p *topology.Port) { p.MACAddress = "fa:16:3e:00:00:99" })
	w.mustWant(portIn(p, "pod1"))
	if d := inPod(); d["mac_address"] != "fa:16:3e:00:00:99" {
		t.Errorf("its MAC address in the pod is %v", d["mac_address"])
	}
}

func TestChangedVLANIsFreeOnceAllPodsHaveLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("net", "10.0.0.0/24")
		old := net.SegmentationID
		in := store.Target{Kind: store.KindNetwork, ID: net.ID, Pod: "pod1"}
		w.mustWant(in)
		if _, err := s.UpdateNetwork(t.Context(), net.ID, func(n *topology.Network) error {
			n.SegmentationID = 150 + (old-150+1)%2
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		again := func() error {
			_, err := s.CreateNetworks(t.Context(), []topology.Network{{ProjectID: w.project, Type: "vlan", PhysicalNetwork: "bridge", SegmentationID: old}})
			return err
		}
		if err := again(); err == nil {
			t.Error("the VLAN that the pod still uses was given away")
		}
		w.mustWant(in)
		if err := again(); err != nil {
			t.Errorf("the VLAN is not free: %v", err)
		}
		vlans := []any{}
		for _, d := range w.cloud.Pod("pod1").Network.Objects("network") {
			vlans = append(vlans, d["provider:segmentation_id"])
		}
		if !slices.ContainsFunc(vlans, func(v any) bool { return v != old }) {
			t.Errorf("VLANs in the pod: %v", vlans)
		}
	})
}
