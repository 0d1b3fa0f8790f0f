package trace

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// maxPods bounds the way: a router sends a packet at once to a pod that has its
// network, or to one where a route of the user's begins.
const maxPods = 4

// walk works out the hops of one way. It is pure.
type walk struct {
	traffic  Traffic
	from, to end
	back     bool
	sites    map[string]store.RouterSite // of the router between, by pod
	nets     map[string]topology.Network
	hops     []Hop
}

func (w *walk) add(h Hop) { w.hops = append(w.hops, h) }

// broken ends the way with something that is wrong with the region's own state.
func (w *walk) broken(pod, kind, id, what, problem string) {
	w.add(Hop{Pod: pod, Kind: kind, ID: id, What: what, Problem: problem})
}

// follow walks from end to end.
func (w *walk) follow() {
	for _, e := range []end{w.from, w.to} {
		if e.pod == "" {
			w.broken("", store.KindPort, e.port.ID, e.named(), "it is in no pod: no server there has started with it")
			return
		}
	}
	w.add(portHop(w.from))
	w.group(w.from, w.to, topology.Egress)
	w.add(networkHop(w.from.pod, w.from.net))
	if w.from.subnet.ID == w.to.subnet.ID {
		w.wire(w.from.net, w.from.pod, w.to.pod)
	} else if !w.route() {
		return
	}
	w.group(w.to, w.from, topology.Ingress)
	w.add(portHop(w.to))
}

// group adds what lets the packet out, or in. Answers of stateful groups pass
// without a rule.
func (w *walk) group(e, peer end, direction string) {
	if !e.port.PortSecurityEnabled {
		return
	}
	stateless := slices.ContainsFunc(e.groups, func(g topology.SecurityGroup) bool { return !g.Stateful })
	if w.back && !stateless {
		return
	}
	p := packet{direction: direction, traffic: w.traffic, peer: peer.addr, answer: w.back}
	h := Hop{Pod: e.pod, Kind: store.KindSecurityGroup, What: fmt.Sprintf("%s %s %s", p, map[string]string{
		topology.Ingress: "may reach", topology.Egress: "may leave"}[direction], e.name)}
	h.check = checkGroups(e, peer, p)
	w.add(h)
}

// wire adds the way of a network from pod to pod.
func (w *walk) wire(n topology.Network, from, to string) {
	if from == to {
		return
	}
	h := Hop{Kind: "interconnect", ID: n.ID, What: fmt.Sprintf("%s joins %s and %s", segmentText(n), from, to), Assumed: true}
	if n.Alone() {
		h.Problem = "a " + n.Type + " network lives in one pod"
	}
	w.add(h)
	w.add(networkHop(to, n))
}

func segmentText(n topology.Network) string {
	switch n.Type {
	case topology.TypeVLAN:
		return fmt.Sprintf("VLAN %d on %s", n.SegmentationID, n.PhysicalNetwork)
	case topology.TypeVXLAN:
		return fmt.Sprintf("VXLAN %d", n.SegmentationID)
	}
	return n.Type + " " + n.PhysicalNetwork
}

// route adds the way over the router; false: it ends somewhere.
func (w *walk) route() bool {
	at := w.from.pod
	in, ok := w.enter(at)
	if !ok {
		return false
	}
	w.add(gatewayHop(at, w.from.subnet, in, w.to.addr))
	w.add(interfaceHop(at, w.sites[at], in, w.nets[in.NetworkID]))
	w.add(routerHop(at, w.sites[at]))
	for range maxPods {
		if slices.Contains(w.podsWith(w.to.subnet.ID), at) && !w.shadowed(at) {
			return w.leave(at)
		}
		next, ok := w.bridge(at)
		if !ok {
			return false
		}
		at = next
	}
	w.broken("", store.KindRouter, "", "the way goes on", "the routes lead in a circle")
	return false
}

// enter finds the router's place on the subnet where the packet begins.
func (w *walk) enter(at string) (topology.Port, bool) {
	what := fmt.Sprintf("a router between %s and %s", w.from.subnet.CIDR, w.to.subnet.CIDR)
	if len(w.sites) == 0 {
		w.broken("", store.KindRouter, "", what, "no router is on both subnets, or it is in no pod yet")
		return topology.Port{}, false
	}
	in, found := portOn(w.sites[at], w.from.subnet.ID)
	if !found {
		w.broken(at, store.KindRouter, w.routerID(), what, "it has no address for this pod yet: its job has not run")
	}
	return in, found
}

