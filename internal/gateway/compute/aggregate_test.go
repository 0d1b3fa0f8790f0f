package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

func (c *client) aggregate(t *testing.T, fields m) string {
	t.Helper()
	return c.do("POST", "/os-aggregates", m{"aggregate": fields}).want(t, 200).get("aggregate.id").Raw
}

func (c *client) onAggregate(id, action string, args m) reply {
	c.t.Helper()
	return c.do("POST", "/os-aggregates/"+id+"/action", m{action: args})
}

// TestAggregate follows one that takes hosts of both pods.
func TestAggregate(t *testing.T) {
	t.Parallel()
	w := twins(t, "n0", "n1")
	admin := w.as("admin")
	admin.do("GET", "/os-services", nil).want(t, 200)
	id := admin.aggregate(t, m{"name": "ssd"})
	if got := admin.do("POST", "/os-aggregates", m{"aggregate": m{"name": "ssd"}}).want(t, 409).message(); got != "Aggregate ssd already exists." {
		t.Errorf("message = %s", got)
	}
	admin.onAggregate(id, "set_metadata", m{"metadata": m{"disk": "ssd"}}).want(t, 200)
	admin.onAggregate(id, "add_host", m{"host": "n1@pod2"}).want(t, 200)
	got := admin.onAggregate(id, "add_host", m{"host": "n0"}).want(t, 200)
	if got.list("aggregate.hosts") != "[n0,n1@pod2]" || got.get("aggregate.metadata.disk").Str != "ssd" || got.get("aggregate.id").Raw != id {
		t.Errorf("aggregate = %s", got.body)
	}
	for _, p := range []string{"pod1", "pod2"} { // each has its part, with the metadata
		part := admin.direct(w, p, "GET", "/os-aggregates/1").want(t, 200)
		if part.get("aggregate.metadata.disk").Str != "ssd" || part.get("aggregate.hosts.#").Int() != 1 {
			t.Errorf("in %s: %s", p, part.body)
		}
	}
	for _, same := range []string{id, "10000001"} {
		shown := admin.do("GET", "/os-aggregates/"+same, nil).want(t, 200)
		if diff := cmp.Diff(shown.get("aggregate").Value(), admin.do("GET", "/os-aggregates", nil).get("aggregates.0").Value()); diff != "" {
			t.Errorf("aggregate %s (-show +list):\n%s", same, diff)
		}
	}
	admin.do("PUT", "/os-aggregates/"+id, m{"aggregate": m{"name": "fast"}}).want(t, 200)
	if all := admin.do("GET", "/os-aggregates", nil).get("aggregates"); all.Get("#").Int() != 1 || all.Get("0.name").Str != "fast" {
		t.Errorf("after a change of name: %s", all.Raw)
	}
	for text, got := range map[string]reply{
		"Cannot remove host from aggregate " + id + ". Reason: Host aggregate is not empty.": admin.do("DELETE", "/os-aggregates/"+id, nil).want(t, 400),
		"pod pod2: Aggregate 10000001 already has host n1.":                                  admin.onAggregate("10000001", "add_host", m{"host": "n1@pod2"}).want(t, 409),
		"pod pod1: Compute host nosuch could not be found.":                                  admin.onAggregate(id, "add_host", m{"host": "nosuch"}).want(t, 404),
		"Aggregate 77 could not be found.":                                                   admin.do("GET", "/os-aggregates/77", nil).want(t, 404),
		"Invalid input received: id must be an integer":                                      admin.do("GET", "/os-aggregates/x", nil).want(t, 400),
		"There is no such action: explode":                                                   admin.onAggregate(id, "explode", m{}).want(t, 400),
		"Policy doesn't allow os_compute_api:os-aggregates:add_host to be performed.":        w.as("demo").onAggregate(id, "add_host", m{"host": "n0"}).want(t, 403),
	} {
		if got.message() != text {
			t.Errorf("message = %q, want %q", got.message(), text)
		}
	}
	admin.onAggregate(id, "remove_host", m{"host": "n0"}).want(t, 200)
	admin.onAggregate(id, "remove_host", m{"host": "n0"}).want(t, 404)
	if left := admin.onAggregate(id, "remove_host", m{"host": "n1@pod2"}).want(t, 200); left.list("aggregate.hosts") != "[]" {
		t.Errorf("hosts left: %s", left.body)
	}
	admin.do("DELETE", "/os-aggregates/"+id, nil).want(t, 200)
	if diff := cmp.Diff(w.before, w.inventory()); diff != "" {
		t.Errorf("left behind (-before +now):\n%s", diff)
	}
}

