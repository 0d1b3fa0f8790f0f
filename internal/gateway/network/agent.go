package network

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/topology"
)

// Clouds are asked about their agents. *dispatch.Dispatcher is all of them.
type Clouds interface {
	All(ctx context.Context, pods []string, r pod.Request) ([]dispatch.Answer, error)
	Ask(ctx context.Context, name string, r pod.Request) dispatch.Answer
}

// Names are the region's names for what the pods call otherwise. *fleet.Fleet
// knows them.
type Names interface {
	HostName(ctx context.Context, podName, host string) string
	SplitHost(ctx context.Context, name string) (host, podName string)
	ZoneName(podName, podZone string) string
}

// Agents are the pods' own: the region shows those of all pods, and what is done
// with one is done in its pod. Their IDs are UUIDs and stay as they are.
var agentAttributes = []attribute{
	{name: "id", filter: asIs, sort: true}, {name: "agent_type", filter: asIs, sort: true}, {name: "binary", filter: asIs, sort: true},
	{name: "topic", filter: asIs, sort: true}, {name: "host", filter: asIs, sort: true},
	{name: "admin_state_up", read: readFlag, put: true, filter: filterFlag, sort: true},
	{name: "created_at"}, {name: "started_at"}, {name: "heartbeat_timestamp"}, {name: "alive", filter: filterFlag, sort: true},
	{name: "configurations"}, {name: "resources_synced"}, {name: "availability_zone", filter: asIs, sort: true},
	{name: "description", read: orUnset(readText(255)), put: true, filter: asIs, sort: true},
}

// Kinds of agents.
const (
	agentDHCP = "DHCP agent"
	agentL3   = "L3 agent"
)

// agent is one of a pod's, with host and zone as the region calls them.
type agent struct {
	pod string
	doc map[string]json.RawMessage
}

// text is an attribute as filters compare it: null is empty.
func (g agent) text(name string) string {
	var v any
	if err := json.Unmarshal(g.doc[name], &v); err != nil || v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (g agent) id() string { return g.text("id") }

func (g agent) view() map[string]any {
	m := make(map[string]any, len(g.doc))
	for name, v := range g.doc {
		m[name] = v
	}
	return m
}

func noAgent(id string) error {
	return fault.New(fault.NotFound, "AgentNotFound", "Agent %s could not be found.", id)
}

func (a *api) agentRoutes() []gateway.Route {
	line := func(method, pattern string, s gateway.Strategy, policy string, h gateway.Handler) gateway.Route {
		return gateway.Route{Method: method, Pattern: pattern, Strategy: s, Policy: policy, Handle: h}
	}
	const (
		onNetwork, onRouter = "/networks/{id}/dhcp-agents", "/routers/{id}/l3-agents"
		network, router     = "/agents/{id}/dhcp-networks/{network}", "/agents/{id}/l3-routers/{router}"
	)
	return append(refused("an internal error of Neutron: lists are all there is",
		"GET "+network, "PUT "+network, "GET "+router, "PUT "+router,
		"POST "+onNetwork, "GET "+onNetwork+"/{agent}", "PUT "+onNetwork+"/{agent}", "DELETE "+onNetwork+"/{agent}",
		"POST "+onRouter, "GET "+onRouter+"/{agent}", "PUT "+onRouter+"/{agent}", "DELETE "+onRouter+"/{agent}"),
		line(http.MethodGet, "/agents", gateway.Merged, "get_agent", a.listAgents),
		gateway.Route{Method: http.MethodPost, Pattern: "/agents", Strategy: gateway.Refused, Handle: noNewAgent, Note: "agents report themselves"},
		line(http.MethodGet, "/agents/{id}", gateway.Routed, "get_agent", a.onAgent(a.showAgent)),
		line(http.MethodPut, "/agents/{id}", gateway.Routed, "update_agent", a.onAgent(a.updateAgent)),
		line(http.MethodDelete, "/agents/{id}", gateway.Routed, "delete_agent", a.onAgent(a.deleteAgent)),
		line(http.MethodGet, "/agents/{id}/dhcp-networks", gateway.Routed, "get_dhcp-networks", a.allowed(a.listAgentNetworks)),
		line(http.MethodPost, "/agents/{id}/dhcp-networks", gateway.Routed, "create_dhcp-network", a.allowed(a.addAgentNetwork)),
		line(http.MethodDelete, network, gateway.Routed, "delete_dhcp-network", a.allowed(a.removeAgentNetwork)),
		line(http.MethodGet, onNetwork, gateway.Merged, "get_dhcp-agents", a.allowed(a.listNetworkAgents)),
		line(http.MethodGet, "/agents/{id}/l3-routers", gateway.Central, "get_l3-routers", a.allowed(a.listAgentRouters)),
		line(http.MethodPost, "/agents/{id}/l3-routers", gateway.Central, "create_l3-router", a.allowed(a.addAgentRouter)),
		line(http.MethodDelete, router, gateway.Central, "delete_l3-router", a.allowed(a.removeAgentRouter)),
		line(http.MethodGet, onRouter, gateway.Merged, "get_l3-agents", a.allowed(a.listRouterAgents)),
	)
}

// noNewAgent answers as Neutron does.
func noNewAgent(context.Context, identity.Caller, *gateway.Request) (*gateway.Reply, error) {
	return nil, badRequest("Unrecognized attribute(s) 'tenant_id, project_id'")
}

// allowed asks the route's rule first, as Neutron does.
func (a *api) allowed(h gateway.Handler) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if err := allow(by, r); err != nil {
			return nil, err
		}
		return h(ctx, by, r)
	}
}

