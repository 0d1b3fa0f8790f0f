package store

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

const (
	// sampleSize is how many addresses of a pod's blocks are looked up at once. A
	// block whose sample is all taken counts as full: of 4,096 addresses, 90 % taken,
	// that errs once in a thousand.
	sampleSize = 64
	// blockTries bounds how often the pod's blocks grow for one address, because
	// other transactions use them up at once.
	blockTries = 16
)

// takeNear takes an address of the blocks of the pod where the port is going to
// be, which grow when they are full. It is false when there is no block left: then
// any address does, as all of the subnet is reachable by way of its home.
func (pl placement) takeNear(ctx context.Context, tx *Tx, s *topology.Subnet) (bool, error) {
	if _, ok := s.BlockBits(); !ok || pl.near == "" {
		return false, nil
	}
	for range blockTries {
		own, err := podBlocks(ctx, tx, s.ID, pl.near)
		if err != nil {
			return false, err
		}
		if got, err := pl.takeWithin(ctx, tx, s, own); got || err != nil {
			return got, err
		}
		if grown, err := growBlocks(ctx, tx, s, pl.near, len(own)); !grown || err != nil {
			return false, err
		}
	}
	return false, nil
}

// takeWithin takes an address of the blocks: of the newest, where most are free,
// by luck; else one that is seen to be free.
func (pl placement) takeWithin(ctx context.Context, tx *Tx, s *topology.Subnet, blocks []netip.Prefix) (bool, error) {
	if len(blocks) == 0 {
		return false, nil
	}
	if a, ok := topology.RandomAddress(topology.Within(s.AllocationPools, blocks[:1]), rand.Uint64N); ok {
		if got, err := pl.insert(ctx, tx, s, a); got || err != nil {
			return got, err
		}
	}
	pools := topology.Within(s.AllocationPools, blocks)
	for range pickTries {
		free, err := sampleFree(ctx, tx, s.ID, pools)
		if err != nil || len(free) == 0 {
			return false, err
		}
		if got, err := pl.insert(ctx, tx, s, free[rand.IntN(len(free))]); got || err != nil {
			return got, err
		}
	}
	return false, nil
}

// sampleFree picks addresses of the pools and returns those that nobody has.
func sampleFree(ctx context.Context, tx *Tx, subnetID string, pools []topology.Pool) ([]netip.Addr, error) {
	picked := topology.Sample(pools, sampleSize, rand.Uint64N)
	if len(picked) == 0 {
		return nil, nil
	}
	args := []any{subnetID}
	for _, a := range picked {
		args = append(args, a.String())
	}
	taken, err := list(ctx, tx, scanAddr, `
		SELECT address FROM addresses
		WHERE subnet_id = ? AND address IN (`+marks(len(picked))+`)`, args...)
	return slices.DeleteFunc(picked, func(a netip.Addr) bool { return slices.Contains(taken, a) }), err
}

// growBlocks gives the pod one more block that has a free address. It is false
// when none is left. Another transaction may have been faster, so that the pod has
// more than the caller found full: then he looks again.
func growBlocks(ctx context.Context, tx *Tx, s *topology.Subnet, pod string, full int) (bool, error) {
	blocks, err := blocksOf(ctx, tx, s.ID)
	if err != nil {
		return false, err
	}
	if len(blocks[s.ID][pod]) > full {
		return true, nil
	}
	var others []netip.Prefix
	for owner, all := range blocks[s.ID] {
		if owner != pod {
			others = append(others, all...)
		}
	}
	own, free := blocks[s.ID][pod], slices.DeleteFunc(s.Blocks(), func(b netip.Prefix) bool {
		return slices.Contains(others, b) || slices.Contains(blocks[s.ID][pod], b)
	})
	for {
		next, found := s.NextBlock(free, own, others)
		if !found {
			return false, nil
		}
		room, err := sampleFree(ctx, tx, s.ID, topology.Within(s.AllocationPools, []netip.Prefix{next}))
		if err != nil {
			return false, err
		}
		if len(room) > 0 {
			return true, addBlock(ctx, tx, s, next, pod)
		}
		free = slices.DeleteFunc(free, func(b netip.Prefix) bool { return b == next })
	}
}

