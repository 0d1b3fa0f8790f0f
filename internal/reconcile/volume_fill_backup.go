package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// byBackup: a backup in the source's pod; its record in the volume's pod, under the
// same ID; restored there. That both backup services have one store is found by
// trying: a restore of what is not there fails.
func (f *fill) byBackup(ctx context.Context, v *stored) error {
	busy := "restoring-backup"
	if f.Work.Written || v.Status == busy {
		return f.write(ctx, v, busy, nil)
	}
	from, err := f.source(ctx)
	if err != nil {
		return err
	}
	b, err := f.backup(ctx, from)
	if err != nil {
		return err
	}
	if err := f.imported(ctx, from, b.ID); err != nil {
		return err
	}
	return f.write(ctx, v, busy, func(ctx context.Context) error {
		return cinderAs(ctx, f.to, pod.Request{Method: http.MethodPost, Path: "/backups/" + b.ID + "/restore", Op: "restore backup"},
			map[string]any{"restore": map[string]string{"volume_id": f.VolumeID}}, nil)
	})
}

// podBackup is a backup as its pod shows it.
type podBackup struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	FailReason string `json:"fail_reason"`
}

// trouble is what a backup that is not as it should be says.
func (b podBackup) trouble(podName string) error {
	why := b.FailReason
	if why == "" {
		why = "its status is " + b.Status
	}
	return &fault.Error{Kind: fault.Conflict, Pod: podName, Message: fmt.Sprintf("backup %s: %s", b.ID, why)}
}

// backup finds the backup with the data, or has it made.
func (f *fill) backup(ctx context.Context, from *pod.Client) (podBackup, error) {
	b, err := f.findBackup(ctx, from)
	switch {
	case err != nil:
		return podBackup{}, err
	case b != nil && b.Status == "available":
		f.Work.Backup = b.ID
		return *b, nil
	case b != nil && (b.Status == "creating" || b.Status == "restoring"):
		return podBackup{}, f.wait(ctx, fillPoll, "backing up in pod "+f.Source.Pod)
	case b != nil:
		return podBackup{}, b.trouble(f.Source.Pod)
	}
	if err := f.missing(ctx, "backup"); err != nil {
		return podBackup{}, err
	}
	body, err := f.backupBody(ctx, from)
	if err != nil {
		return podBackup{}, err
	}
	if err := f.asking(ctx, "backup"); err != nil {
		return podBackup{}, err
	}
	err = cinderAs(ctx, from, pod.Request{Method: http.MethodPost, Path: "/backups", Op: "create backup"}, map[string]any{"backup": body}, nil)
	if err = f.asked(ctx, "backup", err); err != nil {
		return podBackup{}, err
	}
	return podBackup{}, f.wait(ctx, fillPoll, "backing up in pod "+f.Source.Pod)
}

// backupBody asks for a backup of what the volume is filled from, also while a server
// uses it.
func (f *fill) backupBody(ctx context.Context, from *pod.Client) (map[string]any, error) {
	body := map[string]any{"name": f.mark(), "description": "for volume " + f.VolumeID + " of pod " + f.Pod, "force": true}
	if f.Source.Kind == store.KindVolume {
		body["volume_id"] = f.Source.ID
		if _, err := f.readable(ctx, from, f.Source.ID); err != nil {
			return nil, err
		}
		return body, noBackupOf(ctx, from, f.Source.ID)
	}
	s, err := f.sourceSnapshot(ctx, from)
	body["volume_id"], body["snapshot_id"] = s.VolumeID, s.ID
	return body, err
}

// noBackupOf is why a volume's backup cannot be relied on: nil if it can. Where a
// snapshot is a file that the volume's own lies on (Cinder's NFS driver), the backup
// is of the upper file alone, and no error.
func noBackupOf(ctx context.Context, c *pod.Client, volume string) error {
	var out struct {
		Snapshots []podSnapshot `json:"snapshots"`
	}
	err := cinderAs(ctx, c, pod.Request{Path: "/snapshots", Query: url.Values{"volume_id": {volume}, "all_tenants": {"1"}, "limit": {"1"}}, Op: "list snapshots"}, nil, &out)
	if err == nil && len(out.Snapshots) > 0 {
		err = &fault.Error{Kind: fault.Conflict, Pod: c.Name(), Message: "the volume has snapshots, and some drivers back up what was written after them alone: copy a snapshot of it instead"}
	}
	return err
}

