package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

var routerShape = &shape{
	table: "routers",
	columns: []string{"t.id", "t.project_id", "t.name", "t.description", "t.admin_state_up", "t.gateway_network",
		"t.gateway_port", "t.enable_snat", "t.routes", "t.distributed", "t.ha", "t.flavor_id", "t.zone_hints", "t.created_at", "t.updated_at",
		"t.revision"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "name": {expr: "t.name"},
		"flavor_id":   {expr: "COALESCE(t.flavor_id, '')"},
		"description": {expr: "t.description"}, "admin_state_up": {expr: "t.admin_state_up", kind: flag},
		"status": {expr: "'ACTIVE'"}, "revision_number": {expr: "t.revision", kind: number},
		"created_at": {expr: "t.created_at", kind: number}, "updated_at": {expr: "t.updated_at", kind: number},
	},
	visible: func(project string) []arm { return []arm{own(project)} },
	missing: topology.NoRouter,
}

func scanRouter(row scanner) (r topology.Router, err error) {
	var g topology.Gateway
	var flavor sql.NullString
	err = row.Scan(&r.ID, &r.ProjectID, &r.Name, &r.Description, &r.AdminStateUp, &g.NetworkID,
		&g.PortID, &g.EnableSNAT, intoJSON(&r.Routes), &r.Distributed, &r.HA, &flavor, intoJSON(&r.ZoneHints), intoTime(&r.CreatedAt), intoTime(&r.UpdatedAt), &r.Revision)
	r.FlavorID = flavor.String
	if g.NetworkID != "" {
		r.Gateway = &g
	}
	return r, err
}

// RouterSpec is a router somebody asks for. Gateway nil leaves that as it is.
type RouterSpec struct {
	topology.Router
	WantGateway *topology.WantGateway
}

// CreateRouters makes the routers, all or none, with the gateways that are wanted.
func (s *Store) CreateRouters(ctx context.Context, specs []RouterSpec) (made []topology.Router, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if err := admit(ctx, tx, "router", perProject(specs, func(s *RouterSpec) string { return s.ProjectID })); err != nil {
			return err
		}
		made = nil
		for _, spec := range specs {
			r, err := createRouter(ctx, tx, spec)
			if err != nil {
				return err
			}
			made = append(made, r)
		}
		return nil
	})
	return made, err
}

func createRouter(ctx context.Context, tx *Tx, spec RouterSpec) (topology.Router, error) {
	r := spec.Router
	r.ID, r.Routes, r.ZoneHints = uuid.NewString(), []topology.HostRoute{}, append([]string{}, r.ZoneHints...)
	r.CreatedAt = tx.now()
	r.UpdatedAt, r.Revision = r.CreatedAt, 1
	_, err := tx.Exec(ctx, `
		INSERT INTO routers (`+bare(routerShape)+`)
		VALUES (`+marks(len(routerShape.columns))+`)`,
		r.ID, r.ProjectID, r.Name, r.Description, r.AdminStateUp, "", "", true, asJSON(r.Routes), r.Distributed, r.HA,
		sql.NullString{String: r.FlavorID, Valid: r.FlavorID != ""},
		asJSON(r.ZoneHints), r.CreatedAt, r.UpdatedAt, r.Revision)
	if err != nil {
		return r, fmt.Errorf("cannot create router: %w", err)
	}
	if spec.WantGateway == nil || spec.WantGateway.NetworkID == "" {
		return r, nil
	}
	if err := setGateway(ctx, tx, &r, *spec.WantGateway); err != nil {
		return r, err
	}
	if err := saveRouter(ctx, tx, &r); err != nil {
		return r, err
	}
	return r, spanRouter(ctx, tx, r.ID)
}

// FindRouter returns the router, whoever owns it, or fault.NotFound.
func (s *Store) FindRouter(ctx context.Context, id string) (r topology.Router, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		r, err = findRouter(ctx, tx, id, "")
		return err
	})
	return r, err
}

func findRouter(ctx context.Context, tx *Tx, id, suffix string) (topology.Router, error) {
	r, err := byID(ctx, tx, routerShape, id, scanRouter, suffix)
	if err != nil {
		return r, err
	}
	one := []topology.Router{r}
	err = addGatewayDetails(ctx, tx, one)
	return one[0], err
}

// ListRouters lists routers.
func (s *Store) ListRouters(ctx context.Context, q Query) (all []topology.Router, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		if all, err = query(ctx, tx, routerShape, q, scanRouter); err != nil {
			return err
		}
		return addGatewayDetails(ctx, tx, all)
	})
	return all, err
}

func addGatewayDetails(ctx context.Context, tx *Tx, routers []topology.Router) error {
	gateways := map[string]*topology.Gateway{}
	var ports []string
	for i := range routers {
		if g := routers[i].Gateway; g != nil {
			g.FixedIPs = []topology.FixedIP{}
			gateways[g.PortID], ports = g, append(ports, g.PortID)
		}
	}
	if err := addGatewayQoS(ctx, tx, routers); err != nil {
		return err
	}
	return details(ctx, tx, ports, `SELECT port_id, subnet_id, address FROM addresses WHERE port_id`,
		`ORDER BY port_id, position, address`, func(row scanner) error {
			var port string
			var ip topology.FixedIP
			err := row.Scan(&port, &ip.SubnetID, intoAddr(&ip.Address))
			gateways[port].FixedIPs = append(gateways[port].FixedIPs, ip)
			return err
		})
}

