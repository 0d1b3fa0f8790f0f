package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/seal"
	"github.com/tricircle/tricircle/internal/store"
)

// A server whose image is on its way to the pod is with its user already. Its job
// looks whether the image has come, asks the pod for the server once, and finds
// out by the mark what became of a request whose answer was lost. It holds no
// worker while it waits, since the image's own job wants one.

// ServerOrder is what is sent to the pod in the end: the request as whoever asked
// would send it himself.
type ServerOrder struct {
	Token     string
	ProjectID string
	UserID    string
	Roles     []string
	RequestID string
	Query     url.Values
	Header    http.Header // its version
	Body      json.RawMessage
}

// Seal makes the order unreadable.
func (o ServerOrder) Seal(k seal.Key, id string) (string, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("cannot keep the request for server %s: %w", id, err)
	}
	return k.Seal(text, id), nil
}

// OpenServerOrder is the way back.
func OpenServerOrder(k seal.Key, w store.WaitingServer) (o ServerOrder, err error) {
	text, err := k.Open(w.Sealed, w.ID)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	return o, err
}

// waitsFor is how soon to look again for an image, and for a server in its pod.
const waitsFor = time.Second

// waitingServer brings a server that waits one step on.
func (r *Reconciler) waitingServer(ctx context.Context, c *pod.Client, w store.WaitingServer) error {
	switch {
	case w.Deleting:
		return r.withdraw(ctx, c, w)
	case w.State == store.ServerFailed:
		return nil
	case w.State == store.ServerAsked:
		return r.findMade(ctx, c, w)
	}
	for _, image := range w.Images {
		why, err := r.imageLost(ctx, image, w)
		if err != nil {
			return err
		}
		if why != "" {
			return r.giveUp(ctx, w, why)
		}
	}
	asked, err := r.store.AskFor(ctx, w.ID)
	if err != nil {
		return err
	}
	if !asked {
		return &jobs.Again{Reason: "server " + w.ID + " has changed"}
	}
	return r.order(ctx, c, w)
}

// giveUp leaves the server in ERROR.
func (r *Reconciler) giveUp(ctx context.Context, w store.WaitingServer, why string) error {
	r.log.WarnContext(ctx, "a server that waited comes to nothing", "server", w.ID, "pod", w.Pod, "reason", why)
	_, err := r.store.FailWaiting(ctx, w.ID, why)
	return err
}

// imageLost is empty when the pod has the image, an error to wait when it will, and
// says why when it will not have it.
func (r *Reconciler) imageLost(ctx context.Context, image string, w store.WaitingServer) (why string, err error) {
	err = r.EnsureImage(ctx, image, w.Pod)
	switch {
	case fault.Is(err, fault.NotFound):
		return "image " + image + " was deleted while the server waited for it", nil
	case fault.Is(err, fault.Refused):
		return err.Error(), nil
	case fault.Is(err, fault.Conflict) && r.waitedLong(w.CreatedAt):
		return err.Error(), nil
	case fault.Is(err, fault.Conflict): // it failed, and is tried again
		return "", &jobs.Again{After: waitsFor, Reason: err.Error()}
	}
	return "", err
}

// waitedLong is true once things have had their time to get better by themselves.
func (r *Reconciler) waitedLong(since time.Time) bool { return !r.now().Before(since.Add(r.grace)) }

// order asks the pod for the server. From AskFor on nothing but the pod knows
// whether it has it.
func (r *Reconciler) order(ctx context.Context, c *pod.Client, w store.WaitingServer) error {
	o, err := OpenServerOrder(r.key, w)
	if err != nil {
		return r.giveUp(ctx, w, "the request for it cannot be read any more: "+err.Error())
	}
	podID, err := r.postServer(ctx, c, w, o)
	switch {
	case err == nil && podID != "":
		return r.handOver(ctx, c, w, podID)
	case err == nil:
		return r.findMade(ctx, c, w)
	case !pod.NotDone(err):
		return &jobs.Again{After: waitsFor, Reason: "looking for server " + w.ID + " in pod " + w.Pod + ": the reply to its creation was lost"}
	case pod.NotSent(err):
		_, again := r.store.AskAgain(ctx, w.ID)
		return cmp.Or(again, err)
	}
	return r.refused(ctx, w, err)
}

// refused looks after a server that the pod would not make. What it says of the
// image may be old: it is asked again for a while.
func (r *Reconciler) refused(ctx context.Context, w store.WaitingServer, refusal error) error {
	switch {
	case fault.Is(refusal, fault.Unauthenticated):
		return r.giveUp(ctx, w, "the token that asked for it has ended before its image was in pod "+w.Pod)
	case !LacksImage(refusal):
		return r.giveUp(ctx, w, refusal.Error())
	}
	since := w.CreatedAt
	for _, image := range w.Images {
		if copied, err := r.store.FindImageCopy(ctx, image, w.Pod); err == nil && copied.UpdatedAt.After(since) {
			since = copied.UpdatedAt
		}
	}
	if r.waitedLong(since) {
		return r.giveUp(ctx, w, refusal.Error())
	}
	if _, err := r.store.AskAgain(ctx, w.ID); err != nil {
		return err
	}
	return &jobs.Again{After: waitsFor, Reason: refusal.Error()}
}

