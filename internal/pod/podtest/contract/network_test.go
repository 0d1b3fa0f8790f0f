package contract

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
)

var networkChecks = []check{
	{"attributes of a new network", func(t *testing.T, w *world) {
		d := makeNetwork(t, w.demo, nil)
		has(t, d, "id", "name", "status", "admin_state_up", "shared", "router:external", "subnets", "mtu", "port_security_enabled", "tenant_id",
			"project_id", "description", "availability_zone_hints", "availability_zones", "tags", "created_at", "updated_at", "revision_number",
			"ipv4_address_scope", "ipv6_address_scope", "qos_policy_id")
		hasNot(t, d, "provider:network_type", "provider:segmentation_id")
		if d["project_id"] != w.demo.project || d["status"] != "ACTIVE" || d["admin_state_up"] != true {
			t.Errorf("network = %v", d)
		}
	}},
	{"a VLAN network moves to another VLAN", func(t *testing.T, w *world) {
		d, other := w.makeVLAN(t, w.demo.project), w.makeVLAN(t, w.demo.project)
		move := func(to any) *reply {
			return w.admin.network(t, "PUT", "/networks/"+d["id"].(string), doc{"network": doc{"provider:segmentation_id": to}})
		}
		move(other["provider:segmentation_id"]).want(t, 409)
		w.admin.network(t, "DELETE", "/networks/"+other["id"].(string), nil).want(t, 204)
		if got := move(other["provider:segmentation_id"]).want(t, 200).body["network"].(doc); got["provider:segmentation_id"] != other["provider:segmentation_id"] {
			t.Errorf("network = %v, want VLAN %v", got, other["provider:segmentation_id"])
		}
	}},
	{"a network of several segments", func(t *testing.T, w *world) {
		first := w.makeVLAN(t, w.demo.project)
		w.admin.network(t, "DELETE", "/networks/"+first["id"].(string), nil).want(t, 204)
		id := first["provider:segmentation_id"]
		var segments []doc // on one physical network Neutron tries for minutes, and gives up
		for _, physical := range []string{"bridge", "extern"} {
			segments = append(segments, doc{"provider:network_type": "vlan", "provider:physical_network": physical, "provider:segmentation_id": id})
		}
		made := makeNetwork(t, w.admin, doc{"segments": segments})
		hasNot(t, made, "provider:network_type", "provider:segmentation_id")
		if got := docs(made, "segments"); len(got) != 2 || got[0]["provider:physical_network"] != "bridge" || got[1]["provider:segmentation_id"] != id {
			t.Errorf("segments = %v", got)
		}
	}},
	{"admins see provider attributes", func(t *testing.T, w *world) {
		d := w.makeVLAN(t, w.demo.project)
		has(t, d, "provider:network_type", "provider:physical_network", "provider:segmentation_id")
		mine := w.demo.network(t, "GET", "/networks/"+d["id"].(string), nil).want(t, 200).body["network"].(doc)
		hasNot(t, mine, "provider:network_type", "provider:physical_network", "provider:segmentation_id")
		if mine["description"] != d["description"] || mine["project_id"] != w.demo.project || mine["mtu"] != float64(1500) {
			t.Errorf("the tenant sees %v", mine)
		}
	}},
	{"provider attributes are for admins", func(t *testing.T, w *world) {
		w.demo.network(t, "POST", "/networks", doc{"network": doc{"provider:network_type": "vlan"}}).
			fails(t, 403, "PolicyNotAuthorized", "(rule:create_network and rule:create_network:provider:network_type) is disallowed by policy")
	}},
	{"a VLAN is used once", func(t *testing.T, w *world) {
		d := w.makeVLAN(t, w.demo.project)
		w.admin.network(t, "POST", "/networks", doc{"network": doc{
			"provider:network_type": "vlan", "provider:physical_network": "bridge", "provider:segmentation_id": d["provider:segmentation_id"],
		}}).fails(t, 409, "VlanIdInUse", fmt.Sprintf("Unable to create the network. The VLAN %v on physical network bridge is in use.", d["provider:segmentation_id"]))
	}},
	{"a VNI is used once, by one who names it", func(t *testing.T, w *world) {
		in := doc{"provider:network_type": "vxlan", "provider:segmentation_id": 1500000 + rand.IntN(100000)} // outside of the pod's ranges
		d := makeNetwork(t, w.admin, in)
		if d["provider:segmentation_id"] != float64(in["provider:segmentation_id"].(int)) || d["mtu"] != float64(1450) || d["provider:physical_network"] != nil {
			t.Errorf("network = %v", d)
		}
		w.admin.network(t, "POST", "/networks", doc{"network": in}).
			fails(t, 409, "TunnelIdInUse", fmt.Sprintf("Unable to create the network. The tunnel ID %v is in use.", in["provider:segmentation_id"]))
		in["provider:physical_network"] = "bridge"
		w.admin.network(t, "POST", "/networks", doc{"network": in}).
			fails(t, 400, "InvalidInput", "Invalid input for operation: provider:physical_network specified for vxlan network.")
	}},
	{"bad segments", func(t *testing.T, w *world) {
		for message, in := range map[string]doc{
			"physical_network 'nosuch' unknown for VLAN provider network.":         {"provider:network_type": "vlan", "provider:physical_network": "nosuch", "provider:segmentation_id": 5},
			"segmentation_id out of range (1 through 4094).":                       {"provider:network_type": "vlan", "provider:physical_network": "bridge", "provider:segmentation_id": 5000},
			"network_type value 'bogus' not supported.":                            {"provider:network_type": "bogus"},
			"physical_network required for flat provider network.":                 {"provider:network_type": "flat"},
			"segmentation_id prohibited for local provider network.":               {"provider:network_type": "local", "provider:segmentation_id": 5},
			"network_type required.":                                               {"provider:physical_network": "bridge"},
			"segmentation_id requires physical_network for VLAN provider network.": {"provider:network_type": "vlan", "provider:segmentation_id": 5},
		} {
			w.admin.network(t, "POST", "/networks", doc{"network": in}).fails(t, 400, "InvalidInput", "Invalid input for operation: "+message)
		}
	}},
	{"bad bodies", func(t *testing.T, w *world) {
		for message, in := range map[string]any{
			"Unable to find 'network' in request body":                   doc{},
			"Unrecognized attribute(s) 'bogus'":                          doc{"network": doc{"bogus": 1}},
			"Body contains invalid data":                                 "{bad",
			"Invalid input for name. Reason: '1' is not a valid string.": doc{"network": doc{"name": 1}},
			"Attribute 'id' not allowed in POST":                         doc{"network": doc{"id": "x"}},
			"Attribute 'status' not allowed in POST":                     doc{"network": doc{"status": "x"}},
			"Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges": doc{"network": doc{"tenant_id": "abc"}},
		} {
			w.demo.network(t, "POST", "/networks", in).fails(t, 400, "HTTPBadRequest", message)
		}
	}},
	{"what may not be changed", func(t *testing.T, w *world) {
		d := makeNetwork(t, w.demo, nil)
		path := "/networks/" + d["id"].(string)
		w.demo.network(t, "PUT", path, doc{"network": doc{"id": "x"}}).fails(t, 400, "HTTPBadRequest", "Cannot update read-only attribute id")
		w.demo.network(t, "PUT", path, doc{"network": doc{"shared": true}}).
			fails(t, 403, "PolicyNotAuthorized", "(rule:update_network and rule:update_network:shared) is disallowed by policy")
	}},
	{"a change counts up the revision", func(t *testing.T, w *world) {
		d := makeNetwork(t, w.demo, nil)
		r := w.demo.network(t, "PUT", "/networks/"+d["id"].(string), doc{"network": doc{"name": "other", "description": "d"}}).want(t, 200)
		if r.text("network", "name") != "other" || r.at("network", "revision_number").(float64) <= d["revision_number"].(float64) {
			t.Errorf("network = %s, was %v", r.raw, d)
		}
	}},
	{"unknown IDs", func(t *testing.T, w *world) {
		for _, method := range []string{"GET", "DELETE"} {
			w.demo.network(t, method, "/networks/"+nobody, nil).fails(t, 404, "NetworkNotFound", "Network "+nobody+" could not be found.")
			w.demo.network(t, method, "/subnets/"+nobody, nil).fails(t, 404, "SubnetNotFound", "Subnet "+nobody+" could not be found.")
			w.demo.network(t, method, "/ports/"+nobody, nil).fails(t, 404, "PortNotFound", "Port "+nobody+" could not be found.")
			w.demo.network(t, method, "/security-groups/"+nobody, nil).fails(t, 404, "SecurityGroupNotFound", "Security group "+nobody+" does not exist")
			w.demo.network(t, method, "/routers/"+nobody, nil).fails(t, 404, "RouterNotFound", "Router "+nobody+" could not be found")
		}
		w.demo.network(t, "PUT", "/networks/"+nobody, doc{"network": doc{"name": "x"}}).
			fails(t, 404, "NetworkNotFound", "Network "+nobody+" could not be found.")
	}},
	{"unknown paths", func(t *testing.T, w *world) {
		w.demo.network(t, "GET", "/nosuch", nil).fails(t, 404, "HTTPNotFound", "The resource could not be found.")
	}},
	{"no token", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.endpoints["network"]+"/v2.0/networks", nil, nil).want(t, 401)
		if r.text("error", "message") != "The request you have made requires authentication." || r.header.Get("Www-Authenticate") == "" {
			t.Errorf("401 = %s %v", r.raw, r.header)
		}
	}},
	{"strangers see nothing", func(t *testing.T, w *world) {
		d := w.makeVLAN(t, w.demo.project)
		id := d["id"].(string)
		w.alt.network(t, "GET", "/networks/"+id, nil).fails(t, 404, "NetworkNotFound", "Network "+id+" could not be found.")
		w.alt.network(t, "DELETE", "/networks/"+id, nil).fails(t, 404, "NetworkNotFound", "Network "+id+" could not be found.")
		w.alt.network(t, "POST", "/ports", doc{"port": doc{"network_id": id}}).fails(t, 404, "NetworkNotFound", "Network "+id+" could not be found.")
		if list := w.alt.network(t, "GET", "/networks?id="+id, nil).want(t, 200).docs("networks"); len(list) != 0 {
			t.Errorf("a stranger lists %v", list)
		}
	}},
	{"versions", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.root("network")+"/", nil, nil).want(t, 200)
		if ids(r.docs("versions"), "id")[0] != "v2.0" {
			t.Errorf("versions = %s", r.raw)
		}
	}},
	{"extensions", func(t *testing.T, w *world) {
		have := ids(w.demo.network(t, "GET", "/extensions", nil).want(t, 200).docs("extensions"), "alias")
		for _, want := range []string{"provider", "port-security", "security-group", "agent", "dhcp_agent_scheduler", "standard-attr-description",
			"pagination", "sorting", "allowed-address-pairs", "binding", "security-groups-normalized-cidr", "quotas", "net-mtu", "extraroute"} {
			if !slices.Contains(have, want) {
				t.Errorf("no extension %s", want)
			}
		}
	}},
	{"agents are for admins", func(t *testing.T, w *world) {
		list := w.admin.network(t, "GET", "/agents", nil).want(t, 200).docs("agents")
		if !slices.Contains(ids(list, "agent_type"), "DHCP agent") {
			t.Errorf("agents = %v", ids(list, "agent_type"))
		}
		has(t, list[0], "id", "host", "alive", "binary", "topic", "admin_state_up", "availability_zone", "configurations", "heartbeat_timestamp")
		if list := w.demo.network(t, "GET", "/agents", nil).want(t, 200).docs("agents"); len(list) != 0 {
			t.Errorf("a tenant sees agents %v", list)
		}
	}},
	{"availability zones", func(t *testing.T, w *world) {
		list := w.demo.network(t, "GET", "/availability_zones", nil).want(t, 200).docs("availability_zones")
		if !slices.Contains(ids(list, "resource"), "network") {
			t.Errorf("zones = %v", list)
		}
	}},
	{"quota", func(t *testing.T, w *world) {
		r := w.demo.network(t, "GET", "/quotas/"+w.demo.project, nil).want(t, 200)
		has(t, r.body["quota"].(doc), "network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
	}},
	{"a project's own quota", func(t *testing.T, w *world) {
		path := "/quotas/" + random(32)
		w.admin.network(t, "DELETE", path, nil).want(t, 404, "TenantQuotaNotFound")
		purge(t, w.admin, path)
		low := w.admin.network(t, "PUT", path, doc{"quota": doc{"network": 2, "port": 3}}).want(t, 200).body["quota"].(doc)
		if fmt.Sprint(low["network"], low["port"]) != "2 3" {
			t.Errorf("quota = %v", low)
		}
		lifted := doc{}
		for name := range w.admin.network(t, "GET", path, nil).want(t, 200).body["quota"].(doc) {
			lifted[name] = -1
		}
		for name, n := range w.admin.network(t, "PUT", path, doc{"quota": lifted}).want(t, 200).body["quota"].(doc) {
			if fmt.Sprint(n) != "-1" {
				t.Errorf("%s = %v after it was lifted", name, n)
			}
		}
		w.demo.network(t, "PUT", path, doc{"quota": lifted}).want(t, 403)
		w.admin.network(t, "DELETE", path, nil).want(t, 204)
	}},
	{"deleted with its DHCP ports and subnets only", func(t *testing.T, w *world) {
		d := w.makeVLAN(t, w.demo.project)
		sub := makeSubnet(t, w.admin, d, doc{"cidr": w.net(1), "project_id": w.demo.project})
		p := makePort(t, w.admin, d, doc{"project_id": w.demo.project})
		w.admin.network(t, "POST", "/ports", doc{"port": doc{"network_id": d["id"], "device_owner": "network:dhcp", "device_id": "reserved_dhcp_port", "project_id": w.demo.project}}).want(t, 201)
		w.admin.network(t, "DELETE", "/networks/"+d["id"].(string), nil).fails(t, 409, "NetworkInUse", fmt.Sprintf(
			"Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s.", d["id"], p["id"]))
		w.admin.network(t, "DELETE", "/ports/"+p["id"].(string), nil).want(t, 204)
		w.admin.network(t, "DELETE", "/networks/"+d["id"].(string), nil).want(t, 204)
		w.admin.network(t, "GET", "/subnets/"+sub["id"].(string), nil).want(t, 404)
		if list := w.admin.network(t, "GET", "/ports?network_id="+d["id"].(string), nil).want(t, 200).docs("ports"); len(list) != 0 {
			t.Errorf("ports left: %v", list)
		}
	}},
}

