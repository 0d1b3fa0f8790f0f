package store

import (
	"cmp"
	"context"
	"reflect"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// UpdatePort changes the port. change gets it as the spec's Port and sets there
// what is plain; new addresses, groups and port security it asks for in WantIPs,
// WantGroups and WantSecurity. Network and project stay.
func (s *Store) UpdatePort(ctx context.Context, id string, change func(*topology.PortSpec) error) (p topology.Port, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		before, err := findPort(ctx, tx, id, tx.forChange())
		if err != nil {
			return err
		}
		spec := topology.PortSpec{Port: before}
		spec.AllowedAddressPairs = slices.Clone(before.AllowedAddressPairs)
		if err := change(&spec); err != nil {
			return err
		}
		if p, err = updatePort(ctx, tx, before, spec); err != nil {
			return err
		}
		return topology.CheckInterfacePort(&before, &p)
	})
	return p, err
}

func updatePort(ctx context.Context, tx *Tx, before topology.Port, spec topology.PortSpec) (topology.Port, error) {
	p := spec.Port
	if spec.WantSecurity != nil {
		p.PortSecurityEnabled = *spec.WantSecurity
	}
	p.SetDHCPOptions(spec.WantOptions)
	p.FillPairs()
	var err error
	if spec.WantGroups != nil {
		if p.SecurityGroups, err = checkGroups(ctx, tx, spec.WantGroups); err != nil {
			return p, err
		}
	}
	if err := p.CheckUpdate(); err != nil {
		return p, err
	}
	if err := changeMAC(ctx, tx, &before, &p); err != nil {
		return p, err
	}
	if spec.WantIPs != nil || p.MACAddress != before.MACAddress {
		if err := changeAddresses(ctx, tx, &before, &p, spec.WantIPs); err != nil {
			return p, err
		}
	}
	if reflect.DeepEqual(before, p) {
		return p, nil
	}
	return savePort(ctx, tx, before, p)
}

func savePort(ctx context.Context, tx *Tx, before, p topology.Port) (topology.Port, error) {
	if !slices.Equal(before.SecurityGroups, p.SecurityGroups) {
		if err := touchRemotes(ctx, tx, p.ID, before.SecurityGroups); err != nil {
			return p, err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM port_groups WHERE port_id = ?`, p.ID); err != nil {
			return p, err
		}
		if err := insertGroups(ctx, tx, p.ID, p.SecurityGroups); err != nil {
			return p, err
		}
	}
	if before.QoSPolicyID != p.QoSPolicyID {
		n, err := findNetwork(ctx, tx, p.NetworkID, "")
		if err != nil {
			return p, err
		}
		if err := savePortQoS(ctx, tx, &n, &p); err != nil {
			return p, err
		}
	}
	_, err := tx.Exec(ctx, `
		UPDATE ports
		SET name = ?, description = ?, admin_state_up = ?, mac_address = ?, device_id = ?, device_owner = ?,
			port_security_enabled = ?, address_pairs = ?, vnic_type = ?, dhcp_options = ?, numa_policy = ?,
			status = ?, host = ?, vif_type = ?, vif_details = ?, profile = ?, want_host = ?, want_profile = ?
		WHERE id = ?`,
		p.Name, p.Description, p.AdminStateUp, p.MACAddress, p.DeviceID, p.DeviceOwner,
		p.PortSecurityEnabled, asJSON(p.AllowedAddressPairs), p.VNICType, asJSON(p.DHCPOptions), p.NUMAPolicy,
		p.Status, p.Host, p.VIFType, asJSON(p.VIFDetails), asJSON(p.Profile), p.WantHost, wantedProfile(&p), p.ID)
	if err != nil {
		return p, err
	}
	p.UpdatedAt, p.Revision = tx.now(), before.Revision+1
	return p, portMoved(ctx, tx, &p)
}

// portMoved says that the port has changed: to the pods that have it, and to
// those whose groups let its addresses in. A pod's DHCP port comes with the
// network.
func portMoved(ctx context.Context, tx *Tx, p *topology.Port) error {
	_, err := tx.Exec(ctx, `UPDATE ports SET revision = revision + 1, updated_at = ? WHERE id = ?`, tx.now(), p.ID)
	if err != nil {
		return err
	}
	if topology.IsRouterPort(p.DeviceOwner) || p.DeviceOwner == topology.OwnerPodRouter {
		return touchTx(ctx, tx, KindRouter, p.DeviceID) // which brings it along
	}
	if p.Pod != "" {
		return touchTx(ctx, tx, KindNetwork, p.NetworkID)
	}
	for _, kind := range []string{KindPort, KindShadowPort} {
		if err := touchTx(ctx, tx, kind, p.ID); err != nil {
			return err
		}
	}
	return touchRemotes(ctx, tx, p.ID, p.SecurityGroups)
}

func changeMAC(ctx context.Context, tx *Tx, before, p *topology.Port) error {
	if p.MACAddress == before.MACAddress {
		return nil
	}
	leaving := before.DeviceID != "" && p.DeviceID == ""
	if !leaving && (before.Bound() || before.Served()) {
		return fault.New(fault.Conflict, "PortBound",
			"Unable to complete operation on port %s, port is already bound, port type: %s, old_mac %s, new_mac %s.",
			p.ID, before.VIFType, before.MACAddress, p.MACAddress)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM macs WHERE port_id = ?`, p.ID); err != nil {
		return err
	}
	for i := range p.AllowedAddressPairs { // those that had the port's own
		if p.AllowedAddressPairs[i].MACAddress == before.MACAddress {
			p.AllowedAddressPairs[i].MACAddress = p.MACAddress
		}
	}
	return takeMAC(ctx, tx, p)
}

// changeAddresses keeps what is wanted still, gives back the rest and takes what
// is new. Without want only addresses that follow from the MAC change.
func changeAddresses(ctx context.Context, tx *Tx, before, p *topology.Port, want []topology.WantIP) error {
	subnets, err := subnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return err
	}
	auto := map[string]bool{}
	for i := range subnets {
		auto[subnets[i].ID] = placement{port: p}.auto(&subnets[i])
	}
	sameMAC := p.MACAddress == before.MACAddress
	keep, gone, add := sortAddresses(before.FixedIPs, want, func(ip topology.FixedIP) bool { return auto[ip.SubnetID] && sameMAC },
		want == nil, auto)
	if err := dropAddresses(ctx, tx, p.ID, gone); err != nil {
		return err
	}
	p.FixedIPs = keep
	if len(gone) > 0 {
		if err := endForwardings(ctx, tx, p.ID, keep); err != nil {
			return err
		}
	}
	if err := (placement{port: p, subnets: subnets}).takeAddresses(ctx, tx, add); err != nil {
		return err
	}
	return orderAddresses(ctx, tx, p)
}

