package contract

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// operateChecks are what admins see and do: hosts, services, aggregates,
// migrations, external events.
var operateChecks = []check{
	{"hypervisors", func(t *testing.T, w *world) {
		old := w.admin.compute(t, "GET", "/os-hypervisors/detail", nil).want(t, 200).docs("hypervisors")[0]
		has(t, old, "id", "hypervisor_hostname", "state", "status", "hypervisor_type", "service", "vcpus", "memory_mb_used", "running_vms")
		id := fmt.Sprintf("%.0f", old["id"].(float64))
		w.admin.compute(t, "GET", "/os-hypervisors/"+id, nil).want(t, 200)
		w.admin.compute(t, "GET", "/os-hypervisors/987654", nil).refuses(t, 404, "itemNotFound", "Hypervisor with ID '987654' could not be found.")
		name := old["hypervisor_hostname"].(string)
		if found := w.admin.compute(t, "GET", "/os-hypervisors/"+name+"/search", nil).want(t, 200).docs("hypervisors"); found[0]["id"] != old["id"] {
			t.Errorf("search = %v", found)
		}
		w.admin.compute(t, "GET", "/os-hypervisors/nosuch/search", nil).refuses(t, 404, "itemNotFound", "No hypervisor matching 'nosuch' could be found.")
		w.admin.compute(t, "GET", "/os-hypervisors/"+id+"/uptime", nil).refuses(t, 501, "notImplemented", "The requested functionality is not supported.")
		sum := w.admin.compute(t, "GET", "/os-hypervisors/statistics", nil).want(t, 200).body["hypervisor_statistics"].(doc)
		has(t, sum, "count", "vcpus", "vcpus_used", "free_ram_mb", "running_vms", "current_workload", "disk_available_least")
		w.admin.compute(t, "GET", "/os-hypervisors/statistics", nil, latest).refuses(t, 404, "itemNotFound", "The resource could not be found.")
	}},
	{"hypervisors by UUID, in pages", func(t *testing.T, w *world) {
		page := w.admin.compute(t, "GET", "/os-hypervisors?limit=1", nil, latest).want(t, 200)
		first := page.docs("hypervisors")[0]
		if href := page.docs("hypervisors_links")[0]["href"].(string); !strings.Contains(href, "marker="+first["id"].(string)) {
			t.Errorf("next page = %s", href)
		}
		w.admin.compute(t, "GET", "/os-hypervisors/"+first["id"].(string), nil, latest).want(t, 200)
		w.admin.compute(t, "GET", "/os-hypervisors/7", nil, latest).refuses(t, 400, "badRequest", "Invalid uuid 7")
		w.admin.compute(t, "GET", "/os-hypervisors?marker="+nobody, nil, latest).refuses(t, 400, "badRequest", "marker ["+nobody+"] not found")
		w.admin.compute(t, "GET", "/os-hypervisors?hypervisor_hostname_pattern=a&limit=1", nil, latest).refuses(t, 400, "badRequest",
			"The server could not comply with the request since it is either malformed or otherwise incorrect.") // Nova loses its own words here
		w.admin.compute(t, "GET", "/os-hypervisors/"+nobody, nil, latest).refuses(t, 404, "itemNotFound", "Hypervisor with ID '"+nobody+"' could not be found.")
	}},
	{"services", func(t *testing.T, w *world) {
		host := w.host(t)
		list := w.admin.compute(t, "GET", "/os-services?binary=nova-compute&host="+host, nil).want(t, 200).docs("services")
		if len(list) != 1 || list[0]["host"] != host {
			t.Fatalf("services = %v", list)
		}
		has(t, list[0], "id", "zone", "status", "state", "updated_at", "disabled_reason")
		if none := w.admin.compute(t, "GET", "/os-services?host=nosuch", nil).want(t, 200).docs("services"); len(none) != 0 {
			t.Errorf("services of no host = %v", none)
		}
		in := doc{"host": host, "binary": "nova-compute"}
		if r := w.admin.compute(t, "PUT", "/os-services/enable", in).want(t, 200); r.text("service", "status") != "enabled" || r.text("service", "host") != host {
			t.Errorf("enable = %s", r.raw)
		}
		w.admin.compute(t, "PUT", "/os-services/enable", doc{"host": "nosuch", "binary": "nova-compute"}).
			refuses(t, 404, "itemNotFound", "Host 'nosuch' is not mapped to any cell")
		w.admin.compute(t, "PUT", "/os-services/enable", doc{"host": host, "binary": "nova-scheduler"}).
			refuses(t, 400, "badRequest", "Updating a nova-scheduler service is not supported. Only nova-compute services can be updated.")
		w.admin.compute(t, "PUT", "/os-services/"+nobody, doc{"status": "enabled"}, latest).refuses(t, 404, "itemNotFound", "Service "+nobody+" could not be found.")
		w.admin.compute(t, "DELETE", "/os-services/"+nobody, nil, latest).refuses(t, 404, "itemNotFound", "Service "+nobody+" not found.")
	}},
	{"aggregates", func(t *testing.T, w *world) {
		name, host := "contract-"+random(8), w.host(t)
		made := w.admin.compute(t, "POST", "/os-aggregates", doc{"aggregate": doc{"name": name}}, latest).want(t, 200).body["aggregate"].(doc)
		has(t, made, "id", "uuid", "name", "availability_zone", "created_at", "updated_at", "deleted")
		hasNot(t, made, "hosts", "metadata")
		id := fmt.Sprintf("%.0f", made["id"].(float64))
		at := "/os-aggregates/" + id
		t.Cleanup(func() { w.admin.dispose(t, at) })
		w.admin.compute(t, "POST", "/os-aggregates", doc{"aggregate": doc{"name": name}}).refuses(t, 409, "conflictingRequest", "Aggregate "+name+" already exists.")
		act := func(action string, args doc) *reply {
			return w.admin.compute(t, "POST", at+"/action", doc{action: args}, latest)
		}
		act("add_host", doc{"host": "nosuch"}).refuses(t, 404, "itemNotFound", "Compute host nosuch could not be found.")
		if got := act("add_host", doc{"host": host}).want(t, 200).at("aggregate", "hosts"); fmt.Sprint(got) != "["+host+"]" {
			t.Errorf("hosts = %v", got)
		}
		act("add_host", doc{"host": host}).refuses(t, 409, "conflictingRequest", "Aggregate "+id+" already has host "+host+".")
		w.admin.compute(t, "DELETE", at, nil).refuses(t, 400, "badRequest", "Cannot remove host from aggregate "+id+". Reason: Host aggregate is not empty.")
		if got := act("set_metadata", doc{"metadata": doc{"a": "b"}}).want(t, 200).text("aggregate", "metadata", "a"); got != "b" {
			t.Errorf("metadata = %v", got)
		}
		act("remove_host", doc{"host": host}).want(t, 200)
		act("remove_host", doc{"host": host}).refuses(t, 404, "itemNotFound", "Cannot remove host "+host+" in aggregate "+id)
		// Without hosts no zone comes to be, so this takes nothing from anybody.
		r := w.admin.compute(t, "PUT", at, doc{"aggregate": doc{"availability_zone": "@" + name}}).want(t, 200)
		if r.text("aggregate", "availability_zone") != "@"+name || r.text("aggregate", "metadata", "availability_zone") != "@"+name {
			t.Errorf("with a zone: %s", r.raw)
		}
		w.admin.compute(t, "DELETE", at, nil).want(t, 200)
		w.admin.compute(t, "GET", at, nil).refuses(t, 404, "itemNotFound", "Aggregate "+id+" could not be found.")
		w.admin.compute(t, "GET", "/os-aggregates/x", nil).refuses(t, 400, "badRequest", "Invalid input received: id must be an integer")
	}},
	{"migrations", func(t *testing.T, w *world) {
		w.admin.compute(t, "GET", "/os-migrations", nil).want(t, 200).docs("migrations")
		w.admin.compute(t, "GET", "/os-migrations?limit=1", nil, latest).want(t, 200)
		w.admin.compute(t, "GET", "/os-migrations?limit=1&marker="+nobody, nil, latest).refuses(t, 400, "badRequest", "Marker "+nobody+" could not be found.")
		w.demo.compute(t, "GET", "/os-migrations", nil).refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-migrations:index to be performed.")
	}},
	{"hosts", func(t *testing.T, w *world) {
		host := w.host(t)
		if list := w.admin.compute(t, "GET", "/os-hosts", nil).want(t, 200).docs("hosts"); len(list) < 3 {
			t.Errorf("hosts = %v", list)
		}
		shown := w.admin.compute(t, "GET", "/os-hosts/"+host, nil).want(t, 200).docs("host")
		if shown[0]["resource"].(doc)["host"] != host {
			t.Errorf("host = %v", shown)
		}
		w.admin.compute(t, "GET", "/os-hosts/nosuch", nil).refuses(t, 404, "itemNotFound", "Host 'nosuch' is not mapped to any cell")
		w.admin.compute(t, "GET", "/os-hosts", nil, http.Header{"OpenStack-API-Version": {"compute 2.43"}}).
			refuses(t, 404, "itemNotFound", "The resource could not be found.")
	}},
	{"usage audit", func(t *testing.T, w *world) {
		log := w.admin.compute(t, "GET", "/os-instance_usage_audit_log", nil).want(t, 200).body["instance_usage_audit_logs"].(doc)
		has(t, log, "period_beginning", "period_ending", "num_hosts", "num_hosts_done", "num_hosts_running", "num_hosts_not_run", "hosts_not_run",
			"total_instances", "total_errors", "overall_status", "log")
	}},
	{"external events", func(t *testing.T, w *world) {
		id := w.boot(t, w.demo, nil)
		event := func(server string) doc { return doc{"name": "network-changed", "server_uuid": server} }
		send := func(events ...doc) *reply {
			return w.admin.compute(t, "POST", "/os-server-external-events", doc{"events": events})
		}
		one := send(event(id)).want(t, 200).docs("events")
		if one[0]["code"] != 200.0 || one[0]["status"] != "completed" {
			t.Errorf("events = %v", one)
		}
		mixed := send(event(nobody), event(id)).want(t, 207).docs("events")
		if mixed[0]["code"] != 404.0 || mixed[0]["status"] != "failed" || mixed[1]["code"] != 200.0 {
			t.Errorf("events = %v", mixed)
		}
		send(event(nobody)).want(t, 207)
		send(doc{"server_uuid": id}).want(t, 400)
		w.demo.compute(t, "POST", "/os-server-external-events", doc{"events": []doc{event(id)}}).
			refuses(t, 403, "forbidden", "Policy doesn't allow os_compute_api:os-server-external-events:create to be performed.")
	}},
}

// host is the name of a compute host.
func (w *world) host(t *testing.T) string {
	t.Helper()
	return w.admin.compute(t, "GET", "/os-services?binary=nova-compute", nil).want(t, 200).docs("services")[0]["host"].(string)
}

// dispose deletes something of Nova, after the check's context has ended.
func (c *client) dispose(t *testing.T, path string) {
	t.Helper()
	c.late(t, "DELETE", c.endpoints["compute"]+path)
}
