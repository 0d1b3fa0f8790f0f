package compute

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
)

const (
	someImage   = "84181aed-ab10-46f3-8dc5-4832dc2fc220"
	someNetwork = "10a91cbc-a5e7-474b-9c5b-d312096a48cf"
	somePort    = "46b144bd-4902-4a22-8970-2c537b5a4bc0"
)

var latest = gateway.Microversion{Major: 2, Minor: 93}

// serverBody is a request with the usual fields and the given ones.
func serverBody(fields string) string {
	if fields != "" {
		fields = ", " + fields
	}
	return `{"server": {"name": "s", "flavorRef": "1", "imageRef": "` + someImage + `"` + fields + `}}`
}

func TestParseCreationRefuses(t *testing.T) {
	t.Parallel()
	old := gateway.Microversion{Major: 2, Minor: 1}
	tests := []struct {
		name, body string
		version    gateway.Microversion
		kind       fault.Kind
		want       string // part of the message
	}{
		{"no JSON", `{`, latest, fault.Invalid, "Malformed request body"},
		{"empty", ``, latest, fault.Invalid, "None is not of type 'object'"},
		{"two values", `{} {}`, latest, fault.Invalid, "Malformed request body"},
		{"a list", `[]`, latest, fault.Invalid, "[] is not of type 'object'"},
		{"no server", `{}`, latest, fault.Invalid, "'server' is a required property"},
		{"server is text", `{"server": "x"}`, latest, fault.Invalid, "is not of type 'object'"},
		{"server is null", `{"server": null}`, latest, fault.Invalid, "is not of type 'object'"},
		{"no name", `{"server": {"flavorRef": "1"}}`, latest, fault.Invalid, "'name' is a required property"},
		{"name is a number", `{"server": {"name": 1}}`, latest, fault.Invalid, "field/attribute name"},
		{"no flavor", `{"server": {"name": "s"}}`, latest, fault.Invalid, "'flavorRef' is a required property"},
		{"image is no UUID", `{"server": {"name": "s", "flavorRef": "1", "imageRef": "abc"}}`, latest, fault.Invalid, "field/attribute imageRef"},
		{"networks missing", serverBody(""), latest, fault.Invalid, "'networks' is a required property"},
		{"networks is null", serverBody(`"networks": null`), latest, fault.Invalid, "field/attribute networks"},
		{"networks is another word", serverBody(`"networks": "bad"`), latest, fault.Invalid, "field/attribute networks"},
		{"auto before 2.37", serverBody(`"networks": "auto"`), old, fault.Invalid, "field/attribute networks"},
		{"network is no UUID", serverBody(`"networks": [{"uuid": "x"}]`), latest, fault.Invalid, "field/attribute networks"},
		{"network is no UUID, old", serverBody(`"networks": [{"uuid": "x"}]`), old, fault.Invalid, "Bad networks format: network uuid is not in proper format (x)"},
		{"network without anything", serverBody(`"networks": [{"port": null}]`), latest, fault.Invalid, "Bad network format: missing 'uuid'"},
		{"network with another field", serverBody(`"networks": [{"uuid": "` + someNetwork + `", "x": 1}]`), latest, fault.Invalid, "field/attribute networks"},
		{"tag in 2.41", serverBody(`"networks": [{"uuid": "` + someNetwork + `", "tag": "t"}]`), gateway.Microversion{Major: 2, Minor: 41}, fault.Invalid, "field/attribute networks"},
		{"address is none", serverBody(`"networks": [{"uuid": "` + someNetwork + `", "fixed_ip": "1.2.3"}]`), latest, fault.Invalid, "field/attribute networks"},
		{"port and address", serverBody(`"networks": [{"port": "` + somePort + `", "fixed_ip": "10.0.0.4"}]`), latest, fault.Invalid, "cannot be used with port"},
		{"port twice", serverBody(`"networks": [{"port": "` + somePort + `"}, {"port": "` + somePort + `"}]`), latest, fault.Invalid, "was specified twice"},
		{"port for several servers", serverBody(`"max_count": 2, "networks": [{"port": "` + somePort + `"}]`), latest, fault.Invalid, "Unable to launch multiple instances with a single configured port ID"},
		{"address for several servers", serverBody(`"max_count": 2, "networks": [{"uuid": "` + someNetwork + `", "fixed_ip": "10.0.0.4"}]`), latest, fault.Invalid, "max_count cannot be greater than 1"},
		{"counts crossed", serverBody(`"min_count": 3, "max_count": 2, "networks": "none"`), latest, fault.Invalid, "min_count must be <= max_count"},
		{"count zero", serverBody(`"min_count": 0, "networks": "none"`), latest, fault.Invalid, "less than the minimum of 1"},
		{"count is text", serverBody(`"min_count": "x", "networks": "none"`), latest, fault.Invalid, "does not match"},
		{"count too high", serverBody(`"max_count": 101, "networks": "none"`), latest, fault.Invalid, "at most 100 servers"},
		{"one reservation for several", serverBody(`"max_count": 2, "return_reservation_id": true, "networks": "none"`), latest, fault.Invalid, "return_reservation_id"},
		{"zone of four parts", serverBody(`"availability_zone": "a:b:c:d", "networks": "none"`), latest, fault.Invalid, "Unable to parse availability_zone"},
		{"groups is text", serverBody(`"security_groups": "x", "networks": "none"`), latest, fault.Invalid, "field/attribute security_groups"},
		{"devices is text", serverBody(`"block_device_mapping_v2": "x", "networks": "none"`), latest, fault.Invalid, "field/attribute block_device_mapping_v2"},
		{"our mark", serverBody(`"metadata": {"tricircle": "x"}, "networks": "none"`), latest, fault.Invalid, "reserved"},
		{"metadata is a list", serverBody(`"metadata": [], "networks": "none"`), latest, fault.Invalid, "field/attribute metadata"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseCreation([]byte(tt.body), tt.version)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parseCreation(%s) = %v, want kind %v and %q", tt.body, err, tt.kind, tt.want)
			}
		})
	}
}

