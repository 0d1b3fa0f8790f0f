package trace

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/store"
	"github.com/tricircle/tricircle/internal/topology"
)

// packet is what a group has to let pass.
type packet struct {
	direction string
	traffic   Traffic
	peer      netip.Addr
	answer    bool // its port is the source's then, which is any
}

func (p packet) String() string {
	text := p.protocol()
	if p.traffic.Port > 0 && !p.answer {
		text += fmt.Sprintf(" port %d", p.traffic.Port)
	}
	if p.direction == topology.Ingress {
		return text + " from " + p.peer.String()
	}
	return text + " to " + p.peer.String()
}

// protocol is the packet's, as its IP version calls it.
func (p packet) protocol() string {
	if p.traffic.Protocol == "icmp" && p.peer.Is6() {
		return "ipv6-icmp"
	}
	return p.traffic.Protocol
}

func (t Traffic) check() error {
	if _, err := topology.ParseProtocol(t.Protocol); err != nil {
		return err
	}
	if t.Port < 0 || t.Port > 65535 {
		return fault.New(fault.Invalid, "", "port must be 1 to 65535, not %d", t.Port)
	}
	return nil
}

// peerOf is what rules can say about the other end.
type peerOf struct {
	groups    []string // its groups
	inAddress func(addressGroup string) (bool, error)
}

// rule is a rule of the region's, or of a pod's, without what does not matter here.
type rule struct {
	Direction    string  `json:"direction"`
	EtherType    string  `json:"ethertype"`
	Protocol     *string `json:"protocol"`
	PortMin      *int    `json:"port_range_min"`
	PortMax      *int    `json:"port_range_max"`
	Prefix       *string `json:"remote_ip_prefix"`
	Group        *string `json:"remote_group_id"`
	AddressGroup *string `json:"remote_address_group_id"`
}

// lets says that the rule lets the packet pass.
func (r rule) lets(p packet, peer peerOf) (bool, error) {
	family := topology.IPv4
	if p.peer.Is6() {
		family = topology.IPv6
	}
	if r.Direction != p.direction || r.EtherType != family || !r.carries(p) {
		return false, nil
	}
	switch {
	case deref(r.Group) != "":
		return slices.Contains(peer.groups, *r.Group), nil
	case deref(r.AddressGroup) != "":
		return peer.inAddress(*r.AddressGroup)
	case deref(r.Prefix) != "":
		prefix, err := topology.ParsePrefix(*r.Prefix)
		return err == nil && prefix.Contains(p.peer), nil
	}
	return true, nil
}

// carries compares protocol and ports.
func (r rule) carries(p packet) bool {
	if deref(r.Protocol) == "" {
		return true
	}
	if topology.ProtocolNumber(*r.Protocol) != topology.ProtocolNumber(p.protocol()) {
		return false
	}
	if r.PortMin == nil || strings.Contains(p.protocol(), "icmp") {
		return true
	}
	return !p.answer && p.traffic.Port >= *r.PortMin && (r.PortMax == nil || p.traffic.Port <= *r.PortMax)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// centralRules are the rules of the port's groups, as the region has them.
func centralRules(groups []topology.SecurityGroup) (all []rule) {
	for _, g := range groups {
		for _, r := range g.Rules {
			all = append(all, rule{r.Direction, r.EtherType, &r.Protocol, r.PortMin, r.PortMax, &r.RemoteIPPrefix, &r.RemoteGroupID, &r.AddressGroupID})
		}
	}
	return all
}

func anyLets(rules []rule, p packet, peer peerOf) (bool, error) {
	for _, r := range rules {
		if ok, err := r.lets(p, peer); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// checkGroups asks first whether the region's rules let the packet pass, then
// whether those do that the pod has.
func checkGroups(e, peer end, p packet) check {
	return func(ctx context.Context, v *view, h *Hop) (string, error) {
		central := peerOf{groups: peer.port.SecurityGroups, inAddress: func(id string) (bool, error) {
			g, err := v.store.AddressGroups().Find(ctx, id)
			return err == nil && slices.ContainsFunc(g.Addresses, func(a netip.Prefix) bool { return a.Contains(p.peer) }), err
		}}
		if ok, err := anyLets(centralRules(e.groups), p, central); err != nil || !ok {
			return "no rule of its groups allows it", err
		}
		rules, problem, err := v.podRules(ctx, e, h)
		if err != nil || problem != "" {
			return problem, err
		}
		there := peerOf{inAddress: func(id string) (bool, error) { return v.inAddressGroup(ctx, h.Pod, id, p.peer) }}
		if peer.pod == h.Pod {
			for _, g := range peer.port.SecurityGroups {
				if podID, _, err := v.podID(ctx, store.KindSecurityGroup, g, h.Pod); err != nil {
					return "", err
				} else if podID != "" {
					there.groups = append(there.groups, podID)
				}
			}
		}
		if ok, err := anyLets(rules, p, there); err != nil || !ok {
			return "a rule of its groups allows it, but none that the pod has", err
		}
		return "", nil
	}
}

// podRules are the rules that the pod has for the port.
func (v *view) podRules(ctx context.Context, e end, h *Hop) (all []rule, problem string, err error) {
	port, problem, err := fetch[podPort](ctx, v, h, store.KindPort, e.port.ID)
	if err != nil || problem != "" {
		return nil, problem, err
	}
	for _, g := range e.groups {
		there, problem, err := fetch[struct {
			ID    string `json:"id"`
			Rules []rule `json:"security_group_rules"`
		}](ctx, v, h, store.KindSecurityGroup, g.ID)
		if err != nil || problem != "" {
			return nil, "group " + g.Name + ": " + problem, err
		}
		if !slices.Contains(port.Groups, there.ID) {
			return nil, "the port is not in group " + g.Name + " there", nil
		}
		all = append(all, there.Rules...)
	}
	return all, "", nil
}

func (v *view) inAddressGroup(ctx context.Context, podName, podID string, a netip.Addr) (bool, error) {
	g, found, err := show[struct {
		Addresses []string `json:"addresses"`
	}](ctx, v, podName, store.KindAddressGroup, podID)
	return found && slices.ContainsFunc(g.Addresses, func(text string) bool { return within(text, a) }), err
}

func within(text string, a netip.Addr) bool {
	p, err := topology.ParsePrefix(text)
	return err == nil && p.Contains(a)
}
