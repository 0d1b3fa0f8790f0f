package admin_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/admin"
	"github.com/tricircle/tricircle/internal/admin/client"
	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestWhereAVolumeIs(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newRegion(t, storetest.New(t))
	c := r.as("admin")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"pod1", "pod2"} {
		_, _, err := c.AddPod(ctx, admin.PodSpec{Name: name, Region: podtest.Region(name), Zone: "az-" + name}, false)
		must(err)
	}
	must(r.store.Record(ctx, store.Entry{Kind: store.KindVolume, ID: "plain", Pod: "pod1", ProjectID: "p", Name: "n", Status: "available"}))
	_, err := r.store.Begin(ctx, store.Intent{ID: "x", Kind: store.KindVolume, Pod: "pod2", ProjectID: "p",
		Fill: &store.VolumeFill{Source: store.FillSource{Kind: store.KindVolume, ID: "plain", Pod: "pod1"}}})
	must(err)
	must(r.store.Settle(ctx, "x", store.Entry{Kind: store.KindVolume, ID: "copy", Pod: "pod2", ProjectID: "p", Status: "creating"}))
	must(r.store.SaveVolumeFill(ctx, store.VolumeFill{ID: "x", State: store.FillFailed, Means: store.FillByImage, Reason: "why",
		Work: store.FillWork{Refused: map[store.FillMeans]string{store.FillByBackup: "no"}}}))

	got, err := c.Volume(ctx, "copy")
	must(err)
	want := admin.Volume{ID: "copy", ProjectID: "p", Pod: "pod2", Zone: "az-pod2", Status: "creating", Fill: &admin.VolumeFill{
		SourceKind: "volume", SourceID: "plain", SourcePod: "pod1", State: "failed", Means: "image", Reason: "why", Refused: map[string]string{"backup": "no"}}}
	got.Fill.CreatedAt, got.Fill.UpdatedAt, got.Fill.Step = time.Time{}, time.Time{}, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Volume (-want +got):\n%s", diff)
	}
	got, err = c.Volume(ctx, "plain")
	must(err)
	if diff := cmp.Diff(admin.Volume{ID: "plain", ProjectID: "p", Name: "n", Pod: "pod1", Zone: "az-pod1", Status: "available"}, got); diff != "" {
		t.Errorf("Volume (-want +got):\n%s", diff)
	}
	var refused *client.Error
	if _, err := c.Volume(ctx, "none"); !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("a volume that nobody has seen: %v", err)
	}
}
