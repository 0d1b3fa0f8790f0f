package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

var groupShape = &shape{
	table: "security_groups",
	columns: []string{"t.id", "t.project_id", "t.name", "t.description", "t.stateful", "t.shared",
		"t.created_at", "t.updated_at", "t.revision"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "name": {expr: "t.name"},
		"shared":      sharedField("t.id", "t.shared"),
		"description": {expr: "t.description"}, "stateful": {expr: "t.stateful", kind: flag},
		"revision_number": {expr: "t.revision", kind: number},
		"created_at":      {expr: "t.created_at", kind: number}, "updated_at": {expr: "t.updated_at", kind: number},
	},
	visible: ownOrShared,
	missing: topology.NoSecurityGroup,
}

func scanGroup(row scanner) (g topology.SecurityGroup, err error) {
	err = row.Scan(&g.ID, &g.ProjectID, &g.Name, &g.Description, &g.Stateful, &g.Shared,
		intoTime(&g.CreatedAt), intoTime(&g.UpdatedAt), &g.Revision)
	return g, err
}

// CreateSecurityGroups makes the groups with their default rules, all or none.
func (s *Store) CreateSecurityGroups(ctx context.Context, groups []topology.SecurityGroup) ([]topology.SecurityGroup, error) {
	var made []topology.SecurityGroup
	err := s.write(ctx, func(tx *Tx) error {
		if err := admit(ctx, tx, "security_group", perProject(groups, func(g *topology.SecurityGroup) string { return g.ProjectID })); err != nil {
			return err
		}
		rules := perProject(groups, func(g *topology.SecurityGroup) string { return g.ProjectID })
		for project := range rules {
			rules[project] *= int64(len(topology.DefaultRules("", "", false)))
		}
		if err := admit(ctx, tx, "security_group_rule", rules); err != nil {
			return err
		}
		made = slices.Clone(groups)
		for i := range made {
			if made[i].Name == topology.DefaultGroup {
				return fault.New(fault.Conflict, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
			}
			if _, err := createGroup(ctx, tx, &made[i]); err != nil {
				return err
			}
		}
		return addRules(ctx, tx, made)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func createGroup(ctx context.Context, tx *Tx, g *topology.SecurityGroup) (bool, error) {
	if g.ID == "" {
		g.ID = uuid.NewString()
	}
	g.CreatedAt = tx.now()
	g.UpdatedAt, g.Revision = g.CreatedAt, 1
	got, err := affected(tx.Exec(ctx, `
		INSERT INTO security_groups (`+bare(groupShape)+`)
		VALUES (`+marks(len(groupShape.columns))+`)
		ON CONFLICT DO NOTHING`,
		g.ID, g.ProjectID, g.Name, g.Description, g.Stateful, g.Shared, g.CreatedAt, g.UpdatedAt, g.Revision))
	if err != nil || !got {
		return false, err
	}
	for _, r := range topology.DefaultRules(g.ID, g.ProjectID, g.Name == topology.DefaultGroup) {
		if err := insertRule(ctx, tx, &r); err != nil {
			return false, err
		}
	}
	return true, nil
}

// EnsureDefaultGroup returns the project's default group and makes it on first
// use.
func (s *Store) EnsureDefaultGroup(ctx context.Context, project string) (topology.SecurityGroup, error) {
	id, err := defaultGroup(ctx, s.reader(), project)
	if fault.Is(err, fault.NotFound) {
		err = s.write(ctx, func(tx *Tx) error {
			id, err = ensureDefaultGroup(ctx, tx, project)
			return err
		})
	}
	if err != nil {
		return topology.SecurityGroup{}, err
	}
	return s.FindSecurityGroup(ctx, id)
}

func defaultGroup(ctx context.Context, tx *Tx, project string) (string, error) {
	return find(ctx, tx, topology.NoSecurityGroup(topology.DefaultGroup), scanString, `
		SELECT id FROM security_groups
		WHERE project_id = ? AND name = 'default'`, project)
}

func ensureDefaultGroup(ctx context.Context, tx *Tx, project string) (string, error) {
	id, err := defaultGroup(ctx, tx, project)
	if !fault.Is(err, fault.NotFound) {
		return id, err
	}
	g := topology.SecurityGroup{ProjectID: project, Name: topology.DefaultGroup,
		Description: "Default security group", Stateful: true}
	if made, err := createGroup(ctx, tx, &g); made || err != nil {
		return g.ID, err
	}
	return defaultGroup(ctx, tx, project) // another transaction made it first
}

// FindSecurityGroup returns the group, whoever owns it, or fault.NotFound.
func (s *Store) FindSecurityGroup(ctx context.Context, id string) (g topology.SecurityGroup, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		g, err = findGroup(ctx, tx, id, "")
		return err
	})
	return g, err
}

func findGroup(ctx context.Context, tx *Tx, id, suffix string) (topology.SecurityGroup, error) {
	g, err := byID(ctx, tx, groupShape, id, scanGroup, suffix)
	if err != nil {
		return g, err
	}
	one := []topology.SecurityGroup{g}
	err = addRules(ctx, tx, one)
	return one[0], err
}

// ListSecurityGroups lists groups with their rules.
func (s *Store) ListSecurityGroups(ctx context.Context, q Query) (all []topology.SecurityGroup, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		if all, err = query(ctx, tx, groupShape, q, scanGroup); err != nil {
			return err
		}
		return addRules(ctx, tx, all)
	})
	return all, err
}

