package reconcile

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// MarkKey is the metadata key by which a server or volume tells the creation it
// came from.
const MarkKey = "tricircle"

// server makes one that waits. It waits until a deleted server is gone from its pod, then frees what was
// made for it. Nova deletes in the background; ports taken from under a server
// that still runs would cut it off before its time.
func (r *Reconciler) server(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if m.PodID == "" {
		if w, waits, err := r.isWaiting(ctx, m.ID); err != nil || waits {
			if err != nil {
				return err
			}
			return r.waitingServer(ctx, c, w)
		}
	}
	if m.Wanted {
		return nil
	}
	s, err := showServer(ctx, c, m.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		return r.store.Forget(ctx, m.Target) // frees its ports too
	case err != nil:
		return err
	case s.Status == "SOFT_DELETED":
		// The pod keeps it for a while: it counts no more, and may come back.
		if err := r.store.SetStatus(ctx, m.Target, s.Status); err != nil {
			return err
		}
		return &jobs.Again{After: 30 * time.Second, Reason: "pod " + m.Pod + " keeps deleted server " + m.ID + " for a while"}
	}
	return &jobs.Again{After: time.Second, Reason: "pod " + m.Pod + " is still deleting server " + m.ID}
}

func showServer(ctx context.Context, c *pod.Client, id string) (podServer, error) {
	var out struct {
		Server podServer `json:"server"`
	}
	err := c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "/servers/" + url.PathEscape(id), Op: "show server"}, nil, &out)
	return out.Server, err
}

// podServer is a server as its pod shows it.
type podServer struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Status    string            `json:"status"`
	ProjectID string            `json:"tenant_id"`
	UserID    string            `json:"user_id"`
	CreatedAt time.Time         `json:"created"`
	Metadata  map[string]string `json:"metadata"`
	Flavor    struct {
		ID    string `json:"id"` // before version 2.47
		VCPUs int64  `json:"vcpus"`
		RAM   int64  `json:"ram"`
	} `json:"flavor"`
}

// entry is what the index remembers of it.
func (s podServer) entry(podName, zone string) store.Entry {
	return store.Entry{Kind: store.KindServer, ID: s.ID, Pod: podName, ProjectID: s.ProjectID, UserID: s.UserID, Name: s.Name,
		Zone: zone, Status: s.Status, CreatedAt: s.CreatedAt, Mark: s.Metadata[MarkKey],
		Size: quota.Size{VCPUs: s.Flavor.VCPUs, RAM: s.Flavor.RAM}}
}

// intent settles a creation that nobody is working on any more: its process died
// or the pod's reply was lost. What has the mark is taken over; when nothing
// turns up, what was prepared for it is freed.
func (r *Reconciler) intent(ctx context.Context, c *pod.Client, m store.Mapping) error {
	in, err := r.store.FindIntent(ctx, m.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || in.Pod != m.Pod { // it has moved on: the new pod's job looks after it
		return err
	}
	if _, waits, err := r.isWaiting(ctx, in.ID); err != nil || waits {
		return err // its own job makes it
	}
	switch in.Kind {
	case store.KindGrowth, store.KindAccepted:
		return r.growth(ctx, c, in)
	case store.KindTransfer:
		return r.transfer(ctx, c, in)
	case store.KindBoot:
		return r.boot(ctx, in)
	}
	e, ok, err := r.made(ctx, c, in)
	switch {
	case err != nil:
		return err
	case ok:
		return r.store.Settle(ctx, in.ID, e)
	case r.now().Before(in.CreatedAt.Add(r.grace)):
		return &jobs.Again{After: min(r.grace/4, 5*time.Second), Reason: "looking for " + in.Kind + " " + in.Name + " in pod " + in.Pod +
			": the reply to its creation was lost"}
	}
	return r.store.Abandon(ctx, in.ID)
}

// clockSkew is how far the pod's clock may be behind ours.
const clockSkew = 5 * time.Minute

// made finds in a pod what a creation has made there.
func (r *Reconciler) made(ctx context.Context, c *pod.Client, in store.Intent) (store.Entry, bool, error) {
	switch in.Kind {
	case store.KindServer:
		return markedServer(ctx, c, in)
	case store.KindVolume:
		return r.markedVolume(ctx, c, in)
	}
	return r.unmarked(ctx, c, in)
}

// markedServer finds the server of a creation among those of the project that changed
// since. (Nova 26 refuses a filter by metadata: "Invalid filter field".)
func markedServer(ctx context.Context, c *pod.Client, in store.Intent) (store.Entry, bool, error) {
	q := url.Values{"all_tenants": {"1"}, "project_id": {in.ProjectID},
		"changes-since": {in.CreatedAt.Add(-clockSkew).UTC().Format(time.RFC3339)}}
	var out struct {
		Servers []podServer `json:"servers"`
	}
	err := c.JSON(ctx, pod.Request{Service: pod.Compute, Method: http.MethodGet, Path: "/servers/detail",
		Query: q, Op: "list servers"}, nil, &out)
	if err != nil {
		return store.Entry{}, false, err
	}
	for _, s := range out.Servers {
		// changes-since lists deleted servers too.
		if s.Metadata[MarkKey] == in.ID && s.Status != "DELETED" {
			return s.entry(in.Pod, in.Zone), true, nil
		}
	}
	return store.Entry{}, false, nil
}

// Hold keeps the jobs of a creation away while its own request works on it. The
// lease ends with the process.
func (r *Reconciler) Hold(ctx context.Context, intentID, podName string) (release func(), err error) {
	return r.locks.lock(ctx, keyOf(store.Target{Kind: store.KindIntent, ID: intentID, Pod: podName}), nil)
}
