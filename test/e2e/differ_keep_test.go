//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// keep makes what was created a thing of the world, if the case says so, and deletes
// it at the end.
func (w *World) keep(t *testing.T, c Case, a Answer) {
	t.Helper()
	if c.Thing != "" {
		w.things[c.Thing] = w.things["nobody"] // the comparison tells, and whatever needs it
	}
	path, _, _ := strings.Cut(c.Path, "?")
	if id := created(a); c.Method == http.MethodPost && w.api.keeps && id != "" {
		if c.Thing != "" {
			w.things[c.Thing] = id
		}
		path += "/" + id
		t.Cleanup(func() { w.clean(t, path) })
	}
	if w.api.settles && c.Method != http.MethodGet && a.Status/100 == 2 {
		w.settle(t, path)
	}
}

// created is the ID in the answer to a creation: of the one thing in it, or Glance's.
func created(a Answer) string {
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted:
	default:
		return ""
	}
	var glance struct{ ID string }
	var body map[string]json.RawMessage
	if json.Unmarshal(a.Body, &body) != nil {
		return ""
	}
	if json.Unmarshal(a.Body, &glance) == nil && glance.ID != "" {
		return glance.ID
	}
	var thing struct{ ID string }
	for _, raw := range body {
		if json.Unmarshal(raw, &thing) == nil && thing.ID != "" {
			return thing.ID
		}
	}
	return ""
}

// clean deletes, whatever state the cases have left it in; Cinder takes its time.
func (w *World) clean(t *testing.T, path string) {
	t.Helper()
	before, do := w.removal(path)
	last := ""
	for range 100 {
		if before != nil {
			must(w.ask(live(t), *before, "latest"))(t)
		}
		a := must(w.ask(live(t), do, w.latest()))(t)
		last = fmt.Sprintf("%d %s", a.Status, a.Body)
		if a.Status == http.StatusNotFound || a.Status/100 == 2 && !w.api.settles {
			return
		}
		if !w.api.settles {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%s in the %s: %s", do, w.name, last)
}

func (w *World) latest() string {
	if w.api.speaks == "" {
		return ""
	}
	return "latest"
}

// removal is how a thing is deleted, and what must be done before.
func (w *World) removal(path string) (before *Case, do Case) {
	do = Case{Who: "admin", Method: http.MethodDelete, Path: path}
	act := func(path, body string) *Case {
		return &Case{Who: "admin", Method: http.MethodPost, Path: path, Body: body}
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case w.api.name == "image": // what is protected cannot be deleted
		before = &Case{
			Who: "admin", Method: http.MethodPatch, Path: path,
			Header: map[string]string{"Content-Type": "application/openstack-images-v2.1-json-patch"},
			Body:   `[{"op":"replace","path":"/protected","value":false}]`,
		}
	case w.api.name != "volume":
	case kind == "volumes":
		before = act(path+"/action", `{"os-reset_status":{"status":"error","attach_status":"detached"}}`)
		do = *act(path+"/action", `{"os-force_delete":null}`)
	case kind == "groups":
		do = *act(path+"/action", `{"delete":{"delete-volumes":true}}`)
	case kind == "qos-specs":
		do.Path += "?force=true"
	}
	return before, do
}

// onItsWay are the states that end by themselves.
var onItsWay = regexp.MustCompile(`^(creating|downloading|deleting|extending|retyping|backing-up|restoring-backup|unmanaging|saving|importing)$`)

// settle waits until what the path names is not on its way any more.
func (w *World) settle(t *testing.T, path string) {
	t.Helper()
	parts := strings.Split(w.fill(path), "/") // "", kind, ID, …
	if len(parts) < 3 {
		return
	}
	look := Case{Who: "admin", Method: http.MethodGet, Path: strings.Join(parts[:3], "/")}
	status := ""
	for range 150 {
		a := must(w.ask(live(t), look, w.latest()))(t)
		status = statusOf(a.Body)
		importing := status == "uploading" && strings.HasSuffix(path, "/import") // staged, and its task is to come
		if a.Status != http.StatusOK || !importing && !onItsWay.MatchString(status) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s in the %s is still %s", look, w.name, status)
}

func statusOf(body []byte) string {
	var glance struct{ Status string }
	var cinder map[string]json.RawMessage
	if json.Unmarshal(body, &glance) == nil && glance.Status != "" {
		return glance.Status
	}
	if json.Unmarshal(body, &cinder) != nil {
		return ""
	}
	var thing struct{ Status string }
	for _, raw := range cinder {
		if json.Unmarshal(raw, &thing) == nil && thing.Status != "" {
			return thing.Status
		}
	}
	return ""
}