func addRules(ctx context.Context, tx *Tx, groups []topology.SecurityGroup) error {
	for i := range groups {
		groups[i].Rules = []topology.Rule{}
	}
	names, where := ids(groups, func(g *topology.SecurityGroup) string { return g.ID })
	return details(ctx, tx, names, `SELECT `+bare(ruleShape)+` FROM security_group_rules WHERE group_id`, `ORDER BY group_id, id`,
		func(row scanner) error {
			r, err := scanRule(row)
			if err == nil {
				where[r.GroupID].Rules = append(where[r.GroupID].Rules, r)
			}
			return err
		})
}

// UpdateSecurityGroup changes name, description or state of the group.
func (s *Store) UpdateSecurityGroup(ctx context.Context, id string, change func(*topology.SecurityGroup) error) (g topology.SecurityGroup, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		if g, err = findGroup(ctx, tx, id, tx.forChange()); err != nil {
			return err
		}
		before := g
		if err := change(&g); err != nil {
			return err
		}
		if reflect.DeepEqual(before, g) {
			return nil
		}
		if g.Stateful != before.Stateful {
			if err := checkNoMembers(ctx, tx, id); err != nil {
				return err
			}
		}
		g.UpdatedAt, g.Revision = tx.now(), before.Revision+1
		_, err := tx.Exec(ctx, `
			UPDATE security_groups
			SET name = ?, description = ?, stateful = ?, updated_at = ?, revision = ?
			WHERE id = ?`, g.Name, g.Description, g.Stateful, g.UpdatedAt, g.Revision, id)
		if err != nil {
			return err
		}
		return touchTx(ctx, tx, KindSecurityGroup, id)
	})
	return g, err
}

// DeleteSecurityGroup deletes a group that no port is in, and the rules of other
// groups that name it.
func (s *Store) DeleteSecurityGroup(ctx context.Context, id string, check func(*topology.SecurityGroup) error) error {
	err := s.write(ctx, func(tx *Tx) error {
		g, err := findGroup(ctx, tx, id, tx.forUpdate())
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(&g); err != nil {
				return err
			}
		}
		return deleteGroup(ctx, tx, id)
	})
	if dangling(err) {
		return groupInUse(id)
	}
	return err
}

func deleteGroup(ctx context.Context, tx *Tx, id string) error {
	if err := checkNoMembers(ctx, tx, id); err != nil {
		return err
	}
	named, err := list(ctx, tx, scanString, `
		SELECT DISTINCT group_id FROM security_group_rules
		WHERE remote_group_id = ? AND group_id <> ?
		ORDER BY group_id`, id, id)
	if err != nil {
		return err
	}
	remotes, err := namedBy(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := dropRow(ctx, tx, "security_groups", id); err != nil {
		return err
	}
	for _, other := range named {
		if err := touchGroup(ctx, tx, other); err != nil {
			return err
		}
	}
	if err := unwantOrRelease(ctx, tx, KindSecurityGroup, id); err != nil {
		return err
	}
	return dropMembersTx(ctx, tx, append(remotes, id)...)
}

// checkNoMembers refuses what cannot be done to a group that ports are in.
func checkNoMembers(ctx context.Context, tx *Tx, id string) error {
	var used bool
	err := tx.QueryRow(ctx, `SELECT count(*) > 0 FROM port_groups WHERE group_id = ?`, id).Scan(&used)
	if err == nil && used {
		err = groupInUse(id)
	}
	return err
}

func groupInUse(id string) error {
	return fault.New(fault.Conflict, "SecurityGroupInUse", "Security Group %s in use.", id)
}

// touchGroup says that the group's rules have changed.
func touchGroup(ctx context.Context, tx *Tx, id string) error {
	res, err := tx.Exec(ctx, `UPDATE security_groups SET revision = revision + 1, updated_at = ? WHERE id = ?`, tx.now(), id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, topology.NoSecurityGroup(id))
	}
	return touchTx(ctx, tx, KindSecurityGroup, id)
}

// checkGroups sorts the groups and refuses those that do not exist or do not go
// together.
func checkGroups(ctx context.Context, tx *Tx, groups []string) ([]string, error) {
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	kinds := map[bool]bool{}
	for _, id := range groups {
		g, err := byID(ctx, tx, groupShape, id, scanGroup, "")
		if err != nil {
			return nil, err
		}
		kinds[g.Stateful] = true
	}
	if len(kinds) > 1 {
		return nil, fault.New(fault.Conflict, "SecurityGroupConflict",
			"Error Cannot apply both stateful and stateless security groups on the same port at the same time while attempting the operation.")
	}
	return append([]string{}, groups...), nil
}

func insertGroups(ctx context.Context, tx *Tx, portID string, groups []string) error {
	for _, group := range groups {
		_, err := tx.Exec(ctx, `INSERT INTO port_groups (port_id, group_id) VALUES (?, ?)`, portID, group)
		if dangling(err) {
			return topology.NoSecurityGroup(group) // deleted at this moment
		}
		if err != nil {
			return fmt.Errorf("cannot put port into group: %w", err)
		}
	}
	return nil
}

func groupsOf(ctx context.Context, tx *Tx, portID string) ([]string, error) {
	return list(ctx, tx, scanString, `SELECT group_id FROM port_groups WHERE port_id = ? ORDER BY group_id`, portID)
}
