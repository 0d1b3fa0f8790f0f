package store

import (
	"context"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// A bridge joins the pods of the routers of one project: a network that is
// nobody's, made when the first router is in two pods and gone with the last port.
// Its segment is given to others only when no pod has it any more.

// bridgeOf is the project's bridge; empty: it has none.
func bridgeOf(ctx context.Context, tx *Tx, project string) (string, error) {
	all, err := list(ctx, tx, scanString, `SELECT network_id FROM bridges WHERE project_id = ?`, project)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0], nil
}

// bridgeSubnets are the subnets of the project's bridge, which no subnet of its
// routers may overlap.
func bridgeSubnets(ctx context.Context, tx *Tx, project string) ([]topology.Subnet, error) {
	id, err := bridgeOf(ctx, tx, project)
	if err != nil || id == "" {
		return nil, err
	}
	return subnetsOf(ctx, tx, id)
}

// bridgePorts are the router's places on its project's bridge, in all pods.
func bridgePorts(ctx context.Context, tx *Tx, routerID string) ([]topology.Port, error) {
	return portsWhere(ctx, tx, "t.device_id = ? AND t.device_owner = ? AND t.network_id IN (SELECT network_id FROM bridges)",
		routerID, topology.OwnerPodRouter)
}

// ensureBridge gives the router a place on the bridge in each of the pods, all at
// once: each pod's routes name the others'.
func ensureBridge(ctx context.Context, tx *Tx, r *topology.Router, pods []string) error {
	if err := lockQuota(ctx, tx, "bridge", r.ProjectID); err != nil { // two routers would each make one
		return err
	}
	id, err := bridgeOf(ctx, tx, r.ProjectID)
	if err != nil {
		return err
	}
	if id == "" {
		if id, err = makeBridge(ctx, tx, r.ProjectID); err != nil {
			return err
		}
	}
	has, err := bridgePorts(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	subnets, err := subnetsOf(ctx, tx, id)
	if err != nil {
		return err
	}
	want := make([]topology.WantIP, len(subnets))
	for i := range subnets {
		want[i].SubnetID = subnets[i].ID
	}
	for _, pod := range pods {
		if !slices.ContainsFunc(has, func(p topology.Port) bool { return p.Pod == pod }) {
			if _, err := makePodPort(ctx, tx, r.ID, pod, id, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeBridge makes the project's bridge, with addresses that none of its routers
// can meet.
func makeBridge(ctx context.Context, tx *Tx, project string) (string, error) {
	f := tx.store.Fabric()
	taken, err := list(ctx, tx, func(row scanner) (p netip.Prefix, err error) {
		err = row.Scan(prefixColumn{&p})
		return p, err
	}, `
		SELECT s.cidr FROM subnets s
		WHERE s.project_id = ?
		UNION
		SELECT s.cidr FROM subnets s
		JOIN addresses a ON a.subnet_id = s.id
		JOIN ports p ON p.id = a.port_id
		JOIN routers r ON r.id = p.device_id
		WHERE r.project_id = ?
		UNION
		SELECT s.cidr FROM subnets s
		JOIN routers r ON r.gateway_network = s.network_id
		WHERE r.project_id = ?`, project, project, project)
	if err != nil {
		return "", err
	}
	prefixes, err := f.BridgePrefixes(taken)
	if err != nil {
		return "", err
	}
	n := f.BridgeNetwork()
	if err := createNetwork(ctx, tx, f.ForBridges(), &n); err != nil {
		return "", noBridge(err)
	}
	for _, p := range prefixes {
		version := 4
		if p.Addr().Is6() {
			version = 6
		}
		spec := topology.SubnetSpec{NoGateway: true, Subnet: topology.Subnet{NetworkID: n.ID, Name: n.Name, CIDR: p, IPVersion: version}}
		if _, err := createSubnet(ctx, tx, spec); err != nil {
			return "", err
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO bridges (project_id, network_id) VALUES (?, ?)`, project, n.ID)
	return n.ID, err
}

// noBridge says what the operator has to do.
func noBridge(err error) error {
	if fault.Is(err, fault.Unavailable) {
		return fault.New(fault.Unavailable, "", "the router's pods cannot be joined: no segment is left for a bridge (networks.bridge)")
	}
	return err
}

// dropBridgePorts takes the router off the bridge where it is not needed, or
// everywhere if one pod is left. The bridge goes with its last port.
func dropBridgePorts(ctx context.Context, tx *Tx, routerID string, need []string) error {
	has, err := bridgePorts(ctx, tx, routerID)
	if err != nil {
		return err
	}
	for _, p := range has {
		if len(need) > 1 && slices.Contains(need, p.Pod) {
			continue
		}
		if err := deletePort(ctx, tx, p.ID); err != nil {
			return err
		}
		if err := dropIdleBridge(ctx, tx, p.NetworkID); err != nil {
			return err
		}
	}
	return nil
}

func dropIdleBridge(ctx context.Context, tx *Tx, id string) error {
	if err := lockNetwork(ctx, tx, id); err != nil {
		return err
	}
	var left int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM ports WHERE network_id = ?`, id).Scan(&left)
	if err != nil || left > 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM bridges WHERE network_id = ?`, id); err != nil {
		return err
	}
	return deleteNetwork(ctx, tx, id)
}
