package neutron

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// SetGreedy makes the DHCP agents act within the request that makes them act,
// before its reply, as an agent with luck does. Mu must not be held.
func (s *Server) SetGreedy(on bool) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.greedy = on
}

// settled lets the DHCP agents see what has become of a network: the one that
// d is, or is in.
func (s *Server) settled(d rest.Doc) {
	network := rest.Str(d, "network_id")
	if network == "" {
		network = rest.Str(d, "id")
	}
	if s.networks.Find(network) == nil || len(s.dhcpAgents()) == 0 {
		return
	}
	if s.greedy || s.After == nil {
		s.serve(network)
		return
	}
	s.After(func() {
		s.Mu.Lock()
		defer s.Mu.Unlock()
		s.serve(network)
	})
}

func (s *Server) dhcpAgents() []rest.Doc {
	out := []rest.Doc{}
	for _, a := range s.agents {
		if a["agent_type"] == "DHCP agent" {
			out = append(out, a)
		}
	}
	return out
}

// deviceID is what an agent writes into its port: neutron.agent.linux.dhcp's
// get_dhcp_device_id.
func deviceID(host, network string) string {
	return fmt.Sprintf("dhcp%s-%s", uuid.NewSHA1(uuid.NameSpaceDNS, []byte(host)), network)
}

// serve does for one network what each of its DHCP agents does: keep its port
// right, else claim a reserved one, else make one; and give the port back once
// no subnet wants DHCP.
func (s *Server) serve(networkID string) {
	network := s.networks.Find(networkID)
	if network == nil {
		return
	}
	var subnets []rest.Doc
	for _, sub := range s.subnetsOf(networkID) {
		if rest.Bool(sub, "enable_dhcp") {
			subnets = append(subnets, sub)
		}
	}
	for _, agent := range s.dhcpAgents() {
		if said, ok := s.seats[seat{networkID, rest.Str(agent, "id")}]; ok && !said {
			continue
		}
		device := deviceID(rest.Str(agent, "host"), networkID)
		port := s.portOf(networkID, device)
		if len(subnets) == 0 {
			if port != nil {
				s.ports.Delete(rest.Str(port, "id"))
			}
			continue
		}
		if port == nil {
			port = s.claim(networkID, device)
		}
		if port == nil {
			port = s.ownPort(network, device, subnets)
		}
		if port == nil {
			continue // pool exhausted: the agent tries again at the next change
		}
		s.cover(network, port, subnets)
		if rest.Str(port, bindingHost) == "" {
			s.bind(port, s.Host)
			s.touch(port)
		}
	}
}

func (s *Server) portOf(network, device string) rest.Doc {
	for _, p := range s.portsOf(network) {
		if p["device_id"] == device {
			return p
		}
	}
	return nil
}

func (s *Server) claim(network, device string) rest.Doc {
	port := s.portOf(network, reservedDHCP)
	if port == nil {
		return nil
	}
	port["device_id"] = device
	s.touch(port)
	return port
}

func (s *Server) ownPort(network rest.Doc, device string, subnets []rest.Doc) rest.Doc {
	want := []any{}
	for _, sub := range subnets {
		want = append(want, rest.Doc{"subnet_id": sub["id"]})
	}
	c := rest.Caller{Roles: []string{"admin"}, ProjectID: rest.Str(network, "project_id")}
	in := rest.Doc{
		"network_id": network["id"], "device_id": device, "device_owner": ownerDHCP,
		"fixed_ips": want, "project_id": network["project_id"],
	}
	d, err := s.makePort(c, in)
	if err != nil {
		return nil
	}
	d["project_id"], d["tags"], d["revision_number"] = network["project_id"], []string{}, 1
	d["created_at"], d["updated_at"] = s.stamp(), s.stamp()
	s.ports.Put(rest.Str(d, "id"), d)
	return d
}

// cover gives the agent's port one address in each subnet with DHCP, and none
// elsewhere.
func (s *Server) cover(network, port rest.Doc, subnets []rest.Doc) {
	have := rest.Docs(port, "fixed_ips")
	next := []rest.Doc{}
	for _, ip := range have {
		if slices.ContainsFunc(subnets, func(sub rest.Doc) bool { return sub["id"] == ip["subnet_id"] }) {
			next = append(next, ip)
		}
	}
	changed := len(next) != len(have)
	for _, sub := range subnets {
		if hasSubnet(port, rest.Str(sub, "id")) {
			continue
		}
		ips, err := s.allocate(request{network: network, keep: next, mac: rest.Str(port, "mac_address")}, []rest.Doc{{"subnet_id": sub["id"]}})
		if err != nil {
			continue
		}
		for _, ip := range ips {
			if ip["subnet_id"] == sub["id"] {
				next, changed = append(next, ip), true
			}
		}
	}
	if changed {
		port["fixed_ips"] = next
		s.touch(port)
	}
}
