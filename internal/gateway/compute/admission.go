package compute

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// Quotas are decided here, before a pod is asked: see store's admission. What a
// pod refuses for its own quota although the region admitted it is put right by
// cured.

// admit finds what the servers of the creation take, and admits several of them at
// once; one alone is admitted by its journal entry. release gives back what has
// not been begun by then.
func (a *api) admit(ctx context.Context, j *job) (release func(), err error) {
	a.learnDefaults(ctx)
	of := store.QuotaOf{Service: quota.Compute, ProjectID: j.by.ProjectID, UserID: j.by.UserID}
	if err := a.checkItems(ctx, j.wish, of); err != nil {
		return nil, err
	}
	if j.size, err = a.Fleet.FlavorSize(ctx, j.by, j.pod.Name, j.wish.FlavorID); err != nil {
		return nil, err
	}
	j.volumes = a.bootVolumes(ctx, j.wish)
	if j.wish.Max == 1 {
		return func() {}, nil
	}
	g, err := a.Store.GrantServers(ctx, of, j.size, j.wish.Min, j.wish.Max, a.CreateTimeout)
	if err != nil {
		return nil, err
	}
	j.grant, j.wish.Max = g.ID, g.Servers
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := a.Store.EndGrant(ctx, g.ID); err != nil {
			a.Log.WarnContext(ctx, "cannot give back a grant: it runs out by itself", "grant", g.ID, "error", err)
		}
	}, nil
}

// checkItems holds the limits of what one request may carry.
func (a *api) checkItems(ctx context.Context, c *creation, of store.QuotaOf) error {
	files := personality(c.server["personality"])
	if len(c.metadata) == 0 && len(files) == 0 {
		return nil
	}
	limits, err := a.Store.Limits(ctx, of)
	if err != nil {
		return err
	}
	over := func(name string, n int) bool { return limits[name] >= 0 && int64(n) > limits[name] }
	if over("metadata_items", len(c.metadata)) {
		return fault.New(fault.OverQuota, "", "Maximum number of metadata items exceeds %d", limits["metadata_items"])
	}
	if over("injected_files", len(files)) {
		return fault.New(fault.OverQuota, "", "Personality file limit exceeded")
	}
	for _, f := range files {
		if over("injected_file_path_bytes", len(f.Path)) {
			return fault.New(fault.OverQuota, "", "Personality file path exceeds maximum %d", limits["injected_file_path_bytes"])
		}
		if over("injected_file_content_bytes", f.size()) {
			return fault.New(fault.OverQuota, "", "Personality file content exceeds maximum %d", limits["injected_file_content_bytes"])
		}
	}
	return nil
}

// injected is a file that a server begins with.
type injected struct{ Path, Contents string }

// personality reads the files; what is malformed is for the pod to refuse.
func personality(raw json.RawMessage) []injected {
	var files []injected
	if json.Unmarshal(raw, &files) != nil {
		return nil
	}
	return files
}

func (f injected) size() int {
	n := base64.StdEncoding.DecodedLen(len(f.Contents))
	for i := len(f.Contents); i > 0 && f.Contents[i-1] == '='; i-- {
		n--
	}
	return n
}

// cured reports whether a pod refused for its own quota, which was lower than the
// region's and is no more: then the same request is worth another try there.
func (a *api) cured(ctx context.Context, project, podName string, err error) bool {
	if !fault.Is(err, fault.OverQuota) {
		return false
	}
	cured, cureErr := a.Reconciler.CureQuota(ctx, quota.Compute, project, podName)
	if cureErr != nil {
		a.Log.WarnContext(ctx, "cannot lift the quota in a pod", "project", project, "pod", podName, "error", cureErr)
	}
	return cured && cureErr == nil
}

// learnDefaults has the pods asked what they give by default, if one never told.
func (a *api) learnDefaults(ctx context.Context) { a.Reconciler.LearnDefaults(ctx, quota.Compute) }

// resize admits the new size before the pod is asked. What is not the caller's is
// left to the pod to refuse, and so is a flavor that nobody knows.
func (a *api) resize(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	q, err := questionOf(r)
	if err != nil {
		return nil, err
	}
	target := store.Target{Kind: store.KindServer, ID: r.Param("id"), Pod: podName}
	m, err := a.Store.FindMapping(ctx, target)
	if err != nil || m.ProjectID != by.ProjectID && !by.IsAdmin() {
		return a.pass(ctx, by, r, podName)
	}
	to, err := a.Fleet.FlavorSize(ctx, by, podName, lastSegment(gjson.GetBytes(q.Body, "resize.flavorRef").String()))
	if err != nil {
		return a.pass(ctx, by, r, podName)
	}
	a.learnDefaults(ctx)
	admitted, err := a.Store.AdmitResize(ctx, target, a.presentSize(ctx, by, target), to)
	if fault.Is(err, fault.NotFound) {
		return a.pass(ctx, by, r, podName)
	}
	if err != nil {
		return nil, err
	}
	n := a.ask(context.WithoutCancel(ctx), by, podName, q)
	if a.cured(ctx, m.ProjectID, podName, n.Err) {
		n = a.ask(context.WithoutCancel(ctx), by, podName, q)
	}
	if n.Err != nil {
		if pod.NotDone(n.Err) {
			a.undoResize(ctx, admitted)
		}
		return nil, n.Err // after a lost answer, what the server turns out to be counts
	}
	reply := a.replyFrom(r, n, nil)
	reply.Header.Set("X-Tricircle-Pod", podName)
	return reply, nil
}

func (a *api) undoResize(ctx context.Context, admitted store.Resize) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := a.Store.UndoResize(ctx, admitted); err != nil {
		a.Log.WarnContext(ctx, "cannot give back a resize: the next census does", "error", err)
	}
}

// presentSize asks the pod for a size that the index does not have. Unknown, all
// of the new size counts as growth.
func (a *api) presentSize(ctx context.Context, by identity.Caller, t store.Target) quota.Size {
	if e, err := a.Store.FindEntry(ctx, t.Kind, t.ID); err == nil && e.Size.Known() {
		return e.Size
	}
	n := a.ask(ctx, by, t.Pod, question{Method: http.MethodGet, Path: "/servers/" + t.ID, Version: gateway.Microversion{Major: 2, Minor: 47}, Op: "show server"})
	flavor := gjson.GetBytes(n.Body, "server.flavor")
	return quota.Size{VCPUs: flavor.Get("vcpus").Int(), RAM: flavor.Get("ram").Int()}
}