// TestAggregateZones holds that an aggregate's zone is the region's, and that hosts
// of other zones are refused.
func TestAggregateZones(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	id := admin.aggregate(t, m{"name": "a", "availability_zone": "az2"})
	if id != "10000001" {
		t.Errorf("ID = %s: not in the pod of the zone", id)
	}
	if got := admin.direct(w, "pod2", "GET", "/os-aggregates/1").get("aggregate.availability_zone").Str; got != "nova" {
		t.Errorf("zone in the pod = %s, want nova", got)
	}
	refused := admin.onAggregate(id, "add_host", m{"host": "pod1-node1"}).want(t, 409).message()
	if want := "Cannot add host to aggregate " + id + ". Reason: One or more hosts already in availability zone(s) ['az1']."; refused != want {
		t.Errorf("message = %s", refused)
	}
	in := admin.onAggregate(id, "add_host", m{"host": "pod2-node1"}).want(t, 200)
	if in.get("aggregate.availability_zone").Str != "az2" || in.get("aggregate.metadata.availability_zone").Str != "az2" {
		t.Errorf("aggregate = %s", in.body)
	}
	moved := admin.do("PUT", "/os-aggregates/"+id, m{"aggregate": m{"availability_zone": "az1"}}).want(t, 400).message()
	if want := "Cannot update aggregate " + id + ". Reason: One or more hosts already in availability zone(s) ['az2']."; moved != want {
		t.Errorf("message = %s", moved)
	}
	admin.onAggregate(id, "remove_host", m{"host": "pod2-node1"}).want(t, 200)
	// Without hosts it may go to a zone of other pods, under the same ID.
	admin.do("PUT", "/os-aggregates/"+id, m{"aggregate": m{"availability_zone": "az1"}}).want(t, 200)
	other := admin.onAggregate(id, "add_host", m{"host": "pod1-node1"}).want(t, 200)
	if other.list("aggregate.hosts") != "[pod1-node1]" || other.get("aggregate.availability_zone").Str != "az1" {
		t.Errorf("aggregate = %s", other.body)
	}
	if got := admin.do("GET", "/os-aggregates/"+id, nil).want(t, 200).list("aggregate.hosts"); got != "[pod1-node1]" {
		t.Errorf("hosts by the first ID = %s", got)
	}
}

// TestOwnZone holds that a zone which an aggregate makes in a pod is one of the
// region, for lists and for servers.
func TestOwnZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	for _, p := range w.cloud.Pods() {
		p.Compute.SetHosts(p.Name+"-n0", p.Name+"-gpu")
	}
	admin, demo := w.as("admin"), w.as("demo")
	id := admin.aggregate(t, m{"name": "gpu", "availability_zone": "gpu"})
	if got := demo.do("POST", "/servers", server(m{"availability_zone": "gpu"})).want(t, 400).message(); got != "The requested availability zone is not available" {
		t.Errorf("message = %s", got)
	}
	admin.onAggregate(id, "add_host", m{"host": "pod2-gpu"}).want(t, 200)
	if got := demo.do("GET", "/os-availability-zone", nil).want(t, 200).list("availabilityZoneInfo.#.zoneName"); got != "[az1,az2,gpu]" {
		t.Errorf("zones = %s", got)
	}
	sid := demo.boot("gpu", nil)
	shown := admin.do("GET", "/servers/"+sid, nil).want(t, 200)
	if shown.get("server.OS-EXT-AZ:availability_zone").Str != "gpu" || shown.get("server.OS-EXT-SRV-ATTR:host").Str != "pod2-gpu" {
		t.Errorf("server = %s", shown.body)
	}
	if got := demo.do("GET", "/servers?availability_zone=gpu", nil).want(t, 200).list("servers.#.id"); got != "["+sid+"]" {
		t.Errorf("servers of the zone = %s", got)
	}
	detail := admin.do("GET", "/os-availability-zone/detail", nil).want(t, 200)
	if !detail.get(`availabilityZoneInfo.#(zoneName=="gpu").hosts.pod2-gpu`).Exists() {
		t.Errorf("detail = %s", detail.body)
	}
	demo.remove(t, sid)
	w.cloud.Pod("pod2").Down()
	got := demo.do("POST", "/servers", server(m{"availability_zone": "gpu"}))
	if got.status != 503 || !strings.Contains(got.message(), "pod2") {
		t.Errorf("in a zone of a pod that is away: %d %s", got.status, got.body)
	}
}

