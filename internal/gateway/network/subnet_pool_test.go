package network

import (
	"fmt"
	"sync"
	"testing"
)

// refuses checks that a request is answered with an error of that name.
func (r *region) refuses(user, method, path, body string, status int, code string) {
	r.t.Helper()
	got, reply := r.do(user, method, path, body)
	e, _ := reply["NeutronError"].(map[string]any)
	if got != status || e["type"] != code {
		r.t.Errorf("%s %s %s %s = %d %v, want %d %s", user, method, path, body, got, reply, status, code)
	}
}

// allows checks that a request is answered with the status, and returns the answer.
func (r *region) allows(user, method, path, body string, status int) map[string]any {
	r.t.Helper()
	got, reply := r.do(user, method, path, body)
	if got != status {
		r.t.Fatalf("%s %s %s %s = %d %v, want %d", user, method, path, body, got, reply, status)
	}
	return reply
}

func TestSubnetsOutOfAPool(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	r.refuses("alice", "POST", "/subnetpools", `{"subnetpool":{"name":"x","prefixes":["10.0.0.0/24"],"shared":true}}`, 403, "PolicyNotAuthorized")
	r.refuses("alice", "POST", "/subnetpools", `{"subnetpool":{"name":" ","prefixes":["10.0.0.0/24"]}}`, 400, "HTTPBadRequest")
	pool := r.make("alice", "subnetpool", `"name":"x","prefixes":["10.0.1.0/24","10.0.0.0/24"],"default_prefixlen":26,"default_quota":512`)
	if pool["min_prefixlen"] != "8" || fmt.Sprint(pool["prefixes"]) != "[10.0.0.0/23]" || pool["ip_version"] != 4.0 {
		t.Errorf("pool = %v", pool)
	}
	id := pool["id"].(string)
	network := r.make("alice", "network", `"name":"n"`)["id"].(string)
	on := `"network_id":"` + network + `","ip_version":4,"subnetpool_id":"` + id + `"`
	for _, want := range []string{"10.0.0.0/26", "10.0.0.64/26"} {
		if got := r.make("alice", "subnet", on); got["cidr"] != want || got["subnetpool_id"] != id {
			t.Errorf("subnet = %v, want %s", got, want)
		}
	}
	r.refuses("alice", "POST", "/subnets", `{"subnet":{`+on+`,"prefixlen":26,"cidr":"10.0.0.0/28"}}`, 400, "BadRequest")
	r.refuses("alice", "POST", "/subnets", `{"subnet":{`+on+`,"prefixlen":33}}`, 400, "MaxPrefixSubnetAllocationError")
	r.refuses("alice", "POST", "/subnets", `{"subnet":{`+on+`,"use_default_subnetpool":true}}`, 400, "BadRequest")
	r.refuses("alice", "POST", "/subnets", `{"subnet":{"network_id":"`+network+`","ip_version":4,"cidr":"192.0.2.0/24"}}`, 400, "NetworkSubnetPoolAffinityError")
	r.refuses("bob", "GET", "/subnetpools/"+id, "", 404, "SubnetPoolNotFound")
	r.refuses("alice", "DELETE", "/subnetpools/"+id, "", 400, "SubnetPoolDeleteError")
	r.refuses("alice", "PUT", "/subnetpools/"+id+"/remove_prefixes", `{"prefixes":["10.0.0.0/25"]}`, 400, "IllegalSubnetPoolPrefixUpdate")
	if got := r.allows("alice", "PUT", "/subnetpools/"+id+"/remove_prefixes", `{"prefixes":["10.0.1.0/24"]}`, 200); fmt.Sprint(got["prefixes"]) != "[10.0.0.0/24]" {
		t.Errorf("prefixes = %v", got)
	}
	if got := r.allows("alice", "PUT", "/subnetpools/"+id+"/add_prefixes", `{"prefixes":["10.0.1.0/24"]}`, 200); fmt.Sprint(got["prefixes"]) != "[10.0.0.0/23]" {
		t.Errorf("prefixes = %v", got)
	}
}

