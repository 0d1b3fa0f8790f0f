package network

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// pods knows one host, and answers for ports as told.
type pods struct {
	brought []string
	now     map[string]topology.Binding // by port ID
	moving  int
}

func (p *pods) Freshen(_ context.Context, ports []topology.Port) error {
	for i := range ports {
		if b, ok := p.now[ports[i].ID]; ok {
			ports[i].Binding = b
		}
	}
	return nil
}

func (*pods) FreshenFloatingIPs(context.Context, []topology.FloatingIP) error { return nil }

func (p *pods) FreshenMoving(context.Context, string) error {
	p.moving++
	return nil
}

func (p *pods) FindHost(_ context.Context, name string) (string, error) {
	if name == "node1" {
		return "pod1", nil
	}
	return "", fault.New(fault.NotFound, "", "no host")
}

func (p *pods) Bring(_ context.Context, port topology.Port, podName string) error {
	p.brought = append(p.brought, port.ID+" "+podName)
	return nil
}

func (p *pods) Bindings(_ context.Context, portID, method, tail string, in map[string]any) (map[string]any, bool, error) {
	if _, placed := p.now[portID]; !placed {
		return nil, false, nil
	}
	return map[string]any{"binding": map[string]any{"asked": method + " " + tail, "sent": in}}, true, nil
}

func TestBindingByAdmin(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	code, reply := r.do("admin", "POST", "/ports", `{"port":{"network_id":"`+network+`","binding:host_id":"nowhere","binding:profile":{"a":1}}}`)
	port, _ := reply["port"].(map[string]any)
	if code != 201 || port["binding:host_id"] != "nowhere" || port["binding:vif_type"] != "binding_failed" ||
		cmp.Diff(map[string]any{"a": 1.0}, port["binding:profile"]) != "" {
		t.Errorf("a port on a host that nobody has = %d %v", code, reply)
	}
	id := port["id"].(string)
	_, reply = r.do("admin", "PUT", "/ports/"+id, `{"port":{"binding:host_id":"node1"}}`)
	if diff := cmp.Diff([]string{id + " pod1"}, r.pods.brought); diff != "" {
		t.Errorf("a host of a pod brings the port there (-want +got):\n%s", diff)
	}
	if port = reply["port"].(map[string]any); port["binding:vif_type"] != "unbound" || port["revision_number"] != 2.0 {
		t.Errorf("the port then = %v", port)
	}
	r.pods.now[id] = topology.Binding{Status: "ACTIVE", Host: "node1", VIFType: "ovs"}
	if _, reply = r.do("admin", "GET", "/ports/"+id, ""); reply["port"].(map[string]any)["binding:vif_type"] != "ovs" {
		t.Errorf("a show is live, got %v", reply)
	}
	if _, reply = r.do("admin", "GET", "/ports?binding:host_id=node1", ""); len(reply["ports"].([]any)) != 1 || r.pods.moving != 1 {
		t.Errorf("ports on node1 = %v, asked %d times", reply, r.pods.moving)
	}
	code, _ = r.do("alice", "PUT", "/ports/"+id, `{"port":{"binding:host_id":""}}`)
	if code != 403 {
		t.Errorf("alice unbinds admin's port: %d", code)
	}
}

