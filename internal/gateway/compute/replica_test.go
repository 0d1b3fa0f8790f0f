package compute_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/nova"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

// in speaks to a pod itself, past the region, as its operator does.
func (c *client) in(w *world, podName string) *client {
	past := *w.region
	past.url = w.cloud.Pod(podName).URL(podtest.Compute)
	d := *c
	d.region = &past
	return &d
}

func flavor(fields m) m {
	f := m{"id": "f", "name": "f", "ram": 64, "vcpus": 1, "disk": 1}
	for k, v := range fields {
		f[k] = v
	}
	return m{"flavor": f}
}

// shows waits until the pod has the flavor as wanted: path to value.
func (w *world) shows(t *testing.T, podName, path string, want m) {
	t.Helper()
	var got reply
	eventually(t, podName+" has "+path, func() bool {
		got = w.as("admin").in(w, podName).do("GET", path, nil)
		for p, v := range want {
			if got.get(p).Value() != v {
				return false
			}
		}
		return got.status == 200
	}, func() string { return string(got.body) })
}

// TestFlavorWhileAPodIsAway: everything that can be done with a flavor is done
// while pod2 is away, and it is there when the pod is back.
func TestFlavorWhileAPodIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin, demo := w.as("admin"), w.as("demo")
	w.cloud.Pod("pod2").Down()
	made := admin.do("POST", "/flavors", flavor(m{"os-flavor-access:is_public": false, "description": "old", "swap": 5, "rxtx_factor": 2.5}))
	if got := made.want(t, 200).header.Get("X-Tricircle-Unreachable-Pods"); got != "pod2" {
		t.Errorf("unreachable pods = %q, want pod2", got)
	}
	admin.do("PUT", "/flavors/f", m{"flavor": m{"description": "new"}}).want(t, 200)
	admin.do("POST", "/flavors/f/os-extra_specs", m{"extra_specs": m{"hw:a": "1", "hw:b": 2}}).want(t, 200)
	admin.do("PUT", "/flavors/f/os-extra_specs/hw:c", m{"hw:c": "3"}).want(t, 200)
	admin.do("DELETE", "/flavors/f/os-extra_specs/hw:a", nil).want(t, 200)
	demo.do("GET", "/flavors/f", nil).want(t, 404)
	admin.do("POST", "/flavors/f/action", m{"addTenantAccess": m{"tenant": demo.project}}).want(t, 200)
	demo.do("GET", "/flavors/f", nil).want(t, 200)
	w.cloud.Pod("pod2").Up()
	w.shows(t, "pod2", "/flavors/f", m{"flavor.description": "new", "flavor.swap": 5.0})
	w.shows(t, "pod2", "/flavors/f/os-extra_specs", m{"extra_specs.hw:b": "2", "extra_specs.hw:c": "3"})
	w.shows(t, "pod2", "/flavors/f/os-flavor-access", m{"flavor_access.0.tenant_id": demo.project})
	if got := demo.in(w, "pod2").do("GET", "/flavors/f/os-extra_specs", nil).get(`extra_specs.hw:a`); got.Exists() {
		t.Error("pod2 has the extra spec that was unset")
	}

	w.cloud.Pod("pod2").Down()
	admin.do("POST", "/flavors/f/action", m{"removeTenantAccess": m{"tenant": demo.project}}).want(t, 200)
	admin.do("DELETE", "/flavors/f", nil).want(t, 202)
	admin.do("DELETE", "/flavors/f", nil).want(t, 404)
	w.cloud.Pod("pod2").Up()
	eventually(t, "pod2 answers", func() bool { return demo.do("GET", "/flavors", nil).header.Get("X-Tricircle-Unreachable-Pods") == "" })
	if got := admin.do("GET", "/flavors?is_public=None", nil).want(t, 200); strings.Contains(string(got.body), `"f"`) {
		t.Errorf("a flavor that was deleted is listed: %s", got.body)
	}
	admin.do("GET", "/flavors/f", nil).want(t, 404)
	w.clean(t)
	if _, err := w.store.FindReplica(t.Context(), store.KindFlavor, "f"); err == nil {
		t.Error("the record of a flavor that is gone everywhere is left")
	}
}

