package store

import (
	"context"
	"strconv"

	"github.com/tricircle/tricircle/internal/topology"
)

// IPAvailability says how many addresses each network has, and how many of them
// are taken. The query is one for networks; versions, when not empty, are the IP
// versions to count.
func (s *Store) IPAvailability(ctx context.Context, q Query, versions []string) (all []topology.IPAvailability, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		networks, err := query(ctx, tx, networkShape, q, scanNetwork)
		if err != nil {
			return err
		}
		all = make([]topology.IPAvailability, len(networks))
		for i, n := range networks {
			all[i].Network = n
		}
		return addUsage(ctx, tx, all, versions)
	})
	return all, err
}

func addUsage(ctx context.Context, tx *Tx, all []topology.IPAvailability, versions []string) error {
	names, where := ids(all, func(a *topology.IPAvailability) string { return a.Network.ID })
	return details(ctx, tx, names, `
		SELECT `+bare(subnetShape)+`, (SELECT count(*) FROM addresses a WHERE a.subnet_id = subnets.id)
		FROM subnets
		WHERE `+ofVersions(versions)+`network_id`, `ORDER BY network_id, created_at, id`, func(row scanner) error {
		var used int64
		n, err := scanSubnet(withMore{row, &used})
		if err == nil {
			where[n.NetworkID].Count(&n, used)
		}
		return err
	})
}

// ofVersions is the condition that a subnet is of one of the IP versions.
func ofVersions(versions []string) string {
	if len(versions) == 0 {
		return ""
	}
	in := ""
	for _, v := range versions {
		if n, err := strconv.Atoi(v); err == nil {
			in += ", " + strconv.Itoa(n)
		}
	}
	return "ip_version IN (0" + in + ") AND "
}

// withMore scans one column more than the shape has.
type withMore struct {
	scanner
	last any
}

func (w withMore) Scan(into ...any) error { return w.scanner.Scan(append(into, w.last)...) }
