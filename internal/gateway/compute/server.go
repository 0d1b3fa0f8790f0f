package compute

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// show is "GET /servers/{id}".
func (a *api) show(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	podName, err := a.serverPod(ctx, by, id)
	if err != nil {
		return nil, err
	}
	reply, err := a.rewritten(ctx, by, r, podName, func(v view, body []byte) []byte {
		a.learnRoom(ctx, podName, body)
		return serverReply(v, body)
	})
	if err == nil && reply.Status == http.StatusNotFound {
		a.gone(ctx, by, id, podName)
	}
	return reply, err
}

// update is "PUT /servers/{id}".
func (a *api) update(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	podName, err := a.serverPod(ctx, by, r.Param("id"))
	if err != nil {
		return nil, err
	}
	return a.rewritten(ctx, by, r, podName, serverReply)
}

// remove is "DELETE /servers/{id}". The pod deletes in the background; what was
// made for the server goes once the pod says that it is gone.
func (a *api) remove(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	podName, err := a.serverPod(ctx, by, id)
	if err != nil {
		return nil, err
	}
	reply, err := a.pass(ctx, by, r, podName)
	if err != nil {
		return nil, err
	}
	switch {
	case reply.Status == http.StatusNotFound:
		a.gone(ctx, by, id, podName)
	case reply.Status < 300:
		a.unwant(ctx, id)
	}
	return reply, nil
}

// deleteIn deletes a server that the region has just made itself.
func (a *api) deleteIn(ctx context.Context, by identity.Caller, podName, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if removed, err := a.Store.RemoveWaiting(ctx, id); err != nil || removed {
		return err
	}
	q := question{Method: http.MethodDelete, Path: "/servers/" + url.PathEscape(id), Version: minVersion, Op: "delete server"}
	n := a.ask(ctx, by, podName, q)
	if n.Away() && !pod.NotDone(n.Err) {
		// The pod may have done it. Asking again tells; if that fails too, the next
		// census finds out and frees what the server held.
		n = a.ask(ctx, by, podName, q)
	}
	if n.Err != nil && !fault.Is(n.Err, fault.NotFound) {
		return n.Err
	}
	a.unwant(ctx, id)
	return nil
}

// unwant starts the work that follows a deletion. If it cannot be written down,
// the next look at the server, which finds it gone, starts it.
func (a *api) unwant(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := a.Store.Unwant(ctx, store.KindServer, id); err != nil {
		a.Log.ErrorContext(ctx, "cannot record a deletion", "server", id, "error", err)
	}
}

// gone frees at once what belonged to a server that its pod no longer has:
// clients delete the network as soon as they see the 404. A foreign project's
// 404 says nothing, so it frees nothing.
func (a *api) gone(ctx context.Context, by identity.Caller, id, podName string) {
	target := store.Target{Kind: store.KindServer, ID: id, Pod: podName}
	m, err := a.Store.FindMapping(ctx, target)
	if err != nil || m.ProjectID != by.ProjectID && !by.IsAdmin() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if m.Wanted {
		a.unwant(ctx, id)
	}
	if err := a.Reconciler.Ensure(ctx, target, nil); err != nil {
		a.Log.InfoContext(ctx, "the job frees what belonged to a server", "server", id, "pod", podName, "error", err)
	}
}

func (a *api) rebuild(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	if err := checkMark(r, "rebuild.metadata"); err != nil {
		return nil, err
	}
	return a.rewritten(ctx, by, r, podName, serverReply)
}

// snapshot makes an image in the pod's own Glance. Nova tells where in Location,
// by Glance's address: that has to be ours.
func (a *api) snapshot(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	id := ""
	reply, err := a.rewritten(ctx, by, r, podName, func(_ view, body []byte) []byte {
		id = gjson.GetBytes(body, "image_id").Str // since 2.45
		return body
	})
	if err != nil {
		return nil, err
	}
	if location := reply.Header.Get("Location"); location != "" && reply.Status < http.StatusMultipleChoices {
		id = lastSegment(location)
		reply.Header.Set("Location", r.HostURL()+"/image/v2/images/"+id)
	}
	if id != "" {
		a.expectImage(context.WithoutCancel(ctx), by, id, podName)
	}
	return reply, nil
}

// expectImage puts an image that Nova makes on record: its home is the server's pod,
// and a job looks when its data is there.
func (a *api) expectImage(ctx context.Context, by identity.Caller, id, podName string) {
	err := a.Store.ExpectImage(ctx, store.Image{ID: id, ProjectID: by.ProjectID, Home: podName, Status: "queued"})
	if err != nil { // it is found when it is first asked for
		a.Log.WarnContext(ctx, "cannot record the image of a server", "image", id, "pod", podName, "error", err)
	}
}

// unshelve may name a zone, and for admins a host: they must hold the server's pod.
func (a *api) unshelve(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	if err := a.nameHost(ctx, by, r, podName, "unshelve.host"); err != nil {
		return nil, err
	}
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	wanted := gjson.GetBytes(body, "unshelve.availability_zone")
	if wanted.Type != gjson.String {
		return a.pass(ctx, by, r, podName)
	}
	list, own, err := a.podZones(ctx, by, wanted.Str)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(z fleet.PodZone) bool { return z.Pod == podName })
	if i < 0 {
		return nil, fault.New(fault.Invalid, "", "The requested availability zone is not available: the server is in pod %s of zone %s and cannot move to zone %s",
			podName, a.Fleet.ZoneOf(podName), wanted.Str)
	}
	podZone := list[i].Zone
	if podZone == "" && !own {
		podZone = fleet.DefaultPodZone
	}
	body = gateway.Splice(body, []gateway.Edit{gateway.Instead(wanted, quote(podZone))})
	return a.passBody(ctx, by, r, podName, body)
}