// TestAggregatePodAway holds that what needs a pod that is away names it, and that
// the rest goes on.
func TestAggregatePodAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	id := admin.aggregate(t, m{"name": "both"})
	for _, host := range []string{"pod1-node1", "pod2-node1"} {
		admin.onAggregate(id, "add_host", m{"host": host}).want(t, 200)
	}
	w.cloud.Pod("pod1").Down()
	list := admin.do("GET", "/os-aggregates", nil).want(t, 200)
	if list.list("aggregates.0.hosts") != "[pod2-node1]" || list.header.Get("X-Tricircle-Unreachable-Pods") != "pod1" {
		t.Errorf("list = %s", list.body)
	}
	other := list.get("aggregates.0.id").Raw
	shown := admin.do("GET", "/os-aggregates/"+other, nil).want(t, 200)
	if shown.header.Get("X-Tricircle-Unreachable-Pods") != "pod1" {
		t.Errorf("show says nothing of pod1: %v", shown.header)
	}
	for what, got := range map[string]reply{
		"show":     admin.do("GET", "/os-aggregates/"+id, nil),
		"update":   admin.do("PUT", "/os-aggregates/"+other, m{"aggregate": m{"name": "x"}}),
		"metadata": admin.onAggregate(other, "set_metadata", m{"metadata": m{"a": "b"}}),
		"delete":   admin.do("DELETE", "/os-aggregates/"+other, nil),
		"add":      admin.onAggregate(other, "add_host", m{"host": "pod1-node1"}),
	} {
		if got.status != 503 || !strings.Contains(got.message(), "pod1") {
			t.Errorf("%s: %d %s, want 503 that names pod1", what, got.status, got.body)
		}
	}
	admin.onAggregate(other, "remove_host", m{"host": "pod2-node1"}).want(t, 200)
	fresh := admin.aggregate(t, m{"name": "fresh"})
	if fresh != "10000002" {
		t.Errorf("ID of one made without pod1 = %s", fresh)
	}
	w.cloud.Pod("pod1").Up()
	eventually(t, "pod1 is back", func() bool {
		return admin.do("GET", "/os-aggregates/"+id, nil).list("aggregate.hosts") == "[pod1-node1]"
	})
}

// TestAggregateNameTakenBack holds that parts keep one name when a pod refuses
// another.
func TestAggregateNameTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	id := admin.aggregate(t, m{"name": "both"})
	for _, host := range []string{"pod1-node1", "pod2-node1"} {
		admin.onAggregate(id, "add_host", m{"host": host}).want(t, 200)
	}
	remove := w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Compute, Method: "PUT", Path: `/os-aggregates/1$`, Status: 400,
		Body: `{"badRequest": {"code": 400, "message": "no"}}`})
	admin.do("PUT", "/os-aggregates/"+id, m{"aggregate": m{"name": "other"}}).want(t, 400)
	remove()
	all := admin.do("GET", "/os-aggregates", nil).want(t, 200)
	if got := all.list("aggregates.#.name"); got != "[both]" || fmt.Sprint(all.get("aggregates.0.hosts.#").Int()) != "2" {
		t.Errorf("aggregates = %s", all.body)
	}
}
