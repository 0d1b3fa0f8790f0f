package region_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// cinder is the client at the newest version of Block Storage.
func (c *client) cinder() *client {
	return c.with("OpenStack-API-Version", "volume 3.70")
}

// volumeIn makes a volume in a zone.
func (c *client) volumeIn(zone, name string) string {
	c.t.Helper()
	return c.do("POST", volume+"/volumes", m{"volume": m{"size": 1, "name": name, "availability_zone": zone}}).want(c.t, 202).get("volume.id").Str
}

// walked are the IDs of a list, read in pages of one by the links, or by markers
// where the list has none.
func (c *client) walked(path, field string) []string {
	c.t.Helper()
	query, ids := "?limit=1", []string{}
	for range 20 {
		got := c.do("GET", volume+path+query, nil).want(c.t, 200)
		rows := got.get(field).Array()
		if len(rows) == 0 {
			return ids
		}
		ids = append(ids, rows[0].Get("id").Str)
		next, err := url.Parse(got.get("*_links.0.href").Str)
		must(c.t, err)
		if next.Path == "" {
			query = "?limit=1&marker=" + ids[len(ids)-1]
			continue
		}
		if want := volume + path; next.Path != want {
			c.t.Errorf("the next page of %s is at %s", want, next.Path)
		}
		query = "?" + next.RawQuery
	}
	c.t.Fatalf("the list at %s has no end: %q", path, ids)
	return nil
}

// TestThingsOfVolumes: what hangs on a volume is made in its pod, listed with all
// others of its kind in one order and in pages, found by ID, changed and deleted.
func TestThingsOfVolumes(t *testing.T) {
	t.Parallel()
	clock := newClock()
	r := newRegion(t, setup{clouds: podtest.Options{Now: clock.now}})
	demo := r.as("demo").cinder()
	for _, kind := range []struct {
		path, field, item string
		body              func(volumeID string) m
		status            int
		pages             bool
	}{
		{"/snapshots", "snapshots", "snapshot", func(id string) m { return m{"snapshot": m{"volume_id": id, "name": "n"}} }, 202, true},
		{"/backups", "backups", "backup", func(id string) m { return m{"backup": m{"volume_id": id, "name": "n"}} }, 202, true},
		{"/volume-transfers", "transfers", "transfer", func(id string) m { return m{"transfer": m{"volume_id": id, "name": "n"}} }, 202, true},
		{"/os-volume-transfer", "transfers", "transfer", func(id string) m { return m{"transfer": m{"volume_id": id, "name": "n"}} }, 202, false},
		{"/attachments", "attachments", "attachment", func(id string) m { return m{"attachment": m{"volume_uuid": id, "instance_uuid": imageID}} }, 200, true},
	} {
		t.Run(strings.TrimPrefix(kind.path, "/"), func(t *testing.T) {
			made := map[string]string{} // to its volume
			var newestFirst, volumes []string
			for i := range 3 {
				clock.tick(time.Minute)
				id := demo.volumeIn(fmt.Sprintf("az%d", i%2+1), "v")
				volumes = append(volumes, id)
				thing := demo.do("POST", volume+kind.path, kind.body(id)).want(t, kind.status).get(kind.item + ".id").Str
				made[thing] = id
				newestFirst = append([]string{thing}, newestFirst...)
			}
			all := []string{}
			for _, row := range demo.do("GET", volume+kind.path+"/detail", nil).want(t, 200).get(kind.field).Array() {
				all = append(all, row.Get("id").Str)
				if want := made[row.Get("id").Str]; row.Get("volume_id").Str != want {
					t.Errorf("row %s, want volume %s", row.Raw, want)
				}
			}
			want := newestFirst
			switch {
			case !kind.pages:
				slices.Reverse(want) // the old form's order
			case kind.field == "attachments": // rows do not show when they were made: pod by pod
				want = []string{newestFirst[0], newestFirst[2], newestFirst[1]}
			}
			if diff := cmp.Diff(want, all); diff != "" {
				t.Errorf("list (-want +got):\n%s", diff)
			}
			if kind.pages {
				if diff := cmp.Diff(want, demo.walked(kind.path, kind.field)); diff != "" {
					t.Errorf("pages (-want +got):\n%s", diff)
				}
			}
			for thing, id := range made {
				one := volume + kind.path + "/" + thing
				if got := demo.do("GET", one, nil).want(t, 200); got.get(kind.item+".volume_id").Str != id {
					t.Errorf("GET %s = %s", one, got.body)
				}
				if got := demo.do("DELETE", one, nil); got.status >= 300 {
					t.Errorf("DELETE %s = %d %s", one, got.status, got.body)
				}
				demo.do("GET", one, nil).want(t, 404)
			}
			for _, id := range volumes {
				demo.do("DELETE", volume+"/volumes/"+id, nil).want(t, 202)
			}
		})
	}
	r.clean()
}

