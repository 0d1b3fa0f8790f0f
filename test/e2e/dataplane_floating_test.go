//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestDataplaneFloating has floating IPs for servers in the external network's pod and
// in the other; before and after the boot; and moves them about.
func TestDataplaneFloating(t *testing.T) {
	s := newScene(t, "floating")
	internet := s.external("internet", "az2", "10.250.4.0/24")
	one, two := s.network("one", "10.107.1.0/24"), s.network("two", "10.107.2.0/24")
	router := s.router("floating", one, two)
	address := s.gateway(s.Tenant, router, internet, nil)
	t.Cleanup(func() { s.clearGateway(router) })
	s.outsider("out", internet)

	port := s.create("port", object{"network_id": one, "security_groups": []string{s.open}}).text("id")
	early := s.floating("early", internet, "one1", object{"port_id": port})
	s.boot(
		Box{Name: "one1", Zone: "az1", Port: port},
		Box{Name: "two1", Zone: "az1", Network: two},
		Box{Name: "two2", Zone: "az2", Network: two},
	)
	late := s.floating("late", internet, "two2", object{"port_id": s.guests["two2"].Port})
	s.becomes(t, "for a server in each pod, before and after its boot", `
		      one1  two1  two2  early  late  out
		one1  -     all   all   -      all   all
		two1  all   -     all   all    all   all
		two2  all   all   -     all    -     all
		out   none  none  none  all    all   -
	`)
	s.wantSeenAs("out", map[string]string{"one1": early.address, "two1": address, "two2": late.address})
	s.wantStatus(t, "ACTIVE", early, late)

	s.move(late, "two1")
	s.becomes(t, "one moves to a server in the other pod", `
		      one1  two1  two2  early  late  out
		one1  -     all   all   -      all   all
		two2  all   all   -     all    all   all
		out   none  none  none  all    all   -
	`)
	s.wantSeenAs("out", map[string]string{"one1": early.address, "two1": late.address, "two2": address})

	s.move(early, "")
	s.becomes(t, "the other serves nobody", `
		      early  late  out
		one1  none   all   all
		two2  none   all   all
		out   none   all   -
	`)
	s.wantStatus(t, "DOWN", early)

	s.forward(early, "one1", 81, 80)
	// Pings are answered by the router, which has the address itself then.
	s.becomes(t, "but one port of it is forwarded", `
		      early       late  out
		two1  ping,tcp81  -     all
		out   ping,tcp81  all   -
	`)
	s.dropForwards(early)
	s.move(early, "two2")
	s.becomes(t, "and now it serves a third", `
		      early  late  out
		one1  all    all   all
		out   all    all   -
	`)
	s.remove("floatingip", late.id)
	s.becomes(t, "one is deleted", `
		      early  late
		out   all    none
	`)
}

// TestDataplaneTwoOutsides has external networks in both pods, and a router to each.
func TestDataplaneTwoOutsides(t *testing.T) {
	longer(t)
	s := newScene(t, "outsides")
	first := s.external("first", "az1", "10.250.5.0/24")
	second := s.external("second", "az2", "10.250.6.0/24")
	one, two := s.network("one", "10.108.1.0/24"), s.network("two", "10.108.2.0/24")
	up, down := s.router("up", one), s.router("down", two)
	upAddress, downAddress := s.gateway(s.Tenant, up, first, nil), s.gateway(s.Tenant, down, second, nil)
	t.Cleanup(func() { s.clearGateway(up); s.clearGateway(down) })
	s.outsider("out1", first)
	s.outsider("out2", second)
	s.boot(
		Box{Name: "one1", Zone: "az1", Network: one}, Box{Name: "one2", Zone: "az2", Network: one},
		Box{Name: "two1", Zone: "az1", Network: two}, Box{Name: "two2", Zone: "az2", Network: two},
	)
	s.floating("fip1", first, "one2", object{"port_id": s.guests["one2"].Port})
	s.floating("fip2", second, "two1", object{"port_id": s.guests["two1"].Port})
	s.becomes(t, "each by its own gateway", `
		      one1  one2  two1  two2  fip1  fip2  out1  out2
		one1  -     all   none  none  all   none  all   none
		one2  all   -     none  none  -     none  all   none
		two1  none  none  -     all   none  -     none  all
		two2  none  none  all   -     none  all   none  all
		out1  none  none  none  none  all   none  -     none
		out2  none  none  none  none  none  all   none  -
	`)
	s.wantSeenAs("out1", map[string]string{"one1": upAddress, "one2": s.others["fip1"].V4})
	s.wantSeenAs("out2", map[string]string{"two2": downAddress, "two1": s.others["fip2"].V4})
}

// Floating is a floating IP, and how it is called in tables.
type Floating struct{ name, id, address string }

// floating draws a floating IP, behind which the guest is to answer.
func (s *Scene) floating(name string, o Outside, guest string, more object) Floating {
	s.t.Helper()
	attributes := object{"floating_network_id": o.ID}
	for k, v := range more {
		attributes[k] = v
	}
	made := s.create("floatingip", attributes)
	f := Floating{name, made.text("id"), made.text("floating_ip_address")}
	s.others[name] = Target{Addresses{V4: f.address}, guest}
	return f
}

// move has the floating IP serve another guest, or nobody.
func (s *Scene) move(f Floating, guest string) {
	s.t.Helper()
	var port any
	if g := s.guests[guest]; g != nil {
		port = g.Port
	}
	s.update("floatingip", f.id, object{"port_id": port})
	s.others[f.name] = Target{Addresses{V4: f.address}, guest}
}

func (s *Scene) forward(f Floating, guest string, from, to int) {
	s.t.Helper()
	g := s.guests[guest]
	s.t.Cleanup(func() {
		if s.tryRead("floatingips/"+f.id) == nil {
			s.dropForwards(f)
		}
	})
	s.createIn("floatingips/"+f.id+"/port_forwardings", "port_forwarding", object{
		"protocol": "tcp", "external_port": from, "internal_port": to, "internal_port_id": g.Port, "internal_ip_address": g.V4,
	})
	s.others[f.name] = Target{Addresses{V4: f.address}, guest}
}

func (s *Scene) dropForwards(f Floating) {
	s.t.Helper()
	for _, o := range get[map[string][]object](s.t, s.Network, "floatingips/"+f.id+"/port_forwardings")["port_forwardings"] {
		if err := s.send("DELETE", "floatingips/"+f.id+"/port_forwardings/"+o.text("id"), nil, nil); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *Scene) wantStatus(t *testing.T, want string, all ...Floating) {
	t.Helper()
	for _, f := range all {
		eventually(t, 30*time.Second, "floating IP "+f.name+" "+want, func() error {
			if got := s.show("floatingip", f.id).text("status"); got != want {
				return fmt.Errorf("it is %s", got)
			}
			return nil
		})
	}
}
