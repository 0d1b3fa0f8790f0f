//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestDataplaneEastWest is a router between networks that are in one pod, in the
// other, and in both.
func TestDataplaneEastWest(t *testing.T) {
	s := newScene(t, "east")
	bridges := s.bridges(t)
	north := s.network("north", "10.102.1.0/24", "2001:db8:102:1::/64 slaac")
	south := s.network("south", "10.102.2.0/24", "2001:db8:102:2::/64 dhcpv6-stateful")
	wide := s.network("wide", "10.102.3.0/24", "2001:db8:102:3::/64 slaac")
	router := s.router("east", north, south, wide)
	s.boot(
		Box{Name: "north1", Zone: "az1", Network: north},
		Box{Name: "wide1", Zone: "az1", Network: wide},
		Box{Name: "south2", Zone: "az2", Network: south},
		Box{Name: "wide2", Zone: "az2", Network: wide},
	)
	s.reach(t, "networks in one pod, the other, and both", `
		        north1  wide1  south2  wide2
		north1  -       all    all     all
		wide1   all     -      all     all
		south2  all     all    -       all
		wide2   all     all    all     -
	`)
	t.Run("own pod", func(t *testing.T) {
		// One router in between: their own pod's. Over the bridge there are two.
		s.wantHops(t, "north1", "wide1", 1)
		s.wantHops(t, "south2", "wide2", 1)
		s.wantHops(t, "north1", "south2", 2)
		s.wantHops(t, "wide1", "wide2", 0)
	})
	t.Run("large packets", func(t *testing.T) { s.largePackets(t, 1500, "north1", "south2") })
	t.Run("bridge", func(t *testing.T) { s.wantHiddenBridge(t, bridges) })

	s.detach(router, south)
	s.becomes(t, "a network is taken off the router", `
		        north1  wide1  south2  wide2
		north1  -       all    none    all
		south2  none    none   -       none
		wide2   all     all    none    -
	`)
	s.attach(router, south)
	s.becomes(t, "and put back", `
		        north1  south2  wide2
		north1  -       all     all
		south2  all     -       all
	`)
	s.detachAll(router)
	s.remove("router", router)
	s.becomes(t, "the router is gone, the spanning network is not", `
		        north1  wide1  south2  wide2
		north1  -       none   none    none
		wide1   none    -      none    all
		wide2   none    all    none    -
	`)
	s.wantNoBridge(t, bridges)
}

// TestDataplaneGrowingRouter draws in another order: servers first, the router later,
// and a network that comes to the other pod last.
func TestDataplaneGrowingRouter(t *testing.T) {
	longer(t)
	s := newScene(t, "grows")
	left, right := s.network("left", "10.103.1.0/24"), s.network("right", "10.103.2.0/24")
	s.boot(
		Box{Name: "left1", Zone: "az1", Network: left},
		Box{Name: "right1", Zone: "az1", Network: right},
		Box{Name: "right2", Zone: "az2", Network: right},
	)
	s.reach(t, "no router", `
		        left1  right1  right2
		left1   -      none    none
		right1  none   -       all
		right2  none   all     -
	`)
	router := s.router("late", right, left)
	s.renew("left1", "right1", "right2")
	s.becomes(t, "a router after the servers", `
		        left1  right1  right2
		left1   -      all     all
		right1  all    -       all
		right2  all    all     -
	`)
	s.boot(Box{Name: "left2", Zone: "az2", Network: left})
	s.becomes(t, "the other network comes to the other pod", `
		        left1  right1  right2  left2
		left1   -      all     all     all
		right2  all    all     -       all
		left2   all    all     all     -
	`)
	s.wantHops(t, "left2", "right2", 1)

	// A route of the user's leads where he says, from both pods.
	via := s.guests["right1"]
	via.must(t, "sysctl -qw net.ipv4.ip_forward=1 && ip addr add 192.168.77.1/32 dev lo")
	s.others["behind"] = Target{Addresses{V4: "192.168.77.1"}, "right1"}
	s.update("port", via.Port, object{"allowed_address_pairs": []object{{"ip_address": "192.168.77.0/24"}}})
	t.Cleanup(func() { s.update("router", router, object{"routes": []object{}}) })
	s.update("router", router, object{"routes": []object{{"destination": "192.168.77.0/24", "nexthop": via.V4}}})
	// Over UDP a guest answers with the address of its card.
	s.becomes(t, "a route of the user's", `
		        behind
		left1   ping,tcp,tcp81
		left2   ping,tcp,tcp81
		right2  ping,tcp,tcp81
	`)
	s.update("router", router, object{"routes": []object{}})
	s.becomes(t, "which is taken back", `
		        behind
		left1   none
		left2   none
	`)
}