// Of many who cut at once none gets what another has, and no more than there is.
func TestManyCutAtOnce(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	id := r.make("alice", "subnetpool", `"name":"x","prefixes":["10.0.0.0/24"],"default_prefixlen":28`)["id"].(string)
	networks := make([]string, 20)
	for i := range networks {
		networks[i] = r.make("alice", "network", `"name":"n"`)["id"].(string)
	}
	var mu sync.Mutex
	seen, refused := map[any]bool{}, 0
	var all sync.WaitGroup
	for _, n := range networks {
		all.Go(func() {
			status, reply := r.do("alice", "POST", "/subnets", `{"subnet":{"network_id":"`+n+`","ip_version":4,"subnetpool_id":"`+id+`"}}`)
			mu.Lock()
			defer mu.Unlock()
			if status != 201 {
				refused++
				return
			}
			cidr := reply["subnet"].(map[string]any)["cidr"]
			if seen[cidr] {
				t.Errorf("%v twice", cidr)
			}
			seen[cidr] = true
		})
	}
	all.Wait()
	if len(seen) != 16 || refused != 4 {
		t.Errorf("%d subnets and %d refusals, want 16 and 4", len(seen), refused)
	}
}

func TestAddressScopes(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	scope := r.make("alice", "address_scope", `"name":"s","ip_version":4`)["id"].(string)
	shared := r.make("admin", "address_scope", `"name":"all","ip_version":4,"shared":true`)["id"].(string)
	r.refuses("bob", "GET", "/address-scopes/"+scope, "", 404, "AddressScopeNotFound")
	r.refuses("alice", "PUT", "/address-scopes/"+scope, `{"address_scope":{"shared":true}}`, 403, "PolicyNotAuthorized")
	r.refuses("admin", "PUT", "/address-scopes/"+shared, `{"address_scope":{"shared":false}}`, 400, "AddressScopeUpdateError")
	pool := func(prefix, scope string) string {
		return `{"subnetpool":{"name":"p","prefixes":["` + prefix + `"],"address_scope_id":"` + scope + `"}}`
	}
	r.refuses("bob", "POST", "/subnetpools", pool("10.0.0.0/24", scope), 404, "AddressScopeNotFound")
	r.refuses("alice", "POST", "/subnetpools", pool("fd00::/48", scope), 400, "IllegalSubnetPoolIpVersionAssociationToAddressScope")
	first := r.allows("alice", "POST", "/subnetpools", pool("10.0.0.0/24", scope), 201)["subnetpool"].(map[string]any)["id"].(string)
	r.refuses("alice", "POST", "/subnetpools", pool("10.0.0.128/25", scope), 409, "AddressScopePrefixConflict")
	second := r.allows("alice", "POST", "/subnetpools", pool("10.1.0.0/24", scope), 201)["subnetpool"].(map[string]any)["id"].(string)
	r.refuses("alice", "DELETE", "/address-scopes/"+scope, "", 409, "AddressScopeInUse")

	network := r.make("alice", "network", `"name":"n"`)["id"].(string)
	for _, p := range []string{first, second} { // of one scope: they go together
		r.make("alice", "subnet", `"network_id":"`+network+`","ip_version":4,"prefixlen":26,"subnetpool_id":"`+p+`"`)
	}
	if n := r.allows("alice", "GET", "/networks/"+network, "", 200)["network"].(map[string]any); n["ipv4_address_scope"] != scope || n["ipv6_address_scope"] != nil {
		t.Errorf("network = %v, want scope %s", n, scope)
	}
	r.refuses("alice", "PUT", "/subnetpools/"+first, `{"subnetpool":{"address_scope_id":"`+shared+`"}}`, 400, "NetworkAddressScopeAffinityError")

	guest := r.allows("bob", "POST", "/subnetpools", pool("10.9.0.0/24", shared), 201)["subnetpool"].(map[string]any)["id"].(string)
	r.refuses("bob", "PUT", "/subnetpools/"+guest, `{"subnetpool":{"name":"q"}}`, 400, "IllegalSubnetPoolUpdate")
}

