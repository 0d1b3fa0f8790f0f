package volume

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

func (a *api) defaultTypeRoutes() []gateway.Route {
	const policy = "volume_extension:default_"
	return replicatedRoutes(
		gateway.Route{Method: get, Pattern: "/default-types", Strategy: gateway.Merged, Policy: policy + "get_all", Admin: true, Handle: a.since(62, a.defaultTypes)},
		gateway.Route{Method: get, Pattern: "/default-types/{id}", Policy: policy + "get", Admin: true, Handle: a.since(62, a.anyReplica(store.KindDefaultType))},
		gateway.Route{Method: put, Pattern: "/default-types/{id}", Policy: policy + "set_or_update", Admin: true, Handle: a.since(62, a.setDefaultType)},
		gateway.Route{Method: remove, Pattern: "/default-types/{id}", Policy: policy + "unset", Admin: true, Handle: a.since(62, a.remover(store.KindDefaultType))},
	)
}

// defaultTypes is "GET /default-types": those of all pods, each project once.
func (a *api) defaultTypes(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := a.question(ctx, r)
	if err != nil {
		return nil, err
	}
	rows, answers, err := a.union(ctx, by, q, replicaList{kind: store.KindDefaultType, field: "default_types", id: "project_id"})
	if err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusOK, map[string]any{"default_types": rawOf(rows)}).Without(awayOf(answers)...), nil
}

// setDefaultType is "PUT /default-types/{project}", whether there was one or not. The
// type is named by its ID from here on, so that all pods mean the same.
func (a *api) setDefaultType(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	q, err := a.question(ctx, r)
	if err != nil {
		return nil, err
	}
	const path = "default_type.volume_type"
	wanted, err := a.findType(ctx, gjson.GetBytes(q.body, path).Str)
	if err != nil {
		return nil, err
	}
	if wanted.ID != "" {
		if q.body, err = sjson.SetBytes(q.body, path, wanted.ID); err != nil {
			return nil, err
		}
	}
	project := r.Param("id")
	ch := change{
		kind: store.KindDefaultType, id: project, name: project, act: store.ActCreate,
		made: func(n dispatch.Answer) (json.RawMessage, string, bool) {
			d := plan.ReadDefaultType(gjson.GetBytes(n.Body, "default_type"))
			return d.Content(), project, d.Project == project && d.Type != ""
		},
		next: func(json.RawMessage) (json.RawMessage, bool) {
			return plan.DefaultType{Project: project, Type: wanted.ID}.Content(), wanted.ID != ""
		},
	}
	rep, err := a.Store.FindReplica(ctx, ch.kind, project)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if err == nil && rep.Content != nil && rep.Everywhere && !rep.Deleted {
		ch.act = store.ActChange
	}
	return a.changeAll(ctx, by, q, ch)
}

// lacks says, by pod, why it cannot have volumes of the types, named by ID or name.
// A pod that is to have a type soon gets it now. Of a type that the region does not
// know it says nothing: the pod does.
func (a *api) lacks(ctx context.Context, refs ...string) (map[string]string, error) {
	lacks := map[string]string{}
	for _, ref := range refs {
		rep, err := a.findType(ctx, ref)
		if err != nil {
			return nil, err
		}
		if rep.ID == "" {
			continue
		}
		pods, err := a.Fleet.Pods(ctx)
		if err != nil {
			return nil, err
		}
		zones, bound := zonesOf(rep)
		for _, p := range pods {
			switch {
			case bound && !slices.Contains(zones, p.Zone):
				lacks[p.Name] = "volume type " + rep.Name + " is for other zones: " + strings.Join(zones, ", ")
			case !a.hasType(ctx, rep, p.Name):
				lacks[p.Name] = "it does not have volume type " + rep.Name
			}
		}
	}
	return lacks, nil
}

func (a *api) hasType(ctx context.Context, rep store.Replica, podName string) bool {
	t := store.Target{Kind: rep.Kind, ID: rep.ID, Pod: podName}
	m, err := a.Store.FindMapping(ctx, t)
	if err == nil && m.Wanted && m.PodID == "" && rep.Everywhere {
		return a.Reconciler.Ensure(ctx, t, nil) == nil
	}
	return err == nil && m.Wanted && m.PodID != ""
}

// zonesOf are the zones that the type's volumes must be in.
func zonesOf(rep store.Replica) (zones []string, bound bool) {
	var t plan.VolumeType
	if json.Unmarshal(rep.Content, &t) != nil {
		return nil, false
	}
	list, bound := t.ExtraSpecs[plan.ZonesSpec]
	for zone := range strings.SplitSeq(list, ",") {
		if zone = strings.TrimSpace(zone); zone != "" {
			zones = append(zones, zone)
		}
	}
	return zones, bound && len(zones) > 0
}

// findType finds a volume type of the region by ID or name; none has no ID.
func (a *api) findType(ctx context.Context, ref string) (store.Replica, error) {
	if ref == "" {
		return store.Replica{}, nil
	}
	rep, err := a.Store.FindReplica(ctx, store.KindVolumeType, ref)
	if fault.Is(err, fault.NotFound) || err == nil && (rep.Content == nil || rep.Deleted) {
		rep, err = a.Store.FindReplicaNamed(ctx, store.KindVolumeType, ref)
	}
	if fault.Is(err, fault.NotFound) || err == nil && rep.Content == nil {
		return store.Replica{}, nil
	}
	return rep, err
}