// renew has guests ask for their leases again, as they do from time to time: what the
// subnet says about routers may have changed.
func (s *Scene) renew(names ...string) {
	s.t.Helper()
	eventually(s.t, time.Minute, "leases with a router", func() error {
		return atOnce(len(names), func(i int) error {
			g := s.guests[names[i]]
			if err := g.lease(); err != nil {
				return err
			}
			if g.Lease["router"] == "" {
				return fmt.Errorf("%s is told of no router", g.Name)
			}
			return g.routerAnswers()
		})
	})
}

// routerAnswers asks the router that the lease names.
func (g *Guest) routerAnswers() error {
	_, err := g.run("ping -n -c 1 -W 1 " + g.Lease["router"])
	return err
}

// wantHops counts the routers on the way back, of IPv4: over IPv6 a server on a network
// in several pods takes the router of either for its own.
func (s *Scene) wantHops(t *testing.T, from, to string, want int) {
	t.Helper()
	if got, err := s.guests[from].hops(s.guests[to].V4); err != nil || got != want {
		t.Errorf("%s to %s passes %d routers, want %d (%v)", from, to, got, want, err)
	}
}

// bridgePrefix is where the networks between the pods' routers have their addresses.
var bridgePrefix = netip.MustParsePrefix("100.64.0.0/10")

// bridges are the networks between routers in each pod, by ID: those that have a
// subnet in the range for it.
func (s *Scene) bridges(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, p := range s.Pods {
		for _, subnet := range p.list(p.Network, "subnets", "subnets") {
			if prefix, err := netip.ParsePrefix(subnet.text("cidr")); err == nil && bridgePrefix.Contains(prefix.Addr()) {
				all[p.Name+" "+subnet.text("network_id")] = true
			}
		}
	}
	return all
}

// ownBridges are those that came since. Their VLANs may be on any wire of the region.
func (s *Scene) ownBridges(t *testing.T, before map[string]bool) []string {
	t.Helper()
	var all []string
	for bridge := range s.bridges(t) {
		if !before[bridge] {
			all = append(all, bridge)
		}
	}
	return all
}

// wantHiddenBridge looks for the bridge in both pods, where it must be, and with the
// tenant, where it must not.
func (s *Scene) wantHiddenBridge(t *testing.T, before map[string]bool) {
	own := s.ownBridges(t, before)
	if len(own) != 2 {
		t.Errorf("the pods have bridges %v, want one each", own)
	}
	for _, path := range []string{"networks", "subnets", "ports"} {
		for _, o := range get[map[string][]object](t, s.Network, path)[path] {
			text := fmt.Sprint(o)
			if strings.Contains(text, " 100.") || strings.Contains(text, ":100.") {
				t.Errorf("the tenant sees one of the bridge's %s: %v", path, o)
			}
		}
	}
	quota := get[map[string]map[string]map[string]int](t, s.Admin.Network, "quotas/"+s.Project+"/details.json")["quota"]
	if used := quota["network"]["used"]; used != 3 {
		t.Errorf("networks that count in the quota = %d, want the 3 that were drawn", used)
	}
	// Three networks with two subnets each, four servers, and one interface for each
	// subnet or pair of subnets: what serves the pods does not count.
	seen := len(get[map[string][]object](t, s.Network, "ports")["ports"])
	if used := quota["port"]["used"]; used != seen {
		t.Errorf("ports that count in the quota = %d, the tenant sees %d", used, seen)
	}
}

func (s *Scene) wantNoBridge(t *testing.T, before map[string]bool) {
	t.Helper()
	eventually(t, 2*time.Minute, "the bridge goes with its last router", func() error {
		if own := s.ownBridges(t, before); len(own) > 0 {
			return errors.New(strings.Join(own, ", "))
		}
		return nil
	})
}
