package glance

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Image is an image to start with.
type Image struct {
	ID, Name   string // ID empty: made up
	Owner      string // project ID
	Visibility string // empty: public
	DiskFormat string // empty: raw
	Data       []byte // empty: some
	Properties map[string]string
}

// baseProperties are those that every image has; all others are the users'.
var baseProperties = []string{
	"id", "name", "status", "visibility", "protected", "os_hidden", "checksum", "os_hash_algo", "os_hash_value", "owner", "size", "virtual_size",
	"container_format", "disk_format", "created_at", "updated_at", "tags", "direct_url", "min_ram", "min_disk", "self", "file", "schema", "locations",
}

// settable are the base properties that a user may set.
var settable = []string{"name", "visibility", "protected", "os_hidden", "owner", "container_format", "disk_format", "tags", "min_ram", "min_disk", "id"}

// image is one image.
type image struct {
	doc     rest.Doc // without links
	created time.Time
	content content
	staged  content
	size    int64
	members []rest.Doc
}

func (i *image) id() string { return rest.Str(i.doc, "id") }

// Add adds an active image and returns its ID. Mu must not be held.
func (s *Server) Add(in Image) string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.Keep(in)
}

// Keep is Add for those who hold Mu: Cinder makes images of volumes.
func (s *Server) Keep(in Image) string {
	i := s.fresh(in.ID, in.Owner)
	i.doc["name"] = in.Name
	i.doc["visibility"], i.doc["disk_format"], i.doc["container_format"] = "public", "raw", "bare"
	if in.Visibility != "" {
		i.doc["visibility"] = in.Visibility
	}
	if in.DiskFormat != "" {
		i.doc["disk_format"] = in.DiskFormat
	}
	for k, v := range in.Properties {
		i.doc[k] = v
	}
	data := in.Data
	if len(data) == 0 {
		data = []byte("simulated image " + in.Name)
	}
	sum, err := digest(strings.NewReader(string(data)))
	if err == nil {
		i.store(sum)
	}
	s.images = append(s.images, i)
	return i.id()
}

// Delete removes an image behind everybody's back. Mu must not be held.
func (s *Server) Delete(id string) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.images = slices.DeleteFunc(s.images, func(i *image) bool { return i.id() == id })
}

// Status is an image's status, and whether the caller sees it. Mu must be
// held.
func (s *Server) Status(c rest.Caller, id string) (status string, found bool) {
	for _, i := range s.images {
		if i.id() == id && i.sees(c) {
			return rest.Str(i.doc, "status"), true
		}
	}
	return "", false
}

// Read is an image's data, if the caller sees the image and it has data. Mu must be
// held.
func (s *Server) Read(c rest.Caller, id string) ([]byte, bool) {
	for _, i := range s.images {
		if i.id() == id && i.sees(c) && i.doc["status"] == "active" {
			data, err := io.ReadAll(i.content.from(0, i.content.size))
			return data, err == nil
		}
	}
	return nil, false
}

// Show is an image as it is, without a request; nil when there is none. Mu must not be
// held.
func (s *Server) Show(id string) rest.Doc {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if i := s.image(id); i != nil {
		return i.view()
	}
	return nil
}

// Snapshot makes the record that a server's createImage makes. Mu must be held.
func (s *Server) Snapshot(c rest.Caller, name string) string {
	i := s.fresh("", c.ProjectID)
	i.doc["name"], i.doc["visibility"] = name, "private"
	s.images = append(s.images, i)
	return i.id()
}

// Inventory lists the IDs. Mu must be held.
func (s *Server) Inventory() map[string][]string {
	ids := []string{}
	for _, i := range s.images {
		ids = append(ids, i.id())
	}
	slices.Sort(ids)
	return map[string][]string{"image": ids}
}

func (s *Server) stamp() string { return s.Now().UTC().Format("2006-01-02T15:04:05Z") }

func (s *Server) fresh(id, owner string) *image {
	if id == "" {
		id = uuid.NewString()
	}
	return &image{created: s.Now(), doc: rest.Doc{
		"id": id, "name": nil, "disk_format": nil, "container_format": nil, "visibility": "shared", "size": nil, "virtual_size": nil,
		"status": "queued", "checksum": nil, "protected": false, "min_ram": 0, "min_disk": 0, "owner": owner, "os_hidden": false,
		"os_hash_algo": nil, "os_hash_value": nil, "created_at": s.stamp(), "updated_at": s.stamp(), "locations": []any{}, "tags": []string{},
	}}
}

// sees: images are for their owner, for members, and for all when public or
// community.
func (i *image) sees(c rest.Caller) bool {
	if c.Sees(i.doc["owner"]) || i.doc["visibility"] == "public" || i.doc["visibility"] == "community" {
		return true
	}
	return i.doc["visibility"] == "shared" && i.member(c.ProjectID) != nil
}

func (i *image) view() rest.Doc {
	d := maps.Clone(i.doc)
	path := "/v2/images/" + i.id()
	d["self"], d["file"], d["schema"] = path, path+"/file", "/v2/schemas/image"
	return d
}

func (s *Server) find(r *rest.Request) (*image, error) {
	for _, i := range s.images {
		if i.id() == r.Param("id") && i.sees(r.Caller) {
			return i, nil
		}
	}
	return nil, fail(http.StatusNotFound, "No image found with ID %s", r.Param("id"))
}

