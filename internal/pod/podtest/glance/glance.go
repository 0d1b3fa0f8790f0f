// Package glance is an Image API v2 in memory.
package glance

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Options say what a Glance is like.
type Options struct {
	Mu      *sync.Mutex // shared by the pod's services
	Auth    func(token string) (rest.Caller, bool)
	AuthURL string
	Now     func() time.Time
	// Methods are those of imports. Nil: all.
	Methods []string
	// After runs an import beside the request that asked for it. Nil: go.
	After func(do func())
	// Endpoint finds the Glance of a region, without a version.
	Endpoint func(region string) (url string, ok bool)
}

// Server is one Glance.
type Server struct {
	Options
	http http.Handler

	images []*image // oldest first
	gone   map[string]bool
	tasks  []rest.Doc // oldest first, with the image's ID

	namespaces map[string]*namespace
}

// New makes a Glance without images.
func New(o Options) *Server {
	if o.Methods == nil {
		o.Methods = []string{"glance-direct", "web-download", "glance-download", "copy-image"}
	}
	if o.After == nil {
		o.After = func(do func()) { go do() }
	}
	s := &Server{Options: o, gone: map[string]bool{}}
	s.http = s.routes()
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }

func shape(accept string, e *rest.Error) (string, []byte) {
	return rest.WebOb(accept, e.Status, e.Message)
}

func fail(status int, format string, args ...any) *rest.Error {
	return rest.Errorf(status, "", format, args...)
}

func badRequest(format string, args ...any) *rest.Error {
	return fail(http.StatusBadRequest, format, args...)
}

func (s *Server) routes() http.Handler {
	api := &rest.Service{
		Mu: s.Mu, Auth: s.Auth, AuthURL: s.AuthURL, Shape: shape, RequestID: []string{"X-Openstack-Request-Id"},
		Unauthorized: fail(http.StatusUnauthorized, "This server could not verify that you are authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials required."),
	}
	mux := chi.NewRouter()
	notFound := api.Public(func(*rest.Request) (*rest.Reply, error) {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	})
	mux.NotFound(notFound)
	mux.MethodNotAllowed(api.Public(func(*rest.Request) (*rest.Reply, error) {
		return nil, fail(http.StatusMethodNotAllowed, "The method is not allowed for this resource.")
	}))
	mux.Get("/", api.Public(versions(http.StatusMultipleChoices)))
	mux.Get("/versions", api.Public(versions(http.StatusOK)))
	mux.Get("/v2/images", api.Handle(s.list))
	mux.Post("/v2/images", api.Handle(s.create))
	mux.Get("/v2/images/{id}", api.Handle(s.show))
	mux.Patch("/v2/images/{id}", api.Handle(s.update))
	mux.Delete("/v2/images/{id}", api.Handle(s.remove))
	mux.Put("/v2/images/{id}/file", api.Streaming(s.upload))
	mux.Get("/v2/images/{id}/file", api.Handle(s.download))
	mux.Put("/v2/images/{id}/stage", api.Streaming(s.stage))
	mux.Post("/v2/images/{id}/import", api.Handle(s.startImport))
	mux.Get("/v2/images/{id}/tasks", api.Handle(s.imageTasks))
	mux.Get("/v2/tasks", api.Handle(s.listTasks))
	mux.Get("/v2/tasks/{task}", api.Handle(s.showTask))
	mux.Put("/v2/images/{id}/tags/{tag}", api.Handle(s.addTag))
	mux.Delete("/v2/images/{id}/tags/{tag}", api.Handle(s.removeTag))
	mux.Post("/v2/images/{id}/actions/{action}", api.Handle(s.act))
	mux.Get("/v2/images/{id}/members", api.Handle(s.listMembers))
	mux.Post("/v2/images/{id}/members", api.Handle(s.addMember))
	mux.Get("/v2/images/{id}/members/{member}", api.Handle(s.showMember))
	mux.Put("/v2/images/{id}/members/{member}", api.Handle(s.updateMember))
	mux.Delete("/v2/images/{id}/members/{member}", api.Handle(s.removeMember))
	s.metadefs(mux, api)
	mux.Get("/v2/info/import", api.Handle(func(*rest.Request) (*rest.Reply, error) {
		return rest.OK(rest.Doc{"import-methods": rest.Doc{"description": "Import methods available.", "type": "array", "value": s.Methods}})
	}))
	for _, name := range []string{"image", "images", "member", "members"} {
		mux.Get("/v2/schemas/"+name, api.Handle(func(*rest.Request) (*rest.Reply, error) { return rest.OK(schemaDoc(name)) }))
	}
	return mux
}

func versions(status int) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		out := []rest.Doc{}
		for i, n := range []int{15, 9, 7, 6, 5, 4, 3, 2, 1, 0} {
			state := "SUPPORTED"
			if i == 0 {
				state = "CURRENT"
			}
			out = append(out, rest.Doc{"id": fmt.Sprintf("v2.%d", n), "status": state, "links": []rest.Doc{{"rel": "self", "href": r.Root() + "/v2/"}}})
		}
		return &rest.Reply{Status: status, Body: rest.Doc{"versions": out}}, nil
	}
}

// schemaDoc is the schema with the names that clients look for.
func schemaDoc(name string) rest.Doc {
	if strings.HasSuffix(name, "s") {
		return rest.Doc{"name": name, "properties": rest.Doc{name: rest.Doc{"type": "array", "items": schemaDoc(strings.TrimSuffix(name, "s"))}},
			"links": []rest.Doc{{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}}}
	}
	if name == "member" {
		return rest.Doc{"name": name, "properties": rest.Doc{"created_at": text(), "image_id": text(), "member_id": text(), "schema": text(), "status": text(), "updated_at": text()}}
	}
	properties := rest.Doc{}
	for _, p := range baseProperties {
		properties[p] = text()
	}
	for _, p := range []string{"protected", "os_hidden"} {
		properties[p] = rest.Doc{"type": "boolean"}
	}
	for _, p := range []string{"size", "virtual_size", "min_disk", "min_ram"} {
		properties[p] = rest.Doc{"type": []string{"null", "integer"}}
	}
	properties["tags"] = rest.Doc{"type": "array", "items": text()}
	return rest.Doc{"name": name, "properties": properties, "additionalProperties": rest.Doc{"type": "string"},
		"links": []rest.Doc{{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"}}}
}

func text() rest.Doc { return rest.Doc{"type": []string{"null", "string"}} }
