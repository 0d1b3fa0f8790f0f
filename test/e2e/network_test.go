//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestOneNetworkTwoClouds is the main job: two servers in two clouds on one
// network reach each other, and when they go nothing is left behind.
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

	clouds := pods(t)
	here := guestOf(t, tenant, a, clouds[0])
	there := guestOf(t, tenant, b, clouds[1])
	// The first packets wait for ARP and flows.
	eventually(t, 20*time.Second, "ping from az1 to az2", func() error { return here.ping(there.Address) })
	eventually(t, 20*time.Second, "ping from az2 to az1", func() error { return there.ping(here.Address) })
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

// guestOf plugs a guest as the server, and checks that the pod's DHCP server
// leased it the very address that the region gave its port.
func guestOf(t *testing.T, tenant *Tenant, server string, pod Pod) Guest {
	t.Helper()
	port := tenant.portOf(server)
	inPod := pod.portByMark(port.ID)
	if inPod.text("mac_address") != port.MACAddress {
		t.Errorf("MAC in %s = %s, want %s", pod.Name, inPod.text("mac_address"), port.MACAddress)
	}
	guest := plug(t, pod.Name, inPod.text("id"))
	if want := port.FixedIPs[0].IPAddress; guest.Address != want {
		t.Errorf("%s leased %s, want %s", pod.Name, guest.Address, want)
	}
	return guest
}
