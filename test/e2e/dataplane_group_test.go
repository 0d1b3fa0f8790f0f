//go:build e2e

package e2e

import (
	"testing"
)

// TestDataplaneGroups has rules of all kinds, with members in both pods. What they do
// not allow is asked as often as what they do.
func TestDataplaneGroups(t *testing.T) {
	s := newScene(t, "groups")
	net := s.network("groups", "10.105.0.0/24", "2001:db8:105::/64")
	web := s.group("web", "ingress IPv4 tcp/80", "ingress IPv6 tcp/80 remote_ip_prefix=2001:db8:105::/64")
	app := s.group("app", "ingress IPv4 tcp/81 remote_group_id="+web, "ingress IPv6 remote_group_id="+web)
	lone := s.group("lone")
	raw := s.create("security_group", object{"name": "raw", "stateful": false}).text("id")
	s.rule(raw, "ingress IPv4 udp/80")
	in := func(name, zone string, groups ...string) Box {
		return Box{Name: name, Zone: zone, Network: net, Groups: groups}
	}
	s.boot(
		in("web1", "az1", web), in("web2", "az2", web), in("app1", "az1", app), in("app2", "az2", app),
		in("lone", "az2", lone), in("raw", "az1", raw), in("def1", "az1", "default"), in("def2", "az2", "default"),
	)
	// Open vSwitch's firewall keeps track of connections for groups without state,
	// too: so those of raw pass like anybody's.
	s.reach(t, "as drawn", `
		      web1      web2      app1        app2        lone  raw  def1  def2
		web1  -         tcp,tcp6  tcp81,all6  tcp81,all6  none  udp  none  none
		web2  tcp,tcp6  -         tcp81,all6  tcp81,all6  none  udp  none  none
		app1  tcp,tcp6  tcp,tcp6  -           none        none  udp  none  none
		app2  tcp,tcp6  tcp,tcp6  none        -           none  udp  none  none
		lone  tcp,tcp6  tcp,tcp6  none        none        -     udp  none  none
		raw   tcp,tcp6  tcp,tcp6  none        none        none  -    none  none
		def1  tcp,tcp6  tcp,tcp6  none        none        none  udp  -     all
		def2  tcp,tcp6  tcp,tcp6  none        none        none  udp  all   -
	`)

	own := s.rule(app, "ingress IPv4 icmp remote_group_id="+app)
	s.rule(app, "ingress IPv4 udp/80 remote_ip_prefix="+s.guests["lone"].V4+"/32")
	s.becomes(t, "a rule for its own members, and one for an address", `
		      app1  app2
		app1  -     ping
		app2  ping  -
		lone  udp   udp
		raw   none  none
		def1  none  none
	`)

	s.update("port", s.guests["raw"].Port, object{"security_groups": []string{web}})
	s.becomes(t, "a server changes its group: a new member", `
		      web1      app1        app2        raw
		raw   tcp,tcp6  tcp81,all6  tcp81,all6  -
		lone  tcp,tcp6  udp         udp         tcp,tcp6
	`)
	s.update("port", s.guests["raw"].Port, object{"security_groups": []string{raw}})
	s.remove("security_group_rule", own)
	s.becomes(t, "the member leaves, and a rule is taken back", `
		      app1  app2  raw
		raw   none  none  -
		app1  -     none  udp
		app2  none  -     udp
		lone  udp   udp   udp
	`)

	addresses := s.create("address_group", object{"name": "some", "addresses": []string{s.guests["def1"].V4 + "/32", s.guests["def2"].V6 + "/128"}}).text("id")
	s.rule(lone, "ingress IPv4 remote_address_group_id="+addresses)
	s.rule(lone, "ingress IPv6 tcp remote_address_group_id="+addresses)
	s.becomes(t, "an address group", `
		      lone
		def1  all4
		def2  tcp6,tcp81-6
		web1  none
		app2  none
	`)
	s.changeAddresses(addresses, "remove", s.guests["def1"].V4+"/32")
	s.changeAddresses(addresses, "add", s.guests["app2"].V4+"/32")
	s.becomes(t, "other addresses in it", `
		      lone
		def1  none
		def2  tcp6,tcp81-6
		web1  none
		app2  all4
	`)
	// What refers to the address group must go before it.
	s.removeRules(lone, "ingress")
}

func (s *Scene) changeAddresses(group, verb string, addresses ...string) {
	s.t.Helper()
	err := s.send("PUT", "address-groups/"+group+"/"+verb+"_addresses", object{"addresses": addresses}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *Scene) removeRules(group, direction string) {
	s.t.Helper()
	var list struct {
		Rules []object `json:"security_group_rules"`
	}
	if err := s.send("GET", "security-group-rules?security_group_id="+group+"&direction="+direction, nil, &list); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range list.Rules {
		s.remove("security_group_rule", r.text("id"))
	}
}
