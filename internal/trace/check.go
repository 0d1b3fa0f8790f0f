package trace

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// check says what is wrong with a hop in its pod; empty: nothing.
type check func(ctx context.Context, v *view, h *Hop) (problem string, err error)

// view is what the pods said, each thing asked for once.
type view struct {
	store *store.Store
	pods  Pods
	seen  map[string]any
}

func newView(t *Tracer) *view {
	return &view{store: t.Store, pods: t.Pods, seen: map[string]any{}}
}

// check asks about the hops. A pod that does not answer is a problem of its hops.
func (v *view) check(ctx context.Context, hops []Hop) {
	for i := range hops {
		h := &hops[i]
		if h.check == nil {
			continue
		}
		problem, err := h.check(ctx, v, h)
		if err != nil {
			problem = err.Error()
		}
		h.Problem = problem
	}
}

// podID is the pod's ID of the thing, or why it has none.
func (v *view) podID(ctx context.Context, kind, id, podName string) (podID, problem string, err error) {
	m, err := v.store.FindMapping(ctx, store.Target{Kind: kind, ID: id, Pod: podName})
	if fault.Is(err, fault.NotFound) {
		return "", "it is not meant to be in the pod yet", nil
	}
	if err != nil {
		return "", "", err
	}
	if m.PodID == "" {
		problem = "the pod does not have it yet"
		if m.Reason != "" {
			problem += ": " + m.Reason
		}
	}
	return m.PodID, problem, nil
}

// fetch reads a thing of the pod that we know by our ID.
func fetch[T any](ctx context.Context, v *view, h *Hop, kind, id string) (thing T, problem string, err error) {
	podID, problem, err := v.podID(ctx, kind, id, h.Pod)
	if err != nil || problem != "" {
		return thing, problem, err
	}
	if h.Kind == kind || h.PodID == "" {
		h.PodID = podID
	}
	thing, found, err := show[T](ctx, v, h.Pod, kind, podID)
	if err == nil && !found {
		problem = "the pod does not have it any more: it was deleted there"
	}
	return thing, problem, err
}

func show[T any](ctx context.Context, v *view, podName, kind, podID string) (thing T, found bool, err error) {
	key := podName + "/" + kind + "/" + podID
	if known, ok := v.seen[key]; ok {
		return known.(T), true, nil
	}
	c, err := v.pods.Client(ctx, podName)
	if err != nil {
		return thing, false, err
	}
	var out map[string]T
	err = c.JSON(ctx, pod.Request{Service: pod.Network, Method: http.MethodGet,
		Path: "/" + strings.ReplaceAll(kind, "_", "-") + "s/" + url.PathEscape(podID), Op: "show " + strings.ReplaceAll(kind, "_", " ")}, nil, &out)
	if fault.Is(err, fault.NotFound) {
		return thing, false, nil
	}
	if err == nil {
		v.seen[key] = out[kind]
	}
	return out[kind], err == nil, err
}

type podPort struct {
	AdminStateUp bool      `json:"admin_state_up"`
	Status       string    `json:"status"`
	MAC          string    `json:"mac_address"`
	DeviceID     string    `json:"device_id"`
	FixedIPs     []fixedIP `json:"fixed_ips"`
	Groups       []string  `json:"security_groups"`
	VIFType      string    `json:"binding:vif_type"`
}

type fixedIP struct {
	Address string `json:"ip_address"`
}

func (p podPort) lacks(addresses []netip.Addr) string {
	for _, a := range addresses {
		if !slices.Contains(p.FixedIPs, fixedIP{a.String()}) {
			return "its address " + a.String() + " is missing in the pod"
		}
	}
	return ""
}

func (p podPort) state() string {
	switch {
	case !p.AdminStateUp:
		return "it is administratively down"
	case p.VIFType == topology.VIFBindingFailed:
		return "its binding to a host failed"
	case p.Status != topology.StatusActive:
		return "its status is " + p.Status + ": no host serves it"
	}
	return ""
}

func portHop(e end) Hop {
	return Hop{Pod: e.pod, Kind: store.KindPort, ID: e.port.ID, What: e.named(), check: func(ctx context.Context, v *view, h *Hop) (string, error) {
		p, problem, err := fetch[podPort](ctx, v, h, store.KindPort, e.port.ID)
		if err != nil || problem != "" {
			return problem, err
		}
		if problem = p.lacks([]netip.Addr{e.addr}); problem == "" && p.MAC != e.port.MACAddress {
			problem = fmt.Sprintf("its MAC address is %s, not %s", p.MAC, e.port.MACAddress)
		}
		if problem == "" {
			problem = p.state()
		}
		return problem, nil
	}}
}

