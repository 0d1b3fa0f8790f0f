package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// plain asks without the test's context, which is gone when checks clean up.
type plain struct {
	t *testing.T
	c *client
}

func (p plain) do(method, path string, body doc) doc {
	p.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequest(method, p.c.endpoints["network"]+"/v2.0"+path, bytes.NewReader(raw))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", p.c.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := podtest.HTTP.Do(req)
	if err != nil {
		p.t.Error(err)
		return nil
	}
	defer res.Body.Close()
	out := doc{}
	_ = json.NewDecoder(res.Body).Decode(&out) // a 204 has no body
	return out
}

// outlet is a network inside with a router that leads to an external one.
type outlet struct{ inside, subnet, outside, router doc }

func (w *world) makeOutlet(t *testing.T) outlet {
	t.Helper()
	o := outlet{inside: w.makeVLAN(t, w.demo.project)}
	o.subnet = makeSubnet(t, w.admin, o.inside, doc{"cidr": w.net(2), "project_id": w.demo.project})
	o.outside, _ = w.makeExternal(t)
	o.router = w.makeRouter(t)
	w.admin.network(t, "PUT", routerAt(o.router)+"/add_router_interface", doc{"subnet_id": o.subnet["id"]}).want(t, 200)
	w.admin.network(t, "PUT", routerAt(o.router), doc{"router": doc{"external_gateway_info": doc{
		"network_id": o.outside["id"], "external_fixed_ips": []doc{{"ip_address": w.ip(1, 30)}}}}}).want(t, 200)
	return o
}

func (w *world) makeFloating(t *testing.T, network doc, host int, more doc) *reply {
	t.Helper()
	in := with(doc{"floating_network_id": network["id"], "floating_ip_address": w.ip(1, host), "project_id": w.demo.project, "description": "tricircle:floating_ip:" + random(8)}, more)
	r := w.admin.network(t, "POST", "/floatingips", doc{"floatingip": in})
	if r.status == 201 {
		purge(t, w.admin, "/floatingips/"+r.text("floatingip", "id"))
	}
	return r
}

