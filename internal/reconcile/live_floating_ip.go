package reconcile

import (
	"context"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// FreshenFloatingIPs brings the statuses up to date, in place and in the database, as
// Freshen does for ports: whether an agent serves a floating IP, its pod knows.
func (r *Reconciler) FreshenFloatingIPs(ctx context.Context, all []topology.FloatingIP) error {
	byID := map[string]*topology.FloatingIP{}
	var ids []string
	for i := range all {
		if all[i].RouterID != "" { // else it is DOWN by definition
			byID[all[i].ID] = &all[i]
			ids = append(ids, all[i].ID)
		}
	}
	placed, err := r.store.Placed(ctx, store.KindFloatingIP, ids)
	if err != nil {
		return err
	}
	changed := map[string]string{}
	for id, told := range askPods[liveFloatingIP](ctx, r, store.KindFloatingIP, placed, "id", "status") {
		if byID[id].Status != told.thing.Status {
			changed[id] = told.thing.Status
			byID[id].Status = told.thing.Status
		}
	}
	return r.store.SetFloatingIPStatuses(ctx, changed)
}

// liveFloatingIP is what a pod says about a floating IP.
type liveFloatingIP struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// PodID is its ID in the pod.
func (f liveFloatingIP) PodID() string { return f.ID }
