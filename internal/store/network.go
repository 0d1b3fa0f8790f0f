package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

var networkShape = &shape{
	table: "networks",
	columns: []string{"t.id", "t.project_id", "t.name", "t.description", "t.admin_state_up", "t.shared", "t.external", "t.is_default",
		"t.mtu", "t.port_security_enabled", "t.network_type", "t.physical_network", "t.segmentation_id", "t.zone_hints", "t.segments", "t.pod",
		"t.created_at", "t.updated_at", "t.revision"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "name": {expr: "t.name"},
		"description": {expr: "t.description"}, "admin_state_up": {expr: "t.admin_state_up", kind: flag},
		"shared": sharedField("t.id", "t.shared"), "router:external": {expr: "t.external", kind: flag},
		"subnets.ip_version": {match: func(values []string) (string, []any) {
			condition, args := field{expr: "n.ip_version", kind: number}.condition(values)
			return "t.id IN (SELECT n.network_id FROM subnets n WHERE " + condition + ")", args
		}},
		"status": {expr: "'ACTIVE'"}, "mtu": {expr: "t.mtu", kind: number},
		"port_security_enabled":     {expr: "t.port_security_enabled", kind: flag},
		"provider:network_type":     {expr: "t.network_type"},
		"provider:physical_network": {expr: "t.physical_network"},
		"provider:segmentation_id":  {expr: "t.segmentation_id", kind: number},
		"revision_number":           {expr: "t.revision", kind: number},
		"created_at":                {expr: "t.created_at", kind: number}, "updated_at": {expr: "t.updated_at", kind: number},
	},
	visible: func(project string) []arm {
		return append(ownOrShared(project),
			arm{"t.external = 1 AND t.shared = 0 AND t.project_id <> ? AND t.id NOT IN (" + targeted + ") AND t.id IN (" +
				"SELECT r.object_id FROM rbac_policies r WHERE r.action = 'access_as_external' AND r.target IN ('*', ?))",
				[]any{project, project, project}})
	},
	missing: topology.NoNetwork,
}

func scanNetwork(row scanner) (n topology.Network, err error) {
	err = row.Scan(&n.ID, &n.ProjectID, &n.Name, &n.Description, &n.AdminStateUp, &n.Shared, &n.External, &n.IsDefault,
		&n.MTU, &n.PortSecurityEnabled, &n.Type, &n.PhysicalNetwork, &n.SegmentationID, intoJSON(&n.ZoneHints), intoJSON(&n.Segments), &n.Pod,
		intoTime(&n.CreatedAt), intoTime(&n.UpdatedAt), &n.Revision)
	return n, err
}