var floatingChecks = []check{
	{"a floating IP moves between ports", func(t *testing.T, w *world) {
		o := w.makeOutlet(t)
		a := makePort(t, w.demo, o.inside, nil)
		b := makePort(t, w.admin, o.inside, doc{"project_id": w.demo.project, "port_security_enabled": false, "security_groups": []string{}})
		made := w.makeFloating(t, o.outside, 40, doc{"port_id": a["id"]}).want(t, 201).body["floatingip"].(doc)
		has(t, made, "id", "floating_ip_address", "floating_network_id", "router_id", "port_id", "fixed_ip_address", "status", "port_details",
			"description", "project_id", "tags", "revision_number")
		if made["router_id"] != o.router["id"] || made["fixed_ip_address"] != docs(a, "fixed_ips")[0]["ip_address"] || made["floating_ip_address"] != w.ip(1, 40) {
			t.Errorf("floating IP = %v", made)
		}
		path := "/floatingips/" + made["id"].(string)
		status := func(want string) {
			t.Helper()
			eventually(t, "floating IP "+want, func() bool {
				return w.admin.network(t, "GET", path, nil).want(t, 200).text("floatingip", "status") == want
			})
		}
		status("ACTIVE")
		found := w.admin.network(t, "GET", "/floatingips?description="+made["description"].(string), nil).want(t, 200).docs("floatingips")
		if len(found) != 1 || found[0]["id"] != made["id"] {
			t.Errorf("found by its mark: %v", found)
		}
		put := func(in doc) *reply { return w.admin.network(t, "PUT", path, doc{"floatingip": in}) }
		moved := put(doc{"port_id": b["id"]}).want(t, 200)
		if moved.text("floatingip", "port_id") != b["id"] || moved.text("floatingip", "router_id") != o.router["id"] {
			t.Errorf("moved = %s", moved.raw)
		}
		w.admin.network(t, "PUT", routerAt(o.router), doc{"router": doc{"external_gateway_info": nil}}).
			fails(t, 409, "RouterExternalGatewayInUseByFloatingIp", fmt.Sprintf(
				"Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.", o.router["id"], o.outside["id"]))
		w.admin.network(t, "PUT", routerAt(o.router)+"/remove_router_interface", doc{"subnet_id": o.subnet["id"]}).
			fails(t, 409, "RouterInterfaceInUseByFloatingIP", fmt.Sprintf(
				"Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", o.subnet["id"], o.router["id"]))
		if off := put(doc{"port_id": nil}).want(t, 200); off.at("floatingip", "port_id") != nil || off.at("floatingip", "router_id") != nil || off.at("floatingip", "fixed_ip_address") != nil {
			t.Errorf("free = %s", off.raw)
		}
		status("DOWN")
		put(doc{"port_id": a["id"]}).want(t, 200)
		w.demo.network(t, "DELETE", "/ports/"+a["id"].(string), nil).want(t, 204)
		if left := w.admin.network(t, "GET", path, nil).want(t, 200); left.at("floatingip", "port_id") != nil || left.at("floatingip", "router_id") != nil {
			t.Errorf("without its port = %s", left.raw)
		}
		w.admin.network(t, "DELETE", path, nil).want(t, 204)
		w.admin.network(t, "GET", path, nil).want(t, 404, "FloatingIPNotFound")
	}},
	{"a change of a floating IP forgets a policy that it does not repeat", func(t *testing.T, w *world) {
		n, _ := w.makeExternal(t)
		policy := w.admin.network(t, "POST", "/qos/policies", doc{"policy": doc{"name": "contract-" + random(8), "project_id": w.demo.project}}).want(t, 201).text("policy", "id")
		purge(t, w.admin, "/qos/policies/"+policy)
		path := "/floatingips/" + w.makeFloating(t, n, 45, doc{"qos_policy_id": policy}).want(t, 201).text("floatingip", "id")
		put := func(in doc) any {
			return w.admin.network(t, "PUT", path, doc{"floatingip": in}).want(t, 200).at("floatingip", "qos_policy_id")
		}
		if got := put(doc{"description": "x", "qos_policy_id": policy}); got != policy {
			t.Errorf("repeated: %v", got)
		}
		w.admin.network(t, "DELETE", "/qos/policies/"+policy, nil).want(t, 409, "QosPolicyInUse")
		if got := put(doc{"description": "y"}); got != nil {
			t.Errorf("not repeated: %v", got)
		}
	}},
	{"refused floating IPs", func(t *testing.T, w *world) {
		o := w.makeOutlet(t)
		p := makePort(t, w.demo, o.inside, nil)
		lone := w.makeVLAN(t, w.demo.project)
		s := makeSubnet(t, w.admin, lone, doc{"cidr": w.net(3), "project_id": w.demo.project})
		q := makePort(t, w.demo, lone, nil)
		w.makeFloating(t, lone, 41, nil).fails(t, 400, "BadRequest", fmt.Sprintf("Bad floatingip request: Network %s is not a valid external network.", lone["id"]))
		w.makeFloating(t, o.outside, 41, doc{"port_id": q["id"]}).fails(t, 404, "ExternalGatewayForFloatingIPNotFound", fmt.Sprintf(
			"External network %s is not reachable from subnet %s.  Therefore, cannot associate Port %s with a Floating IP.", o.outside["id"], s["id"], q["id"]))
		made := w.makeFloating(t, o.outside, 41, doc{"port_id": p["id"]}).want(t, 201)
		w.makeFloating(t, o.outside, 41, nil).want(t, 409, "IpAddressAlreadyAllocated")
		w.makeFloating(t, o.outside, 42, doc{"port_id": p["id"]}).want(t, 409, "FloatingIPPortAlreadyAssociated")
		w.admin.network(t, "PUT", "/floatingips/"+made.text("floatingip", "id"), doc{"floatingip": doc{"fixed_ip_address": w.ip(2, 9)}}).
			fails(t, 400, "BadRequest", "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
	}},
	{"port forwardings", func(t *testing.T, w *world) {
		if w.admin.network(t, "GET", "/extensions/floating-ip-port-forwarding", nil).status == 404 {
			t.Log("the pod has no port forwardings")
			return
		}
		o := w.makeOutlet(t)
		p := makePort(t, w.demo, o.inside, nil)
		made := w.makeFloating(t, o.outside, 50, nil).want(t, 201).text("floatingip", "id")
		at := "/floatingips/" + made + "/port_forwardings"
		inside := docs(p, "fixed_ips")[0]["ip_address"]
		add := func(in doc) *reply {
			body := doc{"internal_port_id": p["id"], "internal_ip_address": inside, "protocol": "tcp"}
			for k, v := range in {
				body[k] = v
			}
			return w.admin.network(t, "POST", at, doc{"port_forwarding": body})
		}
		one := add(doc{"internal_port": 22, "external_port": 2222, "description": "x"}).want(t, 201)
		f := one.body["port_forwarding"].(doc)
		has(t, f, "id", "protocol", "internal_ip_address", "internal_port_id", "internal_port", "external_port", "internal_port_range", "external_port_range", "description")
		add(doc{"internal_port": 23, "external_port": 2222}).want(t, 400, "There is a port collision with the external_port_range")
		add(doc{"internal_port_range": "100:102", "external_port_range": "200:202"}).want(t, 201)
		got := w.admin.network(t, "GET", "/floatingips/"+made, nil).want(t, 200)
		if got.text("floatingip", "router_id") != o.router["id"] || got.at("floatingip", "port_id") != nil || len(got.docs("floatingip", "port_forwardings")) != 2 {
			t.Errorf("floating IP = %s", got.raw)
		}
		w.admin.network(t, "PUT", at+"/"+f["id"].(string), doc{"port_forwarding": doc{"external_port": 2223}}).want(t, 200)
		w.admin.network(t, "PUT", "/floatingips/"+made, doc{"floatingip": doc{"port_id": p["id"]}}).
			want(t, 409, "in use by Port Forwarding resources")
		w.admin.network(t, "PUT", routerAt(o.router)+"/remove_router_interface", doc{"subnet_id": o.subnet["id"]}).want(t, 409, "RouterInterfaceInUseByFloatingIP")
		w.demo.network(t, "DELETE", "/ports/"+p["id"].(string), nil).want(t, 204)
		if left := w.admin.network(t, "GET", at, nil).want(t, 200).docs("port_forwardings"); len(left) != 0 {
			t.Errorf("without their port: %v", left)
		}
		w.admin.network(t, "GET", at+"/"+f["id"].(string), nil).fails(t, 404, "PortForwardingNotFound", fmt.Sprintf("Port Forwarding %s could not be found.", f["id"]))
		w.admin.network(t, "DELETE", "/floatingips/"+made, nil).want(t, 204)
	}},
}