// TestGroupsOfVolumes: a group is in one pod, and so is all that joins it or comes
// of it.
func TestGroupsOfVolumes(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo").cinder()
	groupIn := func(zone string) string {
		return demo.do("POST", volume+"/groups", m{"group": m{"name": "g", "group_type": imageID, "volume_types": []string{"fake"}, "availability_zone": zone}}).
			want(t, 202).get("group.id").Str
	}
	group := groupIn("az2")
	if got := demo.do("GET", volume+"/groups/"+group, nil).want(t, 200); got.get("group.availability_zone").Str != "az2" {
		t.Errorf("group = %s", got.body)
	}
	demo.do("POST", volume+"/groups", m{"group": m{"group_type": imageID, "volume_types": []string{"fake"}, "availability_zone": "az9"}}).want(t, 400)

	here, there := demo.volumeIn("az2", "here"), demo.volumeIn("az1", "there")
	if got := demo.do("PUT", volume+"/groups/"+group, m{"group": m{"add_volumes": there}}).want(t, 400); !strings.Contains(got.message(), "az1") || !strings.Contains(got.message(), "az2") {
		t.Errorf("joining from another zone: %s, want both zones named", got.body)
	}
	demo.do("PUT", volume+"/groups/"+group, m{"group": m{"add_volumes": here, "name": "h"}}).want(t, 202)
	set := demo.do("POST", volume+"/group_snapshots", m{"group_snapshot": m{"group_id": group, "name": "s"}}).want(t, 202).get("group_snapshot.id").Str
	copied := demo.do("POST", volume+"/groups/action", m{"create-from-src": m{"name": "c", "group_snapshot_id": set}}).want(t, 202).get("group.id").Str
	if got := r.pod("pod2").Inventory()["group"]; !slices.Contains(got, group) || !slices.Contains(got, copied) {
		t.Errorf("pod2 has groups %v, want %s and %s", got, group, copied)
	}
	if ids := demo.walked("/groups", "groups"); len(ids) != 2 {
		t.Errorf("groups in pages = %v", ids)
	}
	if ids := demo.walked("/group_snapshots", "group_snapshots"); !slices.Equal(ids, []string{set}) {
		t.Errorf("group snapshots in pages = %v", ids)
	}
	demo.do("DELETE", volume+"/group_snapshots/"+set, nil).want(t, 202)
	demo.do("POST", volume+"/groups/"+group+"/action", m{"delete": m{"delete-volumes": true}}).want(t, 202)
	demo.do("POST", volume+"/groups/"+copied+"/action", m{"delete": m{"delete-volumes": false}}).want(t, 202)
	demo.do("DELETE", volume+"/volumes/"+there, nil).want(t, 202)
	r.clean()
}

