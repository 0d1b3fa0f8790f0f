package contract

import (
	"net/http"
	"slices"
	"testing"
)

func subject(token string) http.Header { return http.Header{"X-Subject-Token": {token}} }

var identityChecks = []check{
	{"version document", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.authURL, nil, nil).want(t, 200)
		if r.text("version", "status") != "stable" || len(r.docs("version", "links")) == 0 {
			t.Errorf("GET /v3 = %s", r.raw)
		}
	}},
	{"wrong password is 401", func(t *testing.T, w *world) {
		r := w.demo.authenticate(t, "wrong", nil).want(t, 401, "The request you have made requires authentication.")
		if r.at("error", "code") != float64(401) || r.text("error", "title") != "Unauthorized" {
			t.Errorf("error = %s", r.raw)
		}
	}},
	{"no role in the project is 401", func(t *testing.T, w *world) {
		w.demo.authenticate(t, w.demo.password, doc{"project": doc{"name": "admin", "domain": doc{"id": "default"}}}).want(t, 401)
	}},
	{"unknown project is 401", func(t *testing.T, w *world) {
		w.demo.authenticate(t, w.demo.password, doc{"project": doc{"name": "nosuch", "domain": doc{"id": "default"}}}).want(t, 401)
	}},
	{"project by ID", func(t *testing.T, w *world) {
		r := w.demo.authenticate(t, w.demo.password, doc{"project": doc{"id": w.demo.project}}).want(t, 201)
		if r.text("token", "project", "id") != w.demo.project {
			t.Errorf("project = %v", r.at("token", "project"))
		}
	}},
	{"without a scope the default project", func(t *testing.T, w *world) {
		r := w.demo.authenticate(t, w.demo.password, nil).want(t, 201)
		if r.text("token", "project", "id") != w.demo.project {
			t.Errorf("project = %v", r.at("token", "project"))
		}
	}},
	{"unscoped", func(t *testing.T, w *world) {
		r := w.demo.authenticate(t, w.demo.password, "unscoped").want(t, 201)
		hasNot(t, r.body["token"].(doc), "project", "catalog", "roles")
	}},
	{"body without identity is 400", func(t *testing.T, w *world) {
		send(t, "POST", w.demo.authURL+"/auth/tokens", doc{"auth": doc{}}, nil).want(t, 400, "'identity' is a required property")
	}},
	{"validation shows user, project, roles, expiry", func(t *testing.T, w *world) {
		r := w.admin.identity(t, "GET", "/auth/tokens", nil, subject(w.demo.token)).want(t, 200)
		has(t, r.body["token"].(doc), "user", "project", "roles", "expires_at", "issued_at", "catalog", "methods", "audit_ids")
		if r.text("token", "user", "name") != "demo" || r.text("token", "project", "domain", "id") != "default" {
			t.Errorf("token = %s", r.raw)
		}
		if names := ids(r.docs("token", "roles"), "name"); !slices.Contains(names, "member") || !slices.Contains(names, "reader") {
			t.Errorf("roles = %v, want member and the reader that it implies", names)
		}
	}},
	{"validation without catalog", func(t *testing.T, w *world) {
		r := w.admin.identity(t, "GET", "/auth/tokens?nocatalog", nil, subject(w.demo.token)).want(t, 200)
		hasNot(t, r.body["token"].(doc), "catalog")
	}},
	{"validation of one's own token", func(t *testing.T, w *world) {
		w.demo.identity(t, "GET", "/auth/tokens", nil, subject(w.demo.token)).want(t, 200)
	}},
	{"validation of another's token is 403", func(t *testing.T, w *world) {
		w.demo.identity(t, "GET", "/auth/tokens", nil, subject(w.admin.token)).want(t, 403, "identity:validate_token")
	}},
	{"validation of nonsense is 404", func(t *testing.T, w *world) {
		w.admin.identity(t, "GET", "/auth/tokens", nil, subject("nonsense")).want(t, 404)
	}},
	{"validation with a bad token is 401", func(t *testing.T, w *world) {
		send(t, "GET", w.demo.authURL+"/auth/tokens", nil, http.Header{"X-Auth-Token": {"nonsense"}, "X-Subject-Token": {w.demo.token}}).want(t, 401)
	}},
	{"revoked tokens are known to nobody", func(t *testing.T, w *world) {
		r := w.demo.authenticate(t, w.demo.password, nil).want(t, 201)
		victim := *w.demo
		victim.token = r.header.Get("X-Subject-Token")
		victim.compute(t, "GET", "/servers", nil).want(t, 200)
		victim.identity(t, "DELETE", "/auth/tokens", nil, subject(victim.token)).want(t, 204)
		w.admin.identity(t, "GET", "/auth/tokens", nil, subject(victim.token)).want(t, 404)
		victim.identity(t, "GET", "/auth/tokens", nil, subject(victim.token)).want(t, 401)
	}},
	{"catalog has all services of the region", func(t *testing.T, w *world) {
		for _, service := range []string{"compute", "network", "volumev3", "image", "identity"} {
			if w.demo.endpoints[service] == "" {
				t.Errorf("no %s endpoint in region %s", service, w.demo.region)
			}
		}
	}},
	{"services, endpoints and users are for admins", func(t *testing.T, w *world) {
		for _, path := range []string{"/services", "/endpoints", "/users"} {
			w.demo.identity(t, "GET", path, nil).want(t, 403, "You are not authorized to perform the requested action")
			w.admin.identity(t, "GET", path, nil).want(t, 200)
		}
	}},
	{"regions and endpoints", func(t *testing.T, w *world) {
		region := "contract-" + random(6)
		w.admin.identity(t, "POST", "/regions", doc{"region": doc{"id": region}}).want(t, 201)
		w.admin.identity(t, "POST", "/regions", doc{"region": doc{"id": region}}).want(t, 409, "Duplicate ID, "+region)
		service := w.admin.identity(t, "GET", "/services?type=compute", nil).want(t, 200).docs("services")[0]["id"]
		in := doc{"endpoint": doc{"service_id": service, "interface": "public", "region_id": region, "url": "http://127.0.0.1:1/"}}
		id := w.admin.identity(t, "POST", "/endpoints", in).want(t, 201).text("endpoint", "id")
		w.admin.identity(t, "DELETE", "/regions/"+region, nil).want(t, 403, "associated endpoints")
		r := w.admin.identity(t, "PATCH", "/endpoints/"+id, doc{"endpoint": doc{"url": "http://127.0.0.1:2/"}}).want(t, 200)
		if r.text("endpoint", "url") != "http://127.0.0.1:2/" || r.text("endpoint", "region") != region {
			t.Errorf("endpoint = %s", r.raw)
		}
		if list := w.admin.identity(t, "GET", "/endpoints?interface=public&region_id="+region, nil).want(t, 200).docs("endpoints"); len(list) != 1 {
			t.Errorf("endpoints of the region = %v", list)
		}
		w.admin.identity(t, "DELETE", "/endpoints/"+id, nil).want(t, 204)
		w.admin.identity(t, "DELETE", "/regions/"+region, nil).want(t, 204)
		w.admin.identity(t, "GET", "/regions/"+region, nil).want(t, 404, "Could not find region: "+region+".")
	}},
	{"projects by name", func(t *testing.T, w *world) {
		list := w.admin.identity(t, "GET", "/projects?name=demo", nil).want(t, 200).docs("projects")
		if len(list) != 1 || list[0]["id"] != w.demo.project {
			t.Errorf("projects named demo = %v", list)
		}
	}},
	{"one's own projects", func(t *testing.T, w *world) {
		list := w.demo.identity(t, "GET", "/auth/projects", nil).want(t, 200).docs("projects")
		if !slices.Contains(ids(list, "id"), w.demo.project) {
			t.Errorf("own projects = %v", list)
		}
	}},
	{"role assignments with names", func(t *testing.T, w *world) {
		r := w.admin.identity(t, "GET", "/role_assignments?include_names&user.id="+w.demo.userID, nil).want(t, 200)
		for _, a := range r.docs("role_assignments") {
			if a["role"].(doc)["name"] == "member" && a["user"].(doc)["name"] == "demo" {
				return
			}
		}
		t.Errorf("demo is no member anywhere: %s", r.raw)
	}},
}
