package topology

import (
	"net/netip"
	"testing"
)

func TestCheckInterfaceSubnets(t *testing.T) {
	t.Parallel()
	four := Subnet{ID: "four", IPVersion: 4}
	six := Subnet{ID: "six", IPVersion: 6, IPv6RAMode: ModeSLAAC, IPv6AddressMode: ModeSLAAC}
	foreign := Subnet{ID: "foreign", IPVersion: 6, IPv6AddressMode: ModeSLAAC}
	for _, c := range []struct {
		name    string
		subnets []Subnet
		want    string
	}{
		{"no address", nil, "Bad router request: Router port must have at least one fixed IP."},
		{"one", []Subnet{four}, ""},
		{"both versions", []Subnet{four, six, six}, ""},
		{"two of IPv4", []Subnet{four, four}, "Bad router request: Cannot have multiple IPv4 subnets on router port."},
		{"another router's", []Subnet{foreign},
			"Bad router request: IPv6 subnet foreign configured to receive RAs from an external router cannot be added to Neutron Router.."},
	} {
		got := ""
		if err := CheckInterfaceSubnets(c.subnets); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestServedAddress(t *testing.T) {
	t.Parallel()
	at := func(s string) FixedIP { return FixedIP{"sub", netip.MustParseAddr(s)} }
	one := Port{ID: "p", FixedIPs: []FixedIP{at("10.0.0.5"), at("2001:db8::5")}}
	two := Port{ID: "p", FixedIPs: []FixedIP{at("10.0.0.5"), at("10.0.0.6")}}
	for _, c := range []struct {
		name   string
		port   Port
		wanted string
		want   string
	}{
		{"the only one", one, "", "10.0.0.5"},
		{"the one named", two, "10.0.0.6", "10.0.0.6"},
		{"which?", two, "", "Bad floatingip request: Port p has multiple fixed IPv4 addresses.  " +
			"Must provide a specific IPv4 address when assigning a floating IP."},
		{"not the port's", one, "10.0.0.9", "Bad floatingip request: Port p does not have fixed ip 10.0.0.9."},
		{"IPv6", one, "2001:db8::5", "Bad floatingip request: Cannot process floating IP association with 2001:db8::5, since that is not an IPv4 address."},
		{"none", Port{ID: "p"}, "", "Bad floatingip request: Cannot add floating IP to port p that has no fixed IPv4 addresses."},
		{"DHCP", Port{ID: "p", DeviceOwner: OwnerDHCP}, "", "Bad floatingip request: Port p is unable to be assigned a floating IP."},
	} {
		var wanted netip.Addr
		if c.wanted != "" {
			wanted = netip.MustParseAddr(c.wanted)
		}
		ip, err := c.port.ServedAddress(wanted)
		got := ip.Address.String()
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
