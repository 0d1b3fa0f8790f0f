package contract

import (
	"fmt"
	"slices"
	"testing"
)

// makeServerGroup makes a group that is deleted after the check.
func makeServerGroup(t *testing.T, c *client, in doc) string {
	t.Helper()
	id := c.compute(t, "POST", "/os-server-groups", doc{"server_group": in}, latest).want(t, 200).text("server_group", "id")
	drop(t, c, c.endpoints["compute"]+"/os-server-groups/"+id)
	return id
}

func noGroup(id string) string { return "Instance group " + id + " could not be found." }

func inGroup(id string) doc { return doc{"group": id} }

func texts(v any) []string {
	out := []string{}
	list, _ := v.([]any)
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

var serverGroupChecks = []check{
	{"forms", func(t *testing.T, w *world) {
		id := makeServerGroup(t, w.demo, doc{"name": "contract", "policy": "anti-affinity", "rules": doc{"max_server_per_host": "3"}})
		g := w.demo.compute(t, "GET", "/os-server-groups/"+id, nil, latest).want(t, 200).body["server_group"].(doc)
		if g["policy"] != "anti-affinity" || fmt.Sprint(g["rules"]) != "map[max_server_per_host:3]" || fmt.Sprint(g["members"]) != "[]" ||
			g["project_id"] != w.demo.project || g["user_id"] != w.demo.userID {
			t.Errorf("group = %v", g)
		}
		hasNot(t, g, "policies", "metadata")
		g = w.demo.compute(t, "GET", "/os-server-groups/"+id, nil).want(t, 200).body["server_group"].(doc)
		if fmt.Sprint(g["policies"], g["metadata"]) != "[anti-affinity] map[]" {
			t.Errorf("group in 2.1 = %v", g)
		}
		hasNot(t, g, "policy", "rules", "project_id", "user_id")
	}},
	{"refused", func(t *testing.T, w *world) {
		for _, x := range []struct {
			version string
			in      doc
			message string
		}{
			{"2.1", doc{"name": "g"}, "Invalid input for field/attribute server_group. Value: {'name': 'g'}. 'policies' is a required property"},
			{"2.64", doc{"name": "g"}, "Invalid input for field/attribute server_group. Value: {'name': 'g'}. 'policy' is a required property"},
			{"2.14", doc{"name": "g", "policies": []string{"soft-affinity"}}, "Invalid input for field/attribute 0. Value: soft-affinity. 'soft-affinity' is not one of ['anti-affinity', 'affinity']"},
			{"2.64", doc{"name": "g", "policy": "x"}, "Invalid input for field/attribute policy. Value: x. 'x' is not one of ['anti-affinity', 'affinity', 'soft-anti-affinity', 'soft-affinity']"},
			{"2.64", doc{"name": "g", "policy": "affinity", "rules": doc{"max_server_per_host": 3}}, "Only anti-affinity policy supports rules."},
		} {
			r := w.demo.compute(t, "POST", "/os-server-groups", doc{"server_group": x.in}, microversion(x.version)).want(t, 400)
			if got := r.text("badRequest", "message"); got != x.message {
				t.Errorf("%s %v: %s, want %s", x.version, x.in, got, x.message)
			}
		}
		w.demo.compute(t, "GET", "/os-server-groups?limit=x", nil).
			refuses(t, 400, "badRequest", "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'")
		w.demo.compute(t, "GET", "/os-server-groups?foo=1", nil, microversion("2.75")).
			refuses(t, 400, "badRequest", "Additional properties are not allowed ('foo' was unexpected)")
		w.demo.compute(t, "GET", "/os-server-groups?foo=1", nil, microversion("2.74")).want(t, 200)
	}},
	{"lists", func(t *testing.T, w *world) {
		first := makeServerGroup(t, w.alt, doc{"name": "one", "policy": "affinity"})
		second := makeServerGroup(t, w.alt, doc{"name": "one", "policy": "affinity"})
		all := ids(w.alt.compute(t, "GET", "/os-server-groups", nil).want(t, 200).docs("server_groups"), "id")
		at := slices.Index(all, first)
		if at < 0 || at+1 >= len(all) || all[at+1] != second {
			t.Fatalf("list = %v, want %s, then %s", all, first, second)
		}
		for query, want := range map[string]string{
			fmt.Sprintf("?limit=1&offset=%d", at): first, fmt.Sprintf("?limit=1&offset=%d", at+1): second,
		} {
			if got := ids(w.alt.compute(t, "GET", "/os-server-groups"+query, nil).want(t, 200).docs("server_groups"), "id"); !slices.Equal(got, []string{want}) {
				t.Errorf("%s = %v, want %s", query, got, want)
			}
		}
		has := func(c *client, query string) bool {
			return slices.Contains(ids(c.compute(t, "GET", "/os-server-groups"+query, nil).want(t, 200).docs("server_groups"), "id"), first)
		}
		if has(w.demo, "") || has(w.demo, "?all_projects=1") || has(w.admin, "") || !has(w.admin, "?all_projects=1") {
			t.Error("who sees the group of alt is not as it should be")
		}
		w.demo.compute(t, "GET", "/os-server-groups/"+first, nil).refuses(t, 404, "itemNotFound", noGroup(first))
		w.demo.compute(t, "DELETE", "/os-server-groups/"+first, nil).refuses(t, 404, "itemNotFound", noGroup(first))
		w.admin.compute(t, "GET", "/os-server-groups/"+first, nil).want(t, 200)
		w.admin.compute(t, "DELETE", "/os-server-groups/"+first, nil).want(t, 204)
		w.alt.compute(t, "GET", "/os-server-groups/"+first, nil).refuses(t, 404, "itemNotFound", noGroup(first))
	}},
	{"quota", func(t *testing.T, w *world) {
		used := len(w.alt.compute(t, "GET", "/os-server-groups", nil).want(t, 200).docs("server_groups"))
		for range 10 - used {
			makeServerGroup(t, w.alt, doc{"name": "contract", "policy": "affinity"})
		}
		w.alt.compute(t, "POST", "/os-server-groups", doc{"server_group": doc{"name": "contract", "policy": "affinity"}}, latest).
			refuses(t, 403, "forbidden", "Quota exceeded, too many server groups.")
	}},
	{"members", func(t *testing.T, w *world) {
		group := makeServerGroup(t, w.demo, doc{"name": "contract", "policy": "soft-anti-affinity"})
		body := func(id string) doc { return doc{"server": w.server(nil), "os:scheduler_hints": inGroup(id)} }
		id := w.demo.compute(t, "POST", "/servers", body(group), latest).want(t, 202).text("server", "id")
		t.Cleanup(func() { w.destroy(t, w.demo, id) })
		members := texts(w.demo.compute(t, "GET", "/os-server-groups/"+group, nil).want(t, 200).at("server_group", "members"))
		if !slices.Equal(members, []string{id}) {
			t.Errorf("members = %v, want %s", members, id)
		}
		eventually(t, "server ACTIVE", func() bool {
			return w.demo.compute(t, "GET", "/servers/"+id, nil).want(t, 200).text("server", "status") == "ACTIVE"
		})
		if got := texts(w.demo.compute(t, "GET", "/servers/"+id, nil, latest).want(t, 200).at("server", "server_groups")); !slices.Equal(got, []string{group}) {
			t.Errorf("server_groups = %v, want %s", got, group)
		}
		// Another project's group is as absent as none.
		w.alt.compute(t, "POST", "/servers", body(group), latest).refuses(t, 400, "badRequest", noGroup(group))
		w.demo.compute(t, "POST", "/servers", body(nobody), latest).refuses(t, 400, "badRequest", noGroup(nobody))
		w.demo.compute(t, "POST", "/servers", body("x"), latest).
			refuses(t, 400, "badRequest", "Invalid input for field/attribute group. Value: x. 'x' is not a 'uuid'")
		w.demo.compute(t, "DELETE", "/os-server-groups/"+group, nil).want(t, 204)
		if got := texts(w.demo.compute(t, "GET", "/servers/"+id, nil, latest).want(t, 200).at("server", "server_groups")); len(got) > 0 {
			t.Errorf("server_groups without the group = %v", got)
		}
		w.destroy(t, w.demo, id)
	}},
	{"a member that is deleted", func(t *testing.T, w *world) {
		group := makeServerGroup(t, w.demo, doc{"name": "contract", "policy": "soft-anti-affinity"})
		id := w.demo.compute(t, "POST", "/servers", doc{"server": w.server(nil), "os:scheduler_hints": inGroup(group)}, latest).want(t, 202).text("server", "id")
		w.destroy(t, w.demo, id)
		// A server deleted before a host had it is not found at once, and a member for a moment longer.
		eventually(t, "no members", func() bool {
			return len(texts(w.demo.compute(t, "GET", "/os-server-groups/"+group, nil).want(t, 200).at("server_group", "members"))) == 0
		})
	}},
}
