package compute

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/fleet"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/quota"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// nic is one interface of a server to be: a port that the user made, or one to
// make on a network.
type nic struct {
	Network topology.Network
	Port    *topology.Port
	Address netip.Addr // wanted; zero: any
	Tag     json.RawMessage
}

// visible is the project that lookups are limited to: admins see all.
func visible(by identity.Caller) string {
	if by.IsAdmin() {
		return ""
	}
	return by.ProjectID
}

// resolveNetworks finds what the request names among what the caller may use.
// The answers and their order are Nova's (nova/network/neutron.py,
// _ports_needed_per_instance): ports first, then all networks, then the rest.
func (a *api) resolveNetworks(ctx context.Context, by identity.Caller, wish networkWish) ([]nic, error) {
	if wish.Mode == "none" {
		return nil, nil
	}
	if len(wish.NICs) == 0 {
		return a.onlyNetwork(ctx, by, wish.Mode == "auto")
	}
	networks, err := a.findNetworks(ctx, by, wish)
	if err != nil {
		return nil, err
	}
	nics := make([]nic, 0, len(wish.NICs))
	for _, w := range wish.NICs {
		n := nic{Address: w.Address, Tag: w.Tag}
		if w.PortID != "" {
			if n.Port, err = a.usablePort(ctx, by, w.PortID); err != nil {
				return nil, err
			}
			if n.Network, err = a.Store.FindNetwork(ctx, n.Port.NetworkID); err != nil {
				return nil, err
			}
		} else {
			n.Network = networks[w.NetworkID]
			if err := attachable(by, n.Network); err != nil {
				return nil, err
			}
		}
		nics = append(nics, n)
	}
	return nics, nil
}

