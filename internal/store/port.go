package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// portStatus is what the port's pod said last; a router's port is up by definition,
// as scanPort knows too.
const portStatus = `CASE WHEN t.device_owner IN (` + routerOwners + `) THEN 'ACTIVE' ELSE t.status END`

var portShape = &shape{
	table: "ports",
	columns: []string{"t.id", "t.network_id", "t.project_id", "t.name", "t.description", "t.admin_state_up", "t.mac_address",
		"t.device_id", "t.device_owner", "t.port_security_enabled", "t.address_pairs", "t.vnic_type", "t.auto", "t.pod",
		"t.dhcp_options", "t.numa_policy", "t.device_profile", "t.status", "t.host", "t.vif_type", "t.vif_details", "t.profile",
		"t.want_host", "t.want_profile", "t.created_at", "t.updated_at", "t.revision"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "name": {expr: "t.name"},
		"description": {expr: "t.description"}, "network_id": {expr: "t.network_id"},
		"admin_state_up": {expr: "t.admin_state_up", kind: flag}, "mac_address": {expr: "t.mac_address"},
		"device_id": {expr: "t.device_id"}, "device_owner": {expr: "t.device_owner"}, "status": {expr: portStatus},
		"port_security_enabled": {expr: "t.port_security_enabled", kind: flag},
		"binding:vnic_type":     {expr: "t.vnic_type"},
		"binding:host_id":       {expr: "t.host"},
		"fixed_ips.ip_address":  {match: withAddress("a.address")},
		"fixed_ips.subnet_id":   {match: withAddress("a.subnet_id")},
		"fixed_ips.ip_address_substr": {match: func(values []string) (string, []any) {
			// instr and position differ; LIKE is both's, and no address holds % or _.
			where, args := "1 = 0", []any{}
			for _, v := range values {
				where += " OR a.address LIKE ?"
				args = append(args, "%"+v+"%")
			}
			return "t.id IN (SELECT a.port_id FROM addresses a WHERE " + where + ")", args
		}},
		"moving": {match: func([]string) (string, []any) {
			return "t.device_id <> '' AND EXISTS (SELECT 1 FROM mappings m WHERE m.kind = 'port' AND m.id = t.id AND m.pod_id <> '')", nil
		}},
		"security_groups": {match: func(values []string) (string, []any) {
			return "t.id IN (SELECT g.port_id FROM port_groups g WHERE g.group_id IN (" + marks(len(values)) + "))", anyOf(values)
		}},
		"revision_number": {expr: "t.revision", kind: number},
		"created_at":      {expr: "t.created_at", kind: number}, "updated_at": {expr: "t.updated_at", kind: number},
	},
	visible: func(project string) []arm {
		return []arm{own(project), { // a network's owner sees all its ports
			"t.landlord = ?", []any{project}}}
	},
	missing: topology.NoPort,
}

func withAddress(column string) func([]string) (string, []any) {
	return func(values []string) (string, []any) {
		return "t.id IN (SELECT a.port_id FROM addresses a WHERE " + column + " IN (" + marks(len(values)) + "))", anyOf(values)
	}
}

func scanPort(row scanner) (p topology.Port, err error) {
	err = row.Scan(&p.ID, &p.NetworkID, &p.ProjectID, &p.Name, &p.Description, &p.AdminStateUp, &p.MACAddress,
		&p.DeviceID, &p.DeviceOwner, &p.PortSecurityEnabled, intoJSON(&p.AllowedAddressPairs), &p.VNICType, &p.Auto, &p.Pod,
		intoJSON(&p.DHCPOptions), &p.NUMAPolicy, &p.DeviceProfile, &p.Status, &p.Host, &p.VIFType, intoJSON(&p.VIFDetails),
		intoJSON(&p.Profile), &p.WantHost, intoJSON(&p.WantProfile), intoTime(&p.CreatedAt), intoTime(&p.UpdatedAt), &p.Revision)
	if topology.IsRouterPort(p.DeviceOwner) {
		p.Status = topology.StatusActive
	}
	return p, err
}

// portValues are the values of portShape's columns.
func portValues(p *topology.Port) []any {
	return []any{p.ID, p.NetworkID, p.ProjectID, p.Name, p.Description, p.AdminStateUp, p.MACAddress,
		p.DeviceID, p.DeviceOwner, p.PortSecurityEnabled, asJSON(p.AllowedAddressPairs), p.VNICType, p.Auto, p.Pod,
		asJSON(p.DHCPOptions), p.NUMAPolicy, p.DeviceProfile, p.Status, p.Host, p.VIFType, asJSON(p.VIFDetails),
		asJSON(p.Profile), p.WantHost, wantedProfile(p), p.CreatedAt, p.UpdatedAt, p.Revision}
}

// wantedProfile is NULL where nobody asked for one.
func wantedProfile(p *topology.Port) any {
	if p.WantProfile == nil {
		return nil
	}
	return asJSON(p.WantProfile)
}