func (w *walk) routerID() string {
	for _, s := range w.sites {
		return s.Router.ID
	}
	return ""
}

// podsWith are the pods where the router is on the subnet.
func (w *walk) podsWith(subnetID string) (pods []string) {
	for pod, site := range w.sites {
		if _, found := portOn(site, subnetID); found {
			pods = append(pods, pod)
		}
	}
	return pods
}

func portOn(site store.RouterSite, subnetID string) (topology.Port, bool) {
	for _, p := range site.Ports {
		if slices.ContainsFunc(p.FixedIPs, func(ip topology.FixedIP) bool { return ip.SubnetID == subnetID }) {
			return p, true
		}
	}
	return topology.Port{}, false
}

// shadowed says that a route of the user's takes the packet away from the subnet.
func (w *walk) shadowed(at string) bool {
	best, found := longest(w.sites[at].RouterPlan().Routes, w.to.addr)
	return found && best.Destination.Bits() >= w.to.subnet.CIDR.Bits()
}

// longest is the most specific of the routes to the address.
func longest(routes []topology.HostRoute, to netip.Addr) (best topology.HostRoute, found bool) {
	for _, r := range routes {
		if r.Destination.Contains(to) && (!found || r.Destination.Bits() > best.Destination.Bits()) {
			best, found = r, true
		}
	}
	return best, found
}

// leave adds the way from the router to the subnet where the packet ends.
func (w *walk) leave(at string) bool {
	out, _ := portOn(w.sites[at], w.to.subnet.ID)
	n := w.nets[out.NetworkID]
	w.add(interfaceHop(at, w.sites[at], out, n))
	if n.ID != w.from.net.ID || at != w.from.pod {
		w.add(networkHop(at, n))
	}
	w.wire(n, at, w.to.pod)
	return true
}

// bridge adds the way over the bridge to the next pod.
func (w *walk) bridge(at string) (next string, ok bool) {
	site := w.sites[at]
	plan := site.RouterPlan()
	best, found := longest(plan.Routes, w.to.addr)
	if !found {
		w.broken(at, "route", site.Router.ID, fmt.Sprintf("a route to %s", w.to.addr), noRoute(plan, w.to.addr))
		return "", false
	}
	w.add(routeHop(at, site, best, w.to.addr))
	next, far := w.owner(best.NextHop)
	if next == "" {
		w.broken(at, "route", site.Router.ID, fmt.Sprintf("%s is the tenant's", best.NextHop),
			"the user's own route, or the gateway, takes the packet away from the subnet")
		return "", false
	}
	near, _ := w.placeOn(site, far.NetworkID)
	n := w.nets[far.NetworkID]
	w.add(interfaceHop(at, site, near, n))
	w.add(networkHop(at, n))
	w.wire(n, at, next)
	w.add(interfaceHop(next, w.sites[next], far, n))
	w.add(routerHop(next, w.sites[next]))
	return next, true
}

func noRoute(plan topology.RoutePlan, to netip.Addr) string {
	for _, u := range plan.Unroutable {
		if u.Destination.Contains(to) {
			return u.Reason
		}
	}
	return "none is planned: no pod with the network is on the bridge"
}

// owner is the pod whose router has the address on the bridge.
func (w *walk) owner(a netip.Addr) (pod string, at topology.Port) {
	for name, site := range w.sites {
		for _, p := range site.Ports {
			if p.DeviceOwner == topology.OwnerPodRouter && slices.Contains(p.Addresses(), a) {
				return name, p
			}
		}
	}
	return "", topology.Port{}
}

func (w *walk) placeOn(site store.RouterSite, networkID string) (topology.Port, bool) {
	i := slices.IndexFunc(site.Ports, func(p topology.Port) bool { return p.NetworkID == networkID })
	if i < 0 {
		return topology.Port{}, false
	}
	return site.Ports[i], true
}
