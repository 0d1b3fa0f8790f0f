package compute_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/store"
)

// elsewhere is a world with an image that pod1 has and pod2 cannot get yet.
func elsewhere(t *testing.T) (w *world, demo *client, image string, arrive func()) {
	t.Helper()
	w = newWorld(t, podtest.Options{})
	image = w.cloud.Pod("pod1").AddImage(glance.Image{Name: "far"})
	return w, w.as("demo"), image, w.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Image, Method: "POST", Path: `/images$`, Status: 503})
}

// waits makes a server in az2 whose image is not there.
func (c *client) waits(image string, more m) reply {
	c.t.Helper()
	fields := m{"imageRef": image, "availability_zone": "az2"}
	maps.Copy(fields, more)
	return c.do("POST", "/servers", server(fields)).want(c.t, 202)
}

// cleanPods waits until the pods hold what they held before, but for images, and no
// creation is left.
func (w *world) cleanPods() {
	w.t.Helper()
	difference := func() string {
		now, before := w.inventory(), w.before
		for pod := range now {
			now[pod]["image"] = before[pod]["image"]
		}
		return cmp.Diff(before, now)
	}
	eventually(w.t, "the pods are as before", func() bool {
		waiting, err := w.store.ListWaiting(w.t.Context(), "")
		return err == nil && len(waiting) == 0 && w.idle(w.t) && difference() == ""
	}, func() string { return w.busy(w.t) + difference() })
}

func (c *client) becomes(id, status string) {
	c.t.Helper()
	eventually(c.t, "server "+id+" is "+status, func() bool {
		return c.do("GET", "/servers/"+id, nil).get("server.status").Str == status
	}, func() string { return string(c.do("GET", "/servers/"+id, nil).body) })
}

