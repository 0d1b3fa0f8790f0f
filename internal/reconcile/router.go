package reconcile

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/jobs"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// router makes a router right in a pod, with all that is its own there: interfaces,
// the place on the bridge, gateway, routes. It reads the pod's router and its ports
// and closes the differences, in the order that Neutron allows: routes that lead
// nowhere any more, interfaces that go, interfaces that come, gateway, routes.
func (r *Reconciler) router(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if !m.Wanted {
		return r.removeRouter(ctx, c, m)
	}
	site, err := r.store.EnsureRouterSite(ctx, m.ID, m.Pod)
	if fault.Is(err, fault.NotFound) {
		return nil // deleted meanwhile; the mapping has changed with it
	}
	if err != nil {
		return err
	}
	var plain []string
	if m.PodID == "" {
		if plain, err = plainRouter(ctx, c); err != nil {
			return err
		}
	}
	there, fresh, err := object[plan.Router](ctx, r, c, m, site.Router.ProjectID, plan.NewRouter(site.Router, plain))
	if err != nil {
		return err
	}
	s := seat{r: r, c: c, of: m.Target, site: site, there: there}
	if !fresh {
		if s.ports, err = list[plan.Port](ctx, c, store.KindPort, url.Values{"device_id": {there.ID}}); err != nil {
			return err
		}
	}
	return r.soon(m, s.ensure(ctx))
}

// plainRouter are the attributes that have to be off for a router without copies
// on other hosts, of those that the pod knows.
func plainRouter(ctx context.Context, c *pod.Client) ([]string, error) {
	known, err := list[struct {
		Alias string `json:"alias"`
	}](ctx, c, "extension", nil)
	var plain []string
	for _, e := range known {
		if name, ok := map[string]string{"dvr": "distributed", "l3-ha": "ha"}[e.Alias]; ok {
			plain = append(plain, name)
		}
	}
	return plain, err
}

// seat is one router in one pod.
type seat struct {
	r     *Reconciler
	c     *pod.Client
	of    store.Target
	site  store.RouterSite
	there plan.Router
	ports []plan.Port       // of the pod's router, as found
	ids   map[string]string // the pod's IDs of the wanted ports
}

