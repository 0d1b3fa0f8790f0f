package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
)

// Strategy says how a route gets its answer. The table of routes with their
// strategies is the documentation of what Tricircle does with an API.
type Strategy string

// The strategies.
const (
	Routed     Strategy = "routed"     // by the ID's mapping, one pod answers
	Merged     Strategy = "merged"     // all pods answer, one ordered list
	Scheduled  Strategy = "scheduled"  // a pod is chosen, then it creates
	Replicated Strategy = "replicated" // the same in every pod
	Summed     Strategy = "summed"     // the pods' numbers added up
	Central    Strategy = "central"    // our own data
	Proxied    Strategy = "proxied"    // another service of the region answers, in this one's words
	Refused    Strategy = "refused"    // not offered; Note says why
	Closed     Strategy = "closed"     // the service itself has given it up, and so it answers here
	Public     Strategy = "public"     // version documents, no token needed
)

// Unlimited as a route's MaxBody lets a body of any size through; its handler
// must stream it.
const Unlimited = -1

// Handler answers one request on behalf of the caller. It never writes: it
// returns a reply or an error. For a public route the caller is empty.
type Handler func(ctx context.Context, by identity.Caller, r *Request) (*Reply, error)

// Route is one line of a service's table.
type Route struct {
	Method string
	// Pattern is a chi pattern below the version root ("/servers/{id}"). With two
	// slashes in front it is below the service's prefix ("//" is the list of
	// versions, "//v2.1" a version document).
	Pattern  string
	Strategy Strategy
	Policy   string // the action's name in the service's policy, for 403s
	Admin    bool   // role:admin is needed
	Public   bool   // answered without a token
	MaxBody  int64  // 0: the gateway's default; Unlimited: none
	// Patience is how long a pod may seem to do nothing for the request; 0: as long as
	// for any.
	Patience time.Duration
	Handle   Handler
	Note     string
	// Actions are the lines of a route whose requests say in the body what is to be
	// done. None: the route's strategy is that of all actions.
	Actions []Action
}

// Action is one of the things that a route does, named by the only key of the
// request's body ("os-start").
type Action struct {
	Name     string
	Strategy Strategy
	Note     string
	Handle   Handler
}

// Service is one API: where it is, its routes, and its way to say things.
type Service struct {
	Name    string // "compute"
	Prefix  string // "/compute"
	Version string // "/v2.1"; empty where the prefix is all
	// ProjectInPath serves each route also below /{project_id}.
	ProjectInPath bool
	// Strict: a path with a slash at the end is another path, and does not exist.
	Strict bool
	// Suffix may stand at the end of a path and means nothing: old clients of
	// Neutron ask for /networks.json.
	Suffix string
	Routes []Route

	// Error turns a failure into the answer that the service's clients know.
	Error func(err *fault.Error, r *http.Request) (status int, header http.Header, body []byte)
	// Before runs once the caller is known: microversion windows and the like. May be nil.
	Before func(ctx context.Context, by identity.Caller, r *Request) error
	// After adds headers to every reply, errors included. May be nil. What a pod
	// has set already stays.
	After func(r *Request, h http.Header)
}

const projectPattern = "/{project_id:[0-9a-f-]+}"

// path is where the route is served, without the project.
func (s *Service) path(pattern string) string {
	if rest, ok := strings.CutPrefix(pattern, "//"); ok {
		return s.Prefix + strings.TrimSuffix("/"+rest, "/")
	}
	return s.Prefix + s.Version + pattern
}

// Finder looks up which of the service's routes answers a path, nil for none. It
// looks as a request would, and is for those who report on the table.
func Finder(s Service) func(method, path string) *Route {
	rt := newRouter([]Service{s})
	return func(method, path string) *Route {
		m, _, _ := rt.find(method, path)
		return m.route
	}
}

// router finds routes; it serves nothing itself. chi is used for its tree only,
// because net/http's mux panics on Nova's two URL forms.
type router struct {
	mux    *chi.Mux
	routes map[string]*Route // "METHOD pattern" to route
	owners map[string]*Service
}

func newRouter(services []Service) *router {
	rt := &router{mux: chi.NewMux(), routes: map[string]*Route{}, owners: map[string]*Service{}}
	for i := range services {
		s := &services[i]
		for j := range s.Routes {
			route := &s.Routes[j]
			rt.add(s, route, s.path(route.Pattern))
			if s.ProjectInPath && !strings.HasPrefix(route.Pattern, "//") {
				rt.add(s, route, s.Prefix+s.Version+projectPattern+route.Pattern)
			}
		}
	}
	return rt
}

func (rt *router) add(s *Service, route *Route, pattern string) {
	if pattern == "" {
		pattern = "/"
	}
	key := route.Method + " " + pattern
	if rt.routes[key] != nil {
		panic("gateway: route served twice: " + key)
	}
	rt.routes[key] = route
	rt.owners[key] = s
	rt.mux.MethodFunc(route.Method, pattern, func(http.ResponseWriter, *http.Request) {})
}

// match is one path's outcome.
type match struct {
	service *Service
	route   *Route
	params  chi.RouteParams
}

// find looks the path up. A path without the method gives fault.NotAllowed, with
// the methods that it has; HEAD is served by GET's route.
func (rt *router) find(method, path string) (match, []string, bool) {
	slashes := strings.HasSuffix(path, "/")
	path = strings.TrimRight(path, "/")
	if path == "" {
		path = "/"
	}
	methods := []string{method}
	if method == http.MethodHead {
		methods = append(methods, http.MethodGet)
	}
	for _, method := range methods {
		m, ok := rt.look(method, path)
		switch {
		case ok && slashes && m.service.Strict && !strings.HasPrefix(m.route.Pattern, "//"):
			return match{}, nil, false
		case ok:
			return m, nil, true
		}
	}
	var allowed []string
	for _, other := range []string{"DELETE", "GET", "PATCH", "POST", "PUT"} {
		m, ok := rt.look(other, path)
		if ok && slashes && m.service.Strict && !strings.HasPrefix(m.route.Pattern, "//") {
			continue
		}
		if ok && other != method {
			allowed = append(allowed, other)
		}
	}
	return match{}, allowed, false
}

func (rt *router) look(method, path string) (match, bool) {
	rctx := chi.NewRouteContext()
	pattern := rt.mux.Find(rctx, method, path)
	if pattern == "" {
		return match{}, false
	}
	key := method + " " + pattern
	route := rt.routes[key]
	if route == nil {
		return match{}, false
	}
	return match{service: rt.owners[key], route: route, params: rctx.URLParams}, true
}

// serviceOf finds whose path it is although no route matches, so that the 404
// has that service's shape.
func serviceOf(services []Service, path string) *Service {
	i := slices.IndexFunc(services, func(s Service) bool {
		return path == s.Prefix || strings.HasPrefix(path, s.Prefix+"/")
	})
	if i < 0 {
		return nil
	}
	return &services[i]
}
