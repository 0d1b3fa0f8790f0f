//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
)

// Box is a server to be booted: in a network, or with a port that there is.
type Box struct {
	Name, Zone    string
	Network, Port string   // one of them
	Groups        []string // by ID; none is the one that lets everything in
}

// boot makes servers, all at once, and has guests act as them. From then on they
// are asked for by their names.
func (s *Scene) boot(boxes ...Box) {
	s.t.Helper()
	ids := s.createServers(boxes...)
	for _, id := range ids {
		eventually(s.t, 3*time.Minute, "server "+id+" ACTIVE", func() error { return s.isActive(id) })
	}
	s.enter(boxes, ids)
}

// createServers returns their IDs; they are not yet ACTIVE.
func (s *Scene) createServers(boxes ...Box) []string {
	s.t.Helper()
	ids := make([]string, len(boxes))
	err := atOnce(len(boxes), func(i int) error {
		made, err := servers.Create(live(s.t), s.Compute, s.describe(boxes[i]), nil).Extract()
		if err != nil {
			return fmt.Errorf("create server %s: %w", boxes[i].Name, err)
		}
		ids[i] = made.ID
		return nil
	})
	s.t.Cleanup(func() { s.deleteServers(ids) })
	if err != nil {
		s.t.Fatal(err)
	}
	return ids
}

// deleteServers deletes those that are there, all at once.
func (s *Scene) deleteServers(ids []string) {
	s.t.Helper()
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" || s.isGone(id) == nil })
	if err := atOnce(len(ids), func(i int) error {
		return servers.Delete(live(s.t), s.Compute, ids[i]).ExtractErr()
	}); err != nil {
		s.t.Errorf("delete servers: %v", err)
	}
	for _, id := range ids {
		eventually(s.t, time.Minute, "server "+id+" gone", func() error { return s.isGone(id) })
	}
}

func (s *Scene) describe(b Box) servers.CreateOpts {
	o := servers.CreateOpts{Name: b.Name, ImageRef: s.image, FlavorRef: flavorID, AvailabilityZone: b.Zone}
	if b.Port != "" {
		o.Networks = []servers.Network{{Port: b.Port}}
		return o
	}
	o.Networks, o.SecurityGroups = []servers.Network{{UUID: b.Network}}, b.Groups
	if b.Groups == nil {
		o.SecurityGroups = []string{s.open}
	}
	return o
}

// enter has guests act as the servers.
func (s *Scene) enter(boxes []Box, ids []string) {
	s.t.Helper()
	central, inPods := make([]ports.Port, len(boxes)), make([]object, len(boxes))
	for i, b := range boxes {
		central[i] = s.portOf(ids[i])
		inPods[i] = s.podOf(b.Zone).portByMark(central[i].ID)
		if got, want := inPods[i].text("mac_address"), central[i].MACAddress; got != want {
			s.t.Errorf("%s: MAC in the pod = %s, want %s", b.Name, got, want)
		}
	}
	guests := make([]*Guest, len(boxes))
	if err := atOnce(len(boxes), func(i int) error {
		g, err := plug(s.t, boxes[i].Name, s.podOf(boxes[i].Zone).Name, inPods[i].text("id"))
		if err == nil {
			g.Server, g.Port = ids[i], central[i].ID
			guests[i], err = g, s.configure(g, central[i])
		}
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	for _, g := range guests {
		s.guests[g.Name] = g
	}
}

// configure gives a guest its addresses as its subnets provide for it: by DHCP, by
// a router's advertisement, by DHCPv6, or else by hand.
func (s *Scene) configure(g *Guest, port ports.Port) error {
	for _, fixed := range port.FixedIPs {
		subnet := s.subnets[fixed.SubnetID]
		address := netip.MustParseAddr(fixed.IPAddress)
		bits := netip.MustParsePrefix(subnet.text("cidr")).Bits()
		var err error
		switch mode := subnet.text("ipv6_address_mode"); {
		case address.Is4():
			g.V4 = fixed.IPAddress
			err = g.lease()
		case mode == "dhcpv6-stateful":
			g.V6 = fixed.IPAddress
			if err = g.lease6(); err == nil && !s.routed[port.NetworkID] {
				err = g.static(g.V6, bits) // no router says which addresses are near
			}
		case mode != "" && s.routed[port.NetworkID]:
			g.V6 = fixed.IPAddress
			err = g.advertised(settles)
		default:
			g.V6 = fixed.IPAddress
			err = g.static(g.V6, bits)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// podOf is the pod of a zone; each zone of this region has one.
func (s *Scene) podOf(zone string) Pod {
	s.t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(zone, "az"))
	if err != nil || n < 1 || n > len(s.Pods) {
		s.t.Fatalf("no zone is called %s", zone)
	}
	return s.Pods[n-1]
}

func (s *Scene) podNamed(name string) Pod {
	return s.Pods[slices.IndexFunc(s.Pods, func(p Pod) bool { return p.Name == name })]
}

// atOnce runs n things together and joins their errors.
func atOnce(n int, do func(i int) error) error {
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { errs[i] = do(i) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// longer keeps a scenario out of the shorter run: it takes three pods, or shows in
// another order what others show.
func longer(t *testing.T) {
	t.Helper()
	if len(podNames()) < 3 {
		t.Skip("this is for three pods: make e2e-dataplane")
	}
}
