//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// untie takes apart what holds other things of the world's projects in place, so that
// these can be deleted whatever the cases have left.
func (w *World) untie(t *testing.T) {
	t.Helper()
	for _, project := range []string{w.things["strangers"], w.Project} { // who may use what is the member's
		of := "?project_id=" + project
		w.deleteAll(t, "trunks", "trunks"+of)
		w.deleteAll(t, "floatingips", "floatingips"+of)
		for _, router := range w.all(t, "routers", "routers"+of) {
			w.dismantle(t, router)
		}
		w.deletePorts(t, "ports"+of)
		for _, network := range w.all(t, "networks", "networks"+of) {
			w.deletePorts(t, "ports?network_id="+network.text("id")) // those of operators
		}
		w.deleteAll(t, "rbac_policies", "rbac-policies"+of)
		w.deleteAll(t, "subnets", "subnets"+of)
		w.deleteAll(t, "networks", "networks"+of)
		w.deleteAll(t, "subnetpools", "subnetpools"+of)
	}
}

func (w *World) deletePorts(t *testing.T, path string) {
	t.Helper()
	for _, port := range w.all(t, "ports", path) {
		if !strings.HasPrefix(port.text("device_owner"), "network:") {
			w.delete(t, "ports/"+port.text("id"))
		}
	}
}

func (w *World) dismantle(t *testing.T, router object) {
	t.Helper()
	path := "routers/" + router.text("id")
	w.put(t, path, `{"router":{"routes":[],"external_gateway_info":null}}`)
	for _, port := range w.all(t, "ports", "ports?device_id="+router.text("id")) {
		w.put(t, path+"/remove_router_interface", `{"port_id":"`+port.text("id")+`"}`)
	}
	w.delete(t, path)
}

// all lists as an operator. What a world does not have is no failure.
func (w *World) all(t *testing.T, key, path string) []object {
	t.Helper()
	var body map[string][]object
	if _, err := w.admin.Network.Get(live(t), w.admin.Network.ServiceURL(path), &body, nil); err != nil {
		return nil
	}
	return body[key]
}

func (w *World) deleteAll(t *testing.T, key, path string) {
	t.Helper()
	kind, _, _ := strings.Cut(path, "?")
	for _, thing := range w.all(t, key, path) {
		w.delete(t, kind+"/"+thing.text("id"))
	}
}

func (w *World) delete(t *testing.T, path string) {
	t.Helper()
	w.request(t, Case{Who: "admin", Method: http.MethodDelete, Path: "/" + path})
}

func (w *World) put(t *testing.T, path, body string) {
	t.Helper()
	w.request(t, Case{Who: "admin", Method: http.MethodPut, Path: "/" + path, Body: body})
}

func (w *World) request(t *testing.T, c Case) {
	t.Helper()
	if a := must(w.ask(live(t), c, ""))(t); a.Status/100 != 2 && a.Status != http.StatusNotFound {
		t.Logf("%s in the %s: %d %s", c, w.name, a.Status, a.Body)
	}
}
