package neutron

import (
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// What Nova needs of its Neutron. Mu must be held in all of it.

// Network finds a network that the caller sees; nil when there is none.
func (s *Server) Network(c rest.Caller, id string) rest.Doc {
	d := s.networks.Find(id)
	if d == nil || !s.seesNetwork(c, d) {
		return nil
	}
	return d
}

// OwnNetworks lists what Nova considers for "auto" and for no networks at all:
// the project's own, then the shared ones.
func (s *Server) OwnNetworks(project string) []rest.Doc {
	own := s.networks.Where(func(d rest.Doc) bool { return d["project_id"] == project && !rest.Bool(d, "router:external") })
	shared := s.networks.Where(func(d rest.Doc) bool { return d["project_id"] != project && rest.Bool(d, "shared") })
	return append(own, shared...)
}

// Port finds a port that the caller sees; nil when there is none.
func (s *Server) Port(c rest.Caller, id string) rest.Doc {
	d := s.ports.Find(id)
	if d == nil || !s.seesPort(c, d) {
		return nil
	}
	return d
}

// HasSubnets says whether the network can give addresses.
func (s *Server) HasSubnets(network string) bool { return len(s.subnetsOf(network)) > 0 }

// AddressTaken says whether a port of the network has the address.
func (s *Server) AddressTaken(network, ip string) bool {
	return slices.ContainsFunc(s.portsOf(network), func(p rest.Doc) bool {
		return slices.ContainsFunc(rest.Docs(p, "fixed_ips"), func(f rest.Doc) bool { return f["ip_address"] == ip })
	})
}

// CreatePort makes a port with the caller's rights.
func (s *Server) CreatePort(c rest.Caller, in rest.Doc) (rest.Doc, error) {
	return s.portKind().add(c, in)
}

// Attach gives a port to a server.
func (s *Server) Attach(port rest.Doc, server, zone string) {
	port["device_id"], port["device_owner"] = server, "compute:"+zone
	s.bind(port, s.Host)
	s.touch(port)
}

// Detach takes a port from its server and leaves it there, unbound.
func (s *Server) Detach(id string) {
	port := s.ports.Find(id)
	if port == nil {
		return
	}
	port["device_id"], port["device_owner"] = "", ""
	s.bind(port, "")
	s.touch(port)
}

// DeletePort removes a port that Nova made.
func (s *Server) DeletePort(id string) {
	if port := s.ports.Find(id); port != nil {
		s.ports.Delete(id)
		s.settled(port)
	}
}

// NetworkName is a network's name.
func (s *Server) NetworkName(id string) string { return rest.Str(s.networks.Find(id), "name") }

// Inventory lists the IDs of all that somebody made: default groups and the
// rules that Neutron makes by itself come and go unasked and are left out.
func (s *Server) Inventory() map[string][]string {
	out := map[string][]string{}
	add := func(kind string, docs []rest.Doc) {
		ids := []string{}
		for _, d := range docs {
			ids = append(ids, strings.TrimSpace(rest.Str(d, "id")))
		}
		slices.Sort(ids)
		out[kind] = ids
	}
	add("network", s.networks.All())
	add("subnet", s.subnets.All())
	add("port", s.ports.All())
	add("router", s.routers.All())
	add("floatingip", s.floats.All())
	add("port_forwarding", s.forwards.All())
	add("policy", s.policies.All())
	add("trunk", s.trunks.All())
	add("security_group", s.groups.Where(func(d rest.Doc) bool { return d["name"] != defaultGroup }))
	add("security_group_rule", s.rules.Where(func(d rest.Doc) bool { return !s.defRule[rest.Str(d, "id")] }))
	return out
}

// Objects lists all of one kind as an admin sees it. Mu must not be held.
func (s *Server) Objects(kind string) []rest.Doc {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	out := []rest.Doc{}
	for _, res := range s.kinds() {
		if res.single != kind {
			continue
		}
		for _, d := range res.store.All() {
			out = append(out, res.view(rest.Caller{Roles: []string{"admin"}}, d))
		}
	}
	return out
}
