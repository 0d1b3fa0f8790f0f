package contract

import (
	"fmt"
	"testing"
)

func subport(p doc, id int) doc {
	return doc{"port_id": p["id"], "segmentation_type": "vlan", "segmentation_id": id}
}

var trunkChecks = []check{
	{"a trunk keeps its ports", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		parent, a, b := makePort(t, w.demo, n, nil), makePort(t, w.demo, n, nil), makePort(t, w.demo, n, nil)
		mark := "tricircle:trunk:" + random(12)
		made := w.admin.network(t, "POST", "/trunks", doc{"trunk": doc{"name": "t", "description": mark, "project_id": w.demo.project,
			"port_id": parent["id"], "sub_ports": []doc{subport(a, 7)}}}).want(t, 201).body["trunk"].(doc)
		at := "/trunks/" + made["id"].(string)
		purge(t, w.admin, at)
		has(t, made, "id", "name", "description", "port_id", "sub_ports", "status", "admin_state_up", "project_id", "revision_number")
		if found := w.admin.network(t, "GET", "/trunks?description="+mark, nil).want(t, 200).docs("trunks"); len(found) != 1 || found[0]["id"] != made["id"] {
			t.Errorf("found by its mark: %v", found)
		}
		w.demo.network(t, "DELETE", "/ports/"+parent["id"].(string), nil).fails(t, 409, "PortInUseAsTrunkParent",
			fmt.Sprintf("Port %s is currently a parent port for trunk %s.", parent["id"], made["id"]))
		w.demo.network(t, "DELETE", "/ports/"+a["id"].(string), nil).fails(t, 409, "PortInUseAsSubPort",
			fmt.Sprintf("Port %s is currently a subport for trunk %s.", a["id"], made["id"]))
		add := func(p doc, id int) *reply {
			return w.admin.network(t, "PUT", at+"/add_subports", doc{"sub_ports": []doc{subport(p, id)}})
		}
		add(b, 7).fails(t, 409, "DuplicateSubPort", fmt.Sprintf("segmentation_type vlan and segmentation_id 7 already in use on trunk %s.", made["id"]))
		add(a, 8).fails(t, 409, "TrunkPortInUse", fmt.Sprintf("Port %s is in use by another trunk.", a["id"]))
		if subs := docs(add(b, 8).want(t, 200).body, "sub_ports"); len(subs) != 2 || fmt.Sprint(subs[1]["segmentation_id"]) != "8" {
			t.Errorf("subports = %v", subs)
		}
		remove := doc{"sub_ports": []doc{subport(a, 7)}}
		w.admin.network(t, "PUT", at+"/remove_subports", remove).want(t, 200)
		w.admin.network(t, "PUT", at+"/remove_subports", remove).fails(t, 404, "SubPortNotFound",
			fmt.Sprintf("SubPort %s on trunk %s could not be found.", a["id"], made["id"]))
		w.admin.network(t, "PUT", at, doc{"trunk": doc{"admin_state_up": false, "name": "down"}}).want(t, 200)
		const disabled = "Trunk %s is currently disabled."
		w.admin.network(t, "DELETE", at, nil).fails(t, 409, "TrunkDisabled", fmt.Sprintf(disabled, made["id"]))
		w.admin.network(t, "PUT", at+"/remove_subports", doc{"sub_ports": []doc{subport(b, 8)}}).fails(t, 409, "TrunkDisabled", fmt.Sprintf(disabled, made["id"]))
		w.admin.network(t, "PUT", at, doc{"trunk": doc{"admin_state_up": true}}).want(t, 200)
		w.admin.network(t, "DELETE", at, nil).want(t, 204)
		w.demo.network(t, "DELETE", "/ports/"+b["id"].(string), nil).want(t, 204)
	}},
	{"refused trunks", func(t *testing.T, w *world) {
		w.demo.network(t, "POST", "/trunks", doc{"trunk": doc{"port_id": nobody}}).fails(t, 404, "PortNotFound", "Port "+nobody+" could not be found.")
		w.demo.network(t, "GET", "/trunks/"+nobody, nil).fails(t, 404, "TrunkNotFound", "Trunk "+nobody+" could not be found.")
		p := makePort(t, w.demo, makeNetwork(t, w.demo, nil), nil)
		w.demo.network(t, "POST", "/trunks", doc{"trunk": doc{"port_id": p["id"], "sub_ports": []doc{subport(p, 7)}}}).
			fails(t, 409, "ParentPortInUse", fmt.Sprintf("Port %s is currently in use and is not eligible for use as a parent port.", p["id"]))
	}},
}
