package reconcile

import (
	"context"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/topology"
)

const kindAccess = "rbac_policy"

// access has the pod share the network with the projects that the region shares
// it with by name: without it the pod's Nova would not let them attach to it.
func (s *segment) access(ctx context.Context) error {
	want, err := s.r.store.PartnersOf(ctx, s.net.ID)
	if err != nil {
		return err
	}
	var found []plan.Access
	if !s.fresh {
		q := url.Values{"object_id": {s.podID}, "action": {topology.AccessAsShared}}
		if found, err = list[plan.Access](ctx, s.c, kindAccess, q); err != nil {
			return err
		}
	}
	give, gone := plan.Accesses(want, found)
	for _, target := range give {
		_, err := create[plan.Access](ctx, s.c, kindAccess, plan.NewAccess(s.net, s.podID, target))
		if err != nil && !fault.Is(err, fault.Conflict) { // made at this moment, or by a try whose reply was lost
			return err
		}
	}
	for _, a := range gone {
		if err := remove(ctx, s.c, kindAccess, a.ID); err != nil {
			return err
		}
	}
	return nil
}