// TestFlavorMadeAnewWhileAPodIsAway: the pod that missed deletion and creation
// gets the new one in the place of the old.
func TestFlavorMadeAnewWhileAPodIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	admin.do("POST", "/flavors", flavor(nil)).want(t, 200)
	w.shows(t, "pod2", "/flavors/f", m{"flavor.vcpus": 1.0})
	w.cloud.Pod("pod2").Down()
	admin.do("DELETE", "/flavors/f", nil).want(t, 202)
	admin.do("POST", "/flavors", flavor(m{"vcpus": 8})).want(t, 200)
	admin.do("POST", "/flavors/f/os-extra_specs", m{"extra_specs": m{"a": "b"}}).want(t, 200)
	w.cloud.Pod("pod2").Up()
	w.shows(t, "pod2", "/flavors/f", m{"flavor.vcpus": 8.0})
	w.shows(t, "pod2", "/flavors/f/os-extra_specs", m{"extra_specs.a": "b"})
	admin.do("DELETE", "/flavors/f", nil).want(t, 202)
	w.clean(t)
}

// TestFlavorOfTheOperators: what pods had before is changed where it is, and
// converges where a pod was away.
func TestFlavorOfTheOperators(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	for _, p := range w.cloud.Pods() {
		p.AddFlavor(nova.Flavor{ID: "both", Name: "both", RAM: 64, VCPUs: 1, Disk: 1})
	}
	w.cloud.Pod("pod1").AddFlavor(nova.Flavor{ID: "gpu", Name: "gpu", RAM: 64, VCPUs: 1, Disk: 1})
	w.cloud.Pod("pod2").Down()
	admin.do("POST", "/flavors/both/os-extra_specs", m{"extra_specs": m{"a": "b"}}).want(t, 200)
	admin.do("PUT", "/flavors/gpu", m{"flavor": m{"description": "fast"}}).want(t, 200)
	w.cloud.Pod("pod2").Up()
	w.shows(t, "pod2", "/flavors/both/os-extra_specs", m{"extra_specs.a": "b"})
	eventually(t, "nothing is left to do", func() bool { return w.idle(t) })
	w.shows(t, "pod1", "/flavors/gpu", m{"flavor.description": "fast"})
	admin.in(w, "pod2").do("GET", "/flavors/gpu", nil).want(t, 404) // a change does not spread it
	admin.do("DELETE", "/flavors/gpu", nil).want(t, 202)
	admin.do("GET", "/flavors/gpu", nil).want(t, 404)
	admin.do("DELETE", "/flavors/nosuch", nil).want(t, 404)
}

// TestFlavorChangedInAPod: what an operator changes in a pod stays, whatever the
// region changes beside it.
func TestFlavorChangedInAPod(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	admin.do("POST", "/flavors", flavor(nil)).want(t, 200)
	admin.do("POST", "/flavors/f/os-extra_specs", m{"extra_specs": m{"a": "1", "b": "1"}}).want(t, 200)
	admin.in(w, "pod2").do("POST", "/flavors/f/os-extra_specs", m{"extra_specs": m{"a": "2", "own": "x"}}).want(t, 200)
	admin.do("PUT", "/flavors/f", m{"flavor": m{"description": "new"}}).want(t, 200)
	admin.do("DELETE", "/flavors/f/os-extra_specs/b", nil).want(t, 200)
	w.shows(t, "pod2", "/flavors/f", m{"flavor.description": "new"})
	if got := admin.in(w, "pod2").do("GET", "/flavors/f/os-extra_specs", nil).get("extra_specs").Raw; got != `{"a":"2","own":"x"}` {
		t.Errorf("extra specs in pod2 = %s", got)
	}
	// But to change the very same everywhere is what was asked.
	admin.do("PUT", "/flavors/f/os-extra_specs/a", m{"a": "3"}).want(t, 200)
	w.shows(t, "pod2", "/flavors/f/os-extra_specs", m{"extra_specs.a": "3", "extra_specs.own": "x"})
	admin.do("DELETE", "/flavors/f", nil).want(t, 202)
	w.clean(t)
}

