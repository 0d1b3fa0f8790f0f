package legacy

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

var (
	metadataKeys  = regexp.MustCompile(`^[a-zA-Z0-9-_:. ]{1,255}$`)
	metadataValue = schema{types: []string{"string"}, longest: 255}
	metadataBody  = objectOf([]string{"metadata"}, property{"metadata", schema{types: []string{"object"}, keys: metadataKeys, value: &metadataValue}})
	metaBody      = objectOf([]string{"meta"}, property{"meta", schema{types: []string{"object"}, keys: metadataKeys, value: &metadataValue, fewest: 1, most: 1}})
)

// imageMetadata is "GET /images/{id}/metadata".
func (d *Doors) imageMetadata(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.image(ctx, by, r)
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"metadata": imageProperties(gjson.ParseBytes(s.Body))}), nil
}

// imageMetadataItem is "GET /images/{id}/metadata/{key}".
func (d *Doors) imageMetadataItem(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.image(ctx, by, r)
	if err != nil {
		return nil, err
	}
	key := r.Param("key")
	value, there := imageProperties(gjson.ParseBytes(s.Body))[key]
	if !there {
		return nil, NoResource()
	}
	return reply(http.StatusOK, object{"meta": object{key: value}}), nil
}

// addImageMetadata is "POST /images/{id}/metadata": what is there stays.
func (d *Doors) addImageMetadata(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return d.changeMetadata(ctx, by, r, metadataBody, func(old, asked map[string]json.RawMessage) (map[string]json.RawMessage, error) {
		for key, value := range asked {
			old[key] = value
		}
		return old, nil
	})
}

// replaceImageMetadata is "PUT /images/{id}/metadata".
func (d *Doors) replaceImageMetadata(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	return d.changeMetadata(ctx, by, r, metadataBody, func(_, asked map[string]json.RawMessage) (map[string]json.RawMessage, error) {
		return asked, nil
	})
}

// setImageMetadataItem is "PUT /images/{id}/metadata/{key}".
func (d *Doors) setImageMetadataItem(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	doc, err := read(r, metaBody)
	if err != nil {
		return nil, err
	}
	key := r.Param("key")
	meta := properties(doc.Get("meta"))
	if _, there := meta[key]; !there {
		return nil, badRequest("Request body and URI mismatch")
	}
	s, err := d.image(ctx, by, r)
	if err != nil {
		return nil, err
	}
	item := gjson.ParseBytes(s.Body)
	wanted := imageProperties(item)
	wanted[key] = meta[key]
	if _, err := d.patchImage(ctx, by, r, item, wanted); err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"meta": meta}), nil
}

// deleteImageMetadataItem is "DELETE /images/{id}/metadata/{key}".
func (d *Doors) deleteImageMetadataItem(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	s, err := d.image(ctx, by, r)
	if err != nil {
		return nil, err
	}
	item := gjson.ParseBytes(s.Body)
	wanted := imageProperties(item)
	if _, there := wanted[r.Param("key")]; !there {
		return nil, notFound("Invalid metadata key")
	}
	delete(wanted, r.Param("key"))
	if _, err := d.patchImage(ctx, by, r, item, wanted); err != nil {
		return nil, err
	}
	return gateway.Empty(http.StatusNoContent), nil
}

// changeMetadata is a change of all metadata at once; change says what they shall be.
func (d *Doors) changeMetadata(ctx context.Context, by identity.Caller, r *gateway.Request, body schema,
	change func(old, asked map[string]json.RawMessage) (map[string]json.RawMessage, error),
) (*gateway.Reply, error) {
	doc, err := read(r, body)
	if err != nil {
		return nil, err
	}
	s, err := d.image(ctx, by, r)
	if err != nil {
		return nil, err
	}
	item := gjson.ParseBytes(s.Body)
	wanted, err := change(imageProperties(item), properties(doc.Get("metadata")))
	if err != nil {
		return nil, err
	}
	now, err := d.patchImage(ctx, by, r, item, wanted)
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, object{"metadata": now}), nil
}

func properties(v gjson.Result) map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	v.ForEach(func(key, value gjson.Result) bool {
		all[key.Str] = raw(value)
		return true
	})
	return all
}

// patchImage makes the image's metadata those wanted, and nothing else: a client
// who sets a key must not find the image's visibility changed with it.
func (d *Doors) patchImage(ctx context.Context, by identity.Caller, r *gateway.Request, item gjson.Result, wanted map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	patch := imagePatch(item, wanted)
	if len(patch) == 0 {
		return wanted, nil
	}
	if err := d.checkMetadataLimit(ctx, by, len(wanted)); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	s, err := d.do(ctx, by, gateway.Question{
		Method: http.MethodPatch, Path: below(images, r.Param("id")), Body: raw,
		Header: http.Header{"Content-Type": {"application/openstack-images-v2.1-json-patch"}},
	})
	switch {
	case err != nil:
		return nil, err
	case s.Status == http.StatusForbidden:
		return nil, forbidden("Not authorized for image %s.", r.Param("id"))
	case s.Status == http.StatusNotFound:
		return nil, notFound("Image not found.")
	case s.Status == http.StatusRequestEntityTooLarge:
		return nil, forbidden("Quota exceeded or out of space for image %s in the image service.", r.Param("id"))
	case !s.ok():
		return nil, s.fault()
	}
	return imageProperties(gjson.ParseBytes(s.Body)), nil
}

// imagePatch is the difference as a JSON patch, in the order of the names.
func imagePatch(item gjson.Result, wanted map[string]json.RawMessage) []object {
	var patch []object
	add := func(op, name string, value any) {
		step := object{"op": op, "path": "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)}
		if op != "remove" {
			step["value"] = value
		}
		patch = append(patch, step)
	}
	old := imageProperties(item)
	for _, name := range sortedKeys(wanted) {
		switch before, there := old[name]; {
		case !there:
			add("add", name, asText(wanted[name]))
		case string(before) != string(wanted[name]):
			add("replace", name, asText(wanted[name]))
		}
	}
	for _, name := range sortedKeys(old) {
		if _, there := wanted[name]; !there {
			add("remove", name, nil)
		}
	}
	return patch
}

// asText is a value as Glance keeps it: text, or JSON in text.
func asText(value json.RawMessage) any {
	if v := gjson.ParseBytes(value); v.Type != gjson.String && v.Type != gjson.Null {
		return string(value)
	}
	return value
}

// checkMetadataLimit holds the project's limit of metadata per thing, as the
// region tells it.
func (d *Doors) checkMetadataLimit(ctx context.Context, by identity.Caller, n int) error {
	s, err := d.ask(ctx, by, http.MethodGet, "/compute/v2.1/limits", nil)
	if err != nil {
		return err
	}
	if most := s.get("limits.absolute.maxImageMeta"); s.ok() && most.Exists() && most.Int() >= 0 && int64(n) > most.Int() {
		return forbidden("Image metadata limit exceeded")
	}
	return nil
}
