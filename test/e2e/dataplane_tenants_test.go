//go:build e2e

package e2e

import "testing"

// TestDataplaneTenants has two tenants who draw the very same: networks with the same
// addresses, a router, servers in both pods at the same addresses. Whoever answers
// must be one's own, and nobody answers at an address that only the other has.
func TestDataplaneTenants(t *testing.T) {
	red := newScene(t, "red")
	blue := joinScene(t, "blue", red.Cast)
	bridges := red.bridges(t)
	boxes := map[string][]Box{}
	for name, s := range map[string]*Scene{"red": red, "blue": blue} {
		one, two := s.network("one", "10.109.1.0/24"), s.network("two", "10.109.2.0/24")
		s.router("same", one, two)
		at := func(network, address string) string {
			return s.create("port", object{"network_id": network, "security_groups": []string{s.open},
				"fixed_ips": []object{{"ip_address": address}}}).text("id")
		}
		own := "10.109.2.88"
		if name == "red" {
			own = "10.109.2.77"
		}
		boxes[name] = []Box{
			{Name: name + "1", Zone: "az1", Port: at(one, "10.109.1.50")},
			{Name: name + "2", Zone: "az2", Port: at(two, "10.109.2.50")},
			{Name: name + "own", Zone: "az2", Port: at(two, own)},
		}
	}
	red.boot(boxes["red"]...)
	blue.boot(boxes["blue"]...)
	// Pings do not tell who answers; where both have the address, only the rest of
	// the table is of interest.
	red.reach(t, "the same addresses twice", `
		        red1         red2         redown  blue1        blue2        blueown
		red1    -            all          all     -            -            none
		red2    all          -            all     -            -            none
		redown  all          all          -       -            -            none
		blue1   -            -            none    -            all          all
		blue2   -            -            none    all          -            all
		blueown -            -            none    all          all          -
	`)
	own := red.ownBridges(t, bridges)
	if len(own) != 4 {
		t.Errorf("the pods have bridges %v, want one for each tenant and pod", own)
	}
}