// own finds an image that the caller may change.
func (s *Server) own(r *rest.Request, act string) (*image, error) {
	i, err := s.find(r)
	if err != nil {
		return nil, err
	}
	if !r.Caller.Sees(i.doc["owner"]) {
		return nil, fail(http.StatusForbidden, "You are not authorized to complete %s action.", act)
	}
	return i, nil
}

func (s *Server) show(r *rest.Request) (*rest.Reply, error) {
	i, err := s.find(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(i.view())
}

func schemaError(problem string) *rest.Error {
	return badRequest("Provided object does not match schema 'image': %s", problem)
}

// check holds properties against the schema.
func check(c rest.Caller, in rest.Doc) error {
	for name, v := range in {
		if slices.Contains(baseProperties, name) && !slices.Contains(settable, name) {
			return fail(http.StatusForbidden, "Attribute '%s' is read-only.", name)
		}
		if !slices.Contains(baseProperties, name) {
			if _, ok := v.(string); !ok {
				return schemaError(rest.Text(v) + " is not of type 'string'")
			}
		}
	}
	if v, ok := in["name"]; ok && v != nil {
		if _, ok := v.(string); !ok {
			return schemaError(rest.Text(v) + " is not of type 'null', 'string'")
		}
	}
	if v, ok := in["id"].(string); ok {
		if _, err := uuid.Parse(v); err != nil || len(v) != 36 {
			return schemaError(fmt.Sprintf("'%s' does not match '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'", v))
		}
	}
	enums := map[string][]string{
		"disk_format":      {"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"},
		"container_format": {"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"},
		"visibility":       {"community", "public", "private", "shared"},
	}
	for name, values := range enums {
		if v, ok := in[name]; ok && v != nil && !slices.Contains(values, rest.Text(v)) {
			return schemaError(fmt.Sprintf("'%s' is not one of [%s]", rest.Text(v), strings.Join(values, ", ")))
		}
	}
	if in["visibility"] == "public" && !c.Admin() {
		return fail(http.StatusForbidden, "You are not authorized to complete publicize_image action.")
	}
	if o, ok := in["owner"].(string); ok && !c.Sees(o) {
		return fail(http.StatusForbidden, "You are not permitted to create images owned by '%s'.", o)
	}
	return nil
}

func (s *Server) create(r *rest.Request) (*rest.Reply, error) {
	in, err := r.JSON()
	if err != nil {
		return nil, badRequest("Malformed JSON in request body.")
	}
	for name := range in {
		if strings.HasPrefix(name, "os_glance_") {
			return nil, fail(http.StatusForbidden, "Access was denied to this resource.\nAttribute '%s' is reserved.", name)
		}
	}
	if err := check(r.Caller, in); err != nil {
		return nil, err
	}
	id := rest.Str(in, "id")
	if s.gone[id] || slices.ContainsFunc(s.images, func(o *image) bool { return o.id() == id }) {
		return nil, fail(http.StatusConflict, "Image ID %s already exists!", id)
	}
	i := s.fresh(id, r.Caller.ProjectID)
	for k, v := range in {
		if k != "id" {
			i.doc[k] = v
		}
	}
	s.images = append(s.images, i)
	return &rest.Reply{Status: http.StatusCreated, Body: i.view(), Header: http.Header{
		"Location":                       {r.Root() + "/v2/images/" + i.id()},
		"Openstack-Image-Import-Methods": {strings.Join(s.Methods, ",")},
	}}, nil
}

// remove deletes an image. Glance keeps the ID for good: it cannot be used
// again.
func (s *Server) remove(r *rest.Request) (*rest.Reply, error) {
	if _, err := s.find(r); err != nil {
		return nil, fail(http.StatusNotFound, "Failed to find image %s to delete", r.Param("id"))
	}
	i, err := s.own(r, "delete_image")
	if err != nil {
		return nil, err
	}
	if rest.Bool(i.doc, "protected") {
		return nil, fail(http.StatusForbidden, "Image %s is protected and cannot be deleted.", i.id())
	}
	s.gone[i.id()] = true
	s.images = slices.DeleteFunc(s.images, func(o *image) bool { return o == i })
	return rest.NoContent()
}

func (s *Server) addTag(r *rest.Request) (*rest.Reply, error) {
	i, err := s.own(r, "modify_image")
	if err != nil {
		return nil, err
	}
	tags := rest.Strings(i.doc, "tags")
	if !slices.Contains(tags, r.Param("tag")) {
		i.doc["tags"] = append(slices.Clone(tags), r.Param("tag"))
	}
	return rest.NoContent()
}

func (s *Server) removeTag(r *rest.Request) (*rest.Reply, error) {
	i, err := s.own(r, "modify_image")
	if err != nil {
		return nil, err
	}
	tags := slices.Clone(rest.Strings(i.doc, "tags"))
	if !slices.Contains(tags, r.Param("tag")) {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	i.doc["tags"] = slices.DeleteFunc(tags, func(t string) bool { return t == r.Param("tag") })
	return rest.NoContent()
}

func (s *Server) act(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, fail(http.StatusForbidden, "You are not authorized to complete %s action.", r.Param("action"))
	}
	i, err := s.find(r)
	if err != nil {
		return nil, err
	}
	status := map[string]string{"deactivate": "deactivated", "reactivate": "active"}[r.Param("action")]
	if status == "" {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	if now := i.doc["status"]; now != "active" && now != "deactivated" {
		return nil, fail(http.StatusForbidden, "Not allowed to %s image in status '%s'", r.Param("action"), now)
	}
	i.doc["status"] = status
	return rest.NoContent()
}