// findNetworks looks up all networks named, and names all that are not there.
func (a *api) findNetworks(ctx context.Context, by identity.Caller, wish networkWish) (map[string]topology.Network, error) {
	found := map[string]topology.Network{}
	var ids, lost []string
	for _, w := range wish.NICs {
		if w.PortID == "" && !slices.Contains(ids, w.NetworkID) {
			ids = append(ids, w.NetworkID)
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	list, err := a.Store.ListNetworks(ctx, store.Query{Filters: map[string][]string{"id": ids}, ProjectID: visible(by)})
	if err != nil {
		return nil, err
	}
	for _, n := range list {
		found[n.ID] = n
	}
	for _, id := range ids {
		if _, ok := found[id]; !ok {
			lost = append(lost, id)
		}
	}
	if len(lost) > 0 {
		return nil, fault.New(fault.Invalid, "", "Network %s could not be found.", strings.Join(lost, ", "))
	}
	return found, nil
}

// attachable refuses networks without subnets, and the external ones that Nova
// keeps for admins.
func attachable(by identity.Caller, n topology.Network) error {
	switch {
	case len(n.Subnets) == 0:
		return fault.New(fault.Invalid, "", "Network %s requires a subnet in order to boot instances on.", n.ID)
	case n.External && !n.Shared && !by.IsAdmin():
		return fault.New(fault.Forbidden, "", "It is not allowed to create an interface on external network %s", n.ID)
	}
	return nil
}

// onlyNetwork serves a request that names none: the project's own and the shared
// ones count, as in Nova, and more than one is ambiguous.
func (a *api) onlyNetwork(ctx context.Context, by identity.Caller, auto bool) ([]nic, error) {
	list, err := a.Store.ListNetworks(ctx, store.Query{ProjectID: by.ProjectID})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(n topology.Network) bool {
		return n.ProjectID != by.ProjectID && !n.Shared || auto && !n.AdminStateUp
	})
	switch {
	case len(list) > 1:
		return nil, fault.New(fault.Conflict, "", "Multiple possible networks found, use a Network ID to be more specific.")
	case len(list) == 1:
		if err := attachable(by, list[0]); err != nil {
			return nil, err
		}
		return []nic{{Network: list[0]}}, nil
	case auto:
		n, err := a.allocateNetwork(ctx, by)
		if err != nil {
			return nil, err
		}
		return []nic{{Network: n}}, nil
	}
	return nil, nil
}

// allocateNetwork gives the project a network of its own, if the region has what
// it needs for that.
func (a *api) allocateNetwork(ctx context.Context, by identity.Caller) (topology.Network, error) {
	t, err := a.Store.EnsureAutoTopology(ctx, by.ProjectID, by.IsAdmin())
	if fault.Is(err, fault.Conflict) {
		err = fault.New(fault.Invalid, "", "Unable to automatically allocate a network for project %s", by.ProjectID)
	}
	if err != nil {
		return topology.Network{}, err
	}
	return a.Store.FindNetwork(ctx, t.NetworkID)
}

// usablePort finds a port of the user's that can serve a new server. A foreign
// port is as absent as one that does not exist.
func (a *api) usablePort(ctx context.Context, by identity.Caller, id string) (*topology.Port, error) {
	p, err := a.Store.FindPort(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && p.ProjectID != by.ProjectID && !by.IsAdmin():
		return nil, fault.New(fault.Invalid, "", "Port id %s could not be found.", id)
	case err != nil:
		return nil, err
	case p.DeviceID != "" || p.Pod != "":
		return nil, fault.New(fault.Conflict, "", "Port %s is still in use.", id)
	case p.ProjectID != by.ProjectID:
		return nil, fault.New(fault.Invalid, "", "Port %s not usable for a server of project %s.", id, by.ProjectID)
	}
	return &p, nil
}

// resolveGroups turns names and IDs of security groups into IDs. Nil stays nil:
// each port then takes the project's default group. As in Nova, "default" is the
// project's own even if others have that name, and a name goes before an ID.
func (a *api) resolveGroups(ctx context.Context, by identity.Caller, wanted []string) ([]string, error) {
	if len(wanted) == 0 || len(wanted) == 1 && wanted[0] == topology.DefaultGroup {
		return nil, nil
	}
	if slices.Contains(wanted, topology.DefaultGroup) {
		if _, err := a.Store.EnsureDefaultGroup(ctx, by.ProjectID); err != nil {
			return nil, err
		}
	}
	groups, err := a.Store.ListSecurityGroups(ctx, store.Query{ProjectID: by.ProjectID})
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(wanted))
	for _, w := range wanted {
		id, err := pickGroup(groups, w)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func pickGroup(groups []topology.SecurityGroup, wanted string) (string, error) {
	var byName, byID []string
	for _, g := range groups {
		if g.Name == wanted {
			byName = append(byName, g.ID)
		}
		if g.ID == wanted {
			byID = append(byID, g.ID)
		}
	}
	switch {
	case len(byName) > 1 && wanted != topology.DefaultGroup:
		return "", fault.New(fault.Conflict, "", "Multiple security_group matches found for name '%s', use an ID to be more specific.", wanted)
	case len(byName) > 0:
		return byName[0], nil
	case len(byID) > 0:
		return byID[0], nil
	}
	return "", fault.New(fault.Invalid, "", "Unable to find security_group with name or id '%s'", wanted)
}

// portSpecs are the ports to make for one server, one per interface without a
// port of the user's.
func portSpecs(by identity.Caller, nics []nic, groups []string) ([]topology.PortSpec, error) {
	var specs []topology.PortSpec
	for _, n := range nics {
		if n.Port != nil {
			continue
		}
		if groups != nil && !n.Network.PortSecurityEnabled {
			return nil, fault.New(fault.Invalid, "",
				"Network requires port_security_enabled and subnet associated in order to apply security groups.")
		}
		spec := topology.PortSpec{
			Port: topology.Port{
				NetworkID: n.Network.ID, ProjectID: by.ProjectID, AdminStateUp: true,
				Auto: true,
			},
			WantGroups: groups,
		}
		if n.Address.IsValid() {
			spec.WantIPs = []topology.WantIP{{Address: n.Address}}
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// portFault says in Nova's words why the ports of a server cannot be made.
func (a *api) portFault(ctx context.Context, err error, specs []topology.PortSpec) error {
	f, ok := faultOf(err)
	if !ok {
		return err
	}
	switch f.Code {
	case "IpAddressAlreadyAllocated", "IpAddressInUse":
		for _, s := range specs {
			for _, w := range s.WantIPs {
				if device, taken := a.deviceAt(ctx, s.NetworkID, w.Address); taken {
					return fault.New(fault.Invalid, "", "Fixed IP address %s is already in use on instance %s.", w.Address, device)
				}
			}
		}
		return fault.New(fault.Invalid, "", "%s", f.Message)
	case "IpAddressGenerationFailure":
		var networks []string
		for _, s := range specs {
			networks = append(networks, s.NetworkID)
		}
		return noAddress(networks)
	}
	if f.Kind == fault.NotFound { // gone since it was looked up
		return fault.New(fault.Invalid, "", "%s", f.Message)
	}
	if f.Kind == fault.OverQuota && f.Code != quota.CodeTooMany && f.Code != quota.CodeVolumes {
		return fault.New(fault.Forbidden, "", "Maximum number of ports exceeded")
	}
	return err
}

// placeFault says in Nova's words why the ports cannot be brought into the pod:
// its DHCP needs addresses of the network too.
func placeFault(err error, ports []topology.Port) error {
	if f, ok := faultOf(err); !ok || f.Code != "IpAddressGenerationFailure" {
		return err
	}
	var networks []string
	for _, p := range ports {
		networks = append(networks, p.NetworkID)
	}
	return noAddress(networks)
}

func noAddress(networks []string) error {
	return fault.New(fault.Invalid, "", "No fixed IP addresses available for network: %s", strings.Join(networks, ", "))
}

// deviceAt is the server that has the address, if a port has it.
func (a *api) deviceAt(ctx context.Context, network string, address netip.Addr) (device string, taken bool) {
	ports, err := a.Store.ListPorts(ctx, store.Query{Filters: map[string][]string{"network_id": {network}}})
	if err != nil {
		return "", false
	}
	for _, p := range ports {
		for _, ip := range p.FixedIPs {
			if ip.Address == address {
				return p.DeviceID, true
			}
		}
	}
	return "", false
}

// confine says which pods can carry the networks: a local network, for one, stays
// where it is.
func (a *api) confine(ctx context.Context, nics []nic) ([]fleet.Confined, error) {
	var out []fleet.Confined
	for _, n := range nics {
		pods, err := a.Store.Reach(ctx, &n.Network)
		if err != nil {
			return nil, err
		}
		if pods != nil {
			out = append(out, fleet.Confined{Network: n.Network.ID, Pods: pods})
		}
	}
	return out, nil
}
