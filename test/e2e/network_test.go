//go:build e2e

package e2e

import (
	"fmt"
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

// TestOneDHCPPortPerAgent creates networks again and again against the real DHCP
// agent. Each time there must be just the port that we reserved, at our address,
// claimed by the agent: it would make one of its own were ours late, and two
// agents' ports would then answer on one shared wire.
func TestOneDHCPPortPerAgent(t *testing.T) {
	const rounds, together = 50, 10
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	pod := pods(t)[0]
	image := tenant.uploadImage("e2e-dhcp")

	for round := 0; round < rounds; round += together {
		t.Run(fmt.Sprintf("networks %d to %d", round+1, round+together), func(t *testing.T) {
			tenant := login(t, "alt")
			var servers, networks []string
			for i := range together {
				network := tenant.createNetwork(fmt.Sprintf("e2e-dhcp-%d", round+i))
				tenant.createSubnet(network, fmt.Sprintf("10.91.%d.0/28", round+i))
				networks = append(networks, network)
				servers = append(servers, tenant.createServer(fmt.Sprintf("e2e-dhcp-%d", round+i), "az1", image, network))
			}
			tenant.waitActive(servers...)
			for _, network := range networks {
				eventually(t, time.Minute, "DHCP of network "+network, func() error { return pod.servesDHCP(t, network) })
			}
			// An agent that made a port of its own does so within seconds of DHCP being on.
			for _, network := range networks {
				if err := pod.servesDHCP(t, network); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
