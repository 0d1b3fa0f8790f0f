package store

import (
	"context"
	"maps"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// A floating IP is in the pod of its external network as long as it leads to a port
// that some pod has. A port in another pod is reached over its network, which then
// comes here too: what the pod's floating IP names is a shadow of the port, at the
// same address. The functions below say so in mappings; the jobs do it.

// spanFloatingIP wants the floating IP where it is needed, and has its pod look
// again. before are ports that it led to until now.
func spanFloatingIP(ctx context.Context, tx *Tx, id string, before ...string) error {
	f, err := byID(ctx, tx, floatingIPShape, id, scanFloatingIP, "")
	if err != nil {
		return err
	}
	ports, err := led(ctx, tx, &f)
	if err != nil {
		return err
	}
	placed, err := placedPorts(ctx, tx, ports)
	if err != nil {
		return err
	}
	if len(placed) > 0 {
		err = placeFloatingIP(ctx, tx, &f)
	} else {
		_, err = unwantTx(ctx, tx, KindFloatingIP, id)
	}
	if err != nil {
		return err
	}
	return spanShadows(ctx, tx, append(ports, before...)...)
}

// led are the ports that a floating IP leads to.
func led(ctx context.Context, tx *Tx, f *topology.FloatingIP) ([]string, error) {
	ports, err := list(ctx, tx, scanString, `
		SELECT DISTINCT internal_port_id FROM port_forwardings
		WHERE floatingip_id = ?
		ORDER BY internal_port_id`, f.ID)
	if err == nil && f.PortID != "" {
		ports = append(ports, f.PortID)
	}
	return ports, err
}

// placedPorts are those of the ports that a pod is to have.
func placedPorts(ctx context.Context, tx *Tx, ports []string) (placed []string, err error) {
	err = details(ctx, tx, ports, `SELECT DISTINCT id FROM mappings WHERE kind = 'port' AND wanted = 1 AND id`, `ORDER BY id`, func(row scanner) error {
		id, err := scanString(row)
		placed = append(placed, id)
		return err
	})
	return placed, err
}

// placeFloatingIP wants it in the pod of its network, which changes with the network alone.
func placeFloatingIP(ctx context.Context, tx *Tx, f *topology.FloatingIP) error {
	pod, err := bringOutside(ctx, tx, f.NetworkID)
	if err != nil || pod == "" {
		return err
	}
	if _, err := wantTx(ctx, tx, f.ProjectID, Target{KindFloatingIP, f.ID, pod}); err != nil {
		return err
	}
	return touchTx(ctx, tx, KindFloatingIP, f.ID)
}

// spanShadows has the ports' shadows where floating IPs name them, and nowhere
// else. The ports' networks come along.
func spanShadows(ctx context.Context, tx *Tx, ports ...string) error {
	ports = slices.Compact(slices.Sorted(slices.Values(ports)))
	for _, id := range ports {
		need, err := shadowPods(ctx, tx, id)
		if err != nil {
			return err
		}
		has, err := wantedIn(ctx, tx, KindShadowPort, id)
		if err != nil {
			return err
		}
		for _, pod := range has {
			if !slices.Contains(need, pod) {
				if err := leaveTx(ctx, tx, Target{KindShadowPort, id, pod}); err != nil {
					return err
				}
			}
		}
		if len(need) == 0 {
			continue
		}
		if err := wantShadows(ctx, tx, id, need); err != nil {
			return err
		}
	}
	return nil
}

// shadowPods are the pods in which floating IPs name the port and that do not have
// it, though another does.
func shadowPods(ctx context.Context, tx *Tx, port string) ([]string, error) {
	return list(ctx, tx, scanString, `
		SELECT DISTINCT n.pod FROM floating_ips f
		JOIN networks n ON n.id = f.network_id
		JOIN mappings m ON m.kind = 'floating_ip' AND m.id = f.id AND m.pod = n.pod AND m.wanted = 1
		WHERE (f.port_id = ? OR EXISTS (SELECT 1 FROM port_forwardings w WHERE w.floatingip_id = f.id AND w.internal_port_id = ?))
		AND EXISTS (SELECT 1 FROM mappings p WHERE p.kind = 'port' AND p.id = ? AND p.wanted = 1)
		AND NOT EXISTS (SELECT 1 FROM mappings p WHERE p.kind = 'port' AND p.id = ? AND p.wanted = 1 AND p.pod = n.pod)
		ORDER BY n.pod`, port, port, port, port)
}

// wantShadows brings the port's network and shadow into the pods. A network that one
// pod alone can have stays where it is: the floating IP's job says that it cannot work.
func wantShadows(ctx context.Context, tx *Tx, id string, pods []string) error {
	p, err := byID(ctx, tx, portShape, id, scanPort, "")
	if err != nil {
		return err
	}
	n, err := byID(ctx, tx, networkShape, p.NetworkID, scanNetwork, "")
	if err != nil {
		return err
	}
	reach, err := reachTx(ctx, tx, &n)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if reach != nil && !slices.Contains(reach, pod) {
			continue
		}
		if _, err := wantTx(ctx, tx, n.ProjectID, Target{KindNetwork, n.ID, pod}); err != nil {
			return err
		}
		if _, err := wantTx(ctx, tx, p.ProjectID, Target{KindShadowPort, id, pod}); err != nil {
			return err
		}
	}
	return touchTx(ctx, tx, KindShadowPort, id)
}

