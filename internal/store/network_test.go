package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

const (
	alice = "project-alice"
	bob   = "project-bob"
)

var testFabric = topology.Fabric{Physical: []topology.PhysicalNetwork{
	{Name: "bridge", Flat: true, VLANs: []topology.SegmentRange{{Min: 101, Max: 103}}},
}}

// bench is a store with a fabric and two pods.
func bench(t testing.TB, s *store.Store) context.Context {
	t.Helper()
	ctx := context.Background()
	if err := s.SetFabric(testFabric); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pod1", "pod2"} {
		if _, err := s.CreatePod(ctx, store.Pod{Name: name, Region: name, Zone: "az-" + name, DHCPPorts: 1}); err != nil {
			t.Fatal(err)
		}
	}
	return ctx
}

func addNetwork(t testing.TB, s *store.Store, n topology.Network) topology.Network {
	t.Helper()
	n.AdminStateUp, n.PortSecurityEnabled = true, true
	if n.ProjectID == "" {
		n.ProjectID = alice
	}
	made, err := s.CreateNetworks(context.Background(), []topology.Network{n})
	if err != nil {
		t.Fatalf("CreateNetworks: %v", err)
	}
	return made[0]
}

func subnetSpec(networkID, cidr string) topology.SubnetSpec {
	p := netip.MustParsePrefix(cidr)
	version := 4
	if p.Addr().Is6() {
		version = 6
	}
	return topology.SubnetSpec{Subnet: topology.Subnet{NetworkID: networkID, ProjectID: alice, IPVersion: version,
		CIDR: p, EnableDHCP: true}}
}

func addSubnet(t testing.TB, s *store.Store, spec topology.SubnetSpec) topology.Subnet {
	t.Helper()
	made, err := s.CreateSubnets(context.Background(), []topology.SubnetSpec{spec})
	if err != nil {
		t.Fatalf("CreateSubnets: %v", err)
	}
	return made[0]
}

func portSpec(networkID string) topology.PortSpec {
	return topology.PortSpec{Port: topology.Port{NetworkID: networkID, ProjectID: alice, AdminStateUp: true}}
}

func addPort(t testing.TB, s *store.Store, spec topology.PortSpec) topology.Port {
	t.Helper()
	made, err := s.CreatePorts(context.Background(), []topology.PortSpec{spec})
	if err != nil {
		t.Fatalf("CreatePorts: %v", err)
	}
	return made[0]
}

// refused fails the test unless err carries the code.
func refused(t testing.TB, err error, code string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code {
		t.Fatalf("error = %v, want %s", err, code)
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		var made []topology.Network
		var used []int
		for range 3 {
			n := addNetwork(t, s, topology.Network{})
			made = append(made, n)
			used = append(used, n.SegmentationID)
		}
		slices.Sort(used)
		if diff := cmp.Diff([]int{101, 102, 103}, used); diff != "" {
			t.Errorf("segments (-want +got):\n%s", diff)
		}
		_, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice}})
		refused(t, err, "NoNetworkAvailable")
		taken := topology.Network{ProjectID: alice, Type: "vlan", PhysicalNetwork: "bridge", SegmentationID: 102}
		_, err = s.CreateNetworks(ctx, []topology.Network{taken})
		refused(t, err, "VlanIdInUse")
		outside := taken
		outside.SegmentationID = 4000
		addNetwork(t, s, outside)
		addNetwork(t, s, topology.Network{Type: "flat", PhysicalNetwork: "bridge"})
		_, err = s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice, Type: "flat", PhysicalNetwork: "bridge"}})
		refused(t, err, "FlatNetworkInUse")

		// A deleted network keeps its segment until its last pod has let go.
		at := store.Target{Kind: store.KindNetwork, ID: made[0].ID, Pod: "pod1"}
		if _, err := s.Want(ctx, alice, at); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteNetwork(ctx, made[0].ID, nil); err != nil {
			t.Fatal(err)
		}
		_, err = s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice}})
		refused(t, err, "NoNetworkAvailable")
		if err := s.Forget(ctx, at); err != nil {
			t.Fatal(err)
		}
		if n := addNetwork(t, s, topology.Network{}); n.SegmentationID != made[0].SegmentationID {
			t.Errorf("segment = %d, want the freed %d", n.SegmentationID, made[0].SegmentationID)
		}
	})
}

// TestPodSegments: what a pod has of its own is not given to a network, and left by
// one that was given it before, if nobody named it and no pod has the network.
func TestPodSegments(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		own := func(ids ...int) {
			t.Helper()
			var all []topology.Segment
			for _, id := range ids {
				all = append(all, topology.Segment{Physical: "bridge", ID: id})
			}
			if err := s.SetPodSegments(ctx, "pod1", all); err != nil {
				t.Fatal(err)
			}
		}
		leave := func(n topology.Network, want bool) topology.Network {
			t.Helper()
			left, err := s.LeaveSegment(ctx, n.ID, "pod1")
			if err != nil || left != want {
				t.Errorf("left %d: %v, %v, want %v", n.SegmentationID, left, err, want)
			}
			now, err := s.FindNetwork(ctx, n.ID)
			if err != nil {
				t.Fatal(err)
			}
			if (now.SegmentationID != n.SegmentationID) != want {
				t.Errorf("the segment was %d, is %d", n.SegmentationID, now.SegmentationID)
			}
			return now
		}
		own(101, 103)
		n := addNetwork(t, s, topology.Network{})
		if n.SegmentationID != 102 {
			t.Errorf("segment = %d, want the only free one", n.SegmentationID)
		}
		_, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice}})
		refused(t, err, "NoNetworkAvailable")
		_, err = s.LeaveSegment(ctx, n.ID, "pod1")
		refused(t, err, "NoNetworkAvailable")
		own(101)
		n = leave(n, true)
		at := store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: "pod2"}
		if _, err := s.Want(ctx, alice, at); err != nil {
			t.Fatal(err)
		}
		if err := s.Try(ctx, at, alice); err != nil {
			t.Fatal(err)
		}
		leave(n, false) // pod2 may have it
		own()
		leave(addNetwork(t, s, topology.Network{Type: "vlan", PhysicalNetwork: "bridge", SegmentationID: 101}), false)
	})
}