func TestOnboarding(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, subnet := r.ground("")
	pool := r.make("alice", "subnetpool", `"name":"p","prefixes":["192.0.2.0/24"]`)["id"].(string)
	path := "/subnetpools/" + pool + "/onboard_network_subnets"
	r.refuses("alice", "PUT", path, `{}`, 400, "InvalidInput")
	r.refuses("alice", "PUT", path, `{"network_id":"`+nowhere+`"}`, 404, "NetworkNotFound")
	if status, _ := r.do("alice", "PUT", path, `{"network_id":"`+network+`"}`); status != 200 {
		t.Fatalf("onboarding: %d", status)
	}
	if s := r.allows("alice", "GET", "/subnets/"+subnet, "", 200)["subnet"].(map[string]any); s["subnetpool_id"] != pool {
		t.Errorf("subnet = %v", s)
	}
	p := r.allows("alice", "GET", "/subnetpools/"+pool, "", 200)["subnetpool"].(map[string]any)
	if fmt.Sprint(p["prefixes"]) != "[10.0.0.0/24 192.0.2.0/24]" {
		t.Errorf("prefixes = %v", p["prefixes"])
	}
	r.refuses("alice", "PUT", path, `{"network_id":"`+network+`"}`, 400, "IllegalSubnetPoolUpdate")
}

func TestAddressGroups(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	g := r.make("alice", "address_group", `"name":"g","addresses":["10.0.0.0/24","192.0.2.7/32"]`)["id"].(string)
	path := "/address-groups/" + g
	r.refuses("alice", "PUT", path+"/add_addresses", `{"addresses":["10.0.0.9/24"]}`, 400, "AddressesAlreadyExist")
	r.refuses("alice", "PUT", path+"/remove_addresses", `{"addresses":["10.9.0.0/24"]}`, 404, "AddressesNotFound")
	r.refuses("bob", "PUT", path+"/add_addresses", `{"addresses":["10.9.0.0/24"]}`, 404, "AddressGroupNotFound")
	r.allows("alice", "PUT", path+"/add_addresses", `{"addresses":["fd00::/64"]}`, 200)
	got := r.allows("alice", "PUT", path+"/remove_addresses", `{"addresses":["10.0.0.0/24"]}`, 200)["address_group"].(map[string]any)
	if fmt.Sprint(got["addresses"]) != "[192.0.2.7/32 fd00::/64]" {
		t.Errorf("group = %v", got)
	}
	group := r.make("alice", "security_group", `"name":"s"`)["id"].(string)
	rule := `"security_group_id":"` + group + `","direction":"ingress","remote_address_group_id":"` + g + `"`
	r.refuses("alice", "POST", "/security-group-rules", `{"security_group_rule":{`+rule+`,"remote_ip_prefix":"10.0.0.0/8"}}`, 400, "SecurityGroupMultipleRemoteEntites")
	r.refuses("bob", "POST", "/security-group-rules", `{"security_group_rule":{"direction":"ingress","security_group_id":"`+
		r.make("bob", "security_group", `"name":"t"`)["id"].(string)+`","remote_address_group_id":"`+g+`"}}`, 404, "AddressGroupNotFound")
	if made := r.make("alice", "security_group_rule", rule); made["remote_address_group_id"] != g {
		t.Errorf("rule = %v", made)
	}
	r.refuses("alice", "DELETE", path, "", 409, "AddressGroupInUse")
}

func TestIPAvailability(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, subnet := r.ground("")
	r.make("alice", "port", `"network_id":"`+network+`"`)
	r.make("alice", "subnet", `"network_id":"`+network+`","ip_version":6,"cidr":"fd00::/64"`)
	path := "/network-ip-availabilities"
	for query, want := range map[string]string{
		"": "18446744073709551868", "?ip_version=4": "253", "?ip_version=6": "18446744073709551615", "?network_name=other": "",
	} {
		all := r.allows("admin", "GET", path+query, "", 200)["network_ip_availabilities"].([]any)
		if want == "" {
			if len(all) != 0 {
				t.Errorf("%s: %v", query, all)
			}
			continue
		}
		n := all[0].(map[string]any)
		if got := fmt.Sprintf("%.0f", n["total_ips"]); len(all) != 1 || n["network_id"] != network || got[:3] != want[:3] || len(got) != len(want) {
			t.Errorf("%s: %v, want %s addresses", query, n, want)
		}
	}
	one := r.allows("admin", "GET", path+"/"+network, "", 200)["network_ip_availability"].(map[string]any)
	first := one["subnet_ip_availability"].([]any)[0].(map[string]any)
	if one["used_ips"] != 1.0 || first["subnet_id"] != subnet || first["used_ips"] != 1.0 || first["total_ips"] != 253.0 {
		t.Errorf("availability = %v", one)
	}
	r.refuses("admin", "GET", path+"/"+nowhere, "", 404, "NetworkNotFound")
	if all := r.allows("alice", "GET", path, "", 200)["network_ip_availabilities"].([]any); len(all) != 0 {
		t.Errorf("alice sees %v", all)
	}
}