// respanFloatingIPs is spanFloatingIP for all that lead to a port which has come to
// a pod, left one, or changed.
func respanFloatingIPs(ctx context.Context, tx *Tx, port string) error {
	all, err := list(ctx, tx, scanString, `
		SELECT id FROM floating_ips WHERE port_id <> '' AND port_id = ?
		UNION
		SELECT floatingip_id FROM port_forwardings WHERE internal_port_id = ?
		ORDER BY 1`, port, port)
	if err != nil {
		return err
	}
	for _, id := range all {
		if err := spanFloatingIP(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

// Outlet is what a floating IP is to be in its pod.
type Outlet struct {
	FloatingIP  topology.FloatingIP
	Forwardings []topology.PortForwarding
	Router      topology.Router          // through which it leads
	Ports       map[string]topology.Port // that it leads to, by ID
	Networks    map[string]topology.Network
}

// FindOutlet returns it, or fault.NotFound.
func (s *Store) FindOutlet(ctx context.Context, id string) (o Outlet, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		o = Outlet{Ports: map[string]topology.Port{}, Networks: map[string]topology.Network{}}
		if o.FloatingIP, err = findFloatingIP(ctx, tx, id, ""); err != nil {
			return err
		}
		o.Forwardings, err = list(ctx, tx, forwardingRows.scan, "SELECT "+bare(&forwardingRows.shape)+`
			FROM port_forwardings
			WHERE floatingip_id = ?
			ORDER BY id`, id)
		if err != nil {
			return err
		}
		ports, err := led(ctx, tx, &o.FloatingIP)
		if err != nil || len(ports) == 0 {
			return err
		}
		for _, id := range ports {
			p, err := findPort(ctx, tx, id, "")
			if err != nil {
				return err
			}
			o.Ports[id] = p
			if o.Networks[p.NetworkID], err = byID(ctx, tx, networkShape, p.NetworkID, scanNetwork, ""); err != nil {
				return err
			}
		}
		if o.FloatingIP.RouterID != "" {
			o.Router, err = findRouter(ctx, tx, o.FloatingIP.RouterID, "")
		}
		return err
	})
	return o, err
}

// SetFloatingIPStatuses records what the pods say about floating IPs. It counts as no
// change of them.
func (s *Store) SetFloatingIPStatuses(ctx context.Context, all map[string]string) error {
	if len(all) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *Tx) error {
		for _, id := range slices.Sorted(maps.Keys(all)) {
			if _, err := tx.Exec(ctx, `UPDATE floating_ips SET status = ? WHERE id = ?`, all[id], id); err != nil {
				return err
			}
		}
		return nil
	})
}
