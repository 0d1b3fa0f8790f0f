package compute_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
)

// serverGroup makes a group and returns its ID.
func (c *client) serverGroup(policy string) string {
	c.t.Helper()
	return c.do("POST", "/os-server-groups", m{"server_group": m{"name": "g", "policy": policy}}).want(c.t, 200).get("server_group.id").Str
}

// hinted is a body for POST /servers with the hint "group".
func hinted(group string, fields m) m {
	body := server(fields)
	body["os:scheduler_hints"] = m{"group": group}
	return body
}

func (c *client) join(group string, fields m) string {
	c.t.Helper()
	return c.do("POST", "/servers", hinted(group, fields)).want(c.t, 202).get("server.id").Str
}

// podServerGroups are the names of the groups in a pod.
func (w *world) podServerGroups(podName string) []string {
	w.t.Helper()
	var names []string
	for _, g := range w.as("admin").direct(w, podName, "GET", "/os-server-groups?all_projects=1").want(w.t, 200).get("server_groups").Array() {
		names = append(names, g.Get("name").Str)
	}
	return names
}

func (r reply) members() []string {
	list := []string{}
	for _, id := range r.get("server_group.members").Array() {
		list = append(list, id.Str)
	}
	return list
}

// TestServerGroupLife: a group is nowhere, then in the pod of its first member,
// where the others join it, and nowhere again.
func TestServerGroupLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	id := demo.serverGroup("soft-affinity")
	path := "/os-server-groups/" + id
	if got := len(w.podServerGroups("pod1")) + len(w.podServerGroups("pod2")); got != 0 {
		t.Errorf("%d groups in the pods before there is a member", got)
	}
	bodies := watchCreations(w.cloud.Pod("pod2"))
	first := demo.join(id, m{"availability_zone": "az2"})
	second := demo.join(id, nil)
	if got := demo.do("GET", path, nil).want(t, 200).members(); !slices.Equal(got, []string{first, second}) {
		t.Errorf("members = %v, want %v", got, []string{first, second})
	}
	if got, want := w.podServerGroups("pod2"), []string{"tricircle:server_group:" + id}; !slices.Equal(got, want) {
		t.Errorf("groups in pod2 = %v, want %v", got, want)
	}
	for _, server := range []string{first, second} {
		shown := demo.do("GET", "/servers/"+server, nil).want(t, 200)
		if got := shown.get("server.server_groups").Raw; got != `["`+id+`"]` {
			t.Errorf("server_groups = %s, want ours", got)
		}
	}
	if sent := bodies(); strings.Contains(sent[0], id) || !strings.Contains(sent[0], "scheduler_hints") {
		t.Errorf("the pod was sent %s", sent[0])
	}
	renamed := demo.do("PUT", "/servers/"+first, m{"server": m{"name": "db"}}).want(t, 200)
	if got := renamed.get("server.server_groups.0").Str; got != id {
		t.Errorf("server_groups of an update = %s, want ours", got)
	}
	demo.remove(t, first, second)
	w.clean(t)
	if got := demo.do("GET", path, nil).want(t, 200); len(got.members()) != 0 {
		t.Errorf("without servers: %s", got.body)
	}
	third := demo.join(id, m{"availability_zone": "az1"}) // free again
	demo.do("DELETE", path, nil).want(t, 204)
	demo.do("GET", path, nil).want(t, 404)
	demo.do("DELETE", path, nil).want(t, 404)
	eventually(t, "the group is gone from pod1", func() bool { return len(w.podServerGroups("pod1")) == 0 })
	if got := demo.do("GET", "/servers/"+third, nil).want(t, 200).get("server.server_groups").Raw; got != "[]" {
		t.Errorf("server_groups after the group's end = %s", got)
	}
	demo.remove(t, third)
	w.clean(t)
}