// CreateNetworks makes the networks, all or none, and gives each its segment.
func (s *Store) CreateNetworks(ctx context.Context, networks []topology.Network) ([]topology.Network, error) {
	var made []topology.Network
	err := s.write(ctx, func(tx *Tx) error {
		if err := admit(ctx, tx, "network", perProject(networks, func(n *topology.Network) string { return n.ProjectID })); err != nil {
			return err
		}
		made = slices.Clone(networks)
		for i := range made {
			if err := createNetwork(ctx, tx, s.Fabric(), &made[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func createNetwork(ctx context.Context, tx *Tx, f topology.Fabric, n *topology.Network) error {
	if err := f.Complete(n); err != nil {
		return err
	}
	if n.ID == "" {
		n.ID = uuid.NewString()
	}
	if err := checkDefault(ctx, tx, n); err != nil {
		return err
	}
	if err := takeSegments(ctx, tx, f, n); err != nil {
		return err
	}
	n.ZoneHints, n.Subnets = append([]string{}, n.ZoneHints...), []string{}
	if n.External {
		if err := choosePod(ctx, tx, n); err != nil {
			return err
		}
	}
	n.CreatedAt = tx.now()
	n.UpdatedAt, n.Revision = n.CreatedAt, 1
	_, err := tx.Exec(ctx, `
		INSERT INTO networks (`+bare(networkShape)+`)
		VALUES (`+marks(len(networkShape.columns))+`)`,
		n.ID, n.ProjectID, n.Name, n.Description, n.AdminStateUp, n.Shared, n.External, n.IsDefault,
		n.MTU, n.PortSecurityEnabled, n.Type, n.PhysicalNetwork, n.SegmentationID, asJSON(n.ZoneHints), asJSON(segmentsOf(n)), n.Pod,
		n.CreatedAt, n.UpdatedAt, n.Revision)
	if err != nil {
		return fmt.Errorf("cannot create network: %w", err)
	}
	if err := shareNetwork(ctx, tx, topology.Network{}, n); err != nil {
		return err
	}
	return giveNetworkQoS(ctx, tx, n)
}

// bare is the shape's columns without the table's name.
func bare(sh *shape) string { return strings.ReplaceAll(strings.Join(sh.columns, ", "), "t.", "") }

// FindNetwork returns the network, whoever owns it, or fault.NotFound.
func (s *Store) FindNetwork(ctx context.Context, id string) (n topology.Network, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		n, err = findNetwork(ctx, tx, id, "")
		return err
	})
	return n, err
}

func findNetwork(ctx context.Context, tx *Tx, id, suffix string) (topology.Network, error) {
	n, err := byID(ctx, tx, networkShape, id, scanNetwork, suffix)
	if err != nil {
		return n, err
	}
	one := []topology.Network{n}
	err = addNetworkDetails(ctx, tx, one)
	return one[0], err
}

// ListNetworks lists networks.
func (s *Store) ListNetworks(ctx context.Context, q Query) (all []topology.Network, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		if all, err = query(ctx, tx, networkShape, q, scanNetwork); err != nil {
			return err
		}
		return addNetworkDetails(ctx, tx, all)
	})
	return all, err
}

func addNetworkDetails(ctx context.Context, tx *Tx, networks []topology.Network) error {
	names, where := ids(networks, func(n *topology.Network) string { return n.ID })
	policies, err := qosOf(ctx, tx, "networks", names...)
	if err != nil {
		return err
	}
	for i := range networks {
		networks[i].Subnets, networks[i].QoSPolicyID = []string{}, policies[networks[i].ID]
	}
	err = scopesOf(ctx, tx, names, func(network string, version int, scope string) {
		if version == 6 {
			where[network].IPv6Scope = scope
		} else {
			where[network].IPv4Scope = scope
		}
	})
	if err != nil {
		return err
	}
	return details(ctx, tx, names, `SELECT network_id, id FROM subnets WHERE network_id`, `ORDER BY network_id, id`,
		func(row scanner) error {
			var network, id string
			err := row.Scan(&network, &id)
			where[network].Subnets = append(where[network].Subnets, id)
			return err
		})
}

// UpdateNetwork changes the network. Of where it is only the VLAN can change; the
// old one is held until all pods have left it.
func (s *Store) UpdateNetwork(ctx context.Context, id string, change func(*topology.Network) error) (n topology.Network, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if n, err = findNetwork(ctx, tx, id, tx.forChange()); err != nil {
			return err
		}
		before := n
		if err := change(&n); err != nil || reflect.DeepEqual(before, n) {
			return err
		}
		return updateNetwork(ctx, tx, s.Fabric(), before, &n)
	})
	return n, err
}

// forChange locks a row that is going to change, but not its ID: rows that refer
// to it can be made meanwhile.
func (tx *Tx) forChange() string {
	if tx.postgres() {
		return " FOR NO KEY UPDATE"
	}
	return ""
}

