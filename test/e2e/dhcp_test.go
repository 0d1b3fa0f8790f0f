//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestOneDHCPPortPerAgent creates networks again and again against the real DHCP
// agent. Each time there must be just the port that we reserved, at our address,
// claimed by the agent: it would make one of its own were ours late, and two
// agents' ports would then answer on one shared wire.
func TestOneDHCPPortPerAgent(t *testing.T) {
	const rounds, together = 10, 10
	tenant := login(t, "alt")
	leavesNothing(t, tenant)
	pod, operator := pods(t)[0], login(t, "admin")
	image := tenant.uploadImage("e2e-dhcp")

	for round := 0; round < rounds; round += together {
		t.Run(fmt.Sprintf("networks %d to %d", round+1, round+together), func(t *testing.T) {
			tenant := login(t, "alt")
			var servers, networks []string
			for i := range together {
				network := tenant.createNetwork(fmt.Sprintf("e2e-dhcp-%d", round+i))
				tenant.createSubnet(network, fmt.Sprintf("10.91.%d.0/28", round+i))
				networks = append(networks, network)
				servers = append(servers, tenant.createServer(fmt.Sprintf("e2e-dhcp-%d", round+i), "az1", image, network))
			}
			tenant.waitActive(servers...)
			for _, network := range networks {
				eventually(t, time.Minute, "DHCP of network "+network, func() error { return pod.servesDHCP(operator, network) })
			}
			// An agent that made a port of its own does so within seconds of DHCP being on.
			for _, network := range networks {
				if err := pod.servesDHCP(operator, network); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// servesDHCP says what is wrong with the DHCP ports of one of our networks in
// the pod: each agent that serves it must own one, which is ours by its mark,
// and at the address that the region reserved for it.
func (p Pod) servesDHCP(operator *Tenant, network string) error {
	p.t.Helper()
	found, err := p.networkByMark(network)
	if err != nil {
		return err
	}
	id := found.text("id")
	agents := p.list(p.Network, "networks/"+id+"/dhcp-agents", "agents")
	ports := p.list(p.Network, "ports?device_owner=network:dhcp&network_id="+id, "ports")
	if len(agents) == 0 || len(ports) != len(agents) {
		return fmt.Errorf("%d DHCP ports for %d agents", len(ports), len(agents))
	}
	for _, port := range ports {
		ours, marked := strings.CutPrefix(port.text("description"), "tricircle:port:")
		if !marked {
			return fmt.Errorf("DHCP port %s is the agent's own", port.text("id"))
		}
		if !strings.HasPrefix(port.text("device_id"), "dhcp") {
			return fmt.Errorf("no agent has claimed DHCP port %s yet: device_id is %s", port.text("id"), port.text("device_id"))
		}
		central := get[map[string]object](p.t, operator.Network, "ports/"+ours)["port"]
		if got, want := addresses(port), addresses(central); got != want {
			return fmt.Errorf("DHCP port %s is at %s, want %s", port.text("id"), got, want)
		}
	}
	return nil
}

// addresses of a port, as text.
func addresses(port object) string {
	fixed, _ := port["fixed_ips"].([]any)
	var all []string
	for _, f := range fixed {
		if m, ok := f.(map[string]any); ok {
			all = append(all, fmt.Sprint(m["ip_address"]))
		}
	}
	return strings.Join(all, " ")
}
