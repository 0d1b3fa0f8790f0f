package store_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

func near(networkID, pod string) topology.PortSpec {
	spec := portSpec(networkID)
	spec.Near = pod
	return spec
}

func countBlocks(t *testing.T, s *store.Store, networkID string) topology.SubnetBlocks {
	t.Helper()
	all, err := s.CountBlocks(t.Context(), networkID)
	if err != nil || len(all) != 1 {
		t.Fatalf("CountBlocks = %+v, %v, want those of one subnet", all, err)
	}
	return all[0]
}

// podBlocks are the blocks of one pod, as few prefixes as possible.
func podBlocks(report topology.SubnetBlocks, pod string) []netip.Prefix {
	for _, u := range report.Pods {
		if u.Pod == pod {
			return u.Blocks
		}
	}
	return nil
}

// TestBlocksGrow: servers of many creations at once get addresses in blocks of
// their pod, which grow as they fill, and no more than needed.
func TestBlocksGrow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		pods := []string{"pod1", "pod2"}
		made, failed := inParallel(60, func(i int) (topology.Port, error) {
			ports, err := s.CreatePorts(ctx, []topology.PortSpec{near(n.ID, pods[i%2])})
			if err != nil {
				return topology.Port{}, err
			}
			_, err = s.Want(ctx, alice, store.Target{Kind: store.KindPort, ID: ports[0].ID, Pod: pods[i%2]})
			return ports[0], err
		})
		if len(failed) > 0 || len(made) != 60 {
			t.Fatal(failed)
		}
		report := countBlocks(t, s, n.ID)
		for _, use := range report.Pods {
			if use.Used != 30 || use.Outside != 0 || len(use.Blocks) > 2 || use.Size > 48 {
				t.Errorf("use of %s = %+v, want 30 addresses in two or three blocks", use.Pod, use)
			}
		}
		if len(report.Pods) != 2 {
			t.Errorf("report = %+v", report)
		}
	})
}

// TestBlocksRunOut: with all blocks given, addresses of the others' blocks do, to
// the last one.
func TestBlocksRunOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/27")) // two blocks, 29 addresses
		addPort(t, s, near(n.ID, "pod1"))
		for range 28 {
			addPort(t, s, near(n.ID, "pod2"))
		}
		_, err := s.CreatePorts(ctx, []topology.PortSpec{near(n.ID, "pod2")})
		refused(t, err, "IpAddressGenerationFailure")
		if report := countBlocks(t, s, n.ID); report.Free != 0 || len(report.Pods) != 2 {
			t.Errorf("report = %+v", report)
		}
	})
}

// TestFullBlockIsNotTaken: users may have taken all addresses of a block before.
func TestFullBlockIsNotTaken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		spec := subnetSpec(n.ID, "10.0.0.0/26")
		spec.AllocationPools = []topology.Pool{{Start: netip.MustParseAddr("10.0.0.10"), End: netip.MustParseAddr("10.0.0.40")}}
		addSubnet(t, s, spec)
		for a := netip.MustParseAddr("10.0.0.10"); a.Compare(netip.MustParseAddr("10.0.0.16")) < 0; a = a.Next() {
			exact := portSpec(n.ID)
			exact.WantIPs = []topology.WantIP{{Address: a}}
			addPort(t, s, exact)
		}
		p := addPort(t, s, near(n.ID, "pod1"))
		if got := podBlocks(countBlocks(t, s, n.ID), "pod1"); !slices.Equal(got, []netip.Prefix{netip.MustParsePrefix("10.0.0.16/28")}) {
			t.Errorf("blocks = %v, with %v", got, p.FixedIPs)
		}
	})
}

// TestBlocksAreReleased: a block without addresses is free again, and all of a pod
// that the network leaves.
func TestBlocksAreReleased(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		first, second := addPort(t, s, near(n.ID, "pod1")), addPort(t, s, near(n.ID, "pod2"))
		if released, err := s.ReleaseBlocks(ctx, "pod1"); err != nil || released != 0 {
			t.Errorf("released %d blocks in use, %v", released, err)
		}
		if err := s.DeletePort(ctx, first.ID, nil); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int64{1, 0} {
			if released, err := s.ReleaseBlocks(ctx, "pod1"); err != nil || released != want {
				t.Errorf("released %d blocks, %v, want %d", released, err, want)
			}
		}
		report := countBlocks(t, s, n.ID)
		if podBlocks(report, "pod1") != nil || podBlocks(report, "pod2") == nil || report.Free != 15 {
			t.Errorf("report = %+v, want one block, of pod2", report)
		}
		at := store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: "pod2"}
		if _, err := s.Want(ctx, alice, at); err != nil {
			t.Fatal(err)
		}
		if err := s.DeletePort(ctx, second.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Unwant(ctx, at.Kind, at.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.Forget(ctx, at); err != nil {
			t.Fatal(err)
		}
		if report := countBlocks(t, s, n.ID); len(report.Pods) != 0 || report.Free != 16 {
			t.Errorf("report = %+v, want no blocks", report)
		}
		if err := s.DeleteNetwork(ctx, n.ID, nil); err != nil {
			t.Fatal(err)
		}
		_, err := s.CountBlocks(ctx, n.ID)
		refused(t, err, "NetworkNotFound")
	})
}

// TestSubnetGoesWithBlocks: blocks do not keep a subnet.
func TestSubnetGoesWithBlocks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := bench(t, s)
		n := addNetwork(t, s, topology.Network{})
		sub := addSubnet(t, s, subnetSpec(n.ID, "10.0.0.0/24"))
		p := addPort(t, s, near(n.ID, "pod1"))
		if err := s.DeletePort(ctx, p.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteSubnet(ctx, sub.ID, nil); err != nil {
			t.Fatal(err)
		}
	})
}
