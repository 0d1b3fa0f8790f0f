package topology_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/tricircle/tricircle/internal/topology"
	"pgregory.net/rapid"
)

func TestBridgePrefixes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		of    topology.Bridges
		taken []string
		want  string // empty: none
	}{
		{"the first", topology.Bridges{}, nil, "[100.64.0.0/20 fd3a:9c14:72e6::/64]"},
		{"others do not matter", topology.Bridges{}, []string{"10.0.0.0/8", "100.63.0.0/16", "fd00::/64"}, "[100.64.0.0/20 fd3a:9c14:72e6::/64]"},
		{"behind what is taken", topology.Bridges{}, []string{"100.64.1.0/24", "100.64.16.0/24"}, "[100.64.32.0/20 fd3a:9c14:72e6::/64]"},
		{"behind a wide one", topology.Bridges{}, []string{"100.64.0.0/11"}, "[100.96.0.0/20 fd3a:9c14:72e6::/64]"},
		{"the second IPv6 one", topology.Bridges{}, []string{"fd3a:9c14:72e6::/64"}, "[100.64.0.0/20 fd3a:9c14:72e6:1::/64]"},
		{"one that is wider than all", topology.Bridges{}, []string{"100.0.0.0/8"}, ""},
		{"a small prefix is used whole", topology.Bridges{Prefix: netip.MustParsePrefix("192.0.2.0/24")}, nil, "[192.0.2.0/24 fd3a:9c14:72e6::/64]"},
		{"the end of all addresses", topology.Bridges{Prefix: netip.MustParsePrefix("255.255.240.0/20")}, []string{"255.255.255.0/24"}, ""},
	} {
		taken := make([]netip.Prefix, len(tt.taken))
		for i, p := range tt.taken {
			taken[i] = netip.MustParsePrefix(p)
		}
		got, err := topology.Fabric{Bridge: tt.of}.BridgePrefixes(taken)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s: BridgePrefixes(%v) = %v, want a refusal", tt.name, tt.taken, got)
			}
		} else if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: BridgePrefixes(%v) = %v, %v, want %s", tt.name, tt.taken, got, err, tt.want)
		}
	}
}

// What is chosen lies in the operator's prefix and meets nothing.
func TestBridgePrefixes_meetNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var taken []netip.Prefix
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			at := netip.AddrFrom4([4]byte{100, byte(rapid.IntRange(60, 130).Draw(t, "b")), byte(rapid.IntRange(0, 255).Draw(t, "c")), 0})
			taken = append(taken, netip.PrefixFrom(at, rapid.IntRange(10, 24).Draw(t, "bits")).Masked())
		}
		got, err := topology.Fabric{}.BridgePrefixes(taken)
		if err != nil {
			return
		}
		if !topology.DefaultBridgePrefix.Contains(got[0].Addr()) || got[0] != got[0].Masked() {
			t.Errorf("BridgePrefixes(%v) = %v, out of the prefix", taken, got)
		}
		for _, p := range taken {
			if p.Overlaps(got[0]) {
				t.Errorf("BridgePrefixes(%v) = %v, overlaps", taken, got)
			}
		}
	})
}
