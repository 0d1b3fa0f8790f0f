package legacy

import (
	"context"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

const gone = "Nova itself has given it up: 410"

// goneLines answer 410 in Nova at every version: nova-network, cells v1, and the
// like.
var goneLines = []string{
	"GET /os-agents", "POST /os-agents", "PUT /os-agents/{id}", "DELETE /os-agents/{id}",
	"GET /os-cells", "POST /os-cells", "GET /os-cells/capacities", "GET /os-cells/detail", "GET /os-cells/info",
	"POST /os-cells/sync_instances", "GET /os-cells/{id}", "PUT /os-cells/{id}", "DELETE /os-cells/{id}", "GET /os-cells/{id}/capacities",
	"POST /os-certificates", "GET /os-certificates/{id}", "GET /os-cloudpipe", "POST /os-cloudpipe", "PUT /os-cloudpipe/{id}",
	"GET /os-fixed-ips/{id}",
	"GET /os-floating-ip-dns", "PUT /os-floating-ip-dns/{id}", "DELETE /os-floating-ip-dns/{id}",
	"GET /os-floating-ip-dns/{id}/entries/{entry}", "PUT /os-floating-ip-dns/{id}/entries/{entry}", "DELETE /os-floating-ip-dns/{id}/entries/{entry}",
	"GET /os-floating-ips-bulk", "POST /os-floating-ips-bulk", "GET /os-floating-ips-bulk/{id}", "PUT /os-floating-ips-bulk/{id}",
	"GET /os-fping", "GET /os-fping/{id}",
	"POST /os-networks", "POST /os-networks/add", "DELETE /os-networks/{id}",
	"GET /os-security-group-default-rules", "POST /os-security-group-default-rules",
	"GET /os-security-group-default-rules/{id}", "DELETE /os-security-group-default-rules/{id}",
	"POST /os-tenant-networks", "DELETE /os-tenant-networks/{id}",
	"GET /servers/{id}/os-virtual-interfaces",
	"GET /servers/{id}/consoles", "POST /servers/{id}/consoles", "GET /servers/{id}/consoles/{console}", "DELETE /servers/{id}/consoles/{console}",
}

// GoneRoutes are what Nova answers 410 to.
func GoneRoutes() []gateway.Route {
	var routes []gateway.Route
	for _, line := range goneLines {
		route := gateway.Route{Strategy: gateway.Closed, Handle: answerGone, Note: gone}
		route.Method, route.Pattern, _ = strings.Cut(line, " ")
		routes = append(routes, route)
	}
	return append(routes,
		actionRoute("/os-fixed-ips/{id}/action", gone, map[string]gateway.Handler{"reserve": answerGone, "unreserve": answerGone}),
		actionRoute("/os-networks/{id}/action", gone, map[string]gateway.Handler{
			"associate_host": answerGone, "disassociate": answerGone, "disassociate_host": answerGone, "disassociate_project": answerGone,
		}))
}

// GoneActions are what Nova answers 410 to among the actions of a server.
func GoneActions() []gateway.Action {
	return []gateway.Action{{Name: "resetNetwork", Strategy: gateway.Closed, Note: gone, Handle: answerGone}}
}

// answerGone is Nova's 410. A body must still be JSON.
func answerGone(_ context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		if _, err := document(r); err != nil {
			return nil, err
		}
	}
	answer := reply(http.StatusGone, object{"computeFault": object{
		"code": http.StatusGone, "message": "This resource is no longer available. No forwarding address is given.",
	}})
	answer.Header = http.Header{"Content-Type": {"application/json; charset=UTF-8"}} // as all of Nova's faults
	return answer, nil
}

// actionRoute is a route whose requests name in the body what is to be done.
func actionRoute(pattern, note string, handlers map[string]gateway.Handler) gateway.Route {
	route := gateway.Route{Method: http.MethodPost, Pattern: pattern, Strategy: gateway.Closed, Note: note}
	for _, name := range sortedKeys(handlers) {
		route.Actions = append(route.Actions, gateway.Action{Name: name, Strategy: gateway.Closed, Note: note, Handle: handlers[name]})
	}
	route.Handle = func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		body, err := r.Bytes()
		if err != nil {
			return nil, err
		}
		name, err := ActionName(body)
		if err != nil {
			return nil, err
		}
		if handlers[name] == nil {
			return nil, NoAction(name)
		}
		return handlers[name](ctx, by, r)
	}
	return route
}

// ActionName is the one key of an action's body.
func ActionName(body []byte) (string, error) {
	malformed := fault.New(fault.Invalid, gateway.CodeMalformedBody, "Malformed request body")
	if !gjson.ValidBytes(body) {
		return "", malformed
	}
	doc := gjson.ParseBytes(body)
	names := doc.Map() // a key that is there twice counts once
	switch {
	case doc.IsObject() && len(names) == 1:
		return sortedKeys(names)[0], nil
	case doc.IsObject(), doc.IsArray() && len(doc.Array()) != 1, doc.Type == gjson.String && len([]rune(doc.Str)) != 1:
		return "", malformed
	}
	return "", NoResource()
}

// NoAction is Nova's answer to an action that it does not know.
func NoAction(name string) error { return badRequest("There is no such action: %s", name) }