// TestServerGroupForms holds the answers to Nova's, version by version.
func TestServerGroupForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	for _, tt := range []struct {
		version string
		in      m
		want    string
	}{
		{"2.1", m{"name": "g", "policies": []string{"affinity"}}, `{"members":[],"metadata":{},"name":"g","policies":["affinity"]}`},
		{"2.13", m{"name": "g", "policies": []string{"anti-affinity"}}, `{"members":[],"metadata":{},"name":"g","policies":["anti-affinity"],"project_id":"P","user_id":"U"}`},
		{"2.15", m{"name": "g", "policies": []string{"soft-affinity"}}, `{"members":[],"metadata":{},"name":"g","policies":["soft-affinity"],"project_id":"P","user_id":"U"}`},
		{"2.64", m{"name": "g", "policy": "soft-anti-affinity"}, `{"members":[],"name":"g","policy":"soft-anti-affinity","project_id":"P","rules":{},"user_id":"U"}`},
		{"2.93", m{"name": "g", "policy": "anti-affinity", "rules": m{"max_server_per_host": "3"}}, `{"members":[],"name":"g","policy":"anti-affinity","project_id":"P","rules":{"max_server_per_host":3},"user_id":"U"}`},
		{"2.93", m{"name": "g", "policy": "affinity", "rules": m{}}, `{"members":[],"name":"g","policy":"affinity","project_id":"P","rules":{},"user_id":"U"}`},
	} {
		c := demo.at(tt.version)
		made := c.do("POST", "/os-server-groups", m{"server_group": tt.in}).want(t, 200)
		id := made.get("server_group.id").Str
		shown := c.do("GET", "/os-server-groups/"+id, nil).want(t, 200)
		listed := c.do("GET", "/os-server-groups", nil).want(t, 200)
		for _, got := range []string{made.get("server_group").Raw, shown.get("server_group").Raw, listed.get("server_groups.0").Raw} {
			if user := gjson.Get(got, "user_id").Str; user != "" {
				got = strings.NewReplacer(user, "U", demo.project, "P").Replace(got)
			}
			got = strings.ReplaceAll(got, `"id":"`+id+`",`, "")
			if got != tt.want {
				t.Errorf("%s: %s, want %s", tt.version, got, tt.want)
			}
		}
		c.do("DELETE", "/os-server-groups/"+id, nil).want(t, 204)
	}
}

func TestServerGroupRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	unfit := "Invalid input for field/attribute "
	for _, tt := range []struct{ version, body, want string }{
		{"2.1", `{"server_group":{"name":"g"}}`, unfit + "server_group. Value: {'name': 'g'}. 'policies' is a required property"},
		{"2.64", `{"server_group":{"name":"g","policies":["affinity"]}}`, unfit + "server_group. Value: {'name': 'g', 'policies': ['affinity']}. 'policy' is a required property"},
		{"2.1", `{"server_group":{"policies":["affinity"]}}`, unfit + "server_group. Value: {'policies': ['affinity']}. 'name' is a required property"},
		{"2.14", `{"server_group":{"name":"g","policies":["soft-affinity"]}}`, unfit + "0. Value: soft-affinity. 'soft-affinity' is not one of ['anti-affinity', 'affinity']"},
		{"2.15", `{"server_group":{"name":"g","policies":["soft-affinity","affinity"]}}`, unfit + "policies. Value: ['soft-affinity', 'affinity']. ['soft-affinity', 'affinity'] is too long"},
		{"2.15", `{"server_group":{"name":"g","policies":["affinity","affinity"]}}`, unfit + "policies. Value: ['affinity', 'affinity']. ['affinity', 'affinity'] has non-unique elements"},
		{"2.15", `{"server_group":{"name":"g","policies":[]}}`, unfit + "policies. Value: []. [] is too short"},
		{"2.15", `{"server_group":{"name":"g","policies":"affinity"}}`, unfit + "policies. Value: affinity. 'affinity' is not of type 'array'"},
		{"2.64", `{"server_group":{"name":"g","policy":"x"}}`, unfit + "policy. Value: x. 'x' is not one of ['anti-affinity', 'affinity', 'soft-anti-affinity', 'soft-affinity']"},
		{"2.64", `{"server_group":{"name":"g","policy":"affinity","x":1}}`, unfit + "server_group. Value: {'name': 'g', 'policy': 'affinity', 'x': 1}. Additional properties are not allowed ('x' was unexpected)"},
		{"2.64", `{"server_group":{"name":"g","policy":"affinity","rules":{"max_server_per_host":3}}}`, "Only anti-affinity policy supports rules."},
		{"2.64", `{"server_group":{"name":"g","policy":"anti-affinity","rules":{"max_server_per_host":0}}}`, unfit + "max_server_per_host. Value: 0. 0 is less than the minimum of 1"},
		{"2.64", `{"server_group":{"name":"g","policy":"anti-affinity","rules":{"max_server_per_host":"a"}}}`, unfit + "max_server_per_host. Value: a. 'a' does not match '^[0-9]*$'"},
		{"2.64", `{"server_group":{"name":"g","policy":"anti-affinity","rules":{"x":1}}}`, unfit + "rules. Value: {'x': 1}. Additional properties are not allowed ('x' was unexpected)"},
		{"2.64", `{"server_group":{"name":"","policy":"anti-affinity"}}`, unfit + "name. Value: . '' is too short"},
		{"2.64", `{"server_group":{"name":" g","policy":"anti-affinity"}}`, "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace."},
		{"2.64", `{"server_group":{"name":3,"policy":"anti-affinity"}}`, unfit + "name. Value: 3. 3 is not of type 'string'"},
		{"2.64", `{"server_group":null}`, unfit + "server_group. Value: None. None is not of type 'object'"},
		{"2.64", `{}`, "'server_group' is a required property"},
		{"2.64", `[]`, "[] is not of type 'object'"},
		{"2.64", `{"server_group":{"name":"g","policy":"affinity"},"x":1}`, "Additional properties are not allowed ('x' was unexpected)"},
		{"2.64", `xx`, "Malformed request body"},
		{"2.64", ``, "None is not of type 'object'"},
	} {
		got := demo.at(tt.version).do("POST", "/os-server-groups", tt.body)
		if got.status != 400 || got.get("badRequest.message").Str != tt.want {
			t.Errorf("%s %s: %d %s, want %s", tt.version, tt.body, got.status, got.body, tt.want)
		}
	}
	for _, tt := range []struct {
		version, query string
		status         int
	}{
		{"2.1", "?limit=x", 400}, {"2.1", "?offset=-1", 400}, {"2.75", "?foo=1", 400}, {"2.74", "?foo=1", 200}, {"2.75", "?limit=1&offset=0&all_projects=1", 200},
	} {
		if got := demo.at(tt.version).do("GET", "/os-server-groups"+tt.query, nil); got.status != tt.status {
			t.Errorf("%s %s: %d %s, want %d", tt.version, tt.query, got.status, got.body, tt.status)
		}
	}
}

// TestServerGroupQuota: a project's groups are one number, whatever pods they are in.
func TestServerGroupQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	for range 10 {
		demo.serverGroup("affinity")
	}
	got := demo.do("POST", "/os-server-groups", m{"server_group": m{"name": "g", "policy": "affinity"}})
	if got.status != 403 || got.message() != "Quota exceeded, too many server groups." {
		t.Errorf("%d %s, want 403", got.status, got.body)
	}
	w.as("alt").serverGroup("affinity")
}

