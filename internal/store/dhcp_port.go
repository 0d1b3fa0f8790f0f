package store

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// EnsureDHCPPorts sees to it that there are n reserved DHCP ports of the network
// for the pod, each with one address in every subnet that has DHCP, and returns
// them. What is right stays as it is: an agent may hold it. It is for the job
// that brings the network into the pod, and makes no other job.
func (s *Store) EnsureDHCPPorts(ctx context.Context, networkID, pod string, n int) (ports []topology.Port, err error) {
	var right bool
	err = s.read(ctx, func(tx *Tx) error {
		var subnets []string
		if ports, subnets, err = dhcpPorts(ctx, tx, networkID, pod); err != nil {
			return err
		}
		right = len(ports) == n && !slices.ContainsFunc(ports, func(p topology.Port) bool { return !standsIn(&p, subnets) })
		return nil
	})
	if err != nil || right {
		return ports, err
	}
	err = s.write(ctx, func(tx *Tx) error {
		// One at a time: two callers would each make the ports.
		if _, err := byID(ctx, tx, networkShape, networkID, scanNetwork, tx.forChange()); err != nil {
			return err
		}
		if err := ensureDHCPPorts(ctx, tx, networkID, pod, n); err != nil {
			return err
		}
		ports, _, err = dhcpPorts(ctx, tx, networkID, pod)
		return err
	})
	return ports, err
}

// SwapAddresses gives each of two ports the other's address in a subnet.
func (s *Store) SwapAddresses(ctx context.Context, subnetID string, ports [2]string) error {
	return s.write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE addresses
			SET port_id = CASE WHEN port_id = ? THEN ? ELSE ? END
			WHERE subnet_id = ? AND port_id IN (?, ?)`, ports[0], ports[1], ports[0], subnetID, ports[0], ports[1])
		return err
	})
}

// dhcpPorts are the pod's reserved ports of the network, and the subnets in
// which they need an address.
func dhcpPorts(ctx context.Context, tx *Tx, networkID, pod string) ([]topology.Port, []string, error) {
	ports, err := portsWhere(ctx, tx, "t.network_id = ? AND t.pod = ? AND t.device_owner = ?", networkID, pod, topology.OwnerDHCP)
	if err != nil {
		return nil, nil, err
	}
	subnets, err := list(ctx, tx, scanString, `
		SELECT id FROM subnets
		WHERE network_id = ? AND enable_dhcp = 1
		ORDER BY created_at, id`, networkID)
	return ports, subnets, err
}

// standsIn says that the port has one address in each of the subnets and none
// elsewhere.
func standsIn(p *topology.Port, subnets []string) bool {
	if len(p.FixedIPs) != len(subnets) {
		return false
	}
	for _, ip := range p.FixedIPs {
		if !slices.Contains(subnets, ip.SubnetID) {
			return false
		}
	}
	return true
}

func ensureDHCPPorts(ctx context.Context, tx *Tx, networkID, pod string, n int) error {
	ports, subnets, err := dhcpPorts(ctx, tx, networkID, pod)
	if err != nil {
		return err
	}
	for ; len(ports) > n; ports = ports[:len(ports)-1] {
		if err := deletePort(ctx, tx, ports[len(ports)-1].ID); err != nil {
			return err
		}
	}
	want := make([]topology.WantIP, len(subnets))
	for i, id := range subnets {
		want[i].SubnetID = id
	}
	for i := range ports {
		if !standsIn(&ports[i], subnets) {
			if err := moveDHCPPort(ctx, tx, ports[i], subnets, want); err != nil {
				return err
			}
		}
	}
	return addDHCPPorts(ctx, tx, networkID, pod, n-len(ports), want)
}

func addDHCPPorts(ctx context.Context, tx *Tx, networkID, pod string, n int, want []topology.WantIP) error {
	if n <= 0 {
		return nil
	}
	g, err := loadGround(ctx, tx, networkID)
	if err != nil {
		return err
	}
	for range n {
		spec := topology.PortSpec{WantIPs: want, WantGroups: []string{}, Port: topology.Port{
			NetworkID: networkID, ProjectID: g.network.ProjectID, AdminStateUp: true,
			DeviceOwner: topology.OwnerDHCP, DeviceID: topology.ReservedDHCPID, Pod: pod}}
		if _, err := createPort(ctx, tx, g, spec); err != nil {
			return err
		}
	}
	return nil
}

// moveDHCPPort gives the port its address in new subnets and takes those away
// that it has in others.
func moveDHCPPort(ctx context.Context, tx *Tx, p topology.Port, subnets []string, want []topology.WantIP) error {
	all, err := subnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return err
	}
	var gone []topology.FixedIP
	p.FixedIPs = slices.DeleteFunc(slices.Clone(p.FixedIPs), func(ip topology.FixedIP) bool {
		left := !slices.Contains(subnets, ip.SubnetID)
		if left {
			gone = append(gone, ip)
		}
		return left
	})
	if err := dropAddresses(ctx, tx, p.ID, gone); err != nil {
		return err
	}
	pl := placement{port: &p, subnets: slices.DeleteFunc(all, func(n topology.Subnet) bool { return !n.EnableDHCP })}
	want = slices.DeleteFunc(slices.Clone(want), func(w topology.WantIP) bool { return pl.has(w.SubnetID) })
	if err := pl.takeAddresses(ctx, tx, want); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE ports SET revision = revision + 1, updated_at = ? WHERE id = ?`, tx.now(), p.ID)
	return err
}
