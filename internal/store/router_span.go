package store

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// A router is in each pod that has a network with an interface of it, and in the
// pod of its gateway's network. spanRouter says so in mappings; the jobs do it.

// spanRoutersOn is spanRouter for those with an interface on a network that has
// come to a pod, or leaves one.
func spanRoutersOn(ctx context.Context, tx *Tx, networkID string) error {
	if err := lockNetwork(ctx, tx, networkID); err != nil {
		return err
	}
	routers, err := list(ctx, tx, scanString, `
		SELECT DISTINCT device_id FROM ports
		WHERE network_id = ? AND device_owner IN (`+interfaceOwners+`)
		ORDER BY device_id`, networkID)
	if err != nil {
		return err
	}
	for _, id := range routers {
		if err := spanRouter(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

// lockNetwork has two transactions follow each other of which one brings a network
// to a pod and the other gives it an interface: else neither would see that the
// router is needed there.
func lockNetwork(ctx context.Context, tx *Tx, id string) error {
	if !tx.postgres() {
		return nil
	}
	_, err := list(ctx, tx, scanString, `SELECT id FROM networks WHERE id = ?`+tx.forChange(), id)
	return err
}

// spanRouter wants the router where it is needed, unwants it elsewhere, and has
// all pods that have it look again. It settles in which pod each interface has its
// home, and gives up what a pod's router needed besides and does not any more.
func spanRouter(ctx context.Context, tx *Tx, id string) error {
	r, err := findRouter(ctx, tx, id, tx.forUpdate())
	if err != nil {
		return err
	}
	need, err := podsOfRouter(ctx, tx, &r)
	if err != nil {
		return err
	}
	if err := settleHomes(ctx, tx, id); err != nil {
		return err
	}
	if err := dropPodPorts(ctx, tx, id, need); err != nil {
		return err
	}
	has, err := wantedIn(ctx, tx, KindRouter, id)
	if err != nil {
		return err
	}
	for _, pod := range has {
		if !slices.Contains(need, pod) {
			if err := leaveOneTx(ctx, tx, Target{KindRouter, id, pod}); err != nil {
				return err
			}
		}
	}
	targets := make([]Target, len(need))
	for i, pod := range need {
		targets[i] = Target{KindRouter, id, pod}
	}
	if _, err := wantTx(ctx, tx, r.ProjectID, targets...); err != nil {
		return err
	}
	return touchTx(ctx, tx, KindRouter, id)
}

// wantedIn are the pods that are to have the thing, the first to be told so first.
func wantedIn(ctx context.Context, tx *Tx, kind, id string) ([]string, error) {
	return list(ctx, tx, scanString, `SELECT pod FROM mappings WHERE kind = ? AND id = ? AND wanted = 1 ORDER BY pod`, kind, id)
}

// podsOfRouter are the pods where the router is needed. The gateway's network
// comes to its pod with this.
func podsOfRouter(ctx context.Context, tx *Tx, r *topology.Router) ([]string, error) {
	pods, err := list(ctx, tx, scanString, `
		SELECT DISTINCT m.pod FROM mappings m
		JOIN ports p ON p.network_id = m.id
		WHERE m.kind = 'network' AND m.wanted = 1
		AND p.device_id = ? AND p.device_owner IN (`+interfaceOwners+`)
		ORDER BY m.pod`, r.ID)
	if err != nil || r.Gateway == nil {
		return pods, err
	}
	out, err := bringOutside(ctx, tx, r.Gateway.NetworkID)
	if err != nil || out == "" {
		return pods, err
	}
	if !slices.Contains(pods, out) {
		pods = append(pods, out)
	}
	return pods, nil
}

// interfacesOf are the router's interfaces.
func interfacesOf(ctx context.Context, tx *Tx, routerID string) ([]topology.Port, error) {
	return portsWhere(ctx, tx, "t.device_id = ? AND t.device_owner IN ("+interfaceOwners+")", routerID)
}

// settleHomes gives each interface its home: the pod that has the interface's own
// port, at its own address. It stays as long as the network is there.
func settleHomes(ctx context.Context, tx *Tx, routerID string) error {
	ports, err := interfacesOf(ctx, tx, routerID)
	if err != nil {
		return err
	}
	for i := range ports {
		p := &ports[i]
		pods, err := wantedIn(ctx, tx, KindNetwork, p.NetworkID)
		if err != nil {
			return err
		}
		if p.Pod != "" && slices.Contains(pods, p.Pod) || p.Pod == "" && len(pods) == 0 {
			continue
		}
		if p.Pod != "" {
			if err := leaveOneTx(ctx, tx, Target{KindPort, p.ID, p.Pod}); err != nil {
				return err
			}
		}
		home := ""
		if len(pods) > 0 {
			home = pods[0]
		}
		if _, err := tx.Exec(ctx, `UPDATE ports SET pod = ? WHERE id = ?`, home, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// dropPodPorts deletes those of the router's own ports in pods that are of no use
// any more.
func dropPodPorts(ctx context.Context, tx *Tx, routerID string, need []string) error {
	idle, err := list(ctx, tx, scanString, `
		SELECT i.port_id FROM pod_interfaces i
		JOIN ports o ON o.id = i.port_id AND o.device_id = ?
		WHERE NOT EXISTS (
			SELECT 1 FROM ports c
			JOIN mappings m ON m.kind = 'network' AND m.id = c.network_id AND m.pod = i.pod AND m.wanted = 1
			WHERE c.id = i.central_id AND c.device_id = o.device_id AND c.pod <> i.pod
		)
		ORDER BY i.port_id`, routerID)
	if err != nil {
		return err
	}
	for _, id := range idle {
		if err := deletePort(ctx, tx, id); err != nil {
			return err
		}
	}
	return dropBridgePorts(ctx, tx, routerID, need)
}