// LacksImage reports whether a pod has refused a server since it does not have the
// image, or not all of it.
func LacksImage(err error) bool {
	return fault.Is(err, fault.Invalid) && slices.ContainsFunc([]string{
		"Can not find requested image", "is not active", "Block Device Mapping is Invalid: failed to get image",
	}, func(said string) bool { return strings.Contains(err.Error(), said) })
}

// postServer returns what the pod calls the server; empty where it tells a
// reservation only.
func (r *Reconciler) postServer(ctx context.Context, c *pod.Client, w store.WaitingServer, o ServerOrder) (podID string, err error) {
	by := identity.Caller{Token: o.Token, ProjectID: o.ProjectID, UserID: o.UserID, Roles: o.Roles, RequestID: o.RequestID}
	header := o.Header.Clone()
	header.Set("Content-Type", "application/json")
	resp, err := c.Do(ctx, pod.Request{Service: pod.Compute, Method: http.MethodPost, Path: "/servers", Query: o.Query, Header: header,
		Body: bytes.NewReader(o.Body), As: &by, Op: "create server"})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return "", pod.Upstream(w.Pod, "create server", resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return gjson.GetBytes(body, "server.id").Str, err
}

// findMade looks for the server by its mark. Not found for long it was never made.
func (r *Reconciler) findMade(ctx context.Context, c *pod.Client, w store.WaitingServer) error {
	podID, found, err := markedOf(ctx, c, w)
	switch {
	case err != nil:
		return err
	case found:
		return r.handOver(ctx, c, w, podID)
	case !r.waitedLong(w.AskedAt):
		return &jobs.Again{After: min(r.grace/4, 5*time.Second), Reason: "looking for server " + w.ID + " in pod " + w.Pod +
			": the reply to its creation was lost"}
	}
	if _, err := r.store.AskAgain(ctx, w.ID); err != nil {
		return err
	}
	return &jobs.Again{After: waitsFor, Reason: "pod " + w.Pod + " has not made server " + w.ID + ": it is asked again"}
}

// markedOf finds the pod's server by the mark, which is the ID of the one that waits.
func markedOf(ctx context.Context, c *pod.Client, w store.WaitingServer) (podID string, found bool, err error) {
	e, found, err := markedServer(ctx, c, store.Intent{ID: w.ID, Pod: w.Pod, ProjectID: w.ProjectID, CreatedAt: w.CreatedAt})
	return e.ID, found, err
}

// handOver ends the wait: from here on the server is the pod's, under our ID.
func (r *Reconciler) handOver(ctx context.Context, c *pod.Client, w store.WaitingServer, podID string) error {
	in, err := r.store.FindIntent(ctx, w.ID)
	if err != nil {
		return err
	}
	settled, err := r.store.SettleWaiting(ctx, store.Entry{
		Kind: store.KindServer, ID: w.ID, Pod: w.Pod, ProjectID: in.ProjectID, UserID: in.UserID, Name: in.Name, Zone: in.Zone,
		Status: "BUILD", CreatedAt: r.now().UTC(),
	}, podID)
	if err != nil || settled {
		return err
	}
	return r.withdraw(ctx, c, w) // it was deleted while the pod made it
}

// withdraw deletes a server that its user has deleted while the pod was asked for
// it. One whose request was lost may still turn up for a while.
func (r *Reconciler) withdraw(ctx context.Context, c *pod.Client, w store.WaitingServer) error {
	podID, found, err := markedOf(ctx, c, w)
	switch {
	case err != nil:
		return err
	case !found && w.State == store.ServerAsked && !r.waitedLong(w.AskedAt):
		return &jobs.Again{After: min(r.grace/4, 5*time.Second), Reason: "server " + w.ID + " was deleted; pod " + w.Pod + " may still make it"}
	case !found:
		return r.store.DropWaiting(ctx, w.ID)
	}
	err = c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodDelete, Path: "/servers/" + url.PathEscape(podID), Op: "delete server"}, nil, nil)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	// It was found, so nothing can turn up any more.
	if _, err := r.store.AskAgain(ctx, w.ID); err != nil {
		return err
	}
	return &jobs.Again{After: waitsFor, Reason: "pod " + w.Pod + " is still deleting server " + w.ID}
}

// isWaiting finds the server among those that wait.
func (r *Reconciler) isWaiting(ctx context.Context, id string) (store.WaitingServer, bool, error) {
	w, err := r.store.FindWaiting(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return w, false, nil
	}
	return w, err == nil, err
}
