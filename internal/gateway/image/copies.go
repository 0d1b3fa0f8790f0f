package image

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// anyCopy is answered by the first pod that has the image and can.
func (a *api) anyCopy(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	mappings, err := a.Dispatch.Index.ListMappings(ctx, store.MappingQuery{Kind: store.KindImage, ID: id})
	if err != nil {
		return nil, err
	}
	var known []string
	for _, m := range mappings {
		known = append(known, m.Pod)
	}
	reply, err := a.ask(ctx, by, r, known)
	if reply != nil && reply.Status != http.StatusNotFound {
		return reply, nil
	}
	// Nobody that should have it does: copies may have come or gone without us.
	holders, _, findErr := a.Dispatch.Holders(ctx, by, store.KindImage, id)
	holders = slices.DeleteFunc(holders, func(name string) bool { return slices.Contains(known, name) })
	if len(holders) > 0 {
		if reply != nil {
			reply.Close()
		}
		return a.ask(ctx, by, r, holders)
	}
	switch {
	case err != nil:
		return nil, err
	case fault.Is(findErr, fault.NotFound):
		if reply != nil {
			return reply, nil // in Glance's own words
		}
		return nil, noImage(id)
	case reply != nil:
		reply.Close()
	}
	return nil, findErr
}

// ask passes the request to one pod after the other until one has an answer that
// is neither 404 nor an error of its own. The 404 comes back if there is nothing
// better.
func (a *api) ask(ctx context.Context, by identity.Caller, r *gateway.Request, pods []string) (*gateway.Reply, error) {
	var worst *gateway.Reply
	var failed error
	for _, name := range pods {
		reply, err := a.forward(ctx, by, r, name)
		switch {
		case err != nil:
			failed = errors.Join(failed, err)
		case reply.Status == http.StatusNotFound:
			if worst != nil {
				worst.Close()
			}
			worst = reply
		default:
			if worst != nil {
				worst.Close()
			}
			return reply, nil
		}
	}
	if failed != nil {
		if worst != nil {
			worst.Close()
		}
		return nil, failed
	}
	return worst, nil
}

func (a *api) forward(ctx context.Context, by identity.Caller, r *gateway.Request, name string) (*gateway.Reply, error) {
	client, err := a.Dispatch.Client(ctx, name)
	if err != nil {
		return nil, err
	}
	return gateway.Forward(ctx, by, r, client, pod.Image)
}

// anyPod asks one pod after the other, for what is the same in all.
func (a *api) anyPod(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names, err := a.pods(ctx)
	if err != nil {
		return nil, err
	}
	return a.ask(ctx, by, r, names)
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

// holders are the pods with a copy, for a change that must reach all of them: no
// pod that may have one can be away.
func (a *api) holders(ctx context.Context, by identity.Caller, id string) ([]string, error) {
	holders, away, err := a.Dispatch.Holders(ctx, by, store.KindImage, id)
	if fault.Is(err, fault.NotFound) {
		return nil, noImage(id)
	}
	if err != nil {
		return nil, err
	}
	if len(away) > 0 {
		return nil, &fault.Error{
			Kind: fault.Unavailable, Err: away[0].Err,
			Message: "image " + id + " cannot be changed now: its copy in pod " + nameAll(away) + " cannot be reached",
		}
	}
	return holders, nil
}

func nameAll(away []dispatch.Trouble) string {
	names := make([]string, len(away))
	for i, t := range away {
		names[i] = t.Pod
	}
	return strings.Join(names, ", ")
}

func noImage(id string) error { return fault.New(fault.NotFound, "", "No image found with ID %s", id) }

// allCopies changes every copy.
func (a *api) allCopies(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	holders, err := a.holders(ctx, by, id)
	if err != nil {
		return nil, err
	}
	reply, err := a.everywhere(ctx, by, r, holders)
	if err == nil && r.Method == http.MethodDelete && r.Param("*") == "" && reply.Status < 300 {
		a.Dispatch.Gone(context.WithoutCancel(ctx), store.KindImage, id)
	}
	return reply, err
}

// allPods changes what every pod has under the same name.
func (a *api) allPods(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	names, err := a.pods(ctx)
	if err != nil {
		return nil, err
	}
	return a.everywhere(ctx, by, r, names)
}

// everywhere sends the request to the first pod, whose answer is the client's; if
// that is well, to the others. A pod that fails now leaves the copies apart: the
// error names it, and the same request can be sent again.
func (a *api) everywhere(ctx context.Context, by identity.Caller, r *gateway.Request, names []string) (*gateway.Reply, error) {
	if _, err := r.Bytes(); err != nil {
		return nil, err
	}
	reply, err := a.forward(ctx, by, r, names[0])
	first := names[0]
	// What an earlier try has done already is done.
	if err == nil && reply.Status == http.StatusNotFound && r.Method == http.MethodDelete && len(names) > 1 {
		reply.Close()
		first, names = names[1], names[1:]
		reply, err = a.forward(ctx, by, r, first)
	}
	if err != nil || reply.Status >= 300 {
		return reply, err
	}
	others := names[1:]
	failures := make([]error, len(others))
	var wg sync.WaitGroup
	for i, name := range others {
		wg.Go(func() { failures[i] = a.follow(ctx, by, r, name) })
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		reply.Close()
		return nil, apart(first, err)
	}
	return reply, nil
}

// follow makes the change in a further pod.
func (a *api) follow(ctx context.Context, by identity.Caller, r *gateway.Request, name string) error {
	client, err := a.Dispatch.Client(ctx, name)
	if err != nil {
		return err
	}
	resp, err := client.Do(ctx, question(&by, r))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	gone := resp.StatusCode == http.StatusNotFound && r.Method == http.MethodDelete
	repeated := resp.StatusCode == http.StatusConflict && r.Method == http.MethodPost
	if resp.StatusCode < 300 || gone || repeated {
		return nil
	}
	return pod.Upstream(name, opOf(r), resp)
}

func apart(done string, err error) error {
	text := err.Error()
	if f, ok := errors.AsType[*fault.Error](err); ok {
		text = "pod " + f.Pod + ": " + f.Message
	}
	return &fault.Error{
		Kind: fault.Unavailable, Err: err,
		Message: "done in pod " + done + ", but not everywhere: " + text + ". Send the request again.",
	}
}

func opOf(r *gateway.Request) string { return r.Method + " " + r.Route.Pattern }
