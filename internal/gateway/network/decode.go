package network

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// form is what a request's body holds: one thing, or many.
type form struct {
	items []map[string]any
	bulk  bool
}

// decode takes the things out of a body {"network": {...}} or, where bulk is
// allowed, {"networks": [...]}.
func decode(r *gateway.Request, one, many string, bulk bool) (form, error) {
	raw, err := r.Bytes()
	if err != nil {
		return form{}, err
	}
	body, err := parse(raw)
	if err != nil {
		return form{}, err
	}
	if all, ok := body[many]; ok && bulk {
		items, err := unpack(one, all)
		return form{items, true}, err
	}
	v, ok := body[one]
	if !ok || v == nil {
		return form{}, badRequest("Unable to find '%s' in request body", one)
	}
	item, ok := v.(map[string]any)
	if !ok {
		return form{}, badRequest("Object '%s' contains invalid data", one)
	}
	return form{items: []map[string]any{item}}, nil
}

func parse(raw []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // messages show numbers as they came
	var body map[string]any
	if err := d.Decode(&body); err != nil || body == nil {
		return nil, badRequest("Body contains invalid data")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, badRequest("Body contains invalid data")
	}
	return body, nil
}

// unpack takes the items of a bulk request, each plain or wrapped once more.
func unpack(one string, all any) ([]map[string]any, error) {
	elements, ok := all.([]any)
	if !ok {
		return nil, badRequest("Body contains invalid data")
	}
	if len(elements) == 0 {
		return nil, badRequest("Resources required")
	}
	items := make([]map[string]any, len(elements))
	for i, e := range elements {
		item, ok := e.(map[string]any)
		if !ok {
			return nil, badRequest("Body contains invalid data")
		}
		if inner, wrapped := item[one]; wrapped {
			if item, ok = inner.(map[string]any); !ok {
				return nil, badRequest("Object '%s' contains invalid data", one)
			}
		}
		items[i] = item
	}
	return items, nil
}

// read checks one item against the declaration, in Neutron's order: owner, names,
// what may be sent, then each value.
func read(by identity.Caller, attributes []attribute, item map[string]any, create bool) (values, error) {
	if err := readProject(by, item, create); err != nil {
		return nil, err
	}
	if err := checkNames(attributes, item); err != nil {
		return nil, err
	}
	for _, a := range attributes {
		_, given := item[a.name]
		switch {
		case create && given && !a.post:
			return nil, badRequest("Attribute '%s' not allowed in POST", a.name)
		case create && !given && a.required:
			return nil, badRequest("Failed to parse request. Required attribute '%s' not specified", a.name)
		case !create && given && !a.put:
			return nil, badRequest("Cannot update read-only attribute %s", a.name)
		}
	}
	out := values{}
	for _, a := range attributes {
		v, given := item[a.name]
		if !given {
			if create && a.fallback != nil {
				out[a.name] = a.fallback
			}
			continue
		}
		if a.read != nil {
			var err error
			if v, err = a.read(a.name, v); err != nil {
				return nil, err
			}
		}
		out[a.name] = v
	}
	return out, nil
}

// readProject sees to "project_id" and its old name.
func readProject(by identity.Caller, item map[string]any, create bool) error {
	project, named := item["project_id"]
	tenant, old := item["tenant_id"]
	if named && old && project != tenant {
		return badRequest("'project_id' and 'tenant_id' do not match")
	}
	delete(item, "tenant_id")
	if old {
		item["project_id"], named = tenant, true
	}
	if named && item["project_id"] != by.ProjectID && !trusted(by) {
		return badRequest("Specifying 'project_id' or 'tenant_id' other than the authenticated project " +
			"in request requires admin or advsvc privileges")
	}
	if !named && create {
		item["project_id"] = by.ProjectID
	}
	return nil
}

func checkNames(attributes []attribute, item map[string]any) error {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(item)) {
		if !slices.ContainsFunc(attributes, func(a attribute) bool { return a.name == name }) {
			unknown = append(unknown, name)
		}
	}
	if unknown == nil {
		return nil
	}
	return badRequest("Unrecognized attribute(s) '%s'", strings.Join(unknown, ", "))
}
