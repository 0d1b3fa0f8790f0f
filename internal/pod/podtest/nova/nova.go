// Package nova is a Compute API in memory.
package nova

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/cinder"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/pod/podtest/neutron"
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Options say what a Nova is like.
type Options struct {
	Mu      *sync.Mutex // shared by the pod's services
	Auth    func(token string) (rest.Caller, bool)
	AuthURL string
	Now     func() time.Time
	Host    string
	Zone    string
	Highest int // second number of the highest microversion
	// BuildGets and DeleteGets: see podtest.Options.
	BuildGets, DeleteGets int

	Network *neutron.Server
	Images  *glance.Server
	Volumes *cinder.Server
}

// Server is one Nova.
type Server struct {
	Options
	http http.Handler

	servers  []*server // oldest first
	deleted  []*server
	sequence int
	flavors  []*Flavor
	keypairs []*keypair
	groups   []*serverGroup
	lowest   int                       // second number of the lowest microversion
	capacity int                       // servers that fit; negative: any number
	defaults map[string]int            // quota of a project
	quotas   map[string]map[string]int // what was set, by project
	host     Hypervisor

	salt          string   // makes the UUIDs of hosts this pod's own
	hosts         []string // the first one takes the servers, unless their zone is another's
	services      map[string]*serviceState
	events        []rest.Doc // external events that were taken
	migrations    []*migration
	aggregates    []*aggregate
	lastAggregate int
}

// New makes a Nova without flavors.
func New(o Options) *Server {
	s := &Server{
		Options: o, lowest: 1, capacity: -1, host: Hypervisor{VCPUs: 1000, RAM: 800000, Disk: 600000},
		salt: uuid.NewString(), hosts: []string{o.Host}, services: map[string]*serviceState{},
		defaults: maps.Clone(standard), quotas: map[string]map[string]int{},
	}
	s.http = s.routes()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }

// SetCapacity limits how many servers fit; negative: no limit. Mu must not be
// held.
func (s *Server) SetCapacity(n int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.capacity = n
}

// SetVersions makes another release of it: the second numbers of the lowest and
// the highest microversion. Mu must not be held.
func (s *Server) SetVersions(lowest, highest int) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.lowest, s.Highest = lowest, highest
}

// kinds are Nova's names for errors by status.
var kinds = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 409: "conflictingRequest",
	413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable",
}

func shape(accept string, e *rest.Error) (string, []byte) {
	if e.Kind == "webob" {
		return rest.WebOb(accept, e.Status, e.Message)
	}
	kind, ok := kinds[e.Status]
	if !ok {
		kind = "computeFault"
	}
	body, _ := json.Marshal(rest.Doc{kind: rest.Doc{"code": e.Status, "message": e.Message}})
	return "application/json; charset=UTF-8", body
}

func fail(status int, format string, args ...any) *rest.Error {
	return rest.Errorf(status, "", format, args...)
}

func badRequest(format string, args ...any) *rest.Error {
	return fail(http.StatusBadRequest, format, args...)
}

// field is what the schema check says about one field.
func field(name string, value any, problem string) *rest.Error {
	return badRequest("Invalid input for field/attribute %s. Value: %s. %s", name, rest.Text(value), problem)
}

func denied(policy string) *rest.Error {
	return fail(http.StatusForbidden, "Policy doesn't allow %s to be performed.", policy)
}

func (s *Server) routes() http.Handler {
	api := &rest.Service{
		Mu: s.Mu, Auth: s.Auth, AuthURL: s.AuthURL, Shape: shape, Admit: s.admit,
		RequestID: []string{"X-Openstack-Request-Id", "X-Compute-Request-Id"},
	}
	open := *api
	open.Admit = s.negotiate
	none := *api
	none.Admit = nil
	mux := chi.NewRouter()
	notFound := none.Public(func(*rest.Request) (*rest.Reply, error) {
		return nil, rest.Errorf(http.StatusNotFound, "webob", "The resource could not be found.")
	})
	mux.NotFound(notFound)
	mux.MethodNotAllowed(notFound)
	mux.Get("/", none.Public(s.versions))
	for _, path := range []string{"/v2.1", "/v2.1/"} {
		mux.Get(path, open.Public(s.version))
	}
	for _, prefix := range []string{"/v2.1", "/v2.1/{project_id:[0-9a-f]{32}}"} {
		s.mountServers(mux, api, prefix)
		s.mountRest(mux, api, prefix)
		s.mountAdmin(mux, api, prefix)
	}
	return mux
}

