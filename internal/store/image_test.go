package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// seen is image i as the index has it.
func seen(pod, status string) store.Entry {
	return store.Entry{Kind: store.KindImage, ID: "i", Pod: pod, ProjectID: "p", Name: "cirros", Status: status}
}

// where is each pod's copy: its state, and whether it is the home or to go.
func where(t *testing.T, s *store.Store, id string) map[string]string {
	t.Helper()
	copies, err := s.ListImageCopies(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range copies {
		got[c.Pod] = string(c.State)
		if c.Home {
			got[c.Pod] += " home"
		}
		if !c.Wanted {
			got[c.Pod] += " leaving"
		}
	}
	return got
}

func checkWhere(t *testing.T, s *store.Store, id string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, where(t, s, id)); diff != "" {
		t.Errorf("copies of %s (-want +got):\n%s", id, diff)
	}
}

func TestAdoptImage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2", "pod3")
		if _, err := s.AdoptImage(ctx, "i"); !fault.Is(err, fault.NotFound) {
			t.Errorf("AdoptImage of what nobody has seen: %v, want NotFound", err)
		}
		if err := s.Record(ctx, seen("pod1", "queued"), seen("pod2", "active"), seen("pod3", "active")); err != nil {
			t.Fatal(err)
		}
		i, err := s.AdoptImage(ctx, "i")
		if err != nil || i.Home != "pod2" || i.Mode != store.ImageFirstUse || i.ProjectID != "p" || i.Status != "active" {
			t.Errorf("AdoptImage = %+v, %v; want home pod2, first use", i, err)
		}
		if again, err := s.AdoptImage(ctx, "i"); err != nil || again != i {
			t.Errorf("AdoptImage again = %+v, %v; want %+v", again, err, i)
		}
		checkWhere(t, s, "i", map[string]string{"pod1": "queued", "pod2": "active home", "pod3": "active"})
	})
}

func TestWantImageCopy(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		if err := s.KeepImage(ctx, store.Image{ID: "i", ProjectID: "p", Home: "pod1", Status: "active"}); err != nil {
			t.Fatal(err)
		}
		for _, pod := range []string{"pod1", "pod2", "pod2"} {
			if err := s.WantImageCopy(ctx, "i", pod); err != nil {
				t.Fatal(err)
			}
		}
		checkWhere(t, s, "i", map[string]string{"pod1": "active home", "pod2": "queued"})
		m, err := s.FindMapping(ctx, store.Target{Kind: store.KindImage, ID: "i", Pod: "pod2"})
		if err != nil || !m.Pending() || m.Generation != 1 || m.ProjectID != "p" {
			t.Errorf("mapping of the copy = %+v, %v; want one change to be made", m, err)
		}
		progress := store.ImageCopy{ID: "i", Pod: "pod2", State: store.CopyCopying, Means: "stream", Done: 5, Size: 9, Reason: "slow"}
		if err := s.SetImageCopy(ctx, progress); err != nil {
			t.Fatal(err)
		}
		got, err := s.FindImageCopy(ctx, "i", "pod2")
		progress.Wanted, progress.UpdatedAt = true, got.UpdatedAt
		if err != nil || got != progress {
			t.Errorf("FindImageCopy = %+v, %v; want %+v", got, err, progress)
		}
		if _, err := s.FindImageCopy(ctx, "i", "pod3"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindImageCopy in another pod: %v, want NotFound", err)
		}
		if err := s.WantImageCopy(ctx, "i", "pod9"); !fault.Is(err, fault.NotFound) {
			t.Errorf("WantImageCopy in no pod: %v, want NotFound", err)
		}

		if err := s.KeepImage(ctx, store.Image{ID: "home", ProjectID: "p", Home: "pod1", Mode: store.ImageHomeOnly, Status: "active"}); err != nil {
			t.Fatal(err)
		}
		if err := s.WantImageCopy(ctx, "home", "pod2"); !fault.Is(err, fault.Refused) {
			t.Errorf("WantImageCopy of one that stays at home: %v, want Refused", err)
		}
		checkWhere(t, s, "home", map[string]string{"pod1": "active home"})
	})
}

func TestImageEverywhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		for _, i := range []store.Image{
			{ID: "own", Mode: store.ImageEverywhere}, {ID: "region's"}, {ID: "home", Mode: store.ImageHomeOnly},
		} {
			i.Home, i.Status = "pod1", "queued"
			if err := s.KeepImage(ctx, i); err != nil {
				t.Fatal(err)
			}
		}
		checkWhere(t, s, "own", map[string]string{"pod1": "queued home"})
		see := func(id string, mode store.ImageMode) {
			t.Helper()
			if err := s.SeeImage(ctx, id, "active", mode); err != nil {
				t.Fatal(err)
			}
		}
		see("own", store.ImageEverywhere)
		see("region's", "")
		see("home", store.ImageHomeOnly)
		checkWhere(t, s, "own", map[string]string{"pod1": "active home", "pod2": "queued"})
		checkWhere(t, s, "region's", map[string]string{"pod1": "active home"})

		if _, err := s.AddPod(ctx, store.Pod{Name: "pod3", Region: "R3", Zone: "az3"}); err != nil {
			t.Fatal(err)
		}
		checkWhere(t, s, "own", map[string]string{"pod1": "active home", "pod2": "queued", "pod3": "queued"})
		s.SetImageMode(store.ImageEverywhere)
		if err := s.SpreadImages(ctx); err != nil {
			t.Fatal(err)
		}
		checkWhere(t, s, "region's", map[string]string{"pod1": "active home", "pod2": "queued", "pod3": "queued"})
		checkWhere(t, s, "home", map[string]string{"pod1": "active home"})
		see("home", "") // the property was removed
		checkWhere(t, s, "home", map[string]string{"pod1": "active home", "pod2": "queued", "pod3": "queued"})
	})
}