func (s *seat) ensure(ctx context.Context) error {
	want := topology.PlanRoutes(s.site.Routes)
	if err := s.arrive(ctx, want.Connect); err != nil {
		return err
	}
	if err := s.leave(ctx, want.Routes); err != nil {
		return err
	}
	// A network that cannot be had keeps only itself off the router.
	var failed error
	for _, p := range s.site.Ports {
		if err := s.connect(ctx, p); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if err := s.shape(ctx); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	if all, _, same := plan.Routes(want.Routes, s.there.Routes); !same {
		if err := s.routes(ctx, all); err != nil {
			return err
		}
	}
	return s.site.Apart
}

// arrive brings networks here to which no route can lead; the router's next round
// puts it on them.
func (s *seat) arrive(ctx context.Context, networks []string) error {
	for _, id := range networks {
		n, err := s.r.store.FindNetwork(ctx, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := s.r.store.WantFor(ctx, s.of, n.ProjectID, store.Target{Kind: store.KindNetwork, ID: id, Pod: s.of.Pod}); err != nil {
			return err
		}
	}
	return nil
}

// leave takes the router off what is not wanted any more, of what is ours.
func (s *seat) leave(ctx context.Context, want []topology.HostRoute) error {
	ids := make([]string, len(s.site.Ports))
	for i, p := range s.site.Ports {
		ids[i] = p.ID
	}
	var err error
	if s.ids, err = s.r.store.PodIDs(ctx, store.KindPort, s.of.Pod, ids...); err != nil {
		return err
	}
	stays := map[string]bool{}
	for _, p := range s.site.Ports {
		stays[plan.Mark(store.KindPort, p.ID)] = true
	}
	gone := slices.DeleteFunc(slices.Clone(s.ports), func(p plan.Port) bool {
		return !topology.IsRouterInterface(p.DeviceOwner) || stays[p.Description] || !strings.HasPrefix(p.Description, plan.Mark(store.KindPort, ""))
	})
	if len(gone) == 0 {
		return nil
	}
	if _, keep, _ := plan.Routes(want, s.there.Routes); len(keep) < len(s.there.Routes) {
		if err := s.routes(ctx, keep); err != nil {
			return err
		}
	}
	for _, p := range gone {
		if err := detach(ctx, s.c, s.there.ID, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// connect makes one interface right.
func (s *seat) connect(ctx context.Context, want topology.Port) error {
	at := slices.IndexFunc(s.ports, func(p plan.Port) bool { return p.ID == s.ids[want.ID] })
	var nets map[string]string
	var err error
	if s.ids[want.ID] == "" || at < 0 {
		net, err := s.r.store.FindNetwork(ctx, want.NetworkID)
		if err != nil {
			return err
		}
		if nets, err = s.r.need(ctx, s.of, net.ProjectID, store.KindNetwork, want.NetworkID); err != nil {
			return err
		}
	}
	refs := plan.Refs{Pod: s.of.Pod, Network: nets[want.NetworkID]}
	if refs.Subnets, err = s.subnets(ctx, want.FixedIPs); err != nil {
		return err
	}
	if at >= 0 {
		return update(ctx, s.c, store.KindPort, s.ports[at].ID, plan.UpdateRouterPort(want, s.ports[at], refs))
	}
	return s.attach(ctx, want, refs)
}

// subnets are the pod's IDs of the addresses' subnets.
func (s *seat) subnets(ctx context.Context, ips []topology.FixedIP) (map[string]string, error) {
	ids := make([]string, len(ips))
	for i, ip := range ips {
		ids[i] = ip.SubnetID
	}
	return s.r.store.PodIDs(ctx, store.KindSubnet, s.of.Pod, ids...)
}

// attach makes the interface's port and gives it to the router.
func (s *seat) attach(ctx context.Context, want topology.Port, refs plan.Refs) error {
	if err := s.elsewhere(ctx, want); err != nil {
		return err
	}
	t := store.Target{Kind: store.KindPort, ID: want.ID, Pod: s.of.Pod}
	m, err := s.r.store.FindMapping(ctx, t)
	if fault.Is(err, fault.NotFound) {
		m, err = store.Mapping{Target: t}, nil
	}
	if err != nil {
		return err
	}
	project := want.ProjectID
	if !topology.IsRouterInterface(want.DeviceOwner) && !s.onBridge(want) {
		project = s.site.Router.ProjectID // as in one cloud, where the interface is the router's owner's
	}
	port, _, err := object[plan.Port](ctx, s.r, s.c, m, project, plan.NewRouterPort(want, project, refs))
	if err != nil || port.DeviceID == s.there.ID {
		return err
	}
	return actOnRouter(ctx, s.c, s.there.ID, "add_router_interface", port.ID)
}

func (s *seat) onBridge(p topology.Port) bool {
	return !slices.ContainsFunc(s.site.Routes.Subnets, func(n topology.RoutedSubnet) bool { return n.NetworkID == p.NetworkID })
}

// elsewhere holds up an interface whose former home has it yet: two with one
// address on one wire would take each other's packets.
func (s *seat) elsewhere(ctx context.Context, want topology.Port) error {
	placed, err := s.r.store.ListMappings(ctx, store.MappingQuery{Kind: store.KindPort, ID: want.ID})
	for _, m := range placed {
		if m.Pod != s.of.Pod && (m.PodID != "" || m.Tried) {
			return &jobs.Again{After: time.Second, Reason: "the interface " + want.ID + " is still in pod " + m.Pod}
		}
	}
	return err
}

// shape makes the router itself right, and its gateway.
func (s *seat) shape(ctx context.Context) error {
	g := s.site.Gateway
	refs := plan.Refs{Pod: s.of.Pod}
	if g != nil {
		var err error
		if refs, err = s.outside(ctx, g); err != nil {
			return err
		}
	}
	changes := plan.UpdateRouter(s.site.Router, g, s.there, refs)
	if err := update(ctx, s.c, store.KindRouter, s.there.ID, changes); err != nil || g == nil {
		return err
	}
	_, moved := changes["external_gateway_info"]
	return s.noteGateway(ctx, g, moved)
}

// outside brings what the gateway needs into the pod.
func (s *seat) outside(ctx context.Context, g *topology.Gateway) (plan.Refs, error) {
	refs := plan.Refs{Pod: s.of.Pod}
	net, err := s.r.store.FindNetwork(ctx, g.NetworkID)
	if err != nil {
		return refs, err
	}
	nets, err := s.r.need(ctx, s.of, net.ProjectID, store.KindNetwork, g.NetworkID)
	if err != nil {
		return refs, err
	}
	refs.Network = nets[g.NetworkID]
	if refs.Subnets, err = s.subnets(ctx, g.FixedIPs); err != nil {
		return refs, err
	}
	refs.QoSPolicy, err = s.r.needQoS(ctx, s.of, g.QoSPolicyID)
	return refs, err
}

// noteGateway writes down which port the pod has made for the gateway: so long as
// it is there nobody else gets its addresses.
func (s *seat) noteGateway(ctx context.Context, g *topology.Gateway, moved bool) error {
	t := store.Target{Kind: store.KindPort, ID: g.PortID, Pod: s.of.Pod}
	known, err := s.r.store.PodIDs(ctx, t.Kind, t.Pod, t.ID)
	if err != nil || known[t.ID] != "" && !moved {
		return err
	}
	q := url.Values{"device_id": {s.there.ID}, "device_owner": {topology.OwnerRouterGateway}}
	all, err := list[plan.Port](ctx, s.c, store.KindPort, q)
	if err != nil || len(all) == 0 || all[0].ID == known[t.ID] {
		return err
	}
	return s.r.store.Place(ctx, t, all[0].ID, "")
}

func (s *seat) routes(ctx context.Context, all []plan.Route) error {
	s.there.Routes = all
	return update(ctx, s.c, store.KindRouter, s.there.ID, map[string]any{"routes": all})
}

func actOnRouter(ctx context.Context, c *pod.Client, router, act, port string) error {
	return c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodPut, Path: path(store.KindRouter, router) + "/" + act,
		Op: strings.ReplaceAll(act, "_", " ")}, map[string]any{"port_id": port}, nil)
}

// detach takes the router off a port, which the pod then deletes. It is content
// when that is so already.
func detach(ctx context.Context, c *pod.Client, router, port string) error {
	err := actOnRouter(ctx, c, router, "remove_router_interface", port)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// removeRouter takes the router out of the pod: routes and interfaces, then the
// router, with its gateway.
func (r *Reconciler) removeRouter(ctx context.Context, c *pod.Client, m store.Mapping) error {
	if m.PodID != "" {
		there, found, err := get[plan.Router](ctx, c, m.Kind, m.PodID)
		if err != nil {
			return err
		}
		if found {
			if err := emptyRouter(ctx, c, there); err != nil {
				return r.soon(m, err)
			}
		}
	}
	return r.soon(m, vanish[plan.Router](ctx, r, c, m))
}

func emptyRouter(ctx context.Context, c *pod.Client, there plan.Router) error {
	if len(there.Routes) > 0 {
		if err := update(ctx, c, store.KindRouter, there.ID, map[string]any{"routes": []plan.Route{}}); err != nil {
			return err
		}
	}
	ports, err := list[plan.Port](ctx, c, store.KindPort, url.Values{"device_id": {there.ID}})
	if err != nil {
		return err
	}
	for _, p := range ports {
		if topology.IsRouterInterface(p.DeviceOwner) {
			if err := detach(ctx, c, there.ID, p.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropRouterPort removes the port of an interface that is not wanted any more, and
// waits for the gateway's, which goes with the gateway.
func (r *Reconciler) dropRouterPort(ctx context.Context, c *pod.Client, m store.Mapping, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "ServicePortInUse" {
		return err
	}
	p, found, gerr := get[plan.Port](ctx, c, store.KindPort, m.PodID)
	if gerr != nil || !found {
		return errors.Join(err, gerr)
	}
	if !topology.IsRouterInterface(p.DeviceOwner) {
		return err
	}
	if err := detach(ctx, c, p.DeviceID, p.ID); err != nil {
		return err
	}
	return vanish[plan.Port](ctx, r, c, m)
}