func TestParseCreation(t *testing.T) {
	t.Parallel()
	body := `{"server": {"name": "web", "flavorRef": "http://x/flavors/2", "imageRef": "http://x/images/` + someImage + `",
		"availability_zone": "az1:host:node", "min_count": "2", "max_count": 3,
		"networks": [{"uuid": "` + someNetwork + `", "tag": "t"}, {"uuid": "` + someNetwork + `", "port": null}],
		"security_groups": [{"name": "a"}, {"name": "a"}, {"name": ""}, {"name": "b"}],
		"block_device_mapping_v2": [{"source_type": "volume", "uuid": "v1"}, {"source_type": "blank"}, {"volume_id": "v2"}]}}`
	c, err := parseCreation([]byte(body), latest)
	if err != nil {
		t.Fatal(err)
	}
	type read struct {
		Name, Image, Flavor string
		Zone                zoneWish
		Networks            networkWish
		Groups              []string
		Volumes             []volumeWish
		Min, Max            int
	}
	got := read{c.Name, c.ImageID, c.FlavorID, c.Zone, c.Networks, c.Groups, c.Volumes, c.Min, c.Max}
	want := read{
		"web", someImage, "2", zoneWish{Name: "az1", Host: "host", Node: "node"},
		networkWish{NICs: []nicWish{{NetworkID: someNetwork, Tag: json.RawMessage(`"t"`)}, {NetworkID: someNetwork}}},
		[]string{"a", "b"}, []volumeWish{{"volume", "v1"}, {"volume", "v2"}}, 2, 3,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("parseCreation (-want +got):\n%s", diff)
	}
}

