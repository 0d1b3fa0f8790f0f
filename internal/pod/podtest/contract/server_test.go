package contract

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lan makes a network with a subnet for the demo project, as Tricircle would.
func (w *world) lan(t *testing.T) (network, subnet doc) {
	t.Helper()
	network = w.makeVLAN(t, w.demo.project)
	subnet = makeSubnet(t, w.admin, network, doc{"cidr": w.net(1), "project_id": w.demo.project, "allocation_pools": pools(w.ip(1, 20), w.ip(1, 30))})
	return network, subnet
}

func (w *world) port(t *testing.T, c *client, id string) doc {
	t.Helper()
	return c.network(t, "GET", "/ports/"+id, nil).want(t, 200).body["port"].(doc)
}

func (w *world) status(t *testing.T, id, want string) {
	t.Helper()
	eventually(t, "server "+want, func() bool {
		return w.demo.compute(t, "GET", "/servers/"+id, nil).want(t, 200).text("server", "status") == want
	})
}

var serverChecks = []check{
	{"refused", func(t *testing.T, w *world) {
		n, _ := w.lan(t)
		port := makePort(t, w.demo, n, nil)["id"]
		for _, c := range []struct {
			in      doc
			status  int
			kind    string
			message string
		}{
			{doc{"availability_zone": "bogus"}, 400, "badRequest", "The requested availability zone is not available"},
			{doc{"flavorRef": "nosuch"}, 400, "badRequest", "Flavor nosuch could not be found."},
			{doc{"imageRef": nobody}, 400, "badRequest", "Can not find requested image"},
			{doc{"imageRef": "zz"}, 400, "badRequest", "Invalid input for field/attribute imageRef. Value: zz. 'zz' is not valid under any of the given schemas"},
			{doc{"imageRef": nil}, 400, "badRequest", "Missing imageRef attribute"},
			{doc{"name": ""}, 400, "badRequest", "Invalid input for field/attribute name. Value: . '' is too short"},
			{doc{"networks": "bogus"}, 400, "badRequest", "Invalid input for field/attribute networks. Value: bogus. 'bogus' is not valid under any of the given schemas"},
			{doc{"networks": []doc{{"uuid": nobody}}}, 400, "badRequest", "Network " + nobody + " could not be found."},
			{doc{"networks": []doc{{"port": nobody}}}, 400, "badRequest", "Port id " + nobody + " could not be found."},
			{doc{"networks": []doc{{"port": port}}, "min_count": 2}, 400, "badRequest", "Failed to launch instances: Unable to launch multiple instances with a single configured port ID. Please launch your instance one by one with different ports."},
			{doc{"key_name": "nosuch"}, 400, "badRequest", "Invalid key_name provided."},
			{doc{"security_groups": []doc{{"name": "nosuch"}}}, 400, "badRequest", "Unable to find security_group with name or id 'nosuch'"},
			{doc{"min_count": 3, "max_count": 2}, 400, "badRequest", "min_count must be <= max_count"},
			{doc{"metadata": doc{"a": 1}}, 400, "badRequest", "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'"},
		} {
			w.demo.compute(t, "POST", "/servers", doc{"server": w.server(c.in)}, latest).refuses(t, c.status, c.kind, c.message)
		}
		w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"networks": nil})}, latest).want(t, 400, "'networks' is a required property")
		w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"flavorRef": nil})}, latest).want(t, 400, "'flavorRef' is a required property")
		w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"bogus": 1})}, latest).want(t, 400, "Additional properties are not allowed ('bogus' was unexpected)")
		w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"networks": nil, "tags": []string{"x"}})}).want(t, 400, "Additional properties are not allowed ('tags' was unexpected)")
		w.demo.compute(t, "POST", "/servers", "{bad").refuses(t, 400, "badRequest", "Malformed request body")
		w.demo.compute(t, "POST", "/servers", doc{}).refuses(t, 400, "badRequest", "'server' is a required property")
	}},
	{"more than the quota", func(t *testing.T, w *world) {
		r := w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"min_count": 50})}, latest).want(t, 403, "Quota exceeded for ", "instances")
		if r.at("forbidden", "code") != float64(403) {
			t.Errorf("error = %s", r.raw)
		}
	}},
	{"reply to a creation", func(t *testing.T, w *world) {
		r := w.demo.compute(t, "POST", "/servers", doc{"server": w.server(nil)}, latest).want(t, 202)
		d := r.body["server"].(doc)
		t.Cleanup(func() { w.destroy(t, w.demo, d["id"].(string)) })
		has(t, d, "id", "links", "adminPass", "OS-DCF:diskConfig", "security_groups")
		if !strings.HasSuffix(r.header.Get("Location"), "/v2.1/servers/"+d["id"].(string)) {
			t.Errorf("Location = %v", r.header)
		}
		if href := docs(d, "links")[0]["href"].(string); href != w.demo.endpoints["compute"]+"/servers/"+d["id"].(string) {
			t.Errorf("self = %s", href)
		}
	}},
	{"a port made by an admin for the project", func(t *testing.T, w *world) {
		n, sub := w.lan(t)
		p := makePort(t, w.admin, n, doc{"project_id": w.demo.project, "fixed_ips": at(sub, w.ip(1, 99))})
		mark := random(16)
		id := w.boot(t, w.demo, doc{"networks": []doc{{"port": p["id"]}}, "metadata": doc{"tricircle": mark}, "tags": []string{"x"}})
		d := w.demo.compute(t, "GET", "/servers/"+id, nil, latest).want(t, 200).body["server"].(doc)
		has(t, d, "OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state", "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-SRV-USG:launched_at", "accessIPv4",
			"addresses", "config_drive", "created", "flavor", "hostId", "image", "key_name", "links", "locked", "locked_reason", "metadata", "name",
			"os-extended-volumes:volumes_attached", "progress", "security_groups", "status", "tags", "tenant_id", "updated", "user_id", "description",
			"server_groups", "trusted_image_certificates", "OS-EXT-SRV-ATTR:hostname")
		hasNot(t, d, "OS-EXT-SRV-ATTR:host", "fault")
		list := docs(d["addresses"].(doc), n["name"].(string))
		if len(list) != 1 || list[0]["addr"] != w.ip(1, 99) || list[0]["OS-EXT-IPS-MAC:mac_addr"] != p["mac_address"] || list[0]["OS-EXT-IPS:type"] != "fixed" {
			t.Errorf("addresses = %v", d["addresses"])
		}
		if d["OS-EXT-AZ:availability_zone"] != "nova" || d["flavor"].(doc)["original_name"] == nil || d["metadata"].(doc)["tricircle"] != mark {
			t.Errorf("server = %v", d)
		}
		bound := w.port(t, w.admin, p["id"].(string))
		if bound["device_id"] != id || bound["device_owner"] != "compute:nova" || bound["binding:vif_type"] != "ovs" || bound["binding:host_id"] == "" {
			t.Errorf("port = %v", bound)
		}
		old := w.demo.compute(t, "GET", "/servers/"+id, nil).want(t, 200).body["server"].(doc)
		hasNot(t, old, "locked", "description", "tags", "server_groups")
		if old["flavor"].(doc)["id"] != "1" {
			t.Errorf("flavor before 2.47 = %v", old["flavor"])
		}
		has(t, w.admin.compute(t, "GET", "/servers/"+id, nil, latest).want(t, 200).body["server"].(doc), "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:instance_name", "host_status")
		w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"networks": []doc{{"port": p["id"]}}})}, latest).
			refuses(t, 409, "conflictingRequest", fmt.Sprintf("Port %s is still in use.", p["id"]))
		r := w.demo.compute(t, "GET", "/servers/"+id+"/os-interface", nil).want(t, 200)
		if got := r.docs("interfaceAttachments"); len(got) != 1 || got[0]["port_id"] != p["id"] {
			t.Errorf("interfaces = %s", r.raw)
		}
		r = w.demo.compute(t, "GET", "/servers/"+id+"/ips", nil).want(t, 200)
		if got := docs(r.body["addresses"].(doc), n["name"].(string)); len(got) != 1 || got[0]["addr"] != w.ip(1, 99) {
			t.Errorf("ips = %s", r.raw)
		}
		w.demo.compute(t, "GET", "/servers/"+id+"/ips/nosuch", nil).refuses(t, 404, "itemNotFound", "Instance is not a member of specified network")
		w.demo.compute(t, "DELETE", "/servers/"+id, nil).want(t, 204)
		eventually(t, "gone", func() bool { return w.demo.compute(t, "GET", "/servers/"+id, nil).status == 404 })
		eventually(t, "the port is kept, unbound", func() bool {
			free := w.port(t, w.admin, p["id"].(string))
			return free["device_id"] == "" && free["device_owner"] == "" && free["binding:vif_type"] == "unbound" && addresses(free)[0] == w.ip(1, 99)
		})
		w.demo.compute(t, "DELETE", "/servers/"+id, nil).refuses(t, 404, "itemNotFound", "Instance "+id+" could not be found.")
	}},
	{"a port of another project", func(t *testing.T, w *world) {
		n, _ := w.lan(t)
		p := makePort(t, w.demo, n, nil)
		id := w.start(t, w.admin, doc{"networks": []doc{{"port": p["id"]}}})
		eventually(t, "accepted, then ERROR", func() bool {
			return w.admin.compute(t, "GET", "/servers/"+id, nil).want(t, 200).text("server", "status") == "ERROR"
		})
		if f := w.admin.compute(t, "GET", "/servers/"+id, nil).want(t, 200).at("server", "fault"); f == nil || f.(doc)["code"] != float64(500) || f.(doc)["message"] == "" {
			t.Errorf("fault = %v", f)
		}
	}},
	{"a port that Nova makes goes with the server", func(t *testing.T, w *world) {
		n, _ := w.lan(t)
		id := w.boot(t, w.demo, doc{"networks": []doc{{"uuid": n["id"], "fixed_ip": w.ip(1, 55)}}})
		list := w.demo.network(t, "GET", "/ports?device_id="+id, nil).want(t, 200).docs("ports")
		if len(list) != 1 || addresses(list[0])[0] != w.ip(1, 55) || list[0]["device_owner"] != "compute:nova" {
			t.Fatalf("ports = %v", list)
		}
		w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"networks": []doc{{"uuid": n["id"], "fixed_ip": w.ip(1, 55)}}})}, latest).
			want(t, 400, "Fixed IP address "+w.ip(1, 55)+" is already in use on instance")
		w.destroy(t, w.demo, id)
		eventually(t, "the port is gone", func() bool {
			return w.demo.network(t, "GET", "/ports/"+list[0]["id"].(string), nil).status == 404
		})
	}},
	{"a network without a subnet", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		w.demo.compute(t, "POST", "/servers", doc{"server": w.server(doc{"networks": []doc{{"uuid": n["id"]}}})}, latest).
			refuses(t, 400, "badRequest", fmt.Sprintf("Network %s requires a subnet in order to boot instances on.", n["id"]))
	}},
	{"several at once", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		first := w.start(t, w.demo, doc{"name": name, "min_count": 2})
		list := w.demo.compute(t, "GET", "/servers?name="+name, nil).want(t, 200).docs("servers")
		for _, d := range list {
			if d["id"] != first {
				t.Cleanup(func() { w.destroy(t, w.demo, d["id"].(string)) })
			}
		}
		names := strings.Join(ids(list, "name"), " ")
		if len(list) != 2 || !strings.Contains(names, name+"-1") || !strings.Contains(names, name+"-2") {
			t.Errorf("servers = %v", list)
		}
	}},
	{"actions and states", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		act := func(in doc) *reply { return w.demo.compute(t, "POST", "/servers/"+id+"/action", in) }
		act(doc{"os-start": nil}).refuses(t, 409, "conflictingRequest", "Cannot 'start' instance "+id+" while it is in vm_state active")
		act(doc{"unpause": nil}).refuses(t, 409, "conflictingRequest", "Cannot 'unpause' instance "+id+" while it is in vm_state active")
		act(doc{"resume": nil}).refuses(t, 409, "conflictingRequest", "Cannot 'resume' instance "+id+" while it is in vm_state active")
		act(doc{"confirmResize": nil}).refuses(t, 409, "conflictingRequest", "Cannot 'confirmResize' instance "+id+" while it is in vm_state active")
		act(doc{"bogus": nil}).refuses(t, 400, "badRequest", "There is no such action: bogus")
		act(doc{}).refuses(t, 400, "badRequest", "Malformed request body")
		act(doc{"reboot": doc{"type": "bogus"}}).refuses(t, 400, "badRequest",
			"Invalid input for field/attribute type. Value: bogus. 'bogus' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']")
		act(doc{"os-resetState": doc{"state": "error"}}).refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-admin-actions:reset_state to be performed.")
		act(doc{"os-stop": nil}).want(t, 202)
		w.status(t, id, "SHUTOFF")
		act(doc{"os-stop": nil}).refuses(t, 409, "conflictingRequest", "Cannot 'stop' instance "+id+" while it is in vm_state stopped")
		act(doc{"reboot": doc{"type": "SOFT"}}).refuses(t, 409, "conflictingRequest", "Cannot 'reboot' instance "+id+" while it is in vm_state stopped")
		act(doc{"os-start": nil}).want(t, 202)
		w.status(t, id, "ACTIVE")
		act(doc{"pause": nil}).want(t, 202)
		w.status(t, id, "PAUSED")
		act(doc{"unpause": nil}).want(t, 202)
		w.status(t, id, "ACTIVE")
		list := w.demo.compute(t, "GET", "/servers/"+id+"/os-instance-actions", nil).want(t, 200).docs("instanceActions")
		if len(list) != 5 || list[0]["action"] != "unpause" || list[4]["action"] != "create" {
			t.Errorf("actions = %v", ids(list, "action"))
		}
	}},
	{"actions of a deleted server", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		path := "/servers/" + id + "/os-instance-actions"
		asked := w.demo.compute(t, "POST", "/servers/"+id+"/action", doc{"pause": nil}).want(t, 202).header.Get("X-Compute-Request-Id")
		list := w.demo.compute(t, "GET", path, nil).want(t, 200).docs("instanceActions")
		if len(list) < 2 || list[0]["action"] != "pause" || list[0]["request_id"] != asked {
			t.Errorf("actions = %v, want pause by request %s", list, asked)
		}
		w.destroy(t, w.demo, id)
		w.demo.compute(t, "GET", path, nil).refuses(t, 404, "itemNotFound", "Instance "+id+" could not be found.")
		w.demo.compute(t, "GET", path, nil, microversion("2.21")).want(t, 200)
		w.alt.compute(t, "GET", path, nil, microversion("2.21")).want(t, 404)
	}},
	{"locked", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		act := func(c *client, in doc) *reply { return c.compute(t, "POST", "/servers/"+id+"/action", in) }
		shown := func() any {
			return w.demo.compute(t, "GET", "/servers/"+id, nil, microversion("2.9")).want(t, 200).at("server", "locked")
		}
		act(w.demo, doc{"lock": nil}).want(t, 202)
		if got := shown(); got != true {
			t.Errorf("locked = %v, want true", got)
		}
		act(w.demo, doc{"os-stop": nil}).refuses(t, 409, "conflictingRequest", "Instance "+id+" is locked")
		w.demo.compute(t, "DELETE", "/servers/"+id, nil).refuses(t, 409, "conflictingRequest", "Instance "+id+" is locked")
		act(w.demo, doc{"unlock": nil}).want(t, 202)
		if got := shown(); got != false {
			t.Errorf("locked = %v, want false", got)
		}
	}},
	{"one more address, and one less", func(t *testing.T, w *world) {
		n, subnet := w.lan(t)
		p := makePort(t, w.demo, n, nil)
		id := w.boot(t, w.demo, doc{"networks": []doc{{"port": p["id"]}}})
		first := docs(p, "fixed_ips")[0]
		one := doc{"subnet_id": subnet["id"], "ip_address": first["ip_address"]}
		for _, addresses := range [][]doc{{one, {"subnet_id": subnet["id"], "ip_address": w.ip(1, 99)}}, {one}} {
			w.admin.network(t, "PUT", "/ports/"+p["id"].(string), doc{"port": doc{"fixed_ips": addresses}}).want(t, 200)
			eventually(t, "the server has its port's addresses", func() bool {
				r := w.demo.compute(t, "GET", "/servers/"+id+"/os-interface", nil).want(t, 200)
				return len(docs(r.docs("interfaceAttachments")[0], "fixed_ips")) == len(addresses)
			})
		}
	}},
	{"metadata", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, doc{"metadata": doc{"a": "1"}})
		path := "/servers/" + id + "/metadata"
		w.demo.compute(t, "GET", path+"/nosuch", nil).refuses(t, 404, "itemNotFound", "Metadata item was not found")
		if r := w.demo.compute(t, "POST", path, doc{"metadata": doc{"b": "2"}}).want(t, 200); fmt.Sprint(r.at("metadata")) != "map[a:1 b:2]" {
			t.Errorf("merged = %s", r.raw)
		}
		if r := w.demo.compute(t, "PUT", path, doc{"metadata": doc{"c": "3"}}).want(t, 200); fmt.Sprint(r.at("metadata")) != "map[c:3]" {
			t.Errorf("replaced = %s", r.raw)
		}
		if r := w.demo.compute(t, "PUT", path+"/d", doc{"meta": doc{"d": "4"}}).want(t, 200); r.text("meta", "d") != "4" {
			t.Errorf("set = %s", r.raw)
		}
		w.demo.compute(t, "DELETE", path+"/d", nil).want(t, 204)
		w.demo.compute(t, "DELETE", path+"/d", nil).refuses(t, 404, "itemNotFound", "Metadata item was not found")
	}},
	{"name, description and tags", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, doc{"description": "d", "tags": []string{"x"}})
		r := w.demo.compute(t, "PUT", "/servers/"+id, doc{"server": doc{"name": "contract-other", "description": "e"}}, latest).want(t, 200)
		if r.text("server", "name") != "contract-other" || r.text("server", "description") != "e" {
			t.Errorf("server = %s", r.raw)
		}
		w.demo.compute(t, "PUT", "/servers/"+id, doc{"server": doc{"description": "e"}}).want(t, 400, "Additional properties are not allowed ('description' was unexpected)")
		if r := w.demo.compute(t, "GET", "/servers/"+id+"/tags", nil, latest).want(t, 200); fmt.Sprint(r.at("tags")) != "[x]" {
			t.Errorf("tags = %s", r.raw)
		}
		w.demo.compute(t, "PUT", "/servers/"+id+"/tags/y", nil, latest).want(t, 201)
		w.demo.compute(t, "PUT", "/servers/"+id+"/tags/y", nil, latest).want(t, 204)
		w.demo.compute(t, "DELETE", "/servers/"+id+"/tags/x", nil, latest).want(t, 204)
		w.demo.compute(t, "GET", "/servers/"+id+"/tags", nil).want(t, 404)
	}},
	{"strangers see nothing", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		w.alt.compute(t, "GET", "/servers/"+id, nil).refuses(t, 404, "itemNotFound", "Instance "+id+" could not be found.")
		w.alt.compute(t, "DELETE", "/servers/"+id, nil).refuses(t, 404, "itemNotFound", "Instance "+id+" could not be found.")
		w.alt.compute(t, "POST", "/servers/"+id+"/action", doc{"os-stop": nil}).refuses(t, 404, "itemNotFound", "Instance "+id+" could not be found.")
		w.admin.compute(t, "GET", "/servers/"+id, nil).want(t, 200)
	}},
	{"console", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		r := w.demo.compute(t, "POST", "/servers/"+id+"/remote-consoles", doc{"remote_console": doc{"protocol": "vnc", "type": "novnc"}}, latest).want(t, 200)
		has(t, r.body["remote_console"].(doc), "protocol", "type", "url")
		w.demo.compute(t, "POST", "/servers/"+id+"/action", doc{"os-getConsoleOutput": doc{}}).want(t, 200, "FAKE CONSOLE OUTPUT")
	}},
}

