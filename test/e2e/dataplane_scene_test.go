//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
)

// Scene is what one tenant draws in the region, and who lives in it. The tenant has a
// project of his own, so that whatever it has in a pod at the end was left behind.
type Scene struct {
	*Tenant
	*Cast
	Admin *Tenant // of the region
	Pods  []Pod

	image   string
	open    string            // a security group that lets everything in
	subnets map[string]object // by ID
	routed  map[string]bool   // networks, by ID: those on which a router speaks
}

func newScene(t *testing.T, name string) *Scene {
	t.Helper()
	return joinScene(t, name, &Cast{guests: map[string]*Guest{}, others: map[string]Target{}})
}

// joinScene is a further tenant's, with the same cast.
func joinScene(t *testing.T, name string, cast *Cast) *Scene {
	t.Helper()
	user := fmt.Sprintf("%s-%s", region.Name, name)
	newProject(t, user)
	s := &Scene{
		Tenant: login(t, user), Cast: cast, Admin: login(t, "admin"), Pods: pods(t),
		subnets: map[string]object{}, routed: map[string]bool{},
	}
	leftInPods(t, s.Project)
	leavesNothing(t, s.Tenant)
	s.image = s.uploadImage("scene")
	s.open = s.group("open", "ingress IPv4", "ingress IPv6")
	return s
}

// The Network API, as short as a drawing needs it.

func (u *Tenant) send(method, path string, body, out any) error {
	opts := &gophercloud.RequestOpts{OkCodes: []int{200, 201, 202, 204}}
	if body != nil {
		opts.JSONBody = body
	}
	if out != nil {
		opts.JSONResponse = out
	}
	_, err := u.Network.Request(live(u.t), method, u.Network.ServiceURL(path), opts)
	return err
}

// create makes one thing: kind is what its body is called. It is deleted at the end.
func (u *Tenant) create(kind string, attributes object) object {
	u.t.Helper()
	made := u.createIn(plural(kind), kind, attributes)
	u.t.Cleanup(func() { u.remove(kind, made.text("id")) })
	return made
}

func (u *Tenant) createIn(path, kind string, attributes object) object {
	u.t.Helper()
	var out map[string]object
	if err := u.send(http.MethodPost, path, map[string]object{kind: attributes}, &out); err != nil {
		u.t.Fatalf("POST %s %v: %v", path, attributes, err)
	}
	return out[kind]
}

func (u *Tenant) update(kind, id string, attributes object) object {
	u.t.Helper()
	var out map[string]object
	if err := u.send(http.MethodPut, plural(kind)+"/"+id, map[string]object{kind: attributes}, &out); err != nil {
		u.t.Fatalf("PUT %s %s %v: %v", kind, id, attributes, err)
	}
	return out[kind]
}

func (u *Tenant) show(kind, id string) object {
	u.t.Helper()
	return get[map[string]object](u.t, u.Network, plural(kind)+"/"+id)[kind]
}

// remove deletes something, if it is there.
func (u *Tenant) remove(kind, id string) {
	u.t.Helper()
	u.gone(kind, id, u.tryRemove(kind, id))
}

func (u *Tenant) tryRead(path string) error {
	return u.send(http.MethodGet, path, nil, &object{})
}

func (u *Tenant) tryRemove(kind, id string) error {
	return u.send(http.MethodDelete, plural(kind)+"/"+id, nil, nil)
}

func plural(kind string) string {
	return strings.ReplaceAll(kind, "_", "-") + "s"
}

// network draws a network with subnets: a CIDR each, and the IPv6 mode if it has one,
// as in "2001:db8::/64 slaac".
func (s *Scene) network(name string, subnets ...string) string {
	s.t.Helper()
	id := s.create("network", object{"name": name}).text("id")
	for _, words := range subnets {
		s.subnet(id, words)
	}
	return id
}

func (s *Scene) subnet(network, words string) {
	s.t.Helper()
	cidr, mode, _ := strings.Cut(words, " ")
	attributes := object{"network_id": network, "cidr": cidr, "ip_version": 4}
	if netip.MustParsePrefix(cidr).Addr().Is6() {
		attributes["ip_version"] = 6
	}
	if mode != "" {
		attributes["ipv6_ra_mode"], attributes["ipv6_address_mode"] = mode, mode
	}
	made := s.create("subnet", attributes)
	s.subnets[made.text("id")] = made
}

// router draws a router with all subnets of the networks.
func (s *Scene) router(name string, networks ...string) string {
	s.t.Helper()
	id := s.create("router", object{"name": name}).text("id")
	for _, n := range networks {
		s.attach(id, n)
	}
	return id
}

// attach gives the router an interface in each subnet of the network.
func (s *Scene) attach(router, network string) {
	s.t.Helper()
	s.t.Cleanup(func() { s.leave(router, "&network_id="+network) }) // before the network, which may be younger than the router
	for id, subnet := range s.subnets {
		if subnet.text("network_id") == network {
			s.interfaces(router, "add", object{"subnet_id": id})
		}
	}
	s.routed[network] = true
}

func (s *Scene) detach(router, network string) {
	s.t.Helper()
	for id, subnet := range s.subnets {
		if subnet.text("network_id") == network {
			s.interfaces(router, "remove", object{"subnet_id": id})
		}
	}
	delete(s.routed, network)
}

func (s *Scene) interfaces(router, verb string, body object) {
	s.t.Helper()
	if err := s.send(http.MethodPut, "routers/"+router+"/"+verb+"_router_interface", body, nil); err != nil {
		s.t.Fatalf("%s interface %v: %v", verb, body, err)
	}
}

// detachAll takes a router's interfaces away, if it is there.
func (s *Scene) detachAll(router string) {
	s.t.Helper()
	s.leave(router, "")
}

// leave is detachAll for the ports that the filter leaves.
func (s *Scene) leave(router, filter string) {
	s.t.Helper()
	var list struct{ Ports []object }
	if err := s.send(http.MethodGet, "ports?device_owner=network:router_interface&device_id="+router+filter, nil, &list); err != nil {
		s.t.Error(err)
	}
	for _, p := range list.Ports {
		if err := s.send(http.MethodPut, "routers/"+router+"/remove_router_interface", object{"port_id": p.text("id")}, nil); err != nil {
			s.t.Errorf("remove interface %s: %v", p.text("id"), err)
		}
	}
}

// group draws a security group. A rule is its direction and IP version, and what
// else a rule has: "ingress IPv4 tcp/80 remote_ip_prefix=10.0.0.0/8".
func (s *Scene) group(name string, rules ...string) string {
	s.t.Helper()
	id := s.create("security_group", object{"name": name}).text("id")
	for _, words := range rules {
		s.rule(id, words)
	}
	return id
}

func (s *Scene) rule(group, words string) string {
	s.t.Helper()
	fields := strings.Fields(words)
	rule := object{"security_group_id": group, "direction": fields[0], "ethertype": fields[1]}
	for _, word := range fields[2:] {
		if key, value, ok := strings.Cut(word, "="); ok {
			rule[key] = value
			continue
		}
		protocol, port, ranged := strings.Cut(word, "/")
		rule["protocol"] = protocol
		if ranged {
			rule["port_range_min"], rule["port_range_max"] = port, port
		}
	}
	return s.createIn("security-group-rules", "security_group_rule", rule).text("id")
}
