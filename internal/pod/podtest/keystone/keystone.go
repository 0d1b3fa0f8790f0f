// Package keystone is an Identity API v3 in memory.
package keystone

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// TokenLife is how long a token is good for.
const TokenLife = 24 * time.Hour

// Server is one Keystone.
type Server struct {
	now  func() time.Time
	url  string // with /v3
	http http.Handler

	mu          sync.Mutex
	tokens      map[string]*token
	passwords   map[string]string     // by user ID
	credentials map[string]credential // application credentials by ID
	users       rest.Store
	projects    rest.Store
	roles       rest.Store
	regions     rest.Store
	services    rest.Store
	endpoints   rest.Store
	grants      []grant
	validations int
}

type grant struct{ user, project, role string }

// New makes a Keystone with the roles that bootstrap makes. Its URL is set by
// SetURL before the first request.
func New(now func() time.Time) *Server {
	s := &Server{now: now, tokens: map[string]*token{}, passwords: map[string]string{}, credentials: map[string]credential{}}
	for _, name := range []string{"admin", "member", "reader", "service"} {
		id := NewID()
		s.roles.Put(id, rest.Doc{"id": id, "name": name, "domain_id": nil, "description": nil, "options": rest.Doc{}})
	}
	s.http = s.routes()
	return s
}

// NewID makes an ID as Keystone writes it.
func NewID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// SetURL says under which URL (ending in /v3) the server is reached.
func (s *Server) SetURL(url string) { s.url = url }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }

func (s *Server) routes() http.Handler {
	api := &rest.Service{
		Mu: &s.mu, Auth: s.Auth, Shape: shape, RequestID: []string{"X-Openstack-Request-Id"},
		Unauthorized: unauthorized(),
	}
	mux := chi.NewRouter()
	notFound := api.Public(func(*rest.Request) (*rest.Reply, error) {
		return nil, rest.Errorf(http.StatusNotFound, "Not Found",
			"The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.")
	})
	mux.NotFound(notFound)
	mux.MethodNotAllowed(notFound)
	mux.Get("/", api.Public(s.versions))
	mux.Get("/v3", api.Public(s.version))
	mux.Get("/v3/", api.Public(s.version))
	mux.Post("/v3/auth/tokens", api.Public(s.createToken))
	mux.Get("/v3/auth/tokens", api.Handle(s.showToken))
	mux.Head("/v3/auth/tokens", api.Handle(s.showToken))
	mux.Delete("/v3/auth/tokens", api.Handle(s.deleteToken))
	mux.Get("/v3/auth/catalog", api.Handle(s.showCatalog))
	mux.Get("/v3/auth/projects", api.Handle(s.listOwnProjects))
	mux.Get("/v3/users/{user}/projects", api.Handle(s.listOwnProjects))
	mux.Get("/v3/role_assignments", api.Handle(s.listAssignments))
	mux.Put("/v3/projects/{project}/users/{user}/roles/{role}", api.Handle(s.grantRole))
	mux.Post("/v3/users/{user}/application_credentials", api.Handle(s.createCredential))
	for _, c := range s.collections() {
		c.mount(mux, api)
	}
	return mux
}

// shape encodes errors as Keystone does.
func shape(_ string, e *rest.Error) (string, []byte) {
	title := e.Kind
	if title == "" || strings.HasPrefix(title, "compute") {
		title = http.StatusText(e.Status)
	}
	body, _ := json.Marshal(rest.Doc{"error": rest.Doc{"code": e.Status, "message": e.Message, "title": title}})
	return "application/json", body
}

func unauthorized() *rest.Error {
	return rest.Errorf(http.StatusUnauthorized, "Unauthorized", "The request you have made requires authentication.")
}

func badRequest(message string) *rest.Error {
	return rest.Errorf(http.StatusBadRequest, "Bad Request", "%s", message)
}

func (s *Server) versionDoc() rest.Doc {
	return rest.Doc{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []rest.Doc{{"rel": "self", "href": s.url + "/"}},
		"media-types": []rest.Doc{{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

func (s *Server) version(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"version": s.versionDoc()})
}

func (s *Server) versions(*rest.Request) (*rest.Reply, error) {
	return &rest.Reply{
		Status: http.StatusMultipleChoices,
		Body:   rest.Doc{"versions": rest.Doc{"values": []rest.Doc{s.versionDoc()}}},
		Header: http.Header{"Location": {s.url + "/"}},
	}, nil
}
