package topology

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var fabric = Fabric{Physical: []PhysicalNetwork{
	{Name: "bridge", Flat: true, VLANs: []VLANRange{{101, 102}}}, {Name: "other", VLANs: []VLANRange{{7, 7}}}, {Name: "bare"},
}}

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
		"range":     {Physical: []PhysicalNetwork{{Name: "a", VLANs: []VLANRange{{1, 4095}}}}},
		"reversed":  {Physical: []PhysicalNetwork{{Name: "a", VLANs: []VLANRange{{9, 8}}}}},
		"type":      {DefaultType: "flat"},
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
	} {
		n := c.in
		err := c.f.Complete(&n)
		if codeOf(err) != c.code || err == nil && (n.Type != c.wantType || n.MTU != DefaultMTU) {
			t.Errorf("%s: Complete = %+v, %v, want %s %s", name, n, err, c.wantType, c.code)
		}
	}
}

func TestFreeSegment(t *testing.T) {
	t.Parallel()
	taken := map[Segment]bool{}
	for range 3 {
		s, err := fabric.FreeSegment("", taken, Lowest)
		if err != nil || taken[s] {
			t.Fatalf("FreeSegment = %v, %v", s, err)
		}
		taken[s] = true
	}
	if _, err := fabric.FreeSegment("", taken, Lowest); codeOf(err) != "NoNetworkAvailable" {
		t.Errorf("exhausted: %v", err)
	}
	if s, err := fabric.FreeSegment("other", nil, Lowest); err != nil || s != (Segment{"other", 7}) {
		t.Errorf("of one physical network: %v, %v", s, err)
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
