package topology_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tricircle/tricircle/internal/topology"
	"pgregory.net/rapid"
)

var prefix = netip.MustParsePrefix

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, p := range all {
		out[i] = prefix(p)
	}
	return out
}

// sites are pods p1, p2, ... with bridge addresses 100.64.0.N and fd00:64::N.
func sites(n int) []topology.RouterSite {
	all := make([]topology.RouterSite, n)
	for i := range all {
		all[i] = topology.RouterSite{Pod: podN(i + 1), Bridge: []netip.Addr{bridge4(i + 1), bridge6(i + 1)}}
	}
	return all
}

func podN(n int) string        { return fmt.Sprintf("p%d", n) }
func bridge4(n int) netip.Addr { return netip.AddrFrom4([4]byte{100, 64, 0, byte(n)}) }
func bridge6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd00:64::%x", n)) }

func subnetIn(id, cidr string, pods ...string) topology.RoutedSubnet {
	return topology.RoutedSubnet{ID: id, NetworkID: "net-" + id, CIDR: prefix(cidr), Pods: pods}
}

func routes(pairs ...string) []topology.HostRoute {
	var all []topology.HostRoute
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, topology.HostRoute{Destination: prefix(pairs[i]), NextHop: netip.MustParseAddr(pairs[i+1])})
	}
	return all
}

