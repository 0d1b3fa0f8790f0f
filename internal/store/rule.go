package store

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

var ruleShape = &shape{
	table: "security_group_rules",
	columns: []string{"t.id", "t.group_id", "t.project_id", "t.description", "t.direction", "t.ethertype", "t.protocol",
		"t.port_min", "t.port_max", "t.remote_ip_prefix", "t.remote_group_id", "t.remote_address_group_id", "t.created_at", "t.updated_at", "t.revision"},
	fields: map[string]field{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "security_group_id": {expr: "t.group_id"},
		"description": {expr: "t.description"}, "direction": {expr: "t.direction"}, "ethertype": {expr: "t.ethertype"},
		"protocol": {expr: "t.protocol"}, "port_range_min": {expr: "coalesce(t.port_min, 0)", kind: number},
		"port_range_max":   {expr: "coalesce(t.port_max, 0)", kind: number},
		"remote_ip_prefix": {expr: "t.remote_ip_prefix"}, "remote_group_id": {expr: "coalesce(t.remote_group_id, '')"},
		"remote_address_group_id": {expr: "coalesce(t.remote_address_group_id, '')"},
		"revision_number":         {expr: "t.revision", kind: number},
		"created_at":              {expr: "t.created_at", kind: number}, "updated_at": {expr: "t.updated_at", kind: number},
	},
	visible: func(project string) []arm {
		return []arm{own(project), { // a group's owner sees all its rules
			"t.project_id <> ? AND t.group_id IN (SELECT g.id FROM security_groups g WHERE g.project_id = ?)", []any{project, project}}}
	},
	missing: topology.NoRule,
}

func scanRule(row scanner) (r topology.Rule, err error) {
	var low, high sql.NullInt64
	var remote, addresses sql.NullString
	err = row.Scan(&r.ID, &r.GroupID, &r.ProjectID, &r.Description, &r.Direction, &r.EtherType, &r.Protocol,
		&low, &high, &r.RemoteIPPrefix, &remote, &addresses, intoTime(&r.CreatedAt), intoTime(&r.UpdatedAt), &r.Revision)
	r.PortMin, r.PortMax = optional(low), optional(high)
	r.RemoteGroupID, r.AddressGroupID = remote.String, addresses.String
	return r, err
}

func orNULL(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

func optional(n sql.NullInt64) *int {
	if !n.Valid {
		return nil
	}
	v := int(n.Int64)
	return &v
}

// CreateRules makes the rules, all or none. They must be of one group.
func (s *Store) CreateRules(ctx context.Context, rules []topology.Rule) ([]topology.Rule, error) {
	var made []topology.Rule
	err := s.write(ctx, func(tx *Tx) error {
		made = nil
		seen := map[string]bool{}
		for _, r := range rules {
			if r.GroupID != rules[0].GroupID {
				return fault.New(fault.Invalid, "SecurityGroupNotSingleGroupRules",
					"Only allowed to update rules for one security profile at a time")
			}
			if err := r.Normalize(); err != nil {
				return err
			}
			if seen[r.Key()] {
				return fault.New(fault.Conflict, "DuplicateSecurityGroupRuleInPost", "Duplicate Security Group Rule in POST.")
			}
			seen[r.Key()] = true
			made = append(made, r)
		}
		if err := admit(ctx, tx, "security_group_rule", perProject(made, func(r *topology.Rule) string { return r.ProjectID })); err != nil {
			return err
		}
		return createRules(ctx, tx, made)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func createRules(ctx context.Context, tx *Tx, rules []topology.Rule) error {
	if len(rules) == 0 {
		return nil
	}
	if err := touchGroup(ctx, tx, rules[0].GroupID); err != nil {
		return err
	}
	for i := range rules {
		if err := insertRule(ctx, tx, &rules[i]); err != nil {
			return err
		}
	}
	return nil
}

func insertRule(ctx context.Context, tx *Tx, r *topology.Rule) error {
	if r.ID == "" {
		r.ID = uuid.NewString()
	}
	r.CreatedAt = tx.now()
	r.UpdatedAt = r.CreatedAt
	got, err := affected(tx.Exec(ctx, `
		INSERT INTO security_group_rules (`+bare(ruleShape)+`, rule_key)
		VALUES (`+marks(len(ruleShape.columns)+1)+`)
		ON CONFLICT DO NOTHING`,
		r.ID, r.GroupID, r.ProjectID, r.Description, r.Direction, r.EtherType, r.Protocol,
		r.PortMin, r.PortMax, r.RemoteIPPrefix, orNULL(r.RemoteGroupID), orNULL(r.AddressGroupID),
		r.CreatedAt, r.UpdatedAt, r.Revision, r.Key()))
	if dangling(err) && r.AddressGroupID != "" {
		return topology.NoAddressGroup(r.AddressGroupID)
	}
	if dangling(err) {
		return topology.NoSecurityGroup(r.RemoteGroupID)
	}
	if err != nil || got {
		return err
	}
	id, err := find(ctx, tx, topology.NoRule(""), scanString, `
		SELECT id FROM security_group_rules
		WHERE group_id = ? AND rule_key = ?`, r.GroupID, r.Key())
	if err != nil {
		return err
	}
	return topology.RuleExists(id)
}

// FindRule returns the rule, whoever owns it, or fault.NotFound.
func (s *Store) FindRule(ctx context.Context, id string) (topology.Rule, error) {
	return byID(ctx, s.reader(), ruleShape, id, scanRule, "")
}

// ListRules lists rules.
func (s *Store) ListRules(ctx context.Context, q Query) (all []topology.Rule, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		all, err = query(ctx, tx, ruleShape, q, scanRule)
		return err
	})
	return all, err
}

// DeleteRule deletes the rule.
func (s *Store) DeleteRule(ctx context.Context, id string, check func(*topology.Rule) error) error {
	return s.write(ctx, func(tx *Tx) error {
		r, err := byID(ctx, tx, ruleShape, id, scanRule, tx.forUpdate())
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(&r); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM security_group_rules WHERE id = ?`, id); err != nil {
			return err
		}
		if err := touchGroup(ctx, tx, r.GroupID); err != nil || r.RemoteGroupID == "" {
			return err
		}
		return dropMembersTx(ctx, tx, r.RemoteGroupID)
	})
}
