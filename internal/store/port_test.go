package store_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestPortAddresses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		v4 := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/29"))
		auto := subnetSpec(n.ID, "fd00::/64")
		auto.IPv6AddressMode, auto.IPv6RAMode = topology.ModeSLAAC, topology.ModeSLAAC
		v6 := addSubnet(t, s, auto)
		other := addNetwork(t, s, topology.Network{})
		elsewhere := addSubnet(t, s, subnetSpec(other.ID, "10.1.0.0/24"))
		addr := netip.MustParseAddr

		spec := portSpec(n.ID)
		spec.MACAddress = "fa:16:3e:00:00:01"
		spec.WantIPs = []topology.WantIP{{SubnetID: v4.ID, Address: addr("10.0.0.3")}}
		p := addPort(t, s, spec)
		want := []topology.FixedIP{{SubnetID: v4.ID, Address: addr("10.0.0.3")}, {SubnetID: v6.ID, Address: addr("fd00::f816:3eff:fe00:1")}}
		if diff := cmp.Diff(want, p.FixedIPs, sameAddr); diff != "" {
			t.Errorf("fixed IPs (-want +got):\n%s", diff)
		}
		found, err := s.FindPort(ctx, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, found, sameAddr, cmpopts.EquateApproxTime(1000)); diff != "" {
			t.Errorf("FindPort (-made +found):\n%s", diff)
		}
		for _, c := range []struct {
			want topology.WantIP
			code string
		}{
			{topology.WantIP{Address: addr("10.0.0.3")}, "IpAddressAlreadyAllocated"},
			{topology.WantIP{Address: addr("10.9.0.3")}, "InvalidIpForNetwork"},
			{topology.WantIP{Address: addr("10.0.0.0")}, "InvalidIpForNetwork"},
			{topology.WantIP{SubnetID: v4.ID, Address: addr("10.0.0.7")}, "InvalidIpForSubnet"},
			{topology.WantIP{SubnetID: v6.ID, Address: addr("fd00::5")}, "AllocationOnAutoAddressSubnet"},
			{topology.WantIP{SubnetID: "none"}, "SubnetNotFound"},
			{topology.WantIP{SubnetID: elsewhere.ID}, "InvalidInput"},
			{topology.WantIP{}, "InvalidInput"},
		} {
			spec := portSpec(n.ID)
			spec.WantIPs = []topology.WantIP{c.want}
			_, err := s.CreatePorts(ctx, []topology.PortSpec{spec})
			refused(t, err, c.code)
		}
		spec = portSpec(n.ID)
		spec.MACAddress = "fa:16:3e:00:00:01"
		_, err = s.CreatePorts(ctx, []topology.PortSpec{spec})
		refused(t, err, "MacAddressInUse")
		_, err = s.CreatePorts(ctx, []topology.PortSpec{portSpec("none")})
		refused(t, err, "NetworkNotFound")
	})
}

func TestPortsExhaust(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		sub := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24")) // 253 without the gateway
		const writers = 64
		type result struct{ ports []topology.Port }
		got, failed := inParallel(writers, func(int) (result, error) {
			var r result
			for range 5 { // 320 wanted
				made, err := s.CreatePorts(ctx, []topology.PortSpec{portSpec(n.ID)})
				if err != nil {
					if len(r.ports) > 0 {
						return r, nil
					}
					return r, err
				}
				r.ports = append(r.ports, made...)
			}
			return r, nil
		})
		for _, err := range failed {
			refused(t, err, "IpAddressGenerationFailure")
		}
		seen, macs := map[netip.Addr]bool{}, map[string]bool{}
		for _, r := range got {
			for _, p := range r.ports {
				a := p.FixedIPs[0].Address
				if seen[a] || macs[p.MACAddress] {
					t.Errorf("%s or %s was given twice", a, p.MACAddress)
				}
				seen[a], macs[p.MACAddress] = true, true
			}
		}
		if len(seen) != 253 || seen[sub.GatewayIP] {
			t.Errorf("%d addresses given, want 253 without the gateway", len(seen))
		}
	})
}

func TestBulkIsAllOrNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/29")) // 5 addresses
		_, err := s.CreatePorts(ctx, slices.Repeat([]topology.PortSpec{portSpec(n.ID)}, 6))
		refused(t, err, "IpAddressGenerationFailure")
		ports, err := s.ListPorts(ctx, store.Query{})
		if err != nil || len(ports) != 0 {
			t.Fatalf("ports = %v, %v, want none", ports, err)
		}
		if _, err := s.CreatePorts(ctx, slices.Repeat([]topology.PortSpec{portSpec(n.ID)}, 5)); err != nil {
			t.Fatal(err)
		}
	})
}

