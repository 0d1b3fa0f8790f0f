package compute

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

var testView = view{base: "http://region/compute", zone: always("az1"), host: func(host string) string { return host + "@pod2" }}

func always(name string) func(string) string { return func(string) string { return name } }

func TestServerDocument(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{
			name: "links, zone and mark",
			in: `{"server": {"id": "s1", "metadata": {"a": "b", "tricircle": "x", "c": "d"}, "image": {"id": "i1", "links": [{"rel": "bookmark", "href": "http://pod:8774/images/i1"}]}, ` +
				`"links": [{"rel": "self", "href": "http://pod:8774/v2.1/servers/s1"}, {"rel": "bookmark", "href": "http://pod:8774/servers/s1"}], "OS-EXT-AZ:availability_zone": "nova", "name": "kept"}}`,
			want: `{"server": {"id": "s1", "metadata": {"a": "b", "c": "d"}, "image": {"id": "i1", "links": [{"rel": "bookmark", "href": "http://region/compute/images/i1"}]}, ` +
				`"links": [{"rel": "self", "href": "http://region/compute/v2.1/servers/s1"}, {"rel": "bookmark", "href": "http://region/compute/servers/s1"}], "OS-EXT-AZ:availability_zone": "az1", "name": "kept"}}`,
		},
		{
			name: "mark alone, not yet scheduled",
			in:   `{"server":{"metadata":{"tricircle":"x"},"OS-EXT-AZ:availability_zone":""}}`,
			want: `{"server":{"metadata":{},"OS-EXT-AZ:availability_zone":""}}`,
		},
		{
			name: "zone null, image empty, flavor embedded",
			in:   `{"server":{"OS-EXT-AZ:availability_zone":null,"image":"","flavor":{"vcpus":1,"extra_specs":{"links":"no"}}}}`,
			want: `{"server":{"OS-EXT-AZ:availability_zone":null,"image":"","flavor":{"vcpus":1,"extra_specs":{"links":"no"}}}}`,
		},
		{
			name: "a user's text that looks like ours",
			in:   `{"server":{"name":"http://pod/servers/x","metadata":{"OS-EXT-AZ:availability_zone":"nova","links":"x"}}}`,
			want: `{"server":{"name":"http://pod/servers/x","metadata":{"OS-EXT-AZ:availability_zone":"nova","links":"x"}}}`,
		},
		{
			name: "hosts, for admins",
			in:   `{"server":{"OS-EXT-SRV-ATTR:host":"n1","OS-EXT-SRV-ATTR:hypervisor_hostname":null,"OS-EXT-SRV-ATTR:hostname":"web"}}`,
			want: `{"server":{"OS-EXT-SRV-ATTR:host":"n1@pod2","OS-EXT-SRV-ATTR:hypervisor_hostname":null,"OS-EXT-SRV-ATTR:hostname":"web"}}`,
		},
		{name: "another key", in: `{"other":{"links":[]}}`, want: `{"other":{"links":[]}}`},
		{name: "not JSON", in: `<html>`, want: ""},
		{name: "escapes", in: `{"server":{"name":"\"links\":[\u00e9","OS-EXT-AZ:availability_zone":"n\u00f6va"}}`, want: `{"server":{"name":"\"links\":[\u00e9","OS-EXT-AZ:availability_zone":"az1"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := string(testView.document([]byte(tt.in)))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServerItem(t *testing.T) {
	t.Parallel()
	v := view{base: "http://region/compute", project: "p1", zone: always("az2")}
	in := ` {"id":"s1","links":[{"rel":"self","href":"http://h/v2.1/p1/servers/s1"}],"OS-EXT-AZ:availability_zone":"z","metadata":{"tricircle":"m"}}`
	want := ` {"id":"s1","links":[{"rel":"self","href":"http://region/compute/v2.1/p1/servers/s1"}],"OS-EXT-AZ:availability_zone":"az2","metadata":{}}`
	if diff := cmp.Diff(want, string(v.server([]byte(in)))); diff != "" {
		t.Errorf("server (-want +got):\n%s", diff)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	in := `{"flavors":[{"id":"1","links":[{"rel":"self","href":"http://p/v2.1/flavors/1"},{"rel":"bookmark","href":"http://p/flavors/1"}]},{"id":"2","links":[]}]}`
	want := `{"flavors":[{"id":"1","links":[{"rel":"self","href":"http://region/compute/v2.1/flavors/1"},{"rel":"bookmark","href":"http://region/compute/flavors/1"}]},{"id":"2","links":[]}]}`
	if diff := cmp.Diff(want, string(testView.links([]byte(in)))); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

// BenchmarkServerDocument is the rewriting of one server in detail alone.
func BenchmarkServerDocument(b *testing.B) {
	body := []byte(`{"server": {"id": "s1", "name": "n", "status": "ACTIVE", "metadata": {"a": "b", "tricircle": "x"}, "image": {"id": "i1", "links": [{"rel": "bookmark", "href": "http://pod:8774/images/i1"}]}, ` +
		`"flavor": {"vcpus": 1, "ram": 64, "disk": 1, "ephemeral": 0, "swap": 0, "original_name": "m1.tiny", "extra_specs": {}}, "created": "2026-11-22T17:00:18Z", "addresses": {"net": [{"version": 4, "addr": "10.0.0.4"}]}, ` +
		`"links": [{"rel": "self", "href": "http://pod:8774/v2.1/servers/s1"}, {"rel": "bookmark", "href": "http://pod:8774/servers/s1"}], "OS-EXT-AZ:availability_zone": "nova", "OS-EXT-STS:vm_state": "active"}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		testView.document(body)
	}
}
