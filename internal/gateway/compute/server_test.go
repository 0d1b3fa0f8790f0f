package compute_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
)

// boot makes a server in the zone and returns its ID.
func (c *client) boot(zone string, fields m) string {
	c.t.Helper()
	all := m{"availability_zone": zone}
	for k, v := range fields {
		all[k] = v
	}
	return c.do("POST", "/servers", server(all)).want(c.t, 202).get("server.id").Str
}

// TestForeignServer holds that a server of another project is as absent as one
// that does not exist, and that asking for it changes nothing.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo, alt := w.as("demo"), w.as("alt")
	n := demo.network("blue", "10.1.0.0/24")
	id := demo.boot("az1", on(m{"uuid": n.ID}))
	for _, id := range []string{id, uuid.NewString(), "no-uuid"} {
		for _, ask := range []struct {
			method, path string
			body         any
		}{
			{"GET", "/servers/" + id, nil},
			{"DELETE", "/servers/" + id, nil},
			{"PUT", "/servers/" + id, m{"server": m{"name": "mine"}}},
			{"POST", "/servers/" + id + "/action", m{"os-stop": nil}},
			{"POST", "/servers/" + id + "/action", m{"addSecurityGroup": m{"name": "default"}}},
			{"GET", "/servers/" + id + "/os-interface", nil},
			{"POST", "/servers/" + id + "/os-interface", m{"interfaceAttachment": m{"net_id": n.ID}}},
			{"GET", "/servers/" + id + "/os-security-groups", nil},
			{"GET", "/servers/" + id + "/metadata", nil},
			{"GET", "/servers/" + id + "/ips", nil},
		} {
			if got := alt.do(ask.method, ask.path, ask.body); got.status != 404 {
				t.Errorf("%s %s: %d %s, want 404", ask.method, ask.path, got.status, got.body)
			}
		}
	}
	shown := demo.do("GET", "/servers/"+id, nil).want(t, 200)
	if got := shown.get("server.status").Str; got != "ACTIVE" {
		t.Errorf("the owner's server is %s", got)
	}
	if ports, _ := w.store.PortsByDevice(t.Context(), id); len(ports) != 1 {
		t.Errorf("the owner's server has ports %+v", ports)
	}
	demo.remove(t, id)
	w.drop(t, n.ID)
	w.clean(t)
}

func TestServerLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{DeleteGets: 2, BuildGets: 1})
	demo := w.as("demo")
	id := demo.boot("az2", m{"metadata": m{"a": "b"}})
	path := "/servers/" + id
	eventually(t, "ACTIVE", func() bool { return demo.do("GET", path, nil).get("server.status").Str == "ACTIVE" })
	renamed := demo.do("PUT", path, m{"server": m{"name": "db"}}).want(t, 200)
	if renamed.get("server.name").Str != "db" || strings.Contains(string(renamed.body), "tricircle") ||
		!strings.HasPrefix(renamed.get("server.links.0.href").Str, w.url) {
		t.Errorf("renamed: %s", renamed.body)
	}
	for _, action := range []m{{"os-stop": nil}, {"os-start": nil}, {"reboot": m{"type": "SOFT"}}} {
		demo.do("POST", path+"/action", action).want(t, 202)
	}
	if got := demo.do("POST", path+"/action", m{"bogus": nil}); got.status != 400 || !strings.Contains(got.message(), "There is no such action") {
		t.Errorf("unknown action: %d %s", got.status, got.body)
	}
	rebuilt := demo.do("POST", path+"/action", m{"rebuild": m{"imageRef": imageID}}).want(t, 202)
	if strings.Contains(string(rebuilt.body), "tricircle") || !strings.HasPrefix(rebuilt.get("server.links.0.href").Str, w.url) {
		t.Errorf("rebuilt: %s", rebuilt.body)
	}
	demo.do("PUT", path+"/tags/blue", nil).want(t, 201)
	if got := demo.do("GET", path+"/tags", nil).want(t, 200).get("tags").Raw; !strings.Contains(got, "blue") {
		t.Errorf("tags = %s", got)
	}
	demo.remove(t, id)
	demo.do("DELETE", path, nil).want(t, 404)
	w.clean(t)
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	path := "/servers/" + demo.boot("az1", m{"metadata": m{"a": "b"}}) + "/metadata"
	tests := []struct {
		method, path string
		body         any
		status       int
		want         string
	}{
		{"GET", path, nil, 200, `{"a":"b"}`},
		{"POST", path, m{"metadata": m{"c": "d"}}, 200, `{"a":"b","c":"d"}`},
		{"POST", path, m{"metadata": m{"tricircle": "x"}}, 400, ""},
		{"PUT", path + "/tricircle", m{"meta": m{"tricircle": "x"}}, 400, ""},
		{"GET", path + "/tricircle", nil, 404, ""},
		{"DELETE", path + "/tricircle", nil, 404, ""},
		{"DELETE", path + "/a", nil, 204, ""},
		{"PUT", path, m{"metadata": m{"e": "f"}}, 200, `{"e":"f"}`},
		{"GET", path + "/e", nil, 200, ""},
		{"GET", path, nil, 200, `{"e":"f"}`},
	}
	for _, tt := range tests {
		got := demo.do(tt.method, tt.path, tt.body)
		text := strings.ReplaceAll(got.get("metadata").Raw, " ", "")
		if got.status != tt.status || tt.want != "" && text != tt.want {
			t.Errorf("%s %s %v: %d %s, want %d %s", tt.method, tt.path, tt.body, got.status, got.body, tt.status, tt.want)
		}
	}
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	blue, green := demo.network("blue", "10.1.0.0/24"), demo.network("green", "10.2.0.0/24", pool("10.2.0.100", "10.2.0.200"))
	id := demo.boot("az1", on(m{"uuid": blue.ID}))
	path := "/servers/" + id + "/os-interface"
	list := demo.do("GET", path, nil).want(t, 200)
	first, err := w.store.PortsByDevice(t.Context(), id)
	must(t, err)
	for field, want := range map[string]string{
		"port_id": first[0].ID, "net_id": blue.ID, "fixed_ips.0.subnet_id": first[0].FixedIPs[0].SubnetID,
		"fixed_ips.0.ip_address": first[0].FixedIPs[0].Address.String(), "mac_addr": first[0].MACAddress,
	} {
		if got := list.get("interfaceAttachments.0." + field).Str; got != want {
			t.Errorf("%s = %s, want %s", field, got, want)
		}
	}

	made := demo.do("POST", path, m{"interfaceAttachment": m{"net_id": green.ID, "fixed_ips": []m{{"ip_address": "10.2.0.50"}}}}).want(t, 200)
	portID := made.get("interfaceAttachment.port_id").Str
	if made.get("interfaceAttachment.net_id").Str != green.ID || made.get("interfaceAttachment.fixed_ips.0.ip_address").Str != "10.2.0.50" {
		t.Errorf("attached: %s", made.body)
	}
	if p, err := w.store.FindPort(t.Context(), portID); err != nil || p.DeviceID != id || p.DeviceOwner != "compute:az1" {
		t.Errorf("central port = %+v, %v", p, err)
	}
	own := demo.port(green.ID)
	demo.do("POST", path, m{"interfaceAttachment": m{"port_id": own.ID}}).want(t, 200)
	demo.do("GET", path+"/"+own.ID, nil).want(t, 200)
	if got := demo.do("GET", path, nil).get("interfaceAttachments.#").Int(); got != 3 {
		t.Errorf("%d interfaces, want 3", got)
	}
	for _, bad := range []struct {
		wish   m
		status int
	}{
		{m{"port_id": own.ID}, 409},
		{m{"port_id": uuid.NewString()}, 404},
		{m{"net_id": uuid.NewString()}, 404},
		{m{"net_id": green.ID, "port_id": own.ID}, 400},
		{m{"fixed_ips": []m{{"ip_address": "10.2.0.9"}}}, 400},
		{m{"net_id": green.ID, "fixed_ips": []m{{"ip_address": "x"}}}, 400},
		{m{"net_id": "x"}, 400},
		{m{}, 409},
	} {
		if got := demo.do("POST", path, m{"interfaceAttachment": bad.wish}); got.status != bad.status {
			t.Errorf("attach %v: %d %s, want %d", bad.wish, got.status, got.body, bad.status)
		}
	}
	demo.do("DELETE", path+"/"+uuid.NewString(), nil).want(t, 404)
	demo.do("DELETE", path+"/"+portID, nil).want(t, 202)
	demo.do("DELETE", path+"/"+own.ID, nil).want(t, 202)
	if got := demo.do("GET", path, nil).get("interfaceAttachments.#").Int(); got != 1 {
		t.Errorf("%d interfaces, want 1", got)
	}
	kept, err := w.store.FindPort(t.Context(), own.ID)
	must(t, err)
	if kept.DeviceID != "" {
		t.Errorf("the user's port still serves %s", kept.DeviceID)
	}
	must(t, w.store.DeletePort(t.Context(), own.ID, nil))
	demo.remove(t, id)
	w.drop(t, blue.ID, green.ID)
	w.clean(t)
}

