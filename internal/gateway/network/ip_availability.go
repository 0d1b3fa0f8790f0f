package network

import (
	"context"
	"math/big"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

const readAvailability = "get_network_ip_availability"

var availabilityAttributes = []attribute{
	{name: "network_id", filter: asIs, sort: true},
	{name: "network_name", filter: asIs},
	{name: "project_id", filter: asIs},
	{name: "ip_version", filter: filterNumber},
	{name: "total_ips"}, {name: "used_ips"}, {name: "subnet_ip_availability"},
}

// availabilityOf are the networks' names for what they are asked by.
var availabilityOf = map[string]string{"network_id": "id", "network_name": "name", "project_id": "project_id"}

func (a *api) availabilityRoutes() []gateway.Route {
	var routes []gateway.Route
	for _, path := range []string{"/network-ip-availabilities", "/network_ip_availabilities"} {
		line := func(method, tail string, h gateway.Handler) {
			r := gateway.Route{Method: method, Pattern: path + tail, Strategy: gateway.Central, Policy: readAvailability, Handle: h}
			if method != http.MethodGet {
				r.Strategy, r.Note = gateway.Refused, "there is nothing to change: it is counted"
			}
			routes = append(routes, r)
		}
		line(http.MethodGet, "", a.listAvailability)
		line(http.MethodGet, "/{id}", a.showAvailability)
		line(http.MethodPost, "", absent)
		line(http.MethodPut, "/{id}", absent)
		line(http.MethodDelete, "/{id}", absent)
	}
	return routes
}

// listAvailability is for admins; as with Neutron others get an empty list.
func (a *api) listAvailability(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, fields, err := readQuery(by, availabilityAttributes, r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	shown := []map[string]any{}
	body := map[string]any{"network_ip_availabilities": shown}
	if allow(by, r) != nil {
		return gateway.JSON(http.StatusOK, body), nil
	}
	filters := map[string][]string{}
	for name, values := range q.Filters {
		if name == "ip_version" {
			filters["subnets.ip_version"] = values
			continue
		}
		filters[availabilityOf[name]] = values
	}
	versions := q.Filters["ip_version"]
	q.Filters = filters
	for i := range q.Sort {
		q.Sort[i].Name = availabilityOf[q.Sort[i].Name]
	}
	all, err := a.Store.IPAvailability(ctx, q, versions)
	if err != nil {
		return nil, err
	}
	var first, last string
	for _, n := range all {
		shown = append(shown, only(viewAvailability(&n), fields))
		first, last = all[0].Network.ID, n.Network.ID
	}
	body["network_ip_availabilities"] = shown
	if q.Limit > 0 {
		if links := pageLinks(r, q, len(all), first, last); links != nil {
			body["network_ip_availabilities_links"] = links
		}
	}
	return gateway.JSON(http.StatusOK, body), nil
}

func only(shown map[string]any, fields []string) map[string]any {
	for name := range shown {
		if len(fields) > 0 && !slices.Contains(fields, name) {
			delete(shown, name)
		}
	}
	return shown
}

func (a *api) showAvailability(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	q := store.Query{Filters: map[string][]string{"id": {id}}, ProjectID: scopeOf(by)}
	all, err := a.Store.IPAvailability(ctx, q, nil)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, topology.NoNetwork(id)
	}
	if allow(by, r) != nil {
		return nil, fault.New(fault.NotFound, gateway.CodeNoRoute, "The resource could not be found.")
	}
	return gateway.JSON(http.StatusOK, map[string]any{"network_ip_availability": only(viewAvailability(&all[0]), readFields(r.URL.Query()))}), nil
}

func viewAvailability(a *topology.IPAvailability) map[string]any {
	subnets := []map[string]any{}
	for _, s := range a.Subnets {
		subnets = append(subnets, map[string]any{
			"subnet_id": s.Subnet.ID, "subnet_name": s.Subnet.Name, "ip_version": s.Subnet.IPVersion, "cidr": s.Subnet.CIDR,
			"used_ips": s.Used, "total_ips": s.Total,
		})
	}
	total := a.Total
	if total == nil {
		total = new(big.Int)
	}
	return map[string]any{
		"network_id": a.Network.ID, "network_name": a.Network.Name, "project_id": a.Network.ProjectID, "tenant_id": a.Network.ProjectID,
		"subnet_ip_availability": subnets, "used_ips": a.Used, "total_ips": total,
	}
}