// A deleted port's address and MAC belong to nobody else while a pod has it.
func TestDeletedPortHolds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		p := addPort(t, s, portSpec(n.ID))
		at := store.Target{Kind: store.KindPort, ID: p.ID, Pod: "pod1"}
		if _, err := s.Want(ctx, alice, at); err != nil {
			t.Fatal(err)
		}
		if err := s.DeletePort(ctx, p.ID, nil); err != nil {
			t.Fatal(err)
		}
		same := portSpec(n.ID)
		same.WantIPs = []topology.WantIP{{Address: p.FixedIPs[0].Address}}
		_, err := s.CreatePorts(ctx, []topology.PortSpec{same})
		refused(t, err, "IpAddressAlreadyAllocated")
		same.MACAddress, same.WantIPs = p.MACAddress, nil
		_, err = s.CreatePorts(ctx, []topology.PortSpec{same})
		refused(t, err, "MacAddressInUse")
		if err := s.Forget(ctx, at); err != nil {
			t.Fatal(err)
		}
		same.WantIPs = []topology.WantIP{{Address: p.FixedIPs[0].Address}}
		addPort(t, s, same)
	})
}

func TestUpdatePort(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		v4 := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		second := addSubnet(t, s, subnetSpec(n.ID, "10.1.0.0/24"))
		p := addPort(t, s, portSpec(n.ID))
		first := p.FixedIPs[0]
		update := func(change func(*topology.PortSpec)) topology.Port {
			t.Helper()
			p, err := s.UpdatePort(ctx, p.ID, func(spec *topology.PortSpec) error { change(spec); return nil })
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		got := update(func(spec *topology.PortSpec) {
			spec.WantIPs = []topology.WantIP{{SubnetID: second.ID}, {SubnetID: v4.ID}}
		})
		if len(got.FixedIPs) != 2 || !slices.Contains(got.FixedIPs, first) {
			t.Errorf("fixed IPs = %v, want %v kept and one of the second subnet", got.FixedIPs, first)
		}
		got = update(func(spec *topology.PortSpec) { spec.WantIPs = []topology.WantIP{{SubnetID: second.ID}} })
		if len(got.FixedIPs) != 1 || got.FixedIPs[0].SubnetID != second.ID {
			t.Errorf("fixed IPs = %v, want one of the second subnet", got.FixedIPs)
		}
		got = update(func(spec *topology.PortSpec) { spec.MACAddress = "fa:16:3e:11:11:11"; spec.Name = "x" })
		found, err := s.FindPort(ctx, p.ID)
		if err != nil || found.MACAddress != "fa:16:3e:11:11:11" || found.Name != "x" || len(found.FixedIPs) != 1 || found.Revision != got.Revision {
			t.Errorf("found = %+v, %v", found, err)
		}
		off := false
		_, err = s.UpdatePort(ctx, p.ID, func(spec *topology.PortSpec) error { spec.WantSecurity = &off; return nil })
		refused(t, err, "PortSecurityPortHasSecurityGroup")
		got = update(func(spec *topology.PortSpec) { spec.WantSecurity, spec.WantGroups = &off, []string{} })
		if got.PortSecurityEnabled || len(got.SecurityGroups) != 0 {
			t.Errorf("port = %+v, want no security", got)
		}
	})
}

func TestEnsureDHCPPorts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		v4 := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		ensure := func(pod string, count int) []topology.Port {
			t.Helper()
			ports, err := s.EnsureDHCPPorts(ctx, n.ID, pod, count)
			if err != nil {
				t.Fatal(err)
			}
			return ports
		}
		// Many callers at once make them once.
		all, failed := inParallel(16, func(int) ([]topology.Port, error) { return s.EnsureDHCPPorts(ctx, n.ID, "pod1", 2) })
		if len(failed) > 0 {
			t.Fatal(failed)
		}
		for _, ports := range all {
			if len(ports) != 2 || ports[0].ID != all[0][0].ID {
				t.Errorf("ports = %v, want the same two", ports)
			}
		}
		if p := all[0][0]; p.DeviceOwner != topology.OwnerDHCP || p.DeviceID != topology.ReservedDHCPID || p.Pod != "pod1" ||
			p.PortSecurityEnabled || len(p.SecurityGroups) != 0 || p.FixedIPs[0].Address != netip.MustParseAddr("10.0.0.2") {
			t.Errorf("port = %+v", p)
		}
		if ports := ensure("pod2", 1); len(ports) != 1 || ports[0].FixedIPs[0].Address != netip.MustParseAddr("10.0.0.4") {
			t.Errorf("pod2's ports = %v", ports)
		}
		// A second subnet, and one without DHCP.
		addSubnet(t, s, subnetSpec(n.ID, "10.1.0.0/24"))
		quiet := subnetSpec(n.ID, "10.2.0.0/24")
		quiet.EnableDHCP = false
		addSubnet(t, s, quiet)
		ports := ensure("pod1", 2)
		if len(ports) != 2 || ports[0].ID != all[0][0].ID || len(ports[0].FixedIPs) != 2 || ports[0].FixedIPs[0] != all[0][0].FixedIPs[0] {
			t.Errorf("ports = %+v, want the first kept and one address added", ports)
		}
		if err := s.DeleteSubnet(ctx, v4.ID, nil); err != nil {
			t.Fatal(err)
		}
		if ports := ensure("pod1", 1); len(ports) != 1 || len(ports[0].FixedIPs) != 1 {
			t.Errorf("ports = %+v, want one with one address", ports)
		}
		if ports := ensure("pod1", 0); len(ports) != 0 {
			t.Errorf("ports = %+v, want none", ports)
		}
	})
}

