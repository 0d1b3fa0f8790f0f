package compute_test

import (
	"strings"
	"testing"

	"github.com/tricircle/tricircle/internal/pod/podtest"
)

// network asks the region's Network API.
func (c *client) neutron(method, path string, body any) reply {
	c.t.Helper()
	other := *c.region
	other.url = strings.TrimSuffix(c.url, "/compute") + "/network"
	d := *c
	d.region, d.version = &other, ""
	return d.do(method, "//v2.0"+path, body)
}

// TestVolumeDoors holds that old clients see the volumes of all pods, and make
// them where they say.
func TestVolumeDoors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	old := demo.at("2.35")
	one, two := demo.volume(w, "pod1"), demo.volume(w, "pod2")
	list := old.do("GET", "/os-volumes/detail", nil).want(t, 200)
	if ids := list.get("volumes.#.id").Raw; !strings.Contains(ids, one) || !strings.Contains(ids, two) {
		t.Errorf("volumes = %s, want %s and %s", ids, one, two)
	}
	if page := old.do("GET", "/os-volumes?limit=1&offset=1", nil).want(t, 200); page.get("volumes.#").Int() != 1 ||
		page.get("volumes.0.id").Str != list.get("volumes.1.id").Str {
		t.Errorf("second volume = %s", page.body)
	}
	made := old.do("POST", "/os-volumes", m{"volume": m{"size": 1, "display_name": "v", "availability_zone": "az2", "metadata": m{"k": "v"}}}).want(t, 200)
	id := made.get("volume.id").Str
	if got := made.header.Get("Location"); got != demo.url+"/v2.1/os-volumes/"+id {
		t.Errorf("Location = %s", got)
	}
	got := old.do("GET", "/os-volumes/"+id, nil).want(t, 200)
	if got.get("volume.availabilityZone").Str != "az2" || got.get("volume.displayName").Str != "v" || got.get("volume.attachments").Raw != `[{}]` {
		t.Errorf("volume = %s", got.body)
	}
	snap := old.do("POST", "/os-snapshots", m{"snapshot": m{"volume_id": id, "display_name": "s"}}).want(t, 200).get("snapshot.id").Str
	if got := old.do("GET", "/os-snapshots", nil).want(t, 200); got.get("snapshots.0.id").Str != snap || got.get("snapshots.0.volumeId").Str != id {
		t.Errorf("snapshots = %s", got.body)
	}
	w.as("alt").at("2.1").do("GET", "/os-volumes/"+id, nil).want(t, 404)
	old.do("DELETE", "/os-snapshots/"+snap, nil).want(t, 202)
	eventually(t, "the snapshot is gone", func() bool { return old.do("GET", "/os-snapshots/"+snap, nil).status == 404 })
	old.do("DELETE", "/os-volumes/"+id, nil).want(t, 202)

	w.cloud.Pod("pod2").Down()
	away := old.do("GET", "/os-volumes", nil).want(t, 200)
	if got := away.header.Get("X-Tricircle-Unreachable-Pods"); got != "pod2" {
		t.Errorf("unreachable pods = %q, want pod2", got)
	}
	if got := old.do("GET", "/os-volumes/"+two, nil); got.status != 503 || !strings.Contains(got.message(), "pod2") {
		t.Errorf("a volume of a pod that is away: %d %s", got.status, got.body)
	}
}

// TestImageDoors holds that old clients read images and change their metadata in
// every pod, and nothing else of them.
func TestImageDoors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	admin := w.as("admin").at("2.38")
	path := "/images/" + imageID
	before := w.as("admin").at("2.1").do("GET", path, nil).want(t, 200)
	if got := admin.do("POST", path+"/metadata", m{"metadata": m{"a": "1", "b": "2"}}).want(t, 200).get("metadata"); got.Get("a").Str != "1" || got.Get("b").Str != "2" {
		t.Errorf("metadata = %s", got.Raw)
	}
	admin.do("PUT", path+"/metadata/a", m{"meta": m{"a": "3"}}).want(t, 200)
	admin.do("DELETE", path+"/metadata/b", nil).want(t, 204)
	if got := admin.do("GET", path+"/metadata", nil).want(t, 200).get("metadata").Raw; got != `{"a":"3"}` {
		t.Errorf("metadata = %s", got)
	}
	admin.do("PUT", path+"/metadata", m{"metadata": m{}}).want(t, 200)
	after := w.as("admin").at("2.1").do("GET", path, nil).want(t, 200)
	for _, field := range []string{"id", "name", "status", "metadata", "OS-EXT-IMG-SIZE:size", "links"} {
		if was, is := before.get("image."+field).Raw, after.get("image."+field).Raw; was != is {
			t.Errorf("%s was %s, is %s", field, was, is)
		}
	}
	if got := admin.at("2.1").do("GET", "/images?name=tiny", nil).want(t, 200); got.get("images.#").Int() != 1 {
		t.Errorf("images = %s", got.body)
	}
	w.cloud.Pod("pod1").Down() // its home
	if got := admin.do("PUT", path+"/metadata", m{"metadata": m{"a": "1"}}); got.status != 503 || !strings.Contains(got.message(), "pod1") {
		t.Errorf("%d %s, want 503 that names pod1", got.status, got.body)
	}
}