func (s *Server) mountServers(mux chi.Router, api *rest.Service, prefix string) {
	get, post := func(path string, h rest.Handler) { mux.Get(prefix+path, api.Handle(h)) }, func(path string, h rest.Handler) { mux.Post(prefix+path, api.Handle(h)) }
	put, del := func(path string, h rest.Handler) { mux.Put(prefix+path, api.Handle(h)) }, func(path string, h rest.Handler) { mux.Delete(prefix+path, api.Handle(h)) }
	get("/servers", s.listServers)
	post("/servers", s.createServer)
	get("/servers/detail", s.listServersDetail)
	get("/servers/{id}", s.showServer)
	put("/servers/{id}", s.updateServer)
	del("/servers/{id}", s.deleteServer)
	post("/servers/{id}/action", s.actOnServer)
	get("/servers/{id}/metadata", s.listMetadata)
	post("/servers/{id}/metadata", s.mergeMetadata)
	put("/servers/{id}/metadata", s.replaceMetadata)
	get("/servers/{id}/metadata/{key}", s.showMetadata)
	put("/servers/{id}/metadata/{key}", s.setMetadata)
	del("/servers/{id}/metadata/{key}", s.deleteMetadata)
	get("/servers/{id}/tags", s.listTags)
	put("/servers/{id}/tags", s.replaceTags)
	del("/servers/{id}/tags", s.deleteTags)
	get("/servers/{id}/tags/{tag}", s.hasTag)
	put("/servers/{id}/tags/{tag}", s.addTag)
	del("/servers/{id}/tags/{tag}", s.deleteTag)
	get("/servers/{id}/ips", s.listAddresses)
	get("/servers/{id}/ips/{network}", s.showAddresses)
	get("/servers/{id}/os-interface", s.listInterfaces)
	post("/servers/{id}/os-interface", s.attachInterface)
	get("/servers/{id}/os-interface/{port}", s.showInterface)
	del("/servers/{id}/os-interface/{port}", s.detachInterface)
	get("/servers/{id}/os-volume_attachments", s.listAttachments)
	post("/servers/{id}/os-volume_attachments", s.attachVolume)
	get("/servers/{id}/os-volume_attachments/{volume}", s.showAttachment)
	del("/servers/{id}/os-volume_attachments/{volume}", s.detachVolume)
	get("/servers/{id}/os-instance-actions", s.listActions)
	get("/servers/{id}/os-instance-actions/{request}", s.showAction)
	get("/servers/{id}/os-security-groups", s.listServerGroups)
	post("/servers/{id}/remote-consoles", s.createConsole)
}

