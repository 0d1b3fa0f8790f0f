// Package volume is the Block Storage (Cinder) API of the region: a table of
// routes and their hooks.
package volume

import (
	"context"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// Fleet is what the service needs to know of pods and zones.
type Fleet interface {
	Pods(ctx context.Context) ([]store.Pod, error)
	Zones(ctx context.Context) ([]fleet.Zone, error)
	Choose(ctx context.Context, by identity.Caller, need fleet.Need) (store.Pod, error)
}

// Deps are what the service needs.
type Deps struct {
	Fleet    Fleet
	Dispatch *dispatch.Dispatcher
	Now      func() time.Time
}

type api struct {
	Deps
	window window
}

// Service is the Block Storage API.
func Service(d Deps) gateway.Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	a := &api{Deps: d}
	return gateway.Service{
		Name: "volume", Prefix: "/volume", Version: "/v3", ProjectInPath: true, Strict: true,
		Routes: a.routes(), Error: gateway.CinderError, Before: a.before, After: after,
	}
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	remove = http.MethodDelete
)

func (a *api) routes() []gateway.Route {
	routes := []gateway.Route{
		{Method: get, Pattern: "//", Strategy: gateway.Public, Handle: a.versions(http.StatusMultipleChoices)},
		{Method: get, Pattern: "//v3", Strategy: gateway.Public, Handle: a.versions(http.StatusOK)},

		{Method: get, Pattern: "/volumes", Strategy: gateway.Merged, Policy: "volume:get_all", Handle: a.list(volumes, brief)},
		{Method: get, Pattern: "/volumes/detail", Strategy: gateway.Merged, Policy: "volume:get_all", Handle: a.list(volumes, full)},
		{Method: get, Pattern: "/volumes/summary", Strategy: gateway.Summed, Policy: "volume:get_all", Handle: a.summary},
		{Method: post, Pattern: "/volumes", Strategy: gateway.Scheduled, Policy: "volume:create", Handle: a.createVolume},
		{Method: get, Pattern: "/snapshots", Strategy: gateway.Merged, Policy: "volume:get_all_snapshots", Handle: a.list(snapshots, brief)},
		{Method: get, Pattern: "/snapshots/detail", Strategy: gateway.Merged, Policy: "volume:get_all_snapshots", Handle: a.list(snapshots, full)},
		{Method: post, Pattern: "/snapshots", Strategy: gateway.Routed, Handle: a.createBeside(snapshots, "snapshot.volume_id", store.KindVolume)},
		{Method: get, Pattern: "/backups", Strategy: gateway.Merged, Policy: "backup:get_all", Handle: a.list(backups, brief)},
		{Method: get, Pattern: "/backups/detail", Strategy: gateway.Merged, Policy: "backup:get_all", Handle: a.list(backups, full)},
		{Method: post, Pattern: "/backups", Strategy: gateway.Routed, Handle: a.createBeside(backups, "backup.volume_id", store.KindVolume)},
		{Method: get, Pattern: "/attachments", Strategy: gateway.Merged, Policy: "volume:attachment_get", Handle: a.list(attachments, brief)},
		{Method: get, Pattern: "/attachments/detail", Strategy: gateway.Merged, Handle: a.list(attachments, full)},
		{Method: post, Pattern: "/attachments", Strategy: gateway.Routed, Handle: a.createBeside(attachments, "attachment.volume_uuid", store.KindVolume)},
		{Method: get, Pattern: "/groups", Strategy: gateway.Merged, Handle: a.list(groups, brief)},
		{Method: get, Pattern: "/groups/detail", Strategy: gateway.Merged, Handle: a.list(groups, full)},
		{Method: post, Pattern: "/groups", Strategy: gateway.Refused, Handle: refuse(noGroups), Note: noGroups},
		{Method: post, Pattern: "/groups/action", Strategy: gateway.Refused, Handle: refuse(noGroups), Note: noGroups},
		{Method: get, Pattern: "/group_snapshots", Strategy: gateway.Merged, Handle: a.list(groupSnapshots, brief)},
		{Method: get, Pattern: "/group_snapshots/detail", Strategy: gateway.Merged, Handle: a.list(groupSnapshots, full)},
		{Method: post, Pattern: "/group_snapshots", Strategy: gateway.Routed, Handle: a.createBeside(groupSnapshots, "group_snapshot.group_id", dispatch.KindGroup)},
		{Method: get, Pattern: "/messages", Strategy: gateway.Merged, Handle: a.list(messages, full)},

		{Method: get, Pattern: "/limits", Strategy: gateway.Summed, Policy: "limits_extension:used_limits", Handle: a.limits},
		{Method: get, Pattern: "/os-quota-sets/{id}", Strategy: gateway.Summed, Handle: a.quotaSet},
		{Method: get, Pattern: "/os-quota-sets/{id}/defaults", Strategy: gateway.Summed, Handle: a.quotaSet},
		{Method: put, Pattern: "/os-quota-sets/{id}", Strategy: gateway.Refused, Admin: true, Handle: refuse(perPod), Note: perPod},
		{Method: remove, Pattern: "/os-quota-sets/{id}", Strategy: gateway.Refused, Admin: true, Handle: refuse(perPod), Note: perPod},
		{Method: get, Pattern: "/os-quota-class-sets/{id}", Strategy: gateway.Replicated, Handle: a.first},
		{Method: get, Pattern: "/os-availability-zone", Strategy: gateway.Central, Handle: a.zones},
		{Method: get, Pattern: "/os-services", Strategy: gateway.Merged, Admin: true, Policy: "volume_extension:services:index", Handle: a.gather("services")},
		{Method: get, Pattern: "/os-hosts", Strategy: gateway.Merged, Admin: true, Policy: "volume_extension:hosts", Handle: a.gather("hosts")},
		{Method: get, Pattern: "/scheduler-stats/get_pools", Strategy: gateway.Merged, Admin: true, Policy: "scheduler_extension:scheduler_stats:get_pools", Handle: a.gather("pools")},
		{Method: get, Pattern: "/extensions", Strategy: gateway.Replicated, Handle: a.first},
		{Method: get, Pattern: "/resource_filters", Strategy: gateway.Replicated, Handle: a.first},
	}
	routes = append(routes, a.transferRoutes("/volume-transfers")...)
	routes = append(routes, a.transferRoutes("/os-volume-transfer")...)
	routes = append(routes, a.replicatedRoutes()...)
	for _, r := range []struct {
		base string
		of   resource
	}{
		{"/volumes", volumes}, {"/snapshots", snapshots}, {"/backups", backups}, {"/attachments", attachments},
		{"/groups", groups}, {"/group_snapshots", groupSnapshots}, {"/messages", messages},
	} {
		routes = append(routes, a.routedRoutes(r.base, r.of)...)
	}
	return routes
}