func networkHop(podName string, n topology.Network) Hop {
	name := n.Name
	return Hop{Pod: podName, Kind: store.KindNetwork, ID: n.ID, What: fmt.Sprintf("%s: %s", name, segmentText(n)),
		check: func(ctx context.Context, v *view, h *Hop) (string, error) {
			there, problem, err := fetch[struct {
				AdminStateUp bool   `json:"admin_state_up"`
				Type         string `json:"provider:network_type"`
				Physical     string `json:"provider:physical_network"`
				Segment      int    `json:"provider:segmentation_id"`
			}](ctx, v, h, store.KindNetwork, n.ID)
			if err != nil || problem != "" {
				return problem, err
			}
			switch {
			case !there.AdminStateUp:
				problem = "it is administratively down"
			case n.Type == topology.TypeLocal || len(n.Segments) > 1: // the pod's choice; by host
			case there.Type != n.Type || there.Physical != n.PhysicalNetwork || there.Segment != n.SegmentationID:
				problem = fmt.Sprintf("it is %s %d on %q there", there.Type, there.Segment, there.Physical)
			}
			return problem, nil
		}}
}

func gatewayHop(podName string, s topology.Subnet, in topology.Port, to netip.Addr) Hop {
	var own netip.Addr
	for _, ip := range in.FixedIPs {
		if ip.SubnetID == s.ID {
			own = ip.Address
		}
	}
	return Hop{Pod: podName, Kind: store.KindSubnet, ID: s.ID, What: fmt.Sprintf("servers on %s send to %s", s.CIDR, own),
		check: func(ctx context.Context, v *view, h *Hop) (string, error) {
			there, problem, err := fetch[struct {
				Gateway string `json:"gateway_ip"`
				Routes  []struct {
					Destination netip.Prefix `json:"destination"`
					NextHop     netip.Addr   `json:"nexthop"`
				} `json:"host_routes"`
			}](ctx, v, h, store.KindSubnet, s.ID)
			if err != nil || problem != "" {
				return problem, err
			}
			gateway := there.Gateway
			for _, r := range there.Routes {
				if r.Destination.Contains(to) {
					gateway = r.NextHop.String()
				}
			}
			if gateway == own.String() {
				return "", nil
			}
			return fmt.Sprintf("the subnet's gateway is %q there, not the router", gateway), nil
		}}
}

func interfaceHop(podName string, site store.RouterSite, p topology.Port, n topology.Network) Hop {
	var texts []string
	for _, a := range p.Addresses() {
		texts = append(texts, a.String())
	}
	return Hop{Pod: podName, Kind: "interface", ID: p.ID, What: fmt.Sprintf("router %s has %s on %s", site.Router.Name, strings.Join(texts, ", "), n.Name),
		check: func(ctx context.Context, v *view, h *Hop) (string, error) {
			there, problem, err := fetch[podPort](ctx, v, h, store.KindPort, p.ID)
			if err != nil || problem != "" {
				return problem, err
			}
			router, problem, err := v.podID(ctx, store.KindRouter, site.Router.ID, podName)
			switch {
			case err != nil || problem != "":
				return "the router: " + problem, err
			case there.DeviceID != router:
				return "the port is not the router's: it is not attached", nil
			}
			if problem = there.lacks(p.Addresses()); problem == "" {
				problem = there.state()
			}
			return problem, nil
		}}
}

type podRouter struct {
	AdminStateUp bool   `json:"admin_state_up"`
	Status       string `json:"status"`
	Routes       []struct {
		Destination netip.Prefix `json:"destination"`
		NextHop     netip.Addr   `json:"nexthop"`
	} `json:"routes"`
}

func routerHop(podName string, site store.RouterSite) Hop {
	return Hop{Pod: podName, Kind: store.KindRouter, ID: site.Router.ID, What: "router " + site.Router.Name, check: func(ctx context.Context, v *view, h *Hop) (string, error) {
		there, problem, err := fetch[podRouter](ctx, v, h, store.KindRouter, site.Router.ID)
		if err != nil || problem != "" {
			return problem, err
		}
		switch {
		case !site.Router.AdminStateUp:
			problem = "its owner has set it down"
		case !there.AdminStateUp:
			problem = "it is administratively down"
		case there.Status != topology.StatusActive:
			problem = "its status is " + there.Status
		}
		return problem, nil
	}}
}

func routeHop(podName string, site store.RouterSite, want topology.HostRoute, to netip.Addr) Hop {
	return Hop{Pod: podName, Kind: "route", ID: site.Router.ID, What: fmt.Sprintf("%s via %s", want.Destination, want.NextHop),
		check: func(ctx context.Context, v *view, h *Hop) (string, error) {
			there, problem, err := fetch[podRouter](ctx, v, h, store.KindRouter, site.Router.ID)
			if err != nil || problem != "" {
				return problem, err
			}
			var routes []topology.HostRoute
			for _, r := range there.Routes {
				routes = append(routes, topology.HostRoute{Destination: r.Destination, NextHop: r.NextHop})
			}
			best, found := longest(routes, to)
			switch {
			case !found:
				return "the pod's router has no route to " + to.String(), nil
			case best.NextHop != want.NextHop:
				return fmt.Sprintf("the pod's router sends it by %s via %s", best.Destination, best.NextHop), nil
			}
			return "", nil
		}}
}
