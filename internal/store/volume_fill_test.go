package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

// emptyOne is the creation of a volume of pod2 that is filled from one of pod1.
func emptyOne() store.Intent {
	return store.Intent{ID: "i", Kind: store.KindVolume, Pod: "pod2", ProjectID: "p", Name: "copy", Zone: "az2", Fill: &store.VolumeFill{
		Source: store.FillSource{Kind: store.KindVolume, ID: "source", Pod: "pod1"},
		Looks:  store.VolumeLooks{Name: "copy", Metadata: map[string]string{"k": "v"}, Bootable: true, Image: map[string]string{}},
	}}
}

func madeVolume(id string) store.Entry {
	return store.Entry{Kind: store.KindVolume, ID: id, Pod: "pod2", ProjectID: "p", Name: "copy", Zone: "az2", Status: "creating"}
}

func TestVolumeFill(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		if _, err := s.Begin(ctx, emptyOne()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindVolumeFill(ctx, "v"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindVolumeFill before the volume is made: %v, want NotFound", err)
		}
		if err := s.Settle(ctx, "i", madeVolume("v")); err != nil {
			t.Fatal(err)
		}
		f, err := s.FindVolumeFill(ctx, "v")
		want := store.VolumeFill{ID: "i", VolumeID: "v", Pod: "pod2", ProjectID: "p", State: store.Filling,
			Source: emptyOne().Fill.Source, Looks: emptyOne().Fill.Looks}
		if diff := cmp.Diff(want, f, cmpopts.IgnoreTypes(time.Time{}), cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("FindVolumeFill: %v (-want +got):\n%s", err, diff)
		}
		if m, err := s.FindMapping(ctx, f.Target()); err != nil || !m.Pending() {
			t.Errorf("the job's mapping = %+v, %v; want something to do", m, err)
		}

		f.Means, f.Step = store.FillByImage, "making an image"
		f.Work = store.FillWork{Asked: map[string]time.Time{"image": time.Unix(5, 0).UTC()}, Taken: map[string]bool{"image": true}, Image: "x",
			Refused: map[store.FillMeans]string{store.FillByBackup: "no service"}}
		if err := s.SaveVolumeFill(ctx, f); err != nil {
			t.Fatal(err)
		}
		if got, err := s.FindVolumeFill(ctx, "v"); err != nil || !cmp.Equal(f.Work, got.Work) || got.Step != f.Step || got.Means != f.Means {
			t.Errorf("FindVolumeFill = %+v, %v; want %+v", got, err, f)
		}

		f.State = store.Filled
		if err := s.EndVolumeFill(ctx, f); err != nil {
			t.Fatal(err)
		}
		if got, err := s.FindVolumeFill(ctx, "v"); err != nil || !got.Settled || got.State != store.Filled {
			t.Errorf("FindVolumeFill = %+v, %v; want filled, settled", got, err)
		}
		if open, err := s.ListVolumeFills(ctx); err != nil || len(open) != 0 {
			t.Errorf("ListVolumeFills = %+v, %v; want none", open, err)
		}
		if err := s.DropEntry(ctx, store.KindVolume, "v"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindVolumeFill(ctx, "v"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindVolumeFill of a volume that is gone: %v, want NotFound", err)
		}
	})
}

func TestVolumeFillThatIsDeleted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		if _, err := s.Begin(ctx, emptyOne()); err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(ctx, "i", madeVolume("v")); err != nil {
			t.Fatal(err)
		}
		f, err := s.FindVolumeFill(ctx, "v")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Unwant(ctx, store.KindVolumeFill, "v"); err != nil {
			t.Fatal(err)
		}
		f.State = store.Filled // too late
		if err := s.EndVolumeFill(ctx, f); err != nil {
			t.Fatal(err)
		}
		// While the job has to clear away, the fill outlives the volume.
		if err := s.DropEntry(ctx, store.KindVolume, "v"); err != nil {
			t.Fatal(err)
		}
		open, err := s.ListVolumeFills(ctx)
		if err != nil || len(open) != 1 || !open[0].Leaving || open[0].Settled {
			t.Errorf("ListVolumeFills = %+v, %v; want one that leaves", open, err)
		}
		if err := s.Forget(ctx, f.Target()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindVolumeFill(ctx, "v"); !fault.Is(err, fault.NotFound) {
			t.Errorf("FindVolumeFill: %v, want NotFound", err)
		}
	})
}

func TestVolumeFillOfAVolumeThatWasNotMade(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		storetest.Pods(t, s, "pod1", "pod2")
		for range 2 { // the second finds nothing of the first
			if _, err := s.Begin(ctx, emptyOne()); err != nil {
				t.Fatal(err)
			}
			if err := s.Abandon(ctx, "i"); err != nil {
				t.Fatal(err)
			}
		}
		if open, err := s.ListVolumeFills(ctx); err != nil || len(open) != 0 {
			t.Errorf("ListVolumeFills = %+v, %v; want none", open, err)
		}
	})
}