// TestAcceptedTransfers: a volume goes from one project to another in any pod, also
// when the region never saw the transfer, and the index knows whose it is.
func TestAcceptedTransfers(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo, alt := r.as("demo").cinder(), r.as("alt").cinder()
	id := demo.volumeIn("az2", "gift")
	offer := demo.do("POST", volume+"/volume-transfers", m{"transfer": m{"volume_id": id}}).want(t, 202)
	accept := volume + "/volume-transfers/" + offer.get("transfer.id").Str + "/accept"
	alt.do("GET", strings.TrimSuffix(accept, "/accept"), nil).want(t, 404)
	alt.do("POST", accept, m{"accept": m{"auth_key": "wrong"}}).want(t, 400)
	alt.do("POST", volume+"/volume-transfers/"+imageID+"/accept", m{"accept": m{"auth_key": "x"}}).want(t, 404)
	got := alt.do("POST", accept, m{"accept": m{"auth_key": offer.get("transfer.auth_key").Str}}).want(t, 202)
	if got.get("transfer.volume_id").Str != id {
		t.Errorf("accepted %s", got.body)
	}
	demo.do("GET", volume+"/volumes/"+id, nil).want(t, 404)
	if mine := alt.volumes(); !slices.Equal(mine, []string{id}) {
		t.Errorf("alt has volumes %v, want %s", mine, id)
	}
	alt.do("DELETE", volume+"/volumes/"+id, nil).want(t, 202)
	r.clean()
}

// TestAcrossZones: what would join things of two pods is refused, and both zones
// are named.
func TestAcrossZones(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo := r.as("demo").cinder()
	netID, _ := demo.network("n", "10.0.0.0/24")
	server := demo.boot(m{"name": "s", "availability_zone": "az1", "networks": []m{{"uuid": netID}}})
	here, there := demo.volumeIn("az1", "here"), demo.volumeIn("az2", "there")
	backup := demo.do("POST", volume+"/backups", m{"backup": m{"volume_id": there}}).want(t, 202).get("backup.id").Str
	for _, test := range []struct {
		what, path string
		body       m
	}{
		{"attachment", "/attachments", m{"attachment": m{"volume_uuid": there, "instance_uuid": server}}},
		{"os-attach", "/volumes/" + there + "/action", m{"os-attach": m{"instance_uuid": server, "mountpoint": "/dev/vdb"}}},
		{"restore", "/backups/" + backup + "/restore", m{"restore": m{"volume_id": here}}},
		{"snapshot of a zone", "/backups", m{"backup": m{"volume_id": there, "availability_zone": "az1"}}},
	} {
		got := demo.do("POST", volume+test.path, test.body)
		if got.status != 400 || !strings.Contains(got.message(), "az1") || !strings.Contains(got.message(), "az2") {
			t.Errorf("%s = %d %s, want 400 with both zones", test.what, got.status, got.body)
		}
	}
	attached := demo.do("POST", volume+"/attachments", m{"attachment": m{"volume_uuid": here, "instance_uuid": server}}).want(t, 200).get("attachment.id").Str
	demo.do("POST", volume+"/attachments/"+attached+"/action", m{"os-complete": m{}}).want(t, 204)
	if got := demo.do("GET", volume+"/volumes/"+here, nil).want(t, 200); got.get("volume.status").Str != "in-use" {
		t.Errorf("attached volume = %s", got.body)
	}
	demo.do("DELETE", volume+"/attachments/"+attached, nil).want(t, 200)
	restored := demo.do("POST", volume+"/backups/"+backup+"/restore", m{"restore": m{}}).want(t, 202).get("restore.volume_id").Str
	if got := demo.do("GET", volume+"/volumes/"+restored, nil).want(t, 200); got.get("volume.availability_zone").Str != "az2" {
		t.Errorf("restored volume = %s", got.body)
	}
}

