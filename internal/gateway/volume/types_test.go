package volume_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

const (
	get   = http.MethodGet
	post  = http.MethodPost
	put   = http.MethodPut
	erase = http.MethodDelete
)

// named finds a row by name.
func named(rows gjson.Result, name string) gjson.Result {
	for _, row := range rows.Array() {
		if row.Get("name").Str == name {
			return row
		}
	}
	return gjson.Result{}
}

// typeIn is what a pod has under the name, without its ID and the pod's IDs in it.
func (w *region) typeIn(podName, name string) map[string]string {
	w.t.Helper()
	row := named(w.in(podName, get, "/types?is_public=None", "").want(w.t, 200).get("volume_types"), name)
	if !row.Exists() {
		return nil
	}
	id := row.Get("id").Str
	out := map[string]string{"public": row.Get("is_public").Raw, "description": row.Get("description").Raw, "specs": row.Get("extra_specs").Raw}
	out["encryption"] = w.in(podName, get, "/types/"+id+"/encryption", "").get("provider").Str
	for _, p := range w.in(podName, get, "/types/"+id+"/os-volume-type-access", "").get("volume_type_access.#.project_id").Array() {
		out["access"] += p.Str + " "
	}
	if qos := row.Get("qos_specs_id").Str; qos != "" {
		out["qos"] = w.in(podName, get, "/qos-specs/"+qos, "").get("qos_specs.name").Str
	}
	return out
}

func (w *region) settled() bool {
	w.t.Helper()
	pending, err := w.store.ListMappings(w.t.Context(), store.MappingQuery{Pending: true})
	must(w.t, err)
	return len(pending) == 0
}

func (w *region) makeType(name, more string) (id string) {
	w.t.Helper()
	return w.do(post, "/types", fmt.Sprintf(`{"volume_type": {"name": %q%s}}`, name, more)).want(w.t, 200).get("volume_type.id").Str
}

// TestTypesThatPodsHad go by one ID, also in what the pods say of volumes.
func TestTypesThatPodsHad(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRegion(t, s, "pod1", "pod2")
		list := w.do(get, "/types", "").want(t, 200).get("volume_types")
		if n := len(list.Array()); n != 2 {
			t.Fatalf("%d types, want fake and __DEFAULT__ once: %s", n, list.Raw)
		}
		id := named(list, "fake").Get("id").Str
		own := func(p string) string {
			return named(w.in(p, get, "/types", "").get("volume_types"), "fake").Get("id").Str
		}
		if id != own("pod1") && id != own("pod2") {
			t.Errorf("the region's ID is %s, want that of a pod", id)
		}
		w.do(get, "/types/"+id, "").want(t, 200)
		for _, zone := range []string{"az1", "az2"} {
			made := w.do(post, "/volumes", `{"volume": {"size": 1, "volume_type": "`+id+`", "availability_zone": "`+zone+`"}}`).want(t, 202)
			if got := made.get("volume.volume_type_id").Str; got != id {
				t.Errorf("in %s the type is %s, want %s", zone, got, id)
			}
			shown := w.do(get, "/volumes/"+made.get("volume.id").Str, "").want(t, 200)
			if got := shown.get("volume.volume_type_id").Str; got != id {
				t.Errorf("shown in %s the type is %s, want %s", zone, got, id)
			}
		}
		if n := len(w.do(get, "/volumes/detail?volume_type_id="+id, "").want(t, 200).get("volumes").Array()); n != 2 {
			t.Errorf("%d volumes of the type, want 2", n)
		}
		w.do(put, "/types/"+id, `{"volume_type": {"description": "for all"}}`).want(t, 200)
		for _, p := range []string{"pod1", "pod2"} {
			if got := w.typeIn(p, "fake")["description"]; got != `"for all"` {
				t.Errorf("%s has the description %s", p, got)
			}
		}
	})
}

