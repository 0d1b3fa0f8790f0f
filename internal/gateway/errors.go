package gateway

import (
	"errors"
	"net/http"

	"github.com/tricircle/tricircle/internal/fault"
)

// Codes by which the core marks cases that some services answer in a way of
// their own.
const (
	CodeNoRoute       = "NoRoute"       // no such path, or not with this method
	CodeMalformedBody = "MalformedBody" // not JSON
	CodeNoToken       = "NoToken"       // no token, or a bad one
	CodeOtherProject  = "OtherProject"  // the path names a project that the token is not for
)

// Shape is one API's way to say that a request failed.
type Shape func(err *fault.Error, r *http.Request) (status int, header http.Header, body []byte)

// novaFaults are the names of nova/api/openstack/wsgi.py.
var novaFaults = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
	409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
	503: "serviceUnavailable",
}

// cinderFaults are those of cinder/api/openstack/wsgi.py.
var cinderFaults = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
	409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 501: "notImplemented",
	503: "serviceUnavailable",
}

// NovaError is the Compute API's shape. Paths that Nova does not have and bodies
// over the limit never reach Nova's own code: webob answers, in HTML.
func NovaError(err *fault.Error, r *http.Request) (int, http.Header, []byte) {
	return named(novaFaults, "computeFault", err, r)
}

// CinderError is the Block Storage API's shape.
func CinderError(err *fault.Error, r *http.Request) (int, http.Header, []byte) {
	if err.Code == CodeOtherProject {
		err = fault.New(err.Kind, err.Code, "Malformed request url")
	}
	if err.Kind == fault.OverQuota && err.Upstream == nil {
		return cinderOverQuota(err, r)
	}
	status, header, body := named(cinderFaults, "computeFault", err, r) // sic
	if header.Get("Content-Type") == "application/json; charset=UTF-8" {
		header.Set("Content-Type", "application/json") // Nova's has it, Cinder's has not
	}
	return status, header, body
}

// cinderOverQuota is the shape of a quota's refusal, which says when to try again.
func cinderOverQuota(err *fault.Error, r *http.Request) (int, http.Header, []byte) {
	status, header, body := jsonError(http.StatusRequestEntityTooLarge, map[string]any{"overLimit": map[string]any{
		"code": http.StatusRequestEntityTooLarge, "message": messageOf(err, r), "retryAfter": "0",
	}})
	header.Set("Retry-After", "0")
	return status, header, body
}

func named(names map[int]string, other string, err *fault.Error, r *http.Request) (int, http.Header, []byte) {
	status := statusOf(err)
	switch {
	case err.Code == CodeNoToken:
		return keystoneError(err)
	case err.Code == CodeNoRoute:
		return webobError(r, http.StatusNotFound, "The resource could not be found.")
	case err.Kind == fault.TooLarge && err.Pod == "":
		return webobError(r, status, err.Message)
	}
	name := names[status]
	if name == "" {
		name = other
	}
	status, header, body := jsonError(status, map[string]any{name: map[string]any{"code": status, "message": messageOf(err, r)}})
	header.Set("Content-Type", "application/json; charset=UTF-8") // as webob writes it
	return status, header, body
}

// NeutronError is the Network API's shape.
func NeutronError(err *fault.Error, r *http.Request) (int, http.Header, []byte) {
	status := statusOf(err)
	if err.Code == CodeNoToken {
		return keystoneError(err)
	}
	if err.Kind == fault.OverQuota {
		status = http.StatusConflict
	}
	kind, known := neutronTypes[err.Kind]
	if !known {
		kind = "HTTPInternalServerError"
	}
	switch err.Code {
	case "", CodeMalformedBody, CodeNoRoute:
	default:
		kind = err.Code
	}
	message := messageOf(err, r)
	switch {
	case err.Code == CodeMalformedBody:
		message = "Body contains invalid data"
	case err.Kind == fault.NotAllowed && (r.Method == http.MethodPut || r.Method == http.MethodDelete):
		// To Neutron this is a resource with no ID, which does not exist.
		status, kind = http.StatusNotFound, "HTTPNotFound"
	case err.Kind == fault.NotAllowed:
		message = "The server could not comply with the request since it is either malformed or otherwise incorrect."
	}
	return jsonError(status, map[string]any{"NeutronError": map[string]any{"type": kind, "message": message, "detail": ""}})
}

