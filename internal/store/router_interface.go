package store

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// Interface is a router's place on a subnet, as Neutron tells it.
type Interface struct {
	Router    topology.Router
	PortID    string
	NetworkID string
	SubnetIDs []string
}

// AddSubnetInterface puts the router onto the subnet, at its gateway address.
func (s *Store) AddSubnetInterface(ctx context.Context, routerID, subnetID string) (i Interface, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		i, err = addSubnetInterface(ctx, tx, routerID, subnetID)
		return err
	})
	return i, err
}

func addSubnetInterface(ctx context.Context, tx *Tx, routerID, subnetID string) (i Interface, err error) {
	r, has, ports, err := routerAt(ctx, tx, routerID)
	if err != nil {
		return i, err
	}
	sub, err := byID(ctx, tx, subnetShape, subnetID, scanSubnet, "")
	if err != nil {
		return i, err
	}
	if !sub.GatewayIP.IsValid() {
		return i, topology.BadRouter("Subnet for router interface must have a gateway IP")
	}
	if err := topology.CheckRouted(&sub); err != nil {
		return i, err
	}
	if err := topology.CheckInterface(has, []topology.Subnet{sub}); err != nil {
		return i, err
	}
	p, err := portOnSubnet(ctx, tx, &r, &sub, ports)
	if err != nil {
		return i, err
	}
	if err := saveRouter(ctx, tx, &r); err != nil {
		return i, err
	}
	return Interface{r, p.ID, sub.NetworkID, []string{sub.ID}}, interfaceMoved(ctx, tx, r.ID, sub.NetworkID)
}

// interfaceMoved says that the router has come to the network, or has left it: it
// is in other pods then, and the network's servers get another gateway.
func interfaceMoved(ctx context.Context, tx *Tx, routerID, networkID string) error {
	if err := lockNetwork(ctx, tx, networkID); err != nil {
		return err
	}
	if err := spanRouter(ctx, tx, routerID); err != nil {
		return err
	}
	return touchTx(ctx, tx, KindNetwork, networkID)
}

// routerAt is the router, locked, with the subnets where it is and its ports.
func routerAt(ctx context.Context, tx *Tx, id string) (r topology.Router, has []topology.Subnet, ports []topology.Port, err error) {
	if r, err = findRouter(ctx, tx, id, tx.forUpdate()); err != nil {
		return r, nil, nil, err
	}
	if ports, err = routerPorts(ctx, tx, id); err != nil {
		return r, nil, nil, err
	}
	if has, _, err = reached(ctx, tx, ports); err != nil {
		return r, nil, nil, err
	}
	bridge, err := bridgeSubnets(ctx, tx, r.ProjectID)
	return r, append(has, bridge...), ports, err
}

// portOnSubnet is the interface's port. IPv6 prefixes of one network share a port,
// as in Neutron: they are announced by one source.
func portOnSubnet(ctx context.Context, tx *Tx, r *topology.Router, sub *topology.Subnet, ports []topology.Port) (topology.Port, error) {
	at := topology.WantIP{SubnetID: sub.ID, Address: sub.GatewayIP}
	if sub.IPVersion == 6 {
		for _, p := range ports {
			if p.NetworkID == sub.NetworkID && topology.IsRouterInterface(p.DeviceOwner) && p.FixedIPs[0].Address.Is6() {
				want := []topology.WantIP{at}
				for _, ip := range p.FixedIPs {
					want = append(want, topology.WantIP(ip))
				}
				return updatePort(ctx, tx, p, topology.PortSpec{Port: p, WantIPs: want})
			}
		}
	}
	ground, err := loadGround(ctx, tx, sub.NetworkID)
	if err != nil {
		return topology.Port{}, err
	}
	spec := topology.PortSpec{WantIPs: []topology.WantIP{at}, WantGroups: []string{}}
	spec.NetworkID, spec.ProjectID, spec.AdminStateUp = sub.NetworkID, r.ProjectID, true
	spec.DeviceID, spec.DeviceOwner = r.ID, r.InterfaceOwner()
	return createPort(ctx, tx, ground, spec)
}

