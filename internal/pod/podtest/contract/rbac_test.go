package contract

import "testing"

var rbacChecks = []check{
	{"a network is shared with a project by name", func(t *testing.T, w *world) {
		n := makeNetwork(t, w.demo, nil)
		id := n["id"].(string)
		in := doc{"object_type": "network", "object_id": id, "action": "access_as_shared", "target_tenant": w.alt.project, "project_id": w.demo.project}
		w.alt.network(t, "GET", "/networks/"+id, nil).want(t, 404)
		made := w.admin.network(t, "POST", "/rbac-policies", doc{"rbac_policy": in}).want(t, 201).body["rbac_policy"].(doc)
		has(t, made, "id", "project_id", "tenant_id", "object_type", "object_id", "action", "target_tenant")
		w.admin.network(t, "POST", "/rbac-policies", doc{"rbac_policy": in}).fails(t, 409, "DuplicateRbacPolicy",
			"An RBAC policy already exists with those values.")
		w.alt.network(t, "GET", "/networks/"+id, nil).want(t, 200)
		found := w.admin.network(t, "GET", "/rbac-policies?action=access_as_shared&object_id="+id, nil).want(t, 200).docs("rbac_policies")
		if len(found) != 1 || found[0]["id"] != made["id"] || found[0]["target_tenant"] != w.alt.project || found[0]["project_id"] != w.demo.project {
			t.Errorf("found: %v", found)
		}
		path := "/rbac-policies/" + made["id"].(string)
		w.admin.network(t, "DELETE", path, nil).want(t, 204)
		w.admin.network(t, "DELETE", path, nil).want(t, 404)
		w.alt.network(t, "GET", "/networks/"+id, nil).want(t, 404)
	}},
}
