package store

import (
	"context"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/topology"
)

// RouterSite is what a router is to be in one pod.
type RouterSite struct {
	Router topology.Router
	// Ports are its interfaces there: those on tenants' networks, then the one on
	// the bridge.
	Ports []topology.Port
	// Gateway is its way out, if that is in this pod.
	Gateway *topology.Gateway
	Routes  topology.RouteInput
	// Apart is why its pods cannot be joined; nil where they are, or need not be.
	Apart error
}

// EnsureRouterSite sees to it that all is chosen that the router needs in the pod,
// and its place on the bridge in all pods, and returns it. It is for the router's
// job.
func (s *Store) EnsureRouterSite(ctx context.Context, routerID, pod string) (site RouterSite, err error) {
	at, err := s.ensureInterfaces(ctx, pod, "t.device_id = ?", routerID)
	if err != nil {
		return site, err
	}
	apart, err := s.joinPods(ctx, routerID)
	if err != nil {
		return site, err
	}
	err = s.read(ctx, func(tx *Tx) error {
		site = RouterSite{Apart: apart}
		if site.Router, err = findRouter(ctx, tx, routerID, ""); err != nil {
			return err
		}
		for _, in := range at {
			site.Ports = append(site.Ports, in.Port)
		}
		return siteRoutes(ctx, tx, &site, pod)
	})
	return site, err
}

// joinPods puts the router on its project's bridge where it is in several pods.
// What the operator has to mend is returned apart: the rest of the router works
// without.
func (s *Store) joinPods(ctx context.Context, routerID string) (apart, err error) {
	var joined bool
	err = s.read(ctx, func(tx *Tx) error {
		_, _, joined, err = unjoined(ctx, tx, routerID, "")
		return err
	})
	if err != nil || joined {
		return nil, err
	}
	err = s.write(ctx, func(tx *Tx) error {
		r, pods, joined, err := unjoined(ctx, tx, routerID, tx.forUpdate())
		if err != nil || joined {
			return err
		}
		return ensureBridge(ctx, tx, &r, pods)
	})
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Conflict) {
		return err, nil
	}
	return nil, err
}

// unjoined are the router's pods, and whether it has its place on the bridge in
// each of them, or needs none.
func unjoined(ctx context.Context, tx *Tx, routerID, suffix string) (r topology.Router, pods []string, joined bool, err error) {
	if r, err = findRouter(ctx, tx, routerID, suffix); err != nil {
		return r, nil, false, err
	}
	if pods, err = wantedIn(ctx, tx, KindRouter, routerID); err != nil || len(pods) < 2 {
		return r, pods, true, err
	}
	has, err := bridgePorts(ctx, tx, routerID)
	for _, pod := range pods {
		if !slices.ContainsFunc(has, func(p topology.Port) bool { return p.Pod == pod }) {
			return r, pods, false, err
		}
	}
	return r, pods, true, err
}

