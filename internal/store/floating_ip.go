package store

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

var floatingIPShape = &shape{
	table: "floating_ips",
	columns: []string{"t.id", "t.project_id", "t.description", "t.network_id", "t.outer_port", "t.address", "t.port_id",
		"t.fixed_address", "t.router_id", "t.status", "t.created_at", "t.updated_at", "t.revision"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "description": {expr: "t.description"},
		"floating_network_id": {expr: "t.network_id"}, "floating_ip_address": {expr: "t.address"},
		"port_id": {expr: "t.port_id"}, "fixed_ip_address": {expr: "t.fixed_address"}, "router_id": {expr: "t.router_id"},
		"status": {expr: "CASE WHEN t.router_id = '' THEN 'DOWN' ELSE t.status END"}, "revision_number": {expr: "t.revision", kind: number},
		"created_at": {expr: "t.created_at", kind: number}, "updated_at": {expr: "t.updated_at", kind: number},
	},
	visible: func(project string) []arm { return []arm{own(project)} },
	missing: topology.NoFloatingIP,
}

func scanFloatingIP(row scanner) (f topology.FloatingIP, err error) {
	err = row.Scan(&f.ID, &f.ProjectID, &f.Description, &f.NetworkID, &f.OuterPort, intoAddr(&f.Address), &f.PortID,
		intoAddr(&f.FixedAddress), &f.RouterID, &f.Status, intoTime(&f.CreatedAt), intoTime(&f.UpdatedAt), &f.Revision)
	if f.RouterID == "" {
		f.Status = topology.StatusDown // what its pod said last was about another port
	}
	return f, err
}

// FloatingIPSpec is a floating IP somebody asks for. Of FloatingIP, a zero
// Address is chosen by us, and PortID with FixedAddress say what it shall serve.
type FloatingIPSpec struct {
	topology.FloatingIP
	SubnetID string // of the external network; empty: any
}

// CreateFloatingIPs takes addresses of external networks, all or none, and has
// each serve the port that is named for it.
func (s *Store) CreateFloatingIPs(ctx context.Context, specs []FloatingIPSpec) (made []topology.FloatingIP, err error) {
	var last topology.FloatingIP
	err = s.write(ctx, func(tx *Tx) error {
		if err := admit(ctx, tx, "floatingip", perProject(specs, func(s *FloatingIPSpec) string { return s.ProjectID })); err != nil {
			return err
		}
		made = nil
		for _, spec := range specs {
			if last, err = createFloatingIP(ctx, tx, spec); err != nil {
				return err
			}
			made = append(made, last)
		}
		return nil
	})
	if duplicate(err) {
		return nil, served(&last) // by another request at this moment
	}
	return made, err
}

func createFloatingIP(ctx context.Context, tx *Tx, spec FloatingIPSpec) (topology.FloatingIP, error) {
	f := spec.FloatingIP
	f.ID = uuid.NewString()
	if err := holdAddress(ctx, tx, &f, spec.SubnetID); err != nil {
		return f, err
	}
	if err := serve(ctx, tx, &f, f.PortID, f.FixedAddress); err != nil {
		return f, err
	}
	f.CreatedAt = tx.now()
	f.UpdatedAt, f.Revision, f.Status = f.CreatedAt, 1, topology.StatusDown
	_, err := tx.Exec(ctx, `
		INSERT INTO floating_ips (`+bare(floatingIPShape)+`)
		VALUES (`+marks(len(floatingIPShape.columns))+`)`,
		f.ID, f.ProjectID, f.Description, f.NetworkID, f.OuterPort, asAddr(f.Address), f.PortID,
		asAddr(f.FixedAddress), f.RouterID, f.Status, f.CreatedAt, f.UpdatedAt, f.Revision)
	if err != nil {
		return f, fmt.Errorf("cannot create floating IP: %w", err)
	}
	if err := nameQoS(ctx, tx, "floating_ips", f.ID, f.QoSPolicyID); err != nil {
		return f, err
	}
	return f, spanFloatingIP(ctx, tx, f.ID)
}

