package network

import (
	"context"
	"net/http"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// place is the body of add_router_interface and remove_router_interface.
type place struct{ port, subnet string }

func readPlace(r *gateway.Request) (p place, err error) {
	raw, err := r.Bytes()
	if err != nil {
		return p, err
	}
	body, err := parse(raw)
	if err != nil {
		return p, err
	}
	for name, to := range map[string]*string{"port_id": &p.port, "subnet_id": &p.subnet} {
		v, given := body[name]
		if !given {
			continue
		}
		id, err := readUUID(name, v)
		if err != nil {
			return p, topology.BadRouter("'%s' is not a valid UUID", python(v))
		}
		*to = id.(string)
	}
	if p.port == "" && p.subnet == "" {
		return p, topology.BadRouter("Either subnet_id or port_id must be specified")
	}
	return p, nil
}

func (a *api) addInterface(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	router, _, err := a.routers().toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	p, err := readPlace(r)
	switch {
	case err != nil:
		return nil, err
	case p.port != "" && p.subnet != "":
		return nil, topology.BadRouter("Cannot specify both subnet-id and port-id")
	case p.port != "":
		port, err := a.ports().get(ctx, by, p.port)
		if err != nil {
			return nil, err
		}
		if err := a.checkPooled(ctx, by, port); err != nil {
			return nil, err
		}
		made, err := a.Store.AddPortInterface(ctx, router.ID, p.port)
		return interfaceReply(made, err)
	}
	sub, err := a.subnets().get(ctx, by, p.subnet)
	if err != nil {
		return nil, err
	}
	// Who may take the gateway's address of a shared network is its owner.
	if !mine(by, sub.ProjectID) {
		return nil, topology.BadRouter("Cannot add interface to router because subnet %s is not owned by project making the request", sub.ID)
	}
	made, err := a.Store.AddSubnetInterface(ctx, router.ID, p.subnet)
	return interfaceReply(made, err)
}

// checkPooled keeps routers off the addresses that a subnet's owner gives to
// nobody, like its gateway's.
func (a *api) checkPooled(ctx context.Context, by identity.Caller, p *topology.Port) error {
	for _, ip := range p.FixedIPs {
		sub, err := a.Store.FindSubnet(ctx, ip.SubnetID)
		if err != nil {
			return err
		}
		pooled := slices.ContainsFunc(sub.AllocationPools, func(pool topology.Pool) bool {
			return pool.Start.Compare(ip.Address) <= 0 && ip.Address.Compare(pool.End) <= 0
		})
		if !pooled && !mine(by, sub.ProjectID) {
			return topology.BadRouter("Cannot add interface to router because specified port %s has an IP address out of the allocation pool "+
				"of subnet %s, which is not owned by the project making the request", p.ID, sub.ID)
		}
	}
	return nil
}

func (a *api) removeInterface(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	router, _, err := a.routers().toChange(ctx, by, r)
	if err != nil {
		return nil, err
	}
	p, err := readPlace(r)
	if err != nil {
		return nil, err
	}
	if p.subnet != "" {
		if _, err := a.subnets().get(ctx, by, p.subnet); err != nil {
			return nil, err
		}
	}
	gone, err := a.Store.RemoveInterface(ctx, router.ID, p.port, p.subnet)
	if p.port != "" && p.subnet != "" && fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Conflict, "SubnetMismatchForPort", "Subnet on port %s does not match the requested subnet %s", p.port, p.subnet)
	}
	return interfaceReply(gone, err)
}

func interfaceReply(i store.Interface, err error) (*gateway.Reply, error) {
	if err != nil {
		return nil, err
	}
	return gateway.JSON(http.StatusOK, map[string]any{
		"id": i.Router.ID, "tenant_id": i.Router.ProjectID, "project_id": i.Router.ProjectID, "port_id": i.PortID,
		"network_id": i.NetworkID, "subnet_id": i.SubnetIDs[0], "subnet_ids": i.SubnetIDs,
	}), nil
}