// TestAttachFails holds that a refused attachment leaves nothing.
func TestAttachFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	id := demo.boot("az1", nil)
	remove := w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Compute, Method: "POST", Path: `/os-interface$`, Status: 409,
		Body: `{"conflictingRequest": {"code": 409, "message": "locked"}}`})
	if got := demo.do("POST", "/servers/"+id+"/os-interface", m{"interfaceAttachment": m{"net_id": n.ID}}); got.status != 409 || !strings.Contains(got.message(), "pod1: locked") {
		t.Errorf("%d %s, want 409 of pod1", got.status, got.body)
	}
	remove()
	if ports, _ := w.store.PortsByDevice(t.Context(), id); len(ports) != 0 {
		t.Errorf("ports are left: %+v", ports)
	}
	demo.remove(t, id)
	w.drop(t, n.ID)
	w.clean(t)
}

func TestServerGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	g := demo.group("web")
	id := demo.boot("az1", on(m{"uuid": n.ID}))
	path := "/servers/" + id
	demo.do("POST", path+"/action", m{"addSecurityGroup": m{"name": "web"}}).want(t, 202)
	if got := demo.do("GET", path+"/os-security-groups", nil).want(t, 200); got.get("security_groups.#").Int() != 2 || !strings.Contains(string(got.body), g.ID) {
		t.Errorf("groups: %s", got.body)
	}
	demo.do("POST", path+"/action", m{"addSecurityGroup": m{"name": "nope"}}).want(t, 404)
	demo.do("POST", path+"/action", m{"removeSecurityGroup": m{"name": g.ID}}).want(t, 202)
	demo.do("POST", path+"/action", m{"removeSecurityGroup": m{"name": "web"}}).want(t, 404)
	if got := demo.do("GET", path+"/os-security-groups", nil).want(t, 200); got.get("security_groups.#").Int() != 1 {
		t.Errorf("groups: %s", got.body)
	}
	demo.remove(t, id)
}

