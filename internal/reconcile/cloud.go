package reconcile

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// The pod's Network API, as much of it as we use: one kind of object is told from
// another by its singular name alone. All calls use the pod's service account.

// member is what the kind is called in bodies.
func member(singular string) string {
	switch singular {
	case store.KindQoSPolicy:
		return "policy"
	case store.KindGroupMembers:
		return store.KindAddressGroup
	case store.KindFloatingIP:
		return "floatingip"
	case store.KindShadowPort:
		return "port"
	}
	return singular
}

func plural(singular string) string {
	if stem, ok := strings.CutSuffix(member(singular), "y"); ok {
		return stem + "ies"
	}
	return member(singular) + "s"
}

// path is an object's, or with an empty ID the collection's. Neutron writes
// dashes in paths and underscores in bodies.
func path(singular, id string) string {
	p := "/" + strings.ReplaceAll(plural(singular), "_", "-")
	if singular == store.KindQoSPolicy {
		p = "/qos" + p
	}
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
		in = map[string]any{member(singular): body}
	}
	var out map[string]*T
	if err := c.JSON(ctx, r, in, &out); err != nil {
		return obj, err
	}
	if out[member(singular)] == nil {
		return obj, unintelligible(c, r, member(singular))
	}
	return *out[member(singular)], nil
}

// unintelligible is an answer without what was asked for. It proves nothing,
// whatever its status: something else than Neutron may have answered.
func unintelligible(c *pod.Client, r pod.Request, missing string) error {
	return &fault.Error{Kind: fault.Unavailable, Pod: c.Name(), Message: "cannot " + r.Op + ": the answer has no " + missing}
}

// remove is content when the object is gone already.
func remove(ctx context.Context, c *pod.Client, singular, id string) error {
	missed, err := removeAt(ctx, c, path(singular, id), words("delete", singular))
	if err != nil || !missed {
		return err
	}
	return stillThere(ctx, c, singular, id)
}

// removeAt deletes what is at the path, and says whether there was nothing.
func removeAt(ctx context.Context, c *pod.Client, path, op string) (missed bool, err error) {
	r := pod.Request{Service: pod.Network, Method: http.MethodDelete, Path: path, Op: op}
	resp, err := c.Do(ctx, r)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return false, nil
	case resp.StatusCode == http.StatusNotFound:
		return true, nil
	case resp.StatusCode < http.StatusMultipleChoices:
		return false, unintelligible(c, r, "status 204")
	}
	return false, pod.Upstream(c.Name(), r.Op, resp)
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
