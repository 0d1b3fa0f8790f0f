//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Outside is an external network, which is in one pod.
type Outside struct {
	ID, Subnet string
	Zone       string
	prefix     netip.Prefix
}

// external draws an external network in the zone's pod, as an admin; it is gone last. The
// upper half of its addresses is not the region's to give away.
func (s *Scene) external(name, zone, cidr string) Outside {
	s.t.Helper()
	id := s.Admin.create("network", object{
		"name": name, "router:external": true, "availability_zone_hints": []string{zone},
		"provider:network_type": "vlan", "provider:physical_network": "bridge",
	}).text("id")
	prefix := netip.MustParsePrefix(cidr)
	subnet := s.Admin.create("subnet", object{
		"network_id": id, "cidr": cidr, "ip_version": 4, "enable_dhcp": false, "gateway_ip": at(prefix, 1),
		"allocation_pools": []object{{"start": at(prefix, 10), "end": at(prefix, 99)}},
	}).text("id")
	return Outside{ID: id, Subnet: subnet, Zone: zone, prefix: prefix}
}

// at is the n-th address.
func at(p netip.Prefix, n byte) string {
	a := p.Masked().Addr().As4()
	a[3] += n
	return netip.AddrFrom4(a).String()
}

// outsider has a guest on the external network that the region knows nothing of: as
// all the world that is not the tenant's.
func (s *Scene) outsider(name string, o Outside) {
	s.t.Helper()
	p := s.podOf(o.Zone)
	address := at(o.prefix, 200+byte(len(s.guests)))
	var made map[string]object
	eventually(s.t, settles, "external network in "+p.Name, func() error {
		network, err := p.networkByMark(o.ID)
		if err != nil {
			return err
		}
		// The subnet comes after the network; without an owner the port is never wired.
		return p.send(http.MethodPost, "ports", map[string]object{"port": {
			"network_id": network.text("id"), "name": name, "fixed_ips": []object{{"ip_address": address}},
			"device_owner": "compute:outside", "port_security_enabled": false, "binding:host_id": p.Name + "-node1",
		}}, &made)
	})
	port := made["port"]
	s.t.Cleanup(func() { p.remove("port", port.text("id")) })
	g := must(plug(s.t, name, p.Name, port.text("id")))(s.t)
	g.V4 = address
	if err := g.static(address, o.prefix.Bits()); err != nil {
		s.t.Fatal(err)
	}
	s.guests[name] = g
}

// gateway sets the router's gateway, and returns its address. More is of
// external_gateway_info.
func (s *Scene) gateway(u *Tenant, router string, o Outside, more object) string {
	s.t.Helper()
	info := object{"network_id": o.ID}
	maps.Copy(info, more)
	set := u.update("router", router, object{"external_gateway_info": info})
	info, _ = set["external_gateway_info"].(map[string]any)
	addresses := addresses(object{"fixed_ips": info["external_fixed_ips"]})
	if addresses == "" {
		s.t.Fatalf("the router has no address outside: %v", set)
	}
	return addresses
}

func (s *Scene) clearGateway(router string) {
	s.t.Helper()
	s.update("router", router, object{"external_gateway_info": nil})
}

// wantSeenAs expects under which address each guest is seen by another, soon: a
// gateway's agent changes its translation after its routes.
func (s *Scene) wantSeenAs(to string, want map[string]string) {
	s.t.Helper()
	for _, from := range slices.Sorted(maps.Keys(want)) {
		eventually(s.t, settles, fmt.Sprintf("%s sees %s as %s", to, from, want[from]), func() error {
			got, err := s.guests[from].seenAs(s.target(s.t, to).V4)
			if err == nil && got != want[from] {
				err = fmt.Errorf("it is seen as %s", got)
			}
			return err
		})
	}
}

