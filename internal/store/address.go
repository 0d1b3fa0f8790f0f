package store

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/netip"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

const (
	// luckyTries is how often an address is picked at random before all that are
	// taken are read: cheap while a subnet is not nearly full.
	luckyTries = 6
	// pickTries bounds how often a pick is repeated because other transactions
	// took the address first. Each time one of them got on.
	pickTries = 1000
	macTries  = 16
)

// affected reports whether a statement made a row, or changed or removed some.
func affected(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// placement is what one port asks for, and the subnets that it may have it of.
type placement struct {
	port    *topology.Port
	subnets []topology.Subnet // of the port's network
	near    string            // the pod where the port is going to be; empty: not known
}

// takeAddresses gives the port the addresses in want; nil is one per IP version.
// Every port also has its own address in each subnet where servers give
// themselves theirs.
func (pl placement) takeAddresses(ctx context.Context, tx *Tx, want []topology.WantIP) error {
	all := pl.subnets
	if pl.port.DeviceOwner == topology.OwnerPodRouter {
		// It goes where the central interface is, which was let in.
	} else if pl.subnets = topology.Serving(all, pl.port.DeviceOwner); len(pl.subnets) == 0 && len(all) > 0 {
		return topology.NoneServing(pl.port.NetworkID, pl.port.DeviceOwner)
	}
	var err error
	if want == nil {
		err = pl.takeDefaults(ctx, tx)
	} else {
		for _, w := range want {
			if err = pl.takeOne(ctx, tx, w); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	for i := range pl.subnets {
		s := &pl.subnets[i]
		if pl.auto(s) && !pl.has(s.ID) {
			if err := pl.takeExact(ctx, tx, s, topology.EUI64(s.CIDR, pl.port.MACAddress)); err != nil {
				return err
			}
		}
	}
	return nil
}

// auto says that the port's address in the subnet follows from its MAC.
func (pl placement) auto(s *topology.Subnet) bool {
	return s.AutoAddress() && !topology.IsRouterInterface(pl.port.DeviceOwner) && pl.port.DeviceOwner != topology.OwnerPodRouter
}

func (pl placement) has(subnetID string) bool {
	for _, ip := range pl.port.FixedIPs {
		if ip.SubnetID == subnetID {
			return true
		}
	}
	return false
}

// takeDefaults takes one IPv4 address and one IPv6 address, each of the first
// subnet that has one left.
func (pl placement) takeDefaults(ctx context.Context, tx *Tx) error {
	for _, version := range []int{4, 6} {
		var candidates []*topology.Subnet
		for i := range pl.subnets {
			if s := &pl.subnets[i]; s.IPVersion == version && !s.AutoAddress() {
				candidates = append(candidates, s)
			}
		}
		if len(candidates) == 0 {
			continue
		}
		got, err := pl.takeAny(ctx, tx, candidates)
		if err != nil {
			return err
		}
		if !got {
			return noneLeft(pl.port.NetworkID)
		}
	}
	return nil
}

func noneLeft(networkID string) error {
	return fault.New(fault.Conflict, "IpAddressGenerationFailure", "No more IP addresses available on network %s.", networkID)
}

func (pl placement) takeAny(ctx context.Context, tx *Tx, candidates []*topology.Subnet) (bool, error) {
	for _, s := range candidates {
		for _, take := range []func(context.Context, *Tx, *topology.Subnet) (bool, error){pl.takeNear, pl.takeFree} {
			if got, err := take(ctx, tx, s); got || err != nil {
				return got, err
			}
		}
	}
	return false, nil
}

func (pl placement) takeOne(ctx context.Context, tx *Tx, w topology.WantIP) error {
	s, err := pl.subnet(ctx, tx, w)
	if err != nil {
		return err
	}
	if w.Address.IsValid() {
		if pl.auto(s) {
			return fault.New(fault.Invalid, "AllocationOnAutoAddressSubnet",
				"IPv6 address %s cannot be directly assigned to a port on subnet %s as the subnet is configured for automatic addresses",
				w.Address, s.ID)
		}
		return pl.takeExact(ctx, tx, s, w.Address)
	}
	if pl.auto(s) {
		return nil // comes with the rest
	}
	got, err := pl.takeAny(ctx, tx, []*topology.Subnet{s})
	if err == nil && !got {
		err = noneLeft(s.NetworkID)
	}
	return err
}

// subnet finds which of the network's subnets is meant.
func (pl placement) subnet(ctx context.Context, tx *Tx, w topology.WantIP) (*topology.Subnet, error) {
	if w.SubnetID == "" {
		if !w.Address.IsValid() {
			return nil, fault.New(fault.Invalid, "InvalidInput",
				"Invalid input for operation: IP allocation requires subnet_id or ip_address.")
		}
		return topology.SubnetFor(pl.subnets, w.Address, pl.port.DeviceOwner)
	}
	for i := range pl.subnets {
		if s := &pl.subnets[i]; s.ID == w.SubnetID {
			if !w.Address.IsValid() {
				return s, nil
			}
			return s, s.CheckAddress(w.Address, pl.port.DeviceOwner)
		}
	}
	if _, err := byID(ctx, tx, subnetShape, w.SubnetID, scanSubnet, ""); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Invalid, "InvalidInput",
		"Invalid input for operation: Failed to create port on network %s, because fixed_ips included invalid subnet %s.",
		pl.port.NetworkID, w.SubnetID)
}

func (pl placement) takeExact(ctx context.Context, tx *Tx, s *topology.Subnet, a netip.Addr) error {
	got, err := pl.insert(ctx, tx, s, a)
	if err == nil && !got {
		err = heldBy(ctx, tx, topology.AddressTaken(a, s.ID),
			`SELECT port_id FROM addresses WHERE subnet_id = ? AND address = ?`, s.ID, a.String())
	}
	return err
}

// takeFree takes a free address of the pools: random ones while that is likely
// to hit, then one that is known to be free. False means there is none.
func (pl placement) takeFree(ctx context.Context, tx *Tx, s *topology.Subnet) (bool, error) {
	below := rand.Uint64N
	if pl.port.DeviceOwner == topology.OwnerDHCP {
		below = topology.Lowest // at the start of the pool, where operators look for them
	} else {
		for range luckyTries {
			a, ok := topology.RandomAddress(s.AllocationPools, below)
			if !ok {
				return false, nil
			}
			if got, err := pl.insert(ctx, tx, s, a); got || err != nil {
				return got, err
			}
		}
	}
	for range pickTries {
		taken, err := takenAddresses(ctx, tx, s.ID)
		if err != nil {
			return false, err
		}
		a, ok := topology.FreeAddress(s.AllocationPools, taken, below)
		if !ok {
			return false, nil
		}
		if got, err := pl.insert(ctx, tx, s, a); got || err != nil {
			return got, err
		}
	}
	return false, nil
}

// insert takes the address if nobody has it. The table's key decides; on
// PostgreSQL it waits for a transaction that is about to take the same one.
func (pl placement) insert(ctx context.Context, tx *Tx, s *topology.Subnet, a netip.Addr) (bool, error) {
	got, err := affected(tx.Exec(ctx, `
		INSERT INTO addresses (subnet_id, address, port_id, position)
		VALUES (?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, s.ID, a.String(), pl.port.ID, len(pl.port.FixedIPs)))
	if dangling(err) {
		return false, topology.NoSubnet(s.ID) // deleted at this moment
	}
	if got {
		pl.port.FixedIPs = append(pl.port.FixedIPs, topology.FixedIP{SubnetID: s.ID, Address: a})
	}
	return got, err
}

func takenAddresses(ctx context.Context, tx *Tx, subnetID string) ([]netip.Addr, error) {
	return list(ctx, tx, scanAddr, `SELECT address FROM addresses WHERE subnet_id = ?`, subnetID)
}

// takeMAC gives the port the MAC address it names, or a new one.
func takeMAC(ctx context.Context, tx *Tx, p *topology.Port) error {
	if p.MACAddress != "" {
		got, err := insertMAC(ctx, tx, p)
		if err == nil && !got {
			err = heldBy(ctx, tx, topology.MACTaken(p.NetworkID, p.MACAddress),
				`SELECT port_id FROM macs WHERE network_id = ? AND mac_address = ?`, p.NetworkID, p.MACAddress)
		}
		return err
	}
	prefix := tx.store.Fabric().MAC()
	for range macTries {
		p.MACAddress = topology.MakeMAC(prefix, rand.Uint64N)
		if got, err := insertMAC(ctx, tx, p); got || err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "NetworkMacAddressGenerationFailure",
		"Unable to generate unique mac on network %s.", p.NetworkID)
}

func insertMAC(ctx context.Context, tx *Tx, p *topology.Port) (bool, error) {
	return affected(tx.Exec(ctx, `
		INSERT INTO macs (network_id, mac_address, port_id)
		VALUES (?, ?, ?)
		ON CONFLICT DO NOTHING`, p.NetworkID, p.MACAddress, p.ID))
}

// dropAddresses gives the addresses back at once. Only for those that no pod
// knows, or whose port keeps its others: then a pod that still has one refuses
// it to the next port until the first is updated, and the job tries again.
func dropAddresses(ctx context.Context, tx *Tx, portID string, gone []topology.FixedIP) error {
	for _, ip := range gone {
		_, err := tx.Exec(ctx, `DELETE FROM addresses WHERE subnet_id = ? AND address = ? AND port_id = ?`,
			ip.SubnetID, ip.Address.String(), portID)
		if err != nil {
			return err
		}
	}
	return nil
}
