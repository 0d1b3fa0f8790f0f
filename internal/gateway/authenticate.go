package gateway

import (
	"fmt"

	"github.com/tricircle/tricircle/internal/fault"
)

// authenticate turns the token into the caller, as keystonemiddleware does.
func (g *gateway) authenticate(x *exchange, next func(*exchange) error) error {
	if x.route != nil && (x.route.Public || x.route.Strategy == Public) {
		return next(x)
	}
	denied := fault.New(fault.Unauthenticated, CodeNoToken, "The request you have made requires authentication.")
	token := x.r.Header.Get("X-Auth-Token")
	if token == "" {
		return denied
	}
	caller, err := g.Verifier.Verify(x.r.Context(), token)
	switch {
	case fault.Is(err, fault.Unauthenticated):
		denied.Err = err
		return denied
	case fault.Is(err, fault.Unavailable), fault.Is(err, fault.Timeout):
		return &fault.Error{Kind: fault.Unavailable, Message: "The Keystone service is temporarily unavailable.", Err: err}
	case err != nil:
		return fmt.Errorf("cannot verify the token: %w", err)
	}
	caller.Token, caller.RequestID = token, x.id
	x.caller, x.req.Known = caller, true
	return next(x)
}

// authorise holds the rules that need no lookup.
func (g *gateway) authorise(x *exchange, next func(*exchange) error) error {
	if x.route.Public || x.route.Strategy == Public {
		return next(x)
	}
	// The version first: refusals are told in it, too.
	if x.service.Before != nil {
		if err := x.service.Before(x.req.Context(), x.caller, x.req); err != nil {
			return err
		}
	}
	// A caller without a project sees nothing: everywhere below, an empty project
	// means "all of them".
	if x.caller.ProjectID == "" && !x.caller.IsAdmin() {
		return x.forbidden()
	}
	if x.route.Admin && !x.caller.IsAdmin() {
		return x.forbidden()
	}
	// Nova and Cinder refuse this to admins too.
	if project := x.req.URLProject(); project != "" && x.service.ProjectInPath && project != x.caller.ProjectID {
		return fault.New(fault.Invalid, CodeOtherProject,
			"Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'", project, x.caller.ProjectID)
	}
	return next(x)
}

func (x *exchange) forbidden() error {
	policy := x.route.Policy
	if policy == "" {
		policy = x.service.Name + ":" + x.route.Method + " " + x.route.Pattern
	}
	return fault.New(fault.Forbidden, "", "Policy doesn't allow %s to be performed.", policy)
}