// holdAddress makes the port that holds the address on the external network. It
// is nobody's: the tenant has the floating IP, not the port.
func holdAddress(ctx context.Context, tx *Tx, f *topology.FloatingIP, subnetID string) error {
	ground, err := loadGround(ctx, tx, f.NetworkID)
	if err != nil {
		return err
	}
	if !ground.network.External {
		return topology.BadFloatingIP("Network %s is not a valid external network", f.NetworkID)
	}
	fours := ground.subnets[:0:0]
	for _, s := range ground.subnets {
		if s.IPVersion == 4 {
			fours = append(fours, s)
		}
	}
	if len(fours) == 0 {
		return topology.BadFloatingIP("Network %s does not contain any IPv4 subnet", f.NetworkID)
	}
	ground.subnets = fours // a floating IP is IPv4
	spec := topology.PortSpec{WantGroups: []string{}}
	spec.NetworkID, spec.AdminStateUp = f.NetworkID, true
	spec.DeviceID, spec.DeviceOwner = f.ID, topology.OwnerFloatingIP
	if f.Address.IsValid() || subnetID != "" {
		spec.WantIPs = []topology.WantIP{{SubnetID: subnetID, Address: f.Address}}
	}
	p, err := createPort(ctx, tx, ground, spec)
	if err != nil {
		return err
	}
	f.OuterPort, f.Address = p.ID, p.FixedIPs[0].Address
	return nil
}

// serve has the floating IP serve the port's address, or none.
func serve(ctx context.Context, tx *Tx, f *topology.FloatingIP, portID string, wanted netip.Addr) error {
	forwarding, err := forwards(ctx, tx, f.ID)
	switch {
	case err != nil:
		return err
	case forwarding && portID != "":
		return topology.FloatingIPForwards(f.ID)
	case forwarding:
		return nil // it is on the router still
	}
	f.PortID, f.FixedAddress, f.RouterID = "", netip.Addr{}, ""
	if portID == "" {
		return nil
	}
	p, err := findPort(ctx, tx, portID, tx.forChange())
	if err != nil {
		return err
	}
	at, err := p.ServedAddress(wanted)
	if err != nil {
		return err
	}
	router, err := routerBetween(ctx, tx, f.NetworkID, at.SubnetID, p.ID)
	if err != nil {
		return err
	}
	f.PortID, f.FixedAddress, f.RouterID = p.ID, at.Address, router
	others, err := list(ctx, tx, scanString, `
		SELECT id FROM floating_ips
		WHERE port_id = ? AND fixed_address = ? AND network_id = ? AND id <> ?`, p.ID, at.Address.String(), f.NetworkID, f.ID)
	if err == nil && len(others) > 0 {
		err = served(f)
	}
	return err
}

func served(f *topology.FloatingIP) error {
	return fault.New(fault.Conflict, "FloatingIPPortAlreadyAssociated", "Cannot associate floating IP %s (%s) with port %s using fixed IP %s, "+
		"as that fixed IP already has a floating IP on external network %s.", f.Address, f.ID, f.PortID, f.FixedAddress, f.NetworkID)
}

// routerBetween finds the router that leads from the subnet to the external
// network: the one at the subnet's gateway address if there are several.
func routerBetween(ctx context.Context, tx *Tx, external, subnetID, portID string) (string, error) {
	sub, err := byID(ctx, tx, subnetShape, subnetID, scanSubnet, "")
	if err != nil {
		return "", err
	}
	if !sub.GatewayIP.IsValid() {
		return "", topology.BadFloatingIP("Cannot add floating IP to port on subnet %s which has no gateway_ip", subnetID)
	}
	routers, err := list(ctx, tx, scanString, `
		SELECT r.id FROM routers r
		JOIN ports p ON p.device_id = r.id AND p.device_owner IN (`+interfaceOwners+`)
		JOIN addresses a ON a.port_id = p.id
		WHERE r.gateway_network = ? AND a.subnet_id = ?
		ORDER BY CASE WHEN a.address = ? THEN 0 ELSE 1 END, r.id`,
		external, subnetID, sub.GatewayIP.String())
	if err != nil {
		return "", err
	}
	if len(routers) == 0 {
		return "", fault.New(fault.NotFound, "ExternalGatewayForFloatingIPNotFound", "External network %s is not reachable from subnet %s.  "+
			"Therefore, cannot associate Port %s with a Floating IP.", external, subnetID, portID)
	}
	return routers[0], nil
}

// FindFloatingIP returns the floating IP, whoever owns it, or fault.NotFound.
func (s *Store) FindFloatingIP(ctx context.Context, id string) (f topology.FloatingIP, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		f, err = findFloatingIP(ctx, tx, id, "")
		return err
	})
	return f, err
}