// TestFlavorNameTaken holds Nova's words, and the pod's name where only one has
// what is in the way.
func TestFlavorNameTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	w.cloud.Pod("pod2").AddFlavor(nova.Flavor{ID: "9", Name: "special", RAM: 64, VCPUs: 1, Disk: 1, Private: true})
	for _, tt := range []struct {
		fields m
		want   string
	}{
		{m{"id": "1"}, "Flavor with ID 1 already exists."},
		{m{"name": "m1.tiny"}, "Flavor with name m1.tiny already exists."},
		{m{"id": "9"}, "pod pod2: Flavor with ID 9 already exists."},
		{m{"name": "special"}, "pod pod2: Flavor with name special already exists."},
	} {
		if got := admin.do("POST", "/flavors", flavor(tt.fields)); got.status != 409 || got.message() != tt.want {
			t.Errorf("%v: %d %s, want 409 %s", tt.fields, got.status, got.body, tt.want)
		}
	}
	for _, tt := range []struct {
		method, path string
		body         any
		status       int
		want         string
	}{
		{"PUT", "/flavors/1", m{"flavor": m{}}, 400, "'description' is a required property"},
		{"DELETE", "/flavors/zz", nil, 404, "Flavor zz could not be found."},
		{"POST", "/flavors/1/action", m{"bogus": m{}}, 400, "There is no such action: bogus"},
		{"POST", "/flavors/1/action", m{"addTenantAccess": m{"tenant": "x"}}, 409, "Can not add access to a public flavor."},
		{"DELETE", "/flavors/1/os-extra_specs/zz", nil, 404, "Flavor 1 has no extra specs with key zz."},
		{"PUT", "/flavors/1/os-extra_specs/a", m{"b": "c"}, 400, "Request body and URI mismatch"},
		{"GET", "/flavors/1/os-flavor-access", nil, 404, "Access list not available for public flavors."},
	} {
		if got := admin.do(tt.method, tt.path, tt.body); got.status != tt.status || !strings.HasSuffix(got.message(), tt.want) || strings.HasPrefix(got.message(), "pod ") {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.path, got.status, got.body, tt.status, tt.want)
		}
	}
	w.as("demo").do("POST", "/flavors/1/action", m{"addTenantAccess": m{"tenant": "x"}}).want(t, 403)
	w.as("demo").do("DELETE", "/flavors/1", nil).want(t, 403)
	eventually(t, "nothing is left to do", func() bool { return w.idle(t) })
}

// TestFlavorAfterACrash: the process died between the pod's answer and the record.
func TestFlavorAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	try := func(act store.Act, content []byte) {
		t.Helper()
		must(t, w.store.TryReplica(t.Context(), store.KindFlavor, "f", "f", store.Attempt{Pod: "pod1", Act: act, Content: content}))
	}
	try(store.ActCreate, nil)
	admin.in(w, "pod1").do("POST", "/flavors", flavor(nil)).want(t, 200)
	w.shows(t, "pod2", "/flavors/f", m{"flavor.vcpus": 1.0})

	rep, err := w.store.FindReplica(t.Context(), store.KindFlavor, "f")
	must(t, err)
	text := "new"
	f := plan.Flavor{ID: "f", Name: "f", RAM: 64, VCPUs: 1, Disk: 1, RxTx: 1, Public: true, Description: &text, ExtraSpecs: map[string]string{}}
	if rep.Attempt != nil {
		t.Errorf("the attempt is left: %+v", rep.Attempt)
	}
	try(store.ActChange, f.Content())
	admin.in(w, "pod1").do("PUT", "/flavors/f", m{"flavor": m{"description": "new"}}).want(t, 200)
	w.shows(t, "pod2", "/flavors/f", m{"flavor.description": "new"})

	try(store.ActDelete, nil)
	admin.in(w, "pod1").do("DELETE", "/flavors/f", nil).want(t, 202)
	w.clean(t)

	try(store.ActCreate, nil) // and the pod was never asked
	eventually(t, "the attempt is given up", func() bool {
		_, err := w.store.FindReplica(t.Context(), store.KindFlavor, "f")
		return err != nil
	})
	w.clean(t)
}

// TestFlavorReplyLost: the pod made it but did not say so; another pod's word is
// as good.
func TestFlavorReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: "/flavors$", Times: 1, DropReply: true})
	admin.do("POST", "/flavors", flavor(nil)).want(t, 200)
	for _, p := range []string{"pod1", "pod2"} {
		w.shows(t, p, "/flavors/f", m{"flavor.id": "f"})
	}
	admin.do("DELETE", "/flavors/f", nil).want(t, 202)
	w.clean(t)
}