func TestServerWaitsForItsImage(t *testing.T) {
	t.Parallel()
	w, demo, image, arrive := elsewhere(t)
	n := demo.network("blue", "10.1.0.0/24")
	made := demo.waits(image, m{"name": "first", "networks": []m{{"uuid": n.ID}}, "metadata": m{"a": "b"}})
	id := made.get("server.id").Str
	if made.get("server.adminPass").Str == "" || made.header.Get("Location") == "" {
		t.Errorf("the reply lacks something: %s, %v", made.body, made.header)
	}
	before := demo.do("GET", "/servers/"+id, nil).want(t, 200)
	for path, want := range map[string]string{
		"server.status": "BUILD", "server.name": "first", "server.image.id": image, "server.metadata.a": "b",
		"server.OS-EXT-STS:vm_state": "building", "server.OS-EXT-AZ:availability_zone": "az2",
	} {
		if got := before.get(strings.ReplaceAll(path, ":", `\:`)).String(); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	if got := demo.do("POST", "/servers/"+id+"/action", m{"reboot": m{"type": "SOFT"}}).want(t, 409); got.message() != "Cannot 'reboot' instance "+id+" while it is in vm_state building" {
		t.Errorf("reboot: %s", got.body)
	}
	demo.do("GET", "/servers/"+id+"/diagnostics", nil).want(t, 409)
	for path, want := range map[string]string{
		"metadata": `{"metadata":{"a":"b"}}`, "metadata/a": `{"meta":{"a":"b"}}`, "tags": `{"tags":[]}`, "ips": `{"addresses":{}}`,
		"os-interface": `{"interfaceAttachments":[]}`, "os-volume_attachments": `{"volumeAttachments":[]}`,
	} {
		if got := demo.do("GET", "/servers/"+id+"/"+path, nil).want(t, 200); string(got.body) != want {
			t.Errorf("GET %s = %s, want %s", path, got.body, want)
		}
	}
	w.as("alt").do("GET", "/servers/"+id, nil).want(t, 404)
	w.as("alt").do("DELETE", "/servers/"+id, nil).want(t, 404)
	w.as("admin").do("GET", "/servers/"+id, nil).want(t, 200)
	if got := demo.do("PUT", "/servers/"+id, m{"server": m{"name": "second"}}).want(t, 200); got.get("server.name").Str != "second" {
		t.Errorf("PUT = %s", got.body)
	}
	demo.do("PUT", "/servers/"+id, m{"server": m{"bogus": 1}}).want(t, 400)
	if inPod := w.inventory()["pod2"]["server"]; len(inPod) > 0 {
		t.Fatalf("servers in pod2 before the image is there: %v", inPod)
	}

	arrive()
	demo.becomes(id, "ACTIVE")
	after := demo.do("GET", "/servers/"+id, nil).want(t, 200)
	if after.get("server.name").Str != "second" || after.get("server.metadata").Raw != `{"a": "b"}` {
		t.Errorf("in its pod it is %s", after.body)
	}
	inPod := w.inventory()["pod2"]["server"]
	if len(inPod) != 1 || inPod[0] == id || strings.Contains(string(after.body), inPod[0]) {
		t.Errorf("servers in pod2: %v, want one of another ID than %s, that does not show: %s", inPod, id, after.body)
	}
	list := demo.do("GET", "/servers", nil).want(t, 200)
	if got := list.get("servers.#.id").Raw; got != `["`+id+`"]` {
		t.Errorf("list = %s, want the server once", list.body)
	}
	ports, err := w.store.PortsByDevice(t.Context(), id)
	if err != nil || len(ports) != 1 {
		t.Errorf("ports = %v, %v", ports, err)
	}
	if got := demo.do("GET", "/servers/"+id+"/os-interface", nil).want(t, 200).get("interfaceAttachments.0.port_id").Str; got != ports[0].ID {
		t.Errorf("interface %q, want %s", got, ports[0].ID)
	}
	demo.do("POST", "/servers/"+id+"/action", m{"os-stop": nil}).want(t, 202)
	demo.do("PUT", "/servers/"+id+"/metadata", m{"metadata": m{"c": "d"}}).want(t, 200)
	demo.remove(t, id)
	w.drop(t, n.ID)
	w.cleanPods()
}

// TestWaitingServerLooksLikeOthers: in every version it has the members that it has
// in its pod.
func TestWaitingServerLooksLikeOthers(t *testing.T) {
	t.Parallel()
	w, demo, image, arrive := elsewhere(t)
	n := demo.network("blue", "10.1.0.0/24")
	id := demo.waits(image, m{"networks": []m{{"uuid": n.ID}}}).get("server.id").Str
	versions := []string{"2.1", "2.3", "2.9", "2.16", "2.19", "2.26", "2.47", "2.63", "2.71", "2.73", "2.75", "2.90", "2.93"}
	members := func(ask func(c *client) gjson.Result) map[string][]string {
		all := map[string][]string{}
		for _, user := range []string{"demo", "admin"} {
			for _, version := range versions {
				var names []string
				ask(w.as(user).at(version)).ForEach(func(k, v gjson.Result) bool {
					if v.IsObject() && (k.Str == "flavor" || k.Str == "image") {
						names = append(names, k.Str+" "+fmt.Sprint(slices.Sorted(maps.Keys(v.Map()))))
						return true
					}
					names = append(names, k.Str)
					return true
				})
				slices.Sort(names)
				all[user+" "+version] = names
			}
		}
		return all
	}
	show := func(c *client) gjson.Result { return c.do("GET", "/servers/"+id, nil).want(t, 200).get("server") }
	list := func(c *client) gjson.Result {
		return c.do("GET", "/servers/detail?"+map[bool]string{true: "all_tenants=1"}[c.project != demo.project], nil).want(t, 200).get("servers.0")
	}
	update := func(c *client) gjson.Result {
		return c.do("PUT", "/servers/"+id, m{"server": m{"name": "web"}}).want(t, 200).get("server")
	}
	asked := map[string]func(*client) gjson.Result{"show": show, "list": list, "update": update}
	before := map[string]map[string][]string{}
	for name, ask := range asked {
		before[name] = members(ask)
	}
	arrive()
	demo.becomes(id, "ACTIVE")
	for name, ask := range asked {
		if diff := cmp.Diff(members(ask), before[name]); diff != "" {
			t.Errorf("%s of a server that waits (-in its pod +waiting):\n%s", name, diff)
		}
	}
	demo.remove(t, id)
}

func TestListsWithWaitingServers(t *testing.T) {
	t.Parallel()
	w, demo, image, _ := elsewhere(t)
	near := demo.do("POST", "/servers", server(m{"name": "a-near", "availability_zone": "az1"})).want(t, 202).get("server.id").Str
	first := demo.waits(image, m{"name": "b-first", "tags": []string{"x", "y"}}).get("server.id").Str
	second := demo.waits(image, m{"name": "c-second", "key_name": nil}).get("server.id").Str
	demo.becomes(near, "ACTIVE")
	w.as("alt").waits(image, nil)
	names := map[string]string{near: "near", first: "first", second: "second"}
	for query, want := range map[string]string{
		"":                                   "near first second",
		"sort_dir=desc":                      "second first near",
		"name=b-":                            "first",
		"status=BUILD":                       "first second",
		"status=ACTIVE":                      "near",
		"status=ERROR":                       "",
		"image=" + image:                     "first second",
		"flavor=1":                           "near first second",
		"tags=x,y":                           "first",
		"tags-any=x,z":                       "first",
		"not-tags=x":                         "near second",
		"availability_zone=az2":              "first second",
		"availability_zone=az1":              "near",
		"ip=10":                              "",
		"changes-since=2020-01-01T00:00:00Z": "near first second",
		"changes-since=2099-01-01T00:00:00Z": "",
		"vm_state=building":                  "first second",
		"host=nowhere":                       "near first second", // ignored: no admin
		"limit=1":                            "near",
		"limit=1&marker=" + near:             "first",
		"limit=1&marker=" + first:            "second",
		"limit=5&marker=" + first:            "second",
		"marker=" + second:                   "",
	} {
		for _, path := range []string{"/servers", "/servers/detail"} {
			got := []string{}
			sort := "?sort_key=display_name&"
			if !strings.Contains(query, "sort_dir") {
				sort += "sort_dir=asc&"
			}
			list := demo.do("GET", path+sort+query, nil).want(t, 200)
			for _, s := range list.get("servers").Array() {
				got = append(got, names[s.Get("id").Str])
			}
			if strings.Join(got, " ") != want {
				t.Errorf("GET %s?%s: %v, want %s", path, query, got, want)
			}
		}
	}
	if got := w.as("admin").do("GET", "/servers?all_tenants=1", nil).want(t, 200).get("servers.#").Int(); got != 4 {
		t.Errorf("admins see %d servers, want 4", got)
	}
	if got := w.as("admin").do("GET", "/servers?all_tenants=1&host=nowhere", nil); got.get("servers.#").Int() != 0 {
		t.Errorf("servers of a host: %s", got.body)
	}
}

// TestWaitingServerOnAVolume: the image is that of a volume to make for it.
func TestWaitingServerOnAVolume(t *testing.T) {
	t.Parallel()
	_, demo, image, arrive := elsewhere(t)
	disk := m{"uuid": image, "source_type": "image", "destination_type": "volume", "boot_index": 0, "volume_size": 1, "delete_on_termination": true}
	id := demo.do("POST", "/servers", server(m{"imageRef": nil, "availability_zone": "az2", "block_device_mapping_v2": []m{disk}})).want(t, 202).get("server.id").Str
	if got := demo.do("GET", "/servers/"+id, nil).want(t, 200).get("server.image"); got.String() != "" {
		t.Errorf("image = %s, want none: it boots from a volume", got)
	}
	arrive()
	demo.becomes(id, "ACTIVE")
	demo.remove(t, id)
}

// TestWaitingServerDeleted: all that was held for it is free at once.
func TestWaitingServerDeleted(t *testing.T) {
	t.Parallel()
	w, demo, image, _ := elsewhere(t)
	n := demo.network("blue", "10.1.0.0/24")
	id := demo.waits(image, m{"networks": []m{{"uuid": n.ID}}}).get("server.id").Str
	if got := demo.do("GET", "/limits", nil).get("limits.absolute.totalInstancesUsed").Int(); got != 1 {
		t.Errorf("%d servers count, want 1", got)
	}
	demo.do("DELETE", "/servers/"+id, nil).want(t, 204)
	demo.do("GET", "/servers/"+id, nil).want(t, 404)
	demo.do("DELETE", "/servers/"+id, nil).want(t, 404)
	if got := demo.do("GET", "/limits", nil).get("limits.absolute.totalInstancesUsed").Int(); got != 0 {
		t.Errorf("%d servers count, want 0", got)
	}
	w.drop(t, n.ID)
	again := demo.waits(image, nil).get("server.id").Str
	demo.do("POST", "/servers/"+again+"/action", m{"forceDelete": nil}).want(t, 204)
	demo.do("GET", "/servers/"+again, nil).want(t, 404)
}

// TestWaitingServerFails: whatever comes in between, its user is told, and can
// delete it.
func TestWaitingServerFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		meanwhile func(w *world, image string, token string)
		more      m
		want      string
	}{
		"image deleted": {want: "was deleted", meanwhile: func(w *world, image, _ string) { must(w.t, w.store.DeleteImage(w.t.Context(), image)) }},
		"token ended":   {want: "token", meanwhile: func(w *world, _, token string) { w.cloud.RevokeToken(token) }},
		"no room":       {want: "Quota exceeded", meanwhile: func(w *world, _, _ string) { w.cloud.Pod("pod2").SetQuota(0) }},
		"no such key":   {want: "Invalid key_name", more: m{"key_name": "nokey"}, meanwhile: func(*world, string, string) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, demo, image, arrive := elsewhere(t)
			n := demo.network("blue", "10.1.0.0/24")
			id := demo.waits(image, m{"networks": []m{{"uuid": n.ID}}, "key_name": tt.more["key_name"]}).get("server.id").Str
			tt.meanwhile(w, image, demo.token)
			arrive()
			demo = w.as("demo")
			demo.becomes(id, "ERROR")
			got := demo.do("GET", "/servers/"+id, nil).want(t, 200)
			if !strings.Contains(got.get("server.fault.message").Str, tt.want) || got.get("server.fault.code").Int() != 500 {
				t.Errorf("fault = %s, want %q", got.get("server.fault"), tt.want)
			}
			if list := demo.do("GET", "/servers?status=ERROR", nil).want(t, 200); list.get("servers.#").Int() != 1 {
				t.Errorf("list = %s", list.body)
			}
			demo.do("POST", "/servers/"+id+"/action", m{"os-start": nil}).want(t, 409)
			demo.do("DELETE", "/servers/"+id, nil).want(t, 204)
			demo.do("GET", "/servers/"+id, nil).want(t, 404)
			w.drop(t, n.ID)
			w.cleanPods()
		})
	}
}

