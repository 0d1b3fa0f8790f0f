package topology

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func shown(all []netip.Prefix) (out []string) {
	for _, p := range all {
		out = append(out, p.String())
	}
	return out
}

func fresh(texts ...string) *SubnetPool {
	return &SubnetPool{Standard: Standard{ID: "p"}, Prefixes: prefixes(texts...), MinPrefixLen: -1, MaxPrefixLen: -1, DefaultPrefixLen: -1}
}

func TestSubnetPoolComplete(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                string
		prefixes            []string
		least, most, normal int
		want                []int // bounds
		joined              []string
		code                string
	}{
		{"defaults of IPv4", []string{"10.0.0.0/16"}, -1, -1, -1, []int{8, 32, 8}, []string{"10.0.0.0/16"}, ""},
		{"defaults of IPv6", []string{"fd00::/48"}, -1, -1, -1, []int{64, 128, 64}, []string{"fd00::/48"}, ""},
		{"halves are joined", []string{"10.0.1.0/24", "10.0.0.0/24"}, 20, 28, 24, []int{20, 28, 24}, []string{"10.0.0.0/23"}, ""},
		{"no prefix", nil, -1, -1, -1, nil, nil, "EmptySubnetPoolPrefixList"},
		{"both versions", []string{"10.0.0.0/16", "fd00::/48"}, -1, -1, -1, nil, nil, "PrefixVersionMismatch"},
		{"bounds the wrong way round", []string{"10.0.0.0/16"}, 28, 24, -1, nil, nil, "IllegalSubnetPoolPrefixBounds"},
		{"longer than an address", []string{"10.0.0.0/16"}, -1, 33, -1, nil, nil, "IllegalSubnetPoolPrefixBounds"},
		{"default below the least", []string{"10.0.0.0/16"}, 20, -1, 19, nil, nil, "IllegalSubnetPoolPrefixBounds"},
		{"default above the most", []string{"10.0.0.0/16"}, 20, 24, 25, nil, nil, "IllegalSubnetPoolPrefixBounds"},
	} {
		p := fresh(tc.prefixes...)
		p.MinPrefixLen, p.MaxPrefixLen, p.DefaultPrefixLen = tc.least, tc.most, tc.normal
		err := p.Complete()
		if codeOf(err) != tc.code {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.code)
		}
		if err != nil {
			continue
		}
		if diff := cmp.Diff(tc.want, []int{p.MinPrefixLen, p.MaxPrefixLen, p.DefaultPrefixLen}); diff != "" {
			t.Errorf("%s: bounds (-want +got):\n%s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.joined, shown(p.Prefixes)); diff != "" {
			t.Errorf("%s: prefixes (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	length := func(n int) *int { return &n }
	subnet := func(cidr, gateway string) SubnetSpec {
		s := SubnetSpec{Subnet: Subnet{IPVersion: 4}}
		if cidr != "" {
			s.CIDR = netip.MustParsePrefix(cidr)
		}
		if gateway != "" {
			s.GatewayIP = netip.MustParseAddr(gateway)
		}
		return s
	}
	sized := func(n int) SubnetSpec {
		s := subnet("", "")
		s.PrefixLen = length(n)
		return s
	}
	for _, tc := range []struct {
		name    string
		spec    SubnetSpec
		taken   []string
		quota   *int
		cidr    string
		gateway string
		code    string
	}{
		{"the pool's length", subnet("", ""), nil, nil, "10.0.0.0/26", "10.0.0.1", ""},
		{"another length", sized(28), nil, nil, "10.0.0.0/28", "10.0.0.1", ""},
		{"the smallest piece that is left", sized(28), []string{"10.0.0.0/26", "10.0.0.128/28"}, nil, "10.0.0.144/28", "10.0.0.145", ""},
		{"by prefix", subnet("10.0.0.64/26", ""), []string{"10.0.0.0/26"}, nil, "10.0.0.64/26", "", ""},
		{"around the gateway", subnet("", "10.0.0.65"), nil, nil, "10.0.0.64/26", "10.0.0.65", ""},
		{"a prefix that is taken", subnet("10.0.0.0/26", ""), []string{"10.0.0.0/28"}, nil, "", "", "SubnetAllocationError"},
		{"a prefix of another pool", subnet("10.9.0.0/26", ""), nil, nil, "", "", "SubnetAllocationError"},
		{"nothing left", sized(25), []string{"10.0.0.0/28", "10.0.0.128/28"}, nil, "", "", "SubnetAllocationError"},
		{"too long", sized(31), nil, nil, "", "", "MaxPrefixSubnetAllocationError"},
		{"too short", sized(23), nil, nil, "", "", "MinPrefixSubnetAllocationError"},
		{"just within the quota", sized(27), []string{"10.0.0.0/27"}, length(64), "10.0.0.32/27", "10.0.0.33", ""},
		{"over the quota", sized(26), []string{"10.0.0.0/27"}, length(64), "", "", "SubnetPoolQuotaExceeded"},
		{"of the other version", SubnetSpec{Subnet: Subnet{IPVersion: 6}}, nil, nil, "", "", "BadRequest"},
	} {
		p := fresh("10.0.0.0/24")
		p.MinPrefixLen, p.MaxPrefixLen, p.DefaultPrefixLen, p.DefaultQuota = 24, 30, 26, tc.quota
		if err := p.Complete(); err != nil {
			t.Fatal(err)
		}
		err := p.Cut(&tc.spec, prefixes(tc.taken...), prefixes(tc.taken...))
		if codeOf(err) != tc.code {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.code)
		}
		if err != nil {
			continue
		}
		gateway := ""
		if tc.spec.GatewayIP.IsValid() {
			gateway = tc.spec.GatewayIP.String()
		}
		if tc.spec.CIDR.String() != tc.cidr || gateway != tc.gateway {
			t.Errorf("%s: %s by %s, want %s by %s", tc.name, tc.spec.CIDR, gateway, tc.cidr, tc.gateway)
		}
	}
}

func TestPoolPrefixes(t *testing.T) {
	t.Parallel()
	p := fresh("10.0.0.0/24", "10.0.1.0/24")
	if err := p.SetPrefixes(prefixes("10.0.0.0/24")); codeOf(err) != "IllegalSubnetPoolPrefixUpdate" {
		t.Errorf("fewer prefixes: %v", err)
	}
	if err := p.SetPrefixes(prefixes("10.0.0.0/22")); err != nil {
		t.Errorf("more prefixes: %v", err)
	}
	if err := p.RemovePrefixes(prefixes("10.0.2.0/24"), prefixes("10.0.2.16/28")); codeOf(err) != "IllegalSubnetPoolPrefixUpdate" {
		t.Errorf("a prefix in use: %v", err)
	}
	if err := p.RemovePrefixes(prefixes("10.0.2.0/24"), prefixes("10.0.1.16/28")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"10.0.0.0/23", "10.0.3.0/24"}, shown(p.Prefixes)); diff != "" {
		t.Errorf("prefixes (-want +got):\n%s", diff)
	}
	if err := p.RemovePrefixes(prefixes("192.0.2.0/24"), nil); err != nil || len(p.Prefixes) != 2 {
		t.Errorf("a prefix that is not there: %v, %v", err, p.Prefixes)
	}
}

