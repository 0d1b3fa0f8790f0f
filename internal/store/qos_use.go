package store

import (
	"context"
	"fmt"

	"github.com/tricircle/tricircle/internal/topology"
)

// qosUsers are what may name a policy, in Neutron's words, by table.
var qosUsers = map[string]string{"ports": "port", "networks": "network", "floating_ips": "fip", "routers": "router"}

// nameQoS records which policy a row of the table names; an empty one is none.
// The reference keeps the policy: it needs no lock.
func nameQoS(ctx context.Context, tx *Tx, table, id, policy string) error {
	if policy == "" {
		return dropQoS(ctx, tx, table, id)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO qos_uses (kind, id, policy_id)
		VALUES (?, ?, ?)
		ON CONFLICT (kind, id) DO UPDATE SET policy_id = excluded.policy_id`, table, id, policy)
	if dangling(err) {
		return topology.NoQoSPolicy(policy) // deleted at this moment
	}
	if err != nil {
		return fmt.Errorf("cannot record the QoS policy of %s: %w", id, err)
	}
	return nil
}

func dropQoS(ctx context.Context, tx *Tx, table, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM qos_uses WHERE kind = ? AND id = ?`, table, id)
	return err
}

// qosOf are the policies that rows of the table name, by the rows' IDs.
func qosOf(ctx context.Context, tx *Tx, table string, ids ...string) (map[string]string, error) {
	named := map[string]string{}
	err := details(ctx, tx, ids, `SELECT id, policy_id FROM qos_uses WHERE kind = '`+table+`' AND id`, ``, func(row scanner) error {
		var id, policy string
		err := row.Scan(&id, &policy)
		named[id] = policy
		return err
	})
	return named, err
}

// giveNetworkQoS settles the policy of a new network: by default the one that its
// project has for new networks.
func giveNetworkQoS(ctx context.Context, tx *Tx, n *topology.Network) (err error) {
	if n.QoSPolicyID == "" {
		if n.QoSPolicyID, err = defaultQoS(ctx, tx, n.ProjectID); err != nil || n.QoSPolicyID == "" {
			return err
		}
	}
	return saveNetworkQoS(ctx, tx, n)
}

// saveNetworkQoS records the network's policy, if it can keep what that promises.
func saveNetworkQoS(ctx context.Context, tx *Tx, n *topology.Network) error {
	if n.QoSPolicyID != "" {
		p, err := qosPolicies.find(ctx, tx, n.QoSPolicyID, "")
		if err != nil {
			return err
		}
		if err := p.Suits(n); err != nil {
			return err
		}
	}
	return nameQoS(ctx, tx, "networks", n.ID, n.QoSPolicyID)
}

// givePortQoS settles the policy of a new port.
func givePortQoS(ctx context.Context, tx *Tx, n *topology.Network, p *topology.Port) error {
	p.QoSNetworkPolicyID = n.QoSPolicyID
	if p.QoSPolicyID == "" { // the network's was checked with the network
		return nil
	}
	return savePortQoS(ctx, tx, n, p)
}

func savePortQoS(ctx context.Context, tx *Tx, n *topology.Network, p *topology.Port) error {
	if p.QoSPolicyID != "" {
		policy, err := qosPolicies.find(ctx, tx, p.QoSPolicyID, "")
		if err != nil {
			return err
		}
		if err := policy.SuitsPort(n, p.ID); err != nil {
			return err
		}
	}
	return nameQoS(ctx, tx, "ports", p.ID, p.QoSPolicyID)
}

// addPortQoS adds the ports' policies, their own and their networks'.
func addPortQoS(ctx context.Context, tx *Tx, names []string, where map[string]*topology.Port) error {
	return details(ctx, tx, names, `
		SELECT p.id, COALESCE(own.policy_id, ''), COALESCE(net.policy_id, '')
		FROM ports p
		LEFT JOIN qos_uses own ON own.kind = 'ports' AND own.id = p.id
		LEFT JOIN qos_uses net ON net.kind = 'networks' AND net.id = p.network_id
		WHERE (own.id IS NOT NULL OR net.id IS NOT NULL) AND p.id`, ``, func(row scanner) error {
		var port, own, net string
		err := row.Scan(&port, &own, &net)
		if p := where[port]; p != nil {
			p.QoSPolicyID, p.QoSNetworkPolicyID = own, net
		}
		return err
	})
}

// addGatewayQoS adds the policies of the routers that have a gateway, and of the
// gateways' networks.
func addGatewayQoS(ctx context.Context, tx *Tx, routers []topology.Router) error {
	var own, outer []string
	for i := range routers {
		if g := routers[i].Gateway; g != nil {
			own, outer = append(own, routers[i].ID), append(outer, g.NetworkID)
		}
	}
	policies, err := qosOf(ctx, tx, "routers", own...)
	if err != nil {
		return err
	}
	networks, err := qosOf(ctx, tx, "networks", outer...)
	for i := range routers {
		if g := routers[i].Gateway; g != nil {
			g.QoSPolicyID, g.QoSNetworkPolicyID = policies[routers[i].ID], networks[g.NetworkID]
		}
	}
	return err
}

// addFloatingIPQoS adds the floating IPs' policies.
func addFloatingIPQoS(ctx context.Context, tx *Tx, all []topology.FloatingIP) error {
	names, where := ids(all, func(f *topology.FloatingIP) string { return f.ID })
	policies, err := qosOf(ctx, tx, "floating_ips", names...)
	for id, f := range where {
		f.QoSPolicyID = policies[id]
	}
	return err
}

// qosServed are ports for which a policy holds: one of a server, and one on a
// network that is on no physical one. Empty: there is none.
type qosServed struct{ server, unsuited string }

func servedByQoS(ctx context.Context, tx *Tx, policy string) (s qosServed, err error) {
	const ports = `
		SELECT p.id, p.device_owner, n.physical_network
		FROM qos_uses used
		JOIN ports p ON used.kind = 'ports' AND used.id = p.id
		JOIN networks n ON n.id = p.network_id
		WHERE used.policy_id = ?
		UNION ALL
		SELECT p.id, p.device_owner, n.physical_network
		FROM qos_uses used
		JOIN networks n ON used.kind = 'networks' AND used.id = n.id
		JOIN ports p ON p.network_id = n.id
		WHERE used.policy_id = ? AND NOT EXISTS (SELECT 1 FROM qos_uses own WHERE own.kind = 'ports' AND own.id = p.id)`
	one := func(where string) (string, error) {
		all, err := list(ctx, tx, scanString, `SELECT id FROM (`+ports+`) served WHERE `+where+` ORDER BY id LIMIT 1`, policy, policy)
		if err != nil || len(all) == 0 {
			return "", err
		}
		return all[0], nil
	}
	if s.server, err = one(`device_owner LIKE 'compute:%'`); err != nil {
		return s, err
	}
	s.unsuited, err = one(`physical_network = ''`)
	return s, err
}
