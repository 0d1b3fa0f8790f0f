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

// Volume says where a volume is, and how far it is filled if its data comes from
// another pod.
type Volume struct {
	ID        string      `json:"id"`
	ProjectID string      `json:"project_id"`
	Name      string      `json:"name"`
	Pod       string      `json:"pod"`
	Zone      string      `json:"zone"`
	Status    string      `json:"status"` // last seen in its pod
	Fill      *VolumeFill `json:"fill,omitempty"`
}

// VolumeFill is how a volume gets its data from another pod.
type VolumeFill struct {
	SourceKind string `json:"source_kind"` // volume, snapshot or image
	SourceID   string `json:"source_id"`
	SourcePod  string `json:"source_pod"`
	// State is filling, filled, failed or deleting.
	State string `json:"state"`
	Means string `json:"means,omitempty"` // backup or image
	Step  string `json:"step,omitempty"`  // what is being done
	// Reason says why it failed; Refused why some means would not do.
	Reason    string            `json:"reason,omitempty"`
	Refused   map[string]string `json:"refused,omitempty"`
	CreatedAt time.Time         `json:"created_at,omitzero"`
	UpdatedAt time.Time         `json:"updated_at,omitzero"`
}

// Volume finds a volume that the region has seen.
func (a *Admin) Volume(ctx context.Context, id string) (Volume, error) {
	e, err := a.Store.FindEntry(ctx, store.KindVolume, id)
	if err != nil {
		return Volume{}, err
	}
	v := Volume{ID: e.ID, ProjectID: e.ProjectID, Name: e.Name, Pod: e.Pod, Zone: a.Fleet.ZoneOf(e.Pod), Status: e.Status}
	f, err := a.Store.FindVolumeFill(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return v, nil
	}
	if err != nil {
		return Volume{}, err
	}
	v.Fill = &VolumeFill{SourceKind: f.Source.Kind, SourceID: f.Source.ID, SourcePod: f.Source.Pod, State: string(f.State), Means: string(f.Means),
		Step: f.Step, Reason: f.Reason, CreatedAt: f.CreatedAt, UpdatedAt: f.UpdatedAt}
	if f.Leaving {
		v.Fill.State = "deleting"
	}
	for means, why := range f.Work.Refused {
		if v.Fill.Refused == nil {
			v.Fill.Refused = map[string]string{}
		}
		v.Fill.Refused[string(means)] = why
	}
	return v, nil
}

func (a *Admin) showVolume(ctx context.Context, _ identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	v, err := a.Volume(ctx, r.Param("id"))
	return wrapped("volume", v, err)
}

// volumeRoutes are the routes of this file.
func (a *Admin) volumeRoutes(route func(method, pattern, note string, h gateway.Handler) gateway.Route) []gateway.Route {
	return []gateway.Route{route(http.MethodGet, "/volumes/{id}", "where a volume is, and how far it is filled from another pod", a.showVolume)}
}
