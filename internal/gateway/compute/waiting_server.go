package compute

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute/legacy"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
)

// withWaiting lets the handlers of servers answer for those that their pods have
// not made yet. The others cost nothing: only a handler that finds out comes here.
func (a *api) withWaiting(routes []gateway.Route) []gateway.Route {
	for i := range routes {
		r := &routes[i]
		if strings.HasPrefix(r.Pattern, "/servers/{id}") || strings.HasPrefix(r.Pattern, "/os-volumes_boot/{id}") {
			r.Handle = a.orWaiting(r.Handle)
		}
	}
	return routes
}

func (a *api) orWaiting(handle gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		reply, err := handle(ctx, by, r)
		if !notYet(err) {
			return reply, err
		}
		id := r.Param("id")
		w, err := a.Store.FindWaiting(ctx, id)
		switch {
		case fault.Is(err, fault.NotFound): // the pod has made it meanwhile
			return handle(ctx, by, r)
		case err != nil:
			return nil, err
		case w.ProjectID != by.ProjectID && !by.IsAdmin():
			return nil, fault.New(fault.NotFound, "", "Instance %s could not be found.", id)
		}
		reply, err = a.whileWaiting(ctx, by, r, w)
		if errors.Is(err, errMade) {
			return handle(ctx, by, r)
		}
		return reply, err
	}
}

// errMade says that the pod has made the server meanwhile.
var errMade = errors.New("the server is in its pod")

func notYet(err error) bool {
	f, ok := faultOf(err)
	return ok && f.Code == dispatch.NotYet
}

// whileWaiting answers for a server that its pod has not made yet: it can be looked
// at, renamed and deleted.
func (a *api) whileWaiting(ctx context.Context, by identity.Caller, r *gateway.Request, w store.WaitingServer) (*gateway.Reply, error) {
	_, below, _ := strings.Cut(r.Route.Pattern, "{id}")
	switch r.Method + " " + below {
	case "GET ":
		return gateway.JSON(http.StatusOK, map[string]any{"server": a.waitingShown(by, r, w)}), nil
	case "PUT ":
		return a.updateWaiting(ctx, by, r, w)
	case "DELETE ":
		return a.removeWaiting(ctx, w.ID)
	case "POST /action":
		return a.actOnWaiting(ctx, r, w)
	}
	if r.Method == http.MethodGet {
		if body := waitingPart(below, r, w); body != nil {
			return gateway.JSON(http.StatusOK, body), nil
		}
	}
	return nil, building(w, strings.Trim(below, "/"))
}

// building is Nova's refusal of what a server cannot do now.
func building(w store.WaitingServer, what string) error {
	state := "building"
	if w.State == store.ServerFailed {
		state = "error"
	}
	return fault.New(fault.Conflict, "", "Cannot '%s' instance %s while it is in vm_state %s", what, w.ID, state)
}

func (a *api) actOnWaiting(ctx context.Context, r *gateway.Request, w store.WaitingServer) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	name, err := legacy.ActionName(body)
	if err != nil {
		return nil, err
	}
	if name == "forceDelete" {
		return a.removeWaiting(ctx, w.ID)
	}
	return nil, building(w, strings.TrimPrefix(name, "os-"))
}

// removeWaiting deletes it.
func (a *api) removeWaiting(ctx context.Context, id string) (*gateway.Reply, error) {
	removed, err := a.Store.RemoveWaiting(ctx, id)
	if err != nil {
		return nil, err
	}
	if !removed {
		return nil, errMade
	}
	return gateway.Empty(http.StatusNoContent), nil
}

// waitingPart is what there is to see below a server that waits; nil: nothing.
func waitingPart(below string, r *gateway.Request, w store.WaitingServer) any {
	var d document
	if json.Unmarshal([]byte(w.Document), &d) != nil {
		return nil
	}
	switch below {
	case "/metadata":
		return map[string]any{"metadata": d["metadata"]}
	case "/metadata/{key}":
		if value := gjson.GetBytes(d["metadata"], gjson.Escape(r.Param("key"))); value.Exists() {
			return map[string]any{"meta": map[string]string{r.Param("key"): value.String()}}
		}
	case "/tags":
		return map[string]any{"tags": d["tags"]}
	case "/ips":
		return map[string]any{"addresses": map[string]any{}}
	case "/os-interface":
		return map[string]any{"interfaceAttachments": []any{}}
	case "/os-volume_attachments":
		return map[string]any{"volumeAttachments": []any{}}
	case "/os-instance-actions":
		return map[string]any{"instanceActions": []any{}}
	}
	return nil
}

