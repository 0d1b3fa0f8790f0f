package image

import (
	"context"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

// fallback is what every Glance with v2 speaks: for version lists while no pod
// answers.
var fallback = []string{"v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0"}

// versions lists the versions that all pods speak.
func (a *api) versions(status int) gateway.Handler {
	return func(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		answers, err := a.Dispatch.All(ctx, nil, pod.Request{
			Service: pod.Image, Method: http.MethodGet, Path: "//versions", Op: "list versions",
		})
		if err != nil {
			return nil, err
		}
		var spoken []string
		for _, answer := range answers {
			if answer.Err != nil {
				continue
			}
			var here []string
			for _, id := range gjson.GetBytes(answer.Body, "versions.#.id").Array() {
				here = append(here, id.String())
			}
			if spoken == nil {
				spoken = here
				continue
			}
			spoken = slices.DeleteFunc(spoken, func(id string) bool { return !slices.Contains(here, id) })
		}
		if spoken == nil {
			spoken = fallback
		}
		return gateway.JSON(status, map[string]any{"versions": versionRows(spoken, r.PrefixURL()+"/v2/")}), nil
	}
}

func versionRows(ids []string, href string) []any {
	rows := []any{}
	for i, id := range ids {
		status := "SUPPORTED"
		if i == 0 {
			status = "CURRENT"
		}
		rows = append(rows, map[string]any{
			"id": id, "status": status, "links": []any{map[string]string{"rel": "self", "href": href}},
		})
	}
	return rows
}