// TestStorageOperators: what admins see of all pods has names that tell the pods
// apart, and what they name is found.
func TestStorageOperators(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	admin, demo := r.as("admin").cinder(), r.as("demo").cinder()
	hosts := func(path, of string) []string {
		var names []string
		for _, name := range admin.do("GET", volume+path, nil).want(t, 200).get(of).Array() {
			names = append(names, name.Str)
		}
		slices.Sort(names)
		return names
	}
	for _, test := range []struct {
		path, of string
		want     []string
	}{
		{"/os-services?binary=cinder-volume", "services.#.host", []string{"simulated@fake", "simulated@fake@pod2"}},
		{"/os-services?host=simulated@fake@pod2", "services.#.host", []string{"simulated@fake@pod2"}},
		{"/os-services?host=nosuch", "services.#.host", nil},
		{"/os-hosts?zone=az2", "hosts.#.host_name", []string{"simulated@fake@pod2"}},
		{"/scheduler-stats/get_pools?detail=true", "pools.#.name", []string{"simulated@fake#fake", "simulated@fake#fake@pod2"}},
		{"/capabilities/simulated@fake@pod2", "[namespace]", []string{"OS::Storage::Capabilities::simulated@fake@pod2"}},
		{"/os-hosts/simulated@fake@pod2", "host.#.resource.host", []string{"simulated@fake@pod2"}},
		{"/clusters", "clusters.#.name", nil},
	} {
		if diff := cmp.Diff(test.want, hosts(test.path, test.of)); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", test.of, test.path, diff)
		}
		demo.do("GET", volume+test.path, nil).want(t, 403)
	}
	id := demo.volumeIn("az2", "v")
	if got := admin.do("GET", volume+"/volumes/"+id, nil).want(t, 200).get("volume.os-vol-host-attr:host").Str; got != "simulated@fake#fake@pod2" {
		t.Errorf("host = %s", got)
	}
	if got := admin.do("GET", volume+"/volumes?all_tenants=1&host=simulated@fake%23fake@pod2", nil).want(t, 200).get("volumes.#.id").Raw; got != `["`+id+`"]` {
		t.Errorf("volumes of the host = %s", got)
	}
	off := m{"host": "simulated@fake@pod2", "binary": "cinder-volume"}
	if got := admin.do("PUT", volume+"/os-services/disable", off).want(t, 200); got.get("host").Str != "simulated@fake@pod2" {
		t.Errorf("disabled = %s", got.body)
	}
	if got := admin.do("GET", volume+"/os-services?binary=cinder-volume", nil).get(`services.#(status=="disabled")#.host`).Raw; got != `["simulated@fake@pod2"]` {
		t.Errorf("disabled are %s", got)
	}
	admin.do("PUT", volume+"/os-services/enable", m{"host": "nosuch", "binary": "cinder-volume"}).want(t, 404)
	if got := admin.do("PUT", volume+"/os-services/get-log", m{}).want(t, 200).get("log_levels.#.host").Raw; got != `["simulated","simulated@pod2"]` {
		t.Errorf("log levels of %s", got)
	}
	got := admin.do("POST", volume+"/workers/cleanup", m{}).want(t, 202)
	if got.get("cleaning.#").Int() != 2 {
		t.Fatalf("cleaning %s", got.body)
	}
	number := got.get("cleaning.1.id").Int()
	if got := admin.do("POST", volume+"/workers/cleanup", m{"service_id": number}).want(t, 202); got.get("cleaning.#.host").Raw != `["simulated@fake@pod2"]` {
		t.Errorf("cleaning by number: %s", got.body)
	}
	admin.do("POST", volume+"/workers/cleanup", m{"resource_id": imageID}).want(t, 400)

	// Unmanaged in the second pod, and taken over again.
	admin.do("POST", volume+"/volumes/"+id+"/action", m{"os-unmanage": nil}).want(t, 202)
	demo.do("GET", volume+"/volumes/"+id, nil).want(t, 404)
	list := admin.do("GET", volume+"/manageable_volumes?host=simulated@fake%23fake@pod2", nil).want(t, 200)
	ref := list.get("manageable-volumes.0.reference.source-name").Str
	if ref != id {
		t.Fatalf("manageable = %s", list.body)
	}
	again := admin.do("POST", volume+"/manageable_volumes", m{"volume": m{
		"host": "simulated@fake#fake@pod2", "ref": m{"source-name": ref}, "availability_zone": "az2"}}).want(t, 202)
	if again.get("volume.availability_zone").Str != "az2" || again.get("volume.os-vol-host-attr:host").Str != "simulated@fake#fake@pod2" {
		t.Errorf("managed = %s", again.body)
	}
	admin.do("POST", volume+"/manageable_volumes", m{"volume": m{"host": "nosuch@fake#fake", "ref": m{}}}).want(t, 503)
	admin.do("GET", volume+"/manageable_volumes", nil).want(t, 400)
	admin.do("DELETE", volume+"/volumes/"+again.get("volume.id").Str, nil).want(t, 202)
	r.clean()
}

