package network

import "github.com/tricircle/tricircle/internal/fault"

// values are the attributes of one request, read and checked.
type values map[string]any

// attribute declares one attribute of a resource: what clients may send, who may
// send it, and how lists use it. Who sees it is for the rule get_<resource>:<name>
// to say, if the policy has one.
type attribute struct {
	name string
	read reader // turns what the client sent into ours; nil takes it as it is

	required bool // on POST
	fallback any  // what POST takes when it is not sent; nil: it stays unset
	post     bool
	put      bool
	// guard: to set it to anything but the fallback takes the rule
	// create_<resource>:<name> or update_<resource>:<name> besides the action's.
	// The parts of an object, or of the objects in a list, have further ones.
	guard bool
	parts []string

	see    audience
	filter filterValue // nil: no filter
	sort   bool
}

// audience is who sees an attribute, whatever the policy says.
type audience int

const (
	everyone audience = iota
	nobody
)

// badRequest is Neutron's HTTPBadRequest.
func badRequest(format string, args ...any) error {
	return fault.New(fault.Invalid, "HTTPBadRequest", format, args...)
}

// badResource is Neutron's BadRequest.
func badResource(resource, format string, args ...any) error {
	return fault.New(fault.Invalid, "BadRequest", "Bad "+resource+" request: "+format+".", args...)
}

// invalidInput is Neutron's InvalidInput.
func invalidInput(format string, args ...any) error {
	return fault.New(fault.Invalid, "InvalidInput", "Invalid input for operation: "+format+".", args...)
}
