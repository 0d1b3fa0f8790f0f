package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// question is the client's request as a pod gets it, its body read before.
func question(by *identity.Caller, r *gateway.Request) pod.Request {
	q := pod.Request{
		Service: pod.Image, Method: r.Method, Path: r.Path(), RawQuery: r.URL.RawQuery,
		Header: gateway.PassHeader(r.Header), As: by, Op: opOf(r),
	}
	if body, err := r.Bytes(); err == nil && len(body) > 0 {
		q.Body = bytes.NewReader(body)
	}
	return q
}

// copyMade is what one pod answered to a creation.
type copyMade struct {
	pod   string
	reply *gateway.Reply
	body  []byte
	err   error
}

// create makes the image, with one ID, in every pod. If one cannot, it is in none.
func (a *api) create(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var document map[string]any
	if err := r.JSON(&document); err != nil {
		return nil, err
	}
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	id, ours := gjson.GetBytes(body, "id").String(), false
	if !gjson.GetBytes(body, "id").Exists() {
		id, ours = uuid.NewString(), true
		if body, err = sjson.SetBytes(body, "id", id); err != nil {
			return nil, fmt.Errorf("cannot write the image's ID: %w", err)
		}
	}
	names, err := a.pods(ctx)
	if err != nil {
		return nil, err
	}
	made := make([]copyMade, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { made[i] = a.createIn(ctx, by, r, name, body) })
	}
	wg.Wait()
	for _, m := range made {
		if m.err != nil {
			a.takeBack(ctx, by, id, made, ours)
			return nil, m.err
		}
		if m.reply.Status >= 300 {
			a.takeBack(ctx, by, id, made, ours)
			m.reply.Body = m.body
			return m.reply, nil
		}
	}
	for _, m := range made {
		a.Dispatch.Seen(context.WithoutCancel(ctx), by, store.KindImage, m.pod, m.body)
	}
	made[0].reply.Body = made[0].body
	return made[0].reply, nil
}

func (a *api) createIn(ctx context.Context, by identity.Caller, r *gateway.Request, name string, body []byte) copyMade {
	m := copyMade{pod: name}
	client, err := a.Dispatch.Client(ctx, name)
	if err != nil {
		m.err = err
		return m
	}
	q := question(&by, r)
	q.Body, q.Op = bytes.NewReader(body), "create image"
	resp, err := client.Do(ctx, q)
	if err != nil {
		m.err = err
		return m
	}
	defer resp.Body.Close()
	if m.err = gateway.Broken(r, resp, name); m.err != nil {
		return m
	}
	m.reply = gateway.ReplyOf(r, resp, name, r.Path())
	if m.body, err = io.ReadAll(io.LimitReader(resp.Body, gateway.MaxRewrite)); err != nil {
		m.err = &fault.Error{Kind: fault.Unavailable, Pod: name, Message: "cannot create image: its answer broke off", Err: err}
	}
	return m
}

const takeBackTime = 20 * time.Second

// takeBack removes the copies of a creation that failed elsewhere. A pod whose
// answer is missing may have made one: it is asked too, but only if the ID is
// ours, since one that the client chose may be another image's there.
func (a *api) takeBack(ctx context.Context, by identity.Caller, id string, made []copyMade, ours bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, m := range made {
		certain := m.reply != nil && m.reply.Status < 300
		possible := m.err != nil && ours && !pod.NotDone(m.err)
		if !certain && !possible {
			continue
		}
		wg.Go(func() {
			answer := a.Dispatch.One(ctx, m.pod, pod.Request{
				Service: pod.Image, Method: http.MethodDelete, Path: "/images/" + url.PathEscape(id), As: &by, Op: "take back image",
			})
			if answer.Err != nil && !fault.Is(answer.Err, fault.NotFound) {
				a.Dispatch.Log.Warn("an image that was not made everywhere is left", "pod", m.pod, "image", id, "error", answer.Err)
			}
		})
	}
	wg.Wait()
}

// failure is the first error that says what went wrong itself, not that others
// were stopped because of it.
func failure(errs []error, stopped error) error {
	var second error
	for _, err := range errs {
		if err == nil {
			continue
		}
		if !errors.Is(err, stopped) {
			return err
		}
		second = err
	}
	return second
}
