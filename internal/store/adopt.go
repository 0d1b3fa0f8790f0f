package store

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// Adoption is a network that a pod has and the region is to have from now on, with
// what stands on it. All IDs in it are the pod's.
type Adoption struct {
	Pod     string
	Network topology.Network
	Subnets []topology.SubnetSpec
	Ports   []topology.PortSpec
	Groups  []topology.SecurityGroup // that the ports are in, and that their rules name
}

// Adopt makes the central things, with the same segment, addresses and MAC
// addresses, all or none; they are in the pod already, and jobs write our mark
// there. A default group takes the pod's rules in addition to its own.
func (s *Store) Adopt(ctx context.Context, a Adoption) (n topology.Network, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		t := taking{ctx: ctx, tx: tx, pod: a.Pod, ours: map[string]string{}}
		if err := t.refuseKnown(KindNetwork, a.Network.ID); err != nil {
			return err
		}
		n = a.Network
		n.ID = ""
		if err := createNetwork(ctx, tx, s.Fabric(), &n); err != nil {
			return err
		}
		if err := t.place(KindNetwork, n.ID, a.Network.ID, n.ProjectID); err != nil {
			return err
		}
		if err := t.subnets(n.ID, a.Subnets); err != nil {
			return err
		}
		if err := t.groups(a.Groups); err != nil {
			return err
		}
		if err := t.ports(n.ID, a.Ports); err != nil {
			return err
		}
		for _, target := range inOrder(t.placed) {
			if err := touchTx(ctx, tx, target.Kind, target.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// taking is an adoption under way: the pod's IDs lead to ours.
type taking struct {
	ctx    context.Context
	tx     *Tx
	pod    string
	ours   map[string]string
	placed []Target
}

func (t *taking) refuseKnown(kind, podID string) error {
	known, err := t.known(kind, podID)
	if err == nil && known != "" {
		err = fault.New(fault.Conflict, "", "the %s is in the region already, as %s", kind, known)
	}
	return err
}

// known is our ID of a thing that the pod has; empty if it is not ours.
func (t *taking) known(kind, podID string) (string, error) {
	all, err := list(t.ctx, t.tx, scanString, `SELECT id FROM mappings WHERE kind = ? AND pod = ? AND pod_id = ?`, kind, t.pod, podID)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0], nil
}

func (t *taking) place(kind, id, podID, project string) error {
	t.ours[podID] = id
	target := Target{Kind: kind, ID: id, Pod: t.pod}
	t.placed = append(t.placed, target)
	return placeTx(t.ctx, t.tx, target, podID, project)
}

func (t *taking) subnets(networkID string, specs []topology.SubnetSpec) error {
	for _, spec := range specs {
		podID := spec.ID
		spec.ID, spec.NetworkID = "", networkID
		made, err := createSubnet(t.ctx, t.tx, spec)
		if err != nil {
			return err
		}
		if err := t.place(KindSubnet, made.ID, podID, made.ProjectID); err != nil {
			return err
		}
	}
	return nil
}

// groups finds or makes the groups, then adds their rules, which may name each
// other.
func (t *taking) groups(groups []topology.SecurityGroup) error {
	for _, g := range groups {
		podID := g.ID
		id, err := t.known(KindSecurityGroup, podID)
		if err != nil {
			return err
		}
		if id != "" {
			t.ours[podID] = id
			continue
		}
		if g.Name == topology.DefaultGroup {
			id, err = ensureDefaultGroup(t.ctx, t.tx, g.ProjectID)
		} else {
			g.ID, g.Rules = "", nil
			_, err = createGroup(t.ctx, t.tx, &g)
			id = g.ID
		}
		if err != nil {
			return err
		}
		if err := t.place(KindSecurityGroup, id, podID, g.ProjectID); err != nil {
			return err
		}
	}
	for _, g := range groups {
		placed := Target{Kind: KindSecurityGroup, ID: t.ours[g.ID], Pod: t.pod}
		if !slices.Contains(t.placed, placed) {
			continue // ours before
		}
		if g.Name != topology.DefaultGroup {
			if _, err := t.tx.Exec(t.ctx, `DELETE FROM security_group_rules WHERE group_id = ?`, placed.ID); err != nil {
				return err
			}
		}
		if err := t.rules(placed.ID, g.Rules); err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) rules(groupID string, rules []topology.Rule) error {
	has, err := list(t.ctx, t.tx, scanString, `SELECT rule_key FROM security_group_rules WHERE group_id = ?`, groupID)
	if err != nil {
		return err
	}
	for _, r := range rules {
		r.ID, r.GroupID = "", groupID
		if r.RemoteGroupID != "" {
			r.RemoteGroupID = t.ours[r.RemoteGroupID]
		}
		if err := r.Normalize(); err != nil {
			return err
		}
		if slices.Contains(has, r.Key()) {
			continue
		}
		has = append(has, r.Key())
		if err := insertRule(t.ctx, t.tx, &r); err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) ports(networkID string, specs []topology.PortSpec) error {
	g, err := loadGround(t.ctx, t.tx, networkID)
	if err != nil {
		return err
	}
	for _, spec := range specs {
		podID := spec.ID
		spec.ID, spec.NetworkID = "", networkID
		for i := range spec.WantIPs {
			spec.WantIPs[i].SubnetID = t.ours[spec.WantIPs[i].SubnetID]
		}
		groups := make([]string, len(spec.WantGroups))
		for i, id := range spec.WantGroups {
			groups[i] = t.ours[id]
		}
		spec.WantGroups = groups
		made, err := createPort(t.ctx, t.tx, g, spec)
		if err != nil {
			return err
		}
		if err := t.place(KindPort, made.ID, podID, made.ProjectID); err != nil {
			return err
		}
	}
	return nil
}
