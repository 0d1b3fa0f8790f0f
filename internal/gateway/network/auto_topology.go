package network

import (
	"context"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// dryRun is the "field" that asks whether a network could be given.
const dryRun = "dry-run"

func (a *api) autoTopologyRoutes() []gateway.Route {
	const all, one = "/auto-allocated-topology", "/auto-allocated-topology/{id}"
	routes := refused("a project has one: ask for it by the project's ID", "GET "+all, "POST "+all, "PUT "+one)
	return append(routes,
		gateway.Route{Method: http.MethodGet, Pattern: one, Strategy: gateway.Central, Policy: "get_auto_allocated_topology", Handle: a.autoTopology},
		gateway.Route{Method: http.MethodDelete, Pattern: one, Strategy: gateway.Central, Policy: "delete_auto_allocated_topology", Handle: a.dropAutoTopology})
}

// projectOf is whose network is meant: "None" is what clients send for their own.
func projectOf(by identity.Caller, r *gateway.Request) (string, error) {
	id := r.Param("id")
	if id == "None" {
		id = by.ProjectID
	}
	if !mine(by, id) {
		return "", fault.New(fault.Forbidden, "NotAuthorized", "Not authorized.")
	}
	return id, nil
}

// autoTopology shows the project's network, and makes it first if there is none.
func (a *api) autoTopology(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	project, err := projectOf(by, r)
	if err != nil {
		return nil, err
	}
	fields := readFields(r.URL.Query())
	if slices.Contains(fields, dryRun) {
		err := a.Store.CheckAutoTopology(ctx, project, by.IsAdmin())
		return gateway.JSON(http.StatusOK, map[string]any{"auto_allocated_topology": map[string]any{"id": "dry-run=pass", "tenant_id": project}}), err
	}
	if len(fields) > 0 {
		return nil, badResource("auto_allocate", "Unrecognized field")
	}
	t, err := a.Store.EnsureAutoTopology(ctx, project, by.IsAdmin())
	return gateway.JSON(http.StatusOK, map[string]any{"auto_allocated_topology": map[string]any{
		"id": t.NetworkID, "tenant_id": project, "project_id": project}}), err
}

func (a *api) dropAutoTopology(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	project, err := projectOf(by, r)
	if err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), a.Store.DeleteAutoTopology(ctx, project)
}
