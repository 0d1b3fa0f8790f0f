package legacy

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

const noIronic = "there is no Bare Metal service; Nova without one answers so"

// baremetalRoutes answer as a Nova without Ironic does.
func baremetalRoutes() []gateway.Route {
	route := func(method, pattern string, h gateway.Handler) gateway.Route {
		return gateway.Route{Method: method, Pattern: pattern, Strategy: gateway.Closed, Note: noIronic, Handle: Until(lastProxy, h)}
	}
	return []gateway.Route{
		route("GET", "/os-baremetal-nodes", unsupported("list")),
		route("GET", "/os-baremetal-nodes/{id}", unsupported("show")),
		route("POST", "/os-baremetal-nodes", useIronic("node-create")),
		route("DELETE", "/os-baremetal-nodes/{id}", useIronic("node-delete")),
		actionRoute("/os-baremetal-nodes/{id}/action", noIronic, map[string]gateway.Handler{
			"add_interface":    Until(lastProxy, useIronic("port-create")),
			"remove_interface": Until(lastProxy, useIronic("port-delete")),
		}),
	}
}

func unsupported(policy string) gateway.Handler {
	return func(_ context.Context, by identity.Caller, _ *gateway.Request) (*gateway.Reply, error) {
		if !by.IsAdmin() {
			return nil, forbidden("Policy doesn't allow os_compute_api:os-baremetal-nodes:%s to be performed.", policy)
		}
		return nil, fault.New(fault.Refused, "", "The requested functionality is not supported.")
	}
}

func useIronic(command string) gateway.Handler {
	return func(context.Context, identity.Caller, *gateway.Request) (*gateway.Reply, error) {
		return nil, badRequest("Command Not supported. Please use Ironic command %s to perform this action.", command)
	}
}