func TestSegmentsConcurrently(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		f := testFabric
		f.Physical = []topology.PhysicalNetwork{{Name: "bridge", VLANs: []topology.SegmentRange{{Min: 1, Max: 40}}}}
		if err := s.SetFabric(f); err != nil {
			t.Fatal(err)
		}
		got, failed := inParallel(64, func(int) (int, error) {
			made, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice}})
			if err != nil {
				return 0, err
			}
			return made[0].SegmentationID, nil
		})
		if len(got) != 40 || len(failed) != 24 {
			t.Errorf("%d made, %d refused, want 40 and 24: %v", len(got), len(failed), failed)
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != 40 {
			t.Errorf("a VLAN was given twice: %v", got)
		}
		for _, err := range failed {
			refused(t, err, "NoNetworkAvailable")
		}
	})
}

// inParallel runs f n times at once and returns what came and what failed.
func inParallel[T any](n int, f func(i int) (T, error)) (got []T, failed []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			v, err := f(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
				return
			}
			got = append(got, v)
		})
	}
	wg.Wait()
	return got, failed
}

func TestDeleteNetwork(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		sub := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		p := addPort(t, s, portSpec(n.ID))
		if _, err := s.EnsureDHCPPorts(ctx, n.ID, "pod1", 1); err != nil {
			t.Fatal(err)
		}
		err := s.DeleteNetwork(ctx, n.ID, nil)
		refused(t, err, "NetworkInUse")
		want := fmt.Sprintf("Unable to complete operation on network %s. There are one or more ports still in use on the network, "+
			"id for these ports is: %s.", n.ID, p.ID)
		if err.Error() != want {
			t.Errorf("error = %q, want %q", err, want)
		}
		refused(t, s.DeleteSubnet(ctx, sub.ID, nil), "SubnetInUse")
		if err := s.DeletePort(ctx, p.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteNetwork(ctx, n.ID, nil); err != nil {
			t.Fatal(err)
		}
		ports, err := s.ListPorts(ctx, store.Query{})
		if err != nil || len(ports) != 0 {
			t.Errorf("ports left: %v, %v", ports, err)
		}
		_, err = s.FindSubnet(ctx, sub.ID)
		refused(t, err, "SubnetNotFound")
	})
}

func TestUpdateNetwork(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{Name: "a", Shared: true})
		at := store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: "pod1"}
		if _, err := s.Want(ctx, alice, at); err != nil {
			t.Fatal(err)
		}
		same, err := s.UpdateNetwork(ctx, n.ID, func(n *topology.Network) error { n.Name = "a"; return nil })
		if err != nil || same.Revision != n.Revision {
			t.Errorf("a change to the same gives revision %d, %v", same.Revision, err)
		}
		changed, err := s.UpdateNetwork(ctx, n.ID, func(n *topology.Network) error { n.Name = "b"; return nil })
		if err != nil || changed.Revision != n.Revision+1 || changed.Name != "b" {
			t.Errorf("changed = %+v, %v", changed, err)
		}
		if m, err := s.FindMapping(ctx, at); err != nil || m.Generation != 2 {
			t.Errorf("mapping = %+v, %v, want generation 2", m, err)
		}
		spec := portSpec(n.ID)
		spec.ProjectID = bob
		addPort(t, s, spec)
		_, err = s.UpdateNetwork(ctx, n.ID, func(n *topology.Network) error { n.Shared = false; return nil })
		refused(t, err, "InvalidSharedSetting")
		_, err = s.UpdateNetwork(ctx, "none", func(*topology.Network) error { return nil })
		refused(t, err, "NetworkNotFound")
	})
}

// A vxlan network gets an identifier of its own, holds it as a vlan network holds
// its VLAN, and no frame of it is larger than the tunnels carry.
func TestVXLAN(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		f := testFabric
		f.VNIs = []topology.SegmentRange{{Min: 1901, Max: 1902}}
		if err := s.SetFabric(f); err != nil {
			t.Fatal(err)
		}
		a := addNetwork(t, s, topology.Network{Type: "vxlan"})
		b := addNetwork(t, s, topology.Network{Type: "vxlan"})
		if a.MTU != 1450 || a.PhysicalNetwork != "" || a.SegmentationID == b.SegmentationID {
			t.Errorf("networks are %+v and %+v", a, b)
		}
		_, err := s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice, Type: "vxlan"}})
		refused(t, err, "NoNetworkAvailable")
		_, err = s.CreateNetworks(ctx, []topology.Network{{ProjectID: alice, Type: "vxlan", SegmentationID: a.SegmentationID}})
		refused(t, err, "TunnelIdInUse")
		if err := s.DeleteNetwork(ctx, a.ID, nil); err != nil {
			t.Fatal(err)
		}
		if again := addNetwork(t, s, topology.Network{Type: "vxlan"}); again.SegmentationID != a.SegmentationID {
			t.Errorf("VNI %d, want the one that is free again, %d", again.SegmentationID, a.SegmentationID)
		}
		_, err = s.UpdateNetwork(ctx, b.ID, func(n *topology.Network) error {
			n.MTU = 1451
			return nil
		})
		refused(t, err, "InvalidInput")
	})
}
