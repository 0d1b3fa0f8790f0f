package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/pod/podtest/glance"
	"github.com/tricircle/tricircle/internal/reconcile"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

const content = "what the volume holds"

// fillStory has a volume with data in pod1, and an empty one in pod2 that is to get
// it. Its clock goes on while jobs wait.
type fillStory struct {
	*world
	now    time.Time
	volume string
	source store.FillSource
	before [2]map[string][]string // what the pods have, with the empty volume
}

func newFillStory(t *testing.T, kind string) *fillStory {
	t.Helper()
	f := &fillStory{world: newWorld(t, storetest.New(t), podtest.Options{ImportMethods: []string{"glance-direct"}}), now: time.Now()}
	f.reboot()
	f.source = store.FillSource{Kind: kind, ID: f.makeSource(kind), Pod: "pod1"}
	in := store.Intent{ID: uuid.NewString(), Kind: store.KindVolume, Pod: "pod2", ProjectID: f.project, Fill: &store.VolumeFill{
		Source: f.source,
		Looks:  store.VolumeLooks{Metadata: map[string]string{"k": "mine"}, Bootable: true},
	}}
	if kind != store.KindImage {
		in.Fill.Looks.Image = map[string]string{"os": "x"}
	}
	f.volume = f.create("pod2", "volume", map[string]any{"size": 1, "metadata": map[string]string{"k": "mine", "tricircle": in.ID}})
	f.before = f.inventory()
	if _, err := f.store.Begin(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	err := f.store.Settle(t.Context(), in.ID, store.Entry{Kind: store.KindVolume, ID: f.volume, Pod: "pod2", ProjectID: f.project, Status: "creating"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// reboot is what a new process has.
func (f *fillStory) reboot() {
	f.restart()
	f.Reconciler = reconcile.New(reconcile.Options{Store: f.store, Pods: f.fleet, Holder: uuid.NewString(), Grace: time.Minute,
		Now: func() time.Time { return f.now }})
}

func (f *fillStory) inventory() [2]map[string][]string {
	return [2]map[string][]string{f.cloud.Pod("pod1").Inventory(), f.cloud.Pod("pod2").Inventory()}
}

func (f *fillStory) makeSource(kind string) string {
	if kind == store.KindImage {
		id := f.cloud.Pod("pod1").AddImage(glance.Image{Name: "i", Owner: f.project, Visibility: "shared", DiskFormat: "raw", Data: []byte(content)})
		if err := f.store.KeepImage(f.t.Context(), store.Image{ID: id, ProjectID: f.project, Home: "pod1", Status: "active"}); err != nil {
			f.t.Fatal(err)
		}
		return id
	}
	id := f.create("pod1", "volume", map[string]any{"size": 1, "name": "source", "metadata": map[string]string{"k": "source"}})
	f.cloud.Pod("pod1").Volume.SetData(id, content)
	f.ask("pod1", http.MethodPost, "/volumes/"+id+"/action", map[string]any{"os-set_image_metadata": map[string]any{"metadata": map[string]string{"os": "x"}}})
	if kind == store.KindVolume {
		return id
	}
	return f.create("pod1", "snapshot", map[string]any{"volume_id": id})
}

func (f *fillStory) create(podName, item string, body map[string]any) string {
	f.t.Helper()
	return f.ask(podName, http.MethodPost, "/"+item+"s", map[string]any{item: body})[item].ID
}

type shownVolume struct {
	ID       string
	Name     string
	Status   string
	Bootable string
	Metadata map[string]string
	Image    map[string]string `json:"volume_image_metadata"`
}

func (f *fillStory) ask(podName, method, path string, body any) (out map[string]shownVolume) {
	f.t.Helper()
	c, err := f.fleet.Client(f.t.Context(), podName)
	if err == nil {
		err = c.JSON(f.t.Context(), pod.Request{Service: pod.Volume, Method: method, Path: path, Op: "arrange"}, body, &out)
	}
	if err != nil && !strings.HasSuffix(path, "/action") && method != http.MethodDelete {
		f.t.Fatal(err)
	}
	return out
}

// step runs all jobs once, and lets the time go on. It says whether there are any left.
func (f *fillStory) step() (left bool) {
	f.t.Helper()
	ctx := f.t.Context()
	pending, err := f.store.ListMappings(ctx, store.MappingQuery{Pending: true})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, m := range pending {
		err := f.Ensure(ctx, m.Target, nil)
		if again, ok := errors.AsType[*jobs.Again](err); ok {
			f.now = f.now.Add(again.After)
		} else if err != nil {
			f.now = f.now.Add(5 * time.Second)
		}
	}
	for _, name := range []string{"pod1", "pod2"} {
		f.cloud.Pod(name).Settle()
	}
	return len(pending) > 0
}

func (f *fillStory) run() {
	f.t.Helper()
	for range 300 {
		if !f.step() {
			return
		}
	}
	f.t.Fatalf("the jobs do not end: %+v", f.fill())
}

func (f *fillStory) fill() store.VolumeFill {
	f.t.Helper()
	row, err := f.store.FindVolumeFill(f.t.Context(), f.volume)
	if err != nil && !fault.Is(err, fault.NotFound) {
		f.t.Fatal(err)
	}
	return row
}

// check is that the volume has the data, looks as asked, and that nothing is left.
func (f *fillStory) check(means store.FillMeans) {
	f.t.Helper()
	if row := f.fill(); row.State != store.Filled || row.Means != means || !row.Settled {
		f.t.Errorf("fill = %+v, want filled by %s", row, means)
	}
	if got := f.cloud.Pod("pod2").Volume.Data(f.volume); got != content {
		f.t.Errorf("data = %q, want %q", got, content)
	}
	v := f.ask("pod2", http.MethodGet, "/volumes/"+f.volume, nil)["volume"]
	image := map[string]string{"os": "x"}
	if f.source.Kind == store.KindImage {
		image = map[string]string{"image_id": f.source.ID}
	}
	want := shownVolume{ID: f.volume, Status: "available", Bootable: "true", Metadata: map[string]string{"k": "mine", "tricircle": f.fill().ID}, Image: image}
	if diff := cmp.Diff(want, v); diff != "" {
		f.t.Errorf("volume (-want +got):\n%s", diff)
	}
	f.nothingLeft(f.before)
}

func (f *fillStory) nothingLeft(before [2]map[string][]string) {
	f.t.Helper()
	after := f.inventory()
	if f.source.Kind == store.KindImage {
		after[1]["image"] = before[1]["image"] // the copy stays
	}
	if diff := cmp.Diff(before, after); diff != "" {
		f.t.Errorf("in the pods (-before +after):\n%s", diff)
	}
}

// withoutVolume is what was before, without the empty volume.
func (f *fillStory) withoutVolume() [2]map[string][]string {
	before := f.before
	before[1]["volume"] = []string{}
	return before
}

func TestVolumeFill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind string
		own        bool // the backup services have stores of their own
		snapshot   bool // the volume has one
		means      store.FillMeans
	}{
		{"volume by backup", store.KindVolume, false, false, store.FillByBackup},
		{"snapshot by backup", "snapshot", false, false, store.FillByBackup},
		{"volume, stores not shared", store.KindVolume, true, false, store.FillByImage},
		{"volume whose backup would lack what is in its snapshot", store.KindVolume, false, true, store.FillByImage},
		{"snapshot, stores not shared", "snapshot", true, false, store.FillByImage},
		{"image", store.KindImage, false, false, store.FillByImage},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFillStory(t, c.kind)
			if c.snapshot {
				f.create("pod1", "snapshot", map[string]any{"volume_id": f.source.ID})
				f.before = f.inventory()
			}
			if c.own {
				f.cloud.Pod("pod2").Volume.SetBackupStore("another")
			}
			f.run()
			f.check(c.means)
		})
	}
}