func (f *fill) findBackup(ctx context.Context, from *pod.Client) (*podBackup, error) {
	if _, ok := f.Work.Asked["backup"]; !ok {
		return nil, nil
	}
	var out struct {
		Backups []podBackup `json:"backups"`
	}
	err := cinderAs(ctx, from, pod.Request{Path: "/backups/detail", Query: url.Values{"name": {f.mark()}, "all_tenants": {"1"}}, Op: "list backups"}, nil, &out)
	if err != nil {
		return nil, err
	}
	for _, b := range out.Backups {
		if b.Name == f.mark() {
			return &b, nil
		}
	}
	return nil, nil
}

func showBackup(ctx context.Context, c *pod.Client, id string) (*podBackup, error) {
	var out struct {
		Backup podBackup `json:"backup"`
	}
	err := cinderAs(ctx, c, pod.Request{Path: "/backups/" + id, Op: "show backup"}, nil, &out)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return &out.Backup, err
}

// imported makes the backup known in the volume's pod.
func (f *fill) imported(ctx context.Context, from *pod.Client, id string) error {
	b, err := showBackup(ctx, f.to, id)
	switch {
	case err != nil:
		return err
	case b != nil && b.Status == "available":
		return nil
	case b != nil && (b.Status == "creating" || b.Status == "restoring"):
		return f.wait(ctx, fillPoll, "handing the backup's record to pod "+f.Pod)
	case b != nil:
		return b.trouble(f.Pod)
	}
	var record struct {
		Record json.RawMessage `json:"backup-record"`
	}
	err = cinderAs(ctx, from, pod.Request{Path: "/backups/" + id + "/export_record", Op: "export backup record"}, nil, &record)
	if err != nil {
		return err
	}
	if err := f.asking(ctx, "record"); err != nil {
		return err
	}
	// Asked for twice, the pod refuses the second: it goes by the backup's ID.
	err = cinderAs(ctx, f.to, pod.Request{Method: http.MethodPost, Path: "/backups/import_record", Op: "import backup record"}, &record, nil)
	if err != nil {
		return err
	}
	return f.wait(ctx, fillPoll, "handing the backup's record to pod "+f.Pod)
}

// dropBackups removes the backup. Its record in the volume's pod goes first: a
// service that lists a backup's objects to delete them finds none the second time,
// and is content with that.
func (f *fill) dropBackups(ctx context.Context) error {
	if _, ok := f.Work.Asked["record"]; ok {
		record, err := showBackup(ctx, f.to, f.Work.Backup)
		if err != nil {
			return err
		}
		if record != nil {
			return f.dropBackup(ctx, f.to, *record)
		}
	}
	from, err := f.leftIn(ctx, "backup")
	if err != nil || from == nil {
		return err
	}
	b, err := f.findBackup(ctx, from)
	switch {
	case err != nil:
		return err
	case b != nil:
		return f.dropBackup(ctx, from, *b)
	case f.Work.Taken["backup"]:
		return nil
	}
	return f.missing(ctx, "backup")
}

func (f *fill) dropBackup(ctx context.Context, c *pod.Client, b podBackup) error {
	switch b.Status {
	case "deleting", "creating", "restoring":
	case "available", "error":
		if err := cinderGone(ctx, c, "/backups/"+b.ID, "delete backup"); err != nil {
			return err
		}
	default: // such as error_deleting: as an operator would
		if err := cinderAct(ctx, c, "/backups/"+b.ID, "os-force_delete", nil); err != nil {
			return err
		}
	}
	return f.wait(ctx, fillPoll, "removing the backup from pod "+c.Name())
}