func TestListPorts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		mine := addNetwork(t, s, topology.Network{Shared: true})
		addSubnet(t, s, subnetSpec(mine.ID, "10.0.0.0/24"))
		theirs := addNetwork(t, s, topology.Network{ProjectID: bob})
		for i := range 10 {
			spec := portSpec(mine.ID)
			spec.Name = fmt.Sprintf("p%d", i/3)
			if i%2 == 1 {
				spec.ProjectID = bob
			}
			addPort(t, s, spec)
		}
		hidden := portSpec(theirs.ID)
		hidden.ProjectID = bob
		addPort(t, s, hidden)
		names := func(q store.Query) []string {
			t.Helper()
			ports, err := s.ListPorts(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range ports {
				names = append(names, p.Name+" "+p.ID)
			}
			return names
		}
		for q, want := range map[int]struct {
			query store.Query
			n     int
		}{
			1: {store.Query{ProjectID: alice}, 10}, // the network is hers
			2: {store.Query{ProjectID: bob}, 6},
			3: {store.Query{}, 11},
			4: {store.Query{Filters: map[string][]string{"project_id": {alice}, "name": {"p0", "p3"}}}, 2},
			5: {store.Query{Filters: map[string][]string{"admin_state_up": {"false"}}}, 0},
			6: {store.Query{ProjectID: alice, Filters: map[string][]string{"status": {"DOWN"}, "network_id": {mine.ID}}}, 10},
			7: {store.Query{Filters: map[string][]string{"fixed_ips.ip_address_substr": {"10.0.0."}}}, 10},
			8: {store.Query{Filters: map[string][]string{"security_groups": {"none"}}}, 0},
		} {
			if got := names(want.query); len(got) != want.n {
				t.Errorf("query %d lists %d, want %d", q, len(got), want.n)
			}
		}
		sort := []store.SortKey{{Name: "name", Desc: true}}
		whole := names(store.Query{ProjectID: alice, Sort: sort})
		if !slices.IsSortedFunc(whole, func(a, b string) int { return -cmpName(a, b) }) {
			t.Errorf("not in order: %v", whole)
		}
		pageThrough(t, s, whole, sort)
		_, err := s.ListPorts(ctx, store.Query{ProjectID: "project-carol", Limit: 1, Marker: whole[0][3:]})
		refused(t, err, "PortNotFound")
	})
}

func cmpName(a, b string) int {
	switch {
	case a[:2] < b[:2]:
		return -1
	case a[:2] > b[:2]:
		return 1
	}
	return 0
}

// pageThrough reads whole in pages, forwards and backwards.
func pageThrough(t *testing.T, s *store.Store, whole []string, sort []store.SortKey) {
	t.Helper()
	for _, reverse := range []bool{false, true} {
		var got []string
		marker := ""
		for {
			ports, err := s.ListPorts(context.Background(), store.Query{ProjectID: alice, Sort: sort, Limit: 3, Marker: marker, PageReverse: reverse})
			if err != nil {
				t.Fatal(err)
			}
			if len(ports) == 0 {
				break
			}
			var page []string
			for _, p := range ports {
				page = append(page, p.Name+" "+p.ID)
			}
			if reverse {
				got, marker = append(page, got...), ports[0].ID
			} else {
				got, marker = append(got, page...), ports[len(ports)-1].ID
			}
		}
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("pages, reverse %v (-want +got):\n%s", reverse, diff)
		}
	}
}
