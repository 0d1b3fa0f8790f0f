package image

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// change is made at home, then jobs make it in the copies. It is journaled before:
// if its reply is lost, or this process dies, the home's job looks at what came
// about.
func (a *api) change(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	_, reply, err := a.changeAtHome(ctx, by, r)
	return reply, err
}

func (a *api) changeAtHome(ctx context.Context, by identity.Caller, r *gateway.Request) (store.Image, *gateway.Reply, error) {
	i, err := a.find(ctx, by, r)
	if err != nil {
		return i, nil, err
	}
	if _, err := r.Bytes(); err != nil {
		return i, nil, err
	}
	if err := a.Store.TryImage(ctx, i.ID, store.ActChange); err != nil {
		return i, nil, err
	}
	i, reply, err := a.ask(ctx, by, r, i)
	switch {
	case err != nil && !pod.NotDone(err):
		return i, nil, err // the job finds out
	case err != nil || reply.Status >= http.StatusMultipleChoices:
		a.ended(ctx, i.ID, a.Store.DropImageAttempt)
		return i, reply, err
	}
	a.ended(ctx, i.ID, a.Store.TouchImage)
	return i, reply, nil
}

// ended records the end of what was begun; if it cannot, the home's job does.
func (a *api) ended(ctx context.Context, id string, end func(context.Context, string) error) {
	if err := end(context.WithoutCancel(ctx), id); err != nil && !fault.Is(err, fault.NotFound) {
		a.Log.WarnContext(ctx, "cannot record the end of a change", "image", id, "error", err)
	}
}

// update is a change whose answer shows the image.
func (a *api) update(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	if err := checkPatch(r); err != nil {
		return nil, err
	}
	i, reply, err := a.changeAtHome(ctx, by, r)
	if err != nil || reply.Status != http.StatusOK {
		return reply, err
	}
	return a.noted(ctx, by, i, reply)
}

// checkPatch refuses a mode that there is not: Glance would take any text.
func checkPatch(r *gateway.Request) error {
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	for _, op := range gjson.ParseBytes(body).Array() {
		path := op.Get("path").Str
		for _, verb := range []string{"add", "replace", "remove"} { // the form of Glance's first patches
			if path == "" {
				path = op.Get(verb).Str
			}
		}
		if strings.Trim(path, "/") != store.ImageModeProperty || op.Get("op").Str == "remove" {
			continue
		}
		if _, err := store.ParseImageMode(op.Get("value").String()); err != nil {
			return err
		}
	}
	return nil
}

// delete ends the image for users as soon as its home has let go of it.
func (a *api) delete(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	i, err := a.find(ctx, by, r)
	if err != nil {
		return nil, err
	}
	if err := a.Store.TryImage(ctx, i.ID, store.ActDelete); err != nil {
		return nil, err
	}
	i, reply, err := a.ask(ctx, by, r, i)
	switch {
	case err != nil && !pod.NotDone(err):
		return nil, err // the job finds out
	case err != nil || reply.Status >= http.StatusMultipleChoices:
		a.ended(ctx, i.ID, a.Store.DropImageAttempt)
		return reply, err
	}
	a.ended(ctx, i.ID, a.Store.DeleteImage)
	return reply, nil
}

// upload streams the data to the home, in one pass: nothing of it is kept here.
func (a *api) upload(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	i, reply, err := a.fill(ctx, by, r)
	if err != nil || reply.Status >= http.StatusMultipleChoices {
		return reply, err
	}
	answer := a.Dispatch.One(ctx, i.Home, pod.Request{Service: pod.Image, Method: get, Path: imagePath(i.ID), As: &by, Op: "show image"})
	if answer.Err == nil { // else the home's job looks
		a.see(context.WithoutCancel(ctx), by, i, answer.Body)
	}
	return reply, nil
}

// fill sends data to the home, and has a job look whether it is there.
func (a *api) fill(ctx context.Context, by identity.Caller, r *gateway.Request) (store.Image, *gateway.Reply, error) {
	i, err := a.find(ctx, by, r)
	if err != nil {
		return i, nil, err
	}
	if err := a.Store.WatchImage(ctx, i.ID); err != nil {
		return i, nil, err
	}
	client, err := a.Dispatch.Client(ctx, i.Home)
	if err != nil {
		return i, nil, err
	}
	reply, err := gateway.Forward(ctx, by, r, client, pod.Image)
	return i, reply, err
}

// stage streams data to where a later import takes it from: the home's own store.
func (a *api) stage(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	_, reply, err := a.fill(ctx, by, r)
	return reply, err
}

// startImport is a change after which data comes to the home, as a location is.
func (a *api) startImport(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	i, err := a.find(ctx, by, r)
	if err != nil {
		return nil, err
	}
	if err := a.Store.WatchImage(ctx, i.ID); err != nil {
		return nil, err
	}
	return a.change(ctx, by, r)
}

// everywhere sends the request to all the pods; the first answer that is well is
// the client's, else the first refusal. A pod that lacks the thing does not matter.
func (a *api) everywhere(ctx context.Context, by identity.Caller, r *gateway.Request, names []string) (*gateway.Reply, error) {
	if _, err := r.Bytes(); err != nil {
		return nil, err
	}
	var refusals []*gateway.Reply
	var good *gateway.Reply
	defer func() {
		for _, reply := range refusals {
			if reply != good {
				reply.Close()
			}
		}
	}()
	for _, name := range names {
		reply, err := a.forward(ctx, by, r, name)
		if err != nil {
			return nil, err
		}
		refusals = append(refusals, reply)
	}
	at := slices.IndexFunc(refusals, func(reply *gateway.Reply) bool { return reply.Status < http.StatusMultipleChoices })
	good = refusals[max(at, 0)]
	return good, nil
}
