package store

import (
	"context"
	"net/netip"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// poolRows are the pools as they are: what checkPool reads. poolRecord is for
// changes.
var (
	poolRows = newRecord(record[topology.SubnetPool]{
		shape:  shape{table: "subnetpools", missing: topology.NoSubnetPool},
		shares: "subnetpool", counts: "subnetpool",
	})
	poolRecord = poolRows.checked(checkPool)
)

// SubnetPools are the subnet pools.
func (s *Store) SubnetPools() Records[topology.SubnetPool] {
	return Records[topology.SubnetPool]{s, poolRecord}
}

// checkPool holds a pool to the rules that concern other rows. What counts them
// locks them: pools of one scope are changed one after the other, and so is
// cutting subnets out of one pool.
func checkPool(ctx context.Context, tx *Tx, before, after *topology.SubnetPool) error {
	if after == nil {
		taken, err := cutFrom(ctx, tx, before.ID, "")
		if err == nil && len(taken) > 0 {
			err = fault.New(fault.Invalid, "SubnetPoolDeleteError", "Unable to delete subnet pool: Subnet pool has existing allocations.")
		}
		return err
	}
	if err := after.Complete(); err != nil {
		return err
	}
	if after.IsDefault && (before == nil || !before.IsDefault) {
		if err := checkDefaultPool(ctx, tx, after.IPVersion); err != nil {
			return err
		}
	}
	if after.AddressScopeID == "" {
		return nil
	}
	return checkScope(ctx, tx, after)
}

func checkDefaultPool(ctx context.Context, tx *Tx, version int) error {
	others, err := list(ctx, tx, scanString, `SELECT id FROM subnetpools WHERE is_default = 1 AND ip_version = ?`, version)
	if err == nil && len(others) > 0 {
		err = topology.DefaultPoolExists()
	}
	return err
}

func checkScope(ctx context.Context, tx *Tx, p *topology.SubnetPool) error {
	scope, err := scopeRecord.find(ctx, tx, p.AddressScopeID, tx.forChange())
	if err != nil {
		return err
	}
	others, err := poolsOfScope(ctx, tx, scope.ID)
	if err != nil {
		return err
	}
	if scope.IPVersion == p.IPVersion {
		if err := checkAffinity(ctx, tx, p); err != nil {
			return err
		}
	}
	return p.CheckScope(&scope, others)
}

// checkAffinity refuses a scope for a pool whose subnets are beside subnets out
// of other pools, or of none.
func checkAffinity(ctx context.Context, tx *Tx, p *topology.SubnetPool) error {
	beside, err := list(ctx, tx, scanString, `
		SELECT id FROM subnets
		WHERE ip_version = ? AND subnetpool_id <> ?
			AND network_id IN (SELECT network_id FROM subnets WHERE subnetpool_id = ?)`, p.IPVersion, p.ID, p.ID)
	if err == nil && len(beside) > 0 {
		err = topology.ScopeAffinity()
	}
	return err
}

func poolsOfScope(ctx context.Context, tx *Tx, scope string) ([]topology.SubnetPool, error) {
	return poolRows.list(ctx, tx, Query{Filters: map[string][]string{"address_scope_id": {scope}}})
}

// cutFrom are the prefixes of the pool's subnets; with a project, of its own.
func cutFrom(ctx context.Context, tx *Tx, pool, project string) ([]netip.Prefix, error) {
	return list(ctx, tx, func(row scanner) (p netip.Prefix, err error) {
		err = row.Scan(prefixColumn{&p})
		return p, err
	}, `
		SELECT cidr FROM subnets
		WHERE subnetpool_id = ? AND (project_id = ? OR ? = '')`, pool, project, project)
}

// cut gives the subnet its prefix out of its pool. The pool's lock keeps others
// from cutting the same.
func cut(ctx context.Context, tx *Tx, spec *topology.SubnetSpec) (*topology.SubnetPool, error) {
	if spec.SubnetPoolID == "" {
		return nil, nil
	}
	p, err := poolRecord.find(ctx, tx, spec.SubnetPoolID, tx.forChange())
	if err != nil {
		return nil, err
	}
	taken, err := cutFrom(ctx, tx, p.ID, "")
	if err != nil {
		return nil, err
	}
	// As in Neutron, what counts is what the pool's own project has of it.
	used, err := cutFrom(ctx, tx, p.ID, p.ProjectID)
	if err != nil {
		return nil, err
	}
	return &p, p.Cut(spec, taken, used)
}

// scopesOf are the address scopes of a network, through its subnets' pools: for
// IPv4 and for IPv6.
func scopesOf(ctx context.Context, tx *Tx, networks []string, each func(network string, version int, scope string)) error {
	return details(ctx, tx, networks, `
		SELECT n.network_id, p.ip_version, p.address_scope_id
		FROM subnets n
		JOIN subnetpools p ON p.id = n.subnetpool_id
		WHERE p.address_scope_id <> '' AND n.network_id`, ``, func(row scanner) error {
		var network, scope string
		var version int
		err := row.Scan(&network, &version, &scope)
		each(network, version, scope)
		return err
	})
}

// RemovePrefixes takes prefixes out of a pool, if no subnet was cut out of them.
func (s *Store) RemovePrefixes(ctx context.Context, id string, gone []netip.Prefix) (p topology.SubnetPool, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		p, err = poolRecord.update(ctx, tx, id, func(p *topology.SubnetPool) error {
			taken, err := cutFrom(ctx, tx, id, "")
			if err != nil {
				return err
			}
			return p.RemovePrefixes(gone, taken)
		})
		return err
	})
	return p, err
}

// Onboard takes the network's subnets of the pool's IP version into the pool,
// which gets their prefixes.
func (s *Store) Onboard(ctx context.Context, pool, network string) (taken []topology.Subnet, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		taken, err = onboard(ctx, tx, pool, network)
		return err
	})
	return taken, err
}

func onboard(ctx context.Context, tx *Tx, pool, network string) ([]topology.Subnet, error) {
	p, err := poolRecord.find(ctx, tx, pool, tx.forUpdate())
	if err != nil {
		return nil, err
	}
	if err := touchNetwork(ctx, tx, network); err != nil {
		return nil, err
	}
	all, err := subnetsOf(ctx, tx, network)
	if err != nil {
		return nil, err
	}
	has, err := cutFrom(ctx, tx, pool, "")
	if err != nil {
		return nil, err
	}
	added, subnets, err := p.Onboard(all, has)
	if err != nil {
		return nil, err
	}
	_, err = poolRecord.update(ctx, tx, pool, func(p *topology.SubnetPool) error {
		return p.SetPrefixes(append(append([]netip.Prefix{}, p.Prefixes...), added...))
	})
	if err != nil {
		return nil, err
	}
	for _, n := range subnets {
		_, err := tx.Exec(ctx, `
			UPDATE subnets
			SET subnetpool_id = ?, updated_at = ?, revision = revision + 1
			WHERE id = ?`, pool, tx.now(), n.ID)
		if err != nil {
			return nil, err
		}
	}
	return subnets, nil
}