// TestVolumesBindToTheirPod holds that a server and its volumes are in one pod.
func TestVolumesBindToTheirPod(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	one, two := demo.volume(w, "pod1"), demo.volume(w, "pod2")
	disk := func(id string) m {
		return m{"uuid": id, "source_type": "volume", "destination_type": "volume", "boot_index": 0}
	}
	free := demo.do("POST", "/servers", server(m{"imageRef": nil, "block_device_mapping_v2": []m{disk(two)}})).want(t, 202)
	if got := demo.do("GET", "/servers/"+free.get("server.id").Str, nil).get("server.OS-EXT-AZ:availability_zone").Str; got != "az2" {
		t.Errorf("a server on pod2's volume is in %s", got)
	}
	for name, body := range map[string]m{
		"another zone": {"imageRef": nil, "availability_zone": "az1", "block_device_mapping_v2": []m{disk(two)}},
		"two pods":     {"imageRef": nil, "block_device_mapping_v2": []m{disk(one), disk(two)}},
	} {
		got := demo.do("POST", "/servers", server(body))
		if got.status != 400 || !strings.Contains(got.message(), "pod1") || !strings.Contains(got.message(), "pod2") {
			t.Errorf("%s: %d %s, want 400 that names both pods", name, got.status, got.body)
		}
	}
	id := demo.boot("az1", nil)
	path := "/servers/" + id + "/os-volume_attachments"
	got := demo.do("POST", path, m{"volumeAttachment": m{"volumeId": two}})
	if got.status != 400 || !strings.Contains(got.message(), "pod1") || !strings.Contains(got.message(), "pod2") {
		t.Errorf("attach: %d %s, want 400 that names both pods", got.status, got.body)
	}
	w.filling(t, one, demo.project)
	for what, got := range map[string]reply{
		"attach": demo.do("POST", path, m{"volumeAttachment": m{"volumeId": one}}),
		"boot":   demo.do("POST", "/servers", server(m{"imageRef": nil, "block_device_mapping_v2": []m{disk(one)}})),
	} {
		if got.status != 400 || !strings.Contains(got.message(), "Currently in 'creating'") {
			t.Errorf("%s with a volume that has not its data yet: %d %s, want 400", what, got.status, got.body)
		}
	}
	f, err := w.store.FindVolumeFill(t.Context(), one)
	if err == nil {
		f.State = store.Filled
		err = w.store.EndVolumeFill(t.Context(), f)
	}
	if err != nil {
		t.Fatal(err)
	}
	demo.do("POST", path, m{"volumeAttachment": m{"volumeId": one}}).want(t, 200)
	demo.do("GET", path, nil).want(t, 200)
	demo.do("GET", path+"/"+one, nil).want(t, 200)
	demo.do("DELETE", path+"/"+one, nil).want(t, 202)
}

// filling makes a volume one that gets its data from another pod. The job that would
// bring it does not find the volume for the time of the test.
func (w *world) filling(t *testing.T, id, project string) {
	t.Helper()
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Volume, Method: "GET", Path: "/volumes/" + id + "$", Status: 503})
	_, err := w.store.Begin(t.Context(), store.Intent{ID: "fill", Kind: store.KindVolume, Pod: "pod1", ProjectID: project,
		Fill: &store.VolumeFill{Source: store.FillSource{Kind: store.KindVolume, ID: "v", Pod: "pod2"}}})
	if err == nil {
		err = w.store.Settle(t.Context(), "fill", store.Entry{Kind: store.KindVolume, ID: id, Pod: "pod1", ProjectID: project, Status: "available"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeletedBehindOurBack holds that a server that somebody deleted in the pod
// takes its ports with it at the first look.
func TestDeletedBehindOurBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, podtest.Options{})
	demo := w.as("demo")
	n := demo.network("blue", "10.1.0.0/24")
	id := demo.boot("az1", on(m{"uuid": n.ID}))
	demo.direct(w, "pod1", "DELETE", "/servers/"+id)
	demo.do("GET", "/servers/"+id, nil).want(t, 404)
	if ports, _ := w.store.PortsByDevice(t.Context(), id); len(ports) != 0 {
		t.Errorf("ports are left: %+v", ports)
	}
	if _, err := w.store.FindMapping(t.Context(), store.Target{Kind: store.KindServer, ID: id, Pod: "pod1"}); err == nil {
		t.Error("the mapping is left")
	}
	w.drop(t, n.ID)
	w.clean(t)
}
