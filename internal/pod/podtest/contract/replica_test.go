package contract

import (
	"slices"
	"strings"
	"testing"
)

// What Tricircle relies on to make flavors and key pairs the same in every pod.

const contractKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM+A7y+JsE1QcuLOITPpsD5/s+VJFPyqDx0PeCarcuqw contract"

// flavor makes a flavor and returns its ID; drop deletes it.
func (w *world) flavor(t *testing.T, with doc) (id string, drop func()) {
	t.Helper()
	name := "contract-" + random(8)
	in := doc{"name": name, "ram": 64, "vcpus": 1, "disk": 1, "id": name}
	for k, v := range with {
		in[k] = v
	}
	w.admin.compute(t, "POST", "/flavors", doc{"flavor": in}, latest).want(t, 200)
	return name, func() { w.admin.compute(t, "DELETE", "/flavors/"+name, nil) }
}

var flavorChangeChecks = []check{
	{"description", func(t *testing.T, w *world) {
		id, drop := w.flavor(t, doc{"description": "old"})
		defer drop()
		in := doc{"flavor": doc{"description": "new"}}
		w.admin.compute(t, "PUT", "/flavors/"+id, in, microversion("2.54")).want(t, 404)
		w.demo.compute(t, "PUT", "/flavors/"+id, in, latest).
			refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-flavor-manage:update to be performed.")
		r := w.admin.compute(t, "PUT", "/flavors/"+id, in, latest).want(t, 200)
		if r.text("flavor", "description") != "new" {
			t.Errorf("changed = %s", r.raw)
		}
		has(t, r.body["flavor"].(doc), "id", "name", "ram", "extra_specs", "links")
		r = w.admin.compute(t, "PUT", "/flavors/"+id, doc{"flavor": doc{"description": nil}}, latest).want(t, 200)
		if v, ok := r.body["flavor"].(doc)["description"]; !ok || v != nil {
			t.Errorf("without description = %s", r.raw)
		}
		w.admin.compute(t, "PUT", "/flavors/nosuch", in, latest).refuses(t, 404, "itemNotFound", "Flavor nosuch could not be found.")
	}},
	{"extra specs one by one", func(t *testing.T, w *world) {
		id, drop := w.flavor(t, nil)
		defer drop()
		path := "/flavors/" + id + "/os-extra_specs"
		w.admin.compute(t, "PUT", path+"/hw:cpu_policy", doc{"hw:cpu_policy": "shared"}).want(t, 200, "shared")
		w.admin.compute(t, "PUT", path+"/a", doc{"b": "c"}).refuses(t, 400, "badRequest", "Request body and URI mismatch")
		w.admin.compute(t, "POST", path, doc{"extra_specs": doc{"n": 7}}).want(t, 200)
		if got := w.admin.compute(t, "GET", path, nil).want(t, 200).text("extra_specs", "n"); got != "7" {
			t.Errorf("a number is kept as %q", got)
		}
		w.demo.compute(t, "DELETE", path+"/n", nil).
			refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-flavor-extra-specs:delete to be performed.")
		w.admin.compute(t, "DELETE", path+"/n", nil).want(t, 200)
		w.admin.compute(t, "DELETE", path+"/n", nil).refuses(t, 404, "itemNotFound", "Flavor "+id+" has no extra specs with key n.")
		f := w.demo.compute(t, "GET", "/flavors/"+id, nil, microversion("2.61")).want(t, 200)
		if specs, _ := f.at("flavor", "extra_specs").(doc); len(specs) != 1 || specs["hw:cpu_policy"] != "shared" {
			t.Errorf("extra specs = %v", specs)
		}
	}},
	{"access", func(t *testing.T, w *world) {
		id, drop := w.flavor(t, doc{"os-flavor-access:is_public": false})
		defer drop()
		path := "/flavors/" + id
		w.demo.compute(t, "GET", path, nil).refuses(t, 404, "itemNotFound", "Flavor "+id+" could not be found.")
		if got := w.admin.compute(t, "GET", path+"/os-flavor-access", nil).want(t, 200).docs("flavor_access"); len(got) != 0 {
			t.Errorf("access at first = %v", got)
		}
		add, remove := doc{"addTenantAccess": doc{"tenant": w.demo.project}}, doc{"removeTenantAccess": doc{"tenant": w.demo.project}}
		w.demo.compute(t, "POST", path+"/action", add).
			refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-flavor-access:add_tenant_access to be performed.")
		got := w.admin.compute(t, "POST", path+"/action", add).want(t, 200).docs("flavor_access")
		if len(got) != 1 || got[0]["tenant_id"] != w.demo.project || got[0]["flavor_id"] != id {
			t.Errorf("access = %v", got)
		}
		// Nova names the flavor by its number in the database here.
		w.admin.compute(t, "POST", path+"/action", add).want(t, 409, "Flavor access already exists for flavor ",
			" and project "+w.demo.project+" combination.", "conflictingRequest")
		w.demo.compute(t, "GET", path, nil).want(t, 200)
		if !slices.Contains(ids(w.demo.compute(t, "GET", "/flavors", nil).want(t, 200).docs("flavors"), "id"), id) {
			t.Error("its project does not list it")
		}
		w.alt.compute(t, "GET", path, nil).want(t, 404)
		w.admin.compute(t, "POST", path+"/action", remove).want(t, 200)
		w.admin.compute(t, "POST", path+"/action", remove).want(t, 404, "Flavor access not found for ", " / "+w.demo.project+" combination.", "itemNotFound")
		w.admin.compute(t, "POST", path+"/action", doc{"bogus": doc{}}).refuses(t, 400, "badRequest", "There is no such action: bogus")
	}},
	{"access of a public flavor", func(t *testing.T, w *world) {
		id, drop := w.flavor(t, nil)
		defer drop()
		w.admin.compute(t, "GET", "/flavors/"+id+"/os-flavor-access", nil).refuses(t, 404, "itemNotFound", "Access list not available for public flavors.")
		w.admin.compute(t, "POST", "/flavors/"+id+"/action", doc{"addTenantAccess": doc{"tenant": w.demo.project}}, latest).
			refuses(t, 409, "conflictingRequest", "Can not add access to a public flavor.")
	}},
	{"lists", func(t *testing.T, w *world) {
		small, drop := w.flavor(t, doc{"ram": 1})
		defer drop()
		hidden, drop := w.flavor(t, doc{"os-flavor-access:is_public": false, "ram": 70000, "vcpus": 9})
		defer drop()
		list := func(query string) string {
			return " " + strings.Join(ids(w.admin.compute(t, "GET", "/flavors?"+query, nil).want(t, 200).docs("flavors"), "id"), " ") + " "
		}
		for query, want := range map[string][2]bool{
			"": {true, false}, "is_public=None": {true, true}, "is_public=false": {false, true}, "is_public=None&minRam=70000": {false, true},
			"is_public=None&minDisk=2": {false, false},
		} {
			if got := list(query); strings.Contains(got, " "+small+" ") != want[0] || strings.Contains(got, " "+hidden+" ") != want[1] {
				t.Errorf("%q lists %s", query, got)
			}
		}
		if got := list("is_public=None&sort_key=memory_mb&sort_dir=desc"); strings.Index(got, hidden) > strings.Index(got, small) {
			t.Errorf("by memory, the largest first: %s", got)
		}
		w.admin.compute(t, "GET", "/flavors?minRam=x", nil).refuses(t, 400, "badRequest", "Invalid minRam filter [x]")
		w.admin.compute(t, "GET", "/flavors?is_public=x", nil).refuses(t, 400, "badRequest", "Invalid is_public filter [x]")
	}},
}

