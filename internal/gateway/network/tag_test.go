package network

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestTags walks through the tags of each resource that has some.
func TestTags(t *testing.T) {
	t.Parallel()
	r := newRegion(t)
	network, subnet := r.ground("")
	external := r.make("admin", "network", `"router:external": true`)["id"].(string)
	r.make("admin", "subnet", fmt.Sprintf(`"network_id": %q, "ip_version": 4, "cidr": "203.0.113.0/24"`, external))
	for path, id := range map[string]string{
		"networks": network, "subnets": subnet,
		"ports":           r.make("alice", "port", fmt.Sprintf(`"network_id": %q`, network))["id"].(string),
		"routers":         r.make("alice", "router", "")["id"].(string),
		"security-groups": r.make("alice", "security_group", `"name": "web"`)["id"].(string),
		"floatingips":     r.make("alice", "floatingip", fmt.Sprintf(`"floating_network_id": %q`, external))["id"].(string),
	} {
		t.Run(path, func(t *testing.T) {
			many := strings.ReplaceAll(path, "-", "_")
			one := "/" + path + "/" + id
			do := func(method, path, body string, want int) map[string]any {
				t.Helper()
				status, reply := r.do("alice", method, path, body)
				if status != want {
					t.Fatalf("%s %s = %d %v, want %d", method, path, status, reply, want)
				}
				return reply
			}
			revision := func() float64 {
				return do("GET", one, "", 200)[strings.TrimSuffix(many, "s")].(map[string]any)["revision_number"].(float64)
			}
			before := revision()
			do("PUT", one+"/tags/red", "", 201)
			do("PUT", one+"/tags/red", "", 201)
			if now := revision(); now != before+1 {
				t.Errorf("revision %v after one new tag, was %v", now, before)
			}
			do("PUT", one+"/tags", `{"tags":["a","b"]}`, 200)
			do("GET", one+"/tags/a", "", 204)
			do("GET", one+"/tags/red", "", 404)
			for query, found := range map[string]bool{
				"tags=a": true, "tags=a,b": true, "tags=a&tags=b": true, "tags=a,c": false, "tags-any=a,c": true, "tags-any=c": false,
				"not-tags=a,b": false, "not-tags=a,c": true, "not-tags-any=a,c": false, "not-tags-any=c": true, "tags=a&not-tags=c": true,
			} {
				all := do("GET", "/"+path+"?fields=id&"+query, "", 200)[many].([]any)
				got := slices.ContainsFunc(all, func(v any) bool { return v.(map[string]any)["id"] == id })
				if got != found {
					t.Errorf("%s finds it: %v, want %v", query, got, found)
				}
			}
			do("DELETE", one+"/tags/a", "", 204)
			do("DELETE", one+"/tags/a", "", 404)
			if has := fmt.Sprint(do("GET", one+"/tags", "", 200)["tags"]); has != "[b]" {
				t.Errorf("tags %s, want [b]", has)
			}
			do("DELETE", one+"/tags", "", 204)
			for _, c := range []refusal{
				{"alice", "PUT", one + "/tags", `{"tags":["a","a"]}`, 400, "InvalidInput", "Invalid input for operation: Duplicate items in the list: 'a'."},
				{"alice", "PUT", one + "/tags", `{"tags":"a"}`, 400, "InvalidInput", "Invalid input for operation: 'a' is not a list."},
				{"alice", "PUT", one + "/tags", `{"tag":[]}`, 400, "InvalidInput", "Invalid input for operation: Invalid tags body."},
				{"alice", "PUT", one + "/tags/" + strings.Repeat("x", 256), "", 400, "InvalidInput", "Invalid input for operation: '" + strings.Repeat("x", 256) + "' exceeds maximum length of 255."},
				{"alice", "POST", one + "/tags", `{}`, 404, "HTTPNotFound", "not supported"},
				{"alice", "GET", "/" + path + "/none/tags", "", 404, "TagResourceNotFound", "Resource " + many + " none could not be found."},
				{"alice", "DELETE", one + "/tags/b", "", 404, "TagNotFound", "Tag b could not be found."},
			} {
				r.refused(c)
			}
			if status, _ := r.do("bob", "PUT", one+"/tags/x", ""); status != 404 {
				t.Errorf("a stranger's tag = %d, want 404", status)
			}
		})
	}
	port := r.make("alice", "port", fmt.Sprintf(`"network_id": %q, "tags": ["x", "y"]`, network))
	if got := fmt.Sprint(port["tags"]); got != "[x y]" {
		t.Errorf("a new port's tags %s, want [x y]", got)
	}
	r.refused(refusal{"alice", "POST", "/networks", `{"network":{"tags":["a"]}}`, 400, "HTTPBadRequest", "Attribute 'tags' not allowed in POST"})
}
