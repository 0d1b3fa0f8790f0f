package region_test

import (
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/store/storetest"
)

// TestAddresses: both APIs refuse the same address for the same reason, each in
// its own words, on either database.
func TestAddresses(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		r := newRegion(t, setup{database: url})
		demo := r.as("demo")
		wide, wideSubnet := demo.network("wide", "10.1.0.0/24", m{"allocation_pools": []m{{"start": "10.1.0.10", "end": "10.1.0.20"}}})
		_, taken := demo.port(wide)
		tiny, tinySubnet := demo.network("tiny", "10.2.0.0/30") // the gateway, and one more
		last, _ := demo.port(tiny)
		before := r.inventory()

		port := func(networkID string, fixedIPs ...m) ask {
			fields := m{"network_id": networkID}
			if fixedIPs != nil {
				fields["fixed_ips"] = fixedIPs
			}
			return ask{"POST", network + "/ports", m{"port": fields}}
		}
		boot := func(networkID, address string) ask {
			nic := m{"uuid": networkID}
			if address != "" {
				nic["fixed_ip"] = address
			}
			return ask{"POST", compute + "/servers", server(m{"networks": []m{nic}})}
		}
		subnet := func(networkID, cidr string, more m) ask {
			fields := m{"network_id": networkID, "ip_version": 4, "cidr": cidr}
			for k, v := range more {
				fields[k] = v
			}
			return ask{"POST", network + "/subnets", m{"subnet": fields}}
		}
		for name, c := range map[string]struct {
			ask
			status     int
			kind, said string
		}{
			"a subnet that overlaps": {subnet(wide, "10.1.0.128/25", nil), 400, "InvalidInput", "overlaps with another subnet"},
			"a pool outside":         {subnet(wide, "10.3.0.0/24", m{"allocation_pools": []m{{"start": "10.4.0.1", "end": "10.4.0.9"}}}), 400, "OutOfBoundsAllocationPool", "10.4.0.1-10.4.0.9"},
			"a gateway in the pool": {subnet(wide, "10.3.0.0/24", m{"gateway_ip": "10.3.0.5", "allocation_pools": []m{{"start": "10.3.0.1", "end": "10.3.0.9"}}}),
				409, "GatewayConflictWithAllocationPools", "10.3.0.5"},
			"a port outside the subnet": {port(wide, m{"subnet_id": wideSubnet, "ip_address": "10.9.0.1"}), 400, "InvalidIpForSubnet", "10.9.0.1"},
			"a port outside all":        {port(wide, m{"ip_address": "10.9.0.1"}), 400, "InvalidIpForNetwork", "10.9.0.1"},
			"a port's address twice":    {port(wide, m{"ip_address": taken}), 409, "IpAddressAlreadyAllocated", taken},
			"a port, no address left":   {port(tiny), 409, "IpAddressGenerationFailure", tiny},
			"a port, subnet exhausted":  {port(tiny, m{"subnet_id": tinySubnet}), 409, "IpAddressGenerationFailure", ""},
			"a server outside":          {boot(wide, "10.9.0.1"), 400, "badRequest", "10.9.0.1"},
			"a server's address twice":  {boot(wide, taken), 400, "badRequest", "Fixed IP address " + taken + " is already in use on instance"},
			"a server, no address left": {boot(tiny, ""), 400, "badRequest", "No fixed IP addresses available for network: " + tiny},
		} {
			got := demo.do(c.method, c.path, c.body)
			kind := got.get("NeutronError.type").Str
			if got.get("badRequest").Exists() {
				kind = "badRequest"
			}
			if got.status != c.status || kind != c.kind || !strings.Contains(got.message(), c.said) {
				t.Errorf("%s: %d %s, want %d %s with %q", name, got.status, got.body, c.status, c.kind, c.said)
			}
		}
		for pod, kinds := range r.inventory() {
			if len(kinds["port"]) != len(before[pod]["port"]) || len(kinds["server"]) > 0 {
				t.Errorf("what was refused left something in %s: %v", pod, kinds)
			}
		}
		outside := demo.do("POST", network+"/ports", m{"port": m{"network_id": wide, "fixed_ips": []m{{"ip_address": "10.1.0.99"}}}}).want(t, 201)
		if got := outside.get("port.fixed_ips.0.ip_address").Str; got != "10.1.0.99" {
			t.Errorf("address %s, want 10.1.0.99: outside the pool but in the subnet it may be asked for", got)
		}
		demo.do("DELETE", network+"/ports/"+last, nil).want(t, 204)
		// The only address would be the server's; the pod's DHCP port needs one too.
		if got := demo.create(on(tiny)); got.status != 400 || !strings.Contains(got.message(), "No fixed IP addresses available for network: "+tiny) {
			t.Errorf("a server on a network too small for DHCP: %d %s, want 400 that names the network", got.status, got.body)
		}
		r.settled()
	})
}
