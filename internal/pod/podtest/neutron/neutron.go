// Package neutron is a Network API in memory, with DHCP agents.
package neutron

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Options say what a Neutron is like.
type Options struct {
	Mu      *sync.Mutex // shared by the pod's services
	Auth    func(token string) (rest.Caller, bool)
	AuthURL string
	Now     func() time.Time
	Host    string // of the agents
	Zone    string
	// DHCPAgents is how many agents serve each network. Negative: none.
	DHCPAgents int
	// Physical networks, each with its VLAN range for automatic allocation.
	Physical map[string][2]int
	// After runs work of the agents, after the reply has been written. The
	// argument must be called without Mu held.
	After func(work func())
}

// Server is one Neutron.
type Server struct {
	Options
	http http.Handler

	addressGroups, trunks, grants, floats                      rest.Store
	networks, subnets, ports, groups, rules, routers, policies rest.Store

	agents   []rest.Doc
	greedy   bool                      // agents act before the reply instead of after it
	seats    map[seat]bool             // what an admin said of a network and an agent
	forwards rest.Store                // port forwardings
	quotas   map[string]int            // of projects without one of their own
	limits   map[string]map[string]int // set for a project
	defRule  map[string]bool           // IDs of rules that Neutron made by itself
	lacking  map[string]bool           // extensions that it does not have
}

// New makes a Neutron with its agents and no networks.
func New(o Options) *Server {
	s := &Server{Options: o, quotas: map[string]int{}, limits: map[string]map[string]int{}, seats: map[seat]bool{}, defRule: map[string]bool{}, lacking: map[string]bool{}}
	s.agents = s.makeAgents()
	s.http = s.routes()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }

// shape encodes errors as Neutron does.
func shape(accept string, e *rest.Error) (string, []byte) {
	if e.Kind == "webob" {
		return rest.WebOb(accept, e.Status, e.Message)
	}
	kind := e.Kind
	if e.Status == http.StatusInternalServerError {
		kind = "HTTPInternalServerError"
	}
	body, _ := json.Marshal(rest.Doc{"NeutronError": rest.Doc{"type": kind, "message": e.Message, "detail": ""}})
	return "application/json", body
}

