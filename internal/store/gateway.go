package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// setGateway gives the router the gateway wanted. On the network where it is
// already it keeps its port; only the addresses named change.
func setGateway(ctx context.Context, tx *Tx, r *topology.Router, want topology.WantGateway) error {
	policy := ""
	if r.Gateway != nil {
		policy = r.Gateway.QoSPolicyID
	}
	if r.Gateway != nil && r.Gateway.NetworkID != want.NetworkID {
		if err := dropGateway(ctx, tx, r); err != nil {
			return err
		}
	}
	if want.NetworkID == "" {
		return nil
	}
	n, err := findNetwork(ctx, tx, want.NetworkID, "")
	if err != nil {
		return err
	}
	if !n.External {
		return topology.BadRouter("Network %s is not an external network", n.ID)
	}
	if r.Gateway == nil {
		r.Gateway = &topology.Gateway{NetworkID: n.ID, EnableSNAT: true}
	}
	if want.SNAT != nil {
		r.Gateway.EnableSNAT = *want.SNAT
	}
	if want.QoSPolicy != nil {
		policy = *want.QoSPolicy
	}
	r.Gateway.QoSPolicyID, r.Gateway.QoSNetworkPolicyID = policy, n.QoSPolicyID
	return placeGateway(ctx, tx, r, want.WantIPs)
}

// placeGateway makes the gateway's port, or changes its addresses. The port is
// nobody's, so that its owner is the router alone.
func placeGateway(ctx context.Context, tx *Tx, r *topology.Router, want []topology.WantIP) error {
	g := r.Gateway
	ground, err := loadGround(ctx, tx, g.NetworkID)
	if err != nil {
		return err
	}
	for _, w := range want {
		for _, s := range ground.subnets {
			if w.Address.IsValid() && w.Address == s.GatewayIP {
				return topology.BadRouter("External IP %s is the same as the gateway IP", w.Address)
			}
		}
	}
	if err := checkBesideInterfaces(ctx, tx, r, ground.subnets); err != nil {
		return err
	}
	var p topology.Port
	switch {
	case g.PortID == "":
		spec := topology.PortSpec{WantIPs: want, WantGroups: []string{}}
		spec.NetworkID, spec.AdminStateUp = g.NetworkID, true
		spec.DeviceID, spec.DeviceOwner = r.ID, topology.OwnerRouterGateway
		p, err = createPort(ctx, tx, ground, spec)
	case want != nil:
		var before topology.Port
		if before, err = findPort(ctx, tx, g.PortID, tx.forChange()); err != nil {
			return err
		}
		p, err = updatePort(ctx, tx, before, topology.PortSpec{Port: before, WantIPs: want})
	default:
		return nil
	}
	g.PortID, g.FixedIPs = p.ID, p.FixedIPs
	return err
}

func checkBesideInterfaces(ctx context.Context, tx *Tx, r *topology.Router, outer []topology.Subnet) error {
	ports, err := routerPorts(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	var inner []topology.Port
	for _, p := range ports {
		if topology.IsRouterInterface(p.DeviceOwner) {
			inner = append(inner, p)
		}
	}
	subnets, _, err := reached(ctx, tx, inner)
	if err != nil {
		return err
	}
	bridge, err := bridgeSubnets(ctx, tx, r.ProjectID)
	if err != nil {
		return err
	}
	subnets = append(subnets, bridge...)
	return topology.CheckInterface(subnets, outer)
}

// dropGateway takes the gateway away, unless floating IPs need it.
func dropGateway(ctx context.Context, tx *Tx, r *topology.Router) error {
	var used int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM floating_ips WHERE router_id = ? AND network_id = ?`, r.ID, r.Gateway.NetworkID).Scan(&used)
	if err != nil {
		return err
	}
	if used > 0 {
		return fault.New(fault.Conflict, "RouterExternalGatewayInUseByFloatingIp", "Gateway cannot be updated for router %s, "+
			"since a gateway to external network %s is required by one or more floating IPs.", r.ID, r.Gateway.NetworkID)
	}
	if err := deletePort(ctx, tx, r.Gateway.PortID); err != nil {
		return err
	}
	r.Gateway = nil
	return nil
}
