//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tricircle/tricircle/test/e2e/guest"
)

// TestDataplaneL2 is one network over all pods: everybody reaches everybody, with an
// address that the own pod's DHCP server leased, with packets as large as the
// network bears, and with no address but their own.
func TestDataplaneL2(t *testing.T) {
	s := newScene(t, "l2")
	wide := s.network("wide", "10.101.0.0/24", "2001:db8:101::/64")
	s.boot(
		Box{Name: "a1", Zone: "az1", Network: wide},
		Box{Name: "b1", Zone: "az1", Network: wide},
		Box{Name: "a2", Zone: "az2", Network: wide},
	)
	s.reach(t, "one network, two pods", `
		    a1   b1   a2
		a1  -    all  all
		b1  all  -    all
		a2  all  all  -
	`)
	t.Run("own DHCP server", func(t *testing.T) { s.leasedFromOwnPod(t, wide) })
	t.Run("large packets", func(t *testing.T) { s.largePackets(t, 1500, "a1", "a2") })
	t.Run("spoofing", s.spoofing)
}

// leasedFromOwnPod looks for the DHCP server of each guest's lease: on the shared wire
// there is one per pod.
func (s *Scene) leasedFromOwnPod(t *testing.T, network string) {
	for _, g := range s.guests {
		p := s.podNamed(g.Pod)
		there := must(p.networkByMark(network))(t)
		var servers []string
		for _, port := range p.list(p.Network, "ports?device_owner=network:dhcp&network_id="+there.text("id"), "ports") {
			servers = append(servers, strings.Fields(addresses(port))...)
		}
		if !slices.Contains(servers, g.Lease["server"]) {
			t.Errorf("%s has its lease from %s, want one of %s: %v", g.Name, g.Lease["server"], g.Pod, servers)
		}
		if g.Lease["mtu"] != "1500" {
			t.Errorf("%s was told a MTU of %q, want 1500", g.Name, g.Lease["mtu"])
		}
	}
}

// largePackets fills what the network says it carries, both ways and by both
// versions of IP.
func (s *Scene) largePackets(t *testing.T, mtu int, a, b string) {
	for _, way := range [][2]*Guest{{s.guests[a], s.guests[b]}, {s.guests[b], s.guests[a]}} {
		from, to := way[0], way[1]
		for address, overhead := range map[string]int{to.V4: 28, to.V6: 48} {
			if address == "" {
				continue
			}
			if _, err := from.ask(guest.Order{Do: "ping", To: address, Size: mtu - overhead}); err != nil {
				t.Errorf("%s to %s with %d bytes: %v", from.Name, to.Name, mtu, err)
			}
			if _, err := from.ask(guest.Order{Do: "ping", To: address, Size: mtu + 1 - overhead}); err == nil {
				t.Errorf("%s to %s with %d bytes in one packet passes", from.Name, to.Name, mtu+1)
			}
			const bytes = 4 << 20
			began := time.Now()
			got, err := from.ask(guest.Order{Do: "send", To: address, Port: guest.Ports[0], Size: bytes})
			if err != nil || got != fmt.Sprint(bytes) {
				t.Errorf("%s sends %d bytes to %s at %s: %s arrive, %v", from.Name, bytes, to.Name, address, got, err)
			}
			t.Logf("%s to %s: 4 MiB in %s", from.Name, address, time.Since(began).Round(time.Millisecond))
		}
	}
}

// spoofing takes an address that is not one's own: nothing of it leaves, in the own
// pod or to the other.
func (s *Scene) spoofing(t *testing.T) {
	a1 := s.guests["a1"]
	const stolen, stolen6 = "10.101.0.200", "2001:db8:101::200"
	a1.must(t, "ip addr add "+stolen+"/24 dev "+a1.card+" && ip addr add "+stolen6+"/64 dev "+a1.card)
	for _, to := range []string{"b1", "a2"} {
		for source, address := range map[string]string{stolen: s.guests[to].V4, stolen6: s.guests[to].V6} {
			if out, err := a1.run("ping -n -c 2 -i 0.3 -W 1 -I " + source + " " + address); err == nil {
				t.Errorf("a1 reaches %s as %s:\n%s", to, source, out)
			}
		}
	}
	a1.must(t, "ip addr del "+stolen6+"/64 dev "+a1.card) // else it may be chosen as the source

	mac := strings.TrimSpace(a1.must(t, "cat /sys/class/net/"+a1.card+"/address"))
	a1.must(t, "ip link set "+a1.card+" address fa:16:3e:00:00:01")
	s.becomes(t, "with another card's address", `
		    b1   a2
		a1  none none
	`)
	a1.must(t, "ip link set "+a1.card+" address "+mac+" && ip -6 addr replace "+a1.V6+"/64 dev "+a1.card)
	s.becomes(t, "with its own again", `
		    b1   a2
		a1  all  all
	`)

	s.update("port", a1.Port, object{"security_groups": []string{}, "port_security_enabled": false})
	eventually(t, 30*time.Second, "without port security it may", func() error {
		_, err := a1.run("ping -n -c 1 -W 1 -I " + stolen + " " + s.guests["a2"].V4)
		return err
	})
	s.update("port", a1.Port, object{"security_groups": []string{s.open}, "port_security_enabled": true})
}
