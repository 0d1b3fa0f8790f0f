package topology

import (
	"cmp"
	"net/netip"
	"slices"
)

// RouterSite is a pod that has the router, with the router's addresses on the
// bridge there. A router that is in one pod only needs none.
type RouterSite struct {
	Pod    string
	Bridge []netip.Addr
}

// RoutedSubnet is a subnet that the router is on.
type RoutedSubnet struct {
	ID        string
	NetworkID string
	CIDR      netip.Prefix
	// Pods have the subnet; the first is its home. They share one wire, so each of
	// them reaches all of it.
	Pods   []string
	Blocks map[string][]netip.Prefix // pod to the slices that its servers are in
	Spans  bool                      // may come to more pods
}

// RouteInput is what decides the routes of one router in one pod.
type RouteInput struct {
	Pod     string
	Sites   []RouterSite
	Subnets []RoutedSubnet
	Own     []HostRoute // the user's
	// GatewayPod has the way out, for the IP versions that are said; empty: none.
	GatewayPod           string
	GatewayV4, GatewayV6 bool
	Limit                int // routes that the pod allows; 0: Neutron's default
}

// RoutePlan is what the router needs in the pod.
type RoutePlan struct {
	Routes []HostRoute // in order, none twice
	// Connect are networks to bring here, as routes ran out. Until they are here
	// the pod does not reach them.
	Connect []string
	// Coarse is how many routes to blocks were left out for want of room: packets
	// to these take the way through the subnet's home.
	Coarse     int
	Unroutable []Unroutable
}

// Unroutable is a destination that the router cannot be told the way to.
type Unroutable struct {
	SubnetID    string // empty: no subnet's
	Destination netip.Prefix
	Reason      string
}

// PlanRoutes plans the routes. The user's come first, then the way out, then one
// to each subnet that the pod lacks, by way of its home; what room is left goes
// to the blocks of other pods. No packet passes more than one pod on its way to a
// subnet, as it is only ever sent to a pod that has it.
func PlanRoutes(in RouteInput) RoutePlan {
	p := newRoutePlanner(in)
	p.addOwn()
	p.addDefaults()
	p.addCovers()
	p.addBlocks()
	slices.SortFunc(p.plan.Routes, compareRoutes)
	p.plan.Routes = slices.Compact(p.plan.Routes)
	return p.plan
}

type routePlanner struct {
	RouteInput
	bridge map[string][]netip.Addr
	taken  map[netip.Prefix]bool // the user's destinations: never ours too
	remote []RoutedSubnet        // those that the pod lacks
	plan   RoutePlan
}

func newRoutePlanner(in RouteInput) *routePlanner {
	p := &routePlanner{RouteInput: in, bridge: map[string][]netip.Addr{}, taken: map[netip.Prefix]bool{}}
	p.Limit = cmp.Or(in.Limit, maxRoutes)
	for _, s := range in.Sites {
		p.bridge[s.Pod] = s.Bridge
	}
	for _, r := range in.Own {
		p.taken[r.Destination.Masked()] = true
	}
	for _, s := range in.Subnets {
		if s.CIDR = s.CIDR.Masked(); len(s.Pods) > 0 && !slices.Contains(s.Pods, in.Pod) {
			p.remote = append(p.remote, s)
		}
	}
	return p
}

