//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// servesDHCP says what is wrong with the DHCP ports of one of our networks in
// the pod: each agent that serves it must own one, which is ours by its mark,
// and at the address that the region reserved for it.
func (p Pod) servesDHCP(t *testing.T, network string) error {
	t.Helper()
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
	operator := login(t, "admin")
	for _, port := range ports {
		ours, marked := strings.CutPrefix(port.text("description"), "tricircle:port:")
		if !marked {
			return fmt.Errorf("DHCP port %s is the agent's own", port.text("id"))
		}
		if !strings.HasPrefix(port.text("device_id"), "dhcp") {
			return fmt.Errorf("no agent has claimed DHCP port %s yet: device_id is %s", port.text("id"), port.text("device_id"))
		}
		central := get[map[string]object](t, operator.Network, "ports/"+ours)["port"]
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