func updateNetwork(ctx context.Context, tx *Tx, f topology.Fabric, before topology.Network, n *topology.Network) error {
	if n.MTU != before.MTU {
		if err := f.CheckMTU(n); err != nil {
			return err
		}
	}
	if before.Shared && !n.Shared {
		if err := checkUnshare(ctx, tx, n); err != nil {
			return err
		}
	}
	if n.IsDefault && !before.IsDefault {
		if err := checkDefault(ctx, tx, n); err != nil {
			return err
		}
	}
	if before.External && !n.External {
		if err := checkNotExternal(ctx, tx, n.ID); err != nil {
			return err
		}
	}
	if n.QoSPolicyID != before.QoSPolicyID {
		if err := saveNetworkQoS(ctx, tx, n); err != nil {
			return err
		}
	}
	if n.SegmentationID != before.SegmentationID {
		if err := moveSegment(ctx, tx, f, before, n); err != nil {
			return err
		}
	}
	switch {
	case before.External && !n.External:
		n.Pod = ""
	case n.External && !before.External:
		if err := choosePod(ctx, tx, n); err != nil {
			return err
		}
	}
	n.IsDefault = n.IsDefault && n.External
	n.UpdatedAt, n.Revision = tx.now(), before.Revision+1
	_, err := tx.Exec(ctx, `
		UPDATE networks
		SET name = ?, description = ?, admin_state_up = ?, shared = ?, external = ?, is_default = ?, mtu = ?,
			port_security_enabled = ?, segmentation_id = ?, pod = ?, updated_at = ?, revision = ?
		WHERE id = ?`,
		n.Name, n.Description, n.AdminStateUp, n.Shared, n.External, n.IsDefault, n.MTU,
		n.PortSecurityEnabled, n.SegmentationID, n.Pod, n.UpdatedAt, n.Revision, n.ID)
	if err != nil {
		return err
	}
	if err := shareNetwork(ctx, tx, before, n); err != nil {
		return err
	}
	if err := touchTx(ctx, tx, KindNetwork, n.ID); err != nil {
		return err
	}
	return releaseOldSegments(ctx, tx, n.ID)
}

// shareNetwork has the policies say what the network's flags do.
func shareNetwork(ctx context.Context, tx *Tx, before topology.Network, n *topology.Network) error {
	p := topology.RBACPolicy{ProjectID: n.ProjectID, ObjectType: "network", ObjectID: n.ID, Action: topology.AccessAsShared}
	if n.Shared != before.Shared {
		if err := openToAll(ctx, tx, p, n.Shared); err != nil {
			return err
		}
	}
	if n.External == before.External {
		return nil
	}
	p.Action = topology.AccessAsExternal
	return openToAll(ctx, tx, p, n.External)
}

// checkDefault refuses a second default among the external networks. As in
// Neutron it is refused also to a network that is not external, where the flag
// would else mean nothing.
func checkDefault(ctx context.Context, tx *Tx, n *topology.Network) error {
	if !n.IsDefault {
		return nil
	}
	n.IsDefault = n.External
	others, err := list(ctx, tx, scanString, `SELECT id FROM networks WHERE is_default = 1 AND id <> ?`, n.ID)
	if err != nil || len(others) == 0 {
		return err
	}
	return fault.New(fault.Conflict, "DefaultExternalNetworkExists", "A default external network already exists: %s.", others[0])
}

// checkNotExternal refuses to close a way out that routers use.
func checkNotExternal(ctx context.Context, tx *Tx, id string) error {
	var used int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM routers WHERE gateway_network = ?`, id).Scan(&used)
	if err != nil || used == 0 {
		return err
	}
	return fault.New(fault.Conflict, "ExternalNetworkInUse", "External network %s cannot be updated to be made non-external, "+
		"since it has existing gateway ports.", id)
}

// partners are the projects that the network ? is shared with by name.
const partners = `SELECT r.target FROM rbac_policies r WHERE r.object_id = ? AND r.action = 'access_as_shared' AND r.target <> '*'`

// checkUnshare refuses to hide a network from others who use it.
func checkUnshare(ctx context.Context, tx *Tx, n *topology.Network) error {
	var others int
	err := tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM ports WHERE network_id = ? AND project_id <> ? AND device_owner NOT LIKE 'network:%'
				AND project_id NOT IN (`+partners+`))
			+ (SELECT count(*) FROM subnets WHERE network_id = ? AND project_id <> ? AND project_id NOT IN (`+partners+`))`,
		n.ID, n.ProjectID, n.ID, n.ID, n.ProjectID, n.ID).Scan(&others)
	if err != nil || others == 0 {
		return err
	}
	return fault.New(fault.Conflict, "InvalidSharedSetting",
		"Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", n.Name)
}

