package store

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// An external network belongs to one pod: the way out that it is leads through
// that pod's routers. Gateways and floating IPs of it live there.

// externalPod is the pod of the external network; empty: it has none yet.
func externalPod(ctx context.Context, tx *Tx, networkID string) (string, error) {
	pods, err := list(ctx, tx, scanString, `SELECT p.name FROM networks n JOIN pods p ON p.name = n.pod WHERE n.id = ?`, networkID)
	if err != nil || len(pods) == 0 {
		return "", err
	}
	return pods[0], nil
}

// choosePod settles where an external network belongs: in the pod that has it
// already; else where its hints say, each a zone's name or a pod's; else in the
// operator's pod; else in the first.
func choosePod(ctx context.Context, tx *Tx, n *topology.Network) error {
	all, err := list(ctx, tx, scanPod, selectPods+` ORDER BY name`)
	if err != nil || len(all) == 0 {
		return err
	}
	has, err := wantedIn(ctx, tx, KindNetwork, n.ID)
	if err != nil {
		return err
	}
	if len(has) > 0 {
		n.Pod = has[0]
		return nil
	}
	n.Pod, err = homeOutside(all, n.ZoneHints, tx.store.Fabric().ExternalPod)
	return err
}

// homeOutside picks one of the pods.
func homeOutside(all []Pod, hints []string, chosen string) (string, error) {
	for _, hint := range hints {
		for _, fits := range []func(Pod) bool{
			func(p Pod) bool { return p.Name == hint },
			func(p Pod) bool { return p.Zone == hint },
		} {
			if i := slices.IndexFunc(all, fits); i >= 0 {
				return all[i].Name, nil
			}
		}
	}
	if chosen == "" {
		return all[0].Name, nil
	}
	if !slices.ContainsFunc(all, func(p Pod) bool { return p.Name == chosen }) {
		return "", fault.New(fault.Invalid, "", "external networks go to pod %s (networks.external_pod), and there is no such pod", chosen)
	}
	return chosen, nil
}

// bringOutside has the external network in its pod, and returns which that is. A
// network that was made before there were pods gets one now; empty: there is none.
func bringOutside(ctx context.Context, tx *Tx, networkID string) (string, error) {
	n, err := byID(ctx, tx, networkShape, networkID, scanNetwork, "")
	if err != nil {
		return "", err
	}
	if pod, err := externalPod(ctx, tx, networkID); err != nil || pod == "" {
		if err == nil {
			err = choosePod(ctx, tx, &n)
		}
		if err != nil || n.Pod == "" {
			return "", err
		}
		if _, err := tx.Exec(ctx, `UPDATE networks SET pod = ? WHERE id = ?`, n.Pod, n.ID); err != nil {
			return "", err
		}
	}
	_, err = wantTx(ctx, tx, n.ProjectID, Target{KindNetwork, n.ID, n.Pod})
	return n.Pod, err
}
