package store_test

import (
	"net/netip"
	"testing"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func TestSubnetsOverlapConcurrently(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		got, failed := inParallel(16, func(int) (string, error) {
			made, err := s.CreateSubnets(ctx, []topology.SubnetSpec{subnetSpec(n.ID, "10.0.0.0/24")})
			if err != nil {
				return "", err
			}
			return made[0].ID, nil
		})
		if len(got) != 1 {
			t.Errorf("%d subnets with the same prefix", len(got))
		}
		for _, err := range failed {
			refused(t, err, "InvalidInput")
		}
		if subnets, err := s.SubnetsOf(ctx, n.ID); err != nil || len(subnets) != 1 {
			t.Errorf("subnets = %v, %v", subnets, err)
		}
	})
}

// In a subnet where servers give themselves addresses every port has one, from
// the beginning of either to the end of either.
func TestAutoAddresses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		p := addPort(t, s, portSpec(n.ID))
		at := store.Target{Kind: store.KindPort, ID: p.ID, Pod: "pod1"}
		if _, err := s.Want(ctx, alice, at); err != nil {
			t.Fatal(err)
		}
		auto := subnetSpec(n.ID, "fd00::/64")
		auto.IPv6AddressMode, auto.IPv6RAMode = topology.ModeSLAAC, topology.ModeSLAAC
		v6 := addSubnet(t, s, auto)
		found, err := s.FindPort(ctx, p.ID)
		if err != nil || len(found.FixedIPs) != 1 || found.FixedIPs[0].Address != topology.EUI64(v6.CIDR, p.MACAddress) {
			t.Errorf("port = %+v, %v, want its own address", found, err)
		}
		// A new MAC is a new address.
		changed, err := s.UpdatePort(ctx, p.ID, func(spec *topology.PortSpec) error { spec.MACAddress = "fa:16:3e:22:22:22"; return nil })
		if err != nil || len(changed.FixedIPs) != 1 || changed.FixedIPs[0].Address != topology.EUI64(v6.CIDR, "fa:16:3e:22:22:22") {
			t.Errorf("port = %+v, %v, want the address of the new MAC", changed, err)
		}
		if err := s.DeleteSubnet(ctx, v6.ID, nil); err != nil {
			t.Fatal(err)
		}
		found, err = s.FindPort(ctx, p.ID)
		if err != nil || len(found.FixedIPs) != 0 {
			t.Errorf("port = %+v, %v, want no address", found, err)
		}
		if m, err := s.FindMapping(ctx, at); err != nil || m.Generation != 4 {
			t.Errorf("mapping = %+v, %v, want a job for each of the three changes", m, err)
		}
	})
}

func TestUpdateSubnet(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		sub := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		at := store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: "pod1"}
		if _, err := s.Want(ctx, alice, at); err != nil {
			t.Fatal(err)
		}
		got, err := s.UpdateSubnet(ctx, sub.ID, func(n *topology.Subnet) error { n.GatewayIP = netip.Addr{}; return nil })
		if err != nil || got.GatewayIP.IsValid() || got.Revision != 1 {
			t.Errorf("no gateway: %+v, %v", got, err)
		}
		if found, err := s.FindSubnet(ctx, sub.ID); err != nil || found.GatewayIP.IsValid() {
			t.Errorf("found = %+v, %v", found, err)
		}
		_, err = s.UpdateSubnet(ctx, sub.ID, func(n *topology.Subnet) error { n.GatewayIP = netip.MustParseAddr("10.0.0.9"); return nil })
		refused(t, err, "GatewayConflictWithAllocationPools")
		if m, err := s.FindMapping(ctx, at); err != nil || m.Generation != 2 {
			t.Errorf("mapping = %+v, %v, want generation 2", m, err)
		}
	})
}

// When a server is gone its own ports go, and the user's are free again.
func TestServerGoneFreesPorts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		own, auto := portSpec(n.ID), portSpec(n.ID)
		own.DeviceID, auto.DeviceID, auto.Auto = "srv", "srv", true
		kept, gone := addPort(t, s, own), addPort(t, s, auto)
		inPod := func(kind, id string) store.Target { return store.Target{Kind: kind, ID: id, Pod: "pod1"} }
		_, err := s.Want(ctx, alice, inPod(store.KindPort, kept.ID), inPod(store.KindPort, gone.ID), inPod(store.KindServer, "srv"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Unwant(ctx, store.KindServer, "srv"); err != nil {
			t.Fatal(err)
		}
		if err := s.Forget(ctx, inPod(store.KindServer, "srv")); err != nil {
			t.Fatal(err)
		}
		found, err := s.FindPort(ctx, kept.ID)
		if err != nil || found.DeviceID != "" || found.DeviceOwner != "" {
			t.Errorf("the user's port = %+v, %v", found, err)
		}
		_, err = s.FindPort(ctx, gone.ID)
		refused(t, err, "PortNotFound")
		for _, id := range []string{kept.ID, gone.ID} {
			if m, err := s.FindMapping(ctx, inPod(store.KindPort, id)); err != nil || m.Wanted {
				t.Errorf("mapping = %+v, %v, want it unwanted", m, err)
			}
		}
		// Once it has left the pod the user's port still holds its MAC.
		if err := s.Forget(ctx, inPod(store.KindPort, kept.ID)); err != nil {
			t.Fatal(err)
		}
		same := portSpec(n.ID)
		same.MACAddress = kept.MACAddress
		_, err = s.CreatePorts(ctx, []topology.PortSpec{same})
		refused(t, err, "MacAddressInUse")
	})
}