// TestDataplaneOutward has the way out: in each order of gateway, interfaces and
// servers, with and without translation, for servers in the external network's pod
// and in the other.
func TestDataplaneOutward(t *testing.T) {
	s := newScene(t, "outward")
	internet := s.external("internet", "az2", "10.250.1.0/24")
	near, wide := s.network("near", "10.104.1.0/24"), s.network("wide", "10.104.2.0/24")
	router := s.create("router", object{"name": "out"}).text("id")
	s.t.Cleanup(func() { s.detachAll(router) })
	address := s.gateway(s.Tenant, router, internet, nil)
	s.attach(router, near)
	s.attach(router, wide)
	s.outsider("out", internet)
	s.boot(
		Box{Name: "near1", Zone: "az1", Network: near},
		Box{Name: "wide1", Zone: "az1", Network: wide},
		Box{Name: "wide2", Zone: "az2", Network: wide},
	)
	s.reach(t, "gateway, then interfaces, then servers", `
		       near1  wide1  wide2  out
		near1  -      all    all    all
		wide1  all    -      all    all
		wide2  all    all    -      all
		out    none   none   none   -
	`)
	s.wantSeenAs("out", map[string]string{"near1": address, "wide1": address, "wide2": address})

	s.clearGateway(router)
	s.becomes(t, "the gateway is cleared", `
		       near1  wide2  out
		near1  -      all    none
		wide1  all    all    none
		wide2  all    -      none
	`)
	address = s.gateway(s.Admin, router, internet, object{"enable_snat": false})
	s.routeBack("out", "10.104.0.0/16", address)
	s.becomes(t, "set again after the servers, without translation", `
		       near1  wide1  wide2  out
		near1  -      all    all    all
		wide1  all    -      all    all
		wide2  all    all    -      all
		out    all    all    all    -
	`)
	s.wantSeenAs("out", map[string]string{
		"near1": s.guests["near1"].V4, "wide1": s.guests["wide1"].V4, "wide2": s.guests["wide2"].V4,
	})

	other := s.external("other", "az1", "10.250.2.0/24")
	address = s.gateway(s.Admin, router, other, object{"enable_snat": true})
	s.outsider("out1", other)
	s.becomes(t, "another external network, in the other pod", `
		       near1  wide1  wide2  out   out1
		near1  -      all    all    none  all
		wide1  all    -      all    none  all
		wide2  all    all    -      none  all
		out1   none   none   none   none  -
	`)
	s.wantSeenAs("out1", map[string]string{"near1": address, "wide1": address, "wide2": address})
	s.clearGateway(router)
}

// TestDataplaneOutwardLate draws interfaces and servers first, and the gateway last;
// then a network more.
func TestDataplaneOutwardLate(t *testing.T) {
	longer(t)
	s := newScene(t, "late")
	internet := s.external("internet", "az1", "10.250.3.0/24")
	first := s.network("first", "10.106.1.0/24")
	router := s.router("late", first)
	s.boot(Box{Name: "first2", Zone: "az2", Network: first})
	address := s.gateway(s.Tenant, router, internet, nil)
	s.outsider("out", internet)
	s.becomes(t, "the gateway comes last, in a pod without a server", `
		        out
		first2  all
	`)
	second := s.network("second", "10.106.2.0/24")
	s.boot(Box{Name: "second1", Zone: "az1", Network: second})
	s.attach(router, second)
	s.renew("second1")
	s.becomes(t, "a network more, whose server was there before", `
		         first2  second1  out
		first2   -       all      all
		second1  all     -        all
		out      none    none     -
	`)
	s.wantSeenAs("out", map[string]string{"first2": address, "second1": address})
	s.clearGateway(router)
}

// routeBack tells an outsider the way to the tenant's networks: without translation
// somebody must.
func (s *Scene) routeBack(outsider, prefix, via string) {
	s.t.Helper()
	s.guests[outsider].must(s.t, fmt.Sprintf("ip route replace %s via %s", prefix, strings.Fields(via)[0]))
}