func findFloatingIP(ctx context.Context, tx *Tx, id, suffix string) (topology.FloatingIP, error) {
	f, err := byID(ctx, tx, floatingIPShape, id, scanFloatingIP, suffix)
	if err != nil {
		return f, err
	}
	one := []topology.FloatingIP{f}
	err = addFloatingIPQoS(ctx, tx, one)
	return one[0], err
}

// ListFloatingIPs lists floating IPs.
func (s *Store) ListFloatingIPs(ctx context.Context, q Query) (all []topology.FloatingIP, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		if all, err = query(ctx, tx, floatingIPShape, q, scanFloatingIP); err != nil {
			return err
		}
		return addFloatingIPQoS(ctx, tx, all)
	})
	return all, err
}

// UpdateFloatingIP changes the description, and what the floating IP serves if
// change asks for it.
func (s *Store) UpdateFloatingIP(ctx context.Context, id string, change func(*topology.FloatingIP) (serves bool, err error)) (f topology.FloatingIP, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if f, err = findFloatingIP(ctx, tx, id, tx.forUpdate()); err != nil {
			return err
		}
		before := f
		serves, err := change(&f)
		if err != nil {
			return err
		}
		if serves {
			if err := serve(ctx, tx, &f, f.PortID, f.FixedAddress); err != nil {
				return err
			}
		}
		if f == before {
			return nil
		}
		if f.QoSPolicyID != before.QoSPolicyID {
			if err := nameQoS(ctx, tx, "floating_ips", id, f.QoSPolicyID); err != nil {
				return err
			}
		}
		f.UpdatedAt, f.Revision = tx.now(), f.Revision+1
		_, err = tx.Exec(ctx, `
			UPDATE floating_ips
			SET description = ?, port_id = ?, fixed_address = ?, router_id = ?, updated_at = ?, revision = ?
			WHERE id = ?`, f.Description, f.PortID, asAddr(f.FixedAddress), f.RouterID, f.UpdatedAt, f.Revision, f.ID)
		if err != nil {
			return err
		}
		return spanFloatingIP(ctx, tx, id, before.PortID)
	})
	if duplicate(err) {
		return f, served(&f)
	}
	return f, err
}

// DeleteFloatingIP gives the address back.
func (s *Store) DeleteFloatingIP(ctx context.Context, id string, check func(*topology.FloatingIP) error) error {
	return s.write(ctx, func(tx *Tx) error {
		f, err := byID(ctx, tx, floatingIPShape, id, scanFloatingIP, tx.forUpdate())
		if err != nil {
			return err
		}
		if err := check(&f); err != nil {
			return err
		}
		return dropFloatingIP(ctx, tx, f)
	})
}

func dropFloatingIP(ctx context.Context, tx *Tx, f topology.FloatingIP) error {
	if forwarding, err := forwards(ctx, tx, f.ID); err != nil || forwarding {
		return cmp.Or(err, topology.FloatingIPForwards(f.ID))
	}
	if err := dropRow(ctx, tx, "floating_ips", f.ID); err != nil {
		return err
	}
	if err := deletePort(ctx, tx, f.OuterPort); err != nil {
		return err
	}
	if err := unwantOrRelease(ctx, tx, KindFloatingIP, f.ID); err != nil || f.PortID == "" {
		return err
	}
	return spanShadows(ctx, tx, f.PortID)
}

// dropIdleFloatingIPs deletes the network's floating IPs that serve nothing: they
// go with it.
func dropIdleFloatingIPs(ctx context.Context, tx *Tx, network string) error {
	idle, err := query(ctx, tx, floatingIPShape, Query{Filters: map[string][]string{
		"floating_network_id": {network}, "port_id": {""}}}, scanFloatingIP)
	if err != nil {
		return err
	}
	for _, f := range idle {
		if err := dropFloatingIP(ctx, tx, f); err != nil {
			return err
		}
	}
	return nil
}

// releaseFloatingIPs ends what serves a port that is deleted.
func releaseFloatingIPs(ctx context.Context, tx *Tx, portID string) error {
	ended, err := list(ctx, tx, scanString, `
		UPDATE floating_ips
		SET port_id = '', fixed_address = '', router_id = '', updated_at = ?, revision = revision + 1
		WHERE port_id <> '' AND port_id = ?
		RETURNING id`, tx.now(), portID)
	if err != nil {
		return err
	}
	slices.Sort(ended)
	for _, id := range ended {
		if err := spanFloatingIP(ctx, tx, id, portID); err != nil {
			return err
		}
	}
	return endForwardings(ctx, tx, portID, nil)
}
