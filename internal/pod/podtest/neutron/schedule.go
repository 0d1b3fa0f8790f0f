package neutron

import (
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// seat is a network with one of the DHCP agents.
type seat struct{ network, agent string }

// hosted says whether the agent serves the network: it does once there is a
// subnet with DHCP, unless an admin took the network off it, and it does when an
// admin said so.
func (s *Server) hosted(network string, agent rest.Doc) bool {
	if said, ok := s.seats[seat{network, rest.Str(agent, "id")}]; ok {
		return said
	}
	return slices.ContainsFunc(s.subnetsOf(network), func(sub rest.Doc) bool { return rest.Bool(sub, "enable_dhcp") })
}

// agentOf is the agent that the path names. Only admins see any.
func (s *Server) agentOf(r *rest.Request) (rest.Doc, error) {
	for _, a := range s.agents {
		if a["id"] != r.Param("id") {
			continue
		}
		if !r.Caller.Admin() {
			return nil, rest.Errorf(http.StatusNotFound, "HTTPNotFound", "The resource could not be found.")
		}
		return a, nil
	}
	return nil, missing("Agent", r.Param("id"))
}

func (s *Server) updateAgent(r *rest.Request) (*rest.Reply, error) {
	a, err := s.agentOf(r)
	if err != nil {
		return nil, err
	}
	body, err := r.JSON()
	in, ok := body["agent"].(rest.Doc)
	if err != nil || !ok {
		return nil, badRequest("Unable to find 'agent' in request body")
	}
	for _, name := range []string{"admin_state_up", "description"} {
		if v, sent := in[name]; sent {
			a[name] = v
		}
	}
	return rest.OK(rest.Doc{"agent": a})
}

func (s *Server) deleteAgent(r *rest.Request) (*rest.Reply, error) {
	a, err := s.agentOf(r)
	if err != nil {
		return nil, err
	}
	s.agents = slices.DeleteFunc(s.agents, func(o rest.Doc) bool { return o["id"] == a["id"] })
	return rest.NoContent()
}

func (s *Server) listSeats(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("rule:get_dhcp-networks")
	}
	a, err := s.agentOf(r)
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, n := range s.networks.All() {
		if a["agent_type"] == "DHCP agent" && s.hosted(rest.Str(n, "id"), a) {
			out = append(out, n)
		}
	}
	return rest.OK(rest.Doc{"networks": out})
}

func (s *Server) addSeat(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("rule:create_dhcp-network")
	}
	body, err := r.JSON()
	if err != nil {
		return nil, err
	}
	network := rest.Str(body, "network_id")
	if s.networks.Find(network) == nil {
		return nil, missing("Network", network)
	}
	a, err := s.agentOf(r)
	switch {
	case err != nil:
		return nil, err
	case a["agent_type"] != "DHCP agent" || a["admin_state_up"] != true:
		return nil, rest.Errorf(http.StatusNotFound, "InvalidDHCPAgent", "Agent %s is not a valid DHCP Agent or has been disabled.", a["id"])
	case s.hosted(network, a):
		return nil, conflict("NetworkHostedByDHCPAgent", "The network %s has been already hosted by the DHCP Agent %s.", network, a["id"])
	}
	s.seats[seat{network, rest.Str(a, "id")}] = true
	s.settled(rest.Doc{"id": network})
	return rest.Created(nil)
}

// removeSeat leaves the agent's port behind, reserved for the next one.
func (s *Server) removeSeat(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("rule:delete_dhcp-network")
	}
	a, err := s.agentOf(r)
	if err != nil {
		return nil, err
	}
	network := r.Param("network")
	if s.networks.Find(network) == nil || !s.hosted(network, a) {
		return nil, conflict("NetworkNotHostedByDhcpAgent", "The network %s is not hosted by the DHCP Agent %s.", network, a["id"])
	}
	s.seats[seat{network, rest.Str(a, "id")}] = false
	if port := s.portOf(network, deviceID(rest.Str(a, "host"), network)); port != nil {
		port["device_id"] = reservedDHCP
		s.touch(port)
	}
	return rest.NoContent()
}
