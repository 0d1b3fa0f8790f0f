package reconcile_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func anyTrunk(*topology.Trunk) error { return nil }

// trunk makes a central trunk of the first port, with the others as subports.
func (w *world) trunk(ports ...topology.Port) topology.Trunk {
	w.t.Helper()
	t := topology.Trunk{Standard: topology.Standard{ProjectID: w.project}, Name: "trunk", AdminStateUp: true, PortID: ports[0].ID}
	for i, p := range ports[1:] {
		t.Subports = append(t.Subports, topology.Subport{PortID: p.ID, SegmentationType: topology.TypeVLAN, SegmentationID: i + 10})
	}
	made, err := w.store.Trunks().Create(w.t.Context(), []topology.Trunk{t})
	if err != nil {
		w.t.Fatal(err)
	}
	return made[0]
}

// trunkIn is the pod's only trunk: its state, and our IDs of its ports.
func (w *world) trunkIn(podName string) []string {
	w.t.Helper()
	p := w.cloud.Pod(podName)
	ours := map[any]string{}
	for _, o := range p.Objects("port") {
		ours[o["id"]] = fmt.Sprint(o["description"])
	}
	all := p.Objects("trunk")
	if len(all) != 1 {
		w.t.Fatalf("%s has %d trunks, want one", podName, len(all))
	}
	out := []string{fmt.Sprint(all[0]["name"], " ", all[0]["admin_state_up"], " ", ours[all[0]["port_id"]])}
	for _, s := range all[0]["sub_ports"].([]map[string]any) {
		out = append(out, fmt.Sprint(s["segmentation_id"], " ", ours[s["port_id"]]))
	}
	slices.Sort(out[1:])
	return out
}

func mark(p topology.Port) string { return "tricircle:port:" + p.ID }

func TestSubportsFollowTheirParent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		ctx := t.Context()
		clean := w.cloud.Pod("pod1").Inventory()
		blue, red := w.network("blue", "10.0.0.0/24"), w.network("red", "10.1.0.0/24")
		parent, subs := w.ports(blue.ID, 1)[0], w.ports(red.ID, 3)
		trunk := w.trunk(parent, subs[0], subs[1])
		w.mustWant(portIn(parent, "pod1"))
		want := []string{"trunk true " + mark(parent), "10 " + mark(subs[0]), "11 " + mark(subs[1])}
		if diff := cmp.Diff(want, w.trunkIn("pod1")); diff != "" {
			t.Fatalf("trunk in pod1 (-want +got):\n%s", diff)
		}

		// Changes, also of a trunk that is down by the time the job comes.
		if _, err := s.Trunks().RemoveSubports(ctx, trunk.ID, []string{subs[0].ID}, anyTrunk); err != nil {
			t.Fatal(err)
		}
		added := []topology.Subport{{PortID: subs[2].ID, SegmentationType: topology.TypeVLAN, SegmentationID: 12}}
		if _, err := s.Trunks().AddSubports(ctx, trunk.ID, added, anyTrunk); err != nil {
			t.Fatal(err)
		}
		down := func(t *topology.Trunk) error { t.Name, t.AdminStateUp = "down", false; return nil }
		if _, err := s.Trunks().Update(ctx, trunk.ID, down); err != nil {
			t.Fatal(err)
		}
		w.settle()
		want = []string{"down false " + mark(parent), "11 " + mark(subs[1]), "12 " + mark(subs[2])}
		if diff := cmp.Diff(want, w.trunkIn("pod1")); diff != "" {
			t.Errorf("trunk in pod1 after changes (-want +got):\n%s", diff)
		}
		if n := w.count("port"); n != 5 { // with a DHCP port for each network
			t.Errorf("pod1 has %d of our ports, want 5: the subport that left stayed", n)
		}

		// What takes the parent out of the pod takes all of it.
		if err := s.Unwant(ctx, store.KindPort, parent.ID); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if got := []int{len(w.cloud.Pod("pod1").Objects("trunk")), w.count("port")}; !slices.Equal(got, []int{0, 2}) {
			t.Errorf("trunks and ports left in pod1 = %v, want only the DHCP ports", got)
		}
		w.mustWant(portIn(parent, "pod2"))
		if diff := cmp.Diff(want, w.trunkIn("pod2")); diff != "" {
			t.Errorf("trunk in pod2 (-want +got):\n%s", diff)
		}

		up := func(t *topology.Trunk) error { t.AdminStateUp = true; return nil }
		if _, err := s.Trunks().Update(ctx, trunk.ID, up); err != nil {
			t.Fatal(err)
		}
		if err := s.Trunks().Delete(ctx, trunk.ID, nil); err != nil {
			t.Fatal(err)
		}
		for _, p := range append(subs, parent) {
			if err := s.DeletePort(ctx, p.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []topology.Network{blue, red} {
			if err := s.DeleteNetwork(ctx, n.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.settle()
		for _, pod := range []string{"pod1", "pod2"} {
			w.cloud.Pod(pod).Settle()
			if left := w.cloud.Pod(pod).Inventory(); pod == "pod1" && !cmp.Equal(clean, left) {
				t.Errorf("left in %s: %s", pod, cmp.Diff(clean, left))
			}
		}
	})
}

// A port that is in a pod becomes a parent: whoever then boots a server with it
// finds the trunk there.
func TestPortInAPodBecomesAParent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		ports := w.ports(w.network("blue", "10.0.0.0/24").ID, 2)
		w.mustWant(portIn(ports[0], "pod1"))
		w.trunk(ports...)
		w.mustWant(portIn(ports[0], "pod1")) // as a waiting user does
		if diff := cmp.Diff([]string{"trunk true " + mark(ports[0]), "10 " + mark(ports[1])}, w.trunkIn("pod1")); diff != "" {
			t.Errorf("trunk in pod1 (-want +got):\n%s", diff)
		}
		w.settle()
	})
}

// Whatever call goes wrong, one trunk is there in the end.
func TestTrunkSurvivesFailures(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]podtest.Fault{"reply lost": {DropReply: true}, "500": {Status: 500, Body: "oops"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.New(t), podtest.Options{})
			for nth := 1; nth <= 8; nth++ {
				net := w.network(fmt.Sprint("net", nth), "10.0.0.0/24")
				ports := w.ports(net.ID, 2)
				trunk := w.trunk(ports...)
				fault.Nth, fault.Times = nth, 1
				remove := w.cloud.Pod("pod1").Fault(fault)
				_ = w.want(portIn(ports[0], "pod1"))
				remove()
				w.restart()
				w.mustWant(portIn(ports[0], "pod1"))
				w.settle()
				if diff := cmp.Diff([]string{"trunk true " + mark(ports[0]), "10 " + mark(ports[1])}, w.trunkIn("pod1")); diff != "" {
					t.Errorf("call %d (-want +got):\n%s", nth, diff)
				}
				remove = w.cloud.Pod("pod1").Fault(fault)
				if err := w.store.Trunks().Delete(t.Context(), trunk.ID, nil); err != nil {
					t.Fatal(err)
				}
				if err := w.store.Unwant(t.Context(), store.KindPort, ports[0].ID); err != nil {
					t.Fatal(err)
				}
				w.settle()
				remove()
				if got := len(w.cloud.Pod("pod1").Objects("trunk")); got != 0 {
					t.Errorf("call %d: %d trunks left", nth, got)
				}
			}
		})
	}
}
