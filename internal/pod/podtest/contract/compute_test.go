package contract

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func microversion(v string) http.Header {
	return http.Header{"OpenStack-API-Version": {"compute " + v}}
}

// webOb checks an error that comes in whatever form the client accepts.
func webOb(t *testing.T, status int, message string, ask func(http.Header) *reply) {
	t.Helper()
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	for accept, want := range map[string][2]string{
		"*/*":              {"text/html; charset=UTF-8", "<title>" + title + "</title>\n </head>\n <body>\n  <h1>" + title + "</h1>\n  " + message + "<br /><br />"},
		"application/json": {"application/json", message + "<br /><br />\\n\\n\\n"},
		"":                 {"text/plain; charset=UTF-8", title + "\n\n" + message + "\n\n"},
	} {
		r := ask(http.Header{"Accept": {accept}}).want(t, status, want[1])
		if got := r.header.Get("Content-Type"); got != want[0] {
			t.Errorf("Accept %q: content type %q, want %q", accept, got, want[0])
		}
	}
}

var computeChecks = []check{
	{"versions", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.root("compute")+"/", nil, nil).want(t, 200)
		if got := strings.Join(ids(r.docs("versions"), "id"), " "); got != "v2.0 v2.1" {
			t.Errorf("versions = %s", got)
		}
		r = send(t, "GET", w.demo.root("compute")+"/v2.1/", nil, nil).want(t, 200)
		if r.text("version", "version") != "2.93" || r.text("version", "min_version") != "2.1" || r.text("version", "status") != "CURRENT" {
			t.Errorf("version = %s", r.raw)
		}
	}},
	{"microversion headers", func(t *testing.T, w *world) {
		for want, h := range map[string]http.Header{
			"2.1": {}, "2.93": microversion("2.93"), "2.60": {"X-OpenStack-Nova-API-Version": {"2.60"}},
		} {
			r := w.demo.compute(t, "GET", "/servers", nil, h).want(t, 200)
			if r.header.Get("Openstack-Api-Version") != "compute "+want || r.header.Get("X-Openstack-Nova-Api-Version") != want {
				t.Errorf("asked %v, got %v", h, r.header)
			}
			vary := strings.Join(r.header.Values("Vary"), " ")
			if vary != "OpenStack-API-Version X-OpenStack-Nova-API-Version" {
				t.Errorf("Vary = %q", vary)
			}
		}
		r := w.demo.compute(t, "GET", "/servers", nil, microversion("latest")).want(t, 200)
		if r.header.Get("Openstack-Api-Version") != "compute 2.93" {
			t.Errorf("latest = %v", r.header)
		}
	}},
	{"microversion too high", func(t *testing.T, w *world) {
		w.demo.compute(t, "GET", "/servers", nil, microversion("2.999")).
			refuses(t, 406, "computeFault", "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.93.")
	}},
	{"microversion malformed", func(t *testing.T, w *world) {
		w.demo.compute(t, "GET", "/servers", nil, microversion("abc")).
			refuses(t, 400, "badRequest", "API Version String abc is of invalid format. Must be of format MajorNum.MinorNum.")
	}},
	{"no token", func(t *testing.T, w *world) {
		r := send(t, "GET", w.demo.endpoints["compute"]+"/servers", nil, nil).want(t, 401)
		if r.text("error", "message") != "The request you have made requires authentication." || !strings.HasPrefix(r.header.Get("Www-Authenticate"), "Keystone uri=") {
			t.Errorf("401 = %s %v", r.raw, r.header)
		}
	}},
	{"unknown paths", func(t *testing.T, w *world) {
		for _, path := range []string{"/nosuch", "/nosuchproject/servers"} {
			webOb(t, 404, "The resource could not be found.", func(h http.Header) *reply { return w.demo.compute(t, "GET", path, nil, h) })
		}
	}},
	{"unknown IDs", func(t *testing.T, w *world) {
		for _, path := range []string{"", "/metadata", "/ips", "/os-interface", "/os-volume_attachments", "/os-instance-actions"} {
			w.demo.compute(t, "GET", "/servers/"+nobody+path, nil).refuses(t, 404, "itemNotFound", "Instance "+nobody+" could not be found.")
		}
		w.demo.compute(t, "DELETE", "/servers/"+nobody, nil).refuses(t, 404, "itemNotFound", "Instance "+nobody+" could not be found.")
		w.demo.compute(t, "PUT", "/servers/"+nobody, doc{"server": doc{"name": "x"}}).refuses(t, 404, "itemNotFound", "Instance "+nobody+" could not be found.")
		w.demo.compute(t, "POST", "/servers/"+nobody+"/action", doc{"pause": nil}).refuses(t, 404, "itemNotFound", "Instance "+nobody+" could not be found.")
		w.demo.compute(t, "POST", "/servers/"+nobody+"/action", doc{"os-stop": nil}).refuses(t, 404, "itemNotFound", "Instance "+nobody+" has no mapping to a cell.")
		w.demo.compute(t, "GET", "/flavors/nosuch", nil).refuses(t, 404, "itemNotFound", "Flavor nosuch could not be found.")
		w.demo.compute(t, "GET", "/os-server-groups/"+nobody, nil).refuses(t, 404, "itemNotFound", "Instance group "+nobody+" could not be found.")
	}},
	{"project in the path", func(t *testing.T, w *world) {
		w.demo.compute(t, "GET", "/"+w.demo.project+"/servers", nil).want(t, 200)
		other := strings.Repeat("0", 32)
		w.demo.compute(t, "GET", "/"+other+"/servers", nil).refuses(t, 400, "badRequest",
			"Malformed request URL: URL's project_id '"+other+"' doesn't match Context's project_id '"+w.demo.project+"'")
	}},
	{"availability zones", func(t *testing.T, w *world) {
		list := w.demo.compute(t, "GET", "/os-availability-zone", nil).want(t, 200).docs("availabilityZoneInfo")
		if len(list) != 1 || list[0]["zoneName"] != "nova" || list[0]["hosts"] != nil || list[0]["zoneState"].(doc)["available"] != true {
			t.Errorf("zones = %v", list)
		}
		list = w.admin.compute(t, "GET", "/os-availability-zone/detail", nil).want(t, 200).docs("availabilityZoneInfo")
		if len(list) != 2 || list[0]["zoneName"] != "internal" {
			t.Errorf("zones in detail = %v", list)
		}
	}},
	{"limits", func(t *testing.T, w *world) {
		r := w.demo.compute(t, "GET", "/limits", nil, latest).want(t, 200)
		abs, _ := r.at("limits", "absolute").(doc)
		has(t, abs, "maxTotalInstances", "maxTotalCores", "maxTotalRAMSize", "maxTotalKeypairs", "maxServerMeta", "maxServerGroups",
			"totalInstancesUsed", "totalCoresUsed", "totalRAMUsed")
		hasNot(t, abs, "maxPersonality", "maxSecurityGroups")
		r = w.demo.compute(t, "GET", "/limits", nil).want(t, 200)
		abs, _ = r.at("limits", "absolute").(doc)
		has(t, abs, "maxPersonality", "maxSecurityGroups", "maxImageMeta")
	}},
	{"quota", func(t *testing.T, w *world) {
		r := w.demo.compute(t, "GET", "/os-quota-sets/"+w.demo.project, nil, latest).want(t, 200)
		has(t, r.body["quota_set"].(doc), "id", "instances", "cores", "ram", "key_pairs", "metadata_items", "server_groups", "server_group_members")
		hasNot(t, r.body["quota_set"].(doc), "fixed_ips", "injected_files")
	}},
	{"admins only", func(t *testing.T, w *world) {
		for path, policy := range map[string]string{
			"/os-hypervisors": "os_compute_api:os-hypervisors:list", "/os-services": "os_compute_api:os-services:list",
		} {
			w.demo.compute(t, "GET", path, nil).refuses(t, 403, "forbidden", "Policy doesn't allow "+policy+" to be performed.")
			w.admin.compute(t, "GET", path, nil).want(t, 200)
		}
	}},
	{"hypervisors", func(t *testing.T, w *world) {
		numbers := []string{"vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "local_gb", "local_gb_used"}
		old := w.admin.compute(t, "GET", "/os-hypervisors/detail", nil).want(t, 200).docs("hypervisors")[0]
		for _, n := range numbers {
			if _, ok := old[n].(float64); !ok {
				t.Errorf("%s = %v, want a number", n, old[n])
			}
		}
		if old["state"] != "up" || old["status"] != "enabled" || old["hypervisor_type"] != "fake" {
			t.Errorf("hypervisor = %v", old)
		}
		now := w.admin.compute(t, "GET", "/os-hypervisors/detail", nil, latest).want(t, 200).docs("hypervisors")[0]
		hasNot(t, now, numbers...)
		has(t, now, "state", "status", "hypervisor_hostname", "hypervisor_type")
	}},
	{"a flavor that no host can take", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		w.admin.compute(t, "POST", "/flavors", doc{"flavor": doc{"name": name, "ram": 64, "vcpus": 1, "disk": 1, "id": name}}).want(t, 200)
		defer w.admin.compute(t, "DELETE", "/flavors/"+name, nil)
		w.admin.compute(t, "POST", "/flavors/"+name+"/os-extra_specs", doc{"extra_specs": doc{"resources:CUSTOM_NOWHERE": "1"}}).want(t, 200)
		id := w.admin.compute(t, "POST", "/servers", doc{"server": w.server(doc{"flavorRef": name})}, latest).want(t, 202).text("server", "id")
		defer w.destroy(t, w.admin, id)
		eventually(t, "server in ERROR", func() bool {
			return w.admin.compute(t, "GET", "/servers/"+id, nil, latest).want(t, 200).text("server", "status") == "ERROR"
		})
		fault, _ := w.admin.compute(t, "GET", "/servers/"+id, nil, latest).want(t, 200).at("server", "fault").(doc)
		if message, _ := fault["message"].(string); !strings.HasPrefix(message, "No valid host was found.") || fault["code"] != 500.0 {
			t.Errorf("fault = %v", fault)
		}
		if _, err := time.Parse(time.RFC3339, fault["created"].(string)); err != nil {
			t.Errorf("fault created = %v", fault["created"])
		}
	}},
	{"key pairs", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		public := publicKey
		r := w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{"name": name, "public_key": public, "type": "ssh"}}, latest).want(t, 201)
		if r.text("keypair", "fingerprint") != "7d:19:04:ea:6e:f7:f0:e3:33:55:d8:dc:6e:d2:1f:d9" || r.text("keypair", "user_id") != w.demo.userID {
			t.Errorf("key pair = %s", r.raw)
		}
		w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{"name": name, "public_key": public}}).refuses(t, 409, "conflictingRequest", "Key pair '"+name+"' already exists.")
		has(t, w.demo.compute(t, "GET", "/os-keypairs/"+name, nil).want(t, 200).body["keypair"].(doc), "name", "public_key", "fingerprint", "created_at", "id")
		w.alt.compute(t, "GET", "/os-keypairs/"+name, nil).want(t, 404)
		w.demo.compute(t, "DELETE", "/os-keypairs/"+name, nil, latest).want(t, 204)
		w.demo.compute(t, "DELETE", "/os-keypairs/"+name, nil).refuses(t, 404, "itemNotFound", "Keypair "+name+" not found for user "+w.demo.userID)
	}},
	{"bad key pairs", func(t *testing.T, w *world) {
		w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{"name": "x", "public_key": "bogus"}}).
			refuses(t, 400, "badRequest", "Keypair data is invalid: failed to generate fingerprint")
		w.demo.compute(t, "POST", "/os-keypairs", doc{"keypair": doc{}}).
			refuses(t, 400, "badRequest", "Invalid input for field/attribute keypair. Value: {}. 'name' is a required property")
	}},
}

