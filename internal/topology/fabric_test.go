package topology

import (
	"cmp"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var fabric = Fabric{Physical: []PhysicalNetwork{
	{Name: "bridge", Flat: true, VLANs: []SegmentRange{{101, 102}}}, {Name: "other", VLANs: []SegmentRange{{7, 7}}}, {Name: "bare"},
}}

var tunnels = Fabric{Physical: fabric.Physical, VNIs: []SegmentRange{{1000, 1001}, {5, MaxVNI / 2}}}

func TestFabricCheck(t *testing.T) {
	t.Parallel()
	if err := (Fabric{}).Check(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	if err := fabric.Check(); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]Fabric{
		"twice":     {Physical: []PhysicalNetwork{{Name: "a"}, {Name: "a"}}},
		"no name":   {Physical: []PhysicalNetwork{{}}},
		"range":     {Physical: []PhysicalNetwork{{Name: "a", VLANs: []SegmentRange{{1, 4095}}}}},
		"reversed":  {Physical: []PhysicalNetwork{{Name: "a", VLANs: []SegmentRange{{9, 8}}}}},
		"type":      {DefaultType: "flat"},
		"VNI":       {VNIs: []SegmentRange{{1, MaxVNI + 1}}},
		"multicast": {MACPrefix: "01:00:5e"},
		"long":      {MACPrefix: "fa:16:3e:00:00"},
	} {
		if f.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f        Fabric
		in       Network
		wantType string
		wantMTU  int
		code     string
	}{
		"default":            {f: fabric, wantType: "vlan"},
		"no range":           {wantType: "local"},
		"chosen":             {f: Fabric{DefaultType: "local", Physical: fabric.Physical}, wantType: "local"},
		"vlan outside":       {f: fabric, in: Network{Type: "vlan", PhysicalNetwork: "bare", SegmentationID: 4000}, wantType: "vlan"},
		"flat":               {f: fabric, in: Network{Type: "flat", PhysicalNetwork: "bridge"}, wantType: "flat"},
		"type missing":       {f: fabric, in: Network{SegmentationID: 4}, code: "InvalidInput"},
		"unknown type":       {f: fabric, in: Network{Type: "vxlan"}, code: "InvalidInput"},
		"unknown physical":   {f: fabric, in: Network{Type: "vlan", PhysicalNetwork: "x", SegmentationID: 4}, code: "InvalidInput"},
		"ID alone":           {f: fabric, in: Network{Type: "vlan", SegmentationID: 4}, code: "InvalidInput"},
		"ID too high":        {f: fabric, in: Network{Type: "vlan", PhysicalNetwork: "bridge", SegmentationID: 4095}, code: "InvalidInput"},
		"flat with ID":       {f: fabric, in: Network{Type: "flat", PhysicalNetwork: "bridge", SegmentationID: 4}, code: "InvalidInput"},
		"flat not allowed":   {f: fabric, in: Network{Type: "flat", PhysicalNetwork: "other"}, code: "InvalidInput"},
		"flat without":       {f: fabric, in: Network{Type: "flat"}, code: "InvalidInput"},
		"local with physnet": {f: fabric, in: Network{Type: "local", PhysicalNetwork: "bridge"}, code: "InvalidInput"},
		"local with ID":      {f: fabric, in: Network{Type: "local", SegmentationID: 4}, code: "InvalidInput"},
		"MTU too big":        {f: fabric, in: Network{MTU: 9000}, code: "InvalidInput"},
		"vxlan":              {f: tunnels, in: Network{Type: "vxlan"}, wantType: "vxlan", wantMTU: 1450},
		"vxlan by default":   {f: Fabric{DefaultType: "vxlan", VNIs: tunnels.VNIs}, wantType: "vxlan", wantMTU: 1450},
		"vxlan outside":      {f: tunnels, in: Network{Type: "vxlan", SegmentationID: MaxVNI}, wantType: "vxlan", wantMTU: 1450},
		"vxlan too high":     {f: tunnels, in: Network{Type: "vxlan", SegmentationID: MaxVNI + 1}, code: "InvalidInput"},
		"vxlan with physnet": {f: tunnels, in: Network{Type: "vxlan", PhysicalNetwork: "bridge"}, code: "InvalidInput"},
		"vxlan MTU too big":  {f: tunnels, in: Network{Type: "vxlan", MTU: 1500}, code: "InvalidInput"},
		"the narrowest segment": {f: tunnels, in: Network{Segments: []NetworkSegment{
			{Type: "vlan", PhysicalNetwork: "bridge", SegmentationID: 4}, {Type: "vxlan", SegmentationID: 5}}}, wantMTU: 1450},
	} {
		n := c.in
		err := c.f.Complete(&n)
		if codeOf(err) != c.code || err == nil && (n.Type != c.wantType || n.MTU != cmp.Or(c.wantMTU, DefaultMTU)) {
			t.Errorf("%s: Complete = %+v, %v, want %s %s", name, n, err, c.wantType, c.code)
		}
	}
}

func TestFreeSegment(t *testing.T) {
	t.Parallel()
	taken := map[Segment]bool{}
	for range 3 {
		s, err := fabric.FreeSegment(&Network{Type: "vlan"}, taken, Lowest)
		if err != nil || taken[s] {
			t.Fatalf("FreeSegment = %v, %v", s, err)
		}
		taken[s] = true
	}
	if _, err := fabric.FreeSegment(&Network{Type: "vlan"}, taken, Lowest); codeOf(err) != "NoNetworkAvailable" {
		t.Errorf("exhausted: %v", err)
	}
	if s, err := fabric.FreeSegment(&Network{Type: "vlan", PhysicalNetwork: "other"}, nil, Lowest); err != nil || s != (Segment{"other", 7}) {
		t.Errorf("of one physical network: %v, %v", s, err)
	}
	if _, err := fabric.FreeSegment(&Network{Type: "vxlan"}, nil, Lowest); codeOf(err) != "InvalidInput" {
		t.Errorf("a type that is not offered: %v", err)
	}
}

// Whatever is taken, the segment picked is a free one of the ranges, and all of
// them are reached.
func TestFreeSegmentReachesAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := Fabric{VNIs: []SegmentRange{{10, 14}, {20, 20}, {30, 33}}}
		taken := map[Segment]bool{{"bridge", 10}: true, {"", 15}: true} // others'
		free := map[int]bool{}
		for _, r := range f.VNIs {
			for id := r.Min; id <= r.Max; id++ {
				if rapid.Bool().Draw(t, "taken") {
					taken[Segment{"", id}] = true
				} else {
					free[id] = true
				}
			}
		}
		found := map[int]bool{}
		for i := range len(free) {
			s, err := f.FreeSegment(&Network{Type: "vxlan"}, taken, func(n uint64) uint64 { return uint64(i) % n })
			if err != nil || s.Physical != "" || !free[s.ID] {
				t.Fatalf("FreeSegment = %v, %v with %v free", s, err, free)
			}
			found[s.ID] = true
		}
		if len(found) != len(free) {
			t.Fatalf("found %v of %v", found, free)
		}
	})
}