// over is the first address by which the pods are reached, of the IP version.
func (p *routePlanner) over(pods []string, four bool) (hop netip.Addr, found bool) {
	for _, pod := range pods {
		for _, a := range p.bridge[pod] {
			if a.Is4() == four {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

func (p *routePlanner) add(destination netip.Prefix, hop netip.Addr) {
	p.plan.Routes = append(p.plan.Routes, HostRoute{Destination: destination, NextHop: hop})
}

func (p *routePlanner) cannot(subnetID string, destination netip.Prefix, reason string) {
	p.plan.Unroutable = append(p.plan.Unroutable, Unroutable{SubnetID: subnetID, Destination: destination, Reason: reason})
}

const (
	noRoom   = "the routes that the pod allows are used up"
	noBridge = "no pod on the way there has a place on the bridge"
)

// addOwn adds the user's routes. A next hop elsewhere is reached by way of a pod
// that has it: the router there has the same route, directly.
func (p *routePlanner) addOwn() {
	for _, r := range p.Own {
		pods := p.podsOf(r.NextHop)
		hop, found := r.NextHop, slices.Contains(pods, p.Pod)
		if !found {
			hop, found = p.over(pods, r.NextHop.Is4())
		}
		switch {
		case len(pods) == 0: // nobody is there yet
		case !found:
			p.cannot("", r.Destination, noBridge)
		case p.room() == 0:
			p.cannot("", r.Destination, noRoom)
		default:
			p.add(r.Destination.Masked(), hop)
		}
	}
}

// podsOf are the pods where the router is beside the address: on a subnet, or
// else at its gateway.
func (p *routePlanner) podsOf(a netip.Addr) []string {
	for _, s := range p.Subnets {
		if s.CIDR.Contains(a) {
			return s.Pods
		}
	}
	if p.GatewayPod == "" {
		return nil
	}
	return []string{p.GatewayPod}
}

func (p *routePlanner) room() int { return max(0, p.Limit-len(p.plan.Routes)) }

func (p *routePlanner) addDefaults() {
	if p.GatewayPod == "" || p.GatewayPod == p.Pod {
		return
	}
	for _, all := range []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} {
		four := all.Addr().Is4()
		if four && !p.GatewayV4 || !four && !p.GatewayV6 || p.taken[all] {
			continue
		}
		hop, found := p.over([]string{p.GatewayPod}, four)
		switch {
		case !found:
			p.cannot("", all, noBridge)
		case p.room() == 0:
			p.cannot("", all, noRoom)
		default:
			p.add(all, hop)
		}
	}
}

// addCovers adds the way to each subnet that the pod lacks. Where there are more
// than routes, networks come here, those first that save most; what can
// neither be routed nor come is said to be unroutable, the smallest first.
func (p *routePlanner) addCovers() {
	covers := p.covers()
	for len(covers) > p.room() {
		network, found := p.bestToConnect()
		if !found {
			break
		}
		p.plan.Connect = append(p.plan.Connect, network)
		p.remote = slices.DeleteFunc(p.remote, func(s RoutedSubnet) bool { return s.NetworkID == network })
		covers = p.covers()
	}
	slices.SortFunc(covers, compareSize)
	fitting := min(len(covers), p.room())
	for _, c := range covers[fitting:] {
		p.giveUp(c.Destination)
	}
	p.plan.Routes = append(p.plan.Routes, covers[:fitting]...)
}

// covers are the routes to the subnets, neighbours with one next hop merged.
func (p *routePlanner) covers() []HostRoute {
	byHop := map[netip.Addr][]netip.Prefix{}
	for _, s := range p.remote {
		if hop, found := p.cover(s); found {
			byHop[hop] = append(byHop[hop], s.CIDR)
		}
	}
	var routes []HostRoute
	for hop, prefixes := range byHop {
		for _, prefix := range p.merge(prefixes, netip.Prefix{}) {
			routes = append(routes, HostRoute{Destination: prefix, NextHop: hop})
		}
	}
	return routes
}

// cover is the next hop to the subnet, if it needs a route of ours.
func (p *routePlanner) cover(s RoutedSubnet) (hop netip.Addr, needed bool) {
	hop, found := p.over(s.Pods, s.CIDR.Addr().Is4())
	return hop, found && !p.taken[s.CIDR]
}

// bestToConnect is the network that may come here and has most of the subnets
// that need a route.
func (p *routePlanner) bestToConnect() (network string, found bool) {
	saves := map[string]int{}
	for _, s := range p.remote {
		if _, needed := p.cover(s); needed && s.Spans {
			saves[s.NetworkID]++
		}
	}
	for n, count := range saves {
		if most := saves[network]; count > most || count == most && n < network {
			network, found = n, true
		}
	}
	return network, found
}

func (p *routePlanner) giveUp(prefix netip.Prefix) {
	p.remote = slices.DeleteFunc(p.remote, func(s RoutedSubnet) bool {
		gone := prefix.Overlaps(s.CIDR)
		if gone {
			p.cannot(s.ID, s.CIDR, noRoom)
		}
		return gone
	})
}

// addBlocks sends packets for blocks straight to their pods while there is room,
// the biggest first. Without, the home hands them on over the shared wire.
func (p *routePlanner) addBlocks() {
	var routes []HostRoute
	for _, s := range p.remote {
		home, found := p.over(s.Pods, s.CIDR.Addr().Is4())
		if !found {
			p.cannot(s.ID, s.CIDR, noBridge)
			continue
		}
		for pod, blocks := range s.Blocks {
			hop, found := p.over([]string{pod}, s.CIDR.Addr().Is4())
			if !found || hop == home || !slices.Contains(s.Pods, pod) {
				continue
			}
			for _, block := range p.merge(p.within(&s, blocks), s.CIDR) {
				routes = append(routes, HostRoute{Destination: block, NextHop: hop})
			}
		}
	}
	slices.SortFunc(routes, compareSize)
	fitting := min(len(routes), p.room())
	p.plan.Routes = append(p.plan.Routes, routes[:fitting]...)
	p.plan.Coarse = len(routes) - fitting
}

// within are the blocks of the subnet that a route to it alone may be given for:
// not where the user says otherwise for a part of the subnet that has the block.
func (p *routePlanner) within(s *RoutedSubnet, blocks []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(blocks), func(b netip.Prefix) bool {
		for d := b.Masked(); d.Bits() >= s.CIDR.Bits(); d = parent(d) {
			if p.taken[d] {
				return true
			}
			if d.Bits() == 0 {
				break
			}
		}
		return b.Bits() <= s.CIDR.Bits() || !s.CIDR.Contains(b.Addr())
	})
}

// merge joins halves of one prefix, as long as the whole is neither the limit nor
// a destination of the user's. The prefixes do not overlap.
func (p *routePlanner) merge(prefixes []netip.Prefix, limit netip.Prefix) []netip.Prefix {
	slices.SortFunc(prefixes, comparePrefixes)
	var merged []netip.Prefix
	for _, next := range prefixes {
		merged = append(merged, next.Masked())
		for n := len(merged); n > 1; n = len(merged) {
			left, right := merged[n-2], merged[n-1]
			if left.Bits() != right.Bits() || left.Bits() < 2 || parent(left) != parent(right) {
				break
			}
			whole := parent(left)
			if whole == limit || p.taken[whole] {
				break
			}
			merged = append(merged[:n-2], whole)
		}
	}
	return merged
}

func parent(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func compareRoutes(a, b HostRoute) int {
	return cmp.Or(comparePrefixes(a.Destination, b.Destination), a.NextHop.Compare(b.NextHop))
}

// compareSize sorts by how many addresses a route is for, most first.
func compareSize(a, b HostRoute) int {
	hostBits := func(r HostRoute) int { return r.Destination.Addr().BitLen() - r.Destination.Bits() }
	return cmp.Or(cmp.Compare(hostBits(b), hostBits(a)), compareRoutes(a, b))
}
