package compute_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// twins is a world whose pods call their hosts the same.
func twins(t testing.TB, hosts ...string) *world {
	w := newWorld(t, podtest.Options{})
	for _, p := range w.cloud.Pods() {
		p.Compute.SetHosts(hosts...)
	}
	return w
}

func (r reply) list(path string) string { return strings.ReplaceAll(r.get(path).Raw, `"`, "") }

// TestSameHostNames holds that hosts of the same name are told apart, everywhere
// alike, and that no name changes its form when a pod is away.
func TestSameHostNames(t *testing.T) {
	t.Parallel()
	w := twins(t, "n0", "n1")
	admin := w.as("admin")
	names := "[n0,n1,n0@pod2,n1@pod2]"
	for _, tt := range []struct{ version, path, field, want string }{
		{"2.1", "/os-hypervisors", "hypervisors.#.hypervisor_hostname", names},
		{"2.93", "/os-hypervisors/detail", "hypervisors.#.service.host", names},
		{"2.93", "/os-services?binary=nova-compute", "services.#.host", names},
		{"2.1", "/os-hosts?zone=az2", "hosts.#.host_name", "[n0@pod2,n1@pod2]"},
		{"2.1", "/os-hosts?zone=internal", "hosts.#.host_name", "[controller,controller,controller@pod2,controller@pod2]"},
		{"2.1", "/os-instance_usage_audit_log", "instance_usage_audit_logs.hosts_not_run", names},
		{"2.1", "/os-hypervisors/n1@pod2/search", "hypervisors.#.hypervisor_hostname", "[n1@pod2]"},
		{"2.1", "/os-hypervisors/n1/search", "hypervisors.#.hypervisor_hostname", "[n1,n1@pod2]"},
		{"2.93", "/os-hypervisors?hypervisor_hostname_pattern=n0", "hypervisors.#.hypervisor_hostname", "[n0,n0@pod2]"},
		{"2.93", "/os-services?host=n1", "services.#.host", "[n1]"},
		{"2.93", "/os-services?host=n1@pod2", "services.#.host", "[n1@pod2]"},
		{"2.93", "/os-services?host=n1@pod1", "services.#.host", "[n1]"},
		{"2.93", "/os-services?host=other", "services.#.host", "[]"},
		{"2.1", "/os-hosts/n1@pod2", "host.0.resource.host", "n1@pod2"},
		{"2.1", "/os-hosts/n1@pod2/reboot", "host", "n1@pod2"},
	} {
		got := admin.at(tt.version).do("GET", tt.path, nil).want(t, 200)
		if list := strings.ReplaceAll(got.list(tt.field), ", ", ","); list != tt.want {
			t.Errorf("%s at %s: %s = %s, want %s", tt.path, tt.version, tt.field, list, tt.want)
		}
	}
	detail := admin.do("GET", "/os-availability-zone/detail", nil).want(t, 200)
	if hosts := detail.get(`availabilityZoneInfo.#(zoneName=="az2").hosts`); !hosts.Get("n0@pod2").Exists() || hosts.Get("n0").Exists() {
		t.Errorf("hosts of az2 = %s", hosts.Raw)
	}
	id := admin.boot("az2", nil)
	show := admin.do("GET", "/servers/"+id, nil)
	if show.get("server.OS-EXT-SRV-ATTR:host").Str != "n0@pod2" || show.get("server.OS-EXT-SRV-ATTR:hypervisor_hostname").Str != "n0@pod2" {
		t.Errorf("server = %s", show.body)
	}
	for host, want := range map[string]int64{"n0@pod2": 1, "n0": 0, "nowhere": 0} {
		if got := admin.do("GET", "/servers?all_tenants=1&host="+host, nil).want(t, 200).get("servers.#").Int(); got != want {
			t.Errorf("%d servers on %s, want %d", got, host, want)
		}
	}
	w.cloud.Pod("pod1").Down()
	away := admin.do("GET", "/os-services?binary=nova-compute", nil).want(t, 200)
	if got := away.list("services.#.host"); got != "[n0@pod2,n1@pod2]" || away.header.Get("X-Tricircle-Unreachable-Pods") != "pod1" {
		t.Errorf("without pod1: %s, unreachable %q", got, away.header.Get("X-Tricircle-Unreachable-Pods"))
	}
	if got := admin.at("2.1").do("GET", "/os-hosts/n1", nil); got.status != 503 || !strings.Contains(got.message(), "pod1") {
		t.Errorf("a host of a pod that is away: %d %s", got.status, got.body)
	}
}