// TestKeypairWhileAPodIsAway: a key pair that one pod made is the same in the pod
// that was away.
func TestKeypairWhileAPodIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, admin := w.as("demo").at("2.35"), w.as("admin")
	w.cloud.Pod("pod1").Down()
	made := demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "my key"}}).want(t, 201)
	if made.get("keypair.private_key").Str == "" || made.header.Get("X-Tricircle-Unreachable-Pods") != "pod1" {
		t.Errorf("made %s without %q", made.body, made.header.Get("X-Tricircle-Unreachable-Pods"))
	}
	w.cloud.Pod("pod1").Up()
	path := "/os-keypairs/my%20key?user_id=" + made.get("keypair.user_id").Str
	w.shows(t, "pod1", path, m{"keypair.public_key": made.get("keypair.public_key").Str})

	w.cloud.Pod("pod2").Down()
	admin.do("DELETE", path, nil).want(t, 204)
	demo.do("DELETE", "/os-keypairs/my%20key", nil).want(t, 404)
	demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "my key", "public_key": publicKey}}).want(t, 201)
	w.cloud.Pod("pod2").Up()
	w.shows(t, "pod2", path, m{"keypair.public_key": publicKey})
	demo.do("DELETE", "/os-keypairs/my%20key", nil).want(t, 204)
	w.clean(t)
}

// TestKeypairReplyLost: nobody has the private key, so that no other pod is asked;
// the key pair turns up all the same.
func TestKeypairReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo").at("2.35")
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: "/os-keypairs$", Times: 1, DropReply: true})
	if got := demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "k"}}); got.status != 503 || !strings.Contains(got.message(), "being found out") {
		t.Errorf("lost reply: %d %s", got.status, got.body)
	}
	eventually(t, "both pods have the key", func() bool {
		inv := w.inventory()
		return len(inv["pod1"]["keypair"]) == 1 && len(inv["pod2"]["keypair"]) == 1
	})
	one, two := demo.in(w, "pod1").do("GET", "/os-keypairs/k", nil), demo.in(w, "pod2").do("GET", "/os-keypairs/k", nil)
	if one.get("keypair.public_key").Str != two.get("keypair.public_key").Str {
		t.Errorf("pod1 has %s, pod2 %s", one.body, two.body)
	}
	demo.do("DELETE", "/os-keypairs/k", nil).want(t, 204)
	w.clean(t)
}

// TestKeypairOfAnotherUser: admins act for users, users not for each other.
func TestKeypairOfAnotherUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt, admin := w.as("demo"), w.as("alt"), w.as("admin")
	user := demo.do("POST", "/os-keypairs", m{"keypair": m{"name": "own", "public_key": publicKey}}).want(t, 201).get("keypair.user_id").Str
	admin.do("POST", "/os-keypairs", m{"keypair": m{"name": "given", "public_key": publicKey, "user_id": user}}).want(t, 201)
	if got := demo.do("GET", "/os-keypairs", nil).get("keypairs.#.keypair.name").Raw; got != `["given","own"]` {
		t.Errorf("demo has %s", got)
	}
	if got := admin.do("GET", "/os-keypairs?limit=1&marker=given&user_id="+user, nil).get("keypairs.#.keypair.name").Raw; got != `["own"]` {
		t.Errorf("admin sees %s", got)
	}
	for _, tt := range []struct{ method, path string }{
		{"GET", "/os-keypairs/own?user_id=" + user}, {"DELETE", "/os-keypairs/own?user_id=" + user}, {"GET", "/os-keypairs?user_id=" + user},
	} {
		if got := alt.do(tt.method, tt.path, nil); got.status != 403 {
			t.Errorf("alt: %s %s: %d %s, want 403", tt.method, tt.path, got.status, got.body)
		}
	}
	alt.do("POST", "/os-keypairs", m{"keypair": m{"name": "own", "public_key": publicKey, "user_id": user}}).want(t, 403)
	admin.do("DELETE", "/os-keypairs/own", nil).want(t, 404) // his own, of which there is none
	for _, name := range []string{"own", "given"} {
		admin.do("DELETE", "/os-keypairs/"+name+"?user_id="+user, nil).want(t, 204)
	}
	w.clean(t)
}

