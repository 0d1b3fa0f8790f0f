//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/jobs"
)

// The smoke tests of the project's predecessor, with packets where it looked at
// tables: one way out for servers in both pods, a way out in each, and a port that
// servers in different pods have one after the other. At the end there is no network and no
// router left in any pod, and no job undone.

func TestDataplaneSingleGateway(t *testing.T) {
	longer(t)
	s := newSmoke(t, "single")
	internet := s.external("ext-net", "az2", "163.3.124.0/24")
	router := s.create("router", object{"name": "router"}).text("id")
	t.Cleanup(func() { s.detachAll(router) })
	s.gateway(s.Tenant, router, internet, nil)
	net1 := s.network("net1")
	s.subnetWithPool(net1, "10.0.1.0/24", 10, 90)
	s.attach(router, net1)
	net3 := s.network("net3") // the same addresses, but others of them, and no router
	s.subnetWithPool(net3, "10.0.1.0/24", 100, 150)
	port := s.create("port", object{"network_id": net1, "security_groups": []string{s.open}}).text("id")
	fip1 := s.floating("fip1", internet, "vm1", object{"port_id": port})
	s.boot(Box{Name: "vm1", Zone: "az1", Port: port}, Box{Name: "other", Zone: "az1", Network: net3})
	net2 := s.network("net2", "10.0.2.0/24")
	s.boot(Box{Name: "vm2", Zone: "az2", Network: net2})
	s.attach(router, net2)
	fip2 := s.floating("fip2", internet, "vm2", object{"port_id": s.guests["vm2"].Port})
	net4 := s.create("network", object{"name": "net4"}).text("id")
	lone := s.create("subnet", object{"network_id": net4, "cidr": "10.0.4.0/24", "ip_version": 4, "gateway_ip": nil})
	s.subnets[lone.text("id")] = lone
	s.boot(Box{Name: "vm3", Zone: "az1", Network: net4})
	s.outsider("out", internet)
	s.renew("vm2")
	s.becomes(t, "single gateway", `
		       vm1   vm2   vm3   other  fip1  fip2  out
		vm1    -     all   none  none   -     all   all
		vm2    all   -     none  none   all   -     all
		vm3    none  none  -     none   none  none  none
		other  none  none  none  -      none  none  none
		out    none  none  none  none   all   all   -
	`)
	s.wantSeenAs("out", map[string]string{"vm1": fip1.address, "vm2": fip2.address})
}

func TestDataplaneMultiGateway(t *testing.T) {
	longer(t)
	s := newSmoke(t, "multi")
	outside1 := s.external("ext-net1", "az1", "163.3.124.0/24")
	outside2 := s.external("ext-net2", "az2", "163.3.125.0/24")
	net1, net2 := s.network("net1"), s.network("net2")
	// The routers' addresses are drawn first, as the subnets' routes name them.
	s.subnetWithRoute(net1, "10.0.1.0/24", "10.0.2.0/24", "10.0.1.100")
	s.subnetWithRoute(net2, "10.0.2.0/24", "10.0.1.0/24", "10.0.2.100")
	router1, router2 := s.router("router1", net1), s.router("router2", net2)
	s.gateway(s.Tenant, router1, outside1, nil)
	s.gateway(s.Tenant, router2, outside2, nil)
	t.Cleanup(func() { s.clearGateway(router1); s.clearGateway(router2) })
	between := s.router("router3")
	t.Cleanup(func() { s.detachAll(between) })
	for network, address := range map[string]string{net1: "10.0.1.100", net2: "10.0.2.100"} {
		port := s.createIn("ports", "port", object{"network_id": network, "fixed_ips": []object{{"ip_address": address}}})
		s.interfaces(between, "add", object{"port_id": port.text("id")})
	}
	s.outsider("out1", outside1)
	s.outsider("out2", outside2)
	s.boot(Box{Name: "vm1", Zone: "az1", Network: net1}, Box{Name: "vm2", Zone: "az2", Network: net2})
	s.floating("fip1", outside1, "vm1", object{"port_id": s.guests["vm1"].Port})
	s.floating("fip2", outside2, "vm2", object{"port_id": s.guests["vm2"].Port})
	s.becomes(t, "multi gateway", `
		      vm1   vm2   fip1  fip2  out1  out2
		vm1   -     all   -     none  all   none
		vm2   all   -     none  -     none  all
		out1  none  none  all   none  -     none
		out2  none  none  none  all   none  -
	`)
}

func TestDataplanePortReuse(t *testing.T) {
	longer(t)
	s := newSmoke(t, "reuse")
	net := s.network("net1", "10.0.1.0/24")
	port := s.create("port", object{"network_id": net, "security_groups": []string{s.open}}).text("id")
	s.boot(Box{Name: "beside1", Zone: "az1", Network: net}, Box{Name: "beside2", Zone: "az2", Network: net})
	for i, zone := range []string{"az1", "az2", "az1"} {
		name := fmt.Sprintf("vm%d", i+1)
		t.Run(name+" in "+zone, func(t *testing.T) {
			// What belongs to this server goes with this part of the test.
			part := *s
			tenant := *s.Tenant
			tenant.t = t
			part.Tenant = &tenant
			part.boot(Box{Name: name, Zone: zone, Port: port})
			part.becomes(t, "with the port", fmt.Sprintf(`
				          beside1  beside2  %[1]s
				beside1   -        all      all
				beside2   all      -        all
				%[1]s     all      all      -
			`, name))
		})
	}
}

// newSmoke is a scene after which no job is left undone.
func newSmoke(t *testing.T, name string) *Scene {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			eventually(t, time.Minute, "no job undone", noJobs)
		}
	})
	return newScene(t, name)
}

// noJobs looks for jobs that have still something to do.
func noJobs() error {
	out, err := region.tricircle("job", "list", "-f", "json")
	if err != nil {
		return errors.New(out)
	}
	var all []struct{ State string }
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return err
	}
	for _, j := range all {
		if j.State != jobs.Done {
			return errors.New(out)
		}
	}
	return nil
}

func (s *Scene) subnetWithPool(network, cidr string, from, to byte) {
	s.t.Helper()
	prefix := netip.MustParsePrefix(cidr)
	made := s.create("subnet", object{"network_id": network, "cidr": cidr, "ip_version": 4,
		"allocation_pools": []object{{"start": at(prefix, from), "end": at(prefix, to)}}})
	s.subnets[made.text("id")] = made
}

func (s *Scene) subnetWithRoute(network, cidr, destination, via string) {
	s.t.Helper()
	made := s.create("subnet", object{"network_id": network, "cidr": cidr, "ip_version": 4,
		"host_routes": []object{{"destination": destination, "nexthop": via}}})
	s.subnets[made.text("id")] = made
}