// touchNetwork says that something which comes with the network has changed.
func touchNetwork(ctx context.Context, tx *Tx, id string) error {
	res, err := tx.Exec(ctx, `UPDATE networks SET revision = revision + 1, updated_at = ? WHERE id = ?`, tx.now(), id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, topology.NoNetwork(id))
	}
	return touchTx(ctx, tx, KindNetwork, id)
}

// DeleteNetwork deletes the network with its subnets and DHCP ports; other ports
// keep it. Its segment stays held until no pod has the network any more.
func (s *Store) DeleteNetwork(ctx context.Context, id string, check func(*topology.Network) error) error {
	err := s.write(ctx, func(tx *Tx) error {
		n, err := byID(ctx, tx, networkShape, id, scanNetwork, tx.forUpdate())
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(&n); err != nil {
				return err
			}
		}
		return deleteNetwork(ctx, tx, id)
	})
	if dangling(err) {
		return networkInUse(id, "") // a port made at this moment
	}
	return err
}

func deleteNetwork(ctx context.Context, tx *Tx, id string) error {
	if err := dropIdleFloatingIPs(ctx, tx, id); err != nil {
		return err
	}
	using, err := list(ctx, tx, scanString, `
		SELECT id FROM ports
		WHERE network_id = ? AND device_owner NOT IN (?, ?)
		ORDER BY id`, id, topology.OwnerDHCP, topology.OwnerPodRouter)
	if err != nil {
		return err
	}
	if len(using) > 0 {
		return networkInUse(id, strings.Join(using, ","))
	}
	dhcp, err := list(ctx, tx, scanString, `SELECT id FROM ports WHERE network_id = ?`, id)
	if err != nil {
		return err
	}
	for _, port := range dhcp {
		if err := deletePort(ctx, tx, port); err != nil {
			return err
		}
	}
	subnets, err := list(ctx, tx, scanString, `SELECT id FROM subnets WHERE network_id = ?`, id)
	if err != nil {
		return err
	}
	for _, subnet := range subnets {
		if err := dropSubnet(ctx, tx, subnet); err != nil {
			return err
		}
	}
	if err := dropRow(ctx, tx, "networks", id); err != nil {
		return err
	}
	return unwantOrRelease(ctx, tx, KindNetwork, id)
}

func networkInUse(id, ports string) error {
	return fault.New(fault.Conflict, "NetworkInUse",
		"Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s.",
		id, ports)
}

// unwantOrRelease has the pods remove a deleted thing; what it held is freed
// with the last of them, or at once if there is none.
func unwantOrRelease(ctx context.Context, tx *Tx, kind, id string) error {
	left, err := unwantTx(ctx, tx, kind, id)
	if err != nil || left > 0 {
		return err
	}
	return releaseTx(ctx, tx, kind, id)
}

// PodsOf returns the pods in which each of the things is wanted.
func (s *Store) PodsOf(ctx context.Context, kind string, things ...string) (map[string][]string, error) {
	pods := map[string][]string{}
	for part := range slices.Chunk(things, chunk) {
		_, err := list(ctx, s.reader(), func(row scanner) (struct{}, error) {
			var id, pod string
			err := row.Scan(&id, &pod)
			pods[id] = append(pods[id], pod)
			return struct{}{}, err
		}, `
			SELECT id, pod FROM mappings
			WHERE kind = ? AND wanted = 1 AND id IN (`+marks(len(part))+`)
			ORDER BY id, pod`, append([]any{kind}, anyOf(part)...)...)
		if err != nil {
			return nil, err
		}
	}
	return pods, nil
}
