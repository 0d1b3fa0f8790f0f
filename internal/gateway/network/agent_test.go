package network

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// newClouds is the service over two pods that it asks.
func newClouds(t *testing.T) (*region, *podtest.Cloud) {
	t.Helper()
	cloud := podtest.New(t, podtest.Options{})
	r := &region{t: t, store: storetest.New(t)}
	if err := r.store.SetFabric(topology.Fabric{Physical: []topology.PhysicalNetwork{
		{Name: "bridge", VLANs: []topology.SegmentRange{{Min: 101, Max: 120}}}}}); err != nil {
		t.Fatal(err)
	}
	own := pod.NewAccount(pod.AccountOptions{
		AuthURL: cloud.AuthURL(), Username: "admin", Password: podtest.Password, ProjectName: "admin", UserDomainID: "default", ProjectDomainID: "default"})
	f := fleet.New(fleet.Options{Store: r.store, Own: own, Client: pod.Options{Timeout: 5 * time.Second}, Log: slog.New(slog.DiscardHandler)})
	for i, name := range []string{"pod1", "pod2"} {
		p := store.Pod{Name: name, Region: podtest.Region(name), Zone: fmt.Sprintf("az%d", i+1), PodZone: "nova", DHCPPorts: 1}
		if _, err := r.store.CreatePod(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	maker := reconcile.New(reconcile.Options{Store: r.store, Pods: f, Holder: t.Name()})
	r.handler = gateway.New(gateway.Options{Verifier: verifier{}, PublicURL: "http://x", Services: []gateway.Service{Service(Deps{
		Store: r.store, Zones: f, Names: f, Clouds: dispatch.New(dispatch.OfFleet(f, r.store)),
		Bring: func(ctx context.Context, t store.Target) error { return maker.Ensure(ctx, t, nil) },
	})}})
	return r, cloud
}

// agents are those that the query finds, by host and kind.
func (r *region) agents(query string) map[string]map[string]any {
	r.t.Helper()
	status, reply := r.do("admin", "GET", "/agents"+query, "")
	if status != 200 {
		r.t.Fatalf("GET /agents%s = %d %v", query, status, reply)
	}
	found := map[string]map[string]any{}
	for _, a := range reply["agents"].([]any) {
		m := a.(map[string]any)
		found[fmt.Sprint(m["host"], " ", m["agent_type"])] = m
	}
	return found
}

// ids are the IDs in a list.
func (r *region) ids(user, path, many string) []string {
	r.t.Helper()
	status, reply := r.do(user, "GET", path, "")
	if status != 200 {
		r.t.Fatalf("GET %s = %d %v", path, status, reply)
	}
	ids := []string{}
	for _, v := range reply[many].([]any) {
		ids = append(ids, v.(map[string]any)["id"].(string))
	}
	return ids
}

func TestAgents(t *testing.T) {
	t.Parallel()
	r, cloud := newClouds(t)
	all := r.agents("")
	if len(all) != 6 {
		t.Fatalf("agents = %v", all)
	}
	var second string // the host of the second pod, as the region calls it
	for _, a := range all {
		if a["agent_type"] == agentDHCP && a["availability_zone"] == "az2" {
			second = fmt.Sprint(a["host"])
		}
	}
	if second == "" {
		t.Fatalf("no zone az2 in %v", all)
	}
	if found := r.agents("?host=" + second); len(found) != 3 {
		t.Errorf("on %s: %v", second, found)
	}
	if found := r.agents("?alive=true&agent_type=L3+agent"); len(found) != 2 {
		t.Errorf("L3 agents: %v", found)
	}
	if ids := r.ids("alice", "/agents", "agents"); len(ids) != 0 {
		t.Errorf("alice sees %v", ids)
	}
	path := "/agents/" + all[second+" "+agentL3]["id"].(string)
	for _, c := range []refusal{
		{"alice", "GET", path, "", 404, "AgentNotFound", "Agent " + path[len("/agents/"):] + " could not be found."},
		{"admin", "GET", "/agents/" + nowhere, "", 404, "AgentNotFound", "Agent " + nowhere + " could not be found."},
		{"admin", "GET", "/agents?configurations=x", "", 400, "HTTPBadRequest", "['configurations'] is invalid attribute for filtering"},
		{"admin", "POST", "/agents", `{"agent":{}}`, 400, "HTTPBadRequest", "Unrecognized attribute(s) 'tenant_id, project_id'"},
		{"admin", "PUT", path, `{"agent":{"host":"x"}}`, 400, "HTTPBadRequest", "Cannot update read-only attribute host"},
		{"alice", "GET", path + "/l3-routers", "", 403, "PolicyNotAuthorized", "rule:get_l3-routers is disallowed by policy"},
	} {
		r.refused(c)
	}
	status, reply := r.do("admin", "PUT", path, `{"agent":{"description":"d","admin_state_up":"false"}}`)
	if m, _ := reply["agent"].(map[string]any); status != 200 || m["description"] != "d" || m["admin_state_up"] != false || m["host"] != second {
		t.Errorf("PUT = %d %v", status, reply)
	}
	if status, reply := r.do("admin", "DELETE", path, ""); status != 204 {
		t.Errorf("DELETE = %d %v", status, reply)
	}
	r.refused(refusal{"admin", "GET", path, "", 404, "AgentNotFound", "Agent " + path[len("/agents/"):] + " could not be found."})

	cloud.Pod("pod2").Down()
	if left := r.agents(""); len(left) != 3 {
		t.Errorf("without pod2: %v", left)
	}
	if status, reply := r.do("admin", "GET", path, ""); status != 503 {
		t.Errorf("an agent that may be in pod2: %d %v", status, reply)
	}
}

// TestAgentNetworks: a network comes to the pod of the DHCP agent that it is put on.
func TestAgentNetworks(t *testing.T) {
	t.Parallel()
	r, _ := newClouds(t)
	var id string
	for _, a := range r.agents("?availability_zone=az2&agent_type=DHCP+agent") {
		id = a["id"].(string)
	}
	bare := r.make("alice", "network", `"name":"bare"`)["id"].(string)
	network, _ := r.ground("")
	path := "/agents/" + id + "/dhcp-networks"
	if ids := r.ids("admin", path, "networks"); len(ids) != 0 {
		t.Fatalf("networks = %v", ids)
	}
	for _, n := range []string{bare, network} { // the second one the pod puts there of itself
		body := `{"network_id":"` + n + `"}`
		if status, reply := r.do("admin", "POST", path, body); status != 201 {
			t.Fatalf("POST = %d %v", status, reply)
		}
		r.refused(refusal{"admin", "POST", path, body, 409, "NetworkHostedByDHCPAgent", "The network " + n + " has been already hosted by the DHCP Agent " + id + "."})
		if ids := r.ids("admin", "/networks/"+n+"/dhcp-agents", "agents"); len(ids) != 1 || ids[0] != id {
			t.Errorf("agents of %s: %v", n, ids)
		}
	}
	if ids := r.ids("admin", path, "networks"); len(ids) != 2 {
		t.Errorf("networks = %v", ids)
	}
	if status, reply := r.do("admin", "DELETE", path+"/"+bare, ""); status != 204 {
		t.Errorf("DELETE = %d %v", status, reply)
	}
	notThere := refusal{"admin", "DELETE", path + "/" + bare, "", 409, "NetworkNotHostedByDhcpAgent", "The network " + bare + " is not hosted by the DHCP Agent " + id + "."}
	r.refused(notThere)
	notThere.path, notThere.message = path+"/"+nowhere, "The network "+nowhere+" is not hosted by the DHCP Agent "+id+"."
	r.refused(notThere)
	if ids := r.ids("admin", path, "networks"); len(ids) != 1 || ids[0] != network {
		t.Errorf("networks = %v", ids)
	}
	var other string
	for _, a := range r.agents("?agent_type=L3+agent&availability_zone=az1") {
		other = a["id"].(string)
	}
	local := r.make("admin", "network", `"provider:network_type":"local"`)["id"].(string)
	for _, c := range []refusal{
		{"admin", "POST", "/agents/" + other + "/dhcp-networks", `{"network_id":"` + bare + `"}`, 404, "InvalidDHCPAgent", "Agent " + other + " is not a valid DHCP Agent or has been disabled."},
		{"admin", "POST", path, `{"network_id":"` + nowhere + `"}`, 404, "NetworkNotFound", "Network " + nowhere + " could not be found."},
		{"admin", "POST", path, `{}`, 400, "HTTPBadRequest", "Unable to find 'network_id' in request body"},
	} {
		r.refused(c)
	}
	if status, reply := r.do("admin", "POST", path, `{"network_id":"`+local+`"}`); status != 201 {
		t.Errorf("local network: %d %v", status, reply)
	}
	if ids := r.ids("admin", "/networks/"+nowhere+"/dhcp-agents", "agents"); len(ids) != 0 {
		t.Errorf("agents of no network: %v", ids)
	}
}

func TestAgentRouters(t *testing.T) {
	t.Parallel()
	r, _ := newClouds(t)
	var l3 []string
	var zones []any
	for _, a := range r.agents("?agent_type=L3+agent") {
		l3, zones = append(l3, a["id"].(string)), append(zones, a["availability_zone"])
	}
	router := r.make("alice", "router", `"name":"r"`)["id"].(string)
	body := `{"router_id":"` + router + `"}`
	on := func(id string) string { return "/agents/" + id + "/l3-routers" }
	if ids := r.ids("admin", "/routers/"+router+"/l3-agents", "agents"); len(ids) != 0 {
		t.Errorf("agents = %v", ids)
	}
	for range 2 { // once more changes nothing
		if status, reply := r.do("admin", "POST", on(l3[0]), body); status != 201 {
			t.Fatalf("POST = %d %v", status, reply)
		}
	}
	r.refused(refusal{"admin", "POST", on(l3[1]), body, 409, "RouterHostedByL3Agent", "The router " + router + " has been already hosted by the L3 Agent " + l3[0] + "."})
	if ids := r.ids("admin", "/routers/"+router+"/l3-agents", "agents"); len(ids) != 1 || ids[0] != l3[0] {
		t.Errorf("agents = %v", ids)
	}
	if ids := r.ids("admin", on(l3[0]), "routers"); len(ids) != 1 || ids[0] != router {
		t.Errorf("routers = %v", ids)
	}
	_, shown := r.do("alice", "GET", "/routers/"+router, "")
	if got := fmt.Sprint(shown["router"].(map[string]any)["availability_zones"]); got != fmt.Sprint(zones[:1]) {
		t.Errorf("zones = %s, want %v", got, zones[:1])
	}
	dvr := r.make("admin", "router", `"distributed":true`)["id"].(string)
	var dhcp string
	for _, a := range r.agents("?agent_type=DHCP+agent") {
		dhcp = a["id"].(string)
	}
	for _, c := range []refusal{
		{"admin", "POST", on(l3[0]), `{"router_id":"` + dvr + `"}`, 409, "RouterL3AgentMismatch", "Cannot host distributed router " + dvr + " on legacy L3 agent " + l3[0] + "."},
		{"admin", "POST", on(dhcp), body, 404, "InvalidL3Agent", "Agent " + dhcp + " is not a L3 Agent or has been disabled"},
		{"admin", "POST", on(nowhere), body, 404, "AgentNotFound", "Agent " + nowhere + " could not be found."},
		{"admin", "GET", on(nowhere), "", 404, "AgentNotFound", "Agent " + nowhere + " could not be found."},
		{"admin", "POST", on(l3[0]), `{"router_id":"` + nowhere + `"}`, 404, "RouterNotFound", "Router " + nowhere + " could not be found"},
		{"admin", "GET", "/routers/" + nowhere + "/l3-agents", "", 404, "RouterNotFound", "Router " + nowhere + " could not be found"},
		{"admin", "DELETE", on(l3[0]) + "/" + nowhere, "", 404, "RouterNotFound", "Router " + nowhere + " could not be found"},
	} {
		r.refused(c)
	}
	ha := r.make("admin", "router", `"ha":true`)["id"].(string)
	for _, id := range l3 {
		if status, reply := r.do("admin", "POST", on(id), `{"router_id":"`+ha+`"}`); status != 201 {
			t.Errorf("POST = %d %v", status, reply)
		}
	}
	if ids := r.ids("admin", "/routers/"+ha+"/l3-agents", "agents"); len(ids) != 2 {
		t.Errorf("agents = %v", ids)
	}
	for range 2 {
		if status, reply := r.do("admin", "DELETE", on(l3[0])+"/"+router, ""); status != 204 {
			t.Errorf("DELETE = %d %v", status, reply)
		}
	}
	if ids := r.ids("admin", on(l3[0]), "routers"); len(ids) != 1 || ids[0] != ha {
		t.Errorf("routers = %v", ids)
	}
	if status, _ := r.do("admin", "DELETE", "/agents/"+l3[0], ""); status != 204 {
		t.Errorf("DELETE agent = %d", status)
	}
	if ids := r.ids("admin", "/routers/"+ha+"/l3-agents", "agents"); len(ids) != 1 || ids[0] != l3[1] {
		t.Errorf("agents = %v", ids)
	}
}

// TestFloatingIPPools: the IPv4 subnets of external networks, whoever has them.
func TestFloatingIPPools(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	r.make("admin", "subnet", `"network_id":"`+r.external+`","ip_version":6,"cidr":"2001:db8::/64"`)
	for _, path := range []string{"/floatingip_pools", "/floatingip-pools"} {
		_, reply := r.do("alice", "GET", path, "")
		pools := reply["floatingip_pools"].([]any)
		if len(pools) != 1 {
			t.Fatalf("pools = %v", pools)
		}
		if p := pools[0].(map[string]any); p["network_id"] != r.external || p["cidr"] != "203.0.113.0/24" || p["project_id"] != "project-alice" {
			t.Errorf("pool = %v", p)
		}
	}
	_, reply := r.do("alice", "GET", "/service-providers?name=ha", "")
	if got := fmt.Sprint(reply["service_providers"]); got != "[map[default:false name:ha service_type:L3_ROUTER_NAT]]" {
		t.Errorf("providers = %s", got)
	}
}