// orderAddresses puts IPv4 first, as for a new port.
func orderAddresses(ctx context.Context, tx *Tx, p *topology.Port) error {
	slices.SortStableFunc(p.FixedIPs, func(a, b topology.FixedIP) int {
		return cmp.Compare(a.Address.BitLen(), b.Address.BitLen())
	})
	for i, ip := range p.FixedIPs {
		_, err := tx.Exec(ctx, `UPDATE addresses SET position = ? WHERE subnet_id = ? AND address = ?`, i, ip.SubnetID, ip.Address.String())
		if err != nil {
			return err
		}
	}
	return nil
}

// sortAddresses compares what a port has with what it is to have. Addresses that
// servers give themselves stay as long as stays says so; with all set, the others
// stay too.
func sortAddresses(have []topology.FixedIP, want []topology.WantIP, stays func(topology.FixedIP) bool, all bool,
	auto map[string]bool) (keep, gone []topology.FixedIP, add []topology.WantIP) {
	add = []topology.WantIP{}
	left := slices.Clone(have)
	take := func(match func(topology.FixedIP) bool) bool {
		i := slices.IndexFunc(left, match)
		if i < 0 {
			return false
		}
		keep = append(keep, left[i])
		left = slices.Delete(left, i, i+1)
		return true
	}
	// Named addresses first, so that one wanted by subnet does not use them up.
	var bySubnet []topology.WantIP
	for _, w := range want {
		switch {
		case !w.Address.IsValid():
			bySubnet = append(bySubnet, w)
		case !take(func(ip topology.FixedIP) bool {
			return ip.Address == w.Address && (w.SubnetID == "" || w.SubnetID == ip.SubnetID)
		}):
			add = append(add, w)
		}
	}
	for _, w := range bySubnet {
		if !take(func(ip topology.FixedIP) bool { return ip.SubnetID == w.SubnetID && !auto[ip.SubnetID] }) {
			add = append(add, w)
		}
	}
	for _, ip := range left {
		if stays(ip) || all && !auto[ip.SubnetID] {
			keep = append(keep, ip)
		} else {
			gone = append(gone, ip)
		}
	}
	return keep, gone, add
}

// unbindTx records that no pod has the port any more. A host that an admin wants
// stays asked for.
func unbindTx(ctx context.Context, tx *Tx, id string) error {
	b := topology.Unbound()
	_, err := tx.Exec(ctx, `
		UPDATE ports
		SET status = ?, host = coalesce(want_host, ''), vif_type = ?, vif_details = ?, profile = coalesce(want_profile, ?)
		WHERE id = ?`, b.Status, b.VIFType, asJSON(b.VIFDetails), asJSON(b.Profile), id)
	return err
}
