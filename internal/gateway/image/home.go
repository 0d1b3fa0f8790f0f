package image

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// find is the image's row. Whether the caller may have the image its home decides.
func (a *api) find(ctx context.Context, by identity.Caller, r *gateway.Request) (store.Image, error) {
	i, err := a.Dispatch.Image(ctx, by, r.Param("id"))
	if fault.Is(err, fault.NotFound) {
		return i, missing(r)
	}
	return i, err
}

// missing is Glance's 404, which has other words for each request.
func missing(r *gateway.Request) error {
	id := r.Param("id")
	switch {
	case r.Method == remove && r.Route.Pattern == "/images/{id}":
		return fault.New(fault.NotFound, "", "Failed to find image %s to delete", id)
	case r.Route.Pattern == "/images/{id}/tags/{tag}", r.Param("member") != "", r.Route.Pattern == "/images/{id}/members":
		return fault.New(fault.NotFound, "", "Image %s not found.", id)
	case r.Route.Pattern == "/images/{id}/*", r.Route.Pattern == "/images/{id}/tasks":
		return fault.New(fault.NotFound, "", "The resource could not be found.")
	}
	return fault.New(fault.NotFound, "", "No image found with ID %s", id)
}

// ask asks the image's home. When the home turns out to have lost the image, a
// copy takes its place and is asked instead: the row that comes back says which
// pod answered. A body that is streamed can be sent once only; then the 404 stands.
func (a *api) ask(ctx context.Context, by identity.Caller, r *gateway.Request, i store.Image) (store.Image, *gateway.Reply, error) {
	reply, err := a.forward(ctx, by, r, i.Home)
	if err != nil || reply.Status != http.StatusNotFound {
		return i, reply, err
	}
	next, moved := a.rehome(ctx, i)
	if !moved || r.Route.MaxBody == gateway.Unlimited {
		return i, reply, nil
	}
	reply.Close()
	reply, err = a.forward(ctx, by, r, next.Home)
	return next, reply, err
}

// rehome asks the home with the service account, which sees every image, whether
// it has lost this one. The caller's own 404 proves nothing: he may just not see it,
// and then a copy that is behind must not show it to him.
func (a *api) rehome(ctx context.Context, i store.Image) (store.Image, bool) {
	answer := a.Dispatch.One(ctx, i.Home, pod.Request{
		Service: pod.Image, Method: get, Path: "/images/" + url.PathEscape(i.ID), Op: "look for image at home",
	})
	if !fault.Is(answer.Err, fault.NotFound) {
		return i, false
	}
	next, found, err := a.Store.RehomeImage(context.WithoutCancel(ctx), i.ID, i.Home)
	if err != nil {
		a.Log.ErrorContext(ctx, "cannot find an image a new home", "image", i.ID, "pod", i.Home, "error", err)
		return i, false
	}
	a.Log.WarnContext(ctx, "the home has lost an image", "image", i.ID, "pod", i.Home, "copy", found)
	return next, found && next.Home != i.Home
}

func (a *api) forward(ctx context.Context, by identity.Caller, r *gateway.Request, name string) (*gateway.Reply, error) {
	client, err := a.Dispatch.Client(ctx, name)
	if err != nil {
		return nil, err
	}
	return gateway.Forward(ctx, by, r, client, pod.Image)
}

// away says that no answer came from the pod.
func away(err error) bool { return fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Timeout) }
