package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/tricircle/tricircle/internal/fault"
)

// Request is what a handler gets: the HTTP request, the route that matched and
// what the path said.
type Request struct {
	*http.Request
	Route   *Route // nil in Service.After when no route matched
	Service *Service
	// Known: the token is good. It is false in Service.After for those who had to be
	// turned away, to whom the service says nothing of itself.
	Known bool
	// ID is our request ID, "req-<uuid>".
	ID string
	// Version is the microversion spoken, or refused; zero until the service has
	// read it.
	Version Microversion

	params    chi.RouteParams
	publicURL string
	body      []byte
	bodyRead  bool
}

// Param is a named part of the path, unescaped; "*" is the rest of it. Empty if
// the route has none of that name.
func (r *Request) Param(name string) string {
	for i := len(r.params.Keys) - 1; i >= 0; i-- {
		if r.params.Keys[i] != name {
			continue
		}
		value := r.params.Values[i]
		if plain, err := url.PathUnescape(value); err == nil {
			return plain
		}
		return value
	}
	return ""
}

// URLProject is the project named in the path, empty in the short form.
func (r *Request) URLProject() string { return r.Param("project_id") }

// root is the path up to the version and, if the client gave it, the project.
func (r *Request) root() string {
	root := r.Service.Prefix + r.Service.Version
	if project := r.URLProject(); project != "" && r.Service.ProjectInPath {
		root += "/" + project
	}
	return root
}

// Path is the path below the version root, the project removed, still escaped.
// It is what a pod is asked for.
func (r *Request) Path() string {
	rest := strings.TrimPrefix(r.URL.EscapedPath(), r.root())
	if rest == "" {
		return "/"
	}
	return rest
}

// HostURL is the URL under which the client knows us, without a path.
func (r *Request) HostURL() string { return r.publicURL }

// PrefixURL is the public URL of the service ("https://cloud.example.org/compute").
func (r *Request) PrefixURL() string { return r.publicURL + r.Service.Prefix }

// RootURL is the public URL of the version root, in the form that the client
// used: with the project if its path has it.
func (r *Request) RootURL() string { return r.publicURL + r.root() }

// Bytes reads the whole body, once; the route's limit holds.
func (r *Request) Bytes() ([]byte, error) {
	if r.bodyRead {
		return r.body, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyFault(err)
	}
	r.body, r.bodyRead = body, true
	return body, nil
}

// SetBytes replaces the body that is forwarded.
func (r *Request) SetBytes(body []byte) { r.body, r.bodyRead = body, true }

// JSON decodes the body. A body that is not one JSON value is fault.Invalid.
func (r *Request) JSON(v any) error {
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &fault.Error{Kind: fault.Invalid, Code: CodeMalformedBody, Message: "Malformed request body", Err: err}
	}
	return nil
}

// bodyFault says why the client's body could not be read.
func bodyFault(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return bodyTooLarge(tooLarge.Limit)
	}
	return &fault.Error{Kind: fault.Invalid, Code: CodeMalformedBody, Message: "cannot read the request body", Err: err}
}

func bodyTooLarge(limit int64) *fault.Error {
	return fault.New(fault.TooLarge, "",
		"Request is too large. Larger than max_request_body_size (%d).", limit)
}

// publicURL is the configured URL, or else the one that this client used.
func publicURL(configured string, r *http.Request) string {
	if configured != "" {
		return strings.TrimSuffix(configured, "/")
	}
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	host := r.Host
	if forwarded := r.Header.Get("X-Forwarded-Host"); forwarded != "" {
		host = forwarded
	}
	return scheme + "://" + host
}
