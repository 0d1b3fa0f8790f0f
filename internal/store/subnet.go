package store

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

var subnetShape = &shape{
	table: "subnets",
	columns: []string{"t.id", "t.network_id", "t.project_id", "t.name", "t.description", "t.ip_version", "t.cidr",
		"t.gateway_ip", "t.enable_dhcp", "t.allocation_pools", "t.dns_nameservers", "t.host_routes", "t.ipv6_ra_mode",
		"t.ipv6_address_mode", "t.subnetpool_id", "t.service_types", "t.created_at", "t.updated_at", "t.revision"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "name": {expr: "t.name"},
		"description": {expr: "t.description"}, "network_id": {expr: "t.network_id"},
		"ip_version": {expr: "t.ip_version", kind: number}, "cidr": {expr: "t.cidr"}, "gateway_ip": {expr: "t.gateway_ip"},
		"enable_dhcp": {expr: "t.enable_dhcp", kind: flag}, "ipv6_ra_mode": {expr: "t.ipv6_ra_mode"},
		"ipv6_address_mode": {expr: "t.ipv6_address_mode"}, "subnetpool_id": {expr: "t.subnetpool_id"},
		"shared":          sharedField("t.network_id", "(SELECT n.shared FROM networks n WHERE n.id = t.network_id)"),
		"revision_number": {expr: "t.revision", kind: number},
		"created_at":      {expr: "t.created_at", kind: number}, "updated_at": {expr: "t.updated_at", kind: number},
	},
	visible: func(project string) []arm {
		return []arm{own(project), {
			"t.project_id <> ? AND t.network_id IN (SELECT n.id FROM networks n WHERE n.shared = 1 UNION " + targeted + ")",
			[]any{project, project}}}
	},
	missing: topology.NoSubnet,
}

func scanSubnet(row scanner) (n topology.Subnet, err error) {
	var cidr string
	err = row.Scan(&n.ID, &n.NetworkID, &n.ProjectID, &n.Name, &n.Description, &n.IPVersion, &cidr,
		intoAddr(&n.GatewayIP), &n.EnableDHCP, intoJSON(&n.AllocationPools), intoJSON(&n.DNSNameservers),
		intoJSON(&n.HostRoutes), &n.IPv6RAMode, &n.IPv6AddressMode, &n.SubnetPoolID, intoJSON(&n.ServiceTypes),
		intoTime(&n.CreatedAt), intoTime(&n.UpdatedAt), &n.Revision)
	if err == nil {
		n.CIDR, err = netip.ParsePrefix(cidr)
	}
	return n, err
}

