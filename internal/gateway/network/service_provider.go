package network

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/topology"
)

var providerAttributes = []attribute{{name: "service_type", filter: asIs}, {name: "name", filter: asIs}, {name: "default", filter: filterFlag}}

func providerRoutes() []gateway.Route {
	const path, note = "/service-providers", "an internal error of Neutron: providers are part of it"
	return append(refused(note, "POST "+path, "GET "+path+"/{id}", "PUT "+path+"/{id}", "DELETE "+path+"/{id}"),
		gateway.Route{Method: http.MethodGet, Pattern: path, Strategy: gateway.Central, Policy: "get_service_provider", Handle: listProviders})
}

func listProviders(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, fields, err := readQuery(by, providerAttributes, r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	shown := []map[string]any{}
	for _, p := range topology.Providers() {
		m := map[string]any{"service_type": "L3_ROUTER_NAT", "name": p.Name, "default": false}
		if matches(m, q.Filters) {
			shown = append(shown, chosen(m, fields))
		}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"service_providers": shown}), nil
}