// TestBodyForPod holds that what is not ours to change goes through byte by byte
// in meaning: unknown fields, hints, large numbers, and the last of doubled keys.
func TestBodyForPod(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		to       podServer
		want     string
	}{
		{
			name: "everything else passes",
			in: `{"os:scheduler_hints": {"group": "g"}, "server": {"name": "s", "flavorRef": "1", "imageRef": "` + someImage + `", "networks": [{"uuid": "` + someNetwork + `"}],
				"user_data": "eHg=", "key_name": "k", "config_drive": true, "OS-DCF:diskConfig": "MANUAL", "future": {"n": 12345678901234567890},
				"personality": [{"path": "/a", "contents": ""}], "tags": ["t"], "metadata": {"a": "b"}, "security_groups": [{"name": "x"}],
				"availability_zone": "az1", "max_count": 2, "min_count": 1, "accessIPv4": "1.2.3.4", "description": "<&>"}}`,
			to: podServer{Name: "s-1", Zone: "nova", Mark: "m", Ports: []podPort{{ID: "p1", Tag: json.RawMessage(`"t"`)}, {ID: "p2"}}},
			want: `{"os:scheduler_hints": {"group": "g"}, "server": {"name": "s-1", "flavorRef": "1", "imageRef": "` + someImage + `", "networks": [{"port": "p1", "tag": "t"}, {"port": "p2"}],
				"user_data": "eHg=", "key_name": "k", "config_drive": true, "OS-DCF:diskConfig": "MANUAL", "future": {"n": 12345678901234567890},
				"personality": [{"path": "/a", "contents": ""}], "tags": ["t"], "metadata": {"a": "b", "tricircle": "m"},
				"availability_zone": "nova", "accessIPv4": "1.2.3.4", "description": "<&>"}}`,
		},
		{
			name: "no network, no zone",
			in:   serverBody(`"networks": "none"`),
			to:   podServer{Name: "s", Mark: "m"},
			want: serverBody(`"networks": "none", "metadata": {"tricircle": "m"}`),
		},
		{
			name: "an admin's host",
			in:   serverBody(`"networks": "none", "availability_zone": "az1:h1"`),
			to:   podServer{Name: "s", Zone: "nova", Mark: "m"},
			want: serverBody(`"networks": "none", "availability_zone": "nova:h1", "metadata": {"tricircle": "m"}`),
		},
		{
			name: "an admin's node",
			in:   serverBody(`"networks": "none", "availability_zone": "az1::n1"`),
			to:   podServer{Name: "s", Mark: "m"},
			want: serverBody(`"networks": "none", "availability_zone": "::n1", "metadata": {"tricircle": "m"}`),
		},
		{
			name: "doubled keys cannot smuggle a network or lose the mark",
			in: `{"server": {"name": "s", "flavorRef": "1", "imageRef": "` + someImage + `", "networks": "none", "networks": [{"uuid": "` + someNetwork + `"}],
				"metadata": {"a": "b"}, "metadata": {"c": "d"}}}`,
			to:   podServer{Name: "s", Mark: "m", Ports: []podPort{{ID: "p1"}}},
			want: serverBody(`"networks": [{"port": "p1"}], "metadata": {"c": "d", "tricircle": "m"}`),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := parseCreation([]byte(tt.in), latest)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.body(tt.to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decode(t, tt.want), decode(t, string(got))); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBodyWithoutNetworkBefore237: the pod is told "none" in the first version
// that knows the word, and gets the description that an older one would imply.
func TestBodyWithoutNetworkBefore237(t *testing.T) {
	t.Parallel()
	c, err := parseCreation([]byte(serverBody("")), gateway.Microversion{Major: 2, Minor: 1})
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.body(podServer{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	server := gjson.GetBytes(body, "server")
	if server.Get("networks").Str != "none" || server.Get("description").Str != "s" {
		t.Errorf("body = %s, want no network, and the name as description", body)
	}
	if v := c.spoken(0); v != (gateway.Microversion{Major: 2, Minor: 37}) {
		t.Errorf("asked in %v, want 2.37", v)
	}
	if v := c.spoken(1); v != c.atVersion {
		t.Errorf("asked in %v with a port, want %v", v, c.atVersion)
	}
}

// decode keeps numbers as they are written.
func decode(t *testing.T, s string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}