func TestBindings(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	plain := r.make("alice", "port", `"network_id":"`+network+`"`)["id"].(string)
	served := r.make("alice", "port", `"network_id":"`+network+`","device_owner":"compute:az1","device_id":"s"`)["id"].(string)
	r.refusedAll([]refusal{
		{"alice", "GET", "/ports/" + served + "/bindings", "", 403, "PolicyNotAuthorized", "rule:default is disallowed by policy"},
		{"admin", "GET", "/ports/" + nowhere + "/bindings", "", 404, "PortNotFound", "Port " + nowhere + " could not be found."},
		{"admin", "GET", "/ports/" + plain + "/bindings", "", 400, "BadRequest",
			"Bad port request: Invalid port " + plain + ". Operation only valid on compute ports."},
		{"admin", "GET", "/ports/" + served + "/bindings/h", "", 404, "PortBindingNotFound",
			"Binding for port " + served + " for host h could not be found."},
		{"admin", "PUT", "/ports/" + served + "/bindings/h/activate", "", 404, "PortBindingNotFound",
			"Binding for port " + served + " for host h could not be found."},
		{"admin", "POST", "/ports/" + served + "/bindings", `{"binding":{"host":"h"}}`, 409, "PortBindingError",
			"Binding for port " + served + " on host h could not be created or updated."},
	})
	_, reply := r.do("admin", "GET", "/ports/"+served+"/bindings", "")
	own := map[string]any{"host": "", "vif_type": "unbound", "vnic_type": "normal", "status": "ACTIVE",
		"profile": map[string]any{}, "vif_details": map[string]any{}}
	if diff := cmp.Diff(map[string]any{"bindings": []any{own}}, reply); diff != "" {
		t.Errorf("bindings of a port that no pod has (-want +got):\n%s", diff)
	}
	r.pods.now[served] = topology.Unbound()
	code, reply := r.do("admin", "POST", "/ports/"+served+"/bindings", `{"binding":{"host":"node2"}}`)
	want := map[string]any{"binding": map[string]any{"asked": "POST ", "sent": map[string]any{"host": "node2"}}}
	if diff := cmp.Diff(want, reply); code != 201 || diff != "" {
		t.Errorf("%d: a port in a pod (-want +got):\n%s", code, diff)
	}
	_, reply = r.do("admin", "PUT", "/ports/"+served+"/bindings/node2/activate", "")
	if got := reply["binding"].(map[string]any)["asked"]; got != "PUT node2/activate" {
		t.Errorf("activate asks for %v", got)
	}
}

func TestDHCPOptions(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	port := r.make("alice", "port", `"network_id":"`+network+`","extra_dhcp_opts":[
		{"opt_name":"bootfile-name","opt_value":"a"},{"opt_name":"router","opt_value":""},{"opt_name":"x","opt_value":null}]`)
	option := func(name, value string) any {
		return map[string]any{"opt_name": name, "opt_value": value, "ip_version": 4.0}
	}
	if diff := cmp.Diff([]any{option("bootfile-name", "a"), option("router", "")}, port["extra_dhcp_opts"]); diff != "" {
		t.Errorf("options of a new port (-want +got):\n%s", diff)
	}
	path := "/ports/" + port["id"].(string)
	_, reply := r.do("alice", "PUT", path, `{"port":{"extra_dhcp_opts":[{"opt_name":"bootfile-name","opt_value":null},{"opt_name":"y","opt_value":"1","ip_version":"6"}]}}`)
	want := []any{option("router", ""), map[string]any{"opt_name": "y", "opt_value": "1", "ip_version": 6.0}}
	if diff := cmp.Diff(want, reply["port"].(map[string]any)["extra_dhcp_opts"]); diff != "" {
		t.Errorf("options after a change: those not named stay (-want +got):\n%s", diff)
	}
	for _, bad := range []string{`[{"opt_name":"a"}]`, `[{"opt_name":"","opt_value":"x"}]`, `[{"opt_name":"a","opt_value":""}]`,
		`[{"opt_name":"a","opt_value":"b\nc"}]`, `[{"opt_name":"a","opt_value":"b","ip_version":5}]`, `["a"]`, `[{"opt_name":"a","opt_value":"b","c":"d"}]`} {
		if code, reply := r.do("alice", "PUT", path, `{"port":{"extra_dhcp_opts":`+bad+`}}`); code != 400 {
			t.Errorf("%s is taken: %d %v", bad, code, reply)
		}
	}
}