// TestServerGroupLists: ours and the pods' own in one order, each project's apart.
func TestServerGroupLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt, admin := w.as("demo"), w.as("alt"), w.as("admin")
	past := w.in("pod2")
	foreign := past.serverGroup("affinity")
	one := demo.serverGroup("affinity")
	two := demo.serverGroup("anti-affinity")
	other := alt.serverGroup("affinity")
	server := demo.join(one, m{"availability_zone": "az1"})
	list := func(c *client, query string) (ids []string) {
		t.Helper()
		for _, g := range c.do("GET", "/os-server-groups"+query, nil).want(t, 200).get("server_groups").Array() {
			ids = append(ids, g.Get("id").Str)
		}
		return ids
	}
	for _, tt := range []struct {
		c     *client
		query string
		want  []string
	}{
		{demo, "", []string{one, two, foreign}},
		{demo, "?all_projects=1", []string{one, two, foreign}},
		{demo, "?limit=1", []string{one}},
		{demo, "?limit=2&offset=1", []string{two, foreign}},
		{demo, "?offset=3", nil},
		{demo, "?limit=0", []string{one, two, foreign}},
		{alt, "", []string{other}},
		{admin, "", nil},
		{admin, "?all_projects=1", []string{one, two, other, foreign}},
	} {
		if got := list(tt.c, tt.query); !cmp.Equal(got, tt.want) {
			t.Errorf("%s of %s = %v, want %v", tt.query, tt.c.project, got, tt.want)
		}
	}
	if got := demo.do("GET", "/os-server-groups", nil).get("server_groups.0.members.0").Str; got != server {
		t.Errorf("member listed = %s, want %s", got, server)
	}
	inPod := past.do("GET", "/os-server-groups", nil).get("server_groups.0.id").Str
	if inPod != foreign {
		t.Fatalf("pod2 lists %s", inPod)
	}
	ours := w.in("pod1").do("GET", "/os-server-groups", nil).get("server_groups.0.id").Str
	for id, want := range map[string]int{one: 404, foreign: 404, ours: 404, uuid.NewString(): 404, "x": 404} {
		for _, method := range []string{"GET", "DELETE"} {
			if got := alt.do(method, "/os-server-groups/"+id, nil); got.status != want || got.message() != "Instance group "+id+" could not be found." {
				t.Errorf("alt's %s %s: %d %s, want %d", method, id, got.status, got.body, want)
			}
		}
	}
	demo.do("GET", "/os-server-groups/"+ours, nil).want(t, 404) // it has our ID, not the pod's
	demo.do("DELETE", "/os-server-groups/"+ours, nil).want(t, 404)
	admin.do("GET", "/os-server-groups/"+one, nil).want(t, 200)
	demo.do("GET", "/os-server-groups/"+foreign, nil).want(t, 200)
	demo.do("DELETE", "/os-server-groups/"+foreign, nil).want(t, 204)
	demo.do("GET", "/os-server-groups/"+foreign, nil).want(t, 404)
	demo.remove(t, server)
	w.clean(t)
}

// in is demo's client of one pod itself.
func (w *world) in(podName string) *client {
	c := *w.as("demo")
	past := *w.region
	past.url = w.cloud.Pod(podName).URL(podtest.Compute)
	c.region = &past
	return &c
}

// TestHintGroup: which groups a server can join, and what is said otherwise.
func TestHintGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt := w.as("demo"), w.as("alt")
	id := demo.serverGroup("affinity")
	foreign := w.in("pod2").serverGroup("affinity")
	first := demo.join(id, m{"availability_zone": "az1"})
	none := uuid.NewString()
	inPod := w.in("pod1").do("GET", "/os-server-groups", nil).get("server_groups.0.id").Str
	for _, tt := range []struct {
		name string
		c    *client
		hint string
		zone any
		want string
	}{
		{"of nobody", demo, none, nil, "Instance group " + none + " could not be found."},
		{"of another project", alt, id, nil, "Instance group " + id + " could not be found."},
		{"of another project, by the pod's ID", alt, inPod, nil, "Instance group " + inPod + " could not be found."},
		{"by the pod's ID", demo, inPod, nil, "Instance group " + inPod + " could not be found."},
		{"made in a pod by another project", alt, foreign, nil, "Instance group " + foreign + " could not be found."},
		{"no ID", demo, "x", nil, "Invalid input for field/attribute group. Value: x. 'x' is not a 'uuid'"},
		{"another zone", demo, id, "az2", "The requested availability zone is not available: the members of server group " + id +
			" are in pod pod1 of zone az1, and a group does not span zone az2"},
	} {
		got := tt.c.do("POST", "/servers", hinted(tt.hint, m{"availability_zone": tt.zone}))
		if got.status != 400 || got.message() != tt.want {
			t.Errorf("%s: %d %s, want 400 %s", tt.name, got.status, got.body, tt.want)
		}
	}
	second := demo.join(foreign, nil)
	if got := demo.do("GET", "/servers/"+second, nil).want(t, 200); got.get("server.server_groups.0").Str != foreign || got.get(`server.OS-EXT-AZ:availability_zone`).Str != "az2" {
		t.Errorf("in a group of pod2: %s", got.body)
	}
	demo.remove(t, first, second)
	demo.do("DELETE", "/os-server-groups/"+foreign, nil).want(t, 204)
	w.clean(t)
}

