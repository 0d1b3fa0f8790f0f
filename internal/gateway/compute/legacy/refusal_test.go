package legacy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/gateway/compute/legacy"
)

// TestRefusals holds the words that a real Nova 2.93 (Zed) was seen to say.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		glance404  = "404 <html>\n <body>\n  <h1>404 Not Found</h1>\n  No image found with ID i1<br /><br />\n </body>\n</html>"
		neutron404 = `404 {"NeutronError":{"type":"SecurityGroupNotFound","message":"Security group ` + someID + ` does not exist","detail":""}}`
		requestID  = "\nNeutron server returns request_ids: ['req-1']"
		group      = "GET /network/v2.0/security-groups/" + someID
		external   = "GET /network/v2.0/networks?name=public&router:external=true"
	)
	image := func(says string) map[string]string {
		return map[string]string{"GET /image/v2/images/i1": `200 {"id":"i1","k":"v"}`, "GET /compute/v2.1/limits": `200 {"limits":{"absolute":{"maxImageMeta":2}}}`, "PATCH /image/v2/images/i1": says}
	}
	pools := func(says string) map[string]string {
		return map[string]string{external: `200 {"networks":[{"id":"n1"}]}`, "POST /network/v2.0/floatingips": says}
	}
	rule := func(rest string) string {
		return `POST /os-security-group-rules {"security_group_rule":{"parent_group_id":"` + someID + `"` + rest + `}}`
	}
	in := map[string]string{group: `200 {"security_group":` + neutronGroup + `}`}
	for _, test := range []struct {
		request string
		says    map[string]string
		status  int
		want    string
	}{
		{"GET /images?limit=-1", nil, 400, "Invalid input received: limit must be >= 0"},
		{"GET /images?limit=x", nil, 400, "Invalid input received: limit must be an integer"},
		{"GET /images?marker=i1", map[string]string{"GET /image/v2/images?limit=1000&marker=i1": strings.Replace(glance404, "404", "400", 1)}, 400, "HTTP 400 Bad Request: No image found with ID i1"},
		{"GET /images/i1", map[string]string{"GET /image/v2/images/i1": glance404}, 404, "Image not found."},
		{"GET /images/i1", map[string]string{"GET /image/v2/images/i1": "away"}, 503, "the answer broke off"},
		{"GET /images/i1", map[string]string{"GET /image/v2/images/i1": "503 <h1>503</h1> pod pod2: refused<br />"}, 503, "pod pod2: refused"},
		{"DELETE /images/i1", map[string]string{"DELETE /image/v2/images/i1": glance404}, 404, "Image not found."},
		{"DELETE /images/i1", map[string]string{"DELETE /image/v2/images/i1": "403 "}, 403, "You are not allowed to delete the image."},
		{"DELETE /images/i1", map[string]string{"DELETE /image/v2/images/i1": "409 "}, 409, "Conflict"},
		{"GET /images/i1/metadata/x", image(""), 404, "The resource could not be found."},
		{"DELETE /images/i1/metadata/x", image(""), 404, "Invalid metadata key"},
		{`POST /images/i1/metadata {"metadata":{"a":"b"}}`, image("403 "), 403, "Not authorized for image i1."},
		{`POST /images/i1/metadata {"metadata":{"a":"b"}}`, image("413 "), 403, "Quota exceeded or out of space for image i1 in the image service."},
		{`POST /images/i1/metadata {"metadata":{"a":"b","c":"d"}}`, image(""), 403, "Image metadata limit exceeded"},
		{`POST /images/i1/metadata {"metadata":{"a":1}}`, nil, 400, "Invalid input for field/attribute a. Value: 1. 1 is not of type 'string'"},
		{`POST /images/i1/metadata {"meta":{"a":"1"}}`, nil, 400, "'metadata' is a required property"},
		{`POST /images/i1/metadata {"metadata":{"a":"1"},"x":1}`, nil, 400, "Additional properties are not allowed ('x' was unexpected)"},
		{`POST /images/i1/metadata {"metadata":{"a/":"1"}}`, nil, 400, "Invalid input for field/attribute metadata. Value: {'a/': '1'}. 'a/' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'"},
		{`POST /images/i1/metadata`, nil, 400, "None is not of type 'object'"},
		{`POST /images/i1/metadata {"metadata"`, nil, 400, "Malformed request body"},
		{`PUT /images/i1/metadata {"metadata":[]}`, nil, 400, "Invalid input for field/attribute metadata. Value: []. [] is not of type 'object'"},
		{`PUT /images/i1/metadata/k {"meta":{"a":"1"}}`, nil, 400, "Request body and URI mismatch"},
		{`PUT /images/i1/metadata/k {"meta":{"a":"1","b":"2"}}`, nil, 400, "Invalid input for field/attribute meta. Value: {'a': '1', 'b': '2'}. {'a': '1', 'b': '2'} has too many properties"},
		{`PUT /images/i1/metadata/k {"meta":{}}`, nil, 400, "Invalid input for field/attribute meta. Value: {}. {} does not have enough properties"},

		{"GET /os-volumes?limit=-1", nil, 400, "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'"},
		{"GET /os-snapshots?offset=x", nil, 400, "Invalid input for query parameters offset. Value: x. 'x' does not match '^[0-9]*$'"},
		{"GET /os-volumes/v1", nil, 404, "Volume v1 could not be found."},
		{"DELETE /os-volumes/v1", nil, 404, "Volume v1 could not be found."},
		{"DELETE /os-volumes/v1", map[string]string{"DELETE /volume/v3/volumes/v1": `400 {"badRequest":{"code":400,"message":"Invalid volume: in use"}}`}, 400, "Invalid input received: Invalid volume: in use (HTTP 400) (Request-ID: req-1)"},
		{`POST /os-volumes {"volume":{}}`, nil, 400, "Invalid input for field/attribute volume. Value: {}. 'size' is a required property"},
		{`POST /os-volumes {"volume":{"size":0}}`, nil, 400, "Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1"},
		{`POST /os-volumes {"volume":{"size":"0"}}`, nil, 400, "Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1"},
		{`POST /os-volumes {"volume":{"size":"x"}}`, nil, 400, "Invalid input for field/attribute size. Value: x. 'x' does not match '^[0-9]+$'"},
		{`POST /os-volumes {"volume":{"size":1.5}}`, nil, 400, "Invalid input for field/attribute size. Value: 1.5. 1.5 is not of type 'integer', 'string'"},
		{`POST /os-volumes {"volume":{"size":null}}`, nil, 400, "Invalid input for field/attribute size. Value: None. None is not of type 'integer', 'string'"},
		{`POST /os-volumes {"volume":{"size":1,"x":1}}`, nil, 400, "Invalid input for field/attribute volume. Value: {'size': 1, 'x': 1}. Additional properties are not allowed ('x' was unexpected)"},
		{`POST /os-volumes {"volume":{"size":1,"x":true,"y":null}}`, nil, 400, "Invalid input for field/attribute volume. Value: {'size': 1, 'x': True, 'y': None}. Additional properties are not allowed ('x', 'y' were unexpected)"},
		{`POST /os-volumes {"volume":{"size":1,"snapshot_id":"x"}}`, nil, 404, "Snapshot x could not be found."},
		{`POST /os-volumes {"volume":{"size":1}}`, map[string]string{"POST /volume/v3/volumes": `413 {"overLimit":{"code":413,"message":"VolumeLimitExceeded: too many"}}`}, 403, "VolumeLimitExceeded: too many"},
		{`POST /os-volumes {"volume":{"size":1}}`, map[string]string{"POST /volume/v3/volumes": `404 {"itemNotFound":{"code":404,"message":"Volume type with name nope could not be found."}}`}, 404, "Volume type with name nope could not be found."},
		{`POST /os-volumes []`, nil, 400, "[] is not of type 'object'"},
		{`POST /os-volumes "it's"`, nil, 400, `"it's" is not of type 'object'`},
		{"GET /os-snapshots/x", nil, 404, "Snapshot x could not be found."},
		{"DELETE /os-snapshots/x", nil, 404, "Snapshot x could not be found."},
		{`POST /os-snapshots {"snapshot":{}}`, nil, 400, "Invalid input for field/attribute snapshot. Value: {}. 'volume_id' is a required property"},
		{`POST /os-snapshots {"snapshot":{"volume_id":"v","force":"maybe"}}`, nil, 400, "Invalid input for field/attribute force. Value: maybe. 'maybe' is not one of [True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no']"},
		{`POST /os-snapshots {"snapshot":{"volume_id":"v"}}`, nil, 404, "Volume v could not be found."},

		{"GET /os-networks/n", nil, 404, "Network not found"},
		{"GET /os-tenant-networks/n", nil, 404, "Network not found"},
		{"GET /os-floating-ips/f", nil, 404, "Floating IP not found for ID f"},
		{"DELETE /os-floating-ips/f", nil, 404, "Floating IP not found for ID f"},
		{"POST /os-floating-ips", map[string]string{"GET /network/v2.0/networks?name=nova&router:external=true": `200 {"networks":[]}`}, 404, "Floating IP pool not found."},
		{`POST /os-floating-ips {"pool":"public"}`, map[string]string{external: `200 {"networks":[{},{}]}`}, 400, "Multiple floating IP pools matches found for name 'public'"},
		{`POST /os-floating-ips {"pool":"public"}`, pools(`409 {"NeutronError":{"type":"OverQuota"}}`), 403, "IP allocation over quota in pool public."},
		{`POST /os-floating-ips {"pool":"public"}`, pools(`409 {"NeutronError":{"type":"IpAddressGenerationFailure"}}`), 404, "No more floating IPs in pool public."},
		{`POST /os-floating-ips {"pool":"public"}`, pools(`400 {"NeutronError":{"type":"BadRequest","message":"no subnet"}}`), 400, "no subnet" + requestID},
		{`POST /os-floating-ips {"pool":"public"}`, map[string]string{external: `200 {"networks":[{"id":"n1"}]}`}, 404, "No more floating IPs in pool public."},

		{"GET /os-security-groups/x", nil, 400, "Security group id should be uuid"},
		{"GET /os-security-groups/" + someID, map[string]string{group: neutron404}, 404, "Security group " + someID + " does not exist" + requestID},
		{"DELETE /os-security-groups/" + someID, map[string]string{group: "200 {}", "DELETE /network/v2.0/security-groups/" + someID: `409 {"NeutronError":{"type":"SecurityGroupInUse","message":"in use"}}`}, 400, "in use" + requestID},
		{"POST /os-security-groups", nil, 400, "The request body can't be empty"},
		{"POST /os-security-groups {}", nil, 400, "The request body can't be empty"},
		{`POST /os-security-groups {"security_group":null}`, nil, 400, "Missing parameter security_group"},
		{`POST /os-security-groups {"security_group":{}}`, nil, 400, "name is not a string or unicode"},
		{`POST /os-security-groups {"security_group":{"name":"a"}}`, nil, 400, "description is not a string or unicode"},
		{`POST /os-security-groups {"security_group":{"name":"` + strings.Repeat("a", 256) + `","description":"x"}}`, nil, 400, "name has 256 characters, more than 255."},
		{`POST /os-security-groups {"security_group":{"name":"a","description":"x"}}`, map[string]string{"POST /network/v2.0/security-groups": `409 {"NeutronError":{"type":"OverQuota","message":"too many"}}`}, 403, "too many" + requestID},
		{"DELETE /os-security-group-rules/x", nil, 400, "Security group id should be uuid"},
		{`POST /os-security-group-rules {"security_group_rule":{}}`, nil, 400, "Security group id should be uuid"},
		{rule(""), map[string]string{group: neutron404}, 404, "Security group " + someID + " does not exist" + requestID},
		{rule(""), in, 400, "Not enough parameters to build a valid rule."},
		{rule(`,"ip_protocol":"tcp","from_port":"a","to_port":1`), in, 400, "Invalid input received: To and From ports must be integers"},
		{rule(`,"ip_protocol":"icmp","from_port":"a","to_port":1`), in, 400, "Invalid input received: Type and Code must be integers for ICMP protocol type"},
		{rule(`,"ip_protocol":"foo","from_port":1,"to_port":1`), in, 400, "Invalid IP protocol foo."},
		{rule(`,"ip_protocol":"tcp","from_port":5,"to_port":1`), in, 400, "Invalid port range 5:1. Former value cannot be greater than the later"},
		{rule(`,"ip_protocol":"tcp","from_port":0,"to_port":1`), in, 400, "Invalid port range 0:1. Valid TCP ports should be between 1-65535"},
		{rule(`,"ip_protocol":"icmp","from_port":0,"to_port":500`), in, 400, "Invalid port range 0:500. For ICMP, the type:code must be valid"},
		{rule(`,"ip_protocol":"tcp","from_port":1,"to_port":1,"cidr":"10"`), in, 400, "10 is not a valid IP network."},
		{rule(`,"ip_protocol":"tcp","from_port":1,"to_port":1,"cidr":"10.0.0.0/0"`), in, 400, "Bad prefix for network in cidr 10.0.0.0/0"},
		{rule(`,"ip_protocol":"tcp","from_port":1,"to_port":1,"group_id":"x"`), in, 400, "Security group id should be uuid"},
		{rule(`,"ip_protocol":"tcp","from_port":22,"to_port":23,"cidr":"10.0.0.0/8"`), in, 400, "This rule already exists in group " + someID},

		{"GET /os-baremetal-nodes", nil, 403, "Policy doesn't allow os_compute_api:os-baremetal-nodes:list to be performed."},
		{"admin GET /os-baremetal-nodes/x", nil, 501, "The requested functionality is not supported."},
		{"POST /os-baremetal-nodes {}", nil, 400, "Command Not supported. Please use Ironic command node-create to perform this action."},
		{`POST /os-baremetal-nodes/x/action {"add_interface":{}}`, nil, 400, "Command Not supported. Please use Ironic command port-create to perform this action."},
		{`POST /os-baremetal-nodes/x/action {"nope":{}}`, nil, 400, "There is no such action: nope"},
		{`2.36 POST /os-baremetal-nodes/x/action {"add_interface":{}}`, nil, 404, "The resource could not be found."},
		{"2.93 GET /os-cells", nil, 410, "This resource is no longer available. No forwarding address is given."},
		{"POST /os-networks/add {", nil, 400, "Malformed request body"},
		{`POST /os-networks/x/action {"disassociate":null}`, nil, 410, "This resource is no longer available. No forwarding address is given."},
		{`POST /os-networks/x/action {"a":1,"b":2}`, nil, 400, "Malformed request body"},
		{`POST /os-networks/x/action`, nil, 400, "Malformed request body"},
		{`POST /os-fixed-ips/x/action {"x":1}`, nil, 400, "There is no such action: x"},
		{`POST /os-fixed-ips/x/action 1`, nil, 404, "The resource could not be found."},
	} {
		t.Run(test.request, func(t *testing.T) {
			t.Parallel()
			r := newRegion(test.says)
			status, body, header := r.do(t, test.request)
			if diff := cmp.Diff(test.want, message(body)); diff != "" || status != test.status {
				t.Errorf("status %d, want %d; message (-want +got):\n%s\nbody: %s", status, test.status, diff, body)
			}
			if got := header.Get("Content-Type"); status == 410 && got != "application/json; charset=UTF-8" {
				t.Errorf("Content-Type = %q", got)
			}
		})
	}
}

// TestLastVersions holds until when each door is open.
func TestLastVersions(t *testing.T) {
	t.Parallel()
	for _, route := range (&legacy.Doors{}).Routes() {
		last, closed := "2.35", "2.36"
		if strings.Contains(route.Pattern, "/metadata") {
			last, closed = "2.38", "2.39"
		}
		line := route.Method + " " + strings.NewReplacer("{id}", someID, "{key}", "k").Replace(route.Pattern)
		if strings.HasSuffix(route.Pattern, "/action") {
			line += ` {"add_interface":{}}`
		} else if route.Method == "POST" || route.Method == "PUT" {
			line += " {}"
		}
		for _, version := range []string{last, closed} {
			r := newRegion(nil)
			status, body, _ := r.do(t, version+" "+line)
			shut := status == 404 && message(body) == "The resource could not be found." && len(r.asked) == 0
			if shut != (version == closed) {
				t.Errorf("%s %s: %d %s", version, line, status, body)
			}
		}
	}
}
