//go:build e2e

package e2e

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestOneNetworkTwoClouds is the main job: two servers in two clouds on one
// network, and when they go nothing is left behind. That they reach each other is
// TestDataplaneL2's.
func TestOneNetworkTwoClouds(t *testing.T) {
	tenant := login(t, "alt")
	leavesNothing(t, tenant)

	image := tenant.uploadImage("e2e-image")
	network := tenant.createNetwork("e2e-net")
	tenant.createSubnet(network, "10.90.0.0/24")
	a := tenant.createServer("e2e-a", "az1", image, network)
	b := tenant.createServer("e2e-b", "az2", image, network)
	tenant.waitActive(a, b)

	if diff := cmp.Diff([]string{"e2e-a az1", "e2e-b az2"}, namesAndZones(t, tenant)); diff != "" {
		t.Errorf("server list (-want +got):\n%s", diff)
	}
}

func namesAndZones(t *testing.T, tenant *Tenant) []string {
	t.Helper()
	pages := must(servers.List(tenant.Compute, servers.ListOpts{}).AllPages(live(t)))(t)
	var all []string
	for _, s := range must(servers.ExtractServers(pages))(t) {
		all = append(all, s.Name+" "+s.AvailabilityZone)
	}
	slices.Sort(all)
	return all
}
