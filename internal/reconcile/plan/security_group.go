package plan

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/topology"
)

// Group is a pod's security group, as far as we care.
type Group struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Stateful    bool   `json:"stateful"`
	Rules       []Rule `json:"security_group_rules"`
}

// PodID is its ID in the pod.
func (g Group) PodID() string { return g.ID }

// Rule is a pod's rule. Nil allows any value.
type Rule struct {
	ID            string  `json:"id,omitempty"`
	GroupID       string  `json:"security_group_id,omitempty"`
	ProjectID     string  `json:"project_id,omitempty"`
	Direction     string  `json:"direction"`
	EtherType     string  `json:"ethertype"`
	Protocol      *string `json:"protocol"`
	PortMin       *int    `json:"port_range_min"`
	PortMax       *int    `json:"port_range_max"`
	RemotePrefix  *string `json:"remote_ip_prefix"`
	RemoteGroupID *string `json:"remote_group_id"`
	AddressGroup  *string `json:"remote_address_group_id"`
	Description   string  `json:"description,omitempty"`
}

// Remote is what a rule with a remote group, or an address group, means in one
// pod.
type Remote struct {
	PodAddressGroupID string         // the address group there
	PodGroupID        string         // the group there; empty: it has no members there
	PodMembersID      string         // the address group there of the members in other pods
	Elsewhere         []netip.Prefix // those members, where the pod has no address groups
}

// UpdateGroup is what to change in the pod's group itself.
func UpdateGroup(want topology.SecurityGroup, found Group) Changes {
	c := Changes{}
	if want.Name == topology.DefaultGroup {
		return c // the pod made it; its name and description are the pod's
	}
	set(c, "name", found.Name, want.Name)
	set(c, "description", found.Description, Mark("security_group", want.ID))
	set(c, "stateful", found.Stateful, want.Stateful)
	return c
}

// Rules says which rules to add to the pod's group and which (by ID) to delete.
// A rule with a remote group becomes the same rule with the pod's group, for the
// members there, and for the members elsewhere the same rule with their address
// group, or one rule per address: never wider than asked.
func Rules(want topology.SecurityGroup, found Group, remotes map[string]Remote) (add []Rule, remove []string) {
	missing := map[string]Rule{}
	var order []string
	for _, r := range want.Rules {
		for _, w := range realise(r, remotes) {
			if _, dup := missing[w.key()]; !dup {
				missing[w.key()] = w
				order = append(order, w.key())
			}
		}
	}
	for _, f := range found.Rules {
		if _, ok := missing[f.key()]; ok {
			delete(missing, f.key())
			continue
		}
		remove = append(remove, f.ID)
	}
	for _, k := range order {
		if r, ok := missing[k]; ok {
			r.GroupID, r.ProjectID, r.Description = found.ID, want.ProjectID, "tricircle"
			add = append(add, r)
		}
	}
	return add, remove
}

func realise(r topology.Rule, remotes map[string]Remote) []Rule {
	base := Rule{Direction: r.Direction, EtherType: r.EtherType, Protocol: ref(r.Protocol),
		PortMin: r.PortMin, PortMax: r.PortMax, RemotePrefix: ref(r.RemoteIPPrefix)}
	if r.AddressGroupID != "" {
		id := remotes[r.AddressGroupID].PodAddressGroupID
		if id == "" {
			return nil // rather than let everybody in
		}
		base.AddressGroup = ref(id)
	}
	if r.RemoteGroupID == "" {
		return []Rule{base}
	}
	var out []Rule
	remote := remotes[r.RemoteGroupID]
	if remote.PodGroupID != "" {
		native := base
		native.RemoteGroupID = ref(remote.PodGroupID)
		out = append(out, native)
	}
	if remote.PodMembersID != "" {
		members := base
		members.AddressGroup = ref(remote.PodMembersID)
		return append(out, members)
	}
	for _, p := range remote.Elsewhere {
		if p.Addr().Is4() != (r.EtherType == topology.IPv4) || p.Bits() == 0 {
			continue
		}
		one := base
		one.RemotePrefix = ref(p.String())
		out = append(out, one)
	}
	return out
}

// key is equal for rules that Neutron takes for the same.
func (r Rule) key() string {
	return strings.Join([]string{r.Direction, strings.ToLower(r.EtherType), protocol(deref(r.Protocol)),
		number(r.PortMin), number(r.PortMax), prefix(deref(r.RemotePrefix)), deref(r.RemoteGroupID), deref(r.AddressGroup)}, "|")
}

// protocols are the names that Neutron takes for numbers and gives back as asked.
var protocols = map[string]string{
	"icmp": "1", "igmp": "2", "ipip": "4", "tcp": "6", "egp": "8", "udp": "17", "dccp": "33",
	"ipv6-encap": "41", "rsvp": "46", "gre": "47", "esp": "50", "ah": "51", "icmpv6": "58", "ipv6-icmp": "58",
	"ospf": "89", "pgm": "113", "vrrp": "112", "sctp": "132", "udplite": "136",
}

func protocol(p string) string {
	p = strings.ToLower(p)
	if n, ok := protocols[p]; ok {
		return n
	}
	return p
}

// prefix is empty for the whole address space: Neutron takes 0.0.0.0/0 and no
// prefix for the same.
func prefix(s string) string {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return s
	case p.Bits() == 0:
		return ""
	}
	return p.Masked().String()
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func ref(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
