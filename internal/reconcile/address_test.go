package reconcile_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// moded makes a subnet with an IPv6 mode.
func (w *world) moded(networkID, cidr, mode string) {
	w.t.Helper()
	_, err := w.store.CreateSubnets(w.t.Context(), []topology.SubnetSpec{{Subnet: topology.Subnet{ProjectID: w.project,
		NetworkID: networkID, IPVersion: 6, CIDR: netip.MustParsePrefix(cidr), EnableDHCP: true, IPv6RAMode: mode, IPv6AddressMode: mode}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// addressesIn are the addresses of one of our ports in a pod.
func (w *world) addressesIn(podName, portID string) []string {
	var out []string
	for _, o := range w.cloud.Pod(podName).Objects("port") {
		if o["description"] == "tricircle:port:"+portID {
			for _, f := range fixedIPs(o["fixed_ips"]) {
				out = append(out, f["ip_address"].(string))
			}
		}
	}
	slices.Sort(out)
	return out
}

// sameIn checks that the ports have the same addresses in the pod as with us.
func (w *world) sameIn(podName string, ports ...topology.Port) {
	w.t.Helper()
	for _, p := range ports {
		now, err := w.store.FindPort(w.t.Context(), p.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		var want []string
		for _, a := range now.Addresses() {
			want = append(want, a.String())
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, w.addressesIn(podName, p.ID)); diff != "" {
			w.t.Errorf("%s: addresses of port %s (-ours +the pod's):\n%s", podName, p.ID, diff)
		}
	}
}

// A subnet with an IPv6 mode exists in a pod with DHCP on from the start. Even the
// quickest agent finds our port there, at our address.
func TestIPv6ModesInThePods(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{topology.ModeSLAAC, topology.ModeStateless, topology.ModeStateful} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				w := newWorld(t, s, podtest.Options{DHCPAgents: 2})
				for _, name := range []string{"pod1", "pod2"} {
					w.cloud.Pod(name).GreedyDHCP(true)
				}
				net := w.network("blue", "10.0.0.0/24")
				w.moded(net.ID, "fd00:1::/64", mode)
				alone, err := s.CreateNetworks(t.Context(), []topology.Network{{ProjectID: w.project, AdminStateUp: true}})
				if err != nil {
					t.Fatal(err)
				}
				w.moded(alone[0].ID, "fd00:2::/64", mode)
				ports := slices.Concat(w.ports(net.ID, 2), w.ports(alone[0].ID, 2))
				for i, p := range ports {
					w.untilWanted(portIn(p, []string{"pod1", "pod2"}[i%2]))
				}
				w.moded(net.ID, "fd00:3::/64", mode) // where ports are already
				w.settle()
				for i, p := range ports {
					name := []string{"pod1", "pod2"}[i%2]
					w.cloud.Pod(name).Settle()
					w.sameIn(name, p)
				}
				for _, name := range []string{"pod1", "pod2"} {
					for _, id := range []string{net.ID, alone[0].ID} {
						reserved, err := s.EnsureDHCPPorts(t.Context(), id, name, 2)
						if err != nil {
							t.Fatal(err)
						}
						w.sameIn(name, reserved...)
					}
					if got := len(w.dhcpAddresses(name)); got != 2*3+2*1 {
						t.Errorf("%s: %d addresses of DHCP ports, want 8: somebody made others", name, got)
					}
				}
			})
		})
	}
}

// untilWanted brings the target about, however often it takes: agents that took
// each other's address give it back first.
func (w *world) untilWanted(t store.Target) {
	w.t.Helper()
	var err error
	for range 10 {
		if err = w.want(t); err == nil {
			return
		}
	}
	w.t.Fatal(err)
}

// A rule that names an address group names the same in the pod, and the group
// follows.
func TestAddressGroupComesWithItsRules(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, podtest.Options{})
		ctx := t.Context()
		prefixes := func(texts ...string) (out []netip.Prefix) {
			for _, text := range texts {
				out = append(out, netip.MustParsePrefix(text))
			}
			return out
		}
		made, err := s.AddressGroups().Create(ctx, []topology.AddressGroup{{Standard: topology.Standard{ProjectID: w.project},
			Name: "offices", Addresses: prefixes("192.0.2.0/24")}})
		if err != nil {
			t.Fatal(err)
		}
		group, err := s.EnsureDefaultGroup(ctx, w.project)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := s.CreateRules(ctx, []topology.Rule{{GroupID: group.ID, ProjectID: w.project, Direction: topology.Ingress,
			EtherType: topology.IPv4, AddressGroupID: made[0].ID}})
		if err != nil {
			t.Fatal(err)
		}
		net := w.network("blue", "10.0.0.0/24")
		w.mustWant(portIn(w.ports(net.ID, 1)[0], "pod1"))
		there := func() []map[string]any { return w.cloud.Pod("pod1").Objects("address_group") }
		if got := there(); len(got) != 1 || got[0]["name"] != "offices" || got[0]["project_id"] != w.project {
			t.Fatalf("address groups in the pod = %v", got)
		}
		podID := there()[0]["id"]
		if !slices.ContainsFunc(w.cloud.Pod("pod1").Objects("security_group_rule"), func(r map[string]any) bool {
			return r["remote_address_group_id"] == podID && r["ethertype"] == "IPv4"
		}) {
			t.Error("no rule in the pod names it")
		}
		_, err = s.AddressGroups().Update(ctx, made[0].ID, func(g *topology.AddressGroup) error {
			g.Name, g.Addresses = "homes", prefixes("198.51.100.0/24", "203.0.113.7/32")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		if diff := cmp.Diff([]string{"198.51.100.0/24", "203.0.113.7/32"}, there()[0]["addresses"]); diff != "" || there()[0]["name"] != "homes" {
			t.Errorf("address group in the pod = %v", there()[0])
		}

		if err := s.DeleteAddressGroup(ctx, made[0].ID, nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("deleting a group in use: %v", err)
		}
		if err := s.DeleteRule(ctx, rules[0].ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteAddressGroup(ctx, made[0].ID, nil); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if got := there(); len(got) != 0 {
			t.Errorf("still in the pod: %v", got)
		}
	})
}