// TestGroupDoors holds the life of a security group and its rules through the old
// doors, over the region's own Network API.
func TestGroupDoors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	old := w.as("demo").at("2.35")
	made := old.do("POST", "/os-security-groups", m{"security_group": m{"name": "web", "description": "d"}}).want(t, 200)
	id := made.get("security_group.id").Str
	if made.get("security_group.rules").Raw != "[]" || made.get("security_group.tenant_id").Str != old.project {
		t.Errorf("group = %s", made.body)
	}
	rule := old.do("POST", "/os-security-group-rules", m{"security_group_rule": m{"parent_group_id": id, "ip_protocol": "tcp", "from_port": 22, "to_port": 22}}).want(t, 200)
	if got := rule.get("security_group_rule.ip_range.cidr").Str; got != "0.0.0.0/0" {
		t.Errorf("cidr = %s", got)
	}
	old.do("POST", "/os-security-group-rules", m{"security_group_rule": m{"parent_group_id": id, "ip_protocol": "tcp", "from_port": 22, "to_port": 22}}).want(t, 400)
	named := old.do("POST", "/os-security-group-rules", m{"security_group_rule": m{"parent_group_id": id, "ip_protocol": "udp", "group_id": id}}).want(t, 200)
	if got := named.get("security_group_rule.group.name").Str; got != "web" {
		t.Errorf("group of the rule = %s", named.body)
	}
	if got := old.do("PUT", "/os-security-groups/"+id, m{"security_group": m{"name": "w2", "description": "d2"}}).want(t, 200); got.get("security_group.rules.#").Int() != 2 {
		t.Errorf("group = %s", got.body)
	}
	if got := old.do("GET", "/os-security-groups", nil).want(t, 200).get("security_groups.#.name").Raw; got != `["default","w2"]` {
		t.Errorf("groups = %s", got)
	}
	w.as("alt").at("2.1").do("GET", "/os-security-groups/"+id, nil).want(t, 404)
	old.do("DELETE", "/os-security-group-rules/"+rule.get("security_group_rule.id").Str, nil).want(t, 202)
	old.do("DELETE", "/os-security-groups/"+id, nil).want(t, 202)
	old.do("GET", "/os-security-groups/"+id, nil).want(t, 404)
	if got := old.do("DELETE", "/os-security-groups/"+old.do("GET", "/os-security-groups", nil).get("security_groups.0.id").Str, nil); got.status != 400 {
		t.Errorf("deleting the default group: %d %s", got.status, got.body)
	}
}

// TestFloatingDoors holds the life of a floating IP through the old doors.
func TestFloatingDoors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, admin := w.as("demo"), w.as("admin")
	old := demo.at("2.35")
	if got := old.do("POST", "/os-floating-ips", m{"pool": "public"}); got.status != 404 || got.message() != "Floating IP pool not found." {
		t.Errorf("without a pool: %d %s", got.status, got.body)
	}
	public := admin.neutron("POST", "/networks", m{"network": m{"name": "public", "router:external": true}}).want(t, 201).get("network.id").Str
	admin.neutron("POST", "/subnets", m{"subnet": m{"network_id": public, "ip_version": 4, "cidr": "198.51.100.0/24", "enable_dhcp": false}}).want(t, 201)
	n := demo.network("blue", "10.1.0.0/24")
	router := demo.neutron("POST", "/routers", m{"router": m{"name": "r", "external_gateway_info": m{"network_id": public}}}).want(t, 201).get("router.id").Str
	demo.neutron("PUT", "/routers/"+router+"/add_router_interface", m{"subnet_id": n.Subnets[0]}).want(t, 200)
	if got := old.do("GET", "/os-floating-ip-pools", nil).want(t, 200).get("floating_ip_pools").Raw; got != `[{"name":"public"}]` {
		t.Errorf("pools = %s", got)
	}
	made := old.do("POST", "/os-floating-ips", m{"pool": "public"}).want(t, 200)
	ip, id := made.get("floating_ip.ip").Str, made.get("floating_ip.id").Str
	server := demo.boot("az1", on(m{"uuid": n.ID}))
	action := "/servers/" + server + "/action"
	old.do("POST", action, m{"addFloatingIp": m{"address": ip}}).want(t, 202)
	shown := old.do("GET", "/os-floating-ips/"+id, nil).want(t, 200)
	if shown.get("floating_ip.instance_id").Str != server || shown.get("floating_ip.fixed_ip").Str != demo.addresses(server)[0].Str {
		t.Errorf("floating IP = %s", shown.body)
	}
	if got := old.do("GET", "/os-floating-ips", nil).want(t, 200).get("floating_ips.#.ip").Raw; got != `["`+ip+`"]` {
		t.Errorf("floating IPs = %s", got)
	}
	if got := old.do("POST", action, m{"addFloatingIp": m{"address": "198.51.100.250"}}); got.status != 404 || got.message() != "floating IP not found" {
		t.Errorf("a floating IP that is none: %d %s", got.status, got.body)
	}
	old.do("POST", action, m{"removeFloatingIp": m{"address": ip}}).want(t, 202)
	if got := old.do("POST", action, m{"removeFloatingIp": m{"address": ip}}); got.status != 409 {
		t.Errorf("removed twice: %d %s", got.status, got.body)
	}
	old.do("DELETE", "/os-floating-ips/"+id, nil).want(t, 202)
	old.do("GET", "/os-floating-ips/"+id, nil).want(t, 404)
	demo.do("POST", action, m{"addFloatingIp": m{"address": ip}}).want(t, 404)
	demo.remove(t, server)
}
