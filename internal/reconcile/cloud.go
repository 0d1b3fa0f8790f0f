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
	r := pod.Request{Service: pod.Network, Method: http.MethodGet, Path: path(singular, ""), Query: q, Op: words("list", plural(singular))}
	var out map[string]*[]T
	if err := c.JSON(ctx, r, nil, &out); err != nil {
		return nil, err
	}
	if out[plural(singular)] == nil {
		return nil, unintelligible(c, r, plural(singular))
	}
	return *out[plural(singular)], nil
}

// get misses with found false.
func get[T any](ctx context.Context, c *pod.Client, singular, id string) (obj T, found bool, err error) {
	obj, err = one[T](ctx, c, singular, pod.Request{Method: http.MethodGet, Path: path(singular, id), Op: words("show", singular)}, nil)
	if fault.Is(err, fault.NotFound) {
		return obj, false, nil
	}
	return obj, err == nil, err
}

func create[T any](ctx context.Context, c *pod.Client, singular string, body any) (T, error) {
	return one[T](ctx, c, singular, pod.Request{Method: http.MethodPost, Path: path(singular, ""), Op: words("create", singular)}, body)
}

func update(ctx context.Context, c *pod.Client, singular, id string, changes map[string]any) error {
	if len(changes) == 0 {
		return nil
	}
	_, err := one[struct{}](ctx, c, singular, pod.Request{Method: http.MethodPut, Path: path(singular, id), Op: words("update", singular)}, changes)
	return err
}

// one sends a request whose answer is one object.
func one[T any](ctx context.Context, c *pod.Client, singular string, r pod.Request, body any) (obj T, err error) {
	r.Service = pod.Network
	var in any
	if body != nil {
		in = map[string]any{singular: body}
	}
	var out map[string]*T
	if err := c.JSON(ctx, r, in, &out); err != nil {
		return obj, err
	}
	if out[singular] == nil {
		return obj, unintelligible(c, r, singular)
	}
	return *out[singular], nil
}

// unintelligible is an answer without what was asked for. It proves nothing,
// whatever its status: something else than Neutron may have answered.
func unintelligible(c *pod.Client, r pod.Request, missing string) error {
	return &fault.Error{Kind: fault.Unavailable, Pod: c.Name(), Message: "cannot " + r.Op + ": the answer has no " + missing}
}

// remove is content when the object is gone already.
func remove(ctx context.Context, c *pod.Client, singular, id string) error {
	r := pod.Request{Service: pod.Network, Method: http.MethodDelete, Path: path(singular, id), Op: words("delete", singular)}
	resp, err := c.Do(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return nil
	case resp.StatusCode == http.StatusNotFound:
		return stillThere(ctx, c, singular, id)
	case resp.StatusCode < http.StatusMultipleChoices:
		return unintelligible(c, r, "status 204")
	}
	return pod.Upstream(c.Name(), r.Op, resp)
}

// stillThere is an error when the object is there although its deletion was
// answered with 404: Neutron passes on whatever it missed on the way, such as a
// network's subnet that another request deleted at the same moment.
func stillThere(ctx context.Context, c *pod.Client, singular, id string) error {
	_, found, err := get[struct{}](ctx, c, singular, id)
	if err == nil && found {
		err = &fault.Error{Kind: fault.Conflict, Pod: c.Name(),
			Message: "cannot " + words("delete", singular) + " " + id + ": the pod said that it misses it, but it is there"}
	}
	return err
}
