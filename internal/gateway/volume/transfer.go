package volume

import (
	"context"
	"net/http"
	"net/url"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// acceptTransfer gives a volume to the caller's project. Nobody but its giver can
// see a transfer, so if it is not known where it is the service account looks for
// it; whether the key is right the pod decides.
func (a *api) acceptTransfer(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	podName, err := a.Dispatch.Locate(ctx, by, dispatch.KindTransfer, id)
	if fault.Is(err, fault.NotFound) {
		podName, err = a.findTransfer(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	reply, err := a.takeOver(ctx, by, r, podName)
	if err != nil || reply.Status >= 300 {
		return reply, err
	}
	a.Dispatch.Gone(ctx, dispatch.KindTransfer, id)
	if body, ok := reply.Body.([]byte); ok {
		a.noteVolume(ctx, by, podName, gjson.GetBytes(body, "transfer.volume_id").Str)
	}
	return reply, nil
}

func (a *api) findTransfer(ctx context.Context, id string) (string, error) {
	answers, err := a.Dispatch.All(ctx, nil, pod.Request{
		Service: pod.Volume, Method: http.MethodGet, Path: "/volume-transfers/" + url.PathEscape(id), Op: "look for transfer",
	})
	if err != nil {
		return "", err
	}
	for _, answer := range answers {
		if answer.Err == nil {
			return answer.Pod, nil
		}
	}
	for _, answer := range answers {
		if answer.Away() {
			return "", answer.Err // it may be there
		}
	}
	return "", fault.New(fault.NotFound, "", "%s", dispatch.Absent(dispatch.KindTransfer, id))
}

// noteVolume reads a volume that has come to the caller's project other than by its
// creation, so that the index knows whose it is. If that fails the next list that
// shows it does the same.
func (a *api) noteVolume(ctx context.Context, by identity.Caller, podName, id string) {
	if id == "" {
		return
	}
	ctx = context.WithoutCancel(ctx)
	answer := a.Dispatch.One(ctx, podName, pod.Request{
		Service: pod.Volume, Method: http.MethodGet, Path: "/volumes/" + url.PathEscape(id), As: &by, Op: "show volume",
	})
	if raw := gjson.GetBytes(answer.Body, "volume").Raw; answer.Err == nil && raw != "" {
		a.Dispatch.Seen(ctx, by, store.KindVolume, podName, []byte(raw))
	}
}