// routedRoutes are everything below an ID.
func (a *api) routedRoutes(base string, of resource) []gateway.Route {
	var routes []gateway.Route
	for _, method := range []string{get, post, put, remove} {
		for _, pattern := range []string{"/{id}", "/{id}/*"} {
			routes = append(routes, gateway.Route{
				Method: method, Pattern: base + pattern, Strategy: gateway.Routed, Handle: a.routed(of),
			})
		}
	}
	return routes
}

func (a *api) transferRoutes(base string) []gateway.Route {
	return append([]gateway.Route{
		{Method: get, Pattern: base, Strategy: gateway.Merged, Handle: a.list(transfers.at(base), brief)},
		{Method: get, Pattern: base + "/detail", Strategy: gateway.Merged, Handle: a.list(transfers.at(base), full)},
		{Method: post, Pattern: base, Strategy: gateway.Routed, Handle: a.createBeside(transfers, "transfer.volume_id", store.KindVolume)},
	}, a.routedRoutes(base, transfers)...)
}

const (
	perPod     = "quotas are set in each pod for now, since each pod counts its own volumes"
	noGroups   = "groups of volumes are made in a pod for now, since their types differ from pod to pod"
	typePerPod = "volume types are managed in each pod for now, under the same names"
)

// replicatedRoutes are what is the same in every pod, by name.
func (a *api) replicatedRoutes() []gateway.Route {
	var routes []gateway.Route
	for _, base := range []string{"/types", "/qos-specs", "/group_types"} {
		for _, pattern := range []string{base, base + "/{id}", base + "/{id}/*"} {
			routes = append(routes, gateway.Route{Method: get, Pattern: pattern, Strategy: gateway.Replicated, Handle: a.first})
			for _, method := range []string{post, put, remove} {
				routes = append(routes, gateway.Route{
					Method: method, Pattern: pattern, Strategy: gateway.Refused, Admin: true, Handle: refuse(typePerPod), Note: typePerPod,
				})
			}
		}
	}
	return routes
}

// ask is a question to pods that is the client's own.
func ask(by *identity.Caller, r *gateway.Request, op string) pod.Request {
	return pod.Request{
		Service: pod.Volume, Method: r.Method, Path: r.Path(), RawQuery: r.URL.RawQuery,
		Header: gateway.PassHeader(r.Header), As: by, Op: op,
	}
}
