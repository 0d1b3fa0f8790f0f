package store

import (
	"context"
	"errors"
	"strconv"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// AutoTopology is the network that a project was given by itself, with subnets
// out of the default pools and a router to the default external network.
type AutoTopology struct {
	ProjectID string
	NetworkID string
	RouterID  string
}

// EnsureAutoTopology returns the project's, and makes it when it has none. Pools
// that the project does not see do not count; for admins all do.
func (s *Store) EnsureAutoTopology(ctx context.Context, project string, admin bool) (t AutoTopology, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if t, err = autoTopology(ctx, tx, project); !errors.Is(err, errNoRow) {
			return err
		}
		t, err = buildTopology(ctx, tx, project, admin)
		return err
	})
	if duplicate(err) { // somebody else was quicker
		return autoTopology(ctx, s.reader(), project)
	}
	return t, err
}

// CheckAutoTopology says whether EnsureAutoTopology finds what it needs.
func (s *Store) CheckAutoTopology(ctx context.Context, project string, admin bool) error {
	return s.read(ctx, func(tx *Tx) error {
		if _, err := defaultExternal(ctx, tx); err != nil {
			return err
		}
		pools, err := defaultPools(ctx, tx, project, admin)
		if err == nil && len(pools) == 0 {
			err = topology.NoAutoTopology("No default subnetpools defined")
		}
		return err
	})
}

// DeleteAutoTopology deletes the project's; it may have none. What still uses it
// keeps the network.
func (s *Store) DeleteAutoTopology(ctx context.Context, project string) error {
	t, err := autoTopology(ctx, s.reader(), project)
	if errors.Is(err, errNoRow) {
		return nil
	}
	if err != nil {
		return err
	}
	subnets, err := s.SubnetsOf(ctx, t.NetworkID)
	if err != nil {
		return err
	}
	for _, n := range subnets {
		if _, err := s.RemoveInterface(ctx, t.RouterID, "", n.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if err := s.DeleteRouter(ctx, t.RouterID, nil); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := s.DeleteNetwork(ctx, t.NetworkID, nil); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil // the row has gone with the network
}

func autoTopology(ctx context.Context, tx *Tx, project string) (AutoTopology, error) {
	return find(ctx, tx, errNoRow, func(row scanner) (t AutoTopology, err error) {
		err = row.Scan(&t.ProjectID, &t.NetworkID, &t.RouterID)
		return t, err
	}, `SELECT project_id, network_id, router_id FROM auto_topologies WHERE project_id = ?`, project)
}

func buildTopology(ctx context.Context, tx *Tx, project string, admin bool) (t AutoTopology, err error) {
	external, err := defaultExternal(ctx, tx)
	if err != nil {
		return t, err
	}
	network, subnets, err := privateNetwork(ctx, tx, project, admin)
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.NotFound) {
		err = topology.NoAutoTopology("Unable to provide tenant private network")
	}
	if err != nil {
		return t, err
	}
	router, err := wayOut(ctx, tx, project, external, subnets)
	if fault.Is(err, fault.Invalid) {
		err = topology.NoAutoTopology("Unable to provide external connectivity")
	}
	if err != nil {
		return t, err
	}
	t = AutoTopology{project, network, router}
	_, err = tx.Exec(ctx, `INSERT INTO auto_topologies (project_id, network_id, router_id) VALUES (?, ?, ?)`,
		t.ProjectID, t.NetworkID, t.RouterID)
	return t, err
}

func defaultExternal(ctx context.Context, tx *Tx) (string, error) {
	return find(ctx, tx, topology.NoAutoTopology("No default router:external network"), scanString, `
		SELECT id FROM networks
		WHERE is_default = 1 AND external = 1`)
}

// defaultPools are the default pools that the project sees, at most one per IP
// version.
func defaultPools(ctx context.Context, tx *Tx, project string, admin bool) ([]topology.SubnetPool, error) {
	q := Query{ProjectID: project, Filters: map[string][]string{"is_default": {"true"}}, Sort: []SortKey{{Name: "ip_version"}}}
	if admin {
		q.ProjectID = ""
	}
	return poolRecord.list(ctx, tx, q)
}

func privateNetwork(ctx context.Context, tx *Tx, project string, admin bool) (string, []topology.Subnet, error) {
	pools, err := defaultPools(ctx, tx, project, admin)
	if err != nil {
		return "", nil, err
	}
	if len(pools) == 0 {
		return "", nil, topology.NoSubnetPool("default")
	}
	n := topology.Network{ProjectID: project, Name: "auto_allocated_network", AdminStateUp: true, PortSecurityEnabled: true}
	if err := admit(ctx, tx, "network", map[string]int64{project: 1}); err != nil {
		return "", nil, err
	}
	if err := admit(ctx, tx, "subnet", map[string]int64{project: int64(len(pools))}); err != nil {
		return "", nil, err
	}
	if err := createNetwork(ctx, tx, tx.store.Fabric(), &n); err != nil {
		return "", nil, err
	}
	var subnets []topology.Subnet
	for _, p := range pools {
		made, err := createSubnet(ctx, tx, topology.SubnetSpec{Subnet: topology.Subnet{ProjectID: project, NetworkID: n.ID,
			Name: "auto_allocated_subnet_v" + strconv.Itoa(p.IPVersion), IPVersion: p.IPVersion, SubnetPoolID: p.ID, EnableDHCP: true}})
		if err != nil {
			return "", nil, err
		}
		subnets = append(subnets, made)
	}
	return n.ID, subnets, nil
}

// wayOut makes the router to the external network.
func wayOut(ctx context.Context, tx *Tx, project, external string, subnets []topology.Subnet) (string, error) {
	if err := admit(ctx, tx, "router", map[string]int64{project: 1}); err != nil {
		return "", err
	}
	spec := RouterSpec{Router: topology.Router{ProjectID: project, Name: "auto_allocated_router", AdminStateUp: true}}
	spec.WantGateway = &topology.WantGateway{NetworkID: external}
	r, err := createRouter(ctx, tx, spec)
	if err != nil {
		return "", err
	}
	for _, n := range subnets {
		if _, err := addSubnetInterface(ctx, tx, r.ID, n.ID); err != nil {
			return "", err
		}
	}
	return r.ID, nil
}
