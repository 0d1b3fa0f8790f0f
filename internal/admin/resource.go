package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
)

// Resource says where a thing is: everything that has this ID.
type Resource struct {
	ID     string  `json:"id"`
	Found  []Thing `json:"found"`
	Places []Place `json:"places"`
	// Note says what follows from an empty list of places.
	Note string `json:"note,omitempty"`
}

// Thing is what the ID is.
type Thing struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	ProjectID string `json:"project_id"`
}

// Place is the thing in one pod.
type Place struct {
	Kind  string `json:"kind"`
	Pod   string `json:"pod"`
	Zone  string `json:"zone"`
	PodID string `json:"pod_id"` // empty: not made yet
	// Wanted is false while it is being removed.
	Wanted bool `json:"wanted"`
	// Current is true when the pod is known to have the last change.
	Current   bool      `json:"current"`
	Status    string    `json:"status,omitempty"` // last seen; servers, volumes, images
	Reason    string    `json:"reason,omitempty"` // why the last attempt did not finish
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Where finds everything with the ID, whatever kind it is of.
func (a *Admin) Where(ctx context.Context, id string) (Resource, error) {
	r := Resource{ID: id, Found: []Thing{}, Places: []Place{}}
	mappings, err := a.Store.ListMappings(ctx, store.MappingQuery{ID: id})
	if err != nil {
		return Resource{}, err
	}
	for _, m := range mappings {
		r.Places = append(r.Places, Place{
			Kind: m.Kind, Pod: m.Pod, Zone: a.Fleet.ZoneOf(m.Pod), PodID: m.PodID, Wanted: m.Wanted,
			Current: m.Generation == m.Observed, Reason: m.Reason, UpdatedAt: m.UpdatedAt,
		})
	}
	if err := a.addEntries(ctx, &r); err != nil {
		return Resource{}, err
	}
	if err := a.addCentral(ctx, &r); err != nil {
		return Resource{}, err
	}
	if len(r.Found) == 0 && len(r.Places) == 0 {
		return Resource{}, fault.New(fault.NotFound, "", "nothing that Tricircle knows has the ID %s", id)
	}
	slices.SortFunc(r.Places, func(x, y Place) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Pod, y.Pod))
	})
	if len(r.Places) == 0 {
		r.Note = "not in any pod yet: it is made there when a server needs it"
	}
	return r, nil
}

// addEntries adds what the index remembers, and its status to the place.
func (a *Admin) addEntries(ctx context.Context, r *Resource) error {
	for _, kind := range []string{store.KindServer, store.KindVolume, store.KindImage} {
		e, err := a.Store.FindEntry(ctx, kind, r.ID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r.Found = append(r.Found, Thing{Kind: kind, Name: e.Name, ProjectID: e.ProjectID})
		r.note(e)
	}
	return nil
}

func (r *Resource) note(e store.Entry) {
	for i := range r.Places {
		if p := &r.Places[i]; p.Kind == e.Kind && p.Pod == e.Pod {
			p.Zone, p.Status = e.Zone, e.Status
			return
		}
	}
	r.Places = append(r.Places, Place{Kind: e.Kind, Pod: e.Pod, Zone: e.Zone, PodID: e.ID, Wanted: true, Current: true, Status: e.Status})
}

// addCentral adds what the ID is among the things that are ours.
func (a *Admin) addCentral(ctx context.Context, r *Resource) error {
	for kind, find := range a.central() {
		t, err := find(ctx, r.ID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		t.Kind = kind
		r.Found = append(r.Found, t)
	}
	slices.SortFunc(r.Found, func(x, y Thing) int { return cmp.Compare(x.Kind, y.Kind) })
	return nil
}

func (a *Admin) central() map[string]func(ctx context.Context, id string) (Thing, error) {
	return map[string]func(ctx context.Context, id string) (Thing, error){
		store.KindNetwork: func(ctx context.Context, id string) (Thing, error) {
			n, err := a.Store.FindNetwork(ctx, id)
			return Thing{Name: n.Name, ProjectID: n.ProjectID}, err
		},
		store.KindSubnet: func(ctx context.Context, id string) (Thing, error) {
			s, err := a.Store.FindSubnet(ctx, id)
			return Thing{Name: s.Name, ProjectID: s.ProjectID}, err
		},
		store.KindPort: func(ctx context.Context, id string) (Thing, error) {
			p, err := a.Store.FindPort(ctx, id)
			return Thing{Name: p.Name, ProjectID: p.ProjectID}, err
		},
		store.KindSecurityGroup: func(ctx context.Context, id string) (Thing, error) {
			g, err := a.Store.FindSecurityGroup(ctx, id)
			return Thing{Name: g.Name, ProjectID: g.ProjectID}, err
		},
		store.KindAddressGroup: func(ctx context.Context, id string) (Thing, error) {
			g, err := a.Store.AddressGroups().Find(ctx, id)
			return Thing{Name: g.Name, ProjectID: g.ProjectID}, err
		},
		store.KindQoSPolicy: func(ctx context.Context, id string) (Thing, error) {
			p, err := a.Store.QoSPolicies().Find(ctx, id)
			return Thing{Name: p.Name, ProjectID: p.ProjectID}, err
		},
		store.KindTrunk: func(ctx context.Context, id string) (Thing, error) {
			t, err := a.Store.Trunks().Find(ctx, id)
			return Thing{Name: t.Name, ProjectID: t.ProjectID}, err
		},
		store.KindFloatingIP: func(ctx context.Context, id string) (Thing, error) {
			f, err := a.Store.FindFloatingIP(ctx, id)
			return Thing{Name: f.Address.String(), ProjectID: f.ProjectID}, err
		},
		store.KindServerGroup: func(ctx context.Context, id string) (Thing, error) {
			g, err := a.Store.FindServerGroup(ctx, id)
			return Thing{Name: g.Name, ProjectID: g.ProjectID}, err
		},
	}
}
