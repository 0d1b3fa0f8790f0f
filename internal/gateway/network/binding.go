package network

import (
	"context"
	"net/http"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/topology"
)

// Pods are the pods as far as ports are in them. Package reconcile implements it.
type Pods interface {
	// Freshen brings what is shown of where ports are up to date.
	Freshen(ctx context.Context, ports []topology.Port) error
	FreshenMoving(ctx context.Context, project string) error
	// FreshenFloatingIPs is Freshen for their statuses.
	FreshenFloatingIPs(ctx context.Context, all []topology.FloatingIP) error
	FindHost(ctx context.Context, name string) (podName string, err error)
	Bring(ctx context.Context, p topology.Port, podName string) error
	Bindings(ctx context.Context, portID, method, tail string, in map[string]any) (out map[string]any, found bool, err error)
}

// placement is the pod that an admin's choice of a host means.
type placement struct {
	host  string
	sent  bool
	known bool
	pod   string
}

// place reads where an admin wants the port. As in Neutron a host that nobody
// knows is taken, and the binding fails.
func (a *api) place(ctx context.Context, v values, create bool) (placement, error) {
	host, sent := v["binding:host_id"].(string)
	p := placement{host: host, sent: sent && (host != "" || !create)}
	if host == "" || a.Pods == nil {
		return p, nil
	}
	found, err := a.Pods.FindHost(ctx, host)
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unavailable) {
		return p, err
	}
	p.pod, p.known = found, err == nil
	return p, nil
}

// bind writes the choice into the port.
func (p placement) bind(port *topology.Port, v values) {
	if p.sent {
		port.BindTo(p.host, !p.known)
	}
	if profile, sent := v["binding:profile"].(map[string]any); sent {
		port.Shape(profile)
	}
}

// movable refuses a choice that only the pod of the port's server can make.
func (a *api) movable(ctx context.Context, p placement, old *topology.Port, v values) error {
	_, profile := v["binding:profile"]
	if !p.sent && !profile {
		return nil
	}
	pods, err := a.Store.PodsOf(ctx, "port", old.ID)
	if err != nil || len(pods[old.ID]) == 0 {
		return err
	}
	if old.Served() && (p.host != old.Host || profile) {
		return fault.New(fault.Conflict, "PortInUse", "Port %s is bound by the pod of its server.", old.ID)
	}
	if p.pod != "" && pods[old.ID][0] != p.pod {
		return fault.New(fault.Conflict, "PortInUse", "Port %s is in pod %s, which has no host %s.", old.ID, pods[old.ID][0], p.host)
	}
	return nil
}

// bringTo brings a port to the host that an admin chose.
func (a *api) bringTo(ctx context.Context, p placement, port *topology.Port) {
	if p.pod == "" {
		return
	}
	if err := a.Pods.Bring(ctx, *port, p.pod); err != nil {
		a.Log.WarnContext(ctx, "a port is not on its host yet: its job goes on", "port", port.ID, "pod", p.pod, "error", err)
	}
}

func (a *api) bindingRoutes() []gateway.Route {
	all := "/ports/{id}/bindings"
	one := all + "/{host}"
	routes := []gateway.Route{
		{Method: http.MethodGet, Pattern: all, Handle: a.bindings("")},
		{Method: http.MethodPost, Pattern: all, Handle: a.bindings("")},
		{Method: http.MethodGet, Pattern: one, Handle: a.bindings("")},
		{Method: http.MethodPut, Pattern: one, Handle: a.bindings("")},
		{Method: http.MethodDelete, Pattern: one, Handle: a.bindings("")},
		{Method: http.MethodPut, Pattern: one + "/activate", Handle: a.bindings("/activate")},
	}
	for i := range routes {
		routes[i].Strategy, routes[i].Policy = gateway.Routed, "update_port"
		routes[i].Note = "the pod of the port's server has its bindings"
	}
	return routes
}

// bindings answers for the pod that has the port, or for a port that none has.
func (a *api) bindings(verb string) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		port, err := a.ports().get(ctx, by, r.Param("id"))
		if err != nil {
			return nil, err
		}
		var in map[string]any
		if r.Method == http.MethodPost || r.Method == http.MethodPut && verb == "" {
			f, err := decode(r, "binding", "bindings", false)
			if err != nil {
				return nil, err
			}
			in, _ = plain(f.items[0]).(map[string]any)
		}
		if _, named := in["host"]; r.Method == http.MethodPost && !named {
			return nil, badRequest("Failed to parse request. Required attribute 'host' not specified")
		}
		if !strings.HasPrefix(port.DeviceOwner, topology.OwnerCompute) {
			return nil, badResource("port", "Invalid port %s. Operation only valid on compute ports", port.ID)
		}
		if !by.IsAdmin() {
			return nil, forbidden("rule:default")
		}
		host := r.Param("host")
		out, found, err := a.podBindings(ctx, port.ID, r.Method, host+verb, in)
		if err == nil && !found {
			out, err = unplacedBinding(port, r.Method, host, in)
		}
		switch {
		case err != nil:
			return nil, err
		case r.Method == http.MethodDelete:
			return gateway.Empty(http.StatusNoContent), nil
		case r.Method == http.MethodPost:
			return gateway.JSON(http.StatusCreated, out), nil
		}
		return gateway.JSON(http.StatusOK, out), nil
	}
}

func (a *api) podBindings(ctx context.Context, portID, method, tail string, in map[string]any) (map[string]any, bool, error) {
	if a.Pods == nil {
		return nil, false, nil
	}
	return a.Pods.Bindings(ctx, portID, method, tail, in)
}

// unplacedBinding answers for a port that no pod has: it has one binding, and can
// have no other until a server brings it into a pod.
func unplacedBinding(p *topology.Port, method, host string, in map[string]any) (map[string]any, error) {
	own := map[string]any{"host": p.Host, "vif_type": p.VIFType, "vnic_type": p.VNICType, "status": topology.StatusActive,
		"profile": p.Profile, "vif_details": p.VIFDetails}
	switch wanted, _ := in["host"].(string); {
	case method == http.MethodGet && host == "":
		return map[string]any{"bindings": []any{own}}, nil
	case method == http.MethodGet && host == p.Host:
		return map[string]any{"binding": own}, nil
	case method == http.MethodPost && wanted == p.Host:
		return nil, fault.New(fault.Conflict, "PortBindingAlreadyExists", "Binding for port %s on host %s already exists.", p.ID, wanted)
	case method == http.MethodPost:
		return nil, fault.New(fault.Conflict, "PortBindingError", "Binding for port %s on host %s could not be created or updated.", p.ID, wanted)
	case method == http.MethodDelete: // as Neutron, whatever the host
		return nil, nil
	}
	return nil, topology.NoBinding(p.ID, host)
}