func (s *Server) routes() http.Handler {
	api := &rest.Service{
		Mu: s.Mu, Auth: s.Auth, AuthURL: s.AuthURL, Shape: shape, RequestID: []string{"X-Openstack-Request-Id"},
	}
	mux := chi.NewRouter()
	notFound := api.Public(func(*rest.Request) (*rest.Reply, error) {
		return nil, rest.Errorf(http.StatusNotFound, "HTTPNotFound", "The resource could not be found.")
	})
	mux.NotFound(notFound)
	mux.MethodNotAllowed(notFound)
	mux.Get("/", api.Public(s.versions))
	mux.Get("/v2.0/", api.Handle(s.resources))
	mux.Get("/v2.0/extensions", api.Handle(s.listExtensions))
	mux.Get("/v2.0/extensions/{id}", api.Handle(s.showExtension))
	mux.Get("/v2.0/agents", api.Handle(s.listAgents))
	mux.Get("/v2.0/agents/{id}", api.Handle(s.showAgent))
	mux.Put("/v2.0/agents/{id}", api.Handle(s.updateAgent))
	mux.Delete("/v2.0/agents/{id}", api.Handle(s.deleteAgent))
	mux.Get("/v2.0/agents/{id}/dhcp-networks", api.Handle(s.listSeats))
	mux.Post("/v2.0/agents/{id}/dhcp-networks", api.Handle(s.addSeat))
	mux.Delete("/v2.0/agents/{id}/dhcp-networks/{network}", api.Handle(s.removeSeat))
	mux.Get("/v2.0/availability_zones", api.Handle(s.listZones))
	mux.Get("/v2.0/quotas", api.Handle(s.listQuotas))
	mux.Get("/v2.0/quotas/{project}", api.Handle(s.showQuota))
	mux.Get("/v2.0/quotas/{project}/default", api.Handle(s.showDefaultQuota))
	mux.Put("/v2.0/quotas/{project}", api.Handle(s.updateQuota))
	mux.Delete("/v2.0/quotas/{project}", api.Handle(s.deleteQuota))
	mux.Get("/v2.0/networks/{id}/dhcp-agents", api.Handle(s.listNetworkAgents))
	mux.Put("/v2.0/routers/{id}/add_router_interface", api.Handle(s.addInterface))
	mux.Put("/v2.0/routers/{id}/remove_router_interface", api.Handle(s.removeInterface))
	mux.Get(forwardingPath, api.Handle(s.listForwardings))
	mux.Post(forwardingPath, api.Handle(s.makeForwarding))
	mux.Get(forwardingPath+"/{id}", api.Handle(s.showForwarding))
	mux.Put(forwardingPath+"/{id}", api.Handle(s.changeForwarding))
	mux.Delete(forwardingPath+"/{id}", api.Handle(s.dropForwarding))
	mux.Put("/v2.0/address-groups/{id}/add_addresses", api.Handle(s.changeAddresses(addAddresses)))
	mux.Put("/v2.0/address-groups/{id}/remove_addresses", api.Handle(s.changeAddresses(removeAddresses)))
	mux.Post("/v2.0/qos/policies/{policy}/{rules}", api.Handle(s.makeQoSRule))
	mux.Put("/v2.0/qos/policies/{policy}/{rules}/{id}", api.Handle(s.changeQoSRule))
	mux.Delete("/v2.0/qos/policies/{policy}/{rules}/{id}", api.Handle(s.dropQoSRule))
	mux.Put("/v2.0/trunks/{id}/add_subports", api.Handle(s.changeSubports(s.addToTrunk)))
	mux.Put("/v2.0/trunks/{id}/remove_subports", api.Handle(s.changeSubports(s.removeFromTrunk)))
	for _, res := range s.kinds() {
		base := "/v2.0/" + res.path
		mux.Get(base, api.Handle(res.list))
		mux.Post(base, api.Handle(res.create))
		mux.Get(base+"/{id}", api.Handle(res.show))
		mux.Put(base+"/{id}", api.Handle(res.update))
		mux.Delete(base+"/{id}", api.Handle(res.remove))
		mux.Get(base+".json", api.Handle(res.list))
	}
	return mux
}

func (s *Server) versions(r *rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"versions": []rest.Doc{{
		"id": "v2.0", "status": "CURRENT", "links": []rest.Doc{{"rel": "self", "href": r.Root() + "/v2.0/"}},
	}}})
}

func (s *Server) resources(r *rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, res := range s.kinds() {
		out = append(out, rest.Doc{"name": res.single, "collection": res.plural,
			"links": []rest.Doc{{"rel": "self", "href": r.Root() + "/v2.0/" + res.path}}})
	}
	return rest.OK(rest.Doc{"resources": out})
}

func (s *Server) stamp() string { return s.Now().UTC().Format("2006-01-02T15:04:05Z") }

// touch notes a change of a document.
func (s *Server) touch(d rest.Doc) {
	n, _ := rest.Number(d["revision_number"])
	d["revision_number"] = int(n) + 1
	d["updated_at"] = s.stamp()
}

func badRequest(format string, args ...any) *rest.Error {
	return rest.Errorf(http.StatusBadRequest, "HTTPBadRequest", format, args...)
}

func invalid(format string, args ...any) *rest.Error {
	return rest.Errorf(http.StatusBadRequest, "InvalidInput", "Invalid input for operation: "+format, args...)
}

func conflict(kind, format string, args ...any) *rest.Error {
	return rest.Errorf(http.StatusConflict, kind, format, args...)
}

func missing(kind, id string) *rest.Error {
	return rest.Errorf(http.StatusNotFound, kind+"NotFound", "%s %s could not be found.", kind, id)
}

func denied(rule string) *rest.Error {
	return rest.Errorf(http.StatusForbidden, "PolicyNotAuthorized", "%s is disallowed by policy", rule)
}
