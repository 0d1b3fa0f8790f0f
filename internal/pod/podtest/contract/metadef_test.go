package contract

import (
	"testing"
)

// metadefChecks are what is relied on to make namespaces the same in all pods.
var metadefChecks = []check{
	{"a namespace shows all that is in it", func(t *testing.T, w *world) {
		name, c := "contract-"+random(8), w.admin
		at := "/metadefs/namespaces/" + name
		c.glance(t, "POST", "/metadefs/namespaces", doc{"namespace": name, "protected": true}).want(t, 201)
		c.glance(t, "POST", "/metadefs/namespaces", doc{"namespace": name}).want(t, 409)
		c.glance(t, "POST", at+"/objects", doc{"name": "o", "properties": doc{"p": doc{"type": "string", "title": "P"}}}).want(t, 201)
		c.glance(t, "POST", at+"/properties", doc{"name": "q", "type": "string", "title": "Q"}).want(t, 201)
		c.glance(t, "POST", at+"/tags/t", nil).want(t, 201)
		c.glance(t, "POST", at+"/resource_types", doc{"name": "OS::Nova::Flavor", "prefix": "x:"}).want(t, 201)
		got := c.glance(t, "GET", at, nil).want(t, 200).body
		has(t, got, "namespace", "visibility", "protected", "owner", "objects", "properties", "tags", "resource_type_associations")
		if q, ok := got["properties"].(map[string]any)["q"].(map[string]any); !ok || q["title"] != "Q" {
			t.Errorf("properties = %v", got["properties"])
		}
		c.glance(t, "DELETE", at, nil).want(t, 403)
		c.glance(t, "PUT", at, doc{"namespace": name, "protected": false}).want(t, 200)
		for _, part := range []string{"/objects/o", "/properties/q", "/tags/t", "/resource_types/OS::Nova::Flavor"} {
			c.glance(t, "DELETE", at+part, nil).want(t, 204)
		}
		c.glance(t, "DELETE", at+"/tags/t", nil).want(t, 404)
		c.glance(t, "DELETE", at, nil).want(t, 204)
		c.glance(t, "GET", at, nil).want(t, 404)
	}},
}
