package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// create makes the image in one pod, its home. The ID is always ours to know
// before: should the reply be lost, the pod can be asked what came about.
func (a *api) create(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	body, err := document(r)
	if err != nil {
		return nil, err
	}
	if _, err := store.ParseImageMode(gjson.GetBytes(body, store.ImageModeProperty).String()); err != nil {
		return nil, err
	}
	id, given := gjson.GetBytes(body, "id").String(), gjson.GetBytes(body, "id").Exists()
	if given {
		if err := a.free(ctx, id); err != nil {
			return nil, err
		}
	} else {
		id = uuid.NewString()
		if body, err = sjson.SetBytes(body, "id", id); err != nil {
			return nil, fmt.Errorf("cannot write the image's ID: %w", err)
		}
	}
	names, err := a.homes(ctx, by)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var reply *gateway.Reply
		if reply, err = a.createIn(ctx, by, r, name, body); !pod.NotSent(err) {
			return a.made(ctx, by, made{id: id, pod: name, given: given}, reply, err)
		}
	}
	return nil, err
}

// document is the request's body; its errors are Glance's.
func document(r *gateway.Request) ([]byte, error) {
	body, err := r.Bytes()
	switch {
	case err != nil:
		return nil, err
	case len(body) == 0:
		return nil, fault.New(fault.Invalid, "", "Body expected in request.")
	case !gjson.ValidBytes(body):
		return nil, fault.New(fault.Invalid, gateway.CodeMalformedBody, "Malformed JSON in request body.")
	case !gjson.ParseBytes(body).IsObject():
		return nil, fault.New(fault.Invalid, "", "Unexpected body type. Expected list/dict.")
	}
	return body, nil
}

// homes are the pods that may become the image's home, the best first: the one that
// the project uses, then the others by name. One that is away is passed over when
// it is asked.
func (a *api) homes(ctx context.Context, by identity.Caller) ([]string, error) {
	rows, err := a.Dispatch.Pods(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	if chosen, err := a.Fleet.Choose(ctx, by, fleet.Need{}); err == nil {
		names = append(names, chosen.Name)
	}
	for _, p := range rows {
		if !p.Cordoned && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil, fault.New(fault.Unavailable, "", "no pod takes new images")
	}
	return names, nil
}

// free makes sure that an ID that the client chose is no other image's, in any
// pod, also of one that he may not see.
func (a *api) free(ctx context.Context, id string) error {
	taken := fault.New(fault.Conflict, "", "Image ID %s already exists!", id)
	if _, err := a.Store.FindImage(ctx, id); !fault.Is(err, fault.NotFound) {
		if err != nil {
			return err
		}
		return taken
	}
	if _, err := uuid.Parse(id); err != nil {
		return nil // the pod says what is wrong with it
	}
	answers, err := a.Dispatch.All(ctx, nil, pod.Request{Service: pod.Image, Method: get, Path: imagePath(id), Op: "look for image"})
	if err != nil {
		return err
	}
	for _, answer := range answers {
		if answer.Err == nil {
			return taken
		}
		if !fault.Is(answer.Err, fault.NotFound) {
			return &fault.Error{Kind: fault.Unavailable, Pod: answer.Pod, Err: answer.Err,
				Message: "cannot tell whether it has an image " + id + " already"}
		}
	}
	return nil
}

func (a *api) createIn(ctx context.Context, by identity.Caller, r *gateway.Request, name string, body []byte) (*gateway.Reply, error) {
	client, err := a.Dispatch.Client(ctx, name)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(ctx, pod.Request{
		Service: pod.Image, Method: post, Path: r.Path(), RawQuery: r.URL.RawQuery, Header: gateway.PassHeader(r.Header),
		Body: bytes.NewReader(body), Length: int64(len(body)), As: &by, Op: "create image",
	})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := gateway.Broken(r, resp, name); err != nil {
		return nil, err
	}
	reply := gateway.ReplyOf(r, resp, name, r.Path())
	text, err := io.ReadAll(io.LimitReader(resp.Body, gateway.MaxRewrite))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: name, Message: "cannot create image: its answer broke off", Err: err}
	}
	if len(text) > 0 {
		reply.Body = text
	}
	return reply, nil
}

// made is a creation that one pod was asked for.
type made struct {
	id, pod string
	given   bool // the client chose the ID
}

// recoverTime bounds the question what became of a creation.
const recoverTime = 10 * time.Second

// made records what the pod has made. When its reply is lost, it is asked for the
// image; if it has none, the client may try again.
func (a *api) made(ctx context.Context, by identity.Caller, m made, reply *gateway.Reply, err error) (*gateway.Reply, error) {
	ctx = context.WithoutCancel(ctx)
	if err != nil && !pod.NotDone(err) && !m.given {
		short, cancel := context.WithTimeout(ctx, recoverTime)
		defer cancel()
		answer := a.Dispatch.One(short, m.pod, pod.Request{Service: pod.Image, Method: get, Path: imagePath(m.id), As: &by, Op: "look for image"})
		if answer.Err != nil {
			return nil, err
		}
		reply = gateway.JSON(http.StatusCreated, answer.Body)
		reply.Header = http.Header{"X-Tricircle-Pod": {m.pod}}
	} else if err != nil || reply.Status >= http.StatusMultipleChoices {
		return reply, err
	}
	body, _ := reply.Body.([]byte)
	mode, _ := store.ParseImageMode(gjson.GetBytes(body, store.ImageModeProperty).String()) // checked before
	row := store.Image{ID: m.id, ProjectID: gjson.GetBytes(body, "owner").String(), Home: m.pod, Mode: mode,
		Status: gjson.GetBytes(body, "status").String()}
	if err := a.Store.KeepImage(ctx, row); err != nil { // it is found when it is next asked for
		a.Log.WarnContext(ctx, "cannot record a new image", "image", m.id, "pod", m.pod, "error", err)
	}
	a.Dispatch.Seen(ctx, by, store.KindImage, m.pod, body)
	return reply, nil
}

func imagePath(id string) string { return "/images/" + url.PathEscape(id) }
