package reconcile_test

import (
	"net/http"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// byHand is what a pod's operator does there.
func (w *world) byHand(method, path string, body any) {
	w.t.Helper()
	c, err := w.fleet.Client(w.t.Context(), "pod1")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.JSON(w.t.Context(), pod.Request{Service: pod.Network, Method: method, Path: path, Op: "do by hand"}, body, nil); err != nil {
		w.t.Fatal(err)
	}
}

// inspected is what is found in pod1, as "kind problem: fields".
func (w *world) inspected() []string {
	w.t.Helper()
	all, err := w.Inspect(w.t.Context(), "pod1")
	if err != nil {
		w.t.Fatal(err)
	}
	found := []string{}
	for _, d := range all {
		text := d.Kind + " " + d.Name + " " + string(d.Problem)
		for _, f := range d.Fields {
			text += "; " + f.Field + " " + f.Values["pod1"]
			if wanted, ok := f.Values[reconcile.Wants]; ok {
				text += ", want " + wanted
			}
		}
		found = append(found, text)
	}
	slices.Sort(found)
	return found
}

func TestWhatAnOperatorDidByHandIsFoundAndPutRight(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("net", "10.0.0.0/24")
		groups, err := s.CreateSecurityGroups(t.Context(), []topology.SecurityGroup{{ProjectID: w.project, Name: "web", Stateful: true}})
		if err != nil {
			t.Fatal(err)
		}
		specs := []topology.PortSpec{
			{Port: topology.Port{ProjectID: w.project, NetworkID: net.ID, AdminStateUp: true, Name: "a"}, WantGroups: []string{groups[0].ID}},
			{Port: topology.Port{ProjectID: w.project, NetworkID: net.ID, AdminStateUp: true, Name: "b"}},
			{Port: topology.Port{ProjectID: w.project, NetworkID: net.ID, AdminStateUp: true, Name: "c"}},
		}
		ports, err := s.CreatePorts(t.Context(), specs)
		if err != nil {
			t.Fatal(err)
		}
		in := func(p topology.Port) store.Target { return portIn(p, "pod1") }
		for _, p := range ports {
			w.mustWant(in(p))
		}
		if found := w.inspected(); len(found) > 0 {
			t.Fatalf("before anybody did anything: %v", found)
		}
		netIn := w.podIDOf(store.Target{Kind: store.KindNetwork, ID: net.ID, Pod: "pod1"})
		groupIn := w.podIDOf(store.Target{Kind: store.KindSecurityGroup, ID: groups[0].ID, Pod: "pod1"})
		subnets, err := s.SubnetsOf(t.Context(), net.ID)
		if err != nil {
			t.Fatal(err)
		}
		subnetIn := w.podIDOf(store.Target{Kind: store.KindSubnet, ID: subnets[0].ID, Pod: "pod1"})
		w.byHand("PUT", "/networks/"+netIn, map[string]any{"network": map[string]any{"mtu": 1400}})
		w.byHand("PUT", "/subnets/"+subnetIn, map[string]any{"subnet": map[string]any{"dns_nameservers": []string{"9.9.9.9"}}})
		w.byHand("PUT", "/ports/"+w.podIDOf(in(ports[0])), map[string]any{"port": map[string]any{"admin_state_up": false, "name": "x"}})
		w.byHand("DELETE", "/ports/"+w.podIDOf(in(ports[1])), nil)
		w.byHand("POST", "/security-group-rules", map[string]any{"security_group_rule": map[string]any{
			"security_group_id": groupIn, "direction": "ingress", "protocol": "tcp"}})
		w.byHand("POST", "/networks", map[string]any{"network": map[string]any{"name": "own"}})
		want := []string{
			"network net different; mtu 1400, want 1500; subnet dns_nameservers [\"9.9.9.9\"], want []",
			"network own only in",
			"port b missing",
			"port x different; admin_state_up false, want true; name x, want a",
			"security_group web different; security group rule too much",
		}
		slices.Sort(want)
		before := len(w.cloud.Pod("pod1").Calls())
		if diff := cmp.Diff(want, w.inspected()); diff != "" {
			t.Errorf("found (-want +got):\n%s", diff)
		}
		for _, c := range w.cloud.Pod("pod1").Calls()[before:] {
			if c.Method != http.MethodGet {
				t.Errorf("to look is no change: %v", c)
			}
		}
		all, err := w.Inspect(t.Context(), "pod1")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.PutRight(t.Context(), "pod1", all); n != 4 || err != nil {
			t.Errorf("PutRight = %d, %v", n, err)
		}
		if found := w.inspected(); len(found) != 1 {
			t.Errorf("what a job is about to put right is no drift any more: %v", found)
		}
		pending, err := s.ListMappings(t.Context(), store.MappingQuery{Pending: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pending {
			if err := w.Ensure(t.Context(), m.Target, nil); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]string{"network own only in"}, w.inspected()); diff != "" {
			t.Errorf("after the jobs (-want +got):\n%s", diff)
		}
		w.repairsOne(in(ports[2]))
	})
}

