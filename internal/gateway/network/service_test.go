package network

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

const nowhere = "11111111-1111-1111-1111-111111111111"

// callers by their tokens.
var callers = map[string]identity.Caller{
	"alice":    {ProjectID: "project-alice", Roles: []string{"member"}},
	"bob":      {ProjectID: "project-bob", Roles: []string{"member"}},
	"admin":    {ProjectID: "project-admin", Roles: []string{"admin"}},
	"zoe":      {ProjectID: "project-zoe", UserID: "zoe"},
	"service":  {ProjectID: "project-service", Roles: []string{"advsvc"}},
	"unscoped": {Roles: []string{"member"}},
}

type verifier struct{}

func (verifier) Verify(_ context.Context, token string) (identity.Caller, error) {
	if by, ok := callers[token]; ok {
		return by, nil
	}
	return identity.Caller{}, fault.New(fault.Unauthenticated, gateway.CodeNoToken, "The request you have made requires authentication.")
}

type zones struct{}

func (zones) Zones(context.Context) ([]fleet.Zone, error) {
	return []fleet.Zone{{Name: "az1", Available: true}, {Name: "az2"}}, nil
}

func (zones) ZoneOf(pod string) string { return strings.Replace(pod, "pod", "az", 1) }

// region is the service on its own, over SQLite.
type region struct {
	t       *testing.T
	store   *store.Store
	handler http.Handler

	pods *pods

	mu      sync.Mutex
	settled []string
	settle  func(ctx context.Context, id, pod string) error
}

func newRegion(t *testing.T) *region {
	t.Helper()
	r := &region{t: t, store: storetest.New(t), pods: &pods{now: map[string]topology.Binding{}}}
	err := r.store.SetFabric(topology.Fabric{Physical: []topology.PhysicalNetwork{
		{Name: "bridge", Flat: true, VLANs: []topology.SegmentRange{{Min: 101, Max: 120}}},
		{Name: "other"}}}) // for admins alone
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range []string{"pod1", "pod2"} {
		if _, err := r.store.CreatePod(context.Background(), store.Pod{Name: pod, Zone: pod, DHCPPorts: 1}); err != nil {
			t.Fatal(err)
		}
	}
	r.handler = gateway.New(gateway.Options{Verifier: verifier{}, PublicURL: "http://x", Services: []gateway.Service{
		Service(Deps{Store: r.store, Zones: zones{}, Settle: r.settleServer, Pods: r.pods})}})
	return r
}

func (r *region) settleServer(ctx context.Context, id, pod string) error {
	r.mu.Lock()
	r.settled = append(r.settled, id)
	r.mu.Unlock()
	return r.settle(ctx, id, pod)
}

