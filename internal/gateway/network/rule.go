package network

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/topology"
)

var ruleAttributes = standard(
	attribute{name: "security_group_id", read: readText(36), required: true, post: true, filter: asIs, sort: true},
	attribute{name: "remote_group_id", read: readTextOrNull, post: true, filter: asIs, sort: true},
	attribute{name: "remote_address_group_id", read: readTextOrNull, post: true, filter: asIs, sort: true},
	attribute{name: "direction", read: readOneOf(nil, topology.Ingress, topology.Egress), required: true, post: true, filter: asIs, sort: true},
	attribute{name: "protocol", read: readProtocol, post: true, filter: filterProtocol, sort: true},
	attribute{name: "port_range_min", read: readPort, post: true, filter: filterNumber, sort: true},
	attribute{name: "port_range_max", read: readPort, post: true, filter: filterNumber, sort: true},
	attribute{name: "ethertype", read: readEtherType, fallback: topology.IPv4, post: true, filter: filterEtherType, sort: true},
	attribute{name: "remote_ip_prefix", read: readRemotePrefix, post: true, filter: filterPrefix, sort: true},
	attribute{name: "normalized_cidr"},
)

func readTextOrNull(name string, v any) (any, error) {
	if v == nil {
		return "", nil
	}
	return readText(255)(name, v)
}

func readProtocol(_ string, v any) (any, error) {
	if v == nil {
		return "", nil
	}
	return topology.ParseProtocol(python(v))
}

func filterProtocol(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	return topology.ParseProtocol(v)
}

// readPort reads a port, or the type or code of ICMP.
func readPort(_ string, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	text := python(v)
	n, err := strconv.Atoi(text)
	if _, isBool := v.(bool); err != nil || isBool || n < 0 || n > 65535 {
		return nil, topology.BadPort(text)
	}
	return n, nil
}

func readEtherType(_ string, v any) (any, error) {
	for _, known := range []string{topology.IPv4, topology.IPv6} {
		if strings.EqualFold(python(v), known) {
			return known, nil
		}
	}
	return nil, fault.New(fault.Invalid, "SecurityGroupRuleInvalidEtherType",
		"Security group rule for ethertype '%s' not supported. Allowed values are ['IPv4', 'IPv6'].", python(v))
}

func filterEtherType(v string) (string, error) {
	known, err := readEtherType("", v)
	if err != nil {
		return "", err
	}
	return known.(string), nil
}

func readRemotePrefix(_ string, v any) (any, error) {
	if v == nil || v == "" || v == json.Number("0") {
		return "", nil
	}
	p, err := topology.ParsePrefix(python(v))
	if err != nil {
		return nil, fault.New(fault.Invalid, "InvalidCIDR", "Invalid CIDR %s given as IP prefix.", python(v))
	}
	return p.String(), nil
}

func filterPrefix(v string) (string, error) {
	p, err := readRemotePrefix("", v)
	if err != nil {
		return "", err
	}
	return p.(string), nil
}

func (a *api) rules() *resource[topology.Rule] {
	return &resource[topology.Rule]{
		one: "security_group_rule", many: "security_group_rules", attributes: ruleAttributes, missing: topology.NoRule,
		list: a.Store.ListRules,
		find: a.Store.FindRule,
		facts: func(r *topology.Rule) map[string]any {
			return map[string]any{"project_id": r.ProjectID, "security_group_id": r.GroupID}
		},
		belongs: a.parentsOf,
		prepare: a.ensureDefaultGroup,
		view:    viewRules, create: a.createRules,
		remove: func(ctx context.Context, _ identity.Caller, old *topology.Rule, match revision) error {
			return a.Store.DeleteRule(ctx, old.ID, func(r *topology.Rule) error { return check(match, r.Revision) })
		},
	}
}

func (a *api) createRules(ctx context.Context, by identity.Caller, all []values) ([]topology.Rule, error) {
	rules := make([]topology.Rule, len(all))
	for i, v := range all {
		r := &rules[i]
		set(v, "project_id", &r.ProjectID)
		set(v, "description", &r.Description)
		set(v, "security_group_id", &r.GroupID)
		set(v, "remote_group_id", &r.RemoteGroupID)
		set(v, "remote_address_group_id", &r.AddressGroupID)
		set(v, "direction", &r.Direction)
		set(v, "protocol", &r.Protocol)
		set(v, "ethertype", &r.EtherType)
		set(v, "remote_ip_prefix", &r.RemoteIPPrefix)
		r.PortMin, r.PortMax = portOf(v, "port_range_min"), portOf(v, "port_range_max")
		if err := r.Normalize(); err != nil {
			return nil, err
		}
		if r.RemoteGroupID != "" {
			if _, err := a.securityGroups().get(ctx, by, r.RemoteGroupID); err != nil {
				return nil, err
			}
		}
		if r.AddressGroupID != "" {
			if _, err := a.addressGroups().get(ctx, by, r.AddressGroupID); err != nil {
				return nil, err
			}
		}
		if err := a.usableGroup(ctx, by, r.GroupID); err != nil {
			return nil, err
		}
	}
	return a.Store.CreateRules(ctx, rules)
}

func portOf(v values, name string) *int {
	if n, ok := v[name].(int); ok {
		return &n
	}
	return nil
}

// usableGroup refuses groups that are not the caller's.
func (a *api) usableGroup(ctx context.Context, by identity.Caller, id string) error {
	g, err := a.Store.FindSecurityGroup(ctx, id)
	if err != nil {
		return err
	}
	if !mine(by, g.ProjectID) {
		return topology.NoSecurityGroup(id)
	}
	return nil
}

func viewRules(_ context.Context, _ identity.Caller, all []topology.Rule) ([]map[string]any, error) {
	shown := make([]map[string]any, len(all))
	for i, r := range all {
		m := owned(r.ID, r.ProjectID, r.Description, r.CreatedAt, r.UpdatedAt, r.Revision)
		m["security_group_id"], m["direction"], m["ethertype"] = r.GroupID, r.Direction, r.EtherType
		m["protocol"], m["port_range_min"], m["port_range_max"] = orNull(r.Protocol), r.PortMin, r.PortMax
		m["remote_ip_prefix"], m["remote_group_id"] = orNull(r.RemoteIPPrefix), orNull(r.RemoteGroupID)
		m["remote_address_group_id"] = orNull(r.AddressGroupID)
		m["normalized_cidr"] = orNull(r.NormalizedCIDR())
		shown[i] = m
	}
	return shown, nil
}
