package legacy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	someID  = "11111111-1111-1111-1111-111111111111"
	otherID = "22222222-2222-2222-2222-222222222222"
)

const glanceImage = `{"id":"i1","name":"tiny","status":"active","visibility":"shared","protected":false,"checksum":"c","owner":"p","size":5,
	"virtual_size":null,"min_ram":64,"min_disk":1,"tags":[],"created_at":"2026-11-22T19:51:15Z","updated_at":"2026-11-22T19:52:15Z","file":"/f",
	"self":"/s","schema":"/x","container_format":"bare","disk_format":"raw","os_type":"linux","instance_uuid":"s1","auto_disk_config":"True",
	"mappings":"[{\"device\":\"sda\"}]"}`

const imageLinks = `[{"rel":"self","href":"http://r/compute/v2.1/images/i1"},{"rel":"bookmark","href":"http://r/compute/images/i1"},
	{"rel":"alternate","type":"application/vnd.openstack.image","href":"http://r/image/images/i1"}]`

const novaImage = `{"id":"i1","name":"tiny","minRam":64,"minDisk":1,"created":"2026-11-22T19:51:15Z","updated":"2026-11-22T19:52:15Z","status":"ACTIVE",
	"progress":100,"OS-EXT-IMG-SIZE:size":5,"OS-DCF:diskConfig":"AUTO","metadata":{"os_type":"linux","instance_uuid":"s1","auto_disk_config":"True","mappings":[{"device":"sda"}]},
	"server":{"id":"s1","links":[{"rel":"self","href":"http://r/compute/v2.1/servers/s1"},{"rel":"bookmark","href":"http://r/compute/servers/s1"}]},"links":` + imageLinks + `}`

const cinderVolume = `{"id":"v1","status":"in-use","size":2,"availability_zone":"az1","created_at":"T","name":"n","description":null,"volume_type":"fast",
	"snapshot_id":null,"metadata":{"a":"b"},"attachments":[{"server_id":"s1","device":"/dev/vdb","attachment_id":"a1"}]}`

const novaVolume = `{"id":"v1","status":"in-use","size":2,"availabilityZone":"az1","createdAt":"T","displayName":"n","displayDescription":null,"volumeType":"fast",
	"snapshotId":null,"metadata":{"a":"b"},"attachments":[{"id":"v1","volumeId":"v1","serverId":"s1","device":"/dev/vdb"}]}`

const neutronGroup = `{"id":"` + someID + `","name":"web","description":"d","tenant_id":"p","security_group_rules":[
	{"id":"r1","direction":"egress","security_group_id":"` + someID + `","protocol":null,"port_range_min":null,"port_range_max":null,"remote_group_id":null,"remote_ip_prefix":null},
	{"id":"r2","direction":"ingress","security_group_id":"` + someID + `","protocol":"tcp","port_range_min":null,"port_range_max":null,"remote_group_id":null,"remote_ip_prefix":null},
	{"id":"r3","direction":"ingress","security_group_id":"` + someID + `","protocol":"tcp","port_range_min":22,"port_range_max":23,"remote_group_id":null,"remote_ip_prefix":"10.0.0.0/8"},
	{"id":"r4","direction":"ingress","security_group_id":"` + someID + `","protocol":null,"port_range_min":null,"port_range_max":null,"remote_group_id":"` + someID + `","remote_ip_prefix":null},
	{"id":"r5","direction":"ingress","security_group_id":"` + someID + `","protocol":null,"port_range_min":null,"port_range_max":null,"remote_group_id":"` + otherID + `","remote_ip_prefix":null}]}`

// The rule r5 names a group that is gone, so it is gone too.
const novaGroup = `{"id":"` + someID + `","name":"web","description":"d","tenant_id":"p","rules":[
	{"id":"r2","parent_group_id":"` + someID + `","ip_protocol":"tcp","from_port":1,"to_port":65535,"group":{},"ip_range":{"cidr":"0.0.0.0/0"}},
	{"id":"r3","parent_group_id":"` + someID + `","ip_protocol":"tcp","from_port":22,"to_port":23,"group":{},"ip_range":{"cidr":"10.0.0.0/8"}},
	{"id":"r4","parent_group_id":"` + someID + `","ip_protocol":null,"from_port":null,"to_port":null,"group":{"name":"web","tenant_id":"p"},"ip_range":{}}]}`