// TestTypeIsTheSameInEveryPod makes one with all that belongs to it.
func TestTypeIsTheSameInEveryPod(t *testing.T) {
	t.Parallel()
	w := newRegion(t, storetest.New(t), "pod1", "pod2")
	id := w.makeType("gold", `, "description": "d", "extra_specs": {"a": "1"}, "os-volume-type-access:is_public": false`)
	at := "/types/" + id
	if got := w.do(get, at, "").want(t, 200).get("volume_type.id").Str; got != id {
		t.Errorf("the type shows the ID %s, want %s", got, id)
	}
	w.do(post, "/types", `{"volume_type": {"name": "gold"}}`).want(t, 409)
	w.do(post, at+"/extra_specs", `{"extra_specs": {"b": "2", "c": "3"}}`).want(t, 200)
	w.do(put, at+"/extra_specs/b", `{"b": "4"}`).want(t, 200)
	w.do(erase, at+"/extra_specs/c", "").want(t, 202)
	w.do(erase, at+"/extra_specs/c", "").want(t, 404)
	project := w.cloud.ProjectID("demo")
	w.do(post, at+"/action", `{"addProjectAccess": {"project": "`+project+`"}}`).want(t, 202)
	w.do(post, at+"/action", `{"addProjectAccess": {"project": "`+project+`"}}`).want(t, 409)
	w.do(post, at+"/action", `{"nothing": {}}`).want(t, 400)
	w.do(post, at+"/encryption", `{"encryption": {"provider": "luks", "control_location": "front-end", "key_size": 256}}`).want(t, 200)
	w.do(put, at+"/encryption/provider", `{"encryption": {"provider": "plain"}}`).want(t, 200)
	qos := w.do(post, "/qos-specs", `{"qos_specs": {"name": "fast", "consumer": "both", "iops": "9"}}`).want(t, 200).get("qos_specs.id").Str
	w.do(get, "/qos-specs/"+qos+"/associate?vol_type_id="+id, "").want(t, 202)
	w.do(erase, "/qos-specs/"+qos, "").want(t, 400)
	if got := w.do(get, "/qos-specs/"+qos+"/associations", "").want(t, 200).get("qos_associations.0.id").Str; got != id {
		t.Errorf("associated with %s, want %s", got, id)
	}
	if got := w.do(get, at, "").want(t, 200).get("volume_type.qos_specs_id").Str; got != qos {
		t.Errorf("the type's QoS specs are %s, want %s", got, qos)
	}
	if got := w.do(get, at+"/os-volume-type-access", "").want(t, 200).get("volume_type_access.0.volume_type_id").Str; got != id {
		t.Errorf("the access is to %s, want %s", got, id)
	}
	want := map[string]string{"public": "false", "description": `"d"`, "specs": `{"a":"1","b":"4"}`, "encryption": "plain", "access": project + " ", "qos": "fast"}
	for _, p := range []string{"pod1", "pod2"} {
		got := w.typeIn(p, "gold")
		got["specs"] = gjson.Get(got["specs"], "@ugly").Raw
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in %s (-want +got):\n%s", p, diff)
		}
	}
	// Members see it where they may.
	if rows := w.ask("demo", w.url, get, "/types", "").want(t, 200).get("volume_types"); !named(rows, "gold").Exists() || named(rows, "gold").Get("qos_specs_id").Exists() {
		t.Errorf("demo sees %s", rows.Raw)
	}
	if rows := w.ask("alt", w.url, get, "/types", "").want(t, 200).get("volume_types"); named(rows, "gold").Exists() {
		t.Errorf("alt sees %s", rows.Raw)
	}
	w.ask("demo", w.url, erase, at, "").want(t, 403)

	w.do(get, "/qos-specs/"+qos+"/disassociate_all", "").want(t, 202)
	w.do(erase, "/qos-specs/"+qos, "").want(t, 202)
	w.do(put, at, `{"volume_type": {"name": "silver", "is_public": true}}`).want(t, 200)
	w.do(put, at, `{"volume_type": {"name": "fake"}}`).want(t, 409)
	w.do(put, at, `{"volume_type": {}}`).want(t, 400)
	w.do(erase, at+"/encryption/provider", "").want(t, 202)
	w.do(erase, at, "").want(t, 202)
	w.do(get, at, "").want(t, 404)
	for _, p := range []string{"pod1", "pod2"} {
		if w.typeIn(p, "gold") != nil || w.typeIn(p, "silver") != nil || len(w.in(p, get, "/qos-specs", "").get("qos_specs").Array()) > 0 {
			t.Errorf("%s still has the type or the QoS specs", p)
		}
	}
}

