package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/topology"
)

// RoutersBetween are the routers with an interface on both subnets.
func (s *Store) RoutersBetween(ctx context.Context, subnets [2]string) ([]string, error) {
	const on = `
		SELECT p.device_id FROM ports p
		JOIN addresses a ON a.port_id = p.id
		WHERE a.subnet_id = ? AND p.device_owner IN (` + interfaceOwners + `)`
	return list(ctx, s.reader(), scanString, on+` AND p.device_id IN (`+on+`) ORDER BY p.device_id`, subnets[0], subnets[1])
}

// RouterSites are what the router is to be in each of its pods, as far as that has
// been chosen. It changes nothing.
func (s *Store) RouterSites(ctx context.Context, routerID string) (sites map[string]RouterSite, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		sites = map[string]RouterSite{}
		pods, err := wantedIn(ctx, tx, KindRouter, routerID)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if sites[pod], err = routerSite(ctx, tx, routerID, pod); err != nil {
				return err
			}
		}
		return nil
	})
	return sites, err
}

func routerSite(ctx context.Context, tx *Tx, routerID, pod string) (site RouterSite, err error) {
	if site.Router, err = findRouter(ctx, tx, routerID, ""); err != nil {
		return site, err
	}
	at, _, err := podInterfaces(ctx, tx, pod, "t.device_id = ?", routerID)
	if err != nil {
		return site, err
	}
	for _, in := range at {
		if in.Port.ID != "" {
			site.Ports = append(site.Ports, in.Port)
		}
	}
	return site, siteRoutes(ctx, tx, &site, pod)
}

// RouterPlan is what the router's routes in the pod are to be.
func (site RouterSite) RouterPlan() topology.RoutePlan { return topology.PlanRoutes(site.Routes) }