func TestPlanRoutes(t *testing.T) {
	t.Parallel()
	withBlocks := subnetIn("a", "10.0.0.0/24", "p2", "p3")
	withBlocks.Blocks = map[string][]netip.Prefix{
		"p2": prefixes("10.0.0.0/28"),
		"p3": prefixes("10.0.0.32/28", "10.0.0.16/28", "10.0.0.48/28"),
	}
	spans := func(s topology.RoutedSubnet) topology.RoutedSubnet { s.Spans = true; return s }
	cases := map[string]struct {
		in   topology.RouteInput
		want topology.RoutePlan
	}{
		"connected subnets need none": {
			in: topology.RouteInput{Subnets: []topology.RoutedSubnet{subnetIn("a", "10.0.0.0/24", "p2", "p1"), subnetIn("b", "10.0.1.0/24", "p1")}},
		},
		"a subnet that is nowhere needs none": {
			in: topology.RouteInput{Subnets: []topology.RoutedSubnet{subnetIn("a", "10.0.0.0/24")}},
		},
		"by way of the home, each IP version over its own": {
			in: topology.RouteInput{Subnets: []topology.RoutedSubnet{
				subnetIn("a", "10.0.0.0/24", "p2", "p3"), subnetIn("b", "fd01::/64", "p3", "p2")}},
			want: topology.RoutePlan{Routes: routes("10.0.0.0/24", "100.64.0.2", "fd01::/64", "fd00:64::3")},
		},
		"neighbours behind one pod are one route": {
			in: topology.RouteInput{Subnets: []topology.RoutedSubnet{
				subnetIn("b", "10.0.1.0/24", "p2"), subnetIn("a", "10.0.0.0/24", "p2"), subnetIn("c", "10.0.2.0/24", "p3"),
				subnetIn("d", "10.0.3.0/24", "p2")}},
			want: topology.RoutePlan{Routes: routes("10.0.0.0/23", "100.64.0.2", "10.0.2.0/24", "100.64.0.3", "10.0.3.0/24", "100.64.0.2")},
		},
		"blocks elsewhere than at home, merged": {
			in: topology.RouteInput{Subnets: []topology.RoutedSubnet{withBlocks}},
			want: topology.RoutePlan{Routes: routes(
				"10.0.0.0/24", "100.64.0.2", "10.0.0.16/28", "100.64.0.3", "10.0.0.32/27", "100.64.0.3")},
		},
		"the smallest blocks give way": {
			in: topology.RouteInput{Subnets: []topology.RoutedSubnet{withBlocks}, Limit: 2},
			want: topology.RoutePlan{Routes: routes("10.0.0.0/24", "100.64.0.2", "10.0.0.32/27", "100.64.0.3"),
				Coarse: 1},
		},
		"gateway elsewhere": {
			in:   topology.RouteInput{GatewayPod: "p3", GatewayV4: true, GatewayV6: true},
			want: topology.RoutePlan{Routes: routes("0.0.0.0/0", "100.64.0.3", "::/0", "fd00:64::3")},
		},
		"gateway elsewhere without IPv6": {
			in:   topology.RouteInput{GatewayPod: "p3", GatewayV4: true},
			want: topology.RoutePlan{Routes: routes("0.0.0.0/0", "100.64.0.3")},
		},
		"gateway here": {in: topology.RouteInput{GatewayPod: "p1", GatewayV4: true}},
		"the user's: next hop here, elsewhere, at the gateway, nowhere": {
			in: topology.RouteInput{
				GatewayPod: "p3", Own: routes("192.168.1.0/24", "10.0.0.9", "192.168.2.0/24", "10.0.1.9", "192.168.3.0/24", "203.0.113.7",
					"192.168.4.0/24", "10.0.2.9"),
				Subnets: []topology.RoutedSubnet{subnetIn("a", "10.0.0.0/24", "p2", "p1"), subnetIn("b", "10.0.1.0/24", "p2"),
					subnetIn("c", "10.0.2.0/24")}},
			want: topology.RoutePlan{Routes: routes("10.0.1.0/24", "100.64.0.2", "192.168.1.0/24", "10.0.0.9",
				"192.168.2.0/24", "100.64.0.2", "192.168.3.0/24", "100.64.0.3")},
		},
		"the user's own default route and part of a subnet win": {
			in: topology.RouteInput{
				GatewayPod: "p3", GatewayV4: true, Own: routes("0.0.0.0/0", "10.1.0.9", "10.0.0.0/26", "10.1.0.9"),
				Subnets: []topology.RoutedSubnet{withBlocks, subnetIn("b", "10.1.0.0/24", "p1")}},
			want: topology.RoutePlan{Routes: routes("0.0.0.0/0", "10.1.0.9", "10.0.0.0/24", "100.64.0.2", "10.0.0.0/26", "10.1.0.9")},
		},
		"subnets do not merge into the user's destination": {
			in: topology.RouteInput{
				Own: routes("10.0.0.0/23", "10.1.0.9"),
				Subnets: []topology.RoutedSubnet{subnetIn("a", "10.0.0.0/24", "p2"), subnetIn("b", "10.0.1.0/24", "p2"),
					subnetIn("c", "10.1.0.0/24", "p1")}},
			want: topology.RoutePlan{Routes: routes("10.0.0.0/23", "10.1.0.9", "10.0.0.0/24", "100.64.0.2", "10.0.1.0/24", "100.64.0.2")},
		},
		"more subnets than routes: networks that can come here do": {
			in: topology.RouteInput{Limit: 1, Subnets: []topology.RoutedSubnet{
				subnetIn("a", "10.0.0.0/24", "p2"), spans(subnetIn("b", "10.1.0.0/24", "p2")), subnetIn("c", "10.2.0.0/23", "p2")}},
			want: topology.RoutePlan{Routes: routes("10.2.0.0/23", "100.64.0.2"), Connect: []string{"net-b"},
				Unroutable: []topology.Unroutable{{SubnetID: "a", Destination: prefix("10.0.0.0/24"), Reason: "the routes that the pod allows are used up"}}},
		},
		"a pod that is not on the bridge yet": {
			in: topology.RouteInput{GatewayPod: "p4", GatewayV4: true, Subnets: []topology.RoutedSubnet{
				subnetIn("a", "10.0.0.0/24", "p4"), subnetIn("b", "10.1.0.0/24", "p4", "p2")}},
			want: topology.RoutePlan{Routes: routes("10.1.0.0/24", "100.64.0.2"), Unroutable: []topology.Unroutable{
				{Destination: prefix("0.0.0.0/0"), Reason: "no pod on the way there has a place on the bridge"},
				{SubnetID: "a", Destination: prefix("10.0.0.0/24"), Reason: "no pod on the way there has a place on the bridge"}}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.in.Pod, c.in.Sites = "p1", sites(3)
			got := topology.PlanRoutes(c.in)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
				t.Errorf("PlanRoutes(%+v) (-want +got):\n%s", c.in, diff)
			}
		})
	}
}