// TestFlavorLists: filters, order and pages over what several pods have, and the
// first pod's content where they differ.
func TestFlavorLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	for i, p := range w.cloud.Pods() {
		p.AddFlavor(nova.Flavor{ID: "same", Name: "same", RAM: 1000 + i, VCPUs: 1, Disk: 5})
	}
	w.cloud.Pod("pod2").AddFlavor(nova.Flavor{ID: "hidden", Name: "hidden", RAM: 700, VCPUs: 1, Disk: 5, Private: true})
	for query, want := range map[string]string{
		"minRam=500": `["2","same"]`, "minDisk=5": `["same"]`, "is_public=None&minRam=500": `["2","hidden","same"]`, "is_public=False": `["hidden"]`,
		"sort_key=memory_mb&sort_dir=desc&limit=2": `["same","2"]`, "sort_key=memory_mb&marker=2": `["same"]`,
		// Nova takes a flavor that is not in the list for a marker too.
		"marker=hidden": `["same"]`, "sort_key=memory_mb&sort_dir=desc&marker=hidden": `["2","1"]`,
	} {
		if got := admin.do("GET", "/flavors?"+query, nil).want(t, 200).get("flavors.#.id").Raw; got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	detail := admin.do("GET", "/flavors/detail", nil).want(t, 200)
	if got := detail.get(`flavors.#(id=="same").ram`).Int(); got != 1000 {
		t.Errorf("where pods differ the list shows %d, want the first pod's 1000", got)
	}
	if got := admin.do("GET", "/flavors/same", nil).want(t, 200).get("flavor.ram").Int(); got != 1000 {
		t.Errorf("where pods differ it is shown with %d, want the first pod's 1000", got)
	}
	if got := admin.do("GET", "/flavors?minRam=x", nil); got.status != 400 || got.message() != "Invalid minRam filter [x]" {
		t.Errorf("bad filter: %d %s", got.status, got.body)
	}
	for version, want := range map[string][3]bool{"2.54": {}, "2.55": {true, false, false}, "2.61": {true, true, false}, "2.75": {true, true, true}} {
		got := admin.at(version).do("GET", "/flavors/detail", nil).want(t, 200).get("flavors.0")
		if has := [3]bool{got.Get("description").Exists(), got.Get("extra_specs").Exists(), got.Get("swap").Type == gjson.Number}; has != want {
			t.Errorf("%s: description, extra specs, swap as a number: %v, want %v", version, has, want)
		}
	}
}

// TestKeypairOfBefore: a key pair that one pod had before there was a region goes
// where a server needs it, and is deleted as any other.
func TestKeypairOfBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	for _, name := range []string{"used", "unused"} {
		demo.in(w, "pod1").do("POST", "/os-keypairs", m{"keypair": m{"name": name, "public_key": publicKey, "type": "ssh"}}).want(t, 201)
	}
	demo.remove(t, demo.boot("az2", m{"key_name": "used"}))
	demo.in(w, "pod2").do("GET", "/os-keypairs/used", nil).want(t, 200)
	// Its operator deletes it in the pod: it is brought again.
	demo.in(w, "pod2").do("DELETE", "/os-keypairs/used", nil).want(t, 204)
	demo.remove(t, demo.boot("az2", m{"key_name": "used"}))
	w.cloud.Pod("pod2").ResetCalls()
	for _, name := range []string{"used", "unused"} {
		demo.do("DELETE", "/os-keypairs/"+name, nil).want(t, 204)
	}
	for _, call := range w.cloud.Pod("pod2").Calls() {
		if call.Method == "POST" {
			t.Errorf("deletion made a request %v", call)
		}
	}
	w.clean(t)
}

// TestMadeButOutOfSight: what only pods have that are away is not absent.
func TestMadeButOutOfSight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	defer w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: "/flavors$", Status: 503})()
	admin.do("POST", "/flavors", flavor(nil)).want(t, 200)
	w.cloud.Pod("pod1").Down()
	if got := admin.do("GET", "/flavors/f", nil); got.status != 503 || !strings.Contains(got.message(), "pod1") {
		t.Errorf("made in pod1, which is away: %d %s, want 503", got.status, got.body)
	}
	admin.do("GET", "/flavors/nosuch", nil).want(t, 404)
}
