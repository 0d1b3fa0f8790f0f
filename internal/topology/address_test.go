package topology

import (
	"net/netip"
	"testing"
)

// TestFirstAddressIsARouters: the first address of an IPv6 subnet is what Neutron
// gives a router when nobody names another.
func TestFirstAddressIsARouters(t *testing.T) {
	t.Parallel()
	six := &Subnet{CIDR: netip.MustParsePrefix("2001:db8::/64")}
	four := &Subnet{CIDR: netip.MustParsePrefix("10.0.0.0/24")}
	for _, c := range []struct {
		subnet *Subnet
		owner  string
		want   bool
	}{
		{six, "", true}, {six, OwnerRouterInterface, true}, {six, OwnerRouterGateway, true}, {six, OwnerPodRouter, true},
		{six, "compute:az1", false}, {six, OwnerDHCP, false}, {four, "", false}, {four, OwnerRouterInterface, false},
	} {
		first := c.subnet.CIDR.Addr()
		if err := c.subnet.CheckAddress(first, c.owner); (err == nil) != c.want {
			t.Errorf("CheckAddress(%s, %q) = %v, want allowed %t", first, c.owner, err, c.want)
		}
	}
}
