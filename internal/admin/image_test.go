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

func TestWhereAnImageIs(t *testing.T) {
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
	must(r.store.KeepImage(ctx, store.Image{ID: "i", ProjectID: "p", Home: "pod1", Status: "active"}))
	must(r.store.KeepImage(ctx, store.Image{ID: "stays", ProjectID: "p", Home: "pod1", Mode: store.ImageHomeOnly, Status: "active"}))

	_, err := c.CopyImage(ctx, "i", "pod2")
	must(err)
	must(r.store.SetImageCopy(ctx, store.ImageCopy{ID: "i", Pod: "pod2", State: store.CopyCopying, Means: "stream", Done: 1, Size: 2}))
	got, err := c.Image(ctx, "i")
	must(err)
	want := admin.Image{ID: "i", ProjectID: "p", Home: "pod1", Mode: "first-use", Status: "active", Copies: []admin.ImageCopy{
		{Pod: "pod1", Zone: "az-pod1", Home: true, State: "active", Current: true},
		{Pod: "pod2", Zone: "az-pod2", State: "copying", Means: "stream", Done: 1, Size: 2},
	}}
	for i := range got.Copies {
		got.Copies[i].UpdatedAt = time.Time{}
		got.Copies[i].Reason = "" // what its job meets meanwhile
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Image (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		name   string
		do     func() error
		status int
	}{
		{"an image that nobody has seen", func() error { _, err := c.Image(ctx, "none"); return err }, http.StatusNotFound},
		{"a copy of it", func() error { _, err := c.CopyImage(ctx, "none", "pod2"); return err }, http.StatusNotFound},
		{"a copy in no pod", func() error { _, err := c.CopyImage(ctx, "i", "pod9"); return err }, http.StatusNotFound},
		{"a copy nowhere", func() error { _, err := c.CopyImage(ctx, "i", ""); return err }, http.StatusBadRequest},
		{"a copy of one that stays", func() error { _, err := c.CopyImage(ctx, "stays", "pod2"); return err }, http.StatusNotImplemented},
	} {
		var refused *client.Error
		if err := test.do(); !errors.As(err, &refused) || refused.Status != test.status {
			t.Errorf("%s: %v, want %d", test.name, err, test.status)
		}
	}
}