// CreatePorts makes the ports, all or none. AdminStateUp is taken as it is; a nil
// WantIPs, WantGroups or WantSecurity is chosen by us.
func (s *Store) CreatePorts(ctx context.Context, specs []topology.PortSpec) (made []topology.Port, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		made, err = createPortsTx(ctx, tx, specs)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// createPortsTx makes the ports, all or none.
func createPortsTx(ctx context.Context, tx *Tx, specs []topology.PortSpec) ([]topology.Port, error) {
	if err := admit(ctx, tx, "port", perProject(specs, func(s *topology.PortSpec) string { return s.ProjectID })); err != nil {
		return nil, err
	}
	made := make([]topology.Port, 0, len(specs))
	networks := map[string]*ground{}
	for _, spec := range specs {
		g := networks[spec.NetworkID]
		if g == nil {
			var err error
			if g, err = loadGround(ctx, tx, spec.NetworkID); err != nil {
				return nil, err
			}
			networks[spec.NetworkID] = g
		}
		p, err := createPort(ctx, tx, g, spec)
		if dangling(err) {
			err = topology.NoNetwork(spec.NetworkID) // deleted at this moment
		}
		if err != nil {
			return nil, err
		}
		made = append(made, p)
	}
	return made, nil
}

// ground is what a port stands on.
type ground struct {
	network topology.Network
	subnets []topology.Subnet
}

func loadGround(ctx context.Context, tx *Tx, networkID string) (*ground, error) {
	n, err := byID(ctx, tx, networkShape, networkID, scanNetwork, "")
	if err != nil {
		return nil, err
	}
	policies, err := qosOf(ctx, tx, "networks", networkID)
	if err != nil {
		return nil, err
	}
	n.QoSPolicyID = policies[networkID]
	subnets, err := subnetsOf(ctx, tx, networkID)
	return &ground{n, subnets}, err
}

func createPort(ctx context.Context, tx *Tx, g *ground, spec topology.PortSpec) (topology.Port, error) {
	if err := spec.Complete(&g.network); err != nil {
		return topology.Port{}, err
	}
	p := spec.Port
	if p.ID == "" {
		p.ID = uuid.NewString()
	}
	groups, err := chooseGroups(ctx, tx, &spec)
	if err != nil {
		return p, err
	}
	if err := takeMAC(ctx, tx, &p); err != nil {
		return p, err
	}
	p.AllowedAddressPairs = append([]topology.AddressPair{}, p.AllowedAddressPairs...)
	p.FillPairs()
	p.FixedIPs, p.SecurityGroups = []topology.FixedIP{}, groups
	if p.VIFType == "" {
		p.Binding = topology.Unbound()
	}
	p.SetDHCPOptions(spec.WantOptions)
	p.CreatedAt = tx.now()
	p.UpdatedAt, p.Revision = p.CreatedAt, 1
	_, err = tx.Exec(ctx, `
		INSERT INTO ports (`+bare(portShape)+`, landlord)
		VALUES (`+marks(len(portShape.columns)+1)+`)`,
		append(portValues(&p), landlord(&g.network, &p))...)
	if err != nil {
		return p, fmt.Errorf("cannot create port: %w", err)
	}
	if err := (placement{&p, g.subnets, spec.Near}).takeAddresses(ctx, tx, spec.WantIPs); err != nil {
		return p, err
	}
	if err := addTags(ctx, tx, "ports", p.ID, spec.Tags); err != nil {
		return p, err
	}
	if err := givePortQoS(ctx, tx, &g.network, &p); err != nil {
		return p, err
	}
	return p, insertGroups(ctx, tx, p.ID, groups)
}

// landlord is who sees the port besides its own project. Nobody sees what only a
// pod's router needs.
func landlord(n *topology.Network, p *topology.Port) sql.NullString {
	return sql.NullString{String: n.ProjectID, Valid: n.ProjectID != p.ProjectID && p.DeviceOwner != topology.OwnerPodRouter}
}

// chooseGroups is the groups of a new port.
func chooseGroups(ctx context.Context, tx *Tx, spec *topology.PortSpec) ([]string, error) {
	if spec.WantGroups == nil {
		if !spec.PortSecurityEnabled {
			return []string{}, nil
		}
		id, err := ensureDefaultGroup(ctx, tx, spec.ProjectID)
		return []string{id}, err
	}
	return checkGroups(ctx, tx, spec.WantGroups)
}

// FindPort returns the port, whoever owns it, or fault.NotFound.
func (s *Store) FindPort(ctx context.Context, id string) (p topology.Port, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		p, err = findPort(ctx, tx, id, "")
		return err
	})
	return p, err
}

func findPort(ctx context.Context, tx *Tx, id, suffix string) (topology.Port, error) {
	p, err := byID(ctx, tx, portShape, id, scanPort, suffix)
	if err != nil {
		return p, err
	}
	one := []topology.Port{p}
	err = addPortDetails(ctx, tx, one)
	return one[0], err
}