// CreateSubnets makes the subnets, all or none.
func (s *Store) CreateSubnets(ctx context.Context, specs []topology.SubnetSpec) ([]topology.Subnet, error) {
	var made []topology.Subnet
	err := s.write(ctx, func(tx *Tx) error {
		if err := admit(ctx, tx, "subnet", perProject(specs, func(s *topology.SubnetSpec) string { return s.ProjectID })); err != nil {
			return err
		}
		made = nil
		for _, spec := range specs {
			n, err := createSubnet(ctx, tx, spec)
			if err != nil {
				return err
			}
			made = append(made, n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func createSubnet(ctx context.Context, tx *Tx, spec topology.SubnetSpec) (topology.Subnet, error) {
	pool, err := cut(ctx, tx, &spec)
	if err != nil {
		return spec.Subnet, err
	}
	n, err := spec.Complete()
	if err != nil {
		return n, err
	}
	// This also locks the network, so that two subnets that overlap cannot be
	// made at once.
	if err := touchNetwork(ctx, tx, n.NetworkID); err != nil {
		return n, err
	}
	others, err := subnetsOf(ctx, tx, n.NetworkID)
	if err != nil {
		return n, err
	}
	if n.ID == "" {
		n.ID = uuid.NewString()
	}
	if err := checkNeighbours(ctx, tx, &n, others, pool); err != nil {
		return n, err
	}
	n.ServiceTypes = append([]string{}, n.ServiceTypes...)
	n.DNSNameservers = append([]string{}, n.DNSNameservers...)
	n.HostRoutes = append([]topology.HostRoute{}, n.HostRoutes...)
	n.CreatedAt = tx.now()
	n.UpdatedAt = n.CreatedAt
	_, err = tx.Exec(ctx, `
		INSERT INTO subnets (`+bare(subnetShape)+`)
		VALUES (`+marks(len(subnetShape.columns))+`)`,
		n.ID, n.NetworkID, n.ProjectID, n.Name, n.Description, n.IPVersion, n.CIDR.String(),
		asAddr(n.GatewayIP), n.EnableDHCP, asJSON(n.AllocationPools), asJSON(n.DNSNameservers),
		asJSON(n.HostRoutes), n.IPv6RAMode, n.IPv6AddressMode, n.SubnetPoolID, asJSON(n.ServiceTypes), n.CreatedAt, n.UpdatedAt, n.Revision)
	if err != nil {
		return n, fmt.Errorf("cannot create subnet: %w", err)
	}
	if n.AutoAddress() {
		err = addAutoAddresses(ctx, tx, n)
	}
	return n, err
}

// checkNeighbours refuses a subnet that does not go with the others of its
// network.
func checkNeighbours(ctx context.Context, tx *Tx, n *topology.Subnet, others []topology.Subnet, pool *topology.SubnetPool) error {
	if err := n.CheckOverlap(others); err != nil {
		return err
	}
	scope := ""
	err := scopesOf(ctx, tx, []string{n.NetworkID}, func(_ string, version int, id string) {
		if version == n.IPVersion {
			scope = id
		}
	})
	if err != nil {
		return err
	}
	return n.CheckAffinity(others, pool, scope)
}

// addAutoAddresses gives the network's ports the address that their servers will
// give themselves in a new subnet.
func addAutoAddresses(ctx context.Context, tx *Tx, n topology.Subnet) error {
	ports, err := portsWhere(ctx, tx, "t.network_id = ?", n.NetworkID)
	if err != nil {
		return err
	}
	for i := range ports {
		pl := placement{port: &ports[i]}
		if !pl.auto(&n) {
			continue
		}
		if err := pl.takeExact(ctx, tx, &n, topology.EUI64(n.CIDR, ports[i].MACAddress)); err != nil {
			return err
		}
		if err := portMoved(ctx, tx, &ports[i]); err != nil {
			return err
		}
	}
	return nil
}

// FindSubnet returns the subnet, whoever owns it, or fault.NotFound.
func (s *Store) FindSubnet(ctx context.Context, id string) (topology.Subnet, error) {
	return byID(ctx, s.reader(), subnetShape, id, scanSubnet, "")
}

// ListSubnets lists subnets.
func (s *Store) ListSubnets(ctx context.Context, q Query) (all []topology.Subnet, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		all, err = query(ctx, tx, subnetShape, q, scanSubnet)
		return err
	})
	return all, err
}

// SubnetsOf lists the network's subnets.
func (s *Store) SubnetsOf(ctx context.Context, networkID string) ([]topology.Subnet, error) {
	return subnetsOf(ctx, s.reader(), networkID)
}

func subnetsOf(ctx context.Context, tx *Tx, networkID string) ([]topology.Subnet, error) {
	return list(ctx, tx, scanSubnet, `
		SELECT `+bare(subnetShape)+` FROM subnets
		WHERE network_id = ?
		ORDER BY created_at, id`, networkID)
}

// UpdateSubnet changes the subnet. Network, project and prefix stay.
func (s *Store) UpdateSubnet(ctx context.Context, id string, change func(*topology.Subnet) error) (n topology.Subnet, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if n, err = byID(ctx, tx, subnetShape, id, scanSubnet, tx.forChange()); err != nil {
			return err
		}
		before := n
		if err := change(&n); err != nil {
			return err
		}
		if reflect.DeepEqual(before, n) {
			return nil
		}
		if err := n.CheckUpdate(&before); err != nil {
			return err
		}
		if n.GatewayIP != before.GatewayIP {
			if err := checkGatewayFree(ctx, tx, &before); err != nil {
				return err
			}
		}
		return updateSubnet(ctx, tx, &n)
	})
	return n, err
}

// checkGatewayFree refuses to move the gateway's address from under a router.
func checkGatewayFree(ctx context.Context, tx *Tx, n *topology.Subnet) error {
	used, err := list(ctx, tx, scanString, `
		SELECT p.id FROM ports p
		JOIN addresses a ON a.port_id = p.id
		WHERE a.subnet_id = ? AND a.address = ? AND p.device_owner IN (`+interfaceOwners+`)`, n.ID, asAddr(n.GatewayIP))
	if err != nil || len(used) == 0 {
		return err
	}
	return fault.New(fault.Conflict, "GatewayIpInUse", "Current gateway ip %s already in use by port %s. Unable to update.", n.GatewayIP, used[0])
}

func updateSubnet(ctx context.Context, tx *Tx, n *topology.Subnet) error {
	n.UpdatedAt, n.Revision = tx.now(), n.Revision+1
	_, err := tx.Exec(ctx, `
		UPDATE subnets
		SET name = ?, description = ?, gateway_ip = ?, enable_dhcp = ?, allocation_pools = ?, dns_nameservers = ?,
			host_routes = ?, service_types = ?, updated_at = ?, revision = ?
		WHERE id = ?`,
		n.Name, n.Description, asAddr(n.GatewayIP), n.EnableDHCP, asJSON(n.AllocationPools), asJSON(n.DNSNameservers),
		asJSON(n.HostRoutes), asJSON(n.ServiceTypes), n.UpdatedAt, n.Revision, n.ID)
	if err != nil {
		return err
	}
	return touchNetwork(ctx, tx, n.NetworkID)
}

// DeleteSubnet deletes a subnet that no port needs. DHCP ports lose their
// address in it, and so do all ports if servers give it to themselves.
func (s *Store) DeleteSubnet(ctx context.Context, id string, check func(*topology.Subnet) error) error {
	err := s.write(ctx, func(tx *Tx) error {
		n, err := byID(ctx, tx, subnetShape, id, scanSubnet, tx.forUpdate())
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(&n); err != nil {
				return err
			}
		}
		if err := leaveSubnet(ctx, tx, &n); err != nil {
			return err
		}
		if err := dropSubnet(ctx, tx, id); err != nil {
			return err
		}
		return touchNetwork(ctx, tx, n.NetworkID)
	})
	if dangling(err) {
		return subnetInUse(id) // an address given out at this moment
	}
	return err
}

func leaveSubnet(ctx context.Context, tx *Tx, n *topology.Subnet) error {
	ports, err := portsWhere(ctx, tx, "t.id IN (SELECT a.port_id FROM addresses a WHERE a.subnet_id = ?)", n.ID)
	if err != nil {
		return err
	}
	for i := range ports {
		if p := &ports[i]; p.DeviceOwner != topology.OwnerDHCP {
			if !n.AutoAddress() {
				return subnetInUse(n.ID)
			}
			if err := portMoved(ctx, tx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func subnetInUse(id string) error {
	return fault.New(fault.Conflict, "SubnetInUse",
		"Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", id)
}

// dropSubnet deletes the subnet and all addresses in it, also those still held
// for deleted ports: no other subnet can give them out on this network before
// the pods have lost this one.
func dropSubnet(ctx context.Context, tx *Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM addresses WHERE subnet_id = ?`, id); err != nil {
		return err
	}
	if err := dropRow(ctx, tx, "subnets", id); err != nil {
		return err
	}
	return unwantOrRelease(ctx, tx, KindSubnet, id)
}