// TestFirstMembersAtOnce: many first members in two zones; those that get in are
// in one pod, with one group.
func TestFirstMembersAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	for _, p := range w.cloud.Pods() {
		p.Compute.SetQuota(100)
	}
	demo := w.as("demo")
	id := demo.serverGroup("soft-anti-affinity")
	replies := make([]reply, 10) // as many as a group may have
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() {
			var err error
			replies[i], err = demo.try(t.Context(), "POST", "/servers", hinted(id, m{"availability_zone": fmt.Sprint("az", i%2+1)}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var made []string
	for _, got := range replies {
		switch {
		case got.status == 202:
			made = append(made, got.get("server.id").Str)
		case got.status != 400 || !strings.Contains(got.message(), "are in pod"):
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	slices.Sort(made)
	shown := demo.do("GET", "/os-server-groups/"+id, nil).want(t, 200).members()
	slices.Sort(shown)
	if groups := append(w.podServerGroups("pod1"), w.podServerGroups("pod2")...); len(groups) != 1 || len(made) == 0 || !slices.Equal(made, shown) {
		t.Errorf("groups in pods %v; members %v, created %v", groups, shown, made)
	}
	demo.remove(t, made...)
	w.clean(t)
}

// TestServerGroupFails: a first member that its pod refuses leaves no group there,
// and the next one may go elsewhere.
func TestServerGroupFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	id := demo.serverGroup("affinity")
	for _, f := range []podtest.Fault{
		{Method: "POST", Path: `/os-server-groups$`, Status: 403, Body: `{"forbidden": {"code": 403, "message": "Quota exceeded, too many server groups."}}`},
		{Method: "POST", Path: `/servers$`, Status: 403, Body: `{"forbidden": {"code": 403, "message": "Quota exceeded, too many servers in group"}}`},
	} {
		f.Service = podtest.Compute
		remove := w.cloud.Pod("pod1").Fault(f)
		got := demo.do("POST", "/servers", hinted(id, m{"availability_zone": "az1"}))
		if got.status != 403 || !strings.Contains(got.message(), "pod pod1: Quota exceeded, too many server") {
			t.Errorf("%d %s, want 403 of pod1", got.status, got.body)
		}
		remove()
		w.clean(t)
	}
	server := demo.join(id, m{"availability_zone": "az2"})
	if got := w.podServerGroups("pod1"); len(got) != 0 {
		t.Errorf("groups in pod1 = %v", got)
	}
	demo.remove(t, server)
	w.clean(t)
}

// TestServerGroupPodAway: what is known is shown, with a header that says whose
// word it is not; a server that would have to go there is refused by name.
func TestServerGroupPodAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	id, free := demo.serverGroup("affinity"), demo.serverGroup("affinity")
	server := demo.join(id, m{"availability_zone": "az1"})
	w.cloud.Pod("pod1").Down()
	shown := demo.do("GET", "/os-server-groups/"+id, nil).want(t, 200)
	listed := demo.do("GET", "/os-server-groups", nil).want(t, 200)
	for _, got := range []reply{shown, listed} {
		if got.header.Get("X-Tricircle-Unreachable-Pods") != "pod1" {
			t.Errorf("header %v of %s", got.header, got.body)
		}
	}
	if got := shown.members(); !slices.Equal(got, []string{server}) {
		t.Errorf("members shown = %v", got)
	}
	if got := listed.get("server_groups.0.members").Raw; got != `["`+server+`"]` || listed.get("server_groups.#").Int() != 2 {
		t.Errorf("listed = %s", listed.body)
	}
	got := demo.do("POST", "/servers", hinted(id, nil))
	if got.status != 503 || !strings.HasPrefix(got.message(), "pod pod1: ") {
		t.Errorf("%d %s, want 503 that names the pod", got.status, got.body)
	}
	other := demo.join(free, m{"availability_zone": "az2"})
	unknown := demo.do("POST", "/servers", hinted(uuid.NewString(), nil))
	if unknown.status != 503 || !strings.Contains(unknown.message(), "pod1") {
		t.Errorf("a group that pod1 may know: %d %s, want 503", unknown.status, unknown.body)
	}
	demo.do("DELETE", "/os-server-groups/"+id, nil).want(t, 204)
	w.cloud.Pod("pod1").Up()
	w.cloud.Pod("pod2").Down()
	if got := demo.do("GET", "/os-server-groups", nil).want(t, 200).get("server_groups.#").Int(); got != 1 {
		t.Errorf("%d groups, want 1", got)
	}
	w.cloud.Pod("pod2").Up()
	demo.remove(t, server, other)
	w.clean(t)
}

// TestServerGroupCordoned: members of a group whose pod is cordoned are refused,
// and told so.
func TestServerGroupCordoned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	id := demo.serverGroup("affinity")
	server := demo.join(id, m{"availability_zone": "az1"})
	_, err := w.store.UpdatePod(t.Context(), "pod1", func(p *store.Pod) error { p.Cordoned = true; return nil })
	must(t, err)
	w.fleet.Changed()
	got := demo.do("POST", "/servers", hinted(id, nil))
	if got.status != 503 || !strings.Contains(got.message(), "pod pod1: it is cordoned") || !strings.Contains(got.message(), "server group "+id) {
		t.Errorf("%d %s, want 503 that names pod and group", got.status, got.body)
	}
	demo.remove(t, server)
	moved := demo.join(id, nil) // without members it may go elsewhere
	if got := w.podServerGroups("pod2"); len(got) != 1 {
		t.Errorf("groups in pod2 = %v", got)
	}
	demo.remove(t, moved)
	w.clean(t)
}

// TestServerGroupDeletedInPod: past us, by whoever reads its name as ours.
func TestServerGroupDeletedInPod(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	id := demo.serverGroup("affinity")
	server := demo.join(id, m{"availability_zone": "az1"})
	past := w.in("pod1")
	past.do("DELETE", "/os-server-groups/"+past.do("GET", "/os-server-groups", nil).get("server_groups.0.id").Str, nil).want(t, 204)
	if got := demo.do("GET", "/os-server-groups/"+id, nil).want(t, 200).members(); len(got) != 0 {
		t.Errorf("members = %v", got)
	}
	got := demo.do("POST", "/servers", hinted(id, nil))
	if got.status != 400 || got.message() != "pod pod1: Instance group "+id+" could not be found." {
		t.Errorf("%d %s, want 400 with our ID", got.status, got.body)
	}
	demo.remove(t, server)
	w.settled(t) // by now its end is noted here, too
	again := demo.join(id, nil)
	demo.remove(t, again)
	w.clean(t)
}

// TestServerGroupReplyLost: the pod makes the group and its answer is lost; in
// the end there is one, or none.
func TestServerGroupReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	id := demo.serverGroup("affinity")
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/os-server-groups$`, Times: 1, DropReply: true})
	if got := demo.do("POST", "/servers", hinted(id, m{"availability_zone": "az1"})); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s, want 503", got.status, got.body)
	}
	server := demo.join(id, m{"availability_zone": "az1"})
	if got := w.podServerGroups("pod1"); len(got) != 1 {
		t.Errorf("groups in pod1 = %v, want one", got)
	}
	demo.remove(t, server)
	w.clean(t)
}

// TestServerGroupMovesOn: a first member that its pod refuses takes the group to
// the next pod. One that the others keep where they are is refused as the pod says.
func TestServerGroupMovesOn(t *testing.T) {
	t.Parallel()
	w, demo, n, first, second := oneZone(t)
	w.settled(t)
	before := first.Inventory()
	first.SetQuota(1)
	moved, stays := demo.serverGroup("affinity"), demo.serverGroup("affinity")
	made := demo.do("POST", "/servers", hinted(moved, on(m{"uuid": n.ID}))).want(t, 202)
	if got := made.header.Get("X-Tricircle-Pod"); got != second.Name || len(w.podServerGroups(first.Name)) > 0 && w.idle(t) {
		t.Errorf("the server went to %s, groups in %s: %v", got, first.Name, w.podServerGroups(first.Name))
	}
	eventually(t, "the group has left", func() bool { return len(w.podServerGroups(first.Name)) == 0 })
	if got := demo.do("GET", "/os-server-groups/"+moved, nil).want(t, 200).members(); len(got) != 1 {
		t.Errorf("members = %v", got)
	}
	w.unchanged(t, first, before)

	first.SetQuota(2)
	w.fleet.Changed()
	member := demo.do("POST", "/servers", func() m {
		body := hinted(stays, on(m{"uuid": n.ID}))
		body["server"].(m)["availability_zone"] = "az1"
		return body
	}()).want(t, 202)
	full := first
	if member.header.Get("X-Tricircle-Pod") == second.Name { // it remembers the refusal
		full = second
	}
	full.SetQuota(2)
	got := demo.do("POST", "/servers", hinted(stays, on(m{"uuid": n.ID}, m{"uuid": n.ID})))
	if got.status != 403 || !strings.Contains(got.message(), full.Name+": Quota exceeded for instances") {
		t.Errorf("%d %s, want 403 of %s", got.status, got.body, full.Name)
	}
	batch := demo.do("POST", "/servers", hinted(stays, m{"min_count": 3}))
	if batch.status != 403 || !strings.Contains(batch.message(), full.Name+": Quota exceeded for instances") {
		t.Errorf("several: %d %s, want 403 of %s", batch.status, batch.body, full.Name)
	}
	demo.removeAll(t)
}

// settled waits until no creation and no job is left.
func (w *world) settled(t *testing.T) {
	t.Helper()
	eventually(t, "no work is left", func() bool { return w.idle(t) })
}

// TestServerGroupAndSpread: the region's own hint and a group contradict each other.
func TestServerGroupAndSpread(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	body := hinted(demo.serverGroup("anti-affinity"), m{"min_count": 2})
	body["os:scheduler_hints"].(m)["tricircle:spread"] = "pods"
	if got := demo.do("POST", "/servers", body); got.status != 400 || !strings.Contains(got.message(), "exclude each other") {
		t.Errorf("%d %s, want 400", got.status, got.body)
	}
	w.clean(t)
}

// TestNoHostForAMember: that a group left a server no host says nothing about the
// room in its pod.
func TestNoHostForAMember(t *testing.T) {
	t.Parallel()
	_, demo, _, first, _ := oneZone(t)
	group := demo.serverGroup("anti-affinity")
	first.SetCapacity(1) // the fake does not place by policy: this looks the same
	member := demo.join(group, nil)
	first.SetCapacity(-1)
	for _, version := range []string{"2.93", "2.1"} {
		if got := demo.at(version).do("GET", "/servers/"+member, nil).want(t, 200); got.get("server.status").Str != "ERROR" {
			t.Fatalf("%s: %s", version, got.body)
		}
	}
	made := demo.do("POST", "/servers", server(nil)).want(t, 202)
	if got := made.header.Get("X-Tricircle-Pod"); got != first.Name {
		t.Errorf("the next server went to %s, want %s", got, first.Name)
	}
	demo.removeAll(t)
}

// TestManyServerGroups reads lists that are longer than a pod's page.
func TestManyServerGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	w.cloud.Pod("pod1").Compute.SetGroupQuota(2000, 10)
	past, demo := w.in("pod1"), w.as("demo")
	for range 1010 {
		past.serverGroup("affinity")
	}
	ours := demo.serverGroup("affinity")
	id := demo.join(ours, m{"availability_zone": "az1"}) // behind the first page of the pod
	count := func(query string) int64 {
		return demo.do("GET", "/os-server-groups"+query, nil).want(t, 200).get("server_groups.#").Int()
	}
	if n, rest := count(""), count("?offset=1000"); n != 1000 || rest != 11 {
		t.Errorf("%d groups, then %d, want 1000 and 11", n, rest)
	}
	if got := demo.do("GET", "/os-server-groups?limit=1", nil).get("server_groups.0.members.0").Str; got != id {
		t.Errorf("member = %s, want %s", got, id)
	}
	demo.remove(t, id)
}