func (s *Server) mountRest(mux chi.Router, api *rest.Service, prefix string) {
	get, post := func(path string, h rest.Handler) { mux.Get(prefix+path, api.Handle(h)) }, func(path string, h rest.Handler) { mux.Post(prefix+path, api.Handle(h)) }
	del := func(path string, h rest.Handler) { mux.Delete(prefix+path, api.Handle(h)) }
	put := func(path string, h rest.Handler) { mux.Put(prefix+path, api.Handle(h)) }
	get("/flavors", s.listFlavors)
	post("/flavors", s.createFlavor)
	get("/flavors/detail", s.listFlavorsDetail)
	get("/flavors/{id}", s.showFlavor)
	put("/flavors/{id}", s.updateFlavor)
	del("/flavors/{id}", s.deleteFlavor)
	post("/flavors/{id}/action", s.flavorAction)
	get("/flavors/{id}/os-extra_specs", s.listExtraSpecs)
	post("/flavors/{id}/os-extra_specs", s.createExtraSpecs)
	get("/flavors/{id}/os-extra_specs/{key}", s.showExtraSpec)
	put("/flavors/{id}/os-extra_specs/{key}", s.updateExtraSpec)
	del("/flavors/{id}/os-extra_specs/{key}", s.deleteExtraSpec)
	get("/flavors/{id}/os-flavor-access", s.listFlavorAccess)
	get("/os-keypairs", s.listKeypairs)
	post("/os-keypairs", s.createKeypair)
	get("/os-keypairs/{name}", s.showKeypair)
	del("/os-keypairs/{name}", s.deleteKeypair)
	get("/os-server-groups", s.listGroups)
	post("/os-server-groups", s.createGroup)
	get("/os-server-groups/{id}", s.showGroup)
	del("/os-server-groups/{id}", s.deleteGroup)
	get("/os-availability-zone", s.listZones)
	get("/os-availability-zone/detail", s.listZonesDetail)
	get("/limits", s.showLimits)
	get("/os-quota-sets/{project}", s.showQuota)
	put("/os-quota-sets/{project}", s.updateQuota)
	del("/os-quota-sets/{project}", s.deleteQuota)
	get("/os-quota-sets/{project}/defaults", s.showQuotaDefaults)
	get("/os-quota-sets/{project}/detail", s.showQuotaDetail)
	get("/os-quota-class-sets/{class}", s.showQuotaClass)
	put("/os-quota-class-sets/{class}", s.updateQuotaClass)
	get("/os-simple-tenant-usage", s.listUsage)
	get("/os-simple-tenant-usage/{project}", s.showUsage)
	get("/extensions", s.listExtensions)
	get("/extensions/{alias}", s.showExtension)
}

func (s *Server) mountAdmin(mux chi.Router, api *rest.Service, prefix string) {
	mount := func(method, path, policy string, h rest.Handler) {
		mux.Method(method, prefix+path, api.Handle(func(r *rest.Request) (*rest.Reply, error) {
			if !r.Caller.Admin() {
				return nil, denied("os_compute_api:" + policy)
			}
			return h(r)
		}))
	}
	mount("GET", "/os-hypervisors", "os-hypervisors:list", s.listHypervisors(false))
	mount("GET", "/os-hypervisors/detail", "os-hypervisors:list-detail", s.listHypervisors(true))
	mount("GET", "/os-hypervisors/statistics", "os-hypervisors:statistics", s.showStatistics)
	mount("GET", "/os-hypervisors/{id}", "os-hypervisors:show", s.showHypervisor)
	mount("GET", "/os-hypervisors/{id}/uptime", "os-hypervisors:uptime", s.showUptime)
	mount("GET", "/os-hypervisors/{id}/search", "os-hypervisors:search", s.searchHypervisors(false))
	mount("GET", "/os-hypervisors/{id}/servers", "os-hypervisors:servers", s.searchHypervisors(true))
	mount("GET", "/os-services", "os-services:list", s.listServices)
	mount("PUT", "/os-services/{id}", "os-services:update", s.updateService)
	mount("DELETE", "/os-services/{id}", "os-services:delete", s.deleteService)
	mount("GET", "/os-aggregates", "os-aggregates:index", s.listAggregates)
	mount("POST", "/os-aggregates", "os-aggregates:create", s.createAggregate)
	mount("GET", "/os-aggregates/{id}", "os-aggregates:show", s.onAggregate(s.showAggregate))
	mount("PUT", "/os-aggregates/{id}", "os-aggregates:update", s.onAggregate(s.updateAggregate))
	mount("DELETE", "/os-aggregates/{id}", "os-aggregates:delete", s.onAggregate(s.deleteAggregate))
	mount("POST", "/os-aggregates/{id}/action", "os-aggregates:add_host", s.actOnAggregate)
	mount("GET", "/os-migrations", "os-migrations:index", s.listMigrations)
	mount("GET", "/os-hosts", "os-hosts:list", s.listHosts)
	mount("GET", "/os-hosts/{id}", "os-hosts:show", s.showHost)
	mount("GET", "/os-hosts/{id}/{action}", "os-hosts:reboot", s.powerHost)
	mount("GET", "/os-instance_usage_audit_log", "os-instance-usage-audit-log:list", s.showAudit)
	mount("POST", "/os-server-external-events", "os-server-external-events:create", s.createEvents)
}

