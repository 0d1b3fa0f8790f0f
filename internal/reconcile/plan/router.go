package plan

import (
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// Router is a pod's router, as far as we care.
type Router struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Description  string   `json:"description"`
	AdminStateUp bool     `json:"admin_state_up"`
	Gateway      *Gateway `json:"external_gateway_info"`
	Routes       []Route  `json:"routes"`
}

// PodID is its ID in the pod.
func (r Router) PodID() string { return r.ID }

// Gateway is a pod router's way out.
type Gateway struct {
	NetworkID   string    `json:"network_id"`
	FixedIPs    []FixedIP `json:"external_fixed_ips"`
	EnableSNAT  bool      `json:"enable_snat"`
	QoSPolicyID string    `json:"qos_policy_id"`
}

// NewRouter is the body that creates the router in a pod. A pod that knows several
// kinds of routers is asked for the plain one: it alone has one address per subnet,
// the one that we chose. plain are the names of what is to be off.
func NewRouter(r topology.Router, plain []string) map[string]any {
	body := map[string]any{
		"name":           r.Name,
		"description":    Mark("router", r.ID),
		"project_id":     r.ProjectID,
		"admin_state_up": r.AdminStateUp,
	}
	for _, name := range plain {
		body[name] = false
	}
	return body
}

// UpdateRouter is what to change in the pod's router, but for its routes. refs are
// about the gateway's network; gateway nil is none.
func UpdateRouter(want topology.Router, gateway *topology.Gateway, found Router, refs Refs) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("router", want.ID))
	set(c, "admin_state_up", found.AdminStateUp, want.AdminStateUp)
	switch {
	case gateway == nil && found.Gateway != nil:
		c["external_gateway_info"] = map[string]any{}
	case gateway != nil && !sameGateway(gateway, found.Gateway, refs):
		c["external_gateway_info"] = gatewayInfo(gateway, found.Gateway, refs)
	}
	return c
}

func sameGateway(want *topology.Gateway, found *Gateway, refs Refs) bool {
	return found != nil && found.NetworkID == refs.Network && found.EnableSNAT == want.EnableSNAT &&
		found.QoSPolicyID == refs.QoSPolicy && sameSet(found.FixedIPs, outerIPs(want, refs))
}

// gatewayInfo names the addresses always: left to the pod they would be any.
func gatewayInfo(want *topology.Gateway, found *Gateway, refs Refs) map[string]any {
	info := map[string]any{"network_id": refs.Network, "enable_snat": want.EnableSNAT, "external_fixed_ips": outerIPs(want, refs)}
	has := ""
	if found != nil {
		has = found.QoSPolicyID
	}
	c := Changes(info)
	setQoS(c, has, refs.QoSPolicy)
	if refs.QoSPolicy != "" {
		c["qos_policy_id"] = refs.QoSPolicy
	}
	return info
}

func outerIPs(g *topology.Gateway, refs Refs) []FixedIP {
	return fixedIPs(topology.Port{FixedIPs: g.FixedIPs}, refs)
}

// Routes are the routes as the pod is told them, and whether it has others. keep are
// those of its own that stay: what an interface that goes is needed for has to go
// first.
func Routes(want []topology.HostRoute, found []Route) (all, keep []Route, same bool) {
	all = routes(want)
	keep = []Route{}
	for _, r := range found {
		if slices.Contains(all, r) {
			keep = append(keep, r)
		}
	}
	return all, keep, sameSet(all, found)
}

// NewRouterPort is the body that creates the port of a router's interface in a pod.
// The owner keeps the pod from choosing addresses for it; the router is named when
// it takes the port.
func NewRouterPort(p topology.Port, project string, refs Refs) map[string]any {
	body := map[string]any{
		"name":           p.Name,
		"description":    Mark("port", p.ID),
		"network_id":     refs.Network,
		"mac_address":    p.MACAddress,
		"admin_state_up": p.AdminStateUp,
		"fixed_ips":      fixedIPs(p, refs),
		"device_owner":   topology.OwnerRouterInterface,
	}
	setProject(body, project)
	return body
}

// UpdateRouterPort is what to change in the port of a router's interface.
func UpdateRouterPort(want topology.Port, found Port, refs Refs) Changes {
	c := Changes{}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("port", want.ID))
	set(c, "admin_state_up", found.AdminStateUp, want.AdminStateUp)
	if f := fixedIPs(want, refs); !sameSet(found.FixedIPs, f) {
		c["fixed_ips"] = f
	}
	return c
}
