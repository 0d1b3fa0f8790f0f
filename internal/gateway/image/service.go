// Package image is the Image (Glance) API of the region: a table of routes and
// their hooks.
//
// An image has one ID, a home, and copies. The home is the pod that got it first:
// what users change is changed there, with their own token, and jobs make the
// copies the same. What reads it is answered by the home, or by a copy while the
// home is away.
package image

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/replica"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// Fleet chooses the home of a new image.
type Fleet interface {
	replica.Fleet
	Choose(ctx context.Context, by identity.Caller, need fleet.Need) (store.Pod, error)
}

// Deps are what the service needs.
type Deps struct {
	Store    *store.Store
	Fleet    Fleet
	Dispatch *dispatch.Dispatcher
	// Reconciler brings metadata definitions into the pods.
	Reconciler replica.Reconciler
	Log        *slog.Logger // nil: nothing is logged
}

type api struct{ Deps }

// Service is the Image API.
func Service(d Deps) gateway.Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &api{d}
	return gateway.Service{
		Name: "image", Prefix: "/image", Version: "/v2", Strict: true, Routes: a.routes(), Error: gateway.GlanceError,
	}
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// patience is how long an upload waits for a store that is slow to take more, or to
// say that it has all.
const patience = 10 * time.Minute

const (
	atHome     = "in the image's home; the copies follow"
	eachPod    = "in every pod"
	onlyCommon = "what all pods have in common"
)

func (a *api) routes() []gateway.Route {
	routes := []gateway.Route{
		{Method: get, Pattern: "//", Strategy: gateway.Public, Handle: a.versions(http.StatusMultipleChoices)},
		{Method: get, Pattern: "//versions", Strategy: gateway.Public, Handle: a.versions(http.StatusOK)},

		{Method: get, Pattern: "/images", Strategy: gateway.Merged, Policy: "get_images", Handle: a.list},
		{Method: post, Pattern: "/images", Strategy: gateway.Scheduled, Policy: "add_image", Handle: a.create},
		{Method: get, Pattern: "/images/{id}", Strategy: gateway.Routed, Policy: "get_image", Handle: a.show},
		{Method: patch, Pattern: "/images/{id}", Strategy: gateway.Routed, Policy: "modify_image", Handle: a.update, Note: atHome},
		{Method: remove, Pattern: "/images/{id}", Strategy: gateway.Routed, Policy: "delete_image", Handle: a.delete, Note: atHome},
		{Method: get, Pattern: "/images/{id}/file", Strategy: gateway.Routed, Policy: "download_image", Handle: a.read},
		{Method: put, Pattern: "/images/{id}/file", Strategy: gateway.Routed, Policy: "upload_image", MaxBody: gateway.Unlimited, Patience: patience, Handle: a.upload, Note: atHome},
		{Method: put, Pattern: "/images/{id}/stage", Strategy: gateway.Routed, Policy: "modify_image", MaxBody: gateway.Unlimited, Patience: patience, Handle: a.stage},
		{Method: post, Pattern: "/images/{id}/import", Strategy: gateway.Routed, Policy: "modify_image", Handle: a.startImport, Note: atHome},

		{Method: get, Pattern: "/schemas/*", Strategy: gateway.Replicated, Handle: a.anyPod},
		{Method: get, Pattern: "/info/import", Strategy: gateway.Merged, Handle: a.importMethods, Note: onlyCommon},
		{Method: get, Pattern: "/info/stores", Strategy: gateway.Merged, Handle: a.stores, Note: onlyCommon},
		{Method: get, Pattern: "/info/stores/detail", Strategy: gateway.Merged, Policy: "stores_info_detail", Handle: a.stores, Note: onlyCommon},
		{Method: get, Pattern: "/info/usage", Strategy: gateway.Summed, Handle: a.usage},
		{Method: remove, Pattern: "/stores/{store}/{id}", Strategy: gateway.Routed, Policy: "delete_image_location", Handle: a.change, Note: "in the image's home"},

		{Method: get, Pattern: "/tasks", Strategy: gateway.Merged, Policy: "tasks_api_access", Handle: a.listTasks},
		{Method: post, Pattern: "/tasks", Strategy: gateway.Scheduled, Policy: "tasks_api_access", Handle: a.createTask},
		{Method: get, Pattern: "/tasks/{task}", Strategy: gateway.Routed, Policy: "tasks_api_access", Handle: a.anyPod},
		{Method: remove, Pattern: "/tasks/{task}", Strategy: gateway.Routed, Policy: "tasks_api_access", Handle: a.anyPod},

		{Method: get, Pattern: "/cache", Strategy: gateway.Merged, Policy: "cache_list", Handle: a.listCache},
		{Method: remove, Pattern: "/cache", Strategy: gateway.Replicated, Policy: "cache_delete", Handle: a.everyCache, Note: eachPod},
		{Method: get, Pattern: "/cache/nodes/{id}", Strategy: gateway.Merged, Policy: "cache_list", Handle: a.listCache},
		{Method: put, Pattern: "/cache/{id}", Strategy: gateway.Replicated, Policy: "cache_image", Handle: a.everyCache, Note: "in every pod with a copy"},
		{Method: remove, Pattern: "/cache/{id}", Strategy: gateway.Replicated, Policy: "cache_delete", Handle: a.everyCache, Note: "in every pod with a copy"},
		{Method: post, Pattern: "/cache/clean", Strategy: gateway.Replicated, Policy: "cache_delete", Handle: a.everyCache, Note: eachPod},
		{Method: post, Pattern: "/cache/prune", Strategy: gateway.Replicated, Policy: "cache_delete", Handle: a.everyCache, Note: eachPod},
	}
	return append(append(routes, a.partRoutes()...), a.metadefRoutes()...)
}

