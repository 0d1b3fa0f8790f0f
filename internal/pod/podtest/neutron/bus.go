package neutron

import "github.com/tricircle/tricircle/internal/pod/podtest/rest"

// What agents say over the message bus.

// ReportAgent is a layer-2 agent's report of its state.
func (s *Server) ReportAgent(host, tunnelIP string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	a := s.switchAgent(host)
	if a == nil {
		a = s.agent("Open vSwitch agent", "neutron-openvswitch-agent", "N/A", host)
		s.agents = append(s.agents, a)
	}
	a["configurations"] = rest.Doc{"bridge_mappings": rest.Doc{}, "tunnel_types": []string{"vxlan"}, "tunneling_ip": tunnelIP, "l2_population": true}
	a["alive"], a["heartbeat_timestamp"] = true, s.Now().UTC().Format("2006-01-02 15:04:05")
}

// PortUp is a layer-2 agent's word that it has plugged the port in. As in Neutron, of
// a port that is not bound to the host nothing is said.
func (s *Server) PortUp(portID, host string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if p := s.ports.Find(portID); p != nil && p[bindingHost] == host && p[bindingVIF] == "ovs" {
		p["status"] = statusActive
	}
}

// Silence makes an agent dead.
func (s *Server) Silence(host string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if a := s.switchAgent(host); a != nil {
		a["alive"] = false
	}
}

func (s *Server) switchAgent(host string) rest.Doc {
	for _, a := range s.agents {
		if a["host"] == host && a["agent_type"] == "Open vSwitch agent" {
			return a
		}
	}
	return nil
}

// played says that the host is none of ours, but has a living agent.
func (s *Server) played(host string) bool {
	a := s.switchAgent(host)
	return host != s.Host && a != nil && a["alive"] == true
}

// Agents lists the agents.
func (s *Server) Agents() []rest.Doc {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return append([]rest.Doc{}, s.agents...)
}
