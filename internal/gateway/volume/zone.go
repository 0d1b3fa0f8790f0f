package volume

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// zones are the region's.
func (a *api) zones(ctx context.Context, _ identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
	zones, err := a.Fleet.Zones(ctx)
	if err != nil {
		return nil, err
	}
	rows := []any{}
	for _, z := range zones {
		rows = append(rows, map[string]any{"zoneName": z.Name, "zoneState": map[string]bool{"available": z.Available}})
	}
	return gateway.JSON(http.StatusOK, map[string]any{"availabilityZoneInfo": rows}), nil
}

// zoneNames are the region's zones by pod.
func (a *api) zoneNames(ctx context.Context) (map[string]string, error) {
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(pods))
	for _, p := range pods {
		names[p.Name] = p.Zone
	}
	return names, nil
}

// zoneFilter takes the zone out of a list's filters: it says which pods to ask;
// nil is all.
func (a *api) zoneFilter(ctx context.Context, query url.Values, name string) ([]string, error) {
	if !query.Has(name) {
		return nil, nil
	}
	wanted := query.Get(name)
	query.Del(name)
	pods, err := a.Fleet.Pods(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, p := range pods {
		if p.Zone == wanted {
			names = append(names, p.Name)
		}
	}
	return names, nil
}

// checkZone refuses zones that the region does not have.
func (a *api) checkZone(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	zones, err := a.Fleet.Zones(ctx)
	if err != nil {
		return err
	}
	for _, z := range zones {
		if z.Name == name {
			return nil
		}
	}
	return fault.New(fault.Invalid, "", "Availability zone '%s' is invalid.", name)
}