func TestAutoAllocatedTopology(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	const path = "/auto-allocated-topology/None"
	r.refuses("alice", "GET", path+"?fields=dry-run", "", 409, "AutoAllocationFailure")
	outside := r.make("admin", "network", `"name":"out","router:external":true,"is_default":true`)["id"].(string)
	r.make("admin", "subnet", `"network_id":"`+outside+`","ip_version":4,"cidr":"203.0.113.0/24"`)
	r.refuses("alice", "GET", path, "", 409, "AutoAllocationFailure")
	for _, p := range []string{`"10.0.0.0/16"],"default_prefixlen":24`, `"fd00::/48"]`} {
		r.make("admin", "subnetpool", `"name":"p","is_default":true,"shared":true,"prefixes":[`+p)
	}
	r.refuses("admin", "POST", "/subnetpools", `{"subnetpool":{"name":"p","is_default":true,"prefixes":["10.9.0.0/16"]}}`, 400, "InvalidInput")
	r.refuses("alice", "GET", path+"?fields=foo", "", 400, "BadRequest")
	r.refuses("alice", "GET", "/auto-allocated-topology/project-bob", "", 403, "NotAuthorized")
	if got := r.allows("alice", "GET", path+"?fields=dry-run", "", 200)["auto_allocated_topology"].(map[string]any); got["id"] != "dry-run=pass" {
		t.Errorf("dry run: %v", got)
	}
	id := r.allows("alice", "GET", path, "", 200)["auto_allocated_topology"].(map[string]any)["id"].(string)
	if again := r.allows("alice", "GET", path, "", 200)["auto_allocated_topology"].(map[string]any)["id"]; again != id {
		t.Errorf("another network: %v", again)
	}
	n := r.allows("alice", "GET", "/networks/"+id, "", 200)["network"].(map[string]any)
	if len(n["subnets"].([]any)) != 2 || n["name"] != "auto_allocated_network" || n["admin_state_up"] != true {
		t.Errorf("network = %v", n)
	}
	port := r.make("alice", "port", `"network_id":"`+id+`"`)["id"].(string)
	r.refuses("alice", "DELETE", path, "", 409, "NetworkInUse")
	r.allows("alice", "DELETE", "/ports/"+port, "", 204)
	for range 2 {
		r.allows("alice", "DELETE", path, "", 204)
	}
	for _, kind := range []string{"networks", "subnets", "routers", "ports"} {
		if left := r.allows("alice", "GET", "/"+kind+"?project_id=project-alice", "", 200)[kind].([]any); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestServiceTypes(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network := r.make("alice", "network", `"name":"n"`)["id"].(string)
	on := func(more string) string {
		return `{"subnet":{"network_id":"` + network + `","ip_version":4,"cidr":"10.0.0.0/24",` + more + `}}`
	}
	r.refuses("alice", "POST", "/subnets", on(`"service_types":"network:x"`), 400, "HTTPBadRequest")
	r.refuses("alice", "POST", "/subnets", on(`"service_types":["bla"]`), 400, "InvalidSubnetServiceType")
	r.refuses("alice", "POST", "/subnets", on(`"service_types":[1]`), 400, "InvalidInputSubnetServiceType")
	r.allows("alice", "POST", "/subnets", on(`"service_types":["compute:nova"]`), 201)
	r.refuses("alice", "POST", "/ports", `{"port":{"network_id":"`+network+`"}}`, 409, "IpAddressGenerationFailureNoMatchingSubnet")
	if p := r.make("alice", "port", `"network_id":"`+network+`","device_owner":"compute:nova"`); len(p["fixed_ips"].([]any)) != 1 {
		t.Errorf("port = %v", p)
	}
}
