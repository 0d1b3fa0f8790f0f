package compute

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// refused answers with the reason in the route's note.
func refused(_ context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return nil, fault.New(fault.Refused, "", "%s %s is not offered in this region: %s", r.Method, r.Route.Pattern, r.Route.Note)
}
