package network

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

var zoneAttributes = []attribute{
	{name: "name", filter: asIs}, {name: "resource", filter: asIs}, {name: "state", filter: asIs},
}

func (a *api) listZones(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := allow(by, r); err != nil {
		return nil, err
	}
	q, fields, err := readQuery(by, zoneAttributes, r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	zones, err := a.Zones.Zones(ctx)
	if err != nil {
		return nil, err
	}
	shown := []map[string]any{}
	for _, z := range zones {
		state := "available"
		if !z.Available {
			state = "unavailable"
		}
		for _, of := range []string{"network", "router"} {
			m := map[string]any{"name": z.Name, "resource": of, "state": state}
			if !matches(m, q.Filters) {
				continue
			}
			if err := trim(by, r.Route.Policy, zoneAttributes, m, nil, fields); err != nil {
				return nil, err
			}
			shown = append(shown, m)
		}
	}
	return gateway.JSON(http.StatusOK, map[string]any{"availability_zones": shown}), nil
}

func matches(m map[string]any, filters map[string][]string) bool {
	for name, allowed := range filters {
		if !slices.Contains(allowed, fmt.Sprint(m[name])) {
			return false
		}
	}
	return true
}
