//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestDataplaneDeleting draws the same several times and deletes it in orders that
// Neutron allows. Nothing stays in any pod; newScene looks.
func TestDataplaneDeleting(t *testing.T) {
	for i, order := range []string{
		"floatings servers gateway interfaces router networks outside",
		"servers floatings interfaces gateway router networks outside",
		"floatings gateway servers interfaces networks router outside",
		"servers floatings interfaces networks router outside",
	} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			drawForDeletion(t, i).deleteAll(order)
		})
	}
}

// drawn is one of everything, with servers in both pods.
type drawn struct {
	*Scene
	router            string
	networks, servers []string
	floatings         []Floating
	outside           Outside
}

func drawForDeletion(t *testing.T, i int) drawn {
	t.Helper()
	s := newScene(t, "delete"+string(rune('a'+i)))
	d := drawn{Scene: s}
	d.outside = s.external("internet", "az2", "10.250.7.0/24")
	d.networks = []string{s.network("one", "10.110.1.0/24", "2001:db8:110::/64 slaac"), s.network("two", "10.110.2.0/24")}
	d.router = s.router("router", d.networks...)
	s.gateway(s.Tenant, d.router, d.outside, nil)
	d.servers = s.createServers(Box{Name: "one1", Zone: "az1", Network: d.networks[0]}, Box{Name: "two2", Zone: "az2", Network: d.networks[1]})
	s.waitActive(d.servers...)
	for _, server := range d.servers {
		d.floatings = append(d.floatings, s.floating("fip", d.outside, "", object{"port_id": s.portOf(server).ID}))
	}
	eventually(t, time.Minute, "networks in both pods", func() error {
		if _, err := s.Pods[0].networkByMark(d.networks[0]); err != nil {
			return err
		}
		_, err := s.Pods[1].networkByMark(d.networks[1])
		return err
	})
	return d
}

func (d drawn) deleteAll(order string) {
	d.t.Helper()
	for _, step := range strings.Fields(order) {
		switch step {
		case "floatings":
			for _, f := range d.floatings {
				d.remove("floatingip", f.id)
			}
		case "servers":
			d.deleteServers(d.servers)
		case "gateway":
			d.clearGateway(d.router)
		case "interfaces":
			d.detachAll(d.router)
		case "router":
			d.remove("router", d.router)
		case "networks":
			for _, n := range d.networks {
				d.remove("network", n)
			}
		case "outside":
			d.Admin.remove("network", d.outside.ID)
		}
	}
}
