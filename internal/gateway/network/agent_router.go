package network

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// Routers on L3 agents. Which agent an admin wants for a router is the region's to
// keep, by the rules of Neutron.

// listRouterAgents is "GET /routers/{id}/l3-agents".
func (a *api) listRouterAgents(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	router, err := a.Store.FindRouter(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	seats, err := a.Store.SeatsOfRouters(ctx, router.ID)
	if err != nil {
		return nil, err
	}
	wanted, pods := map[string]bool{}, []string{}
	for _, seat := range seats {
		if wanted[seat.AgentID] = true; len(pods) == 0 || pods[len(pods)-1] != seat.Pod {
			pods = append(pods, seat.Pod)
		}
	}
	var found []agent
	var away []string
	if len(pods) > 0 {
		all, missing, err := a.askAgents(ctx, pods, "/agents", "L3 agents")
		if err != nil {
			return nil, err
		}
		away = missing
		for _, g := range all {
			if wanted[g.id()] {
				wanted[g.id()] = false // a pod may be named twice
				g.doc["ha_state"] = json.RawMessage("null")
				found = append(found, g)
			}
		}
	}
	return agentsReply(found, away, readFields(r.URL.Query())), nil
}

// listAgentRouters is "GET /agents/{id}/l3-routers".
func (a *api) listAgentRouters(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	seats, err := a.Store.SeatsOfAgent(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if len(seats) == 0 {
		if _, err := a.findAgent(ctx, r.Param("id")); err != nil {
			return nil, err
		}
	}
	ids := make([]string, len(seats))
	for i, seat := range seats {
		ids[i] = seat.RouterID
	}
	return listed(ctx, by, r, a.routers(), ids)
}

// addAgentRouter is "POST /agents/{id}/l3-routers".
func (a *api) addAgentRouter(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id, err := readMember(r, "router_id")
	if err != nil {
		return nil, err
	}
	if _, err := a.Store.FindRouter(ctx, id); err != nil {
		return nil, err
	}
	g, err := a.findAgent(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	seat := store.Seat{RouterID: id, AgentID: g.id(), Pod: g.pod}
	if err := a.Store.SeatRouter(ctx, seat, g.takes); err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusCreated, json.RawMessage("null")), nil
}

// takes refuses routers that the agent cannot serve.
func (g agent) takes(r *topology.Router) error {
	mode := g.mode()
	switch {
	case g.text("agent_type") != agentL3:
	case mode == "dvr" || mode == "dvr_no_external":
		return fault.New(fault.Conflict, "DVRL3CannotAssignToDvrAgent", "Not allowed to manually assign a router to an agent in 'dvr' mode.")
	case mode == "legacy" && r.Distributed:
		return fault.New(fault.Conflict, "RouterL3AgentMismatch", "Cannot host distributed router %s on legacy L3 agent %s.", r.ID, g.id())
	case g.text("admin_state_up") == "true":
		return nil
	}
	return fault.New(fault.NotFound, "InvalidL3Agent", "Agent %s is not a L3 Agent or has been disabled", g.id())
}

// mode is how an L3 agent serves routers.
func (g agent) mode() string {
	var configurations struct {
		Mode string `json:"agent_mode"`
	}
	if err := json.Unmarshal(g.doc["configurations"], &configurations); err != nil || configurations.Mode == "" {
		return "legacy"
	}
	return configurations.Mode
}

// removeAgentRouter is "DELETE /agents/{id}/l3-routers/{router}".
func (a *api) removeAgentRouter(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	g, err := a.findAgent(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if mode := g.mode(); mode == "dvr" || mode == "dvr_no_external" {
		return nil, fault.New(fault.Conflict, "DVRL3CannotRemoveFromDvrAgent", "Not allowed to manually remove a router from an agent in 'dvr' mode.")
	}
	if err := a.Store.UnseatRouter(ctx, r.Param("router"), g.id()); err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), nil
}
