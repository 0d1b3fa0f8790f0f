package volume

import (
	"context"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// held answers for a volume that has not its data yet: it can be seen and deleted,
// and nothing else. A nil reply: the pod answers.
func (a *api) held(ctx context.Context, by identity.Caller, r *gateway.Request, of resource) (*gateway.Reply, error) {
	if of.kind != store.KindVolume || r.Method == http.MethodGet {
		return nil, nil
	}
	id := r.Param("id")
	f, err := a.Store.FindVolumeFill(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && f.Status() == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if f.ProjectID != by.ProjectID && !by.IsAdmin() {
		return nil, fault.New(fault.NotFound, "", "Volume %s could not be found.", id)
	}
	remove, err := removes(r)
	if err != nil {
		return nil, err
	}
	if !remove {
		return nil, a.filling(ctx, id)
	}
	// The job waits for what the pod is doing with the volume, deletes it, and clears
	// away what was made on the way.
	if err := a.Store.Unwant(ctx, store.KindVolumeFill, id); err != nil {
		return nil, err
	}
	return &gateway.Reply{Status: http.StatusAccepted}, nil
}

// removes says whether the request is to delete the volume.
func removes(r *gateway.Request) (bool, error) {
	if r.Method == http.MethodDelete {
		return r.Param("key") == "", nil
	}
	if r.Method != http.MethodPost {
		return false, nil
	}
	body, err := r.Bytes()
	return gjson.GetBytes(body, "os-force_delete").Exists(), err
}