func TestAffinity(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		pool  *SubnetPool
		other Subnet
		scope string // of the network
		code  string
	}{
		{"neither out of a pool", nil, Subnet{IPVersion: 4}, "", ""},
		{"the other out of a pool", nil, Subnet{IPVersion: 4, SubnetPoolID: "q"}, "", "NetworkSubnetPoolAffinityError"},
		{"out of another pool", fresh("10.0.0.0/8"), Subnet{IPVersion: 4, SubnetPoolID: "q"}, "", "NetworkSubnetPoolAffinityError"},
		{"out of the same", fresh("10.0.0.0/8"), Subnet{IPVersion: 4, SubnetPoolID: "p"}, "", ""},
		{"of the other version", fresh("10.0.0.0/8"), Subnet{IPVersion: 6, SubnetPoolID: "q"}, "", ""},
		{"another pool of the scope", &SubnetPool{Standard: Standard{ID: "p"}, AddressScopeID: "s"}, Subnet{IPVersion: 4, SubnetPoolID: "q"}, "s", ""},
		{"another scope", &SubnetPool{Standard: Standard{ID: "p"}, AddressScopeID: "r"}, Subnet{IPVersion: 4, SubnetPoolID: "q"}, "s", "NetworkAddressScopeAffinityError"},
	} {
		s := Subnet{IPVersion: 4}
		if tc.pool != nil {
			s.SubnetPoolID = tc.pool.ID
		}
		if err := s.CheckAffinity([]Subnet{tc.other}, tc.pool, tc.scope); codeOf(err) != tc.code {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.code)
		}
	}
}

func TestServing(t *testing.T) {
	t.Parallel()
	all := []Subnet{{ID: "open"}, {ID: "gateways", ServiceTypes: []string{OwnerRouterGateway}, EnableDHCP: true}}
	for owner, want := range map[string][]string{
		"":                 {"open"},
		OwnerRouterGateway: {"gateways", "open"},
		OwnerDHCP:          {"gateways", "open"},
	} {
		var got []string
		for _, s := range Serving(all, owner) {
			got = append(got, s.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("for %q (-want +got):\n%s", owner, diff)
		}
	}
}

func TestIPAvailability(t *testing.T) {
	t.Parallel()
	var a IPAvailability
	a.Count(&Subnet{AllocationPools: []Pool{{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.5")},
		{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.9")}}}, 3)
	a.Count(&Subnet{CIDR: netip.MustParsePrefix("fd00::/64")}, 1)
	if a.Used != 4 || a.Total.String() != "18446744073709551621" {
		t.Errorf("used %d of %s, want 4 of 5 + 2^64", a.Used, a.Total)
	}
}
