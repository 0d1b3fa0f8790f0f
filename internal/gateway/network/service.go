// Package network is the Network API over the topology: Neutron's paths, words
// and errors, answered from our own data.
//
// A resource is declared once, in the file of its name, as a table of attributes
// and a few functions; the engine in resource.go serves it.
package network

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/policy"
	"github.com/tricircle/tricircle/internal/store"
)

// Zones knows the region's zones. *fleet.Fleet does.
type Zones interface {
	Zones(ctx context.Context) ([]fleet.Zone, error)
	ZoneOf(pod string) string
}

// Deps are what the service needs.
type Deps struct {
	Store *store.Store
	Zones Zones
	// Policy are the rules; nil: Neutron's own.
	Policy *policy.File
	Clouds Clouds
	Names  Names
	// Bring makes a thing right in a pod while the caller waits.
	Bring func(ctx context.Context, t store.Target) error
	// Settle looks whether a server that is being deleted is gone from its pod,
	// and if so frees its ports. Clients delete a network right after the server.
	Settle func(ctx context.Context, serverID, pod string) error
	// Pods may be nil: then no port is in one.
	Pods Pods
	Log  *slog.Logger // default: none
}

// api is the service at work.
type api struct{ Deps }

// Service is the Network API.
func Service(d Deps) gateway.Service {
	if d.Policy == nil {
		d.Policy = policy.Fixed(policy.Neutron())
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &api{d}
	routes := []gateway.Route{
		{Method: http.MethodGet, Pattern: "//", Strategy: gateway.Public, Public: true, Handle: versions},
		{Method: http.MethodGet, Pattern: "//v2.0", Strategy: gateway.Central, Handle: resources},
		{Method: http.MethodGet, Pattern: "/extensions", Strategy: gateway.Central, Policy: "get_extensions", Handle: listExtensions},
		{Method: http.MethodGet, Pattern: "/extensions/{alias}", Strategy: gateway.Central, Policy: "get_extensions", Handle: showExtension},
		{Method: http.MethodGet, Pattern: "/availability_zones", Strategy: gateway.Central, Policy: "get_availability_zone", Handle: a.listZones},
	}
	routes = append(routes, a.networks().routes()...)
	routes = append(routes, a.subnets().routes()...)
	routes = append(routes, a.ports().routes()...)
	routes = append(routes, a.bindingRoutes()...)
	routes = append(routes, a.securityGroups().routes()...)
	routes = append(routes, a.rules().routes()...)
	routes = append(routes, a.routers().routes()...)
	routes = append(routes, a.routerRoutes()...)
	routes = append(routes, a.floatingIPs().routes()...)
	routes = append(routes, a.portForwardings().routes()...)
	routes = append(routes, a.poolRoutes()...)
	routes = append(routes, a.agentRoutes()...)
	routes = append(routes, providerRoutes()...)
	routes = append(routes, a.qosRoutes()...)
	routes = append(routes, a.addressScopes().routes()...)
	routes = append(routes, a.addressGroups().routes()...)
	routes = append(routes, a.addressGroupRoutes()...)
	routes = append(routes, a.subnetPools().routes()...)
	routes = append(routes, a.subnetPoolRoutes()...)
	routes = append(routes, a.trunkRoutes()...)
	routes = append(routes, a.availabilityRoutes()...)
	routes = append(routes, a.autoTopologyRoutes()...)
	routes = append(routes, a.flavorRoutes()...)
	routes = append(routes, a.quotas()...)
	routes = append(routes, a.rbacPolicies().routes()...)
	routes = append(routes, closed()...)
	for i := range routes {
		routes[i].Handle = a.underPolicy(routes[i].Handle)
	}
	return gateway.Service{Name: "network", Prefix: "/network", Version: "/v2.0", Suffix: ".json", Routes: routes, Error: gateway.NeutronError}
}

// stamp is a time as Neutron shows it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// owned is the view's part that all resources share.
func owned(id, project, description string, created, updated time.Time, revision int64) map[string]any {
	return map[string]any{
		"id": id, "project_id": project, "tenant_id": project, "description": description,
		"created_at": stamp(created), "updated_at": stamp(updated), "revision_number": revision,
	}
}

// orNull shows an empty string as null.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// mine says that the caller owns what the project has.
func mine(by identity.Caller, project string) bool {
	return by.IsAdmin() || by.ProjectID == project
}

// set puts the attribute into *to if the client sent it.
func set[T any](v values, name string, to *T) {
	if value, ok := v[name].(T); ok {
		*to = value
	}
}

// settled runs a deletion, and once more after those servers that hold the ports
// and are gone from their pods have given them up.
func (a *api) settled(ctx context.Context, ports store.Query, remove func() error) error {
	err := remove()
	if !inUse(err) || a.Settle == nil {
		return err
	}
	held, lerr := a.Store.ListPorts(ctx, ports)
	if lerr != nil {
		return lerr
	}
	seen := map[string]bool{}
	for _, p := range held {
		if p.DeviceID == "" || seen[p.DeviceID] {
			continue
		}
		seen[p.DeviceID] = true
		if serr := a.settleServer(ctx, p.DeviceID); serr != nil {
			return err // the server's pod cannot say: what holds the network stands
		}
	}
	return remove() // also when a job was faster, and nothing is left to be settled
}

// settleServer looks after the server in each pod where it is being deleted.
func (a *api) settleServer(ctx context.Context, id string) error {
	all, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: store.KindServer, ID: id})
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.Wanted {
			continue
		}
		if err := a.Settle(ctx, id, m.Pod); err != nil {
			return err
		}
	}
	return nil
}