// TestTypeReachesAPodThatWasAway, and goes from one.
func TestTypeReachesAPodThatWasAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newRegion(t, s, "pod1", "pod2")
		w.do(get, "/types", "").want(t, 200)
		w.cloud.Pod("pod1").Down()
		made := w.do(post, "/types", `{"volume_type": {"name": "gold"}}`).want(t, 200)
		id := made.get("volume_type.id").Str
		w.do(post, "/types/"+id+"/extra_specs", `{"extra_specs": {"b": "2"}}`).want(t, 200)
		if named(w.do(get, "/types", "").want(t, 200).get("volume_types"), "gold").Get("id").Str != id {
			t.Error("the type is not listed under its ID")
		}
		w.cloud.Pod("pod1").Up()
		w.eventually("pod1 has the type", func() bool {
			return w.typeIn("pod1", "gold") != nil && gjson.Get(w.typeIn("pod1", "gold")["specs"], "b").Str == "2"
		})
		w.eventually("all is settled", w.settled)

		w.cloud.Pod("pod2").Down()
		w.do(erase, "/types/"+id, "").want(t, 202)
		w.cloud.Pod("pod2").Up()
		w.do(get, "/types/"+id, "").want(t, 404)
		if named(w.do(get, "/types", "").want(t, 200).get("volume_types"), "gold").Exists() {
			t.Error("the deleted type is listed")
		}
		again := w.do(post, "/types", `{"volume_type": {"name": "gold"}}`)
		w.eventually("the old one has left pod2, and the new one is there", func() bool {
			if again.status != 200 {
				again = w.do(post, "/types", `{"volume_type": {"name": "gold"}}`)
			}
			return again.status == 200 && w.settled() && w.typeIn("pod2", "gold") != nil
		})
	})
}

// TestTypeIsMadeOnce, whatever is lost on the way.
func TestTypeIsMadeOnce(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]podtest.Fault{
		"reply lost in both": {DropReply: true},
		"request lost":       {DropRequest: true},
		"reply in one":       {DropReply: true, Times: 1},
	} {
		for _, path := range []string{"types", "group_types", "qos-specs"} {
			t.Run(name+" "+path, func(t *testing.T) {
				t.Parallel()
				w := newRegion(t, storetest.New(t), "pod1", "pod2")
				w.do(get, "/"+path, "").want(t, 200)
				f.Service, f.Method, f.Path = podtest.Volume, post, "/"+path+"$"
				if f.Times == 0 {
					f.Times = 1
					w.cloud.Pod("pod2").Fault(f)
				}
				w.cloud.Pod("pod1").Fault(f)
				member := map[string]string{"types": "volume_type", "group_types": "group_type", "qos-specs": "qos_specs"}[path]
				w.do(post, "/"+path, `{"`+member+`": {"name": "gold"}}`)
				count := func(p string) int {
					rows := w.in(p, get, "/"+path, "").want(t, 200).get("*").Array()
					return len(slices.DeleteFunc(rows, func(r gjson.Result) bool { return r.Get("name").Str != "gold" }))
				}
				w.eventually("all is settled", func() bool { return w.settled() && count("pod1") == count("pod2") })
				if n := count("pod1"); n > 1 {
					t.Errorf("%d of them, want 1", n)
				}
			})
		}
	}
}