// admit settles the microversion and holds the project in the path against
// the token's.
func (s *Server) admit(r *rest.Request) error {
	if err := s.negotiate(r); err != nil {
		return err
	}
	if p := r.Param("project_id"); p != "" && p != r.Caller.ProjectID && !r.Caller.Admin() {
		return badRequest("Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'", p, r.Caller.ProjectID)
	}
	return nil
}

var versionForm = regexp.MustCompile(`^([1-9]\d*)\.([1-9]\d*|0)$`)

// wanted finds the version that the client asks for; the newer header wins.
func wanted(h http.Header) string {
	all := strings.Split(strings.Join(h.Values("OpenStack-API-Version"), ","), ",")
	slices.Reverse(all) // the last entry counts
	for _, v := range all {
		if name, version, ok := strings.Cut(strings.TrimSpace(v), " "); ok && strings.EqualFold(name, "compute") {
			return strings.TrimSpace(version)
		}
	}
	return h.Get("X-OpenStack-Nova-API-Version")
}

func (s *Server) negotiate(r *rest.Request) error {
	r.Minor = s.lowest
	text := wanted(r.Request.Header)
	switch text {
	case "":
		text = fmt.Sprintf("2.%d", s.lowest)
	case "latest":
		text = fmt.Sprintf("2.%d", s.Highest)
	}
	m := versionForm.FindStringSubmatch(text)
	if m == nil {
		return badRequest("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", text)
	}
	r.Header.Set("Openstack-Api-Version", "compute "+text)
	r.Header.Set("X-Openstack-Nova-Api-Version", text)
	r.Header["Vary"] = []string{"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"}
	minor, err := strconv.Atoi(m[2])
	if err != nil || m[1] != "2" || minor < s.lowest || minor > s.Highest {
		return fail(http.StatusNotAcceptable, "Version %s is not supported by the API. Minimum is 2.%d and maximum is 2.%d.", text, s.lowest, s.Highest)
	}
	r.Minor = minor
	return nil
}

// base is the version root as the client reached it, for links.
func base(r *rest.Request) string {
	b := r.Root() + "/v2.1"
	if p := r.Param("project_id"); p != "" {
		b += "/" + p
	}
	return b
}

// links are the self and bookmark links of one thing.
func links(r *rest.Request, path string) []rest.Doc {
	self := base(r) + "/" + path
	return []rest.Doc{{"rel": "self", "href": self}, bookmark(r, path)}
}

func bookmark(r *rest.Request, path string) rest.Doc {
	return rest.Doc{"rel": "bookmark", "href": strings.Replace(base(r), "/v2.1", "", 1) + "/" + path}
}

func (s *Server) versionDoc(r *rest.Request) rest.Doc {
	return rest.Doc{
		"id": "v2.1", "status": "CURRENT", "version": fmt.Sprintf("2.%d", s.Highest), "min_version": fmt.Sprintf("2.%d", s.lowest), "updated": "2013-07-23T11:33:21Z",
		"links": []rest.Doc{{"rel": "self", "href": r.Root() + "/v2.1/"}},
	}
}

func (s *Server) versions(r *rest.Request) (*rest.Reply, error) {
	old := rest.Doc{
		"id": "v2.0", "status": "SUPPORTED", "version": "", "min_version": "", "updated": "2011-01-21T11:33:21Z",
		"links": []rest.Doc{{"rel": "self", "href": r.Root() + "/v2/"}},
	}
	return rest.OK(rest.Doc{"versions": []rest.Doc{old, s.versionDoc(r)}})
}

func (s *Server) version(r *rest.Request) (*rest.Reply, error) {
	doc := s.versionDoc(r)
	doc["links"] = append(doc["links"].([]rest.Doc), rest.Doc{"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
	doc["media-types"] = []rest.Doc{{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}}
	return rest.OK(rest.Doc{"version": doc})
}

// body reads a request's object, as Nova's schema check does.
func body(r *rest.Request, key string) (rest.Doc, rest.Doc, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, nil, badRequest("Malformed request body")
	}
	v, ok := doc[key]
	if !ok {
		return nil, nil, badRequest("'%s' is a required property", key)
	}
	in, ok := v.(rest.Doc)
	if !ok {
		return nil, nil, field(key, v, rest.Text(v)+" is not of type 'object'")
	}
	return in, doc, nil
}

func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}
