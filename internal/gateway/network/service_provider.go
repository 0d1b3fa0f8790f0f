package network

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

var providerAttributes = []attribute{{name: "service_type", filter: asIs}, {name: "name", filter: asIs}, {name: "default", filter: filterFlag}}

// The kinds of routers that Neutron has of itself. Flavors name them.
var providers = []string{"dvrha", "dvr", "ha", "single_node"}

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
	for _, name := range providers {
		m := map[string]any{"service_type": "L3_ROUTER_NAT", "name": name, "default": false}
		if matches(m, q.Filters) {
			shown = append(shown, chosen(m, fields))
		}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"service_providers": shown}), nil
}
