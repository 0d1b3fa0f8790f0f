package compute

import (
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/gateway/compute/legacy"
)

// lined makes a route like the model for each "METHOD /pattern".
func lined(model gateway.Route, lines []string) []gateway.Route {
	routes := make([]gateway.Route, 0, len(lines))
	for _, line := range lines {
		r := model
		r.Method, r.Pattern, _ = strings.Cut(line, " ")
		routes = append(routes, r)
	}
	return routes
}

// closedRoutes are what Nova itself has closed, now or from some microversion on.
func (a *api) closedRoutes() []gateway.Route {
	return slices.Concat(
		a.doors.Routes(),
		legacy.GoneRoutes(),
	)
}