// drawRouter draws a router on subnets that are scattered over pods, with blocks.
func drawRouter(t *rapid.T) topology.RouteInput {
	pods := rapid.IntRange(1, 4).Draw(t, "pods")
	in := topology.RouteInput{Sites: sites(pods), Limit: rapid.SampledFrom([]int{1, 3, 8, 30}).Draw(t, "limit")}
	pod := rapid.Map(rapid.IntRange(1, pods), podN)
	for i := range rapid.IntRange(1, 40).Draw(t, "subnets") {
		s := topology.RoutedSubnet{ID: fmt.Sprint(i), NetworkID: fmt.Sprint("n", i/2), Spans: rapid.Bool().Draw(t, "spans"),
			Pods:   rapid.SliceOfNDistinct(pod, 0, pods, rapid.ID[string]).Draw(t, "in"),
			Blocks: map[string][]netip.Prefix{}}
		if s.CIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24); rapid.Bool().Draw(t, "six") {
			s.CIDR = prefix(fmt.Sprintf("fd01:0:0:%x::/64", i))
		}
		for slice := range 16 {
			if owner := pod.Draw(t, "owner"); s.CIDR.Addr().Is4() && rapid.Bool().Draw(t, "block") {
				s.Blocks[owner] = append(s.Blocks[owner], netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), byte(16 * slice)}), 28))
			}
		}
		in.Subnets = append(in.Subnets, s)
	}
	if rapid.Bool().Draw(t, "gateway") {
		in.GatewayPod, in.GatewayV4, in.GatewayV6 = pod.Draw(t, "gateway pod"), true, rapid.Bool().Draw(t, "gateway 6")
	}
	return in
}

// routed is what all pods of a router do.
type routed struct {
	in    topology.RouteInput
	plans map[string]topology.RoutePlan
}

// settle plans for all pods, and brings networks where plans want them, until
// none does.
func settle(in topology.RouteInput) routed {
	for {
		r, moved := routed{in, map[string]topology.RoutePlan{}}, false
		for _, site := range in.Sites {
			in.Pod = site.Pod
			plan := topology.PlanRoutes(in)
			r.plans[site.Pod] = plan
			for i := range in.Subnets {
				if s := &in.Subnets[i]; slices.Contains(plan.Connect, s.NetworkID) {
					s.Pods, moved = append(slices.Clone(s.Pods), site.Pod), true
				}
			}
		}
		if !moved {
			return r
		}
	}
}

// walk follows a packet from pod to pod. It ends at a pod that is beside the
// address, at the gateway (out), or nowhere.
func (r routed) walk(from string, to netip.Addr) (hops int, at string, out bool) {
	for pod := from; hops < 10; hops++ {
		best := netip.Prefix{}
		var hop netip.Addr
		longer := func(p netip.Prefix) bool { return p.Contains(to) && (!best.IsValid() || p.Bits() > best.Bits()) }
		for _, s := range r.in.Subnets {
			if slices.Contains(s.Pods, pod) && longer(s.CIDR) {
				best, hop = s.CIDR, netip.Addr{}
			}
		}
		for _, route := range r.plans[pod].Routes {
			if longer(route.Destination) {
				best, hop = route.Destination, route.NextHop
			}
		}
		switch {
		case !best.IsValid():
			return hops, "", pod == r.in.GatewayPod
		case !hop.IsValid():
			return hops, pod, false
		}
		for _, s := range r.in.Sites {
			if slices.Contains(s.Bridge, hop) {
				pod = s.Pod
			}
		}
	}
	return hops, "", false
}

func TestPlanRoutesReachesAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := settle(drawRouter(t))
		for _, site := range r.in.Sites {
			plan := r.plans[site.Pod]
			if len(plan.Routes) > r.in.Limit {
				t.Fatalf("%s has %d routes of %d", site.Pod, len(plan.Routes), r.in.Limit)
			}
			for _, s := range r.in.Subnets {
				r.checkReach(t, site.Pod, s)
			}
			r.checkOut(t, site.Pod)
		}
	})
}

