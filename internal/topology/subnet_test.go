package topology

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tricircle/tricircle/internal/fault"
)

var (
	addr    = netip.MustParseAddr
	compare = []cmp.Option{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
)

func pool(start, end string) Pool { return Pool{addr(start), addr(end)} }

func codeOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

func TestSubnetDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, cidr string
		gateway    string
		none       bool
		want       string
		pools      []Pool
	}{
		{name: "first address", cidr: "10.0.0.7/24", want: "10.0.0.1", pools: []Pool{pool("10.0.0.2", "10.0.0.254")}},
		{name: "in the middle", cidr: "10.0.0.0/24", gateway: "10.0.0.9", want: "10.0.0.9",
			pools: []Pool{pool("10.0.0.1", "10.0.0.8"), pool("10.0.0.10", "10.0.0.254")}},
		{name: "last", cidr: "10.0.0.0/24", gateway: "10.0.0.254", want: "10.0.0.254", pools: []Pool{pool("10.0.0.1", "10.0.0.253")}},
		{name: "outside", cidr: "10.0.0.0/24", gateway: "10.9.0.1", want: "10.9.0.1", pools: []Pool{pool("10.0.0.1", "10.0.0.254")}},
		{name: "none", cidr: "10.0.0.0/24", none: true, pools: []Pool{pool("10.0.0.1", "10.0.0.254")}},
		{name: "pair", cidr: "10.0.0.0/31", want: "10.0.0.1", pools: []Pool{pool("10.0.0.0", "10.0.0.0")}},
		{name: "single", cidr: "10.0.0.5/32", none: true, pools: []Pool{pool("10.0.0.5", "10.0.0.5")}},
		{name: "v6", cidr: "fd00::/64", want: "fd00::", pools: []Pool{pool("fd00::1", "fd00::ffff:ffff:ffff:ffff")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := netip.MustParsePrefix(c.cidr)
			spec := SubnetSpec{NoGateway: c.none, Subnet: Subnet{CIDR: p, IPVersion: 4}}
			if p.Addr().Is6() {
				spec.IPVersion = 6
			}
			if c.gateway != "" {
				spec.GatewayIP = addr(c.gateway)
			}
			got, err := spec.Complete()
			if err != nil {
				t.Fatal(err)
			}
			var want netip.Addr
			if c.want != "" {
				want = addr(c.want)
			}
			if got.GatewayIP != want || got.CIDR != p.Masked() {
				t.Errorf("gateway = %s, prefix = %s, want %s, %s", got.GatewayIP, got.CIDR, want, p.Masked())
			}
			if diff := cmp.Diff(c.pools, got.AllocationPools, compare...); diff != "" {
				t.Errorf("pools (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSubnetRefusals(t *testing.T) {
	t.Parallel()
	base := func(change func(*SubnetSpec)) SubnetSpec {
		spec := SubnetSpec{Subnet: Subnet{NetworkID: "n", IPVersion: 4, CIDR: netip.MustParsePrefix("10.0.0.0/24"), EnableDHCP: true}}
		change(&spec)
		return spec
	}
	v6 := func(change func(*SubnetSpec)) SubnetSpec {
		return base(func(s *SubnetSpec) {
			s.IPVersion, s.CIDR = 6, netip.MustParsePrefix("fd00::/64")
			change(s)
		})
	}
	pools := func(all ...Pool) SubnetSpec { return base(func(s *SubnetSpec) { s.AllocationPools = all }) }
	cidr := func(p string) SubnetSpec { return base(func(s *SubnetSpec) { s.CIDR = netip.MustParsePrefix(p) }) }
	for name, c := range map[string]struct {
		spec SubnetSpec
		code string
	}{
		"pool outside":      {pools(pool("10.0.0.5", "10.0.1.5")), "OutOfBoundsAllocationPool"},
		"pool to broadcast": {pools(pool("10.0.0.5", "10.0.0.255")), "OutOfBoundsAllocationPool"},
		"pool reversed":     {pools(pool("10.0.0.9", "10.0.0.5")), "InvalidAllocationPool"},
		"pool of v6":        {pools(pool("fd00::1", "fd00::2")), "InvalidAllocationPool"},
		"pools overlap":     {pools(pool("10.0.0.5", "10.0.0.9"), pool("10.0.0.9", "10.0.0.12")), "OverlappingAllocationPools"},
		"pool with gateway": {pools(pool("10.0.0.1", "10.0.0.9")), "GatewayConflictWithAllocationPools"},
		"no bits":           {base(func(s *SubnetSpec) { s.CIDR, s.EnableDHCP = netip.MustParsePrefix("0.0.0.0/0"), false }), "InvalidInput"},
		"too small":         {cidr("10.0.0.0/31"), "InvalidInput"},
		"multicast":         {cidr("224.0.0.0/24"), "InvalidInput"},
		"loopback":          {cidr("127.0.0.0/24"), "InvalidInput"},
		"zero":              {cidr("0.0.0.0/24"), "InvalidInput"},
		"wrong version":     {base(func(s *SubnetSpec) { s.IPVersion = 6 }), "InvalidInput"},
		"gateway network":   {base(func(s *SubnetSpec) { s.GatewayIP = addr("10.0.0.0") }), "InvalidInput"},
		"gateway of v6":     {base(func(s *SubnetSpec) { s.GatewayIP = addr("fd00::1") }), "InvalidInput"},
		"six servers": {base(func(s *SubnetSpec) {
			s.DNSNameservers = []string{"1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6"}
		}), "DNSNameServersExhausted"},
		"server of v6":   {base(func(s *SubnetSpec) { s.DNSNameservers = []string{"fd00::1"} }), "InvalidInput"},
		"route of v6":    {base(func(s *SubnetSpec) { s.HostRoutes = []HostRoute{{s.CIDR, addr("fd00::1")}} }), "InvalidInput"},
		"mode of v4":     {base(func(s *SubnetSpec) { s.IPv6RAMode = ModeSLAAC }), "InvalidInput"},
		"modes differ":   {v6(func(s *SubnetSpec) { s.IPv6RAMode, s.IPv6AddressMode = ModeSLAAC, ModeStateful }), "InvalidInput"},
		"mode, no DHCP":  {v6(func(s *SubnetSpec) { s.IPv6RAMode, s.EnableDHCP = ModeSLAAC, false }), "InvalidInput"},
		"slaac, not /64": {v6(func(s *SubnetSpec) { s.IPv6RAMode, s.CIDR = ModeSLAAC, netip.MustParsePrefix("fd00::/80") }), "InvalidInput"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.spec.Complete()
			if codeOf(err) != c.code {
				t.Errorf("Complete() = %v, want %s", err, c.code)
			}
		})
	}
}

func TestCheckOverlap(t *testing.T) {
	t.Parallel()
	s := Subnet{ID: "a", NetworkID: "n", CIDR: netip.MustParsePrefix("10.0.0.0/24")}
	if err := s.CheckOverlap([]Subnet{{ID: "b", CIDR: netip.MustParsePrefix("10.0.1.0/24")}, s}); err != nil {
		t.Errorf("neighbour: %v", err)
	}
	err := s.CheckOverlap([]Subnet{{ID: "b", CIDR: netip.MustParsePrefix("10.0.0.128/25")}})
	want := "Invalid input for operation: Requested subnet with cidr: 10.0.0.0/24 for network: n overlaps with another subnet."
	if err == nil || err.Error() != want {
		t.Errorf("overlap: %v, want %q", err, want)
	}
}

// smallPools draws pools of a /24 that do not overlap.
func smallPools(t *rapid.T) []Pool {
	var pools []Pool
	base := addr("10.0.0.0")
	for at := uint64(1); at < 250 && len(pools) < 4; {
		start := at + rapid.Uint64Range(0, 20).Draw(t, "gap")
		end := start + rapid.Uint64Range(0, 30).Draw(t, "length")
		pools = append(pools, Pool{plus(base, start), plus(base, end)})
		at = end + 1
	}
	return pools
}

func TestFreeAddressProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pools := smallPools(t)
		var all, taken []netip.Addr
		for _, p := range pools {
			for a := p.Start; a.Compare(p.End) <= 0; a = a.Next() {
				all = append(all, a)
				if rapid.Bool().Draw(t, "taken") {
					taken = append(taken, a, a)
				}
			}
		}
		pick := rapid.Uint64().Draw(t, "pick")
		got, ok := FreeAddress(pools, taken, func(n uint64) uint64 { return pick % n })
		free := len(all) > 0 && slices.ContainsFunc(all, func(a netip.Addr) bool { return !slices.Contains(taken, a) })
		if ok != free {
			t.Fatalf("found = %v with free = %v", ok, free)
		}
		if ok && (!slices.Contains(all, got) || slices.Contains(taken, got)) {
			t.Fatalf("FreeAddress = %s: not in the pools, or taken", got)
		}
	})
}

