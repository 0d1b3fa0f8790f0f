package volume

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
)

// What makes a project's volumes more is admitted here, before a pod is asked: an
// intent holds the amounts until the index knows what came of it. A pod that
// refuses for its own quota, although the region admitted it, gets the region's
// limits and is asked again.

// growth is something that takes more of the quota: what it will take, how the pod
// is asked for it, and what is to be written down when the pod has said yes. If
// done fails, so does the request: only the pod knows what came of it.
type growth struct {
	intent store.Intent
	ask    func(ctx context.Context) (*gateway.Reply, error)
	done   func(ctx context.Context, in store.Intent, reply *gateway.Reply) error
}

// grow journals the growth and asks the pod. From the journal entry on the work goes
// on even if the client leaves, until it is done or undone. After a lost answer, or a
// crash, the intent's job finds out.
func (a *api) grow(ctx context.Context, g growth) (*gateway.Reply, error) {
	in := g.intent
	if in.ID == "" {
		in.ID = uuid.NewString()
	}
	a.Reconciler.LearnDefaults(ctx, quota.Volume)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.CreateTimeout)
	defer cancel()
	release, err := a.Reconciler.Hold(ctx, in.ID, in.Pod)
	if err != nil {
		return nil, err
	}
	defer release()
	_, err = a.Store.Begin(ctx, in)
	if fault.Is(err, fault.OverQuota) && a.Reconciler.CountAnew(ctx, in.ProjectID) {
		_, err = a.Store.Begin(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	reply, err := a.askCured(ctx, in, g.ask)
	switch {
	case err != nil && pod.NotDone(err):
		return nil, a.abandon(ctx, in, err)
	case err != nil:
		return nil, unknown(err, in.Kind)
	case reply.Status >= http.StatusBadRequest:
		return reply, a.abandon(ctx, in, nil)
	}
	return reply, g.done(ctx, in, reply)
}

// volumesUsed is what the project has. What it has deleted a moment ago does not count
// any more, if the pods say so soon.
func (a *api) volumesUsed(ctx context.Context, project string) (store.VolumeAmounts, error) {
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	a.Reconciler.CountAnew(soon, project)
	return a.Store.VolumesUsed(ctx, project)
}

// askCured asks the pod, and once more if it refused for a quota lower than the
// region's.
func (a *api) askCured(ctx context.Context, in store.Intent, ask func(context.Context) (*gateway.Reply, error)) (*gateway.Reply, error) {
	reply, err := ask(ctx)
	if err != nil || reply.Status != http.StatusRequestEntityTooLarge {
		return reply, err
	}
	cured, err := a.Reconciler.CureQuota(ctx, quota.Volume, in.ProjectID, in.Pod)
	if err != nil {
		a.Log.WarnContext(ctx, "cannot lift the quota in a pod", "project", in.ProjectID, "pod", in.Pod, "error", err)
	}
	if err != nil || !cured {
		return reply, nil
	}
	return ask(ctx)
}

// settle is what is done when the pod has made something: the index gets it, and the
// intent ends, in one transaction. A failure to write is not the client's: the thing
// is there, and the intent's job records it.
func (a *api) settle(by identity.Caller, of resource) func(context.Context, store.Intent, *gateway.Reply) error {
	return func(ctx context.Context, in store.Intent, reply *gateway.Reply) error {
		body, _ := reply.Body.([]byte)
		e, ok := dispatch.EntryOf(of.kind, []byte(gjson.GetBytes(body, of.item).Raw), in.Pod, in.Zone, by)
		if !ok {
			reply.Close()
			return unknown(&fault.Error{Kind: fault.Unavailable, Pod: in.Pod,
				Message: "create " + in.Kind + ": the answer is not the JSON that was expected"}, in.Kind)
		}
		if e.Gigabytes == 0 {
			e.Gigabytes = in.Amounts["gigabytes"] + in.Amounts["backup_gigabytes"]
		}
		if e.Parent == "" {
			e.Parent = in.Parent
		}
		a.write(ctx, in, func(ctx context.Context) error { return a.Store.Settle(ctx, in.ID, e) })
		return nil
	}
}

// write records what came of an intent; if it cannot, the intent's job does it later.
func (a *api) write(ctx context.Context, in store.Intent, what func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := what(ctx); err != nil {
		a.Log.ErrorContext(ctx, "cannot record what became of a request: its job does", "kind", in.Kind, "intent", in.ID, "pod", in.Pod, "error", err)
	}
}

// abandon ends an intent that came to nothing.
func (a *api) abandon(ctx context.Context, in store.Intent, cause error) error {
	a.write(ctx, in, func(ctx context.Context) error { return a.Store.Abandon(ctx, in.ID) })
	return cause
}

// intentIn is an intent of the caller's in the pod.
func (a *api) intentIn(ctx context.Context, by identity.Caller, kind, podName string) (store.Intent, error) {
	zones, err := a.zoneNames(ctx)
	return store.Intent{Kind: kind, Pod: podName, Zone: zones[podName], ProjectID: by.ProjectID, UserID: by.UserID}, err
}

// volumeIn is what the index knows of a volume; the pod is asked for what it does
// not know. A volume that the caller cannot see is nothing.
func (a *api) volumeIn(ctx context.Context, by identity.Caller, podName, id string) store.Entry {
	return a.knownIn(ctx, by, volumes, podName, id)
}

func (a *api) knownIn(ctx context.Context, by identity.Caller, of resource, podName, id string) store.Entry {
	e, err := a.Store.FindEntry(ctx, of.kind, id)
	if err == nil && e.Gigabytes > 0 && (e.ProjectID == by.ProjectID || by.IsAdmin()) {
		return e
	}
	answer := a.Dispatch.One(ctx, podName, pod.Request{
		Service: pod.Volume, Method: http.MethodGet, Path: of.path + "/" + url.PathEscape(id), As: &by, Op: "show " + of.item,
	})
	raw := gjson.GetBytes(answer.Body, of.item).Raw
	if answer.Err != nil || raw == "" {
		return store.Entry{}
	}
	a.Dispatch.Seen(ctx, by, of.kind, podName, []byte(raw))
	e, _ = dispatch.EntryOf(of.kind, []byte(raw), podName, "", by)
	return e
}

// limitedTypes reports whether anything of the project is limited by volume type.
// Else the types need not be known.
func (a *api) limitedTypes(ctx context.Context, project string) bool {
	limits, err := a.Store.Limits(ctx, quotaOf(project))
	for name, n := range limits {
		if err == nil && n >= 0 && quota.OfType(name) {
			return true
		}
	}
	return false
}

// typeNamed is the name of a volume type that a request names by name or ID; for
// none, of the one that its pod would take.
func (a *api) typeNamed(ctx context.Context, by identity.Caller, podName, wanted string) string {
	if wanted != "" && uuid.Validate(wanted) != nil {
		return wanted
	}
	if wanted == "" {
		wanted = "default"
	}
	answer := a.Dispatch.One(ctx, podName, pod.Request{
		Service: pod.Volume, Method: http.MethodGet, Path: "/types/" + url.PathEscape(wanted), As: &by, Op: "show volume type",
	})
	return gjson.GetBytes(answer.Body, "volume_type.name").Str
}

// volumeTakes is what the volume of a creation's body will take.
func (a *api) volumeTakes(ctx context.Context, by identity.Caller, body []byte, podName string) quota.Amounts {
	size, _ := strconv.ParseInt(gjson.GetBytes(body, "volume.size").String(), 10, 64)
	name := gjson.GetBytes(body, "volume.volume_type").String()
	limited := a.limitedTypes(ctx, by.ProjectID)
	for _, from := range []struct {
		path string
		of   resource
	}{{"volume.snapshot_id", snapshots}, {"volume.source_volid", volumes}, {"volume.backup_id", backups}} {
		id := gjson.GetBytes(body, from.path).String()
		if id == "" || size > 0 && (name != "" || !limited) {
			continue
		}
		e := a.knownIn(ctx, by, from.of, podName, id)
		if size <= 0 {
			size = e.Gigabytes
		}
		if name == "" && limited && e.Parent != "" && from.of.kind == store.KindSnapshot {
			e = a.volumeIn(ctx, by, podName, e.Parent)
		}
		if name == "" {
			name = e.Type
		}
	}
	if !limited {
		return quota.OneVolume(size, "")
	}
	return quota.OneVolume(size, a.typeNamed(ctx, by, podName, name))
}

// created is the growth of what is made beside a volume; ok is false for what does
// not count.
func (a *api) created(ctx context.Context, by identity.Caller, r *gateway.Request, of resource, podName string) (in store.Intent, ok bool, err error) {
	body, err := r.Bytes()
	if err != nil {
		return in, false, err
	}
	if in, err = a.intentIn(ctx, by, of.kind, podName); err != nil {
		return in, false, err
	}
	in.Name = gjson.GetBytes(body, of.item+".name").String()
	in.Parent = gjson.GetBytes(body, of.item+".volume_id").String()
	switch of.kind {
	case store.KindSnapshot:
		v := a.volumeIn(ctx, by, podName, in.Parent)
		in.Amounts = quota.OneSnapshot(v.Gigabytes, v.Type)
	case store.KindBackup:
		size := recordedSize(body)
		if in.Parent != "" {
			size = a.volumeIn(ctx, by, podName, in.Parent).Gigabytes
		}
		in.Amounts = quota.OneBackup(size)
	case store.KindGroup:
		in.Amounts = quota.Amounts{"groups": 1}
	default:
		return in, false, nil
	}
	return in, true, nil
}

// recordedSize is that of the backup in a record to import.
func recordedSize(body []byte) int64 {
	text, err := base64.StdEncoding.DecodeString(gjson.GetBytes(body, "backup-record.backup_url").Str)
	if err != nil {
		return 0
	}
	return gjson.GetBytes(text, "size").Int()
}

// createCounted makes what counts in the pod.
func (a *api) createCounted(ctx context.Context, by identity.Caller, r *gateway.Request, of resource, in store.Intent) (*gateway.Reply, error) {
	reply, err := a.grow(ctx, growth{
		intent: in,
		ask:    func(ctx context.Context) (*gateway.Reply, error) { return a.pass(ctx, by, r, in.Pod, of) },
		done:   a.settle(by, of),
	})
	if err == nil && reply.Status < 300 && strings.HasSuffix(r.Route.Pattern, "/action") {
		a.recount(ctx, by.ProjectID, in.Pod) // a group's copy has volumes
	}
	return reply, err
}

// extend is the action "os-extend".
func (a *api) extend(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	v := a.volumeIn(ctx, by, podName, r.Param("id"))
	size := gjson.GetBytes(body, "os-extend.new_size").Int()
	if v.ID == "" || size <= v.Gigabytes { // nothing more: Cinder says what is wrong
		return a.pass(ctx, by, r, podName, volumes)
	}
	return a.change(ctx, by, r, v, quota.LargerVolume(v.Gigabytes, size, v.Type))
}

// retype is the action "os-retype": the volume, with its snapshots, counts for the
// new type until it does not count for the old one any more.
func (a *api) retype(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	body, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	v := a.volumeIn(ctx, by, podName, r.Param("id"))
	if v.ID == "" {
		return a.pass(ctx, by, r, podName, volumes)
	}
	all := quota.Amounts{"volumes": 1, "gigabytes": v.Gigabytes}
	children, err := a.Store.ListChildren(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range children {
		all["snapshots"]++
		all["gigabytes"] += s.Gigabytes
	}
	more := quota.Amounts{}
	if a.limitedTypes(ctx, v.ProjectID) {
		more = all.OnlyType(a.typeNamed(ctx, by, podName, gjson.GetBytes(body, "os-retype.new_type").String()))
	}
	return a.change(ctx, by, r, v, more)
}

// change asks the pod for a change of a volume that goes on after its answer.
func (a *api) change(ctx context.Context, by identity.Caller, r *gateway.Request, v store.Entry, more quota.Amounts) (*gateway.Reply, error) {
	in := store.Intent{Kind: store.KindGrowth, Pod: v.Pod, Zone: v.Zone, ProjectID: v.ProjectID, UserID: by.UserID, Name: v.Name, Parent: v.ID, Amounts: more}
	return a.grow(ctx, growth{
		intent: in,
		ask:    func(ctx context.Context) (*gateway.Reply, error) { return a.pass(ctx, by, r, v.Pod, volumes) },
		done: func(ctx context.Context, in store.Intent, _ *gateway.Reply) error {
			a.write(ctx, in, func(ctx context.Context) error { return a.Store.AcceptGrowth(ctx, in) })
			return nil
		},
	})
}

// takeOver is the acceptance of a transfer: the volume, which only its giver and the
// service account can see, counts for the caller's project.
func (a *api) takeOver(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	pass := func(ctx context.Context) (*gateway.Reply, error) { return a.pass(ctx, by, r, podName, transfers) }
	if _, err := r.Bytes(); err != nil { // it may be sent twice
		return nil, err
	}
	answer := a.Dispatch.One(ctx, podName, pod.Request{Service: pod.Volume, Method: http.MethodGet, Path: "/volume-transfers/" + url.PathEscape(r.Param("id")),
		Header: http.Header{versionHeader: {"volume 3.55"}}, Op: "show transfer"})
	offered := gjson.GetBytes(answer.Body, "transfer")
	id := offered.Get("volume_id").Str
	if answer.Err != nil || id == "" {
		return pass(ctx)
	}
	shown := a.Dispatch.One(ctx, podName, pod.Request{Service: pod.Volume, Method: http.MethodGet, Path: "/volumes/" + url.PathEscape(id), Op: "show volume"})
	v := gjson.GetBytes(shown.Body, "volume")
	in, err := a.intentIn(ctx, by, store.KindTransfer, podName)
	if err != nil {
		return nil, err
	}
	in.Name, in.Parent, in.Amounts = v.Get("name").Str, id, quota.OneVolume(v.Get("size").Int(), v.Get("volume_type").Str)
	with := offered.Get("no_snapshots").Type == gjson.False
	if with {
		if in.Amounts, err = a.withChildren(ctx, in.Amounts, id, v.Get("volume_type").Str); err != nil {
			return nil, err
		}
	}
	return a.grow(ctx, growth{intent: in, ask: pass, done: func(ctx context.Context, in store.Intent, _ *gateway.Reply) error {
		a.write(ctx, in, func(ctx context.Context) error { return a.Store.SettleTransfer(ctx, in, with) })
		return nil
	}})
}

func (a *api) withChildren(ctx context.Context, all quota.Amounts, volume, name string) (quota.Amounts, error) {
	children, err := a.Store.ListChildren(ctx, volume)
	for _, s := range children {
		for resource, n := range quota.OneSnapshot(s.Gigabytes, name) {
			all[resource] += n
		}
	}
	return all, err
}

// restoreNew writes a backup to a volume that is made for it.
func (a *api) restoreNew(ctx context.Context, by identity.Caller, r *gateway.Request, podName string) (*gateway.Reply, error) {
	in, err := a.intentIn(ctx, by, store.KindVolume, podName)
	if err != nil {
		return nil, err
	}
	in.Amounts = quota.OneVolume(a.knownIn(ctx, by, backups, podName, r.Param("id")).Gigabytes, "")
	return a.grow(ctx, growth{
		intent: in,
		ask:    func(ctx context.Context) (*gateway.Reply, error) { return a.pass(ctx, by, r, podName, backups) },
		done: func(ctx context.Context, in store.Intent, reply *gateway.Reply) error {
			body, _ := reply.Body.([]byte)
			a.noteVolume(ctx, by, podName, gjson.GetBytes(body, "restore.volume_id").Str)
			return a.abandon(ctx, in, nil) // the index has the volume, and counts it
		},
	})
}

// left begins the work that follows a deletion: what counts does so until its pod does
// not have it any more. A group may take its volumes along, and its snapshot theirs.
func (a *api) left(ctx context.Context, by identity.Caller, r *gateway.Request, of resource, podName string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	switch of.kind {
	case store.KindVolume:
		if cascade, _ := strconv.ParseBool(r.URL.Query().Get("cascade")); cascade {
			a.leftBelow(ctx, r.Param("id"))
		}
	case store.KindSnapshot, store.KindBackup:
	case store.KindGroup:
		a.recount(ctx, by.ProjectID, podName)
	case dispatch.KindGroupSnapshot, dispatch.KindConsistencyGroup, dispatch.KindCGSnapshot:
		a.recount(ctx, by.ProjectID, podName)
		return
	default:
		return
	}
	a.unwant(ctx, of.kind, r.Param("id"))
}

// leftBelow is left for the snapshots of a volume that takes them along.
func (a *api) leftBelow(ctx context.Context, volume string) {
	children, err := a.Store.ListChildren(ctx, volume)
	if err != nil {
		a.Log.WarnContext(ctx, "cannot list the snapshots of a deleted volume: the next census does", "error", err)
	}
	for _, s := range children {
		a.unwant(ctx, s.Kind, s.ID)
	}
}

func (a *api) unwant(ctx context.Context, kind, id string) {
	if err := a.Store.Unwant(ctx, kind, id); err != nil {
		a.Log.ErrorContext(ctx, "cannot record a deletion: the next census does", "kind", kind, "id", id, "error", err)
	}
}

// deletes reports whether the request deletes the thing that it names, or more.
func deletes(r *gateway.Request) bool {
	if r.Method == http.MethodDelete {
		return strings.HasSuffix(r.Route.Pattern, "/{id}")
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.Route.Pattern, "/{id}/action") {
		return false
	}
	body, err := r.Bytes()
	if err != nil {
		return false
	}
	for _, action := range []string{"os-force_delete", "os-unmanage", "delete"} {
		if gjson.GetBytes(body, action).Exists() {
			return true
		}
	}
	return false
}

// recount has a project's volumes in the pod looked through by a job.
func (a *api) recount(ctx context.Context, project, podName string) {
	if err := a.Store.Recount(context.WithoutCancel(ctx), project, podName); err != nil {
		a.Log.WarnContext(ctx, "cannot have volumes counted: the next census does", "pod", podName, "error", err)
	}
}