// ListPorts lists ports.
func (s *Store) ListPorts(ctx context.Context, q Query) (all []topology.Port, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		if all, err = query(ctx, tx, portShape, q, scanPort); err != nil {
			return err
		}
		return addPortDetails(ctx, tx, all)
	})
	return all, err
}

// PortsByDevice lists the ports of a server, the oldest first.
func (s *Store) PortsByDevice(ctx context.Context, deviceID string) (all []topology.Port, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		all, err = portsWhere(ctx, tx, "t.device_id = ?", deviceID)
		return err
	})
	return all, err
}

func portsWhere(ctx context.Context, tx *Tx, where string, args ...any) ([]topology.Port, error) {
	all, err := list(ctx, tx, scanPort, `
		SELECT `+strings.Join(portShape.columns, ", ")+` FROM ports t
		WHERE `+where+`
		ORDER BY t.created_at, t.id`, args...)
	if err != nil {
		return nil, err
	}
	return all, addPortDetails(ctx, tx, all)
}

func addPortDetails(ctx context.Context, tx *Tx, ports []topology.Port) error {
	for i := range ports {
		ports[i].FixedIPs, ports[i].SecurityGroups = []topology.FixedIP{}, []string{}
	}
	names, where := ids(ports, func(p *topology.Port) string { return p.ID })
	if err := addPortQoS(ctx, tx, names, where); err != nil {
		return err
	}
	err := details(ctx, tx, names, `SELECT port_id, subnet_id, address FROM addresses WHERE port_id`,
		`ORDER BY port_id, position, address`, func(row scanner) error {
			var port string
			var ip topology.FixedIP
			err := row.Scan(&port, &ip.SubnetID, intoAddr(&ip.Address))
			where[port].FixedIPs = append(where[port].FixedIPs, ip)
			return err
		})
	if err != nil {
		return err
	}
	return details(ctx, tx, names, `SELECT port_id, group_id FROM port_groups WHERE port_id`, `ORDER BY port_id, group_id`,
		func(row scanner) error {
			var port, group string
			err := row.Scan(&port, &group)
			where[port].SecurityGroups = append(where[port].SecurityGroups, group)
			return err
		})
}

// DeletePort deletes the port. Its addresses and MAC stay held until no pod has
// it any more.
func (s *Store) DeletePort(ctx context.Context, id string, check func(*topology.Port) error) error {
	return s.write(ctx, func(tx *Tx) error {
		p, err := findPort(ctx, tx, id, tx.forUpdate())
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(&p); err != nil {
				return err
			}
		}
		trunked, err := trunkPorts(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := trunked[id].CheckDeletable(); err != nil {
			return err
		}
		return deletePort(ctx, tx, id)
	})
}

func deletePort(ctx context.Context, tx *Tx, id string) error {
	if err := portLeavesTx(ctx, tx, id); err != nil {
		return err
	}
	if err := releaseFloatingIPs(ctx, tx, id); err != nil {
		return err
	}
	if err := dropRow(ctx, tx, "ports", id); err != nil {
		return err
	}
	return unwantOrRelease(ctx, tx, KindPort, id)
}

// freePortsTx fails with fault.Conflict if a port serves a device already, and
// with fault.NotFound if it does not exist. It locks the ports.
func freePortsTx(ctx context.Context, tx *Tx, portIDs []string) error {
	for _, id := range slices.Sorted(slices.Values(portIDs)) {
		p, err := byID(ctx, tx, portShape, id, scanPort, tx.forChange())
		if err != nil {
			return err
		}
		if p.DeviceID != "" {
			return fault.New(fault.Conflict, "PortInUse", "Port %s is still in use.", id)
		}
	}
	return nil
}

// attachPortsTx records which device the ports serve. Where, the pod's Nova says.
func attachPortsTx(ctx context.Context, tx *Tx, portIDs []string, deviceID, deviceOwner string) error {
	for _, id := range slices.Sorted(slices.Values(portIDs)) {
		_, err := tx.Exec(ctx, `
			UPDATE ports
			SET device_id = ?, device_owner = ?, want_host = NULL, updated_at = ?, revision = revision + 1
			WHERE id = ?`, deviceID, deviceOwner, tx.now(), id)
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteAutoPortsTx deletes those of the ports that were made for one server.
func deleteAutoPortsTx(ctx context.Context, tx *Tx, portIDs []string) error {
	for _, id := range slices.Sorted(slices.Values(portIDs)) {
		p, err := byID(ctx, tx, portShape, id, scanPort, tx.forUpdate())
		if fault.Is(err, fault.NotFound) || err == nil && !p.Auto {
			continue
		}
		if err := errors.Join(err, deletePort(ctx, tx, id)); err != nil {
			return err
		}
	}
	return nil
}
