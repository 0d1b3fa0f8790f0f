package region_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// things is one of everything that a project can have.
type things struct{ server, network, subnet, port, group, rule, volume, snapshot, image string }

func (c *client) things() things {
	c.t.Helper()
	var o things
	o.network, o.subnet = c.network("mine", "10.7.0.0/24")
	o.port, _ = c.port(o.network)
	o.group = c.do("POST", network+"/security-groups", m{"security_group": m{"name": "mine"}}).want(c.t, 201).get("security_group.id").Str
	o.rule = c.do("POST", network+"/security-group-rules", m{"security_group_rule": m{"security_group_id": o.group, "direction": "ingress", "protocol": "tcp",
		"port_range_min": 22, "port_range_max": 22}}).want(c.t, 201).get("security_group_rule.id").Str
	o.server = c.boot(on(o.network))
	o.volume = c.do("POST", volume+"/"+c.project+"/volumes", m{"volume": m{"size": 1, "availability_zone": "az1"}}).want(c.t, 202).get("volume.id").Str
	o.snapshot = c.do("POST", volume+"/"+c.project+"/snapshots", m{"snapshot": m{"volume_id": o.volume}}).want(c.t, 202).get("snapshot.id").Str
	o.image = c.do("POST", image+"/images", m{"name": "mine", "disk_format": "raw", "container_format": "bare", "visibility": "private"}).want(c.t, 201).get("id").Str
	c.with("Content-Type", "application/octet-stream").do("PUT", image+"/images/"+o.image+"/file", "bits").want(c.t, 204)
	return o
}

// nothing is things that do not exist.
func nothing() things {
	id := uuid.NewString
	return things{id(), id(), id(), id(), id(), id(), id(), id(), id()}
}

// ask is one request about one of the things.
type ask struct {
	method, path string
	body         any
}

// asks are the ways in which a stranger may try to see, change, delete or use
// things; ground is a network of his own.
func asks(o things, project, ground string) []ask {
	port := func(fields m) ask {
		fields["network_id"] = ground
		return ask{"POST", network + "/ports", m{"port": fields}}
	}
	boot := func(fields m) ask { return ask{"POST", compute + "/servers", server(fields)} }
	volumes := volume + "/" + project
	bootable := func(kind, id string) m {
		return m{"imageRef": nil, "block_device_mapping_v2": []m{{"uuid": id, "source_type": kind, "destination_type": "volume", "boot_index": 0, "volume_size": 1}}}
	}
	return []ask{
		{"GET", compute + "/servers/" + o.server, nil},
		{"PUT", compute + "/servers/" + o.server, m{"server": m{"name": "his"}}},
		{"DELETE", compute + "/servers/" + o.server, nil},
		{"POST", compute + "/servers/" + o.server + "/action", m{"os-stop": nil}},
		{"POST", compute + "/servers/" + o.server + "/os-interface", m{"interfaceAttachment": m{"net_id": ground}}},
		{"GET", network + "/networks/" + o.network, nil},
		{"PUT", network + "/networks/" + o.network, m{"network": m{"name": "his"}}},
		{"DELETE", network + "/networks/" + o.network, nil},
		{"POST", network + "/subnets", m{"subnet": m{"network_id": o.network, "ip_version": 4, "cidr": "10.99.0.0/24"}}},
		{"POST", network + "/ports", m{"port": m{"network_id": o.network}}},
		boot(on(o.network)),
		{"GET", network + "/subnets/" + o.subnet, nil},
		{"PUT", network + "/subnets/" + o.subnet, m{"subnet": m{"name": "his"}}},
		{"DELETE", network + "/subnets/" + o.subnet, nil},
		port(m{"fixed_ips": []m{{"subnet_id": o.subnet}}}),
		{"GET", network + "/ports/" + o.port, nil},
		{"PUT", network + "/ports/" + o.port, m{"port": m{"name": "his"}}},
		{"DELETE", network + "/ports/" + o.port, nil},
		boot(m{"networks": []m{{"port": o.port}}}),
		{"GET", network + "/security-groups/" + o.group, nil},
		{"PUT", network + "/security-groups/" + o.group, m{"security_group": m{"name": "his"}}},
		{"DELETE", network + "/security-groups/" + o.group, nil},
		{"POST", network + "/security-group-rules", m{"security_group_rule": m{"security_group_id": o.group, "direction": "ingress"}}},
		port(m{"security_groups": []string{o.group}}),
		boot(m{"networks": []m{{"uuid": ground}}, "security_groups": []m{{"name": o.group}}}),
		{"GET", network + "/security-group-rules/" + o.rule, nil},
		{"DELETE", network + "/security-group-rules/" + o.rule, nil},
		{"GET", volumes + "/volumes/" + o.volume, nil},
		{"PUT", volumes + "/volumes/" + o.volume, m{"volume": m{"name": "his"}}},
		{"DELETE", volumes + "/volumes/" + o.volume, nil},
		{"POST", volumes + "/snapshots", m{"snapshot": m{"volume_id": o.volume}}},
		{"POST", volumes + "/volumes", m{"volume": m{"source_volid": o.volume}}},
		{"POST", volumes + "/volumes", m{"volume": m{"snapshot_id": o.snapshot}}},
		boot(bootable("volume", o.volume)),
		{"GET", volumes + "/snapshots/" + o.snapshot, nil},
		{"DELETE", volumes + "/snapshots/" + o.snapshot, nil},
		boot(bootable("snapshot", o.snapshot)),
		{"GET", image + "/images/" + o.image, nil},
		{"GET", image + "/images/" + o.image + "/file", nil},
		{"PATCH", image + "/images/" + o.image, []m{{"op": "replace", "path": "/name", "value": "his"}}},
		{"DELETE", image + "/images/" + o.image, nil},
		{"POST", volumes + "/volumes", m{"volume": m{"size": 1, "imageRef": o.image}}},
		boot(m{"imageRef": o.image}),
	}
}

