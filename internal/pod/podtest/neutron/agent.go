package neutron

import (
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// makeAgents makes one L3 and one OVS agent, and the DHCP agents. They share
// their host, as one DHCP agent per network host is what makes ports differ,
// the second and further ones get a host name of their own.
func (s *Server) makeAgents() []rest.Doc {
	out := []rest.Doc{
		s.agent("L3 agent", "neutron-l3-agent", "l3_agent", s.Host),
		s.agent("Open vSwitch agent", "neutron-openvswitch-agent", "N/A", s.Host),
	}
	for i := range max(s.DHCPAgents, 0) {
		host := s.Host
		if i > 0 {
			host = fmt.Sprintf("%s-%d", s.Host, i+1)
		}
		out = append(out, s.agent("DHCP agent", "neutron-dhcp-agent", "dhcp_agent", host))
	}
	return out
}

func (s *Server) agent(kind, binary, topic, host string) rest.Doc {
	at := s.Now().UTC().Format("2006-01-02 15:04:05")
	var zone any = s.Zone
	configurations := rest.Doc{}
	if kind == "Open vSwitch agent" {
		zone = nil
		mappings := rest.Doc{}
		for name := range s.Physical {
			mappings[name] = "br-" + name
		}
		configurations = rest.Doc{"bridge_mappings": mappings, "tunnel_types": []string{"vxlan"}, "integration_bridge": "br-int", "datapath_type": "netdev",
			"tunneling_ip": fmt.Sprintf("192.0.2.%d", 1+crc32.ChecksumIEEE([]byte(host))%250), "l2_population": true}
	}
	return rest.Doc{
		"id": uuid.NewString(), "agent_type": kind, "binary": binary, "topic": topic, "host": host, "admin_state_up": true,
		"created_at": at, "started_at": at, "heartbeat_timestamp": at, "description": nil, "resources_synced": nil,
		"availability_zone": zone, "alive": true, "configurations": configurations,
	}
}

func (s *Server) listAgents(r *rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	if !r.Caller.Admin() {
		return rest.OK(rest.Doc{"agents": out})
	}
next:
	for _, a := range s.agents {
		for key, want := range r.URL.Query() {
			if have, ok := a[key]; ok && !slices.ContainsFunc(want, func(w string) bool { return rest.Matches(have, w) }) {
				continue next
			}
		}
		out = append(out, a)
	}
	return rest.OK(rest.Doc{"agents": out})
}

func (s *Server) showAgent(r *rest.Request) (*rest.Reply, error) {
	a, err := s.agentOf(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"agent": a})
}

// listNetworkAgents lists the DHCP agents of a network; of one that is not there,
// none.
func (s *Server) listNetworkAgents(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("rule:get_dhcp-agents")
	}
	out := []rest.Doc{}
	for _, a := range s.dhcpAgents() {
		if s.networks.Find(r.Param("id")) != nil && s.hosted(r.Param("id"), a) {
			out = append(out, a)
		}
	}
	return rest.OK(rest.Doc{"agents": out})
}

func (s *Server) listZones(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"availability_zones": []rest.Doc{
		{"name": s.Zone, "resource": "network", "state": "available"},
		{"name": s.Zone, "resource": "router", "state": "available"},
	}})
}
