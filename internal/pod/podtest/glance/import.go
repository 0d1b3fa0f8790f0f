package glance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// lock is the property by which one import at a time works on an image.
const lock = "os_glance_import_task"

// importing is one import.
type importing struct {
	image, method, token string
	task                 rest.Doc
	in                   rest.Doc // the method's arguments
}

// startImport begins an import, as a task beside the request.
func (s *Server) startImport(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed JSON in request body.")
	}
	method, ok := in["method"].(rest.Doc)
	if !ok {
		return nil, badRequest("Import request requires a 'method' field.")
	}
	name := rest.Str(method, "name")
	if !slices.Contains(s.Methods, name) {
		return nil, badRequest("Unknown import method name '%s'.", name)
	}
	i, err := s.find(r)
	if err != nil {
		return nil, err
	}
	if err := s.importable(i, name); err != nil {
		return nil, err
	}
	if err := arguments(name, method); err != nil {
		return nil, err
	}
	if !r.Caller.Sees(i.doc["owner"]) {
		return nil, fail(http.StatusForbidden, "You are not authorized to complete modify_image action.")
	}
	if i.doc[lock] != nil {
		return nil, fail(http.StatusConflict, "Image has active task")
	}
	task := s.newTask(r, i, in)
	i.doc[lock] = task["id"]
	work := importing{image: i.id(), method: name, token: r.Request.Header.Get("X-Auth-Token"), task: task, in: method}
	s.After(func() {
		c, err := s.run(work)
		s.finish(work, c, err)
	})
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

// importable holds the image's state against the method.
func (s *Server) importable(i *image, method string) error {
	status := i.doc["status"]
	switch {
	case status == "active" && method != "copy-image":
		return fail(http.StatusConflict, "Image with status active cannot be target for import")
	case status != "active" && method == "copy-image":
		return fail(http.StatusConflict, "Only images with status active can be targeted for copying")
	case status != "queued" && (method == "web-download" || method == "glance-download"):
		return fail(http.StatusConflict, "Image needs to be in 'queued' state to use '%s' method", method)
	case status != "uploading" && method == "glance-direct":
		return fail(http.StatusConflict, "Image needs to be staged before 'glance-direct' method can be used")
	}
	for _, name := range []string{"container_format", "disk_format"} {
		if i.doc[name] == nil {
			return fail(http.StatusConflict, "'%s' needs to be set before import", name)
		}
	}
	return nil
}

func arguments(method string, in rest.Doc) error {
	switch method {
	case "glance-download":
		for _, name := range []string{"glance_region", "glance_image_id"} {
			if rest.Str(in, name) == "" {
				return badRequest("'%s' needs to be set for glance-download import method", name)
			}
		}
		if _, err := uuid.Parse(rest.Str(in, "glance_image_id")); err != nil {
			return badRequest("Remote image id does not look like a UUID: %s", rest.Str(in, "glance_image_id"))
		}
	case "web-download":
		uri := rest.Str(in, "uri")
		if u, err := url.Parse(uri); err != nil || u.Scheme != "http" && u.Scheme != "https" {
			if uri == "" {
				uri = "None"
			}
			return badRequest("URI for web-download does not pass filtering: %s", uri)
		}
	}
	return nil
}

// run brings the data. It works without the lock.
func (s *Server) run(w importing) (content, error) {
	s.Mu.Lock()
	i := s.image(w.image)
	if i == nil {
		s.Mu.Unlock()
		return content{}, fmt.Errorf("image %s is gone", w.image)
	}
	s.Mu.Unlock()
	switch w.method {
	case "glance-direct":
		return i.staged, nil
	case "copy-image":
		return i.content, nil // there is one store, and it has it
	case "web-download":
		s.status(w.image, "importing")
		return fetch(rest.Str(w.in, "uri"), "")
	}
	base, ok := s.Endpoint(rest.Str(w.in, "glance_region"))
	if !ok {
		return content{}, fmt.Errorf("no Glance in region %s", rest.Str(w.in, "glance_region"))
	}
	from := base + "/v2/images/" + rest.Str(w.in, "glance_image_id")
	if err := s.like(w, from); err != nil {
		return content{}, err
	}
	return fetch(from+"/file", w.token)
}

// taken are the beginnings of the properties that a download from a Glance brings.
var taken = []string{"hw_", "trait:", "os_distro", "os_secure_boot", "os_type"}

// like takes formats and some properties from the other Glance's image.
func (s *Server) like(w importing, from string) error {
	var other rest.Doc
	err := get(from, w.token, func(in io.Reader) error { return json.NewDecoder(in).Decode(&other) })
	if err != nil {
		return err
	}
	if other["status"] != "active" {
		return fmt.Errorf("the other image is %v", other["status"])
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	i := s.image(w.image)
	if i == nil {
		return fmt.Errorf("image %s is gone", w.image)
	}
	i.doc["status"] = "importing"
	for name, v := range other {
		if name == "disk_format" || name == "container_format" || slices.ContainsFunc(taken, func(p string) bool { return strings.HasPrefix(name, p) }) {
			i.doc[name] = v
		}
	}
	return nil
}

func fetch(from, token string) (c content, err error) {
	err = get(from, token, func(in io.Reader) error {
		c, err = digest(in)
		return err
	})
	return c, err
}

func get(from, token string, take func(io.Reader) error) error {
	req, err := http.NewRequest(http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	resp, err := rest.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
		return fmt.Errorf("%s", resp.Status)
	}
	return take(resp.Body)
}

// finish ends an import: the image is active, or as it was before.
func (s *Server) finish(w importing, c content, err error) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	w.task["updated_at"] = s.stamp()
	i := s.image(w.image)
	if err != nil || i == nil {
		w.task["status"], w.task["message"] = "failure", "Task failed due to Internal Error"
	} else {
		w.task["status"], w.task["message"] = "success", fmt.Sprintf("Copied %d MiB", c.size>>20)
		w.task["result"] = rest.Doc{"image_id": w.image}
	}
	if i == nil {
		return
	}
	delete(i.doc, lock)
	i.doc["os_glance_importing_to_stores"], i.doc["os_glance_failed_import"] = "", ""
	i.doc["updated_at"] = s.stamp()
	switch {
	case err == nil:
		i.store(c)
	case w.method != "copy-image":
		i.doc["status"], i.doc["size"] = "queued", nil
	}
}

func (s *Server) status(id, status string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if i := s.image(id); i != nil {
		i.doc["status"] = status
	}
}

// image finds one for Glance itself; nil when it is gone. Mu must be held.
func (s *Server) image(id string) *image {
	for _, i := range s.images {
		if i.id() == id {
			return i
		}
	}
	return nil
}

// SetImportMethods changes what the Glance offers. Mu must not be held.
func (s *Server) SetImportMethods(methods ...string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.Methods = append([]string{}, methods...)
}

// Spoil changes an image's data without its sums. Mu must not be held.
func (s *Server) Spoil(id string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if i := s.image(id); i != nil {
		i.content.file, i.content.data = nil, []byte(strings.Repeat("x", int(i.size)))
	}
}

// Empty makes an image one without data, as Nova makes them of servers that boot from
// volumes. Mu must not be held.
func (s *Server) Empty(id string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if i := s.image(id); i != nil {
		i.content, i.size, i.doc["size"], i.doc["checksum"], i.doc["os_hash_algo"], i.doc["os_hash_value"] = content{}, 0, int64(0), nil, nil, nil
	}
}