func addBlock(ctx context.Context, tx *Tx, s *topology.Subnet, block netip.Prefix, pod string) error {
	got, err := affected(tx.Exec(ctx, `
		INSERT INTO address_blocks (subnet_id, prefix, pod, taken_at)
		VALUES (?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, s.ID, block.String(), pod, tx.now()))
	if dangling(err) {
		return noPod(pod)
	}
	if err != nil || !got {
		return err
	}
	return rerouteTo(ctx, tx, s.NetworkID)
}

// rerouteTo has the routers on the network look at their routes again in the pods
// that lack it: there alone blocks are routes.
func rerouteTo(ctx context.Context, tx *Tx, networkID string) error {
	ports, err := portsWhere(ctx, tx, "t.network_id = ? AND t.device_owner IN ("+interfaceOwners+")", networkID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		err := bump(ctx, tx, KindRouter, p.DeviceID, `
			UPDATE mappings
			SET generation = generation + 1, updated_at = ?
			WHERE kind = ? AND id = ? AND wanted = 1
			AND pod NOT IN (SELECT n.pod FROM mappings n WHERE n.kind = 'network' AND n.id = ? AND n.wanted = 1)
			RETURNING pod`, networkID)
		if err != nil {
			return err
		}
	}
	return nil
}

// podBlocks are the pod's blocks of the subnet, the newest first.
func podBlocks(ctx context.Context, tx *Tx, subnetID, pod string) ([]netip.Prefix, error) {
	return list(ctx, tx, scanPrefix, `
		SELECT prefix FROM address_blocks
		WHERE subnet_id = ? AND pod = ?
		ORDER BY taken_at DESC, prefix`, subnetID, pod)
}

// blocksOf are the blocks of the subnets, by subnet and pod.
func blocksOf(ctx context.Context, tx *Tx, subnetIDs ...string) (map[string]map[string][]netip.Prefix, error) {
	blocks := map[string]map[string][]netip.Prefix{}
	err := details(ctx, tx, subnetIDs, `SELECT subnet_id, pod, prefix FROM address_blocks WHERE subnet_id`, `ORDER BY subnet_id, prefix`,
		func(row scanner) error {
			var subnet, pod, prefix string
			if err := row.Scan(&subnet, &pod, &prefix); err != nil {
				return err
			}
			p, err := netip.ParsePrefix(prefix)
			if blocks[subnet] == nil {
				blocks[subnet] = map[string][]netip.Prefix{}
			}
			blocks[subnet][pod] = append(blocks[subnet][pod], p)
			return err
		})
	return blocks, err
}

// ReleaseBlocks frees the pod's blocks in which no server has an address any more,
// and returns how many.
func (s *Store) ReleaseBlocks(ctx context.Context, pod string) (released int64, err error) {
	err = s.write(ctx, func(tx *Tx) error {
		released = 0
		subnets, err := list(ctx, tx, scanString, `SELECT DISTINCT subnet_id FROM address_blocks WHERE pod = ? ORDER BY subnet_id`, pod)
		if err != nil {
			return err
		}
		for _, id := range subnets {
			n, err := releaseBlocks(ctx, tx, id, pod)
			if released += n; err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			network, err := find(ctx, tx, topology.NoSubnet(id), scanString, `SELECT network_id FROM subnets WHERE id = ?`, id)
			if err != nil {
				return err
			}
			if err := rerouteTo(ctx, tx, network); err != nil {
				return err
			}
		}
		return nil
	})
	return released, err
}

func releaseBlocks(ctx context.Context, tx *Tx, subnetID, pod string) (released int64, err error) {
	blocks, err := podBlocks(ctx, tx, subnetID, pod)
	if err != nil {
		return 0, err
	}
	// A pod's own ports, for DHCP and its routers, stand anywhere.
	taken, err := list(ctx, tx, scanAddr, `
		SELECT a.address FROM addresses a
		WHERE a.subnet_id = ? AND NOT EXISTS (SELECT 1 FROM ports p WHERE p.id = a.port_id AND p.pod <> '')`, subnetID)
	if err != nil {
		return 0, err
	}
	for _, b := range blocks {
		if slices.ContainsFunc(taken, b.Contains) {
			continue
		}
		_, err := tx.Exec(ctx, `DELETE FROM address_blocks WHERE subnet_id = ? AND prefix = ? AND pod = ?`, subnetID, b.String(), pod)
		if err != nil {
			return released, err
		}
		released++
	}
	return released, nil
}

// clearBlocks frees the pod's blocks of a network that has left it.
func clearBlocks(ctx context.Context, tx *Tx, network, pod string) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM address_blocks
		WHERE pod = ? AND subnet_id IN (SELECT id FROM subnets WHERE network_id = ?)`, pod, network)
	return err
}

// CountBlocks says how the network's subnets are divided among pods.
func (s *Store) CountBlocks(ctx context.Context, networkID string) (reports []topology.SubnetBlocks, err error) {
	err = s.read(ctx, func(tx *Tx) error {
		reports = []topology.SubnetBlocks{}
		if _, err := byID(ctx, tx, networkShape, networkID, scanNetwork, ""); err != nil {
			return err
		}
		subnets, err := subnetsOf(ctx, tx, networkID)
		if err != nil {
			return err
		}
		for _, n := range subnets {
			if n.AutoAddress() {
				continue // servers choose their addresses there
			}
			blocks, err := blocksOf(ctx, tx, n.ID)
			if err != nil {
				return err
			}
			taken, err := podAddresses(ctx, tx, n.ID)
			if err != nil {
				return err
			}
			reports = append(reports, topology.CountBlocks(n, blocks[n.ID], taken))
		}
		return nil
	})
	return reports, err
}

// podAddresses are the subnet's addresses that are taken, with the pods of the
// servers that have them.
func podAddresses(ctx context.Context, tx *Tx, subnetID string) ([]topology.PodAddress, error) {
	return list(ctx, tx, func(row scanner) (a topology.PodAddress, err error) {
		err = row.Scan(intoAddr(&a.Address), &a.Pod)
		return a, err
	}, `
		SELECT a.address, coalesce(m.pod, '') FROM addresses a
		JOIN ports p ON p.id = a.port_id AND p.pod = ''
		LEFT JOIN mappings m ON m.kind = 'port' AND m.id = a.port_id AND m.wanted = 1
		WHERE a.subnet_id = ?`, subnetID)
}

func scanAddr(row scanner) (a netip.Addr, err error) {
	err = row.Scan(intoAddr(&a))
	return a, err
}

func scanPrefix(row scanner) (netip.Prefix, error) {
	var s string
	if err := row.Scan(&s); err != nil {
		return netip.Prefix{}, err
	}
	return netip.ParsePrefix(s)
}
