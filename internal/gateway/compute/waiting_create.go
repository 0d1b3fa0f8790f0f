package compute

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
)

// A server may go to a pod that must get its image first. The pod is asked all the
// same: it checks the rest of the request before it misses the image. Then the
// server is the user's, and a job asks the pod again once the image is there.

// noImageYet is a pod's refusal of a server whose image can be brought there.
type noImageYet struct {
	cause error
	body  []byte // that the pod was sent
}

func (e *noImageYet) Error() string { return e.cause.Error() }
func (e *noImageYet) Unwrap() error { return e.cause }

// images are those that the server's pod must have.
func (j *job) images() []string {
	var ids []string
	if j.wish.ImageID != "" {
		ids = append(ids, j.wish.ImageID)
	}
	for _, v := range j.wish.Volumes {
		if v.Kind == "image" && !slices.Contains(ids, v.ID) {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// awaits turns a pod's refusal into the beginning of a wait, if the images that it
// misses can be brought there.
func (a *api) awaits(ctx context.Context, j *job, body []byte, refusal error) error {
	if !j.need.CopyImage || !reconcile.LacksImage(refusal) || !j.canCopy && !a.canCopy(ctx, j) {
		return refusal
	}
	return &noImageYet{refusal, body}
}

// canCopy reports whether every image that the server needs is somewhere where the
// caller may have it, with its data, and may leave.
func (a *api) canCopy(ctx context.Context, j *job) bool {
	for _, id := range j.images() {
		if _, _, err := a.Dispatch.Holders(ctx, j.by, store.KindImage, id); err != nil {
			return false
		}
		i, err := a.Store.AdoptImage(ctx, id)
		if err != nil || i.Deleted || a.seeAtHome(ctx, j.by, i) == store.ImageHomeOnly {
			return false
		}
		copies, err := a.Store.ListImageCopies(ctx, id)
		if err != nil || !slices.ContainsFunc(copies, func(c store.ImageCopy) bool { return c.State == store.CopyActive }) {
			return false
		}
	}
	return len(j.images()) > 0
}

// seeAtHome notes what the image's home says of it by now, also of one that was
// changed past the region, and returns its mode. A home that is away changes nothing.
func (a *api) seeAtHome(ctx context.Context, by identity.Caller, i store.Image) store.ImageMode {
	n := a.Dispatch.One(ctx, i.Home, pod.Request{Service: pod.Image, Method: http.MethodGet, Path: "/images/" + i.ID, As: &by, Op: "show image"})
	status := gjson.GetBytes(n.Body, "status").Str
	if n.Err != nil || status == "" {
		return i.Mode
	}
	own, _ := store.ParseImageMode(gjson.GetBytes(n.Body, store.ImageModeProperty).Str) // nonsense: the region's
	err := a.Store.SeeImage(ctx, i.ID, status, own)
	if err == nil {
		i, err = a.Store.FindImage(ctx, i.ID)
	}
	if err != nil {
		a.Log.WarnContext(ctx, "cannot note an image's state", "image", i.ID, "error", err)
	}
	return i.Mode
}

// wait gives the user a server that its pod makes later.
func (a *api) wait(ctx context.Context, j *job, in store.Intent, missing *noImageYet) (string, *gateway.Reply, error) {
	for _, id := range j.images() {
		err := a.Store.WantImageCopy(ctx, id, in.Pod)
		if fault.Is(err, fault.Refused) || fault.Is(err, fault.NotFound) {
			err = fault.New(fault.Invalid, "", "%s", err.Error())
		}
		if err != nil {
			return "", nil, a.abandon(ctx, in, err)
		}
	}
	body, password := withPassword(missing.body)
	order := reconcile.ServerOrder{
		Token: j.by.Token, ProjectID: j.by.ProjectID, UserID: j.by.UserID, Roles: j.by.Roles, RequestID: j.by.RequestID,
		Query: j.request.URL.Query(), Header: versionHeaders(j.wish.spoken(len(j.nics))), Body: body,
	}
	sealed, err := order.Seal(a.Key, in.ID)
	if err != nil {
		return "", nil, a.abandon(ctx, in, err)
	}
	document := a.waitingDocument(ctx, j, in)
	err = a.Store.Wait(ctx, store.WaitingServer{ID: in.ID, Images: j.images(), Document: string(mustJSON(document)), Sealed: sealed})
	if err != nil {
		return "", nil, a.abandon(ctx, in, err)
	}
	a.Log.InfoContext(ctx, "a server waits for its image", "request_id", j.by.RequestID, "server", in.ID, "pod", in.Pod, "images", j.images())
	return in.ID, a.promised(j, in, password), nil
}

// promised is the reply, as Nova's.
func (a *api) promised(j *job, in store.Intent, password string) *gateway.Reply {
	header := http.Header{"X-Tricircle-Pod": {in.Pod}}
	if j.wish.Reserve {
		return &gateway.Reply{Status: http.StatusAccepted, Header: header, Body: map[string]string{"reservation_id": "r-" + uuid.NewString()[:8]}}
	}
	v := a.viewOf(j.request, in.Pod)
	header.Set("Location", v.root("self")+"/servers/"+in.ID)
	return &gateway.Reply{Status: http.StatusAccepted, Header: header, Body: map[string]any{"server": map[string]any{
		"id": in.ID, "links": json.RawMessage(v.serverLinks(in.ID)), "adminPass": password,
		"OS-DCF:diskConfig": j.wish.diskConfig(), "security_groups": groupNames(j.wish.groupsShown()),
	}}}
}

// withPassword is the request with a password in it, which the pod would make
// itself, and tell the one who asks: that is not the user.
func withPassword(body []byte) (changed []byte, password string) {
	if given := gjson.GetBytes(body, "server.adminPass"); given.Type == gjson.String {
		return body, given.Str
	}
	var document, server map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(body, &document), json.Unmarshal(document["server"], &server)); err != nil {
		return body, "" // it is ours, and is an object
	}
	password = newPassword()
	server["adminPass"] = mustJSON(password)
	document["server"] = mustJSON(server)
	return mustJSON(document), password
}

// newPassword is as long as Nova's, without letters that look alike.
func newPassword() string {
	const letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	out := make([]byte, 12)
	for i := range out {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic(err) // it never fails
		}
		out[i] = letters[n.Int64()]
	}
	return string(out)
}

func (c *creation) diskConfig() string {
	if mode, err := c.text("OS-DCF:diskConfig"); err == nil && mode != "" {
		return mode
	}
	return "MANUAL"
}

// groupsShown are the names of the server's security groups.
func (c *creation) groupsShown() []string {
	if len(c.Groups) > 0 {
		return c.Groups
	}
	return []string{"default"}
}
