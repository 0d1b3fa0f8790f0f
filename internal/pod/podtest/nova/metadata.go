package nova

import (
	"maps"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

func checkMetadata(v any) error {
	m, ok := v.(rest.Doc)
	if !ok {
		return field("metadata", v, "is not of type 'object'")
	}
	for _, k := range sortedKeys(m) {
		if _, ok := m[k].(string); !ok {
			return field(k, m[k], rest.Text(m[k])+" is not of type 'string'")
		}
	}
	return nil
}

func (s *Server) listMetadata(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"metadata": maps.Clone(v.metadata)})
}

// takeMetadata reads a body of metadata for the server of the path.
func (s *Server) takeMetadata(r *rest.Request, key string) (*server, rest.Doc, error) {
	in, _, err := body(r, key)
	if err != nil {
		return nil, nil, err
	}
	if err := checkMetadata(in); err != nil {
		return nil, nil, err
	}
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, nil, err
	}
	return v, in, nil
}

func (s *Server) mergeMetadata(r *rest.Request) (*rest.Reply, error) {
	v, in, err := s.takeMetadata(r, "metadata")
	if err != nil {
		return nil, err
	}
	for k, val := range in {
		v.metadata[k] = rest.Text(val)
	}
	return rest.OK(rest.Doc{"metadata": maps.Clone(v.metadata)})
}

func (s *Server) replaceMetadata(r *rest.Request) (*rest.Reply, error) {
	v, in, err := s.takeMetadata(r, "metadata")
	if err != nil {
		return nil, err
	}
	v.metadata = map[string]string{}
	for k, val := range in {
		v.metadata[k] = rest.Text(val)
	}
	return rest.OK(rest.Doc{"metadata": maps.Clone(v.metadata)})
}

func noMetadata() error { return fail(http.StatusNotFound, "Metadata item was not found") }

func (s *Server) showMetadata(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	val, ok := v.metadata[r.Param("key")]
	if !ok {
		return nil, noMetadata()
	}
	return rest.OK(rest.Doc{"meta": rest.Doc{r.Param("key"): val}})
}

func (s *Server) setMetadata(r *rest.Request) (*rest.Reply, error) {
	v, in, err := s.takeMetadata(r, "meta")
	if err != nil {
		return nil, err
	}
	key := r.Param("key")
	val, ok := in[key]
	if !ok {
		return nil, badRequest("Request body and URI mismatch")
	}
	v.metadata[key] = rest.Text(val)
	return rest.OK(rest.Doc{"meta": rest.Doc{key: val}})
}

func (s *Server) deleteMetadata(r *rest.Request) (*rest.Reply, error) {
	v, err := s.find(r, r.Param("id"))
	if err != nil {
		return nil, err
	}
	if _, ok := v.metadata[r.Param("key")]; !ok {
		return nil, noMetadata()
	}
	delete(v.metadata, r.Param("key"))
	return rest.NoContent()
}

// tagged finds the server of the path; there are tags since 2.26.
func (s *Server) tagged(r *rest.Request) (*server, error) {
	if r.Minor < 26 {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	return s.find(r, r.Param("id"))
}

func (s *Server) listTags(r *rest.Request) (*rest.Reply, error) {
	v, err := s.tagged(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"tags": append([]string{}, v.tags...)})
}

func (s *Server) replaceTags(r *rest.Request) (*rest.Reply, error) {
	v, err := s.tagged(r)
	if err != nil {
		return nil, err
	}
	doc, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed request body")
	}
	v.tags = slices.Clone(rest.Strings(doc, "tags"))
	return rest.OK(rest.Doc{"tags": append([]string{}, v.tags...)})
}

func (s *Server) deleteTags(r *rest.Request) (*rest.Reply, error) {
	v, err := s.tagged(r)
	if err != nil {
		return nil, err
	}
	v.tags = nil
	return rest.NoContent()
}

func (s *Server) noTag(r *rest.Request, v *server) error {
	return fail(http.StatusNotFound, "Server %s has no tag '%s'", v.id, r.Param("tag"))
}

func (s *Server) hasTag(r *rest.Request) (*rest.Reply, error) {
	v, err := s.tagged(r)
	if err != nil {
		return nil, err
	}
	if v.untagged(r.Param("tag")) {
		return nil, s.noTag(r, v)
	}
	return rest.NoContent()
}

func (s *Server) addTag(r *rest.Request) (*rest.Reply, error) {
	v, err := s.tagged(r)
	if err != nil {
		return nil, err
	}
	if !v.untagged(r.Param("tag")) {
		return rest.NoContent()
	}
	v.tags = append(v.tags, r.Param("tag"))
	return &rest.Reply{Status: http.StatusCreated}, nil
}

func (s *Server) deleteTag(r *rest.Request) (*rest.Reply, error) {
	v, err := s.tagged(r)
	if err != nil {
		return nil, err
	}
	if v.untagged(r.Param("tag")) {
		return nil, s.noTag(r, v)
	}
	v.tags = slices.DeleteFunc(v.tags, func(t string) bool { return t == r.Param("tag") })
	return rest.NoContent()
}