// TestWaitingServerExactlyOnce: the pod's call is lost in each way.
func TestWaitingServerExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]podtest.Fault{
		"500": {Status: 500}, "503": {Status: 503}, "garbage": {Garbage: true}, "request lost": {DropRequest: true}, "reply lost": {DropReply: true},
	} {
		for _, deleted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s deleted %v", name, deleted), func(t *testing.T) {
				t.Parallel()
				w, demo, image, arrive := elsewhere(t)
				n := demo.network("blue", "10.1.0.0/24")
				id := demo.waits(image, m{"networks": []m{{"uuid": n.ID}}}).get("server.id").Str
				fault := way
				fault.Service, fault.Method, fault.Path, fault.Times = podtest.Compute, "POST", `/servers$`, 1
				hit := make(chan struct{}, 10)
				fault.Before = func(*http.Request) { hit <- struct{}{} }
				w.cloud.Pod("pod2").Fault(fault)
				arrive()
				if deleted {
					<-hit
					demo.do("DELETE", "/servers/"+id, nil).want(t, 204)
					eventually(t, "it is gone", func() bool { return demo.do("GET", "/servers/"+id, nil).status == 404 })
				} else {
					demo.becomes(id, "ACTIVE")
					if made := w.inventory()["pod2"]["server"]; len(made) != 1 {
						t.Errorf("pod2 has servers %v, want one", made)
					}
					if list := demo.do("GET", "/servers", nil).get("servers.#.id").Raw; list != `["`+id+`"]` {
						t.Errorf("list = %s", list)
					}
					demo.remove(t, id)
				}
				w.drop(t, n.ID)
				w.cleanPods()
			})
		}
	}
}