// TestTypeInUseElsewhere: what a pod would refuse for its volumes is refused, though
// the first pod has none.
func TestTypeInUseElsewhere(t *testing.T) {
	t.Parallel()
	w := newRegion(t, storetest.New(t), "pod1", "pod2")
	id := w.makeType("gold", "")
	made := w.do(post, "/volumes", `{"volume": {"size": 1, "volume_type": "gold", "availability_zone": "az2"}}`).want(t, 202).get("volume.id").Str
	w.do(erase, "/types/"+id, "").want(t, 400)
	w.do(post, "/types/"+id+"/extra_specs", `{"extra_specs": {"b": "2"}}`).want(t, 400)
	w.do(post, "/types/"+id+"/encryption", `{"encryption": {"provider": "luks", "control_location": "front-end"}}`).want(t, 400)
	if w.typeIn("pod1", "gold") == nil {
		t.Error("pod1 has deleted it")
	}
	w.do(erase, "/volumes/"+made, "").want(t, 202)
	w.do(erase, "/types/"+id, "").want(t, 202)
}

// TestNewPodGetsTypes: those that the region made, with what they need; and its own
// go by the region's IDs.
func TestNewPodGetsTypes(t *testing.T) {
	t.Parallel()
	w := newRegion(t, storetest.New(t), "pod1")
	id := w.makeType("gold", "")
	qos := w.do(post, "/qos-specs", `{"qos_specs": {"name": "fast", "iops": "9"}}`).want(t, 200).get("qos_specs.id").Str
	w.do(get, "/qos-specs/"+qos+"/associate?vol_type_id="+id, "").want(t, 202)
	w.do(post, "/group_types", `{"group_type": {"name": "g", "group_specs": {"a": "1"}}}`).want(t, 202)
	project := w.cloud.ProjectID("demo")
	w.do(put, "/default-types/"+project, `{"default_type": {"volume_type": "gold"}}`).want(t, 200)
	fake := named(w.do(get, "/types", "").get("volume_types"), "fake").Get("id").Str
	w.add("spare", "az9")
	w.eventually("the new pod has all", func() bool {
		d := w.in("spare", get, "/default-types/"+project, "")
		return d.status == 200 && w.typeIn("spare", "gold")["qos"] == "fast" && named(w.in("spare", get, "/group_types", "").get("group_types"), "g").Exists()
	})
	list := w.do(get, "/types", "").want(t, 200).get("volume_types")
	if named(list, "fake").Get("id").Str != fake || len(list.Array()) != 3 {
		t.Errorf("types: %s, want each once and fake as %s", list.Raw, fake)
	}
	if got := w.do(get, "/default-types", "").want(t, 200).get("default_types.0.volume_type_id").Str; got != id {
		t.Errorf("the default type is %s, want %s", got, id)
	}
	w.do(erase, "/default-types/"+project, "").want(t, 204)
	w.do(get, "/default-types/"+project, "").want(t, 404)
}