func TestDeleteImage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		if err := s.KeepImage(ctx, store.Image{ID: "i", Home: "pod1", Status: "active"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Record(ctx, seen("pod1", "active")); err != nil {
			t.Fatal(err)
		}
		if err := s.WantImageCopy(ctx, "i", "pod2"); err != nil {
			t.Fatal(err)
		}
		if err := s.TouchImage(ctx, "i"); err != nil {
			t.Fatal(err)
		}
		if m, err := s.FindMapping(ctx, store.Target{Kind: store.KindImage, ID: "i", Pod: "pod1"}); err != nil || m.Pending() {
			t.Errorf("the home's mapping = %+v, %v; want nothing to be done there", m, err)
		}
		for range 2 {
			if err := s.DeleteImage(ctx, "i"); err != nil {
				t.Fatal(err)
			}
		}
		checkWhere(t, s, "i", map[string]string{"pod2": "queued leaving"})
		if err := s.WantImageCopy(ctx, "i", "pod2"); !fault.Is(err, fault.NotFound) {
			t.Errorf("WantImageCopy of a deleted image: %v, want NotFound", err)
		}
		if err := s.Record(ctx, seen("pod1", "active"), seen("pod2", "queued")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindEntry(ctx, store.KindImage, "i"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a list that was read before has brought it back: %v, want NotFound", err)
		}
		if err := s.SetImageCopy(ctx, store.ImageCopy{ID: "i", Pod: "pod2", State: store.CopyActive}); err != nil {
			t.Fatal(err)
		}
		checkWhere(t, s, "i", map[string]string{"pod2": "queued leaving"})
		if err := s.Forget(ctx, store.Target{Kind: store.KindImage, ID: "i", Pod: "pod2"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindImage(ctx, "i"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindImage after the last copy: %v, want NotFound", err)
		}
	})
}

func TestRehomeImage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2", "pod3")
		if err := s.KeepImage(ctx, store.Image{ID: "i", Home: "pod1", Status: "active"}); err != nil {
			t.Fatal(err)
		}
		for _, pod := range []string{"pod2", "pod3"} {
			if err := s.WantImageCopy(ctx, "i", pod); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SetImageCopy(ctx, store.ImageCopy{ID: "i", Pod: "pod3", State: store.CopyActive}); err != nil {
			t.Fatal(err)
		}
		i, found, err := s.RehomeImage(ctx, "i", "pod1")
		if err != nil || !found || i.Home != "pod3" {
			t.Errorf("RehomeImage = %+v, %v, %v; want home pod3", i, found, err)
		}
		if i, found, err := s.RehomeImage(ctx, "i", "pod1"); err != nil || !found || i.Home != "pod3" {
			t.Errorf("RehomeImage again = %+v, %v, %v; want home pod3", i, found, err)
		}
		checkWhere(t, s, "i", map[string]string{"pod2": "queued", "pod3": "active home"})
		if _, found, err := s.RehomeImage(ctx, "i", "pod3"); err != nil || found {
			t.Errorf("RehomeImage without a copy = %v, %v; want none", found, err)
		}
		checkWhere(t, s, "i", map[string]string{"pod2": "queued leaving"})
	})
}

func TestImagesOfAPodThatLeaves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		for _, id := range []string{"alone", "copied"} {
			if err := s.KeepImage(ctx, store.Image{ID: id, Home: "pod1", Status: "active"}); err != nil {
				t.Fatal(err)
			}
			if err := s.WantImageCopy(ctx, id, "pod2"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SetImageCopy(ctx, store.ImageCopy{ID: "copied", Pod: "pod2", State: store.CopyActive}); err != nil {
			t.Fatal(err)
		}
		if err := s.DeletePod(ctx, "pod1"); err != nil {
			t.Fatal(err)
		}
		if i, err := s.FindImage(ctx, "copied"); err != nil || i.Home != "pod2" {
			t.Errorf("image with a copy = %+v, %v; want home pod2", i, err)
		}
		if _, err := s.FindImage(ctx, "alone"); !fault.Is(err, fault.NotFound) {
			t.Errorf("image without a copy: %v, want NotFound", err)
		}
		checkWhere(t, s, "alone", map[string]string{"pod2": "queued leaving"})
	})
}

func TestParseImageMode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in string
		ok bool
	}{{"", true}, {"first-use", true}, {"everywhere", true}, {"home-only", true}, {"never", false}} {
		if m, err := store.ParseImageMode(c.in); (err == nil) != c.ok || c.ok && string(m) != c.in || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("ParseImageMode(%q) = %q, %v", c.in, m, err)
		}
	}
}
