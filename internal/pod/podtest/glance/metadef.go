package glance

import (
	"maps"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// namespace is a namespace of metadata definitions.
type namespace struct {
	fields rest.Doc
	parts  map[string]map[string]rest.Doc // by path, then by name
}

// namespaceParts are the paths below a namespace, and the members that show them.
var namespaceParts = map[string]string{"objects": "objects", "properties": "properties", "tags": "tags", "resource_types": "resource_type_associations"}

// namespaceFields are what can be set of a namespace.
var namespaceFields = []string{"namespace", "display_name", "description", "visibility", "protected", "owner"}

func (s *Server) metadefs(mux chi.Router, api *rest.Service) {
	admin := func(do rest.Handler) http.HandlerFunc {
		return api.Handle(func(r *rest.Request) (*rest.Reply, error) {
			if r.Method != http.MethodGet && !r.Caller.Admin() {
				return nil, fail(http.StatusForbidden, "You are not authorized to complete modify_metadef_namespace action.")
			}
			return do(r)
		})
	}
	mux.Get("/v2/metadefs/namespaces", admin(s.listNamespaces))
	mux.Post("/v2/metadefs/namespaces", admin(s.createNamespace))
	mux.Get("/v2/metadefs/namespaces/{ns}", admin(s.inNamespace(s.showNamespace)))
	mux.Put("/v2/metadefs/namespaces/{ns}", admin(s.inNamespace(s.updateNamespace)))
	mux.Delete("/v2/metadefs/namespaces/{ns}", admin(s.inNamespace(s.deleteNamespace)))
	mux.Post("/v2/metadefs/namespaces/{ns}/{path}", admin(s.inNamespace(s.addPart)))
	mux.Post("/v2/metadefs/namespaces/{ns}/{path}/{name}", admin(s.inNamespace(s.addPart)))
	mux.Get("/v2/metadefs/namespaces/{ns}/{path}/{name}", admin(s.inNamespace(s.showPart)))
	mux.Put("/v2/metadefs/namespaces/{ns}/{path}/{name}", admin(s.inNamespace(s.updatePart)))
	mux.Delete("/v2/metadefs/namespaces/{ns}/{path}/{name}", admin(s.inNamespace(s.deletePart)))
}

// inNamespace finds the namespace of the path.
func (s *Server) inNamespace(do func(r *rest.Request, n *namespace) (*rest.Reply, error)) rest.Handler {
	return func(r *rest.Request) (*rest.Reply, error) {
		n := s.namespaces[r.Param("ns")]
		if n == nil {
			return nil, fail(http.StatusNotFound, "Metadata definition namespace=%s was not found.", r.Param("ns"))
		}
		return do(r, n)
	}
}

func (s *Server) listNamespaces(*rest.Request) (*rest.Reply, error) {
	rows := []rest.Doc{}
	for _, name := range slices.Sorted(maps.Keys(s.namespaces)) {
		rows = append(rows, s.namespaces[name].fields)
	}
	return rest.OK(rest.Doc{"namespaces": rows, "first": "/v2/metadefs/namespaces", "schema": "/v2/schemas/metadefs/namespaces"})
}

func (s *Server) createNamespace(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, err
	}
	name := rest.Str(in, "namespace")
	if s.namespaces[name] != nil {
		return nil, fail(http.StatusConflict, "The metadata definition namespace=%s already exists.", name)
	}
	n := &namespace{parts: map[string]map[string]rest.Doc{}, fields: rest.Doc{
		"visibility": "private", "protected": false, "owner": r.Caller.ProjectID, "created_at": s.stamp(), "updated_at": s.stamp(),
		"self": "/v2/metadefs/namespaces/" + name, "schema": "/v2/schemas/metadefs/namespace"}}
	n.set(in)
	if s.namespaces == nil {
		s.namespaces = map[string]*namespace{}
	}
	s.namespaces[name] = n
	return rest.Created(n.fields)
}

func (n *namespace) set(in rest.Doc) {
	for _, name := range namespaceFields {
		if v, ok := in[name]; ok {
			n.fields[name] = v
		}
	}
}

func (s *Server) showNamespace(_ *rest.Request, n *namespace) (*rest.Reply, error) {
	doc := maps.Clone(n.fields)
	for path, member := range namespaceParts {
		parts := n.parts[path]
		if len(parts) == 0 {
			continue
		}
		if path == "properties" {
			doc[member] = parts
			continue
		}
		rows := []rest.Doc{}
		for _, name := range slices.Sorted(maps.Keys(parts)) {
			rows = append(rows, parts[name])
		}
		doc[member] = rows
	}
	return rest.OK(doc)
}

func (s *Server) updateNamespace(r *rest.Request, n *namespace) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, err
	}
	n.set(in)
	return rest.OK(n.fields)
}

func (s *Server) deleteNamespace(r *rest.Request, n *namespace) (*rest.Reply, error) {
	if n.fields["protected"] == true {
		return nil, fail(http.StatusForbidden, "Metadata definition namespace %s is protected and cannot be deleted.", r.Param("ns"))
	}
	delete(s.namespaces, r.Param("ns"))
	return &rest.Reply{Status: http.StatusNoContent}, nil
}

// addPart adds one part: a tag by its path, all else by a body with its name.
func (s *Server) addPart(r *rest.Request, n *namespace) (*rest.Reply, error) {
	path, in := r.Param("path"), rest.Doc{"name": r.Param("name")}
	if r.Param("name") == "" {
		var err error
		if in, err = r.JSON(); err != nil {
			return nil, err
		}
	}
	name := rest.Str(in, "name")
	if namespaceParts[path] == "" || name == "" {
		return nil, badRequest("'name' is a required property")
	}
	if n.parts[path][name] != nil {
		return nil, fail(http.StatusConflict, "A metadata definition %s with name=%s already exists in namespace=%s.", path, name, r.Param("ns"))
	}
	if n.parts[path] == nil {
		n.parts[path] = map[string]rest.Doc{}
	}
	n.parts[path][name] = s.stamped(path, in)
	return rest.Created(n.parts[path][name])
}

// stamped is a part as Glance shows it.
func (s *Server) stamped(path string, in rest.Doc) rest.Doc {
	if path != "properties" {
		in["created_at"], in["updated_at"] = s.stamp(), s.stamp()
	}
	return in
}

func (s *Server) part(r *rest.Request, n *namespace) (rest.Doc, error) {
	if found := n.parts[r.Param("path")][r.Param("name")]; found != nil {
		return found, nil
	}
	return nil, fail(http.StatusNotFound, "The metadata definition with name=%s was not found in namespace=%s.", r.Param("name"), r.Param("ns"))
}

func (s *Server) showPart(r *rest.Request, n *namespace) (*rest.Reply, error) {
	found, err := s.part(r, n)
	if err != nil {
		return nil, err
	}
	return rest.OK(found)
}

func (s *Server) updatePart(r *rest.Request, n *namespace) (*rest.Reply, error) {
	if _, err := s.part(r, n); err != nil {
		return nil, err
	}
	in, err := r.JSON()
	if err != nil {
		return nil, err
	}
	n.parts[r.Param("path")][r.Param("name")] = s.stamped(r.Param("path"), in)
	return rest.OK(in)
}

func (s *Server) deletePart(r *rest.Request, n *namespace) (*rest.Reply, error) {
	if _, err := s.part(r, n); err != nil {
		return nil, err
	}
	delete(n.parts[r.Param("path")], r.Param("name"))
	return &rest.Reply{Status: http.StatusNoContent}, nil
}