// siteRoutes adds the bridge, the gateway, and what decides the routes.
func siteRoutes(ctx context.Context, tx *Tx, site *RouterSite, pod string) error {
	r := &site.Router
	site.Routes = topology.RouteInput{Pod: pod, Own: r.Routes}
	bridge, err := bridgePorts(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	for _, p := range bridge {
		site.Routes.Sites = append(site.Routes.Sites, topology.RouterSite{Pod: p.Pod, Bridge: p.Addresses()})
		if p.Pod == pod {
			site.Ports = append(site.Ports, p)
		}
	}
	if err := siteGateway(ctx, tx, site, pod); err != nil {
		return err
	}
	inner, err := routedSubnets(ctx, tx, r.ID)
	site.Routes.Subnets = append(site.Routes.Subnets, inner...)
	return err
}

func siteGateway(ctx context.Context, tx *Tx, site *RouterSite, pod string) error {
	g := site.Router.Gateway
	if g == nil {
		return nil
	}
	in, err := externalPod(ctx, tx, g.NetworkID)
	if err != nil {
		return err
	}
	if in == pod {
		site.Gateway = g
	}
	site.Routes.GatewayPod = in
	subnets, err := subnetsOf(ctx, tx, g.NetworkID)
	if err != nil {
		return err
	}
	for _, n := range subnets {
		leads := n.GatewayIP.IsValid() && slices.ContainsFunc(g.FixedIPs, func(ip topology.FixedIP) bool { return ip.SubnetID == n.ID })
		site.Routes.GatewayV4 = site.Routes.GatewayV4 || leads && n.IPVersion == 4
		site.Routes.GatewayV6 = site.Routes.GatewayV6 || leads && n.IPVersion == 6
		if site.Router.Needs(n.CIDR) { // a route of the user's leads out
			site.Routes.Subnets = append(site.Routes.Subnets, topology.RoutedSubnet{ID: n.ID, NetworkID: n.NetworkID, CIDR: n.CIDR, Pods: []string{in}})
		}
	}
	return nil
}

// routedSubnets are the subnets that the router is on, and the pods that have them.
func routedSubnets(ctx context.Context, tx *Tx, routerID string) ([]topology.RoutedSubnet, error) {
	ports, err := interfacesOf(ctx, tx, routerID)
	if err != nil {
		return nil, err
	}
	networks, home := map[string]*netPods{}, map[string]string{}
	var ids, subnetIDs []string
	for _, p := range ports {
		networks[p.NetworkID] = &netPods{}
		ids = append(ids, p.NetworkID)
		for _, ip := range p.FixedIPs {
			home[ip.SubnetID] = p.Pod
			subnetIDs = append(subnetIDs, ip.SubnetID)
		}
	}
	if err := loadNetPods(ctx, tx, networks, ids); err != nil {
		return nil, err
	}
	blocks, err := blocksOf(ctx, tx, subnetIDs...)
	if err != nil {
		return nil, err
	}
	var all []topology.RoutedSubnet
	err = details(ctx, tx, subnetIDs, `SELECT `+bare(subnetShape)+` FROM subnets WHERE id`, `ORDER BY id`, func(row scanner) error {
		n, err := scanSubnet(row)
		if err != nil {
			return err
		}
		at := networks[n.NetworkID]
		all = append(all, topology.RoutedSubnet{ID: n.ID, NetworkID: n.NetworkID, CIDR: n.CIDR,
			Pods: homeFirst(at.pods, home[n.ID]), Blocks: blocks[n.ID], Spans: at.spans})
		return nil
	})
	return all, err
}

// netPods is where a network is, and whether it may come to more pods.
type netPods struct {
	pods  []string
	spans bool
}

func loadNetPods(ctx context.Context, tx *Tx, networks map[string]*netPods, ids []string) error {
	err := details(ctx, tx, ids, `SELECT id, network_type FROM networks WHERE id`, ``, func(row scanner) error {
		var id, kind string
		err := row.Scan(&id, &kind)
		networks[id].spans = kind != topology.TypeLocal
		return err
	})
	if err != nil {
		return err
	}
	return details(ctx, tx, ids, `SELECT id, pod FROM mappings WHERE kind = 'network' AND wanted = 1 AND id`, `ORDER BY id, pod`, func(row scanner) error {
		var id, pod string
		err := row.Scan(&id, &pod)
		networks[id].pods = append(networks[id].pods, pod)
		return err
	})
}

func homeFirst(pods []string, home string) []string {
	out := make([]string, 0, len(pods))
	if slices.Contains(pods, home) {
		out = append(out, home)
	}
	for _, pod := range pods {
		if pod != home {
			out = append(out, pod)
		}
	}
	return out
}

// PodIDs are the pod's IDs of those of the things that it has.
func (s *Store) PodIDs(ctx context.Context, kind, pod string, things ...string) (map[string]string, error) {
	found := map[string]string{}
	for part := range slices.Chunk(things, chunk) {
		_, err := list(ctx, s.reader(), func(row scanner) (struct{}, error) {
			var id, podID string
			err := row.Scan(&id, &podID)
			found[id] = podID
			return struct{}{}, err
		}, `
			SELECT id, pod_id FROM mappings
			WHERE kind = ? AND pod = ? AND pod_id <> '' AND id IN (`+marks(len(part))+`)`,
			append([]any{kind, pod}, anyOf(part)...)...)
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