func TestSegmentTaken(t *testing.T) {
	t.Parallel()
	for kind, code := range map[string]string{"vlan": "VlanIdInUse", "flat": "FlatNetworkInUse", "vxlan": "TunnelIdInUse"} {
		if err := tunnels.SegmentTaken(kind, Segment{"bridge", 5}); codeOf(err) != code {
			t.Errorf("%s: %v, want %s", kind, err, code)
		}
	}
}

func TestMAC(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"fa:16:3e", "fa:16:3e:4f"}).Draw(t, "prefix")
		pick := rapid.Uint64().Draw(t, "pick")
		mac := MakeMAC(prefix, func(n uint64) uint64 { return pick % n })
		if parsed, ok := ParseMAC(mac); !ok || parsed != mac || !strings.HasPrefix(mac, prefix) {
			t.Fatalf("MakeMAC = %q", mac)
		}
		for _, way := range []string{strings.ToUpper(mac), strings.ReplaceAll(mac, ":", "-"), strings.ReplaceAll(mac, ":", "")} {
			if parsed, ok := ParseMAC(way); !ok || parsed != mac {
				t.Fatalf("ParseMAC(%q) = %q, %v", way, parsed, ok)
			}
		}
	})
	for _, bad := range []string{"", "x", "00:00:00:00:00:00", "fa:16:3e:00:00", "fa:16:3e:00:00:00:00:01", "fa163e00000"} {
		if got, ok := ParseMAC(bad); ok {
			t.Errorf("ParseMAC(%q) = %q", bad, got)
		}
	}
	got := EUI64(netip.MustParsePrefix("fd00:1::/64"), "fa:16:3e:39:29:f9")
	if got != addr("fd00:1::f816:3eff:fe39:29f9") {
		t.Errorf("EUI64 = %s", got)
	}
}
