package network

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func subport(port string, id int) string {
	return fmt.Sprintf(`{"port_id":%q,"segmentation_type":"vlan","segmentation_id":%d}`, port, id)
}

func TestTrunks(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, _ := r.ground("")
	var ports []string
	for range 4 {
		ports = append(ports, r.make("alice", "port", `"network_id":"`+network+`"`)["id"].(string))
	}
	parent, a, b, c := ports[0], ports[1], ports[2], ports[3]
	trunk := r.make("alice", "trunk", `"port_id":"`+parent+`","sub_ports":[`+subport(a, 7)+`]`)
	id := trunk["id"].(string)
	path := "/trunks/" + id
	for _, k := range []string{"created_at", "updated_at"} {
		delete(trunk, k)
	}
	want := map[string]any{"id": id, "name": "", "description": "", "project_id": "project-alice", "tenant_id": "project-alice", "port_id": parent,
		"admin_state_up": true, "status": "DOWN", "revision_number": 1.0, "tags": []any{},
		"sub_ports": []any{map[string]any{"port_id": a, "segmentation_type": "vlan", "segmentation_id": 7.0}}}
	if diff := cmp.Diff(want, trunk); diff != "" {
		t.Errorf("trunk (-want +got):\n%s", diff)
	}
	details := r.ask("alice", "GET", "/ports/"+parent, "", 200)["port"].(map[string]any)["trunk_details"].(map[string]any)
	if sub := details["sub_ports"].([]any)[0].(map[string]any); details["trunk_id"] != id || sub["mac_address"] == "" || sub["port_id"] != a {
		t.Errorf("trunk_details = %v", details)
	}
	if _, has := r.ask("alice", "GET", "/ports/"+a, "", 200)["port"].(map[string]any)["trunk_details"]; has {
		t.Error("a subport has trunk_details")
	}
	const bad = "Invalid input for operation: "
	add := func(body string, status int, kind, message string) refusal {
		return refusal{"alice", "PUT", path + "/add_subports", `{"sub_ports":` + body + `}`, status, kind, message}
	}
	for _, x := range []refusal{
		add(`[`+subport(c, 7)+`]`, 409, "DuplicateSubPort", "segmentation_type vlan and segmentation_id 7 already in use on trunk "+id+"."),
		add(`[{"port_id":"`+c+`","segmentation_type":"gre","segmentation_id":7}]`, 400, "InvalidInput", bad+"Unknown segmentation_type 'gre'."),
		add(`[`+subport(c, 7000)+`]`, 400, "InvalidInput", bad+"Segmentation ID '7000' is not in range."),
		add(`[{"port_id":"`+c+`","segmentation_type":"vlan","segmentation_id":"x"}]`, 400, "InvalidInput",
			bad+"Invalid subport details: segmentation_id 'x' is not an integer."),
		add(`[{"port_id":"`+c+`","segmentation_type":"vlan"}]`, 400, "InvalidInput", bad+"Invalid subport details '{'port_id': '"+c+
			"', 'segmentation_type': 'vlan'}': missing segmentation information. Must specify both segmentation_id and segmentation_type."),
		add(`[{"port_id":"zz"}]`, 400, "InvalidInput", bad+"Invalid UUID for subport: 'zz'."),
		add(`[{}]`, 400, "InvalidInput", bad+"A valid port UUID must be specified."),
		add(`{"port_id":"`+c+`"}`, 400, "InvalidInput", bad+"Invalid data format for subports: '{'port_id': '"+c+"'}' is not a list."),
		add(`[`+subport(a, 9)+`]`, 409, "TrunkPortInUse", "Port "+a+" is in use by another trunk."),
		add(`[`+subport(parent, 9)+`]`, 409, "ParentPortInUse", "Port "+parent+" is currently in use and is not eligible for use as a parent port."),
		add(`[`+subport(c, 8)+`,`+subport(c, 9)+`]`, 400, "InvalidInput", bad+"Non unique UUID for subport: '"+c+"'."),
		add(`[`+subport(b, 9)+`,`+subport(c, 9)+`]`, 400, "InvalidInput", bad+"Segmentation ID '9' for '"+c+"' is not unique."),
		add(`[`+subport(nowhere, 9)+`]`, 404, "PortNotFound", "Port "+nowhere+" could not be found."),
		{"alice", "PUT", path + "/remove_subports", `{"sub_ports":[{"port_id":"` + c + `"}]}`, 404, "SubPortNotFound", "SubPort " + c + " on trunk " + id + " could not be found."},
		{"alice", "POST", "/trunks", `{"trunk":{"port_id":"` + parent + `"}}`, 409, "ParentPortInUse", "Port " + parent + " is currently in use and is not eligible for use as a parent port."},
		{"alice", "POST", "/trunks", `{"trunk":{"port_id":"` + a + `"}}`, 409, "TrunkPortInUse", "Port " + a + " is in use by another trunk."},
		{"alice", "POST", "/trunks", `{"trunk":{"port_id":"` + c + `","sub_ports":{"port_id":"x"}}}`, 400, "HTTPBadRequest",
			"Invalid input for sub_ports. Reason: Invalid data format for subports: '{'port_id': 'x'}' is not a list."},
		{"alice", "PUT", path, `{"trunk":{"sub_ports":[]}}`, 400, "HTTPBadRequest", "Cannot update read-only attribute sub_ports"},
		{"bob", "POST", "/trunks", `{"trunk":{"port_id":"` + c + `"}}`, 404, "PortNotFound", "Port " + c + " could not be found."},
		{"bob", "GET", path, "", 404, "TrunkNotFound", "Trunk " + id + " could not be found."},
		{"alice", "DELETE", "/ports/" + parent, "", 409, "PortInUseAsTrunkParent", "Port " + parent + " is currently a parent port for trunk " + id + "."},
		{"alice", "DELETE", "/ports/" + a, "", 409, "PortInUseAsSubPort", "Port " + a + " is currently a subport for trunk " + id + "."},
	} {
		r.refused(x)
	}
	// The answer has no name around it, and inherit takes the network's own ID.
	got := r.ask("alice", "PUT", path+"/add_subports", `{"sub_ports":[{"port_id":"`+b+`","segmentation_type":"inherit"}]}`, 200)
	if subs := got["sub_ports"].([]any); len(subs) != 2 || subs[1].(map[string]any)["segmentation_type"] != "vlan" {
		t.Errorf("after adding: %v", got)
	}
	got = r.ask("alice", "PUT", path+"/remove_subports", `{"sub_ports":[{"port_id":"`+a+`"}]}`, 200)
	listed := r.ask("alice", "GET", path+"/get_subports", "", 200)
	if diff := cmp.Diff(got["sub_ports"], listed["sub_ports"]); diff != "" || len(got["sub_ports"].([]any)) != 1 || got["revision_number"] != 3.0 {
		t.Errorf("after removing: %v, listed %v", got, listed)
	}
	r.ask("alice", "PUT", path, `{"trunk":{"admin_state_up":false}}`, 200)
	const down = " is currently disabled."
	r.refused(refusal{"alice", "DELETE", path, "", 409, "TrunkDisabled", "Trunk " + id + down})
	r.refused(add(`[`+subport(c, 9)+`]`, 409, "TrunkDisabled", "Trunk "+id+down))
	r.ask("alice", "PUT", path, `{"trunk":{"admin_state_up":true}}`, 200)
	r.ask("alice", "PUT", "/ports/"+parent, `{"port":{"device_id":"s","device_owner":"compute:nova"}}`, 200)
	r.refused(refusal{"alice", "DELETE", path, "", 409, "TrunkInUse", "Trunk " + id + " is currently in use."})
	r.ask("alice", "PUT", "/ports/"+parent, `{"port":{"device_id":"","device_owner":""}}`, 200)
	r.ask("alice", "DELETE", path, "", 204)
	r.ask("alice", "DELETE", "/ports/"+b, "", 204)
}

// TestTrunkMTU: what comes in a subport must fit through the parent.
func TestTrunkMTU(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	port := func(mtu int) string {
		n := r.make("alice", "network", fmt.Sprintf(`"mtu":%d`, mtu))["id"].(string)
		return r.make("alice", "port", `"network_id":"`+n+`"`)["id"].(string)
	}
	small, large := port(1400), port(1500)
	r.refused(refusal{"alice", "POST", "/trunks", `{"trunk":{"port_id":"` + small + `","sub_ports":[` + subport(large, 7) + `]}}`, 409,
		"SubPortMtuGreaterThanTrunkPortMtu", "MTU 1500 of subport " + large + " cannot be greater than MTU 1400 of trunk " + small + "."})
	r.make("alice", "trunk", `"port_id":"`+large+`","sub_ports":[`+subport(small, 7)+`]`)
}
