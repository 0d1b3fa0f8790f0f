// Package fault is the closed set of ways in which a request can fail.
//
// Whoever knows what went wrong makes an *Error; whoever answers a client turns
// its Kind into a status and into the body its API uses. Errors of other types
// are Internal: they are logged, and the client sees a request ID only.
package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind says what the receiver of an error can do about it.
type Kind int

// The kinds. The zero value is Internal so that an unset kind never leaks.
const (
	Internal           Kind = iota // our own mistake
	Invalid                        // the request is wrong and stays wrong
	Unauthenticated                // no valid token
	Forbidden                      // the caller may not
	NotFound                       // absent, or hidden from this caller
	NotAllowed                     // the path exists, the method does not
	NotAcceptable                  // a microversion outside the window
	Conflict                       // the state forbids it now
	OverQuota                      // a quota forbids it now
	PreconditionFailed             // If-Match named another revision
	TooLarge                       // body over the limit
	UnknownMedia                   // a body of a type that is not read
	Unavailable                    // a pod or Keystone is away; later may work
	Timeout                        // a pod did not answer in time
	Refused                        // Tricircle does not offer it, and says why
)

var statuses = map[Kind]int{
	Internal:           http.StatusInternalServerError,
	Invalid:            http.StatusBadRequest,
	Unauthenticated:    http.StatusUnauthorized,
	Forbidden:          http.StatusForbidden,
	NotFound:           http.StatusNotFound,
	NotAllowed:         http.StatusMethodNotAllowed,
	NotAcceptable:      http.StatusNotAcceptable,
	Conflict:           http.StatusConflict,
	OverQuota:          http.StatusForbidden, // Neutron answers 409 instead; its gateway says so
	PreconditionFailed: http.StatusPreconditionFailed,
	TooLarge:           http.StatusRequestEntityTooLarge,
	UnknownMedia:       http.StatusUnsupportedMediaType,
	Unavailable:        http.StatusServiceUnavailable,
	Timeout:            http.StatusGatewayTimeout,
	Refused:            http.StatusNotImplemented,
}

// Status is the HTTP status for the kind, the same in all APIs but where a
// gateway knows better.
func (k Kind) Status() int { return statuses[k] }

// Upstream is a pod's own error reply, passed on to the caller as it came.
type Upstream struct {
	Status int
	Header http.Header
	Body   []byte // at most pod.MaxErrorBody bytes
}

// Error is one failure. Message is for the caller and names the objects
// concerned; Code is the API's own name for the case where it has one
// (Neutron's "type", such as NetworkNotFound).
type Error struct {
	Kind     Kind
	Code     string
	Message  string
	Pod      string    // the pod that failed or refused, if one did
	Upstream *Upstream // set when a pod answered with an error
	Err      error     // cause, for logs and errors.Is
}

func (e *Error) Error() string {
	msg := e.Message
	if e.Pod != "" {
		msg = "pod " + e.Pod + ": " + msg
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of the kind; code may be empty.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// KindOf is the kind of the first *Error in err's chain, else Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool {
	return err != nil && KindOf(err) == kind
}