// listAgents is "GET /agents". Who may not see agents has an empty list.
func (a *api) listAgents(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, fields, err := readQuery(by, agentAttributes, r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if err := allow(by, r); err != nil {
		if fault.Is(err, fault.Forbidden) {
			return agentsReply(nil, nil, fields), nil
		}
		return nil, err
	}
	for i, name := range q.Filters["host"] { // name@pod is understood for every host
		if host, podName := a.Names.SplitHost(ctx, name); podName != "" {
			q.Filters["host"][i] = a.Names.HostName(ctx, podName, host)
		}
	}
	all, away, err := a.askAgents(ctx, nil, "/agents", "agents")
	if err != nil {
		return nil, err
	}
	shown := all[:0]
	for _, g := range all {
		if g.fits(q.Filters) {
			shown = append(shown, g)
		}
	}
	return agentsReply(shown, away, fields), nil
}

func (g agent) fits(filters map[string][]string) bool {
	m := map[string]any{}
	for name := range filters {
		m[name] = g.text(name)
	}
	return matches(m, filters)
}

func agentsReply(all []agent, away, fields []string) *gateway.Reply {
	shown := make([]map[string]any, len(all))
	for i, g := range all {
		shown[i] = chosen(g.view(), fields)
	}
	return gateway.JSON(http.StatusOK, map[string]any{"agents": shown}).Without(away...)
}

// chosen keeps the fields that the client wants.
func chosen(m map[string]any, fields []string) map[string]any {
	if len(fields) > 0 {
		maps.DeleteFunc(m, func(name string, _ any) bool { return !slices.Contains(fields, name) })
	}
	return m
}

// askAgents asks the pods, nil for all, for a list of agents. Pods that are away
// are named.
func (a *api) askAgents(ctx context.Context, pods []string, path, op string) (all []agent, away []string, err error) {
	answers, err := a.Clouds.All(ctx, pods, pod.Request{Service: pod.Network, Method: http.MethodGet, Path: path, Op: "list " + op})
	if err != nil {
		return nil, nil, err
	}
	for _, n := range answers {
		if n.Away() {
			away = append(away, n.Pod)
			continue
		}
		var body struct{ Agents []map[string]json.RawMessage }
		if err := readAnswer(n, &body); err != nil {
			return nil, nil, err
		}
		for _, doc := range body.Agents {
			// Those of other pods' hosts are shown where they are.
			if g := (agent{n.Pod, doc}); !topology.IsStandIn(g.text("host")) {
				all = append(all, a.named(ctx, n.Pod, doc))
			}
		}
	}
	return all, away, nil
}

// named gives the agent the region's names.
func (a *api) named(ctx context.Context, podName string, doc map[string]json.RawMessage) agent {
	g := agent{podName, doc}
	if host := g.text("host"); host != "" {
		doc["host"] = gateway.Quote(a.Names.HostName(ctx, podName, host))
	}
	if zone := g.text("availability_zone"); zone != "" {
		doc["availability_zone"] = gateway.Quote(a.Names.ZoneName(podName, zone))
	}
	return g
}

// findAgent asks all pods for the agent.
func (a *api) findAgent(ctx context.Context, id string) (agent, error) {
	answers, err := a.Clouds.All(ctx, nil, pod.Request{
		Service: pod.Network, Method: http.MethodGet, Path: "/agents/" + url.PathEscape(id), Op: "show agent"})
	if err != nil {
		return agent{}, err
	}
	err = noAgent(id)
	for _, n := range answers {
		var body struct{ Agent map[string]json.RawMessage }
		switch rerr := readAnswer(n, &body); {
		case rerr == nil:
			return a.named(ctx, n.Pod, body.Agent), nil
		case !fault.Is(rerr, fault.NotFound):
			err = rerr // this pod may have it
		}
	}
	return agent{}, err
}

// onAgent runs h for an agent, which is not there for those who may not.
func (a *api) onAgent(h func(ctx context.Context, g agent, r *gateway.Request) (*gateway.Reply, error)) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		if err := allow(by, r); err != nil {
			return nil, noAgent(r.Param("id"))
		}
		g, err := a.findAgent(ctx, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return h(ctx, g, r)
	}
}