// UpdateRouter changes the router. change sets what is plain, and the gateway
// that is wanted.
func (s *Store) UpdateRouter(ctx context.Context, id string, change func(*RouterSpec) error) (r topology.Router, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		before, err := findRouter(ctx, tx, id, tx.forUpdate())
		if err != nil {
			return err
		}
		spec := RouterSpec{Router: before}
		spec.Routes = slices.Clone(before.Routes)
		if err := change(&spec); err != nil {
			return err
		}
		r = spec.Router
		if err := changeKind(ctx, tx, &before, &r); err != nil {
			return err
		}
		if spec.WantGateway != nil {
			if err := setGateway(ctx, tx, &r, *spec.WantGateway); err != nil {
				return err
			}
		}
		if !reflect.DeepEqual(before.Routes, r.Routes) {
			if err := checkRoutes(ctx, tx, &r); err != nil {
				return err
			}
		}
		if spec.WantGateway == nil && reflect.DeepEqual(before, r) {
			return nil
		}
		if err := saveRouter(ctx, tx, &r); err != nil {
			return err
		}
		return spanRouter(ctx, tx, r.ID)
	})
	return r, err
}

// changeKind gives the interfaces of a router that becomes of another kind the
// owner of that kind.
func changeKind(ctx context.Context, tx *Tx, before, r *topology.Router) error {
	if err := r.CheckKind(before); err != nil || r.InterfaceOwner() == before.InterfaceOwner() {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE ports
		SET device_owner = ?, updated_at = ?, revision = revision + 1
		WHERE device_id = ? AND device_owner = ?`, r.InterfaceOwner(), tx.now(), r.ID, before.InterfaceOwner())
	return err
}

func saveRouter(ctx context.Context, tx *Tx, r *topology.Router) error {
	g := topology.Gateway{EnableSNAT: true}
	if r.Gateway != nil {
		g = *r.Gateway
	}
	r.UpdatedAt, r.Revision = tx.now(), r.Revision+1
	_, err := tx.Exec(ctx, `
		UPDATE routers
		SET name = ?, description = ?, admin_state_up = ?, gateway_network = ?, gateway_port = ?, enable_snat = ?,
			routes = ?, distributed = ?, ha = ?, updated_at = ?, revision = ?
		WHERE id = ?`,
		r.Name, r.Description, r.AdminStateUp, g.NetworkID, g.PortID, g.EnableSNAT,
		asJSON(r.Routes), r.Distributed, r.HA, r.UpdatedAt, r.Revision, r.ID)
	if err != nil {
		return err
	}
	return nameQoS(ctx, tx, "routers", r.ID, g.QoSPolicyID)
}

// interfaceOwners are the owners for which topology.IsRouterInterface holds.
const interfaceOwners = "'" + topology.OwnerRouterInterface + "', '" + topology.OwnerDistributedInterface + "', '" + topology.OwnerHAInterface + "'"

// routerOwners are the owners for which topology.IsRouterPort holds.
const routerOwners = interfaceOwners + ", '" + topology.OwnerRouterGateway + "'"

// routerPorts are the router's interfaces, and its gateway.
func routerPorts(ctx context.Context, tx *Tx, id string) ([]topology.Port, error) {
	return portsWhere(ctx, tx, "t.device_id = ? AND t.device_owner IN ("+routerOwners+")", id)
}

// reached are the subnets on which the ports are, and the ports' addresses.
func reached(ctx context.Context, tx *Tx, ports []topology.Port) ([]topology.Subnet, []netip.Addr, error) {
	var subnets []topology.Subnet
	var addresses []netip.Addr
	for _, p := range ports {
		for _, ip := range p.FixedIPs {
			s, err := byID(ctx, tx, subnetShape, ip.SubnetID, scanSubnet, "")
			if err != nil {
				return nil, nil, err
			}
			subnets, addresses = append(subnets, s), append(addresses, ip.Address)
		}
	}
	return subnets, addresses, nil
}

func checkRoutes(ctx context.Context, tx *Tx, r *topology.Router) error {
	ports, err := routerPorts(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	subnets, own, err := reached(ctx, tx, ports)
	if err != nil {
		return err
	}
	return r.CheckRoutes(subnets, own)
}

// DeleteRouter deletes a router without interfaces, and its gateway port.
func (s *Store) DeleteRouter(ctx context.Context, id string, check func(*topology.Router) error) error {
	return s.write(ctx, func(tx *Tx) error {
		r, err := findRouter(ctx, tx, id, tx.forUpdate())
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(&r); err != nil {
				return err
			}
		}
		ports, err := routerPorts(ctx, tx, id)
		if err != nil {
			return err
		}
		var left []string
		for _, p := range ports {
			if topology.IsRouterInterface(p.DeviceOwner) {
				left = append(left, p.ID)
			}
		}
		if len(left) > 0 {
			return fault.New(fault.Conflict, "RouterInUse", "Router %s has ports still attached: %s", id, strings.Join(left, ", "))
		}
		if r.Gateway != nil {
			if err := dropGateway(ctx, tx, &r); err != nil {
				return err
			}
		}
		if err := dropRow(ctx, tx, "routers", id); err != nil {
			return err
		}
		return unwantOrRelease(ctx, tx, KindRouter, id)
	})
}
