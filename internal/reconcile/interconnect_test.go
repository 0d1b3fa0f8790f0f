package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod/bus"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// wire is the message bus of a simulated pod.
type wire struct {
	pod     *podtest.Pod
	reports int
	// broken is what each call answers, after this many that work.
	broken error
	after  int
	hangs  bool // calls end with their time only
}

func (b *wire) step(ctx context.Context) error {
	if b.hangs {
		<-ctx.Done()
		return errors.New("no answer in time")
	}
	if b.broken != nil {
		if b.after == 0 {
			return b.broken
		}
		b.after--
	}
	return nil
}

func (b *wire) Report(ctx context.Context, a bus.Agent) error {
	if err := b.step(ctx); err != nil {
		return err
	}
	b.reports++
	b.pod.Network.ReportAgent(a.Host, a.TunnelIP)
	return nil
}

func (b *wire) Up(ctx context.Context, portID, host string) error {
	if err := b.step(ctx); err != nil {
		return err
	}
	b.pod.Network.PortUp(portID, host)
	return nil
}

func (b *wire) Close() {}

// wired is a world whose pods grant their buses.
type wired struct {
	*world
	buses map[string]*wire
	net   topology.Network
}

func newWired(t *testing.T, s *store.Store) *wired {
	t.Helper()
	w := &wired{world: newWorld(t, s, podtest.Options{}), buses: map[string]*wire{}}
	f := s.Fabric()
	f.VNIs = []topology.SegmentRange{{Min: 1901, Max: 1949}}
	if err := s.SetFabric(f); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pod1", "pod2"} {
		w.buses[name] = &wire{pod: w.cloud.Pod(name)}
		_, err := s.UpdatePod(t.Context(), name, func(p *store.Pod) error {
			p.MessageBus = "env:BUS"
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.fleet.Changed()
	w.Reconciler = reconcile.New(reconcile.Options{Store: s, Pods: w.fleet, Holder: "test", Grace: time.Minute,
		Bus: func(_ context.Context, pod string) (reconcile.Bus, error) { return w.buses[pod], nil }})
	nets, err := s.CreateNetworks(t.Context(), []topology.Network{{ProjectID: w.project, Name: "far", Type: topology.TypeVXLAN,
		AdminStateUp: true, PortSecurityEnabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	w.net = nets[0]
	w.subnet(w.net.ID, "10.0.0.0/24")
	return w
}

// bound brings a port into the pod, and has the pod's Nova put it on a host.
func (w *wired) bound(podName string) topology.Port {
	w.t.Helper()
	p := w.ports(w.net.ID, 1)[0]
	w.mustWant(portIn(p, podName))
	w.bind(podName, p, w.host(podName))
	return p
}

func (w *wired) host(podName string) string { return w.cloud.Pod(podName).Network.Host }

func (w *wired) bind(podName string, p topology.Port, host string) {
	w.t.Helper()
	m, err := w.store.FindMapping(w.t.Context(), portIn(p, podName))
	if err != nil {
		w.t.Fatal(err)
	}
	w.put(podName, "/ports/"+m.PodID, fmt.Sprintf(`{"port": {"device_id": "i-%s", "device_owner": "compute:nova", "binding:host_id": %q}}`, p.ID, host))
}

func (w *wired) put(podName, path, body string) {
	w.t.Helper()
	w.operate(podName, http.MethodPut, "/v2.0"+path, strings.NewReader(body))
}

// standIns are the hosts of other pods that the pod has a live port at.
func (w *wired) standIns(podName string) []string {
	out := []string{}
	for _, o := range w.cloud.Pod(podName).Objects("port") {
		if o["device_owner"] == topology.OwnerStandIn && o["status"] == "ACTIVE" && len(rest.Docs(o, "fixed_ips")) == 0 {
			out = append(out, o["binding:host_id"].(string))
		}
	}
	slices.Sort(out)
	return out
}

func (w *wired) played(podName string) (hosts []string) {
	for _, a := range w.cloud.Pod(podName).Network.Agents() {
		if host := a["host"].(string); topology.IsStandIn(host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func (w *wired) expect(what string, pod1, pod2 int) {
	w.t.Helper()
	if a, b := w.standIns("pod1"), w.standIns("pod2"); len(a) != pod1 || len(b) != pod2 {
		w.t.Errorf("%s: pod1 knows %v, pod2 %v, want %d and %d", what, a, b, pod1, pod2)
	}
}

func eachWired(t *testing.T, do func(t *testing.T, w *wired)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) { do(t, newWired(t, s)) })
}

func TestVXLANReachesBothPods(t *testing.T) {
	t.Parallel()
	eachWired(t, func(t *testing.T, w *wired) {
		first := w.bound("pod1")
		w.settle()
		w.expect("in one pod", 0, 0)
		w.bound("pod2")
		w.settle()
		w.expect("in both", 1, 1)
		if got := w.standIns("pod1"); !slices.Equal(got, []string{topology.StandInHost("pod2", w.host("pod2"))}) {
			t.Errorf("pod1 knows %v", got)
		}
		a, b := w.cloud.Pod("pod1").Objects("network")[0], w.cloud.Pod("pod2").Objects("network")[0]
		if a["provider:segmentation_id"] != w.net.SegmentationID || b["provider:segmentation_id"] != w.net.SegmentationID || a["mtu"] != 1450 {
			t.Errorf("networks are %v and %v", a, b)
		}

		w.cloud.Pod("pod1").ResetCalls()
		w.bound("pod2")
		w.settle()
		w.expect("another server on the host", 1, 1)
		for _, c := range w.cloud.Pod("pod1").Calls() {
			if c.Method != http.MethodGet && !strings.Contains(c.Path, "/address-groups/") {
				t.Errorf("one more server on a host that is known took %v", c)
			}
		}

		if err := w.store.DeletePort(t.Context(), first.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.expect("pod1's server is gone, its network is not", 1, 0)
		if agents := w.played("pod2"); len(agents) != 0 {
			t.Errorf("agents of hosts that are not needed any more: %v", agents)
		}
	})
}

// A server whose host is not chosen yet is waited for; a host that changed is
// noticed when the pod says so.
func TestVXLANFollowsHosts(t *testing.T) {
	t.Parallel()
	eachWired(t, func(t *testing.T, w *wired) {
		w.bound("pod1")
		p := w.ports(w.net.ID, 1)[0]
		w.mustWant(portIn(p, "pod2"))
		w.bind("pod2", p, "")
		err := w.Ensure(t.Context(), store.Target{Kind: store.KindInterconnect, ID: w.net.ID, Pod: "pod1"}, nil)
		if again, ok := errors.AsType[*jobs.Again](err); !ok || again.After < time.Second {
			t.Errorf("Ensure = %v, want to come again", err)
		}
		w.bind("pod2", p, w.host("pod2"))
		w.settle()
		w.expect("bound", 1, 1)

		w.cloud.Pod("pod2").Network.ReportAgent("other", "192.0.2.77") // a second host of pod2
		w.bind("pod2", p, "other")
		if err := w.store.SetBindings(t.Context(), map[string]topology.Binding{p.ID: {Status: "ACTIVE", Host: "other"}}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if got := w.standIns("pod1"); !slices.Equal(got, []string{topology.StandInHost("pod2", "other")}) {
			t.Errorf("pod1 knows %v, want the new host", got)
		}
	})
}

// A bus that is away, refuses or hangs keeps the interconnect waiting, says so,
// and nothing else waits with it.
func TestBrokenBusTouchesNothingElse(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*wire){
		"away":  func(b *wire) { b.broken = errors.New("connection refused") },
		"later": func(b *wire) { b.broken, b.after = errors.New("connection refused"), 1 },
		"hangs": func(b *wire) { b.hangs = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWired(t, func(t *testing.T, w *wired) {
				breakIt(w.buses["pod1"])
				w.bound("pod1")
				began := time.Now()
				w.bound("pod2")
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("a server waited %v for the bus", took)
				}
				target := store.Target{Kind: store.KindInterconnect, ID: w.net.ID, Pod: "pod1"}
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				if err := w.Ensure(ctx, target, nil); err == nil {
					t.Error("Ensure succeeded without a bus")
				}
				if m, err := w.store.FindMapping(t.Context(), target); err != nil || m.Reason == "" {
					t.Errorf("the mapping gives the reason %q, %v", m.Reason, err)
				}
				if err := w.Ensure(t.Context(), store.Target{Kind: store.KindInterconnect, ID: w.net.ID, Pod: "pod2"}, nil); err != nil {
					t.Errorf("pod2's bus works: %v", err)
				}
				w.expect("pod1's bus is broken", 0, 1)
				*w.buses["pod1"] = wire{pod: w.cloud.Pod("pod1")}
				w.settle()
				w.expect("and mended", 1, 1)
				if n := len(w.cloud.Pod("pod1").Objects("port")); n != 3 { // DHCP, server, stand-in
					t.Errorf("pod1 has %d ports, want 3", n)
				}
			})
		})
	}
}

// A network leaves nothing, whether or not the bus is there.
func TestVXLANLeavesNothing(t *testing.T) {
	t.Parallel()
	eachWired(t, func(t *testing.T, w *wired) {
		a, b := w.bound("pod1"), w.bound("pod2")
		w.settle()
		w.expect("in both", 1, 1)
		w.buses["pod1"].broken = errors.New("connection refused")
		for _, p := range []topology.Port{a, b} {
			if err := w.store.DeletePort(t.Context(), p.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.store.DeleteNetwork(t.Context(), w.net.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		for _, name := range []string{"pod1", "pod2"} {
			if n := len(w.cloud.Pod(name).Objects("port")) + len(w.cloud.Pod(name).Objects("network")) + len(w.played(name)); n != 0 {
				t.Errorf("%s still has %d things", name, n)
			}
		}
		left, err := w.store.ListMappings(t.Context(), store.MappingQuery{Kind: store.KindInterconnect})
		if err != nil || len(left) != 0 {
			t.Errorf("mappings left: %v, %v", left, err)
		}
	})
}

// Agents report as long as their ports are there; those that a crash left go with
// the next removal.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	eachWired(t, func(t *testing.T, w *wired) {
		if err := w.KeepAlive(t.Context(), "pod1"); err != nil || w.buses["pod1"].reports != 0 {
			t.Errorf("KeepAlive without agents = %v, %d reports", err, w.buses["pod1"].reports)
		}
		w.bound("pod1")
		b := w.bound("pod2")
		w.settle()
		before := w.buses["pod1"].reports
		if err := w.KeepAlive(t.Context(), "pod1"); err != nil || w.buses["pod1"].reports != before+1 {
			t.Errorf("KeepAlive = %v, %d more reports, want 1", err, w.buses["pod1"].reports-before)
		}
		orphan := topology.StandInHost("pod2", "orphan")
		w.cloud.Pod("pod1").Network.ReportAgent(orphan, "192.0.2.9")
		w.cloud.Pod("pod1").Network.Silence(orphan)
		if err := w.store.DeletePort(t.Context(), b.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if agents := w.played("pod1"); len(agents) != 0 {
			t.Errorf("pod1 still has the agents %v", agents)
		}
	})
}