// TestForeignThingsLookAbsent: whatever a stranger does with the ID of another
// project's thing, he reads what he reads of an ID that nobody has.
func TestForeignThingsLookAbsent(t *testing.T) {
	t.Parallel()
	r := newRegion(t, setup{})
	demo, alt := r.as("demo"), r.as("alt")
	theirs, none := demo.things(), nothing()
	ground, _ := alt.network("ground", "10.8.0.0/24")
	of := strings.NewReplacer(theirs.pairs("THEIR")...)
	noOf := strings.NewReplacer(none.pairs("THEIR")...)
	before := demo.describe(theirs)
	foreign, absent := asks(theirs, alt.project, ground), asks(none, alt.project, ground)
	for i := range foreign {
		ask := foreign[i]
		method := alt
		if ask.method == "PATCH" {
			method = alt.with("Content-Type", "application/openstack-images-v2.1-json-patch")
		}
		got, want := method.do(ask.method, ask.path, ask.body), method.do(absent[i].method, absent[i].path, absent[i].body)
		if want.status < 400 {
			t.Errorf("%s %s %v: %d for an ID that nobody has", ask.method, of.Replace(ask.path), ask.body, want.status)
		}
		if got.status != want.status || of.Replace(string(got.body)) != noOf.Replace(string(want.body)) {
			t.Errorf("%s %s %v\nof theirs: %d %s\nof nobody: %d %s", ask.method, of.Replace(ask.path), ask.body, got.status, got.body, want.status, want.body)
		}
	}
	if diff := cmp.Diff(before, demo.describe(theirs)); diff != "" {
		t.Errorf("the owner's things have changed (-before +after):\n%s", diff)
	}
	for _, path := range []string{compute + "/servers", network + "/ports", network + "/subnets", network + "/security-group-rules", volume + "/" + alt.project + "/volumes", image + "/images"} {
		if got := alt.do("GET", path, nil).want(t, 200); of.Replace(string(got.body)) != string(got.body) {
			t.Errorf("GET %s shows another project's things: %s", path, got.body)
		}
	}
}

// pairs are the IDs, each followed by the kind's name.
func (o things) pairs(word string) []string {
	return []string{o.server, word + " server", o.network, word + " network", o.subnet, word + " subnet", o.port, word + " port", o.group, word + " group",
		o.rule, word + " rule", o.volume, word + " volume", o.snapshot, word + " snapshot", o.image, word + " image"}
}

// describe shows the things to their owner.
func (c *client) describe(o things) map[string]string {
	c.t.Helper()
	volumes := volume + "/" + c.project
	shown := map[string]string{}
	for _, path := range []string{compute + "/servers/" + o.server, network + "/networks/" + o.network, network + "/subnets/" + o.subnet, network + "/ports/" + o.port,
		network + "/security-groups/" + o.group, network + "/security-group-rules/" + o.rule, volumes + "/volumes/" + o.volume,
		volumes + "/snapshots/" + o.snapshot, image + "/images/" + o.image} {
		shown[path] = string(c.do("GET", path, nil).want(c.t, 200).body)
	}
	return shown
}