var serverListChecks = []check{
	{"newest first, by ID within a second, in pages", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		for i := range 3 {
			w.boot(t, w.demo, doc{"name": fmt.Sprintf("%s-%d", name, i)})
		}
		list := func(query string) *reply {
			return w.demo.compute(t, "GET", "/servers/detail?name="+name+query, nil).want(t, 200)
		}
		all := list("").docs("servers")
		for i := 1; i < len(all); i++ {
			a, b := all[i-1], all[i]
			if a["created"].(string) < b["created"].(string) || (a["created"] == b["created"] && a["id"].(string) > b["id"].(string)) {
				t.Errorf("order = %v %v", ids(all, "created"), ids(all, "id"))
			}
		}
		page := list("&limit=2")
		if got := ids(page.docs("servers"), "id"); fmt.Sprint(got) != fmt.Sprint(ids(all, "id")[:2]) {
			t.Errorf("first page = %v", got)
		}
		next := w.demo.call(t, "GET", page.docs("servers_links")[0]["href"].(string), nil).want(t, 200)
		if got := ids(next.docs("servers"), "id"); fmt.Sprint(got) != fmt.Sprint(ids(all, "id")[2:]) {
			t.Errorf("second page = %v", got)
		}
		if next.docs("servers_links") != nil && len(next.docs("servers_links")) > 0 {
			t.Errorf("a page that is not full has links %v", next.docs("servers_links"))
		}
		byID := ids(list("&sort_key=uuid&sort_dir=asc").docs("servers"), "id")
		if byID[0] > byID[1] || byID[1] > byID[2] {
			t.Errorf("by uuid = %v", byID)
		}
		rest := ids(list("&sort_key=uuid&sort_dir=asc&marker="+byID[0]).docs("servers"), "id")
		if fmt.Sprint(rest) != fmt.Sprint(byID[1:]) {
			t.Errorf("after the marker = %v, want %v", rest, byID[1:])
		}
		oldest := ids(list("&sort_key=created_at&sort_dir=asc").docs("servers"), "created")
		if oldest[0] > oldest[1] || oldest[1] > oldest[2] {
			t.Errorf("oldest first = %v", oldest)
		}
		if got := list("&limit=0").docs("servers"); len(got) != 0 {
			t.Errorf("limit 0 = %v", got)
		}
		brief := w.demo.compute(t, "GET", "/servers?name="+name, nil).want(t, 200).docs("servers")[0]
		if len(brief) != 3 {
			t.Errorf("brief = %v", brief)
		}
	}},
	{"the mark is found", func(t *testing.T, w *world) {
		mark := random(16)
		id := w.boot(t, w.demo, doc{"metadata": doc{"tricircle": mark}})
		found := 0
		for _, d := range w.admin.compute(t, "GET", "/servers/detail?all_tenants=1&project_id="+w.demo.project, nil).want(t, 200).docs("servers") {
			if d["metadata"].(doc)["tricircle"] == mark && d["id"] == id {
				found++
			}
		}
		if found != 1 {
			t.Errorf("servers with the mark: %d", found)
		}
	}},
	{"there is no filter by metadata", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		const query = "metadata=%7B%22tricircle%22%3A%22nosuch%22%7D"
		w.admin.compute(t, "GET", "/servers/detail?all_tenants=1&"+query, nil).refuses(t, 400, "badRequest", "Invalid filter field: metadata.")
		if got := ids(w.demo.compute(t, "GET", "/servers?"+query, nil).want(t, 200).docs("servers"), "id"); !slices.Contains(got, id) {
			t.Errorf("a user's filter is not ignored: %v", got)
		}
	}},
	{"a tag is found at once", func(t *testing.T, w *world) {
		tag := "tricircle-" + random(16)
		id := w.start(t, w.demo, doc{"tags": []string{tag}})
		list := w.admin.compute(t, "GET", "/servers?all_tenants=1&tags="+tag, nil, latest).want(t, 200).docs("servers")
		if len(list) != 1 || list[0]["id"] != id {
			t.Errorf("servers with the tag = %v", list)
		}
	}},
	{"what was deleted is listed by changes-since", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		w.destroy(t, w.demo, id)
		list := w.demo.compute(t, "GET", "/servers/detail?changes-since=2020-01-01T00:00:00Z&limit=50", nil).want(t, 200).docs("servers")
		for _, d := range list {
			if d["id"] == id && d["status"] == "DELETED" {
				return
			}
		}
		t.Errorf("%s is not in the list", id)
	}},
	{"the mark is found while it is built", func(t *testing.T, w *world) {
		mark := random(16)
		id := w.start(t, w.demo, doc{"metadata": doc{"tricircle": mark}})
		list := w.admin.compute(t, "GET", "/servers/detail?all_tenants=1&project_id="+w.demo.project, nil).want(t, 200).docs("servers")
		for _, d := range list {
			if d["id"] == id && d["metadata"].(doc)["tricircle"] == mark {
				return
			}
		}
		t.Errorf("%s with mark %s is not in the list", id, mark)
	}},
	{"bad queries", func(t *testing.T, w *world) {
		for query, message := range map[string]string{
			"marker=" + nobody:           "marker [" + nobody + "] not found",
			"limit=x":                    "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'",
			"limit=-1":                   "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'",
			"changes-since=zz":           "Invalid input for query parameters changes-since. Value: zz. 'zz' is not a 'date-time'",
			"name=%5B":                   "Invalid input for query parameters name. Value: [. '[' is not a 'regex'",
			"sort_key=uuid&sort_dir=bad": "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'",
		} {
			w.demo.compute(t, "GET", "/servers?"+query, nil).refuses(t, 400, "badRequest", message)
		}
		w.demo.compute(t, "GET", "/servers?status=BOGUS", nil, latest).refuses(t, 400, "badRequest", "Invalid status value")
		if list := w.demo.compute(t, "GET", "/servers?status=BOGUS", nil).want(t, 200).docs("servers"); len(list) != 0 {
			t.Errorf("servers of no status = %v", list)
		}
		w.demo.compute(t, "GET", "/servers?sort_key=bogus", nil).want(t, 400, "'bogus' is not one of ['access_ip_v4'")
		w.demo.compute(t, "GET", "/servers?bogus=1", nil, latest).refuses(t, 400, "badRequest", "'bogus' does not match any of the regexes: '^_'")
		w.demo.compute(t, "GET", "/servers?bogus=1", nil).want(t, 200)
	}},
	{"admins only", func(t *testing.T, w *world) {
		w.demo.compute(t, "GET", "/servers?all_tenants=1", nil).
			refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.")
		w.demo.compute(t, "GET", "/servers?sort_key=host", nil).refuses(t, 403, "forbidden", "Only administrators can sort servers by host")
	}},
	{"filters", func(t *testing.T, w *world) {
		n, _ := w.lan(t)
		id := w.boot(t, w.demo, doc{"networks": []doc{{"uuid": n["id"], "fixed_ip": w.ip(1, 66)}}, "tags": []string{"contract"}})
		for query, want := range map[string]bool{
			"status=ACTIVE": true, "status=SHUTOFF": false, "uuid=" + id: true, "uuid=" + nobody: true, "flavor=1": true, "flavor=nosuch": false,
			"image=" + w.image: true, "image=" + nobody: false, "ip=" + w.ip(1, 66): true, "ip=192.0.2.77": false, "tags=contract": true, "not-tags=contract": false,
			"changes-since=2030-01-01T00:00:00Z": false, "name=ontract": true, "name=%5Eontract": false,
		} {
			found := false
			for _, d := range w.demo.compute(t, "GET", "/servers?"+query, nil, latest).want(t, 200).docs("servers") {
				found = found || d["id"] == id
			}
			if found != want {
				t.Errorf("%s: found %v, want %v", query, found, want)
			}
		}
	}},
}