var neutronTypes = map[fault.Kind]string{
	fault.Internal: "HTTPInternalServerError", fault.Invalid: "HTTPBadRequest", fault.Unauthenticated: "HTTPUnauthorized",
	fault.Forbidden: "PolicyNotAuthorized", fault.NotFound: "HTTPNotFound", fault.NotAllowed: "HTTPMethodNotAllowed",
	fault.NotAcceptable: "HTTPNotAcceptable", fault.Conflict: "HTTPConflict", fault.OverQuota: "OverQuota",
	fault.PreconditionFailed: "RevisionNumberConstraintFailed", fault.TooLarge: "HTTPRequestEntityTooLarge",
	fault.UnknownMedia: "HTTPUnsupportedMediaType",
	fault.Unavailable:  "ServiceUnavailable", fault.Timeout: "HTTPGatewayTimeout", fault.Refused: "HTTPNotImplemented",
}

// GlanceError is the Image API's shape: webob's HTML pages.
func GlanceError(err *fault.Error, r *http.Request) (int, http.Header, []byte) {
	status, message := statusOf(err), messageOf(err, r)
	switch err.Code {
	case CodeNoToken:
		message = "This server could not verify that you are authorized to access the document you requested. " +
			"Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand how " +
			"to supply the credentials required."
	case CodeMalformedBody:
		message = "Malformed JSON in request body."
	}
	return webobError(r, status, message)
}

// AdminError is the shape of Tricircle's own API.
func AdminError(err *fault.Error, r *http.Request) (int, http.Header, []byte) {
	status := statusOf(err)
	return jsonError(status, map[string]any{"error": map[string]any{
		"code": status, "title": http.StatusText(status), "message": messageOf(err, r), "request_id": requestID(r),
	}})
}

// keystoneError is what keystonemiddleware answers in front of any service.
func keystoneError(err *fault.Error) (int, http.Header, []byte) {
	status := statusOf(err)
	return jsonError(status, map[string]any{"error": map[string]any{
		"code": status, "title": http.StatusText(status), "message": err.Message,
	}})
}

func jsonError(status int, body any) (int, http.Header, []byte) {
	encoded, err := encode(body)
	if err != nil {
		panic(err) // maps of strings and numbers always encode
	}
	return status, http.Header{"Content-Type": {"application/json"}}, encoded
}

// statusOf is the kind's status. A pod's answer of that kind may be more exact
// (a 415 is Invalid to us): then the pod's status stands.
func statusOf(err *fault.Error) int {
	if up := err.Upstream; up != nil && up.Status >= 400 && up.Status < 500 && err.Kind == fault.Invalid {
		return up.Status
	}
	if status := err.Kind.Status(); status != 0 {
		return status
	}
	return http.StatusInternalServerError
}

// messageOf is what the client may read. Our own mistakes are not his business;
// the request ID is what he can give to the operator.
func messageOf(err *fault.Error, r *http.Request) string {
	if err.Kind == fault.Internal {
		return "Unexpected error in Tricircle; the operator finds it in the log as " + requestID(r) + "."
	}
	if err.Pod != "" {
		return "pod " + err.Pod + ": " + err.Message
	}
	return err.Message
}

// faultOf is the failure as the services know it.
func faultOf(err error) *fault.Error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		f, _ := errors.AsType[*fault.Error](bodyFault(err))
		return f
	}
	return &fault.Error{Kind: fault.Internal, Err: err}
}
