package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
)

// Image says where an image is and how far its copies are.
type Image struct {
	ID        string      `json:"id"`
	ProjectID string      `json:"project_id"`
	Home      string      `json:"home"`
	Mode      string      `json:"mode"`
	Status    string      `json:"status"`  // at home, when last seen
	Deleted   bool        `json:"deleted"` // for users; copies are being removed
	Copies    []ImageCopy `json:"copies"`  // the home's first
}

// ImageCopy is the image in one pod.
type ImageCopy struct {
	Pod  string `json:"pod"`
	Zone string `json:"zone"`
	Home bool   `json:"home"`
	// State is queued, copying, active, failed or leaving.
	State string `json:"state"`
	Means string `json:"means,omitempty"`
	Done  int64  `json:"done"` // bytes of Size
	Size  int64  `json:"size"`
	Hash  string `json:"hash,omitempty"`
	// Current is true when the pod is known to have the home's last change.
	Current   bool      `json:"current"`
	Reason    string    `json:"reason,omitempty"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// leaving is the state of a copy that jobs remove.
const leaving = "leaving"

// Image finds an image that the region has seen.
func (a *Admin) Image(ctx context.Context, id string) (Image, error) {
	row, err := a.Store.AdoptImage(ctx, id)
	if err != nil {
		return Image{}, err
	}
	copies, err := a.Store.ListImageCopies(ctx, id)
	if err != nil {
		return Image{}, err
	}
	behind, err := a.Store.ListMappings(ctx, store.MappingQuery{Kind: store.KindImage, ID: id, Pending: true})
	if err != nil {
		return Image{}, err
	}
	pending := map[string]bool{}
	for _, m := range behind {
		pending[m.Pod] = true
	}
	out := Image{ID: row.ID, ProjectID: row.ProjectID, Home: row.Home, Mode: string(row.Mode), Status: row.Status, Deleted: row.Deleted, Copies: []ImageCopy{}}
	for _, c := range copies {
		shown := ImageCopy{Pod: c.Pod, Zone: a.Fleet.ZoneOf(c.Pod), Home: c.Home, State: string(c.State), Means: c.Means, Done: c.Done, Size: c.Size,
			Hash: c.Hash, Current: c.Home || !pending[c.Pod], Reason: c.Reason, UpdatedAt: c.UpdatedAt}
		if !c.Wanted {
			shown.State = leaving
		}
		out.Copies = append(out.Copies, shown)
	}
	return out, nil
}

// CopyImage has a copy come to the pod. One that failed is tried again now.
func (a *Admin) CopyImage(ctx context.Context, id, pod string) (Image, error) {
	if _, err := a.Store.FindPod(ctx, pod); err != nil {
		return Image{}, err
	}
	if err := a.Store.WantImageCopy(ctx, id, pod); err != nil {
		return Image{}, err
	}
	c, err := a.Store.FindImageCopy(ctx, id, pod)
	if err == nil && c.State == store.CopyFailed {
		err = a.Store.TouchIn(ctx, store.Target{Kind: store.KindImage, ID: id, Pod: pod})
	}
	if err != nil {
		return Image{}, err
	}
	return a.Image(ctx, id)
}

func (a *Admin) showImage(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	image, err := a.Image(ctx, r.Param("id"))
	return wrapped("image", image, err)
}

func (a *Admin) copyImage(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	var in struct {
		Copy struct {
			Pod string `json:"pod"`
		} `json:"copy"`
	}
	if err := r.JSON(&in); err != nil {
		return nil, err
	}
	if in.Copy.Pod == "" {
		return nil, fault.New(fault.Invalid, "", "copy.pod is missing: the pod that is to have the image")
	}
	image, err := a.CopyImage(ctx, r.Param("id"), in.Copy.Pod)
	return wrapped("image", image, err)
}

// imageRoutes are the routes of this file.
func (a *Admin) imageRoutes(route func(method, pattern, note string, h gateway.Handler) gateway.Route) []gateway.Route {
	return []gateway.Route{
		route(http.MethodGet, "/images/{id}", "where an image is, and how far its copies are", a.showImage),
		route(http.MethodPost, "/images/{id}/copies", "have a copy come to a pod", a.copyImage),
	}
}
