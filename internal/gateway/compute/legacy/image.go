package legacy

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// imageFilters are Nova's names of filters and Glance's.
var imageFilters = map[string]string{
	"name": "name", "status": "status", "server": "instance_uuid", "type": "image_type", "minRam": "min_ram", "minDisk": "min_disk",
}

// imageQuery translates the query of a list.
func imageQuery(query url.Values) (out url.Values, limit int, err error) {
	out = url.Values{}
	for name := range query {
		value := query.Get(name)
		property, ofProperty := strings.CutPrefix(name, "property-")
		switch own := imageFilters[name]; {
		case name == "changes-since":
			out.Set("updated_at", "gte:"+value)
		case name == "status":
			out.Set(own, strings.ToLower(value))
		case name == "server":
			out.Set(own, value[strings.LastIndexByte(value, '/')+1:])
		case own != "":
			out.Set(own, value)
		case ofProperty:
			out.Set(property, value)
		}
	}
	for _, name := range []string{"page_size", "offset", "limit"} {
		if limit, err = wholeNumber(query, name); err != nil {
			return nil, 0, err
		}
	}
	if marker := query.Get("marker"); marker != "" {
		out.Set("marker", marker)
	}
	return out, limit, nil
}

// wholeNumber reads a parameter that is a number from 0 on; absent is 0.
func wholeNumber(query url.Values, name string) (int, error) {
	if !query.Has(name) {
		return 0, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	switch {
	case err != nil:
		return 0, badRequest("Invalid input received: %s must be an integer", name)
	case n < 0:
		return 0, badRequest("Invalid input received: %s must be >= 0", name)
	}
	return n, nil
}

// listImages is "GET /images" and, with all fields, "GET /images/detail". Without
// a limit Nova has no page: all images come.
func (d *Doors) listImages(all bool) gateway.Handler {
	return func(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
		asked := r.URL.Query()
		query, limit, err := imageQuery(asked)
		if err != nil {
			return nil, err
		}
		enough := limit
		if enough == 0 {
			enough = 1 << 30
		}
		list, s, err := d.all(ctx, by, images, "images", query, enough)
		switch {
		case err != nil:
			return nil, err
		case s.Status == http.StatusBadRequest:
			return nil, badRequest("%s", s.glance())
		case !s.ok():
			return nil, s.fault()
		}
		shown := make([]object, 0, len(list))
		for _, item := range list {
			shown = append(shown, imageView(r, item, all))
		}
		body := object{"images": shown}
		page := maxLimit
		if asked.Has("limit") {
			page = min(limit, maxLimit)
		}
		if page > 0 && len(shown) == page {
			asked.Set("marker", list[page-1].Get("id").Str)
			body["images_links"] = []object{{"rel": "next", "href": r.RootURL() + r.Path() + "?" + asked.Encode()}}
		}
		return s.passing(reply(http.StatusOK, body)), nil
	}
}

// showImage is "GET /images/{id}".
func (d *Doors) showImage(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.image(ctx, by, r)
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"image": imageView(r, gjson.ParseBytes(s.Body), true)}), nil
}

// image finds the image that the path names.
func (d *Doors) image(ctx context.Context, by identity.Caller, r *gateway.Request) (said, error) {
	s, err := d.ask(ctx, by, http.MethodGet, below(images, r.Param("id")), nil)
	switch {
	case err != nil:
		return s, err
	case s.Status == http.StatusNotFound:
		return s, notFound("Image not found.")
	case s.Status == http.StatusForbidden:
		return s, forbidden("Not authorized for image %s.", r.Param("id"))
	case !s.ok():
		return s, s.fault()
	}
	return s, nil
}

// deleteImage is "DELETE /images/{id}".
func (d *Doors) deleteImage(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.ask(ctx, by, http.MethodDelete, below(images, r.Param("id")), nil)
	switch {
	case err != nil:
		return nil, err
	case s.Status == http.StatusNotFound:
		return nil, notFound("Image not found.")
	case s.Status == http.StatusForbidden:
		return nil, forbidden("You are not allowed to delete the image.")
	case !s.ok():
		return nil, s.fault()
	}
	return gateway.Empty(http.StatusNoContent), nil
}

// imageFields are an image's own fields, which are no metadata.
var imageFields = []string{
	"id", "name", "status", "visibility", "protected", "os_hidden", "checksum", "os_hash_algo", "os_hash_value", "owner", "size",
	"virtual_size", "container_format", "disk_format", "created_at", "updated_at", "tags", "direct_url", "min_ram", "min_disk",
	"self", "file", "stores", "schema", "locations",
}

var imageStatus = map[string]string{
	"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "deleted": "DELETED", "pending_delete": "DELETED", "killed": "ERROR",
}

var imageProgress = map[string]int{"queued": 25, "saving": 50, "active": 100}

// imageView is an image as Nova shows it.
func imageView(r *gateway.Request, item gjson.Result, all bool) object {
	id := item.Get("id").Str
	v := object{"id": id, "name": raw(item.Get("name")), "links": append(links(r, "/images/"+id), object{
		"rel": "alternate", "type": "application/vnd.openstack.image", "href": r.HostURL() + "/image/images/" + id,
	})}
	if !all {
		return v
	}
	status := item.Get("status").Str
	properties := imageProperties(item)
	v["minRam"], v["minDisk"] = item.Get("min_ram").Int(), item.Get("min_disk").Int()
	v["metadata"] = properties
	v["created"], v["updated"] = raw(item.Get("created_at")), raw(item.Get("updated_at"))
	v["progress"] = imageProgress[status]
	v["OS-EXT-IMG-SIZE:size"] = item.Get("size").Int()
	v["status"] = "UNKNOWN"
	if known := imageStatus[status]; known != "" {
		v["status"] = known
	}
	if server := item.Get("instance_uuid").Str; server != "" {
		v["server"] = object{"id": server, "links": links(r, "/servers/"+server)}
	}
	if auto := item.Get("auto_disk_config"); auto.Exists() && auto.Type != gjson.Null {
		v["OS-DCF:diskConfig"] = "MANUAL"
		if isTrue(auto.String()) {
			v["OS-DCF:diskConfig"] = "AUTO"
		}
	}
	return v
}

// isTrue is oslo's idea of a boolean in a string.
func isTrue(s string) bool {
	return slices.Contains([]string{"1", "t", "true", "on", "y", "yes"}, strings.ToLower(strings.TrimSpace(s)))
}

// imageProperties are the image's metadata. Two of them are JSON in a string.
func imageProperties(item gjson.Result) map[string]json.RawMessage {
	properties := map[string]json.RawMessage{}
	item.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		switch {
		case slices.Contains(imageFields, name):
		case (name == "block_device_mapping" || name == "mappings") && value.Type == gjson.String && gjson.Valid(value.Str):
			properties[name] = json.RawMessage(value.Str)
		default:
			properties[name] = raw(value)
		}
		return true
	})
	return properties
}

// links are the two that everything in the Compute API has.
func links(r *gateway.Request, path string) []object {
	project := ""
	if r.URLProject() != "" {
		project = "/" + r.URLProject()
	}
	return []object{
		{"rel": "self", "href": r.RootURL() + path},
		{"rel": "bookmark", "href": r.PrefixURL() + project + path},
	}
}
