package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/store"
)

const (
	dhcpAgent = "DHCP agent"
	ovnPrefix = "OVN "
)

// judgeAgents looks at the pod's network agents: can its hosts carry the physical
// networks, and does DHCP work as the pod's row says.
func judgeAgents(row store.Pod, f facts, physical []string) []Finding {
	const what = "network agents"
	if f.agentsErr != nil {
		return []Finding{{LevelWarn, what, "cannot list the agents: " + said(f.agentsErr), ""}}
	}
	if len(f.agents) == 0 {
		return []Finding{{LevelWarn, what, "Neutron shows no agents: physical networks and DHCP could not be checked",
			"give the account the admin role, unless the pod's network driver has no agents"}}
	}
	var down []string
	for _, a := range f.agents {
		if !a.Alive {
			down = append(down, a.Type+" on "+a.Host)
		}
	}
	var findings []Finding
	if len(down) > 0 {
		slices.Sort(down)
		findings = append(findings, Finding{LevelWarn, what, "not alive: " + strings.Join(down, ", "), "openstack network agent list"})
	}
	findings = append(findings, judgePhysical(f, physical)...)
	return append(findings, judgeDHCP(row, f)...)
}

// judgePhysical names, for each physical network, the hosts that lack it.
func judgePhysical(f facts, physical []string) []Finding {
	const what = "physical networks"
	var hosts, known []string
	has := map[string]map[string]bool{} // physical network to hosts
	for _, a := range f.agents {
		if !a.Alive || !a.Mapped {
			continue
		}
		hosts = append(hosts, a.Host)
		for _, n := range a.Networks {
			if has[n] == nil {
				has[n] = map[string]bool{}
			}
			has[n][a.Host] = true
			known = append(known, n)
		}
	}
	hosts, known = unique(hosts), unique(known)
	if len(physical) == 0 {
		return nil
	}
	if len(hosts) == 0 {
		return []Finding{{LevelError, what, "no network agent that carries physical networks is alive", "openstack network agent list"}}
	}
	var findings []Finding
	for _, n := range physical {
		lacking := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return has[n][h] })
		switch {
		case len(lacking) == len(hosts):
			findings = append(findings, Finding{LevelError, what,
				fmt.Sprintf("physical network %s is on no host; the pod has %s", n, orNothing(known)),
				"add it to bridge_mappings of the pod's network agents, or to physical_networks in Tricircle's configuration as the pod calls it"})
		case len(lacking) > 0:
			findings = append(findings, Finding{LevelWarn, what,
				fmt.Sprintf("physical network %s is missing on %s: servers there get no network", n, strings.Join(lacking, ", ")),
				"add it to bridge_mappings of the agents there"})
		}
	}
	if findings == nil {
		return []Finding{{LevelOK, what, fmt.Sprintf("%s on all hosts (%d)", strings.Join(physical, ", "), len(hosts)), ""}}
	}
	return findings
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// judgeDHCP compares the agents that are alive with the number of ports that
// Tricircle reserves in each network. How many agents serve a network
// (dhcp_agents_per_network) is not in the API: it is at most the number alive.
func judgeDHCP(row store.Pod, f facts) []Finding {
	const what = "DHCP agents"
	alive, ovn := 0, false
	for _, a := range f.agents {
		if a.Alive && a.Type == dhcpAgent {
			alive++
		}
		ovn = ovn || strings.HasPrefix(a.Type, ovnPrefix)
	}
	set := func(n int) string { return fmt.Sprintf("tricircle pod set %s --dhcp-ports %d", row.Name, n) }
	switch {
	case alive == 0 && row.DHCPPorts == 0:
		return []Finding{{LevelOK, what, "none, and no ports are reserved for them", ""}}
	case alive == 0 && ovn:
		return []Finding{{LevelWarn, what, "the pod's DHCP is OVN's own, which needs no reserved ports", set(0)}}
	case alive == 0:
		return []Finding{{LevelError, what, "none is alive: servers will get no address by DHCP", "start neutron-dhcp-agent in the pod"}}
	case row.DHCPPorts == 0:
		return []Finding{{LevelError, what, fmt.Sprintf("%d alive, but no ports are reserved for them: they would find no address", alive),
			set(1) + " (the pod's dhcp_agents_per_network)"}}
	case row.DHCPPorts > alive:
		return []Finding{{LevelWarn, what, fmt.Sprintf("%d ports are reserved per network, but only %d alive", row.DHCPPorts, alive),
			set(alive) + ", or start the others"}}
	case alive > row.DHCPPorts:
		return []Finding{{LevelOK, what, fmt.Sprintf("%d alive; %d of them may serve a network: let dhcp_agents_per_network be that", alive, row.DHCPPorts), ""}}
	}
	return []Finding{{LevelOK, what, fmt.Sprintf("%d alive, as many as ports reserved", alive), ""}}
}
