// Package rest is what the simulated services share: requests with a caller,
// replies, error replies, and lists with filters, order and pages.
package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
)

// MaxBody is the largest JSON body that a simulated service reads.
const MaxBody = 4 << 20

// Doc is one JSON object, as stored and as sent.
type Doc = map[string]any

// Caller is who asks, out of Keystone.
type Caller struct {
	Token       string
	UserID      string
	UserName    string
	ProjectID   string
	ProjectName string
	Roles       []string
}

// Admin says whether the caller holds the admin role.
func (c Caller) Admin() bool { return slices.Contains(c.Roles, "admin") }

// Sees says whether the caller may see what belongs to the project.
func (c Caller) Sees(project any) bool { return c.Admin() || project == c.ProjectID }

// Error is an error reply. Kind is what the service calls it: Neutron's "type",
// Nova's "itemNotFound".
type Error struct {
	Status  int
	Kind    string
	Message string
	Header  http.Header
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Kind, e.Message) }

// Errorf makes an Error.
func Errorf(status int, kind, format string, args ...any) *Error {
	return &Error{Status: status, Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Request is one authenticated request.
type Request struct {
	*http.Request
	Caller Caller
	ID     string
	// Minor is the negotiated microversion's second number.
	Minor int
	// Reply headers that a handler wants to set whatever comes of it.
	Header http.Header
}

// Param is a variable of the route's pattern.
func (r *Request) Param(name string) string { return chi.URLParam(r.Request, name) }

// Query is a query parameter's last value, as web frameworks in Python take it.
func (r *Request) Query(name string) string {
	if v := r.URL.Query()[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// ErrMalformed is what Object and JSON return for a body that is no JSON object.
var ErrMalformed = errors.New("malformed JSON")

// JSON decodes the body.
func (r *Request) JSON() (Doc, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, MaxBody))
	if err != nil {
		return nil, ErrMalformed
	}
	var doc Doc
	if err := json.Unmarshal(raw, &doc); err != nil || doc == nil {
		return nil, ErrMalformed
	}
	return doc, nil
}

// Root is scheme and host as the client wrote them.
func (r *Request) Root() string { return "http://" + r.Host }

// Reply is a successful reply. At most one of Body, Raw and Stream is set.
type Reply struct {
	Status int
	Body   any
	Raw    []byte
	Type   string // of Raw and Stream
	Stream func(io.Writer) error
	Header http.Header
}

// OK is a reply with status 200.
func OK(body any) (*Reply, error) { return &Reply{Status: http.StatusOK, Body: body}, nil }

// Created is a reply with status 201.
func Created(body any) (*Reply, error) { return &Reply{Status: http.StatusCreated, Body: body}, nil }

// Accepted is a reply with status 202.
func Accepted(body any) (*Reply, error) { return &Reply{Status: http.StatusAccepted, Body: body}, nil }

// NoContent is a reply with status 204.
func NoContent() (*Reply, error) { return &Reply{Status: http.StatusNoContent}, nil }

// Handler answers one request.
type Handler func(*Request) (*Reply, error)

// Service is how one API answers: who may ask, how errors look.
type Service struct {
	// Mu is held while a handler runs and its reply is encoded.
	Mu *sync.Mutex
	// Auth finds the caller of a token.
	Auth func(token string) (Caller, bool)
	// Admit checks what all requests have in common: microversion, project in the path. May be nil.
	Admit func(*Request) error
	// Shape encodes an error for a client that sent that Accept header.
	Shape func(accept string, e *Error) (contentType string, body []byte)
	// RequestID names the reply headers that carry the request's ID.
	RequestID []string
	// Unauthorized is the reply to a missing or bad token. Nil: keystonemiddleware's.
	Unauthorized *Error
	// AuthURL is for WWW-Authenticate.
	AuthURL string
}

// Handle serves a route that needs a token.
func (s *Service) Handle(h Handler) http.HandlerFunc { return s.serve(h, true, true) }

// Streaming serves a route that needs a token and locks Mu by itself, because
// it reads a long body.
func (s *Service) Streaming(h Handler) http.HandlerFunc { return s.serve(h, true, false) }

// Public serves a route that needs no token.
func (s *Service) Public(h Handler) http.HandlerFunc { return s.serve(h, false, true) }

func (s *Service) serve(h Handler, private, lock bool) http.HandlerFunc {
	return func(w http.ResponseWriter, hr *http.Request) {
		r := &Request{Request: hr, ID: "req-" + uuid.NewString(), Header: http.Header{}}
		for _, name := range s.RequestID {
			r.Header.Set(name, r.ID)
		}
		if private {
			caller, ok := s.Auth(hr.Header.Get("X-Auth-Token"))
			if !ok {
				s.unauthorized(w, r)
				return
			}
			r.Caller = caller
		}
		status, header, body, stream := s.run(h, r, lock)
		write(w, r.Header, header, status, body, stream)
	}
}

// run calls the handler and encodes its reply while the lock is held: what is
// encoded is the stored document itself.
func (s *Service) run(h Handler, r *Request, lock bool) (int, http.Header, []byte, func(io.Writer) error) {
	if lock {
		s.Mu.Lock()
		defer s.Mu.Unlock()
	}
	var reply *Reply
	var err error
	if s.Admit != nil {
		err = s.Admit(r)
	}
	if err == nil {
		reply, err = h(r)
	}
	if err != nil {
		return s.failure(r, err)
	}
	header := http.Header{}
	for k, v := range reply.Header {
		header[k] = v
	}
	switch {
	case reply.Body != nil:
		header.Set("Content-Type", "application/json")
		body, err := encode(reply.Body)
		if err != nil {
			return s.failure(r, err)
		}
		return reply.Status, header, body, nil
	case reply.Type != "":
		header.Set("Content-Type", reply.Type)
	}
	return reply.Status, header, reply.Raw, reply.Stream
}

func (s *Service) failure(r *Request, err error) (int, http.Header, []byte, func(io.Writer) error) {
	var e *Error
	if !errors.As(err, &e) {
		e = Errorf(http.StatusInternalServerError, "computeFault", "Unexpected API Error. %v", err)
	}
	contentType, body := s.Shape(r.Request.Header.Get("Accept"), e)
	header := http.Header{}
	for k, v := range e.Header {
		header[k] = v
	}
	header.Set("Content-Type", contentType)
	return e.Status, header, body, nil
}

func (s *Service) unauthorized(w http.ResponseWriter, r *Request) {
	r.Header.Set("WWW-Authenticate", fmt.Sprintf("Keystone uri=%q", s.AuthURL))
	if e := s.Unauthorized; e != nil {
		contentType, body := s.Shape(r.Request.Header.Get("Accept"), e)
		write(w, r.Header, http.Header{"Content-Type": {contentType}}, e.Status, body, nil)
		return
	}
	body := []byte(`{"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}`)
	write(w, r.Header, http.Header{"Content-Type": {"application/json"}}, http.StatusUnauthorized, body, nil)
}

func write(w http.ResponseWriter, first, second http.Header, status int, body []byte, stream func(io.Writer) error) {
	for _, h := range []http.Header{first, second} {
		for k, v := range h {
			w.Header()[k] = v
		}
	}
	if stream == nil {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	w.WriteHeader(status)
	if stream != nil {
		_ = stream(w) // the client went away; there is nobody left to tell
		return
	}
	_, _ = w.Write(body)
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// WebOb is the error body that WebOb makes of an exception that no service has
// put into its own shape: HTML, JSON or text, by what the client accepts. A
// client without an Accept header gets text.
func WebOb(accept string, status int, message string) (contentType string, body []byte) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	switch {
	case strings.Contains(accept, "*/*"), strings.Contains(accept, "text/html"):
		return "text/html; charset=UTF-8", fmt.Appendf(nil,
			"<html>\n <head>\n  <title>%s</title>\n </head>\n <body>\n  <h1>%s</h1>\n  %s<br /><br />\n\n\n\n </body>\n</html>",
			title, title, escapeHTML(message))
	case strings.Contains(accept, "application/json"):
		raw, err := encode(Doc{"message": message + "<br /><br />\n\n\n", "code": title, "title": http.StatusText(status)})
		if err == nil {
			return "application/json", raw
		}
	}
	return "text/plain; charset=UTF-8", fmt.Appendf(nil, "%s\n\n%s\n\n   ", title, message)
}

func escapeHTML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#x27;", `"`, "&quot;").Replace(s)
}
