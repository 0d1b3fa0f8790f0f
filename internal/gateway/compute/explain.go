package compute

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Explain returns the function that says where servers would go. It takes the body
// of "POST /servers" and goes the same way as that, but asks every pod and makes
// nothing. Flavor, image and networks may be given by name; without networks the
// server has none.
//
// The pods are asked with the operator's token for the project of by, so a private
// image counts as visible if the operator sees it.
func Explain(d Deps) func(ctx context.Context, by identity.Caller, request []byte) (fleet.Record, error) {
	a := newAPI(d)
	return func(ctx context.Context, by identity.Caller, request []byte) (fleet.Record, error) {
		request, err := a.completed(ctx, by, request)
		if err != nil {
			return fleet.Record{}, err
		}
		window, err := a.Fleet.Window(ctx)
		if err != nil {
			return fleet.Record{}, err
		}
		j := &job{by: by, body: request}
		if j.wish, err = parseCreation(request, window.Max); err != nil {
			return fleet.Record{}, err
		}
		if err := a.plan(ctx, j); err != nil {
			return fleet.Record{}, err
		}
		return a.explain(ctx, j)
	}
}

// explain decides for one server, or with the hint for each of them.
func (a *api) explain(ctx context.Context, j *job) (fleet.Record, error) {
	story := fleet.Record{Need: j.need, Count: j.wish.Max, Apart: j.wish.Apart}
	choices := 1
	if j.wish.Apart {
		choices = j.wish.Max
	}
	j.need.Used = map[string]int{}
	for range choices {
		decision, err := a.Fleet.Explain(ctx, j.by, j.need)
		if err != nil && decision.Verdicts == nil {
			return story, err
		}
		step := fleet.Step{At: a.Now().UTC(), Decision: decision}
		if err != nil {
			step.Error = err.Error()
		}
		story.Steps = append(story.Steps, step)
		if err != nil {
			break
		}
		j.need.Used[decision.Pod]++
	}
	return story, nil
}

// completed is the request with IDs for names, and with what it must say.
func (a *api) completed(ctx context.Context, by identity.Caller, request []byte) ([]byte, error) {
	var document, server map[string]json.RawMessage
	if json.Unmarshal(request, &document) != nil || json.Unmarshal(document["server"], &server) != nil || server == nil {
		return nil, fault.New(fault.Invalid, "", `the request needs a "server", as in POST /servers`)
	}
	for field, value := range map[string]any{"name": "explained", "networks": "none"} {
		if _, ok := server[field]; !ok {
			server[field] = mustJSON(value)
		}
	}
	var ref string
	if json.Unmarshal(server["flavorRef"], &ref) == nil {
		server["flavorRef"] = mustJSON(a.flavorID(ctx, by, ref))
	}
	if json.Unmarshal(server["imageRef"], &ref) == nil && ref != "" {
		id, err := a.imageID(ctx, by, ref)
		if err != nil {
			return nil, err
		}
		server["imageRef"] = mustJSON(id)
	}
	var networks []map[string]any
	if json.Unmarshal(server["networks"], &networks) == nil {
		for _, n := range networks {
			if err := a.networkID(ctx, by, n); err != nil {
				return nil, err
			}
		}
		server["networks"] = mustJSON(networks)
	}
	document["server"] = mustJSON(server)
	return mustJSON(document), nil
}

// flavorID is the ID of the flavor that any pod has under the ID or name; one that
// no pod has stays as it is: every pod will be passed over for it.
func (a *api) flavorID(ctx context.Context, by identity.Caller, ref string) string {
	answers, err := a.askAll(ctx, by, question{Method: http.MethodGet, Path: "/flavors/" + url.PathEscape(ref), Version: minVersion, Op: "find flavor"})
	if err != nil || len(succeeded(answers)) > 0 {
		return ref
	}
	answers, _ = a.askAll(ctx, by, question{Method: http.MethodGet, Path: "/flavors", Query: url.Values{"is_public": {"None"}}, Version: minVersion, Op: "list flavors"})
	for _, n := range succeeded(answers) {
		for _, f := range gjson.GetBytes(n.Body, "flavors").Array() {
			if f.Get("name").Str == ref {
				return f.Get("id").Str
			}
		}
	}
	return ref
}

func (a *api) imageID(ctx context.Context, by identity.Caller, ref string) (string, error) {
	if uuid.Validate(ref) == nil {
		return ref, nil
	}
	names, err := a.podNames(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		n := a.Dispatch.One(ctx, name, pod.Request{Service: pod.Image, Method: http.MethodGet, Path: "/images", Query: url.Values{"name": {ref}}, As: &by, Op: "find image"})
		if id := gjson.GetBytes(n.Body, "images.0.id").Str; n.Err == nil && id != "" {
			return id, nil
		}
	}
	return "", fault.New(fault.Invalid, "", "no pod that answers has an image called %s", ref)
}

func (a *api) networkID(ctx context.Context, by identity.Caller, n map[string]any) error {
	ref, ok := n["uuid"].(string)
	if !ok || uuid.Validate(ref) == nil {
		return nil
	}
	found, err := a.Store.ListNetworks(ctx, store.Query{Filters: map[string][]string{"name": {ref}}, ProjectID: by.ProjectID})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fault.New(fault.Invalid, "", "project %s has %d networks called %s", by.ProjectID, len(found), ref)
	}
	n["uuid"] = found[0].ID
	return nil
}