// TestTypesAndZones: volumes go where their type is, and zones in it are the region's.
func TestTypesAndZones(t *testing.T) {
	t.Parallel()
	w := newRegion(t, storetest.New(t), "pod1", "pod2")
	w.in("pod2", post, "/types", `{"volume_type": {"name": "ssd"}}`).want(t, 200)
	w.do(get, "/types", "").want(t, 200)
	made := w.do(post, "/volumes", `{"volume": {"size": 1, "volume_type": "ssd"}}`).want(t, 202)
	if zone := made.get("volume.availability_zone").Str; zone != "az2" {
		t.Errorf("the volume is in %s, but only az2 has the type", zone)
	}
	if r := w.do(post, "/volumes", `{"volume": {"size": 1, "volume_type": "ssd", "availability_zone": "az1"}}`); r.status != 400 {
		t.Errorf("in the other zone: %d %s", r.status, r.body)
	}
	id := w.makeType("bound", `, "extra_specs": {"RESKEY:availability_zones": "az2"}`)
	if got := w.do(get, "/types/"+id, "").get(`volume_type.extra_specs.RESKEY:availability_zones`).Str; got != "az2" {
		t.Errorf("the type is bound to %s, want az2", got)
	}
	for p, want := range map[string]string{"pod1": "az2", "pod2": "nova"} {
		if got := gjson.Get(w.typeIn(p, "bound")["specs"], "RESKEY:availability_zones").Str; got != want {
			t.Errorf("in %s it is bound to %s, want %s", p, got, want)
		}
	}
	if zone := w.do(post, "/volumes", `{"volume": {"size": 1, "volume_type": "bound"}}`).want(t, 202).get("volume.availability_zone").Str; zone != "az2" {
		t.Errorf("the volume is in %s, want az2", zone)
	}
	group := w.do(post, "/groups", `{"group": {"name": "g", "group_type": "`+id+`", "volume_types": ["`+id+`"]}}`).want(t, 202).get("group.id").Str
	if zone := w.do(get, "/groups/"+group, "").want(t, 200).get("group.availability_zone").Str; zone != "az2" {
		t.Errorf("a group of the type is in %s", zone)
	}
	w.do(post, "/groups", `{"group": {"group_type": "`+id+`", "volume_types": ["bound"], "availability_zone": "az1"}}`).want(t, 400)
}

// TestGroupTypes: their specs are the same in every pod.
func TestGroupTypes(t *testing.T) {
	t.Parallel()
	w := newRegion(t, storetest.New(t), "pod1", "pod2")
	id := w.do(post, "/group_types", `{"group_type": {"name": "g", "is_public": false}}`).want(t, 202).get("group_type.id").Str
	at := "/group_types/" + id
	w.do(post, at+"/group_specs", `{"group_specs": {"a": "1", "b": "2"}}`).want(t, 202)
	w.do(put, at+"/group_specs/a", `{"a": "3"}`).want(t, 200)
	w.do(erase, at+"/group_specs/b", "").want(t, 202)
	w.do(put, at, `{"group_type": {"name": "h", "description": "d"}}`).want(t, 200)
	for _, p := range []string{"pod1", "pod2"} {
		got := named(w.in(p, get, "/group_types?is_public=None", "").get("group_types"), "h")
		if got.Get("group_specs.a").Str != "3" || got.Get("group_specs.b").Exists() || got.Get("description").Str != "d" {
			t.Errorf("%s has %s", p, got.Raw)
		}
	}
	w.do(erase, at, "").want(t, 202)
	w.do(get, at, "").want(t, 404)
}

// TestListsOfTypes: order and pages are over all pods.
func TestListsOfTypes(t *testing.T) {
	t.Parallel()
	w := newRegion(t, storetest.New(t), "pod1", "pod2")
	w.in("pod2", post, "/types", `{"volume_type": {"name": "b"}}`).want(t, 200)
	w.makeType("a", "")
	names := func(r reply) (out []string) {
		for _, n := range r.want(t, 200).get("volume_types.#.name").Array() {
			out = append(out, n.Str)
		}
		return out
	}
	if diff := cmp.Diff([]string{"__DEFAULT__", "a", "b", "fake"}, names(w.do(get, "/types?sort=name:asc", ""))); diff != "" {
		t.Errorf("sorted (-want +got):\n%s", diff)
	}
	page := w.do(get, "/types?sort=name:asc&limit=2", "")
	if diff := cmp.Diff([]string{"__DEFAULT__", "a"}, names(page)); diff != "" || !page.get("volume_type_links").Exists() {
		t.Errorf("first page (-want +got):\n%s", diff)
	}
	last := page.get("volume_types.1.id").Str
	if diff := cmp.Diff([]string{"b", "fake"}, names(w.do(get, "/types?sort=name:asc&limit=2&marker="+last, ""))); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	w.do(get, "/types?marker=nothing", "").want(t, 404)
	w.do(get, "/types?sort=name:up", "").want(t, 400)
}
