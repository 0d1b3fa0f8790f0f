//go:build e2e

package e2e

import (
	"testing"

	"github.com/tricircle/tricircle/test/e2e/matrix"
)

// TestDataplaneThreePods has all of it at once over three pods: a network in each and
// one in all, the way out in the second, floating IPs for servers in the first and the
// third.
func TestDataplaneThreePods(t *testing.T) {
	longer(t)
	s := newScene(t, "three")
	internet := s.external("internet", "az2", "10.250.1.0/24")
	wide := s.network("wide", "10.111.0.0/24", "2001:db8:111::/64 slaac")
	one := s.network("one", "10.111.1.0/24", "2001:db8:111:1::/64 dhcpv6-stateful")
	two, three := s.network("two", "10.111.2.0/24"), s.network("three", "10.111.3.0/24", "2001:db8:111:3::/64 slaac")
	router := s.router("three", wide, one, two, three)
	address := s.gateway(s.Tenant, router, internet, nil)
	t.Cleanup(func() { s.clearGateway(router) })
	s.outsider("out", internet)
	s.boot(
		Box{Name: "wide1", Zone: "az1", Network: wide}, Box{Name: "wide2", Zone: "az2", Network: wide},
		Box{Name: "wide3", Zone: "az3", Network: wide}, Box{Name: "one1", Zone: "az1", Network: one},
		Box{Name: "two2", Zone: "az2", Network: two}, Box{Name: "three3", Zone: "az3", Network: three},
	)
	inside := []string{"wide1", "wide2", "wide3", "one1", "two2", "three3"}
	s.expect(t, "everybody, over three pods", matrix.Full(inside...), true)
	s.wantHops(t, "one1", "wide1", 1)
	s.wantHops(t, "one1", "three3", 2)
	s.wantHops(t, "wide1", "wide3", 0)

	f1 := s.floating("fip1", internet, "one1", object{"port_id": s.guests["one1"].Port})
	f3 := s.floating("fip3", internet, "three3", object{"port_id": s.guests["three3"].Port})
	s.becomes(t, "and the way out and in", `
		        fip1  fip3  out
		wide1   all   all   all
		wide3   all   all   all
		two2    all   all   all
		one1    -     all   all
		three3  all   -     all
		out     all   all   -
	`)
	s.wantSeenAs("out", map[string]string{"wide1": address, "wide3": address, "one1": f1.address, "three3": f3.address})

	s.detach(router, two)
	want := matrix.Full(inside...)
	for pair := range want.Cells {
		if pair.From == "two2" || pair.To == "two2" {
			want.Cells[pair] = matrix.None
		}
	}
	s.expect(t, "without one of the networks", want, false)
}

// TestDataplaneThreePodGroups names groups with members in three pods.
func TestDataplaneThreePodGroups(t *testing.T) {
	longer(t)
	s := newScene(t, "members")
	net := s.network("members", "10.112.0.0/24")
	asks := s.group("asks")
	serves := s.group("serves", "ingress IPv4 tcp/80 remote_group_id="+asks)
	in := func(name, zone, group string) Box {
		return Box{Name: name, Zone: zone, Network: net, Groups: []string{group}}
	}
	s.boot(
		in("asks1", "az1", asks), in("asks2", "az2", asks), in("asks3", "az3", asks),
		in("serves1", "az1", serves), in("serves2", "az2", serves), in("serves3", "az3", serves),
	)
	s.reach(t, "members in three pods", `
		         serves1  serves2  serves3  asks1
		asks1    tcp      tcp      tcp      -
		asks2    tcp      tcp      tcp      none
		asks3    tcp      tcp      tcp      none
		serves1  -        none     none     none
		serves2  none     -        none     none
	`)
	s.update("port", s.guests["asks3"].Port, object{"security_groups": []string{serves}})
	s.becomes(t, "one changes sides", `
		         serves1  serves2  serves3  asks3
		asks1    tcp      tcp      tcp      tcp
		asks3    none     none     none     -
	`)
}
