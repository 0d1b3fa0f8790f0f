package glance

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

const patchType = "application/openstack-images-v2.1-json-patch"

// operation is one step of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func (s *Server) update(r *rest.Request) (*rest.Reply, error) {
	accept := []string{"application/openstack-images-v2.0-json-patch", patchType}
	if !slices.Contains(accept, r.Request.Header.Get("Content-Type")) {
		e := fail(http.StatusUnsupportedMediaType, "The request media type %s is not supported by this server.", r.Request.Header.Get("Content-Type"))
		e.Header = http.Header{"Accept-Patch": {strings.Join(accept, ", ")}}
		return nil, e
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, rest.MaxBody))
	var steps []operation
	if err != nil || json.Unmarshal(raw, &steps) != nil {
		return nil, badRequest("Malformed JSON in request body.")
	}
	i, err := s.own(r, "modify_image")
	if err != nil {
		return nil, err
	}
	for _, step := range steps {
		if err := i.patch(r.Caller, step); err != nil {
			return nil, err
		}
	}
	i.doc["updated_at"] = s.stamp()
	return rest.OK(i.view())
}

func (i *image) patch(c rest.Caller, step operation) error {
	name := strings.TrimPrefix(step.Path, "/")
	name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	if name == "" || name == step.Path {
		return badRequest("Pointer `%s` does not start with \"/\".", step.Path)
	}
	_, has := i.doc[name]
	base := slices.Contains(baseProperties, name)
	switch step.Op {
	case "add", "replace":
		if step.Op == "replace" && !has {
			return fail(http.StatusConflict, "Property %s does not exist.", name)
		}
		if name == "id" {
			return fail(http.StatusForbidden, "Attribute 'id' is read-only.")
		}
		if status := i.doc["status"]; (name == "disk_format" || name == "container_format") && status != "queued" {
			return fail(http.StatusForbidden, "Attribute %s can be only replaced for a queued image.", name)
		}
		if strings.HasPrefix(name, "os_glance_") {
			return fail(http.StatusForbidden, "Access was denied to this resource.\nAttribute '%s' is reserved.", name)
		}
		if err := check(c, rest.Doc{name: step.Value}); err != nil {
			return err
		}
		i.doc[name] = step.Value
	case "remove":
		if base {
			return fail(http.StatusForbidden, "Property %s may not be removed.", name)
		}
		if !has {
			return fail(http.StatusConflict, "Property %s does not exist.", name)
		}
		delete(i.doc, name)
	default:
		return badRequest("Unable to find `add`, `replace`, or `remove` in JSON Schema change")
	}
	return nil
}
