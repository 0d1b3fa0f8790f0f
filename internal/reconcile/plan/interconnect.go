package plan

import (
	"maps"
	"slices"

	"github.com/tricircle/tricircle/internal/topology"
)

// Member is a port of a network, in whatever pod.
type Member struct {
	ID       string `json:"id"`
	Owner    string `json:"device_owner"`
	DeviceID string `json:"device_id"`
	Host     string `json:"binding:host_id"`
	VIFType  string `json:"binding:vif_type"`
	Status   string `json:"status"`
}

// PodID is its ID in the pod.
func (m Member) PodID() string { return m.ID }

// Hosts are where the members of a pod are, as far as others have to reach them:
// the pod's DHCP ports serve it alone. unplaced is whether a port still waits for
// its host.
func Hosts(members []Member) (hosts []string, unplaced bool) {
	found := map[string]bool{}
	for _, m := range members {
		switch {
		case m.Owner == topology.OwnerStandIn || m.Owner == topology.OwnerDHCP:
		case m.Host != "":
			found[m.Host] = true
		case m.DeviceID != "":
			unplaced = true
		}
	}
	return slices.Sorted(maps.Keys(found)), unplaced
}

// StandIns is what to do about the stand-ins of a network in a pod.
type StandIns struct {
	Make   []string // hosts that have none
	Raise  []Member // there, but not up
	Remove []Member // of hosts without members, doubles, and such as the pod could not bind
}

// None is whether there is nothing to do.
func (s StandIns) None() bool { return len(s.Make)+len(s.Raise)+len(s.Remove) == 0 }

// Interconnect compares the hosts that the pod has to know with the stand-ins
// it has: one for each host. More is not needed. It makes the pod's switches flood
// to that host, and from its frames they learn who is there.
func Interconnect(hosts []string, found []Member) StandIns {
	var s StandIns
	has := map[string]bool{}
	for _, m := range found {
		switch {
		case has[m.Host] || !slices.Contains(hosts, m.Host) || m.VIFType == "binding_failed" || m.VIFType == "unbound":
			s.Remove = append(s.Remove, m)
			continue
		case m.Status != topology.StatusActive:
			s.Raise = append(s.Raise, m)
		}
		has[m.Host] = true
	}
	for _, h := range hosts {
		if !has[h] {
			s.Make = append(s.Make, h)
		}
	}
	return s
}

// NewStandIn is the body that creates a stand-in. It has no address: the members'
// own ports have those.
func NewStandIn(network, podNetwork, host string) map[string]any {
	return map[string]any{
		"network_id": podNetwork, "name": host, "description": Mark("interconnect", network),
		"device_owner": topology.OwnerStandIn, "binding:host_id": host, "fixed_ips": []any{}, "port_security_enabled": false,
	}
}