// AddPortInterface makes a port that serves nothing yet an interface of the router.
func (s *Store) AddPortInterface(ctx context.Context, routerID, portID string) (i Interface, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		r, has, ports, err := routerAt(ctx, tx, routerID)
		if err != nil {
			return err
		}
		p, err := findPort(ctx, tx, portID, tx.forChange())
		if err != nil {
			return err
		}
		if p.DeviceID != "" {
			return fault.New(fault.Conflict, "PortInUse", "Unable to complete operation on port %s for network %s. "+
				"Port already has an attached device %s.", p.ID, p.NetworkID, p.DeviceID)
		}
		added, _, err := reached(ctx, tx, []topology.Port{p})
		if err != nil {
			return err
		}
		if err := topology.CheckInterfaceSubnets(added); err != nil {
			return err
		}
		if err := p.CheckBeside(ports); err != nil {
			return err
		}
		if err := topology.CheckInterface(has, added); err != nil {
			return err
		}
		i = Interface{r, p.ID, p.NetworkID, subnetIDs(p)}
		if err := attachPortsTx(ctx, tx, []string{p.ID}, r.ID, r.InterfaceOwner()); err != nil {
			return err
		}
		if err := saveRouter(ctx, tx, &r); err != nil {
			return err
		}
		return interfaceMoved(ctx, tx, r.ID, p.NetworkID)
	})
	return i, err
}

func subnetIDs(p topology.Port) []string {
	ids := make([]string, len(p.FixedIPs))
	for i, ip := range p.FixedIPs {
		ids[i] = ip.SubnetID
	}
	return ids
}

// RemoveInterface takes the router off a port or a subnet; an empty one is any.
// Routes and floating IPs that lead through it keep it.
func (s *Store) RemoveInterface(ctx context.Context, routerID, portID, subnetID string) (i Interface, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		r, _, ports, err := routerAt(ctx, tx, routerID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(ports, func(p topology.Port) bool {
			return topology.IsRouterInterface(p.DeviceOwner) && (portID == "" || p.ID == portID) &&
				(subnetID == "" || slices.Contains(subnetIDs(p), subnetID))
		})
		if at < 0 {
			return noInterface(routerID, portID, subnetID)
		}
		p := ports[at]
		i = Interface{r, p.ID, p.NetworkID, subnetIDs(p)}
		if portID == "" {
			i.SubnetIDs = []string{subnetID}
		}
		for _, id := range i.SubnetIDs {
			if err := checkUnused(ctx, tx, &r, id); err != nil {
				return err
			}
		}
		if err := leaveSubnets(ctx, tx, p, i.SubnetIDs); err != nil {
			return err
		}
		if err := saveRouter(ctx, tx, &r); err != nil {
			return err
		}
		return interfaceMoved(ctx, tx, r.ID, p.NetworkID)
	})
	return i, err
}

func noInterface(routerID, portID, subnetID string) error {
	if portID != "" {
		return fault.New(fault.NotFound, "RouterInterfaceNotFound", "Router %s does not have an interface with id %s", routerID, portID)
	}
	return fault.New(fault.NotFound, "RouterInterfaceNotFoundForSubnet", "Router %s has no interface on subnet %s", routerID, subnetID)
}

func checkUnused(ctx context.Context, tx *Tx, r *topology.Router, subnetID string) error {
	sub, err := byID(ctx, tx, subnetShape, subnetID, scanSubnet, "")
	if err != nil {
		return err
	}
	said := "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more "
	if r.Needs(sub.CIDR) {
		return fault.New(fault.Conflict, "RouterInterfaceInUseByRoute", said+"routes.", subnetID, r.ID)
	}
	var used int
	err = tx.QueryRow(ctx, `
		SELECT (
			SELECT count(*) FROM floating_ips f
			JOIN addresses a ON a.port_id = f.port_id AND a.address = f.fixed_address
			WHERE f.router_id = ? AND a.subnet_id = ?
		) + (
			SELECT count(*) FROM port_forwardings p
			JOIN floating_ips f ON f.id = p.floatingip_id
			JOIN addresses a ON a.port_id = p.internal_port_id AND a.address = p.internal_ip_address
			WHERE f.router_id = ? AND a.subnet_id = ?
		)`, r.ID, subnetID, r.ID, subnetID).Scan(&used)
	if err == nil && used > 0 {
		err = fault.New(fault.Conflict, "RouterInterfaceInUseByFloatingIP", said+"floating IPs.", subnetID, r.ID)
	}
	return err
}

// leaveSubnets takes the subnets off the interface's port, which goes with the last.
func leaveSubnets(ctx context.Context, tx *Tx, p topology.Port, gone []string) error {
	want := []topology.WantIP{}
	for _, ip := range p.FixedIPs {
		if !slices.Contains(gone, ip.SubnetID) {
			want = append(want, topology.WantIP(ip))
		}
	}
	if len(want) == 0 {
		return deletePort(ctx, tx, p.ID)
	}
	_, err := updatePort(ctx, tx, p, topology.PortSpec{Port: p, WantIPs: want})
	return err
}
