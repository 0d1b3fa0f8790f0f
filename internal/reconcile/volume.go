package reconcile

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// stored is what Block Storage counts, as a pod shows it to an admin: a volume,
// snapshot, backup or group.
type stored struct {
	ID              string            `json:"id"`
	Name            string            `json:"name"`
	Status          string            `json:"status"`
	VolumeProject   string            `json:"os-vol-tenant-attr:tenant_id"`
	SnapshotProject string            `json:"os-extended-snapshot-attributes:project_id"`
	BackupProject   string            `json:"os-backup-project-attr:project_id"`
	GroupProject    string            `json:"project_id"`
	UserID          string            `json:"user_id"`
	Size            int64             `json:"size"`
	Type            string            `json:"volume_type"`
	Volume          string            `json:"volume_id"`
	CreatedAt       cinderTime        `json:"created_at"`
	Metadata        map[string]string `json:"metadata"`
	Migration       string            `json:"os-vol-mig-status-attr:migstat"`
	Counts          *bool             `json:"consumes_quota"`
	Bootable        string            `json:"bootable"` // "true" or "false"
	Description     string            `json:"description"`
	Image           map[string]string `json:"volume_image_metadata"`
}

// entry is what the index remembers of it.
func (v stored) entry(kind, podName, zone string) store.Entry {
	e := store.Entry{Kind: kind, ID: v.ID, Pod: podName, UserID: v.UserID, Name: v.Name, Zone: zone,
		ProjectID: cmp.Or(v.VolumeProject, v.SnapshotProject, v.BackupProject, v.GroupProject),
		Status:    v.Status, CreatedAt: v.CreatedAt.Time, Gigabytes: v.Size, Type: v.Type, Parent: v.Volume}
	if kind == store.KindVolume {
		e.Mark = v.Metadata[MarkKey]
	}
	return e
}

// foreign says that the thing is none of a user's: what the pod makes for itself
// does not count, such as the target of a migration.
func (v stored) foreign() bool {
	return v.Counts != nil && !*v.Counts || len(v.Migration) > 6 && v.Migration[:7] == "target:"
}

// cinderTime is a time of Block Storage's: UTC, without saying so.
type cinderTime struct{ time.Time }

// UnmarshalJSON reads null as no time.
func (t *cinderTime) UnmarshalJSON(text []byte) (err error) {
	plain, err := strconv.Unquote(string(text))
	if err != nil || plain == "" {
		return nil //nolint:nilerr // null
	}
	t.Time, err = time.Parse("2006-01-02T15:04:05.999999", plain)
	return err
}

// storage is how a kind of what Block Storage counts is asked for.
type storage struct{ kind, path, field, list string }

var storages = []storage{
	{store.KindVolume, "/volumes", "volume", "volumes"},
	{store.KindSnapshot, "/snapshots", "snapshot", "snapshots"},
	{store.KindBackup, "/backups", "backup", "backups"},
	{store.KindGroup, "/groups", "group", "groups"},
}

func storageOf(kind string) storage {
	i := slices.IndexFunc(storages, func(s storage) bool { return s.kind == kind })
	return storages[i]
}

// storageVersion shows whose everything is, and what does not count.
var storageVersion = http.Header{"Openstack-Api-Version": {"volume 3.65"}}

// cinder asks a pod in the version wanted, or if it is older, in its oldest: then some
// things show less.
func cinder(ctx context.Context, c *pod.Client, r pod.Request, out any) error {
	r.Service, r.Method, r.Header = pod.Volume, http.MethodGet, storageVersion
	err := c.JSON(ctx, r, nil, out)
	if fault.Is(err, fault.NotAcceptable) {
		r.Header = nil
		err = c.JSON(ctx, r, nil, out)
	}
	return err
}

func (s storage) show(ctx context.Context, c *pod.Client, id string) (stored, error) {
	var out map[string]stored
	err := cinder(ctx, c, pod.Request{Path: s.path + "/" + url.PathEscape(id), Op: "show " + s.kind}, &out)
	return out[s.field], err
}

// page lists things of all projects.
func (s storage) page(ctx context.Context, c *pod.Client, q url.Values) ([]stored, error) {
	q.Set("all_tenants", "1")
	var out struct {
		Volumes   []stored `json:"volumes"`
		Snapshots []stored `json:"snapshots"`
		Backups   []stored `json:"backups"`
		Groups    []stored `json:"groups"`
	}
	err := cinder(ctx, c, pod.Request{Path: s.path + "/detail", Query: q, Op: "list " + s.list}, &out)
	return slices.Concat(out.Volumes, out.Snapshots, out.Backups, out.Groups), err
}

// busy are the states in which the pod is changing a volume.
var busy = []string{"extending", "retyping"}

