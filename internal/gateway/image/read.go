package image

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// read is answered by the home, or while that is away by a copy with the data.
func (a *api) read(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	_, reply, err := a.readFrom(ctx, by, r)
	return reply, err
}

// readFrom also says which pod answered, as the row's home.
func (a *api) readFrom(ctx context.Context, by identity.Caller, r *gateway.Request) (store.Image, *gateway.Reply, error) {
	i, err := a.find(ctx, by, r)
	if err != nil {
		return i, nil, err
	}
	home := i.Home
	i, reply, err := a.ask(ctx, by, r, i)
	if err == nil || !away(err) {
		return i, reply, err
	}
	copies, listErr := a.Store.ListImageCopies(ctx, i.ID)
	if listErr != nil {
		return i, nil, listErr
	}
	for _, c := range copies {
		if c.Pod == home || c.State != store.CopyActive || !c.Wanted {
			continue
		}
		other, otherErr := a.forward(ctx, by, r, c.Pod)
		if otherErr == nil && other.Status != http.StatusNotFound {
			return i, other, nil
		}
		if otherErr == nil {
			other.Close()
		}
	}
	return i, nil, err
}

// show reads the image, and learns its status on the way: a client that waits for
// its data need not wait for a job as well.
func (a *api) show(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	i, reply, err := a.readFrom(ctx, by, r)
	if err != nil || reply.Status != http.StatusOK {
		return reply, err
	}
	return a.noted(ctx, by, i, reply)
}

// noted reads the image in the reply and records what it says, if it is its home's
// word.
func (a *api) noted(ctx context.Context, by identity.Caller, i store.Image, reply *gateway.Reply) (*gateway.Reply, error) {
	body, err := whole(reply)
	if err != nil {
		return nil, err
	}
	if name := reply.Header.Get("X-Tricircle-Pod"); name == i.Home && gjson.GetBytes(body, "id").Str == i.ID {
		a.see(context.WithoutCancel(ctx), by, i, body)
	}
	return reply, nil
}

// whole reads a streamed reply into memory.
func whole(reply *gateway.Reply) ([]byte, error) {
	defer reply.Close()
	body, err := io.ReadAll(io.LimitReader(reply.Stream, gateway.MaxRewrite))
	if err != nil {
		name := reply.Header.Get("X-Tricircle-Pod")
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: name, Message: "cannot read image: its answer broke off", Err: err}
	}
	reply.Stream, reply.Length = nil, 0
	if len(body) > 0 {
		reply.Body = body
	}
	return body, nil
}

// see records an image as its home shows it. The request goes on without the
// record: the next one that reads the image tries again.
func (a *api) see(ctx context.Context, by identity.Caller, i store.Image, body []byte) {
	mode, err := store.ParseImageMode(gjson.GetBytes(body, store.ImageModeProperty).String())
	if err == nil { // nonsense that was set past the region stays without effect
		err = a.Store.SeeImage(ctx, i.ID, gjson.GetBytes(body, "status").Str, mode)
	}
	if err != nil {
		a.Log.WarnContext(ctx, "cannot record what an image's home says", "image", i.ID, "error", err)
	}
	a.Dispatch.Seen(ctx, by, store.KindImage, i.Home, body)
}

// anyPod asks one pod after the other, for what is the same in all, or in one.
func (a *api) anyPod(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names, err := a.pods(ctx)
	if err != nil {
		return nil, err
	}
	return a.firstOf(ctx, by, r, names)
}

// firstOf is the first pod's answer that is not that there is no such thing.
func (a *api) firstOf(ctx context.Context, by identity.Caller, r *gateway.Request, names []string) (*gateway.Reply, error) {
	if _, err := r.Bytes(); err != nil {
		return nil, err
	}
	var absent *gateway.Reply
	var failed error
	for _, name := range names {
		reply, err := a.forward(ctx, by, r, name)
		if err == nil && reply.Status != http.StatusNotFound {
			if absent != nil {
				absent.Close()
			}
			return reply, nil
		}
		if err != nil {
			failed = err
			continue
		}
		if absent != nil {
			absent.Close()
		}
		absent = reply
	}
	if failed != nil { // it may be in the pod that did not answer
		if absent != nil {
			absent.Close()
		}
		return nil, failed
	}
	return absent, nil
}

func (a *api) pods(ctx context.Context) ([]string, error) {
	rows, err := a.Dispatch.Pods(ctx)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fault.New(fault.Unavailable, "", "the region has no pods")
	}
	names := make([]string, len(rows))
	for i, p := range rows {
		names[i] = p.Name
	}
	return names, nil
}

func opOf(r *gateway.Request) string { return fmt.Sprintf("%s %s", r.Method, r.Route.Pattern) }
