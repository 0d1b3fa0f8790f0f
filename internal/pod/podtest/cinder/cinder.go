// Package cinder is a Block Storage API v3 in memory.
package cinder

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// highest is the second number of the highest microversion.
const highest = 70

// Options say what a Cinder is like.
type Options struct {
	Mu      *sync.Mutex // shared by the pod's services
	Auth    func(token string) (rest.Caller, bool)
	AuthURL string
	Now     func() time.Time
	Zone    string
	Images  *glance.Server
}

// Server is one Cinder.
type Server struct {
	Options
	http http.Handler

	volumes     []*volume // oldest first
	snapshots   []*snapshot
	backups     []*backup
	attachments []*attachment
	transfers   []*transfer
	groups      []*group
	sets        []*set // snapshots of groups
	messages    []*message
	unmanaged   []*volume // left to the back end
	disabled    bool      // the volume service
	types       []rest.Doc
	typing
	service string
	quotas  quotas
	store   string // where backups are kept
}

// New makes a Cinder with two volume types and no volumes.
func New(o Options) *Server {
	s := &Server{Options: o, service: uuid.NewString(), quotas: newQuotas(), typing: newTyping()}
	for name, description := range map[string]any{"fake": nil, "__DEFAULT__": "Default Volume Type"} {
		s.types = append(s.types, rest.Doc{
			"id": uuid.NewString(), "name": name, "is_public": true, "description": description, "extra_specs": rest.Doc{},
			"os-volume-type-access:is_public": true, "qos_specs_id": nil,
		})
	}
	s.http = s.routes()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }

var kinds = map[int]string{
	400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 409: "conflictingRequest",
	413: "overLimit", 415: "badMediaType", 501: "notImplemented", 503: "serviceUnavailable",
}

func shape(accept string, e *rest.Error) (string, []byte) {
	if e.Kind == "webob" {
		return rest.WebOb(accept, e.Status, e.Message)
	}
	kind, ok := kinds[e.Status]
	if !ok {
		kind = "computeFault"
	}
	d := rest.Doc{"code": e.Status, "message": e.Message}
	if e.Status == http.StatusRequestEntityTooLarge {
		d["retryAfter"] = "0"
	}
	body, _ := json.Marshal(rest.Doc{kind: d})
	return "application/json", body
}

func fail(status int, format string, args ...any) *rest.Error {
	return rest.Errorf(status, "", format, args...)
}

func badRequest(format string, args ...any) *rest.Error {
	return fail(http.StatusBadRequest, format, args...)
}

func (s *Server) routes() http.Handler {
	api := &rest.Service{
		Mu: s.Mu, Auth: s.Auth, AuthURL: s.AuthURL, Shape: shape, Admit: s.admit,
		RequestID: []string{"X-Openstack-Request-Id", "X-Compute-Request-Id"},
	}
	none := *api
	none.Admit = nil
	mux := chi.NewRouter()
	notFound := none.Public(func(*rest.Request) (*rest.Reply, error) {
		return nil, rest.Errorf(http.StatusNotFound, "webob", "The resource could not be found.")
	})
	mux.NotFound(notFound)
	mux.MethodNotAllowed(notFound)
	mux.Get("/", none.Public(versions(http.StatusMultipleChoices)))
	for _, path := range []string{"/v3", "/v3/"} {
		mux.Get(path, api.Handle(versions(http.StatusOK)))
	}
	for _, prefix := range []string{"/v3", "/v3/{project_id:[0-9a-f]{32}}"} {
		s.mount(mux, api, prefix)
	}
	return mux
}

// verbs are how routes are added.
type verbs struct {
	get, post, put, del func(path string, h rest.Handler)
}