// TestHostsToGoTo holds that admins name hosts to boot on and to migrate to as the
// region shows them.
func TestHostsToGoTo(t *testing.T) {
	t.Parallel()
	w := twins(t, "n0", "n1")
	admin := w.as("admin")
	admin.do("GET", "/os-hypervisors", nil).want(t, 200) // the names are given
	made := admin.do("POST", "/servers", server(m{"availability_zone": "az2:n1@pod2"})).want(t, 202).get("server.id").Str
	if got := admin.do("GET", "/servers/"+made, nil).get("server.OS-EXT-SRV-ATTR:host").Str; got != "n1@pod2" {
		t.Errorf("host = %s", got)
	}
	act := func(action string, args m) reply {
		return admin.do("POST", "/servers/"+made+"/action", m{action: args})
	}
	act("os-migrateLive", m{"host": "n0@pod2", "block_migration": "auto"}).want(t, 202)
	if got := act("os-migrateLive", m{"host": "n0", "block_migration": "auto"}); got.status != 400 || !strings.Contains(got.message(), "pod1") {
		t.Errorf("to another pod: %d %s", got.status, got.body)
	}
}

// TestNumbersOfPods holds that IDs which repeat in the pods are different in the
// region, and that each leads back.
func TestNumbersOfPods(t *testing.T) {
	t.Parallel()
	w := twins(t, "n0", "n1")
	admin := w.as("admin").at("2.1")
	list := admin.do("GET", "/os-hypervisors/detail", nil).want(t, 200)
	if got := list.list("hypervisors.#.id") + list.list("hypervisors.#.service.id"); got != "[1,2,10000001,10000002][3,4,10000003,10000004]" {
		t.Errorf("IDs = %s", got)
	}
	for _, h := range list.get("hypervisors").Array() {
		got := admin.do("GET", "/os-hypervisors/"+h.Get("id").Raw, nil).want(t, 200)
		if diff := cmp.Diff(h.Value(), got.get("hypervisor").Value()); diff != "" {
			t.Errorf("hypervisor %s (-list +show):\n%s", h.Get("id").Raw, diff)
		}
	}
	for path, want := range map[string]string{
		"/os-hypervisors/10000099":        "pod pod2: Hypervisor with ID '10000099' could not be found.",
		"/os-hypervisors/50000001":        "Hypervisor with ID '50000001' could not be found.",
		"/os-hypervisors/n0":              "Hypervisor with ID 'n0' could not be found.",
		"/os-hypervisors/nosuch/search":   "No hypervisor matching 'nosuch' could be found.",
		"/os-hypervisors/10000002/uptime": "pod pod2: The requested functionality is not supported.",
	} {
		if got := admin.do("GET", path, nil).message(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	sum := admin.do("GET", "/os-hypervisors/statistics", nil).want(t, 200)
	if got := sum.get("hypervisor_statistics.count").Int(); got != 4 {
		t.Errorf("count = %d, want 4", got)
	}
	w.cloud.Pod("pod2").Down()
	if got := admin.do("GET", "/os-hypervisors/10000001", nil); got.status != 503 || !strings.Contains(got.message(), "pod2") {
		t.Errorf("in a pod that is away: %d %s", got.status, got.body)
	}
	id := list.get("hypervisors.0.id").Raw
	admin.do("GET", "/os-hypervisors/"+id, nil).want(t, 200)
	absent := w.as("admin").do("GET", "/os-hypervisors/5e5ff5a2-46a1-4b4b-9d8d-000000000000", nil)
	if absent.status != 503 || !strings.Contains(absent.message(), "pod2") {
		t.Errorf("a UUID that pod2 may know: %d %s", absent.status, absent.body)
	}
}

// pages reads a list page by page, by its links.
func (c *client) pages(t *testing.T, path, field, id string, limit int) []string {
	t.Helper()
	var all []string
	query := url.Values{"limit": {fmt.Sprint(limit)}}
	for range 100 {
		got := c.do("GET", path+"?"+query.Encode(), nil).want(t, 200)
		for _, row := range got.get(field).Array() {
			all = append(all, row.Get(id).String())
		}
		next := got.get(field + "_links.0.href").Str
		if next == "" {
			return all
		}
		u, err := url.Parse(next)
		must(t, err)
		query = u.Query()
	}
	t.Fatal("the pages do not end")
	return nil
}

// TestAdminPages holds that pages put together are the whole list, whatever their
// size, and from another replica, which does not remember the pages before.
func TestAdminPages(t *testing.T) {
	t.Parallel()
	w := twins(t, "n0", "n1", "n2", "n3", "n4")
	base := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for i := range 7 {
		for _, p := range w.cloud.Pods() { // in the same second in both, and twice in one
			p.Compute.AddMigration("5e5ff5a2-46a1-4b4b-9d8d-000000000000", base.Add(time.Duration(i/2)*time.Minute))
		}
	}
	for _, l := range []struct{ version, path, field, id string }{
		{"2.40", "/os-hypervisors", "hypervisors", "id"}, {"2.93", "/os-hypervisors/detail", "hypervisors", "id"},
		{"2.93", "/os-migrations", "migrations", "uuid"},
	} {
		admin := w.as("admin").at(l.version)
		var whole []string
		for _, row := range admin.do("GET", l.path, nil).want(t, 200).get(l.field).Array() {
			whole = append(whole, row.Get(l.id).String())
		}
		sorted := slices.Sorted(slices.Values(whole))
		if len(whole) < 10 || len(slices.Compact(sorted)) != len(whole) {
			t.Fatalf("%s = %v", l.path, whole)
		}
		for limit := 1; limit <= len(whole)+1; limit++ {
			if diff := cmp.Diff(whole, admin.pages(t, l.path, l.field, l.id, limit)); diff != "" {
				t.Errorf("%s in pages of %d (-whole +pages):\n%s", l.path, limit, diff)
			}
		}
		for i, marker := range whole {
			other := w.replica(t, admin)
			got := other.do("GET", l.path+"?limit=3&marker="+marker, nil).want(t, 200)
			var ids []string
			for _, row := range got.get(l.field).Array() {
				ids = append(ids, row.Get(l.id).String())
			}
			if want := whole[i+1 : min(i+4, len(whole))]; !slices.Equal(ids, want) {
				t.Errorf("%s after row %d in another replica: %v, want %v", l.path, i, ids, want)
			}
		}
		nobody := admin.do("GET", l.path+"?marker="+map[bool]string{true: "99", false: "5e5ff5a2-46a1-4b4b-9d8d-00000000000f"}[l.version == "2.40"], nil)
		if nobody.status != 400 {
			t.Errorf("%s after an unknown marker: %d %s", l.path, nobody.status, nobody.body)
		}
	}
	old := w.as("admin").at("2.1").do("GET", "/os-migrations", nil).want(t, 200)
	if got := old.get("migrations.#").Int(); got != 14 || old.get("migrations.13.id").Int() != 10000007 {
		t.Errorf("migrations at 2.1: %s", old.body)
	}
	mine := w.as("admin").do("GET", "/os-migrations?host=n0@pod2", nil).want(t, 200)
	if mine.get("migrations.#").Int() != 7 || mine.get("migrations.0.source_node").Str != "n0@pod2" {
		t.Errorf("migrations of a host: %s", mine.body)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	w := twins(t, "n0", "n1")
	admin, old := w.as("admin"), w.as("admin").at("2.11")
	status := func(host string) string {
		return admin.do("GET", "/os-services?binary=nova-compute&host="+host, nil).want(t, 200).get("services.0.status").Str
	}
	admin.do("GET", "/os-services", nil).want(t, 200)
	got := old.do("PUT", "/os-services/disable-log-reason", m{"host": "n1@pod2", "binary": "nova-compute", "disabled_reason": "disk"}).want(t, 200)
	if got.get("service.host").Str != "n1@pod2" || status("n1@pod2") != "disabled" || status("n1") != "enabled" {
		t.Errorf("disabled: %s; then %s and %s", got.body, status("n1@pod2"), status("n1"))
	}
	if got := old.do("PUT", "/os-services/disable", m{"host": "nosuch", "binary": "nova-compute"}).want(t, 404).message(); got != "Host 'nosuch' is not mapped to any cell" {
		t.Errorf("message = %s", got)
	}
	id := admin.do("GET", "/os-services?host=n1@pod2", nil).get("services.0.id").Str
	enabled := admin.do("PUT", "/os-services/"+id, m{"status": "enabled"}).want(t, 200)
	if enabled.get("service.host").Str != "n1@pod2" || enabled.get("service.zone").Str != "az2" || status("n1@pod2") != "enabled" {
		t.Errorf("enabled: %s", enabled.body)
	}
	admin.do("PUT", "/os-services/x", m{"status": "enabled"}).want(t, 400)
	missing := "5e5ff5a2-46a1-4b4b-9d8d-000000000000"
	if got := admin.do("PUT", "/os-services/"+missing, m{"status": "enabled"}).want(t, 404).message(); got != "Service "+missing+" could not be found." {
		t.Errorf("message = %s", got)
	}
	number := old.do("GET", "/os-services?host=n1@pod2", nil).get("services.0.id").Raw
	old.do("DELETE", "/os-services/"+number, nil).want(t, 204)
	if got := admin.do("GET", "/os-hypervisors", nil).list("hypervisors.#.hypervisor_hostname"); got != "[n0,n1,n0@pod2]" {
		t.Errorf("hypervisors = %s", got)
	}
	old.do("DELETE", "/os-services/x", nil).want(t, 400)
	w.as("demo").do("PUT", "/os-services/"+id, m{"status": "enabled"}).want(t, 403)
	w.cloud.Pod("pod1").Down()
	if got := admin.do("DELETE", "/os-services/"+missing, nil); got.status != 503 || !strings.Contains(got.message(), "pod1") {
		t.Errorf("a service that pod1 may have: %d %s", got.status, got.body)
	}
}

// TestExternalEvents holds that events reach the pods of their servers, and that
// the answer has each in its place.
func TestExternalEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin, demo := w.as("admin"), w.as("demo")
	one, two, nobody := demo.boot("az1", nil), demo.boot("az2", nil), "5e5ff5a2-46a1-4b4b-9d8d-000000000000"
	event := func(id string) m { return m{"name": "network-changed", "server_uuid": id} }
	send := func(events ...m) reply {
		return admin.do("POST", "/os-server-external-events", m{"events": events})
	}
	codes := func(r reply) string { return r.list("events.#.code") + r.list("events.#.server_uuid") }
	want := fmt.Sprintf("[200,404,200,200][%s,%s,%s,%s]", two, nobody, one, two)
	if got := send(event(two), event(nobody), event(one), event(two)).want(t, 207); codes(got) != want {
		t.Errorf("events = %s, want %s", codes(got), want)
	}
	send(event(one), event(two)).want(t, 200)
	if got := send(event(nobody)).want(t, 207); codes(got) != "[404]["+nobody+"]" {
		t.Errorf("events = %s", got.body)
	}
	for name, id := range map[string]string{"pod1": one, "pod2": two} {
		for _, e := range w.cloud.Pod(name).Compute.Events() {
			if e != "network-changed "+id {
				t.Errorf("%s got %s", name, e)
			}
		}
	}
	for _, bad := range []any{"{", m{}, m{"events": []m{}}, m{"events": []m{{"server_uuid": one}}}} {
		admin.do("POST", "/os-server-external-events", bad).want(t, 400)
	}
	demo.do("POST", "/os-server-external-events", m{"events": []m{event(one)}}).want(t, 403)
	w.cloud.Pod("pod2").Down()
	got := send(event(one), event(two)).want(t, 207)
	if codes(got) != fmt.Sprintf("[200,503][%s,%s]", one, two) || got.header.Get("X-Tricircle-Unreachable-Pods") != "pod2" {
		t.Errorf("without pod2: %s", got.body)
	}
	if got := send(event(two)); got.status != 503 || !strings.Contains(got.message(), "pod2") {
		t.Errorf("only for pod2: %d %s", got.status, got.body)
	}
}

// TestServerMigrations holds that a migration has one number in all lists.
func TestServerMigrations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin")
	id := admin.boot("az2", nil)
	admin.do("POST", "/servers/"+id+"/action", m{"resize": m{"flavorRef": "2"}}).want(t, 202)
	row := admin.do("GET", "/os-migrations?instance_uuid="+id, nil).want(t, 200).get("migrations.0")
	if row.Get("id").Int() != 10000001 || row.Get("source_compute").Str != "pod2-node1" {
		t.Errorf("migration = %s", row.Raw)
	}
	if got := gjson.Get(row.Raw, "dest_host").Str; got != "192.0.2.1" {
		t.Errorf("dest_host = %s: an address is no name", got)
	}
	if got := admin.do("GET", "/servers/"+id+"/migrations/1", nil).want(t, 404).message(); got != "Migration 1 not found for instance "+id {
		t.Errorf("message = %s", got)
	}
}

// replica is the client at another process over the same store.
func (w *world) replica(t *testing.T, c *client) *client {
	t.Helper()
	own := pod.NewAccount(pod.AccountOptions{
		AuthURL: w.cloud.AuthURL(), Username: "admin", Password: "secret", ProjectName: "admin", UserDomainID: "default", ProjectDomainID: "default",
	})
	f := fleet.New(fleet.Options{Store: w.store, Own: own})
	web := httptest.NewServer(gateway.New(gateway.Options{
		Services: []gateway.Service{compute.Service(compute.Deps{Store: w.store, Fleet: f, Dispatch: dispatch.New(dispatch.OfFleet(f, w.store))})},
		Verifier: identity.NewVerifier(identity.Options{AuthURL: w.cloud.AuthURL(), Service: own}), AuthURL: w.cloud.AuthURL(),
	}))
	t.Cleanup(web.Close)
	there, other := *w.region, *c
	there.url = web.URL + "/compute"
	other.region = &there
	return &other
}