// do sends a request as the user; body is JSON text. Extra are header pairs.
func (r *region) do(user, method, path, body string, extra ...string) (int, map[string]any) {
	r.t.Helper()
	req := httptest.NewRequest(method, "/network/v2.0"+path, strings.NewReader(body))
	req.Header.Set("X-Auth-Token", user)
	for i := 0; i+1 < len(extra); i += 2 {
		req.Header.Set(extra[i], extra[i+1])
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	var reply map[string]any
	if w.Body.Len() > 0 && w.Body.Bytes()[0] != '[' { // a list has no name anyway
		if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&reply); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Code, reply
}

// make creates a thing and returns it.
func (r *region) make(user, one, attributes string) map[string]any {
	r.t.Helper()
	path := "/" + strings.ReplaceAll(one, "_", "-") + "s"
	status, reply := r.do(user, "POST", path, `{"`+one+`":{`+attributes+`}}`)
	if status != 201 {
		r.t.Fatalf("POST %s {%s} = %d %v", path, attributes, status, reply)
	}
	return reply[one].(map[string]any)
}

// ground is a network of alice with a subnet, and its IDs.
func (r *region) ground(more string) (network, subnet string) {
	network = r.make("alice", "network", `"name":"n"`)["id"].(string)
	subnet = r.make("alice", "subnet", `"network_id":"`+network+`","ip_version":4,"cidr":"10.0.0.0/24"`+more)["id"].(string)
	return network, subnet
}

// refusal is an expected error.
type refusal struct {
	user, method, path, body string
	status                   int
	kind, message            string
}

func (r *region) refusedAll(all []refusal) {
	r.t.Helper()
	for _, c := range all {
		r.refused(c)
	}
}

func (r *region) refused(c refusal) {
	r.t.Helper()
	status, reply := r.do(c.user, c.method, c.path, c.body)
	want := map[string]any{"NeutronError": map[string]any{"type": c.kind, "message": c.message, "detail": ""}}
	if diff := cmp.Diff(want, reply); status != c.status || diff != "" {
		r.t.Errorf("%s %s %s: status %d, want %d (-want +got):\n%s", c.method, c.path, c.body, status, c.status, diff)
	}
}

// TestDeclarations holds the tables to what the store can do.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a := &api{Deps{Store: storetest.New(t), Zones: zones{}}}
	check := func(many string, attributes []attribute, list func(store.Query) error) {
		for _, at := range attributes {
			name, value := at.name, "1"
			if name == "fixed_ips" {
				name = "fixed_ips.ip_address"
			}
			if at.filter != nil {
				if err := list(store.Query{Filters: map[string][]string{name: {value}}}); err != nil {
					t.Errorf("%s cannot be filtered by %s: %v", many, name, err)
				}
			}
			if at.sort {
				if err := list(store.Query{Sort: []store.SortKey{{Name: name}}, Limit: 1}); err != nil {
					t.Errorf("%s cannot be sorted by %s: %v", many, name, err)
				}
			}
		}
	}
	check("networks", networkAttributes, func(q store.Query) error { _, err := a.Store.ListNetworks(ctx, q); return err })
	check("subnets", subnetAttributes, func(q store.Query) error { _, err := a.Store.ListSubnets(ctx, q); return err })
	check("ports", portAttributes, func(q store.Query) error { _, err := a.Store.ListPorts(ctx, q); return err })
	check("groups", groupAttributes, func(q store.Query) error { _, err := a.Store.ListSecurityGroups(ctx, q); return err })
	check("policies", qosPolicyAttributes, func(q store.Query) error { _, err := a.Store.QoSPolicies().List(ctx, q); return err })
	check("trunks", trunkAttributes, func(q store.Query) error { _, err := a.Store.Trunks().List(ctx, q); return err })
	for _, kind := range topology.QoSRuleTypes() {
		check(kind.Name, qosRuleAttributes(kind, true), func(q store.Query) error { _, err := a.Store.ListQoSRules(ctx, q); return err })
	}
	check("rules", ruleAttributes, func(q store.Query) error { _, err := a.Store.ListRules(ctx, q); return err })
	for _, route := range Service(a.Deps).Routes {
		if route.Handle == nil || route.Strategy == "" || route.Strategy == gateway.Refused && route.Note == "" {
			t.Errorf("route %s %s is not complete", route.Method, route.Pattern)
		}
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, subnet := r.ground("")
	port := r.make("alice", "port", `"network_id":"`+network+`","fixed_ips":[{"ip_address":"10.0.0.5"}],"mac_address":"FA-16-3E-00-00-01"`)
	groups := port["security_groups"].([]any)
	now := "TIME"
	for _, m := range []map[string]any{port} {
		for _, k := range []string{"created_at", "updated_at"} {
			if _, err := time.Parse("2006-01-02T15:04:05Z", m[k].(string)); err != nil {
				t.Error(err)
			}
			m[k] = now
		}
	}
	want := map[string]any{
		"id": port["id"], "name": "", "description": "", "project_id": "project-alice", "tenant_id": "project-alice",
		"network_id": network, "admin_state_up": true, "status": "DOWN", "mac_address": "fa:16:3e:00:00:01",
		"fixed_ips": []any{map[string]any{"subnet_id": subnet, "ip_address": "10.0.0.5"}}, "device_id": "", "device_owner": "",
		"security_groups": groups, "port_security_enabled": true, "allowed_address_pairs": []any{}, "extra_dhcp_opts": []any{}, "binding:vnic_type": "normal",
		"qos_policy_id": nil, "qos_network_policy_id": nil,
		"created_at": now, "updated_at": now, "revision_number": 1.0, "tags": []any{},
	}
	if diff := cmp.Diff(want, port); diff != "" {
		t.Errorf("port (-want +got):\n%s", diff)
	}
	_, reply := r.do("admin", "GET", "/ports/"+port["id"].(string)+"?fields=binding:host_id&fields=binding:vif_type&fields=binding:profile", "")
	wantAdmin := map[string]any{"port": map[string]any{"binding:host_id": "", "binding:vif_type": "unbound", "binding:profile": map[string]any{}}}
	if diff := cmp.Diff(wantAdmin, reply); diff != "" {
		t.Errorf("port for an admin (-want +got):\n%s", diff)
	}
	_, reply = r.do("admin", "GET", "/networks/"+network, "")
	seen := reply["network"].(map[string]any)
	if seen["provider:network_type"] != "vlan" || seen["provider:physical_network"] != "bridge" || seen["provider:segmentation_id"] == nil {
		t.Errorf("network for an admin = %v", seen)
	}
	_, reply = r.do("alice", "GET", "/networks/"+network, "")
	seen = reply["network"].(map[string]any)
	if _, shown := seen["provider:network_type"]; shown || seen["mtu"] != 1500.0 || seen["status"] != "ACTIVE" || len(seen["subnets"].([]any)) != 1 {
		t.Errorf("network for a tenant = %v", seen)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, subnet := r.ground("")
	port := r.make("alice", "port", `"network_id":"`+network+`","fixed_ips":[{"ip_address":"10.0.0.5"}]`)["id"].(string)
	group := r.make("alice", "security_group", `"name":"g"`)["id"].(string)
	bad := func(path, body, message string) refusal {
		return refusal{"alice", "POST", path, body, 400, "HTTPBadRequest", message}
	}
	input := func(path, body, message string) refusal {
		return refusal{"alice", "POST", path, body, 400, "InvalidInput", "Invalid input for operation: " + message + "."}
	}
	onNet := func(one, more string) string { return `{"` + one + `":{"network_id":"` + network + `"` + more + `}}` }
	cases := []refusal{
		bad("/networks", `{`, "Body contains invalid data"),
		bad("/networks", `[]`, "Body contains invalid data"),
		bad("/networks", ``, "Unable to find 'network' in request body"),
		bad("/networks", `{"net":{}}`, "Unable to find 'network' in request body"),
		bad("/networks", `{"network":[]}`, "Object 'network' contains invalid data"),
		bad("/networks", `{"networks":[]}`, "Resources required"),
		bad("/networks", `{"network":{"nme":"x"}}`, "Unrecognized attribute(s) 'nme'"),
		bad("/networks", `{"network":{"id":"x"}}`, "Attribute 'id' not allowed in POST"),
		bad("/networks", `{"network":{"name":5}}`, "Invalid input for name. Reason: '5' is not a valid string."),
		bad("/networks", `{"network":{"project_id":"a","tenant_id":"b"}}`, "'project_id' and 'tenant_id' do not match"),
		bad("/networks", `{"network":{"project_id":"project-bob"}}`, "Specifying 'project_id' or 'tenant_id' other than "+
			"the authenticated project in request requires admin or advsvc privileges"),
		input("/networks", `{"network":{"admin_state_up":"perhaps"}}`, "'perhaps' cannot be converted to boolean"),
		input("/networks", `{"network":{"mtu":9999}}`, "Requested MTU is too big, maximum is 1500"),
		{"alice", "POST", "/networks", `{"network":{"availability_zone_hints":["az9"]}}`, 404, "AvailabilityZoneNotFound", "AvailabilityZone az9 could not be found."},
		{"alice", "POST", "/networks", `{"network":{"shared":true}}`, 403, "PolicyNotAuthorized", "(rule:create_network and rule:create_network:shared) is disallowed by policy"},
		bad("/subnets", onNet("subnet", `,"cidr":"10.1.0.0/24"`), "Failed to parse request. Required attribute 'ip_version' not specified"),
		bad("/subnets", onNet("subnet", `,"cidr":"10.1.0.0/24","ip_version":5`), "Invalid input for ip_version. Reason: 5 is not in valid_values."),
		input("/subnets", onNet("subnet", `,"cidr":"10.0.0.128/25","ip_version":4`), "Requested subnet with cidr: 10.0.0.128/25 for network: "+network+" overlaps with another subnet"),
		input("/subnets", onNet("subnet", `,"cidr":"bla","ip_version":4`), "bla is not in a CIDR format"),
		input("/subnets", onNet("subnet", `,"cidr":"fd00::/48","ip_version":6,"ipv6_ra_mode":"slaac","ipv6_address_mode":"slaac"`),
			"Invalid CIDR fd00::/48 for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64"),
		{"alice", "POST", "/subnets", onNet("subnet", `,"ip_version":4`), 400, "BadRequest", "Bad subnets request: a subnetpool must be specified in the absence of a cidr."},
		bad("/ports", `{"port":{}}`, "Failed to parse request. Required attribute 'network_id' not specified"),
		bad("/ports", onNet("port", `,"fixed_ips":[{"ip_address":"x"}]`), "Invalid input for fixed_ips. Reason: 'x' is not a valid IP address."),
		{"alice", "POST", "/ports", onNet("port", `,"fixed_ips":[{"ip_address":"10.1.0.1"}]`), 400, "InvalidIpForNetwork", "IP address 10.1.0.1 is not a valid IP for any of the subnets on the specified network."},
		{"alice", "POST", "/ports", onNet("port", `,"fixed_ips":[{"ip_address":"10.1.0.1","subnet_id":"`+subnet+`"}]`), 400, "InvalidIpForSubnet", "IP address 10.1.0.1 is not a valid IP for the specified subnet."},
		{"alice", "POST", "/ports", onNet("port", `,"fixed_ips":[{"ip_address":"10.0.0.5"}]`), 409, "IpAddressAlreadyAllocated", "IP address 10.0.0.5 already allocated in subnet " + subnet},
		{"alice", "POST", "/ports", onNet("port", `,"security_groups":["`+nowhere+`"]`), 404, "SecurityGroupNotFound", "Security group " + nowhere + " does not exist"},
		{"alice", "POST", "/ports", onNet("port", `,"binding:host_id":"h"`), 403, "PolicyNotAuthorized", "(rule:create_port and rule:create_port:binding:host_id) is disallowed by policy"},
		{"alice", "GET", "/ports?foo=1", "", 400, "HTTPBadRequest", "['foo'] is invalid attribute for filtering"},
		{"alice", "GET", "/ports?limit=x", "", 400, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not 'x'."},
		{"alice", "GET", "/ports?sort_key=name", "", 400, "HTTPBadRequest", "The number of sort_keys and sort_dirs must be same"},
		{"alice", "GET", "/ports?limit=1&marker=" + nowhere, "", 404, "PortNotFound", "Port " + nowhere + " could not be found."},
		{"alice", "PUT", "/subnets/" + subnet, `{"subnet":{"cidr":"10.0.0.0/8"}}`, 400, "HTTPBadRequest", "Cannot update read-only attribute cidr"},
		{"alice", "PUT", "/ports/" + port, `{"port":{"mac_address":"fa:16:3e:00:00:09"}}`, 403, "PolicyNotAuthorized", "(rule:update_port and rule:update_port:mac_address) is disallowed by policy"},
		{"alice", "DELETE", "/networks/" + network, "", 409, "NetworkInUse", "Unable to complete operation on network " + network +
			". There are one or more ports still in use on the network, id for these ports is: " + port + "."},
		{"alice", "DELETE", "/subnets/" + subnet, "", 409, "SubnetInUse", "Unable to complete operation on subnet " + subnet + ": One or more ports have an IP allocation from this subnet."},
		{"alice", "POST", "/security-groups", `{"security_group":{"name":"default"}}`, 409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists."},
		{"alice", "POST", "/security-group-rules", `{"security_group_rule":{"security_group_id":"` + group + `","direction":"ingress","protocol":"tcp","port_range_min":9,"port_range_max":1}}`,
			400, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max"},
		{"alice", "PUT", "/quotas/project-alice", `{"quota":{"port":5}}`, 403, "PolicyNotAuthorized", "rule:update_quota is disallowed by policy"},
		{"alice", "GET", "/quotas/project-bob", "", 403, "PolicyNotAuthorized", "rule:get_quota is disallowed by policy"},
		{"alice", "GET", "/agents/x/nothing", "", 404, "HTTPNotFound", "The resource could not be found."},
		{"unscoped", "GET", "/ports", "", 403, "PolicyNotAuthorized", "Policy doesn't allow get_port to be performed."},
	}
	for _, c := range cases {
		r.refused(c)
	}
}

func TestExhausted(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground(`,"allocation_pools":[{"start":"10.0.0.5","end":"10.0.0.6"}]`)
	body := `{"network_id":"` + network + `"}`
	r.refused(refusal{"alice", "POST", "/ports", `{"ports":[` + body + `,` + body + `,` + body + `]}`, 409, "IpAddressGenerationFailure",
		"No more IP addresses available on network " + network + "."})
	status, reply := r.do("alice", "POST", "/ports", `{"ports":[`+body+`,{"port":`+body+`}]}`)
	if status != 201 || len(reply["ports"].([]any)) != 2 {
		t.Errorf("bulk of two = %d %v", status, reply)
	}
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, subnet := r.ground("")
	port := r.make("alice", "port", `"network_id":"`+network+`"`)["id"].(string)
	group := r.make("alice", "security_group", `"name":"g"`)
	rule := group["security_group_rules"].([]any)[0].(map[string]any)["id"].(string)
	for _, thing := range []struct{ path, id, kind, message string }{
		{"networks", network, "NetworkNotFound", "Network %s could not be found."},
		{"subnets", subnet, "SubnetNotFound", "Subnet %s could not be found."},
		{"ports", port, "PortNotFound", "Port %s could not be found."},
		{"security-groups", group["id"].(string), "SecurityGroupNotFound", "Security group %s does not exist"},
		{"security-group-rules", rule, "SecurityGroupRuleNotFound", "Security group rule %s does not exist"},
	} {
		one := strings.TrimSuffix(strings.ReplaceAll(thing.path, "-", "_"), "s")
		for _, id := range []string{thing.id, nowhere} { // foreign and absent look alike
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				if method == "PUT" && thing.path == "security-group-rules" {
					continue
				}
				r.refused(refusal{"bob", method, "/" + thing.path + "/" + id, `{"` + one + `":{"description":"x"}}`, 404,
					thing.kind, fmt.Sprintf(thing.message, id)})
			}
		}
		status, reply := r.do("bob", "GET", "/"+thing.path+"?id="+thing.id, "")
		if list := reply[one+"s"].([]any); status != 200 || len(list) != 0 {
			t.Errorf("bob lists %v", list)
		}
	}
	for _, c := range []refusal{
		{"bob", "POST", "/ports", `{"port":{"network_id":"` + network + `"}}`, 404, "NetworkNotFound", "Network " + network + " could not be found."},
		{"bob", "POST", "/subnets", `{"subnet":{"network_id":"` + network + `","cidr":"10.1.0.0/24","ip_version":4}}`, 404, "NetworkNotFound", "Network " + network + " could not be found."},
		{"bob", "GET", "/ports?limit=1&marker=" + port, "", 404, "PortNotFound", "Port " + port + " could not be found."},
		{"bob", "POST", "/security-group-rules", `{"security_group_rule":{"security_group_id":"` + group["id"].(string) + `","direction":"ingress"}}`,
			404, "SecurityGroupNotFound", "Security group " + group["id"].(string) + " does not exist"},
	} {
		r.refused(c)
	}
	bobs := r.make("bob", "network", `"name":"b"`)["id"].(string)
	r.refused(refusal{"bob", "POST", "/ports", `{"port":{"network_id":"` + bobs + `","security_groups":["` + group["id"].(string) + `"]}}`,
		404, "SecurityGroupNotFound", "Security group " + group["id"].(string) + " does not exist"})
}

func TestSharedNetwork(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network := r.make("admin", "network", `"name":"s","shared":true`)["id"].(string)
	subnet := r.make("admin", "subnet", `"network_id":"`+network+`","ip_version":4,"cidr":"10.0.0.0/24"`)["id"].(string)
	port := r.make("bob", "port", `"network_id":"`+network+`","fixed_ips":[{"subnet_id":"`+subnet+`"}]`)["id"].(string)
	post := func(more, rule string) refusal {
		return refusal{"bob", "POST", "/ports", `{"port":{"network_id":"` + network + `",` + more + `}}`, 403, "PolicyNotAuthorized", rule + " is disallowed by policy"}
	}
	for _, c := range []refusal{
		post(`"fixed_ips":[{"ip_address":"10.0.0.9"}]`, "(rule:create_port and (rule:create_port:fixed_ips and (rule:create_port:fixed_ips:ip_address)))"),
		post(`"fixed_ips":[{"subnet_id":"`+subnet+`","ip_address":"10.0.0.9"}]`,
			"(rule:create_port and (rule:create_port:fixed_ips and (rule:create_port:fixed_ips:subnet_id and rule:create_port:fixed_ips:ip_address)))"),
		post(`"mac_address":"fa:16:3e:00:00:09"`, "(rule:create_port and rule:create_port:mac_address)"),
		post(`"port_security_enabled":false`, "(rule:create_port and rule:create_port:port_security_enabled)"),
		post(`"device_owner":"network:dhcp"`, "(rule:create_port and rule:create_port:device_owner)"),
		post(`"allowed_address_pairs":[{"ip_address":"1.2.3.4"}]`,
			"(rule:create_port and (rule:create_port:allowed_address_pairs and (rule:create_port:allowed_address_pairs:ip_address)))"),
		{"bob", "PUT", "/networks/" + network, `{"network":{"name":"x"}}`, 403, "PolicyNotAuthorized", "rule:update_network is disallowed by policy"},
		{"bob", "DELETE", "/networks/" + network, "", 403, "PolicyNotAuthorized", "rule:delete_network is disallowed by policy"},
		{"bob", "DELETE", "/subnets/" + subnet, "", 403, "PolicyNotAuthorized", "rule:delete_subnet is disallowed by policy"},
		{"bob", "POST", "/subnets", `{"subnet":{"network_id":"` + network + `","cidr":"10.1.0.0/24","ip_version":4}}`, 403, "PolicyNotAuthorized", "rule:create_subnet is disallowed by policy"},
		{"alice", "GET", "/ports/" + port, "", 404, "PortNotFound", "Port " + port + " could not be found."},
		{"admin", "PUT", "/networks/" + network, `{"network":{"shared":false}}`, 409, "InvalidSharedSetting",
			"Unable to reconfigure sharing settings for network s. Multiple tenants are using it."},
	} {
		r.refused(c)
	}
	for _, path := range []string{"/networks?shared=True", "/subnets?shared=true", "/networks?id=" + network} {
		if _, reply := r.do("bob", "GET", path, ""); len(first(reply)) != 1 {
			t.Errorf("%s = %v, want one", path, reply)
		}
	}
}

// first is the list in a reply.
func first(reply map[string]any) []any {
	for name, v := range reply {
		if list, ok := v.([]any); ok && !strings.HasSuffix(name, "_links") {
			return list
		}
	}
	return nil
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	status, reply := r.do("alice", "PUT", "/networks/"+network, `{"network":{"name":"x"}}`, "If-Match", "revision_number=1")
	if kind := reply["NeutronError"].(map[string]any); status != 412 || kind["type"] != "RevisionNumberConstraintFailed" ||
		kind["message"] != "Constrained to 1, but current revision is 2" {
		t.Errorf("stale = %d %v", status, reply)
	}
	status, reply = r.do("alice", "PUT", "/networks/"+network, `{"network":{"name":"x"}}`, "If-Match", "revision_number=2")
	if status != 200 || reply["network"].(map[string]any)["revision_number"] != 3.0 {
		t.Errorf("current = %d %v", status, reply)
	}
	if status, reply = r.do("alice", "DELETE", "/networks/"+network, "", "If-Match", "revision_number=x"); status != 400 {
		t.Errorf("malformed = %d %v", status, reply)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	for i := range 5 {
		r.make("alice", "network", fmt.Sprintf(`"name":"n%d"`, i))
	}
	path, names := "/networks?fields=name&fields=id&sort_key=name&sort_dir=desc&limit=2", []string{}
	for path != "" {
		status, reply := r.do("alice", "GET", path, "")
		if status != 200 {
			t.Fatalf("GET %s = %d %v", path, status, reply)
		}
		for _, n := range reply["networks"].([]any) {
			names = append(names, n.(map[string]any)["name"].(string))
		}
		path = ""
		for _, l := range reply["networks_links"].([]any) {
			if link := l.(map[string]any); link["rel"] == "next" {
				path = strings.TrimPrefix(link["href"].(string), "http://x/network/v2.0")
			}
		}
	}
	if diff := cmp.Diff([]string{"n4", "n3", "n2", "n1", "n0"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// A network that only servers on their way out still use goes with them.
func TestDeleteSettlesServers(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	ctx := context.Background()
	network, _ := r.ground("")
	r.make("alice", "port", `"network_id":"`+network+`","device_id":"srv","device_owner":"compute:az1"`)
	server := store.Target{Kind: store.KindServer, ID: "srv", Pod: "pod1"}
	if err := r.store.Place(ctx, server, "srv", "project-alice"); err != nil {
		t.Fatal(err)
	}
	if status, _ := r.do("alice", "DELETE", "/networks/"+network, ""); status != 409 || len(r.settled) != 0 {
		t.Fatalf("a running server's network: %d, settled %v", status, r.settled)
	}
	if err := r.store.Unwant(ctx, store.KindServer, "srv"); err != nil {
		t.Fatal(err)
	}
	r.settle = func(context.Context, string, string) error { return fault.New(fault.Unavailable, "", "pod1 is away") }
	if status, _ := r.do("alice", "DELETE", "/networks/"+network, ""); status != 409 {
		t.Fatalf("the pod is away: %d", status)
	}
	r.settle = func(ctx context.Context, _, _ string) error {
		_, reply := r.do("alice", "GET", "/ports?network_id="+network, "")
		for _, p := range first(reply) {
			if err := r.store.DeletePort(ctx, p.(map[string]any)["id"].(string), nil); err != nil {
				return err
			}
		}
		return r.store.Forget(ctx, server)
	}
	if status, reply := r.do("alice", "DELETE", "/networks/"+network, ""); status != 204 {
		t.Fatalf("the server is gone: %d %v", status, reply)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	req := httptest.NewRequest("GET", "/network/", nil)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	want := `{"versions":[{"id":"v2.0","links":[{"href":"http://x/network/v2.0/","rel":"self"}],"status":"CURRENT"}]}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
		t.Errorf("versions = %d %s", w.Code, got)
	}
	for path, want := range map[string]int{
		"": 200, "/": 200, "/extensions": 200, "/extensions/provider": 200, "/extensions/vpnaas": 404, "/subnetpools": 200,
		"/subnetpools/x": 404, "/quotas/project-alice": 200, "/quotas/project-alice/default": 200, "/quotas": 403, "/availability_zones?name=az1": 200,
	} {
		if status, reply := r.do("alice", "GET", path, ""); status != want {
			t.Errorf("GET %s = %d %v, want %d", path, status, reply, want)
		}
	}
	_, reply := r.do("alice", "GET", "/availability_zones", "")
	wantZones := map[string]any{"availability_zones": []any{
		map[string]any{"name": "az1", "resource": "network", "state": "available"},
		map[string]any{"name": "az1", "resource": "router", "state": "available"},
		map[string]any{"name": "az2", "resource": "network", "state": "unavailable"},
		map[string]any{"name": "az2", "resource": "router", "state": "unavailable"},
	}}
	if diff := cmp.Diff(wantZones, reply); diff != "" {
		t.Errorf("zones (-want +got):\n%s", diff)
	}
	if status, _ := r.do("nobody", "GET", "/networks", ""); status != 401 {
		t.Errorf("a bad token = %d", status)
	}
	if status, _ := r.do("admin", "PUT", "/quotas/project-alice", `{"quota":{"port":5}}`); status != 200 {
		t.Errorf("a quota = %d", status)
	}
	if status, _ := r.do("admin", "PUT", "/quotas/project-alice", `{"quota":{"port":-1}}`); status != 200 {
		t.Errorf("no quota = %d", status)
	}
}

// TestDeletionMeetsAJob: a server's job gives up its ports after the deletion of their
// network was refused, and before anybody looks which ports there are.
func TestDeletionMeetsAJob(t *testing.T) {
	t.Parallel()
	a := &api{Deps{Store: storetest.New(t), Settle: func(context.Context, string, string) error { return nil }}}
	tries := 0
	err := a.settled(t.Context(), store.Query{}, func() error {
		if tries++; tries == 1 {
			return fault.New(fault.Conflict, "", "in use")
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("deletion: %v after %d tries, want it done in the second", err, tries)
	}
}