var flavorChecks = []check{
	{"by ID, in pages", func(t *testing.T, w *world) {
		r := w.demo.compute(t, "GET", "/flavors?limit=1", nil).want(t, 200)
		first := r.docs("flavors")
		if len(first) != 1 || len(r.docs("flavors_links")) != 1 {
			t.Fatalf("first page = %s", r.raw)
		}
		next := w.demo.call(t, "GET", r.docs("flavors_links")[0]["href"].(string), nil).want(t, 200).docs("flavors")
		if len(next) != 1 || next[0]["id"].(string) <= first[0]["id"].(string) {
			t.Errorf("second page = %v after %v", next, first)
		}
	}},
	{"attributes", func(t *testing.T, w *world) {
		f := w.demo.compute(t, "GET", "/flavors/1", nil, latest).want(t, 200).body["flavor"].(doc)
		has(t, f, "id", "name", "ram", "vcpus", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral", "os-flavor-access:is_public", "rxtx_factor", "links", "description", "extra_specs")
		f = w.demo.compute(t, "GET", "/flavors/1", nil).want(t, 200).body["flavor"].(doc)
		hasNot(t, f, "description", "extra_specs")
		if f["swap"] != "" {
			t.Errorf("swap before 2.75 = %v", f["swap"])
		}
	}},
	{"made by admins", func(t *testing.T, w *world) {
		name := "contract-" + random(8)
		in := doc{"flavor": doc{"name": name, "ram": 64, "vcpus": 1, "disk": 1, "id": name}}
		w.demo.compute(t, "POST", "/flavors", in).refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed.")
		w.admin.compute(t, "POST", "/flavors", in).want(t, 200)
		w.admin.compute(t, "POST", "/flavors", in).refuses(t, 409, "conflictingRequest", "Flavor with ID "+name+" already exists.")
		w.admin.compute(t, "POST", "/flavors", doc{"flavor": doc{"name": name, "ram": 64, "vcpus": 1, "disk": 1}}).
			refuses(t, 409, "conflictingRequest", "Flavor with name "+name+" already exists.")
		w.admin.compute(t, "POST", "/flavors/"+name+"/os-extra_specs", doc{"extra_specs": doc{"a": "b"}}).want(t, 200)
		if r := w.demo.compute(t, "GET", "/flavors/"+name+"/os-extra_specs", nil).want(t, 200); r.text("extra_specs", "a") != "b" {
			t.Errorf("extra specs = %s", r.raw)
		}
		w.admin.compute(t, "DELETE", "/flavors/"+name, nil).want(t, 202)
		w.admin.compute(t, "DELETE", "/flavors/"+name, nil).refuses(t, 404, "itemNotFound", "Flavor "+name+" could not be found.")
	}},
	{"bad queries", func(t *testing.T, w *world) {
		w.demo.compute(t, "GET", "/flavors?limit=x", nil).
			refuses(t, 400, "badRequest", "Invalid input for query parameters limit. Value: x. 'x' does not match '^[0-9]*$'")
		w.demo.compute(t, "GET", "/flavors?marker=zz", nil).refuses(t, 400, "badRequest", "marker [zz] not found")
	}},
}
