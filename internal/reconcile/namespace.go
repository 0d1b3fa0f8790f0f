package reconcile

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

// namespaceKind are Glance's namespaces of metadata definitions, each with all that
// is in it: one thing to be the same in every pod.
var namespaceKind = replicaKind{
	asFound: true,
	find: func(ctx context.Context, c *pod.Client, id string) (json.RawMessage, error) {
		n, err := findNamespace(ctx, c, id)
		if n == nil || err != nil {
			return nil, err
		}
		return n.Content(), nil
	},
	list:   listNamespaces,
	remove: removeNamespace,
	bare: func(content json.RawMessage) (json.RawMessage, error) {
		n, err := decode[plan.Namespace](content)
		if err != nil {
			return nil, err
		}
		return n.Bare().Content(), nil
	},
	plan: planNamespace,
	has:  func(_, _, _ json.RawMessage) (bool, error) { return true, nil }, // what is there counts
	show: func(content json.RawMessage) (plan.Replica, error) {
		n, err := decode[plan.Namespace](content)
		if err != nil {
			return plan.Replica{}, err
		}
		return n.Replica(), nil
	},
}

func namespacePath(name string, below ...string) string {
	path := "/metadefs/namespaces/" + url.PathEscape(name)
	for _, segment := range below {
		path += "/" + url.PathEscape(segment)
	}
	return path
}

// findNamespace misses with nil.
func findNamespace(ctx context.Context, c *pod.Client, name string) (*plan.Namespace, error) {
	var doc json.RawMessage
	err := glance(ctx, c, http.MethodGet, "show namespace", namespacePath(name), nil, &doc)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := plan.ReadNamespace(gjson.ParseBytes(doc))
	return &n, nil
}

func listNamespaces(ctx context.Context, c *pod.Client, _ string) (shown []plan.Replica, contents []json.RawMessage, err error) {
	marker := ""
	for range maxPages {
		var doc json.RawMessage
		q := url.Values{"limit": {"1000"}}
		if marker != "" {
			q.Set("marker", marker)
		}
		err := c.JSON(ctx, pod.Request{Service: pod.Image, Method: http.MethodGet, Path: "/metadefs/namespaces", Query: q, Op: "list namespaces"}, nil, &doc)
		if err != nil {
			return nil, nil, err
		}
		names := gjson.GetBytes(doc, "namespaces.#.namespace").Array()
		for _, name := range names {
			n, err := findNamespace(ctx, c, name.Str)
			if err != nil {
				return nil, nil, err
			}
			if n != nil {
				shown, contents = append(shown, n.Replica()), append(contents, n.Content())
			}
			marker = name.Str
		}
		if len(names) == 0 || !gjson.GetBytes(doc, "next").Exists() {
			return shown, contents, nil
		}
	}
	return shown, contents, nil
}

// removeNamespace lets go of one that is protected first: the region's own is gone.
func removeNamespace(ctx context.Context, c *pod.Client, name string) error {
	n, err := findNamespace(ctx, c, name)
	if n == nil || err != nil {
		return err
	}
	if n.Fields["protected"] == true {
		body := namespaceBody(name, n.Fields)
		body["protected"] = false
		if err := glance(ctx, c, http.MethodPut, "update namespace", namespacePath(name), body, nil); err != nil {
			return err
		}
	}
	return dropPart(ctx, c, namespacePath(name))
}

func dropPart(ctx context.Context, c *pod.Client, path string) error {
	err := glance(ctx, c, http.MethodDelete, "delete metadata definition", path, nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func namespaceBody(name string, fields any) map[string]any {
	body := map[string]any{}
	if m, ok := fields.(map[string]any); ok {
		maps.Copy(body, m)
	}
	body["namespace"] = name
	return body
}

func planNamespace(v versions) (step, error) {
	want, err := decode[plan.Namespace](v.want)
	if err != nil {
		return step{}, err
	}
	told, err := decode[plan.Namespace](v.told)
	if err != nil {
		return step{}, err
	}
	found, err := decode[plan.Namespace](v.found)
	if err != nil {
		return step{}, err
	}
	var s step
	changes := plan.NamespaceIn(*want, told, found, v.create)
	for _, ch := range changes {
		s.words = append(s.words, wordsOf(ch))
	}
	if len(changes) > 0 && changes[0].Path == "" && changes[0].New {
		body := namespaceBody(want.Name, changes[0].Body)
		s.create = func(ctx context.Context, c *pod.Client) (string, error) {
			return want.Name, glance(ctx, c, http.MethodPost, "create namespace", "/metadefs/namespaces", body, nil)
		}
		changes = changes[1:]
	}
	if len(changes) > 0 {
		s.change = func(ctx context.Context, c *pod.Client, _ string) error {
			return changeNamespace(ctx, c, want.Name, changes)
		}
	}
	return s, nil
}

func wordsOf(ch plan.NamespaceChange) string {
	verb := "change"
	switch {
	case ch.Body == nil:
		verb = "delete"
	case ch.New:
		verb = "make"
	}
	if ch.Path == "" {
		return verb + " it"
	}
	return verb + " " + ch.Path + "/" + ch.Name
}

func changeNamespace(ctx context.Context, c *pod.Client, name string, changes []plan.NamespaceChange) error {
	for _, ch := range changes {
		if err := changePart(ctx, c, name, ch); err != nil {
			return err
		}
	}
	return nil
}

// changePart carries one step out. A tag is made by its path; what a resource type is
// associated with cannot be changed, only made anew.
func changePart(ctx context.Context, c *pod.Client, name string, ch plan.NamespaceChange) error {
	one, all := namespacePath(name, ch.Path, ch.Name), namespacePath(name, ch.Path)
	switch {
	case ch.Path == "":
		return glance(ctx, c, http.MethodPut, "update namespace", namespacePath(name), namespaceBody(name, ch.Body), nil)
	case ch.Body == nil:
		return dropPart(ctx, c, one)
	case ch.Path == "tags":
		return glance(ctx, c, http.MethodPost, "create tag", one, nil, nil)
	case !ch.New && ch.Path == "resource_types":
		if err := dropPart(ctx, c, one); err != nil {
			return err
		}
	case !ch.New:
		return glance(ctx, c, http.MethodPut, "update metadata definition", one, named(ch), nil)
	}
	return glance(ctx, c, http.MethodPost, "create metadata definition", all, named(ch), nil)
}

// named is a part's body with its name, which properties have as their key.
func named(ch plan.NamespaceChange) map[string]any {
	body := map[string]any{}
	if m, ok := ch.Body.(map[string]any); ok {
		maps.Copy(body, m)
	}
	body["name"] = ch.Name
	return body
}
