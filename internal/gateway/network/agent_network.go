package network

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// Networks on DHCP agents. Where a network is served is the pods' to know: a pod
// puts it on an agent of its own accord when it comes there. A network that no pod
// has is on no agent yet.

func notHosted(networkID, agentID string) error {
	return fault.New(fault.Conflict, "NetworkNotHostedByDhcpAgent", "The network %s is not hosted by the DHCP Agent %s.", networkID, agentID)
}

// listNetworkAgents is "GET /networks/{id}/dhcp-agents".
func (a *api) listNetworkAgents(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	mappings, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: store.KindNetwork, ID: r.Param("id")})
	if err != nil {
		return nil, err
	}
	var all []agent
	var away []string
	for _, m := range mappings {
		if m.PodID == "" {
			continue
		}
		some, missing, err := a.askAgents(ctx, []string{m.Pod}, "/networks/"+m.PodID+"/dhcp-agents", "DHCP agents")
		if err != nil {
			return nil, err
		}
		all, away = append(all, some...), append(away, missing...)
	}
	return agentsReply(all, away, readFields(r.URL.Query())), nil
}

// listAgentNetworks is "GET /agents/{id}/dhcp-networks": those of the region. What
// else the agent serves was made in the pod directly.
func (a *api) listAgentNetworks(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	g, err := a.findAgent(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	var body struct{ Networks []struct{ ID string } }
	if err := a.tellAgent(ctx, g, http.MethodGet, "/dhcp-networks", nil, &body); err != nil {
		return nil, err
	}
	ids, err := a.ours(ctx, g.pod, len(body.Networks), func(i int) string { return body.Networks[i].ID })
	if err != nil {
		return nil, err
	}
	return listed(ctx, by, r, a.networks(), ids)
}

// ours are the region's IDs of those of the pod's n networks that are the region's.
func (a *api) ours(ctx context.Context, podName string, n int, podID func(int) string) ([]string, error) {
	var ids []string
	if n == 0 {
		return nil, nil
	}
	mappings, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: store.KindNetwork, Pod: podName})
	if err != nil {
		return nil, err
	}
	there := map[string]string{}
	for _, m := range mappings {
		there[m.PodID] = m.ID
	}
	for i := range n {
		if id := there[podID(i)]; id != "" {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// listed is a list of just these, as the resource shows them.
func listed[T any](ctx context.Context, by identity.Caller, r *gateway.Request, res *resource[T], ids []string) (*gateway.Reply, error) {
	shown := []map[string]any{}
	fields := readFields(r.URL.Query())
	for part := range slices.Chunk(ids, 500) {
		all, err := res.list(ctx, store.Query{Filters: map[string][]string{"id": part}})
		if err != nil {
			return nil, err
		}
		some, err := res.show(ctx, by, all)
		if err != nil {
			return nil, err
		}
		if err := res.trim(ctx, by, some, fields); err != nil {
			return nil, err
		}
		shown = append(shown, some...)
	}
	return gateway.JSON(http.StatusOK, map[string]any{res.many: shown}), nil
}

// readMember reads the one ID in the body of a request to put a thing on an agent.
func readMember(r *gateway.Request, name string) (string, error) {
	raw, err := r.Bytes()
	if err != nil {
		return "", err
	}
	body, err := parse(raw)
	if err != nil {
		return "", err
	}
	id, ok := body[name].(string)
	if !ok {
		return "", badRequest("Unable to find '%s' in request body", name)
	}
	return id, nil
}

// addAgentNetwork is "POST /agents/{id}/dhcp-networks". The network comes to the
// agent's pod if it is not there yet.
func (a *api) addAgentNetwork(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id, err := readMember(r, "network_id")
	if err != nil {
		return nil, err
	}
	n, err := a.Store.FindNetwork(ctx, id)
	if err != nil {
		return nil, err
	}
	g, err := a.findAgent(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if g.text("agent_type") != agentDHCP || g.text("admin_state_up") != "true" {
		return nil, fault.New(fault.NotFound, "InvalidDHCPAgent", "Agent %s is not a valid DHCP Agent or has been disabled.", g.id())
	}
	podID, fresh, err := a.bring(ctx, &n, g.pod)
	if err != nil {
		return nil, err
	}
	err = a.tellAgent(ctx, g, http.MethodPost, "/dhcp-networks", map[string]any{"network_id": podID}, nil)
	if fault.Is(err, fault.Conflict) {
		if !fresh {
			return nil, fault.New(fault.Conflict, "NetworkHostedByDHCPAgent",
				"The network %s has been already hosted by the DHCP Agent %s.", n.ID, g.id())
		}
		err = nil // the pod has put it there as it came
	}
	if err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusCreated, json.RawMessage("null")), nil
}

// bring makes sure that the pod has the network, and says what it is called there
// and whether that is new.
func (a *api) bring(ctx context.Context, n *topology.Network, podName string) (podID string, fresh bool, err error) {
	reach, err := a.Store.Reach(ctx, n)
	if err != nil {
		return "", false, err
	}
	if reach != nil && !slices.Contains(reach, podName) {
		return "", false, fault.New(fault.Conflict, "", "Network %s is local to pod %s; the agent is in pod %s.", n.ID, strings.Join(reach, ", "), podName)
	}
	all, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: store.KindNetwork, ID: n.ID})
	if err != nil {
		return "", false, err
	}
	fresh = true
	for _, m := range all {
		if m.Pod == podName && m.Wanted && m.PodID != "" {
			fresh = false
		}
	}
	t := store.Target{Kind: store.KindNetwork, ID: n.ID, Pod: podName}
	pending, err := a.Store.Want(ctx, n.ProjectID, t)
	if err != nil {
		return "", false, err
	}
	if len(pending) > 0 {
		if err := a.Bring(ctx, t); err != nil {
			return "", false, err
		}
	}
	m, err := a.Store.FindMapping(ctx, t)
	return m.PodID, fresh, err
}

// removeAgentNetwork is "DELETE /agents/{id}/dhcp-networks/{network}".
func (a *api) removeAgentNetwork(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	g, err := a.findAgent(ctx, r.Param("id"))
	if err != nil {
		return nil, err
	}
	id := r.Param("network")
	m, err := a.Store.FindMapping(ctx, store.Target{Kind: store.KindNetwork, ID: id, Pod: g.pod})
	switch {
	case fault.Is(err, fault.NotFound), err == nil && m.PodID == "":
		return nil, notHosted(id, g.id())
	case err != nil:
		return nil, err
	}
	err = a.tellAgent(ctx, g, http.MethodDelete, "/dhcp-networks/"+url.PathEscape(m.PodID), nil, nil)
	switch {
	case fault.Is(err, fault.Conflict):
		return nil, notHosted(id, g.id())
	case err != nil:
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), nil
}