// stored waits until what was deleted is gone from its pod, and until a volume that
// is being changed has become what it is to be.
func (r *Reconciler) stored(ctx context.Context, c *pod.Client, m store.Mapping) error {
	v, err := storageOf(m.Kind).show(ctx, c, m.ID)
	switch gone := fault.Is(err, fault.NotFound); {
	case gone && m.Wanted: // deleted past us
		if err := r.store.Unwant(ctx, m.Kind, m.ID); err != nil {
			return err
		}
		m.Wanted = false
		return r.store.Forget(ctx, m.Target)
	case gone:
		return r.store.Forget(ctx, m.Target)
	case err != nil:
		return err
	}
	switch {
	case slices.Contains(busy, v.Status):
		return &jobs.Again{After: time.Second, Reason: "pod " + m.Pod + " is " + v.Status + " " + m.Kind + " " + m.ID}
	case m.Wanted:
		return r.store.SettleGrowth(ctx, v.entry(m.Kind, m.Pod, r.zoneOf(ctx, m.Pod)), "")
	case v.Status == "deleting" || v.Status == "unmanaging":
		return &jobs.Again{After: time.Second, Reason: "pod " + m.Pod + " is still deleting " + m.Kind + " " + m.ID}
	}
	// The pod could not delete it: it is there, and counts.
	if err := r.store.Record(ctx, v.entry(m.Kind, m.Pod, r.zoneOf(ctx, m.Pod))); err != nil {
		return err
	}
	return r.store.Rewant(ctx, m)
}

func (r *Reconciler) zoneOf(ctx context.Context, podName string) string {
	p, err := r.pods.Pod(ctx, podName)
	if err != nil {
		return ""
	}
	return p.Zone
}

// markedVolume finds the volume of a creation.
func (r *Reconciler) markedVolume(ctx context.Context, c *pod.Client, in store.Intent) (store.Entry, bool, error) {
	found, err := storageOf(store.KindVolume).page(ctx, c, url.Values{"project_id": {in.ProjectID}, "metadata": {`{"` + MarkKey + `":"` + in.ID + `"}`}})
	for _, v := range found {
		if v.Metadata[MarkKey] == in.ID {
			return v.entry(in.Kind, in.Pod, in.Zone), true, nil
		}
	}
	return store.Entry{}, false, err
}

// unmarked finds what a creation has made that cannot carry a mark: a thing of its
// name and volume that was made since and that the index does not know.
func (r *Reconciler) unmarked(ctx context.Context, c *pod.Client, in store.Intent) (store.Entry, bool, error) {
	q := url.Values{"project_id": {in.ProjectID}}
	if in.Kind != store.KindGroup {
		q.Set("volume_id", in.Parent)
	}
	found, err := storageOf(in.Kind).page(ctx, c, q)
	if err != nil {
		return store.Entry{}, false, err
	}
	for _, v := range found {
		if v.Name != in.Name || v.Volume != in.Parent || v.CreatedAt.Before(in.CreatedAt.Add(-clockSkew)) {
			continue
		}
		if _, err := r.store.FindEntry(ctx, in.Kind, v.ID); fault.Is(err, fault.NotFound) {
			e := v.entry(in.Kind, in.Pod, in.Zone)
			e.ProjectID = cmp.Or(e.ProjectID, in.ProjectID)
			return e, true, nil
		}
	}
	return store.Entry{}, false, nil
}

// growth looks what became of a volume's growth.
func (r *Reconciler) growth(ctx context.Context, c *pod.Client, in store.Intent) error {
	v, err := storageOf(store.KindVolume).show(ctx, c, in.Parent)
	switch {
	case fault.Is(err, fault.NotFound):
		return r.store.Abandon(ctx, in.ID)
	case err != nil:
		return err
	case slices.Contains(busy, v.Status):
		return &jobs.Again{After: 2 * time.Second, Reason: "pod " + in.Pod + " is " + v.Status + " volume " + in.Parent}
	case in.Kind == store.KindGrowth && r.now().Before(in.CreatedAt.Add(r.grace)):
		return &jobs.Again{After: min(r.grace/4, 5*time.Second), Reason: "the reply to a change of volume " + in.Parent + " was lost"}
	}
	return r.store.SettleGrowth(ctx, v.entry(store.KindVolume, in.Pod, r.zoneOf(ctx, in.Pod)), in.ID)
}

// transfer looks whether the volume has come to the project.
func (r *Reconciler) transfer(ctx context.Context, c *pod.Client, in store.Intent) error {
	v, err := storageOf(store.KindVolume).show(ctx, c, in.Parent)
	switch {
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	case err == nil && v.VolumeProject == in.ProjectID:
		if err := r.store.SettleTransfer(ctx, in, in.Amounts["snapshots"] > 0); err != nil {
			return err
		}
		return r.store.Recount(ctx, in.ProjectID, in.Pod)
	case err == nil && r.now().Before(in.CreatedAt.Add(r.grace)):
		return &jobs.Again{After: min(r.grace/4, 5*time.Second), Reason: "the reply to the transfer of volume " + in.Parent + " was lost"}
	}
	return r.store.Abandon(ctx, in.ID)
}
