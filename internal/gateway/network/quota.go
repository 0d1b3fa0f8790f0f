package network

import (
	"context"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// What Neutron would count. Nothing is limited here yet: -1.
var counted = []string{"network", "subnet", "port", "security_group", "security_group_rule", "router", "floatingip"}

func (a *api) quotas() []gateway.Route {
	one := "/quotas/{project}"
	routes := []gateway.Route{
		{Method: http.MethodGet, Pattern: "/quotas", Policy: "get_quota", Handle: listQuotas},
		{Method: http.MethodGet, Pattern: one, Policy: "get_quota", Handle: showQuota},
		{Method: http.MethodGet, Pattern: one + "/default", Policy: "get_quota", Handle: showQuota},
		{Method: http.MethodPut, Pattern: one, Policy: "update_quota", Handle: updateQuota, Note: "nothing is limited yet: only -1 is taken"},
		{Method: http.MethodDelete, Pattern: one, Policy: "delete_quota", Handle: deleteQuota},
	}
	for i := range routes {
		routes[i].Strategy = gateway.Central
	}
	return routes
}

func unlimited() map[string]any {
	limits := map[string]any{}
	for _, name := range counted {
		limits[name] = -1
	}
	return map[string]any{"quota": limits}
}

// listQuotas lists the projects whose quota is not the default: none.
func listQuotas(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if !by.IsAdmin() {
		return nil, forbidden("rule:" + r.Route.Policy)
	}
	return gateway.JSON(http.StatusOK, map[string]any{"quotas": []string{}}), nil
}

func showQuota(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if !mine(by, r.Param("project")) {
		return nil, forbidden("rule:" + r.Route.Policy)
	}
	return gateway.JSON(http.StatusOK, unlimited()), nil
}

func updateQuota(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if !by.IsAdmin() {
		return nil, forbidden("rule:" + r.Route.Policy)
	}
	f, err := decode(r, "quota", "quotas", false)
	if err != nil {
		return nil, err
	}
	for name, v := range f.items[0] {
		if n, err := readNumber(name, v); err != nil || n != -1 {
			return nil, fault.New(fault.Refused, "", "Quotas are not offered in this region yet: %s cannot be limited, only -1 is taken.", name)
		}
	}
	return gateway.JSON(http.StatusOK, unlimited()), nil
}

func deleteQuota(_ context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if !by.IsAdmin() {
		return nil, forbidden("rule:" + r.Route.Policy)
	}
	return gateway.Empty(http.StatusNoContent), nil
}
