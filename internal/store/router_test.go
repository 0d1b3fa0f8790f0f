package store_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/store/storetest"
	"github.com/tricircle/tricircle/internal/topology"
)

// TestServeOnce: of many floating IPs that ask for one port at once, one gets it,
// and the others hold no address afterwards.
func TestServeOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		nets, err := s.CreateNetworks(ctx, []topology.Network{
			{ProjectID: "p", Type: topology.TypeLocal, AdminStateUp: true}, {ProjectID: "admin", Type: topology.TypeLocal, External: true},
		})
		must(err)
		subs, err := s.CreateSubnets(ctx, []topology.SubnetSpec{
			{Subnet: topology.Subnet{NetworkID: nets[0].ID, ProjectID: "p", IPVersion: 4, CIDR: netip.MustParsePrefix("10.0.0.0/24")}},
			{Subnet: topology.Subnet{NetworkID: nets[1].ID, ProjectID: "admin", IPVersion: 4, CIDR: netip.MustParsePrefix("203.0.113.0/24")}},
		})
		must(err)
		routers, err := s.CreateRouters(ctx, []store.RouterSpec{{Router: topology.Router{ProjectID: "p"}, WantGateway: &topology.WantGateway{NetworkID: nets[1].ID}}})
		must(err)
		_, err = s.AddSubnetInterface(ctx, routers[0].ID, subs[0].ID)
		must(err)
		spec := topology.PortSpec{}
		spec.NetworkID, spec.ProjectID = nets[0].ID, "p"
		port := addPort(t, s, spec)

		const clients = 16
		errs := make([]error, clients)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				_, errs[i] = s.CreateFloatingIPs(ctx, []store.FloatingIPSpec{{FloatingIP: topology.FloatingIP{
					ProjectID: "p", NetworkID: nets[1].ID, PortID: port.ID}}})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "FloatingIPPortAlreadyAssociated" {
				t.Errorf("refused with %v", err)
			}
		}
		held, err := s.ListPorts(ctx, store.Query{Filters: map[string][]string{"device_owner": {topology.OwnerFloatingIP}}})
		must(err)
		if won != 1 || len(held) != 1 {
			t.Errorf("%d of %d got the port and %d addresses are held, want 1 and 1", won, clients, len(held))
		}
	})
}