// Taking addresses one by one gives out each of them once, then none.
func TestFreeAddressIsExhaustive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pools := smallPools(t)
		var size uint64
		for _, p := range pools {
			size += p.size()
		}
		var taken []netip.Addr
		for {
			a, ok := FreeAddress(pools, taken, func(n uint64) uint64 { return n / 2 })
			if !ok {
				break
			}
			taken = append(taken, a)
		}
		slices.SortFunc(taken, netip.Addr.Compare)
		if len(slices.Compact(taken)) != int(size) {
			t.Fatalf("%d addresses given out, want %d", len(taken), size)
		}
	})
}

func TestRandomAddressProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pools := smallPools(t)
		pick := rapid.Uint64().Draw(t, "pick")
		got, ok := RandomAddress(pools, func(n uint64) uint64 { return pick % n })
		if !ok || !slices.ContainsFunc(pools, func(p Pool) bool { return p.contains(got) }) {
			t.Fatalf("RandomAddress(%v) = %s, %v", pools, got, ok)
		}
	})
	huge := []Pool{pool("fd00::1", "fdff:ffff::")}
	got, ok := RandomAddress(huge, func(n uint64) uint64 { return n - 1 })
	if !ok || !huge[0].contains(got) {
		t.Errorf("RandomAddress of a huge pool = %s, %v", got, ok)
	}
	if _, ok := RandomAddress(nil, Lowest); ok {
		t.Error("an address out of no pool")
	}
}

func TestPlusAndSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 1<<40).Draw(t, "n")
		for _, start := range []netip.Addr{addr("fd00::fffe"), addr("fd00::")} {
			if got := (Pool{start, plus(start, n)}).size(); got != n+1 {
				t.Fatalf("size of %d addresses = %d", n+1, got)
			}
		}
	})
	if got := (Pool{addr("10.0.0.0"), addr("10.0.255.255")}).size(); got != 1<<16 {
		t.Errorf("size of a /16 = %d", got)
	}
	if got := (Pool{addr("::"), addr("ffff::")}).size(); got != hugePool {
		t.Errorf("size of nearly everything = %d, want the bound", got)
	}
}