const (
	floating     = `{"id":"f1","floating_ip_address":"198.51.100.9","floating_network_id":"n1","fixed_ip_address":"10.0.0.4","port_id":"p1","port_details":{"device_id":"s1"}}`
	freeFloating = `{"id":"f1","floating_ip_address":"198.51.100.9","floating_network_id":"n1","fixed_ip_address":null,"port_id":null,"port_details":null}`
	novaFloating = `{"id":"f1","ip":"198.51.100.9","pool":"public","fixed_ip":"10.0.0.4","instance_id":"s1"}`
	public       = `200 {"network":{"id":"n1","name":"public"}}`
)

// TestTranslation holds what the services are asked for a request, and how their
// answer reads in Nova's form.
func TestTranslation(t *testing.T) {
	t.Parallel()
	const (
		limits  = "GET /compute/v2.1/limits"
		nets    = "GET /network/v2.0/networks"
		fips    = "/network/v2.0/floatingips"
		sgs     = "/network/v2.0/security-groups"
		byID    = "GET " + sgs + "/" + someID
		rules   = "POST /network/v2.0/security-group-rules"
		image   = "GET /image/v2/images/i1"
		volumes = "GET /volume/v3/volumes/detail?limit=1000"
	)
	for _, test := range []struct {
		request string
		says    map[string]string
		status  int
		want    string
		asked   string // the last question
	}{
		{"GET /images", map[string]string{"GET /image/v2/images?limit=1000": "200 {\"images\":[" + glanceImage + "]}"}, 200,
			`{"images":[{"id":"i1","name":"tiny","links":` + imageLinks + `}]}`, ""},
		{"GET /images/detail?limit=1&name=tiny&status=ACTIVE&server=http://x/servers/s1&type=snapshot&minRam=1&property-os_type=linux&changes-since=T&nosuch=x",
			map[string]string{"GET /image/v2/images?image_type=snapshot&instance_uuid=s1&limit=1&min_ram=1&name=tiny&os_type=linux&status=active&updated_at=gte:T": "200 {\"images\":[" + glanceImage + "]}"}, 200,
			`{"images":[` + novaImage + `],"images_links":[{"rel":"next","href":"http://r/compute/v2.1/images/detail?changes-since=T&limit=1&marker=i1&minRam=1&name=tiny&nosuch=x&property-os_type=linux&server=http%3A%2F%2Fx%2Fservers%2Fs1&status=ACTIVE&type=snapshot"}]}`, ""},
		{"GET /images?limit=0&marker=i0", map[string]string{"GET /image/v2/images?limit=1000&marker=i0": `200 {"images":[]}`}, 200, `{"images":[]}`, ""},
		{"GET /images/i1", map[string]string{image: "200 " + glanceImage}, 200, `{"image":` + novaImage + `}`, ""},
		{"DELETE /images/i1", map[string]string{"DELETE /image/v2/images/i1": "204 "}, 204, "", ""},
		{"GET /images/i1/metadata", map[string]string{image: `200 {"id":"i1","k":"v"}`}, 200, `{"metadata":{"k":"v"}}`, ""},
		{"GET /images/i1/metadata/k", map[string]string{image: `200 {"id":"i1","k":"v"}`}, 200, `{"meta":{"k":"v"}}`, ""},
		{`POST /images/i1/metadata {"metadata":{"k":"w","n":"1"}}`, map[string]string{image: `200 {"id":"i1","visibility":"shared","k":"v","o":"old"}`,
			limits: `200 {"limits":{"absolute":{"maxImageMeta":3}}}`, "PATCH /image/v2/images/i1": `200 {"id":"i1","k":"w","n":"1","o":"old"}`}, 200,
			`{"metadata":{"k":"w","n":"1","o":"old"}}`, `PATCH /image/v2/images/i1 [{"op":"replace","path":"/k","value":"w"},{"op":"add","path":"/n","value":"1"}]`},
		{`PUT /images/i1/metadata {"metadata":{"k":"v"}}`, map[string]string{image: `200 {"id":"i1","k":"v","a/b":"old"}`, limits: "503 {}", "PATCH /image/v2/images/i1": `200 {"id":"i1","k":"v"}`}, 503, "", limits},
		{`PUT /images/i1/metadata {"metadata":{"k":"v"}}`, map[string]string{image: `200 {"id":"i1","k":"v","a/b":"old"}`, limits: "200 {}", "PATCH /image/v2/images/i1": `200 {"id":"i1","k":"v"}`}, 200,
			`{"metadata":{"k":"v"}}`, `PATCH /image/v2/images/i1 [{"op":"remove","path":"/a~1b"}]`},
		{`PUT /images/i1/metadata {"metadata":{"k":"v"}}`, map[string]string{image: `200 {"id":"i1","k":"v"}`}, 200, `{"metadata":{"k":"v"}}`, image},
		{`PUT /images/i1/metadata/k {"meta":{"k":"w"}}`, map[string]string{image: `200 {"id":"i1","mappings":"[]"}`, limits: "200 {}", "PATCH /image/v2/images/i1": `200 {}`}, 200,
			`{"meta":{"k":"w"}}`, `PATCH /image/v2/images/i1 [{"op":"add","path":"/k","value":"w"}]`},
		{"DELETE /images/i1/metadata/k", map[string]string{image: `200 {"id":"i1","k":"v"}`, limits: "200 {}", "PATCH /image/v2/images/i1": `200 {}`}, 204, "", `PATCH /image/v2/images/i1 [{"op":"remove","path":"/k"}]`},

		{"GET /os-volumes", map[string]string{volumes: `200 {"volumes":[` + cinderVolume + `]}`}, 200, `{"volumes":[` + novaVolume + `]}`, ""},
		{"GET /os-volumes/detail?limit=1&offset=1", map[string]string{"GET /volume/v3/volumes/detail?limit=2": `200 {"volumes":[{"id":"v0"},` + cinderVolume + `]}`}, 200, `{"volumes":[` + novaVolume + `]}`, ""},
		{"GET /os-volumes?offset=9", map[string]string{"GET /volume/v3/volumes/detail?limit=1000": `200 {"volumes":[]}`}, 200, `{"volumes":[]}`, ""},
		{"GET /os-volumes/v1", map[string]string{"GET /volume/v3/volumes/v1": `200 {"volume":` + cinderVolume + `}`}, 200, `{"volume":` + novaVolume + `}`, ""},
		{"DELETE /os-volumes/v1", map[string]string{"DELETE /volume/v3/volumes/v1": "202 "}, 202, "", ""},
		{`POST /os-volumes {"volume":{"size":"2","display_name":"n","volume_type":"fast","availability_zone":"az1","snapshot_id":"x"}}`,
			map[string]string{"GET /volume/v3/snapshots/x": "200 {}", "POST /volume/v3/volumes": `202 {"volume":` + cinderVolume + `}`}, 200, `{"volume":` + novaVolume + `}`,
			`POST /volume/v3/volumes {"volume":{"availability_zone":"az1","name":"n","size":"2","snapshot_id":"x","volume_type":"fast"}}`},
		{"GET /os-snapshots/detail", map[string]string{"GET /volume/v3/snapshots/detail?limit=1000": `200 {"snapshots":[{"id":"x","volume_id":"v","status":"available","size":1,"created_at":"T","name":"n","description":"d"}]}`}, 200,
			`{"snapshots":[{"id":"x","volumeId":"v","status":"available","size":1,"createdAt":"T","displayName":"n","displayDescription":"d"}]}`, ""},
		{"GET /os-snapshots/x", map[string]string{"GET /volume/v3/snapshots/x": `200 {"snapshot":{"id":"x","volume_id":"v","status":"available","size":1,"created_at":"T","name":null,"description":null}}`}, 200,
			`{"snapshot":{"id":"x","volumeId":"v","status":"available","size":1,"createdAt":"T","displayName":null,"displayDescription":null}}`, ""},
		{"DELETE /os-snapshots/x", map[string]string{"DELETE /volume/v3/snapshots/x": "202 "}, 202, "", ""},
		{`POST /os-snapshots {"snapshot":{"volume_id":"v","force":"Yes","display_name":"n"}}`, map[string]string{"POST /volume/v3/snapshots": `202 {"snapshot":{"id":"x","volume_id":"v","status":"creating","size":1,"created_at":"T","name":"n","description":null}}`}, 200,
			`{"snapshot":{"id":"x","volumeId":"v","status":"creating","size":1,"createdAt":"T","displayName":"n","displayDescription":null}}`,
			`POST /volume/v3/snapshots {"snapshot":{"description":null,"force":true,"name":"n","volume_id":"v"}}`},

		{"GET /os-networks", map[string]string{nets: `200 {"networks":[{"id":"n1","name":"net"}]}`}, 200,
			`{"networks":[{"id":"n1","label":"net","cidr":null,"netmask":null,"gateway":null,"broadcast":null,"dns1":null,"dns2":null,"cidr_v6":null,"gateway_v6":null,"netmask_v6":null}]}`, ""},
		{"GET /os-tenant-networks", map[string]string{nets: `200 {"networks":[{"id":"n1","name":"net"}]}`}, 200, `{"networks":[{"id":"n1","cidr":"None","label":"net"}]}`, ""},
		{"GET /os-tenant-networks/n1", map[string]string{nets + "/n1": public}, 200, `{"network":{"id":"n1","cidr":"None","label":"public"}}`, ""},

		{"GET /os-floating-ip-pools", map[string]string{nets + "?router:external=true": `200 {"networks":[{"id":"n1","name":"public"},{"id":"n2","name":""}]}`}, 200, `{"floating_ip_pools":[{"name":"public"},{"name":"n2"}]}`, ""},
		{"GET /os-floating-ips", map[string]string{"GET " + fips + "?tenant_id=p": `200 {"floatingips":[` + floating + `,` + floating + `]}`, nets + "/n1": public}, 200, `{"floating_ips":[` + novaFloating + `,` + novaFloating + `]}`, nets + "/n1"},
		{"GET /os-floating-ips", nil, 200, `{"floating_ips":[]}`, ""},
		{"GET /os-floating-ips/f1", map[string]string{"GET " + fips + "/f1": `200 {"floatingip":{"id":"f1","floating_ip_address":"198.51.100.9","floating_network_id":"n1","fixed_ip_address":"10.0.0.4","port_id":"p1"}}`,
			nets + "/n1": public, "GET /network/v2.0/ports/p1": `200 {"port":{"device_id":"s1"}}`}, 200, `{"floating_ip":` + novaFloating + `}`, ""},
		{`POST /os-floating-ips {"pool":"public"}`, map[string]string{nets + "?name=public&router:external=true": `200 {"networks":[{"id":"n1"}]}`, nets + "/n1": public, "POST " + fips: `201 {"floatingip":` + freeFloating + `}`}, 200,
			`{"floating_ip":{"id":"f1","ip":"198.51.100.9","pool":"public","fixed_ip":null,"instance_id":null}}`, ""},
		{"POST /os-floating-ips", map[string]string{nets + "?name=nova&router:external=true": `200 {"networks":[{"id":"n1"}]}`, nets + "/n1": public, "POST " + fips: `201 {"floatingip":` + freeFloating + `}`}, 200,
			`{"floating_ip":{"id":"f1","ip":"198.51.100.9","pool":"public","fixed_ip":null,"instance_id":null}}`, ""},
		{"DELETE /os-floating-ips/f1", map[string]string{"GET " + fips + "/f1": `200 {"floatingip":` + floating + `}`, "DELETE " + fips + "/f1": "204 "}, 202, "", ""},

		{"GET /os-security-groups", map[string]string{"GET " + sgs + "?tenant_id=p": `200 {"security_groups":[{"id":"z","name":"z","tenant_id":"p"},` + neutronGroup + `]}`}, 200,
			`{"security_groups":[` + novaGroup + `,{"id":"z","name":"z","tenant_id":"p","description":null,"rules":[]}]}`, ""},
		{"GET /os-security-groups?all_tenants=1&limit=1", map[string]string{"GET " + sgs + "?tenant_id=p": `200 {"security_groups":[` + neutronGroup + `,{"id":"z"}]}`}, 200, `{"security_groups":[` + novaGroup + `]}`, ""},
		{"admin GET /os-security-groups?all_tenants=1", map[string]string{"GET " + sgs: `200 {"security_groups":[` + neutronGroup + `]}`}, 200, `{"security_groups":[` + novaGroup + `]}`, ""},
		{"GET /os-security-groups/" + someID, map[string]string{byID: `200 {"security_group":` + neutronGroup + `}`}, 200, `{"security_group":` + novaGroup + `}`, ""},
		{`POST /os-security-groups {"security_group":{"name":"web","description":"d"}}`, map[string]string{"POST " + sgs: `201 {"security_group":` + neutronGroup + `}`}, 200, `{"security_group":` + novaGroup + `}`, ""},
		{`PUT /os-security-groups/` + someID + ` {"security_group":{"name":"web","description":"d"}}`, map[string]string{byID: "200 {}", "PUT " + sgs + "/" + someID: `200 {"security_group":` + neutronGroup + `}`}, 200, `{"security_group":` + novaGroup + `}`, ""},
		{"DELETE /os-security-groups/" + someID, map[string]string{byID: "200 {}", "DELETE " + sgs + "/" + someID: "204 "}, 202, "", ""},
		{"DELETE /os-security-group-rules/" + someID, map[string]string{"DELETE /network/v2.0/security-group-rules/" + someID: "204 "}, 202, "", ""},
		{`POST /os-security-group-rules {"security_group_rule":{"parent_group_id":"` + someID + `","ip_protocol":"tcp","from_port":"80","to_port":81,"cidr":"2001:db8::/32"}}`,
			map[string]string{byID: `200 {"security_group":` + neutronGroup + `}`, rules: `201 {"security_group_rule":{"id":"r9","direction":"ingress","security_group_id":"` + someID + `","protocol":"tcp","port_range_min":80,"port_range_max":81,"remote_ip_prefix":"2001:db8::/32"}}`}, 200,
			`{"security_group_rule":{"id":"r9","parent_group_id":"` + someID + `","ip_protocol":"tcp","from_port":80,"to_port":81,"group":{},"ip_range":{"cidr":"2001:db8::/32"}}}`,
			rules + ` {"security_group_rule":{"direction":"ingress","ethertype":"IPv6","port_range_max":81,"port_range_min":80,"protocol":"tcp","remote_group_id":null,"remote_ip_prefix":"2001:db8::/32","security_group_id":"` + someID + `"}}`},
		{`POST /os-security-group-rules {"security_group_rule":{"parent_group_id":"` + someID + `","ip_protocol":"icmp","group_id":"` + someID + `"}}`,
			map[string]string{byID: `200 {"security_group":` + neutronGroup + `}`, rules: `201 {"security_group_rule":{"id":"r9","direction":"ingress","security_group_id":"` + someID + `","protocol":"icmp","remote_group_id":"` + someID + `"}}`}, 200,
			`{"security_group_rule":{"id":"r9","parent_group_id":"` + someID + `","ip_protocol":"icmp","from_port":-1,"to_port":-1,"group":{"name":"web","tenant_id":"p"},"ip_range":{}}}`,
			rules + ` {"security_group_rule":{"direction":"ingress","ethertype":"IPv4","protocol":"icmp","remote_group_id":"` + someID + `","remote_ip_prefix":null,"security_group_id":"` + someID + `"}}`},
		{"GET /servers/s1/os-security-groups", map[string]string{"GET /network/v2.0/ports?device_id=s1": `200 {"ports":[{"security_groups":["` + someID + `"]},{"security_groups":["` + someID + `"]}]}`,
			"GET " + sgs + "?id=" + someID: `200 {"security_groups":[` + neutronGroup + `]}`}, 200, `{"security_groups":[` + novaGroup + `]}`, ""},
	} {
		t.Run(test.request, func(t *testing.T) {
			t.Parallel()
			r := newRegion(test.says)
			status, body, _ := r.do(t, test.request)
			if status != test.status {
				t.Fatalf("status %d, want %d: %s; asked %q", status, test.status, body, r.asked)
			}
			if test.want != "" {
				same(t, "reply", test.want, body)
			}
			if test.asked != "" {
				if diff := cmp.Diff(test.asked, r.asked[len(r.asked)-1]); diff != "" {
					t.Errorf("last question (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestPages holds that a list is read to its end, or as far as it is needed.
func TestPages(t *testing.T) {
	t.Parallel()
	r := newRegion(map[string]string{
		"GET /image/v2/images?limit=1000":                `200 {"images":[{"id":"a"},{"id":"b"}],"next":"/v2/images?marker=b"}`,
		"GET /image/v2/images?limit=1000&marker=b":       `200 {"images":[{"id":"c"}],"next":"/v2/images?marker=c"}`,
		"GET /image/v2/images?limit=1000&marker=c":       `200 {"images":[]}`,
		"GET /volume/v3/volumes/detail?limit=3":          `200 {"volumes":[{"id":"a"},{"id":"b"}],"volumes_links":[{"rel":"next","href":"http://x/?marker=b"}]}`,
		"GET /volume/v3/volumes/detail?limit=1&marker=b": `200 {"volumes":[{"id":"c"}],"volumes_links":[{"rel":"next","href":"http://x/?marker=c"}]}`,
	})
	for path, want := range map[string]int{"/images": 3, "/os-volumes?limit=3": 3} {
		_, body, _ := r.do(t, "GET "+path)
		if got := strings.Count(body, `"id":`); got < want || got > 2*want {
			t.Errorf("GET %s shows %s, want %d things", path, body, want)
		}
	}
}

// TestLocation is where a volume that was made is to be found.
func TestLocation(t *testing.T) {
	t.Parallel()
	r := newRegion(map[string]string{"POST /volume/v3/volumes": `202 {"volume":{"id":"v1"}}`})
	_, _, header := r.do(t, `POST /os-volumes {"volume":{"size":1}}`)
	if got := header.Get("Location"); got != "http://r/compute/v2.1/os-volumes/v1" {
		t.Errorf("Location = %q", got)
	}
}