// partRoutes are those of an image's parts: members, tags, locations, tasks, and
// what else a release of Glance may have below an image.
func (a *api) partRoutes() []gateway.Route {
	routes := []gateway.Route{
		{Method: get, Pattern: "/images/{id}/tasks", Strategy: gateway.Routed, Policy: "get_task", Handle: a.read},
		{Method: get, Pattern: "/images/{id}/locations", Strategy: gateway.Routed, Policy: "get_image_location", Handle: a.read},
		{Method: post, Pattern: "/images/{id}/locations", Strategy: gateway.Routed, Policy: "set_image_location", Handle: a.startImport, Note: atHome},
		{Method: get, Pattern: "/images/{id}/members", Strategy: gateway.Routed, Policy: "get_members", Handle: a.read},
		{Method: get, Pattern: "/images/{id}/members/{member}", Strategy: gateway.Routed, Policy: "get_member", Handle: a.read},
		{Method: post, Pattern: "/images/{id}/members", Strategy: gateway.Routed, Policy: "add_member", Handle: a.change, Note: atHome},
		{Method: put, Pattern: "/images/{id}/members/{member}", Strategy: gateway.Routed, Policy: "modify_member", Handle: a.change, Note: atHome},
		{Method: remove, Pattern: "/images/{id}/members/{member}", Strategy: gateway.Routed, Policy: "delete_member", Handle: a.change, Note: atHome},
		{Method: put, Pattern: "/images/{id}/tags/{tag}", Strategy: gateway.Routed, Policy: "modify_image", Handle: a.change, Note: atHome},
		{Method: remove, Pattern: "/images/{id}/tags/{tag}", Strategy: gateway.Routed, Policy: "modify_image", Handle: a.change, Note: atHome},
		{Method: post, Pattern: "/images/{id}/actions/deactivate", Strategy: gateway.Routed, Policy: "deactivate", Handle: a.change, Note: atHome},
		{Method: post, Pattern: "/images/{id}/actions/reactivate", Strategy: gateway.Routed, Policy: "reactivate", Handle: a.change, Note: atHome},
		{Method: get, Pattern: "/images/{id}/*", Strategy: gateway.Routed, Handle: a.read},
	}
	for _, method := range []string{post, put, patch, remove} {
		routes = append(routes, gateway.Route{Method: method, Pattern: "/images/{id}/*", Strategy: gateway.Routed, Handle: a.change, Note: atHome})
	}
	return routes
}
