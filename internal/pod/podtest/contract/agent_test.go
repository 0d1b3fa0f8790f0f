package contract

import "testing"

// agentOf is a pod's agent of a kind.
func (w *world) agentOf(t *testing.T, kind string) doc {
	t.Helper()
	for _, a := range w.admin.network(t, "GET", "/agents", nil).want(t, 200).docs("agents") {
		if a["agent_type"] == kind {
			return a
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}

var agentChecks = []check{
	{"agents are for admins", func(t *testing.T, w *world) {
		a := w.agentOf(t, "DHCP agent")
		has(t, a, "id", "agent_type", "binary", "topic", "host", "admin_state_up", "created_at", "started_at", "heartbeat_timestamp",
			"description", "resources_synced", "availability_zone", "alive", "configurations")
		path := "/agents/" + a["id"].(string)
		w.admin.network(t, "GET", path, nil).want(t, 200)
		if list := w.demo.network(t, "GET", "/agents", nil).want(t, 200).docs("agents"); len(list) != 0 {
			t.Errorf("demo sees %v", list)
		}
		w.demo.network(t, "GET", path, nil).fails(t, 404, "HTTPNotFound", "The resource could not be found.")
		w.demo.network(t, "GET", path+"/dhcp-networks", nil).fails(t, 403, "PolicyNotAuthorized", "rule:get_dhcp-networks is disallowed by policy")
		w.admin.network(t, "GET", "/agents/nowhere", nil).fails(t, 404, "AgentNotFound", "Agent nowhere could not be found.")
	}},
	{"an agent is described", func(t *testing.T, w *world) {
		a := w.agentOf(t, "L3 agent")
		path := "/agents/" + a["id"].(string)
		got := w.admin.network(t, "PUT", path, doc{"agent": doc{"description": "contract"}}).want(t, 200).body["agent"].(doc)
		w.admin.network(t, "PUT", path, doc{"agent": doc{"description": a["description"]}}).want(t, 200)
		if got["description"] != "contract" || got["id"] != a["id"] {
			t.Errorf("agent = %v", got)
		}
	}},
	{"a network is put on a DHCP agent and taken off", func(t *testing.T, w *world) {
		n, id := w.makeVLAN(t, w.demo.project), w.agentOf(t, "DHCP agent")["id"].(string)
		network, path := n["id"].(string), "/agents/"+id+"/dhcp-networks"
		body := doc{"network_id": network}
		off := func() {
			w.admin.network(t, "DELETE", path+"/"+network, nil).
				fails(t, 409, "NetworkNotHostedByDhcpAgent", "The network "+network+" is not hosted by the DHCP Agent "+id+".")
		}
		off()
		w.admin.network(t, "POST", path, body).want(t, 201)
		w.admin.network(t, "POST", path, body).
			fails(t, 409, "NetworkHostedByDHCPAgent", "The network "+network+" has been already hosted by the DHCP Agent "+id+".")
		if list := w.admin.network(t, "GET", "/networks/"+network+"/dhcp-agents", nil).want(t, 200).docs("agents"); len(list) != 1 || list[0]["id"] != id {
			t.Errorf("agents = %v", list)
		}
		found := false
		for _, d := range w.admin.network(t, "GET", path, nil).want(t, 200).docs("networks") {
			found = found || d["id"] == network
		}
		if !found {
			t.Error("the agent does not list the network")
		}
		w.admin.network(t, "DELETE", path+"/"+network, nil).want(t, 204)
		off()
		if list := w.admin.network(t, "GET", "/networks/"+network+"/dhcp-agents", nil).want(t, 200).docs("agents"); len(list) != 0 {
			t.Errorf("agents = %v", list)
		}
	}},
	{"not every agent takes every network", func(t *testing.T, w *world) {
		n, dhcp, other := w.makeVLAN(t, w.demo.project), w.agentOf(t, "DHCP agent")["id"].(string), w.agentOf(t, "Open vSwitch agent")["id"].(string)
		w.admin.network(t, "POST", "/agents/"+dhcp+"/dhcp-networks", doc{"network_id": "nowhere"}).
			fails(t, 404, "NetworkNotFound", "Network nowhere could not be found.")
		w.admin.network(t, "POST", "/agents/nowhere/dhcp-networks", doc{"network_id": n["id"]}).
			fails(t, 404, "AgentNotFound", "Agent nowhere could not be found.")
		w.admin.network(t, "POST", "/agents/"+other+"/dhcp-networks", doc{"network_id": n["id"]}).
			fails(t, 404, "InvalidDHCPAgent", "Agent "+other+" is not a valid DHCP Agent or has been disabled.")
	}},
	{"taken off an agent, a port is reserved for the next", func(t *testing.T, w *world) {
		n := w.makeVLAN(t, w.demo.project)
		makeSubnet(t, w.admin, n, doc{"cidr": w.net(1), "project_id": w.demo.project, "enable_dhcp": true})
		eventually(t, "the agent has a port", func() bool { list := w.dhcpPorts(t, n); return len(list) == 1 && claimed(list[0], n) })
		w.admin.network(t, "DELETE", "/agents/"+w.agentOf(t, "DHCP agent")["id"].(string)+"/dhcp-networks/"+n["id"].(string), nil).want(t, 204)
		if list := w.dhcpPorts(t, n); len(list) != 1 || list[0]["device_id"] != "reserved_dhcp_port" {
			t.Errorf("ports = %v", list)
		}
	}},
}
