package plan

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// Namespace is one of Glance's namespaces of metadata definitions, with all that is
// in it.
type Namespace struct {
	Name   string                    `json:"name"`
	Fields map[string]any            `json:"fields"` // its own
	Parts  map[string]map[string]any `json:"parts"`  // by the path below it, then by name
}

// namespaceFields are those that can be set.
var namespaceFields = []string{"display_name", "description", "visibility", "protected", "owner"}

// NamespaceParts are the paths of what is in a namespace.
var NamespaceParts = []string{"resource_types", "properties", "objects", "tags"}

// passingFields differ from pod to pod and say nothing.
var passingFields = []string{"created_at", "updated_at", "self", "schema", "href"}

// ReadNamespace reads what Glance shows.
func ReadNamespace(doc gjson.Result) Namespace {
	n := Namespace{Name: doc.Get("namespace").Str, Fields: map[string]any{}, Parts: map[string]map[string]any{}}
	for _, name := range namespaceFields {
		if v := doc.Get(name); v.Exists() {
			n.Fields[name] = v.Value()
		}
	}
	for _, path := range NamespaceParts {
		n.Parts[path] = map[string]any{}
	}
	doc.Get("properties").ForEach(func(name, v gjson.Result) bool {
		n.Parts["properties"][name.Str] = lasting(v)
		return true
	})
	for path, member := range map[string]string{"resource_types": "resource_type_associations", "objects": "objects", "tags": "tags"} {
		for _, v := range doc.Get(member).Array() {
			n.Parts[path][v.Get("name").Str] = lasting(v)
		}
	}
	return n
}

// lasting is an object without what passes.
func lasting(v gjson.Result) any {
	m, ok := v.Value().(map[string]any)
	if !ok {
		return v.Value()
	}
	maps.DeleteFunc(m, func(name string, v any) bool { return slices.Contains(passingFields, name) || v == nil })
	return m
}

// Content is the form in which it is stored.
func (n Namespace) Content() json.RawMessage {
	text, err := json.Marshal(n)
	if err != nil {
		panic(err) // maps of what JSON held always encode
	}
	return text
}

// Bare is what its creation alone makes.
func (n Namespace) Bare() Namespace {
	return Namespace{Name: n.Name, Fields: n.Fields, Parts: map[string]map[string]any{}}
}

// Replica is it as a report shows it.
func (n Namespace) Replica() Replica {
	fields := map[string]string{}
	for name, v := range n.Fields {
		text, _ := json.Marshal(v) // it came from JSON
		fields[name] = string(text)
	}
	for path, parts := range n.Parts {
		fields[path] = strconv.Itoa(len(parts)) + " " + string(must(parts))
	}
	return Replica{Kind: "metadef_namespace", ID: n.Name, Name: n.Name, Fields: fields}
}

func must(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON
	}
	return text
}

// NamespaceChange is one step. An empty Path is the namespace itself.
type NamespaceChange struct {
	Path, Name string
	Body       any // nil: it goes
	New        bool
}

// NamespaceIn is what closes the difference in a pod: what the region has changed
// since the pod was told. What else differs somebody has changed there.
func NamespaceIn(want Namespace, told, found *Namespace, create bool) []NamespaceChange {
	var steps []NamespaceChange
	if found == nil {
		if !create {
			return nil
		}
		steps = append(steps, NamespaceChange{Name: want.Name, Body: want.Fields, New: true})
		told, found = &Namespace{Fields: want.Fields}, &Namespace{Fields: want.Fields}
	}
	if told == nil {
		told = found
	}
	if !reflect.DeepEqual(want.Fields, told.Fields) && !reflect.DeepEqual(want.Fields, found.Fields) {
		steps = append(steps, NamespaceChange{Name: want.Name, Body: want.Fields})
	}
	for _, path := range NamespaceParts {
		steps = append(steps, partChanges(path, want.Parts[path], told.Parts[path], found.Parts[path])...)
	}
	return steps
}

func partChanges(path string, want, told, found map[string]any) []NamespaceChange {
	var steps []NamespaceChange
	for _, name := range slices.Sorted(maps.Keys(told)) {
		_, kept := want[name]
		if _, there := found[name]; !kept && there {
			steps = append(steps, NamespaceChange{Path: path, Name: name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		was, before := told[name]
		is, there := found[name]
		unchanged := before && reflect.DeepEqual(want[name], was)
		if unchanged || there && reflect.DeepEqual(want[name], is) {
			continue
		}
		steps = append(steps, NamespaceChange{Path: path, Name: name, Body: want[name], New: !there})
	}
	return steps
}
