package cinder

import (
	"net/http"
	"sort"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// volumeType finds by ID or name; nil when there is none.
func (s *Server) volumeType(ref string) rest.Doc {
	for _, t := range s.types {
		if t["id"] == ref || t["name"] == ref {
			return t
		}
	}
	return nil
}

func (s *Server) typeID(name string) any { return s.volumeType(name)["id"] }

func typeDoc(r *rest.Request, t rest.Doc) rest.Doc {
	d := rest.Doc{}
	for k, v := range t {
		if k != "qos_specs_id" || r.Caller.Admin() {
			d[k] = v
		}
	}
	return d
}

func (s *Server) listTypes(r *rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, t := range s.types {
		out = append(out, typeDoc(r, t))
	}
	sort.Slice(out, func(i, j int) bool { return rest.Str(out[i], "id") < rest.Str(out[j], "id") })
	return rest.OK(rest.Doc{"volume_types": out})
}

func (s *Server) showType(r *rest.Request) (*rest.Reply, error) {
	id := r.Param("id")
	if id == "default" {
		id = "fake"
	}
	t := s.volumeType(id)
	if t == nil {
		return nil, fail(http.StatusNotFound, "Volume type %s could not be found.", r.Param("id"))
	}
	return rest.OK(rest.Doc{"volume_type": typeDoc(r, t)})
}
