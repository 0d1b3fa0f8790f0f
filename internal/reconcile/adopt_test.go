package reconcile_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// makes makes a thing in pod1 past the region, and returns its ID.
func (w *world) makes(kind, path string, body map[string]any) string {
	w.t.Helper()
	c, err := w.fleet.Client(w.t.Context(), "pod1")
	if err != nil {
		w.t.Fatal(err)
	}
	body["project_id"] = w.project
	var out map[string]struct{ ID string }
	r := pod.Request{Service: pod.Network, Method: http.MethodPost, Path: path, Op: "make by hand"}
	if err := c.JSON(w.t.Context(), r, map[string]any{kind: body}, &out); err != nil {
		w.t.Fatal(err)
	}
	return out[kind].ID
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{DHCPAgents: 1})
		net := w.makes("network", "/networks", map[string]any{"name": "old", "provider:network_type": "vlan",
			"provider:physical_network": "bridge", "provider:segmentation_id": 144})
		subnet := w.makes("subnet", "/subnets", map[string]any{"network_id": net, "cidr": "10.7.0.0/24", "ip_version": 4,
			"dns_nameservers": []string{"9.9.9.9"}})
		group := w.makes("security_group", "/security-groups", map[string]any{"name": "web"})
		w.makes("security_group_rule", "/security-group-rules", map[string]any{"security_group_id": group, "direction": "ingress",
			"protocol": "tcp", "port_range_min": 80, "port_range_max": 80, "remote_group_id": group})
		port := w.makes("port", "/ports", map[string]any{"network_id": net, "name": "vm", "security_groups": []string{group},
			"fixed_ips": []any{map[string]any{"subnet_id": subnet, "ip_address": "10.7.0.77"}}, "device_id": "s", "device_owner": "compute:nova"})
		w.cloud.Pod("pod1").Settle() // the agent makes its DHCP port

		n, err := w.Adopt(t.Context(), "pod1", net)
		if err != nil {
			t.Fatal(err)
		}
		if n.Name != "old" || n.ProjectID != w.project || n.SegmentationID != 144 {
			t.Errorf("network = %+v", n)
		}
		if _, err := w.Adopt(t.Context(), "pod1", net); !fault.Is(err, fault.Conflict) {
			t.Errorf("adopted again: %v", err)
		}
		w.ensureAll()
		ports, err := s.ListPorts(t.Context(), store.Query{Filters: map[string][]string{"name": {"vm"}}})
		if err != nil || len(ports) != 1 || ports[0].FixedIPs[0].Address.String() != "10.7.0.77" || ports[0].DeviceOwner != "compute:az1" {
			t.Fatalf("ports = %+v, %v", ports, err)
		}
		if got := w.podIDOf(portIn(ports[0], "pod1")); got != port {
			t.Errorf("the port is %s in the pod, want %s", got, port)
		}
		if found := w.inspected(); len(found) > 0 {
			t.Errorf("after adoption the pod differs: %v", found)
		}
		g, err := s.FindSecurityGroup(t.Context(), ports[0].SecurityGroups[0])
		if err != nil || !slices.ContainsFunc(g.Rules, func(r topology.Rule) bool { return r.RemoteGroupID == g.ID && r.PortMin != nil }) {
			t.Errorf("group = %+v, %v", g, err)
		}
		w.mustWant(store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: "pod2"}) // and others can join
		vlans := []any{}
		for _, d := range w.cloud.Pod("pod2").Network.Objects("network") {
			vlans = append(vlans, d["provider:segmentation_id"])
		}
		if diff := cmp.Diff([]any{144}, vlans); diff != "" {
			t.Errorf("VLANs in the other pod (-want +got):\n%s", diff)
		}
	})
}

// ensureAll does what the jobs would.
func (w *world) ensureAll() {
	w.t.Helper()
	pending, err := w.store.ListMappings(w.t.Context(), store.MappingQuery{Pending: true})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range pending {
		if err := w.Ensure(w.t.Context(), m.Target, nil); err != nil {
			w.t.Error(err)
		}
	}
}

func TestAdoptionIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.New(t), podtest.Options{})
	if _, err := w.Adopt(t.Context(), "pod1", "none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a network that is not there: %v", err)
	}
	ours := w.network("net", "10.0.0.0/24")
	in := store.Target{Kind: store.KindNetwork, ID: ours.ID, Pod: "pod1"}
	w.mustWant(in)
	if _, err := w.Adopt(t.Context(), "pod1", w.podIDOf(in)); !fault.Is(err, fault.Conflict) {
		t.Errorf("the region's own network: %v", err)
	}
	taken := w.makes("network", "/networks", map[string]any{"name": "own", "provider:network_type": "vlan",
		"provider:physical_network": "extern", "provider:segmentation_id": 401})
	before, err := w.store.ListNetworks(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Adopt(t.Context(), "pod1", taken); !fault.Is(err, fault.Invalid) {
		t.Errorf("a physical network that the region does not know: %v", err)
	}
	after, err := w.store.ListNetworks(t.Context(), store.Query{})
	if err != nil || len(after) != len(before) {
		t.Errorf("%d networks after a refusal, want %d, %v", len(after), len(before), err)
	}
}