var keypairChecks = []check{
	{"of another user", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		in := doc{"keypair": doc{"name": name, "public_key": contractKey, "type": "ssh", "user_id": w.demo.userID}}
		w.alt.compute(t, "POST", "/os-keypairs", in, latest).refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-keypairs:create to be performed.")
		r := w.admin.compute(t, "POST", "/os-keypairs", in, microversion("2.35")).want(t, 201)
		if r.text("keypair", "user_id") != w.demo.userID {
			t.Errorf("made for %s", r.raw)
		}
		path, user := "/os-keypairs/"+name, "?user_id="+w.demo.userID
		w.demo.compute(t, "GET", path, nil).want(t, 200)
		w.admin.compute(t, "GET", path, nil, latest).refuses(t, 404, "itemNotFound", "Keypair "+name+" not found for user "+w.admin.userID)
		w.admin.compute(t, "GET", path+user, nil, latest).want(t, 200)
		w.alt.compute(t, "GET", path+user, nil, latest).refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-keypairs:show to be performed.")
		w.alt.compute(t, "DELETE", path+user, nil, latest).refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-keypairs:delete to be performed.")
		w.admin.compute(t, "DELETE", path+user, nil, microversion("2.35")).want(t, 204)
		w.demo.compute(t, "GET", path, nil).want(t, 404)
	}},
	{"made by the pod", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		one := w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{"name": name}}, microversion("2.10")).want(t, 201)
		w.demo.compute(t, "DELETE", "/os-keypairs/"+name, nil).want(t, 202)
		two := w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{"name": name}}, microversion("2.10")).want(t, 201)
		if one.text("keypair", "private_key") == "" || one.text("keypair", "public_key") == two.text("keypair", "public_key") {
			t.Errorf("made %s, then %s", one.raw, two.raw)
		}
		w.demo.compute(t, "DELETE", "/os-keypairs/"+name, nil).want(t, 202)
		w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{"name": name}}, latest).want(t, 400, "'public_key' is a required property")
	}},
	{"pages", func(t *testing.T, w *world) {
		prefix := "contract-" + random(8)
		for _, suffix := range []string{"a", "b", "c"} {
			in := doc{"keypair": doc{"name": prefix + suffix, "public_key": contractKey, "type": "ssh"}}
			w.alt.compute(t, "POST", "/os-keypairs", in, latest).want(t, 201)
			defer func() { w.alt.compute(t, "DELETE", "/os-keypairs/"+prefix+suffix, nil) }()
		}
		r := w.alt.compute(t, "GET", "/os-keypairs?limit=1&marker="+prefix+"a", nil, microversion("2.35")).want(t, 200)
		page := r.docs("keypairs")
		if len(page) != 1 || page[0]["keypair"].(doc)["name"] != prefix+"b" || len(r.docs("keypairs_links")) != 1 {
			t.Errorf("page after a = %s", r.raw)
		}
		r = w.alt.compute(t, "GET", "/os-keypairs?limit=1&marker="+prefix+"a", nil).want(t, 200)
		if len(r.docs("keypairs")) < 3 {
			t.Errorf("pages before 2.35: %s", r.raw)
		}
		w.alt.compute(t, "GET", "/os-keypairs?marker=nosuch", nil, latest).refuses(t, 400, "badRequest", "Marker nosuch could not be found.")
	}},
}