func TestFurtherPortAttributes(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	port := r.make("alice", "port", `"network_id":"`+network+`","numa_affinity_policy":"required","device_profile":"gpu"`)
	if port["numa_affinity_policy"] != "required" || port["device_profile"] != "gpu" {
		t.Errorf("port = %v", port)
	}
	path, mac := "/ports/"+port["id"].(string), port["mac_address"]
	r.refusedAll([]refusal{
		{"alice", "PUT", path, `{"port":{"numa_affinity_policy":"x"}}`, 400, "HTTPBadRequest", "Invalid input for numa_affinity_policy. Reason: x is not in valid_values."},
		{"alice", "PUT", path, `{"port":{"device_profile":"x"}}`, 400, "HTTPBadRequest", "Cannot update read-only attribute device_profile"},
	})
	if _, reply := r.do("admin", "PUT", path, `{"port":{"mac_address":null}}`); reply["port"].(map[string]any)["mac_address"] == mac {
		t.Errorf("the MAC address is as before: %v", reply)
	}
	card := r.make("alice", "port", `"network_id":"`+network+`","binding:vnic_type":"direct-physical","device_owner":"compute:az1","device_id":"s"`)
	_, reply := r.do("alice", "PUT", "/ports/"+card["id"].(string), `{"port":{"device_id":"","device_owner":""}}`)
	if got := reply["port"].(map[string]any)["mac_address"]; got == card["mac_address"] {
		t.Errorf("a network card that was given back keeps its MAC address %v with the port", got)
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	vlan := func(id string) string {
		return `{"provider:network_type":"vlan","provider:physical_network":"bridge"` + id + `}`
	}
	made := func(body string) (int, map[string]any) {
		code, reply := r.do("admin", "POST", "/networks", `{"network":{`+body+`}}`)
		n, _ := reply["network"].(map[string]any)
		if n == nil {
			return code, reply
		}
		return code, n
	}
	other := `{"provider:network_type":"vlan","provider:physical_network":"other","provider:segmentation_id":150}`
	code, n := made(`"segments":[` + vlan(`,"provider:segmentation_id":150`) + `,` + other + `]`)
	segments, _ := n["segments"].([]any)
	if _, single := n["provider:network_type"]; code != 201 || len(segments) != 2 || single {
		t.Fatalf("network of two segments = %d %v", code, n)
	}
	if code, reply := made(`"segments":[` + vlan(`,"provider:segmentation_id":150`) + `]`); code != 409 {
		t.Errorf("a VLAN in use is given again: %d %v", code, reply)
	}
	if code, reply := made(`"segments":[` + vlan(`,"provider:segmentation_id":152`) + `,` + vlan("") + `]`); code != 409 {
		t.Errorf("two segments on one physical network are taken: %d %v", code, reply)
	}
	for _, bad := range []string{`"segments":[{}]`, `"segments":[{"a":1}]`, `"segments":{}`,
		`"segments":[` + vlan(`,"provider:segmentation_id":160`) + `,` + vlan(`,"provider:segmentation_id":160`) + `]`,
		`"segments":[` + vlan("") + `],"provider:network_type":"vlan"`} {
		if code, reply := made(bad); code != 400 {
			t.Errorf("%s is taken: %d %v", bad, code, reply)
		}
	}
	code, one := made(`"segments":[` + vlan(`,"provider:segmentation_id":151`) + `]`)
	if code != 201 || one["provider:segmentation_id"] != 151.0 || one["segments"] != nil {
		t.Fatalf("network of one segment = %d %v", code, one)
	}
	path := "/networks/" + one["id"].(string)
	if _, reply := r.do("admin", "PUT", path, `{"network":{"provider:segmentation_id":152}}`); reply["network"].(map[string]any)["provider:segmentation_id"] != 152.0 {
		t.Errorf("moved: %v", reply)
	}
	if code, reply := made(vlan(`,"provider:segmentation_id":151`)[1 : len(vlan(`,"provider:segmentation_id":151`))-1]); code != 201 {
		t.Errorf("the VLAN left is not free: %d %v", code, reply)
	}
	for _, bad := range []string{`"provider:segmentation_id":150`, `"provider:network_type":"flat"`, `"provider:segmentation_id":5000`} {
		if code, reply := r.do("admin", "PUT", path, `{"network":{`+bad+`}}`); code != 400 && code != 409 {
			t.Errorf("%s is taken: %d %v", bad, code, reply)
		}
	}
}
