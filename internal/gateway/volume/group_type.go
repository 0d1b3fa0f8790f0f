package volume

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

func (a *api) groupTypeRoutes() []gateway.Route {
	const types, specs = "group:group_types:", "group:group_types_specs:"
	any := a.anyReplica(store.KindGroupType)
	change := func(next func(*plan.GroupType, *gateway.Request, gjson.Result) bool) gateway.Handler {
		return changer(a, store.KindGroupType, next)
	}
	return replicatedRoutes(
		gateway.Route{Method: get, Pattern: "/group_types", Strategy: gateway.Merged, Handle: a.since(11, a.listReplicas(groupTypeList))},
		gateway.Route{Method: post, Pattern: "/group_types", Policy: types + "create", Admin: true,
			Handle: a.since(11, a.creator(store.KindGroupType, "group_type", func(doc gjson.Result) json.RawMessage { return plan.ReadGroupType(doc).Content() }))},
		gateway.Route{Method: get, Pattern: "/group_types/{id}", Handle: a.since(11, any)},
		gateway.Route{Method: put, Pattern: "/group_types/{id}", Policy: types + "update", Admin: true,
			Handle: a.since(11, renamer(a, store.KindGroupType, "group_type.name", nextGroupType))},
		gateway.Route{Method: remove, Pattern: "/group_types/{id}", Policy: types + "delete", Admin: true, Handle: a.since(11, a.deleteGroupType)},
		gateway.Route{Method: get, Pattern: "/group_types/{id}/group_specs", Policy: specs + "get_all", Admin: true, Handle: a.since(11, any)},
		gateway.Route{Method: post, Pattern: "/group_types/{id}/group_specs", Policy: specs + "create", Admin: true, Handle: a.since(11, change(nextGroupSpecs("group_specs")))},
		gateway.Route{Method: get, Pattern: "/group_types/{id}/group_specs/{key}", Policy: specs + "get", Admin: true, Handle: a.since(11, any)},
		gateway.Route{Method: put, Pattern: "/group_types/{id}/group_specs/{key}", Policy: specs + "update", Admin: true, Handle: a.since(11, change(nextGroupSpecs("")))},
		gateway.Route{Method: remove, Pattern: "/group_types/{id}/group_specs/{key}", Policy: specs + "delete", Admin: true, Handle: a.since(11, change(nextWithoutGroupSpec))},
	)
}

// since is a handler for what Cinder has from a microversion on.
func (a *api) since(minor int, then gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		v, err := gateway.Window{Min: minVersion, Max: gateway.Microversion{Major: 3, Minor: 1000}}.Negotiate(r.Header, "volume", "")
		if err == nil && !v.AtLeast(3, minor) {
			return nil, fault.New(fault.NotFound, "", "The resource could not be found.")
		}
		return then(ctx, by, r)
	}
}

func nextGroupType(t *plan.GroupType, _ *gateway.Request, body gjson.Result) bool {
	return nextHead(body.Get("group_type"), &t.Name, &t.Description, &t.Public)
}

func nextGroupSpecs(member string) func(*plan.GroupType, *gateway.Request, gjson.Result) bool {
	return func(t *plan.GroupType, r *gateway.Request, body gjson.Result) bool {
		return putSpecs(t.Specs, member, r, body)
	}
}

func nextWithoutGroupSpec(t *plan.GroupType, r *gateway.Request, _ gjson.Result) bool {
	_, ok := t.Specs[r.Param("key")]
	delete(t.Specs, r.Param("key"))
	return ok
}

// deleteGroupType is "DELETE /group_types/{id}". Cinder refuses it while a group has
// the type, and the pod that is asked first knows of its own groups only.
func (a *api) deleteGroupType(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	answers, err := a.Dispatch.All(ctx, nil, pod.Request{
		Service: pod.Volume, Method: http.MethodGet, Path: "/groups/detail", Op: "list groups",
		Query: url.Values{"all_tenants": {"1"}}, Header: http.Header{versionHeader: {"volume 3.13"}},
	})
	if err != nil {
		return nil, err
	}
	for _, n := range answers {
		for _, group := range gjson.GetBytes(n.Body, "groups.#.group_type").Array() {
			if group.Str == r.Param("id") {
				return nil, fault.New(fault.Invalid, "", "Target group type is still in use.")
			}
		}
	}
	return a.remover(store.KindGroupType)(ctx, by, r)
}
