// Package image is the Image (Glance) API of the region: a table of routes and
// their hooks.
//
// An image has one ID and a copy in every pod. What changes it goes to all
// copies, and is refused while a pod that may have one is away; what reads it is
// answered by any of them.
package image

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// Deps are what the service needs.
type Deps struct {
	Dispatch *dispatch.Dispatcher
}

type api struct{ Deps }

// Service is the Image API.
func Service(d Deps) gateway.Service {
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

const (
	noTasks = "tasks are an operator's matter in each pod; images are imported with POST /v2/images/{id}/import"
	noCache = "each pod keeps its own image cache"
)

func (a *api) routes() []gateway.Route {
	return []gateway.Route{
		{Method: get, Pattern: "//", Strategy: gateway.Public, Handle: a.versions(http.StatusMultipleChoices)},
		{Method: get, Pattern: "//versions", Strategy: gateway.Public, Handle: a.versions(http.StatusOK)},

		{Method: get, Pattern: "/images", Strategy: gateway.Merged, Policy: "get_images", Handle: a.list},
		{Method: post, Pattern: "/images", Strategy: gateway.Replicated, Policy: "add_image", Handle: a.create},
		{Method: get, Pattern: "/images/{id}", Strategy: gateway.Routed, Policy: "get_image", Handle: a.anyCopy},
		{Method: patch, Pattern: "/images/{id}", Strategy: gateway.Replicated, Policy: "modify_image", Handle: a.allCopies},
		{Method: remove, Pattern: "/images/{id}", Strategy: gateway.Replicated, Policy: "delete_image", Handle: a.allCopies},
		{Method: get, Pattern: "/images/{id}/file", Strategy: gateway.Routed, Policy: "download_image", Handle: a.anyCopy},
		{Method: put, Pattern: "/images/{id}/file", Strategy: gateway.Replicated, Policy: "upload_image", MaxBody: gateway.Unlimited, Handle: a.upload},
		{Method: put, Pattern: "/images/{id}/stage", Strategy: gateway.Replicated, Policy: "modify_image", MaxBody: gateway.Unlimited, Handle: a.upload},
		{Method: get, Pattern: "/images/{id}/*", Strategy: gateway.Routed, Policy: "get_image", Handle: a.anyCopy},
		{Method: post, Pattern: "/images/{id}/*", Strategy: gateway.Replicated, Policy: "modify_image", Handle: a.allCopies},
		{Method: put, Pattern: "/images/{id}/*", Strategy: gateway.Replicated, Policy: "modify_image", Handle: a.allCopies},
		{Method: remove, Pattern: "/images/{id}/*", Strategy: gateway.Replicated, Policy: "modify_image", Handle: a.allCopies},

		{Method: get, Pattern: "/schemas/*", Strategy: gateway.Replicated, Handle: a.anyPod},
		{Method: get, Pattern: "/info/*", Strategy: gateway.Replicated, Handle: a.anyPod},
		{Method: get, Pattern: "/metadefs/*", Strategy: gateway.Replicated, Handle: a.anyPod},
		{Method: post, Pattern: "/metadefs/*", Strategy: gateway.Replicated, Handle: a.allPods},
		{Method: put, Pattern: "/metadefs/*", Strategy: gateway.Replicated, Handle: a.allPods},
		{Method: remove, Pattern: "/metadefs/*", Strategy: gateway.Replicated, Handle: a.allPods},

		{Method: get, Pattern: "/tasks", Strategy: gateway.Refused, Handle: refuse(noTasks), Note: noTasks},
		{Method: post, Pattern: "/tasks", Strategy: gateway.Refused, Handle: refuse(noTasks), Note: noTasks},
		{Method: get, Pattern: "/tasks/{id}", Strategy: gateway.Refused, Handle: refuse(noTasks), Note: noTasks},
		{Method: get, Pattern: "/cache", Strategy: gateway.Refused, Handle: refuse(noCache), Note: noCache},
		{Method: put, Pattern: "/cache/{id}", Strategy: gateway.Refused, Handle: refuse(noCache), Note: noCache},
		{Method: remove, Pattern: "/cache", Strategy: gateway.Refused, Handle: refuse(noCache), Note: noCache},
		{Method: remove, Pattern: "/cache/{id}", Strategy: gateway.Refused, Handle: refuse(noCache), Note: noCache},
	}
}

func refuse(why string) gateway.Handler {
	return func(context.Context, identity.Caller, *gateway.Request) (*gateway.Reply, error) {
		return nil, fault.New(fault.Refused, "", "%s", why)
	}
}