// repairsOne changes a port and has it repaired by name.
func (w *world) repairsOne(in store.Target) {
	w.t.Helper()
	w.byHand("PUT", "/ports/"+w.podIDOf(in), map[string]any{"port": map[string]any{"name": "y"}})
	for _, step := range []struct {
		dry  bool
		want string
	}{{true, reconcile.RepairPlanned}, {false, reconcile.RepairDone}, {false, reconcile.RepairNothing}} {
		done, err := w.RepairPlaced(w.t.Context(), reconcile.Repair{Kind: store.KindPort, Name: in.ID, DryRun: step.dry})
		if err != nil || len(done.Steps) != 1 || done.Steps[0].State != step.want {
			w.t.Errorf("RepairPlaced(dry %v) = %+v, %v; want %s", step.dry, done, err, step.want)
		}
	}
	if _, err := w.RepairPlaced(w.t.Context(), reconcile.Repair{Kind: store.KindPort, Name: "none"}); err == nil {
		w.t.Error("a port that is nowhere was repaired")
	}
}

func TestInspectionOfAPodThatIsAwayChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	net := w.network("net", "10.0.0.0/24")
	w.mustWant(store.Target{Kind: store.KindNetwork, ID: net.ID, Pod: "pod1"})
	remove := w.cloud.Pod("pod1").Fault(podtest.Fault{Service: "network", Path: "/v2.0/ports", Status: 500})
	if all, err := w.Inspect(t.Context(), "pod1"); err == nil {
		t.Errorf("a pod that does not list its ports was inspected: %v", all)
	}
	remove()
	if all, err := w.Inspect(t.Context(), "pod1"); err != nil || len(all) > 0 {
		t.Errorf("Inspect = %v, %v", all, err)
	}
}

// A change that arrives while the port is being made in the pod, for a server that
// boots, gets there too.
func TestAChangeDuringAServersBootIsNotLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		net := w.network("net", "10.0.0.0/24")
		p := w.ports(net.ID, 1)[0]
		changed := false
		w.cloud.Pod("pod1").Fault(podtest.Fault{Method: http.MethodPost, Path: "/v2.0/ports", After: func(*http.Request) {
			if changed { // DHCP's port came first, or this is a second try
				return
			}
			changed = true
			_, err := s.UpdatePort(t.Context(), p.ID, func(spec *topology.PortSpec) error {
				spec.Name, spec.AdminStateUp = "late", false
				spec.WantIPs = []topology.WantIP{{Address: netip.MustParseAddr("10.0.0.77")}}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}})
		w.mustWant(portIn(p, "pod1")) // as the gateway does before it asks for the server
		if found := w.inspected(); !changed || len(found) > 0 {
			t.Errorf("changed %v; the pod differs: %v", changed, found)
		}
		w.cloud.Pod("pod1").Network.Mu.Lock()
		d := w.cloud.Pod("pod1").Network.Port(admin, w.podIDOf(portIn(p, "pod1")))
		name, up := d["name"], d["admin_state_up"]
		w.cloud.Pod("pod1").Network.Mu.Unlock()
		if name != "late" || up != false {
			t.Errorf("in the pod the port is %v, up %v", name, up)
		}
	})
}

func TestPatrolDoesWhatThePodsOperatorWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	net := w.network("net", "10.0.0.0/24")
	p := w.ports(net.ID, 1)[0]
	w.mustWant(portIn(p, "pod1"))
	w.byHand("DELETE", "/ports/"+w.podIDOf(portIn(p, "pod1")), nil)
	for _, policy := range []string{store.DriftReport, store.DriftRepair} {
		_, err := w.store.UpdatePod(t.Context(), "pod1", func(p *store.Pod) error {
			p.Drift = policy
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w.fleet.Changed()
		if err := w.Patrol(t.Context(), "pod1"); err != nil {
			t.Fatal(err)
		}
		m, err := w.store.FindMapping(t.Context(), portIn(p, "pod1"))
		if repaired := policy == store.DriftRepair; err != nil || m.Pending() != repaired {
			t.Errorf("%s: a job is to put it right: %v, %v", policy, m.Pending(), err)
		}
	}
}