// TestSeveralServersWait: each for itself, in their group.
func TestSeveralServersWait(t *testing.T) {
	t.Parallel()
	w, demo, image, arrive := elsewhere(t)
	group := demo.serverGroup("affinity")
	body := hinted(group, m{"imageRef": image, "availability_zone": "az2", "max_count": 3})
	demo.do("POST", "/servers", body).want(t, 202)
	list := demo.do("GET", "/servers/detail", nil).want(t, 200)
	if got := list.get("servers.#").Int(); got != 3 {
		t.Fatalf("%d servers, want 3: %s", got, list.body)
	}
	arrive()
	for _, s := range list.get("servers").Array() {
		demo.becomes(s.Get("id").Str, "ACTIVE")
	}
	if got := demo.do("GET", "/os-server-groups/"+group, nil).want(t, 200).members(); len(got) != 3 {
		t.Errorf("members = %v", got)
	}
	demo.removeAll(t)
	demo.do("DELETE", "/os-server-groups/"+group, nil).want(t, 204)
	w.cleanPods()
}

// TestServersGoWhereTheImageIs: a project's first server waits for no image, and those
// after it are where its things are; an image that stays at home is only in its zone.
func TestServersGoWhereTheImageIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	one := w.cloud.Pod("pod1").AddImage(glance.Image{Name: "only pod1"})
	two := w.cloud.Pod("pod2").AddImage(glance.Image{Name: "only pod2"})
	three := w.cloud.Pod("pod1").AddImage(glance.Image{Name: "only pod1, too"}) // by then pod2 has one
	for _, c := range []struct{ user, image, zone string }{
		{"demo", two, "az2"}, {"demo", one, "az2"}, {"alt", three, "az1"}, {"alt", two, "az1"},
	} {
		who := w.as(c.user)
		id := who.do("POST", "/servers", server(m{"imageRef": c.image})).want(t, 202).get("server.id").Str
		who.becomes(id, "ACTIVE")
		if got := who.do("GET", "/servers/"+id, nil).get(`server.OS-EXT-AZ\:availability_zone`).Str; got != c.zone {
			t.Errorf("a server of %s is in %s, want %s", c.user, got, c.zone)
		}
		who.removeAll(t)
	}
	stays := w.cloud.Pod("pod1").AddImage(glance.Image{Name: "stays", Properties: map[string]string{store.ImageModeProperty: "home-only"}})
	// The home's word counts: this one was uploaded past the region.
	late := w.cloud.Pod("pod1").AddImage(glance.Image{Name: "late"})
	must(t, w.store.KeepImage(t.Context(), store.Image{ID: late, Home: "pod1", Status: "queued"}))
	demo.becomes(demo.waits(late, nil).get("server.id").Str, "ACTIVE")
	got := demo.do("POST", "/servers", server(m{"imageRef": stays, "availability_zone": "az2"})).want(t, 400)
	if !strings.Contains(got.message(), "does not have image "+stays) {
		t.Errorf("an image that stays: %s", got.body)
	}
	demo.removeAll(t)
}
