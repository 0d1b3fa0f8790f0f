package legacy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAddresses holds the actions on a server's addresses against a Network API
// that is written down.
func TestAddresses(t *testing.T) {
	t.Parallel()
	const (
		ports    = "GET /network/v2.0/ports?device_id=s1"
		onNet    = "GET /network/v2.0/ports?device_id=s1&network_id=n1"
		withIP   = "GET /network/v2.0/ports?device_id=s1&fixed_ips=ip_address=10.0.0.4"
		subnets  = "GET /network/v2.0/subnets?network_id=n1"
		port     = `{"id":"p1","revision_number":7,"fixed_ips":[{"ip_address":"2001:db8::4","subnet_id":"six"},{"ip_address":"10.0.0.4","subnet_id":"four"}]}`
		twoNets  = `200 {"subnets":[{"id":"full"},{"id":"four"}]}`
		byIP     = "GET /network/v2.0/floatingips?floating_ip_address=198.51.100.9"
		changeIP = "PUT /network/v2.0/floatingips/f1"
		full     = `409 {"NeutronError":{"type":"IpAddressGenerationFailure","message":"No more IP addresses available on network n1."}}`
	)
	fip := func(f string) string { return `200 {"floatingips":[` + f + `]}` }
	act := func(body string) string { return "POST /servers/s1/action " + body }
	add, drop := act(`{"addFloatingIp":{"address":"198.51.100.9"}}`), act(`{"removeFloatingIp":{"address":"198.51.100.9"}}`)
	unable := "Unable to associate floating IP 198.51.100.9 to fixed IP 10.0.0.4 for instance s1. Error: "
	for _, test := range []struct {
		name, request string
		says          map[string]string
		status        int
		want          string // the message of a refusal
		asked         string // the last question
	}{
		{"one more address", act(`{"addFixedIp":{"networkId":"n1"}}`), map[string]string{subnets: `200 {"subnets":[{"id":"four"}]}`, onNet: `200 {"ports":[` + port + `]}`, "PUT /network/v2.0/ports/p1": "200 {}"}, 202, "",
			`PUT /network/v2.0/ports/p1 {"port":{"fixed_ips":[{"ip_address":"2001:db8::4","subnet_id":"six"},{"ip_address":"10.0.0.4","subnet_id":"four"},{"subnet_id":"four"}]}}`},
		{"no such network", act(`{"addFixedIp":{"networkId":"n1"}}`), nil, 404, "Network could not be found for instance s1.", ""},
		{"not on the network", act(`{"addFixedIp":{"networkId":"n1"}}`), map[string]string{subnets: twoNets, onNet: `200 {"ports":[]}`}, 404, "Network could not be found for instance s1.", ""},
		{"network full", act(`{"addFixedIp":{"networkId":"n1"}}`), map[string]string{subnets: twoNets, onNet: `200 {"ports":[` + port + `]}`, "PUT /network/v2.0/ports/p1": full}, 400, "No fixed IP addresses available for network: n1", ""},
		{"the network is another's", act(`{"addFixedIp":{"networkId":"n1"}}`), map[string]string{subnets: twoNets, onNet: `200 {"ports":[` + port + `]}`, "PUT /network/v2.0/ports/p1": `403 {"NeutronError":{"message":"rule:update_port"}}`}, 403, "rule:update_port", ""},
		{"others change the port", act(`{"addFixedIp":{"networkId":"n1"}}`), map[string]string{subnets: twoNets, onNet: `200 {"ports":[` + port + `]}`, "PUT /network/v2.0/ports/p1": "412 {}"}, 409, "The server's port is being changed by other requests; try again.", ""},
		{"a number is a network", act(`{"addFixedIp":{"networkId":1}}`), nil, 404, "Network could not be found for instance s1.", "GET /network/v2.0/subnets?network_id=1"},
		{"no network", act(`{"addFixedIp":{}}`), nil, 400, "Invalid input for field/attribute addFixedIp. Value: {}. 'networkId' is a required property", ""},
		{"one address less", act(`{"removeFixedIp":{"address":"10.0.0.4"}}`), map[string]string{withIP: `200 {"ports":[` + port + `]}`, "PUT /network/v2.0/ports/p1": "200 {}"}, 202, "",
			`PUT /network/v2.0/ports/p1 {"port":{"fixed_ips":[{"ip_address":"2001:db8::4","subnet_id":"six"}]}}`},
		{"the last address", act(`{"removeFixedIp":{"address":"10.0.0.4"}}`), map[string]string{withIP: `200 {"ports":[{"id":"p1","fixed_ips":[{"ip_address":"10.0.0.4","subnet_id":"four"}]}]}`, "PUT /network/v2.0/ports/p1": "200 {}"}, 202, "",
			`PUT /network/v2.0/ports/p1 {"port":{"fixed_ips":[]}}`},
		{"not its address", act(`{"removeFixedIp":{"address":"10.0.0.4"}}`), map[string]string{withIP: `200 {"ports":[]}`}, 400, "Instance s1 doesn't have fixed IP '10.0.0.4'.", ""},
		{"no address", act(`{"removeFixedIp":{"address":"x"}}`), nil, 400, "Invalid input for field/attribute address. Value: x. 'x' is not valid under any of the given schemas", ""},

		{"associate", add, map[string]string{ports: `200 {"ports":[` + port + `]}`, byIP: fip(freeFloating), changeIP: "200 {}"}, 202, "",
			changeIP + ` {"floatingip":{"fixed_ip_address":"10.0.0.4","port_id":"p1"}}`},
		{"associate with the address named", act(`{"addFloatingIp":{"address":"198.51.100.9","fixed_address":"2001:db8::4"}}`), map[string]string{ports: `200 {"ports":[` + port + `]}`, byIP: fip(freeFloating), changeIP: "200 {}"}, 202, "",
			changeIP + ` {"floatingip":{"fixed_ip_address":"2001:db8::4","port_id":"p1"}}`},
		{"another's address named", act(`{"addFloatingIp":{"address":"198.51.100.9","fixed_address":"10.0.0.5"}}`), map[string]string{ports: `200 {"ports":[` + port + `]}`}, 400, "Specified fixed address not assigned to instance", ""},
		{"no port", add, map[string]string{ports: `200 {"ports":[]}`}, 400, "Instance network is not ready yet", ""},
		{"no address on the port", add, map[string]string{ports: `200 {"ports":[{"id":"p1","fixed_ips":[]}]}`}, 400, "No fixed IPs associated to instance", ""},
		{"IPv6 only", add, map[string]string{ports: `200 {"ports":[{"id":"p1","fixed_ips":[{"ip_address":"2001:db8::4"}]}]}`}, 400,
			"Unable to associate floating IP 198.51.100.9 to any fixed IPs for instance s1. Instance has no fixed IPv4 addresses to associate.", ""},
		{"no floating IPs in the region", add, map[string]string{ports: `200 {"ports":[` + port + `]}`}, 404, "floating IP not found", ""},
		{"two of them", add, map[string]string{ports: `200 {"ports":[` + port + `]}`, byIP: fip(freeFloating + "," + freeFloating)}, 400, unable + "Multiple floating IPs are found for address 198.51.100.9.", ""},
		{"taken", add, map[string]string{ports: `200 {"ports":[` + port + `]}`, byIP: fip(freeFloating), changeIP: `409 {"NeutronError":{"message":"associated"}}`}, 400, "associated\nNeutron server returns request_ids: ['req-1']", ""},
		{"no way there", add, map[string]string{ports: `200 {"ports":[` + port + `]}`, byIP: fip(freeFloating), changeIP: `404 {"NeutronError":{"message":"External network n1 is not reachable"}}`}, 400,
			unable + "External network n1 is not reachable\nNeutron server returns request_ids: ['req-1']", ""},
		{"no address to associate", act(`{"addFloatingIp":{}}`), nil, 400, "Invalid input for field/attribute addFloatingIp. Value: {}. 'address' is a required property", ""},
		{"disassociate", drop, map[string]string{byIP: fip(floating), changeIP: "200 {}"}, 202, "", changeIP + ` {"floatingip":{"port_id":null}}`},
		{"disassociate from another", act(`{"removeFloatingIp":{"address":"198.51.100.9"}}`), map[string]string{byIP: fip(freeFloating)}, 409, "Floating IP 198.51.100.9 is not associated with instance s1.", ""},
		{"disassociate none", drop, nil, 404, "Floating IP not found for address 198.51.100.9.", ""},
		{"disassociate one of two", drop, map[string]string{byIP: fip(floating + "," + floating)}, 409, "Multiple floating IPs are found for address 198.51.100.9.", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(test.says)
			status, body, _ := r.do(t, test.request)
			if diff := cmp.Diff(test.want, message(body)); diff != "" || status != test.status {
				t.Fatalf("status %d, want %d; message (-want +got):\n%s\nbody: %s", status, test.status, diff, body)
			}
			if test.asked != "" {
				if diff := cmp.Diff(test.asked, r.asked[len(r.asked)-1]); diff != "" {
					t.Errorf("last question (-want +got):\n%s", diff)
				}
			}
		})
	}
}