// TestVolumeFillWithAnyCallFailing has each call of a fill fail once, in two ways,
// and the process die with it.
func TestVolumeFillWithAnyCallFailing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind string
		own        bool
		means      store.FillMeans
	}{
		{"backup", store.KindVolume, false, store.FillByBackup},
		{"image", "snapshot", true, store.FillByImage},
	} {
		for _, how := range []podtest.Fault{{Status: 503}, {DropReply: true, Method: http.MethodPost}} {
			for _, name := range []string{"pod1", "pod2"} {
				t.Run(fmt.Sprintf("%s/%s/%d %s", c.name, name, how.Status, how.Method), func(t *testing.T) {
					t.Parallel()
					for n := 1; ; n++ {
						f := newFillStory(t, c.kind)
						if c.own {
							f.cloud.Pod("pod2").Volume.SetBackupStore("another")
						}
						var hit atomic.Bool
						fault := how // several tests have it
						fault.Nth, fault.Service = n, podtest.Volume
						remove := f.cloud.Pod(name).Fault(fault)
						note := f.cloud.Pod(name).Fault(podtest.Fault{Service: podtest.Volume, Method: how.Method, Nth: n, Before: func(*http.Request) { hit.Store(true) }})
						for range 300 {
							if hit.Swap(false) {
								f.reboot()
							}
							if !f.step() {
								break
							}
						}
						calls := 0
						for _, call := range f.cloud.Pod(name).Calls() {
							if call.Service == podtest.Volume && (how.Method == "" || call.Method == how.Method) {
								calls++
							}
						}
						remove()
						note()
						f.check(c.means)
						if t.Failed() {
							t.Fatalf("the call that failed was %d", n)
						}
						if n > calls {
							return
						}
					}
				})
			}
		}
	}
}

func TestVolumeFillFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spoil  func(f *fillStory)
		reason string
	}{
		{"the source is deleted", func(f *fillStory) { f.ask("pod1", http.MethodDelete, "/volumes/"+f.source.ID, nil) }, "has been deleted"},
		{"no means will do", func(f *fillStory) {
			f.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Volume, Method: "POST", Path: "/backups$", Status: 403, Body: `{"forbidden": {"message": "no backups"}}`})
			f.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Volume, Method: "POST", Path: "/action$", Status: 400, Body: `{"badRequest": {"message": "no images"}}`})
		}, "by backup: pod pod1: no backups; by image: pod pod1: no images"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFillStory(t, store.KindVolume)
			c.spoil(f)
			f.run()
			row := f.fill()
			if row.State != store.FillFailed || !row.Settled || !strings.Contains(row.Reason, c.reason) {
				t.Errorf("fill = %+v, want failed: %s", row, c.reason)
			}
			if v := f.ask("pod2", http.MethodGet, "/volumes/"+f.volume, nil)["volume"]; v.Status != "error" {
				t.Errorf("the volume's status is %s", v.Status)
			}
		})
	}
}

// TestVolumeFillOfADeletedVolume deletes the volume after each step of its fill.
func TestVolumeFillOfADeletedVolume(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		for n := 0; ; n++ {
			f := newFillStory(t, store.KindVolume)
			if own {
				f.cloud.Pod("pod2").Volume.SetBackupStore("another")
			}
			for range n {
				f.step()
			}
			if f.fill().Settled { // the pod deletes it like any other
				break
			}
			if err := f.store.Unwant(t.Context(), store.KindVolumeFill, f.volume); err != nil {
				t.Fatal(err)
			}
			f.run()
			if row := f.fill(); row.ID != "" {
				t.Errorf("deleted after %d steps, fill = %+v", n, row)
			}
			f.nothingLeft(f.withoutVolume())
			if t.Failed() {
				t.Fatalf("deleted after %d steps", n)
			}
		}
	}
}

// TestVolumeFillWaitsForAPod has each pod away while the volume is to be filled.
func TestVolumeFillWaitsForAPod(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pod1", "pod2"} {
		f := newFillStory(t, store.KindVolume)
		f.cloud.Pod(name).Down()
		for range 5 {
			f.step()
		}
		if row := f.fill(); row.State != store.Filling {
			t.Errorf("with %s away the fill = %+v", name, row)
		}
		f.cloud.Pod(name).Up()
		f.reboot()
		f.run()
		f.check(store.FillByBackup)
	}
}

func TestCanFill(t *testing.T) {
	t.Parallel()
	f := newFillStory(t, store.KindVolume)
	if err := f.CanFill(context.Background(), f.source, "pod2"); err != nil {
		t.Errorf("CanFill: %v", err)
	}
	f.cloud.Pod("pod2").Fault(podtest.Fault{Service: podtest.Volume, Path: "^/volume/?$", Status: 300,
		Body: `{"versions": [{"id": "v3.0", "version": "3.50"}]}`})
	if err := f.CanFill(context.Background(), f.source, "pod2"); err != nil {
		t.Errorf("CanFill over backups: %v", err)
	}
	snapshot := f.create("pod1", "snapshot", map[string]any{"volume_id": f.source.ID})
	if err := f.CanFill(context.Background(), f.source, "pod2"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "copy a snapshot") {
		t.Errorf("CanFill over backups of a volume with a snapshot: %v, want Invalid", err)
	}
	if err := f.CanFill(context.Background(), store.FillSource{Kind: "snapshot", ID: snapshot, Pod: "pod1"}, "pod2"); err != nil {
		t.Errorf("CanFill over the snapshot's backup: %v", err)
	}
	f.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Volume, Path: "/os-services$", Status: 200, Body: `{"services": []}`})
	if err := f.CanFill(context.Background(), f.source, "pod2"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "3.68") {
		t.Errorf("CanFill in an old pod: %v, want Invalid", err)
	}
}
