package reconcile

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// The pod's Network API, as much of it as we use: one kind of object is told from
// another by its singular name alone. All calls use the pod's service account.

func plural(singular string) string { return singular + "s" }

// path is an object's, or with an empty ID the collection's. Neutron writes
// dashes in paths and underscores in bodies.
func path(singular, id string) string {
	p := "/" + strings.ReplaceAll(plural(singular), "_", "-")
	if id != "" {
		p += "/" + url.PathEscape(id)
	}
	return p
}

func words(verb, singular string) string {
	return verb + " " + strings.ReplaceAll(singular, "_", " ")
}

func list[T any](ctx context.Context, c *pod.Client, singular string, q url.Values) ([]T, error) {
	var out map[string][]T
	err := c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodGet, Path: path(singular, ""),
		Query: q, Op: words("list", plural(singular))}, nil, &out)
	return out[plural(singular)], err
}

// get misses with found false.
func get[T any](ctx context.Context, c *pod.Client, singular, id string) (obj T, found bool, err error) {
	var out map[string]T
	err = c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodGet, Path: path(singular, id),
		Op: words("show", singular)}, nil, &out)
	if fault.Is(err, fault.NotFound) {
		return obj, false, nil
	}
	return out[singular], err == nil, err
}

func create[T any](ctx context.Context, c *pod.Client, singular string, body any) (T, error) {
	var out map[string]T
	err := c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodPost, Path: path(singular, ""),
		Op: words("create", singular)}, map[string]any{singular: body}, &out)
	return out[singular], err
}

func update(ctx context.Context, c *pod.Client, singular, id string, changes map[string]any) error {
	if len(changes) == 0 {
		return nil
	}
	return c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodPut, Path: path(singular, id),
		Op: words("update", singular)}, map[string]any{singular: changes}, nil)
}

// remove is content when the object is gone already.
func remove(ctx context.Context, c *pod.Client, singular, id string) error {
	err := c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodDelete, Path: path(singular, id),
		Op: words("delete", singular)}, nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
