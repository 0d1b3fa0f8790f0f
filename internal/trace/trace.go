// Package trace follows the way that packets are meant to take between two servers,
// hop by hop, and asks the pods whether each hop is there.
//
// The way is worked out from the region's own state. Only the Network APIs of the
// pods are asked, and nothing is changed. What no API tells, whether the fabric
// carries a VLAN between pods, is named as a hop, too.
package trace

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// Pods gives access to the pods by name.
type Pods interface {
	Client(ctx context.Context, name string) (*pod.Client, error)
}

// Tracer traces. It is safe for concurrent use.
type Tracer struct {
	Store *store.Store
	Pods  Pods
}

// Traffic is what is to pass.
type Traffic struct {
	Protocol string `json:"protocol"`       // a name; empty: icmp
	Port     int    `json:"port,omitempty"` // the destination's
}

// Report is what was found.
type Report struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	Traffic Traffic `json:"traffic"`
	Paths   []Path  `json:"paths"`
}

// Path is one way: of one IP version, there or back.
type Path struct {
	From netip.Addr `json:"from"`
	To   netip.Addr `json:"to"`
	Back bool       `json:"back"`
	Hops []Hop      `json:"hops"`
}

// Hop is one thing on the way. An empty Problem means that it is as it should be.
type Hop struct {
	Pod   string `json:"pod"` // empty: between pods, or the region's own
	Kind  string `json:"kind"`
	ID    string `json:"id,omitempty"`
	PodID string `json:"pod_id,omitempty"`
	What  string `json:"what"`
	// Assumed says that no API tells whether this is so.
	Assumed bool   `json:"assumed,omitempty"`
	Problem string `json:"problem,omitempty"`

	check check // nil: there is nothing to ask
}

// Problems says whether any hop is not as it should be.
func (r Report) Problems() bool {
	return slices.ContainsFunc(r.Paths, func(p Path) bool {
		return slices.ContainsFunc(p.Hops, func(h Hop) bool { return h.Problem != "" })
	})
}

// end is a server's place on a network.
type end struct {
	name   string
	port   topology.Port
	addr   netip.Addr
	subnet topology.Subnet
	net    topology.Network
	pod    string // empty: none
	groups []topology.SecurityGroup
}

// Trace follows packets between two servers, or ports, named by ID.
func (t *Tracer) Trace(ctx context.Context, from, to string, traffic Traffic) (Report, error) {
	traffic.Protocol = cmp.Or(traffic.Protocol, "icmp")
	report := Report{From: from, To: to, Traffic: traffic, Paths: []Path{}}
	if err := traffic.check(); err != nil {
		return report, err
	}
	sources, err := t.ends(ctx, from)
	if err != nil {
		return report, err
	}
	targets, err := t.ends(ctx, to)
	if err != nil {
		return report, err
	}
	for _, four := range []bool{true, false} {
		pair, err := t.pair(ctx, sources, targets, four)
		if err != nil {
			return report, err
		}
		if pair == nil {
			continue
		}
		paths, err := t.paths(ctx, pair, traffic)
		if err != nil {
			return report, err
		}
		report.Paths = append(report.Paths, paths...)
	}
	if len(report.Paths) == 0 {
		return report, fault.New(fault.Conflict, "", "%s and %s have no addresses of one IP version", from, to)
	}
	return report, nil
}

// ends are the addresses of a server, or port, and what they stand on.
func (t *Tracer) ends(ctx context.Context, id string) ([]end, error) {
	ports, err := t.Store.PortsByDevice(ctx, id)
	if err != nil {
		return nil, err
	}
	name := id
	if e, err := t.Store.FindEntry(ctx, store.KindServer, id); err == nil && e.Name != "" {
		name = e.Name
	}
	if len(ports) == 0 {
		p, err := t.Store.FindPort(ctx, id)
		if err != nil {
			return nil, fault.New(fault.NotFound, "", "no server with a port, and no port, has the ID %s", id)
		}
		ports = []topology.Port{p}
	}
	var all []end
	for _, p := range ports {
		ends, err := t.portEnds(ctx, name, p)
		if err != nil {
			return nil, err
		}
		all = append(all, ends...)
	}
	return all, nil
}

func (t *Tracer) portEnds(ctx context.Context, name string, p topology.Port) ([]end, error) {
	n, err := t.Store.FindNetwork(ctx, p.NetworkID)
	if err != nil {
		return nil, err
	}
	placed, err := t.Store.ListMappings(ctx, store.MappingQuery{Kind: store.KindPort, ID: p.ID})
	if err != nil {
		return nil, err
	}
	e := end{name: name, port: p, net: n}
	for _, m := range placed {
		if m.Wanted {
			e.pod = m.Pod
		}
	}
	for _, id := range p.SecurityGroups {
		g, err := t.Store.FindSecurityGroup(ctx, id)
		if err != nil {
			return nil, err
		}
		e.groups = append(e.groups, g)
	}
	var all []end
	for _, ip := range p.FixedIPs {
		one := e
		one.addr = ip.Address
		if one.subnet, err = t.Store.FindSubnet(ctx, ip.SubnetID); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// pair is two ends, and the router between them if they are on different subnets.
type pair struct {
	from, to end
	router   string // ID; empty: none is needed, or there is none
}

// pair finds two addresses that are on one subnet, else on one router, else any.
func (t *Tracer) pair(ctx context.Context, from, to []end, four bool) (*pair, error) {
	var best *pair
	for _, a := range from {
		for _, b := range to {
			if a.addr.Is4() != four || b.addr.Is4() != four {
				continue
			}
			if a.subnet.ID == b.subnet.ID {
				return &pair{from: a, to: b}, nil
			}
			if best != nil && best.router != "" {
				continue
			}
			routers, err := t.Store.RoutersBetween(ctx, [2]string{a.subnet.ID, b.subnet.ID})
			if err != nil {
				return nil, err
			}
			if len(routers) > 0 {
				best = &pair{a, b, routers[0]}
			} else if best == nil {
				best = &pair{from: a, to: b}
			}
		}
	}
	return best, nil
}

// paths are the way there and the way back.
func (t *Tracer) paths(ctx context.Context, p *pair, traffic Traffic) ([]Path, error) {
	there := walk{traffic: traffic, from: p.from, to: p.to, nets: map[string]topology.Network{}}
	if p.router != "" {
		var err error
		if there.sites, err = t.Store.RouterSites(ctx, p.router); err != nil {
			return nil, err
		}
		if err := t.loadNets(ctx, &there); err != nil {
			return nil, err
		}
	}
	back := there
	back.from, back.to, back.back = p.to, p.from, true
	v := newView(t)
	var paths []Path
	for _, w := range []*walk{&there, &back} {
		w.follow()
		v.check(ctx, w.hops)
		paths = append(paths, Path{From: w.from.addr, To: w.to.addr, Back: w.back, Hops: w.hops})
	}
	return paths, nil
}

// loadNets reads the networks that the router is on.
func (t *Tracer) loadNets(ctx context.Context, w *walk) error {
	for _, site := range w.sites {
		for _, p := range site.Ports {
			if _, known := w.nets[p.NetworkID]; known {
				continue
			}
			n, err := t.Store.FindNetwork(ctx, p.NetworkID)
			if err != nil {
				return err
			}
			w.nets[n.ID] = n
		}
	}
	return nil
}

// named is what a port is called in texts.
func (e end) named() string { return fmt.Sprintf("%s of %s", e.addr, e.name) }
