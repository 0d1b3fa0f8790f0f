package reconcile_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// world is two simulated pods with a store, a fleet and a reconciler over them.
type world struct {
	t       testing.TB
	cloud   *podtest.Cloud
	store   *store.Store
	fleet   *fleet.Fleet
	project string
	timeout time.Duration // of a call to a pod
	late    atomic.Int64  // by how many nanoseconds the reconciler's clock is fast
	*reconcile.Reconciler
}

// newWorld has all clouds as pods: pod1 and pod2, if the options name no others.
func newWorld(t testing.TB, s *store.Store, o podtest.Options) *world {
	t.Helper()
	if o.Pods == nil {
		o.Pods = []string{"pod1", "pod2"}
	}
	return worldOf(t, s, o, o.Pods...)
}

// worldOf has some of the clouds as pods.
func worldOf(t testing.TB, s *store.Store, o podtest.Options, pods ...string) *world {
	t.Helper()
	w := &world{t: t, cloud: podtest.New(t, o), store: s, timeout: 30 * time.Second}
	w.project = w.cloud.ProjectID("demo")
	err := s.SetFabric(topology.Fabric{Physical: []topology.PhysicalNetwork{
		{Name: "bridge", VLANs: []topology.SegmentRange{{Min: 101, Max: 200}}, Flat: true}}})
	if err != nil {
		t.Fatal(err)
	}
	w.restart()
	for i, name := range pods {
		p := store.Pod{Name: name, Region: podtest.Region(name), Zone: fmt.Sprintf("az%d", i+1), DHCPPorts: max(o.DHCPAgents, 1)}
		if _, err := s.CreatePod(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	w.fleet.Changed()
	return w
}

// restart is what a new process has: the store, and nothing in memory.
func (w *world) restart() {
	account := pod.NewAccount(pod.AccountOptions{AuthURL: w.cloud.AuthURL(), Username: "admin", Password: "secret",
		ProjectName: "admin", UserDomainName: "Default", ProjectDomainName: "Default"})
	w.fleet = fleet.New(fleet.Options{Store: w.store, Own: account, Client: pod.Options{Timeout: w.timeout,
		Breaker: pod.BreakerOptions{Failures: 1000}}})
	w.Reconciler = reconcile.New(reconcile.Options{Store: w.store, Pods: w.fleet, Holder: uuid.NewString(), Grace: time.Minute, Now: w.now})
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.late.Load())) }

// later is between two rounds of jobs: some wait for what a pod may still do.
func (w *world) later() { w.late.Add(int64(15 * time.Second)) }

// network makes a central VLAN network with a DHCP subnet.
func (w *world) network(name, cidr string) topology.Network {
	w.t.Helper()
	nets, err := w.store.CreateNetworks(w.t.Context(), []topology.Network{{ProjectID: w.project, Name: name,
		AdminStateUp: true, PortSecurityEnabled: true}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.subnet(nets[0].ID, cidr)
	return nets[0]
}

func (w *world) subnet(networkID, cidr string) {
	w.t.Helper()
	prefix := netip.MustParsePrefix(cidr)
	version := 4
	if prefix.Addr().Is6() {
		version = 6
	}
	_, err := w.store.CreateSubnets(w.t.Context(), []topology.SubnetSpec{{Subnet: topology.Subnet{ProjectID: w.project,
		NetworkID: networkID, IPVersion: version, CIDR: prefix, EnableDHCP: true, Name: "sub"}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// ports makes central ports on a network.
func (w *world) ports(networkID string, n int) []topology.Port {
	w.t.Helper()
	specs := make([]topology.PortSpec, n)
	for i := range specs {
		specs[i].Port = topology.Port{ProjectID: w.project, NetworkID: networkID, AdminStateUp: true}
	}
	made, err := w.store.CreatePorts(w.t.Context(), specs)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// want asks for the target and brings it about.
func (w *world) want(t store.Target) error {
	if _, err := w.store.Want(context.Background(), w.project, t); err != nil {
		return err
	}
	return w.Ensure(context.Background(), t, nil)
}

func (w *world) mustWant(t store.Target) {
	w.t.Helper()
	if err := w.want(t); err != nil {
		w.t.Fatalf("%v: %v", t, err)
	}
}

func portIn(p topology.Port, podName string) store.Target {
	return store.Target{Kind: store.KindPort, ID: p.ID, Pod: podName}
}

// settle does the work of all jobs until none is left.
func (w *world) settle() {
	w.t.Helper()
	for range 12 {
		pending, err := w.store.ListMappings(w.t.Context(), store.MappingQuery{Pending: true})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(pending) == 0 {
			return
		}
		for _, m := range pending {
			if err := w.Ensure(w.t.Context(), m.Target, nil); err != nil {
				w.t.Logf("settle: %v", err)
			}
		}
		w.later()
	}
	w.t.Fatal("jobs do not come to an end")
}

// count is how many objects of a kind pod1 has that carry our mark.
func (w *world) count(kind string) int {
	n := 0
	for _, o := range w.cloud.Pod("pod1").Objects(kind) {
		if d, _ := o["description"].(string); len(d) > 10 && d[:10] == "tricircle:" {
			n++
		}
	}
	return n
}

// dhcpAddresses are the addresses of all DHCP ports in the pod, whoever made
// them.
func (w *world) dhcpAddresses(podName string) []string {
	var out []string
	for _, o := range w.cloud.Pod(podName).Objects("port") {
		if o["device_owner"] != "network:dhcp" {
			continue
		}
		for _, f := range fixedIPs(o["fixed_ips"]) {
			out = append(out, f["ip_address"].(string))
		}
	}
	slices.Sort(out)
	return out
}

func fixedIPs(v any) []map[string]any {
	var out []map[string]any
	switch list := v.(type) {
	case []any:
		for _, x := range list {
			out = append(out, x.(map[string]any))
		}
	case []map[string]any:
		out = list
	}
	return out
}

// delete deletes something in a pod, as its operator would.
func (w *world) delete(podName, path string) {
	w.t.Helper()
	w.operate(podName, http.MethodDelete, path, nil)
}

// operate sends a request that a pod's operator might.
func (w *world) operate(podName, method, path string, body io.Reader) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.cloud.Pod(podName).URL(podtest.Network)+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", w.cloud.Token("admin", "admin"))
	resp, err := podtest.HTTP.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		w.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}