func (s *Server) mount(mux chi.Router, api *rest.Service, prefix string) {
	get, post := func(path string, h rest.Handler) { mux.Get(prefix+path, api.Handle(h)) }, func(path string, h rest.Handler) { mux.Post(prefix+path, api.Handle(h)) }
	put, del := func(path string, h rest.Handler) { mux.Put(prefix+path, api.Handle(h)) }, func(path string, h rest.Handler) { mux.Delete(prefix+path, api.Handle(h)) }
	all := verbs{get, post, put, del}
	get("/volumes", s.listVolumes)
	post("/volumes", s.createVolume)
	get("/volumes/detail", s.listVolumesDetail)
	get("/volumes/summary", s.summarize)
	get("/volumes/{id}", s.showVolume)
	put("/volumes/{id}", s.updateVolume)
	del("/volumes/{id}", s.deleteVolume)
	post("/volumes/{id}/action", s.actOnVolume)
	mountMetadata(all, "Volume", "/volumes/{id}/metadata", func(r *rest.Request) (map[string]string, error) {
		v, err := s.find(r, r.Param("id"))
		if err != nil {
			return nil, err
		}
		return v.metadata, nil
	})
	s.mountSnapshots(all)
	s.mountBackups(all)
	s.mountAttachments(all)
	s.mountTransfers(all)
	s.mountGroups(all)
	s.mountMessages(all)
	s.mountOperators(all)
	s.mountTypes(all)
	if prefix == "/v3" {
		s.mountDefaults(all)
	}
	get("/limits", s.showLimits)
	get("/os-quota-sets/{project}", s.showQuota)
	put("/os-quota-sets/{project}", s.updateQuota)
	del("/os-quota-sets/{project}", s.deleteQuota)
	get("/os-quota-sets/{project}/defaults", s.showQuotaDefaults)
	get("/os-quota-class-sets/{class}", s.showClass)
	put("/os-quota-class-sets/{class}", s.updateClass)
	get("/os-availability-zone", s.listZones)
	get("/extensions", func(*rest.Request) (*rest.Reply, error) { return rest.OK(rest.Doc{"extensions": []any{}}) })
}

func (s *Server) admit(r *rest.Request) error {
	if err := negotiate(r); err != nil {
		return err
	}
	if p := r.Param("project_id"); p != "" && p != r.Caller.ProjectID {
		return badRequest("Malformed request url")
	}
	return nil
}

var versionForm = regexp.MustCompile(`^([1-9]\d*)\.([1-9]\d*|0)$`)

func negotiate(r *rest.Request) error {
	text := "3.0"
	if all := r.Request.Header.Get("OpenStack-API-Version"); all != "" {
		text = ""
		for _, v := range strings.Split(all, ",") {
			if parts := strings.Fields(v); strings.Contains(v, "volume") && len(parts) == 2 {
				text = parts[1]
				break
			}
		}
		if text == "" {
			return badRequest("The server could not comply with the request since it is either malformed or otherwise incorrect.")
		}
	}
	if text == "latest" {
		text = fmt.Sprintf("3.%d", highest)
	}
	m := versionForm.FindStringSubmatch(text)
	if m == nil {
		return badRequest("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", text)
	}
	r.Header.Set("Openstack-Api-Version", "volume "+text)
	r.Header.Set("Vary", "OpenStack-API-Version")
	minor, err := strconv.Atoi(m[2])
	if err != nil || m[1] != "3" || minor > highest {
		return fail(http.StatusNotAcceptable, "Version %s is not supported by the API. Minimum is 3.0 and maximum is 3.%d.", text, highest)
	}
	r.Minor = minor
	return nil
}

func versions(status int) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		return &rest.Reply{Status: status, Body: rest.Doc{"versions": []rest.Doc{{
			"id": "v3.0", "status": "CURRENT", "version": fmt.Sprintf("3.%d", highest), "min_version": "3.0", "updated": "2022-08-31T00:00:00Z",
			"links": []rest.Doc{
				{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}, {"rel": "self", "href": r.Root() + "/v3/"},
			},
			"media-types": []rest.Doc{{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}},
		}}}}, nil
	}
}

func base(r *rest.Request) string { return r.Root() + "/v3/" + r.Caller.ProjectID }

func links(r *rest.Request, path string) []rest.Doc {
	return []rest.Doc{
		{"rel": "self", "href": base(r) + "/" + path},
		{"rel": "bookmark", "href": r.Root() + "/" + r.Caller.ProjectID + "/" + path},
	}
}

// body reads a request's object.
func body(r *rest.Request, key string) (rest.Doc, error) {
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	in, ok := doc[key].(rest.Doc)
	if !ok {
		return nil, badRequest("Invalid input for field/attribute. '%s' is a required property", key)
	}
	return in, nil
}

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}