func (a *api) showAgent(_ context.Context, g agent, r *gateway.Request) (*gateway.Reply, error) {
	return gateway.JSON(http.StatusOK, map[string]any{"agent": chosen(g.view(), readFields(r.URL.Query()))}), nil
}

func (a *api) updateAgent(ctx context.Context, g agent, r *gateway.Request) (*gateway.Reply, error) {
	f, err := decode(r, "agent", "agents", false)
	if err != nil {
		return nil, err
	}
	change, err := read(identity.Caller{}, agentAttributes, f.items[0], false)
	if err != nil {
		return nil, err
	}
	var body struct{ Agent map[string]json.RawMessage }
	if err := a.tellAgent(ctx, g, http.MethodPut, "", map[string]any{"agent": change}, &body); err != nil {
		return nil, err
	}
	return a.showAgent(ctx, a.named(ctx, g.pod, body.Agent), r)
}

// deleteAgent also takes the routers off it that admins have put there.
func (a *api) deleteAgent(ctx context.Context, g agent, _ *gateway.Request) (*gateway.Reply, error) {
	if err := a.tellAgent(ctx, g, http.MethodDelete, "", nil, nil); err != nil {
		return nil, err
	}
	if err := a.Store.ForgetAgent(ctx, g.id()); err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), nil
}

// tellAgent sends a request about the agent, or about what is below it, to its pod.
func (a *api) tellAgent(ctx context.Context, g agent, method, tail string, in, out any) error {
	req := pod.Request{Service: pod.Network, Method: method, Path: "/agents/" + g.id() + tail, Op: "change agent"}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		req.Header = http.Header{"Content-Type": {"application/json"}}
		req.Body, req.Length = bytes.NewReader(body), int64(len(body))
	}
	return readAnswer(a.Clouds.Ask(ctx, g.pod, req), out)
}

// readAnswer reads a pod's answer; nil takes any.
func readAnswer(n dispatch.Answer, into any) error {
	if n.Err != nil || into == nil {
		return n.Err
	}
	if err := json.Unmarshal(n.Body, into); err != nil {
		return fault.New(fault.Unavailable, "", "pod %s: cannot understand its answer: %v", n.Pod, err)
	}
	return nil
}
