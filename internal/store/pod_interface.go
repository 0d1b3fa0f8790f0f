package store

import (
	"context"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// PodInterface is a router's place on a network in one pod: Port is the central
// interface's own in its home, elsewhere one beside it.
type PodInterface struct {
	Central topology.Port
	Port    topology.Port
}

// PodGateways are the addresses that the pod's copies of the network's subnets
// name as their gateway where that is a router: each pod's is its own. It is for
// the job that brings the network into the pod, and makes no other job.
func (s *Store) PodGateways(ctx context.Context, networkID, pod string) (map[string]netip.Addr, error) {
	at, err := s.ensureInterfaces(ctx, pod, "t.network_id = ?", networkID)
	if fault.Is(err, fault.Conflict) {
		// No address is left for the router. Servers can do without, and the router's
		// own job says so.
		err = s.read(ctx, func(tx *Tx) error {
			at, _, err = podInterfaces(ctx, tx, pod, "t.network_id = ?", networkID)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	gateways := map[string]netip.Addr{}
	subnets, err := s.SubnetsOf(ctx, networkID)
	for i := range subnets {
		sub := &subnets[i]
		for _, in := range at {
			central := slices.Contains(in.Central.FixedIPs, topology.FixedIP{SubnetID: sub.ID, Address: sub.GatewayIP})
			for _, ip := range in.Port.FixedIPs {
				if central && ip.SubnetID == sub.ID {
					gateways[sub.ID] = ip.Address
				}
			}
		}
	}
	return gateways, err
}

// ensureInterfaces sees to it that each interface that the condition selects has a
// port for the pod, and returns them.
func (s *Store) ensureInterfaces(ctx context.Context, pod, where string, args ...any) (at []PodInterface, err error) {
	var right bool
	err = s.read(ctx, func(tx *Tx) error {
		at, right, err = podInterfaces(ctx, tx, pod, where, args...)
		return err
	})
	if err != nil || right {
		return at, err
	}
	err = s.write(ctx, func(tx *Tx) error {
		if at, _, err = podInterfaces(ctx, tx, pod, where, args...); err != nil {
			return err
		}
		for i := range at {
			if err := ensureInterface(ctx, tx, pod, &at[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return at, err
}

// podInterfaces are the interfaces that the condition selects, of networks that
// the pod is to have, and their ports for the pod; right says that none is missing.
func podInterfaces(ctx context.Context, tx *Tx, pod, where string, args ...any) (at []PodInterface, right bool, err error) {
	centrals, err := portsWhere(ctx, tx, where+` AND t.device_owner IN (`+interfaceOwners+`)
		AND EXISTS (SELECT 1 FROM mappings m WHERE m.kind = 'network' AND m.id = t.network_id AND m.pod = ? AND m.wanted = 1)`, append(args, pod)...)
	if err != nil {
		return nil, false, err
	}
	ids := make([]string, len(centrals))
	for i := range centrals {
		ids[i] = centrals[i].ID
	}
	beside := map[string]string{}
	err = details(ctx, tx, ids, `SELECT central_id, port_id, pod FROM pod_interfaces WHERE central_id`, ``, func(row scanner) error {
		var central, port, in string
		err := row.Scan(&central, &port, &in)
		if in == pod {
			beside[central] = port
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	own, err := portsByID(ctx, tx, beside)
	if err != nil {
		return nil, false, err
	}
	right = true
	for _, c := range centrals {
		in := PodInterface{Central: c}
		if c.Pod == pod {
			in.Port = c
		} else {
			in.Port = own[beside[c.ID]]
			right = right && in.Port.ID != "" && standsIn(&in.Port, subnetIDs(c))
		}
		at = append(at, in)
	}
	return at, right, nil
}

// portsByID reads the ports whose IDs are the map's values.
func portsByID(ctx context.Context, tx *Tx, ids map[string]string) (map[string]topology.Port, error) {
	found := map[string]topology.Port{}
	wanted := make([]string, 0, len(ids))
	for _, id := range ids {
		wanted = append(wanted, id)
	}
	for part := range slices.Chunk(wanted, chunk) {
		all, err := portsWhere(ctx, tx, "t.id IN ("+marks(len(part))+")", anyOf(part)...)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			found[p.ID] = p
		}
	}
	return found, nil
}

// ensureInterface gives the pod a port beside the central one, with an address in
// each of its subnets.
func ensureInterface(ctx context.Context, tx *Tx, pod string, in *PodInterface) error {
	subnets := subnetIDs(in.Central)
	if in.Central.Pod == pod || in.Port.ID != "" && standsIn(&in.Port, subnets) {
		return nil
	}
	want := make([]topology.WantIP, len(subnets))
	for i, id := range subnets {
		want[i].SubnetID = id
	}
	var err error
	if in.Port.ID != "" {
		in.Port, err = updatePort(ctx, tx, in.Port, topology.PortSpec{Port: in.Port, WantIPs: want})
		return err
	}
	if err := lockNetwork(ctx, tx, in.Central.NetworkID); err != nil { // two jobs would each make one
		return err
	}
	made, err := list(ctx, tx, scanString, `SELECT port_id FROM pod_interfaces WHERE central_id = ? AND pod = ?`, in.Central.ID, pod)
	if err != nil {
		return err
	}
	if len(made) > 0 {
		in.Port, err = findPort(ctx, tx, made[0], "")
		return err
	}
	in.Port, err = makePodPort(ctx, tx, in.Central.DeviceID, pod, in.Central.NetworkID, want)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO pod_interfaces (port_id, central_id, pod) VALUES (?, ?, ?)`, in.Port.ID, in.Central.ID, pod)
	return err
}

// makePodPort makes a port that only one pod's router needs. It is nobody's, so
// that no tenant sees it and no quota counts it.
func makePodPort(ctx context.Context, tx *Tx, routerID, pod, networkID string, want []topology.WantIP) (topology.Port, error) {
	g, err := loadGround(ctx, tx, networkID)
	if err != nil {
		return topology.Port{}, err
	}
	return createPort(ctx, tx, g, topology.PortSpec{WantIPs: want, WantGroups: []string{}, Port: topology.Port{
		NetworkID: networkID, AdminStateUp: true, DeviceOwner: topology.OwnerPodRouter, DeviceID: routerID, Pod: pod}})
}