// changeable are the members that an update may have, by the version.
func changeable(v gateway.Microversion) []string {
	names := []string{"name", "accessIPv4", "accessIPv6", "OS-DCF:diskConfig"}
	if v.AtLeast(2, 19) {
		names = append(names, "description")
	}
	if v.AtLeast(2, 90) {
		names = append(names, "hostname")
	}
	return names
}

// updateWaiting changes the server here, and in the request that its pod will get.
func (a *api) updateWaiting(ctx context.Context, by identity.Caller, r *gateway.Request, w store.WaitingServer) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	change := gjson.GetBytes(body, "server")
	if err := checkObject("server", change, nil, changeable(versionOf(r))...); err != nil {
		return nil, err
	}
	if name := change.Get("name"); name.Exists() && (name.Type != gjson.String || strings.TrimSpace(name.Str) == "" || len(name.Str) > 255) {
		return nil, unfit("name", name, "is not valid")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(change.Raw), &fields); err != nil {
		return nil, err
	}
	changed, err := a.changedWaiting(w, fields)
	if err != nil {
		return nil, err
	}
	ok, err := a.Store.ChangeWaiting(ctx, w, changed.Document, changed.Sealed)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, building(w, "update")
	}
	shown := a.waitingShown(by, r, changed)
	if !versionOf(r).AtLeast(2, 75) {
		for name := range shown {
			if slices.Contains(extended, name) || strings.HasPrefix(name, "OS-EXT-SRV-ATTR:") || name == "host_status" {
				delete(shown, name)
			}
		}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"server": shown}), nil
}

// changedWaiting is the server with other members.
func (a *api) changedWaiting(w store.WaitingServer, fields map[string]json.RawMessage) (store.WaitingServer, error) {
	var d document
	if err := json.Unmarshal([]byte(w.Document), &d); err != nil {
		return w, err
	}
	for name, value := range fields {
		if name == "hostname" {
			name = "OS-EXT-SRV-ATTR:hostname"
		}
		d[name] = value
	}
	w.Document, w.UpdatedAt = string(mustJSON(d)), a.Now()
	if w.State == store.ServerFailed {
		return w, nil // nothing is sent any more
	}
	o, err := reconcile.OpenServerOrder(a.Key, w)
	if err != nil {
		return w, err
	}
	var request, server map[string]json.RawMessage
	if err := json.Unmarshal(o.Body, &request); err != nil {
		return w, err
	}
	if err := json.Unmarshal(request["server"], &server); err != nil {
		return w, err
	}
	for name, value := range fields {
		server[name] = value
	}
	request["server"] = mustJSON(server)
	o.Body = mustJSON(request)
	w.Sealed, err = o.Seal(a.Key, w.ID)
	return w, err
}

// listWaiting are the servers that wait, as rows of a list: those that the client's
// filters let through. Rows of pods that show one of them are hidden: the pod has
// made it just now.
func (a *api) listWaiting(ctx context.Context, by identity.Caller, r *gateway.Request, l *dispatch.List, query url.Values, detail bool) error {
	project := by.ProjectID
	if l.AllProjects {
		project = ""
	} else if project == "" {
		return nil
	}
	all, err := a.Store.ListWaiting(ctx, project)
	if err != nil || len(all) == 0 {
		return err
	}
	marks := map[string]bool{}
	match := waitingFilter(query, by, versionOf(r))
	for _, w := range all {
		marks[w.ID] = true
		if l.Pods != nil && !slices.Contains(l.Pods, w.Pod) {
			continue
		}
		var d document
		if json.Unmarshal([]byte(w.Document), &d) != nil || !match(w, d.withState(w)) {
			continue
		}
		whole := a.waitingShown(by, r, w)
		delete(whole, "server_groups") // Nova's lists do not have them
		shown := mustJSON(whole)
		if !detail {
			shown = mustJSON(map[string]any{"id": w.ID, "name": d["name"], "links": whole["links"]})
		}
		l.Own = append(l.Own, dispatch.Own{ID: w.ID, Raw: mustJSON(d.withState(w)), Shown: shown})
	}
	l.Hide = func(raw []byte) bool { return marks[gjson.GetBytes(raw, "metadata."+markKey).Str] }
	return nil
}
