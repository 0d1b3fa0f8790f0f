package reconcile_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// outdoors is a routed world with two networks and a way out that is in pod1.
type outdoors struct {
	*routed
	a, b, external topology.Network
}

func newOutdoors(t *testing.T, s *store.Store) *outdoors {
	t.Helper()
	w := &outdoors{routed: newRouted(t, s)}
	w.a, w.b = w.network("a", "10.0.1.0/24"), w.network("b", "10.0.2.0/24")
	w.attach(w.a)
	w.attach(w.b)
	nets, err := s.CreateNetworks(t.Context(), []topology.Network{{ProjectID: "admin", Name: "outside", AdminStateUp: true, External: true, ZoneHints: []string{"az1"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.external = nets[0]
	_, err = s.CreateSubnets(t.Context(), []topology.SubnetSpec{{Subnet: topology.Subnet{ProjectID: "admin", NetworkID: nets[0].ID, IPVersion: 4,
		CIDR: netip.MustParsePrefix("203.0.113.0/24"), GatewayIP: netip.MustParseAddr("203.0.113.1")}}})
	if err != nil {
		t.Fatal(err)
	}
	w.setGateway(nets[0].ID)
	return w
}

func (w *outdoors) setGateway(network string) {
	w.t.Helper()
	_, err := w.store.UpdateRouter(w.t.Context(), w.router.ID, func(r *store.RouterSpec) error {
		r.WantGateway = &topology.WantGateway{NetworkID: network}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// float makes a floating IP that leads to the port, or to nothing.
func (w *outdoors) float(port string) topology.FloatingIP {
	w.t.Helper()
	made, err := w.store.CreateFloatingIPs(w.t.Context(), []store.FloatingIPSpec{{FloatingIP: topology.FloatingIP{
		ProjectID: w.project, NetworkID: w.external.ID, PortID: port}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return made[0]
}

// lead has the floating IP lead to the port, or with an empty one to nothing.
func (w *outdoors) lead(f topology.FloatingIP, port string) {
	w.t.Helper()
	_, err := w.store.UpdateFloatingIP(w.t.Context(), f.ID, func(f *topology.FloatingIP) (bool, error) {
		f.PortID, f.FixedAddress = port, netip.Addr{}
		return true, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *outdoors) forward(f topology.FloatingIP, p topology.Port, outer, inner int) topology.PortForwarding {
	w.t.Helper()
	made, err := w.store.PortForwardings().Create(w.t.Context(), []topology.PortForwarding{{FloatingIPID: f.ID, PortID: p.ID, Address: p.FixedIPs[0].Address,
		Protocol: "tcp", ExternalFirst: outer, ExternalLast: outer, InternalFirst: inner, InternalLast: inner}})
	if err != nil {
		w.t.Fatal(err)
	}
	return made[0]
}

// out tells to which addresses pod1's floating IPs lead, and what shadows there are.
func (w *outdoors) out() string {
	var lines []string
	for _, f := range w.cloud.Pod("pod1").Objects("floatingip") {
		lines = append(lines, fmt.Sprintf("%v to %v %v", f["floating_ip_address"], f["fixed_ip_address"], f["status"]))
		for _, fw := range fixedIPs(f["port_forwardings"]) {
			lines = append(lines, fmt.Sprintf("%v:%v to %v:%v", f["floating_ip_address"], fw["external_port"], fw["internal_ip_address"], fw["internal_port"]))
		}
	}
	for _, p := range w.cloud.Pod("pod1").Objects("port") {
		if d, _ := p["description"].(string); strings.HasPrefix(d, "tricircle:shadow_port:") {
			lines = append(lines, fmt.Sprintf("shadow %v", fixedIPs(p["fixed_ips"])[0]["ip_address"]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func (w *outdoors) check(want string) {
	w.t.Helper()
	w.settle()
	if got := w.out(); got != want {
		w.t.Errorf("pod1 has %q, want %q", got, want)
	}
	if all := w.cloud.Pod("pod2").Objects("floatingip"); len(all) > 0 {
		w.t.Errorf("pod2 has %v", all)
	}
}

func leads(f topology.FloatingIP, p topology.Port) string {
	return fmt.Sprintf("%s to %s ACTIVE", f.Address, p.FixedIPs[0].Address)
}

func shadow(p topology.Port) string { return "; shadow " + p.FixedIPs[0].Address.String() }

func TestFloatingIP_moves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newOutdoors(t, s)
		near, far := w.ports(w.a.ID, 1)[0], w.ports(w.b.ID, 1)[0]
		f := w.float(far.ID)
		w.check("") // no pod has the port yet
		w.mustWant(portIn(far, "pod2"))
		w.check(leads(f, far) + shadow(far))
		w.mustWant(portIn(near, "pod1"))
		w.cloud.Pod("pod1").ResetCalls()
		w.lead(f, near.ID)
		w.check(leads(f, near))
		puts := 0
		for _, c := range w.cloud.Pod("pod1").Calls() {
			if c.Method == http.MethodPut && strings.Contains(c.Path, "/floatingips/") {
				puts++
			}
		}
		if puts != 1 {
			t.Errorf("the floating IP moved with %d changes, want 1", puts)
		}
		w.lead(f, "")
		w.check("")
		w.lead(f, far.ID)
		w.check(leads(f, far) + shadow(far))
		if err := s.DeletePort(t.Context(), far.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.check("")
	})
}

func TestFloatingIP_forwards(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newOutdoors(t, s)
		near, far := w.ports(w.a.ID, 1)[0], w.ports(w.b.ID, 1)[0]
		w.mustWant(portIn(near, "pod1"))
		w.mustWant(portIn(far, "pod2"))
		f := w.float("")
		one, two := w.forward(f, near, 2201, 22), w.forward(f, far, 2202, 22)
		line := func(p topology.Port, outer int) string {
			return fmt.Sprintf("%s:%d to %s:22", f.Address, outer, p.FixedIPs[0].Address)
		}
		head := fmt.Sprintf("%s to <nil> ACTIVE", f.Address)
		w.check(head + "; " + line(near, 2201) + "; " + line(far, 2202) + shadow(far))
		if err := s.PortForwardings().Delete(t.Context(), two.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.check(head + "; " + line(near, 2201))
		if err := s.PortForwardings().Delete(t.Context(), one.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.check("")
		w.lead(f, far.ID)
		w.check(leads(f, far) + shadow(far))
	})
}

// TestFloatingIP_faults: whatever call to the pod goes wrong, and however, in the end all
// is as it would be without; and all goes that was made.
func TestFloatingIP_faults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]podtest.Fault{
		"refused": {Status: 503}, "reply lost": {DropReply: true}, "request lost": {DropRequest: true}, "garbage": {Garbage: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/floatingips", "/port_forwardings", "/ports"} {
				w := newOutdoors(t, storetest.New(t))
				far := w.ports(w.b.ID, 2)
				w.mustWant(portIn(far[0], "pod2"))
				w.mustWant(portIn(far[1], "pod2"))
				w.settle()
				f, g := w.float(far[0].ID), w.float("")
				w.forward(g, far[1], 80, 8080)
				for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
					one := fault
					one.Method, one.Path, one.Times = method, path, 2
					w.cloud.Pod("pod1").Fault(one)
				}
				w.settle()
				w.restart()
				if got := w.out(); !strings.Contains(got, leads(f, far[0])) || !strings.Contains(got, "8080") || strings.Count(got, "shadow") != 2 || strings.Count(got, "ACTIVE") != 2 {
					t.Errorf("%s: pod1 has %q", path, got)
				}
				for _, id := range []string{far[0].ID, far[1].ID} {
					if err := w.store.DeletePort(t.Context(), id, nil); err != nil {
						t.Fatal(err)
					}
				}
				w.check("")
			}
		})
	}
}

// TestFloatingIP_podAway: what happens while the pod of the external network is away is
// as if it had been there.
func TestFloatingIP_podAway(t *testing.T) {
	t.Parallel()
	w := newOutdoors(t, storetest.New(t))
	far := w.ports(w.b.ID, 2)
	w.mustWant(portIn(far[0], "pod2"))
	w.mustWant(portIn(far[1], "pod2"))
	stays, goes := w.float(far[0].ID), w.float("")
	w.forward(goes, far[1], 80, 8080)
	w.settle()
	w.cloud.Pod("pod1").Down()
	w.lead(stays, "")
	if err := w.store.DeletePort(t.Context(), far[1].ID, nil); err != nil { // its forwarding ends with it
		t.Fatal(err)
	}
	if err := w.store.DeleteFloatingIP(t.Context(), goes.ID, func(*topology.FloatingIP) error { return nil }); err != nil {
		t.Fatal(err)
	}
	w.lead(stays, far[0].ID)
	w.cloud.Pod("pod1").Up()
	w.check(leads(stays, far[0]) + shadow(far[0]))
}

// TestFloatingIP_local: a server on a network that one pod alone can have is not
// reached from another; the job says so.
func TestFloatingIP_local(t *testing.T) {
	t.Parallel()
	w := newOutdoors(t, storetest.New(t))
	nets, err := w.store.CreateNetworks(t.Context(), []topology.Network{{ProjectID: w.project, Name: "lone", AdminStateUp: true, Type: topology.TypeLocal}})
	if err != nil {
		t.Fatal(err)
	}
	w.subnet(nets[0].ID, "10.0.9.0/24")
	w.attach(nets[0])
	p := w.ports(nets[0].ID, 1)[0]
	w.mustWant(portIn(p, "pod2"))
	f := w.float(p.ID)
	for range 3 {
		err = w.Ensure(t.Context(), store.Target{Kind: store.KindFloatingIP, ID: f.ID, Pod: "pod1"}, nil)
	}
	if err == nil || !strings.Contains(err.Error(), "network "+nets[0].ID+" is local") {
		t.Errorf("the job says %v", err)
	}
	if got := w.out(); got != "" {
		t.Errorf("pod1 has %q", got)
	}
}

// TestFloatingIP_everythingGoes: nothing is left of networks, routers and floating IPs.
func TestFloatingIP_everythingGoes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		before := fmt.Sprint(podtest.New(t, podtest.Options{Pods: []string{"pod1"}}).Pod("pod1").Inventory()["router"])
		w := newOutdoors(t, s)
		far := w.ports(w.b.ID, 1)[0]
		w.mustWant(portIn(far, "pod2"))
		f := w.float(far.ID)
		w.settle()
		if err := s.DeleteFloatingIP(t.Context(), f.ID, func(*topology.FloatingIP) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.DeletePort(t.Context(), far.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.setGateway("")
		w.detach(w.a)
		w.detach(w.b)
		if err := s.DeleteRouter(t.Context(), w.router.ID, nil); err != nil {
			t.Fatal(err)
		}
		for _, n := range []topology.Network{w.a, w.b, w.external} {
			if err := s.DeleteNetwork(t.Context(), n.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.settle()
		for _, p := range w.cloud.Pods() {
			all := p.Inventory()
			for _, kind := range []string{"network", "subnet", "port", "router", "floatingip"} {
				if fmt.Sprint(all[kind]) != before {
					t.Errorf("%s is left: %v", kind, all[kind])
				}
			}
		}
	})
}
