package compute

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// concatenated serves a list that admins read as a whole: the pods' lists one
// after the other, in the order of the pods' names. zonePath is where an item
// names its zone, if it does; Nova's "internal" is no zone of ours.
func (a *api) concatenated(field, zonePath string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		query := r.URL.Query()
		if query.Get("limit") != "" || query.Get("marker") != "" {
			return nil, fault.New(fault.Refused, "", "this region gives %s as one list, without limit and marker", field)
		}
		q := question{Method: http.MethodGet, Path: r.Path(), Query: query, Version: versionOf(r), Op: "list " + field}
		answers, err := a.collect(ctx, by, q, field, "id")
		if err != nil {
			return nil, err
		}
		list := []json.RawMessage{}
		for _, n := range succeeded(answers) {
			for _, item := range gjson.GetBytes(n.Body, field).Array() {
				raw := []byte(item.Raw)
				if zone := item.Get(zonePath).Str; zone != "" && zone != "internal" {
					raw = gateway.SetField(raw, zonePath, a.Fleet.ZoneOf(n.Pod))
				}
				list = append(list, raw)
			}
		}
		return a.merged(map[string]any{field: list}, answers), nil
	}
}

// onePod answers for a thing that is in one pod, unless its ID names different
// things in several: numbers do before version 2.53.
func (a *api) onePod(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	answers, err := a.askAll(ctx, by, q)
	if err != nil {
		return nil, err
	}
	ok := succeeded(answers)
	switch len(ok) {
	case 0:
		return nil, worst(answers)
	case 1:
		return a.replyFrom(r, ok[0], answers), nil
	}
	return nil, fault.New(fault.Conflict, "", "%s names something in pod %s and in pod %s: use API version 2.53 or later, whose IDs are unique", r.Param("id"), ok[0].Pod, ok[1].Pod)
}

// refused answers with the reason in the route's note.
func refused(_ context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return nil, fault.New(fault.Refused, "", "%s %s is not offered in this region: %s", r.Method, r.Route.Pattern, r.Route.Note)
}

// proxied answers for Nova's old doors to other services: absent from the
// version in which Nova closed them, refused before.
func proxied(minor int) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if versionOf(r).AtLeast(2, minor) {
			return nil, fault.New(fault.NotFound, "", "The resource could not be found.")
		}
		return refused(ctx, by, r)
	}
}