var listChecks = []check{
	{"by ID, in pages", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		want := []string{}
		for range 3 {
			want = append(want, makeNetwork(t, w.demo, doc{"name": name})["id"].(string))
		}
		slices.Sort(want)
		r := w.demo.network(t, "GET", "/networks?fields=id&name="+name, nil).want(t, 200)
		if got := ids(r.docs("networks"), "id"); !slices.Equal(got, want) {
			t.Errorf("list = %v, want %v", got, want)
		}
		hasNot(t, r.docs("networks")[0], "name")
		r = w.demo.network(t, "GET", "/networks?limit=2&name="+name, nil).want(t, 200)
		if got := ids(r.docs("networks"), "id"); !slices.Equal(got, want[:2]) {
			t.Errorf("first page = %v", got)
		}
		if rels := ids(r.docs("networks_links"), "rel"); !slices.Equal(rels, []string{"next", "previous"}) {
			t.Errorf("links = %v", rels)
		}
		next := w.demo.call(t, "GET", r.docs("networks_links")[0]["href"].(string), nil).want(t, 200)
		if got := ids(next.docs("networks"), "id"); !slices.Equal(got, want[2:]) {
			t.Errorf("second page = %v", got)
		}
		if rels := ids(next.docs("networks_links"), "rel"); !slices.Equal(rels, []string{"previous"}) {
			t.Errorf("links of the last page = %v", rels)
		}
		back := w.demo.network(t, "GET", "/networks?limit=1&page_reverse=True&name="+name+"&marker="+want[1], nil).want(t, 200)
		if got := ids(back.docs("networks"), "id"); !slices.Equal(got, want[:1]) {
			t.Errorf("page before = %v", got)
		}
	}},
	{"ordered", func(t *testing.T, w *world) {
		a := makeNetwork(t, w.demo, doc{"name": "contract-a", "description": "order"})["id"].(string)
		b := makeNetwork(t, w.demo, doc{"name": "contract-b", "description": "order"})["id"].(string)
		got := ids(w.demo.network(t, "GET", "/networks?description=order&sort_key=name&sort_dir=desc", nil).want(t, 200).docs("networks"), "id")
		if !slices.Equal(got, []string{b, a}) {
			t.Errorf("order = %v", got)
		}
	}},
	{"alternatives", func(t *testing.T, w *world) {
		a, b := makeNetwork(t, w.demo, nil), makeNetwork(t, w.demo, nil)
		list := w.demo.network(t, "GET", fmt.Sprintf("/networks?id=%s&id=%s&admin_state_up=True", a["id"], b["id"]), nil).want(t, 200).docs("networks")
		if len(list) != 2 {
			t.Errorf("two of two = %v", list)
		}
	}},
	{"bad queries", func(t *testing.T, w *world) {
		for query, message := range map[string]string{
			"bogus=1":                      "['bogus'] is invalid attribute for filtering",
			"sort_key=bogus&sort_dir=asc":  "['bogus'] is invalid attribute for sort_keys",
			"sort_key=name":                "The number of sort_keys and sort_dirs must be same",
			"sort_key=name&sort_dir=bogus": "['bogus'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'",
		} {
			w.demo.network(t, "GET", "/networks?"+query, nil).fails(t, 400, "HTTPBadRequest", message)
		}
		w.demo.network(t, "GET", "/networks?limit=x", nil).
			fails(t, 400, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not 'x'.")
		w.demo.network(t, "GET", "/ports?fixed_ips=bogus", nil).
			fails(t, 400, "InvalidInput", "Invalid input for operation: 'bogus' is not of the form <key>=[value].")
	}},
	{"unknown marker", func(t *testing.T, w *world) {
		w.demo.network(t, "GET", "/networks?limit=1&marker="+nobody, nil).fails(t, 404, "NetworkNotFound", "Network "+nobody+" could not be found.")
	}},
	{"nothing is an empty list", func(t *testing.T, w *world) {
		r := w.demo.network(t, "GET", "/networks?name=contract-nosuch", nil).want(t, 200)
		if string(r.raw) != `{"networks":[]}` {
			t.Errorf("empty list = %s", r.raw)
		}
	}},
	{"bulk creation is all or nothing", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		w.demo.network(t, "POST", "/networks", doc{"networks": []doc{{"name": name}, {"name": name, "bogus": 1}}}).want(t, 400)
		if list := w.demo.network(t, "GET", "/networks?name="+name, nil).want(t, 200).docs("networks"); len(list) != 0 {
			t.Errorf("half of it is there: %v", list)
		}
		made := w.demo.network(t, "POST", "/networks", doc{"networks": []doc{{"name": name}, {"name": name}}}).want(t, 201).docs("networks")
		for _, d := range made {
			purge(t, w.demo, "/networks/"+d["id"].(string))
		}
		if len(made) != 2 {
			t.Errorf("made %v", made)
		}
	}},
	{"request ID", func(t *testing.T, w *world) {
		for service, h := range map[string]http.Header{
			"network": w.demo.network(t, "GET", "/networks?limit=1", nil).header,
			"compute": w.demo.compute(t, "GET", "/servers?limit=1", nil).header,
			"volume":  w.demo.volume(t, "GET", "/volumes?limit=1", nil).header,
			"image":   w.demo.glance(t, "GET", "/images?limit=1", nil).header,
		} {
			if id := h.Get("X-Openstack-Request-Id"); len(id) != len("req-")+36 {
				t.Errorf("%s: request ID %q", service, id)
			}
		}
	}},
}
