package network

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

var poolAttributes = []attribute{{name: "subnet_id"}, {name: "subnet_name"}, {name: "network_id"}, {name: "cidr"}, {name: "project_id"}}

// poolRoutes are the floating IP pools: the IPv4 subnets of the external networks
// that the caller sees.
func (a *api) poolRoutes() []gateway.Route {
	const note = "an internal error of Neutron: pools follow from the subnets"
	var routes []gateway.Route
	for _, path := range []string{"/floatingip-pools", "/floatingip_pools"} {
		routes = append(routes, gateway.Route{Method: http.MethodGet, Pattern: path, Strategy: gateway.Central, Policy: "get_floatingip_pool", Handle: a.listPools})
		routes = append(routes, refused(note, "POST "+path, "GET "+path+"/{id}", "PUT "+path+"/{id}", "DELETE "+path+"/{id}")...)
	}
	return routes
}

func (a *api) listPools(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, fields, err := readQuery(by, poolAttributes, r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	networks, err := a.Store.ListNetworks(ctx, store.Query{Filters: map[string][]string{"router:external": {"true"}}, ProjectID: q.ProjectID})
	if err != nil {
		return nil, err
	}
	shown := []map[string]any{}
	for _, n := range networks {
		// Who sees the network sees its pools, also where the subnets are the operator's.
		subnets, err := a.Store.SubnetsOf(ctx, n.ID)
		if err != nil {
			return nil, err
		}
		for _, s := range subnets {
			if s.IPVersion != 4 {
				continue
			}
			shown = append(shown, chosen(map[string]any{
				"subnet_id": s.ID, "subnet_name": s.Name, "network_id": n.ID, "cidr": s.CIDR.String(),
				"project_id": by.ProjectID, "tenant_id": by.ProjectID,
			}, fields))
		}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"floatingip_pools": shown}), nil
}