func (r routed) checkReach(t *rapid.T, pod string, s topology.RoutedSubnet) {
	given := slices.ContainsFunc(r.plans[pod].Unroutable, func(u topology.Unroutable) bool { return u.SubnetID == s.ID })
	if given && s.Spans {
		t.Fatalf("%s gives up subnet %s, which could come there", pod, s.CIDR)
	}
	if given || len(s.Pods) == 0 {
		return
	}
	for offset := range 256 {
		b := s.CIDR.Addr().AsSlice()
		b[len(b)-1] = byte(offset)
		a, _ := netip.AddrFromSlice(b)
		hops, at, _ := r.walk(pod, a)
		if !slices.Contains(s.Pods, at) || hops > 1 {
			t.Fatalf("a packet from %s to %s in %v ends in %q after %d hops: %+v", pod, a, s.Pods, at, hops, r.plans)
		}
	}
}

// checkOut: what belongs to no subnet leaves by the gateway, if there is one.
func (r routed) checkOut(t *rapid.T, pod string) {
	given := slices.ContainsFunc(r.plans[pod].Unroutable, func(u topology.Unroutable) bool { return u.Destination == prefix("0.0.0.0/0") })
	hops, _, out := r.walk(pod, netip.MustParseAddr("198.51.100.1"))
	if hops > 1 || out != (r.in.GatewayPod != "" && !given) {
		t.Fatalf("a packet from %s for outside: %d hops, out %v", pod, hops, out)
	}
}

// TestPlanRoutesOrder: the plan does not depend on the order of what is given, so
// that nothing changes in a pod while nothing has changed.
func TestPlanRoutesOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawRouter(t)
		in.Pod = "p1"
		want := topology.PlanRoutes(in)
		in.Subnets = rapid.Permutation(in.Subnets).Draw(t, "shuffled")
		got := topology.PlanRoutes(in)
		if diff := cmp.Diff(want.Routes, got.Routes, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); diff != "" {
			t.Fatalf("routes (-first +shuffled):\n%s", diff)
		}
		if diff := cmp.Diff(want.Connect, got.Connect); diff != "" {
			t.Fatalf("connect (-first +shuffled):\n%s", diff)
		}
	})
}

// scattered is a router on networks of one /24 each, every one in as many of the
// pods as said, starting with another; each pod's blocks hold its servers.
func scattered(networks, pods, in, servers int) topology.RouteInput {
	r := topology.RouteInput{Sites: sites(pods), GatewayPod: "p1", GatewayV4: true}
	for i := range networks {
		s := topology.RoutedSubnet{ID: fmt.Sprint(i), NetworkID: fmt.Sprint("n", i), Spans: true, Blocks: map[string][]netip.Prefix{},
			CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 24)}
		for k := range in {
			s.Pods = append(s.Pods, podN((i+k)%pods+1))
		}
		for slice := 0; slice*16 < servers/networks; slice++ {
			pod := s.Pods[slice%in]
			s.Blocks[pod] = append(s.Blocks[pod], netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, byte(16 * slice)}), 28))
		}
		r.Subnets = append(r.Subnets, s)
	}
	return r
}

// TestRoutesOfManyServers: the stock limit of 30 routes holds.
func TestRoutesOfManyServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ networks, in, servers, most, coarse, connect int }{
		{10, 1, 1000, 8, 0, 0},  // each network in one pod
		{10, 2, 1000, 17, 0, 0}, // the one pod that lacks it knows the blocks
		{10, 3, 1000, 1, 0, 0},  // everywhere: the default route alone
		{50, 1, 1000, 30, 0, 5}, // more subnets than routes: five come to p2
		{50, 2, 5000, 30, 39, 0},
	} {
		in, most, coarse, connect := scattered(c.networks, 3, c.in, c.servers), 0, 0, 0
		for _, site := range in.Sites {
			in.Pod = site.Pod
			plan := topology.PlanRoutes(in)
			most, coarse, connect = max(most, len(plan.Routes)), max(coarse, plan.Coarse), max(connect, len(plan.Connect))
			if len(plan.Unroutable) > 0 {
				t.Errorf("%+v: %s cannot reach %v", c, site.Pod, plan.Unroutable)
			}
		}
		if most != c.most || coarse != c.coarse || connect != c.connect {
			t.Errorf("%+v: %d routes, %d coarse, %d networks connected", c, most, coarse, connect)
		}
	}
}

func BenchmarkPlanRoutes(b *testing.B) {
	in := scattered(50, 3, 1, 5000)
	in.Pod = "p2"
	for b.Loop() {
		topology.PlanRoutes(in)
	}
}