// TestVolumesWhileAPodIsAway: lists show the others and name the pod; what is there
// is 503 with its name; nothing is made elsewhere instead.
func TestVolumesWhileAPodIsAway(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{config: brisk})
	demo := r.as("demo").cinder()
	here, there := demo.volumeIn("az1", "here"), demo.volumeIn("az2", "there")
	r.pod("pod2").Fault(podtest.Fault{Service: podtest.Volume, Status: 503})
	got := demo.do("GET", volume+"/volumes/detail?with_count=true", nil).want(t, 200)
	if got.header.Get("X-Tricircle-Unreachable-Pods") != "pod2" || got.get("volumes.#.id").Raw != `["`+here+`"]` {
		t.Errorf("list = %v %s", got.header, got.body)
	}
	for _, test := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/volumes/" + there, nil},
		{"POST", "/snapshots", m{"snapshot": m{"volume_id": there}}},
		{"POST", "/volumes/" + there + "/action", m{"os-extend": m{"new_size": 2}}},
		{"POST", "/groups", m{"group": m{"group_type": imageID, "volume_types": []string{"fake"}, "availability_zone": "az2"}}},
		{"DELETE", "/snapshots/" + imageID, nil}, // it may be there
	} {
		if got := demo.do(test.method, volume+test.path, test.body); got.status != 503 || !strings.Contains(got.message(), "pod2") {
			t.Errorf("%s %s = %d %s, want 503 naming pod2", test.method, test.path, got.status, got.body)
		}
	}
}

// TestStrangersVolumes: nobody sees, lists or changes what is another project's,
// whatever the pod or the path.
func TestStrangersVolumes(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo, alt := r.as("demo").cinder(), r.as("alt").cinder()
	id := demo.volumeIn("az2", "mine")
	snapshot := demo.do("POST", volume+"/snapshots", m{"snapshot": m{"volume_id": id}}).want(t, 202).get("snapshot.id").Str
	for _, path := range []string{"/volumes/" + id, "/snapshots/" + snapshot, "/volumes/" + id + "/metadata"} {
		alt.do("GET", volume+path, nil).want(t, 404)
		alt.do("DELETE", volume+path, nil).want(t, 404)
		if got := alt.do("GET", volume+"/"+demo.project+path, nil).want(t, 400); got.message() != "Malformed request url" {
			t.Errorf("in the other project's path: %s", got.body)
		}
	}
	alt.do("POST", volume+"/snapshots", m{"snapshot": m{"volume_id": id}}).want(t, 404)
	alt.do("POST", volume+"/volumes/"+id+"/action", m{"os-extend": m{"new_size": 2}}).want(t, 404)
	if got := alt.volumes(); len(got) != 0 {
		t.Errorf("alt's list shows %v", got)
	}
	demo.do("GET", volume+"/"+demo.project+"/volumes/"+id, nil).want(t, 200)
}
