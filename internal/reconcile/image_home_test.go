package reconcile_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// eachHome is an image with a copy. The store's clock is a minute behind the
// reconciler's: what was begun has been left.
func eachHome(t *testing.T, story func(i *imageStory)) {
	t.Parallel()
	behind := func() time.Time { return time.Now().Add(-time.Minute) }
	storetest.EachAt(t, behind, func(t *testing.T, s *store.Store) {
		i := newImageStory(t, s, 10)
		i.bring()
		story(i)
	})
}

// look runs the home's job.
func (i *imageStory) look() error {
	i.t.Helper()
	return i.Ensure(i.t.Context(), store.Target{Kind: store.KindImage, ID: i.id, Pod: "pod1"}, nil)
}

func (i *imageStory) begin(act store.Act) {
	i.t.Helper()
	if err := i.store.TryImage(i.t.Context(), i.id, act); err != nil {
		i.t.Fatal(err)
	}
}

// TestImageChangeThatWasLeft: whoever changed the home has died before the copies
// were told.
func TestImageChangeThatWasLeft(t *testing.T) {
	eachHome(t, func(i *imageStory) {
		i.begin(store.ActChange)
		i.must("pod1", http.MethodPatch, "/images/"+i.id, `[{"op": "replace", "path": "/name", "value": "other"}]`)
		if err := i.look(); err != nil {
			i.t.Fatal(err)
		}
		if row, err := i.store.FindImage(i.t.Context(), i.id); err != nil || row.Attempt != "" {
			i.t.Errorf("row = %+v, %v; want the attempt ended", row, err)
		}
		if err := i.run(); err != nil {
			i.t.Fatal(err)
		}
		i.alike()
	})
}

// TestImageChangeUnderWay: its maker may still be at work.
func TestImageChangeUnderWay(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.bring()
		i.begin(store.ActChange)
		if err := i.look(); !isAgain(err) {
			i.t.Errorf("the home's job = %v, want it to come back", err)
		}
	})
}

func TestImageDeletionThatWasLeft(t *testing.T) {
	eachHome(t, func(i *imageStory) {
		i.begin(store.ActDelete)
		if err := i.look(); err != nil { // the home still has it: nothing has come about
			i.t.Fatal(err)
		}
		i.alike()
		i.begin(store.ActDelete)
		i.must("pod1", http.MethodDelete, "/images/"+i.id, "")
		if err := i.look(); err != nil {
			i.t.Fatal(err)
		}
		if row, err := i.store.FindImage(i.t.Context(), i.id); err != nil || !row.Deleted {
			i.t.Errorf("row = %+v, %v; want it deleted", row, err)
		}
		if err := i.run(); err != nil {
			i.t.Fatal(err)
		}
		if status, _ := i.ask("pod2", http.MethodGet, "/images/"+i.id, ""); status != http.StatusNotFound {
			i.t.Errorf("the copy answers %d, want 404", status)
		}
	})
}

// TestImageLostAtHome: nobody has deleted it through the region, so a copy is the
// truth from now on.
func TestImageLostAtHome(t *testing.T) {
	eachHome(t, func(i *imageStory) {
		i.must("pod1", http.MethodDelete, "/images/"+i.id, "")
		if err := i.store.WatchImage(i.t.Context(), i.id); err != nil {
			i.t.Fatal(err)
		}
		if err := i.look(); err != nil {
			i.t.Fatal(err)
		}
		if row, err := i.store.FindImage(i.t.Context(), i.id); err != nil || row.Home != "pod2" {
			i.t.Errorf("row = %+v, %v; want home pod2", row, err)
		}
		i.must("pod2", http.MethodDelete, "/images/"+i.id, "")
		if _, found, err := i.store.RehomeImage(i.t.Context(), i.id, "pod2"); err != nil || found {
			i.t.Errorf("RehomeImage = %v, %v; want none", found, err)
		}
		if _, err := i.store.FindImage(i.t.Context(), i.id); !fault.Is(err, fault.NotFound) {
			i.t.Errorf("an image that is nowhere is on record: %v", err)
		}
	})
}

// TestImageDataOnTheWay: Nova's snapshot, or an import, ends without telling us.
func TestImageDataOnTheWay(t *testing.T) {
	eachImage(t, 10, func(i *imageStory) {
		i.id = "11111111-1111-4111-8111-111111111111"
		i.must("pod1", http.MethodPost, "/images", `{"id":"`+i.id+`","disk_format":"raw","container_format":"bare","tricircle_copy":"everywhere"}`)
		if err := i.store.ExpectImage(i.t.Context(), store.Image{ID: i.id, ProjectID: i.project, Home: "pod1", Status: "queued"}); err != nil {
			i.t.Fatal(err)
		}
		if err := i.look(); !isAgain(err) {
			i.t.Errorf("before its data is there: %v, want the job to come back", err)
		}
		i.must("pod1", http.MethodPut, "/images/"+i.id+"/file", string(i.data))
		if err := i.look(); err != nil {
			i.t.Fatal(err)
		}
		if row, err := i.store.FindImage(i.t.Context(), i.id); err != nil || row.Status != "active" || row.Mode != store.ImageEverywhere || !row.WatchedAt.IsZero() {
			i.t.Errorf("row = %+v, %v; want it active, to be everywhere, and not watched", row, err)
		}
		if err := i.run(); err != nil { // the copy is wanted now
			i.t.Fatal(err)
		}
		i.alike()
	})
}
