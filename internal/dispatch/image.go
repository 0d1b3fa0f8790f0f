package dispatch

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// Image is the image's row: where its home is. One without a row is looked for in
// all pods with the caller's own token, and gets one. Of an image that is on record it
// is no proof that the caller may see it: its home decides.
//
// fault.NotFound and fault.Unavailable are as in Locate; a deleted image is not
// found.
func (d *Dispatcher) Image(ctx context.Context, by identity.Caller, id string) (store.Image, error) {
	i, err := d.Index.FindImage(ctx, id)
	switch {
	case err == nil && i.Deleted:
		return i, notFound(store.KindImage, id, nil)
	case !fault.Is(err, fault.NotFound):
		return i, err
	}
	if err := d.absences.check(by, store.KindImage, id); err != nil {
		return i, err
	}
	if _, _, err := d.Holders(ctx, by, store.KindImage, id); err != nil {
		if fault.Is(err, fault.NotFound) {
			d.absences.note(by, store.KindImage, id)
		}
		return i, err
	}
	return d.Index.AdoptImage(ctx, id)
}
