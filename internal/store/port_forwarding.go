package store

import (
	"context"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// forwardingRows reads the table; the checks of portForwardings need it.
var forwardingRows = newRecord(record[topology.PortForwarding]{
	shape: shape{table: "port_forwardings", missing: topology.NoPortForwarding},
})

var portForwardings = newRecord(record[topology.PortForwarding]{
	shape: shape{table: "port_forwardings", missing: topology.NoPortForwarding},
	check: checkForwarding,
	saved: func(ctx context.Context, tx *Tx, before, after *topology.PortForwarding) error {
		if after != nil && before != nil {
			return spanFloatingIP(ctx, tx, after.FloatingIPID, before.PortID)
		}
		if after != nil {
			return spanFloatingIP(ctx, tx, after.FloatingIPID)
		}
		return forwardingEnded(ctx, tx, before)
	},
})

// PortForwardings are those of all floating IPs.
func (s *Store) PortForwardings() Records[topology.PortForwarding] {
	return Records[topology.PortForwarding]{s, portForwardings}
}

// checkForwarding refuses what other forwardings, the floating IP or its router
// do not allow. It locks the floating IP, so that two cannot take the same ports.
func checkForwarding(ctx context.Context, tx *Tx, _, after *topology.PortForwarding) error {
	if after == nil {
		return nil
	}
	f, err := byID(ctx, tx, floatingIPShape, after.FloatingIPID, scanFloatingIP, tx.forUpdate())
	if err != nil {
		return err
	}
	p, err := findPort(ctx, tx, after.PortID, tx.forChange())
	if err != nil {
		return err
	}
	others, err := list(ctx, tx, forwardingRows.scan, "SELECT "+bare(&forwardingRows.shape)+`
		FROM port_forwardings
		WHERE floatingip_id = ? OR internal_port_id = ?
		ORDER BY id`, f.ID, p.ID)
	if err != nil {
		return err
	}
	if err := after.Check(others); err != nil {
		return err
	}
	if err := checkUnserved(ctx, tx, &f, &p, after); err != nil {
		return err
	}
	return leadThrough(ctx, tx, &f, &p, after)
}

// checkUnserved: a floating IP forwards ports or serves an address, not both; and
// so does the port at the other end.
func checkUnserved(ctx context.Context, tx *Tx, f *topology.FloatingIP, p *topology.Port, after *topology.PortForwarding) error {
	holders, err := list(ctx, tx, scanString, `SELECT id FROM floating_ips WHERE port_id = ? ORDER BY id`, p.ID)
	switch {
	case err != nil:
		return err
	case len(holders) > 0:
		holder, err := byID(ctx, tx, floatingIPShape, holders[0], scanFloatingIP, "")
		if err != nil {
			return err
		}
		return fault.New(fault.Conflict, "PortHasBindingFloatingIP", "Cannot create port forwarding to floating IP %s (%s) with port %s "+
			"using fixed IP %s, as that port already has a binding floating IP.", holder.Address, holder.ID, p.ID, after.Address)
	case f.PortID != "":
		taken := *f
		taken.PortID, taken.FixedAddress = p.ID, after.Address
		return served(&taken)
	}
	return nil
}

// leadThrough finds the router between the two ends, which must be the one that the
// floating IP is on if it is on one.
func leadThrough(ctx context.Context, tx *Tx, f *topology.FloatingIP, p *topology.Port, after *topology.PortForwarding) error {
	subnet := ""
	for _, ip := range p.FixedIPs {
		if ip.Address == after.Address && ip.Address.Is4() {
			subnet = ip.SubnetID
		}
	}
	if subnet == "" {
		return topology.BadPortForwarding("Requested internal IP address %s is not suitable for internal neutron port %s, as its fixed_ips are %v",
			after.Address, p.ID, p.Addresses())
	}
	router, err := routerBetween(ctx, tx, f.NetworkID, subnet, p.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		return topology.BadPortForwarding("External network %s is not reachable from subnet %s. Cannot set Port forwarding for port %s "+
			"with Floating IP %s", f.NetworkID, subnet, p.ID, f.ID)
	case err != nil:
		return err
	case f.RouterID != "" && f.RouterID != router:
		return topology.BadPortForwarding("The Floating IP %s had been set on router %s, the internal Neutron port %s can not reach it",
			f.ID, f.RouterID, p.ID)
	}
	_, err = tx.Exec(ctx, `UPDATE floating_ips SET router_id = ? WHERE id = ?`, router, f.ID)
	return err
}

// forwardingEnded does what comes with the end of a forwarding.
func forwardingEnded(ctx context.Context, tx *Tx, f *topology.PortForwarding) error {
	if err := freeRouters(ctx, tx, f.FloatingIPID); err != nil {
		return err
	}
	return spanFloatingIP(ctx, tx, f.FloatingIPID, f.PortID)
}

// freeRouters takes those of the floating IPs off their router that serve and
// forward nothing any more.
func freeRouters(ctx context.Context, tx *Tx, ids ...string) error {
	for _, id := range ids {
		_, err := tx.Exec(ctx, `
			UPDATE floating_ips
			SET router_id = ''
			WHERE id = ? AND port_id = '' AND NOT EXISTS (SELECT 1 FROM port_forwardings p WHERE p.floatingip_id = floating_ips.id)`, id)
		if err != nil {
			return err
		}
	}
	return nil
}

// forwards says whether the floating IP has forwardings.
func forwards(ctx context.Context, tx *Tx, id string) (bool, error) {
	some, err := list(ctx, tx, scanString, `SELECT id FROM port_forwardings WHERE floatingip_id = ? LIMIT 1`, id)
	return len(some) > 0, err
}

// endForwardings ends what leads to addresses that the port has lost; all, if it
// is about to be deleted.
func endForwardings(ctx context.Context, tx *Tx, portID string, left []topology.FixedIP) error {
	has := map[string]bool{}
	for _, ip := range left {
		has[ip.Address.String()] = true
	}
	all, err := list(ctx, tx, forwardingRows.scan, "SELECT "+bare(&forwardingRows.shape)+`
		FROM port_forwardings
		WHERE internal_port_id = ?
		ORDER BY id`, portID)
	if err != nil {
		return err
	}
	for _, f := range all {
		if has[f.Address.String()] {
			continue
		}
		if err := dropRow(ctx, tx, "port_forwardings", f.ID); err != nil {
			return err
		}
		if err := forwardingEnded(ctx, tx, &f); err != nil {
			return err
		}
	}
	return nil
}
