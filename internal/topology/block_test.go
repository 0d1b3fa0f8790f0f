package topology_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tricircle/tricircle/internal/topology"
	"pgregory.net/rapid"
)

func cut(cidr string) topology.Subnet { return topology.Subnet{CIDR: prefix(cidr)} }

func TestBlocks(t *testing.T) {
	t.Parallel()
	for cidr, want := range map[string]struct {
		n           int
		first, last string
	}{
		"10.0.0.0/24": {16, "10.0.0.0/28", "10.0.0.240/28"},
		"10.0.0.0/16": {16, "10.0.0.0/20", "10.0.240.0/20"},
		"10.0.0.0/26": {4, "10.0.0.0/28", "10.0.0.48/28"},
		"10.0.0.0/28": {},
		"10.0.0.0/32": {},
		"fd00::/64":   {16, "fd00::/68", "fd00:0:0:0:f000::/68"},
		"fd00::/123":  {2, "fd00::/124", "fd00::10/124"},
		"fd00::/126":  {},
	} {
		s := cut(cidr)
		got := s.Blocks()
		if len(got) != want.n || want.n > 0 && (got[0] != prefix(want.first) || got[want.n-1] != prefix(want.last)) {
			t.Errorf("%s is cut into %v, want %+v", cidr, got, want)
		}
	}
}

func TestNextBlock(t *testing.T) {
	t.Parallel()
	s := cut("10.0.0.0/24")
	for _, c := range []struct {
		own, others []netip.Prefix
		want        string
	}{
		{nil, nil, "10.0.0.0/28"},
		{nil, prefixes("10.0.0.0/28"), "10.0.0.128/28"},                                        // the larger half
		{nil, prefixes("10.0.0.0/28", "10.0.0.128/28"), "10.0.0.64/28"},                        // the first of the largest gaps
		{prefixes("10.0.0.0/28"), prefixes("10.0.0.128/28"), "10.0.0.16/28"},                   // beside its own
		{prefixes("10.0.0.0/28", "10.0.0.16/28"), prefixes("10.0.0.128/28"), "10.0.0.32/28"},   // toward a /26
		{prefixes("10.0.0.0/28"), prefixes("10.0.0.16/28", "10.0.0.32/28"), "10.0.0.128/28"},   // no room beside its own
		{prefixes("10.0.0.128/28"), prefixes("10.0.0.0/28", "10.0.0.192/28"), "10.0.0.144/28"}, // its half, as far as it goes
		{prefixes("10.0.0.0/25", "10.0.0.128/26"), prefixes("10.0.0.192/27"), "10.0.0.224/28"}, // what is left
		{prefixes("10.0.0.0/25"), prefixes("10.0.0.128/25"), ""},                               // none left
	} {
		free := slices.DeleteFunc(s.Blocks(), func(b netip.Prefix) bool {
			return slices.ContainsFunc(append(slices.Clone(c.own), c.others...), b.Overlaps)
		})
		got, found := s.NextBlock(free, c.own, c.others)
		if found != (c.want != "") || found && got != prefix(c.want) {
			t.Errorf("NextBlock(own %v, others %v) = %v, %v, want %q", c.own, c.others, got, found, c.want)
		}
	}
}

// TestBlocksStayFew: whatever the order in which pods grow, a pod's blocks are few
// routes, and all of the subnet can be used up.
func TestBlocksStayFew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := cut("10.0.0.0/24")
		pods := rapid.IntRange(1, 4).Draw(t, "pods")
		has := make([][]netip.Prefix, pods)
		for taken := range 16 {
			pod := rapid.IntRange(0, pods-1).Draw(t, "pod")
			var others []netip.Prefix
			for i, blocks := range has {
				if i != pod {
					others = append(others, blocks...)
				}
			}
			free := slices.DeleteFunc(s.Blocks(), func(b netip.Prefix) bool {
				return slices.Contains(others, b) || slices.Contains(has[pod], b)
			})
			next, found := s.NextBlock(free, has[pod], others)
			if !found || slices.Contains(others, next) || slices.Contains(has[pod], next) {
				t.Fatalf("the %d. block of pod %d is %v, %v: %v", taken, pod, next, found, has)
			}
			has[pod] = append(has[pod], next)
		}
		for i, blocks := range has {
			if n := len(topology.Merged(blocks)); n > 8 {
				t.Fatalf("the blocks of pod %d are %d routes: %v", i, n, has)
			}
		}
	})
}

// TestBlocksOfEvenGrowth: pods that grow alike get one route each, or nearly.
func TestBlocksOfEvenGrowth(t *testing.T) {
	t.Parallel()
	s := cut("10.0.0.0/16")
	has := map[string][]netip.Prefix{}
	for turn := range 12 {
		pod := podN(turn%3 + 1)
		var all, others []netip.Prefix
		for p, blocks := range has {
			if all = append(all, blocks...); p != pod {
				others = append(others, blocks...)
			}
		}
		free := slices.DeleteFunc(s.Blocks(), func(b netip.Prefix) bool { return slices.Contains(all, b) })
		next, _ := s.NextBlock(free, has[pod], others)
		has[pod] = append(has[pod], next)
	}
	for pod, blocks := range has {
		if merged := topology.Merged(blocks); len(merged) > 1 {
			t.Errorf("%s has %v", pod, merged)
		}
	}
}

func TestWithinAndSample(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	pools := []topology.Pool{{Start: addr("10.0.0.2"), End: addr("10.0.0.20")}, {Start: addr("10.0.0.40"), End: addr("10.0.0.254")}}
	parts := topology.Within(pools, prefixes("10.0.0.32/28", "10.0.0.0/28", "10.0.1.0/28"))
	want := []topology.Pool{{Start: addr("10.0.0.40"), End: addr("10.0.0.47")}, {Start: addr("10.0.0.2"), End: addr("10.0.0.15")}}
	if diff := cmp.Diff(want, parts, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("Within (-want +got):\n%s", diff)
	}
	if all := topology.Sample(parts, 22, rand.Uint64N); len(all) != 22 {
		t.Errorf("a sample of 22 out of 22 is %v", all)
	}
	some := topology.Sample(pools, 20, rand.Uint64N)
	slices.SortFunc(some, netip.Addr.Compare)
	if len(some) == 0 || len(slices.Compact(some)) != len(some) {
		t.Errorf("sample %v has doubles", some)
	}
}

func TestCountBlocks(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	s := cut("10.0.0.0/24")
	s.AllocationPools = []topology.Pool{{Start: addr("10.0.0.2"), End: addr("10.0.0.254")}}
	got := topology.CountBlocks(s, map[string][]netip.Prefix{
		"p1": prefixes("10.0.0.0/28", "10.0.0.16/28"), "p2": prefixes("10.0.0.128/28")},
		[]topology.PodAddress{{Address: addr("10.0.0.5"), Pod: "p1"}, {Address: addr("10.0.0.6"), Pod: ""},
			{Address: addr("10.0.0.130"), Pod: "p1"}, {Address: addr("10.0.0.200"), Pod: "p3"}})
	want := topology.SubnetBlocks{Subnet: s, Free: 13, Pods: []topology.BlockUse{
		{Pod: "p1", Blocks: prefixes("10.0.0.0/27"), Size: 30, Used: 2, Outside: 1},
		{Pod: "p2", Blocks: prefixes("10.0.0.128/28"), Size: 16, Used: 1},
		{Pod: "p3", Outside: 1}}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("CountBlocks (-want +got):\n%s", diff)
	}
}
